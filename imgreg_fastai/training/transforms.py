"""Images on their way to a batch: opened before training and kept in memory, or opened when an item is fitted."""
import os
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from fastai.vision.core import PILImage, TensorPoint
from fasttransform import ItemTransform, Transform
from PIL import Image

from ..data.images import (
    FittedImage,
    PictureError,
    Unused,
    describe_broken,
    fit_images,
    image_views,
    load_image,
    open_picture,
    warn_broken,
    warn_unused,
)
from ..data.images.levels import Levels, summarise_levels, warn_levels
from ..tasks import Task
from ..tasks.geometry import place_picture, to_view
from ..utils.messages import ImgregError, progress_bar, say

MAX_OPENED = 50_000  # images: opening more of them before training would take minutes
SAMPLE = 64  # images that are decoded all the same, to tell what they hold and what of them is not used


# ---- before training


class OpenedPictures(NamedTuple):
    """The images of a labels frame that can be opened.

    Attributes:
        frame: Their rows, numbered anew.
        views: Their views [n, 4], see tasks/geometry.py.
        pixels: uint8 [n, 3, h, w]; None where they are not kept in memory.
        levels: What they hold where they have more than 8 bits, see summarise_levels.
    """

    frame: pd.DataFrame
    views: np.ndarray
    pixels: torch.Tensor | None
    levels: dict


