"""How the error falls as the training pictures grow in number, and what more of them would bring."""
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from warnings import catch_warnings, simplefilter

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, LogLocator, MaxNLocator, NullFormatter

from . import jobs, runs, splits
from .config import TrainConfig
from .errors import ImgregError, some
from .faults import LEAST
from .ledger import columns
from .messages import say
from .runs import Run
from .scoring import quantity, rounded
from .sheets import CYCLE, INK, Sheet, amount, save
from .tasks import Task

STEEPEST = 2.0  # the power of n beyond which no error is thought to fall
LITTLE = 0.05  # of the error: less than that is little for twice the pictures
OFF = 0.1  # of an error: further from its point a law does not describe it, unless chance may have done that


@dataclass(frozen=True)
class Curve:
    """What was measured, in the folder `path`: of each part of the training pictures a run, and what they say together.

    `points`: a list of {part (per cent), pictures, run, errors {target: {mean, ci, baseline}}}, the fewest pictures
    first; `targets` {name: {unit, law, off, twice, told}}: see `foretold`; `state`: trained or interrupted.
    """

    path: Path
    epochs: int
    points: list[dict]
    targets: dict[str, dict]
    state: str = "trained"
    runs: list[Run] = field(default_factory=list, repr=False)

    def told(self) -> str:
        """All of it, to be read."""
        rows = [("part", "pictures", *(f"{name} error" for name in self.targets))]
        for point in self.points:
            errors = [_error(point["errors"].get(name), of["unit"]) for name, of in self.targets.items()]
            rows.append((f"{point['part']:g} %", str(point["pictures"]), *errors))
        same = f"all trained for {self.epochs} epochs, so that fewer pictures also had fewer steps"
        return "\n".join([columns(rows), same, *(of["told"] for of in self.targets.values())])

    def to_dict(self) -> dict:
        """What was found, as JSON can hold it."""
        return {"epochs": self.epochs, "state": self.state, "points": self.points, "targets": self.targets}


def _error(scores: dict | None, unit: str) -> str:
    """A mean error and its 95 % interval, in words."""
    if scores is None:
        return "no labels"
    between = " to ".join(quantity(end, unit) for end in scores.get("ci", ()))
    return quantity(scores["mean"], unit) + (f" ({between})" if between else "")


def measure(task: Task, cfg: TrainConfig, frame: pd.DataFrame, table: Path, parts, out: Path, images=None) -> Curve:
    """Train on each of `parts` (per cent) of the training part, in a new folder OUT/curve-<task>-NNN.

    `frame`: the labels of `table`, divided. What was found is written there as curve.json and curve.png, interrupted or
    not. Raises ImgregError where there are not two parts to compare.
    """
    todo, done = subsets(frame, parts, cfg.seed), []
    folder = runs.claim_for(out, f"curve-{task.name}")
    try:
        for part, rows in todo:
            say(f"{part:g} % of the pictures to train on, for {cfg.epochs} epochs as all parts")
            run = jobs.train(task, cfg, rows, table, folder, images)
            if run.about["state"] == "interrupted":
                break
            done.append((part, run))
    finally:
        if not any(folder.iterdir()):
            folder.rmdir()
    curve = summed_up(task, folder, cfg.epochs, done, "trained" if len(done) == len(todo) else "interrupted")
    runs.write(folder / "curve.json", curve.to_dict())
    if done:
        save(chart(curve), folder / "curve.png")
    return curve


