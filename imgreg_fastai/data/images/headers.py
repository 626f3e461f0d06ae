"""What the header of an image's file says before its pixels are read, and the errors of images."""
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

from PIL import Image

from ...tasks.geometry import upright_size
from ...utils.errors import ImgregError, error_reason
from .levels import has_deep_colour

SHRINKABLE = frozenset(("JPEG", "MPO"))  # formats that can be decoded at a half, a quarter or an eighth of their size


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


def read_header(path) -> ImageHeader:
    """Read the header of an image, and not its pixels.

    Raises:
        PictureError: It is not an image.
    """
    with naming_errors(path), open_lazily(path) as picture:
        tags = getattr(picture, "tag_v2", {})  # of a TIFF, which some versions of Pillow have turned by now
        size = (tags[256], tags[257]) if tags else picture.size
        if picture.format not in SHRINKABLE:
            refuse_bomb(size)
        mode = picture.mode + (";16" if has_deep_colour(picture) else "")
        orientation, frames = orientation_tag(picture), getattr(picture, "n_frames", 1)
        return ImageHeader(*upright_size(size, orientation), mode, orientation, picture.format or "", frames)


@contextmanager
def naming_errors(source) -> Iterator[None]:
    """Within this context, whatever goes wrong with an image becomes a PictureError with its name."""
    name = source_name(source)
    try:
        yield
    except FileNotFoundError:
        raise PictureError("a picture", f"no file '{name}'") from None
    except PictureError:
        raise
    except Exception as e:  # Pillow's plugins raise almost anything on a broken file
        unknown = isinstance(e, Image.UnidentifiedImageError)
        reason = "not a picture Pillow can read" if unknown else error_reason(e)
        raise PictureError("a picture", f"'{name}': {reason}") from e


def source_name(source) -> str:
    """Name a source of images: a path by itself, all else by its type."""
    return str(source) if isinstance(source, (str, os.PathLike)) else type(source).__name__


def open_lazily(source) -> Image.Image:
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
    try:
        if picture.format == "PNG" and picture.tile and "exif" not in picture.info and not _has_exif(picture.fp):
            tags = Image.Image.getexif(picture)  # Pillow's own for PNG reads all pixels to look behind them
        else:
            tags = picture.getexif()
        return tags.get(274) if tags.get(274) in range(1, 9) else 1
    except Exception:  # noqa: BLE001 - Exif that is broken, in whatever way, is no fault of the picture
        return 1


def _has_exif(png) -> bool:
    """Tell whether there is Exif anywhere in a PNG file, whose position is kept."""
    position, chunk = png.tell(), b""
    png.seek(8)
    while chunk != b"eXIf" and len(head := png.read(8)) == 8:
        chunk = head[4:]
        png.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)
    png.seek(position)
    return chunk == b"eXIf"
