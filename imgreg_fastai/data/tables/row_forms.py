"""From the rows that people have to one row an image: lists in cells become columns, and rows of points are joined."""
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...utils.messages import ImgregError, first_few, say, warn
from .frames import Table
from .headers import existing_column
from .list_cells import expand_lists

MAX_LABELS = 1000  # different labels of points; where there are more, they are no labels that return in each image


class RowOptions(NamedTuple):
    """How the rows of a table become one row an image; the fields of the same names of a Task.

    Attributes:
        list_cols: `COLUMN=NAME,NAME,..` each: columns of lists, and what their numbers are called.
        point_rows: The columns LABEL, X and Y of a table with a row for each point; () where a row is an image.
        raters: mean or median, of the labels that several raters gave an image; "" where each row stands alone.
    """

    list_cols: tuple[str, ...] = ()
    point_rows: tuple[str, ...] = ()
    raters: str = ""


ROWS_AS_THEY_ARE = RowOptions()


def arrange(frame: pd.DataFrame, image: str, options: RowOptions, table: str | Table, needed: Iterable[str] = (),
            choosing: bool = False, required: bool = True) -> pd.DataFrame:
    """Make one row an image of a table's rows, and columns of lists in its cells; raters are joined later.

    Args:
        frame: The rows of the table; the index of an image's first row remains.
        image: The column that names the images.
        options: How.
        table: The table's path, for messages.
        needed: Columns that must agree in all rows of an image. Others in which they differ are left out.
        choosing: Whether targets are yet to be chosen: the columns that are left out are reported then, and else cells
            that cannot be used.
        required: Whether rows of points must be there; otherwise a table with one row an image may be given.

    Returns:
        The table. A point `nose` is in the columns nose_x and nose_y, empty where an image has none.

    Raises:
        ImgregError: A column is missing, an image has a label twice, or its rows contradict one another.
    """
    attrs, needed = frame.attrs, set(needed)
    frame = expand_lists(frame, options.list_cols, table, needed, report=not choosing)
    if options.point_rows:
        if len(options.point_rows) != 3 or len({*options.point_rows, image}) != 4:
            raise ImgregError(f"--point-rows LABEL,X,Y: three columns beside that of the images, '{image}'",
                              first_few(map(repr, options.point_rows)))
        missing = [column for column in options.point_rows if column not in frame]
        if missing and (required or len(missing) < len(options.point_rows)):
            existing_column(frame, missing[0], "--point-rows LABEL,X,Y", table)
        if not missing:
            frame = _join_points(frame, image, options.point_rows, table, needed, choosing)
    frame.attrs = attrs
    return frame


def _join_points(frame: pd.DataFrame, image: str, point_rows: tuple[str, ...], table: str | Table, needed: set[str],
                 choosing: bool) -> pd.DataFrame:
    """Join the rows of each image: one row with the points side by side."""
    label, *places = point_rows
    # 1. What each row names. A row without an image stays by itself, and is left out later.
    words = frame[label].astype(object).map(lambda word: str(word).strip().removesuffix(".0"), na_action="ignore")
    images = frame[image].astype(object)
    words = words.mask(images.isna() | (words == ""))
    if not choosing:
        nameless = words.isna() & images.notna() & frame[places].notna().any(axis=1)
        if nameless.any():
            warn(f"{int(nameless.sum()):,} of {len(frame):,} rows of {table} are left out, points without {label}: "
                 f"{first_rows(frame.index[nameless])}")
    _check_labels(frame, image, words, label, table)
    groups = images.map(str, na_action="ignore").mask(images.isna(), pd.Series(range(len(frame)), frame.index))
    codes, _ = pd.factorize(groups)
    # 2. What else is known of an image.
    first = ~pd.Series(codes, frame.index).duplicated()
    others = frame.drop(columns=list(point_rows))
    differing = [str(name) for name in others.columns if _differ(others[name], codes)]
    refuse_differences(others, codes, image, [name for name in differing if name in needed], others.index + 2, table)
    if differing and choosing:
        say(f"left out {first_few(differing)}: what differs among the points of an image")
    joined = others.drop(columns=differing).groupby(codes, sort=False).first().set_axis(frame.index[first], axis=0)
    # 3. The points side by side.
    named = words.notna().to_numpy()
    columns, labels = pd.factorize(words[named])
    points = pd.DataFrame(index=joined.index)
    for axis, column in zip("xy", places, strict=True):
        values = frame[column].to_numpy(None if pd.api.types.is_numeric_dtype(frame[column]) else object)
        cells = np.full((len(joined), len(labels)), np.nan, np.float64 if values.dtype != object else object)
        cells[codes[named], columns] = values[named]
        part = pd.DataFrame(cells, joined.index, [f"{word}_{axis}" for word in labels])
        points = pd.concat([points, part], axis=1)
    clashes = [name for name in points.columns if name in joined.columns]
    if clashes:
        raise ImgregError(f"no columns in {table} that are called as the joined points will be", first_few(clashes))
    in_pairs = [f"{word}_{axis}" for word in labels for axis in "xy"]
    return pd.concat([joined, points[in_pairs]], axis=1)


def _check_labels(frame: pd.DataFrame, image: str, words: pd.Series, label: str, table: str | Table) -> None:
    """Raise ImgregError if there are no labels, too many, or one of them twice in an image."""
    n = words.nunique()
    if not 0 < n <= MAX_LABELS:
        raise ImgregError(f"labels in the column '{label}' of {table} that return in each image, for --point-rows",
                          f"{n:,} different ones" if n else "none")
    named = words.notna()
    again = pd.DataFrame({"image": frame[image].astype(str), "word": words})[named].duplicated(keep=False)
    if again.any():
        row = again[again].index[0]
        same = (frame[image] == frame[image][row]) & (words == words[row])
        raise ImgregError(f"each point once in an image of {table}", f"'{words[row]}' of {frame[image][row]} in "
                          f"{first_rows(frame.index[same])} ({int(again.sum()):,} such rows)", "keeping one of them")


def _differ(column: pd.Series, codes: np.ndarray) -> bool:
    """Tell whether a column has different values in the rows of a group; a missing one differs from none."""
    values = pd.Series(pd.factorize(column.map(str, na_action="ignore") if column.dtype == object else column)[0])
    has_name = (values >= 0).to_numpy()
    values = values[has_name]
    return bool((values != values.groupby(codes[has_name]).transform("first")).any())


def refuse_differences(frame: pd.DataFrame, codes: np.ndarray, image: str, names: Iterable[str],
                       row_numbers: Iterable[int], table: str | Table) -> None:
    """Raise ImgregError if a column has different values in the rows of an image; a missing one differs from none.

    Args:
        frame: Rows of a table.
        codes: Number of the image of each row, int [n].
        image: The column that names the images.
        names: The columns that must agree.
        row_numbers: What the rows are called, [n].
        table: The table, for messages.
    """
    for name in names:
        values = frame[name].groupby(codes).transform("first")
        differ = frame[name].notna() & (frame[name] != values)
        if differ.any():
            row = frame.index[differ][0]
            number = pd.Series(row_numbers, frame.index)[row]
            raise ImgregError(f"the same {name} in all rows of an image in {table}",
                              f"'{values[row]}' and '{frame[name][row]}' of {frame[image][row]} (row {number})",
                              "correcting them")


def first_rows(index: pd.Index) -> str:
    """List the first rows of a table by their numbers, which are the index + 2."""
    return first_few((f"row {row + 2}" for row in index), 3)
