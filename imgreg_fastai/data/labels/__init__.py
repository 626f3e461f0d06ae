"""Reading labels tables and checking them: the only place where bad labels are refused."""
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ...config import TrainConfig
from ...tasks import BUILT_IN, ROW_WEIGHT, Task
from ...tasks.coordinates import to_centre
from ...utils import quoting
from ...utils.messages import ImgregError, close_matches, first_few, say, warn
from .. import tables
from ..known_images import exclude_trained
from ..long_form import refuse_point_rows
from ..splits import assign_splits
from ..visibility import blank_invisible
from . import filtering
from .filtering import ADDED_COLUMNS
from .headers import needs_sizes, pixels_of, position_columns, read_headers
from .issue_rules import INFINITE, MISSING, NO_LABEL, WORD, LabelTable, label_issues, refuse_unreadable
from .position_rules import header_issues, named_convention, position_issues, refuse_other_convention
from .raters import join_raters
from .row_weights import apply_row_weights, multiply_row_weights, read_row_weights
from .split_columns import read_division

USUAL_UNITS = {"deg": "°", "degree": "°", "degrees": "°", "pixel": "px", "pixels": "px"}  # other names of them


def read_labels(table: str | tables.Table, task: Task, to_divide: bool = True, images: str | Path | None = None,
                also: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read the usable rows of a labels table, or of a folder whose names hold the labels; see read_rows.

    Returns:
        One row per image: `image` as the table names it, the task's columns and its box as float (NaN where a label is
        missing), `split` and `group` where the table has them, `row_weight` to train where the task has it, the columns
        `also`, and `path`. A warning names the rows that are left out.

    Raises:
        ImgregError: A column is missing, no row is usable, points or boxes look like those of another convention, or
            many labels to score with are no numbers.
    """
    rows = read_rows(table, task, to_divide, images, also)
    refuse_other_convention(rows)
    if not to_divide:  # they are scored; of a training, all issues are looked at
        refuse_unreadable(rows)
    return rows.usable()


def read_pictures(table: str | tables.Table, task: Task, images: str | Path | None = None,
                  also: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read the images of a table, which needs no labels.

    Args:
        table: The table.
        task: The task, for its box.
        images: The folder that names of images are relative to, else the table's own.
        also: Further columns to keep.

    Returns:
        `image`, the task's box as float where it has one, the columns `also`, and `path`; `attrs["left_out"]` counts
        the rows that cannot be used.

    Raises:
        ImgregError: It is not a table, lacks a column, or its boxes look like those of another convention.
    """
    path = tables.as_table(table)
    if path.is_dir():
        raise ImgregError("a table of images", f"the folder '{table}'")
    frame, present = _read(path, task, list(task.box), images, also, to_divide=False)
    unnamed = frame["image"].isna()
    boxes, in_pixels, headers, masks = _read_positions(frame, _to_floats(frame[list(task.box)]), task, present)
    frame = filtering.mark_usable(_replace(frame, in_pixels), {"unnamed": unnamed, **masks})
    refuse_other_convention(LabelTable(task, path, frame, {"unnamed": unnamed.to_numpy()}, np.empty((len(frame), 0)),
                                       frame, positions=boxes, headers=headers))
    usable = filtering.drop_unusable(frame, path, images=images)
    usable.attrs["left_out"] = len(frame) - len(usable)
    return usable


