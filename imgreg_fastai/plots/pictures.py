"""An image in axes, with what is true and what was predicted drawn on it."""
import math
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from PIL import Image

from ..tasks import Target, Task
from .figures import BLUE, GREY, PALE, VERMILION, TitledFigure

OpenPicture = Callable[[str], Image.Image]  # path -> an upright RGB image
MAX_SIDE = 400  # pixels of a tile
FONT_SIZE = 7.5  # points
CORNERS = (("left", "top"), ("right", "bottom"), ("right", "top"), ("left", "bottom"))  # as texts take them in turn


class Tile(NamedTuple):
    """An image to be shown.

    Args:
        pixels: uint8 [height, width, 3], at most MAX_SIDE a side; None where the image cannot be opened.
        shape: (height, width) of the image itself, whose pixels are the coordinates of marks.
    """

    pixels: np.ndarray | None
    shape: tuple[int, int]


def open_tiles(paths: Iterable[str], open_picture: OpenPicture) -> list[Tile]:
    """Open images to be shown small.

    Args:
        paths: the files.
        open_picture: path -> an upright RGB Pillow image.

    Returns:
        A tile for each path; one without pixels for an image that cannot be opened.
    """
    tiles = []
    for path in paths:
        try:
            image = open_picture(path).convert("RGB")  # a copy, whatever it was
            shape = (image.height, image.width)
            image.thumbnail((MAX_SIDE, MAX_SIDE))
            tiles.append(Tile(np.asarray(image), shape))
        except Exception:  # noqa: BLE001 - whatever is wrong with an image, it must not cost the other plots
            tiles.append(Tile(None, (100, 100)))
    return tiles


def show_picture(ax: Axes, tile: Tile) -> None:
    """Show an image in the coordinates of its own pixels; without pixels, a grey tile."""
    pixels, (height, width) = tile
    if pixels is None:
        pixels = np.full((1, 1, 3), 228, np.uint8)
        ax.text(0.5, 0.5, "cannot be opened", transform=ax.transAxes, ha="center", va="center", size=8, color=GREY)
    ax.imshow(pixels, extent=(-0.5, width - 0.5, height - 0.5, -0.5), interpolation="antialiased")
    ax.set(xticks=[], yticks=[], autoscale_on=False, anchor="S")
    ax.spines[:].set(color=PALE, linewidth=0.8)


def tiled_figure(tiles: list[Tile], across: int, side: float, caption: float, title: str, note: str) -> TitledFigure:
    """A figure of images in rows.

    Args:
        tiles: the images.
        across: the most tiles in a row.
        side: width of a tile, in inches.
        caption: inches free below each tile.
        title: see TitledFigure.
        note: see TitledFigure.

    Returns:
        A figure with axes for each image.
    """
    across = max(3, min(across, len(tiles)))  # three at least, so that the title has room
    aspect = float(np.clip(np.median([tile.shape[0] / tile.shape[1] for tile in tiles]), 0.5, 1.5))
    height = math.ceil(len(tiles) / across) * (aspect * side + caption)
    figure = TitledFigure(max(4.8, across * side), height, title, note)
    for ax, tile in zip(figure.add_axes_grid(len(tiles), across), tiles, strict=True):
        show_picture(ax, tile)
    figure.lay_out()  # so that the room for words is known
    return figure


def row_values(task: Task, row: pd.Series, suffix: str = "") -> dict[str, np.ndarray]:
    """The values of one row by target.

    Args:
        task: the Task.
        row: a row of a frame.
        suffix: "_predicted" for the predictions.

    Returns:
        {target name: [columns] in units}, NaN for columns that the row lacks.
    """
    return {t.name: np.array([row.get(f"{c}{suffix}", np.nan) for c in t.columns], float) for t in task.targets}


def targets_together(task: Task, target: Target, frame: pd.DataFrame) -> list[Target]:
    """The target, and those predicted in a frame whose marks belong beside its own: points, and axes beside points."""
    if not target.has_mark:
        return [target]
    beside = [other for other in task.targets if other != target and other.has_mark
              and {other.columns[0], f"{other.columns[0]}_predicted"} <= {*frame}]
    if not target.in_image:  # its mark begins at the only point of a task, which needs no cross
        beside = [other for other in beside if other.in_image and other != origin_target(task)]
    return [target, *beside]


