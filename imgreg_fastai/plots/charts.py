"""Charts of predictions, residuals and errors over the true values.

Every function returns a figure whose title says the finding, with its number. A `frame` is described in __init__.py;
rows without a label or a prediction are left out.
"""
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from ..tasks import Target, Task
from ..utils.format import format_amount, format_values, trailing_unit, with_unit
from . import axes
from .figures import BLUE, INK, SHADE, SKY, TitledFigure, chart_figure, empty_figure, short_name

MAX_COLUMN_CHARTS = 4  # columns that have a chart each; more are points, which are pooled
MAX_GROUPS = 30


class LabelledRows(NamedTuple):
    """Rows with a label and a prediction.

    Args:
        frame: the rows [n].
        true: labels in units [n, columns]; of several points some may be missing (NaN) in a row.
        predicted: predictions in units [n, columns].
        error: the target's error of each row in units [n].
    """

    frame: pd.DataFrame
    true: np.ndarray
    predicted: np.ndarray
    error: np.ndarray


def labelled_rows(target: Target, frame: pd.DataFrame) -> LabelledRows:
    """The rows of a frame that have an error of the target, their values those of its `charted`."""
    true = frame[list(target.columns)].to_numpy(float)
    predicted = frame[[f"{column}_predicted" for column in target.columns]].to_numpy(float)
    error = target.error(predicted, true) if len(true) else np.empty(0)
    finite = np.isfinite(error)
    true, predicted = (target.charted_values(values[finite]) for values in (true, predicted))
    return LabelledRows(frame[finite], true, predicted, error[finite])


def no_rows_figure(target: Target) -> TitledFigure:
    """The figure for a frame without labelled rows."""
    return empty_figure(f"{target.name}: nothing to show", "No row has both a label and a prediction.")


def chart_series(target: Target, true: np.ndarray, values: np.ndarray) -> tuple[list[axes.Series], str]:
    """What has a chart of its own: each column whose labels vary, or of many points all x and all y.

    Args:
        target: the Target.
        true: labels [n, columns]; NaN where there is none.
        values: what stands over them [n, columns].

    Returns:
        The series, of all labelled columns if none varies; and a sentence on the columns or points, empty if there is
        nothing to say.
    """
    if len(target.columns) > MAX_COLUMN_CHARTS:
        series = [axes.Series(axis, true[:, i::2].ravel(), values[:, i::2].ravel()) for i, axis in enumerate("xy")]
        return series, f"{len(target.columns) // 2} points in each: all x, all y."
    series = [axes.Series(column, x[np.isfinite(x)], y[np.isfinite(x)])
              for column, x, y in zip(target.columns, true.T, values.T, strict=True) if np.isfinite(x).any()]
    constant = [column for column, x, _ in series if len(np.unique(x)) == 1]
    if len(constant) in (0, len(series)):
        return series, ""
    note = f"No chart over {', '.join(constant)}: the same in all images."
    return [chart for chart in series if chart.column not in constant], note


def predicted_against_true(task: Task, target: Target, frame: pd.DataFrame,
                           baseline: dict[str, float] | None = None) -> TitledFigure:
    """Predictions over the true values with the diagonal, one chart a column.

    Args:
        task: the Task.
        target: one of its targets.
        frame: see plots/__init__.py.
        baseline: {target name: mean error of guessing, in units}, as scores have it; where it is missing, the error of
            the best constant for these rows.

    Returns:
        A figure whose title has the mean error and that of guessing.
    """
    _, true, predicted, error = labelled_rows(target, frame)
    if not len(true):
        return no_rows_figure(target)
    target = target.charted
    best_constant = np.broadcast_to(target.constant_guess(true), true.shape)
    guess = (baseline or {}).get(target.name, target.error(best_constant, true).mean())
    near = true + target.residual(predicted, true)  # an angle across the seam is drawn beside its label
    series, note = chart_series(target, true, near)
    note = f"{len(true)} images, task {task.name}. {note} {_note_on_period(target, series, near, predicted)}"
    title = (f"{target.name}: mean error {format_amount(error.mean(), target.unit)}, "
             f"guessing {format_amount(guess, target.unit)}")
    width, height = (5.9, 5.45) if len(series) == 1 else (4.6, 4.2)
    figure = TitledFigure(width * len(series), height, title, note)
    for ax, (column, x, y) in zip(figure.add_charts(len(series)), series, strict=True):
        _draw_against(ax, target, x, y)
        ax.set(xlabel=axes.axis_label(target, column, "true"), ylabel=axes.axis_label(target, column, "predicted"))
    return figure


