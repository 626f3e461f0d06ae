"""Cells of a table as numbers, however countries and programs write them."""
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...utils.messages import first_few

# Words that say that there is no value, in lower case.
MISSING_WORDS = frozenset((
    "", "-", "--", "---", ".", "..", "...", "?", "??", "???", "*", "/", "#n/a", "n/a", "na", "n.a.", "n.a", "<na>",
    "nd", "n.d.", "n.d", "nan", "-nan", "none", "null", "nil", "missing", "unknown", "unk", "tbd", "not available",
    "no data", "k.a.", "n.v.",
))
LONGEST = 80  # characters of a number with its unit
SAMPLE = 1000  # cells from all over a column; if none of them is a number, none of the column is
MINUS_SIGNS = "\u2010\u2011\u2012\u2013\u2014\u2212\u02d7\ufe58\ufe63\uff0d"
BLANKS = "\u00a0\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"  # that part thousands
APOSTROPHES = "\u2018\u2019\u02bc\u02b9\u00b4`\u066c\uff07"
OTHER_MARKS = {"\u066b": ".", "\uff0e": ".", "\uff0c": ",", "\uff0b": "+", "\uff05": "%", "\u066a": "%", "\u2032": "'",
               "\ufeff": "", "\u200b": "", "\u200e": "", "\u200f": "", "\u061c": ""}
DIGITS = "\u0660\u06f0\u0966\u09e6\uff10"  # the zeros of other scripts
# One way to write what has several; a blank of these kinds becomes an apostrophe, which can only part thousands.
PLAIN = str.maketrans({**dict.fromkeys(MINUS_SIGNS, "-"), **dict.fromkeys(BLANKS + APOSTROPHES, "'"), **OTHER_MARKS,
                       **{chr(ord(zero) + i): str(i) for zero in DIGITS for i in range(10)}})
SYMBOLS = "".join(chr(i) for i in range(0x24, 0x20C1) if unicodedata.category(chr(i)) == "Sc")
CURRENCIES = (rf"(?:US|A|C|R|NZ|HK|S)?[{SYMBOLS}]|"
              r"(?:AUD|BRL|CAD|CHF|CNY|CZK|DKK|EUR|GBP|HKD|HUF|IDR|ILS|INR|JPY|KRW|MXN|"
              r"MYR|NOK|NZD|PHP|PLN|RON|RUB|SAR|SEK|SGD|THB|TRY|TWD|UAH|USD|VND|ZAR|Rs\.?|kr\.?)")
FRACTIONS = "¼-¾⅐-⅞↉"  # characters that are numbers, and no units
UNIT = (rf"(?![eEdD][-+]?\d)(?:[^\W\d_{FRACTIONS}²³¹]|[%‰°{SYMBOLS}])"  # m², kg/m3, m s-1, %, km/h; not the e3 of 5 e3
        rf"(?:[^\d,.;:()<>?=|\[\]{{}}~+{FRACTIONS}-]|-(?=[1-4a-zA-Z])|(?<=[^\W\d])[2-4]|(?<=[-^])[1-4]){{0,15}}\.?")
CELL = re.compile(
    rf"(?P<open>\()?\s*(?P<sign>[-+]?)[ ']*(?P<before>{CURRENCIES})?[ ']*(?P<inner>[-+]?)[ ']*"
    r"(?P<digits>\d(?:[\d.,' ]*\d)?\.?|[.,]\d+)(?P<exponent>[eE][-+]?\d+)?"
    rf"[ ']*(?P<after>{UNIT})?[ ']*(?P<last>-?)(?P<close>\))?")
OPEN_RANGE = re.compile(r"\d ?\+$|\d ?- ?\d")  # beside 3+ or 12-14, 3- is no negative number


class _Cell(NamedTuple):
    """A cell that is a number with a unit: 12.5 kg is ("", "12.5", "kg")."""

    sign: str
    digits: str
    unit: str


class Reading(NamedTuple):
    """How a column was read.

    Attributes:
        cells: float where all cells are numbers or missing; else numbers, and as they were the cells that are none.
        unit: The unit that stood in all cells with a number; "": none.
        notes: What was decided, each with an example.
    """

    cells: pd.Series
    unit: str = ""
    notes: tuple[str, ...] = ()


