"""Labels tables: read, checked, divided. The only place where bad labels are refused; after it no code asks again."""
import re
from pathlib import Path

import numpy as np
import pandas as pd

from .errors import ImgregError, nearest, some
from .images import find
from .messages import warn
from .tasks import Task

SPLITS = ("train", "valid", "calibrate", "test")


def read(table: str | Path, task: Task) -> pd.DataFrame:
    """Read a labels table, or a folder whose file names hold the labels.

    Returns a row a picture: `image` as the table names it, `path` where it lies, the task's columns as float, and
    `split` and `group` where the table has them. Rows that cannot be used are named and left out; raises ImgregError
    when nothing is left, or a column is missing.
    """
    table = Path(table)
    if table.is_dir() and (table / "labels.csv").is_file():
        table = table / "labels.csv"
    frame = _from_names(table, task) if table.is_dir() else _from_table(table, task)
    frame = _with_numbers(frame, task, table)
    missing = ~frame["path"].map(lambda p: Path(p).is_file())
    whole = _leave_out(frame, missing, table, "no such picture", list(frame.loc[missing, "image"]))
    return whole.reset_index(drop=True)


def _from_table(table: Path, task: Task) -> pd.DataFrame:
    if not table.is_file():
        raise ImgregError("a labels table or a folder of pictures", f"no '{table}'")
    try:
        frame = _parse(table).reset_index(drop=True)
    except (ValueError, OSError, ImportError) as e:  # pandas' parse and decode errors are ValueErrors
        raise ImgregError("a labels table (CSV, TSV or Parquet)", f"'{table}': {e}") from e
    for column in ("image", *task.columns):
        if column not in frame:
            close = nearest(column, map(str, frame.columns))
            raise ImgregError(f"a column '{column}' in {table}", f"{some(frame.columns, 8)}", f"one of {close}")
    kept = ["image", *task.columns, *(c for c in ("split", "group") if c in frame)]
    nameless = frame["image"].isna()
    frame = _leave_out(frame[kept], nameless, table, "no picture named", _rows(nameless))
    names = [str(name) for name in frame["image"]]
    return frame.assign(image=names, path=[str(table.parent / name) for name in names])


def _parse(table: Path) -> pd.DataFrame:
    if table.suffix.lower() == ".parquet":
        return pd.read_parquet(table)
    return pd.read_csv(table, sep="\t" if table.suffix.lower() == ".tsv" else ",", dtype={"image": str})


def _from_names(folder: Path, task: Task) -> pd.DataFrame:
    if not task.name_pattern:
        raise ImgregError("a labels table", f"the folder '{folder}', and task '{task.name}' reads no file names")
    paths = find([folder])
    matches = [re.search(task.name_pattern, Path(p).name) for p in paths]
    nameless = [Path(p).name for p, m in zip(paths, matches, strict=True) if not m]
    example = f"file names like '{_example(task)}'"
    if len(nameless) == len(paths):
        raise ImgregError(example, f"none among the {len(paths)} pictures in '{folder}', such as '{nameless[0]}'")
    if nameless:
        warn(f"left out {len(nameless)} of {len(paths)} pictures without a label in their name: {some(nameless)}")
    rows = [
        {"image": str(Path(p).relative_to(folder)), "path": p,
         **{c: float(v) * task.name_scale for c, v in m.groupdict().items()}}
        for p, m in zip(paths, matches, strict=True) if m
    ]
    return pd.DataFrame(rows)


def _example(task: Task) -> str:
    return re.sub(r"\(\?P<\w+>\\d\{(\d+)\}\).*", lambda m: "0" * int(m[1]) + ".png", task.name_pattern)


def _with_numbers(frame: pd.DataFrame, task: Task, table: Path) -> pd.DataFrame:
    values = frame[task.columns].apply(pd.to_numeric, errors="coerce").astype(float)
    bad = ~np.isfinite(values).all(axis=1)
    return _leave_out(frame.assign(**{c: values[c] for c in task.columns}), bad, table, "no finite number", _rows(bad))


def _rows(bad: pd.Series) -> list[str]:
    """Row numbers as an editor counts them, the header being line 1; `bad` still has the table's own index."""
    return [f"row {i + 2}" for i in bad.index[bad]]


def _leave_out(frame, bad, table, why: str, shown: list[str]) -> pd.DataFrame:
    if frame.empty:
        raise ImgregError("a labels table with rows", f"none in '{table}'")
    if bad.all():
        raise ImgregError(f"usable rows in '{table}'", f"{why} in any of {len(frame)}: {some(shown, 3)}")
    if bad.any():
        warn(f"left out {int(bad.sum())} of {len(frame)} rows of {table}, {why}: {some(shown)}")
    return frame[~bad]


def divide(frame: pd.DataFrame, seed: int, valid: float) -> pd.DataFrame:
    """The frame with a `split` column: its own where it has one, else drawn, with no group on both sides.

    A row without a group is one of its own. Raises ImgregError for unknown parts, or when nothing is left to train on
    or to validate with.
    """
    if "split" in frame:
        unknown = sorted({str(part) for part in frame["split"]} - set(SPLITS))
        if unknown:
            raise ImgregError(f"a split column with {', '.join(SPLITS)}", some(unknown))
    else:
        units = _groups(frame["group"]) if "group" in frame else frame.index.to_series()
        names = np.random.default_rng(seed).permutation(np.sort(units.unique()))
        held = set(names[: max(1, round(len(names) * valid))])
        frame = frame.assign(split=np.where(units.isin(held), "valid", "train"))
    counts = frame["split"].value_counts()
    if counts.get("train", 0) < 2 or counts.get("valid", 0) < 1:
        found = f"{counts.get('train', 0)} and {counts.get('valid', 0)}"
        more = "rows whose split is train and valid" if "split" in frame else "more labelled pictures"
        raise ImgregError("at least 2 pictures to train on and 1 to validate with", found, more)
    return frame


def unseen(frame: pd.DataFrame, trained: pd.DataFrame) -> pd.DataFrame:
    """The rows whose picture is not among those `trained` on, by file; says how many were. Raises if none is left."""
    seen = {Path(p).resolve() for p in trained["path"]}
    known = frame["path"].map(lambda p: Path(p).resolve() in seen)
    if known.all():
        raise ImgregError("pictures that the run was not trained on", f"{len(frame)} that it was", "other pictures")
    if known.any():
        warn(f"left out {int(known.sum())} of {len(frame)} pictures, because the run was trained on them")
    return frame[~known].reset_index(drop=True)


def _groups(column: pd.Series) -> pd.Series:
    names = [f"row {i}" if pd.isna(name) else f"group {name}" for i, name in column.items()]
    return pd.Series(names, column.index)
