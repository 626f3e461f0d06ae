"""Figures of many images: a training batch, the worst predictions, and predictions picked at random."""
import math

import numpy as np
import pandas as pd

from ..tasks import Target, Task
from ..utils.format import format_values, trailing_unit, with_unit
from . import pictures
from .charts import labelled_rows, no_rows_figure
from .figures import BLUE, CYCLE, GREY, INK, VERMILION, TitledFigure, short_name

BATCH_PICTURES = 16
ROUND_STEPS = np.array([1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15])


def batch(task: Task, images: np.ndarray, labels: dict[str, np.ndarray]) -> TitledFigure:
    """16 training images as the network sees them, with their labels.

    Args:
        task: the Task.
        images: uint8 [n, height, width, 3].
        labels: {target name: [n, columns] in units}, changed together with the images.

    Returns:
        A figure of the first 16 images.
    """
    tiles = [pictures.Tile(picture, picture.shape[:2]) for picture in images[:BATCH_PICTURES]]
    title = f"{len(tiles)} training images as the network sees them"
    note = "Changed at random, and each label with its image: do they still agree?"
    figure = pictures.tiled_figure(tiles, 4, _tile_width(task.targets), 0.0, title, note)
    for i, (ax, tile) in enumerate(zip(figure.axes, tiles, strict=True)):
        values = {name: of_all[i] for name, of_all in labels.items()}
        for j, target in enumerate(task.targets):
            label = target.name if len(task.targets) > 1 and not target.names_itself else ""
            pictures.draw_label(ax, task, target, values, CYCLE[j % len(CYCLE)], label, tile.shape)
    return figure


def _tile_width(targets) -> float:
    """Inches: more where points or axes are to be seen."""
    return 2.6 if any(len(target.columns) > 1 for target in targets) else 1.9


def _write_caption(ax, text: str, name: str = "", colour: str = INK) -> None:
    """Write `text` below an image, and below that its file name."""
    style = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "center", "va": "top"}
    ax.annotate(text, (0.5, 0), (0, -5), size=8.5, color=colour, **style)
    if name:
        ax.annotate(short_name(name), (0.5, 0), (0, -18), size=7, color=GREY, **style)


def worst(task: Task, target: Target, frame: pd.DataFrame, open_picture: pictures.OpenPicture,
          n: int = 12) -> TitledFigure:
    """The images with the largest errors of a target, the label beside the prediction.

    Args:
        task: the Task.
        target: one of its targets.
        frame: see plots/__init__.py.
        open_picture: path -> an upright RGB Pillow image; one that cannot be opened is a grey tile.
        n: how many images.

    Returns:
        A figure, the largest error first.
    """
    rows, true, _, error = labelled_rows(target, frame)
    if not len(true):
        return no_rows_figure(target)
    order = np.argsort(-error, kind="stable")[:n]
    low, high = format_values(error[order[[-1, 0]]], target.unit)
    title = f"The {len(order)} worst of {len(error)}: {target.name} off by {low} to {high}{trailing_unit(target.unit)}"
    tiles = pictures.open_tiles(rows["path"].iloc[order], open_picture)
    targets = pictures.targets_together(task, target, rows)
    width = _tile_width(targets)
    across = 3 if width > 2 else 4
    figure = pictures.tiled_figure(tiles, across, width, 0.42, title, pictures.comparison_note(targets, rows))
    for ax, i, tile in zip(figure.axes, order, tiles, strict=True):
        pictures.draw_comparison(ax, task, targets, rows.iloc[i], tile)
        _write_caption(ax, target.error_text(error[i]), str(rows["image"].iloc[i]))
    return figure


def tolerance(target: Target, frame: pd.DataFrame) -> float:
    """A round error, in units, that nine in ten predictions keep within, and few more."""
    error = labelled_rows(target, frame).error
    high = float(np.quantile(error, 0.9)) if len(error) else 0.0
    if high <= 0:
        return 1.0
    steps = ROUND_STEPS * 10.0 ** math.floor(math.log10(high))
    return float(f"{steps[steps >= high][0]:g}")


def grid(task: Task, target: Target, frame: pd.DataFrame, open_picture: pictures.OpenPicture, tolerance: float,
         n: int = 36) -> TitledFigure:
    """Predictions picked at random, the same ones each time, framed by whether their error lies within a tolerance.

    Args:
        task: the Task.
        target: one of its targets.
        frame: see plots/__init__.py.
        open_picture: as for `worst`.
        tolerance: an error in units.
        n: how many images.

    Returns:
        A figure whose title has the part of all predictions within the tolerance.
    """
    rows, true, _, error = labelled_rows(target, frame)
    if not len(true):
        return no_rows_figure(target)
    sample = np.random.default_rng(0).permutation(len(true))[:n]
    share = math.floor(1000 * np.mean(error <= tolerance)) / 10  # down, so that 100 % means all
    title = f"{share:g} % of {len(true)} predictions of {target.name} within {with_unit(f'{tolerance:g}', target.unit)}"
    tiles = pictures.open_tiles(rows["path"].iloc[sample], open_picture)
    note = f"{len(sample)} picked at random. Blue frame: within; thick vermilion frame: beyond."
    figure = pictures.tiled_figure(tiles, 6, 1.5, 0.24, title, note)
    for ax, i, tile in zip(figure.axes, sample, tiles, strict=True):
        colour, frame_width = (BLUE, 1.6) if error[i] <= tolerance else (VERMILION, 4.0)
        ax.spines[:].set(color=colour, linewidth=frame_width)
        if tile.pixels is not None:
            label = None if target.names_itself else ""  # three angles are too long for a small tile
            predicted = pictures.row_values(task, rows.iloc[i], "_predicted")
            pictures.draw_label(ax, task, target, predicted, colour, label, tile.shape)
        _write_caption(ax, target.error_text(error[i]), colour=colour)
    return figure
