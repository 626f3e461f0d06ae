"""Where a picture lies in what the network sees: which part of it is shown, and how its pixels become [-1, 1]."""
from typing import NamedTuple

import numpy as np


class Placement(NamedTuple):
    """`source` (left, top, right, bottom) of a picture, in its pixels, is shown at `target`, in whole pixels of a view.

    `size`: the view's height and width; what is not covered is padding.
    """

    source: tuple[float, float, float, float]
    target: tuple[int, int, int, int]
    size: tuple[int, int]

    @property
    def view(self) -> np.ndarray:
        """[4]: scale x, scale y, shift x, shift y of seen = scale * pixel + shift, with the view's edges at -1, 1."""
        left, top, right, bottom = self.source
        x0, y0, x1, y1 = self.target
        height, width = self.size
        scale = np.array([2 * (x1 - x0) / (right - left) / width, 2 * (y1 - y0) / (bottom - top) / height])
        return np.concatenate([scale, 2 * np.array([x0 / width, y0 / height]) - 1 - scale * (left, top)])


    @property
    def spare(self) -> float:
        """How many times smaller the picture may be, and still have two pixels a side for each that is seen."""
        left, top, right, bottom = self.source
        x0, y0, x1, y1 = self.target
        return min((right - left) / (x1 - x0), (bottom - top) / (y1 - y0)) / 2

    def within(self, picture: tuple[int, int], region: tuple[float, float, float, float]) -> "Placement":
        """The same place in a smaller copy of the picture (width, height), which lies at `region` of its pixels."""
        left, top, right, bottom = region
        x, y = (right - left) / picture[0], (bottom - top) / picture[1]
        source = self.source[:2], self.source[2:]
        return self._replace(source=tuple(edge for sx, sy in source for edge in (left + x * sx, top + y * sy)))


def upright_size(size: tuple, orientation: int) -> tuple:
    """The width and height of a picture once it is upright; `orientation`: EXIF's, 1 to 8."""
    return tuple(size[::-1]) if orientation >= 5 else tuple(size)


def region(exact: tuple[float, float], upright: tuple[int, int], orientation: int) -> tuple[float, float, float, float]:
    """Where a picture lies in a smaller copy of it that was turned upright, in its pixels.

    The copy is `exact` (width, height) before it is turned, and rounded up to whole pixels at its right and bottom,
    which `orientation` may have made its left and top.
    """
    wide, high = upright_size(exact, orientation)
    left = upright[0] - wide if orientation in (2, 3, 6, 7) else 0.0
    top = upright[1] - high if orientation in (3, 4, 7, 8) else 0.0
    return left, top, left + wide, top + high


def place_picture(picture: tuple[int, int], size: tuple[int, int], policy: str, box=None,
                  margin: float = 0.0) -> Placement:
    """How a picture of (width, height) is brought to `size` (height, width), whole or the `box` of it.

    `box`: centre x, centre y, width, height in pixels, widened by `margin` of its sides on each side. `pad` shows all
    of it, with what lies around it, or padding beyond the picture; `crop` its middle; `squish` bends its shape. Raises
    ValueError for a box that is none, or lies outside the picture.
    """
    left, top, right, bottom = region = _region(picture, size, policy, box, margin)
    source = (max(left, 0.0), max(top, 0.0), min(right, float(picture[0])), min(bottom, float(picture[1])))
    if not (source[0] < source[2] and source[1] < source[3]):
        raise ValueError(f"a box that lies outside: {tuple(float(b) for b in box)} in {picture[0]} x {picture[1]}")
    x0, x1 = _span(source[0], source[2], region[0], region[2], size[1])
    y0, y1 = _span(source[1], source[3], region[1], region[3], size[0])
    return Placement(source, (x0, y0, x1, y1), tuple(size))


def _region(picture, size, policy: str, box, margin: float) -> tuple[float, float, float, float]:
    """What is to be seen, (left, top, right, bottom); it may reach beyond the picture."""
    x, y, wide, high = picture[0] / 2, picture[1] / 2, float(picture[0]), float(picture[1])
    if box is not None:
        x, y, wide, high = (float(b) for b in box)
        if not (np.isfinite([x, y, wide, high]).all() and wide > 0 and high > 0):
            raise ValueError(f"no box: {(x, y, wide, high)}")
        wide, high = wide * (1 + 2 * margin), high * (1 + 2 * margin)
    shape = size[1] / size[0]
    if policy != "squish":
        wider = wide > high * shape
        if wider == (policy == "pad"):
            high = wide / shape
        else:
            wide = high * shape
    return x - wide / 2, y - high / 2, x + wide / 2, y + high / 2


def _span(low: float, high: float, start: float, end: float, n: int) -> tuple[int, int]:
    """The whole pixels, of n between `start` and `end`, that [low, high] covers: as many as its length rounds to."""
    first, last = ((edge - start) / (end - start) * n for edge in (low, high))
    count = max(1, min(n, round(last - first)))
    at = min(max(0, round((first + last - count) / 2)), n - count)
    return at, at + count


def to_view(points: np.ndarray, views: np.ndarray) -> np.ndarray:
    """Points [n, points, 2] in pixels -> across the views [n, 4] or [1, 4], the view's edges at -1 and 1."""
    return points * views[:, None, :2] + views[:, None, 2:]


def to_pixels(points: np.ndarray, views: np.ndarray) -> np.ndarray:
    """The way back: points across the views -> pixels of the original pictures."""
    return (points - views[:, None, 2:]) / views[:, None, :2]
