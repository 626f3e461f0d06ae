"""The images of datascience.stackexchange.com/questions/106600 as matplotlib draws them, without matplotlib.

A black bar through the middle at an angle in [0, 180) degrees, black dots, and the frame of the axes. matplotlib takes
about 6 ms for an image. The closed forms below take 0.07 ms and differ from its pixels by 0.1 grey levels on average.
Comments name what matplotlib does; it was measured.
"""
from functools import lru_cache
from typing import NamedTuple

import numpy as np

LENGTH, THICKNESS, LIMIT = 9.0, 1.0, 10.0  # of half the bar, of the bar, and of the axes, in data units


def _half_plane(distance, major, minor):
    """The part of a unit pixel on the positive side of a line, exactly.

    `distance` of the pixel's centre from the line; `major` >= `minor` > 0, the magnitudes of the line's unit normal.
    A pixel's shadow on the normal is a trapezoid; `tail` is the part of it beyond the line, seen from the centre.
    """
    depth = np.maximum((major + minor) / 2 - np.abs(distance), 0)
    slope = np.minimum(depth, minor)
    tail = slope * (depth - slope / 2) / (major * minor)
    return np.copysign(0.5 - tail, distance) + 0.5


def _overlap(low, high, n):
    """The part of each of the n unit pixels in a row that lies in [low, high]."""
    edges = np.arange(n + 1)
    return np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, 1)


class _BarPixels(NamedTuple):
    """The pixels near bars, [n, length, width]: counted along the bar, and for each of these some to either side."""

    position: np.ndarray  # in the flat image
    along: np.ndarray  # distance from the middle along the bar; its sign is open, as the bar's halves are mirror images
    across: np.ndarray  # distance from the middle across the bar
    major: np.ndarray  # the magnitudes of the bar's unit normal, [n, 1, 1]; major >= minor
    minor: np.ndarray

    def strip(self, distance, low, high):
        """The part of each pixel whose `distance`, along or across, lies in [low, high]."""
        return (_half_plane(distance - low, self.major, self.minor)
                - _half_plane(distance - high, self.major, self.minor))


