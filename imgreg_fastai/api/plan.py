"""The plan of a training: its task, settings and labels, before anything is trained."""
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..config import TrainConfig
from ..data.tables import Table
from ..tasks import Task

if TYPE_CHECKING:  # which loads torch
    from ..models.weights import Weights


@dataclass(frozen=True)
class TrainingPlan:
    """What a training needs to know.

    Attributes:
        task: What is predicted; completed by the labels of the training part once these are known.
        config: The settings of the training.
        table: The labels table, a DataFrame in its place, or the folder whose file names hold the labels.
        images: The folder that the names of the images are relative to; None: the table's own.
        command: The command or call that asked for it, for run.json.
        valid_is_set: Whether the user has set the share to validate on.
        rows: The usable rows of the table, with a column `split` once that is assigned; empty before they are read.
        earlier: The images known to the run that this training starts from, see known_images; None: there is none.
        old_parts: In which part that run had each of the rows, see assign_splits.
        started: When the time of the training began, as time.perf_counter gives it; None: when it begins.
        set_by_user: Names of the settings that the user has set.
        undecided: Settings that neither the task nor the user decides: the automatic recipe does.
        recipe: What the automatic recipe decided, for run.json: the settings, and "reason".
        source: The weights that the recipe found; None: they are looked for later.
        dry_run: Whether one batch is tried only, which says nothing of the quality of a model.
    """

    task: Task
    config: TrainConfig
    table: Table
    images: str | Path | None = None
    command: str = ""
    valid_is_set: bool = False
    rows: pd.DataFrame = field(default_factory=pd.DataFrame, repr=False)
    earlier: pd.DataFrame | None = field(default=None, repr=False)
    old_parts: pd.Series | None = field(default=None, repr=False)
    started: float | None = None
    set_by_user: frozenset[str] = frozenset()
    undecided: frozenset[str] = frozenset()
    recipe: dict[str, Any] = field(default_factory=dict)
    source: "Weights | None" = None
    dry_run: bool = False
