"""What of an image is not used: further bands, further frames, transparency, pixels without data."""
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple, TypeVar

from PIL import Image

from ...utils.messages import first_few, warn

T = TypeVar("T")
SHRINKABLE = frozenset(("JPEG", "MPO"))  # formats that can be decoded at a half, a quarter or an eighth of their size
SUBFILE, SAMPLES = 254, 277  # TIFF tags
REDUCED_OR_MASK = 1 | 4  # of the tag SUBFILE: a page that is a smaller copy, or a mask, of another
MAX_PAGES = 16  # of a TIFF that are looked at to tell smaller copies from others


class Unused(NamedTuple):
    """What of an image is not used.

    Attributes:
        bands: Number of bands beyond those that are seen.
        frames: Number of frames or pages beyond the first.
        transparent: Whether some of it is transparent.
        nodata: What stands for "no data" in some of its pixels; "" where all have data.
    """

    bands: int = 0
    frames: int = 0
    transparent: bool = False
    nodata: str = ""


# What is said of each field: of an image, and of what happens.
TEXTS = {"bands": ("an image of further bands", "they are not used: grey, or red, green and blue are seen"),
         "frames": ("an image of several frames or pages", "the first of them is seen"),
         "transparent": ("a transparent image", "it is laid on white"),
         "nodata": ("an image with pixels without data", "they are shown black")}


def unused_parts(picture: Image.Image) -> Unused:
    """Return what an image that is not decoded yet has beyond what is seen, by its header."""
    tags = getattr(picture, "tag_v2", {})
    bands = tags.get(SAMPLES, 1) - len(picture.getbands()) if tags else 0
    return Unused(max(0, bands), further_frames(picture))


def further_frames(picture: Image.Image) -> int:
    """Count frames and pages beyond the first; not the previews of phones' JPEGs, nor a TIFF's smaller copies."""
    frames = getattr(picture, "n_frames", 1)
    if frames == 1 or picture.format in SHRINKABLE:
        return 0
    copies = 0
    if picture.format == "TIFF":
        for page in range(1, min(frames, MAX_PAGES)):
            picture.seek(page)
            copies += bool(getattr(picture, "tag_v2", {}).get(SUBFILE, 0) & REDUCED_OR_MASK)
        picture.seek(0)
    return frames - 1 - copies


def describe_unused(names: Iterable[T], unused: Iterable[Unused]) -> Iterator[tuple[str, str, str, list[T]]]:
    """Describe what of images is not used.

    Args:
        names: Of the images, or their numbers.
        unused: Of each.

    Yields:
        For each field of Unused that some image has: the field; what such an image is; what happens; their names.
    """
    images = list(zip(names, unused, strict=False))
    for field, (text, consequence) in TEXTS.items():
        affected = [(name, getattr(one, field)) for name, one in images if getattr(one, field)]
        if affected:
            values = Counter(value for _, value in affected)
            (value, _), = values.most_common(1)
            number = {"bands": f" ({value} more)", "frames": f" ({value} more)", "nodata": f" ({value})"}.get(field, "")
            yield field, text + number, consequence, [name for name, _ in affected]


def warn_unused(names: Iterable[str], unused: Iterable[Unused], total: int) -> None:
    """Warn of what is not used of images, of `total` that were looked at: one line for each kind."""
    for _, text, consequence, affected in describe_unused(names, unused):
        warn(f"{text}: {len(affected)} of {total} images ({first_few(affected, 3)}); {consequence}")
