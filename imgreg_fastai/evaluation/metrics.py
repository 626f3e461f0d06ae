"""How good predictions are: errors in units, beside the error of guessing a constant."""
import numpy as np
import pandas as pd

from ..data import splits
from ..data.images import known_views
from ..inference.predictor import NetworkOutput, Predictor
from ..tasks import Target, Task
from ..utils.format import format_value, round_numbers
from . import bootstrap

HARDLY_BETTER = 0.8  # of the error of guessing: from here on a model is hardly better than guessing
RANGE_PARTS = 5  # of a number's range, whose errors are told apart
VIEW_COLUMNS = ("view_scale_x", "view_scale_y", "view_shift_x", "view_shift_y")  # see tasks.geometry


# ---- predictions


def predictions(predictor: Predictor, frame: pd.DataFrame, coverage: float | None = None,
                tta: bool = False) -> pd.DataFrame:
    """Predict for a labels frame, and compare.

    Args:
        predictor: The model.
        frame: Labels with `path`, and the columns of the box if the task has one.
        coverage: Of the intervals of a calibrated model, see Predictor.intervals.
        tta: Whether to average over moved copies, see Predictor.predict.

    Returns:
        The rows whose image can be opened, with `<column>_predicted`, `<target>_error` (NaN without a label), of a
        calibrated model the columns of Predictor.intervals, and of a task with points the VIEW_COLUMNS.
    """
    return compare_to_labels(predictor, *network_outputs(predictor, frame, tta=tta), coverage)


def compare_to_labels(predictor: Predictor, rows: pd.DataFrame, output: NetworkOutput,
                      coverage: float | None = None) -> pd.DataFrame:
    """Return `predictions` for the rows and the output of `network_outputs`."""
    columns = {f"{c}_predicted": values for c, values in predictor.decode(output).items()}
    columns |= predictor.intervals(output, coverage)
    if predictor.task.has_points:
        columns |= dict(zip(VIEW_COLUMNS, output.views.T, strict=True))
    return add_errors(predictor.task, pd.concat([rows, pd.DataFrame(columns)], axis=1))


def network_outputs(predictor: Predictor, frame: pd.DataFrame, features: bool = False,
                    tta: bool = False) -> tuple[pd.DataFrame, NetworkOutput]:
    """Send the images of a labels frame through a network.

    Args:
        predictor: The model.
        frame: Labels with `path`, and the columns of the box if the task has one.
        features: Whether to return features.
        tta: Whether to return the outputs for moved copies.

    Returns:
        The rows whose image can be opened, with a new index, and the output for them.
    """
    frame = frame.reset_index(drop=True)
    output = predictor.predict_outputs(list(frame["path"]), predictor.task.boxes(frame), features=features, tta=tta)
    return frame.drop(index=list(output.broken)).reset_index(drop=True), output


def add_views(task: Task, frame: pd.DataFrame) -> pd.DataFrame:
    """Add the VIEW_COLUMNS to a labels frame of a task with points, by the headers of the images; NaN without one."""
    if not task.has_points:
        return frame
    views = known_views(frame["path"], task, task.boxes(frame))
    return frame.assign(**dict(zip(VIEW_COLUMNS, views.T, strict=True)))


