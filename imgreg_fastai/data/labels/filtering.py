"""The rows of a survey that can be used: the others are told, each with the first reason, and left out."""
import re
from pathlib import Path

import numpy as np
import pandas as pd

from ...tasks import Task
from ...utils.console import warn
from ...utils.errors import ImgregError, first_few

# Why a row is left out, in the order in which it is asked.
WHY = {"unlabelled": "no label in its name", "unnamed": "no picture named", "number": "no finite number",
       "box": "no whole box", "absent": "no such picture"}
OURS = ("row", "usable", "why")  # columns that a survey adds


def mark_usable(frame: pd.DataFrame, bad: dict) -> pd.DataFrame:
    """The frame with `row`, `usable` and `why` not: the first of the reasons that a row is `bad` for."""
    why = np.full(len(frame), "", object)
    for reason, mask in bad.items():
        why[np.asarray(mask) & (why == "")] = WHY[reason]
    return frame.assign(row=frame.index + 2, usable=why == "", why=why).reset_index(drop=True)


def drop_unusable(frame: pd.DataFrame, table: Path, task: Task | None = None) -> pd.DataFrame:
    """The usable rows; those of each reason are told, and with a `task` the labels that are missing in others."""
    known = list(WHY.values())
    for reason in [*known, *(why for why in frame["why"].unique() if why and why not in known)]:
        if reason == WHY["number"] and task:
            _tell_lacking(frame, table, task)
        gone = frame["why"] == reason
        if gone.any():
            _tell_left_out(frame, gone, table, reason, task)
            frame = frame[~gone]
    return frame.drop(columns=list(OURS)).reset_index(drop=True)


def _tell_lacking(frame: pd.DataFrame, table: Path, task: Task) -> None:
    """Say which rows lack a value of a target, but for those that are left out for it.

    Raises ImgregError if all rows do, and the task has other targets.
    """
    for t in task.targets:
        missing = frame[list(t.columns)].isna()
        lacking = missing.any(axis=1)
        told = frame[lacking & (frame["why"] != WHY["number"])]
        if len(told):
            warn(f"{len(told)} of {len(frame)} rows of {table} lack a value of {t.name}: {first_few(_called(told, table))}")
        if (missing.all(axis=1) if t.partial else lacking).all() and len(task.targets) > 1:
            raise ImgregError(f"a value of {t.name} in a row of '{table}'", "none")


def _tell_left_out(frame: pd.DataFrame, gone: pd.Series, table: Path, why: str, task: Task | None) -> None:
    """Say which rows are left out for one reason; raises ImgregError if these are all."""
    shown, n = _called(frame[gone], table, why == WHY["absent"]), len(frame)
    if why == WHY["unlabelled"]:
        names = [Path(name).name for name in shown]
        if gone.all():
            found = f"none among the {n} pictures in '{table}', such as '{names[0]}'"
            raise ImgregError(f"file names like '{_example(task)}'", found)
        warn(f"left out {len(names)} of {n} pictures without a label in their name: {first_few(names)}")
    elif gone.all():
        then = "--images DIR, the folder that the names are relative to" if why == WHY["absent"] else None
        raise ImgregError(f"usable rows in '{table}'", f"{why} in any of {n}: {first_few(shown, 3)}", then)
    else:
        warn(f"left out {int(gone.sum())} of {n} rows of {table}, {why}: {first_few(shown)}")


def _called(rows: pd.DataFrame, table: Path, by_name: bool = False) -> list[str]:
    """What rows are called: by numbers as an editor counts them, the header being line 1; a folder's by their names."""
    return list(rows["image"]) if by_name or table.is_dir() else [f"row {row}" for row in rows["row"]]


def _example(task: Task) -> str:
    """A file name that the task's pattern fits, or the pattern."""
    named = re.sub(r"\(\?P<\w+>\\d\{(\d+)\}\).*", lambda m: "0" * int(m[1]) + ".png", task.name_pattern)
    return named if "(" not in named else task.name_pattern
