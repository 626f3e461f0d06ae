"""The one way to open a picture and to bring it to the network's size, for training and predicting alike."""
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ...tasks.geometry import Placement, place_picture, region, upright_size
from ...utils.console import warn
from ...utils.errors import ImgregError, first_few
from .headers import (
    SHRINKS,
    ImageHeader,
    PictureError,
    naming_errors,
    open_lazily,
    orientation_tag,
    read_header,
    refuse_bomb,
    source_name,
)
from .levels import Levels, array_bits, eight_bits

__all__ = ["GREY", "SUFFIXES", "FittedImage", "ImageHeader", "LoadedImage", "PictureError", "find_images", "fit",
           "fit_images", "load_image", "open_picture", "read_header", "warn_broken"]

SUFFIXES = frozenset((".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".bmp", ".gif", ".tif",
                      ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".jp2"))
TURNS = dict(enumerate((
    Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.ROTATE_180, Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE, Image.Transpose.ROTATE_270, Image.Transpose.TRANSVERSE, Image.Transpose.ROTATE_90,
), start=2))  # what makes a picture upright, by its orientation tag (EXIF 2.3, tag 274)
SMALL = 1 << 16  # pixels, of which so few are decoded before it is known how many are needed
GREY = (124, 116, 104)  # ImageNet's mean, which normalisation turns into 0: padding that tells the network nothing


class Decoded(NamedTuple):
    """An upright RGB picture, maybe decoded smaller: its own `size` is the one that lies at `region` of `picture`."""

    picture: Image.Image
    size: tuple[int, int]
    region: tuple[float, float, float, float]
    levels: Levels | None


def open_picture(source, value_range: tuple[float, float] | None = None) -> Image.Image:
    """Open a path, bytes, an array or a Pillow picture as upright 8-bit RGB, of an animation the first frame.

    Orientation tags are obeyed, transparency is laid on white, colour profiles are left alone. `value_range`: the
    numbers that are black and white in 16- and 32-bit pictures; else their type tells, never their content. Arrays:
    [h, w] or [h, w, 1, 3 or 4], uint8, uint16 or float, in [0, 1] without `value_range`. Raises PictureError.
    """
    with naming_errors(source):
        return _decode(source, value_range).picture


def _decode(source, value_range=None, spare=None) -> Decoded:
    """`spare`: upright size -> how many times smaller the picture may be, if its format can be decoded so."""
    if isinstance(source, np.ndarray):
        picture, levels = _from_array(source, value_range)
        return Decoded(_rgb(picture), picture.size, (0, 0, *picture.size), levels)
    picture, orientation = open_lazily(source), 1
    stored = exact = picture.size
    if picture is not source:  # the caller's own stays as it is
        if spare and picture.format in SHRINKS and picture.width * picture.height > SMALL:
            orientation = orientation_tag(picture)
            exact = _shrunk(picture, spare(upright_size(stored, orientation)))
        # Memory is what a bomb costs, and decoding small saves it, but not where all of a progressive JPEG is held.
        refuse_bomb(stored if picture.info.get("progressive") else picture.size)
    eight, levels = eight_bits(picture, value_range, None if picture is source else lambda: open_lazily(source))
    upright = _upright(_rgb(eight), orientation_tag(picture))
    if exact == stored:
        return Decoded(upright, upright.size, (0, 0, *upright.size), levels)
    return Decoded(upright, upright_size(stored, orientation), region(exact, upright.size, orientation), levels)


def _upright(picture: Image.Image, orientation: int) -> Image.Image:
    """A copy that lies as it should, and no longer says how it was to be turned."""
    upright = picture.transpose(TURNS[orientation]) if orientation > 1 else picture.copy()
    for name in ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif"):
        upright.info.pop(name, None)
    return upright


def _shrunk(picture: Image.Image, spare: float) -> tuple[float, float]:
    """Have a picture decoded up to `spare` times smaller, and tell its new size before that was rounded up."""
    times = next((n for n in (8, 4, 2) if n <= spare), 1)
    drafted = times > 1 and picture.draft(None, (picture.width // times, picture.height // times))
    return drafted[1][2:] if drafted else picture.size


def _from_array(array: np.ndarray, value_range) -> tuple[Image.Image, Levels | None]:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if not (array.size and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4)))):
        raise PictureError("an array [h, w] or [h, w, 3]", f"shape {array.shape}")
    if array.dtype.kind != "f" and array.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise PictureError("an array of uint8, uint16 or float", f"{array.dtype}")
    shown, levels = array_bits(array, value_range)
    return Image.fromarray(shown), levels


def _rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "La":
        picture = picture.convert("LA")
    if picture.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")


