"""The pictures of datascience.stackexchange.com/questions/106600, drawn as matplotlib draws them, without matplotlib.

A black bar through the middle at an angle in [0, 180) degrees, 50 black dots, the frame of the axes; the angle stands
in the file name in hundredths of a degree. matplotlib takes about 6 ms for one; the closed forms below take 0.07 ms and
differ from its pixels by 0.1 grey levels on average. What matplotlib does was measured, and is named where it is used.
"""
from functools import lru_cache
from pathlib import Path

import numpy as np

from ..utils.console import progress_bar, say
from ..utils.errors import ImgregError
from ..utils.files import has_content
from .drawing.output import atomic_drawing, run_in_processes

HOME = DRAWN = "data/angle"
DOTS = 50
REACH, THICK, LIMIT = 9.0, 1.0, 10.0  # the bar's half length and its thickness, the axes' limits, in data units
CHUNK = 100  # pictures drawn at once: numpy's overhead is shared, and the arrays still fit the cache


def _covered(distance, major, minor):
    """The part of a unit pixel on the positive side of a line, exactly.

    `distance` of the pixel's centre from the line; `major` >= `minor` > 0, the magnitudes of the line's unit normal.
    A pixel's shadow on the normal is a trapezoid; `tail` is the part of it beyond the line, seen from the centre.
    """
    deep = np.maximum((major + minor) / 2 - np.abs(distance), 0)
    slope = np.minimum(deep, minor)
    tail = slope * (deep - slope / 2) / (major * minor)
    return np.copysign(0.5 - tail, distance) + 0.5


def _band(coordinate, low, high, normal):
    """The part of a unit pixel whose `coordinate` lies in [low, high]; `normal`: (major, minor)."""
    return _covered(coordinate - low, *normal) - _covered(coordinate - high, *normal)


def _overlap(low, high, n):
    """How much of each of the n unit pixels in a row lies in [low, high]."""
    edges = np.arange(n + 1)
    return np.clip(np.minimum(edges[1:], high) - np.maximum(edges[:-1], low), 0, 1)