def _draw_against(ax: Axes, target: Target, true: np.ndarray, near: np.ndarray) -> None:
    """Draw dots and the diagonal in a square; a full circle goes on beyond its ends, shaded, with ticks modulo it."""
    low, high, period = axes.axis_limits(target, true)
    if not period:
        low, high, _ = axes.axis_limits(target, np.stack([true, near]))
    ax.plot((low, high), (low, high), color=INK, linewidth=1, zorder=1)
    axes.draw_dots(ax, true, near)
    ax.set(xlim=(low, high), ylim=(low, high))
    if period:
        bottom, top = min(low, near.min()) - 0.03 * period, max(high, near.max()) + 0.03 * period
        ax.set_ylim(bottom, top)
        ax.axhspan(bottom, low, color=SHADE, zorder=0)
        ax.axhspan(high, top, color=SHADE, zorder=0)
        axes.set_circular_ticks(ax.xaxis, period)
        axes.set_circular_ticks(ax.yaxis, period)
        ax.xaxis.set_major_formatter(axes.number_text)
        ax.yaxis.set_major_formatter(
            lambda v, _: axes.number_text(v if low <= v <= high else (v - low) % period + low))


def _note_on_period(target: Target, series: list[axes.Series], near: np.ndarray, predicted: np.ndarray) -> str:
    """A sentence on predictions that are drawn a period away from their number; empty if there are none."""
    for _, x, y in series:
        low, high, period = axes.axis_limits(target, x)
        crossed = ((y < low) | (y > high)).sum()
        if period and crossed:
            ends = " = ".join(with_unit(axes.number_text(end), target.unit) for end in (low, high))
            return f"Shaded: predictions across {ends} are drawn next to their true value ({crossed})."
    differs = (np.abs(near - predicted) > 1e-6).any()  # False for a missing label, which is NaN
    return "Angles are drawn the short way round from their truth." if differs else ""


def residuals(task: Task, target: Target, frame: pd.DataFrame) -> TitledFigure:
    """Signed residuals over the true values with their running median and 90 % band, one chart a column.

    Many points have their mean errors instead, see _errors_by_point. Arguments as for predicted_against_true.
    """
    _, true, predicted, _ = labelled_rows(target, frame)
    if not len(true):
        return no_rows_figure(target)
    target = target.charted
    if len(target.columns) > MAX_COLUMN_CHARTS:
        return _errors_by_point(task, target, true, predicted)
    residual = target.residual(predicted, true)
    note = f"Predicted less true, {len(true)} images, task {task.name}."
    part, quantiles = "all", (0.0, 0.5, 1.0)
    if len(true) >= axes.MIN_ROWS_FOR_BAND:
        part, quantiles = "nine in ten", (0.05, 0.5, 0.95)
        note += " Line: running median; band: 90 % of the residuals there."
    low, median, high = format_values(np.nanquantile(residual, quantiles), target.unit, "+")
    title = f"{target.name}: {part} residuals from {low} to {high}{trailing_unit(target.unit)}, median {median}"
    series, column_note = chart_series(target, true, residual)
    width = 8 if len(series) == 1 else 4.9
    figure = TitledFigure(width * len(series), 3.9, title, f"{note} {column_note}")
    for ax, chart in zip(figure.add_charts(len(series)), series, strict=True):
        axes.draw_over_labels(ax, target, chart, axes.course(target, chart.true, chart.values), "residual")
        ax.axhline(0, color=INK, linewidth=1, zorder=1)
    return figure


