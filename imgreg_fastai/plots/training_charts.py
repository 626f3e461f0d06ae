"""Charts of a training: losses and errors over the epochs, and the sweep of learning rates.

Every function returns a figure whose title says the finding, with its number.
"""
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy.ndimage import gaussian_filter1d

from ..utils.format import format_amount
from .axes import add_legend, set_log_scale, with_unit_label
from .figures import BLUE, CYCLE, GREY, SKY, VERMILION, TitledFigure, chart_figure


def best_row(history: pd.DataFrame) -> int | None:
    """The position of the row of a history with the lowest validation loss; None if there is no finite loss."""
    loss = history["valid_loss"].to_numpy(float)
    return int(np.nanargmin(loss)) if np.isfinite(loss).any() else None


class Course(NamedTuple):
    """A line over the epochs.

    Args:
        history: a row for each epoch, see `curves`.
        column: what is drawn of it.
        label: its name in the legend.
        colour: of the line.
        style: of the line.
    """

    history: pd.DataFrame
    column: str
    label: str
    colour: str
    style: str = "-"


def draw_courses(ax, courses: list[Course], label: str) -> None:
    """Draw lines over the epochs, each with a ring at its lowest validation loss; `label`: of the y axis."""
    for history, column, name, colour, style in courses:
        marker = "o" if len(history) <= 40 else ""
        ax.plot(history["epoch"], history[column], style, marker=marker, markersize=3.5, linewidth=1.8, label=name,
                color=colour)
        best = best_row(history)
        if best is not None and column != "train_loss":
            ax.plot(history["epoch"].iloc[best], history[column].iloc[best], "o", markersize=10, markerfacecolor="none",
                    markeredgecolor=colour, markeredgewidth=1.5)
    set_log_scale(ax.yaxis, np.concatenate([course.history[course.column].to_numpy(float) for course in courses]))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=(1, 2, 5, 10)))
    ax.set(xlabel="epoch", ylabel=label)
    if len(courses) > 1:
        add_legend(ax)


def curves(history: pd.DataFrame, units: dict[str, str]) -> Figure:
    """Losses and validation errors over the epochs; a ring marks the epoch with the lowest validation loss.

    Args:
        history: `epoch`, `train_loss`, `valid_loss` and `<target>_error` for each target.
        units: {target name: unit}; errors in different units have a chart each.

    Returns:
        A figure whose title has that epoch and its errors.
    """
    charts = {"loss": [Course(history, "train_loss", "training", SKY), Course(history, "valid_loss", "validation", BLUE)]}
    for name, unit in units.items():
        courses = charts.setdefault(with_unit_label("mean validation error", unit), [])
        courses.append(Course(history, f"{name}_error", name, (VERMILION, *CYCLE[2:])[len(courses) % (len(CYCLE) - 1)]))
    best = best_row(history)
    note = "" if best is None else "The ring is the epoch with the lowest validation loss: its weights are kept."
    figure = TitledFigure(4.6 * len(charts), 3.5, _curves_title(history, units, best), note)
    for ax, (label, courses) in zip(figure.add_charts(len(charts)), charts.items(), strict=True):
        draw_courses(ax, courses, label)
        if best is not None:
            ax.axvline(history["epoch"].iloc[best], color=GREY, linewidth=0.9, linestyle=(0, (2, 3)), zorder=1)
    return figure


def _curves_title(history: pd.DataFrame, units: dict[str, str], best: int | None) -> str:
    """The best epoch and its errors, or those of the last one where there is no best."""
    title = f"{len(history)} epochs" if best is None else f"Best at epoch {history['epoch'].iloc[best]:g}"
    row = history.iloc[-1 if best is None else best] if len(history) else {}
    errors = [f"{name} error {format_amount(row[f'{name}_error'], unit)}" for name, unit in units.items()
              if np.isfinite(row.get(f"{name}_error", np.nan))]
    return f"{title}: {', '.join(errors)}" if errors else title


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
