"""The charts of a run: how it learned, what it predicts, where it errs, which learning rate suits it.

Every function returns a Figure whose title says the finding, with its number. `frame` is a DataFrame of one row a
picture: `image` (the name to show), `path` (the file to open), the targets' columns, and each column's prediction in
`<column>_predicted`. Rows that lack either are left out.
"""
from warnings import catch_warnings, simplefilter

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .sheets import (
    BAND_FROM,
    BLUE,
    CYCLE,
    GREY,
    INK,
    ORANGE,
    SKY,
    VERMILION,
    Sheet,
    amount,
    axis_name,
    beyond,
    circle,
    dots,
    empty,
    ends,
    in_a_row,
    known,
    log_scale,
    period,
    residual_dots,
    running,
    seam,
    smooth,
    unit_word,
)

MOST = 4  # columns that have a chart each; more are points, which are pooled


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
    told = [f"{n} error {amount(row[c], units[c])}" for c, n in names.items() if np.isfinite(row.get(c, np.nan))]
    kinds = list(dict.fromkeys(units.values()))
    sheet = Sheet(4.6 * (1 + len(kinds)), 3.5, ": ".join([title, ", ".join(told)]) if told else title,
                  "The ring is the epoch with the lowest validation loss: its weights are kept." * (best is not None))
    left, *others = sheet.charts(1 + len(kinds))
    _lines(left, history, {"train_loss": "training", "valid_loss": "validation"}, (SKY, BLUE), best)
    left.set_ylabel("loss", color=INK)
    for ax, kind in zip(others, kinds, strict=True):
        _lines(ax, history, {c: n for c, n in names.items() if units[c] == kind}, (VERMILION, *CYCLE[2:]), best)
        ax.set_ylabel("mean validation error" + (f" ({kind})" if kind else ""), color=INK)
    return sheet


def _series(target, true, values) -> list:
    """What has a chart of its own, as (column, true [n], values [n]): each column, or of many points all x and all y.

    Columns without a label are left out.
    """
    if len(target.columns) > MOST:
        return [(axis, true[:, i::2].ravel(), values[:, i::2].ravel()) for i, axis in enumerate("xy")]
    found = np.isfinite(true + values)
    return [(c, true[ok, i], values[ok, i]) for i, (c, ok) in enumerate(zip(target.columns, found.T, strict=True))
            if ok.any()]


def predicted_against_true(task, target, frame, baseline: dict[str, float] | None = None) -> Figure:
    """Prediction over truth with the diagonal, one chart a column; the title has the error and that of guessing.

    `baseline`: {target name: mean error of guessing in units}, as scoring takes it from the training part; where it is
    missing, that of the best guess for this very frame.
    """
    _, true, predicted, error = known(target, frame)
    if not len(true):
        return empty(target)
    guess = (baseline or {}).get(target.name)
    means = [amount(e, target.unit) for e in (error.mean(), _guess(target, true) if guess is None else guess)]
    near = true + target.residual(predicted, true)  # an angle across the seam is drawn beside its truth
    series = _series(target, true, near)
    pooled = f" {target.n} points in each: all x, all y." if len(target.columns) > MOST else ""
    note = f"{len(true)} pictures, task {task.name}.{pooled} {_crossing(target, true, near, predicted)}"
    width, height = (5.9, 5.45) if len(series) == 1 else (4.6, 4.2)
    sheet = Sheet(width * len(series), height, f"{target.name}: mean error {means[0]}, guessing {means[1]}", note)
    for ax, (column, x, y) in zip(sheet.charts(len(series)), series, strict=True):
        _against(ax, target, x, y)
        ax.set_xlabel(axis_name(target, column, "true"), color=INK)
        ax.set_ylabel(axis_name(target, column, "predicted"), color=INK)
    return sheet


def _guess(target, true) -> float:
    """The mean error of the best constant for these rows."""
    with catch_warnings():
        simplefilter("ignore", RuntimeWarning)  # a point that is labelled nowhere has no mean, and no error
        return float(np.nanmean(target.error(np.broadcast_to(target.centre(true), true.shape), true)))


def _against(ax, target, true, near) -> None:
    low, high, round_ = ends(target, true)
    if not round_:
        low, high, _ = ends(target, np.stack([true, near]))
    ax.plot((low, high), (low, high), color=INK, linewidth=1, zorder=1)
    dots(ax, true, near)
    ax.set(xlim=(low, high), ylim=(low, high))
    if round_:
        seam(ax, target, low, high, near)


