"""Predicting for what the user names: pictures, or the rows of a table of them."""
from pathlib import Path

import pandas as pd

from ..data import labels, tables
from ..evaluation import aggregation
from ..inference.tta import moves_for
from ..utils.errors import ImgregError


def predict_pictures(model, pictures, boxes, draw, images, by: str | None, how: str, **asked) -> pd.DataFrame:
    """What a Predictor or an Ensemble says of pictures, or of a table's; see api.predict. `asked`: coverage and tta."""
    aggregation.check_aggregation(model.task, by, how, asked.get("coverage"))
    if asked.get("tta"):
        moves_for(model.task)  # what cannot be done is known before the work
    if draw is not None:  # and what cannot be written
        from ..plots import copies

        copies.check_writable(draw)
    place = pictures[0] if isinstance(pictures, list) and len(pictures) == 1 else pictures
    if isinstance(place, (str, Path)) and Path(place).suffix.lower() in tables.SUFFIXES:
        result = _of_table(model, place, boxes, draw, images, by, asked)
    elif images is not None:
        raise ImgregError("--images with a table of pictures", f"'{place}'")
    else:
        result = model.predict(pictures, boxes, **asked)
        _draw(draw, model, result)
        if by == "folder":
            result = result.assign(folder=[str(Path(str(name)).parent) for name in result["image"]])
    return aggregation.aggregate_by(model.task, result, by, how) if by else result


def _of_table(model, table, boxes, draw, images, by: str | None, asked: dict) -> pd.DataFrame:
    """As `answer`, the pictures and their boxes being those of a table; `image` is what the table says."""
    frame = labels.read_pictures(table, model.task, images, (by,) if by else ())
    if boxes is not None:
        raise ImgregError("the boxes in the table, or pictures with boxes=", f"both a table '{table}' and boxes")
    boxes = frame[list(model.task.box)].to_numpy() if model.task.box else None
    result = model.predict(list(frame["path"]), boxes, expand=False, **asked)
    _draw(draw, model, result)
    rows = frame.iloc[result.index]  # by place: a picture may stand in several rows, for several boxes of it
    found = {column: rows[column].to_numpy() for column in ("image", *([by] if by else []))}
    return result.assign(**found).reset_index(drop=True)


def _draw(folder, model, result: pd.DataFrame) -> None:
    if folder is not None:
        from ..plots import copies

        copies.draw(folder, model.task, result)
