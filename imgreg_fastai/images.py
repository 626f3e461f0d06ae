"""The one way to open a picture and to bring it to the network's size, for training and predicting alike."""
import io
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from .errors import ImgregError, some
from .messages import warn
from .views import Place, place

SUFFIXES = frozenset((".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff",
                      ".ppm", ".pgm", ".pbm", ".avif", ".jp2"))
# The number that is white, by Pillow's mode. Fixed by type and never by content, so that brightness keeps its meaning.
WHITE = {"I;16": 65535, "I;16L": 65535, "I;16B": 65535, "I;16N": 65535, "I": 65535, "F": 1.0}
GREY = (124, 116, 104)  # ImageNet's mean, which normalisation turns into 0: padding that tells the network nothing


class PictureError(ImgregError):
    """A picture that cannot be opened. It is named, counted and left out; it never costs the batch."""


def open_picture(source) -> Image.Image:
    """Open a path, bytes, an array or a Pillow picture as upright 8-bit RGB, of an animation the first frame.

    Orientation tags are obeyed, transparency is laid on white, 16-bit and float pictures are scaled by their type's
    range. Arrays: [h, w] or [h, w, 1, 3 or 4], uint8, uint16 or float in [0, 1]. Raises PictureError.
    """
    name = _name(source)
    try:
        return _upright_rgb(_read(source))
    except FileNotFoundError:
        raise PictureError("a picture", f"no file '{name}'") from None
    except PictureError:
        raise
    except Exception as e:  # Pillow's plugins raise almost anything on a broken file
        reason = "not a picture Pillow can read" if isinstance(e, Image.UnidentifiedImageError) else _reason(e)
        raise PictureError("a picture", f"'{name}': {reason}") from e


def _name(source) -> str:
    return str(source) if isinstance(source, (str, os.PathLike)) else type(source).__name__


def _reason(e: Exception) -> str:
    return getattr(e, "strerror", None) or str(e) or repr(e)


def _read(source) -> Image.Image:
    if isinstance(source, Image.Image):
        return source
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, (bytes, bytearray)):
        source = io.BytesIO(source)
    picture = Image.open(source)
    # Pillow only warns of what may be a decompression bomb, and warnings cannot be made errors within one thread.
    if picture.width * picture.height > (Image.MAX_IMAGE_PIXELS or float("inf")):
        raise ValueError(f"{picture.width} x {picture.height} pixels, more than {Image.MAX_IMAGE_PIXELS}")
    return picture


def _from_array(array: np.ndarray) -> Image.Image:
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if not (array.size and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4)))):
        raise PictureError("an array [h, w] or [h, w, 3]", f"shape {array.shape}")
    if array.dtype.newbyteorder("=") == np.uint16:
        array = array / np.float32(65535)
    if array.dtype.kind == "f":
        array = (np.clip(np.nan_to_num(array), 0, 1) * 255 + 0.5).astype(np.uint8)
    if array.dtype != np.uint8:
        raise PictureError("an array of uint8, uint16 or float", f"{array.dtype}")
    return Image.fromarray(array)


def _upright_rgb(picture: Image.Image) -> Image.Image:
    picture.load()
    picture = ImageOps.exif_transpose(picture)
    if picture.mode in WHITE:
        scaled = np.asarray(picture, np.float32) * (255 / WHITE[picture.mode])
        picture = Image.fromarray((np.clip(np.nan_to_num(scaled), 0, 255) + 0.5).astype(np.uint8))
    if picture.mode in ("RGBA", "LA", "PA", "RGBa") or "transparency" in picture.info:
        rgba = picture.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    return picture if picture.mode == "RGB" else picture.convert("RGB")


class Fitted(NamedTuple):
    """A picture as the network gets it: `pixels` uint8 [h, w, 3], and its `view` [4], see views.py."""

    pixels: np.ndarray
    view: np.ndarray


def fit(picture: Image.Image, place: Place) -> Image.Image:
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


def fitted(sources, task, boxes=None, jobs: int | None = None) -> Iterator[Fitted | PictureError]:
    """Open many pictures and bring them to a Task's size, on threads, in order; a broken one gives its PictureError.

    `boxes`: [n, 4] where the task has a box. Only a few pictures are opened ahead of those taken, so that any number of
    them fits into memory.
    """

    def one(source, box):
        try:
            picture = open_picture(source)
            spot = place(picture.size, task.size, task.fit, box, task.margin)
            return Fitted(np.asarray(fit(picture, spot)), spot.view)
        except PictureError as e:
            return e
        except ValueError as e:
            return PictureError("a box within the picture", f"'{_name(source)}': {e}")

    jobs, ahead = jobs or min(os.cpu_count() or 1, 8), deque()
    with ThreadPoolExecutor(jobs) as pool:
        for source, box in zip(sources, repeat(None) if boxes is None else boxes, strict=False):
            ahead.append(pool.submit(one, source, box))
            if len(ahead) >= 8 * jobs:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def tell_broken(broken: list[PictureError], total: int) -> None:
    """Name and count, in one warning, the pictures of `total` that could not be opened."""
    if broken:
        named = some(e.found for e in broken)
        warn(f"left out {len(broken)} of {total} pictures that cannot be used: {named}")


def find(places) -> list[str]:
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
