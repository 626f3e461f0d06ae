"""Splits: what belongs together never stands in two parts."""
import math

import numpy as np
import pandas as pd

from ..config import FEW_GROUPS, MANY_GROUPS, TrainConfig, fewest_to_calibrate
from ..tasks import Task
from ..utils.messages import ImgregError, close_matches, first_few, say
from .kept_parts import check_freshness, kept_parts, natural_order, split_name, touches

SPLITS = ("train", "valid", "calibrate", "test")
MIN_ROWS = 10  # fewer rows are too few to train and to score with
MIN_ROWS_OF_SPLIT = {"train": 2, "valid": 1}
CALIBRATE_SHARE = 0.15  # the share of the training part that is kept for intervals by default
MAX_CALIBRATE = 1000  # images kept for intervals by default: with these, 90 % intervals cover 90 % within 1 %
MIN_CALIBRATE = 50  # images without groups: fewer are not worth keeping
STRATA = 10  # equally full parts of a number's range, from each of which a share is drawn


def uses_table_split(frame: pd.DataFrame, cfg: TrainConfig) -> bool:
    """Tell whether a training uses the split of its table: there is one, and no groups or folds are held out instead.

    Args:
        frame: Rows of a labels table.
        cfg: The training's settings.
    """
    return "split" in frame and not cfg.hold_out and not cfg.folds


def check_split_sizes(n_train: int, n_valid: int, hint: str | None = None) -> None:
    """Raise ImgregError if there are too few images to train on or to validate with.

    Args:
        n_train: Number of images in the training part.
        n_valid: Number of images in the validation part.
        hint: What to do about it.
    """
    least = MIN_ROWS_OF_SPLIT
    if n_train < least["train"] or n_valid < least["valid"]:
        raise ImgregError(f"at least {least['train']} images to train on and {least['valid']} to validate with",
                          f"{n_train} and {n_valid}", hint)


def too_few_images(n: int) -> str:
    """Say that broken images leave too few rows."""
    return f"only {n} rows whose image can be used, fewer than {MIN_ROWS}"


def assign_splits(frame: pd.DataFrame, cfg: TrainConfig, task: Task | None = None,
                  old_parts: pd.Series | None = None) -> pd.DataFrame:
    """Assign each row to a part: train, valid, calibrate or test.

    Groups or folds that `cfg` holds out come first, then the table's own split, else the parts are drawn. No group and
    no image with several rows is in two parts of what is held out or drawn. Without groups and with one number to
    predict, small and large numbers have their share of each part. Where the table's split has rows to train on and
    none to validate with, these are drawn.

    Args:
        frame: Rows of a labels table: `image`, `path`, labels and optionally `group`, `split` and `fold`.
        cfg: The training's settings.
        task: The task, for the strata of its number.
        old_parts: The part in which the run that a training goes on from had each row, NaN for new ones. Where parts
            are drawn, they keep it, and so do the rows of their group.

    Returns:
        The frame with the column `split`.

    Raises:
        ImgregError: A part has an unknown name, too few images are left to train on or to validate with, or an image
            would be held out that the earlier run has used.
    """
    has_split, column = "split" in frame, split_name(frame)
    old_parts = pd.Series(None, frame.index, dtype=object) if old_parts is None else old_parts.reindex(frame.index)
    if cfg.test and has_split:
        raise ImgregError(f"--test for a table that has no column '{column}'", "one that has",
                          "rows whose split is test, or --split-col none")
    if not uses_table_split(frame, cfg):
        unused = frame["split"].isin(("calibrate", "test")).sum() if has_split else 0
        if unused:
            say(f"the table's own split is not used: its {unused} rows of calibrate and test are trained on, too")
        frame = frame.assign(split=_draw_splits(frame, cfg, task, old_parts))
    elif unknown := sorted({str(part) for part in frame["split"].unique()} - set(SPLITS)):
        raise ImgregError(f"a column '{column}' with {', '.join(SPLITS)}", first_few(unknown), "--split-col none")
    elif cfg.calibrate and (frame["split"] == "calibrate").any():
        raise ImgregError("--calibrate for a table that keeps no rows for it", "one that does", "no --calibrate")
    elif not (frame["split"] == "valid").any():
        frame = frame.assign(split=_draw_valid_part(frame, cfg, task, old_parts))
    check_freshness(frame, cfg, old_parts)
    k, _ = calibration_size(frame, cfg, old_parts)
    if k:
        units, training = split_units(frame), frame["split"] == "train"
        candidates = units[training & ~touches(units, old_parts.notna())]  # the earlier run has seen the others
        drawn = _draw(frame, candidates, k, task, np.random.default_rng([cfg.seed, 1]))
        frame = frame.assign(split=frame["split"].mask(training & units.isin(drawn), "calibrate"))
    counts = frame["split"].value_counts()
    hint = f"rows of train and valid in '{column}', or --split-col none" if has_split else "more labelled images"
    if old_parts.notna().any() and not counts.get("valid", 0):
        hint = f"images that {cfg.weights} was not trained on"
    check_split_sizes(counts.get("train", 0), counts.get("valid", 0), hint)
    return frame


