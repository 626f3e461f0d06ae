"""The files of images: finding them, what their headers say before any pixel is read, and the errors of images."""
import io
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from glob import glob
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from ...tasks.geometry import upright_size
from ...utils.messages import ImgregError, error_reason
from .levels import has_deep_colour

SUFFIXES = frozenset((".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".bmp", ".gif", ".tif",
                      ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".jp2"))
SHRINKABLE = frozenset(("JPEG", "MPO"))  # formats that can be decoded at a half, a quarter or an eighth of their size
File: TypeAlias = str | os.PathLike | bytes | Image.Image
Source: TypeAlias = File | np.ndarray  # what is opened as an image


def find_images(paths: Iterable[str | os.PathLike]) -> list[str]:
    """Find the images that files, folders (searched below, sorted) and globs name, in this order.

    A file is taken whatever its name, even if it does not exist: it is reported when it is opened.

    Args:
        paths: Paths or globs.

    Raises:
        ImgregError: A folder or a glob holds no image.
    """
    files: list[str] = []
    for path in map(str, paths):
        if os.path.isdir(path):  # unlike Path's, these functions never raise, whatever the name
            files += [str(Path(path, name)) for name in list_images(path)]
        elif os.path.exists(path) or not any(c in path for c in "*?["):
            files.append(path)
        else:
            matches = sorted(name for name in glob(path, recursive=True) if _is_image(name) and os.path.isfile(name))
            files += _require_images(matches, path)
    return files


def list_images(folder: str) -> list[str]:
    """List the images below a folder, as sorted paths relative to it.

    Raises:
        ImgregError: There is none.
    """
    images = [os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names if _is_image(name)]
    start = len(os.path.join(folder, ""))
    return _require_images(sorted(path[start:] for path in images), folder)


def _require_images(images: list[str], path: str) -> list[str]:
    """Return the images; raise ImgregError if there are none."""
    if not images:
        raise ImgregError("images", f"none in '{path}'", "a file, a folder or a glob such as 'photos/*.jpg'")
    return images


def _is_image(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in SUFFIXES


class PictureError(ImgregError):
    """An image that cannot be opened. It is named, counted and left out; it never costs the batch."""


class ImageHeader(NamedTuple):
    """What a header says.

    Attributes:
        width, height: Size of the upright image.
        mode: Pillow's mode; with ";16" for colours of 16 bits, which Pillow names as if they had 8.
        orientation: The orientation tag, 1 to 8.
        format: Pillow's name of the format.
        frames: Number of frames.
    """

    width: int
    height: int
    mode: str
    orientation: int
    format: str
    frames: int


def read_header(source: File) -> ImageHeader:
    """Read the header of an image, and not its pixels.

    Raises:
        PictureError: It is not an image.
    """
    with naming_errors(source), open_lazily(source) as picture:
        tags = getattr(picture, "tag_v2", {})  # of a TIFF, which some versions of Pillow have turned by now
        size = (tags[256], tags[257]) if tags else picture.size
        if picture.format not in SHRINKABLE:
            refuse_bomb(size)
        orientation, frames = orientation_tag(picture), getattr(picture, "n_frames", 1)
        width, height = upright_size(size, orientation)
        mode = picture.mode + (";16" if has_deep_colour(picture) else "")
        return ImageHeader(width, height, mode, orientation, picture.format or "", frames)


@contextmanager
def naming_errors(source: Source) -> Iterator[None]:
    """Within this context, whatever goes wrong with an image becomes a PictureError with its name."""
    name = source_name(source)
    try:
        yield
    except FileNotFoundError:
        raise PictureError("an image", f"no file '{name}'") from None
    except PictureError:
        raise
    except Exception as e:  # Pillow's plugins raise almost anything on a broken file
        unknown = isinstance(e, Image.UnidentifiedImageError)
        reason = "not an image Pillow can read" if unknown else error_reason(e)
        raise PictureError("an image", f"'{name}': {reason}") from e


def source_name(source: Source) -> str:
    """Name a source of images: a path by itself, all else by its type."""
    return str(source) if isinstance(source, (str, os.PathLike)) else type(source).__name__


def open_lazily(source: File) -> Image.Image:
    """Open an image and read no more than its header."""
    if isinstance(source, Image.Image):
        return source
    return Image.open(io.BytesIO(source) if isinstance(source, (bytes, bytearray)) else source)


def refuse_bomb(size: tuple[int, int]) -> None:
    """Raise ValueError for more pixels than Pillow's limit.

    Pillow only warns of what may be a decompression bomb, and warnings cannot be made errors within one thread.

    Args:
        size: Width and height.
    """
    if Image.MAX_IMAGE_PIXELS and size[0] * size[1] > Image.MAX_IMAGE_PIXELS:
        raise ValueError(f"{size[0]} x {size[1]} pixels, more than {Image.MAX_IMAGE_PIXELS}")


def orientation_tag(picture: Image.Image) -> int:
    """Return the orientation tag, 1 to 8; the pixels are not read for it, unless Exif lies behind them."""
    try:  # Pillow's own getexif of a PNG reads all pixels to look behind them
        exif = Image.Image.getexif(picture) if _lacks_exif_chunk(picture) else picture.getexif()
        return exif[274] if exif.get(274) in range(1, 9) else 1
    except Exception:  # noqa: BLE001 - Exif that is broken, in whatever way, is no fault of the image
        return 1


def _lacks_exif_chunk(picture: Image.Image) -> bool:
    """Tell whether an image is a PNG that is not decoded yet and has Exif nowhere; its file's position is kept."""
    if not (isinstance(picture, PngImageFile) and picture.tile and picture.fp) or "exif" in picture.info:
        return False
    position, chunk = picture.fp.tell(), b""
    picture.fp.seek(8)
    while chunk != b"eXIf" and len(head := picture.fp.read(8)) == 8:
        chunk = head[4:]
        picture.fp.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)
    picture.fp.seek(position)
    return chunk != b"eXIf"
