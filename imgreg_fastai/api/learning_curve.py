"""How the error falls as the training pictures grow in number, and what more of them would bring."""
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullLocator

from .. import runs
from ..config import TrainConfig
from ..data import splits
from ..evaluation.metrics import HARDLY_BETTER
from ..evaluation.scaling_law import Forecast, curve_table, error_at, forecast
from ..plots.axes import with_unit_label
from ..plots.figures import CYCLE, INK, TitledFigure, save
from ..runs import Run
from ..tasks import Task
from ..utils.console import say
from ..utils.errors import ImgregError, first_few
from ..utils.format import align_columns, format_value
from ..utils.numbered import new_folder
from . import fitting


@dataclass(frozen=True)
class LearningCurve:
    """What was measured, in the folder `path`: of each part of the training pictures a run, and what they say together.

    `points`: a list of {part (per cent), pictures, run, errors {target: {mean, ci, baseline}}}, the fewest pictures
    first; `targets` {name: Forecast}; `state`: trained or interrupted.
    """

    path: Path
    epochs: int
    points: list[dict]
    targets: dict[str, Forecast]
    state: str = "trained"
    runs: list[Run] = field(default_factory=list, repr=False)

    def told(self) -> str:
        """All of it, to be read."""
        rows = [("part", "pictures", *(f"{name} error" for name in self.targets))]
        for point in self.points:
            errors = [_error(point["errors"].get(name), of.unit) for name, of in self.targets.items()]
            rows.append((f"{point['part']:g} %", str(point["pictures"]), *errors))
        same = f"all trained for {self.epochs} epochs, so that fewer pictures also had fewer steps"
        return "\n".join([align_columns(rows), same, *(of.text for of in self.targets.values())])

    def to_dict(self) -> dict:
        """What was found, as JSON can hold it."""
        return {"epochs": self.epochs, "state": self.state, "points": self.points,
                "targets": {name: of.to_dict() for name, of in self.targets.items()}}


def _error(scores: dict | None, unit: str) -> str:
    """A mean error and its 95 % interval, in words."""
    if scores is None:
        return "no labels"
    between = " to ".join(format_value(end, unit) for end in scores.get("ci", ()))
    return format_value(scores["mean"], unit) + (f" ({between})" if between else "")


def measure(task: Task, cfg: TrainConfig, frame: pd.DataFrame, table: Path, parts, out: Path, images=None,
            command: str = "") -> LearningCurve:
    """Train on each of `parts` (per cent) of the training part, in a new folder OUT/curve-<task>-NNN.

    `frame`: the labels of `table`, divided. What was found is written there as curve.json and curve.png, interrupted or
    not. Raises ImgregError where there are not two parts to compare.
    """
    todo, done = subsets(frame, parts, cfg.seed), []
    folder = new_folder(out, f"curve-{task.name}", always=True)
    try:
        for part, rows in todo:
            say(f"{part:g} % of the pictures to train on, for {cfg.epochs} epochs as all parts")
            run = fitting.train(task, cfg, rows, table, folder, images, command)
            if run.about["state"] == "interrupted":
                break
            done.append((part, run))
    finally:
        if not any(folder.iterdir()):
            folder.rmdir()
    curve = summarize(task, folder, cfg.epochs, done, "trained" if len(done) == len(todo) else "interrupted")
    runs.write_file(folder / "curve.json", curve.to_dict())
    if done:
        save(chart(curve), folder / "curve.png")
    return curve


def subsets(frame: pd.DataFrame, parts, seed: int) -> list[tuple[float, pd.DataFrame]]:
    """[(part, rows)] for `parts` (per cent) of the training rows, each within the next, with all validation rows.

    Whole groups, where there are any, as near to the part as these come; drawn by `seed`. A part of fewer than MIN_ROWS
    pictures, or that comes to the same as a smaller one, is left out, and said. Raises ImgregError if one part is left.
    """
    trained = frame[frame["split"] == "train"]
    own, found = splits.split_units(trained), {}
    order = np.random.default_rng([seed, 2]).permutation(np.sort(own.unique()))
    reached = own.value_counts()[order].to_numpy().cumsum()
    for part in _checked(parts):
        k = int(np.abs(reached - part / 100 * len(trained)).argmin())
        n = int(reached[k])
        if n < splits.MIN_ROWS:
            say(f"{part:g} % is left out: {n} of {len(trained)} pictures to train on, fewer than {splits.MIN_ROWS}")
        elif n in found:
            say(f"{part:g} % is left out: whole groups make it the same {n} pictures as {found[n][0]:g} %")
        else:
            drawn = frame.index.isin(trained.index[own.isin(order[: k + 1])])
            found[n] = part, frame[drawn | (frame["split"] == "valid")]
    if len(found) < 2:
        raise ImgregError(f"two parts of at least {splits.MIN_ROWS} pictures to train on",
                          f"{len(trained)} pictures in all, {len(order)} groups or pictures apart", "--parts 50,100")
    return list(found.values())


