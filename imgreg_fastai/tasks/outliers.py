"""Labels that are numbers and yet look wrong: how they are told from the others."""
from typing import NamedTuple

import numpy as np

MAX_RANGES = 10.0  # interquartile ranges beyond the quartiles: 13 standard deviations of a normal column
# Quantiles that tell how wide a column is: the outer ones where so many values are equal that the inner ones are.
WIDTHS = ((0.25, 0.75), (0.05, 0.95), (0.01, 0.99))
MIN_VALUES = 10  # fewer tell nothing


class LabelIssue(NamedTuple):
    """What looks wrong about a column of labels; see data.issues.Issue.

    Attributes:
        mask: Of which rows, [n]; None where it is of all.
        code: A word to count it by.
        level: "stop", "leave out" or "note".
        text: What it is.
        hint: What to do about it.
        column: A column whose values are shown beside the rows.
    """

    mask: np.ndarray | None
    code: str
    level: str
    text: str
    hint: str = ""
    column: str | None = None


def far_values(values: np.ndarray, log: bool = False) -> np.ndarray:
    """Which finite values lie far from all others.

    Those more than MAX_RANGES interquartile ranges beyond the quartiles. Where the quartiles are on one side of 0, a
    long tail away from it is usual: there a value must also lie beyond what such a tail can reach.

    Args:
        values: [n]; NaN where there is none.
        log: Compare them by ratio; values of 0 or below are not judged.

    Returns:
        Mask, [n].
    """
    usable = np.isfinite(values) & ((values > 0) | (not log))
    mask = np.zeros(len(values), bool)
    if usable.sum() < MIN_VALUES:
        return mask
    compared = np.log(values[usable]) if log else values[usable]
    low, high = quartiles(compared)
    margin = MAX_RANGES * (high - low)
    far = ((compared < low - margin) | (compared > high + margin)) & (low < high)  # none where almost all are equal
    if not log and (low > 0 or high < 0):
        outward = np.maximum(np.sign(low) * compared, 0)  # distance from 0
        far &= (outward <= max(low, -high)) | (outward > _tail_limit(np.log(outward[outward > 0])))
    mask[usable] = far
    return mask


def _tail_limit(logs: np.ndarray) -> float:
    """The value that one of 100 such columns exceeds, if the logarithms have a normal or an exponential tail.

    Normal: by the bound exp(-z^2 / 2) at z standard deviations, 1.349 of which lie between the quartiles. Exponential:
    by what lies between the upper quartile and the 95th percentile.
    """
    low, high, p95 = np.quantile(logs, (0.25, 0.75, 0.95))
    normal = (high - low) * (np.sqrt(2 * np.log(100 * len(logs))) / 1.349 - 0.5)
    exponential = (p95 - high) / np.log(5) * np.log(25 * len(logs))
    return float(np.exp(min(high + max(normal, exponential), 700.0)))


def quartiles(values: np.ndarray) -> tuple[float, float]:
    """The quartiles of finite values, or the nearest outer quantiles that differ."""
    for quantiles in WIDTHS:
        low, high = np.quantile(values, quantiles, method="nearest")  # one between 0 and 1 would be wide for counts
        if low < high:
            break
    return float(low), float(high)


def radians_issue(name: str, values: np.ndarray, option: str) -> LabelIssue:
    """The issue of finite values in degrees that look like radians; `option` would read them as such."""
    text = f"{name} looks like radians: all from {values.min():.3g} to {values.max():.3g}"
    return LabelIssue(None, "radians", "note", text, f"{option}, if so")
