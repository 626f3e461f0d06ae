"""Scores, predictions and plots of a model on labelled images, written into a folder."""
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from .. import plots
from ..data.images import open_picture
from ..data.splits import SPLITS
from ..inference.predictor import NetworkOutput, Predictor
from ..runs import write_file
from ..tasks import Array
from ..utils.messages import ImgregError
from . import aggregation, metrics
from .coverage import measure_coverage, measure_joint_coverage, warn_if_too_low


def write_evaluation(folder: Path, model: Predictor, frame: pd.DataFrame, train_rows: pd.DataFrame,
                     history: pd.DataFrame | None = None, by: str | None = None, how: str = "mean",
                     coverage: float | None = None, tta: bool = False,
                     ridge: pd.DataFrame | None = None, is_own: bool = True) -> dict[str, dict]:
    """Predict for labelled images, and write scores.json, predictions.csv and plots/.

    Args:
        folder: Where to write.
        model: The model.
        frame: Labels with `path` and `split`. The plots show the part valid, or else the first.
        train_rows: Labels of the training part, whose mean is guessed for comparison.
        history: The epochs, for a plot.
        by: A column; images with the same value are scored as one, see aggregation.aggregate_by, in groups.csv too.
        how: Of the aggregation.
        coverage: Of the intervals of a calibrated model, which is measured.
        tta: Whether to average over moved copies, see Predictor.predict.
        ridge: Rows with `split` and the errors of another model, whose mean is `ridge` in the scores.
        is_own: Whether these are the images of the run, some of which may have calibrated its intervals.

    Returns:
        {part: {target: scores}}, see metrics.score; of a calibrated model with `coverage`, see measure_coverage.

    Raises:
        ImgregError: If no image can be opened.
    """
    task = model.task
    rows, output = metrics.network_outputs(model, frame, tta=tta)
    rows, promised = metrics.compare_to_labels(model, rows, output, coverage), model.resolve_coverage(coverage)
    if rows.empty:
        raise ImgregError("images that can be opened", f"none among {len(frame)}, first '{frame['path'].iloc[0]}'",
                          "imgreg evaluate RUN TABLE, with the table where the images lie now")
    names = [name for name in dict.fromkeys([*SPLITS, *rows["split"]]) if (rows["split"] == name).any()]
    parts = {name: rows[rows["split"] == name] for name in names}
    if by:
        predictions = model.model_predictions(output)
        for name, part in parts.items():
            of_part = predictions.take(part.index.to_numpy())
            parts[name] = aggregation.aggregate_by(task, part, by, how, [of_part], promised)
        write_file(folder / "groups.csv", metrics.predictions_table(task, pd.concat(parts.values())))
    train_rows = metrics.add_views(task, train_rows)
    scores = {name: metrics.score(task, part, train_rows) for name, part in parts.items()}
    if ridge is not None:
        metrics.add_mean_errors(scores, ridge, "ridge")
    if promised is not None:
        joint = None if by else _joint_half_widths(model, output, promised)
        calibrating = model.about["calibration"].get("parts", ()) if is_own and not by else ()
        for name, part in parts.items():
            for target, numbers in _coverage(model, part, promised, joint, name in calibrating).items():
                scores[name][target]["coverage"] = numbers
                warn_if_too_low(f"{target} ({name})", numbers, part["ood"].mean())
    write_file(folder / "scores.json", scores)
    write_file(folder / "predictions.csv", metrics.predictions_table(task, rows))
    shown = "valid" if "valid" in scores else next(iter(scores))
    baselines = {name: s["baseline"] for name, s in scores[shown].items() if "baseline" in s}
    plots.write_all(folder / "plots", task, history, rows[rows["split"] == shown],
                    partial(open_picture, value_range=task.value_range, max_pixels=task.max_pixels), baselines)
    return scores


def _joint_half_widths(model: Predictor, output: NetworkOutput, coverage: float) -> Array | None:
    """Compute the half-widths [n, m] of joint intervals; None where there is one interval of each image, or none."""
    columns = list(model.task.interval_columns)
    if model.calibration is None or len(columns) == 1 or not model.calibration.has_joint(coverage):
        return None
    half_widths = model.intervals(output, coverage, joint=True)
    return np.stack([half_widths[column] for column in columns], axis=1)


def _coverage(model: Predictor, rows: pd.DataFrame, coverage: float, joint: Array | None,
              calibrates: bool) -> dict[str, dict]:
    """Measure the coverage of single and of joint intervals.

    Of a part that calibrated the intervals, `calibrates` is true, and `left_out` is the coverage of its groups where
    each is left out in turn, see Calibration.left_out_coverage. `joint` is the coverage of joint intervals.

    Args:
        model: Calibrated.
        rows: Of metrics.predictions, or aggregated ones.
        coverage: What the intervals promise.
        joint: Joint half-widths, by the index of `rows`, array [n, m]; None for no joint intervals.
        calibrates: Whether these images calibrated the intervals.
    """
    about = model.about["calibration"]
    scores = measure_coverage(model.task, rows, coverage, about["units"])
    left_out = about.get("left_out", {}) if coverage == about["coverage"] else {}
    for target, numbers in scores.items() if calibrates else ():
        numbers["calibrates"] = True
        if target in left_out:
            numbers["left_out"] = left_out[target]
    if joint is not None:
        half_widths = joint[rows.index.to_numpy()]
        for target, numbers in measure_joint_coverage(model.task, rows, half_widths, coverage).items():
            scores[target]["joint"] = numbers
    return scores
