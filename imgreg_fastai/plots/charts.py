"""The charts of what a run predicts and where it errs.

Every function returns a Figure whose title says the finding, with its number. `frame` is a DataFrame of one row a
picture: `image` (the name to show), `path` (the file to open), the targets' columns, and each column's prediction in
`<column>_predicted`. Rows that lack either are left out.
"""
from warnings import catch_warnings, simplefilter

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from ..utils.format import format_amount, format_values, trailing_unit
from .sheets import (
    BAND_FROM,
    BLUE,
    INK,
    ORANGE,
    SKY,
    VERMILION,
    TitledFigure,
    axis_label,
    axis_limits,
    circular_ticks,
    dots,
    empty_figure,
    labelled_rows,
    note_beyond,
    period,
    residual_dots,
    running_quantiles,
    seam,
    with_unit_label,
)

MOST = 4  # columns that have a chart each; more are points, which are pooled


def _series(target, true, values) -> list:
    """What has a chart of its own, as (column, true [n], values [n]): each column, or of many points all x and all y.

    Columns without a label are left out, and those that never vary, if others do.
    """
    if len(target.columns) > MOST:
        return [(axis, true[:, i::2].ravel(), values[:, i::2].ravel()) for i, axis in enumerate("xy")]
    found, alike = np.isfinite(true + values), still(target, true)
    shown = {*target.columns} - {*alike} or target.columns
    return [(c, true[ok, i], values[ok, i]) for i, (c, ok) in enumerate(zip(target.columns, found.T, strict=True))
            if ok.any() and c in shown]


def still(target, true) -> list[str]:
    """The columns whose true values are the same in all pictures; none of many points, which are pooled."""
    few = len(target.columns) <= MOST
    return [c for c, of in zip(target.columns, true.T, strict=True) if few and len(np.unique(of[np.isfinite(of)])) == 1]


def without(target, true, series=()) -> str:
    """What to say of the columns that never vary and have no chart; `series`: those that have one."""
    lacking = [c for c in still(target, true) if c not in [column for column, *_ in series]]
    return f" No chart over {', '.join(lacking)}: the same in all pictures." if lacking else ""


def predicted_against_true(task, target, frame, baseline: dict[str, float] | None = None) -> Figure:
    """Prediction over truth with the diagonal, one chart a column; the title has the error and that of guessing.

    `baseline`: {target name: mean error of guessing in units}, as scoring takes it from the training part; where it is
    missing, that of the best guess for this very frame.
    """
    _, true, predicted, error = labelled_rows(target, frame)
    if not len(true):
        return empty_figure(target)
    guess = (baseline or {}).get(target.name)
    means = [format_amount(e, target.unit) for e in (error.mean(), _guess(target, true) if guess is None else guess)]
    near = true + target.residual(predicted, true)  # an angle across the seam is drawn beside its truth
    series = _series(target, true, near)
    pooled = f" {target.n} points in each: all x, all y." if len(target.columns) > MOST else ""
    pooled += f"{without(target, true, series)} {_crossing(target, true, near, predicted)}"
    note = f"{len(true)} pictures, task {task.name}.{pooled}"
    width, height = (5.9, 5.45) if len(series) == 1 else (4.6, 4.2)
    sheet = TitledFigure(width * len(series), height, f"{target.name}: mean error {means[0]}, guessing {means[1]}", note)
    for ax, (column, x, y) in zip(sheet.charts(len(series)), series, strict=True):
        _against(ax, target, x, y)
        ax.set_xlabel(axis_label(target, column, "true"), color=INK)
        ax.set_ylabel(axis_label(target, column, "predicted"), color=INK)
    return sheet


def _guess(target, true) -> float:
    """The mean error of the best constant for these rows."""
    with catch_warnings():
        simplefilter("ignore", RuntimeWarning)  # a point that is labelled nowhere has no mean, and no error
        return float(np.nanmean(target.error(np.broadcast_to(target.constant_guess(true), true.shape), true)))


