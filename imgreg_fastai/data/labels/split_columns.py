"""Which column of a table is its split, and which its folds: by names and words, as people and programs write them."""
import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from ...config import TrainConfig
from ...tasks import Task
from ...utils.messages import ImgregError, first_few, say
from ..infer_targets import name_words
from ..splits import SPLITS
from ..tables import Table, existing_column
from .fold_columns import cell_texts, choose_folds, fold_columns

NAMES = {"split", "splits", "subset", "subsets", "partition", "partitions", "usage", "phase", "set", "part",
         "datasplit", "dataset", "datasubset"}
SURE_NAMES = {"split", "splits", "subset", "partition", "datasplit"}  # so that 0, 1 and 2 may be parts
FILLERS = {"is", "in", "for", "as", "use", "used", "set", "split", "part", "subset", "sample", "image", "data", "flag"}
PART_WORDS = {"train": ("train", "training", "trn"), "calibrate": ("calibrate", "calibration", "calib"),
              "valid": ("valid", "val", "validation", "validate", "dev", "eval", "evaluation"),
              "test": ("test", "testing", "tst", "holdout", "heldout")}
PART_OF = {word: part for part, words in PART_WORDS.items() for word in words}
FER = ("publictest", "privatetest")  # of FER2013: the first validates where there are both
YES, NO = {"1", "true", "yes", "y", "t", "x"}, {"0", "false", "no", "n", "f"}
NUMBERS = ({"0": "train", "1": "valid", "2": "test"}, {"1": "train", "2": "valid", "3": "test"})  # CelebA, MatConvNet
MAX_VALUES = 30  # a column of more different values is no split
ALL_BUT_SLIPS = 0.9  # so many cells are parts in a split: the others are slips, and stop the training


class SplitColumn(NamedTuple):
    """A column that is a split, or looks like one.

    Args:
        name: Its name.
        parts: The part of each row; the cell where it is no part, NaN where that is empty.
        text: The parts as a message counts them: "45 train (0), 15 valid (1)".
        flag: The part that a column of yes and no is about; "" of other columns.
        why_not: Why it is not used; "": it may be.
    """

    name: str
    parts: pd.Series
    text: str
    flag: str = ""
    why_not: str = ""


def read_division(frame: pd.DataFrame, task: Task, image: str, table: Table, cfg: TrainConfig) -> pd.DataFrame:
    """Read the split of a table, and its folds where a training asks for them; say which columns are used, and how.

    Args:
        frame: The whole table.
        task: What its columns mean; `split_col` names the split, "none" takes none.
        image: The column that names the images.
        table: The table's path, for messages.
        cfg: The training's settings: its folds, or that it uses no split.

    Returns:
        The columns `split`, in the words of SPLITS where they are parts, and `fold`, texts, each where there is one;
        `attrs["split_col"]` is what the table calls its split.

    Raises:
        ImgregError: A column that is asked for is missing or no such column, or two columns contradict each other.
    """
    used = {image, *task.columns, *task.box, task.group, task.row_weight} - {"split"}
    division = pd.DataFrame(index=frame.index)
    fold = choose_folds(frame, cfg, used, table)
    if fold is not None:
        division["fold"] = fold
    if task.split_col != "none":
        split = _choose_split(frame, task.split_col, used, table, quiet=bool(cfg.hold_out or cfg.folds))
        if split is not None:
            division["split"] = split.parts
            division.attrs["split_col"] = split.name
    return division


def dividing_columns(frame: pd.DataFrame, used: Iterable[str] = ()) -> list[str]:
    """Name the columns that are, or look like, a split or folds, and so no labels.

    Args:
        frame: A table, or its beginning.
        used: Columns that have another use.
    """
    return [split.name for split in _find_splits(frame, used)] + fold_columns(frame, used)


def _choose_split(frame: pd.DataFrame, name: str, used: Iterable[str], table: Table, quiet: bool) -> SplitColumn | None:
    """Choose the split of a table, and say so unless it is `split` in our own words; say what only looks like one."""
    if name:
        name = existing_column(frame, name, "--split-col", table)
        split: SplitColumn | None = _read_column(frame, name, by_user=True)
    else:
        candidates = _find_splits(frame, used)
        usable = [candidate for candidate in candidates if not candidate.why_not]
        if quiet:  # groups or folds are held out instead, which is said where there is something to lose
            return usable[0] if usable else None
        split = _agreed(usable, table) if usable else None
        if split is None and candidates:
            say(f"the column '{candidates[0].name}' of {table} looks like a split and is not used: "
                f"{candidates[0].why_not} (--split-col {candidates[0].name} uses it)")
    plain = split is None or (split.name == "split" and split.parts.isin(SPLITS).all() and "(" not in split.text)
    if split is not None and not plain and not quiet and split.parts.isin(SPLITS).any():
        others = "" if name else "--split-col NAME takes another column, "
        say(f"the split is the column '{split.name}' of {table}: {split.text} ({others}--split-col none draws it)")
    return split


