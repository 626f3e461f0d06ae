"""Labels that are numbers and yet odd: far from all others, of another unit, beyond what they can mean."""
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...tasks import Angle, Number, Point, Rotation, Target, Task
from ...utils.errors import first_few

FAR = 10.0  # interquartile ranges beyond the quartiles: 13 standard deviations of a normal column
# Quantiles that tell how wide a column is: the outer ones where so many values are equal that the inner ones are.
WIDTHS = ((0.25, 0.75), (0.05, 0.95), (0.01, 0.99))
LEAST = 10  # values that tell anything
NOTHING = (-1.0, -9.0, -99.0, -999.0, -9999.0)  # and for a number that is not known
CORNERS = ((0.0, 0.0), (-1.0, -1.0))  # what programs write for a point that is not there


class LabelIssue(NamedTuple):
    """An oddity as faults.Sheet.finding takes it; `mask`: of which rows, None where it is of all."""

    mask: np.ndarray | None
    kind: str
    level: str
    text: str
    hint: str = ""
    told: str | None = None


def outlier_issues(rows: pd.DataFrame, task: Task) -> Iterator[LabelIssue]:
    """The oddities of usable `rows`. Kinds: outlier, filler, wrapped, radians, turns, fractions, corner."""
    for t in task.targets:
        values = rows[list(t.columns)].to_numpy(float)
        if np.isfinite(values).any(axis=1).sum() >= LEAST:
            yield from KINDS[t.kind](t, values)


def is_far(values: np.ndarray, log: bool = False) -> np.ndarray:
    """Which finite values lie far from all others; `log`: they are told apart by ratio.

    So do those more than 10 interquartile ranges beyond the quartiles. But where the quartiles are on one side of 0, a
    long tail away from it is usual: there they must lie beyond what a tail like this one can reach, too.
    """
    known = np.isfinite(values) & ((values > 0) | (not log))
    out = np.zeros(len(values), bool)
    if known.sum() < LEAST:
        return out
    values = values[known]
    if log:
        out[known] = _beyond(np.log(values))
        return out
    beyond, (low, high) = _beyond(values), _ends(values)
    if low > 0 or high < 0:
        outer = np.maximum(np.sign(low) * values, 0)  # away from 0
        beyond &= (outer <= max(low, -high)) | (outer > _tail(np.log(outer[outer > 0])))
    out[known] = beyond
    return out


def _beyond(values: np.ndarray) -> np.ndarray:
    """What lies far beyond the quartiles; nothing where almost all values are one."""
    low, high = _ends(values)
    reach = FAR * (high - low)
    return ((values < low - reach) | (values > high + reach)) & (low < high)


def _tail(logs: np.ndarray) -> float:
    """The value that hardly one of 100 such columns reaches, whose logarithms have a normal or an exponential tail.

    Of the normal one by the bound exp(-z^2 / 2) at z standard deviations, 1.349 of which are between the quartiles; of
    the exponential one by what lies between the upper quartile and the 95th percentile.
    """
    low, high, most = np.quantile(logs, (0.25, 0.75, 0.95))
    normal = (high - low) * (np.sqrt(2 * np.log(100 * len(logs))) / 1.349 - 0.5)
    exponential = (most - high) / np.log(5) * np.log(25 * len(logs))
    return float(np.exp(min(high + max(normal, exponential), 700.0)))


def _ends(values: np.ndarray) -> tuple[float, float]:
    """The ends of what is usual: the quartiles, unless they are one."""
    for inner in WIDTHS:
        low, high = np.quantile(values, inner, method="nearest")  # one between 0 and 1 would be wide for counts
        if low < high:
            return float(low), float(high)
    return float(low), float(high)


