"""The images of a table, each opened once: what is kept of them, a few hundred bytes, and the issues that show."""
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from ...tasks import Number, Task
from ...utils.messages import progress_bar
from ..images import ImageHeader, PictureError, load_image, map_ahead, read_header
from ..images.files import naming_errors
from ..images.levels import Levels, unusual_levels
from ..images.unused import Unused, describe_unused
from ..issues import Issue
from ..labels import LabelTable, position_issues
from ..labels.headers import HEADER, read_headers
from ..tables import real_paths

TINY = 12  # sides of the copy by which images are compared
MAX_PIXELS = 1 << 20  # of a larger image a smaller copy is compared, of about
SMALL_PIXELS = 1 << 18  # so many pixels
# How an image is compared: all of it. The checked task takes a millisecond to change, if it has a hundred columns.
COMPARISON = Task("comparison", (Number("number", ("number",)),), fit="squish", augment=())


class ImageFingerprint(NamedTuple):
    """What is kept of an opened image.

    Attributes:
        header: What its header says.
        content: A hash that is the same for the same pixels.
        hash: The perceptual hash, 64 bits.
        tiny: A tiny copy, brightness and two channels of colour, uint8 [12, 12, 3].
        blank: Whether all of it has one colour.
        levels: Its levels, where it has more than 8 bits.
        unused: What of it is not used.
    """

    header: ImageHeader
    content: int
    hash: int
    tiny: np.ndarray
    blank: bool
    levels: Levels | None
    unused: Unused


def fingerprint(path: str | Path, task: Task) -> ImageFingerprint:
    """Read a file once and decode all of it.

    `content` is of the pixels; of a large image those of a smaller copy, and of one with more than 8 bits all bytes of
    the file, since its pixels are shown with less than they hold.

    Args:
        path: The file.
        task: The task, for its range of images of more than 8 bits, and its limit of pixels.

    Raises:
        PictureError: It cannot be decoded.
    """
    from imagehash import phash

    with naming_errors(path):
        data = Path(path).read_bytes()
        if not data:
            raise PictureError("an image", f"'{path}': an empty file")
        header = read_header(data, task.max_pixels)
        pixels = header.width * header.height
        factor = 1.0 if pixels <= MAX_PIXELS else (pixels / SMALL_PIXELS) ** 0.5
        size = max(1, round(header.height / factor)), max(1, round(header.width / factor))
        view = replace(COMPARISON, size=size, value_range=task.value_range, max_pixels=task.max_pixels)
        image, _, levels, unused = load_image(data, view)
        content = data if levels else f"{header.width}x{header.height}".encode() + image.tobytes()
        digest = int.from_bytes(blake2b(content, digest_size=8).digest(), "big")
        grey = image.convert("L").resize((32, 32), Image.Resampling.LANCZOS, reducing_gap=3.0)
        signs = phash(grey).hash  # of the image's lowest frequencies: 64
        tiny = image.resize((TINY, TINY), Image.Resampling.BILINEAR, reducing_gap=3.0).convert("YCbCr")
        blank = levels.flat if levels else image.getcolors(1) is not None
        return ImageFingerprint(header, digest, int.from_bytes(np.packbits(signs).tobytes(), "big"), np.asarray(tiny),
                                blank, levels, unused)


@dataclass(frozen=True)
class CheckedTable:
    """The rows of a labels table with their opened images, which are numbered.

    Attributes:
        labels: The table; rows with broken images are not usable.
        image: The number of each row's image, [rows]; -1 where the row is not usable.
        parts: The part of the split that each row is in, [rows]; "" where it is in none.
        drawn: Whether the split is drawn, and not the table's own.
        broken: Why an image cannot be opened, by its number.
        facts: One row for each image that can, the index its number: the fields of ImageHeader, `content`, `hash`,
            `blank`, and `deep`, whether it has more than 8 bits.
        unused: What of each of these images is not used, by its number.
        tiny: Their tiny copies, uint8 [len(facts), 432].
        levels: All levels of images with more than 8 bits.
    """

    labels: LabelTable
    image: np.ndarray
    parts: np.ndarray
    drawn: bool
    broken: dict[int, str]
    facts: pd.DataFrame
    unused: dict[int, Unused]
    tiny: np.ndarray
    levels: list[Levels]

    @property
    def opened(self) -> np.ndarray:
        """Which rows have an image that can be opened, bool [rows]."""
        return np.isin(self.image, self.facts.index)

    def fact(self, name: str) -> pd.Series:
        """Return a fact of each row's image, [rows]; NaN where there is none."""
        return self.facts[name].reindex(self.image).set_axis(self.labels.frame.index)

    def sizes(self) -> np.ndarray:
        """Return width and height of each row's image, float [rows, 2]; NaN where there is none."""
        return np.stack([self.fact("width"), self.fact("height")], axis=1).astype(float)

    def headers(self) -> pd.DataFrame:
        """Return width, height and orientation of each row's image, float [rows, 3]; NaN where there is none.

        Of rows whose box is none they are read, since it may be one in another format.
        """
        frame = self.labels.frame
        headers = self.facts[HEADER].reindex(self.image).set_axis(frame.index).astype(float)
        without_box = self.labels.reasons["flat"] & (self.image < 0) & ~self.labels.reasons["absent"]
        if without_box.any():
            headers = headers.fillna(read_headers(frame, without_box, self.labels.task.max_pixels))
        return headers


