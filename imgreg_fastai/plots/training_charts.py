"""Charts of a training: losses and errors over the epochs, and the sweep of learning rates.

Every function returns a figure whose title says the finding, with its number.
"""
import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter1d

from ..utils.format import format_amount
from .axes import add_legend, set_epoch_axis, set_log_scale, with_unit_label
from .figures import BLUE, CYCLE, GREY, INK, SKY, VERMILION, TitledFigure, chart_figure


def best_row(history: pd.DataFrame) -> int | None:
    """The position of the row of a history with the lowest validation loss; None if there is no finite loss."""
    loss = history["valid_loss"].to_numpy(float)
    return int(np.nanargmin(loss)) if np.isfinite(loss).any() else None


def draw_course(ax, history: pd.DataFrame, column: str, label: str, best: int | None = None, ring: str = INK,
                **line) -> None:
    """Draw a column of a history over the epochs.

    Args:
        ax: the axes.
        history: a row for each epoch, with `epoch`.
        column: what to draw.
        label: its name in the legend.
        best: the position of the row that has a ring; None for no ring.
        ring: its colour.
        **line: colour and style of the line, as for Axes.plot.
    """
    marker = "o" if len(history) <= 40 else ""
    ax.plot(history["epoch"], history[column], marker=marker, markersize=3.5, linewidth=1.8, label=label, **line)
    if best is not None:
        ax.plot(history["epoch"].iloc[best], history[column].iloc[best], "o", markersize=10, markerfacecolor="none",
                markeredgecolor=ring, markeredgewidth=1.4)


def curves(history: pd.DataFrame, units: dict[str, str]) -> Figure:
    """Losses and validation errors over the epochs; a ring marks the epoch with the lowest validation loss.

    Args:
        history: `epoch`, `train_loss`, `valid_loss` and `<target>_error` for each target.
        units: {target name: unit}; errors in different units have a chart each.

    Returns:
        A figure whose title has that epoch and its errors.
    """
    errors = {f"{name}_error": name for name in units if f"{name}_error" in history}
    best = best_row(history)
    note = "" if best is None else "The ring is the epoch with the lowest validation loss: its weights are kept."
    different = list(dict.fromkeys(units[name] for name in errors.values()))
    figure = TitledFigure(4.6 * (1 + len(different)), 3.5, _curves_title(history, units, best), note)
    left, *others = figure.add_charts(1 + len(different))
    draw_course(left, history, "train_loss", "training", color=SKY)
    draw_course(left, history, "valid_loss", "validation", best, color=BLUE)
    _finish_course(left, history, ["train_loss", "valid_loss"], best, "loss")
    for ax, unit in zip(others, different, strict=True):
        columns = [column for column, name in errors.items() if units[name] == unit]
        for column, colour in zip(columns, (VERMILION, *CYCLE[2:]), strict=False):
            draw_course(ax, history, column, errors[column], best, color=colour)
        _finish_course(ax, history, columns, best, with_unit_label("mean validation error", unit))
    return figure


def _curves_title(history: pd.DataFrame, units: dict[str, str], best: int | None) -> str:
    """The best epoch and its errors, or those of the last one where there is no best."""
    title = f"{len(history)} epochs" if best is None else f"Best at epoch {history['epoch'].iloc[best]:g}"
    row = history.iloc[-1 if best is None else best] if len(history) else {}
    errors = [f"{name} error {format_amount(row[f'{name}_error'], unit)}" for name, unit in units.items()
              if np.isfinite(row.get(f"{name}_error", np.nan))]
    return f"{title}: {', '.join(errors)}" if errors else title


def _finish_course(ax, history: pd.DataFrame, columns: list[str], best: int | None, label: str) -> None:
    """Mark the best epoch, and set the scale, the labels and a legend of several lines."""
    if best is not None:
        ax.axvline(history["epoch"].iloc[best], color=GREY, linewidth=0.9, linestyle=(0, (2, 3)), zorder=1)
    set_log_scale(ax.yaxis, history[columns].to_numpy(float))
    set_epoch_axis(ax)
    ax.set_ylabel(label)
    if len(columns) > 1:
        add_legend(ax)


def lr_find(lrs, losses, suggestion: float | None, trusted: bool) -> Figure:
    """The sweep of learning rates.

    Args:
        lrs: learning rates [n].
        losses: the loss at each of them [n].
        suggestion: the suggested rate, if any.
        trusted: whether the sweep is good enough for the suggestion to be used.

    Returns:
        A figure with the losses, their smoothed course, and the suggestion if it is trusted.
    """
    lrs, losses = np.asarray(lrs, float), np.asarray(losses, float)
    finite = np.isfinite(lrs) & np.isfinite(losses)
    lrs, losses = lrs[finite], losses[finite]
    if trusted and suggestion is not None:
        title, colour = f"Suggested learning rate: {suggestion:.2g}", BLUE
        note = "Dots: the loss at each rate; line: its course, smoothed; dashed: the suggestion."
    else:
        title, colour, suggestion = "No learning rate to suggest", GREY, None
        note = "This sweep means nothing: the loss did not fall clearly anywhere. Take the default rate."
    figure, ax = chart_figure(7.2, 3.7, title, note)
    ax.plot(lrs, losses, ".", color=SKY, markersize=4, alpha=0.8)
    if len(lrs):
        ax.plot(lrs, gaussian_filter1d(losses, 2), color=colour, linewidth=2)
        low, start = losses.min(), losses[:(len(losses) + 1) // 2].max()
        top = start + 0.4 * (start - low) + 1e-9  # where it bursts, the loss would flatten all that matters
        ax.set_ylim(low - 0.1 * (top - low), top)
    if suggestion is not None:
        ax.axvline(suggestion, color=VERMILION, linewidth=1.5, linestyle=(0, (4, 2)))
    ax.set(xscale="log", xlabel="learning rate", ylabel="loss")
    ax.xaxis.set_major_formatter(lambda v, _: f"{v:g}")
    return figure
