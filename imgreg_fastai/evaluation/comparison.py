"""Runs beside one another: their errors on the same pictures, whether luck explains them, and what was set otherwise.

No model is opened: what the runs wrote when they were scored is enough.
"""
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from .. import runs
from ..data import splits
from ..tasks import Target
from ..utils.errors import ImgregError, first_few
from ..utils.format import align_columns, format_value, round_numbers
from . import bootstrap

NONE = "–"  # what is not set


class ComparedRun(NamedTuple):
    """A run to be compared: its `name` here, and its predictions of the part asked for, a row a picture."""

    run: runs.Run
    name: str
    rows: pd.DataFrame


@dataclass(frozen=True)
class Comparison:
    """What a comparison found, as plain data.

    `targets`: {name, unit, n (pictures that all runs predicted; 0: no test), by ("picture" or "group"), units, runs},
    these a list of {run, mean, n} with, but for the first run, {difference, ci, verdict}, the difference to it;
    `settings`: {setting: a text for each run}, those that differ; `notes`: what to mind.
    """

    part: str
    names: list[str]
    targets: list[dict]
    settings: dict[str, list[str]]
    notes: list[str]
    histories: list[pd.DataFrame] = field(repr=False)

    def told(self) -> str:
        """All of it, to be read."""
        lines = [line for t in self.targets for line in (f"{t['name']}: {headline(t, self.part)}", *_means(t))]
        if self.settings:
            rows = [("settings that differ", *self.names), *((name, *of) for name, of in self.settings.items())]
            lines += ["", align_columns(rows)]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def to_dict(self) -> dict:
        """What was found, as JSON can hold it."""
        return {"part": self.part, "runs": self.names, "targets": self.targets, "settings": self.settings,
                "notes": self.notes}


def headline(target: dict, part: str) -> str:
    """What a target's errors are those of."""
    if not target["n"]:
        return f"no picture of the part {part} was predicted by all runs: each on its own, without a test"
    by = f", drawn by group ({target['units']})" if target["by"] == "group" else ""
    return f"{target['n']:,} pictures of the part {part} that all runs predicted{by}"


def _means(target: dict) -> list[str]:
    rows = [(f"  {of['run']}", format_value(of["mean"], target["unit"]) if "mean" in of else "no labels")
            for of in target["runs"]]
    return [*align_columns(rows).splitlines(), *(f"  {of['verdict']}" for of in target["runs"] if "verdict" in of)]


def compare_runs(paths: list, part: str = "valid") -> Comparison:
    """Compare two runs or more on their predictions of a part; differences are those to the first.

    Raises ImgregError for fewer runs, for one that is none, has not come to its end or was not scored on the part, and
    for runs that have no target in common.
    """
    if len({Path(path).resolve() for path in paths}) < max(2, len(paths)):
        raise ImgregError("two different runs or more to compare", first_few(f"'{p}'" for p in paths) or "none")
    entries = [_opened(path, part) for path in paths]
    chosen = _shared(entries)
    made = [_beside(entries, targets, part) for targets in chosen]
    notes = [note for _, note in made if note] + _notes(entries, [target for target, _ in made], part)
    if any(target["n"] for target, _ in made):
        notes.append("the intervals tell what other pictures would change, not what another seed of the training would")
    return Comparison(part, [e.name for e in entries], [target for target, _ in made], _differing(entries), notes,
                      [_history(e.run) for e in entries])


# ---- reading


def _opened(path: str | Path, part: str) -> ComparedRun:
    run = runs.load_run(path)
    state = run.about.get("state", "unknown")
    if state != "trained":
        raise ImgregError("runs that were trained to their end", f"'{path}', whose state is: {state}")
    frame = run.table("predictions.csv", ["image", "split", *(f"{t.name}_error" for t in run.task.targets),
                                          *(f"{c}_true" for c in run.task.columns)])
    rows = frame[frame["split"] == part].reset_index(drop=True)
    if rows.empty:
        raise ImgregError(f"--part {' or '.join(sorted(frame['split'].unique()))}, which '{path}' was scored on",
                          f"'{part}'")
    return ComparedRun(run, str(path), rows)


def _history(run: runs.Run) -> pd.DataFrame:
    return run.table("history.csv", ["epoch", "valid_loss"])


# ---- targets


def _shared(entries: list[ComparedRun]) -> list[list[Target]]:
    """For each target that all runs have, by name, kind, unit and period, that target of each run."""
    own = [{(t.name, t.kind, t.unit, getattr(t, "period", None)): t for t in e.run.task.targets} for e in entries]
    shared = [[of[key] for of in own] for key in own[0] if all(key in of for of in own)]
    if not shared:
        found = (f"{e.name}: {first_few(f'{t.name} ({t.kind}, {t.unit or NONE})' for t in e.run.task.targets)}"
                 for e in entries)
        raise ImgregError("runs with a target in common: one name, kind and unit", "; ".join(found))
    return shared


def _beside(entries: list[ComparedRun], targets: list[Target], part: str) -> tuple[dict, str]:
    """One target's errors in all runs, see Comparison.targets, and a note, if any."""
    rows, errors, others = _matched(entries, targets)
    target = {"name": targets[0].name, "unit": targets[0].unit, "n": len(errors), "by": "picture", "units": 0}
    note = f"{target['name']}: {others} pictures are left out, as their labels are not the same in all runs"
    if not len(errors):
        return {**target, "runs": [_alone(e, target["name"], part) for e in entries]}, note * bool(others)
    units = splits.split_units(rows).to_numpy()
    target["units"] = len(pd.unique(units))
    if "group" in rows and rows["group"].notna().any():
        target["by"] = "group"
    each = [{"run": e.name, "n": len(errors), **round_numbers({"mean": errors[:, i].mean()})} for i, e in enumerate(entries)]
    for i, of in enumerate(each[1:], 1):
        of |= _tested(errors[:, i] - errors[:, 0], units, of["run"], entries[0].name, target)
    return {**target, "runs": each}, note * bool(others)