def fit_in_memory(n: int, task: Task) -> bool:
    """Whether n decoded images are at most MAX_OPENED, and take at most a quarter of the usable memory."""
    memory = 4 << 30
    with suppress(AttributeError, ValueError, OSError):  # some systems have no such value or file; "max" is no limit
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        memory = min(memory, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    height, width = task.size
    return n <= MAX_OPENED and n * height * width * 3 <= memory / 4


def open_pictures(frame: pd.DataFrame, task: Task, keep: bool, strict: bool = False) -> OpenedPictures:
    """Open the images of a labels frame; a warning names those that cannot be opened.

    Args:
        frame: Labels frame with column `path`.
        task: The task.
        keep: Whether to decode the images and keep their pixels. Otherwise only headers are read, and images that
            are broken further on are left out in training. Of more than MAX_OPENED images of a task without points
            not even headers are read; their views are those of an image that has the network's size.
        strict: Whether a broken image is an error.

    Returns:
        The images that can be opened.

    Raises:
        PictureError: No image can be opened, or with `strict` any cannot.
        ImgregError: The pixels do not fit into memory.
    """
    if not keep and len(frame) > MAX_OPENED and not task.has_points and not strict:
        say(f"{len(frame):,} images are opened as they come; what is broken is named and left out then")
        view = place_picture(task.size[::-1], task.size, "squish").view
        return OpenedPictures(frame, np.tile(view, (len(frame), 1)), None, _tell_images(frame, task, {}, []))
    try:
        pixels = torch.empty((len(frame) if keep else 0, 3, *task.size), dtype=torch.uint8)
    except RuntimeError as e:
        raise ImgregError("memory for the decoded images", str(e).splitlines()[0][:120], "--cache off") from e
    pictures = (fit_images if keep else image_views)(frame["path"], task, task.boxes(frame))
    views: list[np.ndarray] = []
    unused: dict[int, Unused] = {}
    broken: dict[int, PictureError] = {}
    levels: list[Levels | None] = []
    for i, picture in enumerate(progress_bar(pictures, len(frame), f"reading {len(frame)} images")):
        if isinstance(picture, PictureError):
            broken[i] = picture
            continue
        if isinstance(picture, FittedImage):
            pixels[len(views)] = torch.from_numpy(picture.pixels.copy()).permute(2, 0, 1)
            levels.append(picture.levels)
        views.append(picture.view)
        unused[i] = picture.unused
    if broken and (strict or len(frame) == 1):
        raise next(iter(broken.values()))
    if not views:
        reasons = describe_broken(broken.values())
        raise PictureError("images that can be opened", f"none among {len(frame)}: {reasons}")
    warn_broken(list(broken.values()), len(frame))
    summary = _tell_images(frame, task, unused, levels)
    frame = frame.drop(index=list(broken)).reset_index(drop=True)
    return OpenedPictures(frame, np.stack(views), pixels[: len(views)] if keep else None, summary)


def _tell_images(frame: pd.DataFrame, task: Task, unused: dict[int, Unused], levels: list[Levels | None]) -> dict:
    """Warn of what is not used of the images, and of their levels, which are returned.

    Args:
        frame: Labels frame with column `path`.
        task: The task.
        unused: Of the rows whose headers were read; others are not known.
        levels: Of the images; [] if none was decoded, so that a SAMPLE of them has to be.
    """
    n_looked_at = len(unused)
    if not levels:
        rows = np.unique(np.linspace(0, len(frame) - 1, SAMPLE).astype(int))
        boxes = None if task.boxes(frame) is None else task.boxes(frame)[rows]
        sample = dict(zip(rows.tolist(), fit_images(frame["path"].iloc[rows], task, boxes), strict=True))
        sample = {row: picture for row, picture in sample.items() if isinstance(picture, FittedImage)}
        unused = unused | {row: picture.unused for row, picture in sample.items()}
        levels = [picture.levels for picture in sample.values()]
        n_looked_at = max(n_looked_at, len(sample))
    warn_unused([Path(path).name for path in frame["path"].iloc[list(unused)]], unused.values(), n_looked_at)
    warn_levels(levels)
    return summarise_levels(levels)


# ---- an item of the DataBlock


class Picture(PILImage):
    """An image that Fit opens no larger than the network needs; any other look at it reads all of it.

    Attributes:
        source: Path, bytes, array or Pillow image that it is read from.
        box: The part that the network sees, where the task has a box: centre x, centre y, width, height in pixels.
        read: Whether the pixels are those of the source.
    """

    source: Any = None
    box: tuple[float, ...] | None = None
    read = True

    @staticmethod  # a class method would be pickled by value, with the path of this file
    def create(source: object) -> "Picture":
        """Name a path, bytes, an array or a Pillow image, or a Boxed one, without opening it."""
        picture = Picture(Image.new("RGB", (1, 1)))
        picture.source, picture.box = source if isinstance(source, Boxed) else (source, None)
        picture.read = False
        return picture

    def load(self) -> Any:
        """Read all of it, as Pillow's lazy files do; raises PictureError."""
        if not self.read:
            self.read = True
            self.__dict__.update(vars(open_picture(self.source)))
        return super().load()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the upright image."""
        self.load()
        return super().size


class Boxed(NamedTuple):
    """An image's path and its box; fastai would take a plain tuple for several items.

    Attributes:
        source: Path of the image.
        box: Centre x, centre y, width and height in pixels of the upright image.
    """

    source: str
    box: tuple[float, ...]


class Source(Transform):
    """A row of the labels frame -> the path, or a Boxed image where the task has a box."""

    def __init__(self, task: Task):
        super().__init__()
        self.box = list(task.box)

    def encodes(self, row: pd.Series) -> Any:
        return Boxed(row["path"], tuple(map(float, row[self.box]))) if self.box else row["path"]


class Fit(ItemTransform):
    """Bring an image to the task's size by its policy, and the points in its pixels along."""

    order = 0  # before PointBlock divides points by the size of the image

    def __init__(self, task: Task):
        super().__init__()
        self.task = task

    def encodes(self, item: Any) -> Any:
        picture, *labels = item
        if not isinstance(picture, Picture):
            return item
        if self.task.box and picture.box is None:  # the network would see all of the image, and be wrong silently
            raise ImgregError("an image with its box: transforms.Boxed(path, (cx, cy, w, h))", "no box")
        source = picture if picture.source is None else picture.source
        fitted, place, *_ = load_image(source, self.task, picture.box)
        for i, points in enumerate(labels):
            if isinstance(points, TensorPoint):  # [points, 2] in pixels, which become those of the fitted image
                across = to_view(points[None], place.view[None])[0]  # in [-1, 1]
                labels[i] = TensorPoint((across + 1) / 2 * torch.tensor(self.task.size[::-1]))
        return Picture(fitted), *labels
