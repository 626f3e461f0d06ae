"""An item of the DataBlock: a picture that is named now and opened later, its box, and how it gets to its size."""
from typing import NamedTuple

import torch
from fastai.vision.core import PILImage, TensorPoint
from fasttransform import ItemTransform, Transform
from PIL import Image

from ..data.images import load_image, open_picture
from ..tasks import Task
from ..tasks.geometry import to_view
from ..utils.errors import ImgregError


class Picture(PILImage):
    """A picture that Fit opens no larger than the network sees it, and all of which is read for whoever looks at it."""

    source = box = None  # what it is read from; the part of it to be seen, where the task has a box
    read = True

    @staticmethod  # a bound class method would be pickled by value, with the path of this file
    def create(source):
        """Name a path, bytes, an array or a Pillow picture, or Boxed; opening it is left to Fit, or to a first look."""
        picture = Picture(Image.new("RGB", (1, 1)))
        picture.source, picture.box = source if isinstance(source, Boxed) else (source, None)
        picture.read = False
        return picture

    def load(self):
        """Read all of it, as Pillow's stubs do; raises PictureError."""
        if not self.read:
            self.read = True
            vars(self).update(vars(open_picture(self.source)))
        return super().load()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the whole upright picture."""
        self.load()
        return super().size


class Boxed(NamedTuple):
    """A picture's path and the box of the part to be seen; fastai maps over a plain tuple, not over a named one."""

    source: str
    box: tuple[float, ...]


class Source(Transform):
    """Reads from a row what Picture.create takes: the path, with the box where the task has one."""

    def __init__(self, task: Task):
        super().__init__()
        self.box = list(task.box)

    def encodes(self, row):
        """A row of the labels frame -> path, or Boxed."""
        return Boxed(row["path"], tuple(map(float, row[self.box]))) if self.box else row["path"]


class Fit(ItemTransform):
    """Bring a picture to the task's size by its policy, and points in its pixels along."""

    order = 0  # before PointBlock divides points by the size of the picture they lie in

    def __init__(self, task: Task):
        super().__init__()
        self.task = task

    def encodes(self, item):
        picture, *labels = item
        if not isinstance(picture, Picture):
            return item
        if self.task.box and picture.box is None:  # or it would see all of the picture, and be wrong without a word
            raise ImgregError("a picture with its box: items.Boxed(path, (cx, cy, w, h))", "no box")
        view, spot, _ = load_image(picture if picture.source is None else picture.source, self.task, picture.box)
        edge = torch.tensor(self.task.size[::-1])
        moved = [TensorPoint((to_view(y[None], spot.view[None])[0] + 1) / 2 * edge) if isinstance(y, TensorPoint) else y
                 for y in labels]
        return (Picture(view), *moved)
