"""Predictions for images that the user names, or for the rows of a table of them."""
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..data import labels, tables
from ..evaluation import aggregation
from ..inference.predictor import list_pictures
from ..inference.tta import moves_for
from ..utils.errors import ImgregError


class Sources(NamedTuple):
    """What to predict for: files or images, their boxes [n, 4] if any, and the rows of the table that names them."""

    images: list
    boxes: np.ndarray | None
    rows: pd.DataFrame | None = None
    n_unusable: int = 0  # rows of the table without a file name or a box


def predict_images(model, images, boxes, draw, folder, by: str | None, how: str, **options) -> pd.DataFrame:
    """Return a model's predictions; see `functions.predict`; `folder`: its `images`; `options`: coverage and tta."""
    task = model.task
    aggregation.check_aggregation(task, by, how, options.get("coverage"))  # before the work
    if options.get("tta"):
        moves_for(task)
    if draw is not None:
        from ..plots import copies

        copies.check_writable(draw)
    sources = _find_sources(task, images, boxes, folder, by)
    result = model.predict(sources.images, sources.boxes, expand=False, **options)
    if draw is not None:
        copies.draw(draw, task, result)
    n_left_out = sources.n_unusable + len(sources.images) - len(result)
    if sources.rows is not None:
        rows = sources.rows.iloc[result.index]  # by position: an image may stand in several rows, with several boxes
        result = result.assign(**{column: rows[column].to_numpy() for column in ["image", by] if column})
    elif by == "folder":
        result = result.assign(folder=[str(Path(str(name)).parent) for name in result["image"]])
    result = aggregation.aggregate_by(task, result, by, how) if by else result.reset_index(drop=True)
    result.attrs["left_out"] = n_left_out
    return result


def _find_sources(task, images, boxes, folder, by: str | None) -> Sources:
    """The images, or those of a table where its path is given in their place."""
    path = images[0] if isinstance(images, list) and len(images) == 1 else images
    if not (isinstance(path, (str, Path)) and Path(path).suffix.lower() in tables.SUFFIXES):
        if folder is not None:
            raise ImgregError("--images with a table of pictures", f"'{path}'")
        return Sources(list_pictures(images), boxes)
    if boxes is not None:
        raise ImgregError("the boxes in the table, or pictures with boxes=", f"both a table '{path}' and boxes")
    rows = labels.read_pictures(path, task, folder, (by,) if by else ())
    boxes = rows[list(task.box)].to_numpy() if task.box else None
    return Sources(list(rows["path"]), boxes, rows, rows.attrs["left_out"])