def values_of(target: Target, rows: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Return the labels and the predictions of a target, both [n, columns] in units, of rows of `predictions`."""
    predicted = rows[[f"{c}_predicted" for c in target.columns]].to_numpy(float)
    return rows[list(target.columns)].to_numpy(float), predicted


def add_errors(task: Task, rows: pd.DataFrame) -> pd.DataFrame:
    """Add `<target>_error` to rows with labels and predictions."""
    errors = {}
    for t in task.targets:
        true, predicted = values_of(t, rows)
        errors[f"{t.name}_error"] = t.error(predicted, true)
    return pd.concat([rows, pd.DataFrame(errors, index=rows.index)], axis=1)


def predictions_table(task: Task, rows: pd.DataFrame) -> pd.DataFrame:
    """Arrange rows of `predictions` as predictions.csv has them.

    The columns are those of Predictor.predict, then `<column>_true`, the errors and all others but `path` and views.
    """
    names = {c: f"{c}_true" for c in task.columns} | {f"{c}_predicted": c for c in task.columns}
    rows = rows.drop(columns=["path", *VIEW_COLUMNS], errors="ignore").rename(columns=names)
    first = ["image", *task.columns, *(f"{c}_true" for c in task.columns), *(f"{t.name}_error" for t in task.targets)]
    first = [c for c in first if c in rows]  # aggregated rows have no image
    return rows[first + [c for c in rows if c not in first]]


# ---- scores


def score(task: Task, rows: pd.DataFrame, train_rows: pd.DataFrame) -> dict[str, dict]:
    """Score predictions.

    Args:
        task: The task.
        rows: Of `predictions` or aggregation.aggregate_by.
        train_rows: Labels of the training part, see `add_views`. What is guessed is their mean; the mean of points is
            taken in the view of each image, where rows and train_rows have their VIEW_COLUMNS.

    Returns:
        {target: scores}, in units:
        unit, n: its unit, and the number of labelled images; the only scores where that is 0.
        mean, median, p90, p95, max, rmse: of the errors.
        bias: See Target.bias.
        baseline: The mean error of guessing.
        r2: Of plain numbers, 1 - sum of squared residuals / sum of squares of the labels about their mean.
        ci: [low, high], 95 % confidence interval of the mean, see bootstrap.interval.
        columns: Of targets with several columns that mean something one by one,
            {column: {mean, median, rmse, bias, baseline, r2}} of residuals.
        range: Of plain numbers, see error_over_range.
        groups: Where there are several groups, see error_by_group.
    """
    return {t.name: _score_target(t, rows, train_rows) for t in task.targets}


def _score_target(t: Target, rows: pd.DataFrame, train_rows: pd.DataFrame) -> dict:
    rows = rows[np.isfinite(rows[f"{t.name}_error"].to_numpy(float))]
    error = rows[f"{t.name}_error"].to_numpy(float)
    if not len(error):
        return {"unit": t.unit, "n": 0}
    true, predicted = values_of(t, rows)
    guess, residual = _guess(t, rows, train_rows), t.residual(predicted, true)
    r2 = _r2(residual[:, 0], true[:, 0]) if t.scalar else np.nan
    numbers = _statistics(error, t.error(guess, true), t.bias(predicted, true), r2)
    numbers |= {"p90": np.quantile(error, 0.9), "p95": np.quantile(error, 0.95), "max": error.max()}
    scores = {"unit": t.unit, "n": len(error), **round_numbers(numbers)}
    interval = bootstrap.interval(error, independent_units(rows))
    if interval is not None:
        scores["ci"] = list(interval)
    if len(t.columns) > 1 and t.charted is t:  # one by one the numbers of a quaternion say nothing
        scores["columns"] = _score_columns(t, residual, true, t.residual(guess, true))
    if t.scalar:
        scores["range"] = error_over_range(true[:, 0], error, t.log_scale)
    if "group" in rows and rows["group"].nunique() > 1:
        scores["groups"] = error_by_group(rows["group"], error)
    return scores


def add_mean_errors(scores: dict[str, dict[str, dict]], predictions: pd.DataFrame, name: str) -> None:
    """Add the mean errors of another model to scores of a run, where it has one for each image that is scored.

    Args:
        scores: {part: {target: scores}}, which get another entry where the model has errors.
        predictions: Rows with `split` and `<target>_error`.
        name: Of the entry, which stands beside the `mean` of the same images.
    """
    for part, targets in scores.items():
        rows = predictions[predictions["split"] == part]
        for target, numbers in targets.items():
            error = rows[f"{target}_error"].dropna()
            if numbers["n"] and len(error) == numbers["n"]:
                numbers |= round_numbers({name: float(error.mean())})


def independent_units(rows: pd.DataFrame) -> pd.Series:
    """Name what is drawn together in a bootstrap, see splits.split_units; aggregated rows have no image."""
    return splits.split_units(rows if {"path", "image"} & set(rows) else rows.assign(image=np.arange(len(rows))))


def _guess(t: Target, rows: pd.DataFrame, train_rows: pd.DataFrame) -> np.ndarray:
    """Return the constant guess for each row, [n, columns]; of points a constant place in the view of the image."""
    labels, views = train_rows[list(t.columns)].to_numpy(float), list(VIEW_COLUMNS)
    in_view = t.in_image and {*views} <= {*rows} & {*train_rows} and train_rows[views].notna().any(axis=None)
    if in_view:
        labels = t.to_batch(labels, train_rows[views].to_numpy())
    guess = np.broadcast_to(t.constant_guess(labels), (len(rows), len(t.columns)))
    return t.from_batch(guess, rows[views].to_numpy()) if in_view else guess


def _score_columns(t: Target, residual: np.ndarray, true: np.ndarray, guess_residual: np.ndarray) -> dict[str, dict]:
    """Score each column that has a label, by its residuals; see `score`."""
    scores = {}
    for i, column in enumerate(t.columns):
        rows = np.isfinite(residual[:, i])
        if rows.any():
            r2 = _r2(residual[rows, i], true[rows, i]) if t.linear else np.nan
            errors = np.abs(residual[rows, i]), np.abs(guess_residual[rows, i])
            scores[column] = round_numbers(_statistics(*errors, residual[rows, i].mean(), r2))
    return scores


def _statistics(error: np.ndarray, guess_error: np.ndarray, bias: float, r2: float) -> dict[str, float]:
    """Summarise errors [n]. Those of guessing are NaN for a point without a label in the training part."""
    guess_error = guess_error[np.isfinite(guess_error)]
    return {"mean": error.mean(), "median": np.median(error), "rmse": np.sqrt(np.square(error).mean()), "bias": bias,
            "baseline": guess_error.mean() if len(guess_error) else np.nan, "r2": r2}


def _r2(residual: np.ndarray, true: np.ndarray) -> float:
    """Return the coefficient of determination; NaN where all labels are alike."""
    spread = np.square(true - true.mean()).sum()
    return 1 - np.square(residual).sum() / spread if true.min() < true.max() else np.nan


def error_over_range(true: np.ndarray, error: np.ndarray, log: bool, name: str = "mean") -> list[dict]:
    """Average errors over equal parts of the range of the labels.

    Args:
        true: Labels, array [n].
        error: Array [n].
        log: Whether the parts are equal on a logarithmic scale.
        name: What the average is called.

    Returns:
        {low, high, n, mean} of each of RANGE_PARTS parts that has a label.
    """
    log = log and true.min() > 0
    values = np.log(true) if log else true
    ends = np.linspace(values.min(), values.max(), RANGE_PARTS + 1)
    part = np.clip(np.searchsorted(ends, values, side="right") - 1, 0, RANGE_PARTS - 1)
    limits = np.exp(ends) if log else ends
    return [{**round_numbers({"low": limits[k], "high": limits[k + 1]}), "n": int((part == k).sum()),
             **round_numbers({name: error[part == k].mean()})} for k in np.unique(part)]


def error_by_group(groups: pd.Series, error: np.ndarray, name: str = "mean") -> dict[str, dict]:
    """Average errors by group.

    Args:
        groups: Names [n]; rows without one are left out.
        error: Array [n].
        name: What the average is called.

    Returns:
        {group: {n, mean}}, the largest mean first.
    """
    table = pd.Series(error).groupby(groups.astype(str).where(groups.notna()).to_numpy()).agg(["size", "mean"])
    table = table.sort_values("mean", ascending=False, kind="stable")
    return {group: {"n": int(n), **round_numbers({name: mean})} for group, n, mean in table.itertuples()}


# ---- scores as text


def describe_guessing(mean: float, guess: float) -> str:
    """Say that a mean error is hardly below that of guessing, or not at all; "" if it is, or guessing is exact."""
    if not mean > HARDLY_BETTER * guess > 0:
        return ""
    return f"{'no' if mean >= guess else 'hardly'} better than guessing"


def format_score(name: str, scores: dict) -> str:
    """Write the score of a target: "angle error 0.31° (guessing: 45°)"."""
    if not scores["n"]:
        return f"{name}: no labels"
    error, guessing = (format_value(scores.get(key, np.nan), scores["unit"]) for key in ("mean", "baseline"))
    return f"{name} error {error} (guessing: {guessing})"


def format_details(scores: dict) -> str:
    """Write the other scores of a target: "mean 95 % between 0.16° and 0.18°  R² 0.99  median 0.14°"."""
    texts = []
    if "ci" in scores:
        texts.append("mean 95 % between " + " and ".join(format_value(end, scores["unit"]) for end in scores["ci"]))
    if "r2" in scores:
        texts.append(f"R² {scores['r2']:.3g}")
    names = ("median", "p90", "p95", "max", "rmse", "bias")
    texts += [f"{name} {format_value(scores[name], scores['unit'])}" for name in names if name in scores]
    return "  ".join(texts)


def format_columns(scores: dict, max_columns: int = 4) -> str:
    """Write the mean error of each column of a target, or nothing if it has one, or more than `max_columns`."""
    columns = scores.get("columns", {})
    if len(columns) > max_columns:
        return ""
    return ", ".join(f"{column} {format_value(s['mean'], scores['unit'])}" for column, s in columns.items())
