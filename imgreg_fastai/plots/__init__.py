"""Pictures of a run: what the network was shown, where it errs most, and how well it does on the rest.

Every function returns a Figure, as those of charts.py and curves.py do, which stand here too; a `frame` is what
charts.py says.
"""
import math
import os
import re
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from ..utils.format import format_values, trailing_unit, with_unit
from .charts import errors_over, groups, predicted_against_true, residuals
from .curves import curves, lr_find
from .marks import axes_origin, draw_interval, draw_label
from .sheets import BLUE, CYCLE, GREY, INK, PALE, VERMILION, empty_figure, labelled_rows, save, tiled_figure

__all__ = ["batch", "by_target", "curves", "errors_over", "grid", "groups", "lr_find", "predicted_against_true",
           "residuals", "save", "tolerance", "worst", "write_all"]

def open_tiles(paths, open_picture) -> list[tuple]:
    """(pixels, (height, width)) of each picture; the pixels are None where it cannot be opened."""
    found = []
    for path in paths:
        try:
            image = open_picture(path).convert("RGB")  # a copy, whatever it was
            shape = (image.height, image.width)
            image.thumbnail((400, 400))  # no tile has more pixels, and a grid of photographs does
            found.append((np.asarray(image), shape))
        except Exception:  # noqa: BLE001 - whatever is wrong with a picture, it must not cost the other plots
            found.append((None, (100, 100)))
    return found


def _picture(ax, pixels, shape, frame: str = PALE, thick: float = 0.8) -> None:
    """Show `pixels` in the coordinates of a picture of `shape`, which may be larger; without pixels, a grey tile."""
    if pixels is None:
        pixels = np.full((1, 1, 3), 228, np.uint8)
        ax.text(0.5, 0.5, "cannot be opened", transform=ax.transAxes, ha="center", va="center", size=8, color=GREY)
    ax.imshow(pixels, extent=(-0.5, shape[1] - 0.5, shape[0] - 0.5, -0.5), interpolation="antialiased")
    ax.set(xticks=[], yticks=[], autoscale_on=False, anchor="S")
    ax.spines[:].set(color=frame, linewidth=thick)


def batch(task, pictures, labels) -> Figure:
    """16 training pictures as the network sees them, with their labels.

    `pictures`: uint8 [n, height, width, 3]; `labels`: {target name: [n, columns] in units}, moved with the pictures.
    """
    n, several = min(16, len(pictures)), len(task.targets) > 1
    title = f"{n} training pictures as the network sees them"
    sheet, axes = tiled_figure([p.shape for p in pictures[:n]], 4, _side(task.targets), 0.0, title,
                         "Changed at random, and each label with its picture: do they still agree?")
    for i, ax in enumerate(axes):
        _picture(ax, pictures[i], pictures[i].shape)
        values = {t.name: labels[t.name][i] for t in task.targets}
        for target, colour in zip(task.targets, CYCLE * len(task.targets), strict=False):
            label = target.name if several and not target.names_itself else ""
            _mark(ax, task, target, values, colour, label, pictures[i].shape)
    return sheet


def _side(targets) -> float:
    """A tile's width in inches: larger where places and axes are to be seen."""
    return 2.6 if any(t.has_mark and t.kind != "angle" for t in targets) else 1.9


def _mark(ax, task, target, values: dict, colour: str, label: str | None, shape, **how) -> None:
    """Draw a target's label out of `values` {target name: [columns]}; a place needs no words, it is seen."""
    label = None if target.in_image else label
    draw_label(ax, target, values[target.name], colour, label, shape, origin=axes_origin(task, values), **how)


def _pick(task, name: str | None):
    return next(t for t in task.targets if name in (None, t.name))


def _caption(ax, text: str, name: object = None, colour: str = INK) -> None:
    """Write `text` below a picture, and below that the end of its file name."""
    of = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "center", "va": "top"}
    ax.annotate(text, (0.5, 0), (0, -5), size=8.5, color=colour, **of)
    if name is not None:
        name = str(name) if len(str(name)) <= 24 else os.path.basename(str(name))
        short = name if len(name) <= 24 else f"{name[:9]}…{name[-14:]}"
        ax.annotate(short, (0.5, 0), (0, -18), size=7, color=GREY, **of)


def worst(task, frame, open_picture, n: int = 12, target: str | None = None) -> Figure:
    """The `n` pictures with the largest errors of a target (the first unless named), the truth beside the prediction.

    `open_picture`: path -> an upright RGB PIL image. A picture that cannot be opened is a grey tile.
    """
    target = _pick(task, target)
    rows, true, _, error = labelled_rows(target, frame)
    if not len(true):
        return empty_figure(target)
    order = np.argsort(-error, kind="stable")[:n]
    least, most = format_values(error[order[[-1, 0]]], target.unit)
    title = f"The {len(order)} worst of {len(error)}: {target.name} off by {least} to {most}{trailing_unit(target.unit)}"
    pictures, drawn = open_tiles(rows["path"].iloc[order], open_picture), drawn_together(task, target, rows)
    note = target.mark_note + " Lines with a dot: the front." * any(t.kind == "rotation" for t in drawn[1:])
    note += " Shaded: the interval." * (target.interval_columns[0] in rows and target.has_interval_mark)
    across, side = (3, 2.6) if _side(drawn) > 2 else (4, 1.95)
    sheet, axes = tiled_figure([shape for _, shape in pictures], across, side, 0.42, title, note)
    for ax, i, picture in zip(axes, order, pictures, strict=True):
        compare(ax, task, drawn, rows.iloc[i], *picture)
        _caption(ax, target.error_text(error[i]), rows["image"].iloc[i])
    return sheet


