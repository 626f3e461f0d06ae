"""How good the predictions are: errors in units, beside the error of guessing one constant."""
import numpy as np
import pandas as pd

from ..data import splits
from ..inference.predictor import NetworkOutput, Predictor
from ..tasks import Task
from ..utils.errors import ImgregError, first_few
from ..utils.format import format_value, round_numbers
from . import bootstrap


def predictions(predictor: Predictor, frame: pd.DataFrame, coverage: float | None = None,
                tta: bool = False) -> pd.DataFrame:
    """The rows of a labels frame with what was predicted for them: `<column>_predicted` and `<target>_error`.

    Of a calibrated model also what Predictor.intervals gives for that coverage. Pictures that cannot be opened are left
    out, and `tta` is understood, as by Predictor.predict; the error of a missing label is NaN.
    """
    whole, made = network_outputs(predictor, frame, tta=tta)
    predicted = {f"{c}_predicted": v for c, v in predictor.answers(made).items()}
    found = pd.DataFrame({**predicted, **predictor.intervals(made, coverage)})
    return _with_errors(predictor.task, pd.concat([whole, found], axis=1))


def network_outputs(predictor: Predictor, frame: pd.DataFrame, features: bool = False,
         tta: bool = False) -> tuple[pd.DataFrame, NetworkOutput]:
    """The rows of a labels frame whose pictures open, numbered anew, and what the network made of them."""
    frame, box = frame.reset_index(drop=True), list(predictor.task.box)
    boxes = frame[box].to_numpy(float) if box else None
    made = predictor.see(list(frame["path"]), boxes, features=features, tta=tta)
    return frame.drop(index=list(made.broken)).reset_index(drop=True), made


def _with_errors(task: Task, result: pd.DataFrame) -> pd.DataFrame:
    errors = {}
    for t in task.targets:
        true, predicted = (result[[f"{c}{end}" for c in t.columns]].to_numpy(float) for end in ("", "_predicted"))
        errors[f"{t.name}_error"] = t.error(predicted, true)
    return pd.concat([result, pd.DataFrame(errors, index=result.index)], axis=1)


HARDLY = 0.8  # of the error of guessing, from which on a model is hardly better
RANGES = 5  # parts of a number's range whose errors are told apart
HOWS = ("mean", "median")  # how several answers become one


def aggregate_by(task: Task, frame: pd.DataFrame, by: str, how: str = "mean") -> pd.DataFrame:
    """One row for all pictures of one value of the column `by`: that column, `pictures` (how many), one answer.

    `frame`: of Predictor.predict, or of `predictions`, whose labels become one likewise and are compared anew. The
    answer is each kind's own mean (of angles the circular, of rotations the chordal), or of plain numbers the `how`
    median. A picture without a value stands for itself. Raises ImgregError for a column that is not there, and for
    points, which lie in one picture.
    """
    check_aggregation(task, by, how)
    if by not in frame:
        raise ImgregError(f"--by with a column of the table: {first_few(frame.columns, 8)}", f"'{by}'")
    judged = f"{task.columns[0]}_predicted" in frame
    wanted = [(t, [f"{c}{end}" for c in t.columns]) for t in task.targets for end in ("", "_predicted")[: 1 + judged]]
    names = frame[by].astype(object).where(frame[by].notna(), [f"picture {i}" for i in range(len(frame))])
    rows = []
    for name, part in frame.groupby(names, sort=False):
        row = {by: name, "pictures": len(part)}
        for t, columns in wanted:
            row.update(zip(columns, _one(t, part[columns].to_numpy(float), how), strict=True))
        rows.append(row)
    return _with_errors(task, pd.DataFrame(rows)) if judged else pd.DataFrame(rows)