def read_rows(table: str | tables.Table, task: Task, to_divide: bool = True, images: str | Path | None = None,
              also: tuple[str, ...] = (), cfg: TrainConfig | None = None) -> LabelTable:
    """Read all rows of a labels table, and what is wrong with each; `label_issues` describes it.

    Args:
        table: The table, or a folder: its labels.csv, or without one the names of its images hold the labels.
        task: What its columns mean.
        to_divide: Whether the rows will be divided into parts, so that the group column must be there.
        images: The folder that names of images are relative to, else the table's own.
        also: Further columns to keep.
        cfg: The settings of the training that the rows are divided for: whether it uses the table's split, or folds.

    Raises:
        ImgregError: It is not a table, has no rows, or lacks a column.
    """
    path = tables.resolve_table(table, from_names=bool(task.name_pattern) and task.name not in BUILT_IN)
    columns = list(dict.fromkeys([*task.columns, *task.box]))
    frame, present = _read(path, task, columns, images, also, to_divide, cfg)
    # 1. Turn the labels into numbers; where there is no finite one, the state says why.
    raw, floats = frame[task.columns], _to_floats(frame[columns])
    numbers = floats[task.columns] * (task.name_scale if path.is_dir() else 1.0)
    blank = raw.apply(_is_blank).to_numpy(bool)
    states = np.select([np.isfinite(numbers), np.isinf(numbers), blank], [0, INFINITE, MISSING], WORD).astype(np.int8)
    for t in task.targets:  # numbers that stand for no label
        blank = t.is_blank(numbers[list(t.columns)].to_numpy())
        states[blank[:, None] & np.isin(task.columns, t.columns)] = NO_LABEL
    floats = _replace(floats, numbers.where(states == 0))
    # 2. See which rows cannot be used.
    unnamed, unlabelled = frame["image"].isna(), (states == MISSING).all(axis=1) & path.is_dir()
    labelled = np.any([t.is_labelled(floats[list(t.columns)].notna().to_numpy()) for t in task.targets], axis=0)
    positions, in_pixels, headers, no_boxes = _read_positions(frame, floats[position_columns(task)], task, present)
    masks = {"unlabelled": unlabelled, "unnamed": unnamed, "number": ~labelled & ~unnamed & ~unlabelled,
             **no_boxes, "absent": ~present & ~unnamed}
    reasons = {reason: np.asarray(mask) for reason, mask in masks.items()}
    frame = filtering.mark_usable(_replace(_replace(frame, floats), in_pixels), reasons)
    rows = LabelTable(task, path, frame, reasons, states, raw.reset_index(drop=True), images, positions, headers)
    return multiply_row_weights(rows, lambda parted: join_raters(parted, to_divide)) if task.raters else rows


class _Positions(NamedTuple):
    """Points and boxes as the table has them, and in pixels; headers where they were needed; and masks for REASONS."""

    positions: pd.DataFrame
    in_pixels: pd.DataFrame
    headers: pd.DataFrame | None
    masks: dict[str, Any]


def _read_positions(frame: pd.DataFrame, positions: pd.DataFrame, task: Task, present: pd.Series) -> _Positions:
    """Turn points and boxes into pixels, and see which rows have no box, or no image to measure them by."""
    headers, broken = None, np.zeros(len(frame), bool)
    if needs_sizes(task):
        readable = present.to_numpy(bool) & frame["image"].notna().to_numpy()
        headers = read_headers(frame, readable, task.max_pixels)
        broken = readable & headers["width"].isna().to_numpy()
    in_pixels = pixels_of(positions, task, headers)
    boxes = positions[list(task.box)].to_numpy(float)
    lacking = ~np.isfinite(boxes).all(axis=1)
    flat = ~lacking & ~(to_centre(boxes, task.box_format)[:, 2:] > 0).all(axis=1)
    numbered = headers if headers is None else headers.reset_index(drop=True)
    return _Positions(positions.reset_index(drop=True), in_pixels, numbered,
                      {"box": lacking, "flat": flat, "broken": broken})


def _read(table: tables.Table, task: Task, columns: list[str], images: str | Path | None, also: tuple[str, ...],
          to_divide: bool, cfg: TrainConfig | None = None) -> tuple[pd.DataFrame, pd.Series]:
    """Read `image`, the needed columns and `path` of all rows of a table or folder, and whether each image exists."""
    if isinstance(table, Path) and table.is_dir():
        image, frame = "image", _read_folder(table, task, to_divide)
        located = frame.assign(present=True)
    elif table.is_file():
        # A table that is not trained on may name its images in another column than the training's.
        names = (*task.point_rows[:1], "split", task.split_col, task.row_weight, task.group or "group", *also)
        frame, image = tables.read_image_table(table, task.image, names, to_divide, images)
        if frame.empty:
            raise ImgregError("a labels table with rows", f"none in '{table}'")
        if to_divide and not (task.point_rows or task.raters or task.box):
            refuse_point_rows(frame, image, table, task.columns)
        options = tables.RowOptions(task.list_cols, task.point_rows, task.raters)
        frame = tables.arrange(frame, image, options, table, {*names, *columns}, required=to_divide)
        located = tables.with_paths(frame[[image]], image, images or table.parent, table)
        tables.report_numbers(frame, [*columns, *task.point_rows[1:]], table)
        _warn_other_units(frame, task, columns, table)
    else:
        raise ImgregError("a labels table or a folder of images", f"no '{table}'")
    division = pd.DataFrame(index=frame.index)
    if to_divide:
        division = read_division(frame, task, image, table, cfg or TrainConfig())
    if task.row_weight and to_divide and task.row_weight in frame:
        frame = frame.copy().assign(**{ROW_WEIGHT: read_row_weights(frame[task.row_weight])})
    all_columns, frame = frame, _needed_columns(frame, task, columns, also, to_divide, table)
    if set(task.columns) <= set(columns):  # and not only the images of a table are wanted
        frame = blank_invisible(frame, all_columns, task)
    frame = frame.drop(columns=["image", "path", *division.columns], errors="ignore")
    others = frame.drop(columns=columns)
    result = pd.concat([located[["image"]], frame[columns], division, others, located[["path"]]], axis=1)
    result.attrs |= division.attrs
    return result, located["present"]


