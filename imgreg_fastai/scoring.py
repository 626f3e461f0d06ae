"""How good the predictions are: errors in units, beside the error of guessing one constant."""
import numpy as np
import pandas as pd

from .predictor import Predictor
from .tasks import Task


def predictions(predictor: Predictor, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a labels frame with what was predicted for them: `<column>_predicted` and `<target>_error`.

    Pictures that cannot be opened are left out, as by Predictor.predict.
    """
    frame = frame.reset_index(drop=True)
    outputs, broken = predictor.outputs(list(frame["path"]))
    whole = frame.drop(index=list(broken)).reset_index(drop=True)
    predicted = predictor.columns(outputs)
    result = whole.assign(**{f"{c}_predicted": values for c, values in predicted.items()})
    for t in predictor.task.targets:
        true = whole[list(t.columns)].to_numpy(float)
        error = t.error(np.stack([predicted[c] for c in t.columns], axis=1), true)
        result[f"{t.name}_error"] = error
    return result


def score(task: Task, result: pd.DataFrame, trained: pd.DataFrame) -> dict:
    """{target: {unit, n, mean, median, p90, p95, max, rmse, bias, baseline}} of `predictions`, in units.

    `baseline`: the mean error of guessing the training part's mean for every picture; `trained`: its rows.
    """
    return {t.name: _score_one(t, result, trained) for t in task.targets}


def _score_one(t, result: pd.DataFrame, trained: pd.DataFrame) -> dict:
    columns = list(t.columns)
    true = result[columns].to_numpy(float)
    residual = t.residual(result[[f"{c}_predicted" for c in columns]].to_numpy(float), true)
    error = result[f"{t.name}_error"].to_numpy(float)
    guess = t.centre(trained[columns].to_numpy(float))
    numbers = {
        "mean": error.mean(), "median": np.median(error), "p90": np.quantile(error, 0.9),
        "p95": np.quantile(error, 0.95), "max": error.max(), "rmse": np.sqrt(np.square(error).mean()),
        "bias": residual.mean(), "baseline": t.error(np.broadcast_to(guess, true.shape), true).mean(),
    }
    return {"unit": t.unit, "n": len(error), **{k: round(float(v), 6) for k, v in numbers.items()}}


def sentence(name: str, scores: dict) -> str:
    """One target's scores in a line: "angle error 0.31° (guessing: 45°)"."""
    return f"{name} error {scores['mean']:.3g}{scores['unit']} (guessing: {scores['baseline']:.3g}{scores['unit']})"


def table(task: Task, result: pd.DataFrame) -> pd.DataFrame:
    """`predictions` as people read them: predict's columns, then `<column>_true`, the errors and the rest."""
    named = {c: f"{c}_true" for c in task.columns} | {f"{c}_predicted": c for c in task.columns}
    result = result.drop(columns="path").rename(columns=named)
    first = ["image", *task.columns, *(f"{c}_true" for c in task.columns), *(f"{t.name}_error" for t in task.targets)]
    return result[first + [c for c in result if c not in first]]