def _against(ax, target, true, near) -> None:
    low, high, round_ = axis_limits(target, true)
    if not round_:
        low, high, _ = axis_limits(target, np.stack([true, near]))
    ax.plot((low, high), (low, high), color=INK, linewidth=1, zorder=1)
    dots(ax, true, near)
    ax.set(xlim=(low, high), ylim=(low, high))
    if round_:
        seam(ax, target, low, high, near)


def _crossing(target, true, near, predicted) -> str:
    """What to say of predictions that were drawn a period away from their number; nothing if there are none."""
    for _, x, y in _series(target, true, near):
        low, high, round_ = axis_limits(target, x)
        crossed = ((y < low) | (y > high)).sum()
        if round_ and crossed:
            return f"{crossed} beyond the seam {low:g}° = {high:g}° (shaded) stand beside their truth."
    away = (np.abs(near - predicted) > 1e-6).any()  # a missing truth is not away
    return "Angles are drawn the short way round from their truth." if away else ""


def _course(target, x, y):
    """The running median of y over x and the band that holds 90 % of it, see sheets.running; None for a few rows."""
    return running_quantiles(x, y, period(target) if axis_limits(target, x)[2] else None) if len(x) >= BAND_FROM else None


def _over(ax, target, column: str, x, course) -> None:
    """Lay the axis of true values x below a chart, and draw the course over it."""
    start, end, round_ = axis_limits(target, x)
    if course is not None:
        ax.fill_between(course[0], course[1], course[3], color=ORANGE, alpha=0.3, linewidth=0, zorder=0.5)
        ax.plot(course[0], course[2], color=VERMILION, linewidth=2)
    if round_:
        circular_ticks(ax.xaxis, target)
    ax.set_xlim(start, end)
    ax.set_xlabel(axis_label(target, column, "true"), color=INK)


def residuals(task, target, frame) -> Figure:
    """Signed residuals over the truth with their running median and the band that holds 90 % of them.

    One chart a column; of many points their mean errors instead, see by_point.
    """
    _, true, predicted, _ = labelled_rows(target, frame)
    if not len(true):
        return empty_figure(target)
    if len(target.columns) > MOST:
        return by_point(task, target, frame)
    rest = target.residual(predicted, true)
    many, note = len(true) >= BAND_FROM, f"Predicted less true, {len(true)} pictures, task {task.name}."
    low, middle, high = format_values(np.nanquantile(rest, (0.05, 0.5, 0.95) if many else (0, 0.5, 1)), target.unit, "+")
    note += " Line: running median; band: 90 % of the residuals there." * many
    title = f"{target.name}: {'nine in ten' if many else 'all'} residuals from {low} to {high}{trailing_unit(target.unit)}"
    width = 8 if len(series := _series(target, true, rest)) == 1 else 4.9
    sheet = TitledFigure(width * len(series), 3.9, f"{title}, median {middle}", note + without(target, true, series))
    for ax, (column, x, y) in zip(sheet.charts(len(series)), series, strict=True):
        residual_dots(ax, target, x, y)
        ax.axhline(0, color=INK, linewidth=1, zorder=1)
        _over(ax, target, column, x, _course(target, x, y))
        ax.set_ylabel(with_unit_label("residual", target.unit), color=INK)
    return sheet


def errors_over(task, target, frame, column: str) -> Figure:
    """Errors over the true values of one of the target's columns, with their running median and 90 % band."""
    _, true, _, error = labelled_rows(target, frame)
    x = true[:, target.columns.index(column)]
    x, error = x[np.isfinite(x)], error[np.isfinite(x)]
    if not len(x):
        return empty_figure(target)
    course, title, note = _course(target, x, error), f"{target.name}: error over {column}", f"{len(x)} pictures"
    if course is not None:
        of = course[:, [course[2].argmin(), course[2].argmax()]]
        low, high = (f"{format_amount(e, target.unit)} at {column} {format_amount(v, target.unit)}" for v, e in of[[0, 2]].T)
        title = f"{target.name}: median error from {low} to {high}"
        note += ". Line: running median; band: 90 % of the errors there"
    sheet = TitledFigure(8, 3.9, title, f"{note}. Task {task.name}.")
    (ax,) = sheet.charts()
    top = min(error.max(), 2.5 * np.quantile(error, 0.98)) or 1.0
    dots(ax, x, np.minimum(error, 1.04 * top))
    _over(ax, target, column, x, course)
    ax.set_ylim(0, 1.07 * top)
    ax.set_ylabel(with_unit_label("error", target.unit), color=INK)
    if (far := (error > 1.04 * top).sum()):
        note_beyond(ax, f"▲ {far} beyond this chart, up to {format_amount(error.max(), target.unit)}")
    return sheet


