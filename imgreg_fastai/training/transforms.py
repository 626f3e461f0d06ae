"""An item of the DataBlock: a picture that is opened only when it is fitted, its box, and how it gets to its size."""
from typing import Any, NamedTuple

import pandas as pd
import torch
from fastai.vision.core import PILImage, TensorPoint
from fasttransform import ItemTransform, Transform
from PIL import Image

from ..data.images import load_image, open_picture
from ..tasks import Task
from ..tasks.geometry import to_view
from ..utils.errors import ImgregError


class Picture(PILImage):
    """A picture that Fit opens no larger than the network needs; any other look at it reads all of it.

    Attributes:
        source: Path, bytes, array or Pillow picture that it is read from.
        box: The part that the network sees, where the task has a box: centre x, centre y, width, height in pixels.
        read: Whether the pixels are those of the source.
    """

    source: Any = None
    box: tuple[float, ...] | None = None
    read = True

    @staticmethod  # a class method would be pickled by value, with the path of this file
    def create(source: object) -> "Picture":
        """Name a path, bytes, an array or a Pillow picture, or a Boxed one, without opening it."""
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
        """Width and height of the upright picture."""
        self.load()
        return super().size


class Boxed(NamedTuple):
    """A picture's path and its box; fastai would take a plain tuple for several items.

    Attributes:
        source: Path of the picture.
        box: Centre x, centre y, width and height in pixels of the upright picture.
    """

    source: str
    box: tuple[float, ...]


class Source(Transform):
    """A row of the labels frame -> the path, or a Boxed picture where the task has a box."""

    def __init__(self, task: Task):
        super().__init__()
        self.box = list(task.box)

    def encodes(self, row: pd.Series) -> Any:
        return Boxed(row["path"], tuple(map(float, row[self.box]))) if self.box else row["path"]


class Fit(ItemTransform):
    """Bring a picture to the task's size by its policy, and the points in its pixels along."""

    order = 0  # before PointBlock divides points by the size of the picture

    def __init__(self, task: Task):
        super().__init__()
        self.task = task

    def encodes(self, item: Any) -> Any:
        picture, *labels = item
        if not isinstance(picture, Picture):
            return item
        if self.task.box and picture.box is None:  # the network would see all of the picture, and be wrong silently
            raise ImgregError("a picture with its box: transforms.Boxed(path, (cx, cy, w, h))", "no box")
        source = picture if picture.source is None else picture.source
        fitted, place, _ = load_image(source, self.task, picture.box)
        for i, points in enumerate(labels):
            if isinstance(points, TensorPoint):  # [points, 2] in pixels, which become those of the fitted picture
                across = to_view(points[None], place.view[None])[0]  # in [-1, 1]
                labels[i] = TensorPoint((across + 1) / 2 * torch.tensor(self.task.size[::-1]))
        return Picture(fitted), *labels