def check_aggregation(task: Task, by: str | None, how: str = "mean", coverage: float | None = None) -> None:
    """Raise ImgregError for what cannot be asked of `by_group`, whatever the pictures; a `by` of None asks nothing."""
    if how not in HOWS:
        raise ImgregError(f"--how {', '.join(HOWS)}", f"'{how}'")
    if by and coverage is not None:
        raise ImgregError("--coverage without --by: one answer for several pictures has no interval", f"--by {by}")
    if by is None and how != HOWS[0]:
        raise ImgregError(f"--by COLUMN for --how {how}", "no --by")
    ours = [f"{name}{end}" for t in task.targets for name in (t.name, *t.columns)
            for end in ("", "_predicted", "_true", "_error")]
    if by in (*ours, *(w for t in task.targets for w in t.interval_columns), "image", "path", "split", "pictures", "unlike"):
        raise ImgregError("--by with a column that tells whose pictures they are", f"'{by}'")
    points = [t.name for t in task.targets if t.kind == "point"]
    if by and points:
        raise ImgregError("--by with targets that are the same in several pictures", f"points: {first_few(points)}")


def _one(target, values: np.ndarray, how: str) -> np.ndarray:
    if not np.isfinite(values).any():
        return np.full(values.shape[1], np.nan)
    return np.nanmedian(values, axis=0) if how == "median" and target.kind == "number" else target.constant_guess(values)


def score(task: Task, result: pd.DataFrame, trained: pd.DataFrame) -> dict:
    """{target: {unit, n, mean, median, p90, p95, max, rmse, bias, baseline}} of `predictions`, in units.

    `baseline`: the mean error of guessing the training part's mean for every picture; `trained`: its rows. A target of
    several columns also has `columns` {column: {mean, median, rmse, bias, baseline}}, a plain number `range`, a list of
    {low, high, n, mean} over equal parts of what its labels span (of a log number their logarithms), and where there
    are groups each has `groups` {group: {n, mean}}, the worst first. A target without a label has n = 0 and nothing
    else.

    `ci`: the 95 % interval of the mean error, [low, high], by bootstrap.interval: whole groups are drawn where there
    are groups, else pictures; left out where these are too few. `r2`, of plain numbers and of each coordinate of
    points: 1 - the sum of squared residuals over that of the labels about their own mean; left out where the labels
    are all alike.
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
    guess = np.broadcast_to(t.constant_guess(trained[columns].to_numpy(float)), true.shape)
    numbers = {
        "mean": error.mean(), "median": np.median(error), "p90": np.quantile(error, 0.9),
        "p95": np.quantile(error, 0.95), "max": error.max(), "rmse": np.sqrt(np.square(error).mean()),
        "bias": t.bias(predicted, true), "baseline": np.nanmean(t.error(guess, true)),
        "r2": _r2(t.residual(predicted, true), true) if t.kind == "number" else np.nan,
    }
    more = _chance(result, error)
    more |= {"columns": _columns(t, predicted, true, guess)} if len(columns) > 1 else {}
    if t.kind == "number":
        more["range"] = error_over_range(true[:, 0], error, t.scale == "log")
    if "group" in result and result["group"].nunique() > 1:
        more["groups"] = error_by_group(result["group"], error)
    return {"unit": t.unit, "n": len(error), **round_numbers(numbers), **more}


def _columns(t, predicted, true, guess) -> dict:
    rest, least = t.residual(predicted, true), t.residual(guess, true)
    return {c: round_numbers({
        "mean": np.nanmean(np.abs(rest[:, i])), "median": np.nanmedian(np.abs(rest[:, i])),
        "rmse": np.sqrt(np.nanmean(np.square(rest[:, i]))), "bias": np.nanmean(rest[:, i]),
        "baseline": np.nanmean(np.abs(least[:, i])) if np.isfinite(least[:, i]).any() else np.nan,
        "r2": _r2(rest[:, i], true[:, i]) if t.kind == "point" else np.nan,
    }) for i, c in enumerate(t.columns) if np.isfinite(rest[:, i]).any()}


def _chance(result: pd.DataFrame, error: np.ndarray) -> dict:
    """`ci` of the mean error, or nothing; of rows that name no picture each stands for itself."""
    named = result if {"path", "image"} & set(result) else result.assign(image=np.arange(len(result)))
    found = bootstrap.interval(error, splits.split_units(named))
    return {} if found is None else {"ci": [float(f"{end:.7g}") for end in found]}


def _r2(rest: np.ndarray, true: np.ndarray) -> float:
    """The coefficient of determination from residuals and labels [n], NaN where either is missing."""
    if not np.nanmin(true) < np.nanmax(true):
        return np.nan
    return 1 - np.nansum(np.square(rest)) / np.nansum(np.square(true - np.nanmean(true)))


def error_over_range(true: np.ndarray, error: np.ndarray, log: bool) -> list[dict]:
    """The mean error over RANGES equal parts of what the labels [n] span; parts without a label are left out."""
    values = np.log(true) if log and true.min() > 0 else true
    ends = np.linspace(values.min(), values.max(), RANGES + 1)
    part = np.clip(np.searchsorted(ends, values, side="right") - 1, 0, RANGES - 1)
    shown = np.exp(ends) if log and true.min() > 0 else ends
    return [{**round_numbers({"low": shown[k], "high": shown[k + 1]}), "n": int((part == k).sum()),
             **round_numbers({"mean": error[part == k].mean()})} for k in range(RANGES) if (part == k).any()]


def error_by_group(names: pd.Series, error: np.ndarray) -> dict:
    """{group: {n, mean}} of errors [n], the worst first."""
    known = names.notna().to_numpy()
    table = pd.Series(error[known], names[known].astype(str).to_numpy()).groupby(level=0).agg(["size", "mean"])
    worst = table.sort_values("mean", ascending=False, kind="stable")
    return {name: {"n": int(row["size"]), **round_numbers({"mean": row["mean"]})} for name, row in worst.iterrows()}


def sentence(name: str, scores: dict) -> str:
    """One target's scores in a line: "angle error 0.31° (guessing: 45°)"."""
    if not scores["n"]:
        return f"{name}: no labels"
    error, guessing = (format_value(scores.get(k, np.nan), scores["unit"]) for k in ("mean", "baseline"))
    return f"{name} error {error} (guessing: {guessing})"


