"""The run folder: what a training leaves for a person to read, and for `predict`, `evaluate` and `export` to use."""
import hashlib
import json
import os
import platform
from collections.abc import Iterable
from dataclasses import dataclass, field
from glob import escape
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
import pandas as pd

from . import config, tasks
from .config import TrainConfig
from .data import tables
from .tasks import Task
from .utils.errors import ImgregError, first_few
from .utils.files import atomic_file
from .utils.format import align_columns, format_value, round_numbers

PACKAGES = ("imgreg-fastai", "fastai", "torch", "torchvision", "timm", "numpy", "pandas", "pillow", "safetensors")


@dataclass
class Run:
    """A run folder at `path`; `about` is its run.json."""

    path: Path
    about: dict = field(repr=False)

    @property
    def task(self) -> Task:
        """The completed task."""
        return tasks.task_from_dict(self.about["task"])

    @property
    def config(self) -> TrainConfig:
        """The settings it was trained with."""
        return config.config_from_dict(self.about["config"])

    @property
    def scores(self) -> dict:
        """scores.json, {split: {target: {...}}}; empty before the end of training."""
        file = self.path / "scores.json"
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}

    @property
    def baselines(self) -> dict:
        """baselines.json, see baselines.of; empty where none were measured. Raises ImgregError if it cannot be read."""
        file = self.path / "baselines.json"
        try:
            return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        except (OSError, ValueError) as e:
            raise ImgregError(f"a {file.name} to be read", f"'{file}': {e}", "removing that file") from e

    @property
    def labels(self) -> pd.DataFrame:
        """The labels it was trained and validated on, as labels.read gives them, with their split."""
        return tables.with_paths(self.table("labels.csv"), "image", self.about["data"]["root"]).drop(columns="present")

    def table(self, name: str, wanted: Iterable[str] = ()) -> pd.DataFrame:
        """A CSV file of the run; raises ImgregError if it cannot be read, or lacks a column that is `wanted`."""
        try:
            frame = tables.read_csv(self.path / name)
        except (OSError, ValueError) as e:
            raise ImgregError(f"a run with its {name}", f"none to be read in '{self.path}'") from e
        if lacking := [column for column in wanted if column not in frame]:
            raise ImgregError(f"a {name} as imgreg wrote it in '{self.path}'", f"no column {first_few(lacking)}")
        return frame.copy()  # of one piece: what is read stands column by column, and pandas warns of many

    def write(self, name: str, data) -> Path:
        """Write a file of the run, as the function `write` does."""
        return write_file(self.path / name, data)

    def note(self, **news) -> None:
        """Add to run.json."""
        self.about.update(news)
        self.write("run.json", self.about)


def write_file(path: Path, data) -> Path:
    """Write a text file whole or not at all: a DataFrame as CSV, text as it is, else JSON.

    Raises ImgregError if the disk is full or the place cannot be written.
    """
    if isinstance(data, pd.DataFrame):
        data = data.to_csv(index=False)
    elif not isinstance(data, str):
        data = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_file(path) as file:
        file.write_text(data, encoding="utf-8")
    return path


def start_run(out: str | Path, task: Task, cfg: TrainConfig, frame: pd.DataFrame, table: Path, images=None, **more) -> Run:
    """Make the folder OUT/<task>-NNN and put run.json and labels.csv into it, before anything can go wrong.

    `images`: the folder that the pictures' names are relative to, else that of the `table`.
    """
    path = new_run_folder(Path(out), task.name)
    root = Path(images or (table if table.is_dir() else table.parent)).resolve()
    run = Run(path, {})
    labels = frame.drop(columns="path")
    run.write("labels.csv", labels)
    data = {"table": str(table), "root": str(root), "rows": len(frame), "sha256": fingerprint(frame),
            "split": frame["split"].value_counts().to_dict()}
    run.note(task=task.to_dict(), config=cfg.to_dict(), data=data, versions=versions(), **more)
    return run


@dataclass
class Folds:
    """A cross-validation: its folder, a Run for each fold, and `scores` {target: {unit, folds, mean, spread, ...}}."""

    path: Path
    runs: list[Run]
    scores: dict


def new_run_folder(out: Path, name: str) -> Path:
    """Make the folder OUT/<name>-NNN; raises ImgregError if it cannot be made."""
    try:
        return new_folder(out, name, always=True)
    except OSError as e:
        raise ImgregError("a folder for runs that can be written", f"'{out}': {e.strerror or e}", "--out DIR") from e


def collect_folds(folder: Path, done: list[Run]) -> Folds:
    """The scores of the folds' runs side by side, written to FOLDER/scores.json: mean and spread over the folds.

    `spread` is the standard deviation between folds; `columns` has both for each column of a target.
    """
    valid, scores = [run.scores["valid"] for run in done if run.scores], {}
    for name in valid[0] if valid else ():
        each = [s[name] for s in valid if s[name]["n"]]  # a fold may hold out groups without a label of it
        if not each:
            continue
        columns = [c for c in each[0].get("columns", {}) if all(c in s["columns"] for s in each)]
        scores[name] = {"unit": each[0]["unit"], "folds": [s["mean"] for s in each], **_spread(each),
                        "columns": {c: _spread([s["columns"][c] for s in each]) for c in columns}}
    write_file(folder / "scores.json", scores)
    return Folds(folder, done, scores)


def _spread(each: list[dict]) -> dict:
    means, guesses = [s["mean"] for s in each], [s["baseline"] for s in each if "baseline" in s]
    numbers = {"mean": np.mean(means), "spread": np.std(means, ddof=int(len(means) > 1))}
    numbers |= {"baseline": np.mean(guesses)} if guesses else {}
    return round_numbers(numbers)