class Canvas:
    """What all pictures of one size share: the frame, the stamp of a dot, the bar's measures. `size` in pixels."""

    def __init__(self, size: int = 100):
        self.size = size
        self.point = size / 5 / 72  # pixels a typographic point, for a figure of 5 inches
        side = 0.77 * size  # the default axes (0.125-0.9 by 0.11-0.88 of the figure), made square by equal aspect
        left, top = (0.125 + 0.9) / 2 * size - side / 2, size - (0.11 + 0.88) / 2 * size - side / 2
        self.box = np.array([left, top, left + side, top + side])
        self.unit = side / (2 * LIMIT)
        self.middle = (left + side / 2, top + side / 2)
        self.clip = np.floor(self.box + 0.5).astype(int)  # matplotlib clips dots at whole pixels, the last included
        self.frame = self._frame()
        self.stamp = self._stamp()

    def _frame(self):
        """The four spines, 0.8 points wide and snapped to the pixel grid: what they leave white, [size, size]."""
        width = 0.8 * self.point
        snap = 0.5 * (int(width + 0.5) % 2)
        left, top, right, bottom = np.floor(self.box + 0.5) + snap
        half, white = width / 2, np.ones((self.size, self.size))
        down, across = (top - half, bottom + half), (left - half, right + half)
        for x in (left, right):
            white *= 1 - np.outer(_overlap(*down, self.size), _overlap(x - half, x + half, self.size))
        for y in (top, bottom):
            white *= 1 - np.outer(_overlap(y - half, y + half, self.size), _overlap(*across, self.size))
        return white

    def _stamp(self, fine: int = 32):
        """A dot (s=100: 10 points across, outline of 1 point): what it leaves white around its pixel, [k, k].

        matplotlib puts the markers of one scatter on whole pixels, so that one stamp serves all dots.
        """
        radius, outline = 5.0 * self.point, 0.5 * self.point
        reach = int(np.ceil(radius + outline + 0.5))
        grid = (np.arange(-reach * fine, (reach + 1) * fine) + 0.5) / fine - 0.5
        r = np.hypot(grid[:, None], grid)
        n = 2 * reach + 1

        def part(inside):
            return inside.reshape(n, fine, n, fine).mean(axis=(1, 3))

        stamp = (1 - part(r <= radius)) * (1 - part(np.abs(r - radius) <= outline))
        return stamp[1:-1, 1:-1] if (stamp[0] == 1).all() else stamp

    def draw(self, angles, dots, outlined):
        """Pictures as uint8 [n, size, size], white 255.

        `angles`: [n] degrees counterclockwise; `dots`: [n, DOTS, 2] in data units; `outlined`: [n] bool, whether the
        bar has matplotlib's outline of one point (`color=`) or none (`facecolor=`).
        """
        white = np.tile(self.frame * np.float32(255), (len(angles), 1, 1))
        self._bar(white, np.deg2rad(angles), np.asarray(outlined))
        self._dots(white, np.asarray(dots))
        white += 0.5
        return white.astype(np.uint8)

    def _bar(self, white, theta, outlined):
        """Darken the pixels under two rectangles, (0, 0) to (9, 1) and to (-9, 1), turned by theta.

        matplotlib draws each one's fill, then its outline, and each covers what lies below by its own share of the
        pixel: where the two meet, a faint seam stays. It is kept. At 0 and 90 degrees sharp matplotlib also moves the
        bar to whole pixels; that is not kept, for it puts a bar off its place for the sake of one label in 9000.
        """
        at, along, across, normal = self._near(theta)
        reach, thick, edge = (np.float32(v) for v in (REACH * self.unit, THICK * self.unit, 0.5 * self.point))
        left = np.float32(1)
        for ends in ((0, reach), (-reach, 0)):
            left = left * (1 - _band(across, 0, thick, normal) * _band(along, *ends, normal))
        along, across, normal = along[outlined], across[outlined], [side[outlined] for side in normal]
        outer, inner = (_band(across, -g, thick + g, normal) for g in (edge, -edge))
        for low, high in ((0, reach), (-reach, 0)):
            hole = inner * _band(along, low + edge, high - edge, normal)
            left[outlined] *= 1 - (outer * _band(along, low - edge, high + edge, normal) - hole)
        white.reshape(len(theta), -1)[np.arange(len(theta))[:, None, None], at] *= left

    def _near(self, theta):
        """The pixels that a bar at theta may touch: (place in the picture, along, across, normal).

        The first three are [n, length, width]: pixels counted along that side of the picture which the bar is nearer
        to, and for each of them a few to either side of the bar. `along` and `across` are the pixel's distances from
        the middle as the bar sees them; the sign of `along` is left open, as the bar's two halves mirror each other.
        """
        cos, sin = np.cos(theta)[:, None, None], np.sin(theta)[:, None, None]
        flat, (x0, y0) = np.abs(cos) >= np.abs(sin), self.middle
        major, minor = np.where(flat, cos, sin), np.where(flat, sin, cos)
        middle, beside = np.where(flat, x0, y0), np.where(flat, y0, x0)
        blur = 0.5 * self.point + 0.75  # the outline, and half a pixel's diagonal
        thick, reach = 0.5 * THICK * self.unit, int(REACH * self.unit + blur + 1)
        wide = int((thick + blur) * 2**0.5 + 1)
        i = np.clip(np.floor(middle) + np.arange(-reach, reach + 1)[:, None], 0, self.size - 1)
        u = i + 0.5 - middle
        j = np.floor(beside - (thick + minor * u) / major) + np.arange(-wide, wide + 1)
        j = np.clip(j, 0, self.size - 1)  # a pixel that comes twice gets the same value twice
        v = j + 0.5 - beside
        place = np.where(flat, i + self.size * j, self.size * i + j).astype(np.intp)
        normal = np.abs(major).astype(np.float32), np.maximum(np.abs(minor), 1e-4).astype(np.float32)
        along, across = major * u - minor * v, -minor * u - major * v
        return place, along.astype(np.float32), across.astype(np.float32), normal

    def _dots(self, white, dots):
        """Stamp the dots [n, DOTS, 2] on `white` [n, size, size]; parts outside the axes' clip are left out."""
        reach, (left, top, right, bottom) = len(self.stamp) // 2, self.clip
        side = self.size + 2 * reach
        layer = np.ones((len(dots), side, side), np.float32)
        around = np.arange(len(self.stamp))
        column = np.floor(self.middle[0] + dots[..., 0] * self.unit + 0.5).astype(np.intp)
        row = np.floor(self.middle[1] - dots[..., 1] * self.unit + 0.5).astype(np.intp)
        corner = (np.arange(len(dots))[:, None] * side + row) * side + column
        at = corner.reshape(-1, 1) + (around[:, None] * side + around).ravel()
        np.multiply.at(layer.reshape(-1), at.ravel(), np.tile(self.stamp.ravel().astype(np.float32), len(at)))
        seen = layer[:, top + reach : bottom + 1 + reach, left + reach : right + 1 + reach]
        white[:, top : bottom + 1, left : right + 1] *= seen


