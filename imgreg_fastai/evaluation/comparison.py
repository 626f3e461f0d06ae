"""Comparison of runs: their errors on the same images, whether chance explains the difference, and their settings.

No model is opened: the files that a run's scoring wrote suffice.
"""
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..config import time_option
from ..data import splits
from ..runs import Run, load_run
from ..tasks import Target
from ..utils.format import align_columns, format_value, round_numbers
from ..utils.messages import ImgregError, first_few
from . import bootstrap

NOT_SET = "–"


@dataclass(frozen=True)
class Comparison:
    """The result of a comparison, as plain data.

    Args:
        part: Of the split whose images are compared.
        names: Of the runs.
        targets: [{name, unit, n, by, units, runs}] of the targets that all runs have. n: number of images that all
            runs predicted; 0 means that there is no test. by: "image" or "group", what is drawn by the bootstrap.
            units: How many of these there are. runs: [{run, mean, n}], and for all but the first run {difference, ci,
            verdict}, where the difference is to the first run.
        settings: {setting: its text for each run} of the settings that differ.
        notes: What to keep in mind.
        histories: The epochs of each run.
    """

    part: str
    names: list[str]
    targets: list[dict]
    settings: dict[str, list[str]]
    notes: list[str]
    histories: list[pd.DataFrame] = field(repr=False)

    def to_text(self) -> str:
        """Write the comparison for people."""
        lines = []
        for target in self.targets:
            results, unit = target["runs"], target["unit"]
            rows: list[tuple[str, ...]] = [
                (f"  {r['run']}", format_value(r["mean"], unit) if "mean" in r else "no labels") for r in results]
            lines += [f"{target['name']}: {headline(target, self.part)}", align_columns(rows)]
            lines += [f"  {r['verdict']}" for r in results if "verdict" in r]
        if self.settings:
            rows = [("settings that differ", *self.names), *((name, *texts) for name, texts in self.settings.items())]
            lines += ["", align_columns(rows)]
        return "\n".join([*lines, *(f"note: {note}" for note in self.notes)])

    def to_dict(self) -> dict:
        """Return all but the histories as JSON can hold it."""
        return {"part": self.part, "runs": self.names, "targets": self.targets, "settings": self.settings,
                "notes": self.notes}


def headline(target: dict, part: str) -> str:
    """Write which images the errors of a target are those of."""
    if not target["n"]:
        return f"no image of the part {part} was predicted by all runs: each on its own, without a test"
    by = f", drawn by group ({target['units']})" if target["by"] == "group" else ""
    return f"{target['n']:,} images of the part {part} that all runs predicted{by}"


def compare_runs(paths: list, part: str = "valid") -> Comparison:
    """Compare runs on the images that all of them predicted.

    Args:
        paths: Of two runs or more.
        part: Of the split.

    Raises:
        ImgregError: If there are not two runs that are trained and scored on the part, or if they have no target in
            common.
    """
    if len({Path(path).resolve() for path in paths}) < max(2, len(paths)):
        raise ImgregError("two different runs or more to compare", first_few(f"'{p}'" for p in paths) or "none")
    compared = [load_run(path) for path in paths]
    for run in compared:
        if run.state != "trained":
            raise ImgregError("runs that were trained to their end", f"'{run.path}', whose state is: {run.state}")
    tables, targets, notes = [], [], []
    for run in compared:
        predictions = run.read_predictions()
        rows = predictions[predictions["split"] == part]
        tables.append(rows)
        if rows.empty:
            parts = " or ".join(sorted(predictions["split"].unique()))
            raise ImgregError(f"--part {parts}, which '{run.path}' was scored on", f"'{part}'")
    for target in _shared_targets(compared):
        matched = _match(tables, target)
        n_excluded = (~matched["same_labels"]).sum()
        if n_excluded:
            notes.append(f"{target.name}: {n_excluded} images are left out, as their labels differ between the runs")
        targets.append(_compare_target(compared, target, matched[matched["same_labels"]], part))
    notes += _notes(compared, targets, part)
    settings = [run_settings(run) for run in compared]
    names = dict.fromkeys(name for values in settings for name in values)
    texts = {name: [setting_text(values.get(name), name) for values in settings] for name in names}
    differing = {name: row for name, row in texts.items() if len(set(row)) > 1}
    return Comparison(part, [str(run.path) for run in compared], targets, differing, notes,
                      [_history(run, part) for run in compared])


def _history(run: Run, part: str) -> pd.DataFrame:
    """Read the epochs of a run; one of --quick has none, but its errors at epoch 0."""
    if not run.config.quick:
        return run.read_table("history.csv", ["epoch", "valid_loss"])
    errors = {f"{name}_error": scores.get("mean", np.nan) for name, scores in run.scores.get(part, {}).items()}
    return pd.DataFrame([{"epoch": 0, "valid_loss": np.nan, **errors}])


# ---- targets


def _shared_targets(compared: list[Run]) -> list[Target]:
    """Return the first run's targets that all runs have: targets with the same comparison_key count as the same."""
    keys_of_runs = [{t.comparison_key for t in run.task.targets} for run in compared]
    keys = set.intersection(*keys_of_runs)
    if not keys:
        names = (f"{run.path}: {first_few(t.describe() for t in run.task.targets)}" for run in compared)
        raise ImgregError("runs with a target in common: one name, kind and unit, of the same columns",
                          "; ".join(names))
    return [t for t in compared[0].task.targets if t.comparison_key in keys]


