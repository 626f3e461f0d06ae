"""Label Studio's CSV and JSON-MIN: numbers have columns of their own, points stand as JSON in per cent of the image."""
import json
from typing import Any

import pandas as pd

from ...utils.messages import ImgregError, first_few

MARK = {"annotation_id", "lead_time"}  # columns that Label Studio adds
ADDED_COLUMNS = {*MARK, "id", "annotator", "created_at", "updated_at", "agreement"}  # they are no targets


def is_label_studio(frame: pd.DataFrame) -> bool:
    """Tell whether a table is Label Studio's."""
    return set(frame.columns) >= MARK


def read_points(frame: pd.DataFrame) -> tuple[pd.DataFrame, tuple[str, ...]]:
    """Give the points of Label Studio's table columns, nose_x and nose_y, in pixels.

    Args:
        frame: The table, whose points are [{"x": 60.3, "y": 34.7, "keypointlabels": ["nose"], "original_width": ...}].

    Returns:
        The table with those columns in place of the JSON, and what to say about them.
    """
    notes = []
    for name in frame.columns:
        if not frame[name].map(str).str.contains('"keypointlabels"', regex=False).any():
            continue
        points = pd.DataFrame([_points(cell) for cell in frame[name]], index=frame.index)
        points = points[[column for column in points if column not in frame]]
        notes.append(f"its points in '{name}' are the columns {first_few(points.columns, 6)}, from per cent to pixels")
        frame = pd.concat([frame.drop(columns=name), points], axis=1)
    return frame, tuple(notes)


def _points(cell: Any) -> dict[str, float]:
    """Return the points of a cell: {"nose_x": 48.2, "nose_y": 20.8}; a repeated label gets a number."""
    try:
        results = json.loads(cell) if isinstance(cell, str) else []
        values: dict[str, float] = {}
        for point in results:
            label = point["keypointlabels"][0]
            name = next(n for n in (label, *(f"{label}_{i}" for i in range(2, 999))) if f"{n}_x" not in values)
            values[f"{name}_x"] = point["x"] * point["original_width"] / 100
            values[f"{name}_y"] = point["y"] * point["original_height"] / 100
    except (ValueError, KeyError, TypeError, IndexError):
        return {}  # no point that can be read
    return values


def check_named_targets(frame: pd.DataFrame, image: str, path: object) -> None:
    """Raise ImgregError if the table is Label Studio's: some of its columns are about the labelling.

    Args:
        frame: The table or its beginning, after `read_points`.
        image: The column that names the images.
        path: The table.
    """
    if is_label_studio(frame):
        others = [str(name) for name in frame if name not in ADDED_COLUMNS and name != image]
        points = [name.removesuffix("_x") for name in others if name.endswith("_x") and f"{name[:-2]}_y" in others]
        numbers = [name for name in others if pd.api.types.is_numeric_dtype(frame[name]) and name[:-2] not in points]
        targets = [f"--target {name}" for name in (*(f"{point}:point" for point in points), *numbers)]
        added = first_few(name for name in frame if name in ADDED_COLUMNS)
        raise ImgregError(f"--target NAME for Label Studio's table '{path}', as {added} are about the labelling",
                          first_few(others) or "no other column", first_few(targets, 3) or None)
