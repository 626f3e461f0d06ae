"""Labels tables: read, checked, divided. The only place where bad labels are refused; after it no code asks again."""
import re
from pathlib import Path

import numpy as np
import pandas as pd

from .config import TrainConfig
from .errors import ImgregError, nearest, some
from .images import find
from .messages import say, warn
from .tasks import Task

SPLITS = ("train", "valid", "calibrate", "test")


def read(table: str | Path, task: Task, to_divide: bool = True) -> pd.DataFrame:
    """Read a labels table, or a folder whose file names hold the labels.

    `to_divide`: it will be, so that the task's column of groups must be there.

    Returns a row a picture: `image` as the table names it, `path` where it lies, the task's columns and its box as
    float, and `split` and `group` where the table has them. A missing label is NaN; rows that cannot be used are named
    and left out; raises ImgregError when nothing is left, or a column is missing.
    """
    table = Path(table)
    if table.is_dir() and (table / "labels.csv").is_file():
        table = table / "labels.csv"
    groups = [task.group] if to_divide and task.group != "group" else []
    frame = _from_names(table, task) if table.is_dir() else _from_table(table, task, task.columns, groups)
    frame = _with_box(_with_numbers(frame, task, table), task, table)
    missing = ~frame["path"].map(lambda p: Path(p).is_file())
    whole = _leave_out(frame, missing, table, "no such picture", list(frame.loc[missing, "image"]))
    return whole.reset_index(drop=True)


def to_predict(table: str | Path, task: Task) -> pd.DataFrame:
    """The pictures of a table, and their boxes where the task has them: `image`, `path`, its box as float.

    Labels need not be there. Raises ImgregError if the table cannot be read or lacks a column.
    """
    frame = _from_table(Path(table), task, [])
    return _with_box(frame, task, Path(table)).reset_index(drop=True)


def _from_table(table: Path, task: Task, columns: list[str], also: list[str] = ()) -> pd.DataFrame:
    """The rows that name a picture, with `columns`; those and what is wanted `also` must be there."""
    if not table.is_file():
        raise ImgregError("a labels table or a folder of pictures", f"no '{table}'")
    try:
        frame = _parse(table, ["image", "split", task.group]).reset_index(drop=True)
    except (ValueError, OSError, ImportError) as e:  # pandas' parse and decode errors are ValueErrors
        raise ImgregError("a labels table (CSV, TSV or Parquet)", f"'{table}': {e}") from e
    if task.group != "group" and task.group in frame:
        frame = frame.assign(group=frame[task.group])
    for column in ("image", *columns, *task.box, *also):
        if column not in frame:
            close = nearest(column, map(str, frame.columns))
            raise ImgregError(f"a column '{column}' in {table}", f"{some(frame.columns, 8)}", f"one of {close}")
    kept = list(dict.fromkeys(["image", *columns, *task.box, *(c for c in ("split", "group") if c in frame)]))
    nameless = frame["image"].isna()
    frame = _leave_out(frame[kept], nameless, table, "no picture named", _rows(nameless))
    names = [str(name) for name in frame["image"]]
    return frame.assign(image=names, path=[str(table.parent / name) for name in names])


def _parse(table: Path, names: list[str]) -> pd.DataFrame:
    """The table with the columns `names` as text: a group keeps its name, be it 007 or NA."""
    if table.suffix.lower() == ".parquet":
        frame = pd.read_parquet(table)
        return frame.astype({name: "string" for name in names if name in frame and name != "image"})
    # Only what is empty is missing; in the columns of numbers any other word is told apart later.
    return pd.read_csv(table, sep="\t" if table.suffix.lower() == ".tsv" else ",", dtype=dict.fromkeys(names, str),
                       keep_default_na=False, na_values={name: [""] for name in names})


def _from_names(folder: Path, task: Task) -> pd.DataFrame:
    if not task.name_pattern:
        raise ImgregError("a labels table", f"the folder '{folder}', and task '{task.name}' reads no file names",
                          f"imgreg data {task.name} --data {folder}, if these are such data")
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
    """The labels as float; what is no finite number is missing, and a row that has none for any target is left out."""
    values = frame[task.columns].apply(pd.to_numeric, errors="coerce").astype(float)
    values = values.where(np.isfinite(values))
    bad = pd.Series(True, frame.index)
    for t in task.targets:
        missing = values[list(t.columns)].isna()
        lacking = missing.any(axis=1)
        if lacking.any() and len(task.columns) > 1:
            n = int(lacking.sum())
            warn(f"{n} of {len(frame)} rows of {table} lack a value of {t.name}: {some(_rows(lacking))}")
        useless = missing.all(axis=1) if t.partial else lacking
        if useless.all() and len(task.targets) > 1:
            raise ImgregError(f"a value of {t.name} in a row of '{table}'", "none")
        bad &= useless
    return _leave_out(frame.assign(**{c: values[c] for c in task.columns}), bad, table, "no finite number", _rows(bad))


