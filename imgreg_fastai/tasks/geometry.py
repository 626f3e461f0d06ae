"""Where an image lies in what the network sees, how its pixels become [-1, 1], and how it is moved.

A *view* [4] is (scale x, scale y, shift x, shift y) of v = scale * pixel + shift, where v is -1 and 1 at the edges of
what the network sees.
"""
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

# mirror left and right, turn by 90 degrees, turn by a few degrees, zoom in or out, shift
MOVES = ("flip", "quarter", "turn", "zoom", "shift")
Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels


class Placement(NamedTuple):
    """How a part of an image is shown to the network.

    Attributes:
        source: The part, (left, top, right, bottom) in pixels of the image.
        target: Where it is shown, (left, top, right, bottom) in whole pixels of the network's input. The rest is
            padding.
        size: Height and width of the network's input.
    """

    source: Box
    target: tuple[int, int, int, int]
    size: tuple[int, int]

    @property
    def view(self) -> np.ndarray:
        """The view of the image, [4]."""
        source, target, size = np.array(self.source), np.array(self.target), np.array(self.size[::-1])
        scale = 2 * (target[2:] - target[:2]) / (source[2:] - source[:2]) / size
        return np.concatenate([scale, 2 * target[:2] / size - 1 - scale * source[:2]])

    @property
    def spare(self) -> float:
        """How many times smaller the image may be decoded and still have two pixels a side for each that is shown."""
        source, target = np.array(self.source), np.array(self.target)
        return float(((source[2:] - source[:2]) / (target[2:] - target[:2])).min() / 2)

    def within(self, size: tuple[int, int], region: Box) -> "Placement":
        """The same placement for a smaller copy of an image of `size` (width, height), which lies at `region` of it."""
        left, top, right, bottom = region
        x, y = (right - left) / size[0], (bottom - top) / size[1]
        x0, y0, x1, y1 = self.source
        return self._replace(source=(left + x * x0, top + y * y0, left + x * x1, top + y * y1))


def upright_size(size: tuple, orientation: int) -> tuple:
    """Width and height of an image once it is upright; `orientation`: EXIF's, 1 to 8."""
    return tuple(size[::-1]) if orientation >= 5 else tuple(size)


def region(exact: tuple[float, float], upright: tuple[int, int], orientation: int) -> Box:
    """Where an image lies in a smaller copy of it that was turned upright.

    Args:
        exact: Width and height of the copy before it is turned; it is rounded up to whole pixels at its right and
            bottom, which `orientation` may make its left and top.
        upright: Width and height of the upright copy, in whole pixels.
        orientation: EXIF's, 1 to 8.

    Returns:
        (left, top, right, bottom) in pixels of the copy.
    """
    width, height = upright_size(exact, orientation)
    left = upright[0] - width if orientation in (2, 3, 6, 7) else 0.0
    top = upright[1] - height if orientation in (3, 4, 7, 8) else 0.0
    return left, top, left + width, top + height


def place_picture(picture: tuple[int, int], size: tuple[int, int], policy: str, box: Sequence[float] | None = None,
                  margin: float = 0.0) -> Placement:
    """How an image, or a box of it, is brought to the network's size.

    Args:
        picture: Width and height of the image.
        size: Height and width of the network's input.
        policy: `pad` shows all of it, with what lies around it, or padding beyond the image; `crop` its middle;
            `squish` changes its aspect ratio.
        box: Centre x, centre y, width and height in pixels of the part to show; None: all of the image.
        margin: Widens the box, by this part of its sides on each side.

    Returns:
        The placement.

    Raises:
        ValueError: For a box without size, one that is not finite, or one outside the image.
    """
    # 1. The part of the plane that the network sees, which may reach beyond the image.
    if box is None:
        box, margin = (picture[0] / 2, picture[1] / 2, *picture), 0.0
    x, y, width, height = (float(b) for b in box)
    shown_width, shown_height = width * (1 + 2 * margin), height * (1 + 2 * margin)
    if policy != "squish":
        extreme = max if policy == "pad" else min
        aspect = size[1] / size[0]
        shown_width, shown_height = (extreme(shown_width, shown_height * aspect),
                                     extreme(shown_height, shown_width / aspect))
    start = np.array([x - shown_width / 2, y - shown_height / 2])
    end = np.array([x + shown_width / 2, y + shown_height / 2])
    if not (width > 0 and height > 0 and np.isfinite([width, height, *start, *end]).all()):
        raise ValueError(f"no box: {(x, y, width, height)}")
    # 2. The part of the image in it.
    source = np.array([start, end]).clip(0, picture)
    if not (source[0] < source[1]).all():
        raise ValueError(f"a box that lies outside: {(x, y, width, height)} in {picture[0]} x {picture[1]}")
    # 3. The pixels of the network's input that this covers, as many as its length rounds to.
    pixels = np.array(size[::-1])
    first, last = (source - start) / (end - start) * pixels
    count = (last - first).round().clip(1, pixels)
    first = ((first + last - count) / 2).round().clip(0, pixels - count)
    target = np.concatenate([first, first + count]).astype(int)
    return Placement(tuple(source.ravel().tolist()), tuple(target.tolist()), (size[0], size[1]))


def to_view(points: np.ndarray, views: np.ndarray) -> np.ndarray:
    """Points [n, points, 2] in pixels -> [-1, 1] across the views [n, 4] or [1, 4]."""
    return points * views[:, None, :2] + views[:, None, 2:]


def to_pixels(points: np.ndarray, views: np.ndarray) -> np.ndarray:
    """The inverse of `to_view`."""
    return (points - views[:, None, 2:]) / views[:, None, :2]


class Motion(NamedTuple):
    """What was done to n images, in this order: mirrored, turned, zoomed and shifted, all about their centre.

    Attributes:
        mirrored: [n], 1 where left and right changed places, else 0.
        turn: [n], degrees counterclockwise as seen.
        zoom: [n], 2 makes things twice as large.
        shift: [n, 2], to the right and down, in half widths and half heights.
        aspect: width / height of the images.
    """

    mirrored: np.ndarray
    turn: np.ndarray
    zoom: np.ndarray
    shift: np.ndarray
    aspect: float = 1.0
