"""The one way to open a picture and to bring it to the network's size, for training and predicting alike."""
import io
import os
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from .errors import ImgregError, some
from .messages import warn

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
    name = str(source) if isinstance(source, (str, os.PathLike)) else type(source).__name__
    try:
        return _upright_rgb(_read(source))
    except FileNotFoundError:
        raise PictureError("a picture", f"no file '{name}'") from None
    except PictureError:
        raise
    except Exception as e:  # Pillow's plugins raise almost anything on a broken file
        reason = "not a picture Pillow can read" if isinstance(e, Image.UnidentifiedImageError) else _reason(e)
        raise PictureError("a picture", f"'{name}': {reason}") from e


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


def fit(picture: Image.Image, size: tuple[int, int], policy: str = "pad") -> Image.Image:
    """Bring a picture to `size` (height, width): `pad` keeps all of it, `crop` its middle, `squish` bends its shape."""
    height, width = size
    if picture.size == (width, height):
        return picture
    if policy == "squish":
        return picture.resize((width, height), Image.Resampling.BILINEAR)
    if policy == "crop":
        return ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR)
    return ImageOps.pad(picture, (width, height), Image.Resampling.BILINEAR, color=GREY)


def fitted(sources, size: tuple[int, int], policy: str, jobs: int | None = None):
    """Open and fit many pictures on threads, in order: yields uint8 [h, w, 3], or the PictureError of a broken one.

    Only a few pictures are opened ahead of those taken, so that any number of them fits into memory.
    """

    def one(source):
        try:
            return np.asarray(fit(open_picture(source), size, policy))
        except PictureError as e:
            return e

    jobs, ahead = jobs or min(os.cpu_count() or 1, 8), deque()
    with ThreadPoolExecutor(jobs) as pool:
        for source in sources:
            ahead.append(pool.submit(one, source))
            if len(ahead) >= 8 * jobs:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


def tell_broken(broken: list[PictureError], total: int) -> None:
    """Name and count, in one warning, the pictures of `total` that could not be opened."""
    if broken:
        named = some(e.found for e in broken)
        warn(f"left out {len(broken)} of {total} pictures that cannot be opened: {named}")


def find(places) -> list[str]:
    """The paths of pictures named by files, folders (searched below, sorted) and globs, in the order given.

    A file is taken whatever its name, and even if it is missing: opening it will tell, at no cost to the others.
    Raises ImgregError for a folder or a glob that holds no picture.
    """
    found: list[str] = []
    for place in map(str, places):
        if os.path.isdir(place):  # unlike Path's, these never raise, whatever the name
            more = sorted(str(p) for p in Path(place).rglob("*") if _is_picture(p))
        elif os.path.exists(place) or not any(c in place for c in "*?["):
            more = [place]
        else:
            more = _glob(place)
        if not more:
            raise ImgregError("pictures", f"none in '{place}'", "a file, a folder or a glob such as 'photos/*.jpg'")
        found += more
    return found


def _glob(pattern: str) -> list[str]:
    from glob import glob

    return sorted(p for p in glob(pattern, recursive=True) if _is_picture(Path(p)))


def _is_picture(path: Path) -> bool:
    return path.suffix.lower() in SUFFIXES and path.is_file()