def _find_splits(frame: pd.DataFrame, used: Iterable[str]) -> list[SplitColumn]:
    """Find the columns that are splits, or look like one, in the order of the table."""
    columns = [name for name in frame.columns if name not in {*used} and name != ""]
    return [split for split in (_read_column(frame, name) for name in columns) if split is not None]


def _read_column(frame: pd.DataFrame, name: str, by_user: bool = False) -> SplitColumn | None:
    """Read a column as a split, by its name and its words; None if it is none, or not one that was asked for."""
    words = name_words(name)
    flag = _flag_part(words)
    fits = by_user or bool(flag or NAMES.intersection((*words, "".join(words))))
    column = frame[name]
    if not fits and not PART_OF.keys() >= set(_plain_words(column[column.notna()].head(20)).dropna()):
        return None
    cells = _plain_words(column)
    values = set(cells.dropna().unique())
    if not values or (len(values) > MAX_VALUES and not by_user and name != "split"):
        return None
    if flag and values <= YES | NO:
        return _read_flag(name, cells, flag, bare=len(words) == 1 and not by_user)
    part_of = next((part_of for part_of in NUMBERS if next(iter(part_of)) in values <= {*part_of}), {})
    if by_user and values <= YES | NO:  # yes: it is held out
        part_of = {**dict.fromkeys(NO, "train"), **dict.fromkeys(YES, "valid")}
    if part_of and by_user:
        return SplitColumn(name, cells.map(part_of), _count(cells.map(part_of), column))
    sure = bool(SURE_NAMES & {*words})
    if part_of and len(values) > 1 and (sure or "".join(words) in NAMES):
        return _read_numbers(name, column, cells, part_of, sure)
    return _read_words(name, column, cells, fits, by_user or name == "split")


def _plain_words(column: pd.Series) -> pd.Series:
    """Write cells in lower case, without blanks and marks and without the word set: "Public Test" as publictest."""
    texts = column.astype(object).map(str, na_action="ignore")
    codes, values = pd.factorize(texts)
    plain = [re.sub(r"[\W_]", "", re.sub(r"\.0+$", "", value.strip())).lower() for value in values]
    plain = [word.removesuffix("set") or word for word in plain]
    return pd.Series(np.array([*(word or None for word in plain), None], object)[codes], column.index, dtype=object)


def _flag_part(words: list[str]) -> str:
    """Return the part that a column of yes and no is about, by the words of its name: valid of is_valid; "": none."""
    rest = "".join(word for word in words if word not in FILLERS)
    return PART_OF.get(rest) or PART_OF.get(rest.removeprefix("is"), "")


def _read_flag(name: str, cells: pd.Series, flag: str, bare: bool) -> SplitColumn | None:
    """Read a column of yes and no; an empty cell is a no where there is no other."""
    values = set(cells.dropna())
    if values <= YES:
        cells = cells.fillna("0")
    other = "valid" if flag == "train" else "train"
    parts = cells.map({**dict.fromkeys(YES, flag), **dict.fromkeys(NO, other)})
    n_train, why_not = int((parts == "train").sum()), ""
    if bare and parts.nunique() < 2:
        return None
    if not cells.isin(YES).any():
        why_not = "it says no in every row"
    elif (bare or flag == "valid") and n_train < len(parts) / 2:  # `valid` may mean that a row is right
        why_not = f"only {n_train} of {len(parts)} rows would be trained on"
    return SplitColumn(name, parts, _count(parts), flag, why_not)


