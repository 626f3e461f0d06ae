"""Whether intervals keep their promise: the share of true values that lie within them."""
import math

import numpy as np
import pandas as pd

from ..tasks import Array, Task
from ..utils.format import format_value, round_numbers
from ..utils.messages import warn
from . import bootstrap, metrics

MIN_VALUES = 30  # of a part of the range or a group, for its own coverage to be reported
LARGE_SHORTFALL = 0.15  # below the promised coverage, for a part to be reported
SMALL_SHORTFALL = 0.02  # below the promised coverage, which is no reason to warn


def measure_coverage(task: Task, rows: pd.DataFrame, coverage: float, units: int) -> dict[str, dict]:
    """Measure the coverage of intervals.

    Args:
        task: The task.
        rows: Of metrics.predictions, with intervals.
        coverage: What the intervals promise.
        units: Number of images or groups that calibrated the intervals.

    Returns:
        {target: scores} of the targets that have labels and intervals:
        asked, units: `coverage` and `units`.
        reached: The share of the true values (of all labelled points) within their interval.
        low, high: Its 95 % confidence interval, see bootstrap.interval.
        width: The mean half-width in units.
        groups: Where there are several groups, {group: {n, reached}} of n values, the lowest first.
        range: Of plain numbers, [{low, high, n, reached}], see metrics.error_over_range.
    """
    scores = {}
    for t in task.targets:
        true, predicted = metrics.values_of(t, rows)
        half_widths, errors = rows[list(t.interval_columns)].to_numpy(float), t.interval_errors(predicted, true)
        labelled = np.isfinite(half_widths) & np.isfinite(errors)
        if not labelled.any():
            continue
        row_numbers = np.nonzero(labelled)[0]  # one for each value: a row has several points
        inside, values = (errors <= half_widths)[labelled].astype(float), rows.iloc[row_numbers]
        numbers = {"asked": coverage, "reached": inside.mean(), "width": half_widths[labelled].mean(),
                   **_confidence(inside, rows, row_numbers)}
        scores[t.name] = {**round_numbers(numbers), "units": units}
        if "group" in values and values["group"].nunique() > 1:
            groups = metrics.error_by_group(values["group"], inside, "reached")
            scores[t.name]["groups"] = dict(reversed(groups.items()))
        if t.scalar:
            labels = values[t.columns[0]].to_numpy(float)
            scores[t.name]["range"] = metrics.error_over_range(labels, inside, t.log_scale, "reached")
    return scores


def measure_joint_coverage(task: Task, rows: pd.DataFrame, half_widths: Array, coverage: float) -> dict[str, dict]:
    """Measure the share of images of which all true values lie within their joint intervals.

    Args:
        task: The task.
        rows: Of metrics.predictions.
        half_widths: Of their joint intervals in units, array [n, m], NaN where there is none.
        coverage: What the intervals promise.

    Returns:
        {target: scores} of the targets that have labels and intervals:
        asked: `coverage`.
        reached: The share of the images that have a label of each value, of all targets together.
        low, high: Its 95 % confidence interval, see bootstrap.interval.
        width: The mean half-width of the target in units.
    """
    errors = np.hstack([t.interval_errors(*reversed(metrics.values_of(t, rows))) for t in task.targets])
    known, has_interval = np.isfinite(half_widths) & np.isfinite(errors), np.isfinite(half_widths).any(axis=0)
    complete = known[:, has_interval].all(axis=1)
    if not complete.any():
        return {}
    inside = (errors <= half_widths)[:, has_interval].all(axis=1)[complete].astype(float)
    numbers = {"asked": coverage, "reached": inside.mean(), **_confidence(inside, rows, complete)}
    scores = {}
    for t, columns in zip(task.targets, task.interval_slices, strict=True):
        if known[:, columns].any():
            scores[t.name] = round_numbers({**numbers, "width": half_widths[:, columns][known[:, columns]].mean()})
    return scores


def _confidence(inside: Array, rows: pd.DataFrame, of_rows: Array) -> dict[str, float]:
    """Return the ends of the 95 % confidence interval of a coverage as `low` and `high`; {} for too few units.

    Args:
        inside: Whether values lie within their intervals, 1 or 0, array [n].
        rows: Of metrics.predictions.
        of_rows: Which of them the values are of, by position or as a mask.
    """
    interval = bootstrap.interval(inside, metrics.independent_units(rows).to_numpy()[of_rows])
    return {} if interval is None else dict(zip(("low", "high"), np.clip(interval, 0, 1), strict=True))


def format_joint_coverage(scores: dict, unit: str) -> str:
    """Write joint coverage: "joint 90 % intervals contain all values of 91.0 % of the images, ± 2.1° on average"."""
    return _with_width(f"joint {scores['asked']:.0%} intervals contain all values of {scores['reached']:.1%} of the "
                       "images", scores, unit)


def format_coverage(scores: dict, unit: str) -> str:
    """Write coverage: "90 % intervals contain 91.0 % of the true values (88 % to 93 %), ± 1.3° on average"."""
    text = f"{scores['asked']:.0%} intervals contain {scores['reached']:.1%} of the true values"
    text = _with_width(text, scores, unit)
    if scores.get("calibrates"):
        text += "; these images calibrated them"
    if "left_out" in scores:
        text += f", and of groups left out in turn they contain {scores['left_out']:.1%}".replace("%", " %")
    parts = [part for part in scores.get("range", ()) if part["n"] >= MIN_VALUES]
    worst = min(parts, key=lambda part: part["reached"], default=None)
    if worst and worst["reached"] < scores["asked"] - LARGE_SHORTFALL:
        text += f", but {worst['reached']:.0%} from {worst['low']:.3g} to {worst['high']:.3g}"
    return text


def _with_width(text: str, scores: dict, unit: str) -> str:
    """Add the confidence interval of a coverage, where it has a width, and the mean half-width of its intervals."""
    if scores.get("low", 1) < scores.get("high", 1):
        text += f" ({scores['low']:.0%} to {scores['high']:.0%})"
    return f"{text}, ± {format_value(scores['width'], unit)} on average".replace("%", " %")


def is_too_low(scores: dict) -> bool:
    """Whether intervals surely cover less than they promise, see measure_coverage.

    The shortfall is larger than SMALL_SHORTFALL, and than chance: that of which images were scored (`high`, which
    is missing for few) and that of which ones calibrated. The coverage of a calibration follows a beta distribution
    (Vovk 2012).
    """
    if "high" not in scores:
        return False
    coverage, reached = scores["asked"], scores["reached"]
    chance = 2 * math.sqrt(coverage * (1 - coverage) / (scores.get("units", 100) + 2))
    return reached + math.hypot(scores["high"] - reached, chance) < coverage - SMALL_SHORTFALL


def warn_if_too_low(name: str, scores: dict, ood_share: float) -> None:
    """Warn where coverage `is_too_low`.

    Args:
        name: Of the target.
        scores: As measure_coverage returns them for it.
        ood_share: The share of images flagged as out of distribution.
    """
    if is_too_low(scores):
        ood = f", {ood_share:.0%} of which are out of distribution" if ood_share > 2 * SMALL_SHORTFALL else ""
        text = f"promise {scores['asked']:.0%} and hold {scores['reached']:.1%} of these{ood}".replace("%", " %")
        warn(f"the intervals of {name} {text}: they are not like the images that calibrated it, "
             "and its intervals are too narrow for them")
