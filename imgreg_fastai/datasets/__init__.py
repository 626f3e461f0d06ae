"""Labelled images: the data of the built-in tasks and the user's tables. Each gives a Task and a labels table.

A module of a built-in task has FOLDER and DRAWN_FOLDER, the default folders of its data and its drawings; SAMPLE_SIZE,
the number of drawings for a dry run; obtain(out), which gets the data; draw(out, n, ...); and read(folder, labels).
Each function returns the path of a labels table.
"""
from difflib import get_close_matches
from inspect import signature
from pathlib import Path
from typing import Any

from ..data import tables
from ..tasks import BUILT_IN, PRESETS, Task
from ..utils.files import has_content
from ..utils.messages import ImgregError, close_matches, muted, say
from . import angle, headpose, own_table

__all__ = ["DATASETS", "locate", "make", "own_table"]
DATASETS = {"angle": angle, "headpose": headpose}


def locate(task: str | Task, data: str | Path | None = None, preset: str | None = None,
           labelling: str | None = None, sample_folder: str | Path | None = None) -> tuple[Task, Path]:
    """Find the Task and the labels table of a built-in task. Its own data are downloaded or drawn if needed.

    Args:
        task: The name of a built-in task, or a Task.
        data: Of a built-in task, a folder of its images, "drawn" for its drawings, or None for its own data. Of a Task,
            also a labels table; of one that is not built in, nothing else.
        preset: The name of a preset, if `task` is a name. If None, "drawn" for drawings where there is such a preset,
            else the task as it is.
        labelling: How the labels are computed, for tasks with a choice.
        sample_folder: An empty folder for a dry run: where the task's own data are missing, a few drawings go there,
            and nothing is downloaded.

    Returns:
        The Task, and its labels table, or a folder whose file names hold the labels.

    Raises:
        ImgregError: If the name, the preset or the folder does not exist, or the data cannot be obtained.
    """
    data_is_table = tables.is_table_name(data or "")
    if isinstance(task, Task) and (task.name not in DATASETS or data_is_table):
        return task, Path(data or "")
    drawn = str(data) == "drawn"
    if not isinstance(task, Task):
        name = _check_name(task)
        presets = PRESETS.get(name, {})
        if preset is not None and preset not in presets:
            raise ImgregError(f"a preset of {name}: {', '.join(presets) or 'it has none'}", f"'{preset}'")
        if preset is None and drawn and "drawn" in presets:
            preset = "drawn"
        task = presets[preset] if preset else BUILT_IN[name]
    task, dataset = task.with_options(labelling=labelling), DATASETS[task.name]
    if data is not None and not drawn:
        return task, dataset.read(_check_folder(Path(data), task.name), task.labelling)
    folder = Path(dataset.DRAWN_FOLDER if drawn else dataset.FOLDER)
    empty = not has_content(folder)
    if empty and sample_folder is not None:
        say(f"no images in {folder} yet: drawing {dataset.SAMPLE_SIZE} for the dry run")
        folder = Path(sample_folder)
        with muted():  # the folder is temporary: it is not true that the same command goes on
            dataset.draw(folder, dataset.SAMPLE_SIZE)
    elif empty:
        say(f"no images in {folder} yet: {'drawing' if drawn else 'getting'} them")
        fill = dataset.draw if drawn else dataset.obtain
        fill(folder)
    return task, dataset.read(folder, task.labelling)


def make(task: str, out: str | Path | None = None, data: str | Path | None = None, **options: Any) -> Path:
    """Get or draw the images of a built-in task, or write the labels table of a folder that has them.

    Args:
        task: The name of a built-in task.
        out: A new or empty folder; None for the default one.
        data: "drawn" for drawings; or a folder of images, whose labels table is written there.
        **options: Options of the dataset's `draw`; with any, the images are drawn.

    Returns:
        The labels table.
    """
    if task not in BUILT_IN:
        raise ImgregError(f"a built-in task: {', '.join(BUILT_IN)}", f"'{task}'", close_matches(task, BUILT_IN))
    dataset = DATASETS[task]
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


def _check_name(name: str) -> str:
    """Return the name of a built-in task; raise ImgregError for another, with what suits a path or a word."""
    if name in BUILT_IN:
        return name
    path = Path(name)
    if path.suffix or len(path.parts) > 1 or name.endswith("/"):
        excel = path.suffix.lower() in (".xlsx", ".xls", ".ods")
        raise ImgregError(f"{tables.TABLE}, or a folder of images", f"'{name}'",
                          "saving it as CSV" if excel else None)
    raise ImgregError(f"a task: {', '.join(BUILT_IN)}, or a labels table", f"'{name}'", close_matches(name, BUILT_IN))


def _check_folder(folder: Path, name: str) -> Path:
    """The folder given by --data; it must have content, as only the task's own folders are filled."""
    if not has_content(folder):
        others = [path.name for path in folder.parent.glob("*") if path.name != folder.name and path.is_dir()]
        similar = [f"--data {folder.with_name(other)}" for other in get_close_matches(folder.name, others)]
        hint = ", ".join([*similar, "--data drawn", f"or imgreg data {name} --out DIR"])
        raise ImgregError(f"a folder for --data with images of the task {name}", f"none in '{folder}'", hint)
    return folder
