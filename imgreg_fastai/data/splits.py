"""Dividing labelled pictures into parts: what belongs together never stands on both sides."""
import math

import numpy as np
import pandas as pd

from ..config import TrainConfig, fewest_to_calibrate
from ..tasks import Number, Task
from ..utils.console import say, warn
from ..utils.errors import ImgregError, close_matches, first_few
from .tables import files_exist, real_paths

SPLITS = ("train", "valid", "calibrate", "test")
CALIBRATE = 0.15  # the part of the training part that is kept for intervals unasked,
ENOUGH = 1000  # and how many pictures of it at most: with these 90 % come out within 1 %
FEWEST = {True: 9, False: 50}  # groups, or pictures without groups, that are worth keeping: 9 groups promise 90 %
STRATA = 10  # parts of a number's range, equally full, of which a share is drawn from each


def assign_splits(frame: pd.DataFrame, cfg: TrainConfig, task: Task | None = None) -> pd.DataFrame:
    """The frame with a `split` column: as `cfg` holds out, else its own where it has one, else drawn.

    No group, and no picture with several rows, is on two sides of what is held out or drawn. With `cfg.test` a part is
    kept apart before anything else. Drawn without groups for a `task` with one Number, each part has its share of small
    and large ones. Raises ImgregError for unknown parts, or when nothing is left to train on or to validate with.
    """
    test, own = getattr(cfg, "test", 0.0), "split" in frame
    if test and own:
        raise ImgregError("--test for a table that has no column 'split'", "one that has", "rows whose split is test")
    kept = frame["split"].isin(("calibrate", "test")).sum() if own else 0
    if kept and (cfg.hold_out or cfg.folds):
        say(f"the table's own split is not used: its {kept} rows of calibrate and test are trained on, too")
    if cfg.hold_out or cfg.folds or not own:
        frame = frame.assign(split=_parts(frame, cfg, test, task))
    elif unknown := sorted({str(part) for part in frame["split"].unique()} - set(SPLITS)):
        raise ImgregError(f"a split column with {', '.join(SPLITS)}", first_few(unknown))
    elif cfg.calibrate and (frame["split"] == "calibrate").any():
        raise ImgregError("--calibrate for a table that keeps no rows for it", "one that does", "no --calibrate")
    k, _ = calibration_size(frame, cfg)
    frame = _calibrating(frame, k, cfg, task) if k else frame
    counts = frame["split"].value_counts()
    if counts.get("train", 0) < 2 or counts.get("valid", 0) < 1:
        found = f"{counts.get('train', 0)} and {counts.get('valid', 0)}"
        more = "rows whose split is train and valid" if own else "more labelled pictures"
        raise ImgregError("at least 2 pictures to train on and 1 to validate with", found, more)
    return frame


def calibration_size(frame: pd.DataFrame, cfg: TrainConfig) -> tuple[int, str]:
    """How many groups (pictures, where there are no groups) of the training part to keep for intervals; if none, why.

    `frame`: with its split. None where the table keeps some of its own, where none is asked for, or where they would be
    too few; raises ImgregError if that was asked for by number.
    """
    if (frame["split"] == "calibrate").any() or cfg.calibrate == 0:
        return 0, ""
    trained = frame[frame["split"] == "train"]
    n, needed = split_units(trained).nunique(), fewest_to_calibrate(cfg.coverage)
    if cfg.calibrate and round(cfg.calibrate * len(trained)) < needed:
        raise ImgregError(f"--calibrate that keeps at least {needed} pictures, for intervals of {cfg.coverage:.0%}",
                          f"{cfg.calibrate:g} of {len(trained)}", "--calibrate 0 for none")
    if cfg.calibrate and n < 2:
        raise ImgregError("--calibrate with two groups or more to train on", str(n), "--calibrate 0 for none")
    if cfg.calibrate:
        return min(max(1, round(cfg.calibrate * n)), n - 1), ""
    what = "groups" if "group" in frame and n < len(trained) else "pictures"
    k, least = round(CALIBRATE * n), max(FEWEST[what == "groups"], needed)
    if n and k < least:
        keep = least if 2 * least <= n else max(k, 1) if what == "groups" else needed
        more = f"{math.ceil(100 * keep / n) / 100:g} keeps {keep}{'' if keep == least else ' all the same'}"
        return 0, (f"no intervals: {100 * CALIBRATE:g} % of {n} {what} to train on are fewer than the {least} that "
                   f"they take (--calibrate {more})")
    return (max(least, min(k, round(ENOUGH * n / len(trained)))), "") if n else (0, "")


def _calibrating(frame: pd.DataFrame, k: int, cfg: TrainConfig, task: Task | None) -> pd.DataFrame:
    """The frame with `k` units of its training part in the part calibrate."""
    own = split_units(frame)
    free, rng = own[frame["split"] == "train"], np.random.default_rng([cfg.seed, 1])
    drawn = _drawn(free, k, _values(frame, own, task), rng)
    taken = (frame["split"] == "train") & own.isin(drawn)
    return frame.assign(split=frame["split"].where(~taken, "calibrate"))


