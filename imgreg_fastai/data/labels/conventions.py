"""Which convention the points of a table look like, by the sizes of their images.

Where a reading is certain a training stops; where it is possible a note says so. The thresholds were chosen by
simulation (tests/data/test_conventions.py): of ordinary tables in pixels, uniform or clustered anywhere in images of 30
to 4000 pixels, fewer than one in 2,000 stops. A convention may be missed, or be a note: per cent of images with sides
below MIN_SIDE, of which few points would lie outside as pixels, and tables of few rows.
"""
from typing import NamedTuple

import numpy as np

from ...tasks.coordinates import FULL_SIDE, coords_by_names, to_pixels
from ...tasks.point import CORNERS

TOLERANCE = 1.0  # pixels beyond the edge that rounding explains
MIN_OUTSIDE, MIN_SHARE = 3, 0.05  # images with points outside that are more than slips of the mouse, and their share
SAME_LIKELIHOOD = np.log(1e4)  # uniform points would all lie within 100 px once in so many tables
BY_CHANCE = 0.03  # of what fills 0 to 100 in both directions: how rarely it lies there if it may lie anywhere
CENTRED_BY_CHANCE, NOT_100 = 0.01, 115  # how rarely its middle is so near to 50; in images that are larger than this
QUARTER, THREE_QUARTERS = 0.25, 0.75
MIN_ROWS, MIN_SIDE = 12, 110  # by fewer rows, or in smaller images, per cent are possible, and not certain
CERTAIN_SHARE = 0.25  # of the rows outside as pixels; fewer reach over the edge in ordinary tables of boxes, too
TINY_PART, SMALL_PART = 0.125, 0.55  # of the sides: points that fill a smaller part stop a training; may be from a copy
WORDS = {"fraction": "fractions (0 to 1) of the image's width and height",
         "percent": "per cent of the image's width and height", "pixels": "pixels",
         "cxcywh": "centre, width and height", "xywh": "left, top, width and height",
         "xyxy": "left, top, right and bottom"}
EXCHANGED = "--target with the columns of x and y exchanged"  # a hint


class Guess(NamedTuple):
    """What a table's points or boxes look like.

    Attributes:
        looks: The convention in words, behind "look like".
        coords: Of COORDS, where that is what they look like; else "".
        hint: What to do.
        certain: Whether a training stops.
        rows: The rows that show it, bool [n].
    """

    looks: str
    coords: str
    hint: str
    certain: bool
    rows: np.ndarray


def guess_points(points: np.ndarray, sizes: np.ndarray, orientation: np.ndarray, columns: tuple[str, ...] = (),
                 coords: str = "") -> Guess | None:
    """Say which other convention points look like.

    Args:
        points: As the table has them, [n, k, 2]; NaN where there is none.
        sizes: Width and height of the upright images, [n, 2]; NaN where they are not known.
        orientation: Their orientation tags, [n].
        columns: x and y of each point in turn; their names may say a unit.
        coords: The unit that the user has named, or "".

    Returns:
        The guess, or None where nothing speaks against the convention that is named, or pixels.
    """
    points = np.where(_is_marker(points)[..., None], np.nan, points)
    declared = coords if coords in FULL_SIDE else ""
    if are_fractions(points) and declared != "fraction":
        return _unit_guess(points, "fraction")
    has_size = np.isfinite(sizes).all(axis=1)
    points = np.where(has_size[:, None, None], points, np.nan)
    if not np.isfinite(points).all(axis=2).any():
        return None
    if declared:
        in_pixels = to_pixels(points.reshape(len(points), -1), sizes, declared).reshape(points.shape)
        return _wrong_unit(points, in_pixels, sizes)
    guesses = (_turned(points, sizes, orientation), _swapped(points, sizes),
               guess_percent(points, sizes, coords_by_names(columns) == "percent"), _larger(points, sizes),
               _smaller(points, sizes))
    return max(filter(None, guesses), key=lambda guess: guess.certain, default=None)  # the first of those


def _is_marker(points: np.ndarray) -> np.ndarray:
    """Tell which points are in a corner, where programs put those that are not there: [n, k]."""
    return np.logical_or.reduce([(points == corner).all(axis=2) for corner in CORNERS])


def are_fractions(values: np.ndarray) -> bool:
    """Tell whether finite values are parts of a side: from 0 to 1, or from -1 to 1, with little beyond."""
    values = values[np.isfinite(values)]
    return bool(len(values) and np.abs(values).max() <= 1.5 and (np.abs(values) <= 1).mean() >= 0.9
                and (values % 1 != 0).any())


