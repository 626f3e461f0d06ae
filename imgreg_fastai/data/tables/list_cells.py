"""Columns whose cells hold several numbers each, such as [12.5, 30.1]: how they are recognised, and made columns of."""
import re
from collections.abc import Collection
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...utils.messages import ImgregError, first_few, say, shorten, warn
from .frames import Table
from .headers import existing_column

MAX_NUMBERS = 1000  # in a cell; more are the pixels of an image
CELL = 40  # characters of a cell in messages
BEGINNING = 200  # rows that show whether the cells of a column hold lists
NUMBER = r"[+-]?(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?|nan|NaN|None|null"
SEPARATED = re.compile(rf"(?:{NUMBER})(?:[\s,;|]+(?:{NUMBER}))+")
DECIMAL_COMMAS = re.compile(r"[+-]?\d+(?:,\d+)?(?:\s*[;|]\s*[+-]?\d+(?:,\d+)?)*")
INNER = re.compile(r"[\[({][^\[\](){}]*[\])}]")  # the innermost brackets
MISSING = ("nan", "none", "null")


class ListColumn(NamedTuple):
    """How the cells of a column look: the number of numbers in most of them, whether as pairs, and one of them."""

    length: int
    pairs: bool
    example: str


def find_list_columns(frame: pd.DataFrame) -> dict[str, ListColumn]:
    """Find the columns in most of whose first cells stand as many numbers, two or more.

    Args:
        frame: A table, or its beginning.

    Returns:
        What their cells look like, by the columns' names.
    """
    list_columns = {}
    for name in frame.columns:
        if pd.api.types.is_numeric_dtype(frame[name]) or pd.api.types.is_datetime64_any_dtype(frame[name]):
            continue
        cells = frame[name].dropna().iloc[:BEGINNING]
        lists = [read_list(cell) for cell in cells]
        counts = pd.Series([0 if numbers is None else len(numbers) for numbers in lists], dtype=int)
        usual = int(counts.mode().iloc[0]) if len(counts) else 0
        if 2 <= usual <= MAX_NUMBERS and (counts == usual).mean() > 0.5:
            cell = cells.iloc[int(np.argmax(counts == usual))]
            list_columns[str(name)] = ListColumn(usual, _are_pairs(cell, usual), shorten(cell, CELL))
    return list_columns


def read_list(cell: object) -> np.ndarray | None:
    """Read the numbers of a cell: in brackets or without, divided by commas, semicolons, bars or blanks.

    Args:
        cell: A text, such as "[12.5, 30.1]", "12.5 30.1", "(12,5; 30,1)" or "[[1, 2], [3, 4]]"; or a list or an array.

    Returns:
        The numbers [n], n at least 2, NaN where one is missing; None if it is no list of numbers. "12,5" is one number.
    """
    if isinstance(cell, (list, tuple, np.ndarray)):
        try:
            numbers = np.concatenate([np.ravel(np.asarray(part, float)) for part in cell]) if len(cell) else np.empty(0)
        except (TypeError, ValueError):
            return None
        return numbers if len(numbers) > 1 else None
    if not isinstance(cell, str) or not any(c.isdigit() for c in cell[:100]):  # of most texts this is quick to see
        return None
    text = re.sub(r"^\s*(?:np\.)?array", "", cell).strip()
    plain = re.sub(r"[\[\](){}]", " ", text).strip(" ,;|\n\t")
    if DECIMAL_COMMAS.fullmatch(plain) and (";" in plain or "|" in plain or text[:1].isdigit()):
        plain = plain.replace(",", ".")  # without brackets 12,5 may well be one number, which it is here
    if not SEPARATED.fullmatch(plain):
        return None
    words = re.split(r"[\s,;|]+", plain)
    return np.array([np.nan if word.lower() in MISSING else float(word) for word in words])


