"""How good the predictions are: errors in units, beside the error of guessing one constant."""
import numpy as np
import pandas as pd

from .predictor import Predictor
from .tasks import Task


def predictions(predictor: Predictor, frame: pd.DataFrame) -> pd.DataFrame:
    """The rows of a labels frame with what was predicted for them: `<column>_predicted` and `<target>_error`.

    Pictures that cannot be opened are left out, as by Predictor.predict; the error of a missing label is NaN.
    """
    frame, task = frame.reset_index(drop=True), predictor.task
    boxes = frame[list(task.box)].to_numpy(float) if task.box else None
    outputs, views, broken = predictor.outputs(list(frame["path"]), boxes)
    whole = frame.drop(index=list(broken)).reset_index(drop=True)
    predicted = predictor.columns(outputs, views)
    result = whole.assign(**{f"{c}_predicted": values for c, values in predicted.items()})
    for t in task.targets:
        true = whole[list(t.columns)].to_numpy(float)
        result[f"{t.name}_error"] = t.error(np.stack([predicted[c] for c in t.columns], axis=1), true)
    return result


def score(task: Task, result: pd.DataFrame, trained: pd.DataFrame) -> dict:
    """{target: {unit, n, mean, median, p90, p95, max, rmse, bias, baseline}} of `predictions`, in units.

    `baseline`: the mean error of guessing the training part's mean for every picture; `trained`: its rows. A target of
    several columns also has `columns` {column: {mean, median, rmse, bias, baseline}}, and where there are groups each
    has `groups` {group: {n, mean}}, the worst first. A target without a label has n = 0 and nothing else.
    """
    return {t.name: _score_one(t, result, trained) for t in task.targets}


def _score_one(t, result: pd.DataFrame, trained: pd.DataFrame) -> dict:
    columns = list(t.columns)
    result = result[np.isfinite(result[f"{t.name}_error"].to_numpy(float))]
    error = result[f"{t.name}_error"].to_numpy(float)
    if not len(error):
        return {"unit": t.unit, "n": 0}
    true = result[columns].to_numpy(float)
    predicted = result[[f"{c}_predicted" for c in columns]].to_numpy(float)
    guess = np.broadcast_to(t.centre(trained[columns].to_numpy(float)), true.shape)
    numbers = {
        "mean": error.mean(), "median": np.median(error), "p90": np.quantile(error, 0.9),
        "p95": np.quantile(error, 0.95), "max": error.max(), "rmse": np.sqrt(np.square(error).mean()),
        "bias": t.bias(predicted, true), "baseline": np.nanmean(t.error(guess, true)),
    }
    more = {"columns": _columns(t, predicted, true, guess)} if len(columns) > 1 else {}
    if "group" in result and result["group"].nunique() > 1:
        more["groups"] = _groups(result["group"], error)
    return {"unit": t.unit, "n": len(error), **_rounded(numbers), **more}


def _columns(t, predicted, true, guess) -> dict:
    rest, least = t.residual(predicted, true), t.residual(guess, true)
    return {c: _rounded({
        "mean": np.nanmean(np.abs(rest[:, i])), "median": np.nanmedian(np.abs(rest[:, i])),
        "rmse": np.sqrt(np.nanmean(np.square(rest[:, i]))), "bias": np.nanmean(rest[:, i]),
        "baseline": np.nanmean(np.abs(least[:, i])) if np.isfinite(least[:, i]).any() else np.nan,
    }) for i, c in enumerate(t.columns) if np.isfinite(rest[:, i]).any()}


def _groups(names: pd.Series, error: np.ndarray) -> dict:
    known = names.notna().to_numpy()
    table = pd.Series(error[known], names[known].astype(str).to_numpy()).groupby(level=0).agg(["size", "mean"])
    worst = table.sort_values("mean", ascending=False, kind="stable")
    return {name: {"n": int(row["size"]), "mean": round(float(row["mean"]), 6)} for name, row in worst.iterrows()}


def _rounded(numbers: dict) -> dict:
    """Numbers as JSON can hold them: what is none, such as a guess at points never seen, is left out."""
    return {k: round(float(v), 6) for k, v in numbers.items() if np.isfinite(v)}


def quantity(value: float, unit: str) -> str:
    """A number with its unit: "0.31°", "3.2 px"."""
    return f"{value:.3g}{unit}" if unit in ("", "°", "%") else f"{value:.3g} {unit}"


def sentence(name: str, scores: dict) -> str:
    """One target's scores in a line: "angle error 0.31° (guessing: 45°)"."""
    if not scores["n"]:
        return f"{name}: no labels"
    error, guessing = (quantity(scores.get(k, np.nan), scores["unit"]) for k in ("mean", "baseline"))
    return f"{name} error {error} (guessing: {guessing})"


def by_column(scores: dict, most: int = 4) -> str:
    """The mean error of each column, in a line; nothing for one column, or for so many that nobody would read them."""
    columns = scores.get("columns", {})
    return ", ".join(f"{c} {quantity(s['mean'], scores['unit'])}" for c, s in columns.items() if len(columns) <= most)


def table(task: Task, result: pd.DataFrame) -> pd.DataFrame:
    """`predictions` as people read them: predict's columns, then `<column>_true`, the errors and the rest."""
    named = {c: f"{c}_true" for c in task.columns} | {f"{c}_predicted": c for c in task.columns}
    result = result.drop(columns="path").rename(columns=named)
    first = ["image", *task.columns, *(f"{c}_true" for c in task.columns), *(f"{t.name}_error" for t in task.targets)]
    return result[first + [c for c in result if c not in first]]
