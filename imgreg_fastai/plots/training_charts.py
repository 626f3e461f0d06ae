"""Charts of a training: losses and errors over the epochs, and the sweep of learning rates.

Every function returns a figure whose title says the finding, with its number.
"""
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator
from scipy.ndimage import gaussian_filter1d

from ..tasks import Target
from ..utils.format import format_amount
from .axes import add_legend, number_text, set_log_scale, with_unit_label
from .figures import BLUE, CYCLE, GREY, SKY, VERMILION, TitledFigure, chart_figure, empty_figure


def best_row(history: pd.DataFrame) -> int | None:
    """The position of the row of a history with the lowest validation loss; None if there is no finite loss."""
    loss = history["valid_loss"].to_numpy(float)
    return int(np.nanargmin(loss)) if np.isfinite(loss).any() else None


class Course(NamedTuple):
    """A line over the epochs: a `column` of a `history`, see `curves`, with a `label` in the legend."""

    history: pd.DataFrame
    column: str
    label: str


def draw_courses(ax: Axes, courses: list[Course], label: str) -> None:
    """Draw lines over the epochs, each with a ring at its lowest validation loss; `label`: of the y axis."""
    for history, column, name in courses:
        epochs, values, best = history["epoch"], history[column], best_row(history)
        marker = "o" if len(epochs) <= 40 else ""
        (line,) = ax.plot(epochs, values, marker=marker, markersize=3.5, linewidth=1.8, label=name)
        if best is not None and column != "train_loss":
            ax.plot(epochs.iloc[best], values.iloc[best], marker="o", markersize=10, markerfacecolor="none",
                    markeredgewidth=1.5, linestyle="none", color=line.get_color())
    set_log_scale(ax.yaxis, np.concatenate([history[column].to_numpy(float) for history, column, _ in courses]))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=(1, 2, 5, 10)))
    ax.set(xlabel="epoch", ylabel=label)


def curves(history: pd.DataFrame, targets: Sequence[Target]) -> TitledFigure:
    """Losses and validation errors over the epochs; a ring marks the epoch with the lowest validation loss.

    Args:
        history: `epoch`, `train_loss`, `valid_loss` and `<target>_error` for each target.
        targets: the Targets; errors in different units have a chart each.

    Returns:
        A figure whose title has that epoch and its errors, or those of the last one where no loss is finite.
    """
    charts = {"loss": [Course(history, "valid_loss", "validation"), Course(history, "train_loss", "training")]}
    for target in targets:
        courses = charts.setdefault(with_unit_label("mean validation error", target.unit), [])
        courses.append(Course(history, f"{target.name}_error", target.name))
    best, title, note = best_row(history), f"{len(history)} epochs", ""
    if best is not None:
        title = f"Best at epoch {history['epoch'].iloc[best]:g}"
        note = "The ring is the epoch with the lowest validation loss: its weights are kept."
    row = history.iloc[-1 if best is None else best] if len(history) else pd.Series()
    errors = [f"{target.name} error {format_amount(row[f'{target.name}_error'], target.unit)}" for target in targets
              if np.isfinite(row.get(f"{target.name}_error", np.nan))]
    if errors:
        title += f": {', '.join(errors)}"
    figure = TitledFigure(4.6 * len(charts), 3.5, title, note)
    for ax, (label, courses) in zip(figure.add_charts(len(charts)), charts.items(), strict=True):
        draw_courses(ax, courses, label)
        if best is not None:
            ax.axvline(history["epoch"].iloc[best], color=GREY, linewidth=0.9, linestyle=(0, (2, 3)), zorder=1)
        if len(courses) > 1:
            add_legend(ax)
    return figure


