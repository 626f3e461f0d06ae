"""What a model predicts for: one image or many, in whatever form a program has them, or a table of images."""
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from ..data import labels, tables
from ..data.images import File, find_images
from ..data.images.arrays import as_source
from ..tasks import Task
from ..utils.messages import ImgregError


class Inputs(NamedTuple):
    """The images to predict for.

    Attributes:
        sources: Paths of files, bytes, arrays, Pillow images; see open_picture.
        boxes: The boxes of a task that has them, or what was given as such.
        rows: The rows of a table, one for each source; None if there is no table.
    """

    sources: list
    boxes: Any = None
    rows: pd.DataFrame | None = None

    def with_table_names(self, result: pd.DataFrame) -> pd.DataFrame:
        """Name the images of a result, whose index holds their positions, as the table does."""
        if self.rows is None:
            return result
        return result.assign(image=self.rows["image"].iloc[result.index].to_numpy())


def resolve_inputs(pictures: Any, boxes: Any, task: Task, images: str | Path | None = None,
                   also: tuple[str, ...] = ()) -> Inputs:
    """Return the images that are handed over, or those of a table that is handed over in their place.

    Args:
        pictures: See Predictor.predict.
        boxes: [n, 4], where the images are not those of a table.
        task: The task, for its column of images and its boxes.
        images: The folder that the names in a table are relative to.
        also: Further columns of the table to keep.

    Raises:
        ImgregError: There are none, or a table and boxes.
    """
    table = pictures[0] if isinstance(pictures, list) and len(pictures) == 1 else pictures
    is_frame = isinstance(table, pd.DataFrame)
    if is_frame or (isinstance(table, (str, Path)) and tables.is_table_name(table)):
        if boxes is not None:
            name = "a DataFrame" if is_frame else f"a table '{table}'"
            raise ImgregError("the boxes in the table, or images with boxes=", f"both {name} and boxes")
        rows = labels.read_pictures(table, task, images, also)
        return Inputs(list(rows["path"]), task.boxes(rows), rows)
    if images is not None:
        raise ImgregError("--images with a table of images", f"'{table}'")
    return Inputs(list_pictures(pictures), boxes)


def list_pictures(pictures: Any) -> list:
    """Return one image or many as a list in which every path is a file; see Predictor.predict.

    Raises:
        ImgregError: There is none, or they are in a mapping.
    """
    if isinstance(pictures, Mapping):
        raise ImgregError("an image, or a list of images", f"a {type(pictures).__name__}", "list(images.values())")
    sources: list = []
    for picture in _one_by_one(pictures):
        sources += find_images([picture]) if isinstance(picture, (str, os.PathLike)) else [picture]
    if not sources:
        raise ImgregError("images", "none")
    return sources


def _one_by_one(pictures: Any) -> Iterable:
    """Divide what is handed over into images: a batch, an array of paths or any iterable has several."""
    if isinstance(pictures, (str, bytes, bytearray, os.PathLike, Image.Image)):
        return [pictures]
    if isinstance(pictures, (pd.Series, pd.Index)):
        return list(pictures)
    pictures = as_source(pictures)
    if isinstance(pictures, np.ndarray):
        if pictures.dtype.kind in "OSUT":  # paths
            return pictures.ravel().tolist()
        return list(pictures) if pictures.ndim == 4 else [pictures]
    if isinstance(pictures, (set, frozenset)):
        return sorted(pictures, key=str)
    return [pictures] if isinstance(pictures, bytes) or not isinstance(pictures, Iterable) else pictures


def numbered(source: File | object, number: int) -> str:
    """Name an image by its path, or by its number among others."""
    return str(source) if isinstance(source, (str, os.PathLike)) else f"image {number}"
