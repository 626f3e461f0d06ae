"""What a report is made from: a run's scores, its predictions as charts take them, and its model."""
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ..data import tables
from ..inference import model_file
from ..inference.predictor import Predictor
from ..runs import Run
from ..tasks import Task
from ..utils.messages import ImgregError


class ReportInputs(NamedTuple):
    """A scored run.

    Args:
        run: The run.
        task: Its Task.
        scores: {part: {target name: scores}}.
        verdict_part: The part whose scores are the verdict: test where there is one.
        part: The part whose images are shown: valid where there is one, so that nobody adapts to the test images.
        rows: The predictions of `part`, see plots/__init__.py, and `present`, whether the image's file exists.
        history: The epochs; None where they were not saved.
        model: None where the images or the model file are gone.
        baselines: {name: {target name: scores}} of small models; empty where none was measured.
        ridge: What the model is called whose errors are `ridge` in the scores; "" where there is none.
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
    ridge: str = ""

    @property
    def has_pictures(self) -> bool:
        """Whether any of the images is where it was."""
        return bool(self.rows["present"].any())


def read_inputs(run: Run, model: Predictor | None = None, device: str = "cpu") -> ReportInputs:
    """Read a run.

    Args:
        run: The run.
        model: Its model, if it is already open.
        device: Where to open it otherwise.

    Raises:
        ImgregError: If the run is not trained to its end, or its predictions cannot be read.
    """
    task, scores, is_trained = run.task, run.scores, run.state in ("scoring", "trained")
    if not is_trained or not scores:
        problem = "without scores" if is_trained else f"whose state is: {run.state}"
        raise ImgregError("a run that was trained to its end, and scored", f"'{run.path}', {problem}")
    part = "valid" if "valid" in scores else next(iter(scores))
    names = {c: f"{c}_predicted" for c in task.columns} | {f"{c}_true": c for c in task.columns}
    predictions = run.read_predictions()
    rows = predictions[predictions["split"] == part].rename(columns=names).reset_index(drop=True)
    rows = tables.with_paths(rows, "image", Path(run.about["data"]["root"]))
    if model is None and rows["present"].any() and (run.path / model_file.MODEL).is_file():
        model = model_file.load_model(run.path, device)
    history = run.read_table("history.csv") if (run.path / "history.csv").is_file() else None
    return ReportInputs(run, task, scores, "test" if "test" in scores else part, part, rows, history, model,
                        run.read_json("baselines.json"), run.about.get("ridge", {}).get("name", ""))