def by_point(task, target, frame) -> Figure:
    """The error of each point of a Point target, under its name."""
    _, true, predicted, _ = labelled_rows(target, frame)
    if not len(true):
        return empty_figure(target)
    names = np.array(target.names)
    distance = np.linalg.norm((predicted - true).reshape(len(true), -1, 2), axis=2)
    labelled = np.isfinite(distance).any(axis=0)
    names, distance = names[labelled], distance[:, labelled]
    mean, (low, high) = np.nanmean(distance, axis=0), np.nanquantile(distance, (0.05, 0.95), axis=0)
    worst, best = (f"{names[i]}, {format_amount(mean[i], target.unit)}" for i in (mean.argmax(), mean.argmin()))
    sheet = TitledFigure(float(np.clip(1.2 + 0.16 * len(names), 7, 16)), 3.9, f"{target.name}: worst {worst}; best {best}",
                  f"Dot: a point's mean error; line: 90 % of its errors. {len(true)} pictures, task {task.name}.")
    (ax,) = sheet.charts()
    places, step = np.arange(len(names)), 1 + len(names) // 90
    ax.vlines(places, low, high, color=SKY, linewidth=2)
    ax.plot(places, mean, "o", color=BLUE, markersize=4.5)
    ax.set_xticks(places[::step], names[::step], rotation=90 if len(names) > 12 else 0, fontsize=7.5)
    ax.grid(visible=False, axis="x")
    ax.set(xlim=(-0.8, len(names) - 0.2), ylim=(0, None))
    ax.set_ylabel(with_unit_label("error", target.unit), color=INK)
    return sheet


def groups(task, target, frame, most: int = 30) -> Figure:
    """The errors of each group (person, place), worst first: their mean as a bar, and how they are spread."""
    rows, _, _, error = labelled_rows(target, frame)
    of = pd.Series(error).groupby(rows["group"].astype(str).where(rows["group"].notna()).to_numpy())
    table = of.agg(["mean", "size", "median"]).assign(low=of.quantile(0.05), high=of.quantile(0.95))
    table = table.sort_values("mean", ascending=False, kind="stable")
    if table.empty:
        return empty_figure(target)
    worst, best = (f"{table.index[i]}, {format_amount(table['mean'].iloc[i], target.unit)}" for i in (0, -1))
    note = "Bar: mean; ring: median; line: 90 % of the errors; dashed: mean of all; in brackets: pictures."
    note += f" The {most} worst of {len(table)} groups are shown." if len(table) > most else ""
    shown = table[:most]
    names = [f"{n if len(n) <= 24 else n[:23] + '…'}  ({size})" for n, size in shown["size"].items()]
    sheet = TitledFigure(7.6, 1.0 + 0.24 * len(shown), f"{target.name}: worst {worst}; best {best}", note)
    (ax,) = sheet.charts(left=max(0.75, 0.3 + 0.078 * max(map(len, names))))
    _spread(ax, shown)
    ax.axvline(error.mean(), color=INK, linewidth=1, linestyle=(0, (2, 3)), zorder=4)
    ax.set_yticks(range(len(shown)), names)
    ax.set_xlabel(with_unit_label("error", target.unit), color=INK)
    return sheet


def _spread(ax, table) -> None:
    """A bar, a line and a ring for each row of groups' table, from the top."""
    places = np.arange(len(table))
    ax.barh(places, table["mean"], height=0.66, color=SKY, zorder=2)
    ax.hlines(places, table["low"], table["high"], color=BLUE, linewidth=1.6, zorder=3)
    ax.plot(table["median"], places, "o", markersize=5, markerfacecolor="white", markeredgecolor=BLUE, zorder=4)
    ax.set(ylim=(len(table) - 0.4, -0.6), xlim=(0, None))
    ax.grid(visible=False, axis="y")
