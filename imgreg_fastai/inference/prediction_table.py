"""Predictions as text: a table for people, CSV and JSON for programs."""
import math

import pandas as pd

from ..tasks import Target, Task
from ..utils.format import TIGHT, with_unit

OOD_WARNING = "out of distribution: far from all training images"
MAX_COLUMNS_SHOWN = 6  # of a target, in a table


def format_predictions(frame: pd.DataFrame, format: str, task: Task) -> str:
    """Write predictions as text.

    Args:
        frame: As Predictor.predict returns it.
        format: table, csv, json or jsonl. A table leaves out columns of targets that have many; the others hold all.
        task: The task of the model.

    Returns:
        The text, without a newline at its end. Numbers have four decimals, in a table two; small ones have more.
    """
    table, note = _table(frame, task) if format == "table" else (frame, "")
    numbers = table.select_dtypes("number").columns
    extra = {column: _extra_decimals(table[column].abs().max()) for column in numbers}
    table = table.round({column: 4 + n for column, n in extra.items()})
    if format == "csv":
        return table.to_csv(index=False).rstrip("\n")
    if format == "table":
        formats = {c: f"{{:.{2 + extra[c]}f}}".format for c in table.select_dtypes("float").columns}
        return table.to_string(index=False, formatters=formats) + note
    return table.to_json(orient="records", lines=format == "jsonl", force_ascii=False).strip()


def _extra_decimals(largest: float) -> int:
    """Count the decimals that numbers of up to `largest` need beyond the usual ones: none from 1 on."""
    return max(0, -math.floor(math.log10(largest))) if 0 < largest < 1 else 0


def _table(frame: pd.DataFrame, task: Task) -> tuple[pd.DataFrame, str]:
    """Join numbers with intervals and units, say OOD flags in words and leave out columns beyond MAX_COLUMNS_SHOWN.

    Returns the table, and a note of what is left out, on a line of its own.
    """
    frame, note = frame.copy(), ""
    for t in task.targets:
        if len(t.columns) > MAX_COLUMNS_SHOWN:
            note = f"\nall {len(task.columns)} columns: --format csv"
            frame = frame.drop(columns=[*t.columns[MAX_COLUMNS_SHOWN:], *t.interval_columns], errors="ignore")
        elif len(t.interval_columns) == 1 and t.interval_columns[0] in frame:
            half_widths = frame.pop(t.interval_columns[0])
            if len(t.columns) == 1:
                pairs = zip(frame[t.columns[0]], half_widths, strict=True)
                frame[t.columns[0]] = [format_interval(value, half_width, t.unit) for value, half_width in pairs]
            else:
                heading = _with_unit(f"{t.name} ±", t, t.unit)
                frame.insert(list(frame.columns).index(t.columns[-1]) + 1, heading, half_widths)
    headings = {column: _with_unit(column, t, t.label_unit) for t in task.targets for column in t.columns}
    frame = frame.rename(columns={c: headings[c] for c in frame.select_dtypes("number") if c in headings})
    if "ood" in frame:
        flags = frame.pop("ood")
        if flags.any():
            frame["warning"] = flags.map({True: OOD_WARNING, False: ""})
    return frame, note


def _with_unit(heading: str, target: Target, unit: str) -> str:
    """A heading with the unit of its numbers, but for points, which are all in pixels."""
    return f"{heading} ({unit})" if unit and not target.in_image else heading


def format_interval(value: float, half_width: float, unit: str) -> str:
    """Write a number with its interval, to the decimals that the interval leaves: "73.2° ± 0.9", "212000 ± 32000 EUR".

    The interval as written covers the interval: the half-width is rounded up, and grows by the rounding of the number.
    """
    if not (math.isfinite(value) and math.isfinite(half_width) and half_width > 0):
        return with_unit(f"{value:.{2 + _extra_decimals(abs(value))}f}", unit)
    power = math.floor(math.log10(half_width))
    decimals = -power
    if half_width < 4 * 10.0**power or power > 0:  # two digits: 0.9, but 1.4, 0.015, 13 and 32000
        decimals += 1
    rounded = round(value, decimals) + 0.0  # + 0.0: no "-0"
    wider = math.ceil((half_width + abs(value - rounded)) * 10.0**decimals - 1e-6) / 10.0**decimals
    number, error = (f"{v:.{max(0, decimals)}f}" for v in (rounded, wider))
    return f"{number}{unit} ± {error}" if unit in TIGHT else f"{number} ± {error} {unit}".strip()