class Canvas:
    """The frame, the stamp of a dot and the measures that all images of one size share.

    Args:
        size (int): height and width in pixels.
    """

    def __init__(self, size: int = 100) -> None:
        self.size = size
        self.point = size / 5 / 72  # pixels a typographic point, for a figure of 5 inches
        side = 0.77 * size  # the default axes (0.125-0.9 by 0.11-0.88 of the figure), made square by equal aspect
        left, top = (0.125 + 0.9) / 2 * size - side / 2, size - (0.11 + 0.88) / 2 * size - side / 2
        self.box = np.array([left, top, left + side, top + side])
        self.unit = side / (2 * LIMIT)
        self.middle = (left + side / 2, top + side / 2)
        self.clip = np.floor(self.box + 0.5).astype(int)  # matplotlib clips dots at whole pixels, the last included
        # The part of each pixel that the axes' four lines leave white, [size, size]. The lines are 0.8 points wide and
        # snapped to the pixel grid.
        width = 0.8 * self.point
        snap = 0.5 * (int(width + 0.5) % 2)
        left, top, right, bottom = np.floor(self.box + 0.5) + snap
        half, self.frame = width / 2, np.ones((size, size))
        down, across = _overlap(top - half, bottom + half, size), _overlap(left - half, right + half, size)
        for x in (left, right):
            self.frame *= 1 - np.outer(down, _overlap(x - half, x + half, size))
        for y in (top, bottom):
            self.frame *= 1 - np.outer(_overlap(y - half, y + half, size), across)
        # The part that a dot leaves white of the pixels around its own, [k, k]. A dot (s=100) is 10 points wide with an
        # outline of 1 point. matplotlib puts the markers of a scatter plot on whole pixels: one stamp serves all dots.
        radius, outline, fine = 5.0 * self.point, 0.5 * self.point, 32
        reach = int(np.ceil(radius + outline - 0.5))
        n = 2 * reach + 1
        grid = (np.arange(-reach * fine, (reach + 1) * fine) + 0.5) / fine - 0.5
        r = np.hypot(grid[:, None], grid)
        fill, line = (inside.reshape(n, fine, n, fine).mean(axis=(1, 3))
                      for inside in (r <= radius, np.abs(r - radius) <= outline))
        self.stamp = (1 - fill) * (1 - line)

    def draw(self, angles: np.ndarray, dots: np.ndarray, outlined: np.ndarray) -> np.ndarray:
        """Draw images.

        Args:
            angles (np.ndarray): degrees counterclockwise, [n].
            dots (np.ndarray): the middles of the dots in data units, [n, dots, 2].
            outlined (np.ndarray): whether the bar has matplotlib's outline of one point (`color=`) or none
                (`facecolor=`), bool [n].

        Returns:
            np.ndarray: uint8 [n, size, size], white 255.
        """
        white = np.tile(self.frame * np.float32(255), (len(angles), 1, 1))
        self._draw_bars(white, np.deg2rad(angles), np.asarray(outlined))
        self._draw_dots(white, np.asarray(dots))
        white += 0.5
        return white.astype(np.uint8)

    def _draw_bars(self, white, theta, outlined):
        """Darken the pixels under two rectangles, (0, 0) to (9, 1) and to (-9, 1), turned by theta.

        matplotlib draws the fill of each, then its outline, and each covers what lies below by its own share of the
        pixel: a faint seam stays between the two. At exactly 0 and 90 degrees matplotlib also moves the bar to whole
        pixels. This is not imitated: the bar would not lie where its label says.
        """
        pixels = self._pixels_near(theta)
        length, thickness, edge = np.array([LENGTH * self.unit, THICKNESS * self.unit, 0.5 * self.point], np.float32)
        halves = ((0, length), (-length, 0))
        left = np.ones(1, np.float32)
        for low, high in halves:
            left = left * (1 - pixels.strip(pixels.across, 0, thickness) * pixels.strip(pixels.along, low, high))
        lined = _BarPixels(*(values[outlined] for values in pixels))
        outer, inner = (lined.strip(lined.across, -grow, thickness + grow) for grow in (edge, -edge))
        for low, high in halves:
            hole = inner * lined.strip(lined.along, low + edge, high - edge)
            left[outlined] *= 1 - (outer * lined.strip(lined.along, low - edge, high + edge) - hole)
        white.reshape(len(theta), -1)[np.arange(len(theta))[:, None, None], pixels.position] *= left

    def _pixels_near(self, theta) -> _BarPixels:
        """The pixels that bars at theta may touch, counted along the side of the image that a bar is nearer to."""
        cos, sin = np.cos(theta)[:, None, None], np.sin(theta)[:, None, None]
        flat, (x0, y0) = np.abs(cos) >= np.abs(sin), self.middle
        major, minor = np.where(flat, cos, sin), np.where(flat, sin, cos)
        middle, beside = np.where(flat, x0, y0), np.where(flat, y0, x0)
        blur = 0.5 * self.point + 0.75  # the outline, and half a pixel's diagonal
        half, reach = 0.5 * THICKNESS * self.unit, int(LENGTH * self.unit + blur + 1)
        width = int((half + blur) * 2**0.5 + 1)
        i = np.clip(np.floor(middle) + np.arange(-reach, reach + 1)[:, None], 0, self.size - 1)
        u = i + 0.5 - middle
        j = np.floor(beside - (half + minor * u) / major) + np.arange(-width, width + 1)
        j = np.clip(j, 0, self.size - 1)  # a pixel that occurs twice gets the same value twice
        v = j + 0.5 - beside
        position = np.where(flat, i + self.size * j, self.size * i + j).astype(np.intp)
        along, across = major * u - minor * v, -minor * u - major * v
        return _BarPixels(position, *(values.astype(np.float32) for values in (
            along, across, np.abs(major), np.maximum(np.abs(minor), 1e-4))))

    def _draw_dots(self, white, dots):
        """Stamp the dots [n, dots, 2] on `white` [n, size, size]; parts outside the axes' clip are left out."""
        reach, (left, top, right, bottom) = len(self.stamp) // 2, self.clip
        side = self.size + 2 * reach
        layer = np.ones((len(dots), side, side), np.float32)
        around = np.arange(len(self.stamp))
        column = np.floor(self.middle[0] + dots[..., 0] * self.unit + 0.5).astype(np.intp)
        row = np.floor(self.middle[1] - dots[..., 1] * self.unit + 0.5).astype(np.intp)
        corner = (np.arange(len(dots))[:, None] * side + row) * side + column
        at = corner.reshape(-1, 1) + (around[:, None] * side + around).ravel()
        np.multiply.at(layer.reshape(-1), at.ravel(), np.tile(self.stamp.ravel().astype(np.float32), len(at)))
        inside = layer[:, top + reach : bottom + 1 + reach, left + reach : right + 1 + reach]
        white[:, top : bottom + 1, left : right + 1] *= inside


canvas = lru_cache(maxsize=2)(Canvas)  # the Canvas of a size, created once a process
