"""Recognising tables with one row a point, as many labelling tools write them, before anything is trained on them."""
from collections.abc import Iterable

import pandas as pd

from ..utils.messages import ImgregError, first_few
from .infer_targets import IDS, coordinates, name_words, rater_columns
from .tables import Table, first_rows

LABEL_NAMES = {*IDS, "label", "labels", "name", "point", "part", "bodypart", "keypoint", "landmark", "class", "type",
               "category", "marker", "joint", "feature", "tag", "region", "number"}
MEASURES = {*IDS, "area", "mean", "min", "max", "slice", "counter", "length", "angle", "frame"}  # of a point in ImageJ
SIDES = {"width", "height"}
MOST = 0.5  # of the images stand in several rows
MISTAKES = 0.05  # so many rows may repeat a label of their image, which --point-rows will tell of


def refuse_point_rows(frame: pd.DataFrame, image: str, table: str | Table, columns: Iterable[str] = ()) -> None:
    """Stop where a table has several points of an image in rows of their own.

    Args:
        frame: The table, or its beginning.
        image: The column that names the images.
        table: The table's path, for messages.
        columns: The columns of the targets, if these are known: those of the points must be among them, or a column
            that is not in the table.

    Raises:
        ImgregError: It is so; the option that reads it is named.
    """
    names = frame[image].dropna()
    if not names.duplicated().any() or (names.value_counts() > 1).mean() < MOST:
        return
    pairs = coordinates(frame.drop(columns=_image_sides(frame, image)), image)
    columns = set(columns)
    if len(pairs) != 1 or (columns and columns <= set(frame.columns) and not columns & set(pairs[0])):
        return
    x, y = pairs[0]
    several = frame[names.duplicated(keep=False).reindex(frame.index, fill_value=False)]
    if not (several.groupby(image)[[x, y]].nunique() > 1).any(axis=None):
        return  # the same row several times
    label = _label_column(several, image, (x, y))
    example = several[several[image] == several[image].iloc[0]]
    if label:
        words = [str(word) for word in example[label].dropna().unique()]
        raise ImgregError(f"one row an image in {table}", f"one row a point: {first_few(words, 3)} of "
                          f"{example[image].iloc[0]} in {first_rows(example.index)}",
                          f"--point-rows {label},{x},{y}, which joins the rows of an image: {words[0]}_x, {words[0]}_y")
    if not rater_columns(frame) and not _has_other_labels(several, image, (x, y)):
        raise ImgregError(f"one row an image in {table}, or a column that names its points, for --point-rows LABEL,X,Y",
                          f"{len(example)} points of {example[image].iloc[0]} without names in "
                          f"{first_rows(example.index)}",
                          "a column with their names or numbers; or --raters mean, if all show the same point")


def _image_sides(frame: pd.DataFrame, image: str) -> list[str]:
    """Find width and height of the images: the same in all rows of an image, unlike the sides of boxes."""
    sides = [name for name in frame.columns if SIDES & set(name_words(str(name)))]
    return [name for name in sides if frame.groupby(image)[name].nunique().max() <= 1]


def _label_column(frame: pd.DataFrame, image: str, places: tuple[str, str]) -> str:
    """Choose the column whose values return in other images, but not in the same; by its name first; "": none."""
    candidates = []
    for name in frame.columns.drop([image, *places, *rater_columns(frame)]):
        values = frame[name].dropna()
        by_name = bool(LABEL_NAMES & set(name_words(name)))
        if pd.api.types.is_numeric_dtype(values) and not (by_name and (values % 1 == 0).all()):
            continue
        words = values.astype(str)
        again = pd.DataFrame({"image": frame[image], "word": words}).dropna().duplicated().mean()
        if len(words) > len(frame) / 2 and again <= MISTAKES and words.nunique() <= len(words) / 2:
            candidates.append((by_name, str(name)))
    return max(candidates, key=lambda candidate: candidate[0], default=(False, ""))[1]


def _has_other_labels(frame: pd.DataFrame, image: str, places: tuple[str, str]) -> bool:
    """Tell whether other numbers differ in the rows of an image, so that a row is more than a point."""
    numbers = frame.drop(columns=[image, *places]).select_dtypes("number")
    differ = (numbers.groupby(frame[image]).nunique() > 1).any()
    return any(not MEASURES & set(name_words(str(name))) for name in numbers.columns[differ])