def _parts(frame: pd.DataFrame, cfg: TrainConfig, test: float, task: Task | None) -> np.ndarray:
    """The part of each row, drawn or held out: the test part first, though never of what is held out by name."""
    own, rng = split_units(frame), np.random.default_rng(cfg.seed)
    free = ~_held_out(frame, own, cfg.hold_out) if cfg.hold_out else pd.Series(True, frame.index)
    parts = pd.Series(np.where(free, "train", "valid"), frame.index, dtype=object)
    strata, n = _values(frame, own, task), own.nunique()
    if test:
        tested = own.isin(_drawn(own[free], max(1, round(n * test)), strata, rng))
        parts[tested], free = "test", free & ~tested
    if cfg.folds:  # before the first fold is trained, only to know whether there are enough groups
        parts[free & (_fold(own[free], cfg).reindex(frame.index) == (cfg.fold or 1))] = "valid"
    elif not cfg.hold_out:
        parts[free & own.isin(_drawn(own[free], max(1, round(n * cfg.valid)), strata, rng))] = "valid"
    return parts.to_numpy()


def _drawn(units: pd.Series, k: int, values: pd.Series | None, rng: np.random.Generator) -> np.ndarray:
    """`k` of the units at random; where they have `values`, as many from each tenth of them, within one."""
    names = np.sort(units.unique())
    n, k = len(names), min(k, len(names))
    if values is None or not n:
        return rng.permutation(names)[:k]
    shuffled = rng.permutation(names)  # so that equal values are in no order
    ranked = shuffled[np.argsort(values[shuffled].to_numpy(), kind="stable")]
    order = ranked[np.lexsort((rng.random(n), np.arange(n) * STRATA // n))]
    return order[np.diff(np.floor(np.arange(n + 1) * k / n + rng.random())) > 0]  # every n / k th, k in all


def _values(frame: pd.DataFrame, units: pd.Series, task: Task | None) -> pd.Series | None:
    """The number of each unit, where there are no groups and the task has one target, a Number."""
    if task is None or "group" in frame or len(task.targets) != 1 or task.targets[0].kind != Number.kind:
        return None
    return frame[task.columns[0]].groupby(units).mean()


def _held_out(frame: pd.DataFrame, units: pd.Series, names: tuple[str, ...]) -> pd.Series:
    """Whether each row is of the groups called so, or of those whose pictures lie in folders called so."""
    groups = frame["group"].where(frame["group"].isna(), frame["group"].astype(str)) if "group" in frame else None
    folders = frame["image"].str.replace("\\", "/", regex=False).str.rpartition("/")[0]
    parts = {folder: set(folder.split("/")) - {"", "."} for folder in folders.unique()}
    held = pd.Series(False, frame.index)
    for name in names:
        here = folders.isin([folder for folder in parts if name in parts[folder]])
        here |= (groups == name) if groups is not None else False
        if not here.any():
            known = sorted(groups.dropna().unique()) if groups is not None else []
            raise ImgregError("--hold-out with a group, or a folder of pictures", f"'{name}'", close_matches(name, known))
        held |= here
    beside = units.isin(units[held].unique()) & ~held
    if beside.any():
        say(f"held out as well: {int(beside.sum())} other pictures of {first_few(sorted(units[beside].unique()))}")
    return held | beside


def _fold(own: pd.Series, cfg: TrainConfig) -> pd.Series:
    """The fold of each row, from 1: groups dealt out so that folds are about equally large; seeded."""
    sizes = own.value_counts()
    if len(sizes) < cfg.folds:
        raise ImgregError(f"at least {cfg.folds} groups of pictures for --folds {cfg.folds}", str(len(sizes)))
    order = np.random.default_rng(cfg.seed).permutation(np.sort(sizes.index))
    sizes, filled, fold = sizes[order].sort_values(ascending=False, kind="stable"), np.zeros(cfg.folds), {}
    for name, size in sizes.items():
        fold[name] = int(filled.argmin()) + 1
        filled[fold[name] - 1] += size
    return own.map(fold)


def split_units(frame: pd.DataFrame) -> pd.Series:
    """What must not be on two sides of a split: the row's group, or its picture where it has none; [n] names."""
    units = frame.index.to_series()
    if "group" in frame:
        own = frame["group"].notna()
        units = ("row " + units.astype(str)).where(~own, "group " + frame["group"].astype(str)).astype(object)
    pictures = frame["path" if "path" in frame else "image"]
    return _together(units, pictures) if pictures.duplicated().any() else units


def _together(units: pd.Series, pictures: pd.Series) -> pd.Series:
    """The units, those that share a picture under the name of the first of them."""
    codes, names = pd.factorize(units)
    joined = pd.Series(codes, units.index)
    while True:
        first = joined.groupby(pictures).transform("min").groupby(codes).transform("min")
        if first.equals(joined):
            return pd.Series(names[joined.to_numpy()], units.index)
        joined = first


def exclude_trained(frame: pd.DataFrame, trained: pd.DataFrame) -> pd.DataFrame:
    """The rows whose picture is not among those `trained` on, by file; says how many were. Raises if none is left.

    Where a file that was trained on is no longer there, a picture of its name counts as the same: it may have moved.
    """
    known = real_paths(frame["path"]).isin(set(real_paths(trained["path"])))
    moved = trained.loc[~files_exist(trained["path"]), "image"]
    known |= frame["image"].isin(set(moved))
    if known.all():
        raise ImgregError("pictures that the run was not trained on", f"{len(frame)} that it was", "other pictures")
    if known.any():
        warn(f"left out {int(known.sum())} of {len(frame)} pictures, because the run was trained or calibrated on them")
    return frame[~known].reset_index(drop=True)