def _crossing(target, true, near, predicted) -> str:
    """What to say of predictions that were drawn a period away from their number; nothing if there are none."""
    for _, x, y in _series(target, true, near):
        low, high, round_ = ends(target, x)
        beyond = ((y < low) | (y > high)).sum()
        if round_ and beyond:
            return f"{beyond} beyond the seam {low:g}° = {high:g}° (shaded) stand beside their truth."
    away = (np.abs(near - predicted) > 1e-6).any()  # a missing truth is not away
    return "Angles are drawn the short way round from their truth." if away else ""


def _course(target, x, y):
    """The running median of y over x and the band that holds 90 % of it, see sheets.running; None for a few rows."""
    return running(x, y, period(target) if ends(target, x)[2] else None) if len(x) >= BAND_FROM else None


def _over(ax, target, column: str, x, course) -> None:
    """Lay the axis of true values x below a chart, and draw the course over it."""
    start, end, round_ = ends(target, x)
    if course is not None:
        ax.fill_between(course[0], course[1], course[3], color=ORANGE, alpha=0.3, linewidth=0, zorder=0.5)
        ax.plot(course[0], course[2], color=VERMILION, linewidth=2)
    if round_:
        circle(ax.xaxis, target)
    ax.set_xlim(start, end)
    ax.set_xlabel(axis_name(target, column, "true"), color=INK)


def residuals(task, target, frame) -> Figure:
    """Signed residuals over the truth with their running median and the band that holds 90 % of them.

    One chart a column; of many points their mean errors instead, see by_point.
    """
    _, true, predicted, _ = known(target, frame)
    if not len(true):
        return empty(target)
    if len(target.columns) > MOST:
        return by_point(task, target, frame)
    rest = target.residual(predicted, true)
    many, note = len(true) >= BAND_FROM, f"Predicted less true, {len(true)} pictures, task {task.name}."
    low, middle, high = in_a_row(np.nanquantile(rest, (0.05, 0.5, 0.95) if many else (0, 0.5, 1)), target.unit, "+")
    note += " Line: running median; band: 90 % of the residuals there." * many
    title = f"{target.name}: {'nine in ten' if many else 'all'} residuals from {low} to {high}{unit_word(target.unit)}"
    series = _series(target, true, rest)
    width = 8 if len(series) == 1 else 4.9
    sheet = Sheet(width * len(series), 3.9, f"{title}, median {middle}", note)
    for ax, (column, x, y) in zip(sheet.charts(len(series)), series, strict=True):
        residual_dots(ax, target, x, y)
        ax.axhline(0, color=INK, linewidth=1, zorder=1)
        _over(ax, target, column, x, _course(target, x, y))
        ax.set_ylabel("residual" + (f" ({target.unit})" if target.unit else ""), color=INK)
    return sheet


def errors_over(task, target, frame, column: str) -> Figure:
    """Errors over the true values of one of the target's columns, with their running median and 90 % band."""
    _, true, _, error = known(target, frame)
    x = true[:, target.columns.index(column)]
    x, error = x[np.isfinite(x)], error[np.isfinite(x)]
    if not len(x):
        return empty(target)
    course, title, note = _course(target, x, error), f"{target.name}: error over {column}", f"{len(x)} pictures"
    if course is not None:
        of = course[:, [course[2].argmin(), course[2].argmax()]]
        low, high = (f"{amount(e, target.unit)} at {column} {amount(v, target.unit)}" for v, e in of[[0, 2]].T)
        title = f"{target.name}: median error from {low} to {high}"
        note += ". Line: running median; band: 90 % of the errors there"
    sheet = Sheet(8, 3.9, title, f"{note}. Task {task.name}.")
    (ax,) = sheet.charts()
    top = min(error.max(), 2.5 * np.quantile(error, 0.98)) or 1.0
    dots(ax, x, np.minimum(error, 1.04 * top))
    _over(ax, target, column, x, course)
    ax.set_ylim(0, 1.07 * top)
    ax.set_ylabel(_error_axis(target), color=INK)
    if (far := (error > 1.04 * top).sum()):
        beyond(ax, f"▲ {far} beyond this chart, up to {amount(error.max(), target.unit)}")
    return sheet


def _error_axis(target) -> str:
    return "error" + (f" ({target.unit})" if target.unit else "")


def _point_name(x: str, y: str) -> str:
    """The common beginning of a point's columns: "nose" of nose_x and nose_y."""
    n = next((i for i, (a, b) in enumerate(zip(x, y, strict=False)) if a != b), 0)
    return x[:n].rstrip("_-. ") or x


