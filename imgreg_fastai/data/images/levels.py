"""Pictures of 16 and 32 bits: which of their numbers is shown black, and which white."""
import sys
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from PIL import Image

from ...utils.console import warn

DEEP = frozenset(("I;16", "I;16L", "I;16B", "I;16N", "I", "F"))  # Pillow's modes of more than 8 bits
SWAPPABLE = frozenset(f"{colours};16" for colours in ("RGB", "RGBA", "RGBX", *"RGBA"))  # LA;16B has no counterpart


class Levels(NamedTuple):
    """Lowest and highest number in a picture of more than 8 bits, and those that are shown black and white."""

    lowest: float
    highest: float
    black: float
    white: float


def warn_levels(found) -> None:
    """Warn of what is `odd` about the Levels of pictures."""
    for text, then in unusual_levels(found):
        warn(f"{text}: try {then}")


def unusual_levels(found) -> Iterator[tuple[str, str]]:
    """Where pictures of 16 or 32 bits lie beyond what is shown, or use little of it: (what is odd, what to do).

    `found`: their Levels, or None for others.
    """
    groups: dict[tuple, list[Levels]] = {}
    for levels in filter(None, found):
        groups.setdefault(levels[2:], []).append(levels)
    for ends, group in groups.items():
        (low, high), lowest, highest = sorted(ends), min(g.lowest for g in group), max(g.highest for g in group)
        slack, used = (high - low) / 100, highest - lowest
        if lowest < low - slack or highest > high + slack or 0 < used < (high - low) / 8:
            yield (f"pictures of 16 or 32 bits hold {lowest:.9g} to {highest:.9g}, where {low:.9g} to {high:.9g} is "
                   "shown", f"--range {lowest:.9g},{highest:.9g}, or what your camera can give")


def array_bits(array: np.ndarray, value_range=None) -> tuple[np.ndarray, Levels | None]:
    """An array [h, w] or [h, w, 3 or 4], uint8, uint16 or float, as uint8, and its Levels."""
    if array.dtype == np.uint8:
        return array, None
    ends = (0, 1) if array.dtype.kind == "f" else (0, 65535)
    levels = _levels(array[..., :3] if array.ndim == 3 else array, *(value_range or ends))
    shown = _shown(array, levels.black, levels.white)
    if array.shape[2:] == (4,):
        shown[..., 3] = _shown(array[..., 3], *ends)  # how clear a pixel is has nothing to do with how bright
    return shown, levels


def eight_bits(picture: Image.Image, value_range=None, again=None) -> tuple[Image.Image, Levels | None]:
    """A picture with no more than 8 bits for each number, and the Levels it had if they were more.

    `value_range`: the numbers that are black and white; without it the type tells. `again` opens the picture once more,
    which a `value_range` takes with colours of 16 bits; without it they have but 8.
    """
    tags, colours = getattr(picture, "tag_v2", {}), deep_colour(picture)
    bits, signed = tags.get(258, (16,))[0], tags.get(339, (1,))[0] == 2
    if colours:
        picture.tile = _tiles(picture)
    picture.load()
    if colours:
        return _colours(picture, value_range, again)
    if picture.mode not in DEEP:  # Pillow takes signed numbers of 8 bits for others
        return (picture.point(lambda v: v ^ 128) if signed and picture.mode == "L" else picture), None
    numbers = np.asarray(picture)
    if picture.mode == "I" and tags and bits == 32 and not signed:
        numbers = numbers.view(np.uint32)  # and those of 32 bits for signed
    ends = value_range or _ends(picture.mode, bits, signed)
    levels = _levels(numbers, *(ends[::-1] if tags.get(262) == 0 else ends))  # a TIFF may say that 0 is white
    return Image.fromarray(_shown(numbers, levels.black, levels.white)), levels


def _ends(mode: str, bits: int, signed: bool) -> tuple[float, float]:
    """What is black and white by type, whatever stands in a picture, so that brightness keeps its meaning.

    Whole numbers of 32 bits count as 16: cameras hardly give more, and some versions of Pillow make 32 bits of 16.
    """
    if mode == "F":
        return 0, 1
    return (-(1 << bits - 1), (1 << bits - 1) - 1) if signed and bits < 32 else (0, (1 << min(bits, 16)) - 1)


def deep_colour(picture: Image.Image) -> bool:
    """Whether a picture that is not decoded yet has colours of 16 bits, where Pillow's modes are as if they had 8."""
    return picture.mode in ("RGB", "RGBA") and any(";16" in _raw(t) for t in _tiles(picture))


def _tiles(picture: Image.Image) -> list[tuple]:
    """How Pillow is to decode the parts of a picture, without its fault: planes of 16 bits it takes for ones of 8."""
    tags, tiles = getattr(picture, "tag_v2", {}), getattr(picture, "tile", [])
    if tags.get(284) != 2 or tags.get(258, (8,))[0] != 16:
        return tiles
    order = "L" if tags.prefix == b"II" else "B"
    return [_with(t, f"{_raw(t)};16{order}") if _raw(t) in ("R", "G", "B", "A") else t for t in tiles]


def _raw(tile: tuple) -> str:
    """How the numbers lie in the file, by Pillow's names, such as "RGB;16B"."""
    found = tile[3][0] if isinstance(tile[3], tuple) and tile[3] else tile[3]
    return found if isinstance(found, str) else ""


def _with(tile: tuple, raw: str) -> tuple:
    args = (raw, *tile[3][1:]) if isinstance(tile[3], tuple) else raw
    return getattr(tile, "_make", tuple)((*tile[:3], args))  # a named one from Pillow 11 on


def _swapped(raw: str) -> str:
    big = raw[-1] == "B" or (raw[-1] == "N" and sys.byteorder == "big")
    return raw[:-1] + ("L" if big else "B")


def _colours(upper: Image.Image, value_range, again) -> tuple[Image.Image, Levels]:
    """Colours of 16 bits, of which Pillow keeps the `upper` 8; read with their bytes swapped, it keeps the lower."""
    if not value_range:
        lowest, highest = zip(*upper.getextrema()[:3], strict=True)
        return upper, Levels(min(lowest) * 257, max(highest) * 257, 0, 65535)
    numbers = np.asarray(upper)[..., :3].astype(np.uint16) * 257
    lower = again and again()
    if lower and all(_raw(t)[:-1] in SWAPPABLE for t in _tiles(lower)):
        lower.tile = [_with(t, _swapped(_raw(t))) for t in _tiles(lower)]
        numbers = (numbers & 0xFF00) | np.asarray(lower)[..., :3]
    shown = Image.fromarray(_shown(numbers, *value_range))
    if upper.mode == "RGBA":
        shown.putalpha(upper.getchannel("A"))
    return shown, _levels(numbers, *value_range)


def _levels(numbers: np.ndarray, black: float, white: float) -> Levels:
    known = numbers[np.isfinite(numbers)] if numbers.dtype.kind == "f" else numbers
    return Levels(*((float(known.min()), float(known.max())) if known.size else (black, black)), black, white)


def _shown(numbers: np.ndarray, black: float, white: float) -> np.ndarray:
    """Numbers of any type as uint8: `black` is 0, `white` 255, and what is not a number is black."""
    if numbers.dtype.itemsize == 2 and numbers.dtype.kind == "u" and numbers.size > 1 << 16:
        return _shown(np.arange(1 << 16), black, white)[numbers]
    exact = np.clip(numbers.astype(np.promote_types(numbers.dtype, np.float32)), *sorted((black, white)))
    return (np.nan_to_num((exact - black) * (255 / (white - black))) + 0.5).astype(np.uint8)
