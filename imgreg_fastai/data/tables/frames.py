"""A DataFrame in place of a table's file: what its cells hold, as if they had been read from a file."""
import datetime
import os
from dataclasses import dataclass, field
from decimal import Decimal
from numbers import Real
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import pandas as pd

from ...utils.messages import ImgregError
from .headers import column_names
from .text_tables import EMPTY

MOMENTS = (datetime.date, datetime.time, datetime.timedelta, np.datetime64, np.timedelta64, pd.Period, pd.Interval)


@dataclass(frozen=True, eq=False)
class FrameTable(os.PathLike[str]):
    """A DataFrame that is read where the path of a table is expected.

    Attributes:
        frame: The DataFrame; it is not changed. Paths of images are relative to the working directory.
        name: What its task is called.
    """

    frame: pd.DataFrame = field(repr=False)
    name: str = "table"
    parent = Path()

    def __str__(self) -> str:
        return "the DataFrame"

    __fspath__ = __str__

    def is_dir(self) -> bool:
        """Return False: it is no folder of images."""
        return False

    def is_file(self) -> bool:
        """Return True: it can be read as a table's file."""
        return True


Table: TypeAlias = Path | FrameTable


def as_table(table: object) -> Table:
    """Return a path, a FrameTable or a DataFrame as what the readers of tables take.

    Raises:
        ImgregError: It is something else.
    """
    if isinstance(table, FrameTable):
        return table
    if isinstance(table, pd.DataFrame):
        return FrameTable(table)
    if isinstance(table, (str, os.PathLike)):
        return Path(table)
    hint = "its to_pandas()" if hasattr(table, "to_pandas") else "pandas.DataFrame(...) of it"
    raise ImgregError("the path of a labels table or of a folder, or a DataFrame", f"a {type(table).__name__}", hint)


def plain_frame(frame: pd.DataFrame, text: tuple[str, ...], table: object,
                max_rows: int | None = None) -> pd.DataFrame:
    """Return a DataFrame, of whatever dtypes, as one with names as text, and with cells as a CSV file would give them.

    Args:
        frame: It is not changed. The levels of its index that have names become columns.
        text: Columns that stay text, in which only an empty cell is missing; see `read_table`.
        table: What it is called in messages.
        max_rows: Return only the first rows.

    Raises:
        ImgregError: Its columns have several levels, or the same name; or a column of `text` holds no text.
    """
    if frame.columns.nlevels > 1:
        raise ImgregError(f"one name for each column in '{table}'",
                          f"names of {frame.columns.nlevels} levels, such as {frame.columns[0]!r}",
                          "frame.columns = ['_'.join(map(str, c)) for c in frame.columns]")
    frame = frame.iloc[:max_rows]
    levels = [name for name in frame.index.names if name is not None]
    frame = frame.reset_index(drop=not levels or bool({*map(str, levels)} & {*map(str, frame.columns)}))
    names = column_names(frame.columns, table)
    columns = {name: _plain_column(frame.iloc[:, i], name, name in text, table) for i, name in enumerate(names)}
    return pd.DataFrame(columns, frame.index, names)


def _plain_column(column: pd.Series, name: str, is_text: bool, table: object) -> pd.Series:
    """Return a column as plain numbers, or as objects that are text, numbers or None."""
    if pd.api.types.is_bool_dtype(column) or not pd.api.types.is_numeric_dtype(column):
        column = _plain_objects(column, name, is_text, table)
    if pd.api.types.is_complex_dtype(column):
        column = column.astype(str)  # no number that can be learned
    elif pd.api.types.is_numeric_dtype(column) and not isinstance(column.dtype, np.dtype):  # nullable, Arrow, sparse
        are_integers = pd.api.types.is_integer_dtype(column) and not column.isna().any()
        numbers = column.to_numpy(np.int64) if are_integers else column.to_numpy(float, na_value=np.nan)
        column = pd.Series(numbers, column.index)
    return text_cells(column) if is_text else column


def text_cells(column: pd.Series) -> pd.Series:
    """Return the cells of a column as text, None where one is empty."""
    if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
        column = column.astype("Int64")  # pandas holds whole numbers with a gap as floats: the group 1 as 1.0
    cells = column.astype(object).map(str, na_action="ignore")
    return cells.where(cells != "", None)


def _plain_objects(column: pd.Series, name: str, is_text: bool, table: object) -> pd.Series:
    """Return a column of texts, categories, times or other objects as texts and numbers, None where one is missing."""
    cells = column.astype(object)
    odd = sorted({type(cell).__name__ for cell in cells if isinstance(_plain_cell(cell), _Odd)})
    if odd and is_text:
        raise ImgregError(f"text in the column '{name}' of '{table}', such as paths of images",
                          f"a cell of type {odd[0]}",
                          "files of the images, and their paths in that column")
    plain = cells.map(_plain_cell)
    missing = plain.isna() | plain.isin(("",) if is_text else EMPTY)
    return plain.mask(missing, None).infer_objects()


class _Odd(str):
    """The name of the type of a cell that is neither a text nor a number."""


def _plain_cell(cell: Any) -> Any:
    """Return a cell as text, a number or None; a list as its text, anything else as the name of its type."""
    if isinstance(cell, (str, Real)):
        return cell
    if isinstance(cell, (np.bool_, Decimal)):
        return bool(cell) if isinstance(cell, np.bool_) else float(cell)
    if isinstance(cell, os.PathLike):
        return os.fspath(cell)
    if isinstance(cell, np.ndarray) and cell.ndim == 0:
        return _plain_cell(cell.item())
    if isinstance(cell, (list, tuple, np.ndarray)):
        return str([part.item() if isinstance(part, np.generic) else part for part in cell])
    if cell is None or cell is pd.NA or cell is pd.NaT:
        return None
    return str(cell) if isinstance(cell, MOMENTS) else _Odd(f"<{type(cell).__name__}>")