class FittedImage(NamedTuple):
    """A picture as the network gets it: `pixels` uint8 [h, w, 3], its `view` [4], see views.py, and its Levels."""

    pixels: np.ndarray
    view: np.ndarray
    levels: Levels | None = None


class LoadedImage(NamedTuple):
    """What the network sees of a picture, RGB, at what place, and the levels the picture had."""

    picture: Image.Image
    place: Placement
    levels: Levels | None


def fit(picture: Image.Image, place: Placement) -> Image.Image:
    """The picture as `views.place` has it: its part in its place, grey around."""
    height, width = place.size
    x0, y0, x1, y1 = place.target
    if place.source == (0, 0, *picture.size) and (x1 - x0, y1 - y0) == picture.size:
        part = picture
    else:
        part = picture.resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR, box=place.source)
    if part.size == (width, height):
        return part
    whole = Image.new("RGB", (width, height), GREY)
    whole.paste(part, (x0, y0))
    return whole


def load_image(source, task, box=None) -> LoadedImage:
    """Open a picture as a Task sees it, whole or the `box` [4] of it.

    No more is decoded than that takes: of a large JPEG twice the network's pixels at least. The place is that in the
    whole upright picture all the same. Raises PictureError, also for a box that is none.
    """

    @cache
    def spot(size: tuple[int, int]) -> Placement:
        return _placed(source, size, task, box)

    with naming_errors(source):
        found = _decode(source, getattr(task, "value_range", None), lambda size: spot(size).spare)
        seen = spot(found.size)
        return LoadedImage(fit(found.picture, seen.within(found.size, found.region)), seen, found.levels)


def _placed(source, size: tuple[int, int], task, box) -> Placement:
    try:
        return place_picture(size, task.size, task.fit, box, task.margin)
    except ValueError as e:
        raise PictureError("a box within the picture", f"'{source_name(source)}': {e}") from e


def fit_images(sources, task, boxes=None, jobs: int | None = None) -> Iterator[FittedImage | PictureError]:
    """Open many pictures and bring them to a Task's size, on threads, in order; a broken one gives its PictureError.

    `boxes`: [n, 4] where the task has a box. Only a few pictures are opened ahead of those taken, so that any number of
    them fits into memory.
    """

    def one(source, box):
        seen = load_image(source, task, box)
        return FittedImage(np.asarray(seen.picture), seen.place.view, seen.levels)

    return map_ahead(one, jobs, sources, repeat(None) if boxes is None else boxes)


def image_views(sources, task, boxes=None, jobs: int | None = None) -> Iterator[np.ndarray | PictureError]:
    """As `fitted`, but the views [4] alone, by the headers: what is broken further on does not show."""

    def one(source, box):
        found = read_header(source)
        return _placed(source, (found.width, found.height), task, box).view

    return map_ahead(one, jobs, sources, repeat(None) if boxes is None else boxes)


def map_ahead(work, jobs: int | None, *sources) -> Iterator:
    """`work` of each, as `map` gives it, on threads, in order; or the PictureError it raised. A few are begun ahead."""

    def one(*of):
        try:
            return work(*of)
        except PictureError as e:
            return e

    jobs, begun = jobs or min(os.cpu_count() or 1, 8), deque()
    with ThreadPoolExecutor(jobs) as pool:
        for of in zip(*sources, strict=False):
            begun.append(pool.submit(one, *of))
            if len(begun) >= 8 * jobs:
                yield begun.popleft().result()
        while begun:
            yield begun.popleft().result()


def warn_broken(broken: list[PictureError], total: int) -> None:
    """Name and count, in one warning, the pictures of `total` that could not be opened."""
    if broken:
        named = first_few(e.actual for e in broken)
        warn(f"left out {len(broken)} of {total} pictures that cannot be used: {named}")


def find_images(places) -> list[str]:
    """The paths of pictures named by files, folders (searched below, sorted) and globs, in the order given.

    A file is taken whatever its name, and even if it is missing: opening it will tell, at no cost to the others.
    Raises ImgregError for a folder or a glob that holds no picture.
    """
    found: list[str] = []
    for named in map(str, places):
        if os.path.isdir(named):  # unlike Path's, these never raise, whatever the name
            more = sorted(str(p) for p in Path(named).rglob("*") if _is_picture(p))
        elif os.path.exists(named) or not any(c in named for c in "*?["):
            more = [named]
        else:
            more = _glob(named)
        if not more:
            raise ImgregError("pictures", f"none in '{named}'", "a file, a folder or a glob such as 'photos/*.jpg'")
        found += more
    return found


def _glob(pattern: str) -> list[str]:
    from glob import glob

    return sorted(p for p in glob(pattern, recursive=True) if _is_picture(Path(p)))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()