def _warn_other_units(frame: pd.DataFrame, task: Task, columns: list[str], table: tables.Table) -> None:
    """Warn of numbers in another unit than that of their target; they are taken as they are."""
    units = frame.attrs.get("units", {})
    for target in task.targets:
        for column in filter(columns.__contains__, target.columns):
            unit = units.get(column, target.unit)
            if target.in_image and task.coords:  # which says what its numbers are
                continue
            if target.unit and USUAL_UNITS.get(unit.lower(), unit) != target.unit:
                warn(f"{column} of {table} is in {unit}, and {target.name} in {target.unit}: its numbers are not "
                     f"converted; write the column in {target.unit}")


def _read_folder(folder: Path, task: Task, to_divide: bool) -> pd.DataFrame:
    """Read labels from the names of images, or of their folders; report how many hold labels."""
    try:
        frame = tables.table_of_folder(folder, task.name_pattern, task.columns)
    except ImgregError as e:
        tables.check_folder(folder)
        if task.name_pattern or e.expected == "images":
            raise
        hint = "--label-from-name PATTERN" if to_divide else "a table that names these images and has their labels"
        if task.name in BUILT_IN:
            hint = f"imgreg data {task.name} --data {folder}, if these are such data"
        raise ImgregError("a labels table", f"the folder '{folder}', and task '{task.name}' reads no file names; "
                          f"nor {e.expected}: {e.actual}", hint) from e
    n, names = frame[task.columns].notna().any(axis=1).sum(), "names" if task.name_pattern else "names of folders"
    say(f"reading {first_few(task.columns)} from {names}: {n:,} of {len(frame):,} match")
    return frame


def _needed_columns(frame: pd.DataFrame, task: Task, columns: list[str], also: tuple[str, ...], to_divide: bool,
                    table: tables.Table) -> pd.DataFrame:
    """Select the columns that are needed, and group where it is there; raise ImgregError if one is not."""
    existing, group = list(frame.columns), task.group or "group"
    if group in frame:
        frame = frame.copy().assign(group=frame[group])  # a copy is of one piece: pandas warns of many columns
    required = [column for column in (task.group, task.row_weight) if column and to_divide]
    for column in [*columns, *required, *also]:
        if column not in frame:
            hint = _hint_of_column(column, task, list(map(str, existing)), to_divide)
            option = {task.group: ", for --group", task.row_weight: ", for --row-weight"}.get(column, "")
            raise ImgregError(f"a column '{column}' in {table}{option}", first_few(existing, 8), hint)
        if column in ADDED_COLUMNS:
            raise ImgregError(f"labels and boxes in columns that are not called {', '.join(ADDED_COLUMNS)}",
                              f"'{column}'")
    optional = ["group"] if "group" in frame else []
    optional += [ROW_WEIGHT] if task.row_weight and to_divide else []
    return frame[list(dict.fromkeys([*columns, *optional, *also]))]


def _hint_of_column(column: str, task: Task, existing: list[str], to_divide: bool) -> str:
    """What to type where a column is not there: of labels that are scored, what the table may call them."""
    target = next((t for t in task.targets if column in t.columns), None)
    if to_divide or target is None:
        close = close_matches(column, existing)
        return close and f"one of {close}"
    others = ["COLUMN" if c not in existing else c for c in target.columns]
    text = quoting.option("--target", f"{quoting.quote(target.name)}={','.join(others)}")
    return f"{text}, with the columns that hold {target.name} in this table"


def _to_floats(frame: pd.DataFrame) -> pd.DataFrame:
    """Convert columns to float; NaN where there is no number."""
    return pd.DataFrame({name: pd.to_numeric(column, errors="coerce").to_numpy(float, na_value=np.nan)
                         for name, column in frame.items()}, frame.index)


def _is_blank(column: pd.Series) -> pd.Series:
    """Tell which cells of a column are empty, or hold nothing but blanks or a word for a missing value."""
    empty = column.isna()
    if pd.api.types.is_numeric_dtype(column):
        return empty
    return empty | tables.is_missing_word(column)


def _replace(frame: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    """Replace columns all at once: pandas warns of a hundred that are set one by one."""
    replaced = pd.concat([frame.drop(columns=values.columns), values], axis=1)[list(frame.columns)]
    replaced.attrs |= frame.attrs
    return replaced