def subsets(frame: pd.DataFrame, parts, seed: int) -> list[tuple[float, pd.DataFrame]]:
    """[(part, rows)] for `parts` (per cent) of the training rows, each within the next, with all validation rows.

    Whole groups, where there are any, as near to the part as these come; drawn by `seed`. A part of fewer than LEAST
    pictures, or that comes to the same as a smaller one, is left out, and said. Raises ImgregError if one part is left.
    """
    trained = frame[frame["split"] == "train"]
    own, found = splits.units(trained), {}
    order = np.random.default_rng([seed, 2]).permutation(np.sort(own.unique()))
    reached = own.value_counts()[order].to_numpy().cumsum()
    for part in _checked(parts):
        k = int(np.abs(reached - part / 100 * len(trained)).argmin())
        n = int(reached[k])
        if n < LEAST:
            say(f"{part:g} % is left out: {n} of {len(trained)} pictures to train on, fewer than {LEAST}")
        elif n in found:
            say(f"{part:g} % is left out: whole groups make it the same {n} pictures as {found[n][0]:g} %")
        else:
            drawn = frame.index.isin(trained.index[own.isin(order[: k + 1])])
            found[n] = part, frame[drawn | (frame["split"] == "valid")]
    if len(found) < 2:
        raise ImgregError(f"two parts of at least {LEAST} pictures to train on",
                          f"{len(trained)} pictures in all, {len(order)} groups or pictures apart", "--parts 50,100")
    return list(found.values())


def _checked(parts) -> list[float]:
    """The parts in order, each once."""
    if not all(isinstance(part, (int, float)) and 0 < part <= 100 for part in parts):
        raise ImgregError("--parts above 0 and up to 100, in per cent", some(parts), "--parts 10,25,50,100")
    return sorted(set(parts))


def summed_up(task: Task, folder: Path, epochs: int, done: list[tuple[float, Run]], state: str = "trained") -> Curve:
    """The Curve of runs and the parts they were trained on."""
    points = []
    for part, run in done:
        scores = {name: s for name, s in run.scores["valid"].items() if "mean" in s}
        errors = {name: {k: s[k] for k in ("mean", "ci", "baseline") if k in s} for name, s in scores.items()}
        pictures = run.about["data"]["split"]["train"]
        points.append({"part": part, "pictures": pictures, "run": run.path.name, "errors": errors})
    targets = {t.name: foretold(t.name, t.unit, points) for t in task.targets}
    return Curve(folder, epochs, points, targets, state, [run for _, run in done])


def foretold(name: str, unit: str, points: list[dict]) -> dict:
    """What a target's points say of twice the pictures that were trained on: {unit, law, off, twice, told}.

    `law`: {a, b, c}, see `error_at`; `off`: how far it is from a point at most, as a part of the error, where chance
    does not explain it; `twice`: the error with twice the pictures, in units; `told`: all that in a line. Only unit and
    told where there is no law.
    """
    n, errors, ends = _measured(points, name)
    found = law(n, errors)
    if found is None:
        return {"unit": unit, "told": f"{name}: nothing to be said of more pictures from {len(n)} points"}
    along, beyond = error_at(n, *found), error_at(2 * n[-1:], *found)[0]
    chance = (ends[:, 0] <= along) & (along <= ends[:, 1])
    off = float(np.where(chance, 0, np.abs(along / errors - 1)).max())
    twice = float(errors[-1] * beyond / along[-1])
    numbers = rounded({"off": off, "twice": twice})
    told = _sentence(name, unit, errors, twice, off)
    return {"unit": unit, "law": rounded(dict(zip("abc", found, strict=True))), **numbers, "told": told}


