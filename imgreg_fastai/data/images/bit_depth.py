"""Images of 16 and 32 bits are brought to 8: which of their numbers is shown black, and which white."""
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import TypeGuard

import numpy as np
from PIL import Image, ImageFile

from .levels import TAIL, Levels, measure_levels

DEEP_MODES = frozenset(("I;16", "I;16L", "I;16B", "I;16N", "I", "F"))  # Pillow's modes of more than 8 bits
SWAPPABLE = frozenset(f"{colours};16" for colours in ("RGB", "RGBA", "RGBX", *"RGBA"))  # LA;16B has no counterpart
OTHER_ORDER = {"L": "B", "B": "L", "N": "L" if sys.byteorder == "big" else "B"}  # of bytes, as raw modes end
# TIFF tags
BITS, PHOTOMETRIC, PLANES, SAMPLE_FORMAT, GDAL_NODATA = 258, 262, 284, 339, 42113
BLOCK = 1 << 22  # numbers that are converted at a time, which bounds the memory that this takes


def array_to_8_bits(array: np.ndarray, value_range: tuple[float, float] | None) -> tuple[np.ndarray, Levels | None]:
    """Convert an array to 8 bits.

    Args:
        array: Of numbers, [h, w] or [h, w, 3 or 4].
        value_range: The numbers that are black and white; by the type if None: 0 and 1 of floats, else 0 and 65535.

    Returns:
        The array as uint8, and its levels if it had more bits.
    """
    if array.dtype == np.uint8:
        return array, None
    ends = (0, 1) if np.issubdtype(array.dtype, np.floating) else (0, 65535)
    levels, valid = measure_levels(array[..., :3] if array.ndim == 3 else array, *(value_range or ends))
    shown = _to_8_bits(array[..., :3] if array.ndim == 3 else array, levels, valid)
    if array.shape[2:] == (4,):  # opacity has nothing to do with brightness
        opacity = _to_8_bits(array[..., 3], levels._replace(black=ends[0], white=ends[1]), None)
        shown = np.dstack([shown, opacity])
    return shown, levels


def eight_bits(picture: Image.Image, value_range: tuple[float, float] | None,
               reopen: Callable[[], Image.Image] | None) -> tuple[Image.Image, Levels | None]:
    """Convert an image to 8 bits for each number.

    Args:
        picture: The image, not yet decoded.
        value_range: The numbers that are black and white; by the type if None.
        reopen: Opens the image once more: of colours of 16 bits Pillow reads only the upper or the lower 8 at a time,
            and a `value_range` needs both. If None, the upper 8 have to do.

    Returns:
        The image, and its levels if it had more bits.
    """
    if has_deep_colour(picture):
        picture.tile = _tiles(picture)
        return _colours_to_8_bits(picture, value_range, reopen)
    tags, nodata = getattr(picture, "tag_v2", {}), _nodata_tag(picture)
    bits, signed = tags.get(BITS, (16,))[0], tags.get(SAMPLE_FORMAT, (1,))[0] == 2
    picture.load()
    if picture.mode not in DEEP_MODES:
        if signed and picture.mode == "L":  # Pillow reads signed numbers of 8 bits as unsigned
            picture = picture.point(lambda v: v ^ 128)
        return picture, None
    numbers = np.asarray(picture)
    if picture.mode == "I" and tags and bits == 32 and not signed:
        numbers = numbers.view(np.uint32)  # Pillow reads unsigned numbers of 32 bits as signed
    # Black and white go by the type, whatever an image holds, so that brightness keeps its meaning. White is 65535 for
    # whole numbers of 32 bits, too: cameras hardly give more, and some versions of Pillow make 32 bits of 16.
    ends: tuple[float, float] = (0, (1 << min(bits, 16)) - 1)
    if picture.mode == "F":
        ends = (0, 1)
    elif signed and bits < 32:
        ends = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
    black, white = value_range or ends
    if tags.get(PHOTOMETRIC) == 0:  # white is 0
        black, white = white, black
    levels, valid = measure_levels(numbers, black, white, nodata)
    return Image.fromarray(_to_8_bits(numbers, levels, valid)), levels


def _nodata_tag(picture: Image.Image) -> float | None:
    """Return the number that stands for "no data" by GDAL's tag of a TIFF."""
    with suppress(ValueError, TypeError):  # no number, or no tag
        return float(str(getattr(picture, "tag_v2", {}).get(GDAL_NODATA)).strip(" \0"))
    return None


