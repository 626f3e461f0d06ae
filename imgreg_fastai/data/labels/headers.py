"""The sizes of a table's images, by their headers, and what its points and boxes are in pixels of them."""
from functools import partial

import numpy as np
import pandas as pd

from ...tasks import Task
from ...tasks.coordinates import FULL_SIDE, to_centre, to_pixels
from ...utils.messages import progress_bar
from ..images import PictureError, map_ahead, read_header
from ..tables import real_paths

HEADER = ["width", "height", "orientation"]
MAX_HEADERS = 2000  # images whose headers a training looks at first, which takes about half a second
MAX_CELL = 1e12  # no position; larger numbers would overflow where they are multiplied


def read_headers(frame: pd.DataFrame, rows: np.ndarray, max_pixels: int | None = None) -> pd.DataFrame:
    """Read the headers of the images of some rows, each file once, on threads.

    Args:
        frame: Rows with `path`.
        rows: Which of them, bool [n].
        max_pixels: See Task.

    Returns:
        Width, height and orientation tag of the upright images, float, with the index of `frame`; NaN for other rows,
        and for images that cannot be opened.
    """
    result = np.full((len(frame), len(HEADER)), np.nan)
    image, paths = pd.factorize(real_paths(frame["path"][rows]))
    opened = map_ahead(partial(read_header, max_pixels=max_pixels), paths)
    headers = progress_bar(opened, len(paths), "reading the sizes of images")
    values = [[np.nan] * len(HEADER) if isinstance(header, PictureError) else [getattr(header, name) for name in HEADER]
              for header in headers]
    if len(paths):
        result[rows] = np.array(values, float)[image]
    return pd.DataFrame(result, frame.index, HEADER)


def sample_rows(rows: np.ndarray, limit: int = MAX_HEADERS) -> np.ndarray:
    """Choose at most `limit` of the rows [n], evenly spaced: bool [n]."""
    positions = np.flatnonzero(rows)
    sampled = positions[np.linspace(0, len(positions) - 1, min(limit, len(positions))).round().astype(int)]
    return np.isin(np.arange(len(rows)), sampled)


def needs_sizes(task: Task) -> bool:
    """Tell whether the sizes of all images are needed to read the table's points and boxes."""
    return task.coords in FULL_SIDE and (task.has_points or bool(task.box))


def pixels_of(positions: pd.DataFrame, task: Task, headers: pd.DataFrame | None) -> pd.DataFrame:
    """Turn points and boxes as the table has them into pixels, boxes into centre x, centre y, width and height.

    Args:
        positions: The columns of the task's points and box, as float.
        task: What they mean.
        headers: See read_headers; needed where `needs_sizes`.

    Returns:
        The same columns in pixels of the upright images; NaN where the size of the image is not known.
    """
    sizes = np.full((len(positions), 2), np.nan) if headers is None else headers[["width", "height"]].to_numpy(float)
    values = positions.where(positions.abs() < MAX_CELL)
    points = values[[column for column in point_columns(task) if column in positions]]  # none where only boxes are read
    boxes = to_pixels(values[list(task.box)].to_numpy(float), sizes, task.coords)
    in_pixels = pd.DataFrame(to_pixels(points.to_numpy(float), sizes, task.coords), values.index, points.columns)
    boxes_in_pixels = pd.DataFrame(to_centre(boxes, task.box_format), values.index, list(task.box))
    return in_pixels.assign(**boxes_in_pixels)[list(positions.columns)]


def point_columns(task: Task) -> list[str]:
    """Return the columns of all points of a task, x and y in turn."""
    return [column for target in task.targets if target.in_image for column in target.columns]


def position_columns(task: Task) -> list[str]:
    """Return the columns of all points and of the box of a task."""
    return list(dict.fromkeys([*point_columns(task), *task.box]))
