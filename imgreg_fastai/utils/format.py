"""Numbers and tables as text for people."""
import math
from collections.abc import Collection

TIGHT = ("°", "%")  # units that follow their number without a space


def with_unit(number: str, unit: str) -> str:
    """Return a formatted number with its unit: "0.31°", "3.2 px"."""
    return f"{number}{unit}" if unit in ("", *TIGHT) else f"{number} {unit}"


def format_value(value: float, unit: str) -> str:
    """Format a number for the terminal, with three significant digits: "0.314°", "3.2 px".

    It differs from `format_amount` on purpose. The terminal's numbers are copied into other programs, so they have the
    ASCII minus and no thousands separators; and a third digit shows the difference of two similar runs.

    Args:
        value: The number; may be NaN.
        unit: Its unit; may be "".

    Returns:
        The number with its unit, without trailing zeros.
    """
    return with_unit(f"{value:.3g}", unit)


def format_amount(value: float, unit: str = "", decimals: int | None = None, sign: str = "") -> str:
    """Format a number for charts and pages: "0.31°", "3.2 years", "12,300 px", "−0.012 px".

    Args:
        value: The number; finite.
        unit: Its unit.
        decimals: The digits after the point; None for two significant digits.
        sign: "+" to mark positive numbers, too.

    Returns:
        The number with its unit. Trailing zeros stay, so that the numbers of a column have one precision.
    """
    if decimals is None:
        decimals = max(0, _decimals(value)) if value else 0
    comma = "," if abs(value) >= 1e4 else ""
    rounded = round(value, decimals) + 0.0  # + 0.0 turns -0.0 into 0.0
    return with_unit(f"{rounded:{sign}{comma}.{decimals}f}".replace("-", "−"), unit)


def format_values(values: Collection[float], unit: str, sign: str = "") -> list[str]:
    """Format numbers that stand in a row with one precision.

    Args:
        values: Finite numbers.
        unit: Their unit. "°" and "%" follow each number; other units belong behind the row: `trailing_unit`.
        sign: "+" to mark positive numbers, too.

    Returns:
        The texts.
    """
    largest = max(map(abs, values)) or 1.0
    decimals = max(1 if largest < 100 else 0, _decimals(largest))
    return [format_amount(v, unit if unit in TIGHT else "", decimals, sign) for v in values]


def _decimals(value: float) -> int:
    """The digits after the point that give two significant digits; `value` is not 0."""
    return 1 - math.floor(math.log10(abs(value)) + 1e-9)


def trailing_unit(unit: str) -> str:
    """Return the text for the unit behind a row of `format_values`: " px", or "" for "°", "%" and no unit."""
    return "" if unit in ("", *TIGHT) else f" {unit}"


def round_numbers(numbers: dict) -> dict:
    """Round numbers to seven significant digits for JSON, and drop those that are not finite."""
    return {k: float(f"{v:.7g}") for k, v in numbers.items() if math.isfinite(v)}


def align_columns(rows: list[tuple[str, ...]]) -> str:
    """Align a table's columns.

    Args:
        rows: Rows of the same length.

    Returns:
        A line a row, its columns separated by two spaces.
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(text.ljust(n) for text, n in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(lines)


def format_seconds(seconds: float) -> str:
    """Format a duration for a sentence: "0.4 s", "25 s", "12 min", "2.5 h"."""
    if seconds < 120:
        return f"{seconds:.2g} s" if seconds < 9.95 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.2g} h"


def format_clock(seconds: float) -> str:
    """Format a duration as a clock does: "3:12", "1:05:00"."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
