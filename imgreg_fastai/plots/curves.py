"""Charts of a training: how it went, and which learning rate suits it.

Every function returns a Figure whose title says the finding, with its number.
"""
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..utils.format import format_amount
from .sheets import BLUE, CYCLE, GREY, INK, SKY, VERMILION, TitledFigure, log_scale, smooth


def _lines(ax, history, columns: dict[str, str], colours, best) -> None:
    """Columns of `history` over the epochs under the names given; a ring where `best` (a row's position) is."""
    epochs, dot = history["epoch"], "o" if len(history) <= 40 else ""
    for (column, name), colour in zip(columns.items(), colours, strict=False):
        ax.plot(epochs, history[column], color=colour, marker=dot, markersize=3.5, linewidth=1.8, label=name)
        if best is not None and column != "train_loss":
            ax.plot(epochs.iloc[best], history[column].iloc[best], "o", markersize=10, markerfacecolor="none",
                    markeredgecolor=INK, markeredgewidth=1.3)
    if best is not None:
        ax.axvline(epochs.iloc[best], color=GREY, linewidth=0.9, linestyle=(0, (2, 3)), zorder=1)
    log_scale(ax.yaxis, history[list(columns)].to_numpy(float))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=(1, 2, 5, 10)))
    ax.set_xlabel("epoch", color=INK)
    if len(columns) > 1:
        ax.legend(frameon=False, fontsize=9, labelcolor=INK)


def curves(history, unit: str | dict[str, str]) -> Figure:
    """Losses and validation errors over the epochs; the epoch of the lowest validation loss, which is kept, marked.

    `history`: a DataFrame of `epoch`, `train_loss`, `valid_loss` and a `<target>_error` for each target; `unit`: of
    the errors, or {target name: unit}, and then errors in other units get a chart of their own.
    """
    names = {c: c.removesuffix("_error") for c in history.columns if c.endswith("_error")}
    units = {c: unit if isinstance(unit, str) else unit.get(name, "") for c, name in names.items()}
    best = int(np.nanargmin(history["valid_loss"].to_numpy(float))) if history["valid_loss"].notna().any() else None
    title = f"{len(history)} epochs" if best is None else f"Best at epoch {history['epoch'].iloc[best]:g}"
    row = history.iloc[-1 if best is None else best] if len(history) else {}
    told = [f"{n} error {format_amount(row[c], units[c])}" for c, n in names.items() if np.isfinite(row.get(c, np.nan))]
    kinds = list(dict.fromkeys(units.values()))
    sheet = TitledFigure(4.6 * (1 + len(kinds)), 3.5, ": ".join([title, ", ".join(told)]) if told else title,
                  "The ring is the epoch with the lowest validation loss: its weights are kept." * (best is not None))
    left, *others = sheet.charts(1 + len(kinds))
    _lines(left, history, {"train_loss": "training", "valid_loss": "validation"}, (SKY, BLUE), best)
    left.set_ylabel("loss", color=INK)
    for ax, kind in zip(others, kinds, strict=True):
        _lines(ax, history, {c: n for c, n in names.items() if units[c] == kind}, (VERMILION, *CYCLE[2:]), best)
        ax.set_ylabel("mean validation error" + (f" ({kind})" if kind else ""), color=INK)
    return sheet


def lr_find(lrs, losses, suggestion: float | None, trusted: bool) -> Figure:
    """The learning-rate sweep: losses, their smoothed course and the `suggestion`, which counts only if `trusted`."""
    lrs, losses = np.asarray(lrs, float), np.asarray(losses, float)
    whole = np.isfinite(lrs) & np.isfinite(losses)
    lrs, losses = lrs[whole], losses[whole]
    good = trusted and suggestion is not None
    title = f"Suggested learning rate: {suggestion:.2g}" if good else "No learning rate to suggest"
    note = ("Dots: the loss at each rate; line: its course, smoothed; dashed: the suggestion." if good else
            "This sweep means nothing: the loss did not fall clearly anywhere. Take the default rate.")
    sheet = TitledFigure(7.2, 3.7, title, note)
    (ax,) = sheet.charts()
    ax.plot(lrs, losses, ".", color=SKY, markersize=4, alpha=0.8)
    if len(lrs):
        ax.plot(lrs, smooth(losses), color=BLUE if good else GREY, linewidth=2)
        low, start = losses.min(), losses[:(len(losses) + 1) // 2].max()
        top = start + 0.4 * (start - low) + 1e-9  # where it bursts, the loss would flatten all that matters
        ax.set_ylim(low - 0.1 * (top - low), top)
    if good:
        ax.axvline(suggestion, color=VERMILION, linewidth=1.5, linestyle=(0, (4, 2)))
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(lambda v, _: f"{v:g}")
    ax.set_xlabel("learning rate", color=INK)
    ax.set_ylabel("loss", color=INK)
    return sheet