def open_images(labels: LabelTable, parts: np.ndarray, drawn: bool) -> CheckedTable:
    """Open the images of usable rows, each once, on threads; of 100,000 about 100 MB are kept.

    Args:
        labels, parts, drawn: See CheckedTable.
    """
    frame, image = labels.frame, np.full(len(labels.frame), -1)
    usable = frame["usable"].to_numpy()
    image[usable], paths = pd.factorize(real_paths(frame["path"][usable]))
    opened, broken = {}, {}
    results = map_ahead(partial(fingerprint, task=labels.task), paths)
    for i, result in enumerate(progress_bar(results, len(paths), "opening images")):
        if isinstance(result, PictureError):  # its message begins with the name
            broken[i] = (result.actual or "").removeprefix(f"'{paths[i]}': ").removeprefix("'bytes': ")
        else:
            opened[i] = result
    prints = list(opened.values())
    facts = pd.DataFrame([(*p.header, p.content, p.hash, p.blank, p.levels is not None) for p in prints], list(opened),
                         [*ImageHeader._fields, "content", "hash", "blank", "deep"])
    facts = facts.astype({"content": np.uint64, "hash": np.uint64, "blank": bool, "deep": bool})
    tiny = np.array([p.tiny for p in prints], np.uint8).reshape(-1, TINY**2 * 3)
    lost = np.isin(image, list(broken))
    frame = frame.assign(usable=usable & ~lost, why=frame["why"].mask(lost, "a broken image"))
    return CheckedTable(replace(labels, frame=frame), image, parts, drawn, broken, facts,
                        {i: p.unused for i, p in opened.items()}, tiny, [p.levels for p in prints if p.levels])


def broken_image_issues(table: CheckedTable) -> list[Issue]:
    """Find images that cannot be opened. Code: broken."""
    whys = pd.Series(table.image).map(table.broken).dropna().astype(str)
    names = table.labels.row_names(whys.index, "image") + " (" + whys + ")"
    return table.labels.issue("broken", "leave out", "an image that cannot be opened", rows=whys.index, names=names)


def image_issues(table: CheckedTable) -> list[Issue]:
    """Find what is unusual about images that can be opened.

    Codes: those of position_issues, blank, depth, bands, animated, transparent, nodata, levels.
    """
    if not table.opened.any():
        return []
    labels, deep, blank = table.labels, table.fact("deep").eq(True), table.fact("blank").eq(True)
    issues = position_issues(labels, table.headers())
    issues += labels.issue("blank", "note", "an image of one colour", rows=blank, column="image")
    shallow = ~deep & table.opened
    if shallow.any() and deep.any():
        rarer, text = deep, "of 16 or 32 bits among images of 8"
        if deep.sum() > shallow.sum():
            rarer, text = shallow, "of 8 bits among images of 16 or 32"
        issues += labels.issue("depth", "note", text,
                               "see that brightness means the same in both (--range BLACK,WHITE)", rarer, "image")
    for field, text, consequence, images in describe_unused(table.unused, table.unused.values()):
        code = "animated" if field == "frames" else field
        issues += labels.issue(code, "note", text, consequence, np.isin(table.image, images), "image")
    for text, hint in unusual_levels(table.levels):
        issues += labels.issue("levels", "note", text, f"try {hint}")
    return issues
