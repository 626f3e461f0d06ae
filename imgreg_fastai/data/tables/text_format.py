"""The format of a text file with a table: encoding, separator, and where the header stands."""
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ...utils.messages import ImgregError
from . import exports
from .files import AS_CSV, START_BYTES, TABLE, TableFile
from .headers import NUMBER, Header, find_header

SEPARATORS = ("\t", ";", "|", ",")  # a comma last: beside another separator it is a decimal comma
BLANKS = " "  # the separator of columns that blanks divide, one or several
SHOWN_LINES = 100  # of the beginning, which show the separator and the header
csv.field_size_limit(1 << 30)  # a cell may hold an image


class TextFormat(NamedTuple):
    """The format of a text file.

    Attributes:
        encoding: Its encoding.
        separator: The mark between its columns; " " for one or several blanks.
        skip: The number of rows before the first row of data, blank ones included.
        line: The line on which the data begin, from 0; another number, if a row spans several lines.
        header: Its header, and what was decided about it.
    """

    encoding: str
    separator: str
    skip: int
    line: int
    header: Header

    def rows(self, lines: io.TextIOBase | list[str]) -> Iterator[tuple[int, list[str]]]:
        """Yield the cells of each row, and the number of the line on which it begins, from 0."""
        blanks = self.separator == BLANKS
        reader = csv.reader((line.strip() for line in lines) if blanks else lines, delimiter=self.separator,
                            skipinitialspace=blanks)
        start = 0
        for row in reader:
            yield start, row
            start = reader.line_num


def text_of(file: TableFile) -> tuple[str, str]:
    """Return the encoding of a file, and the text of its beginning.

    Raises:
        ImgregError: It is not text.
    """
    encoding = _encoding(file)
    text = file.start.decode(encoding, errors="replace")
    if re.search("[\0-\6]", text):
        raise ImgregError(TABLE, f"'{file.path}': binary data", AS_CSV)
    return encoding, text


def sniff(file: TableFile, encoding: str, text: str) -> TextFormat:
    """Infer separator and header of a text file from its beginning."""
    lines = re.split(r"\r\n|\r|\n", text)
    if len(file.start) == START_BYTES and len(lines) > 1:
        lines.pop()  # it may be cut off
    skip = next((i for i, line in enumerate(lines) if line.strip()), 0)
    excel = re.fullmatch(r"sep=(.)", lines[skip].strip())  # the line by which Excel names the separator
    skip += bool(excel)
    separator = excel[1] if excel else _separator([line for line in lines[skip:] if line.strip()])
    form = TextFormat(encoding, separator, 0, 0, Header(0, []))
    numbered = list(form.rows([line + "\n" for line in lines[skip : skip + SHOWN_LINES]]))
    rows = [row or [""] for _, row in numbered]
    filled = max((i + 1 for row in rows for i, cell in enumerate(row) if cell.strip()), default=0)
    header = find_header([row[:filled] or [""] for row in rows])
    exports.check_rows(rows[header.row :], header.names, file.path)
    if header.row < len(rows):
        header = header._replace(notes=(*header.notes, *exports.note_on_columns(rows[header.row])))
    data = header.row + (not header.absent)
    starts = [*(start for start, _ in numbered), len(lines) - skip]
    return form._replace(skip=skip + data, line=skip + starts[min(data, len(rows))], header=header)


def _separator(lines: list[str]) -> str:
    """Return the separator that divides most lines into as many parts as the header has, at least two."""
    fallback = ""
    for first, least in [(0, 0.5), *((i, 0.8) for i in range(1, min(len(lines), 20)))]:
        if not lines[first:] or lines[first].lstrip().startswith("#"):
            continue  # the first lines may be comments and titles
        scores: dict[str, tuple[float, int]] = {}
        for candidate in SEPARATORS:
            counts = [len(row) for row in csv.reader(lines[first : first + 50], delimiter=candidate) if row]
            if counts and counts[0] > 1:
                scores[candidate] = (float(np.mean(np.array(counts) == counts[0])), counts[0])
        best = max(scores, key=lambda candidate: scores[candidate], default="")
        if best and scores[best][0] >= least:
            return best
        fallback = fallback or (best if first == 0 else "")
    return fallback or (BLANKS if _divided_by_blanks(lines) else ",")


def _divided_by_blanks(lines: list[str]) -> bool:
    """Tell whether blanks divide all lines into equally many parts, with numbers among them below the header."""
    rows = [row for row in csv.reader(map(str.strip, lines[:50]), delimiter=" ", skipinitialspace=True)
            if row and not row[0].startswith("#")]
    most, n = Counter(map(len, rows)).most_common(1)[0] if rows else (0, 0)
    return most > 1 and 2 * n >= len(rows) and all(any(map(NUMBER.fullmatch, row)) for row in rows[1:])


def _encoding(file: TableFile) -> str:
    """Infer the encoding of a text: UTF-16 by its beginning, UTF-8 if it can be decoded so, else Windows-1252."""
    start = file.start
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    even, odd = start[:2000:2].count(0), start[1:2000:2].count(0)
    half = len(start[:2000]) / 4  # in UTF-16, one of the two bytes of a Latin letter is 0
    if (even > half and not odd) or (odd > half and not even):
        return "utf-16-le" if odd else "utf-16-be"
    try:
        with io.TextIOWrapper(file.open(), encoding="utf-8") as text:  # in parts: a film is not read into memory
            while text.read(START_BYTES):
                pass
    except UnicodeDecodeError:
        return "cp1252"
    return "utf-8-sig"