def lr_find(lrs: Sequence[float], losses: Sequence[float], suggestion: float | None, trusted: bool) -> TitledFigure:
    """The sweep of learning rates.

    Args:
        lrs: learning rates [n].
        losses: the loss at each of them [n].
        suggestion: the suggested rate, if any.
        trusted: whether the sweep is good enough for the suggestion to be used.

    Returns:
        A figure with the losses, their smoothed course, and the suggestion if it is trusted.
    """
    sweep = np.array([lrs, losses], float)
    x, y = sweep[:, np.isfinite(sweep).all(axis=0)]
    if trusted and suggestion is not None:
        title, colour = f"Suggested learning rate: {number_text(float(f'{suggestion:.2g}'))}", BLUE
        note = "Dots: the loss at each rate; line: its course, smoothed; dashed: the suggestion."
    else:
        title, colour, suggestion = "No learning rate to suggest", GREY, None
        note = "This sweep means nothing: the loss did not fall clearly anywhere. Take the default rate."
    figure, ax = chart_figure(7.2, 3.7, title, note)
    ax.plot(x, y, ".", color=SKY, markersize=4, alpha=0.8)
    if len(x):
        ax.plot(x, gaussian_filter1d(y, 2), color=colour, linewidth=2)
        low, start = y.min(), y[:(len(y) + 1) // 2].max()
        top = start + 0.4 * (start - low) + 1e-9  # where it bursts, the loss would flatten all that matters
        ax.set_ylim(low - 0.1 * (top - low), top)
    if suggestion is not None:
        ax.axvline(suggestion, color=VERMILION, linewidth=1.5, linestyle=(0, (4, 2)))
    ax.set(xscale="log", xlabel="learning rate", ylabel="loss")
    ax.xaxis.set_major_formatter(number_text)
    return figure


class TargetCurve(NamedTuple):
    """The errors of one target over the number of training images.

    Attributes:
        name (str): The target.
        unit (str): Its unit.
        points (pd.DataFrame): A row for each training, the fewest images first: `images`, the number of training
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
        epochs: Of all trainings; 0 where nothing was trained.
        title: The title.
    """
    curves = [curve for curve in curves if len(curve.points)]
    units = list(dict.fromkeys(curve.unit for curve in curves))
    note = ("Dots: the mean validation error; bars: its 95 % interval. Line: the law fitted to them, dashed where "
            "nothing was measured; ring: with twice the images. ")
    note += f"All trained for {epochs} epochs." if epochs else "Ridges on frozen features."
    if not units:
        return empty_figure(title, note)
    figure = TitledFigure(max(7.2, 4.8 * len(units)), 3.8, title, note)
    for ax, unit in zip(figure.add_charts(len(units)), units, strict=True):
        curves_here = [curve for curve in curves if curve.unit == unit]
        for i, curve in enumerate(curves_here):
            n, error, low, high = (curve.points[name].to_numpy() for name in ("images", "error", "low", "high"))
            bars, colour = np.clip([error - low, high - error], 0, None), CYCLE[i % len(CYCLE)]
            ax.errorbar(n, error, bars, fmt="o", color=colour, markersize=5, capsize=3, linewidth=1.2, label=curve.name)
            if curve.law and curve.law_start and curve.error_at_twice is not None:
                for start, end, style in ((curve.law_start, n[-1], "-"), (n[-1], 2 * n[-1], (0, (4, 2)))):
                    x = np.geomspace(start, end, 50)
                    ax.plot(x, curve.law(x), color=colour, linewidth=1.6, linestyle=style)
                ax.plot(2 * n[-1], curve.error_at_twice, "o", color=colour, markersize=7, markerfacecolor="white")
        _style_axes(ax, n_images)
        ax.set(xlabel="images to train on", ylabel=with_unit_label("mean validation error", unit))
        if len(curves_here) > 1:
            add_legend(ax)
    return figure


def _style_axes(ax: Axes, n_images: list[int]) -> None:
    """Logarithmic axes with plain ticks: the numbers of images that were used, and twice the largest."""
    ticks = [2 * n_images[-1]]
    for n in reversed(n_images):
        if ticks[-1] >= 1.3 * n:  # nearer labels would touch
            ticks.append(n)
    ax.set(xscale="log", yscale="log", xlim=(0.85 * n_images[0], 2.4 * n_images[-1]))
    ax.set_xticks(ticks, [f"{n:,}" for n in ticks])
    low, high = ax.get_ylim()
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    if high <= 10 * low:
        values = MaxNLocator(5, steps=(1, 2, 5, 10)).tick_values(low, high)
        ax.set_yticks([value for value in values if low <= value <= high])
    ax.yaxis.set_major_formatter(number_text)
    ax.minorticks_off()
