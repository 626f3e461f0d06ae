"""The run folder: what a training leaves for people, and for predict, evaluate, export and report."""
import hashlib
import json
import os
import platform
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import BinaryIO

import pandas as pd

from .. import config, tasks
from ..config import TrainConfig
from ..data import known_images, tables
from ..tasks import Task
from ..utils.files import LOCKED, atomic_file, file_hash, lock_file, new_folder
from ..utils.messages import ImgregError, error_reason, first_few

PACKAGES = ("imgreg-fastai", "fastai", "torch", "torchvision", "timm", "numpy", "pandas", "pillow", "safetensors")


@dataclass
class Run:
    """A run folder.

    Args:
        path: Of the folder.
        about: The content of run.json.
        lock: Its labels.csv, open and locked, in the process that trains it until it is trained; else None.
    """

    path: Path
    about: dict = field(repr=False)
    lock: BinaryIO | None = field(default=None, repr=False, compare=False)

    @cached_property
    def task(self) -> Task:
        """The completed task."""
        return tasks.task_from_dict(self.about["task"])

    @property
    def config(self) -> TrainConfig:
        """The settings it was trained with."""
        return config.config_from_dict(self.about["config"])

    @cached_property
    def labels(self) -> pd.DataFrame:
        """Its labels with `path` and `split`, as data.labels reads them."""
        frame = self.read_table("labels.csv")
        return tables.with_paths(frame, "image", self.about["data"]["root"]).drop(columns="present")

    @cached_property
    def known_images(self) -> pd.DataFrame:
        """The images that it was trained, calibrated and scored on, and those of runs before it; see known_images."""
        return known_images.read_known_images(self.path, lambda: self.labels)

    @cached_property
    def scores(self) -> dict[str, dict]:
        """The content of scores.json, {part: {target: scores}}; empty before it is scored."""
        return self.read_json("scores.json")

    @property
    def state(self) -> str:
        """How far it is: planned, training, interrupted (or its process ended), failed, scoring or trained."""
        state = self.about.get("state", "unknown")
        return "interrupted" if state == "training" and not self.is_running else state

    @property
    def is_running(self) -> bool:
        """Whether the process that trains and scores it is alive; also True where that cannot be determined."""
        try:
            with open(self.path / "labels.csv", "rb") as file:
                lock_file(file)
            return False
        except OSError:
            return True

    def read_json(self, name: str) -> dict:
        """Read a JSON file of the run; {} if there is none. Raises ImgregError if it cannot be read."""
        file = self.path / name
        try:
            return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
        except (OSError, ValueError) as e:
            raise ImgregError(f"a {name} to be read", f"'{file}': {e}", "removing that file") from e

    def read_table(self, name: str, columns: Iterable[str] = ()) -> pd.DataFrame:
        """Read a CSV file of the run.

        Args:
            name: Of the file.
            columns: That it must have.

        Raises:
            ImgregError: If it cannot be read, or lacks a column.
        """
        try:
            frame = tables.read_csv(self.path / name, float_precision="round_trip")  # the very labels that were written
        except (OSError, ValueError) as e:
            raise ImgregError(f"a run with its {name}", f"none to be read in '{self.path}'") from e
        if lacking := [column for column in columns if column not in frame]:
            raise ImgregError(f"a {name} as imgreg wrote it in '{self.path}'", f"no column {first_few(lacking)}")
        return frame.copy()  # in one block of memory, or pandas warns when columns are added

    def read_predictions(self) -> pd.DataFrame:
        """Read predictions.csv, see evaluation.metrics.predictions_table; raises ImgregError as read_table does."""
        labels, errors = [f"{c}_true" for c in self.task.columns], [f"{t.name}_error" for t in self.task.targets]
        table = self.read_table("predictions.csv", ["image", "split", *self.task.columns, *labels, *errors])
        return table.rename(columns={"unlike": "ood"})  # its former name

    def write(self, name: str, data: object) -> Path:
        """Write a file of the run, see write_file."""
        return write_file(self.path / name, data)

    def note(self, **fields: object) -> None:
        """Set fields of run.json."""
        self.about.update(fields)
        self.write("run.json", self.about)
        if self.about.get("state") not in ("training", "scoring"):
            self.unlock()

    def claim(self) -> None:
        """Lock the run for this process, which is to train it; raises ImgregError if another one does."""
        if self.lock:
            return
        try:
            file = open(self.path / "labels.csv", "rb+")  # noqa: SIM115  # until unlock
        except OSError as e:
            raise ImgregError("a run folder that can be written", f"'{self.path}': {error_reason(e)}") from e
        try:
            lock_file(file)
        except OSError as e:
            file.close()
            if e.errno not in LOCKED:  # there are file systems without locks
                return
            raise ImgregError("a run that no other process uses", f"another one training or scoring '{self.path}'",
                              "waiting for it, or ending it with Ctrl-C") from e
        self.lock = file

    def unlock(self) -> None:
        """Release the lock, if this process has it. A run without a lock can be pickled, which an open file cannot."""
        if self.lock:
            self.lock.close()
            self.lock = None