def has_deep_colour(picture: Image.Image) -> TypeGuard[ImageFile.ImageFile]:
    """Tell whether an image that is not decoded yet has colours of 16 bits, for which Pillow's modes say 8."""
    return picture.mode in ("RGB", "RGBA") and any(";16" in _raw_mode(tile) for tile in _tiles(picture))


def _tiles(picture: Image.Image) -> list:
    """Return how Pillow decodes the parts of an image, mended where it takes planes of 16 bits for ones of 8."""
    tags, tiles = getattr(picture, "tag_v2", None), getattr(picture, "tile", [])
    if not tags or tags.get(PLANES) != 2 or tags.get(BITS, (8,))[0] != 16:
        return tiles
    order = "L" if tags.prefix == b"II" else "B"
    return [_with_raw_mode(tile, f"{_raw_mode(tile)};16{order}") if _raw_mode(tile) in ("R", "G", "B", "A") else tile
            for tile in tiles]


def _raw_mode(tile: tuple) -> str:
    """Return how the numbers lie in the file, by Pillow's names, such as "RGB;16B"."""
    arguments = tile[3]
    mode = arguments[0] if isinstance(arguments, tuple) and arguments else arguments
    return mode if isinstance(mode, str) else ""


def _with_raw_mode(tile: tuple, mode: str):
    arguments = (mode, *tile[3][1:]) if isinstance(tile[3], tuple) else mode
    return getattr(tile, "_make", tuple)((*tile[:3], arguments))  # a NamedTuple from Pillow 11 on


def _colours_to_8_bits(upper: Image.Image, value_range: tuple[float, float] | None,
                       reopen: Callable[[], Image.Image] | None) -> tuple[Image.Image, Levels]:
    """Convert colours of 16 bits, of which Pillow keeps the `upper` 8; read with bytes swapped, it keeps the lower."""
    nodata = _nodata_tag(upper)
    if not value_range and not nodata:  # without data is black anyway, or unknown
        return upper, _levels_of_upper(upper)
    black, white = value_range or (0, 65535)
    numbers = np.asarray(upper)[..., :3].astype(np.uint16) * 257
    lower = reopen() if reopen else None
    if lower and has_deep_colour(lower) and all(_raw_mode(tile)[:-1] in SWAPPABLE for tile in _tiles(lower)):
        lower.tile = [_with_raw_mode(tile, _raw_mode(tile)[:-1] + OTHER_ORDER[_raw_mode(tile)[-1]])
                      for tile in _tiles(lower)]
        numbers = (numbers & 0xFF00) | np.asarray(lower)[..., :3]
    levels, valid = measure_levels(numbers, black, white, nodata)
    shown = Image.fromarray(_to_8_bits(numbers, levels, valid))
    if upper.mode == "RGBA":
        shown.putalpha(upper.getchannel("A"))
    return shown, levels


def _levels_of_upper(upper: Image.Image) -> Levels:
    """Return the levels of colours of 16 bits by the upper 8: as far as the lower 8 may reach."""
    counts = np.reshape(upper.histogram(), (-1, 256))[:3].sum(axis=0)
    used, share = np.flatnonzero(counts), np.cumsum(counts) / counts.sum()
    low, high = (int(np.argmax(share >= q)) for q in (TAIL, 1 - TAIL))
    lowest = int(used[0]) << 8
    highest = int(used[-1]) << 8 | 255 if len(used) > 1 else lowest  # an image of one number stays flat
    return Levels(low << 8, high << 8 | 255, 0, 65535, lowest, highest)


def _to_8_bits(numbers: np.ndarray, levels: Levels, valid: np.ndarray | None) -> np.ndarray:
    """Convert numbers of any type to uint8: `black` becomes 0, `white` 255; what is no data, and NaN, is shown as 0."""
    if numbers.dtype.newbyteorder("=") == np.uint16 and numbers.size > 1 << 16:  # a table of all numbers is faster
        shown = _to_8_bits(np.arange(1 << 16), levels, None)[numbers]
    else:
        shown = np.empty(numbers.shape, np.uint8)
        rows = max(1, BLOCK // max(1, numbers[0].size))
        for i in range(0, len(numbers), rows):
            shown[i : i + rows] = _block_to_8_bits(numbers[i : i + rows], levels.black, levels.white)
    if valid is not None:
        shown[~valid] = 0
    return shown


def _block_to_8_bits(numbers: np.ndarray, black: float, white: float) -> np.ndarray:
    numbers = numbers.astype(np.promote_types(numbers.dtype, np.float32))
    clipped = np.clip(numbers, min(black, white), max(black, white))
    return (np.nan_to_num((clipped - black) * (255 / (white - black))) + 0.5).astype(np.uint8)
