"""Opening an image and bringing it to the network's size: the one way, for training and predicting alike."""
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import repeat
from typing import Any, NamedTuple, TypeVar

import numpy as np
from PIL import Image

from ...tasks import Task
from ...tasks.geometry import Box, Placement, place_picture, region, upright_size
from ...utils.messages import first_few, warn
from . import files, pillow
from .arrays import array_to_picture, as_source
from .bit_depth import eight_bits
from .files import File, PictureError, Source
from .levels import Levels
from .unused import SHRINKABLE, Unused, unused_parts

T = TypeVar("T")
Transpose = Image.Transpose
# What makes an image upright, by its orientation tag (EXIF 2.3, tag 274).
TURNS = {2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
         6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90}
REDUCIBLE = ("L", "LA", "RGB", "RGBA", "CMYK")  # Pillow's modes of which neighbours can be averaged
HUGE_PIXELS = 89_478_485  # Pillow's limit: images above it are averaged down before they are copied
METADATA = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")  # may say how to turn an image
SMALL_PIXELS = 1 << 16  # an image of so few pixels is decoded at full size
GREY = (124, 116, 104)  # ImageNet's mean, which normalisation turns into 0: padding without information
MAX_REASONS = 4  # why images cannot be opened, in one message
MAX_JOBS, AHEAD = 8, 8  # threads at most, and images that are begun ahead for each


class Decoded(NamedTuple):
    """An upright RGB image, which may be decoded smaller.

    Attributes:
        picture: The image as decoded.
        size: Its own width and height.
        region: Where all of it lies in `picture`.
        levels: Its levels, where it has more than 8 bits.
        unused: What of it is not in `picture`.
    """

    picture: Image.Image
    size: tuple[int, int]
    region: Box
    levels: Levels | None
    unused: Unused


class LoadedImage(NamedTuple):
    """What the network sees of an image: the RGB `picture`, its `place` in the image; its levels, what is not used."""

    picture: Image.Image
    place: Placement
    levels: Levels | None
    unused: Unused


class FittedImage(NamedTuple):
    """An image as the network gets it.

    Attributes:
        pixels: uint8 [h, w, 3].
        view: Its view [4], see geometry.
        levels: Its levels, where it has more than 8 bits.
        unused: What of it is not used.
    """

    pixels: np.ndarray
    view: np.ndarray
    levels: Levels | None = None
    unused: Unused = Unused()


class HeaderView(NamedTuple):
    """What a header says of an image as the network gets it: its view [4], and what of it is not used."""

    view: np.ndarray
    unused: Unused


def open_picture(source: Source, value_range: tuple[float, float] | None = None,
                 max_pixels: int | None = None) -> Image.Image:
    """Open an image as upright 8-bit RGB; of an animation the first frame.

    Orientation tags are obeyed, transparency is laid on white, colour profiles are ignored.

    Args:
        source: A path, bytes, an open file, a Pillow image, a tensor, or an array; see array_to_picture.
        value_range: The numbers that are black and white in images of 16 and 32 bits; by their type if left out.
        max_pixels: The most pixels to decode; None: Pillow's limit.

    Raises:
        PictureError: It cannot be opened.
    """
    with files.naming_errors(source):
        return _decode(source, value_range, max_pixels).picture