def _measured(points: list[dict], name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Pictures [n], a target's errors [n] and their intervals [n, 2], where there is an error."""
    here = [(point["pictures"], point["errors"][name]) for point in points if name in point["errors"]]
    rows = [(n, of["mean"], *of.get("ci", (of["mean"],) * 2)) for n, of in here if of["mean"] > 0]
    n, errors, *ends = np.array(rows, float).reshape(-1, 4).T
    return n, errors, np.transpose(ends)


def _sentence(name: str, unit: str, errors: np.ndarray, twice: float, off: float) -> str:
    """What twice the pictures would bring, and how far that is to be trusted."""
    now, then = amount(errors[-1], unit), amount(twice, unit)
    told = f"twice the pictures would bring {name} error from {now} to about {then}"
    if twice > (1 - LITTLE) * errors[-1]:
        change = f"twice as many would leave {name} error at about {then}" if now == then else told
        told = f"more pictures would bring little: {change}"
    doubt = f"; a guess, for the points do not follow a law of growth (off by up to {off:.0%})".replace("%", " %")
    return told + doubt * (off > OFF)


def error_at(n: np.ndarray, a: float, b: float, c: float) -> np.ndarray:
    """The error with n training pictures: a + b n^-c."""
    return a + b * n**-c


def law(n: np.ndarray, errors: np.ndarray) -> tuple[float, float, float] | None:
    """(a, b, c) of `error_at`, a >= 0 and 0 < c <= STEEPEST, by the least squares of relative deviations.

    Of fewer than four points, or where none is found, a power law, a = 0 (Hestness et al., "Deep Learning Scaling is
    Predictable, Empirically", 2017); None for fewer than two. Errors are above 0.
    """
    from scipy.optimize import OptimizeWarning, curve_fit

    if len(n) < 2:
        return None
    x, y = n / n[-1], errors / errors[-1]
    for form, free in ((error_at, 3), (_power, 2))[len(n) < 4 :]:
        bounds = (0, 0, 1e-6)[-free:], (np.inf, np.inf, STEEPEST)[-free:]
        try:
            with catch_warnings():
                simplefilter("ignore", OptimizeWarning)  # of the numbers' own uncertainty, which is not used
                *a, b, c = curve_fit(form, x, y, (0.5,) * free, sigma=y, bounds=bounds, max_nfev=10_000)[0]
        except RuntimeError:
            continue
        return float(sum(a) * errors[-1]), float(b * errors[-1] * n[-1] ** c), float(c)
    return None


def _power(n: np.ndarray, b: float, c: float) -> np.ndarray:
    return error_at(n, 0.0, b, c)


def chart(curve: Curve) -> Figure:
    """The errors over the number of training pictures on logarithmic axes, and the laws, dashed beyond the data."""
    shown = {name: of for name, of in curve.targets.items() if len(_measured(curve.points, name)[0])}
    told = [of["told"] for of in curve.targets.values()]
    title = "; ".join(told[:2]) + (f" (and {len(told) - 2} more targets)" if len(told) > 2 else "")
    units = list(dict.fromkeys(of["unit"] for of in shown.values()))
    note = ("Dots: the mean validation error; bars: its 95 % interval. Line: the law fitted to them, dashed where "
            f"nothing was measured. All trained for {curve.epochs} epochs.")
    sheet = Sheet(max(7.2, 4.8 * len(units)), 3.8, title[0].upper() + title[1:], note)
    for ax, unit in zip(sheet.charts(len(units)) if units else (), units, strict=True):
        names = [name for name, of in shown.items() if of["unit"] == unit]
        for name, colour in zip(names, cycle(CYCLE), strict=False):
            _course(ax, name, curve, colour)
        _axes(ax, curve)
        ax.set_ylabel("mean validation error" + (f" ({unit})" if unit else ""), color=INK)
        if len(names) > 1:
            ax.legend(frameon=False, fontsize=9, labelcolor=INK)
    return sheet


def _course(ax, name: str, curve: Curve, colour: str) -> None:
    """One target's points and its law."""
    n, errors, ends = _measured(curve.points, name)
    bars = np.clip([errors - ends[:, 0], ends[:, 1] - errors], 0, None)
    ax.errorbar(n, errors, bars, fmt="o", color=colour, markersize=5, capsize=3, linewidth=1.2, label=name)
    if of := curve.targets[name].get("law"):
        for start, end, style in ((n[0], n[-1], "-"), (n[-1], 2 * n[-1], (0, (4, 2)))):
            x = np.geomspace(start, end, 50)
            ax.plot(x, error_at(x, of["a"], of["b"], of["c"]), color=colour, linewidth=1.6, linestyle=style)


def _axes(ax, curve: Curve) -> None:
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
        axis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("pictures to train on", color=INK)
