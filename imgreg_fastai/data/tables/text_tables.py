"""Tables in text files: CSV, TSV and their kin."""
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ...utils.messages import ImgregError, first_few, shorten
from .files import TABLE, TableFile
from .headers import NUMBER, column_names
from .numbers import Marks, ambiguity, ambiguous_decimal, may_have_thousands
from .text_format import BLANKS, TextFormat, sniff

TEXT_COLUMNS = ("image", "group", "split")  # their cells are names: 007 keeps its zeros, and NA is a name
EMPTY = ("", "#N/A", "N/A", "NA", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>", "-nan", "-NaN")


def read_csv(path: str | Path, text: tuple[str, ...] = TEXT_COLUMNS, **options: Any) -> pd.DataFrame:
    """Read a CSV file with pandas and with our rules for what is missing.

    Args:
        path: The file.
        text: Columns that stay text and in which only an empty cell is missing; in others the words of EMPTY are too.
        **options: Further options of pandas.read_csv.
    """
    columns = pd.read_csv(path, **{**options, "nrows": 0}).columns
    return pd.read_csv(path, **_cell_rules(list(columns), text), **options)


def _cell_rules(columns: list[str], text: tuple[str, ...]) -> dict[str, Any]:
    """Return the options of pandas.read_csv for columns of which some stay text."""
    words = [name for name in columns if name.strip() in text]
    return {"dtype": dict.fromkeys(words, str), "keep_default_na": False,
            "na_values": {name: [""] if name in words else EMPTY for name in columns}}


def read_text(file: TableFile, encoding: str, beginning: str, text: tuple[str, ...],
              max_rows: int | None) -> tuple[pd.DataFrame, Marks, tuple[str, ...]]:
    """Read a table out of a text file.

    Args:
        file: The file.
        encoding: Its encoding.
        beginning: Its beginning.
        text: Columns that stay text.
        max_rows: Read only the first rows.

    Returns:
        The table, its marks, and what had to be guessed. `attrs["notes"]` tells which of its numbers are ambiguous.

    Raises:
        ImgregError: Rows are longer than the header, or there are two tables.
    """
    form = sniff(file, encoding, beginning)
    names = column_names(form.header.names, file.path)
    frame = _parse(file, form, names, text, nrows=max_rows)
    frame = frame.set_axis(_line_numbers(file, form, len(frame)), axis=0)
    frame = frame.drop(columns=[name for name, cell in zip(names, form.header.names, strict=True)
                                if not cell.strip() and frame[name].isna().all()])
    blank = frame.isna().all(axis=1).to_numpy()
    check_single_table(frame, blank, file.path)
    frame = frame[~blank]
    if form.separator == BLANKS and len(frame) and frame.iloc[:, -1].isna().any():
        lines = [f"line {i + 2}" for i in frame.index[frame.iloc[:, -1].isna()]]
        raise ImgregError(f"rows of {len(names)} parts with blanks between",
                          f"fewer in '{file.path}': {first_few(lines)}",
                          "commas between the values, so that a missing one can be seen")
    notes = list(form.header.notes)
    if encoding == "cp1252":
        notes.append("it is not in UTF-8: it was read as Windows-1252; save it as UTF-8 if its names are wrong")
    floats = [name for name in frame if pd.api.types.is_float_dtype(frame[name])]
    marks = Marks(form.separator, "," if form.separator == ";" else ".",
                  any((frame[name].dropna() % 1 != 0).any() for name in floats))
    if marks.decimal == ".":
        frame.attrs["notes"] = _ambiguous_columns(frame[floats], file, form, names, max_rows)
    return frame, marks, tuple(notes)


def _parse(file: TableFile, form: TextFormat, names: list[str], text: tuple[str, ...], **options: Any) -> pd.DataFrame:
    """Read the rows below the header with pandas; a row that is longer raises ImgregError."""
    options = {"sep": r"\s+" if form.separator == BLANKS else form.separator, "skiprows": form.skip, "header": None,
               "names": names, "skip_blank_lines": False, "decimal": "," if form.separator == ";" else ".",
               "low_memory": False, "encoding": form.encoding, "encoding_errors": "replace",  # what cp1252 lacks
               **_cell_rules(names, text), **options}
    try:
        with file.open() as stream:
            frame = pd.read_csv(stream, **options)
        if not isinstance(frame.index, pd.RangeIndex):  # of rows longer than the header pandas makes the index
            _check_row_lengths(file, form)
            with file.open() as stream, warnings.catch_warnings():
                warnings.simplefilter("ignore", pd.errors.ParserWarning)
                frame = pd.read_csv(stream, index_col=False, **options)  # they end in separators
    except pd.errors.ParserError:
        _check_row_lengths(file, form)
        raise
    return frame


def _lines(file: TableFile, form: TextFormat) -> io.TextIOWrapper:
    return io.TextIOWrapper(file.open(), encoding=form.encoding, errors="replace", newline="")


def _line_numbers(file: TableFile, form: TextFormat, n: int) -> pd.Index:
    """Return the lines on which the `n` rows begin, less 2; a quoted value may span several lines."""
    one_line_each = pd.RangeIndex(form.line - 1, form.line - 1 + n)
    with file.open() as stream:
        n_lines = sum(part.count(b"\n") for part in iter(lambda: stream.read(1 << 20), b""))
    if n_lines <= form.line + n:
        return one_line_each
    with _lines(file, form) as lines:
        starts = [start - 1 for i, (start, _) in enumerate(form.rows(lines)) if i >= form.skip][:n]
    return pd.Index(starts) if len(starts) == n else one_line_each


def _check_row_lengths(file: TableFile, form: TextFormat) -> None:
    """Raise ImgregError if rows have more cells than the header."""
    width = len(form.header.names)
    with _lines(file, form) as lines:
        long = [f"line {start + 1}" for i, (start, row) in enumerate(form.rows(lines))
                if i >= form.skip and any(cell.strip() for cell in row[width:])]
    if long:
        raise ImgregError(TABLE, f"'{file.path}': {len(long)} rows with more than its {width} columns: "
                          f"{first_few(long)}", 'quotes, "like, this", around values with a comma')


def check_single_table(frame: pd.DataFrame, blank: np.ndarray, path: Path) -> None:
    """Raise ImgregError if a second header stands below a blank row.

    Args:
        frame: All rows, blank ones included; its index + 2 is their line.
        blank: Which rows are blank, bool [n].
        path: The file.
    """
    below = np.flatnonzero(blank[:-1] & ~blank[1:]) + 1
    for i in below[below < len(frame) - 1]:
        cells, after = frame.iloc[i].dropna().astype(str), frame.iloc[i + 1].dropna().astype(str)
        numeric = {name for name in after.index if NUMBER.fullmatch(after[name])}  # columns of numbers below
        if len(cells) > 1 and numeric and numeric <= set(cells.index) and not any(map(NUMBER.fullmatch, cells)):
            raise ImgregError(f"one table in '{path}'", f"a second header below the blank line {frame.index[i] + 1}: "
                              f"'{shorten(', '.join(cells))}'", "each table in a file of its own")


def _ambiguous_columns(floats: pd.DataFrame, file: TableFile, form: TextFormat, names: list[str],
                       max_rows: int | None) -> dict[str, tuple[str, ...]]:
    """Tell, by column, which numbers were read with a decimal point that may part thousands: 6.225 beside 281."""
    notes: dict[str, tuple[str, ...]] = {}
    for name in map(str, floats):
        values = floats[name].to_numpy(float)
        if may_have_thousands(values[np.isfinite(values)]):
            cells = _parse(file, form, names, (name,), nrows=max_rows, usecols=[name])[name].dropna().str.strip("+- ")
            example = ambiguous_decimal(".", list(pd.unique(cells)))
            if example:
                notes[name] = (ambiguity(example, "."),)
    return notes