def _unit_guess(points: np.ndarray, coords: str, certain: bool = True) -> Guess:
    """Make the guess that points, or boxes, are in another unit."""
    values = points[np.isfinite(points)]
    rows = np.isfinite(points).reshape(len(points), -1).any(axis=1)
    if coords == "fraction" and (values < 0).mean() > MIN_SHARE:
        return Guess("parts of the image from -1 to 1", "", "fractions, (x + 1) / 2, with --coords fraction", certain,
                     rows)
    return Guess(WORDS[coords], coords, f"--coords {coords}", certain, rows)


def outside(points: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Compute how far points [n, k, 2] in pixels lie outside images of `sizes` [n, 2]: [n, k]; 0 for no point."""
    return np.nan_to_num(np.maximum(-points, points - sizes[:, None])).max(axis=2).clip(0)


def _rows_outside(points: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    return np.any(outside(points, sizes) > TOLERANCE, axis=1)


def _labelled(points: np.ndarray) -> np.ndarray:
    """Tell which rows have a point, [n]."""
    return np.isfinite(points).all(axis=2).any(axis=1)


def _too_many(rows: np.ndarray, among: np.ndarray) -> bool:
    """Tell whether `rows` are more of the rows `among` than slips explain."""
    return int(rows.sum()) >= max(MIN_OUTSIDE, MIN_SHARE * int(among.sum()))


def _turned(points: np.ndarray, sizes: np.ndarray, orientation: np.ndarray) -> Guess | None:
    """Points clicked on images as they are stored, before their orientation tag is obeyed."""
    labelled, turned = _labelled(points), orientation >= 5
    beyond = _rows_outside(points, sizes)
    explained = beyond & turned & ~_rows_outside(points, sizes[:, ::-1])
    among, others = labelled & turned, labelled & ~turned
    rate = explained.sum() / max(among.sum(), 1)
    if not explained.any() or (beyond & others).sum() * 3 > rate * others.sum() or (
            explained.sum() < 0.8 * (beyond & turned).sum()):
        return None
    looks = f"clicks on images before their EXIF tag turns them ({explained.sum():,} of {among.sum():,} such images)"
    hint = "labels of the upright images, or files without the tag (exiftool -Orientation= FILE)"
    return Guess(looks, "", hint, _too_many(explained, among), explained)


def _swapped(points: np.ndarray, sizes: np.ndarray) -> Guess | None:
    """Points whose x is their y."""
    beyond, labelled = _rows_outside(points, sizes), _labelled(points)
    still = _rows_outside(points[..., ::-1], sizes)
    if not _too_many(beyond, labelled) or still.sum() > 0.02 * labelled.sum():
        return None
    return Guess("points whose x and y are exchanged", "", EXCHANGED, True, beyond)


def guess_percent(points: np.ndarray, sizes: np.ndarray, named: bool) -> Guess | None:
    """Say whether points [n, k, 2] go from 0 to 100 in both directions, whatever the sizes [n, 2] of the images.

    Certain where the columns are called so, where points are outside as pixels, where they fill the square from 25 to
    75 at least and would not do so by chance as pixels, and in the middle of the square for very large images.
    """
    values = points[np.isfinite(points).all(axis=2)]
    same = (np.abs(np.nanmedian(sizes, axis=0) - 100) <= 5).all()  # then it makes no difference
    if (np.abs(values - 50) > 55).any() or (np.abs(values - 50) > 50.5).any(axis=1).mean() > 0.02 or same:
        return None
    if named:
        return _unit_guess(points, "percent")
    labelled, beyond = _labelled(points), _rows_outside(points, sizes)
    low, high, middle = values.min(axis=0), values.max(axis=0), np.median(values, axis=0)
    central = ((middle >= 100 * QUARTER) & (middle <= 100 * THREE_QUARTERS)).all()
    reach = _reach(points, sizes)
    unevenness = np.ptp(high) / max(high.max(), 1e-9)  # per cent go as far down as to the right, whatever the sides
    square = unevenness <= max(np.ptp(reach) / max(reach.max(), 1e-9), 0.15 * (high >= 70).all())
    if beyond.any():
        explained = (high >= 70).all() or central
        many = beyond.sum() >= max(MIN_OUTSIDE, CERTAIN_SHARE * labelled.sum())
        return _unit_guess(points, "percent", bool(many)) if (
            _too_many(beyond, labelled) and explained and square) else None
    likelihood = np.log(np.maximum(sizes[labelled], 100) / 100).sum()  # how much more likely than uniform pixels
    free = np.maximum(np.median(sizes[labelled], axis=0), 100) - (high - low)  # where the points might lie
    chance = float(np.prod(np.minimum((100 - (high - low)).clip(0) / free.clip(1e-9), 1)))
    offset = np.maximum(np.abs((low + high) / 2 - 50), 1)  # from the middle of 0 to 100
    centred = float(np.prod(np.minimum(2 * offset / free.clip(1e-9), 1)))
    centred = centred if (np.median(sizes[labelled], axis=0) >= NOT_100).all() else 1.0
    if likelihood < SAME_LIKELIHOOD:
        return None
    fills = (low <= 100 * QUARTER).all() and (high >= 100 * THREE_QUARTERS).all()
    is_quarter = np.abs(reach - 0.45).max() < 0.07 and unevenness > np.ptp(reach) / reach.max()  # of about 200 pixels
    tiny = (TINY_PART * sizes[labelled] >= 100).all()
    unlikely = chance < BY_CHANCE or centred < CENTRED_BY_CHANCE
    enough = labelled.sum() >= MIN_ROWS and (np.median(sizes[labelled], axis=0) >= MIN_SIDE).all()
    certain = enough and ((fills and unlikely and not is_quarter) or (central and tiny))
    possible = (central or fills) and (unlikely or chance < 0.1)
    return _unit_guess(points, "percent", bool(certain)) if certain or possible else None


def _reach(points: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Compute how far to the right and down points go, as parts of the sides of their images: [2]."""
    return np.nanmax(points / sizes[:, None], axis=(0, 1))


def _larger(points: np.ndarray, sizes: np.ndarray) -> Guess | None:
    """Points that lie outside, as those of larger copies do, or for no reason that is known."""
    labelled, beyond = _labelled(points), _rows_outside(points, sizes)
    share = beyond.sum() / max(labelled.sum(), 1)
    if not _too_many(beyond, labelled) or share < 0.2:
        return None
    reach = np.nanquantile((points / sizes[:, None]).reshape(-1, 2), 0.98, axis=0)
    hint = "numbers that are scaled to the sizes of these files"
    if reach.max() >= 1.15 and reach.min() >= 0.75 * reach.max():
        looks = f"those of larger copies: they reach {reach[0]:.3g} times the width and {reach[1]:.3g} times the height"
        return Guess(looks, "", hint, True, beyond)
    looks = "no pixels of these files: more than half are outside"
    return Guess(looks, "", hint, True, beyond) if share > 0.5 else None


def _smaller(points: np.ndarray, sizes: np.ndarray) -> Guess | None:
    """Points that fill the upper left part of all images, as those of smaller copies do."""
    parts = (points / sizes[:, None])[np.isfinite(points).all(axis=2)]
    low, high = parts.min(axis=0), parts.max(axis=0)
    reach = high.max()
    first, third = np.quantile(parts, (0.25, 0.75), axis=0)
    fills = (low <= QUARTER * reach).all() and (third - first >= 0.3 * reach).all() and high.min() >= 0.8 * reach
    likelihood = 2 * _labelled(points).sum() * np.log(1 / max(reach, 1e-9))
    if reach <= 0 or reach > SMALL_PART or likelihood < SAME_LIKELIHOOD or not (fills or reach <= TINY_PART):
        return None
    looks = f"those of smaller copies: none is beyond {high[0]:.3g} of the width and {high[1]:.3g} of the height"
    certain = bool(fills and reach <= TINY_PART)
    return Guess(looks, "", "numbers that are scaled to the sizes of these files, if so", certain, _labelled(points))


def _wrong_unit(points: np.ndarray, in_pixels: np.ndarray, sizes: np.ndarray) -> Guess | None:
    """Points that do not suit the unit that the user has named."""
    labelled, beyond = _labelled(points), _rows_outside(in_pixels, sizes * 1.1)
    if not _too_many(beyond, labelled) or beyond.sum() < 0.1 * labelled.sum():
        return None
    if not _too_many(_rows_outside(points, sizes), labelled):
        return Guess(WORDS["pixels"], "pixels", "the same without --coords", True, beyond)
    hint = "another of --coords pixels, fraction or percent"
    return guess_percent(points, sizes, True) or Guess("no such positions", "", hint, True, beyond)
