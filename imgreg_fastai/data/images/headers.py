"""What the file of a picture tells before its pixels are read, and how what is wrong with one is told."""
import io
import os
from contextlib import contextmanager
from typing import NamedTuple

from PIL import Image

from ...tasks.geometry import upright_size
from ...utils.errors import ImgregError
from .levels import deep_colour

SHRINKABLE = frozenset(("JPEG", "MPO"))  # formats that can be decoded at a half, a quarter or an eighth of their size


class PictureError(ImgregError):
    """A picture that cannot be opened. It is named, counted and left out; it never costs the batch."""


class ImageHeader(NamedTuple):
    """What a header tells: upright width and height, Pillow's `mode` and `format`, the `orientation` tag, `frames`.

    To the mode of a picture with colours of 16 bits, ";16" is added: Pillow names it as if they had 8.
    """

    width: int
    height: int
    mode: str
    orientation: int
    format: str
    frames: int


def read_header(path) -> ImageHeader:
    """What the header of a picture tells; its pixels are not read. Raises PictureError for what is no picture."""
    with naming_errors(path), open_lazily(path) as picture:
        tags = getattr(picture, "tag_v2", {})  # of a TIFF, which some versions of Pillow have turned by now
        size = (tags[256], tags[257]) if tags else picture.size
        if picture.format not in SHRINKABLE:
            refuse_bomb(size)
        mode = picture.mode + (";16" if deep_colour(picture) else "")
        frames = getattr(picture, "n_frames", 1)
        orientation = orientation_tag(picture)
        return ImageHeader(*upright_size(size, orientation), mode, orientation, picture.format or "", frames)


@contextmanager
def naming_errors(source):
    """A context in which whatever goes wrong with a picture becomes a PictureError with its name."""
    name = source_name(source)
    try:
        yield
    except FileNotFoundError:
        raise PictureError("a picture", f"no file '{name}'") from None
    except PictureError:
        raise
    except Exception as e:  # Pillow's plugins raise almost anything on a broken file
        reason = "not a picture Pillow can read" if isinstance(e, Image.UnidentifiedImageError) else _reason(e)
        raise PictureError("a picture", f"'{name}': {reason}") from e


def source_name(source) -> str:
    """What a source of pictures is called: a path by itself, all else by its type."""
    return str(source) if isinstance(source, (str, os.PathLike)) else type(source).__name__


def _reason(e: Exception) -> str:
    return getattr(e, "strerror", None) or str(e) or repr(e)


def open_lazily(source) -> Image.Image:
    """The picture with its header read, no more."""
    if isinstance(source, Image.Image):
        return source
    return Image.open(io.BytesIO(source) if isinstance(source, (bytes, bytearray)) else source)


def refuse_bomb(size: tuple[int, int]) -> None:
    """Raise ValueError for more pixels (width, height) than Pillow's limit."""
    # Pillow only warns of what may be a decompression bomb, and warnings cannot be made errors within one thread.
    if size[0] * size[1] > (Image.MAX_IMAGE_PIXELS or float("inf")):
        raise ValueError(f"{size[0]} x {size[1]} pixels, more than {Image.MAX_IMAGE_PIXELS}")


def orientation_tag(picture: Image.Image) -> int:
    """The orientation tag, 1 to 8; the pixels are not read for it, unless Exif lies behind them."""
    try:
        if picture.format == "PNG" and picture.tile and "exif" not in picture.info and not _has_exif(picture.fp):
            tags = Image.Image.getexif(picture)  # Pillow's own for PNG reads all pixels to look behind them
        else:
            tags = picture.getexif()
        return tags.get(274) if tags.get(274) in range(1, 9) else 1
    except Exception:  # noqa: BLE001 - Exif that is broken, in whatever way, is no fault of the picture
        return 1


def _has_exif(png) -> bool:
    """Whether there is Exif anywhere in a PNG file, whose position is kept."""
    at, kind = png.tell(), b""
    png.seek(8)
    while kind != b"eXIf" and len(head := png.read(8)) == 8:
        kind = head[4:]
        png.seek(int.from_bytes(head[:4], "big") + 4, 1)
    png.seek(at)
    return kind == b"eXIf"
