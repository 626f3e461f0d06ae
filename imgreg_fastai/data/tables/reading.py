"""Reading tables, whatever program wrote them."""
import csv
import re
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...utils.messages import ImgregError, error_reason, first_few, say
from .frames import EMPTY, FrameTable, Table, as_table, column_names, plain_frame

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")
TABLE = "a labels table (CSV, TSV or Parquet)"  # what errors expect
SEPARATORS = ("\t", ";", "|", ",")  # a comma last: beside another separator it is a decimal comma
TEXT_COLUMNS = ("image", "group", "split")  # their cells are names: 007 keeps its zeros, and NA is a name
SNIFFED_BYTES = 1 << 16  # the beginning of a file, which shows its format


class _Format(NamedTuple):
    """The format of a text file: `skip` is the number of lines before the header, `header` holds the columns' names."""

    encoding: str
    separator: str
    skip: int
    header: list[str]


def read_table(path: str | Table, text: tuple[str, ...] = (), max_rows: int | None = None) -> pd.DataFrame:
    """Read a table: CSV, TSV and other text with any usual separator and encoding, or Parquet.

    Rows without any value are dropped. What had to be guessed is reported once the whole table is read.

    Args:
        path: The file, or a DataFrame in its place.
        text: Columns that stay text: 007 and NA are names there, and only an empty cell is missing.
        max_rows: Read only the first rows.

    Returns:
        The table; its index + 2 is a row's line number in an editor, or its position in a DataFrame.

    Raises:
        ImgregError: The file is not a table.
    """
    path = as_table(path)
    if isinstance(path, FrameTable):
        plain = plain_frame(path.frame, text, path, max_rows).dropna(how="all")
        plain.index -= 2  # rows are called by their positions, as `iloc` counts them
        return _convert_numbers(plain, text, ",", path if max_rows is None else None)
    if path.is_dir():
        raise ImgregError(TABLE, f"the folder '{path}'")
    try:
        read = _read_parquet if path.suffix.lower() == ".parquet" else _read_text
        return read(path, text, max_rows)
    except ImportError as e:
        raise ImgregError(TABLE, f"'{path}': reading Parquet needs pyarrow",
                          "pip install pyarrow, or the table saved as CSV") from e
    except (ValueError, OSError, csv.Error) as e:  # pandas' parse and decode errors are ValueErrors
        reason = error_reason(e).replace("Error tokenizing data. C error: ", "")
        raise ImgregError(TABLE, f"'{path}': {reason}") from e


def read_csv(path: str | Path, text: tuple[str, ...] = TEXT_COLUMNS, **options: Any) -> pd.DataFrame:
    """Read a CSV file with pandas and with our rules for what is missing.

    Args:
        path: The file.
        text: Columns that stay text and in which only an empty cell is missing; in others the words of EMPTY are too.
        **options: Further options of pandas.read_csv.
    """
    columns = pd.read_csv(path, **{**options, "nrows": 0}).columns
    words = [name for name in columns if name.strip() in text]
    return pd.read_csv(path, dtype=dict.fromkeys(words, str), keep_default_na=False,
                       na_values={name: [""] if name in words else EMPTY for name in columns}, **options)


def _read_parquet(path: Path, text: tuple[str, ...], max_rows: int | None) -> pd.DataFrame:
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            raise ValueError("no Parquet file")
    return plain_frame(pd.read_parquet(path), text, path, max_rows)


def _read_text(path: Path, text: tuple[str, ...], max_rows: int | None) -> pd.DataFrame:
    form = _sniff(path)
    column_names(form.header, path)
    if form.encoding == "cp1252" and max_rows is None:
        say(f"{path} is not in UTF-8: it was read as Windows-1252; save it as UTF-8 if its names are wrong")
    options = {"sep": form.separator, "skiprows": form.skip, "nrows": max_rows, "skip_blank_lines": False,
               "decimal": "," if form.separator == ";" else ".", "low_memory": False, "encoding": form.encoding,
               "encoding_errors": "replace"}  # of what Windows-1252 does not define
    try:
        frame = read_csv(path, text, **options)
        if not isinstance(frame.index, pd.RangeIndex):  # of rows longer than the header pandas makes the index
            _check_row_lengths(path, form)
            frame = read_csv(path, text, index_col=False, **options)  # they end in separators
    except pd.errors.ParserError:
        _check_row_lengths(path, form)
        raise
    frame = frame.set_axis(column_names(frame.columns, path), axis=1)
    frame = frame.set_axis(_line_numbers(path, form, len(frame)), axis=0).dropna(how="all")
    return _convert_numbers(frame, text, form.separator, path if max_rows is None else None)


def _line_numbers(path: Path, form: _Format, n: int) -> pd.Index:
    """Return the lines on which the `n` rows begin, less 2; a quoted value may span several lines."""
    one_line_each = pd.RangeIndex(form.skip, form.skip + n)
    if path.read_bytes().count(b"\n") <= form.skip + n + 1:
        return one_line_each
    with path.open(encoding=form.encoding, errors="replace", newline="") as file:
        for _ in range(form.skip):
            next(file)
        rows = csv.reader(file, delimiter=form.separator)
        starts = [form.skip + rows.line_num - 1 for _ in rows][:n]  # a row begins where the one before it ends
    return pd.Index(starts) if len(starts) == n else one_line_each