def _of_number(t: Number, values: np.ndarray) -> Iterator[LabelIssue]:
    below = values[:, 0] < 0
    filler = float(values[below, 0].min()) if below.any() else 0.0
    if filler in NOTHING and (values[below, 0] == filler).all() and np.nanquantile(values, 0.25) > 3:
        yield LabelIssue(below, "filler", "note", f"{filler:g} as {t.name}, the only value below 0",
                  "if it stands for an unknown one, leave it empty", t.columns[0])
    mask, _ = far_numbers(t, values[:, 0])
    if mask.any():
        low, high = _ends(values[np.isfinite(values)])
        yield LabelIssue(mask, "outlier", "note", f"far from other values of {t.name}, half of which are {low:g} to {high:g}",
                  "mend them, or leave them empty", t.columns[0])


def far_numbers(t: Number, values: np.ndarray) -> tuple[np.ndarray, bool]:
    """Which values [n] of a number are far from all others, and whether the others are to be learnt by logarithm.

    One that is far makes any column look as if it had a long tail, so that it is asked without those.
    """
    mask = is_far(values)
    others = values[np.isfinite(values) & ~mask & ~is_far(values, log=True)]
    log = t.scale == "log" or (t.scale == "auto" and len(others) > 0 and others.min() < others.max()
                               and t.complete(others[:, None]).scale == "log")
    return (is_far(values, log=True) if log else mask), log


def _of_angle(t: Angle, values: np.ndarray) -> Iterator[LabelIssue]:
    values = values[:, 0]
    known = np.isfinite(values)
    turns = ((0.0, t.period), (-t.period / 2, t.period / 2))
    outside = [known & ((values < low) | (values > high)) for low, high in turns]
    best = int(outside[1].sum() < outside[0].sum())
    if outside[best].any():
        low, high = turns[best]
        yield LabelIssue(outside[best], "wrapped", "note", f"{t.name} outside {low:g}° to {high:g}°",
                  f"it is taken as the same angle within a period of {t.period:g}°", t.columns[0])
    whole = np.deg2rad(t.period)
    if np.abs(values[known]).max() <= 1.001 * whole and np.ptp(values[known]) > 0.8 * whole:
        yield _radians(t, values[known])


def _radians(t: Target, known: np.ndarray) -> LabelIssue:
    ends = f"{known.min():.3g} to {known.max():.3g}"
    return LabelIssue(None, "radians", "note", f"{t.name} looks like radians: all from {ends}", "turn it into degrees, if so")


def _of_rotation(t: Rotation, values: np.ndarray) -> Iterator[LabelIssue]:
    known, sizes = values[np.isfinite(values)], np.abs(np.nan_to_num(values))
    outside = (sizes > 360).any(axis=1)
    if outside.any():
        column = t.columns[int((sizes > 360).any(axis=0).argmax())]
        yield LabelIssue(outside, "turns", "note", f"{t.name} by more than a whole turn, as in {column}", "mend these angles",
                  column)
    if sizes.max() <= 1.001 * np.pi and known.std() > 0.1:
        yield _radians(t, known)


def _of_point(t: Point, values: np.ndarray) -> Iterator[LabelIssue]:
    known = values[np.isfinite(values)]
    if np.abs(known).max() <= 1 and np.ptp(known) > 0:
        yield LabelIssue(None, "fractions", "stop", f"all of {t.name} lies from {known.min():g} to {known.max():g}: no pixels",
                  "multiply by the picture's width and height")
        return
    points = values.reshape(len(values), -1, 2)
    at = {corner: (points == corner).all(axis=2) for corner in CORNERS}
    for (x, y), here in at.items():
        if here.any():
            names = first_few([name for name, any_ in zip(t.names, here.any(axis=0), strict=True) if any_], 3)
            yield LabelIssue(here.any(axis=1), "corner", "note", f"at ({x:g}, {y:g}), the picture's corner: {names}",
                      "leave the values of a point empty that is not there")
    mask = np.zeros(len(values), bool)
    for axis in (0, 1):
        mask |= is_far(points[..., axis].ravel()).reshape(len(values), -1).any(axis=1)
    if mask.any():
        yield LabelIssue(mask, "outlier", "note", f"points of {t.name} far from all others", "mend them, or leave them empty")


KINDS = {Number.kind: _of_number, Angle.kind: _of_angle, Point.kind: _of_point, Rotation.kind: _of_rotation}
