"""Where the header of a table stands, and whether it has one."""
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import PurePath
from typing import NamedTuple

import pandas as pd

from ...utils.messages import ImgregError, close_matches, first_few, shorten
from ..images import SUFFIXES as IMAGE_SUFFIXES

Row = Sequence[str]
NUMBER = re.compile(r"\s*[-+\u2212]?(\d+([.,]\d*)?|[.,]\d+)([eE][-+]?\d+)?\s*")
POINT_LIST = ("label", "x", "y", "image", "width", "height")  # makesense.ai writes a row for each point, and no header


class Header(NamedTuple):
    """The header of a table.

    Attributes:
        row: Its place among the rows; of a table without a header, that of the first row of data.
        names: The names of the columns; without a header they are made up.
        absent: Whether there is none.
        notes: What was decided.
    """

    row: int
    names: list[str]
    absent: bool = False
    notes: tuple[str, ...] = ()


def find_header(rows: Sequence[Row]) -> Header:
    """Find the header among the first rows of a table, below comments and titles.

    Args:
        rows: The cells of the first rows, blank ones included; without cells at their ends that are empty in all.
    """
    start = _skip_blank(rows, 0)
    comment = -1
    while start < len(rows) and rows[start][0].lstrip().startswith("#") and not _is_header_with_hash(rows, start):
        comment, start = start, _skip_blank(rows, start + 1)
    lengths = Counter(length for length in map(_length, rows[start:]) if length)
    if not lengths:
        return Header(start, [])
    width = max(lengths, key=lambda length: (lengths[length], length))
    first = _skip_title(rows, start, width)
    notes: tuple[str, ...] = ()
    if first > start:
        notes = (f"the header is '{shorten(', '.join(rows[first]))}', below {first - start} lines of a title",)
    if not _is_data(rows[first], rows[first + 1 :]):
        return Header(first, list(rows[first]), notes=notes)
    if comment >= 0:  # "# image x y" above the data
        names = [rows[comment][0].lstrip().removeprefix("#").strip(), *rows[comment][1:]]
        names = names if names[0] else names[1:]
        if len(names) >= width and not _is_data(names, rows[first:]):
            line = f"its header is the comment '{shorten(', '.join(names))}'"
            return Header(first, names, absent=True, notes=(line,))
    names = _made_up_names(rows[first], rows[first + 1 :])
    line = (f"it has no header, as its first line is data: '{shorten(', '.join(rows[first]))}'; its columns are called "
            f"{shorten(', '.join(names))} (a first line with names of your own changes that)")
    return Header(first, names, absent=True, notes=(line,))


def _skip_blank(rows: Sequence[Row], i: int) -> int:
    while i < len(rows) and not _length(rows[i]):
        i += 1
    return i


def _length(row: Row) -> int:
    """Return the number of cells up to the last that is not blank."""
    return max((i + 1 for i, cell in enumerate(row) if cell.strip()), default=0)


def _is_header_with_hash(rows: Sequence[Row], i: int) -> bool:
    """Tell whether a row is a header such as #name,x,y: data as wide as itself follow, and no other header."""
    row, rest = rows[i], rows[i + 1 :]
    below = _skip_blank(rows, i + 1)
    if below >= len(rows) or _length(row) < 2 or row[0].lstrip()[1:2].isspace():
        return False
    return _length(row) == _length(rows[below]) and _is_data(rows[below], rest[below - i :])


def _skip_title(rows: Sequence[Row], start: int, width: int) -> int:
    """Return the first row that is no title: one cell in a wider table, or lines that a blank one parts from it."""
    if width < 2:
        return start
    first = start
    while first < len(rows) - 1 and rows[first][0].strip() and _length(rows[first]) == 1:
        first = _skip_blank(rows, first + 1)
    wide = next((i for i in range(first, len(rows)) if _length(rows[i]) >= width), first)
    blank_between = any(not _length(row) for row in rows[first:wide])
    return wide if blank_between else min(first, len(rows) - 1)


def _is_data(first: Row, rest: Sequence[Row]) -> bool:
    """Tell whether a first row is data: it names an image as the others do, or has numbers where all others do."""
    columns = list(zip_longest(*rest, fillvalue="")) if rest else []
    for i, cell in enumerate(first):
        others = [name for name in columns[i] if name.strip()] if i < len(columns) else []
        if _is_image(cell) and (not others or sum(map(_is_image, others)) > len(others) / 2):
            return True
    cells = dict(zip(range(len(columns)), first, strict=False))
    numeric = [i for i in cells if _numbers(columns[i])]
    if not numeric or not all(NUMBER.fullmatch(cells[i]) for i in numeric):
        return False
    if [cells[i].strip() for i in numeric] in ([str(i) for i in range(n, n + len(numeric))] for n in (0, 1)):
        return False  # columns that a program has numbered
    words = [i for i in cells if i not in numeric and cells[i].strip()]
    return all(_shape(cells[i]) in set(map(_shape, columns[i])) for i in words)


def _is_image(cell: str) -> bool:
    return PurePath(cell.strip().replace("\\", "/").lower()).suffix in IMAGE_SUFFIXES


def _numbers(column: Row) -> bool:
    """Tell whether a column holds numbers, and nothing else."""
    filled = [cell for cell in column if cell.strip()]
    return bool(filled) and all(map(NUMBER.fullmatch, filled))


def _shape(cell: str) -> str:
    """Return a cell with 9 for all its numbers: IMG_9."""
    return re.sub(r"\d+", "9", cell.strip())


def _made_up_names(first: Row, rest: Sequence[Row]) -> list[str]:
    """Name the columns of a table without a header: `image`, and the others by their place."""
    images = [i for i, cell in enumerate(first) if _is_image(cell)]
    numbers = [i for i, cell in enumerate(first) if NUMBER.fullmatch(cell)]
    if images == [3] and numbers == [1, 2, 4, 5] and len(first) == len(POINT_LIST):
        return list(POINT_LIST)
    width = max([len(first), *map(len, rest)])
    return ["image" if i in images[:1] else f"column_{i + 1}" for i in range(width)]


def column_names(names: Iterable[object], path: object) -> list[str]:
    """Return names of columns without blanks around them; of an empty one as pandas calls it, "Unnamed: 2".

    Args:
        names: The cells of a header.
        path: The file, for messages.

    Raises:
        ImgregError: Two names are the same.
    """
    stripped = [str(name).strip() for name in names]
    repeated = [name for name in dict.fromkeys(stripped) if name and stripped.count(name) > 1]
    if repeated:
        raise ImgregError(f"columns of different names in '{path}'", f"{first_few(map(repr, repeated))} more than once")
    return [name or f"Unnamed: {i}" for i, name in enumerate(stripped)]


def existing_column(frame: pd.DataFrame, name: str, option: str, table: object) -> str:
    """Return the name of a column that an option names; raise ImgregError if the table has no such column."""
    if name not in frame:
        close = close_matches(name, map(str, frame.columns))
        raise ImgregError(f"a column '{name}' in {table}, for {option}", first_few(frame.columns, 8),
                          close and f"one of {close}")
    return name