def errors_over(task: Task, target: Target, frame: pd.DataFrame, column: str) -> TitledFigure:
    """Errors over the true values of a column of the target's `charted`, with their running median and 90 % band."""
    _, true, _, error = labelled_rows(target, frame)
    target = target.charted
    x = true[:, target.columns.index(column)]
    x, error = x[np.isfinite(x)], error[np.isfinite(x)]
    if not len(x):
        return no_rows_figure(target)
    quantiles = axes.course(target, x, error)
    title, note = f"{target.name}: error over {column}", f"{len(x)} images"
    if quantiles is not None:
        ends = []
        for i in (quantiles.median.argmin(), quantiles.median.argmax()):
            at = format_amount(quantiles.x[i], target.unit)
            ends.append(f"{format_amount(quantiles.median[i], target.unit)} at {column} {at}")
        title = f"{target.name}: median error from {ends[0]} to {ends[1]}"
        note += ". Line: running median; band: 90 % of the errors there"
    figure, ax = chart_figure(8, 3.9, title, f"{note}. Task {task.name}.")
    axes.draw_over_labels(ax, target, axes.Series(column, x, error), quantiles, "error")
    return figure


def _errors_by_point(task: Task, target, true: np.ndarray, predicted: np.ndarray) -> TitledFigure:
    """The errors of each point of a Point, under its name: their mean as a dot, 90 % of them as a line."""
    errors = pd.DataFrame(target.interval_errors(predicted, true), columns=target.names).dropna(axis=1, how="all")
    names, mean = list(errors.columns), errors.mean().to_numpy()
    note = f"Dot: a point's mean error; line: 90 % of its errors. {len(true)} images, task {task.name}."
    width = float(np.clip(1.2 + 0.16 * len(names), 7, 16))
    figure, ax = chart_figure(width, 3.9, _title(target, names, mean), note)
    positions, step = np.arange(len(names)), 1 + len(names) // 90
    ax.vlines(positions, errors.quantile(0.05), errors.quantile(0.95), color=SKY, linewidth=2)
    ax.plot(positions, mean, "o", color=BLUE, markersize=4.5)
    ax.set_xticks(positions[::step], names[::step], rotation=90 if len(names) > 12 else 0, fontsize=7.5)
    ax.grid(visible=False, axis="x")
    ax.set(xlim=(-0.8, len(names) - 0.2), ylim=(0, None), ylabel=axes.with_unit_label("error", target.unit))
    return figure


def groups(task: Task, target: Target, frame: pd.DataFrame) -> TitledFigure:
    """The errors of each group (person, place), the worst first: their mean as a bar, 90 % of them as a line."""
    rows, _, _, error = labelled_rows(target, frame)
    errors = pd.Series(error).groupby(rows["group"].astype(str).where(rows["group"].notna()).to_numpy())
    table = errors.agg(["mean", "size", "median"]).assign(low=errors.quantile(0.05), high=errors.quantile(0.95))
    table = table.sort_values("mean", ascending=False, kind="stable")
    if table.empty:
        return no_rows_figure(target)
    title = _title(target, [*table.index], table["mean"].to_numpy())
    note = "Bar: mean; ring: median; line: 90 % of the errors; dashed: mean of all; in brackets: images."
    if len(table) > MAX_GROUPS:
        note += f" The {MAX_GROUPS} worst of {len(table)} groups are shown."
    table = table[:MAX_GROUPS]
    names = [f"{short_name(name)}  ({size})" for name, size in zip(table.index, table["size"], strict=True)]
    figure, ax = chart_figure(7.6, 1.0 + 0.24 * len(table), title, note)
    positions = np.arange(len(table))
    ax.barh(positions, table["mean"], height=0.66, color=SKY, zorder=2)
    ax.hlines(positions, table["low"], table["high"], color=BLUE, linewidth=1.6, zorder=3)
    ax.plot(table["median"], positions, "o", markersize=5, markerfacecolor="white", markeredgecolor=BLUE, zorder=4)
    ax.axvline(error.mean(), color=INK, linewidth=1, linestyle=(0, (2, 3)), zorder=4)
    ax.set_yticks(positions, names)
    ax.grid(visible=False, axis="y")
    ax.set(ylim=(len(table) - 0.4, -0.6), xlim=(0, None), xlabel=axes.with_unit_label("error", target.unit))
    return figure


def _title(target: Target, names: list[str], mean: np.ndarray) -> str:
    """The worst and the best of the names [n] by their mean errors [n]."""
    worst, best = (f"{names[int(i)]}, {format_amount(mean[i], target.unit)}" for i in (mean.argmax(), mean.argmin()))
    return f"{target.name}: worst {worst}; best {best}"
