"""The running median of scattered values, and the band that holds 90 % of them."""
from typing import NamedTuple

import numpy as np

from .axes import MIN_ROWS_FOR_BAND, axis_label, axis_limits, set_circular_ticks
from .figures import ORANGE, VERMILION

WINDOWS = 80


class RunningQuantiles(NamedTuple):
    """Quantiles of y in windows over x: the windows' middles and the 5th, 50th and 95th percentiles, [windows] each."""

    x: np.ndarray
    low: np.ndarray
    median: np.ndarray
    high: np.ndarray


def running_quantiles(x, y, period: float | None = None) -> RunningQuantiles:
    """Running quantiles of y over x.

    Args:
        x: [n].
        y: [n].
        period: that of x where it goes round a circle.

    Returns:
        RunningQuantiles, each x once: where many rows share an x, they are a window of their own.
    """
    order = np.argsort(x, kind="stable")
    x, y, n = x[order], y[order], len(x)
    window = int(np.clip(n // 12, 15, 400))
    first, last = window // 2, n - 1 - window // 2
    if period:
        x, y = np.concatenate([x - period, x, x + period]), np.tile(y, 3)
        first, last = n, 2 * n
    middles = np.unique(x[np.linspace(first, last, WINDOWS).astype(int)])
    quantiles = []
    for middle in middles:
        start, end = np.searchsorted(x, middle, "left"), np.searchsorted(x, middle, "right")
        if end - start < min(window, MIN_ROWS_FOR_BAND):  # too few of this x to do without their neighbours
            start = max(0, (start + end - window) // 2)
            end = start + window
        quantiles.append(np.quantile(y[start:end], (0.05, 0.5, 0.95)))
    return RunningQuantiles(middles, *np.transpose(quantiles))


def course(target, x, y) -> RunningQuantiles | None:
    """The running quantiles of y over true values x of a target; None for too few rows."""
    if len(x) < MIN_ROWS_FOR_BAND:
        return None
    return running_quantiles(x, y, target.wraps if axis_limits(target, x).full_circle else None)


def draw_over_labels(ax, target, column: str, x, quantiles: RunningQuantiles | None) -> None:
    """Draw the running median and its band, if any, and make the x axis that of the true values `x` of a column."""
    limits = axis_limits(target, x)
    if quantiles is not None:
        ax.fill_between(quantiles.x, quantiles.low, quantiles.high, color=ORANGE, alpha=0.3, linewidth=0, zorder=0.5)
        ax.plot(quantiles.x, quantiles.median, color=VERMILION, linewidth=2)
    if limits.full_circle:
        set_circular_ticks(ax.xaxis, target.wraps)
    ax.set(xlim=(limits.low, limits.high), xlabel=axis_label(target, column, "true"))
