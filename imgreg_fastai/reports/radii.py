"""Charts of intervals: what a model said of its own errors, and how large these were.

Every function returns a Figure, as those of charts.py do; a `frame` is what charts.py says, with the columns `within`
of its targets.
"""
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..plots.sheets import BLUE, INK, PALE, SKY, VERMILION, Sheet, amount, empty, known, log_scale

ALIKE = 1.01  # times the smallest radius, below which all are one


def errors_within(task, target, frame) -> Figure:
    """Each error over the radius it was expected to keep within: below the diagonal it does."""
    rows, true, predicted, _ = known(target, frame)
    error, radius = target.distances(predicted, true), rows[list(target.within)].to_numpy(float)
    both = np.isfinite(error + radius)
    error, radius = error[both], radius[both]
    if not len(error):
        return empty(target)
    held, what = error <= radius, "points" if len(target.within) > 1 else "pictures"
    title = f"{target.name}: {100 * held.mean():.3g} % of {len(error):,} {what} lie within their interval"
    if radius.max() <= ALIKE * radius.min():
        return _spread(target, error, radius[0], title, what)
    sheet = Sheet(6.2, 4.6, title, f"Above the line the error was larger than the interval. Task {task.name}.")
    (ax,) = sheet.charts()
    least = max(np.quantile(error, 0.01), radius.min() / 100)
    ends = (min(least, radius.min()), max(error.max(), radius.max()))
    ax.plot(ends, ends, color=INK, linewidth=1)
    for mask, colour in ((held, BLUE), (~held, VERMILION)):
        ax.scatter(radius[mask], np.maximum(error[mask], least), s=14, linewidth=0, color=colour, alpha=0.6)
    log_scale(ax.xaxis, radius)
    log_scale(ax.yaxis, np.array([*ends, least]))
    ax.set_xlabel(_named("radius of the interval", target), color=INK)
    ax.set_ylabel(_named("error", target), color=INK)
    return sheet


def _spread(target, error, radius: float, title: str, what: str) -> Figure:
    """How errors are spread beside the one radius that all pictures have."""
    sheet = Sheet(6.2, 3.6, title, f"All {what} have the same interval, ±{amount(radius, target.unit)}: the line.")
    (ax,) = sheet.charts()
    top = max(1.05 * radius, np.quantile(error, 0.99))
    ax.hist(np.minimum(error, top), 40, range=(0, top), color=SKY, edgecolor=PALE, linewidth=0.4)
    ax.axvline(radius, color=INK, linewidth=1.6)
    ax.set_xlabel(_named("error", target) + (", the last bar: all beyond" if error.max() > top else ""), color=INK)
    ax.set_ylabel(what, color=INK)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    return sheet


def _named(what: str, target) -> str:
    return what + (f" ({target.unit})" if target.unit else "")
