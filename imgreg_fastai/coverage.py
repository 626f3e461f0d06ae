"""Whether intervals keep what they promise: how many of the true values lie within them."""
import numpy as np
import pandas as pd

from . import bootstrap, scoring, splits
from .messages import warn
from .scoring import quantity, rounded
from .tasks import Task

MANY = 30  # pictures that are worth a word of their own,
FAR = 0.15  # where so much less than was asked is held
SHORT = 0.02  # a coverage surely so much below what was asked is told


def reached(task: Task, result: pd.DataFrame, asked: float) -> dict[str, dict]:
    """{target: {asked, reached, low, high, width, groups, range}} of scoring.predictions with intervals for `asked`.

    `reached`: the part of the true values within their intervals (of many points averaged), its 95 % interval from
    `low` to `high` by bootstrap.interval; `width`: the mean radius in units. `groups` {group: {n, reached}}, the worst
    first, and `range` [{low, high, n, reached}] as in scoring.score. Only targets that have labels and intervals.
    """
    found = {t.name: _of_target(t, result, asked) for t in task.targets}
    return {name: of for name, of in found.items() if of}


def _of_target(t, result: pd.DataFrame, asked: float) -> dict | None:
    true, predicted = (result[[f"{c}{end}" for c in t.columns]].to_numpy(float) for end in ("", "_predicted"))
    radii, distances = result[list(t.within)].to_numpy(float), t.distances(predicted, true)
    known = np.isfinite(radii) & np.isfinite(distances)
    here, n = known.any(axis=1), known.sum(axis=1)
    if not here.any():
        return None
    held = ((distances <= radii) & known).sum(axis=1)[here] / n[here]
    rows = result[here]
    chance = bootstrap.interval(held, splits.units(rows))
    numbers = {"asked": asked, "reached": np.average(held, weights=n[here]), "width": radii[known].mean()}
    more = dict(zip(("low", "high"), chance, strict=True)) if chance is not None else {}
    found = rounded({**numbers, **more})
    if "group" in rows and rows["group"].nunique() > 1:
        of = scoring.groups(rows["group"], held)
        found["groups"] = {name: _named(of[name]) for name in reversed(of)}
    if t.kind == "number":
        of = scoring.over_range(rows[t.columns[0]].to_numpy(float), held, t.scale == "log")
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
        return f"{told}, ± {quantity(of['width'], unit)} on average, but {worst['reached']:.0%} from {ends}"
    return f"{told}, ± {quantity(of['width'], unit)} on average"


def tell_broken(name: str, of: dict, unlike: float) -> None:
    """Warn where intervals surely hold fewer than they promise; `unlike`: the part of the pictures flagged so."""
    if of.get("high", of["reached"]) < of["asked"] - SHORT:
        odd = f", {unlike:.0%} of which are unlike the training pictures" * (unlike > 2 * SHORT)
        told = f"promise {of['asked']:.0%} and hold {of['reached']:.1%} of these pictures{odd}".replace("%", " %")
        warn(f"the intervals of {name} {told}: these are not like the pictures that calibrated it, "
             "and its intervals are too narrow for them")