def _decode(source: Any, value_range: tuple[float, float] | None, max_pixels: int | None = None,
            spare: Callable[[tuple[int, int]], float] | None = None) -> Decoded:
    """Decode an image; `spare`: upright size -> how many times smaller it may be, where its format allows it."""
    source = as_source(source)
    if isinstance(source, np.ndarray):
        picture, levels = array_to_picture(source, value_range)
        rgb, transparent = _to_rgb(picture)
        return Decoded(rgb, rgb.size, (0, 0, *rgb.size), levels, _unused(Unused(), transparent, levels))
    if isinstance(source, Image.Image):  # the caller's own stays as it is
        return _to_upright(source, eight_bits(source, value_range, None), source.size, None, Unused())
    with files.open_lazily(source) as picture, pillow.without_limit(picture.size):
        # 1. Read the header, and have a large JPEG decoded smaller.
        size, unused, exact_size = picture.size, unused_parts(picture), None
        most = spare(upright_size(size, files.orientation_tag(picture))) if spare and _is_large(picture) else 1.0
        factor = next((n for n in (8, 4, 2) if n <= most), 1)
        if factor > 1 and picture.format in SHRINKABLE:
            draft = picture.draft(None, (size[0] // factor, size[1] // factor))
            exact_size = draft and draft[1][2:]  # before it was rounded up to whole pixels
        # Decoding at a smaller size saves memory, but not where all of a progressive JPEG is held.
        pillow.refuse_bomb(size if picture.info.get("progressive") else picture.size, max_pixels)
        # 2. Decode it; one that Pillow's own limit would have refused is made smaller before any copy.
        eight, levels = eight_bits(picture, value_range, lambda: files.open_lazily(source))
        if factor > 1 and not exact_size and eight.mode in REDUCIBLE and "transparency" not in eight.info:
            exact_size = size[0] / factor, size[1] / factor
            eight = eight.reduce(factor)
        return _to_upright(picture, (eight, levels), size, exact_size, unused)


def _to_upright(picture: Image.Image, decoded: tuple[Image.Image, Levels | None], size: tuple[int, int],
                exact_size: tuple[float, float] | None, unused: Unused) -> Decoded:
    """Turn a copy of a decoded image upright; it no longer says how to turn it.

    Args:
        picture: The image.
        decoded: It in 8 bits, and its levels.
        size: Its width and height.
        exact_size: Those as decoded, before they were rounded to whole pixels; None if it was not made smaller.
        unused: What of it is not used, by its header.
    """
    (rgb, transparent), orientation = _to_rgb(decoded[0]), files.orientation_tag(picture)
    copied = rgb.copy() if rgb is picture and orientation == 1 else rgb
    upright = rgb.transpose(TURNS[orientation]) if orientation > 1 else copied
    for name in METADATA:
        upright.info.pop(name, None)
    place = region(exact_size, upright.size, orientation) if exact_size else (0, 0, *upright.size)
    return Decoded(upright, upright_size(size, orientation), place, decoded[1],
                   _unused(unused, transparent, decoded[1]))


def _is_large(picture: Image.Image) -> bool:
    """Tell whether an image is decoded smaller, or made smaller at once, where the network needs less."""
    return picture.width * picture.height > (SMALL_PIXELS if picture.format in SHRINKABLE else HUGE_PIXELS)


def _unused(by_header: Unused, transparent: bool, levels: Levels | None) -> Unused:
    return by_header._replace(transparent=transparent, nodata=levels.nodata if levels else "")


def _to_rgb(picture: Image.Image) -> tuple[Image.Image, bool]:
    """Return an image as RGB, laid on white, and whether any of it is transparent."""
    if picture.mode == "La":
        picture = picture.convert("LA")
    if picture.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        if rgba.getchannel("A").histogram()[255] < rgba.width * rgba.height:  # not all of it is opaque
            return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB"), True
        return rgba.convert("RGB"), False
    return (picture if picture.mode == "RGB" else picture.convert("RGB")), False


def fit(picture: Image.Image, place: Placement) -> Image.Image:
    """Show the part of an image that a placement says, where it says, with grey around it."""
    height, width = place.size
    x0, y0, x1, y1 = place.target
    part = picture
    if place.source != (0, 0, *picture.size) or (x1 - x0, y1 - y0) != picture.size:
        part = picture.resize((x1 - x0, y1 - y0), Image.Resampling.BILINEAR, box=place.source)
    if part.size == (width, height):
        return part
    padded = Image.new("RGB", (width, height), GREY)
    padded.paste(part, (x0, y0))
    return padded


def load_image(source: Source, task: Task, box: Sequence[float] | None = None) -> LoadedImage:
    """Open an image as a Task sees it.

    No more is decoded than that takes: of a large JPEG at least twice the network's pixels. The placement is that in
    the image at full size all the same.

    Args:
        source: See open_picture.
        task: The Task.
        box: The part to see, [4]; None: all of the image.

    Raises:
        PictureError: It cannot be opened, or the box lies outside it.
    """
    with files.naming_errors(source):
        decoded = _decode(source, task.value_range, task.max_pixels, lambda size: _place(source, size, task, box).spare)
        place = _place(source, decoded.size, task, box)
        fitted = fit(decoded.picture, place.within(decoded.size, decoded.region))
        return LoadedImage(fitted, place, decoded.levels, decoded.unused)


def _place(source: Source, size: tuple[int, int], task: Task, box: Sequence[float] | None) -> Placement:
    try:
        return place_picture(size, task.size, task.fit, box, task.margin)
    except ValueError as e:
        raise PictureError("a box within the image", f"'{files.source_name(source)}': {e}") from e


def fit_images(sources: Iterable[Source], task: Task,
               boxes: np.ndarray | None = None) -> Iterator[FittedImage | PictureError]:
    """Open many images and bring them to a Task's size, on threads, in order.

    Only a few images are opened ahead of those taken, so that any number of them fits into memory.

    Args:
        sources: See open_picture.
        task: The Task.
        boxes: The part of each image to see, [n, 4]; None: all of it.

    Yields:
        The image, or the PictureError of a broken one.
    """

    def load(source, box):
        loaded = load_image(source, task, box)
        return FittedImage(np.asarray(loaded.picture), loaded.place.view, loaded.levels, loaded.unused)

    return map_ahead(load, sources, repeat(None) if boxes is None else boxes)


def image_views(sources: Iterable[File], task: Task,
                boxes: np.ndarray | None = None) -> Iterator[HeaderView | PictureError]:
    """Yield what the headers alone say; what is broken further on does not show. See fit_images."""

    def view(source, box):
        header = files.read_header(source, task.max_pixels)
        place = _place(source, (header.width, header.height), task, box)
        return HeaderView(place.view, Unused(header.bands, header.frames - 1))

    return map_ahead(view, sources, repeat(None) if boxes is None else boxes)


def known_views(sources: Iterable[File], task: Task, boxes: np.ndarray | None = None) -> np.ndarray:
    """Return the views [n, 4] of `image_views`, NaN where there is none."""
    views = [np.full(4, np.nan) if isinstance(view, PictureError) else view.view
             for view in image_views(sources, task, boxes)]
    return np.reshape(views, (-1, 4))


def map_ahead(function: Callable[..., T], *sources: Iterable) -> Iterator[T | PictureError]:
    """Map a function over sources on threads, in order, a few ahead; a PictureError that it raises is the result."""

    def result(*arguments):
        try:
            return function(*arguments)
        except PictureError as e:
            return e

    jobs = min(os.cpu_count() or 1, MAX_JOBS)
    pending: deque[Future[T | PictureError]] = deque()
    with ThreadPoolExecutor(jobs) as pool:
        for arguments in zip(*sources, strict=False):
            pending.append(pool.submit(result, *arguments))
            if len(pending) >= AHEAD * jobs:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


def warn_broken(broken: list[PictureError], total: int) -> None:
    """Warn of the images, of `total`, that cannot be opened."""
    if broken:
        warn(f"left out {len(broken)} of {total} images that cannot be used: {describe_broken(broken)}")


def describe_broken(broken: Iterable[PictureError]) -> str:
    """List images that cannot be opened, with the reason of each; those of one reason together."""
    groups: dict[str, list[str]] = {}
    for error in broken:
        name, separator, reason = (error.actual or "").partition("': ")
        reason = reason + (f" ({error.hint})" if error.hint else "") if separator else ""
        groups.setdefault(reason, []).append(f"{name}'" if separator else name)
    texts = [f"{first_few(names)}: {reason}" if reason else first_few(names) for reason, names in groups.items()]
    rest = f"; and {len(texts) - MAX_REASONS} other reasons" if len(texts) > MAX_REASONS else ""
    return "; ".join(texts[:MAX_REASONS]) + rest