def _read_numbers(name: str, column: pd.Series, cells: pd.Series, part_of: dict[str, str],
                  sure: bool) -> SplitColumn | None:
    """Read 0, 1 and 2, or 1, 2 and 3, as train, valid and test, where the first is the most frequent."""
    parts, first = cells.map(part_of), next(iter(part_of))
    text = _count(parts, column)
    if not sure:
        why_not = f"by its name it may be something else; {text}"
        return SplitColumn(name, parts, text, why_not=why_not) if (cells == first).mean() > 0.5 else None
    if cells.value_counts().index[0] == first:
        return SplitColumn(name, parts, text)
    if name == "split":  # it decides everything; what it says is to be asked for
        return SplitColumn(name, column.map(str, na_action="ignore"), "")
    why_not = f"if {first} is train, only {(cells == first).sum()} of {len(parts)} rows are trained on"
    return SplitColumn(name, parts, text, why_not=why_not)


def _read_words(name: str, column: pd.Series, cells: pd.Series, fits: bool, by_user: bool) -> SplitColumn | None:
    """Read words as parts; slips stay as they are."""
    values, part_of = set(cells.dropna()), dict(PART_OF)
    both = {*FER} <= values and not values & {*PART_WORDS["valid"]}
    part_of |= {FER[0]: "valid" if both else "test", FER[1]: "test"}
    parts, n = cells.map(part_of), cells.notna().sum()
    share = parts.notna().sum() / n
    why_not = ""
    if not by_user and share < ALL_BUT_SLIPS:
        if not fits or share < 0.5:
            return None
        others = cells.notna() & parts.isna()
        why_not = f"{others.sum()} of {n} cells are no parts, such as '{column[others].iloc[0]}'"
    elif not fits:
        if parts.nunique() < 2 or "train" not in set(parts):
            return None
        why_not = f"by its name it may be something else; {_count(parts, column)}"
    return SplitColumn(name, parts.fillna(column), _count(parts, column), why_not=why_not)


def _count(parts: pd.Series, column: pd.Series | None = None) -> str:
    """Count the rows of each part, and say what the table calls it where that is another word."""
    counts, texts = parts.value_counts(), []
    for part in SPLITS:
        if part in counts:
            words = [] if column is None else [*cell_texts(column[parts == part]).unique()]
            texts.append(f"{counts[part]:,} {part}" + (f" ({first_few(words)})" if words and words != [part] else ""))
    return ", ".join(texts)


# ---- several columns


def _agreed(candidates: list[SplitColumn], table: Table) -> SplitColumn:
    """Join columns of yes and no to one split, and choose among splits that agree.

    Raises:
        ImgregError: Two of them contradict each other.
    """
    flags = [split for split in candidates if split.flag]
    others = sorted((split for split in candidates if not split.flag), key=lambda split: split.name != "split")
    if not others:
        return _joined(flags, table)
    split_column = others[0]
    for other in (*others[1:], *flags):
        expected = split_column.parts
        if other.flag:  # is_valid, beside train, valid and test, only says who validates
            rest = "valid" if other.flag == "train" else "train"
            expected = expected.where(expected.isna() | (expected == other.flag), rest)
        _check_agreement(split_column.name, other.name, expected, other.parts, table)
    return split_column


def _joined(flags: list[SplitColumn], table: Table) -> SplitColumn:
    """Join columns of yes and no: a row that is in none of their parts is in the first part that none is about."""
    first = flags[0]
    if len(flags) == 1:
        return first
    rest = next((part for part in ("train", "valid", "test") if part not in {split.flag for split in flags}), None)
    parts = pd.Series(rest, first.parts.index, dtype=object)
    for i, split in enumerate(flags):
        says_yes = split.parts == split.flag
        for other in flags[:i]:
            both = says_yes & (other.parts == other.flag) & (split.flag != other.flag)
            _check_agreement(other.name, split.name, other.parts[both], split.parts[both], table)
        parts = parts.mask(says_yes, split.flag)
    parts = parts.mask(pd.concat([split.parts.isna() for split in flags], axis=1).any(axis=1), np.nan)
    return SplitColumn(", ".join(split.name for split in flags), parts, _count(parts), first.flag)


def _check_agreement(name: str, other: str, parts: pd.Series, other_parts: pd.Series, table: Table) -> None:
    """Raise ImgregError if two columns put a row into two parts."""
    differ = np.flatnonzero(parts.notna() & other_parts.notna() & (parts != other_parts))
    if len(differ):
        row, pair = parts.index[differ[0]] + 2, f"{parts.iloc[differ[0]]} and {other_parts.iloc[differ[0]]}"
        hints = [f"--split-col '{column}'" for column in (name, other) if ", " not in column]
        raise ImgregError(f"one split in {table}", f"the columns '{name}' and '{other}', which differ in {len(differ)} "
                          f"rows (row {row}: {pair})", f"{', '.join(hints)} or --split-col none")