def _draw_valid_part(frame: pd.DataFrame, cfg: TrainConfig, task: Task | None, old_parts: pd.Series) -> pd.Series:
    """Draw the validation part out of the training part of a table's own split; rows that a run knows keep theirs."""
    parts, training = frame["split"], frame["split"] == "train"
    if not training.any():
        return parts
    units = split_units(frame)
    parts_kept = kept_parts(frame, units, old_parts.where(old_parts == "valid"), cfg)
    free = training & parts_kept.isna() & ~touches(units, old_parts.notna() | ~training)
    k = round(units[free].nunique() * cfg.valid)
    k = k if parts_kept.notna().any() else max(1, k)
    drawn = _draw(frame, units[free], k, task, np.random.default_rng(cfg.seed))
    parts = parts.mask(training & (units.isin(drawn) | parts_kept.notna()), "valid")
    n, noun = (parts == "valid").sum(), "whole groups" if "group" in frame else "images"
    if n:
        say(f"the split '{split_name(frame)}' has no validation part: {n} of its {training.sum()} training images are "
            f"drawn for it, by {noun} (--valid changes their share)")
    return parts


def calibration_size(frame: pd.DataFrame, cfg: TrainConfig, old_parts: pd.Series | None = None) -> tuple[int, str]:
    """Compute how many groups (or images without groups) of the training part are kept for intervals.

    Args:
        frame: Rows with their split.
        cfg: The training's settings.
        old_parts: As for assign_splits: intervals need images that the earlier run has not seen.

    Returns:
        The number of groups or images, and if it is 0 for lack of images, the reason. It is 0 without a reason where
        the table keeps rows of its own, where `cfg` wants none, or where the groups of the validation part calibrate.

    Raises:
        ImgregError: `cfg` asks for a share that is too small to calibrate with.
    """
    if (frame["split"] == "calibrate").any() or cfg.calibrate == 0:
        return 0, ""
    training_part, new = frame[frame["split"] == "train"], ""
    if old_parts is not None and old_parts.notna().any():
        units, new = split_units(frame), "new "
        training_part = training_part[~touches(units, old_parts.reindex(frame.index).notna())[training_part.index]]
    n, min_promised = split_units(training_part).nunique(), fewest_to_calibrate(cfg.coverage)
    if cfg.calibrate:
        if round(cfg.calibrate * len(training_part)) < min_promised:
            raise ImgregError(
                f"--calibrate that keeps at least {min_promised} images, for intervals of {cfg.coverage:.0%}",
                f"{cfg.calibrate:g} of {len(training_part)}{f' {new}ones' if new else ''}", "--calibrate 0 for none")
        if n < 2:
            raise ImgregError("--calibrate with two groups or more to train on", str(n), "--calibrate 0 for none")
        return min(max(1, round(cfg.calibrate * n)), n - 1), ""
    k = round(CALIBRATE_SHARE * n)
    if "group" in frame and n < len(training_part):
        # Few groups are better trained on, if there are others that calibrate, see calibrating_parts.
        n_valid = split_units(frame[frame["split"] == "valid"]).nunique()
        least = MANY_GROUPS if n_valid >= FEW_GROUPS else max(FEW_GROUPS, min_promised)
        return (min(k, max(least, round(MAX_CALIBRATE * n / len(training_part)))) if k >= least else 0), ""
    least = max(MIN_CALIBRATE, min_promised)
    if k >= least or not n:
        return min(k, max(least, MAX_CALIBRATE)), ""
    return 0, _why_none_kept(n, k, least, min_promised, new)