def by_point(task, target, frame) -> Figure:
    """The error of each point of a Point target, under the common beginning of its columns' names."""
    _, true, predicted, _ = known(target, frame)
    if not len(true):
        return empty(target)
    pairs = zip(target.columns[::2], target.columns[1::2], strict=True)
    names = np.array([_point_name(*pair) for pair in pairs])
    distance = np.linalg.norm((predicted - true).reshape(len(true), -1, 2), axis=2)
    labelled = np.isfinite(distance).any(axis=0)
    names, distance = names[labelled], distance[:, labelled]
    mean, (low, high) = np.nanmean(distance, axis=0), np.nanquantile(distance, (0.05, 0.95), axis=0)
    worst, best = (f"{names[i]}, {amount(mean[i], target.unit)}" for i in (mean.argmax(), mean.argmin()))
    sheet = Sheet(float(np.clip(1.2 + 0.16 * len(names), 7, 16)), 3.9, f"{target.name}: worst {worst}; best {best}",
                  f"Dot: a point's mean error; line: 90 % of its errors. {len(true)} pictures, task {task.name}.")
    (ax,) = sheet.charts()
    places, step = np.arange(len(names)), 1 + len(names) // 90
    ax.vlines(places, low, high, color=SKY, linewidth=2)
    ax.plot(places, mean, "o", color=BLUE, markersize=4.5)
    ax.set_xticks(places[::step], names[::step], rotation=90 if len(names) > 12 else 0, fontsize=7.5)
    ax.grid(visible=False, axis="x")
    ax.set(xlim=(-0.8, len(names) - 0.2), ylim=(0, None))
    ax.set_ylabel(_error_axis(target), color=INK)
    return sheet


def groups(task, target, frame, most: int = 30) -> Figure:
    """The errors of each group (person, place), worst first: their mean as a bar, and how they are spread."""
    rows, _, _, error = known(target, frame)
    of = pd.Series(error).groupby(rows["group"].astype(str).where(rows["group"].notna()).to_numpy())
    table = of.agg(["mean", "size", "median"]).assign(low=of.quantile(0.05), high=of.quantile(0.95))
    table = table.sort_values("mean", ascending=False, kind="stable")
    if table.empty:
        return empty(target)
    worst, best = (f"{table.index[i]}, {amount(table['mean'].iloc[i], target.unit)}" for i in (0, -1))
    note = "Bar: mean; ring: median; line: 90 % of the errors; dashed: mean of all; in brackets: pictures."
    note += f" The {most} worst of {len(table)} groups are shown." if len(table) > most else ""
    shown = table[:most]
    names = [f"{n if len(n) <= 24 else n[:23] + '…'}  ({size})" for n, size in shown["size"].items()]
    sheet = Sheet(7.6, 1.0 + 0.24 * len(shown), f"{target.name}: worst {worst}; best {best}", note)
    (ax,) = sheet.charts(left=max(0.75, 0.3 + 0.078 * max(map(len, names))))
    _spread(ax, shown)
    ax.axvline(error.mean(), color=INK, linewidth=1, linestyle=(0, (2, 3)), zorder=4)
    ax.set_yticks(range(len(shown)), names)
    ax.set_xlabel(_error_axis(target), color=INK)
    return sheet


def _spread(ax, table) -> None:
    """A bar, a line and a ring for each row of groups' table, from the top."""
    places = np.arange(len(table))
    ax.barh(places, table["mean"], height=0.66, color=SKY, zorder=2)
    ax.hlines(places, table["low"], table["high"], color=BLUE, linewidth=1.6, zorder=3)
    ax.plot(table["median"], places, "o", markersize=5, markerfacecolor="white", markeredgecolor=BLUE, zorder=4)
    ax.set(ylim=(len(table) - 0.4, -0.6), xlim=(0, None))
    ax.grid(visible=False, axis="y")


def lr_find(lrs, losses, suggestion: float | None, trusted: bool) -> Figure:
    """The learning-rate sweep: losses, their smoothed course and the `suggestion`, which counts only if `trusted`."""
    lrs, losses = np.asarray(lrs, float), np.asarray(losses, float)
    whole = np.isfinite(lrs) & np.isfinite(losses)
    lrs, losses = lrs[whole], losses[whole]
    good = trusted and suggestion is not None
    title = f"Suggested learning rate: {suggestion:.2g}" if good else "No learning rate to suggest"
    note = ("Dots: the loss at each rate; line: its course, smoothed; dashed: the suggestion." if good else
            "This sweep means nothing: the loss did not fall clearly anywhere. Take the default rate.")
    sheet = Sheet(7.2, 3.7, title, note)
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