def _match(tables: list[pd.DataFrame], target: Target) -> pd.DataFrame:
    """Match the images that all runs predicted, by name and, where an image has several rows, by their order.

    Returns the rows of the first run that have an error in all runs, which are added in columns 0, 1 and on; and
    `same_labels`, whether all runs have the same labels.
    """
    frames = [rows.set_index([rows["image"], rows.groupby("image").cumcount()]) for rows in tables]
    joined = pd.concat(frames, axis=1, join="inner", keys=range(len(frames)))
    matched, numbers = joined[0].copy(), list(range(len(frames)))
    for i in numbers:
        matched[i] = joined[i][f"{target.name}_error"].astype(float)
    labels = [joined[i][[f"{c}_true" for c in target.columns]].to_numpy(float) for i in numbers]
    is_same = [np.isclose(labels[0], other, rtol=1e-6, atol=0, equal_nan=True).all(axis=1) for other in labels]
    matched["same_labels"] = np.all(is_same, axis=0)
    return matched[np.isfinite(matched[numbers]).all(axis=1)].reset_index(drop=True)


def _compare_target(compared: list[Run], target: Target, matched: pd.DataFrame, part: str) -> dict:
    """Compare the errors of a target on matched images, see Comparison.targets."""
    names = [str(run.path) for run in compared]
    results: list[dict] = []
    target_result = {"name": target.name, "unit": target.unit, "n": len(matched), "by": "image", "units": 0,
                     "runs": results}
    if matched.empty:
        for name, run in zip(names, compared, strict=True):
            scores = run.scores.get(part, {}).get(target.name, {"n": 0})
            results.append({"run": name, **{key: scores[key] for key in ("mean", "n") if key in scores}})
        return target_result
    units = splits.split_units(matched).to_numpy()
    target_result["units"] = len(pd.unique(units))
    if "group" in matched and matched["group"].notna().any():
        target_result["by"] = "group"
    for i, name in enumerate(names):
        result = {"run": name, "n": len(matched), **round_numbers({"mean": matched[i].mean()})}
        if i > 0:
            difference = (matched[i] - matched[0]).to_numpy()
            result.update(_test_difference(difference, units, name, names[0], target_result))
        results.append(result)
    return target_result


def _test_difference(difference: np.ndarray, units: np.ndarray, name: str, first: str, target: dict) -> dict:
    """Test the difference [n] of a run's errors to those of the first run; returns {difference, ci, verdict}."""
    unit, mean = target["unit"], difference.mean()
    numbers, interval = round_numbers({"difference": mean}), bootstrap.interval(difference, units)
    if interval is None:
        reason = f"too few {target['by']}s to tell a difference from chance ({target['units']})"
        return {**numbers, "verdict": f"{name}: {reason}"}
    low, high = interval
    if low <= 0 <= high:
        ends = f"{format_value(0 - low, unit)} better to {format_value(high, unit)} worse"
        verdict = f"{name}: no difference to be seen from {first} ({ends}, 95 %)"
    else:
        word, least, most = ("better", -high, -low) if high < 0 else ("worse", low, high)
        amount = f"{format_value(abs(mean), unit)} ({least:.3g} to {most:.3g}, 95 %)"
        verdict = f"{name} is {word} by {amount}: more than the chance of these {target['by']}s"
    return {**numbers, "ci": [low, high], "verdict": verdict}


def _notes(compared: list[Run], targets: list[dict], part: str) -> list[str]:
    """Write what a reader of the numbers should know."""
    notes = []
    if part == "valid":
        notes.append("valid also chose the epoch each run kept, so its errors may be too low; not so with --part test")
    n_intervals = sum("ci" in result for target in targets for result in target["runs"])
    if n_intervals > 3:
        notes.append(f"{n_intervals} intervals of 95 % each: about one in twenty misses the truth by chance")
    if len({(run.config.loss, run.config.balance, tuple(run.task.columns)) for run in compared}) > 1:
        notes.append("the losses are not comparable: the runs differ in --loss, --balance or the labels' columns")
    data = [run.about["data"] for run in compared]
    are_copies = len({d["sha256"] for d in data}) == 1
    if len({d["root"] for d in data}) > 1 and not are_copies:
        notes.append("the runs' images lie in different folders: images with the same name and label count as the same")
    if n_intervals:
        notes.append("the intervals show how much other images would change, not how much another training seed would")
    return notes


# ---- settings


def run_settings(run: Run) -> dict:
    """Collect all that a run depends on, by the names that people see."""
    task, about, data = run.task.to_dict(), run.about, run.about["data"]
    weights = about.get("weights") or {}
    view = {name: task[name] for name in ("size", "fit", "box", "margin", "group", "augment", "name_pattern",
                                          "value_range", "labelling")}
    return {"task": task["name"], "targets": task["targets"], **view, **run.config.to_dict(),
            "weights used": " ".join(filter(None, (weights.get("kind"), weights.get("tag") or weights.get("source"),
                                                   weights.get("note")))),
            "weights' hash": (weights.get("sha256") or "")[:12],
            "weights' licence": weights.get("licence"), "precision used": about.get("precision"),
            "device used": about.get("device"), "epochs done": about.get("epochs_done"),
            "stopped early": about.get("stopped"), "table": data.get("table"), "rows": data.get("split"),
            "data's hash": data.get("sha256", "")[:12],
            **{f"version of {name}": number for name, number in about.get("versions", {}).items()}}


def setting_text(value: Any, name: str = "") -> str:
    """Write a setting: a time and a size, told by `name`, and words as their option has them, else JSON."""
    if value is None or value in ("", [], {}, ()):
        return NOT_SET
    if isinstance(value, str):  # also what stands in place of a value, such as the option's name
        return value
    if name == "time":
        return time_option(value)
    if name == "size":
        return f"{value[0]}x{value[1]}"
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return ",".join(value)
    return json.dumps(value, ensure_ascii=False)