def write_file(path: Path, data: object) -> Path:
    """Write a text file completely or not at all: a DataFrame as CSV, text as it is, all else as JSON.

    Raises:
        ImgregError: If the file cannot be written, or the disk is full.
    """
    if isinstance(data, pd.DataFrame):
        data = data.to_csv(index=False)
    elif not isinstance(data, str):
        data = json.dumps(data, indent=2, ensure_ascii=False, allow_nan=False)
    with atomic_file(path) as file:
        file.write_text(data, encoding="utf-8")
    return path


def start_run(out: str | Path, task: Task, cfg: TrainConfig, frame: pd.DataFrame, table: tables.Table,
              images: str | Path | None = None, earlier: pd.DataFrame | None = None, **fields: object) -> Run:
    """Make the folder of a new run, with run.json, labels.csv and image_hashes.csv.

    Args:
        out: The folder OUT/<task>-NNN is made here.
        task: The completed task.
        cfg: The settings.
        frame: The labels with `path` and `split`.
        table: Where they were read from.
        images: The folder that names of images are relative to; by default that of the table.
        earlier: What the run knows that it starts from.
        **fields: Others of run.json.
    """
    images_known = known_images.known_images(frame, earlier)
    run = Run(new_folder(Path(out), task.name, always=True), {})
    root = Path(images or (table if table.is_dir() else table.parent)).resolve()
    try:
        run.write("labels.csv", frame.drop(columns="path"))
        run.claim()
        run.write(known_images.FILE, images_known)
        source = "a DataFrame" if isinstance(table, tables.FrameTable) else str(table)
        data = {"table": source, "root": str(root), "rows": len(frame), "sha256": fingerprint(frame),
                "split": frame["split"].value_counts().to_dict(), **data_hashes(run.path, table, frame)}
        run.note(task=task.to_dict(), config=cfg.to_dict(), data=data, versions=versions(), **fields)
    except BaseException:  # a folder without run.json is no run
        run.unlock()
        shutil.rmtree(run.path, ignore_errors=True)
        raise
    return run


def load_run(path: str | Path) -> Run:
    """Open a run folder; raises ImgregError if it is none."""
    path = Path(path)
    try:
        run = Run(path, json.loads((path / "run.json").read_text(encoding="utf-8")))
        _ = run.task, run.config, run.about["data"]["root"]  # raise if they cannot be read
    except (OSError, ValueError, KeyError, TypeError) as e:
        near = sorted(path.glob("*/run.json")) or sorted(Path("runs").glob("*/run.json"))[-3:]  # of a folder of folds
        names = ", ".join(f"'{file.parent}'" for file in near)
        raise ImgregError("a run folder", f"no run.json to be read in '{path}'", names or "imgreg train angle") from e
    return run


def fingerprint(frame: pd.DataFrame) -> str:
    """Return the SHA-256 of labels and of the sizes of their images in bytes, to recognise the same data."""
    sizes = [os.stat(path).st_size for path in frame["path"]]
    labels = frame.drop(columns=["path", "split"]).assign(bytes=sizes)
    return text_hash(labels.to_csv(index=False))


def claim_run(path: str | Path) -> Run:
    """Open a run folder and lock it for this process; raises ImgregError if it is none, or another process works on it.
    """
    run = load_run(path)
    run.claim()
    try:
        claimed = load_run(path)  # as the process that worked on it has left it
    except BaseException:
        run.unlock()
        raise
    claimed.lock = run.lock
    return claimed


def data_hashes(folder: Path, table: tables.Table, frame: pd.DataFrame) -> dict[str, str]:
    """Return what tells later whether the data of a run have changed.

    Args:
        folder: The run folder, with its labels.csv.
        table: Where the labels were read from.
        frame: The labels with `path`.

    Returns:
        SHA-256 of labels.csv, of the table (with its path) if it is a file, and of the images in their order.
    """
    hashes = {"labels_sha256": file_hash(folder / "labels.csv"),
              "images_sha256": text_hash(*known_images.content_hashes(frame["path"]))}
    if isinstance(table, Path) and table.is_file():
        hashes |= {"table_path": str(table.resolve()), "table_sha256": file_hash(table)}
    return hashes


def text_hash(*texts: str) -> str:
    """Return the SHA-256 of texts."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def versions() -> dict[str, str]:
    """Return the versions of Python, of the machine's system and of the packages that results depend on."""
    numbers = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for name in PACKAGES:
        try:
            numbers[name] = version(name)
        except PackageNotFoundError:
            numbers[name] = "not installed"
    return numbers
