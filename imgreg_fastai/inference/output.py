"""Predictions as text: a table for people, and CSV and JSON for what reads on."""
import math

import pandas as pd

from ..tasks import Task
from ..utils.format import TIGHT, with_unit

FORMATS = ("table", "csv", "json", "jsonl")
UNLIKE = "unlike the training pictures"


def format_predictions(frame: pd.DataFrame, format: str, task: Task) -> str:
    """What Predictor.predict gave as text of one of FORMATS; small numbers are told finely enough to be seen."""
    if format == "table":
        frame = _for_people(frame, task)
    numbers = frame.select_dtypes("number").columns
    finer = {c: _decimals(frame[c].abs().max()) for c in numbers}
    frame = frame.round({c: 4 + more for c, more in finer.items()})
    if format == "csv":
        return frame.to_csv(index=False).rstrip("\n")
    if format == "table":
        shown = {c: (f"{{:.{2 + finer[c]}f}}" if frame[c].dtype.kind == "f" else "{}").format for c in numbers}
        return frame.to_string(index=False, formatters=shown)
    return frame.to_json(orient="records", lines=format == "jsonl", force_ascii=False).strip()


def _decimals(largest: float) -> int:
    """How many decimals more than usual numbers of up to `largest` take: none from 1 on."""
    return max(0, -math.floor(math.log10(largest))) if 0 < largest < 1 else 0


def _for_people(frame: pd.DataFrame, task: Task) -> pd.DataFrame:
    """A number and its interval as one, the radius of several columns under a sign, and a word for what is unlike."""
    frame = frame.copy()
    for t in task.targets:
        if len(t.interval_columns) == 1 and t.interval_columns[0] in frame:
            radii = frame.pop(t.interval_columns[0])
            if len(t.columns) == 1:
                frame[t.columns[0]] = list(map(format_interval, frame[t.columns[0]], radii, [t.unit] * len(frame)))
            else:
                frame.insert(frame.columns.get_loc(t.columns[-1]) + 1, f"{t.name} ±", radii)
    if "unlike" in frame:
        unlike = frame.pop("unlike")
        frame = frame.assign(warning=[UNLIKE * odd for odd in unlike]) if unlike.any() else frame
    return frame


def format_interval(value: float, radius: float, unit: str) -> str:
    """A number with its interval, as exactly as that is known: "73.2° ± 0.9", "212000 ± 32000 EUR".

    What is written covers the interval: the radius is rounded up, and by what the number is rounded.
    """
    if not (math.isfinite(value) and math.isfinite(radius) and radius > 0):
        return with_unit(f"{value:.{2 + _decimals(abs(value))}f}", unit)
    power = math.floor(math.log10(radius))
    places = -power + (radius < 4 * 10.0**power or power > 0)  # 0.9, 1.4, 0.015, 13 and 32000
    near = round(value, places) + 0.0
    radius = math.ceil((radius + abs(value - near)) * 10.0**places - 1e-6) / 10.0**places
    number, radius = (f"{v:.{max(0, places)}f}" for v in (near, radius))
    return f"{number}{unit} ± {radius}" if unit in TIGHT else f"{number} ± {radius} {unit}".strip()
