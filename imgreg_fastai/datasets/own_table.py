"""The user's own labelled images: the Task of a table, or of a folder whose names hold the labels."""
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from .. import tasks
from ..data import tables
from ..data.group_columns import describe_ungrouped
from ..data.infer_targets import infer_targets, rater_columns
from ..data.labels.split_columns import dividing_columns
from ..data.long_form import refuse_point_rows
from ..tasks.augmentations import enumerate_words
from ..utils import quoting
from ..utils.messages import ImgregError, say

Pairs = Mapping[str, Any] | Iterable[tuple[str, Any]]  # {target name: value}, or pairs
BEGINNING = 10_000  # rows from which targets are inferred
GENERIC_NAMES = ("labels", "table", "data", "index", "metadata", "annotations", "train")  # tables named by their folder


def is_table(name: str | tables.Table) -> bool:
    """Tell whether a TASK is a DataFrame or the path of a table or a folder, and not the name of a built-in task."""
    if isinstance(name, tables.FrameTable):
        return True
    return name not in tasks.BUILT_IN and (tables.is_table_name(name) or Path(name).exists())


def table_name(path: str | tables.Table) -> str:
    """Name the task and the runs of a table or folder."""
    if isinstance(path, tables.FrameTable):
        return path.name
    path = Path(path).resolve()
    if path.is_dir():
        return path.name
    stem = tables.table_stem(path)
    return path.parent.name if stem.lower() in GENERIC_NAMES and path.parent.name else stem


def table_task(path: str | tables.Table, specs: Sequence[str] = (), image: str = "", pattern: str = "",
               flip_pairs: tasks.NamePairs | None = None, units: Pairs = (), weights: Pairs = (),
               scale: str | None = None, used: tuple[str, ...] = (), images: str | Path | None = None,
               rows: tables.RowOptions = tables.ROWS_AS_THEY_ARE, several: bool = False,
               grouped: bool = True, **of_numbers: Any) -> tasks.Task:
    """Make the Task of a table, or of a folder in place of one.

    Args:
        path: The table or folder.
        specs: `NAME[=COLUMN,..][:KIND]` of each target; without any, targets are inferred and reported.
        image: The column that names the images; without it, it is chosen. The task keeps the choice.
        pattern: A regular expression whose named groups are the columns that the names in a folder hold.
        flip_pairs, units, weights, scale, **of_numbers: See task_from_columns.
        used: Columns that are not labels, such as those of a box.
        images: The folder that the names of images are relative to, else the table's own.
        rows: How rows become one row an image.
        several: Whether several rows of an image are meant, each with a box of its own.
        grouped: Whether it is decided what is kept in one part of the split; if not, columns that may be groups are
            named.

    Raises:
        ImgregError: It is not a table, or lacks a column.
    """
    table = tables.resolve_table(path, from_names=bool(pattern))
    cell_units: dict[str, str] = {}
    if table.is_dir():
        groups = tables.columns_in_pattern(pattern) if pattern else []
        columns = groups or [tasks.split_spec(spec).name for spec in specs] or ["label"]
        specs = specs or [column for column in columns if column not in (*tasks.RESERVED_COLUMNS, *used)]
        if any(rows):
            raise ImgregError("--point-rows, --list-col and --raters with a table", f"the folder '{path}'")
    elif pattern:
        raise ImgregError("a folder in place of the table, for --label-from-name", f"'{path}'")
    else:
        # A label of points may stand in late rows alone, so that a table of points is read to its end.
        beginning = tables.read_table(table, rows.point_rows[:1], None if rows.point_rows else BEGINNING)
        if beginning.empty:
            raise ImgregError("a labels table with rows", f"none in '{table}'")
        image = tables.image_column(beginning, image, table, images)
        tables.check_names(beginning[image], table)
        if not specs:
            tables.check_named_targets(beginning, image, table)
        cell_units = beginning.attrs["units"]
        rows = rows._replace(list_cols=tables.complete_specs(beginning, rows.list_cols, table))
        beginning = tables.arrange(beginning, image, rows, table, ("split", "group", *used), choosing=True)
        columns = [str(column) for column in beginning.columns]
        _refuse_lists(beginning, (*specs, *used), table)
        if not (rows.point_rows or rows.raters or several):
            refuse_point_rows(beginning, image, table, _columns_of(specs))
        if not specs:
            raters = rater_columns(beginning) if rows.raters else []
            used = (*used, *raters, *dividing_columns(beginning, (image, *used, *raters)))
            specs, messages = infer_targets(beginning, image, used)
            for line in messages:
                say(line)
        if not grouped and "group" not in columns:
            for line in describe_ungrouped(beginning, (image, *used, *_columns_of(specs))):
                say(line)
    task = task_from_columns(table_name(path), specs, columns, flip_pairs, units, weights, scale,
                             cell_units=cell_units, **of_numbers)
    return replace(task, image=image, name_pattern=pattern, **rows._asdict())


