"""What a run kept, as a report wants it: its scores, its predictions as charts take them, its pictures."""
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

WORDS = {"valid": "validation", "calibrate": "calibration"}  # what a part of the split is called in a sentence


class ReportInputs(NamedTuple):
    """A scored run, read.

    `judged`: the part whose scores are the verdict, test where there is one; `part`: the one that is looked into, valid
    where there is one, so that nothing is learnt from the test pictures; `rows`: its predictions, see charts.py;
    `history`: the epochs, or None; `here`: whether any of their pictures still lies where it was; `model`: None where
    they or its file are gone; `baselines`: what small models do, see baselines.of, {} where none was measured.
    """

    run: Run
    task: Task
    scores: dict
    judged: str
    part: str
    rows: pd.DataFrame
    history: pd.DataFrame | None
    here: bool
    model: Predictor | None
    baselines: dict

    @property
    def open_picture(self):
        """path -> an upright RGB Pillow picture, as the run saw it."""
        return partial(open_picture, value_range=self.task.value_range)

    @property
    def grouped(self) -> bool:
        """Whether there are groups to be told apart."""
        return "group" in self.rows and self.rows["group"].nunique() > 1


def read_inputs(run: Run, model: Predictor | None = None, device: str = "cpu") -> ReportInputs:
    """What `run` kept; its `model` is opened unless it is given.

    Raises ImgregError for a run that has not come to its end, or whose predictions cannot be read.
    """
    scores, ended = run.scores, run.state in ("scoring", "trained")
    if not ended or not scores:
        found = f"'{run.path}', " + ("without scores" if ended else f"whose state is: {run.state}")
        raise ImgregError("a run that was trained to its end, and scored", found)
    frame, part = predictions(run), "valid" if "valid" in scores else next(iter(scores))
    rows = frame[frame["split"] == part].reset_index(drop=True)
    history = run.read_table("history.csv") if (run.path / "history.csv").is_file() else None
    here = bool(rows["present"].any())
    if model is None and here and (run.path / model_file.MODEL).is_file():
        model = model_file.load_model(run.path, device)
    return ReportInputs(run, run.task, scores, "test" if "test" in scores else part, part, rows, history, here, model,
                    run.read_json("baselines.json"))


def predictions(run: Run) -> pd.DataFrame:
    """predictions.csv as scoring.predictions gave it: `<column>`, `<column>_predicted`, `path`; and `present`.

    Raises ImgregError if it cannot be read, or lacks a column.
    """
    task = run.task
    frame = run.read_table("predictions.csv", ["image", "split", *task.columns, *(f"{c}_true" for c in task.columns),
                                          *(f"{t.name}_error" for t in task.targets)])
    named = {c: f"{c}_predicted" for c in task.columns} | {f"{c}_true": c for c in task.columns}
    return tables.with_paths(frame.rename(columns=named), "image", Path(run.about["data"]["root"]))