def comparison_note(targets: list[Target], frame: pd.DataFrame) -> str:
    """A sentence on what the marks of draw_comparison mean; arguments as there."""
    first, *others = targets
    note = first.mark_note
    if others:
        note += f" Also drawn: {', '.join(target.name for target in others)}."
    if first.interval_columns[0] in frame and first.has_interval_mark:
        note += " Shaded: the interval."
    return note


def draw_comparison(ax: Axes, task: Task, targets: Sequence[Target], row: pd.Series, tile: Tile,
                    words: bool = True) -> None:
    """Draw an image with the true and the predicted values of targets.

    Args:
        ax: axes that show the image.
        task: the Task.
        targets: what is drawn, see targets_together; the first with its interval, the others thin.
        row: a row of a frame, see plots/__init__.py.
        tile: the image.
        words: whether the values of the first target stand in the corners.
    """
    if tile.pixels is None:
        return
    true, predicted = row_values(task, row), row_values(task, row, "_predicted")
    first = targets[0]
    half_widths = np.array([row.get(column, np.nan) for column in first.interval_columns], float)
    if first.has_interval_mark and np.isfinite(half_widths).all() and np.isfinite(predicted[first.name]).all():
        first.draw_interval(ax, predicted[first.name], half_widths, tile.shape, VERMILION)
    for target in targets:
        true_label, predicted_label = ("true", "predicted") if words and target == first else (None, None)
        thin = target != first
        draw_label(ax, task, target, true, BLUE, true_label, tile.shape, thin=thin)
        draw_label(ax, task, target, predicted, VERMILION, predicted_label, tile.shape, thin=thin, dashed=True)
        target.draw_error(ax, true[target.name], predicted[target.name], VERMILION)


def draw_label(ax: Axes, task: Task, target: Target, values: dict[str, np.ndarray], colour: str, label: str | None,
               shape: tuple[int, ...], **style: bool) -> None:
    """Draw a target's label on an image, if it is known; axes at the point where they begin.

    Args:
        ax: axes that show the image.
        task: the Task.
        target: one of its targets.
        values: {target name: [columns] in units} of all targets.
        colour: of the mark and the words.
        label: what precedes the value in the next corner of the image; None for no words. A point never has words.
            Words that are too wide are smaller, or broken at their commas.
        shape: (height, width) of the image.
        **style: `dashed` and `thin`, see Target.draw.
    """
    own = values[target.name]
    if not target.is_labelled(np.isfinite(own)[None]).any():
        return
    target.draw(ax, own, colour, shape, origin=axes_origin(task, values), **style)
    if label is None or target.in_image:
        return
    n_full_rounds, turn = divmod(len(ax.texts), len(CORNERS))
    side, edge = CORNERS[turn]
    x, to_right = (0, 5) if side == "left" else (1, -5)  # points away from the corner
    y, up = (0, 5 + 12.5 * n_full_rounds) if edge == "bottom" else (1, -5 - 12.5 * n_full_rounds)
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.88}
    text = f"{label} {target.label_text(own)}".strip()
    words = ax.annotate(text, (x, y), (to_right, up), xycoords="axes fraction", textcoords="offset points", ha=side,
                        va=edge, size=FONT_SIZE, weight="bold", color=colour, bbox=box, zorder=4, parse_math=False)
    ax.apply_aspect()
    fitting = (ax.get_window_extent().width - ax.figure.dpi * 10 / 72) / words.get_window_extent().width
    if fitting < 0.82:
        words.set_text(text.replace(", ", "\n"))
    elif fitting < 1:
        words.set_fontsize(FONT_SIZE * fitting)


def origin_target(task: Task) -> Target | None:
    """The target where axes begin: the only single point of a task; None if there is none or several."""
    points = [target for target in task.targets if target.in_image and len(target.columns) == 2]
    return points[0] if len(points) == 1 else None


def axes_origin(task: Task, values: dict[str, np.ndarray]) -> np.ndarray | None:
    """Where axes begin, [2] in pixels; None if the point is not known. `values`: {target name: [columns]}."""
    point = origin_target(task)
    origin = values.get(point.name) if point else None
    return origin if origin is not None and np.isfinite(origin).all() else None