def _why_none_kept(n: int, k: int, least: int, min_promised: int, new: str) -> str:
    """Say why none of n training images are kept for intervals, and which share would keep some.

    Args:
        n: Number of training images.
        k: How many would be kept by default.
        least: How many there should be.
        min_promised: How many there must be.
        new: "new " where only those count that an earlier run has not seen.
    """
    reason = (f"no intervals: they need {least} images kept from training, and {100 * CALIBRATE_SHARE:g} % of "
              f"the {n} {new}training images are only {k}")
    fewer, caution = (least, "") if n >= 2 * least else (min_promised, ", for less reliable ones")
    share = math.ceil(100 * fewer / n) / 100
    if share == CALIBRATE_SHARE:  # which reads as if nothing was to be changed
        fewer += 1
        share = math.ceil(100 * fewer / n) / 100
    if n - fewer < MIN_ROWS_OF_SPLIT["train"] or share >= 1:  # no share is enough and leaves something to train on
        return reason
    return f"{reason}; --calibrate {share:g} keeps {fewer}{caution}"


def calibrating_parts(frame: pd.DataFrame, cfg: TrainConfig) -> tuple[str, ...]:
    """Return the parts whose images tell how wide intervals are.

    Where fewer than MANY_GROUPS groups are kept for it, the validation part calibrates, too: more groups tell more of
    new ones. Its errors are a little smaller than those on new images, as a training chooses its epoch by them.

    Args:
        frame: Rows with their split.
        cfg: The training's settings.

    Returns:
        Out of calibrate and valid; () where there are to be no intervals.
    """
    kept = frame[frame["split"] == "calibrate"]
    if cfg.calibrate == 0:
        return ()
    own = ("calibrate",) if len(kept) else ()
    has_groups = "group" in frame and split_units(frame).nunique() < len(frame)
    if has_groups and split_units(kept).nunique() < MANY_GROUPS and (frame["split"] == "valid").any():
        return (*own, "valid")
    return own


def _draw_splits(frame: pd.DataFrame, cfg: TrainConfig, task: Task | None, old_parts: pd.Series) -> pd.Series:
    """Draw the part of each row: first what is held out by name, then the test part, then a fold or the valid part.

    Folds are those of the table, or hold whole units, are about equally large, and are drawn by the seed.
    """
    if cfg.folds and "fold" in frame:
        return _table_fold(frame["fold"], (cfg.fold or 1) - 1)
    units, rng = split_units(frame), np.random.default_rng(cfg.seed)
    parts = pd.Series(None, frame.index, dtype=object)
    if cfg.hold_out:
        parts[_held_out(frame, units, cfg.hold_out)] = "valid"
    elif not cfg.folds:
        parts = kept_parts(frame, units, old_parts, cfg)
    free = parts.isna()
    n = units.nunique() if cfg.hold_out else units[free].nunique()
    parts = parts.where(~free, "train")
    if cfg.test:
        in_test = free & units.isin(_draw(frame, units[free], max(1, round(n * cfg.test)), task, rng))
        parts[in_test], free = "test", free & ~in_test
    if cfg.folds:
        from sklearn.model_selection import GroupKFold

        codes, names = pd.factorize(units[free], sort=True)
        if len(names) < int(cfg.folds):
            raise ImgregError(f"at least {cfg.folds} groups of images for --folds {cfg.folds}", str(len(names)))
        # GroupKFold's own shuffle makes folds of equally many groups, whatever the sizes of these.
        groups = np.random.default_rng(cfg.seed).permutation(len(names))[codes]
        folds = [rows for _, rows in GroupKFold(int(cfg.folds)).split(groups, groups=groups)]
        # Without a fold the first is checked: whether there are enough groups.
        parts[units[free].index[folds[(cfg.fold or 1) - 1]]] = "valid"
    elif not cfg.hold_out:
        least = 0 if (parts == "valid").any() else 1
        parts[free & units.isin(_draw(frame, units[free], max(least, round(n * cfg.valid)), task, rng))] = "valid"
    return parts


