"""Plots of labels, of a training and of predictions.

Every function returns a matplotlib figure, which `save` writes.

A `frame` in this package is a DataFrame of predictions with a row for each image: `image` (the name to show), `path`
(the file to open), the targets' columns (true values), `<column>_predicted` for each of them, and optionally `group`
and the targets' interval columns (half-widths).
"""
import re
from pathlib import Path

import pandas as pd

from ..tasks import Target, Task
from .charts import errors_over, groups, predicted_against_true, residuals
from .figures import save
from .grids import batch, grid, tolerance, worst
from .pictures import OpenPicture
from .training_charts import curves, lr_find

__all__ = ["batch", "curves", "errors_over", "file_name", "grid", "groups", "lr_find", "predicted_against_true",
           "residuals", "save", "tolerance", "worst", "write_all"]


def write_all(folder: str | Path, task: Task, history: pd.DataFrame | None, frame: pd.DataFrame,
              open_picture: OpenPicture, baseline: dict[str, float] | None = None) -> list[Path]:
    """Write all plots of a run that suit its targets, as PNG.

    Their names end in the target's name where there are several targets. A rotation has error_over_<first column>;
    several groups have groups.

    Args:
        folder: where to write curves, predicted, residuals, worst, grid and the others.
        task: the Task.
        history: see training_charts.curves; None for no curves.
        frame: see plots/__init__.py.
        open_picture: as for grids.worst.
        baseline: as for charts.predicted_against_true.

    Returns:
        The paths.
    """
    folder, paths = Path(folder), []
    if history is not None:
        paths.append(save(curves(history, task.targets), folder / "curves.png"))
    for target in task.targets:
        figures = {"predicted": predicted_against_true(task, target, frame, baseline),
                   "residuals": residuals(task, target, frame)}
        if target.charted.wraps and len(target.columns) > 1:
            column = target.charted.columns[0]
            figures[f"error_over_{_file_part(column)}"] = errors_over(task, target, frame, column)
        if "group" in frame and frame["group"].nunique() > 1:
            figures["groups"] = groups(task, target, frame)
        figures["worst"] = worst(task, target, frame, open_picture)
        figures["grid"] = grid(task, target, frame, open_picture, tolerance(target, frame))
        paths += [save(figure, folder / file_name(name, task, target)) for name, figure in figures.items()]
    return paths


def file_name(plot: str, task: Task, target: Target) -> str:
    """The name of a target's plot in the folder of plots."""
    if len(task.targets) == 1 or plot.startswith("error_over"):
        return f"{plot}.png"
    return f"{plot}_{_file_part(target.name)}.png"


def _file_part(name: str) -> str:
    """A name as part of a file's name."""
    return re.sub(r"[^\w.-]+", "-", name)
