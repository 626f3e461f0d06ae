"""Reading tables, whatever program wrote them."""
import csv
from pathlib import Path

import pandas as pd

from ...utils.messages import ImgregError, error_reason, say
from . import exports
from .files import TABLE, TableFile, open_table
from .frames import FrameTable, Table, as_table, plain_frame, text_cells
from .json_tables import is_json, read_json
from .label_studio import is_label_studio, read_points
from .numbers import Marks, read_numbers
from .text_format import text_of
from .text_tables import read_text
from .workbooks import read_workbook

# What reads a kind of file, and the extra of the package that installs it.
NEEDS = {"parquet": ("Parquet needs pyarrow", "parquet"), "xlsx": ("Excel files needs openpyxl", "sheets"),
         "ods": ("ODS needs odfpy", "sheets")}
_said: dict[Path, tuple[str, ...]] = {}  # what was said when the beginning of a table was read


def read_table(path: str | Table, text: tuple[str, ...] = (), max_rows: int | None = None) -> pd.DataFrame:
    """Read a table: CSV, TSV and other text with any usual separator and encoding, JSON, Excel, ODS or Parquet.

    Rows without any value are dropped. What had to be guessed about the file is reported. What was decided about the
    numbers of a column is reported by `report_numbers`, for the columns that are used.

    Args:
        path: The file, which may be packed as gzip, bzip2, xz or zip. Its content tells what it is, not its name. Or a
            DataFrame in its place.
        text: Columns that stay text: 007 and NA are names there, and only an empty cell is missing.
        max_rows: Read only the first rows.

    Returns:
        The table; its index + 2 is a row's line number in an editor, or its position in a DataFrame. By column,
        `attrs["units"]` has the units that stood in the cells, `attrs["notes"]` what was decided about their numbers.

    Raises:
        ImgregError: The file is not a table.
    """
    path = as_table(path)
    if isinstance(path, FrameTable):
        plain = plain_frame(path.frame, text, path, max_rows).dropna(how="all")
        plain.index -= 2  # rows are called by their positions, as `iloc` counts them
        return with_numbers(plain, text)
    if path.is_dir():
        raise ImgregError(TABLE, f"the folder '{path}'")
    try:
        file = open_table(path)
        frame, marks, notes = _read(file, text, max_rows)
    except ImportError as e:
        need, extra = NEEDS[file.format]
        hint = f"pip install 'imgreg-fastai[{extra}]', or the table saved as CSV"
        raise ImgregError(TABLE, f"'{path}': reading {need}", hint) from e
    except (ValueError, OSError, EOFError, csv.Error) as e:  # pandas' parse and decode errors are ValueErrors
        reason = error_reason(e).replace("Error tokenizing data. C error: ", "")
        raise ImgregError(TABLE, f"'{path}': {reason}") from e
    if is_label_studio(frame):
        frame, about_points = read_points(frame)
        notes = (*notes, *about_points)
    if notes and (max_rows is not None or _said.pop(path, ()) != notes):
        say(f"{path}: {'; '.join(notes)}")
    if max_rows is not None:  # it is said before any mistake in the options, and not again when the rest is read
        _said[path] = notes
    return with_numbers(frame, text, marks)


def _read(file: TableFile, text: tuple[str, ...], max_rows: int | None) -> tuple[pd.DataFrame, Marks, tuple[str, ...]]:
    """Read a file by its kind: the table, the marks of its numbers, and what had to be guessed."""
    notes: tuple[str, ...] = ()
    if file.format == "parquet":
        return _read_parquet(file, text, max_rows).dropna(how="all"), Marks(), notes
    if file.format in ("xlsx", "ods"):
        frame, notes = read_workbook(file, max_rows)
    else:
        encoding, beginning = text_of(file)
        exports.check_text(beginning, file.path)
        if not is_json(beginning):
            return read_text(file, encoding, beginning, text, max_rows)
        frame = read_json(file, encoding, beginning, max_rows)
    for name in frame.columns:
        if name in text:
            frame[name] = text_cells(frame[name])
        elif pd.api.types.is_datetime64_any_dtype(frame[name]) or pd.api.types.is_timedelta64_dtype(frame[name]):
            frame[name] = frame[name].astype(object).map(str, na_action="ignore")  # else its nanoseconds are numbers
    return frame.dropna(how="all"), Marks(), notes


def _read_parquet(file: TableFile, text: tuple[str, ...], max_rows: int | None) -> pd.DataFrame:
    with file.open() as stream:
        return plain_frame(pd.read_parquet(stream), text, file.path, max_rows)


def with_numbers(frame: pd.DataFrame, text: tuple[str, ...] = (), marks: Marks | None = None) -> pd.DataFrame:
    """Read the cells of all columns that are no numbers yet, and not to stay text, as numbers where they are some.

    Args:
        frame: A table.
        text: Columns that stay text.
        marks: The marks of its file.

    Returns:
        The table, with `attrs["units"]` and `attrs["notes"]`; see read_table.
    """
    units: dict[str, str] = {}
    notes: dict[str, tuple[str, ...]] = dict(frame.attrs.get("notes", {}))
    columns = {}
    for name, column in frame.items():
        if name in text or pd.api.types.is_numeric_dtype(column):
            continue
        reading = read_numbers(column, marks or Marks())
        if reading.cells is not column:
            columns[str(name)] = reading.cells
        if reading.unit:
            units[str(name)] = reading.unit
        if reading.notes:
            notes[str(name)] = reading.notes
    frame = frame.assign(**columns) if columns else frame
    frame.attrs.update(units=units, notes=notes)
    return frame


def report_numbers(frame: pd.DataFrame, columns: list[str], table: str | Table) -> None:
    """Report what was decided about the numbers of columns, once they are used.

    Args:
        frame: A table of read_table.
        columns: The columns in use.
        table: Its path.
    """
    for name in dict.fromkeys(columns):
        notes = frame.attrs.get("notes", {}).get(name, ())
        if notes:
            say(f"{name} of {table}: {'; '.join(notes)}")
