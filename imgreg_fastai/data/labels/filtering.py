"""Leaving out rows that cannot be used, each with a warning that says why."""
import re
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from ...tasks import Task
from ...utils.messages import ImgregError, first_few, warn
from ..tables import Table, absent_hint

# Why a row is left out: the first reason that holds.
REASONS = {"unlabelled": "no label in its name", "unnamed": "no image named", "number": "no finite number",
           "box": "no whole box", "flat": "a box without width or height", "absent": "no such image",
           "broken": "an image whose size cannot be read"}
ADDED_COLUMNS = ("row", "usable", "why")


def mark_usable(frame: pd.DataFrame, masks: Mapping[str, np.ndarray | pd.Series]) -> pd.DataFrame:
    """Mark the rows that can be used.

    Args:
        frame: Rows of a table, its index + 2 their numbers.
        masks: For each of REASONS the rows it holds for, bool [n].

    Returns:
        The frame with `row`, the number; `usable`; and `why` not, "" where it is.
    """
    why = np.full(len(frame), "", object)
    for reason, mask in masks.items():
        why[np.asarray(mask) & (why == "")] = REASONS[reason]
    return frame.assign(row=frame.index + 2, usable=why == "", why=why).reset_index(drop=True)


def drop_unusable(frame: pd.DataFrame, table: Table, task: Task | None = None,
                  images: str | Path | None = None) -> pd.DataFrame:
    """Leave out the rows that cannot be used, and warn of them and of labels that are missing in others.

    Args:
        frame: Rows with `row`, `usable` and `why`.
        table: The table or folder, for messages.
        task: The task, where labels are needed.
        images: The folder that names of images are relative to, if the user has named it.

    Raises:
        ImgregError: No row is left, or a target has no value in any.
    """
    for why in dict.fromkeys([*REASONS.values(), *frame["why"].unique()]):  # callers may have reasons of their own
        if why == REASONS["number"] and task:
            _warn_missing(frame, table, task)
        left_out = frame["why"] == why
        if why and left_out.any():
            _warn_left_out(frame, left_out, table, why, task, images)
            frame = frame[~left_out]
    return frame.drop(columns=list(ADDED_COLUMNS)).reset_index(drop=True)


def _warn_missing(frame: pd.DataFrame, table: Table, task: Task) -> None:
    """Warn which rows lack a value of a target; raise ImgregError if all do and the task has other targets."""
    for t in task.targets:
        labelled = frame[list(t.columns)].notna()
        incomplete = frame[~labelled.all(axis=1) & (frame["why"] != REASONS["number"])]
        if len(incomplete):
            warn(f"{len(incomplete)} of {len(frame)} rows of {table} lack a value of {t.name}: "
                 f"{first_few(_row_names(incomplete, table))}")
        if len(task.targets) > 1 and not t.is_labelled(labelled.to_numpy()).any():
            raise ImgregError(f"a value of {t.name} in a row of '{table}'", "none")


def _warn_left_out(frame: pd.DataFrame, left_out: pd.Series, table: Table, why: str, task: Task | None,
                   images: str | Path | None) -> None:
    """Warn which rows are left out for one reason; raise ImgregError if these are all."""
    rows, n = frame[left_out], len(frame)
    absent = why == REASONS["absent"]
    names = list(rows["image"]) if absent else _row_names(rows, table)
    if len(rows) < n:
        warn(f"left out {len(rows)} of {n} rows of {table}, {why}: {first_few(names)}")
        return
    if task and why == REASONS["unlabelled"]:
        # For a pattern of digits a name that matches, "angle_00000.png"; any other pattern is shown itself.
        example = re.sub(r"\(\?P<\w+>\\d\{(\d+)\}\).*", lambda match: "0" * int(match[1]) + ".png", task.name_pattern)
        example = task.name_pattern if "(" in example else example
        raise ImgregError(f"file names like '{example}'",
                          f"none among the {n} images in '{table}', such as '{names[0]}'")
    raise ImgregError(f"usable rows in '{table}'", f"{why} in any of {n}: {first_few(names, 3)}",
                      absent_hint(names, table, images) if absent else None)


def _row_names(rows: pd.DataFrame, table: Table) -> list[str]:
    """Name the rows of a table by their numbers, those of a folder by their images."""
    return list(rows["image"]) if table.is_dir() else [f"row {row}" for row in rows["row"]]
