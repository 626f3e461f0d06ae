"""Opening an image and bringing it to the network's size: the one way, for training and predicting alike."""
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import repeat
from typing import NamedTuple, TypeVar

import numpy as np
from PIL import Image

from ...tasks import Task
from ...tasks.geometry import Box, Placement, place_picture, region, upright_size
from ...utils.messages import first_few, warn
from . import files
from .files import File, PictureError, Source
from .levels import Levels, array_bits, eight_bits

T = TypeVar("T")
Transpose = Image.Transpose
# What makes an image upright, by its orientation tag (EXIF 2.3, tag 274).
TURNS = {2: Transpose.FLIP_LEFT_RIGHT, 3: Transpose.ROTATE_180, 4: Transpose.FLIP_TOP_BOTTOM, 5: Transpose.TRANSPOSE,
         6: Transpose.ROTATE_270, 7: Transpose.TRANSVERSE, 8: Transpose.ROTATE_90}
METADATA = ("exif", "xmp", "XML:com.adobe.xmp", "Raw profile type exif")  # may say how to turn an image
SMALL_PIXELS = 1 << 16  # an image of so few pixels is decoded at full size
GREY = (124, 116, 104)  # ImageNet's mean, which normalisation turns into 0: padding without information
MAX_JOBS, AHEAD = 8, 8  # threads at most, and images that are begun ahead for each


class Decoded(NamedTuple):
    """An upright RGB image, which may be decoded smaller.

    Attributes:
        picture: The image as decoded.
        size: Its own width and height.
        region: Where all of it lies in `picture`.
        levels: Its levels, where it has more than 8 bits.
    """

    picture: Image.Image
    size: tuple[int, int]
    region: Box
    levels: Levels | None


class LoadedImage(NamedTuple):
    """What the network sees of an image: the RGB `picture`, its `place` in the image, and the image's levels."""

    picture: Image.Image
    place: Placement
    levels: Levels | None


class FittedImage(NamedTuple):
    """An image as the network gets it: `pixels` uint8 [h, w, 3], its `view` [4] (see geometry), and its levels."""

    pixels: np.ndarray
    view: np.ndarray
    levels: Levels | None = None


def open_picture(source: Source, value_range: tuple[float, float] | None = None) -> Image.Image:
    """Open an image as upright 8-bit RGB; of an animation the first frame.

    Orientation tags are obeyed, transparency is laid on white, colour profiles are ignored.

    Args:
        source: A path, bytes, a Pillow image, or an array [h, w] or [h, w, 1, 3 or 4] of uint8, uint16 or float (in
            [0, 1] without `value_range`).
        value_range: The numbers that are black and white in images of 16 and 32 bits; by their type if left out.

    Raises:
        PictureError: It cannot be opened.
    """
    with files.naming_errors(source):
        return _decode(source, value_range).picture


def _decode(source: Source, value_range: tuple[float, float] | None,
            spare: Callable[[tuple[int, int]], float] | None = None) -> Decoded:
    """Decode an image; `spare`: upright size -> how many times smaller it may be, where its format allows it."""
    if isinstance(source, np.ndarray):
        picture, levels = _from_array(source, value_range)
        return Decoded(_to_rgb(picture), picture.size, (0, 0, *picture.size), levels)
    # 1. Read the header, and have a large JPEG decoded smaller.
    picture, draft = files.open_lazily(source), None
    size = picture.size
    if picture is not source:  # the caller's own image stays as it is
        if spare and picture.format in files.SHRINKABLE and size[0] * size[1] > SMALL_PIXELS:
            most = spare(upright_size(size, files.orientation_tag(picture)))
            factor = next((n for n in (8, 4, 2) if n <= most), 1)
            draft = picture.draft(None, (size[0] // factor, size[1] // factor)) if factor > 1 else None
        # Decoding at a smaller size saves memory, but not where all of a progressive JPEG is held.
        files.refuse_bomb(size if picture.info.get("progressive") else picture.size)
    # 2. Decode it, and turn a copy upright that no longer says how to turn it.
    eight, levels = eight_bits(picture, value_range, None if picture is source else lambda: files.open_lazily(source))
    rgb, orientation = _to_rgb(eight), files.orientation_tag(picture)
    upright = rgb.transpose(TURNS[orientation]) if orientation > 1 else rgb.copy()
    for name in METADATA:
        upright.info.pop(name, None)
    if not draft:
        return Decoded(upright, upright.size, (0, 0, *upright.size), levels)
    exact_size = draft[1][2:]  # before it was rounded up to whole pixels
    return Decoded(upright, upright_size(size, orientation), region(exact_size, upright.size, orientation), levels)


def _from_array(array: np.ndarray, value_range: tuple[float, float] | None) -> tuple[Image.Image, Levels | None]:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if not (array.size and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4)))):
        raise PictureError("an array [h, w] or [h, w, 3]", f"shape {array.shape}")
    if not np.issubdtype(array.dtype, np.floating) and array.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise PictureError("an array of uint8, uint16 or float", f"{array.dtype}")
    shown, levels = array_bits(array, value_range)
    return Image.fromarray(shown), levels


def _to_rgb(picture: Image.Image) -> Image.Image:
    if picture.mode == "La":
        picture = picture.convert("LA")
    if picture.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")


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
        decoded = _decode(source, task.value_range, lambda size: _place(source, size, task, box).spare)
        place = _place(source, decoded.size, task, box)
        return LoadedImage(fit(decoded.picture, place.within(decoded.size, decoded.region)), place, decoded.levels)


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
        return FittedImage(np.asarray(loaded.picture), loaded.place.view, loaded.levels)

    return map_ahead(load, sources, repeat(None) if boxes is None else boxes)


def image_views(sources: Iterable[File], task: Task,
                boxes: np.ndarray | None = None) -> Iterator[np.ndarray | PictureError]:
    """Yield the views [4] alone, by the headers; what is broken further on does not show. See fit_images."""

    def view(source, box):
        header = files.read_header(source)
        return _place(source, (header.width, header.height), task, box).view

    return map_ahead(view, sources, repeat(None) if boxes is None else boxes)


def known_views(sources: Iterable[File], task: Task, boxes: np.ndarray | None = None) -> np.ndarray:
    """Return the views [n, 4] of `image_views`, NaN where there is none."""
    views = [np.full(4, np.nan) if isinstance(view, PictureError) else view
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
        warn(f"left out {len(broken)} of {total} images that cannot be used: {first_few(e.actual for e in broken)}")
