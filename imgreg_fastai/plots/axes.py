"""What is drawn in a chart's axes, whatever the chart: labels, limits, scales, dots, and a note on what lies beyond."""
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import LogLocator, MaxNLocator, MultipleLocator, NullFormatter

from ..utils.format import format_amount
from .figures import BLUE, INK, PURPLE, SHADE

MIN_ROWS_FOR_BAND = 30  # below which a running median and the 90 % band say nothing


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
    """Set a log scale where `values` span more than a factor of ten, with ticks at 1, 2 and 5."""
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > 10 * values.min():
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(lambda v, _: f"{v:g}")
        axis.set_minor_formatter(NullFormatter())


def set_epoch_axis(ax) -> None:
    """Label the x axis as epochs, with whole numbers."""
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=(1, 2, 5, 10)))
    ax.set_xlabel("epoch")


def add_legend(ax) -> None:
    """Add a legend without a frame."""
    ax.legend(frameon=False, fontsize=9, labelcolor=INK)


def draw_dots(ax, x, y) -> None:
    """Draw dots that are visible alone and show their density together."""
    n = max(1, int(np.isfinite(x + y).sum()))
    size = np.interp(n, (300, 5000), (18, 3))
    ax.scatter(x, y, s=size, linewidth=0, color=BLUE, alpha=float(np.clip(2000 / n, 0.12, 0.75)))


def draw_residual_dots(ax, target, x, y) -> None:
    """Draw residuals about zero; the few that would flatten all others are triangles at the edge, and counted."""
    size = np.abs(y)
    usual = float(np.quantile(size, 0.98)) if len(y) >= MIN_ROWS_FOR_BAND else size.max()
    limit = 1.08 * size.max() if size.max() <= 4 * usual else 2 * usual
    limit = limit or 1.0
    far = size > limit
    draw_dots(ax, x[~far], y[~far])
    ax.set_ylim(-limit, limit)
    for sign, marker in ((1, "^"), (-1, "v")):
        beyond = far & (np.sign(y) == sign)
        ax.plot(x[beyond], np.full(beyond.sum(), 0.96 * sign * limit), marker, color=PURPLE, markersize=6, linewidth=0)
    if far.any():
        note_beyond(ax, f"▲▼ {far.sum()} beyond this chart, up to ±{format_amount(size.max(), target.unit)}")


def note_beyond(ax, text: str) -> None:
    """Write above a chart what lies beyond it."""
    ax.text(1, 1.01, text, transform=ax.transAxes, ha="right", va="bottom", size=8.5, color=PURPLE)