class Marks(NamedTuple):
    """The marks that a file's own reader knows: `separator` of its columns, "" without one; and `decimal`.

    `decimal_used` tells whether other columns have fractions behind that mark.
    """

    separator: str = ""
    decimal: str = "."
    decimal_used: bool = False


def read_numbers(column: pd.Series, marks: Marks) -> Reading:
    """Read the cells of a column as numbers, where they are some.

    Minus signs, digits, blanks and apostrophes of all scripts, brackets for negative numbers, decimal commas, thousands
    and a unit that all cells share are read. Where cells have different units, no unit is taken off.

    Args:
        column: Cells, text or objects.
        marks: The marks of its file.
    """
    filled = column.dropna()
    sample = filled.iloc[:: len(filled) // SAMPLE + 1]
    if not any(_split(_plain(str(cell))) for cell in sample):
        return Reading(column)
    values = pd.to_numeric(column, errors="coerce").to_numpy(float, na_value=np.nan).copy()
    if marks.decimal != ".":  # a point may part thousands
        values[column.map(lambda cell: isinstance(cell, str) and "." in cell).to_numpy(bool)] = np.nan
    unread = np.isnan(values) & column.notna().to_numpy()
    if not unread.any():
        return Reading(pd.Series(values, column.index), notes=_note_on_texts(filled, values, marks))
    codes, texts = pd.factorize(column[unread].map(str))
    plain = [_plain(text) for text in texts]
    missing = np.array([len(text) < LONGEST and text.lower() in MISSING_WORDS for text in plain])
    numbers, unit = np.full(len(plain), np.nan), ""
    notes: tuple[str, ...] = ()
    if any(map(_split, plain[:: len(plain) // SAMPLE + 1])):
        bare = pd.unique(column[~np.isnan(values)].map(str)) if np.isfinite(values).any() else ()
        if marks.decimal == "." and _points_part_thousands(plain, bare, marks):
            return read_numbers(column, marks._replace(decimal=","))  # 2.500, too, which pandas reads as 2.5
        numbers, unit, notes = _parse(plain, list(texts), list(bare), marks)
    values[unread] = numbers[codes]
    if np.isnan(values).all():
        return Reading(column, notes=notes)
    words = np.zeros(len(values), bool)
    words[unread] = (np.isnan(numbers) & ~missing)[codes]
    if not words.any():
        return Reading(pd.Series(values, column.index), unit, notes)
    cells = pd.Series(values, column.index).astype(object)
    return Reading(cells.where(~words, column.astype(object)), unit, notes)


def _note_on_texts(filled: pd.Series, values: np.ndarray, marks: Marks) -> tuple[str, ...]:
    """Tell whether texts that pandas reads as numbers may have thousands: "6.225" beside "281" in a workbook."""
    if marks.decimal != "." or not may_have_thousands(values[np.isfinite(values)]):
        return ()
    cells = list(pd.unique(filled.astype(object)))
    all_text = all(isinstance(cell, str) for cell in cells)  # else 6.225 is a number to the program that wrote it
    example = ambiguous_decimal(".", [cell.strip("+- ") for cell in cells]) if all_text else ""
    return (ambiguity(example, "."),) if example else ()


def is_missing_word(column: pd.Series) -> pd.Series:
    """Tell which cells of a column hold a word for a missing value, or nothing but blanks."""
    return column.map(lambda cell: isinstance(cell, str) and _plain(cell).lower() in MISSING_WORDS).astype(bool)


def _plain(text: str) -> str:
    return text.strip() if text.isascii() or len(text) > LONGEST else text.translate(PLAIN).strip(" '\t\r\n")


def _parse(plain: list[str], texts: list[str], bare: list[str],
           marks: Marks) -> tuple[np.ndarray, str, tuple[str, ...]]:
    """Return the number of each text, NaN where it is none; the common unit; and what was decided.

    Args:
        plain: The different cells that are no plain numbers, in plain characters.
        texts: The same as they stand in the table, for examples.
        bare: The cells of the same column that are plain numbers.
        marks: The marks of the file.
    """
    cells = [_split(text) for text in plain]
    if any(map(OPEN_RANGE.search, plain)):
        cells = [None if text.endswith("-") else cell for cell, text in zip(cells, plain, strict=True)]
    unit, note = _common_unit([cell.unit for cell in cells if cell] + [""] * bool(bare))
    if note:
        cells = [cell if cell and not cell.unit else None for cell in cells]
    examples = {cell.digits: text for cell, text in zip(cells, texts, strict=True) if cell}
    rules, notes = _digit_rules(examples, [text.strip("+- ") for text in bare], bool(unit), marks)
    numbers = np.array([np.nan if cell is None else rules.to_number(cell) for cell in cells])
    read = np.flatnonzero(~np.isnan(numbers))
    if unit and len(read):
        notes = [f"the unit {unit} was taken off, as in {texts[read[0]]}", *notes]
    for ending, what in ((")", "brackets are"), ("-", "'-' behind a number is")):
        example = next((texts[i] for i in read if plain[i].endswith(ending)), "")
        if example:
            notes.append(f"{what} read as a minus sign, as in {example}")
    return numbers, unit if len(read) else "", tuple(filter(None, [note, *notes]))


def _split(text: str) -> _Cell | None:
    """Divide a cell into sign, digits and unit; None if it is not a number."""
    match = CELL.fullmatch(text) if len(text) < LONGEST else None
    if not match:
        return None
    part = match.groupdict(default="")
    signs = part["sign"] + part["inner"] + part["last"]
    bracketed = bool(part["open"])
    zero_id = part["after"] and re.match(r"0\d", part["digits"])  # 007a
    if (part["before"] and part["after"]) or bracketed != bool(part["close"]) or len(signs) + bracketed > 1 or zero_id:
        return None
    unit = (part["before"] or part["after"]).strip(" '").removesuffix(".")
    sign = "-" if bracketed or signs == "-" else ""
    return _Cell(sign, part["digits"] + part["exponent"].lower(), unit)


def _common_unit(units: list[str]) -> tuple[str, str]:
    """Return the unit of all different cells with a number, and what to say where there are several."""
    spellings: dict[str, str] = {}  # Kg is kg, but Mg is not mg
    counts = Counter(spellings.setdefault(unit if unit[:1] in "mM" else unit.casefold(), unit) for unit in units)
    for unit in list(counts):
        if len(unit) > 3 and unit.endswith("s") and unit[:-1] in counts:  # 1 year, 2 years
            counts[unit] += counts.pop(unit[:-1])
    if len(counts) < 2:
        return next(iter(counts), ""), ""
    shown = first_few((unit or "no unit" for unit, _ in counts.most_common()), 4)
    return "", f"numbers with a unit are not read, as the units differ ({shown}): write all of them in one"


class _DigitRules(NamedTuple):
    """How digits are written in a column: a pattern that its numbers match, and the marks that part thousands."""

    pattern: re.Pattern[str]
    thousands: str

    def to_number(self, cell: _Cell) -> float:
        """Return the number; NaN if it is not written so."""
        mantissa, _, exponent = cell.digits.partition("e")
        if not self.pattern.fullmatch(mantissa):
            return np.nan
        digits = re.sub(f"[{self.thousands}]", "", mantissa).replace(",", ".")
        return float(f"{cell.sign}{digits}e{exponent or 0}")


def _digit_rules(examples: dict[str, str], bare: list[str], has_unit: bool,
                 marks: Marks) -> tuple[_DigitRules, list[str]]:
    """Decide what points, commas and blanks mean in the digits of a column, and say what is not plain.

    Args:
        examples: The digits of the cells, and each cell as it stands in the table.
        bare: Cells of the column that are plain numbers.
        has_unit: Whether a unit stands behind the digits.
        marks: The marks of the file.
    """
    mantissas = {digits.partition("e")[0]: text for digits, text in examples.items()}
    thousands, notes = "'", []
    spaced = [digits for digits in mantissas if " " in digits]
    if spaced and (has_unit or bare or len(spaced) < len(mantissas)):  # else it may stand between two numbers
        thousands += " "
    for mark in ".,":
        if _parts_thousands(mark, [*mantissas, *bare], marks):
            thousands += mark
    decimals = "".join(mark for mark in ".," if mark not in thousands) or "\0"
    pattern = re.compile(rf"[1-9]\d{{0,2}}(?:(?P<mark>[{thousands}])\d{{3}})(?:(?P=mark)\d{{3}})*(?:[{decimals}]\d+)?"
                         rf"|\d+(?:[{decimals}]\d*)?|[{decimals}]\d+")
    read = {digits: text for digits, text in mantissas.items() if pattern.fullmatch(digits)}
    for mark in thousands:
        example = next((text for digits, text in read.items() if mark in digits), "")
        if example:
            blank = "an apostrophe" if set(example) & {"'", *APOSTROPHES} else "a blank"
            name = f"'{mark}'" if mark in ".," else blank
            notes.append(f"{name} was taken to part thousands, as in {example}")
    for mark in decimals:
        usual = mark == ("," if marks.separator == ";" else ".")
        example = ambiguous_decimal(mark, [*read, *bare], alone=not usual)
        if example and not (usual and mark == ","):
            notes.append(ambiguity(mantissas.get(example, example), mark))
        elif mark == "," and marks.separator in ("", ",") and any(mark in digits for digits in read):
            example = next(text for digits, text in read.items() if mark in digits)
            notes.append(f"',' was taken as the decimal mark, as in {example}")
    return _DigitRules(pattern, thousands), notes


def _points_part_thousands(plain: list[str], bare: Sequence[str], marks: Marks) -> bool:
    """Tell whether points part thousands in a column, also in the cells that pandas reads as plain numbers."""
    pointed = [text.strip("+- ") for text in bare if "." in text]
    if not pointed or not all(re.fullmatch(r"[1-9]\d{0,2}\.\d{3}", text) for text in pointed):
        return False
    digits = [cell.digits.partition("e")[0] for cell in map(_split, plain) if cell]
    return _parts_thousands(".", [*digits, *pointed], marks)


def _parts_thousands(mark: str, digits: list[str], marks: Marks) -> bool:
    """Tell whether a point or comma parts thousands: all numbers are written so, and it can be nothing else.

    It may be a decimal mark, unless the other mark stands behind it, or it stands twice in a number. Where commas
    separate the columns, a comma in a number is no decimal mark; nor is it where other columns use the other mark.
    """
    point = "," if mark == "." else "."
    cells = [text for text in digits if mark in text]
    written_so = re.compile(rf"[1-9]\d{{0,2}}(\{mark}\d{{3}})+(\{point}\d+)?")
    grouped = [text for text in cells if written_so.fullmatch(text)]
    if any(text.count(mark) > 1 or mark in text.partition(point)[0] != text for text in grouped):
        return True
    if not cells or len(grouped) < len(cells):
        return False
    return mark == marks.separator or (mark != marks.decimal and marks.decimal_used)


def ambiguous_decimal(mark: str, digits: list[str], alone: bool = False) -> str:
    """Return a number such as 6.225 that may have thousands, as all with the mark may and others are below 1000.

    Args:
        mark: The mark that was read as a decimal mark.
        digits: The different numbers of a column, as they are written without a sign.
        alone: Whether the mark is unusual in such a table, so that no whole number has to be beside.

    Returns:
        The first such number; "" if the mark can only be a decimal mark.
    """
    marked = [text for text in digits if mark in text]
    without_mark = [text for text in digits if mark not in text]
    if not marked or not (without_mark or alone) or not all(re.fullmatch(r"\d{1,3}", text) for text in without_mark):
        return ""
    return marked[0] if all(re.fullmatch(rf"[1-9]\d{{0,2}}\{mark}\d{{3}}", text) for text in marked) else ""


def ambiguity(example: str, mark: str) -> str:
    """Say that a number was read with a decimal mark that may part thousands."""
    return (f"'{mark}' was read as the decimal mark, as in {example}; if it parts thousands, "
            f"write {example.replace(mark, '')}")


def may_have_thousands(values: np.ndarray) -> bool:
    """Tell whether numbers that were read with decimal marks may have had thousands: 6.225 beside 281.

    Args:
        values: Finite numbers, [n].
    """
    size = np.abs(values)
    without_mark = size % 1 == 0
    if without_mark.all() or not without_mark.any() or size.max() >= 1000 or size[~without_mark].min() < 1:
        return False
    parts = size[~without_mark] * 1000
    return bool((np.abs(parts - np.round(parts)) < 1e-6).all() and (np.round(parts) % 10 != 0).any())
