"""The files of images: what their headers say before any pixel is read, how they are opened, and their errors."""
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple, TypeAlias

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from ...tasks.geometry import upright_size
from ...utils.messages import ImgregError, error_reason
from . import pillow
from .bit_depth import has_deep_colour
from .formats import HAS_HEIF, HEAD, recognise, unreadable_reason
from .unused import SHRINKABLE, unused_parts

File: TypeAlias = str | os.PathLike | bytes | Image.Image
Source: TypeAlias = File | np.ndarray | object  # what is opened as an image: tensors, open files and buffers, too


class PictureError(ImgregError):
    """An image that cannot be opened. It is named, counted and left out; it never costs the batch."""


class ImageHeader(NamedTuple):
    """What a header says.

    Attributes:
        width, height: Size of the upright image.
        mode: Pillow's mode; with ";16" for colours of 16 bits, which Pillow names as if they had 8.
        orientation: The orientation tag, 1 to 8.
        format: Pillow's name of the format.
        frames: Number of frames or pages; 1 where the others are previews or smaller copies of the first.
        bands: Number of bands beyond those that are seen.
    """

    width: int
    height: int
    mode: str
    orientation: int
    format: str
    frames: int
    bands: int


def read_header(source: File, max_pixels: int | None = None) -> ImageHeader:
    """Read the header of an image, and not its pixels.

    Args:
        source: The image.
        max_pixels: See pillow.refuse_bomb.

    Raises:
        PictureError: It is not an image.
    """
    with naming_errors(source), open_lazily(source) as picture, pillow.without_limit(picture.size):
        tags = getattr(picture, "tag_v2", {})  # of a TIFF, which some versions of Pillow have turned by now
        size = (tags[256], tags[257]) if tags else picture.size
        if picture.format not in SHRINKABLE:
            pillow.refuse_bomb(size, max_pixels)
        orientation, mode = orientation_tag(picture), picture.mode + (";16" if has_deep_colour(picture) else "")
        width, height = upright_size(size, orientation)
        unused = unused_parts(picture)
        return ImageHeader(width, height, mode, orientation, picture.format or "", 1 + unused.frames, unused.bands)


@contextmanager
def naming_errors(source: Source) -> Iterator[None]:
    """Within this context, whatever goes wrong with an image becomes a PictureError with its name; Pillow is quiet."""
    name = source_name(source)
    try:
        with pillow.without_warnings():
            yield
    except FileNotFoundError:
        reason = f"'{name}', a web address: download it first" if "://" in name else f"no file '{name}'"
        raise PictureError("an image", reason) from None
    except PictureError:
        raise
    except Exception as e:  # Pillow's plugins raise almost anything on a broken file
        unknown = isinstance(e, Image.UnidentifiedImageError)
        raise PictureError("an image", f"'{name}': {_unknown_reason(source) if unknown else error_reason(e)}") from e


def source_name(source: Source) -> str:
    """Name a source of images: a path by itself, all else by its type."""
    return str(source) if isinstance(source, (str, os.PathLike)) else type(source).__name__


def open_lazily(source: File) -> Image.Image:
    """Open an image and read no more than its header, however large it is; see pillow.refuse_bomb."""
    if isinstance(source, Image.Image):
        return source
    if not isinstance(source, (str, os.PathLike, bytes, bytearray)):
        raise TypeError("not a path, bytes, an array or a Pillow image")
    stream = io.BytesIO(source) if isinstance(source, (bytes, bytearray)) else source
    try:
        return Image.open(stream)
    except Image.DecompressionBombError:  # of more than twice Pillow's own limit
        with pillow.without_limit():
            return Image.open(stream)
    except Image.UnidentifiedImageError:
        if HAS_HEIF and _is_heic(source):
            from pillow_heif import register_heif_opener

            register_heif_opener()
            return Image.open(stream)
        raise


def _stream(source: str | os.PathLike | bytes) -> BinaryIO:
    return io.BytesIO(source) if isinstance(source, (bytes, bytearray)) else open(source, "rb")


def _is_heic(source: str | os.PathLike | bytes) -> bool:
    with _stream(source) as stream:
        other = recognise(stream.read(HEAD))
    return other is not None and other.name == "HEIC"


def _unknown_reason(source: Source) -> str:
    """Say what a file is that Pillow does not know."""
    try:
        with _stream(source) as stream, pillow.without_warnings():  # type: ignore[arg-type]
            return unreadable_reason(stream, Path(source_name(source)).suffix)
    except (OSError, TypeError, ValueError):
        return "not an image Pillow can read"


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
