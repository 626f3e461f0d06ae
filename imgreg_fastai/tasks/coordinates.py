"""How a table writes points and boxes, and what they are in pixels: the only place where one becomes the other."""
from collections.abc import Sequence

import numpy as np

from .flip_pairs import PARTS

FULL_SIDE = {"fraction": 1.0, "percent": 100.0}  # what the whole width, or height, of an image is called
COORDS = ("pixels", *FULL_SIDE)
BOX_FORMATS = ("cxcywh", "xywh", "xyxy")  # centre and size; left, top and size; left, top, right, bottom
# What the columns of a box are called, without what they share and without separators; "": it may be either.
BOX_COLUMNS = {
    ("cx", "cy", "w", "h"): "cxcywh", ("cx", "cy", "width", "height"): "cxcywh",
    ("xcenter", "ycenter", "w", "h"): "cxcywh", ("xcenter", "ycenter", "width", "height"): "cxcywh",
    ("centerx", "centery", "w", "h"): "cxcywh", ("centerx", "centery", "width", "height"): "cxcywh",
    ("xcentre", "ycentre", "width", "height"): "cxcywh", ("xc", "yc", "w", "h"): "cxcywh",
    ("x", "y", "w", "h"): "", ("x", "y", "width", "height"): "",
    ("left", "top", "width", "height"): "xywh", ("left", "top", "w", "h"): "xywh",
    ("xmin", "ymin", "width", "height"): "xywh", ("xmin", "ymin", "w", "h"): "xywh",
    ("xmin", "ymin", "xmax", "ymax"): "xyxy", ("minx", "miny", "maxx", "maxy"): "xyxy",
    ("left", "top", "right", "bottom"): "xyxy",
}
NUMBERED_CORNERS = (("x1", "y1", "x2", "y2"), ("x0", "y0", "x1", "y1"))  # of a box where it is named; else two points
COORDS_WORDS = {"percent": {"pct", "percent", "perc", "percentage"},
                "fraction": {"norm", "normalized", "normalised", "rel", "relative", "frac", "fraction"}}


def to_pixels(values: np.ndarray, sizes: np.ndarray, coords: str) -> np.ndarray:
    """Turn positions and lengths of a table into pixels.

    Args:
        values: x and y, or width and height, in turn, [n, 2 * k].
        sizes: Width and height of each upright image in pixels, [n, 2]; NaN where they are not known.
        coords: One of COORDS, or "" for pixels.

    Returns:
        [n, 2 * k] in pixels of the upright image.
    """
    if coords not in FULL_SIDE:
        return values
    return values * np.tile(sizes / FULL_SIDE[coords], values.shape[1] // 2)


def to_centre(boxes: np.ndarray, box_format: str) -> np.ndarray:
    """Turn boxes [n, 4] of one of BOX_FORMATS ("" for cxcywh) into centre x, centre y, width and height, [n, 4]."""
    first, last = boxes[:, :2], boxes[:, 2:]
    if box_format == "xywh":
        return np.hstack([first + last / 2, last])
    if box_format == "xyxy":
        return np.hstack([(first + last) / 2, last - first])
    return boxes


def box_format_by_names(columns: Sequence[str]) -> str | None:
    """Return which of BOX_FORMATS four columns of a box have by their names; "": cxcywh or xywh; None: not known."""
    plain = [plain_name(column) for column in columns]
    for sides, box_format in [*BOX_COLUMNS.items(), *((corners, "xyxy") for corners in NUMBERED_CORNERS)]:
        if all(name.endswith(side) for name, side in zip(plain, sides, strict=True)):
            starts = {name.removesuffix(side) for name, side in zip(plain, sides, strict=True)}
            if len(starts) == 1:
                return box_format
    return None


def coords_by_names(columns: Sequence[str]) -> str:
    """Return whether the names of columns say fraction or percent: nose_x_pct, x_norm; "" if they do not."""
    for coords, words in COORDS_WORDS.items():
        if columns and all(words & {part.lower() for part in PARTS.findall(column)} for column in columns):
            return coords
    return ""


def plain_name(column: str) -> str:
    """Return a column's name in lower case, without separators and without words that say the unit."""
    words = [part.lower() for part in PARTS.findall(column) if part.isalnum()]
    units = {"px", "pixels"}.union(*COORDS_WORDS.values())
    return "".join(word for word in words if word not in units)
