"""Labels tables: read and checked. The only place where bad labels are refused; after it no code asks again."""
from pathlib import Path

import numpy as np
import pandas as pd

from ...config import TrainConfig
from ...tasks import BUILT_IN, Task
from ...utils.console import say
from ...utils.errors import ImgregError, close_matches, first_few
from .. import tables
from ..issues import Issue
from ..splits import SPLITS, assign_splits, exclude_trained
from . import filtering, issue_rules
from .filtering import OURS
from .issue_rules import INFINITE, MISSING, WORD, LabelTable

__all__ = ["SPLITS", "assign_splits", "check_rows", "exclude_trained", "read_labels", "read_pictures", "source",
           "usable_rows"]

USUAL = {"val": "valid", "validation": "valid", "dev": "valid", "training": "train", "testing": "test",
         "calibration": "calibrate"}  # other names of the parts of a split


def read_labels(table: str | Path, task: Task, to_divide: bool = True, images: str | Path | None = None,
         also: tuple[str, ...] = ()) -> pd.DataFrame:
    """Read a labels table, or a folder whose file names, or whose sub folders' names, hold the labels.

    `to_divide`: it will be, so that the task's column of groups must be there; `images`: the folder that the names are
    relative to, else the table's own; `also`: further columns to be kept.

    Returns a row a picture: `image` as the table names it, `path` where it lies, the task's columns and its box as
    float, and `split` and `group` where the table has them. A missing label is NaN; rows that cannot be used are named
    and left out; raises ImgregError when nothing is left, or a column is missing.
    """
    return usable_rows(_sheet(table, task, to_divide, images, also).frame, task, table)


def check_rows(table: str | Path, task: Task, images: str | Path | None = None,
           cfg: TrainConfig | None = None) -> tuple[pd.DataFrame, list[Issue]]:
    """All rows of a labels table or folder, and the faults that show without opening a picture.

    The frame is as `read` gives it, with all rows, and with `row`, the number as an editor counts it (of a folder the
    place in its sorted list), `usable`, and `why` not ("" where it is). `cfg`: the training's settings, by which the
    table's own split may not be used. Raises ImgregError for what is no table, for one without rows, and for a missing
    column.
    """
    sheet = _sheet(table, task, True, images)
    return sheet.frame, issue_rules.label_issues(sheet, cfg)


def read_pictures(table: str | Path, task: Task, images: str | Path | None = None,
               also: tuple[str, ...] = ()) -> pd.DataFrame:
    """The pictures of a table: `image`, `path`, the task's box as float where it has one, and the columns `also`.

    Labels need not be there; `attrs["left_out"]` counts the rows without use. Raises ImgregError if the table cannot be
    read or lacks a column.
    """
    frame, _ = _from_table(Path(table), task, [], [], images, also)
    frame = _with_floats(frame, task.box)
    asked = filtering.mark_usable(frame, {"unnamed": frame["image"].isna(), "box": _no_box(frame, task)})
    usable = filtering.drop_unusable(asked, Path(table))
    usable.attrs["left_out"] = len(asked) - len(usable)
    return usable


def usable_rows(frame: pd.DataFrame, task: Task, table: str | Path) -> pd.DataFrame:
    """What `read` gives, of what `survey` gave: rows without use are named and left out, missing labels counted.

    Raises ImgregError when none is left, or a target has no value in any row.
    """
    return filtering.drop_unusable(frame, source(table, task), task)


def _sheet(table: str | Path, task: Task, to_divide: bool, images: str | Path | None,
           also: tuple[str, ...] = ()) -> LabelTable:
    """The table as it stands, and what is wrong with each row."""
    table = source(table, task)
    folder, groups = table.is_dir(), [task.group] if to_divide and task.group != "group" else []
    frame, present = (_from_folder(table, task, groups, also, to_divide) if folder
                      else _from_table(table, task, task.columns, groups, images, also, to_divide))
    raw = frame[task.columns]
    frame = _with_floats(frame, [*task.columns, *task.box])
    values = frame[task.columns] * (task.name_scale if folder else 1.0)
    kinds = _kinds(raw, values)
    frame = _put(frame, values.where(kinds == 0))
    unnamed = frame["image"].isna()
    unlabelled = (kinds == MISSING).all(axis=1) & folder
    bad = {"unlabelled": unlabelled, "unnamed": unnamed, "number": _no_number(frame, task) & ~unnamed & ~unlabelled,
           "box": _no_box(frame, task), "absent": ~present & ~unnamed}
    asked = filtering.mark_usable(frame, bad)
    return LabelTable(task, asked, {why: np.asarray(mask) for why, mask in bad.items()}, kinds, raw, folder)


def source(table: str | Path, task: Task) -> Path:
    """The table itself, where a folder with a labels.csv is meant: unless a pattern for its names was given."""
    table, given = Path(table), task.name_pattern and task.name not in BUILT_IN
    return table / "labels.csv" if not given and table.is_dir() and (table / "labels.csv").is_file() else table