@lru_cache(maxsize=2)
def canvas(size: int) -> Canvas:
    """The Canvas of a size, made once a process."""
    return Canvas(size)


def sample(n: int, size: int, rng: np.random.Generator):
    """Draw `n` pictures: (uint8 [n, size, size], angles in whole hundredths of a degree [n]).

    The question does not show whether its bar was outlined; half of ours are, so that either kind is known.
    """
    hundredths = rng.integers(0, 18000, n)
    dots = rng.uniform(-LIMIT, LIMIT, (n, DOTS, 2))
    return canvas(size).draw(hundredths / 100, dots, rng.random(n) < 0.5), hundredths


def _write(folder: Path, first: int, n: int, digits: int, size: int, seed: int) -> list[tuple[str, float]]:
    """Write pictures first..first+n as PNG; their names and angles. Its random numbers depend on `first` alone."""
    from PIL import Image

    rows = []
    for i, (picture, angle) in enumerate(zip(*sample(n, size, np.random.default_rng([seed, first])), strict=True)):
        name = f"sample{first + i:0{digits}}_angle_{angle:05}.png"
        Image.fromarray(picture).save(folder / name, compress_level=1)
        rows.append((f"images/{name}", angle / 100))
    return rows


def draw(out: str | Path = HOME, n: int = 10_000, size: int = 100, seed: int = 0, jobs: int | None = None) -> Path:
    """Draw `n` pictures of `size` pixels into the folder `out`; returns the path of its labels table.

    The folder appears whole or not at all. The same seed gives the same pictures whatever the number of `jobs`.
    Raises ImgregError if `out` holds anything, or cannot be written.
    """
    if n < 1 or size < 16 or seed < 0:
        raise ImgregError("--n of at least 1, --size of at least 16 and --seed of at least 0", f"{n}, {size}, {seed}")
    with atomic_drawing(out, n) as folder:
        _fill(folder, n, size, seed, jobs)
    return Path(out) / "labels.csv"


def _fill(folder: Path, n: int, size: int, seed: int, jobs: int | None) -> None:
    images, digits = folder / "images", max(4, len(str(n - 1)))
    images.mkdir()
    work = [(images, first, min(CHUNK, n - first), digits, size, seed) for first in range(0, n, CHUNK)]
    chunks = progress_bar(run_in_processes(_write, work, jobs), len(work), f"drawing {n} pictures, {CHUNK} at a time")
    rows = [row for chunk in chunks for row in chunk]
    lines = ["image,angle", *(f"{name},{angle:.2f}" for name, angle in rows)]
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")


def obtain(out: str | Path = HOME) -> Path:
    """The question's pictures are drawn: there is nothing to fetch."""
    return draw(out)


def read(folder: Path, labels: str = "") -> Path:
    """The labels table of `folder`, or the folder itself, whose file names hold the labels; a new one is drawn into."""
    table = folder / "labels.csv"
    if labels:
        raise ImgregError("one way to read the angles", f"--labels {labels}")
    if table.is_file():
        return table
    if has_content(folder):
        return folder
    if folder.suffix:  # no name for a new folder of pictures, but for a file that is not there
        raise ImgregError("a folder for --data", f"'{folder}'")
    say(f"no pictures in {folder} yet: drawing them")
    return draw(folder)