def new_folder(out: Path, name: str, always: bool = False) -> Path:
    """Make and return a folder under `out` that nothing had yet, named by `fresh`."""
    out.mkdir(parents=True, exist_ok=True)
    while True:
        path = out / unused_name(out, name, always=always)
        try:
            path.mkdir()
            return path
        except FileExistsError:  # another run began at the same time
            continue


def unused_name(folder: Path, name: str, suffix: str = "", always: bool = False) -> str:
    """A name under `folder` that nothing has yet: NAME, else NAME-002 and on; `always` numbers from NAME-001."""
    paths = folder.glob(f"{escape(name)}-*{escape(suffix)}")
    taken = [p.name[len(name) + 1 : len(p.name) - len(suffix)] for p in paths]
    highest = max((int(n) for n in taken if n.isdigit()), default=0)
    if not always and not highest and not (folder / f"{name}{suffix}").exists():
        return f"{name}{suffix}"
    return f"{name}-{highest + 1 if always else max(highest + 1, 2):03}{suffix}"


def load_run(path: str | Path) -> Run:
    """Open a run folder; raises ImgregError if it is none."""
    path = Path(path)
    try:
        about = json.loads((path / "run.json").read_text(encoding="utf-8"))
        run = Run(path, about)
        _ = run.task, run.config, about["data"]["root"]
    except (OSError, ValueError, KeyError, TypeError) as e:
        near = sorted(path.glob("*/run.json")) or sorted(Path("runs").glob("*/run.json"))[-3:]  # a folder of folds?
        known = ", ".join(f"'{p.parent}'" for p in near)
        raise ImgregError("a run folder", f"no run.json to be read in '{path}'", known or "imgreg train angle") from e
    return run


def fingerprint(frame: pd.DataFrame) -> str:
    """The SHA-256 of the labels and of the pictures' sizes in bytes, to tell whether two runs saw the same data."""
    sizes = [os.stat(path).st_size for path in frame["path"]]
    labels = frame.drop(columns=["path", "split"]).assign(bytes=sizes)
    return hashlib.sha256(labels.to_csv(index=False).encode()).hexdigest()


def versions() -> dict[str, str]:
    """What a result depends on: our version, the packages', Python's and the machine's kind."""
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


# ---- the runs of a folder, a line each

COLUMNS = ("path", "task", "state", "arch", "epochs", "pictures")


def list_runs(folder: str | Path = "runs") -> list[dict]:
    """A dict for each run of the folder, the newest last: COLUMNS, and `scores` {target: {unit, mean, baseline}}.

    Scores are of the validation part. A folder of folds is one line, its scores with their `spread`. What is no run, or
    a broken one, has a `path`, a `state` and the reason, `why`. Raises ImgregError if there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ImgregError("a folder of runs", f"no folder '{folder}'", "imgreg train angle")
    if (folder / "run.json").is_file():
        return [_line(folder)]
    return [_line(path) for path in sorted(filter(_shown, folder.iterdir()), key=_begun)]


def _shown(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _begun(path: Path) -> tuple[float, str]:
    """When a run, or the first of its folds, began: its labels are written then, and never again."""
    times = [file.stat().st_mtime for file in (*path.glob("labels.csv"), *path.glob("*/labels.csv"))]
    return min(times, default=path.stat().st_mtime), path.name


def _line(path: Path) -> dict:
    within = [] if (path / "run.json").exists() else sorted(path.glob("*/run.json"))
    try:
        inner = [load_run(file.parent) for file in within]
        if inner and all(run.config.fold for run in inner):
            return _folds(path, inner)
        if inner:
            return {"path": str(path), "state": "folder", "why": f"see imgreg runs {path}"}
        return _one(load_run(path))
    except ImgregError as e:
        return {"path": str(path), "state": "broken", "why": e.actual}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:  # a file that somebody has changed
        return {"path": str(path), "state": "broken", "why": f"{type(e).__name__}: {e}"}


def _one(run: Run) -> dict:
    about = run.about
    return {"path": str(run.path), "task": run.task.name, "state": about.get("state", "unknown"),
            "arch": run.config.arch, "epochs": about.get("epochs_done"), "pictures": about["data"]["rows"],
            "scores": _main_scores(run.scores.get("valid", {}))}


def _folds(path: Path, folds: list[Run]) -> dict:
    """Of a cross-validation; its epochs are those of all folds together."""
    first, file = folds[0], path / "scores.json"
    scores = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    done = sum(run.about.get("state") == "trained" for run in folds)
    return {**_one(first), "path": str(path), "state": f"{done} of {first.config.folds} folds",
            "epochs": sum(run.about.get("epochs_done") or 0 for run in folds), "scores": _main_scores(scores)}


def _main_scores(scores: dict) -> dict:
    keys = ("unit", "mean", "spread", "baseline")
    return {name: {key: s[key] for key in keys if key in s} for name, s in scores.items() if "mean" in s}


def list_as_text(lines: list[dict]) -> str:
    """The lines of `list_runs` as a table to be read."""
    rows = [(*COLUMNS, "error (valid)")]
    for line in lines:
        errors = ", ".join(_error(name, s) for name, s in line.get("scores", {}).items())
        rows.append((*("" if line.get(c) is None else str(line[c]) for c in COLUMNS), line.get("why", errors)))
    return align_columns(rows)


def _error(name: str, scores: dict) -> str:
    spread = f" ± {format_value(scores['spread'], scores['unit'])}" if "spread" in scores else ""
    guess = f" (guessing: {format_value(scores['baseline'], scores['unit'])})" if "baseline" in scores else ""
    return f"{name} {format_value(scores['mean'], scores['unit'])}{spread}{guess}"
