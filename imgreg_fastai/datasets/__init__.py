"""Labelled images: the data of the built-in tasks and the user's tables. Each gives a Task and a labels table.

A module of a built-in task has FOLDER and DRAWN_FOLDER, the default folders of its data and its drawings; SAMPLE_SIZE,
the number of drawings for a dry run; obtain(out), which gets the data; draw(out, n, ...); and read(folder, labels).
Each function returns the path of a labels table.
"""
from inspect import signature
from pathlib import Path

from ..data import tables
from ..tasks import BUILT_IN, PRESETS, Task
from ..utils.console import say
from ..utils.errors import ImgregError, close_matches
from ..utils.files import has_content
from . import angle, headpose, own_table

__all__ = ["DATASETS", "locate", "make", "own_table"]
DATASETS = {"angle": angle, "headpose": headpose}


def locate(task: str | Task, data: str | Path | None = None, preset: str | None = None,
           labelling: str | None = None, sample_folder: str | Path | None = None) -> tuple[Task, Path]:
    """Find the Task and the labels table of a built-in task. Its own data are downloaded or drawn if needed.

    Args:
        task (str or Task): the name of a built-in task, or a Task.
        data (str, Path or None): a folder of images, or "drawn" for the task's drawings; None for the task's own data;
            for a Task of the user, its labels table.
        preset (str or None): the name of a preset of the built-in task.
        labelling (str or None): how the labels are computed, for tasks with a choice.
        sample_folder (str, Path or None): for a dry run, an empty folder: where the task's own data are missing, a few
            drawings go there, and nothing is downloaded.

    Returns:
        tuple: the Task, and its labels table, or a folder whose file names hold the labels.

    Raises:
        ImgregError: if the name, the preset or the folder does not exist, or the data cannot be obtained.
    """
    if isinstance(task, Task) and (task.name not in DATASETS or Path(data or "").suffix.lower() in tables.SUFFIXES):
        return task, Path(data or "")
    drawn = str(data) == "drawn"
    if not isinstance(task, Task):
        task = _built_in_task(task, preset, drawn)
    task, dataset = task.with_options(labelling=labelling), DATASETS[task.name]
    if data is None or drawn:
        folder = Path(dataset.DRAWN_FOLDER if drawn else dataset.FOLDER)
        if not has_content(folder) and sample_folder is not None:
            say(f"no pictures in {folder} yet: drawing {dataset.SAMPLE_SIZE} for the dry run")
            folder = Path(sample_folder)
            dataset.draw(folder, dataset.SAMPLE_SIZE)
        elif not has_content(folder):
            say(f"no pictures in {folder} yet: {'drawing' if drawn else 'getting'} them")
            fill = dataset.draw if drawn else dataset.obtain
            fill(folder)
    else:
        folder = _check_folder(Path(data), task.name)
    return task, dataset.read(folder, task.labelling)


def make(task: str, out: str | Path | None = None, data: str | Path | None = None, **options) -> Path:
    """Get or draw the images of a built-in task, or write the labels table of a folder that has them.

    Args:
        task (str): the name of a built-in task.
        out (str, Path or None): a new or empty folder; None for the default one.
        data (str, Path or None): "drawn" for drawings; or a folder of images, whose labels table is written there.
        options: of the dataset's `draw`; they ask for drawings.

    Returns:
        Path: the labels table.
    """
    dataset = DATASETS[_check_name(task)]
    for option in options:
        if option not in signature(dataset.draw).parameters:
            raise ImgregError(f"options for drawing {task}", f"--{option}")
    if data is None and not options:
        return dataset.obtain(out or dataset.FOLDER)
    if data is None or str(data) == "drawn":
        return dataset.draw(out or dataset.DRAWN_FOLDER, **options)
    if out or options:
        option = "out" if out else next(iter(options))
        raise ImgregError("--data DIR alone, whose labels are read where it is", f"--{option} too")
    return dataset.read(_check_folder(Path(data), task))


def _built_in_task(name: str, preset: str | None, drawn: bool) -> Task:
    """The built-in task, or a preset of it. Drawings have the preset "drawn" by default, where there is one."""
    task, presets = BUILT_IN[_check_name(name)], PRESETS.get(name, {})
    if preset is None:
        return presets.get("drawn", task) if drawn else task
    if preset not in presets:
        raise ImgregError(f"a preset of {name}: {', '.join(presets) or 'it has none'}", f"'{preset}'")
    return presets[preset]


def _check_name(name: str) -> str:
    if name in BUILT_IN:
        return name
    path = Path(name)
    if path.suffix or len(path.parts) > 1 or name.endswith("/"):
        excel = path.suffix.lower() in (".xlsx", ".xls", ".ods")
        raise ImgregError("a labels table (CSV, TSV or Parquet), or a folder of pictures", f"'{name}'",
                          "saving it as CSV" if excel else None)
    raise ImgregError(f"a task: {', '.join(BUILT_IN)}, or a labels table", f"'{name}'", close_matches(name, BUILT_IN))


def _check_folder(folder: Path, name: str) -> Path:
    """The folder given by --data; it must have content, as only the task's own folders are filled."""
    if not has_content(folder):
        raise ImgregError(f"a folder for --data with pictures of the task {name}", f"none in '{folder}'",
                          f"--data drawn, or imgreg data {name} --out DIR")
    return folder
