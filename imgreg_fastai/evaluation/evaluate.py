"""What a model is worth on labelled pictures: scores, predictions and plots, written into a run."""
from functools import partial
from pathlib import Path

import pandas as pd

from .. import plots
from ..data.images import open_picture
from ..data.splits import SPLITS
from ..inference.predictor import Predictor
from ..runs import Run
from ..utils.errors import ImgregError
from . import coverage as reach
from . import metrics


def write_evaluation(run: Run, folder: Path, model: Predictor, frame: pd.DataFrame, trained: pd.DataFrame, history=None,
          by: str | None = None, how: str = "mean", coverage: float | None = None, tta: bool = False) -> dict:
    """Predict for `frame`, and write scores.json, predictions.csv and plots/ into the run's `folder`.

    Returns the scores {part: {target: {...}}}, the parts being those of the column `split`; the plots show the part
    valid where there is one. `trained`: the training rows, whose mean is the guess to compare with. `by`: what is
    scored is one answer for all pictures of one value of that column, see metrics.by_group, written to groups.csv.
    `coverage`: of the intervals of a calibrated model, whose reach is told with the scores (coverage.reached).
    `tta`: as for Predictor.predict. Raises ImgregError if no picture opens.
    """
    result = metrics.predictions(model, frame, coverage, tta)
    if result.empty:
        raise ImgregError("pictures that can be opened", f"none among {len(frame)}, first '{frame['path'].iloc[0]}'",
                          "imgreg evaluate RUN TABLE, with the table where the pictures lie now")
    parts = {part: result[result["split"] == part] for part in (*SPLITS, *result["split"].unique())}
    scored = {part: metrics.aggregate_by(model.task, rows, by, how) if by else rows
              for part, rows in parts.items() if len(rows)}
    scores = {part: metrics.score(model.task, rows, trained) for part, rows in scored.items()}
    if model.calibration and not by:
        _cover(scores, scored, model, coverage)
    if by:
        run.write(folder / "groups.csv", metrics.predictions_table(model.task, pd.concat(scored.values())))
    run.write(folder / "scores.json", scores)
    run.write(folder / "predictions.csv", metrics.predictions_table(model.task, result))
    part = "valid" if "valid" in scores else next(iter(scores))
    baseline = {name: numbers["baseline"] for name, numbers in scores[part].items() if "baseline" in numbers}
    shown = result[result["split"] == part]
    plots.write_all(run.path / folder / "plots", model.task, history, shown,
                    partial(open_picture, value_range=model.task.value_range), baseline)
    return scores


def _cover(scores: dict, scored: dict, model: Predictor, asked: float | None) -> None:
    """Add to each part's scores how many of the true values its intervals hold, and say where they are too few."""
    asked, units = model.coverage(asked), model.about["calibration"]["units"]
    for part, rows in scored.items():
        for name, of in reach.measure_coverage(model.task, rows, asked, units).items():
            scores[part][name]["coverage"] = of
            reach.warn_too_low(f"{name} ({part})", of, rows["unlike"].mean())
