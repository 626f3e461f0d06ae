"""Pictures of a run: what the network was shown, where it errs most, and how well it does on the rest.

Every function returns a Figure, as those of charts.py do, which stand here too; a `frame` is what charts.py says.
"""
import math
import os
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from .charts import curves, lr_find, predicted_against_true, residuals
from .sheets import (
    BLUE,
    CYCLE,
    GREY,
    INK,
    PALE,
    TIGHT,
    VERMILION,
    Sheet,
    empty,
    in_a_row,
    known,
    mark,
    off_by,
    save,
    unit_word,
)

__all__ = ["batch", "curves", "grid", "lr_find", "predicted_against_true", "residuals", "save", "tolerance", "worst",
           "write_all"]


def _tiles(shapes, across: int, side: float, caption: float, title: str, note: str):
    """A Sheet and its axes, one for each of the pictures' `shapes` (height, width), in rows of `across`.

    `side`: a tile's width in inches; `caption`: inches free below each.
    """
    n, edge, gap = len(shapes), 0.3, 0.1
    across = max(3, min(across, n))  # three at least, so that the title has room
    tall = side * float(np.clip(np.median([shape[0] / shape[1] for shape in shapes]), 0.5, 1.5))
    sheet = Sheet(across * side + 2 * edge, math.ceil(n / across) * (tall + caption) + gap, title, note, edge + gap / 2)
    width, high = sheet.get_size_inches()
    axes = []
    for i in range(n):
        x, y = edge + i % across * side + gap / 2, high - sheet.head - i // across * (tall + caption) - tall + gap / 2
        axes.append(sheet.add_axes((x / width, y / high, (side - gap) / width, (tall - gap) / high)))
    return sheet, axes


def _open(paths, open_picture) -> list[tuple]:
    """(pixels, (height, width)) of each picture; the pixels are None where it cannot be opened."""
    opened = []
    for path in paths:
        try:
            image = open_picture(path).convert("RGB")  # a copy, whatever it was
            shape = (image.height, image.width)
            image.thumbnail((400, 400))  # no tile has more pixels, and a grid of photographs does
            opened.append((np.asarray(image), shape))
        except Exception:  # noqa: BLE001 - whatever is wrong with a picture, it must not cost the other plots
            opened.append((None, (100, 100)))
    return opened


def _picture(ax, pixels, shape, frame: str = PALE, thick: float = 0.8) -> None:
    """Show `pixels` in the coordinates of a picture of `shape`, which may be larger; without pixels, a grey tile."""
    if pixels is None:
        pixels = np.full((1, 1, 3), 228, np.uint8)
        ax.text(0.5, 0.5, "cannot be opened", transform=ax.transAxes, ha="center", va="center", size=8, color=GREY)
    ax.imshow(pixels, extent=(-0.5, shape[1] - 0.5, shape[0] - 0.5, -0.5), interpolation="antialiased")
    ax.set(xticks=[], yticks=[], autoscale_on=False)
    ax.spines[:].set(color=frame, linewidth=thick)


def batch(task, pictures, labels) -> Figure:
    """16 training pictures as the network sees them, with their labels.

    `pictures`: uint8 [n, height, width, 3]; `labels`: {target name: [n, columns] in units}, moved with the pictures.
    """
    n = min(16, len(pictures))
    title = f"{n} training pictures as the network sees them"
    sheet, axes = _tiles([p.shape for p in pictures[:n]], 4, 1.9, 0.0, title,
                         "Changed at random, and each label with its picture: do they still agree?")
    for i, ax in enumerate(axes):
        _picture(ax, pictures[i], pictures[i].shape)
        for target, colour in zip(task.targets, CYCLE * len(task.targets), strict=False):
            label = target.name if len(task.targets) > 1 else ""
            mark(ax, target, labels[target.name][i], colour, label, pictures[i].shape)
    return sheet


def _pick(task, name: str | None):
    return next(t for t in task.targets if name in (None, t.name))


def _caption(ax, text: str, name: object = None, colour: str = INK) -> None:
    """Write `text` below a picture, and below that the end of its file name."""
    of = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "center", "va": "top"}
    ax.annotate(text, (0.5, 0), (0, -5), size=8.5, color=colour, **of)
    if name is not None:
        name = os.path.basename(str(name))
        short = name if len(name) <= 24 else f"{name[:9]}…{name[-14:]}"
        ax.annotate(short, (0.5, 0), (0, -18), size=7, color=GREY, **of)