def details(scores: dict) -> str:
    """The other scores of a target in a line: "mean 95 % between 0.16° and 0.18°  R² 0.99  median 0.14°"."""
    ends = [format_value(end, scores["unit"]) for end in scores.get("ci", ())]
    told = [f"mean 95 % between {ends[0]} and {ends[1]}"] if ends else []
    told += [f"R² {scores['r2']:.3g}"] if "r2" in scores else []
    more = ("median", "p90", "p95", "max", "rmse", "bias")
    return "  ".join(told + [f"{k} {format_value(scores[k], scores['unit'])}" for k in more if k in scores])


def columns_sentence(scores: dict, most: int = 4) -> str:
    """The mean error of each column, in a line; nothing for one column, or for so many that nobody would read them."""
    columns = scores.get("columns", {})
    return ", ".join(f"{c} {format_value(s['mean'], scores['unit'])}" for c, s in columns.items() if len(columns) <= most)


def predictions_table(task: Task, result: pd.DataFrame) -> pd.DataFrame:
    """`predictions` as people read them: predict's columns, then `<column>_true`, the errors and the rest."""
    named = {c: f"{c}_true" for c in task.columns} | {f"{c}_predicted": c for c in task.columns}
    result = result.drop(columns="path", errors="ignore").rename(columns=named)
    first = ["image", *task.columns, *(f"{c}_true" for c in task.columns), *(f"{t.name}_error" for t in task.targets)]
    first = [c for c in first if c in result]  # of groups there is no image
    return result[first + [c for c in result if c not in first]]