def _from_table(table: Path, task: Task, columns: list[str], groups: list[str], images: str | Path | None,
                also: tuple[str, ...], to_divide: bool = False) -> tuple[pd.DataFrame, np.ndarray]:
    """All rows with `columns`, and `also` these, and whether each picture is there; `groups` must be columns, too."""
    if not table.is_file():
        raise ImgregError("a labels table or a folder of pictures", f"no '{table}'")
    beginning = tables.read_table(table, most=200)
    told = task.image if to_divide or task.image in beginning else ""  # another table may call them otherwise
    named = tables.image_column(beginning, told, table)
    frame = _with_groups(tables.read_table(table, (named, "split", task.group, *also)), task,
                         [*columns, *task.box, *groups, *also], table)
    if frame.empty:
        raise ImgregError("a labels table with rows", f"none in '{table}'")
    if "split" in frame:
        frame = frame.assign(split=_parts(frame["split"], table))
    placed = tables.with_paths(frame[[named]], named, images or table.parent)
    kept = dict.fromkeys([*columns, *task.box, *(c for c in ("split", "group") if c in frame), *also])
    frame = pd.concat([placed[["image"]], frame[[c for c in kept if c != "image"]], placed[["path"]]], axis=1)
    return frame, placed["present"].to_numpy()


def _parts(split: pd.Series, table: Path) -> pd.Series:
    """The column `split` by our own names, where others are usual; what is taken for what is said."""
    plain = split.astype(object).str.strip().str.lower()
    renamed = plain.map(USUAL)
    if renamed.notna().any():
        taken = pd.Series(USUAL)[sorted(set(plain[renamed.notna()]))]
        say(f"the column 'split' of {table}: " + ", ".join(f"{word} is {part}" for word, part in taken.items()))
    return renamed.where(renamed.notna(), plain.where(plain.isin(SPLITS), split))


def _from_folder(folder: Path, task: Task, groups: list[str], also: tuple[str, ...],
                 to_divide: bool) -> tuple[pd.DataFrame, np.ndarray]:
    """As `_from_table`, of pictures whose names, or whose folders' names, hold the labels; how many do is said."""
    try:
        frame = tables.table_of_folder(folder, task.name_pattern, task.columns)
    except ImgregError as e:
        if task.name_pattern or e.expected == "pictures":
            raise
        found = f"the folder '{folder}', and task '{task.name}' reads no file names; nor {e.expected}: {e.found}"
        then = "--label-from-name PATTERN" if to_divide else "a table that names these pictures and has their labels"
        raise ImgregError("a labels table", found, f"imgreg data {task.name} --data {folder}, if these are such data"
                          if task.name in BUILT_IN else then) from e
    n, names = int(frame[task.columns].notna().any(axis=1).sum()), "" if task.name_pattern else " of folders"
    say(f"reading {first_few(task.columns)} from names{names}: {n:,} of {len(frame):,} match")
    frame = _with_groups(frame, task, [*task.box, *groups, *also], folder)
    kept = dict.fromkeys(["image", "path", *task.columns, *task.box, *(c for c in ("split", "group") if c in frame),
                          *also])
    return frame[list(kept)], np.ones(len(frame), bool)


def _with_groups(frame: pd.DataFrame, task: Task, wanted: list[str], table: Path) -> pd.DataFrame:
    """The frame with the task's column of groups as `group`; raises ImgregError where a column is not to be had."""
    has = list(frame.columns)
    if task.group in frame:
        frame = frame.copy().assign(group=frame[task.group])  # of one piece: pandas warns of many columns
    for column in wanted:
        if column not in frame:
            close = close_matches(column, map(str, has))
            raise ImgregError(f"a column '{column}' in {table}", first_few(has, 8), close and f"one of {close}")
        if column in OURS:
            raise ImgregError(f"labels and boxes in columns that are not called {', '.join(OURS)}", f"'{column}'")
    return frame


def _with_floats(frame: pd.DataFrame, columns) -> pd.DataFrame:
    """The columns as float; NaN where no number stands."""
    of = {c: pd.to_numeric(frame[c], errors="coerce").to_numpy(float, na_value=np.nan) for c in columns}
    return _put(frame, pd.DataFrame(of, frame.index))


def _put(frame: pd.DataFrame, values: pd.DataFrame) -> pd.DataFrame:
    """The frame with other values in some of its columns, at once: pandas warns of a hundred set one by one."""
    return pd.concat([frame.drop(columns=values.columns), values], axis=1)[list(frame.columns)]


def _kinds(raw: pd.DataFrame, values: pd.DataFrame) -> np.ndarray:
    """What each label is: 0 for a finite number, else MISSING, WORD or INFINITE; int8 [n, columns]."""
    kinds = np.zeros(values.shape, np.int8)
    for i, column in enumerate(values):
        number, stands = values[column].to_numpy(), raw[column]
        if not pd.api.types.is_numeric_dtype(stands):
            stands = stands.where(stands.astype(str).str.strip() != "")
        kinds[np.isinf(number), i] = INFINITE
        kinds[np.isnan(number), i] = WORD
        kinds[np.isnan(number) & stands.isna().to_numpy(), i] = MISSING
    return kinds


def _no_number(frame: pd.DataFrame, task: Task) -> pd.Series:
    """The rows that have no label for any target."""
    bad = pd.Series(True, frame.index)
    for t in task.targets:
        missing = frame[list(t.columns)].isna()
        bad &= missing.all(axis=1) if t.partial else missing.any(axis=1)
    return bad


def _no_box(frame: pd.DataFrame, task: Task) -> pd.Series:
    """The rows without a whole box, where the task has one."""
    if not task.box:
        return pd.Series(False, frame.index)
    box = frame[list(task.box)]
    return ~(np.isfinite(box).all(axis=1) & (box[list(task.box[2:])] > 0).all(axis=1))
