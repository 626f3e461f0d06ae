"""What charts share: labels, limits and scales of axes, dots, and the running median of scattered values."""
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import EngFormatter, LogLocator, MultipleLocator, NullFormatter

from ..utils.format import format_amount
from .figures import BLUE, INK, ORANGE, PURPLE, SHADE, VERMILION

MIN_ROWS_FOR_BAND = 30  # below which a running median and the 90 % band say nothing
LARGE = 1e5  # numbers from which ticks are in thousands and millions
WINDOWS = 80  # of a running median


def with_unit_label(name: str, unit: str) -> str:
    """The label of an axis: "error (px)"."""
    return f"{name} ({unit})" if unit else name


def axis_label(target, column: str, word: str) -> str:
    """The label of an axis of a target's column: "true yaw (°)"."""
    name = target.name if len(target.columns) == 1 else column
    return with_unit_label(f"{word} {name}", target.unit)


class AxisLimits(NamedTuple):
    """Where an axis of labels begins and ends; `full_circle`: whether these are one period apart, so the same angle."""

    low: float
    high: float
    full_circle: bool


def axis_limits(target, values) -> AxisLimits:
    """The limits for an axis of these true values: a whole period if they span more than half of one."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    period = target.wraps
    if period and high - low > period / 2:
        start = 0.0 if low >= 0 else -period / 2
        if low >= start and high <= start + period:
            return AxisLimits(start, start + period, True)
    padding = 0.05 * (high - low) or 1.0
    return AxisLimits(low - padding, high + padding, False)


def set_circular_ticks(axis, period: float) -> None:
    """Put ticks at parts of a circle."""
    axis.set_major_locator(MultipleLocator(period / 4 if period > 180 else 30))


def extend_beyond_circle(ax, period: float, limits: AxisLimits, y) -> None:
    """Extend the y axis of a full circle to `y` beyond its ends, shaded there, with ticks modulo the period."""
    low, high, _ = limits
    padding = 0.03 * period
    bottom, top = min(low, y.min()) - padding, max(high, y.max()) + padding
    ax.set_ylim(bottom, top)
    ax.axhspan(bottom, low, color=SHADE, zorder=0)
    ax.axhspan(high, top, color=SHADE, zorder=0)
    set_circular_ticks(ax.xaxis, period)
    set_circular_ticks(ax.yaxis, period)
    ax.yaxis.set_major_formatter(lambda v, _: f"{v if low <= v <= high else (v - low) % period + low:g}")


def set_log_scale(axis, values) -> None:
    """Set a log scale where `values` span more than a factor of ten, with fewer ticks the more they span."""
    values = values[np.isfinite(values)]
    if not len(values) or values.min() <= 0 or values.max() <= 10 * values.min():
        return
    subs = (1, 2, 5)
    if values.max() > 1000 * values.min():
        subs = (1,)
    axis.axes.set(**{f"{axis.axis_name}scale": "log"})
    axis.set_major_locator(LogLocator(subs=subs))
    axis.set_major_formatter(EngFormatter(sep="") if values.max() >= LARGE else lambda v, _: f"{v:g}")
    axis.set_minor_formatter(NullFormatter())


def add_legend(ax) -> None:
    """Add a legend without a frame."""
    ax.legend(frameon=False, fontsize=9, labelcolor=INK)


def draw_dots(ax, x, y) -> None:
    """Draw dots that are visible alone and show their density together."""
    n = max(1, int(np.isfinite(x + y).sum()))
    size = np.interp(n, (300, 5000), (18, 3))
    ax.scatter(x, y, s=size, linewidth=0, color=BLUE, alpha=float(np.clip(2000 / n, 0.12, 0.75)))


def draw_clipped_dots(ax, x, y, unit: str) -> float:
    """Draw dots about zero; the few that would flatten all others are triangles at the edge, and counted.

    Args:
        ax: the axes.
        x: [n].
        y: residuals or errors in units [n].
        unit: their unit.

    Returns:
        The largest |y| that the axes should show.
    """
    size = np.abs(y)
    limit = 1.08 * size.max() or 1.0
    usual = np.quantile(size, 0.98)
    if len(y) >= MIN_ROWS_FOR_BAND and size.max() > 4 * usual > 0:
        limit = 2 * usual
    far = size > limit
    draw_dots(ax, x[~far], y[~far])
    for marker, beyond in (("^", far & (y > 0)), ("v", far & (y < 0))):
        ax.plot(x[beyond], 0.96 * limit * np.sign(y[beyond]), marker, color=PURPLE, markersize=6, linewidth=0)
    if far.any():
        marks, sign = ("▲▼", "±") if y.min() < 0 else ("▲", "")
        note_beyond(ax, f"{marks} {far.sum()} beyond this chart, up to {sign}{format_amount(size.max(), unit)}")
    return limit


def note_beyond(ax, text: str) -> None:
    """Write above a chart what lies beyond it."""
    ax.text(1, 1.01, text, transform=ax.transAxes, ha="right", va="bottom", size=8.5, color=PURPLE)


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
