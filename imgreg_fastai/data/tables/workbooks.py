"""Tables in workbooks: Excel's xlsx, and ODS."""
import datetime
import re
import zipfile
from typing import Any, NamedTuple

import pandas as pd

from ...utils.messages import ImgregError, first_few, shorten
from .files import TableFile
from .headers import column_names, find_header
from .text_format import SHOWN_LINES
from .text_tables import check_single_table

SPANNED_ROWS = re.compile(rb'number-rows-spanned="0*(?:[2-9]|[1-9]\d+)"')


class _Sheet(NamedTuple):
    """A sheet: its name, and its rows of cells, None where they are empty."""

    name: str
    rows: list[list[Any]]


def read_workbook(file: TableFile, max_rows: int | None) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Read the first sheet of a workbook that has cells.

    Args:
        file: The file.
        max_rows: Read only the first rows.

    Returns:
        The table, its index + 2 the number of a row in the sheet, dates as text; and what had to be decided.

    Raises:
        ImgregError: Formulas have no values, merged cells hide which columns there are, or there are two tables.
        ImportError: The reader is not installed.
    """
    sheets = _xlsx_sheets(file) if file.format == "xlsx" else _ods_sheets(file)
    if not sheets:
        raise ValueError("a workbook without cells")
    name, rows = sheets[0]
    width = max(i + 1 for row in rows for i, cell in enumerate(row) if cell is not None)
    rows = [[*row[:width], *[None] * (width - len(row))] for row in rows]
    texts = [["" if cell is None else str(cell) for cell in row] for row in rows[:SHOWN_LINES]]
    header = find_header(texts)
    data = header.row + (not header.absent)
    titles = [*header.names, *[""] * (width - len(header.names))]
    names = column_names(titles, file.path)
    frame = pd.DataFrame(rows[data:], columns=names, index=pd.RangeIndex(data - 1, len(rows) - 1), dtype=object)
    frame = frame.drop(columns=[name for name, cell in zip(names, titles, strict=True)
                                if not cell.strip() and frame[name].isna().all()])
    blank = frame.isna().all(axis=1).to_numpy()
    check_single_table(frame, blank, file.path)
    notes = list(header.notes)
    if len(sheets) > 1:
        notes.insert(0, f"the sheet '{name}' is read, the first of {first_few(sheet.name for sheet in sheets)} "
                        "(move another to the front to read that)")
    return frame[~blank].iloc[:max_rows].infer_objects(), tuple(notes)


def _xlsx_sheets(file: TableFile) -> list[_Sheet]:
    """Read the visible sheets that have cells; a cell that is merged with those below it stands in each of them."""
    import openpyxl

    with file.open() as stream:
        book = openpyxl.load_workbook(stream, data_only=True)
    sheets = []
    for sheet in book.worksheets:
        rows = [[_cell(cell) for cell in row] for row in sheet.iter_rows(values_only=True)]
        if sheet.sheet_state != "visible" or not any(cell is not None for row in rows for cell in row):
            continue
        sheets.append(_Sheet(sheet.title, rows))
        if len(sheets) > 1:
            continue  # it is not read
        for area in sheet.merged_cells.ranges:
            column, value = area.min_col - 1, rows[area.min_row - 1][area.min_col - 1]
            if area.max_col > area.min_col and any(cell is not None for cell in rows[area.max_row - 1][:column]):
                raise ImgregError("a cell for each column", f"merged cells in '{file.path}': {area.coord} of the sheet "
                                  f"{sheet.title}, '{shorten(value)}'", "a name for each column, in one row")
            for row in rows[area.min_row : area.max_row]:
                row[column] = value
        _check_formulas(file, sheet)
    return sheets


def _check_formulas(file: TableFile, sheet: Any) -> None:
    """Raise ImgregError if a sheet has formulas whose values no program has computed."""
    import openpyxl

    with file.open() as stream, zipfile.ZipFile(stream) as archive:
        parts = [archive.read(name) for name in archive.namelist() if name.startswith("xl/worksheets/")]
    if not any(b"<f>" in part or b"<f " in part for part in parts):
        return
    with file.open() as stream:
        formulas = openpyxl.load_workbook(stream)[sheet.title]
    for row in formulas.iter_rows():
        for cell in row:
            value = sheet.cell(cell.row, cell.column)
            if cell.data_type == "f" and value.value is None and value.data_type != "str":  # "str": an empty text
                raise ImgregError("cells with values", f"a formula without one in '{file.path}': {cell.coordinate} "
                                  f"'{shorten(cell.value)}'", "the file opened and saved by a spreadsheet program")


def _ods_sheets(file: TableFile) -> list[_Sheet]:
    """Read the sheets that have cells; merged ones are refused, as only the first of them has a value."""
    with file.open() as stream, zipfile.ZipFile(stream) as archive:
        if SPANNED_ROWS.search(archive.read("content.xml")):
            raise ImgregError("cells that are not merged", f"merged cells in '{file.path}'", "them split and filled")
    with file.open() as stream:
        frames = pd.read_excel(stream, engine="odf", sheet_name=None, header=None, dtype=object, na_filter=False)
    sheets = [_Sheet(str(name), [[_cell(cell) for cell in row] for row in frame.to_numpy(object).tolist()])
              for name, frame in frames.items()]
    return [sheet for sheet in sheets if any(cell is not None for row in sheet.rows for cell in row)]


def _cell(cell: Any) -> Any:
    """Return a cell: None where it is empty, a date or time as text, which no one takes for a number."""
    if isinstance(cell, (datetime.date, datetime.time, datetime.timedelta)):
        return str(cell)
    return None if cell is None or (isinstance(cell, str) and not cell.strip()) else cell
