"""The chart of a learning curve: the error over the number of training images."""
from collections.abc import Callable
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import pandas as pd
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator

from .axes import add_legend, with_unit_label
from .figures import CYCLE, TitledFigure, empty_figure


@dataclass(frozen=True)
class TargetCurve:
    """The errors of one target over the number of training images.

    Attributes:
        name (str): The target.
        unit (str): Its unit.
        points (pd.DataFrame): A row for each training, the fewest images first: `pictures`, the number of training
            images; `error`, the mean validation error; `low` and `high`, the ends of its 95 % interval.
        law (Callable | None): The error that the fitted law expects of numbers of images; None: no law was found.
        law_start (float | None): The number of images from which on the law holds.
        error_at_twice (float | None): The error expected with twice as many images as the last point has.
    """

    name: str
    unit: str
    points: pd.DataFrame
    law: Callable[[np.ndarray], np.ndarray] | None = None
    law_start: float | None = None
    error_at_twice: float | None = None


def draw_learning_curve(curves: list[TargetCurve], n_images: list[int], epochs: int, title: str) -> TitledFigure:
    """Draw the errors over the number of training images on logarithmic axes, and the laws, dashed beyond the data.

    Args:
        curves: One per target; each unit has axes of its own.
        n_images: The numbers of training images, growing.
        epochs: Of all trainings.
        title: The title.
    """
    curves = [curve for curve in curves if len(curve.points)]
    units = list(dict.fromkeys(curve.unit for curve in curves))
    note = ("Dots: the mean validation error; bars: its 95 % interval. Line: the law fitted to them, dashed where "
            f"nothing was measured; ring: with twice the pictures. All trained for {epochs} epochs.")
    if not units:
        return empty_figure(title, note)
    figure = TitledFigure(max(7.2, 4.8 * len(units)), 3.8, title, note)
    for ax, unit in zip(figure.add_charts(len(units)), units, strict=True):
        curves_here = [curve for curve in curves if curve.unit == unit]
        for curve, colour in zip(curves_here, cycle(CYCLE), strict=False):
            _draw_target(ax, curve, colour)
        _style_axes(ax, n_images)
        ax.set(xlabel="pictures to train on", ylabel=with_unit_label("mean validation error", unit))
        if len(curves_here) > 1:
            add_legend(ax)
    return figure


def _draw_target(ax, curve: TargetCurve, colour: str) -> None:
    """One target's points, its law and its forecast."""
    n, error, low, high = (curve.points[name].to_numpy() for name in ("pictures", "error", "low", "high"))
    bars = np.clip([error - low, high - error], 0, None)
    ax.errorbar(n, error, bars, fmt="o", color=colour, markersize=5, capsize=3, linewidth=1.2, label=curve.name)
    if curve.law:
        for start, end, style in ((curve.law_start, n[-1], "-"), (n[-1], 2 * n[-1], (0, (4, 2)))):
            x = np.geomspace(start, end, 50)
            ax.plot(x, curve.law(x), color=colour, linewidth=1.6, linestyle=style)
        ax.plot(2 * n[-1], curve.error_at_twice, "o", color=colour, markersize=7, markerfacecolor="white")


def _style_axes(ax, n_images: list[int]) -> None:
    """Logarithmic axes with plain ticks: the numbers of images that were used, and twice the largest."""
    ticks = [2 * n_images[-1]]
    for n in reversed(n_images):
        if ticks[-1] >= 1.3 * n:  # nearer labels would touch
            ticks.append(n)
    ax.set(xscale="log", yscale="log", xlim=(0.85 * n_images[0], 2.4 * n_images[-1]))
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    low, high = ax.get_ylim()
    if high > 10 * low:
        ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    else:
        values = MaxNLocator(5, steps=(1, 2, 5, 10)).tick_values(low, high)
        ax.yaxis.set_major_locator(FixedLocator([value for value in values if low <= value <= high]))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_locator(NullLocator())