def _checked(parts) -> list[float]:
    """The parts in order, each once."""
    if not all(isinstance(part, (int, float)) and 0 < part <= 100 for part in parts):
        raise ImgregError("--parts above 0 and up to 100, in per cent", first_few(parts), "--parts 10,25,50,100")
    return sorted(set(parts))


def summarize(task: Task, folder: Path, epochs: int, done: list[tuple[float, Run]], state: str = "trained") -> LearningCurve:
    """The Curve of runs and the parts they were trained on."""
    points = []
    for part, run in done:
        scores = {name: s for name, s in run.scores["valid"].items() if "mean" in s}
        errors = {name: {k: s[k] for k in ("mean", "ci", "baseline") if k in s} for name, s in scores.items()}
        pictures = run.about["data"]["split"]["train"]
        points.append({"part": part, "pictures": pictures, "run": run.path.name, "errors": errors})
    targets = {t.name: forecast(t.name, t.unit, points) for t in task.targets}
    return LearningCurve(folder, epochs, points, targets, state, [run for _, run in done])


def chart(curve: LearningCurve) -> Figure:
    """The errors over the number of training pictures on logarithmic axes, and the laws, dashed beyond the data."""
    shown = {name: of for name, of in curve.targets.items() if len(curve_table(curve.points, name))}
    told = [of.text for of in curve.targets.values()]
    title = "; ".join(told[:2]) + (f" (and {len(told) - 2} more targets)" if len(told) > 2 else "")
    units = list(dict.fromkeys(of.unit for of in shown.values()))
    note = ("Dots: the mean validation error; bars: its 95 % interval. Line: the law fitted to them, dashed where "
            f"nothing was measured; ring: with twice the pictures. All trained for {curve.epochs} epochs.")
    sheet = TitledFigure(max(7.2, 4.8 * len(units)), 3.8, title[0].upper() + title[1:], note)
    for ax, unit in zip(sheet.add_charts(len(units)) if units else (), units, strict=True):
        names = [name for name, of in shown.items() if of.unit == unit]
        for name, colour in zip(names, cycle(CYCLE), strict=False):
            _course(ax, name, curve, colour)
        _axes(ax, curve)
        ax.set_ylabel(with_unit_label("mean validation error", unit), color=INK)
        if len(names) > 1:
            ax.legend(frameon=False, fontsize=9, labelcolor=INK)
    return sheet


def _course(ax, name: str, curve: LearningCurve, colour: str) -> None:
    """One target's points and its law."""
    points, law = curve_table(curve.points, name), curve.targets[name].law
    n, errors = points["pictures"].to_numpy(), points["error"].to_numpy()
    bars = np.clip([errors - points["low"], points["high"] - errors], 0, None)
    ax.errorbar(n, errors, bars, fmt="o", color=colour, markersize=5, capsize=3, linewidth=1.2, label=name)
    if law:
        first = n[errors < HARDLY_BETTER * points["guess"]][0]
        for start, end, style in ((first, n[-1], "-"), (n[-1], 2 * n[-1], (0, (4, 2)))):
            x = np.geomspace(start, end, 50)
            ax.plot(x, error_at(x, *law), color=colour, linewidth=1.6, linestyle=style)
        ax.plot(2 * n[-1], curve.targets[name].error_at_twice, "o", color=colour, markersize=7, markerfacecolor="white")


def _axes(ax, curve: LearningCurve) -> None:
    """Logarithmic axes with ticks a person can read: the numbers of pictures that were used, and twice the most."""
    pictures = [point["pictures"] for point in curve.points]
    ticks = [2 * pictures[-1]]
    for n in reversed(pictures):
        ticks += [n] if ticks[-1] >= 1.3 * n else []  # nearer labels would touch
    ax.set(xscale="log", yscale="log", xlim=(0.85 * pictures[0], 2.4 * pictures[-1]))
    ax.xaxis.set_major_locator(FixedLocator(ticks))
    ax.xaxis.set_major_formatter(lambda v, _: f"{v:,.0f}")
    low, high = ax.get_ylim()
    wide = high > 10 * low
    near = [v for v in MaxNLocator(5, steps=(1, 2, 5, 10)).tick_values(low, high) if low <= v <= high]
    ax.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if wide else FixedLocator(near))
    ax.yaxis.set_major_formatter(lambda v, _: f"{v:g}")
    for axis in (ax.xaxis, ax.yaxis):
        axis.set_minor_locator(NullLocator())
    ax.set_xlabel("pictures to train on", color=INK)
