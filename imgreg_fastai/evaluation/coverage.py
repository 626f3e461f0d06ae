"""Whether intervals keep what they promise: how many of the true values lie within them."""
import math

import numpy as np
import pandas as pd

from ..data import splits
from ..tasks import Task
from ..utils.console import warn
from ..utils.format import format_value, round_numbers
from . import bootstrap, metrics

MANY = 30  # pictures that are worth a word of their own,
FAR = 0.15  # where so much less than was asked is held
SHORT = 0.02  # a coverage surely so much below what was asked is told


def measure_coverage(task: Task, result: pd.DataFrame, asked: float, units: int) -> dict[str, dict]:
    """{target: {asked, units, reached, low, high, width, groups, range}} of predictions with intervals for `asked`.

    `units`: the pictures or groups that calibrated them. `reached`: the part of the true values within their intervals,
    of many points of all that are labelled; its 95 % interval from `low` to `high` by bootstrap.interval; `width`: the
    mean radius in units. `groups` {group: {n, reached}} of n values, the worst first, and `range` [{low, high, n,
    reached}] as in metrics.score. Only targets that have labels and intervals.
    """
    found = {t.name: _of_target(t, result, asked) for t in task.targets}
    return {name: {**of, "units": units} for name, of in found.items() if of}


def _of_target(t, result: pd.DataFrame, asked: float) -> dict | None:
    true, predicted = (result[[f"{c}{end}" for c in t.columns]].to_numpy(float) for end in ("", "_predicted"))
    radii, distances = result[list(t.interval_columns)].to_numpy(float), t.interval_errors(predicted, true)
    known = np.isfinite(radii) & np.isfinite(distances)
    if not known.any():
        return None
    held, rows = (distances <= radii)[known].astype(float), result.iloc[np.nonzero(known)[0]]  # a row a value
    chance = bootstrap.interval(held, splits.split_units(result).to_numpy()[np.nonzero(known)[0]])
    more = dict(zip(("low", "high"), np.clip(chance, 0, 1), strict=True)) if chance is not None else {}
    found = round_numbers({"asked": asked, "reached": held.mean(), "width": radii[known].mean(), **more})
    if "group" in rows and rows["group"].nunique() > 1:
        of = metrics.error_by_group(rows["group"], held)
        found["groups"] = {name: _named(of[name]) for name in reversed(of)}
    if t.kind == "number":
        of = metrics.error_over_range(rows[t.columns[0]].to_numpy(float), held, t.scale == "log")
        found["range"] = [_named(part) for part in of]
    return found


def _named(part: dict) -> dict:
    """scoring's row with `reached` in place of `mean`."""
    return {"reached" if name == "mean" else name: value for name, value in part.items()}


def sentence(of: dict, unit: str) -> str:
    """One target's coverage in a line: "90 % intervals hold 91 % (88 to 93 %), ± 1.3° on average"."""
    between = f" ({of['low']:.0%} to {of['high']:.0%})" if of.get("low", 1) < of.get("high", 1) else ""
    told = f"intervals for {of['asked']:.0%} hold {of['reached']:.1%}{between}".replace("%", " %")
    worst = min((p for p in of.get("range", ()) if p["n"] >= MANY), key=lambda p: p["reached"], default=None)
    if worst and worst["reached"] < of["asked"] - FAR:
        ends = f"{worst['low']:.3g} to {worst['high']:.3g}"
        return f"{told}, ± {format_value(of['width'], unit)} on average, but {worst['reached']:.0%} from {ends}"
    return f"{told}, ± {format_value(of['width'], unit)} on average"


def is_too_low(of: dict) -> bool:
    """Whether intervals surely hold fewer than they promise.

    By more than SHORT, than the chance of which pictures are judged (`high`, which few have not), and than that of
    which ones calibrated: the coverage that they lead to has a beta distribution (Vovk 2012).
    """
    if "high" not in of:
        return False
    chance = 2 * math.sqrt(of["asked"] * (1 - of["asked"]) / (of.get("units", 100) + 2))
    return of["reached"] + math.hypot(of["high"] - of["reached"], chance) < of["asked"] - SHORT


def warn_too_low(name: str, of: dict, unlike: float) -> None:
    """Warn where intervals are `broken`; `unlike`: the part of the pictures flagged so."""
    if is_too_low(of):
        odd = f", {unlike:.0%} of which are unlike the training pictures" if unlike > 2 * SHORT else ""
        told = f"promise {of['asked']:.0%} and hold {of['reached']:.1%} of these{odd}".replace("%", " %")
        warn(f"the intervals of {name} {told}: they are not like the pictures that calibrated it, "
             "and its intervals are too narrow for them")