def drawn_together(task, target, rows) -> list:
    """A target and what is drawn beside it, of those in `rows`: other places, and axes beside a place."""
    if target.kind not in ("point", "rotation"):
        return [target]
    here = [t for t in task.targets if t != target and {*t.columns, *(f"{c}_predicted" for c in t.columns)} <= {*rows}]
    begin = [t for t in task.targets if t.kind == "point" and t.n == 1]  # axes begin there, and need no cross
    return [target, *(t for t in here if (t.kind == "point" and not (target.kind == "rotation" and [t] == begin))
                      or (t.kind == "rotation" and target.kind == "point"))]


def by_target(task, row, tail: str = "") -> dict:
    """{target name: [columns]} out of a row of the frame, NaN for what it lacks."""
    return {t.name: np.array([row.get(f"{c}{tail}", np.nan) for c in t.columns], float) for t in task.targets}


def compare(ax, task, drawn, row, pixels, shape, words: bool = True) -> None:
    """A picture with truth and prediction of the targets `drawn`, the first with its interval and in `words`.

    `row`: of the frame; `pixels` may be smaller than the `shape` (height, width) of the picture, or None.
    """
    _picture(ax, pixels, shape)
    if pixels is None:
        return
    true, predicted = by_target(task, row), by_target(task, row, "_predicted")
    draw_interval(ax, drawn[0], predicted[drawn[0].name], [row.get(name, np.nan) for name in drawn[0].interval_columns], shape)
    for i, target in enumerate(drawn):
        texts = ("true", "predicted") if words and not i else (None, None)
        _mark(ax, task, target, true, BLUE, texts[0], shape, slight=i > 0)
        _mark(ax, task, target, predicted, VERMILION, texts[1], shape, dashed=True, slight=i > 0)
        target.draw_error(ax, true[target.name], predicted[target.name], VERMILION)


def tolerance(task_target, frame) -> float:
    """A round error that nine in ten predictions keep within, and few more."""
    error = labelled_rows(task_target, frame)[-1]
    most = float(np.quantile(error, 0.9)) if len(error) else 0.0
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most))
    return next(float(f"{step * power:g}") for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15) if step * power >= most)


def grid(task, frame, open_picture, tolerance: float, n: int = 36, target: str | None = None) -> Figure:
    """`n` predictions picked at random (the same ones each time), framed by whether they lie within `tolerance`."""
    target = _pick(task, target)
    rows, true, _, error = labelled_rows(target, frame)
    if not len(true):
        return empty_figure(target)
    chosen = np.random.default_rng(0).permutation(len(true))[:n]
    share = math.floor(1000 * np.mean(error <= tolerance)) / 10  # down, so that 100 % means all
    title = f"{share:g} % of {len(true)} predictions of {target.name} within {with_unit(f'{tolerance:g}', target.unit)}"
    pictures = open_tiles(rows["path"].iloc[chosen], open_picture)
    sheet, axes = tiled_figure([shape for _, shape in pictures], 6, 1.5, 0.24, title,
                         f"{len(chosen)} picked at random. Blue frame: within; thick vermilion frame: beyond.")
    for ax, i, (pixels, shape) in zip(axes, chosen, pictures, strict=True):
        colour, thick = (BLUE, 1.6) if error[i] <= tolerance else (VERMILION, 4.0)
        _picture(ax, pixels, shape, colour, thick)
        if pixels is not None:
            label = None if target.kind == "rotation" else ""  # three angles are too long for a small tile
            _mark(ax, task, target, by_target(task, rows.iloc[i], "_predicted"), colour, label, shape)
        _caption(ax, target.error_text(error[i]), colour=colour)
    return sheet


def write_all(folder: str | Path, task, history, frame, open_picture, baseline=None) -> list[Path]:
    """Write curves, predicted, residuals, worst, grid and what else suits the targets as PNG into `folder`; the paths.

    Their names end in the target's where there are several; without a `history` (None), no curves. A rotation has
    error_over_<its first column>, a frame with a column `group` of several groups has groups. `baseline`: {target name:
    mean error of guessing}, see predicted_against_true.
    """
    folder, paths = Path(folder), []
    grouped = "group" in frame and frame["group"].nunique() > 1
    if history is not None:
        paths.append(save(curves(history, {t.name: t.unit for t in task.targets}), folder / "curves.png"))
    for t in task.targets:
        of = [("predicted", predicted_against_true(task, t, frame, baseline)), ("residuals", residuals(task, t, frame))]
        if t.kind == "rotation":
            of.append((f"error_over_{_part(t.columns[0])}", errors_over(task, t, frame, t.columns[0])))
        if grouped:
            of.append(("groups", groups(task, t, frame)))
        of.append(("worst", worst(task, frame, open_picture, target=t.name)))
        of.append(("grid", grid(task, frame, open_picture, tolerance(t, frame), target=t.name)))
        paths += [save(fig, folder / file_name(name, task, t)) for name, fig in of]
    return paths


def file_name(plot: str, task, target) -> str:
    """What a plot of a target is called in the folder of plots."""
    tail = f"_{_part(target.name)}" if len(task.targets) > 1 and not plot.startswith("error_over") else ""
    return f"{plot}{tail}.png"


def _part(name: str) -> str:
    """A name as part of a file's name."""
    return re.sub(r"[^\w.-]+", "-", name)
