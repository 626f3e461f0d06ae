"""Columns that say whether a point is visible, as COCO writes them: 0 is a point that is not there."""
import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from ..tasks import Task
from ..utils.messages import first_few, say

WORDS = ("v", "vis", "visible", "visibility")  # what stands in place of x
STATES = {0.0, 1.0, 2.0}  # not labelled, hidden, visible; hidden points have a position


def counterpart(letters: str, x: str, columns: Iterable[str]) -> str:
    """Return the column named as `x`, but with `letters` for an x that begins or ends one of its words; "": none."""
    columns = list(columns)
    by_name = {column.lower(): column for column in reversed(columns)} | {column: column for column in columns}
    for match in re.finditer("[xX]", x):
        i = match.start()
        neighbours = x[i - 1 : i], x[i + 1 : i + 2]
        inside = all(c.isalpha() and not (c.islower() and x[i].isupper()) for c in neighbours)
        name = x[:i] + (letters.upper() if x[i].isupper() else letters) + x[i + 1 :]
        flag_column = by_name.get(name) or by_name.get(name.lower())
        if flag_column and not inside:
            return flag_column
    return ""


def visibility_column(x: str, frame: pd.DataFrame) -> str:
    """Return the column of visibility of the point whose x is in the column `x`; "" if there is none.

    It is named as that of x, with one of WORDS in its place (nose_v for nose_x, v1 for x1), and holds nothing but 0, 1
    and 2, as numbers, or true and false.
    """
    for word in WORDS:
        column = counterpart(word, x, map(str, frame.columns))
        if column and _says_visible(frame[column]):
            return column
    return ""


def visibility_columns(frame: pd.DataFrame) -> list[str]:
    """Return the columns of visibility of all points of a table: of columns of x with a y."""
    names = [str(name) for name in frame.columns]
    columns = [visibility_column(x, frame) for x in names if counterpart("y", x, names)]
    return [column for column in dict.fromkeys(columns) if column]


def _numbers(column: pd.Series) -> pd.Series:
    """Read a column of visibility as numbers; NaN where there is none."""
    words = column.astype(str).str.strip().str.lower().replace({"true": "1", "false": "0"})
    return pd.to_numeric(words, errors="coerce")


def _says_visible(column: pd.Series) -> bool:
    """Tell whether a column holds nothing but numbers out of STATES, and empty cells."""
    values = _numbers(column)
    cells = column[values.isna()]
    empty = cells.isna() | (cells.astype(str).str.strip() == "")
    return bool(values.notna().any() and empty.all() and values.dropna().isin(STATES).all())


def blank_invisible(labels: pd.DataFrame, frame: pd.DataFrame, task: Task) -> pd.DataFrame:
    """Return the labels with empty cells for points whose column of visibility says 0; say how many these are.

    Args:
        labels: The columns of the task as the table has them.
        frame: The table with all its columns, the same rows.
        task: The task.
    """
    blanked: dict[str, pd.Series] = {}
    n, names = 0, []
    for target in task.targets:
        if not target.in_image:
            continue
        for x, y in zip(target.columns[::2], target.columns[1::2], strict=True):
            column = visibility_column(x, frame)
            invisible = _numbers(frame[column]) == 0 if column else np.zeros(len(frame), bool)
            if np.any(invisible):
                n += int((invisible & (labels[x].notna() | labels[y].notna())).sum())
                names.append(column)
                blanked |= {name: labels[name].mask(invisible, np.nan) for name in (x, y)}
    if n:
        say(f"{first_few(names, 3)} says which points are visible: {n:,} points with 0 there are taken as missing")
    return labels.assign(**blanked) if blanked else labels
