"""Opening tables, whatever program wrote them."""
import codecs
import csv
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...utils.console import say
from ...utils.errors import ImgregError, first_few

SUFFIXES = (".csv", ".tsv", ".txt", ".parquet")
SEPARATORS = ("\t", ";", "|", ",")  # a comma last: beside another separator it is a decimal comma
EMPTY = ("", "#N/A", "N/A", "NA", "n/a", "NaN", "nan", "NULL", "null", "None", "<NA>", "-nan", "-NaN")


class _Format(NamedTuple):
    """How a text file holds its table: `above`: the lines before the header, `header`: its columns as written."""

    encoding: str
    separator: str
    above: int
    header: list[str]


def read_table(path: str | Path, text: tuple[str, ...] = (), most: int | None = None) -> pd.DataFrame:
    """Read a table: CSV, TSV and other text with any usual separator and encoding, or Parquet.

    `text`: columns that stay text, so that 007 and NA keep their names; in them only what is empty is missing. `most`:
    read only so many rows; what was made of a table is said when all of it is read. Rows without anything are dropped,
    and the index is such that index + 2 is a row's number in an editor. Raises ImgregError for what is no table.
    """
    path = Path(path)
    if path.is_dir():
        raise ImgregError("a labels table (CSV, TSV or Parquet)", f"the folder '{path}'")
    try:
        frame = _parquet(path, text, most) if path.suffix.lower() == ".parquet" else _text(path, text, most)
    except ImportError as e:
        raise ImgregError("a labels table (CSV, TSV or Parquet)", f"'{path}': reading Parquet needs pyarrow",
                          "pip install pyarrow, or the table saved as CSV") from e
    except (ValueError, OSError, csv.Error) as e:  # pandas' parse and decode errors are ValueErrors
        raise ImgregError("a labels table (CSV, TSV or Parquet)", f"'{path}': {_why(e)}") from e
    return frame


def _names(names, path: Path) -> list[str]:
    """The columns' names without blanks about them; raises ImgregError if two are one, for which of them is meant?"""
    plain = [str(name).strip() for name in names]
    twice = [name for name in dict.fromkeys(plain) if name and plain.count(name) > 1]
    if twice:
        raise ImgregError(f"columns of different names in '{path}'", f"{first_few(map(repr, twice))} more than once")
    return plain


def _why(e: Exception) -> str:
    return str(getattr(e, "strerror", None) or e).replace("Error tokenizing data. C error: ", "")


def _parquet(path: Path, text: tuple[str, ...], most: int | None) -> pd.DataFrame:
    with path.open("rb") as file:
        if file.read(4) != b"PAR1":
            raise ValueError("no Parquet file")
    frame = pd.read_parquet(path)
    frame = frame.reset_index() if any(frame.index.names) else frame.reset_index(drop=True)
    frame = frame.set_axis(_names(frame.columns, path), axis=1).head(most)
    for name in dict.fromkeys(text):
        if name in frame:
            column = frame[name]
            if pd.api.types.is_float_dtype(column) and (column.dropna() % 1 == 0).all():
                column = column.astype("Int64")  # whole numbers with a gap: pandas would call the group 1 "1.0"
            frame[name] = column.astype(object).map(str, na_action="ignore")
    return frame


def _text(path: Path, text: tuple[str, ...], most: int | None) -> pd.DataFrame:
    form = _format(path)
    _names(form.header, path)
    wanted = [name for name in form.header if name.strip() in text]
    how = {"sep": form.separator, "skiprows": form.above, "nrows": most, "dtype": dict.fromkeys(wanted, str),
           "decimal": "," if form.separator == ";" else ".", "skip_blank_lines": False, "keep_default_na": False,
           "na_values": {name: [""] if name in wanted else EMPTY for name in form.header}, "low_memory": False}
    try:
        frame = _decoded(path, form.encoding, how)
    except pd.errors.ParserError as e:
        raise _ragged(path, form) or e from e
    if not isinstance(frame.index, pd.RangeIndex):  # rows longer than the header: pandas makes their beginnings one
        if ragged := _ragged(path, form):
            raise ragged
        frame = _decoded(path, form.encoding, {**how, "index_col": False})  # separators at the ends of rows
    frame = frame.set_axis(_names(frame.columns, path), axis=1)
    frame = _without_blanks(frame.set_axis(_lines(path, form, len(frame)), axis=0))
    return _with_numbers(frame, text, form.separator, path if most is None else None)


def _lines(path: Path, form: _Format, n: int) -> pd.Index:
    """The lines at which the `n` rows begin, less 2; not one a row where a value in quotes spans several."""
    plain = pd.RangeIndex(form.above, form.above + n)
    with path.open("rb") as file:
        ends = sum(part.count(b"\n") for part in iter(lambda: file.read(1 << 20), b""))
    if ends <= form.above + n + 1:
        return plain
    with path.open(encoding=form.encoding, errors="replace", newline="") as file:
        for _ in range(form.above):
            next(file)
        rows = csv.reader(file, delimiter=form.separator)
        starts = [form.above + rows.line_num - 1 for _ in rows][:n]  # the end of one is where the next begins
    return pd.Index(starts) if len(starts) == n else plain


def _decoded(path: Path, encoding: str, how: dict) -> pd.DataFrame:
    try:
        if encoding != "cp1252":
            return pd.read_csv(path, encoding=encoding, **how)
    except UnicodeDecodeError:
        if encoding != "utf-8-sig":
            raise
    if how["nrows"] is None:
        say(f"{path} is not in UTF-8: it was read as Windows-1252; save it as UTF-8 if its names are wrong")
    return pd.read_csv(path, encoding="cp1252", encoding_errors="replace", **how)