def _columns_of(specs: Sequence[str]) -> list[str]:
    """List the columns that targets are read from, roughly: where a spec names none, its name."""
    parts = [quoting.partition(quoting.partition(spec, ":")[0], "=") for spec in specs]
    return [quoting.unquote(column) for name, _, columns in parts for column in quoting.split(columns or name, ",")]


def _refuse_lists(frame: pd.DataFrame, names: Sequence[str], table: tables.Table) -> None:
    """Raise ImgregError for a target or a box of a column whose cells hold several numbers."""
    for column, list_column in tables.find_list_columns(frame).items():
        if column in (*names, *_columns_of(names)):
            letters = "=" + ",".join("ABCDEFGH"[:list_column.length]) if list_column.length <= 8 else ""
            hint = f"--list-col {column}{letters}, and the names of its new columns in place of {column}"
            if re.fullmatch(r"[1-9]\d{0,2}( \d{3})+", list_column.example):
                hint = f"{list_column.example.replace(' ', '')} in the table if it is one number, or {hint}"
            raise ImgregError(f"a number in each cell of '{column}' in {table}",
                              f"{list_column.length} numbers, such as {list_column.example}", hint)


def task_from_columns(name: str, specs: Sequence[str], columns: Sequence[str],
                      flip_pairs: tasks.NamePairs | None = None, units: Pairs = (), weights: Pairs = (),
                      scale: str | None = None, minimum: tasks.Bounds = (), maximum: tasks.Bounds = (),
                      flip_negates: Sequence[str] = (), cell_units: Mapping[str, str] | None = None) -> tasks.Task:
    """Make the Task of a table's columns; report which points a mirror exchanges.

    Args:
        name: The task's name.
        specs: `NAME[=COLUMN,..][:KIND]` of each target.
        columns: The table's columns.
        flip_pairs: Points that a mirror exchanges; see tasks.read_pairs.
        units: The units of targets, by their names.
        weights: The weights of targets, by their names.
        scale: linear or log, for all plain numbers.
        minimum: What all plain numbers, or some by name, cannot be below.
        maximum: What they cannot be above.
        flip_negates: Plain numbers whose sign a mirror changes.
        cell_units: Units that stand in the cells, by their columns; of targets that `units` does not name.
    """
    parsed = [tasks.parse_for_table(spec, columns) for spec in specs]
    units = {**_units_of_cells(parsed, cell_units or {}), **dict(units)}
    targets = tasks.with_options(parsed, units, weights, scale, minimum, maximum, flip_negates)
    if flip_negates:
        targets = _declare_mirror(targets, flip_negates)
    targets, lines = tasks.with_flip_pairs(targets, flip_pairs)
    for line in lines:
        say(line)
    return tasks.Task(name, targets, augment=tasks.default_augmentations(targets))


def _declare_mirror(targets: Sequence[tasks.Target], negated: Sequence[str]) -> tuple[tasks.Target, ...]:
    """Declare what a mirror does to all plain numbers, and say so: it changes the sign of those that are named."""
    same = [t.name for t in targets if isinstance(t, tasks.Number) and t.name not in negated]
    and_same = f", and the same {enumerate_words(same, 'and')}" if same else ""
    say(f"--flip-negates declares that a mirrored image has the {enumerate_words(list(negated), 'and')} of the other "
        f"sign{and_same} (leave it out if that is false)")
    return tuple(t.declare_moves(("flip",)) if t.name in same else t for t in targets)


def _units_of_cells(targets: Iterable[tasks.Target], cell_units: Mapping[str, str]) -> dict[str, str]:
    """The unit that the cells of all columns of a target have, by its name; of degrees and radians only these."""
    units = {t.name: {cell_units.get(column, "") for column in t.columns} for t in targets if not t.in_image}
    free = [t.name for t in targets if t.linear or not t.unit]
    return {name: unit for name, (unit, *others) in units.items()
            if unit and not others and (name in free or tasks.is_angular_unit(unit))}