def _alone(entry: ComparedRun, name: str, part: str) -> dict:
    """A run's own score, on whatever pictures it was scored on."""
    scores = entry.run.scores.get(part, {}).get(name, {})
    return {"run": entry.name, "n": scores.get("n", 0), **({"mean": scores["mean"]} if "mean" in scores else {})}


def _matched(entries: list[ComparedRun], targets: list[Target]) -> tuple[pd.DataFrame, np.ndarray, int]:
    """The pictures that all runs predicted: rows of the first, errors [n, runs]; and how many have other labels.

    Rows are the same by `image` and, where a picture has several, by their order.
    """
    keyed = [e.rows.set_index([e.rows["image"], e.rows.groupby("image").cumcount()]) for e in entries]
    shared = keyed[0].index
    for frame in keyed[1:]:
        shared = shared[shared.isin(frame.index)]
    errors = np.stack([k.loc[shared, f"{t.name}_error"].to_numpy(float)
                       for k, t in zip(keyed, targets, strict=True)], axis=1)
    truths = [k.loc[shared, [f"{c}_true" for c in t.columns]].to_numpy(float)
              for k, t in zip(keyed, targets, strict=True)]
    same = np.all([_same(of, truths[0]) for of in truths], axis=0)
    known = np.isfinite(errors).all(axis=1)
    kept = known & same
    return keyed[0].loc[shared][kept].reset_index(drop=True), errors[kept], int((known & ~same).sum())


def _same(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Whether labels [n, columns] are the same, row by row."""
    if one.shape != other.shape:
        return np.zeros(len(one), bool)
    return np.isclose(one, other, rtol=1e-6, atol=0, equal_nan=True).all(axis=1)


def _tested(more: np.ndarray, units: np.ndarray, name: str, first: str, target: dict) -> dict:
    """The mean difference `more` [n] to the first run, its interval, and the verdict in words."""
    found, unit, made = bootstrap.interval(more, units), target["unit"], round_numbers({"difference": more.mean()})
    if found is None:
        return {**made, "verdict": f"{name}: too few {target['by']}s to tell more from luck ({target['units']})"}
    low, high = found
    made["ci"] = list(round_numbers({"low": low, "high": high}).values())
    if low <= 0 <= high:
        ends = f"{format_value(0 - low, unit)} better to {format_value(high, unit)} worse"
        return {**made, "verdict": f"{name}: no difference to be seen from {first} ({ends}, 95 %)"}
    word, ends = ("better", (-high, -low)) if high < 0 else ("worse", (low, high))
    by = f"{format_value(abs(more.mean()), unit)} ({ends[0]:.3g} to {ends[1]:.3g}, 95 %)"
    return {**made, "verdict": f"{name} is {word} by {by}: more than the luck of these {target['by']}s"}


def _notes(entries: list[ComparedRun], targets: list[dict], part: str) -> list[str]:
    """What a reader of the numbers should know."""
    notes = []
    if part == "valid":
        notes.append("valid also chose the epoch that each run kept; --part test chose nothing")
    tests = sum("ci" in of for target in targets for of in target["runs"])
    if tests > 3:
        notes.append(f"{tests} intervals of 95 % each: about one in twenty misses the truth by chance")
    if len({(e.run.config.loss, e.run.config.balance, tuple(e.run.task.columns)) for e in entries}) > 1:
        notes.append("losses that are not of one kind are not to be compared")
    places = {(e.run.about["data"]["root"], e.run.about["data"]["sha256"]) for e in entries}
    if len({root for root, _ in places}) > 1 and len({data for _, data in places}) > 1:
        notes.append("the runs' pictures lie in different folders: those of one name and label are taken for the same")
    return notes


# ---- settings


def _differing(entries: list[ComparedRun]) -> dict[str, list[str]]:
    """The settings that are not the same in all runs, as texts."""
    each = [run_settings(e.run) for e in entries]
    names = dict.fromkeys(name for of in each for name in of)
    texts = {name: [setting_text(of.get(name)) for of in each] for name in names}
    return {name: of for name, of in texts.items() if len(set(of)) > 1}


def run_settings(run: runs.Run) -> dict:
    """All that made the run what it is, by the name that a person is to see."""
    task, about = run.task.to_dict(), run.about
    view = {name: task[name] for name in ("size", "fit", "box", "margin", "group", "augment", "name_pattern",
                                          "value_range", "labelling")}
    began = about.get("weights") or {}
    return {"task": task["name"], "targets": task["targets"], **view, **run.config.to_dict(),
            "weights used": " ".join(filter(None, (began.get("kind"), began.get("tag") or began.get("source")))),
            "weights' hash": (began.get("sha256") or "")[:12], "precision used": about.get("precision"),
            "device used": about.get("device"), "epochs done": about.get("epochs_done"),
            "stopped early": about.get("stopped"), "table": about["data"].get("table"),
            "rows": about["data"].get("split"), "data's hash": about["data"].get("sha256", "")[:12],
            **{f"version of {name}": of for name, of in about.get("versions", {}).items()}}


def setting_text(value) -> str:
    if value is None or value in ("", [], {}):
        return NONE
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
