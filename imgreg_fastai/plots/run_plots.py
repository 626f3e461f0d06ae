"""The plots of a run, as files."""
import re
from pathlib import Path

import pandas as pd

from ..tasks import Target, Task
from . import charts, grids, training_charts
from .figures import save
from .frames import OpenPicture


def write_all(folder: str | Path, task: Task, history: pd.DataFrame | None, frame: pd.DataFrame,
              open_picture: OpenPicture, baseline: dict[str, float] | None = None) -> list[Path]:
    """Write all plots of a run that suit its targets, as PNG.

    Their names end in the target's name where there are several targets. A rotation has error_over_<first column>;
    several groups have groups.

    Args:
        folder: where to write curves, predicted, residuals, worst, grid and the others.
        task: the Task.
        history: see training_charts.curves; None for no curves.
        frame: see frames.py.
        open_picture: as for grids.worst.
        baseline: as for charts.predicted_against_true.

    Returns:
        The paths.
    """
    folder, paths = Path(folder), []
    if history is not None:
        paths.append(save(training_charts.curves(history, task.targets), folder / "curves.png"))
    for target in task.targets:
        figures = {"predicted": charts.predicted_against_true(task, target, frame, baseline),
                   "residuals": charts.residuals(task, target, frame)}
        if target.wraps and len(target.columns) > 1:
            column = target.columns[0]
            figures[f"error_over_{_file_part(column)}"] = charts.errors_over(task, target, frame, column)
        if "group" in frame and frame["group"].nunique() > 1:
            figures["groups"] = charts.groups(task, target, frame)
        figures["worst"] = grids.worst(task, target, frame, open_picture)
        figures["grid"] = grids.grid(task, target, frame, open_picture, grids.tolerance(target, frame))
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
