"""What a report is made from: a run's scores, its predictions as charts take them, and its model."""
from functools import partial
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ..data import tables
from ..data.images import open_picture
from ..inference import model_file
from ..inference.predictor import Predictor
from ..runs import Run
from ..tasks import Task
from ..utils.errors import ImgregError

PART_NAMES = {"valid": "validation", "calibrate": "calibration"}  # a part of the split in a sentence


class ReportInputs(NamedTuple):
    """A scored run.

    Args:
        run: the run.
        task: its Task.
        scores: {part: {target name: scores}}.
        verdict_part: the part whose scores are the verdict: test where there is one.
        part: the part whose pictures are shown: valid where there is one, so that nobody adapts to the test pictures.
        rows: the predictions of `part`, see plots/__init__.py, and `present`, whether the picture's file exists.
        history: the epochs; None where they were not saved.
        model: None where the pictures or the model file are gone.
        baselines: {name: {target name: scores}} of small models; empty where none was measured.
    """

    run: Run
    task: Task
    scores: dict
    verdict_part: str
    part: str
    rows: pd.DataFrame
    history: pd.DataFrame | None
    model: Predictor | None
    baselines: dict

    @property
    def has_pictures(self) -> bool:
        """Whether any of the pictures is where it was."""
        return bool(self.rows["present"].any())

    @property
    def open_picture(self):
        """path -> an upright RGB Pillow picture, as the model gets it."""
        return partial(open_picture, value_range=self.task.value_range)

    @property
    def has_groups(self) -> bool:
        """Whether the pictures belong to several groups."""
        return "group" in self.rows and self.rows["group"].nunique() > 1

    def heading(self, target) -> str:
        """The heading of a target's part of a section: none for the only target."""
        return target.name if len(self.task.targets) > 1 else ""


def part_name(part: str) -> str:
    """A part of the split in a sentence: "validation"."""
    return PART_NAMES.get(part, part)


def read_inputs(run: Run, model: Predictor | None = None, device: str = "cpu") -> ReportInputs:
    """Read a run.

    Args:
        run: the run.
        model: its model, if it is already open.
        device: where to open it otherwise.

    Returns:
        ReportInputs.

    Raises:
        ImgregError: the run is not trained to its end, or its predictions cannot be read.
    """
    scores, is_trained = run.scores, run.state in ("scoring", "trained")
    if not is_trained or not scores:
        problem = "without scores" if is_trained else f"whose state is: {run.state}"
        raise ImgregError("a run that was trained to its end, and scored", f"'{run.path}', {problem}")
    part = "valid" if "valid" in scores else next(iter(scores))
    predictions = _read_predictions(run)
    rows = predictions[predictions["split"] == part].reset_index(drop=True)
    if model is None and rows["present"].any() and (run.path / model_file.MODEL).is_file():
        model = model_file.load_model(run.path, device)
    history = run.read_table("history.csv") if (run.path / "history.csv").is_file() else None
    verdict_part, baselines = "test" if "test" in scores else part, run.read_json("baselines.json")
    return ReportInputs(run, run.task, scores, verdict_part, part, rows, history, model, baselines)


def _read_predictions(run: Run) -> pd.DataFrame:
    """A run's predictions.csv with the column names of plots/__init__.py, and `present`."""
    task = run.task
    columns = ["image", "split", *task.columns, *(f"{c}_true" for c in task.columns)]
    frame = run.read_table("predictions.csv", [*columns, *(f"{t.name}_error" for t in task.targets)])
    names = {c: f"{c}_predicted" for c in task.columns} | {f"{c}_true": c for c in task.columns}
    return tables.with_paths(frame.rename(columns=names), "image", Path(run.about["data"]["root"]))
