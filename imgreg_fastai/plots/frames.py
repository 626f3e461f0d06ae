"""The rows of a table of predictions that have both a label and a prediction.

A `frame` in this package is a DataFrame with a row for each picture: `image` (the name to show), `path` (the file to
open), the targets' columns (true values), `<column>_predicted` for each of them, and optionally `group` and the
targets' interval columns (half-widths).
"""
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from ..tasks import Target, Task
from .figures import TitledFigure, empty_figure

OpenPicture = Callable[[str], Image.Image]  # path -> an upright RGB picture


class LabelledRows(NamedTuple):
    """Rows with a label and a prediction.

    Args:
        frame: the rows [n].
        true: labels in units [n, columns]; of several points some may be missing (NaN) in a row.
        predicted: predictions in units [n, columns].
        error: the target's error of each row in units [n].
    """

    frame: pd.DataFrame
    true: np.ndarray
    predicted: np.ndarray
    error: np.ndarray


def labelled_rows(target: Target, frame: pd.DataFrame) -> LabelledRows:
    """The rows of a frame that have an error of the target."""
    true = frame[list(target.columns)].to_numpy(float)
    predicted = frame[[f"{column}_predicted" for column in target.columns]].to_numpy(float)
    error = target.error(predicted, true) if len(true) else np.empty(0)
    finite = np.isfinite(error)
    return LabelledRows(frame[finite], true[finite], predicted[finite], error[finite])


def no_rows_figure(target: Target) -> TitledFigure:
    """The figure for a frame without labelled rows."""
    return empty_figure(f"{target.name}: nothing to show", "No row has both a label and a prediction.")


def row_values(task: Task, row: pd.Series, suffix: str = "") -> dict[str, np.ndarray]:
    """The values of one row by target.

    Args:
        task: the Task.
        row: a row of a frame.
        suffix: "_predicted" for the predictions.

    Returns:
        {target name: [columns] in units}, NaN for columns that the row lacks.
    """
    return {t.name: np.array([row.get(f"{c}{suffix}", np.nan) for c in t.columns], float) for t in task.targets}