def _with_box(frame: pd.DataFrame, task: Task, table: Path) -> pd.DataFrame:
    """The box's columns as float; a row without a whole box is left out."""
    if not task.box:
        return frame
    box = frame[list(task.box)].apply(pd.to_numeric, errors="coerce").astype(float)
    sides = box[list(task.box[2:])]
    bad = ~(np.isfinite(box).all(axis=1) & (sides > 0).all(axis=1))
    return _leave_out(frame.assign(**{c: box[c] for c in task.box}), bad, table, "no whole box", _rows(bad))


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


def divide(frame: pd.DataFrame, cfg: TrainConfig) -> pd.DataFrame:
    """The frame with a `split` column: as `cfg` holds out, else its own where it has one, else drawn.

    No group is on both sides of what is held out or drawn; a row without a group is one of its own. Raises ImgregError
    for unknown parts, or when nothing is left to train on or to validate with.
    """
    kept = frame["split"].isin(("calibrate", "test")).sum() if "split" in frame else 0
    if kept and (cfg.hold_out or cfg.folds):
        say(f"the table's own split is not used: its {kept} rows of calibrate and test are trained on, too")
    if cfg.hold_out:
        frame = _held_out(frame, cfg.hold_out)
    elif cfg.folds:  # before the first fold is trained, only to know whether there are enough groups
        frame = frame.assign(split=np.where(_fold(frame, cfg) == (cfg.fold or 1), "valid", "train"))
    elif "split" in frame:
        unknown = sorted({str(part) for part in frame["split"]} - set(SPLITS))
        if unknown:
            raise ImgregError(f"a split column with {', '.join(SPLITS)}", some(unknown))
    else:
        units = _units(frame)
        names = np.random.default_rng(cfg.seed).permutation(np.sort(units.unique()))
        held = set(names[: max(1, round(len(names) * cfg.valid))])
        frame = frame.assign(split=np.where(units.isin(held), "valid", "train"))
    counts = frame["split"].value_counts()
    if counts.get("train", 0) < 2 or counts.get("valid", 0) < 1:
        found = f"{counts.get('train', 0)} and {counts.get('valid', 0)}"
        more = "rows whose split is train and valid" if "split" in frame else "more labelled pictures"
        raise ImgregError("at least 2 pictures to train on and 1 to validate with", found, more)
    return frame


def _held_out(frame: pd.DataFrame, names: tuple[str, ...]) -> pd.DataFrame:
    """The part valid is all of the groups called so, or whose pictures lie in folders called so."""
    units = _units(frame).astype(str)
    folders = frame["image"].map(lambda image: Path(image.replace("\\", "/")).parts[:-1])
    held = pd.Series(False, frame.index)
    for name in names:
        here = folders.map(lambda parts, name=name: name in parts) | (units == f"group {name}")
        if not here.any():
            known = sorted({u.removeprefix("group ") for u in units.unique() if u.startswith("group ")})
            raise ImgregError("--hold-out with a group, or a folder of pictures", f"'{name}'", nearest(name, known))
        held |= here
    beside = units.isin(units[held].unique()) & ~held
    if beside.any():
        say(f"held out as well: {int(beside.sum())} other pictures of {some(sorted(units[beside].unique()))}")
    return frame.assign(split=np.where(held | beside, "valid", "train"))


def _fold(frame: pd.DataFrame, cfg: TrainConfig) -> pd.Series:
    """The fold of each row, from 1: groups dealt out so that folds are about equally large; seeded."""
    sizes = _units(frame).value_counts()
    if len(sizes) < cfg.folds:
        raise ImgregError(f"at least {cfg.folds} groups of pictures for --folds {cfg.folds}", str(len(sizes)))
    order = np.random.default_rng(cfg.seed).permutation(np.sort(sizes.index))
    sizes, filled, fold = sizes[order].sort_values(ascending=False, kind="stable"), np.zeros(cfg.folds), {}
    for name, size in sizes.items():
        fold[name] = int(filled.argmin()) + 1
        filled[fold[name] - 1] += size
    return _units(frame).map(fold)


def unseen(frame: pd.DataFrame, trained: pd.DataFrame) -> pd.DataFrame:
    """The rows whose picture is not among those `trained` on, by file; says how many were. Raises if none is left."""
    seen = {Path(p).resolve() for p in trained["path"]}
    known = frame["path"].map(lambda p: Path(p).resolve() in seen)
    if known.all():
        raise ImgregError("pictures that the run was not trained on", f"{len(frame)} that it was", "other pictures")
    if known.any():
        warn(f"left out {int(known.sum())} of {len(frame)} pictures, because the run was trained on them")
    return frame[~known].reset_index(drop=True)


def _units(frame: pd.DataFrame) -> pd.Series:
    """What must not be on both sides of a split: the row's group, or the row where it has none."""
    if "group" not in frame:
        return frame.index.to_series()
    names = [f"row {i}" if pd.isna(name) else f"group {name}" for i, name in frame["group"].items()]
    return pd.Series(names, frame.index)