def expand_lists(frame: pd.DataFrame, specs: tuple[str, ...], table: str | Table, needed: Collection[str] = (),
                 report: bool = False) -> pd.DataFrame:
    """Put a column for each number in place of columns of lists; a cell with another count of numbers is missing.

    Args:
        frame: The table.
        specs: `COLUMN=NAME,NAME,..` each, as `complete_specs` returns them. A column that is not there is passed over
            where its NAMEs are there in its place, or none of them is needed.
        table: The table's path, for messages.
        needed: The columns that are needed.
        report: Whether to warn of cells with another count.

    Raises:
        ImgregError: There is no such column, or a name is in the table already.
    """
    for spec in specs:
        column, names = split_spec(spec)
        if column not in frame and (set(names) <= set(frame.columns) or not set(names) & set(needed)):
            continue
        if column not in frame:
            raise ImgregError(f"a column '{column}' of lists in {table}, or {', '.join(names)} in its place",
                              first_few(frame.columns, 8))
        taken = [name for name in names if name in frame.columns and name != column]
        if taken:
            raise ImgregError(f"--list-col {column}=NAME,.. with names that no column of {table} has", first_few(taken))
        lists = [_read(cell, len(names)) for cell in frame[column]]
        values = np.array([numbers or [np.nan] * len(names) for numbers in lists], float).reshape(-1, len(names))
        wrong = frame[column][np.array([not numbers for numbers in lists], bool)].dropna()
        if report and len(wrong):
            pairs = zip(wrong.index[:3], wrong, strict=False)
            rows = first_few(f"row {row + 2} '{shorten(cell, CELL)}'" for row, cell in pairs)
            warn(f"{column} of {table}: {len(wrong):,} of {len(frame):,} cells do not hold {len(names)} numbers, "
                 f"and are taken as missing: {rows}")
        frame = pd.concat([frame.drop(columns=column), pd.DataFrame(values, frame.index, names)], axis=1)
    return frame


def complete_specs(frame: pd.DataFrame, specs: tuple[str, ...], table: str | Table) -> tuple[str, ...]:
    """Return `COLUMN[=NAME,..]` each with a name for every number of its lists: else COLUMN_0, COLUMN_1 and so on.

    Pairs within a list have COLUMN_0_x, COLUMN_0_y and so on.

    Args:
        frame: The table, or its beginning.
        specs: What the user has asked for.
        table: The table's path, for messages.

    Raises:
        ImgregError: There is no such column, it holds no lists, or they have another count than there are names.
    """
    list_columns, complete = find_list_columns(frame), []
    for spec in specs:
        column, names = split_spec(spec)
        if column not in frame and names and set(names) <= set(frame.columns):
            complete.append(spec)
            continue
        existing_column(frame, column, "--list-col", table)
        if column not in list_columns:
            cells = frame[column].dropna()
            example = f"cells such as '{shorten(cells.iloc[0], CELL)}'" if len(cells) else "it is empty"
            raise ImgregError(f"as many numbers, at least two, in most cells of '{column}' in {table}", example)
        length, pairs, example = list_columns[column]
        if not names:
            ends = [f"_{i // 2}_{'xy'[i % 2]}" if pairs else f"_{i}" for i in range(length)]
            names = tuple(column + end for end in ends)
        if len(names) != length or len(set(names)) != length:
            raise ImgregError(f"--list-col {column}=NAME,.. with {length} different names, for cells such as {example}",
                              f"{len(names)}: {first_few(names, 8)}")
        numbers = next(filter(None, (_read(cell, length) for cell in frame[column].dropna())))
        values = first_few((f"{name} {number:g}" for name, number in zip(names, numbers, strict=True)), 4)
        say(f"{column} of {table}: {example} is read as {values}")
        complete.append(f"{column}={','.join(names)}")
    return tuple(complete)


def split_spec(spec: str) -> tuple[str, tuple[str, ...]]:
    """Read COLUMN[=NAME,NAME,..]."""
    column, _, names = spec.partition("=")
    return column.strip(), tuple(name.strip() for name in names.split(",") if name.strip())


def _read(cell: object, count: int) -> list[float]:
    """Return the numbers of a cell if they are so many, else none."""
    numbers = read_list(cell)
    return [] if numbers is None or len(numbers) != count else numbers.tolist()


def _are_pairs(cell: object, count: int) -> bool:
    """Tell whether the numbers of a cell stand in brackets two by two, and there are several pairs."""
    text = str(cell.tolist() if isinstance(cell, np.ndarray) else cell)
    inner = INNER.findall(text.replace("array(", "("))
    return count > 2 and len(inner) * 2 == count