def _format(path: Path) -> _Format:
    """The encoding, the separator and the header of a text file, as its beginning tells."""
    with path.open("rb") as file:
        start = file.read(1 << 16)
    encoding = _encoding(start)
    beginning = start.decode(encoding, errors="replace")
    if re.search("[\0-\6]", beginning):
        kind = "an Excel file or another archive" if start[:2] == b"PK" else "binary data"
        raise ImgregError("a labels table (CSV, TSV or Parquet)", f"'{path}': {kind}", "the table saved as CSV")
    lines = re.split(r"\r\n|\r|\n", beginning)
    lines = lines[:-1] if len(start) == 1 << 16 and len(lines) > 1 else lines
    above = next((i for i, line in enumerate(lines) if line.strip()), 0)
    told = re.fullmatch(r"sep=(.)", lines[above].strip()) if lines else None  # Excel's own way to name it
    above += bool(told)
    separator = told[1] if told else _separator(lines[above : above + 50])
    header = next(csv.reader(lines[above:], delimiter=separator), [])
    return _Format(encoding, separator, above, header)


def _encoding(start: bytes) -> str:
    """The encoding of a text that begins so; UTF-8 may still prove wrong further on."""
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    even, odd = start[:2000:2].count(0), start[1:2000:2].count(0)
    half = len(start[:2000]) / 4  # of Latin letters in UTF-16, one byte of two is 0
    if (even > half and not odd) or (odd > half and not even):
        return "utf-16-le" if odd else "utf-16-be"
    try:
        codecs.getincrementaldecoder("utf-8")().decode(start)  # it may end within a letter
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"


def _separator(lines: list[str]) -> str:
    """The separator that divides most of the lines into as many parts as the header has, two at least."""
    best, chosen = (0.0, 0), ","
    for separator in SEPARATORS:
        counts = [len(row) for row in csv.reader(lines, delimiter=separator) if row]
        if counts and counts[0] > 1:
            rated = (float(np.mean([n == counts[0] for n in counts])), counts[0])
            best, chosen = (rated, separator) if rated > best else (best, chosen)
    return chosen


def _ragged(path: Path, form: _Format) -> ImgregError | None:
    """The rows that have more parts than the header, in one line."""
    with path.open(encoding=form.encoding, errors="replace", newline="") as file:
        rows = csv.reader(file, delimiter=form.separator)
        long = [f"line {rows.line_num}" for row in rows
                if any(cell.strip() for cell in row[len(form.header) :]) and rows.line_num > form.above]
    if not long:
        return None
    found = f"'{path}': {len(long)} rows with more than its {len(form.header)} columns: {first_few(long)}"
    return ImgregError("a labels table (CSV, TSV or Parquet)", found, 'quotes, "like, this", about what holds a comma')


def _without_blanks(frame: pd.DataFrame) -> pd.DataFrame:
    """The rows that hold anything."""
    blank = pd.Series(True, frame.index)
    for name in frame.columns:
        blank &= frame[name].isna()
        if not blank.any():
            return frame
    return frame[~blank]


def _with_numbers(frame: pd.DataFrame, text: tuple[str, ...], separator: str, path: Path | None) -> pd.DataFrame:
    """Columns that pandas left as text, as numbers where numbers stand: with a decimal comma, or in groups of three.

    With the table's `path`, what was taken for groups of three is said.
    """
    for name in frame.columns:
        if name in text or pd.api.types.is_numeric_dtype(frame[name]):
            continue
        words = frame[name].dropna().astype(str).str.strip()
        mark = next((m for m in ".," if _parts_thousands(words, m, separator)), None)
        if mark:
            example = words[words.str.contains(mark, regex=False)].iloc[0]
            if path:
                say(f"{name} of {path}: '{mark}' was taken to part thousands, as in {example}")
            words = words.str.replace(mark, "", regex=False).str.replace(",", ".", regex=False)
            frame = frame.assign(**{name: pd.to_numeric(words).reindex(frame.index)})
        elif separator != ",":
            frame = _with_decimals(frame, name)
    return frame


def _parts_thousands(words: pd.Series, mark: str, separator: str) -> bool:
    """Whether a `mark` parts the thousands of numbers: all are written so, and it can be nothing else.

    It might be a decimal point, unless the other one stands beside it, or it stands twice in a number. Where commas
    part the columns, a comma in a number is none.
    """
    point = "," if mark == "." else "."
    fraction = rf"(\{point}\d+)?"
    if not words.str.fullmatch(rf"-?([1-9]\d{{0,2}}(\{mark}\d{{3}})+|\d+){fraction}").all():
        return False
    grouped = words.str.contains(mark, regex=False)
    sure = mark == separator or words.str.contains(point, regex=False).any() or (words.str.count(rf"\{mark}") > 1).any()
    return bool(grouped.any() and sure)


def _with_decimals(frame: pd.DataFrame, name: str) -> pd.DataFrame:
    """A column in which points and commas are mixed, or words stand between numbers: the numbers as numbers."""
    numbers = pd.to_numeric(frame[name].astype(str).str.replace(",", ".", regex=False), errors="coerce")
    if not numbers.notna().any():
        return frame
    return frame.assign(**{name: frame[name].astype(object).where(numbers.isna(), numbers)})