def _sniff(path: Path) -> _Format:
    """Infer encoding, separator and header of a text file from its beginning."""
    with path.open("rb") as file:
        start = file.read(SNIFFED_BYTES)
    encoding = _encoding(path, start)
    beginning = start.decode(encoding, errors="replace")
    if re.search("[\0-\6]", beginning):
        content = "an Excel file or another archive" if start[:2] == b"PK" else "binary data"
        raise ImgregError(TABLE, f"'{path}': {content}", "the table saved as CSV")
    lines = re.split(r"\r\n|\r|\n", beginning)
    if len(start) == SNIFFED_BYTES and len(lines) > 1:
        lines.pop()  # it may be cut off
    skip = next((i for i, line in enumerate(lines) if line.strip()), 0)
    excel = re.fullmatch(r"sep=(.)", lines[skip].strip())  # the line by which Excel names the separator
    if excel:
        skip += 1
        separator = excel[1]
    else:  # the one that divides most lines into as many parts as the header has, at least two
        scores: dict[str, tuple[float, int]] = {}
        for candidate in SEPARATORS:
            counts = [len(row) for row in csv.reader(lines[skip : skip + 50], delimiter=candidate) if row]
            if counts and counts[0] > 1:
                scores[candidate] = (float(np.mean(np.array(counts) == counts[0])), counts[0])
        separator = max(scores, key=lambda candidate: scores[candidate], default=",")
    return _Format(encoding, separator, skip, next(csv.reader(lines[skip:], delimiter=separator), []))


def _encoding(path: Path, start: bytes) -> str:
    """Infer the encoding of a text: UTF-16 by its beginning, UTF-8 if it can be decoded so, else Windows-1252."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    even, odd = start[:2000:2].count(0), start[1:2000:2].count(0)
    half = len(start[:2000]) / 4  # in UTF-16, one of the two bytes of a Latin letter is 0
    if (even > half and not odd) or (odd > half and not even):
        return "utf-16-le" if odd else "utf-16-be"
    try:
        with path.open(encoding="utf-8") as file:  # a part at a time: a film given as a table is not read into memory
            while file.read(SNIFFED_BYTES):
                pass
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _check_row_lengths(path: Path, form: _Format) -> None:
    """Raise ImgregError if rows have more cells than the header."""
    with path.open(encoding=form.encoding, errors="replace", newline="") as file:
        rows = csv.reader(file, delimiter=form.separator)
        long = [f"line {rows.line_num}" for row in rows
                if any(cell.strip() for cell in row[len(form.header) :]) and rows.line_num > form.skip]
    if long:
        raise ImgregError(TABLE, f"'{path}': {len(long)} rows with more than its {len(form.header)} columns: "
                          f"{first_few(long)}", 'quotes, "like, this", around values with a comma')


def _convert_numbers(frame: pd.DataFrame, text: tuple[str, ...], separator: str, path: Table | None) -> pd.DataFrame:
    """Convert columns that pandas left as text to numbers: with a decimal comma, or with thousands separators.

    With the table's `path`, thousands separators are reported.
    """
    for name in frame.columns:
        if name in text or pd.api.types.is_numeric_dtype(frame[name]):
            continue
        words = frame[name].dropna().astype(str).str.strip()
        mark = next((m for m in ".," if _is_thousands_separator(m, words, separator)), None)
        if mark:
            if path:
                example = words[words.str.contains(mark, regex=False)].iloc[0]
                say(f"{name} of {path}: '{mark}' was taken to part thousands, as in {example}")
            words = words.str.replace(mark, "", regex=False).str.replace(",", ".", regex=False)
            frame = frame.assign(**{name: pd.to_numeric(words).reindex(frame.index)})
        elif separator != ",":  # numbers with decimal commas, among points or words
            column = frame[name].astype(object)
            numbers = pd.to_numeric(column.astype(str).str.replace(",", ".", regex=False), errors="coerce")
            if numbers.notna().any():
                frame = frame.assign(**{name: column.where(numbers.isna(), numbers)})
    return frame


def _is_thousands_separator(mark: str, words: pd.Series, separator: str) -> bool:
    """Tell whether `mark` separates thousands: all numbers are written so, and it can be nothing else.

    It may be a decimal point, unless the other mark stands beside it, or it stands twice in a number. Where commas
    separate the columns, a comma in a number is no decimal point.
    """
    point = "," if mark == "." else "."
    fraction = rf"(\{point}\d+)?"
    if not words.str.fullmatch(rf"-?([1-9]\d{{0,2}}(\{mark}\d{{3}})+|\d+){fraction}").all():
        return False
    grouped = words.str.contains(mark, regex=False)
    sure = mark == separator or words.str.contains(point, regex=False).any() or (words.str.count(rf"\{mark}") > 1).any()
    return bool(grouped.any() and sure)