def worst(task, frame, open_picture, n: int = 12, target: str | None = None) -> Figure:
    """The `n` pictures with the largest errors of a target (the first unless named), the truth beside the prediction.

    `open_picture`: path -> an upright RGB PIL image. A picture that cannot be opened is a grey tile.
    """
    target = _pick(task, target)
    rows, true, predicted, error = known(target, frame)
    if not len(true):
        return empty(target)
    order = np.argsort(-error, kind="stable")[:n]
    least, most = in_a_row(error[order[[-1, 0]]], target.unit)
    title = f"The {len(order)} worst of {len(error)}: {target.name} off by {least} to {most}{unit_word(target.unit)}"
    opened = _open(rows["path"].iloc[order], open_picture)
    sheet, axes = _tiles([shape for _, shape in opened], 4, 1.95, 0.42, title,
                         "Blue: true. Vermilion, dashed: predicted.")
    for ax, i, (pixels, shape) in zip(axes, order, opened, strict=True):
        _picture(ax, pixels, shape)
        if pixels is not None:
            mark(ax, target, true[i], BLUE, "true", shape)
            mark(ax, target, predicted[i], VERMILION, "predicted", shape, dashed=True)
        _caption(ax, off_by(target, error[i]), rows["image"].iloc[i])
    return sheet


def tolerance(task_target, frame) -> float:
    """A round error that nine in ten predictions keep within, and few more."""
    error = known(task_target, frame)[-1]
    most = float(np.quantile(error, 0.9)) if len(error) else 0.0
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most))
    return next(float(f"{step * power:g}") for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15) if step * power >= most)


def grid(task, frame, open_picture, tolerance: float, n: int = 36, target: str | None = None) -> Figure:
    """`n` predictions picked at random (the same ones each time), framed by whether they lie within `tolerance`."""
    target = _pick(task, target)
    rows, true, predicted, error = known(target, frame)
    if not len(true):
        return empty(target)
    chosen = np.random.default_rng(0).permutation(len(true))[:n]
    share = math.floor(1000 * np.mean(error <= tolerance)) / 10  # down, so that 100 % means all
    title = f"{share:g} % of {len(true)} predictions of {target.name} within {tolerance:g}"
    title += target.unit if target.unit in TIGHT else unit_word(target.unit)
    opened = _open(rows["path"].iloc[chosen], open_picture)
    sheet, axes = _tiles([shape for _, shape in opened], 6, 1.5, 0.24, title,
                         f"{len(chosen)} picked at random. Blue frame: within; thick vermilion frame: beyond.")
    for ax, i, (pixels, shape) in zip(axes, chosen, opened, strict=True):
        colour, thick = (BLUE, 1.6) if error[i] <= tolerance else (VERMILION, 4.0)
        _picture(ax, pixels, shape, colour, thick)
        if pixels is not None:
            mark(ax, target, predicted[i], colour, "", shape)
        _caption(ax, off_by(target, error[i]), colour=colour)
    return sheet


def write_all(folder: str | Path, task, history, frame, open_picture, baseline=None) -> list[Path]:
    """Write curves, predicted, residuals, worst and grid as PNG into `folder`; the files' paths.

    predicted and residuals carry the target's name when there are several; without a `history` (None), no curves.
    `baseline`: {target name: mean error of guessing}, see predicted_against_true.
    """
    folder, first, paths = Path(folder), task.targets[0], []
    if history is not None:
        paths.append(save(curves(history, {t.name: t.unit for t in task.targets}), folder / "curves.png"))
    for target in task.targets:
        tail = f"_{target.name}" if len(task.targets) > 1 else ""
        paths.append(save(predicted_against_true(task, target, frame, baseline), folder / f"predicted{tail}.png"))
        paths.append(save(residuals(task, target, frame), folder / f"residuals{tail}.png"))
    paths.append(save(worst(task, frame, open_picture), folder / "worst.png"))
    return [*paths, save(grid(task, frame, open_picture, tolerance(first, frame)), folder / "grid.png")]


def draw(folder: str | Path, task, frame) -> list[Path]:
    """Copies of the pictures of `frame` (Predictor.predict) in `folder`, at their own size, with what was predicted."""
    raise NotImplementedError
