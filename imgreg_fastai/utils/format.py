"""Numbers and tables as text for people."""
import math

TIGHT = ("°", "%")  # units that follow their number without a space


def with_unit(number: str, unit: str) -> str:
    """A number in words and its unit: "0.31°", "3.2 px"."""
    return number + unit if unit in ("", *TIGHT) else f"{number} {unit}"


def format_value(value: float, unit: str) -> str:
    """A number with its unit: "0.31°", "3.2 px"."""
    return with_unit(f"{value:.3g}", unit)


def round_numbers(numbers: dict) -> dict:
    """Numbers as JSON can hold them: what is none, such as a guess at points never seen, is left out."""
    return {k: float(f"{v:.7g}") for k, v in numbers.items() if math.isfinite(v)}


def format_amount(value: float, unit: str = "", decimals: int | None = None, sign: str = "") -> str:
    """A number to be read, with its unit: "0.31°", "3.2 years"; two significant digits unless told `decimals`."""
    if decimals is None:
        decimals = 0 if not value else max(0, 1 - math.floor(math.log10(abs(value)) + 1e-9))
    comma = "," if abs(value) >= 1e4 else ""
    text = f"{round(value, decimals) + 0.0:{sign}{comma}.{decimals}f}".replace("-", "−")  # + 0.0: no "−0"
    return with_unit(text, unit)


def format_values(values, unit: str, sign: str = "") -> list[str]:
    """Numbers of one precision, to be read in a row; a unit that is a word is left for the end of the row."""
    most = max(map(abs, values)) or 1.0
    decimals = max(int(most < 100), 1 - math.floor(math.log10(most) + 1e-9))
    return [format_amount(v, unit if unit in TIGHT else "", decimals, sign) for v in values]


def trailing_unit(unit: str) -> str:
    """What stands for the unit at the end of a row: nothing for one that is no word."""
    return "" if unit in ("", *TIGHT) else f" {unit}"


def align_columns(rows: list[tuple[str, ...]]) -> str:
    """Rows of texts, all as many, as lines with one column below the other."""
    wide = [max(map(len, of)) for of in zip(*rows, strict=True)]
    return "\n".join("  ".join(text.ljust(n) for text, n in zip(row, wide, strict=True)).rstrip() for row in rows)
