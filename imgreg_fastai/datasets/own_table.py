"""The user's own labelled images: the Task of a table, or of a folder whose names hold the labels."""
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .. import tasks
from ..data import tables
from ..data.infer_targets import infer_targets
from ..utils.messages import ImgregError, say

Pairs = Mapping[str, Any] | Iterable[tuple[str, Any]]  # {target name: value}, or pairs
BEGINNING = 10_000  # rows from which targets are inferred
GENERIC_NAMES = ("labels", "table", "data", "index", "metadata", "annotations", "train")  # tables named by their folder


def is_table(name: str | Path) -> bool:
    """Tell whether a TASK is the path of a table or a folder, and not the name of a built-in task."""
    return name not in tasks.BUILT_IN and (Path(name).suffix.lower() in tables.SUFFIXES or Path(name).is_dir())


def table_name(path: str | Path) -> str:
    """Name the task and the runs of a table or folder."""
    path = Path(path).resolve()
    if path.is_dir():
        return path.name
    return path.parent.name if path.stem.lower() in GENERIC_NAMES and path.parent.name else path.stem


def table_task(path: str | Path, specs: Sequence[str] = (), image: str = "", pattern: str = "",
               flip_pairs: tasks.NamePairs | None = None, units: Pairs = (), weights: Pairs = (),
               scale: str | None = None, used: tuple[str, ...] = (), images: str | Path | None = None) -> tasks.Task:
    """Make the Task of a table, or of a folder in place of one.

    Args:
        path: The table or folder.
        specs: `NAME[=COLUMN,..][:KIND]` of each target; without any, targets are inferred and reported.
        image: The column that names the images; without it, it is chosen. The task keeps the choice.
        pattern: A regular expression whose named groups are the columns that the names in a folder hold.
        flip_pairs, units, weights, scale: See task_from_columns.
        used: Columns that are not labels, such as those of a box.
        images: The folder that the names of images are relative to, else the table's own.

    Raises:
        ImgregError: It is not a table, or lacks a column.
    """
    table = tables.resolve_table(path, from_names=bool(pattern))
    if table.is_dir():
        groups = tables.columns_in_pattern(pattern) if pattern else []
        columns = groups or [spec.partition("=")[0].partition(":")[0] for spec in specs] or ["label"]
        specs = specs or [column for column in columns if column not in (*tasks.RESERVED_COLUMNS, *used)]
    elif pattern:
        raise ImgregError("a folder in place of the table, for --label-from-name", f"'{path}'")
    else:
        beginning = tables.read_table(table, max_rows=BEGINNING)
        if beginning.empty:
            raise ImgregError("a labels table with rows", f"none in '{table}'")
        image = tables.image_column(beginning, image, table, images)
        columns = [str(column) for column in beginning.columns]
        if not specs:
            specs, messages = infer_targets(beginning, image, used)
            for line in messages:
                say(line)
    task = task_from_columns(table_name(path), specs, columns, flip_pairs, units, weights, scale)
    return replace(task, image=image, name_pattern=pattern)


def task_from_columns(name: str, specs: Sequence[str], columns: Sequence[str],
                      flip_pairs: tasks.NamePairs | None = None, units: Pairs = (), weights: Pairs = (),
                      scale: str | None = None) -> tasks.Task:
    """Make the Task of a table's columns; report which points a mirror exchanges.

    Args:
        name: The task's name.
        specs: `NAME[=COLUMN,..][:KIND]` of each target.
        columns: The table's columns.
        flip_pairs: Points that a mirror exchanges; see tasks.read_pairs.
        units: The units of targets, by their names.
        weights: The weights of targets, by their names.
        scale: linear or log, for all plain numbers.
    """
    targets = tasks.with_options([tasks.parse_for_table(spec, columns) for spec in specs], units, weights, scale)
    targets, lines = tasks.with_flip_pairs(targets, flip_pairs)
    for line in lines:
        say(line)
    return tasks.Task(name, targets, augment=tasks.default_augmentations(targets))
