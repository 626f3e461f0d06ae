"""How the error falls as the training images grow in number, and what more of them would bring."""
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from ..data.splits import MIN_ROWS, split_units
from ..evaluation.metrics import HARDLY_BETTER
from ..evaluation.scaling_law import Forecast, curve_table, error_at, forecast
from ..plots.figures import TitledFigure, save
from ..plots.training_charts import TargetCurve, draw_learning_curve
from ..runs import Run, write_file
from ..utils.format import align_columns, format_value
from ..utils.messages import ImgregError, first_few, say
from .plan import TrainingPlan
from .several_runs import PlannedRun, train_several


@dataclass(frozen=True)
class LearningCurve:
    """The errors of runs on growing parts of the training images, and the laws fitted to them.

    Attributes:
        path: The folder of the runs.
        epochs: Of each run; 0 of --quick.
        points: {part (per cent), images, run, errors {target: {mean, ci, baseline}}} of each run, the
            fewest images first.
        targets: By target.
        state: trained or interrupted.
        runs: The runs.
    """

    path: Path
    epochs: int
    points: list[dict]
    targets: dict[str, Forecast]
    state: str = "trained"
    runs: list[Run] = field(default_factory=list, repr=False)

    def summary(self) -> str:
        """Return the errors as a table, and a line for each target on what more images would bring."""
        rows = [("part", "images", *(f"{name} error" for name in self.targets))]
        for point in self.points:
            errors = [_format_error(point["errors"].get(name), target.unit)
                      for name, target in self.targets.items()]
            rows.append((f"{point['part']:g} %", str(point["images"]), *errors))
        note = f"all trained for {self.epochs} epochs, so that smaller parts had fewer training steps"
        if not self.epochs:
            note = "each is a ridge on the frozen features of the backbone: nothing was trained by epochs"
        return "\n".join([align_columns(rows), note, *(target.text for target in self.targets.values())])

    def to_dict(self) -> dict:
        """Return the curve as JSON can hold it."""
        return {"epochs": self.epochs, "state": self.state, "points": self.points,
                "targets": {name: target.to_dict() for name, target in self.targets.items()}}


def _format_error(scores: dict | None, unit: str) -> str:
    """A mean error and its 95 % interval: "1.2° (1.0° to 1.5°)"."""
    if scores is None:
        return "no labels"
    interval = " to ".join(format_value(end, unit) for end in scores.get("ci", ()))
    return format_value(scores["mean"], unit) + (f" ({interval})" if interval else "")


def measure(plan: TrainingPlan, parts: Sequence[float], out: Path) -> LearningCurve:
    """Train on growing parts of the training images, each within the next; write curve.json and curve.png.

    Args:
        plan: With its rows split.
        parts: In per cent of the training images.
        out: The folder that the folder curve-<task>-NNN of the runs is made in.

    Raises:
        ImgregError: There are not two parts to compare.
    """
    subsets = nested_subsets(plan.rows, parts, plan.config.seed)
    plan = replace(plan, undecided=frozenset())  # all runs have the same epochs
    trainings = (PlannedRun(f"{part:g} % of the training images", replace(plan, rows=rows),
                            {"part": part, "parts": [*subsets]})
                 for part, rows in subsets.items())
    return summarise(*train_several(trainings, out, f"curve-{plan.task.name}"))


def summarise(folder: Path, runs: list[Run]) -> LearningCurve:
    """Fit the laws of a curve to its runs; write curve.json and curve.png.

    Args:
        folder: Of the runs.
        runs: Of these that are trained, the fewest images first, the errors are taken.
    """
    task, epochs = runs[0].task, 0 if runs[0].config.quick else runs[0].config.epochs
    trained_runs = [run for run in runs if run.state == "trained"]
    state = "trained" if trained_runs == runs else "interrupted"
    points = []
    for run in trained_runs:
        scores = {name: s for name, s in run.scores["valid"].items() if "mean" in s}
        errors = {name: {k: s[k] for k in ("mean", "ci", "baseline") if k in s} for name, s in scores.items()}
        n_images = run.about["data"]["split"]["train"]
        points.append({"part": run.about["part"], "images": n_images, "run": run.path.name, "errors": errors})
    targets = {t.name: forecast(t.name, t.unit, points) for t in task.targets}
    curve = LearningCurve(folder, epochs, points, targets, state, trained_runs)
    write_file(folder / "curve.json", curve.to_dict())
    if trained_runs:
        save(draw(curve), folder / "curve.png")
    return curve


def nested_subsets(rows: pd.DataFrame, parts: Sequence[float], seed: int) -> dict[float, pd.DataFrame]:
    """Draw growing parts of the training rows, each within the next, beside all validation rows.

    Groups are taken whole, as near to the part as they come. A part of fewer than MIN_ROWS images, or that comes to the
    same as a smaller one, is left out, which is said.

    Args:
        rows: Labels with their split.
        parts: In per cent of the training rows.
        seed: Of the order in which groups are taken.

    Returns:
        The rows by part, the smallest part first.

    Raises:
        ImgregError: A part is out of range, or fewer than two are left.
    """
    if not all(isinstance(part, (int, float)) and 0 < part <= 100 for part in parts):
        raise ImgregError("--parts above 0 and up to 100, in per cent", first_few(parts), "--parts 10,25,50,100")
    training_rows = rows[rows["split"] == "train"]
    units = split_units(training_rows)
    order = np.random.default_rng([seed, 2]).permutation(np.sort(units.unique()))
    cumulative_sizes = units.value_counts()[order].to_numpy().cumsum()
    subsets: dict[float, pd.DataFrame] = {}
    part_by_size: dict[int, float] = {}
    for part in sorted(set(parts)):
        last = int(np.abs(cumulative_sizes - part / 100 * len(training_rows)).argmin())
        size = int(cumulative_sizes[last])
        if size < MIN_ROWS:
            say(f"{part:g} % is left out: {size} of {len(training_rows)} images to train on, fewer than {MIN_ROWS}")
        elif size in part_by_size:
            say(f"{part:g} % is left out: whole groups make it the same {size} images as {part_by_size[size]:g} %")
        else:
            part_by_size[size] = part
            drawn = rows.index.isin(training_rows.index[units.isin(order[: last + 1])])
            subsets[part] = rows[drawn | (rows["split"] == "valid")]
    if len(subsets) < 2:
        raise ImgregError(f"two parts of at least {MIN_ROWS} images to train on",
                          f"{len(training_rows)} images in all, {len(order)} groups or images apart",
                          "--parts 50,100")
    return subsets


def draw(curve: LearningCurve) -> TitledFigure:
    """Draw the errors of a curve, and the laws fitted to them."""
    sentences = [target.text for target in curve.targets.values()]
    title = "; ".join(sentences[:2]) + (f" (and {len(sentences) - 2} more targets)" if len(sentences) > 2 else "")
    curves = []
    for name, target in curve.targets.items():
        table, law, first = curve_table(curve.points, name), None, None
        if target.law is not None:
            law = partial(error_at, **target.law._asdict())
            first = table["images"][table["error"] < HARDLY_BETTER * table["guess"]].iloc[0]
        curves.append(TargetCurve(name, target.unit, table, law, first, target.error_at_twice))
    n_images = [point["images"] for point in curve.points]
    return draw_learning_curve(curves, n_images, curve.epochs, title[0].upper() + title[1:])