def _table_fold(folds: pd.Series, i: int) -> pd.Series:
    """Return the parts where the table's fold `i`, from 0, is held out."""
    if folds.isna().any():
        raise ImgregError("a fold in every row, for --folds", f"none in {folds.isna().sum()} of {len(folds)} rows",
                          "those cells filled, or a number of --folds")
    names = natural_order(folds)
    return (folds == names[i]).map({True: "valid", False: "train"}).astype(object)


def _draw(frame: pd.DataFrame, units: pd.Series, k: int, task: Task | None, rng: np.random.Generator) -> np.ndarray:
    """Draw `k` of the units at random; where one number is predicted, and without groups, as many from each tenth."""
    names = rng.permutation(np.sort(units.unique()))
    n, k = len(names), min(k, len(names))
    if not n or task is None or "group" in frame or len(task.targets) > 1 or not task.targets[0].scalar:
        return names[:k]
    values = frame[task.columns[0]].groupby(units).mean()[names].to_numpy()
    ranked = names[np.argsort(values, kind="stable")]  # names are shuffled: ties are in no order
    by_stratum = ranked[np.lexsort((rng.random(n), np.arange(n) * STRATA // n))]
    return by_stratum[np.diff(np.floor(np.arange(n + 1) * k / n + rng.random())) > 0]  # every n / k th, k in all


def _held_out(frame: pd.DataFrame, units: pd.Series, names: tuple[str, ...]) -> pd.Series:
    """Tell which rows are of the groups with these `names`, or have their images in folders with these names."""
    folders = frame["image"].str.replace("\\", "/", regex=False).str.rpartition("/")[0].str.split("/")
    groups = frame.get("group", pd.Series(None, frame.index, dtype=object)).map(str, na_action="ignore")
    held_out = pd.Series(False, frame.index)
    for name in names:
        matches = (groups == name) | folders.map(lambda parts, name=name: name in parts and name not in ("", "."))
        if not matches.any():
            raise ImgregError("--hold-out with a group, or a folder of images", f"'{name}'",
                              close_matches(name, sorted(groups.dropna().unique())))
        held_out |= matches
    others = units.isin(units[held_out].unique()) & ~held_out
    if others.any():
        say(f"held out as well: {others.sum()} other images of {first_few(sorted(units[others].unique()))}")
    return held_out | others


def split_units(frame: pd.DataFrame) -> pd.Series:
    """Name what must not stand in two parts of a split: the row's group, or its image where it has none.

    Args:
        frame: Rows with `image` or `path`, and optionally `group`.

    Returns:
        A name for each row; groups that share an image have one name.
    """
    units = frame.index.to_series()
    if "group" in frame:
        no_group = frame["group"].isna()
        units = ("group " + frame["group"].astype(str)).astype(object).mask(no_group, "row " + units.astype(str))
    images = frame["path" if "path" in frame else "image"]
    if not images.duplicated().any():
        return units
    unit_codes, image_codes = pd.factorize(units)[0], pd.factorize(images)[0]
    links = np.stack([unit_codes, unit_codes.max() + 1 + image_codes], axis=1)
    return units.groupby(connected_groups(links, int(links.max()) + 1)[unit_codes]).transform("first")


def connected_groups(pairs: np.ndarray, n: int) -> np.ndarray:
    """Number the groups among `n` things, of which those in a pair are in one group.

    Args:
        pairs: Indices, int [m, 2].
        n: Number of things.

    Returns:
        The number of each thing's group, int [n].
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return connected_components(links, directed=False)[1]
