"""What charts share: labels, limits and scales of axes, dots, and the running median of scattered values."""
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.ticker import EngFormatter, FuncFormatter, LogLocator, MultipleLocator, NullFormatter

from ..tasks import Target, period_start
from ..utils.format import format_amount
from .figures import BLUE, INK, ORANGE, PURPLE, VERMILION

MIN_ROWS_FOR_BAND = 30  # below which a running median and the 90 % band say nothing
LARGE = 1e5  # numbers from which ticks are in thousands and millions
WINDOWS = 80  # of a running median


class Series(NamedTuple):
    """The values of one chart: the name of its column, the labels [n] and what stands over them [n]."""

    column: str
    true: np.ndarray
    values: np.ndarray


def number_text(value: float, position: float | None = None) -> str:
    """A number with up to six digits and the minus sign of charts: "−0.5"; a formatter of ticks, too."""
    return f"{value:g}".replace("-", "−")


def with_unit_label(name: str, unit: str) -> str:
    """The label of an axis: "error (px)"."""
    return f"{name} ({unit})" if unit else name


def axis_label(target: Target, column: str, word: str) -> str:
    """The label of an axis of a target's column: "true yaw (°)"."""
    return with_unit_label(f"{word} {target.name if len(target.columns) == 1 else column}", target.label_unit)


class AxisLimits(NamedTuple):
    """Where an axis of labels begins and ends; `period`: of labels that go round a circle, if the axis shows all of it.
    """

    low: float
    high: float
    period: float | None


def axis_limits(target: Target, values: np.ndarray) -> AxisLimits:
    """The limits for an axis of these true values: a whole period if they span more than half of one."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    period = target.wraps
    if period and high - low > period / 2:
        start = period_start(np.array([low, high]), period)
        if low >= start and high <= start + period:
            return AxisLimits(start, start + period, period)
    padding = 0.05 * (high - low) or 1.0
    return AxisLimits(low - padding, high + padding, None)


def set_circular_ticks(axis: Axis, period: float | None) -> None:
    """Put ticks at parts of a circle, whole numbers where they are; without a period, leave them as they are."""
    if period:
        parts = next((n for n in (6, 4, 5, 7) if period % n == 0), 4) if period <= 180 else 4
        axis.set_major_locator(MultipleLocator(period / parts))


def set_log_scale(axis: Axis, values: np.ndarray) -> None:
    """Set a log scale where `values` span more than a factor of ten, with fewer ticks the more they span."""
    values = values[np.isfinite(values)]
    if not len(values) or values.min() <= 0 or values.max() <= 10 * values.min():
        return
    set_scale = axis.axes.set_xscale if axis is axis.axes.xaxis else axis.axes.set_yscale
    set_scale("log")
    axis.set_major_locator(LogLocator(subs=(1, 2, 5) if values.max() <= 1000 * values.min() else (1,)))
    axis.set_major_formatter(EngFormatter(sep="") if values.max() >= LARGE else FuncFormatter(number_text))
    axis.set_minor_formatter(NullFormatter())


def add_legend(ax: Axes) -> None:
    """Add a legend without a frame."""
    ax.legend(frameon=False, fontsize=9, labelcolor=INK)


def draw_dots(ax: Axes, x: np.ndarray, y: np.ndarray) -> None:
    """Draw dots that are visible alone and show their density together."""
    n = max(1, int(np.isfinite(x + y).sum()))
    size = np.interp(n, (300, 5000), (18, 3))
    ax.scatter(x, y, s=size, linewidth=0, color=BLUE, alpha=float(np.clip(2000 / n, 0.12, 0.75)))


def note_beyond(ax: Axes, text: str) -> None:
    """Write above a chart what lies beyond it."""
    ax.text(1, 1.01, text, transform=ax.transAxes, ha="right", va="bottom", size=8.5, color=PURPLE)


class RunningQuantiles(NamedTuple):
    """Quantiles of y in windows over x: the windows' middles and the 5th, 50th and 95th percentiles, [windows] each."""

    x: np.ndarray
    low: np.ndarray
    median: np.ndarray
    high: np.ndarray


def running_quantiles(x: np.ndarray, y: np.ndarray, period: float | None = None) -> RunningQuantiles:
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


def course(target: Target, x: np.ndarray, y: np.ndarray) -> RunningQuantiles | None:
    """The running quantiles of y over true values x of a target; None for too few rows."""
    return running_quantiles(x, y, axis_limits(target, x).period) if len(x) >= MIN_ROWS_FOR_BAND else None


def draw_over_labels(ax: Axes, target: Target, series: Series, quantiles: RunningQuantiles | None, word: str) -> None:
    """Draw residuals or errors over true values as dots, with their running median and band, if any.

    The few that would flatten all others are triangles at the edge, and counted.

    Args:
        ax: the axes.
        target: the Target.
        series: its true values, and the residuals or errors over them.
        quantiles: of these, see `course`.
        word: what they are, "residual" or "error"; the axis of residuals goes as far below zero as above.
    """
    column, x, y = series
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
        note_beyond(ax, f"{marks} {far.sum()} beyond this chart, up to {sign}{format_amount(size.max(), target.unit)}")
    if quantiles is not None:
        ax.fill_between(quantiles.x, quantiles.low, quantiles.high, color=ORANGE, alpha=0.3, linewidth=0, zorder=0.5)
        ax.plot(quantiles.x, quantiles.median, color=VERMILION, linewidth=2)
    low, high, period = axis_limits(target, x)
    set_circular_ticks(ax.xaxis, period)
    ax.set(xlim=(low, high), ylim=(-limit if word == "residual" else 0, limit),
           xlabel=axis_label(target, column, "true"), ylabel=with_unit_label(word, target.unit))
