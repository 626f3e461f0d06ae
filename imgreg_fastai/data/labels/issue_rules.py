"""The issues of labelled rows that show without opening an image."""
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pandas as pd

from ...config import TrainConfig
from ...tasks import Target, Task
from ...tasks.outliers import MIN_VALUES
from ...utils.messages import ImgregError, first_few, shorten
from ..issues import Issue
from ..kept_parts import split_name
from ..splits import MIN_ROWS, MIN_ROWS_OF_SPLIT, SPLITS, uses_table_split
from ..tables import Table, absent_hint, real_paths
from .filtering import REASONS, drop_unusable
from .fold_columns import MAX_FOLDS

Rows: TypeAlias = np.ndarray | pd.Series | pd.Index
MAX_WORDS = 0.1  # of a target's cells with anything in them; more that are no numbers stop a training
MISSING, WORD, INFINITE, NO_LABEL = 1, 2, 3, 4  # states of a label that cannot be learnt; 0 where it can
# The code of the issue, and what it says.
STATES = {WORD: ("word", "no number in"), INFINITE: ("infinite", "an infinite number in"),
          MISSING: ("missing", "no value in"), NO_LABEL: ("void", "numbers that stand for no label in")}


@dataclass(frozen=True)
class LabelTable:
    """A labels table as it was read, before any row is left out.

    Attributes:
        task: What its columns mean.
        path: The table, or the folder whose names hold the labels.
        frame: All rows: `image`, labels and box as float, `split` and `group` where there are any, `path`; and `row`,
            the number as an editor counts it (of a folder the place in its sorted list), `usable`, and `why` not.
        reasons: For each reason to leave rows out, which rows it holds for, bool [n].
        states: What each label is, int8 [n, the task's columns].
        raw: The labels as they stand in the table.
        images: The folder that names of images are relative to, if the user has named it.
        positions: The columns of points and box as float, in the table's own unit and format; in `frame` in pixels.
        headers: Sizes of the images, see headers.read_headers, where they had to be read for that.
    """

    task: Task
    path: Table
    frame: pd.DataFrame
    reasons: dict[str, np.ndarray]
    states: np.ndarray
    raw: pd.DataFrame
    images: str | Path | None = None
    positions: pd.DataFrame = field(default_factory=pd.DataFrame)
    headers: pd.DataFrame | None = None

    def usable(self) -> pd.DataFrame:
        """Return the rows that can be used; warn of the others, and of labels that are missing.

        Raises:
            ImgregError: No row is usable, or a target has no value in any row.
        """
        return drop_unusable(self.frame, self.path, self.task, self.images)

    def row_names(self, index: pd.Index, column: str = "") -> pd.Series:
        """Name rows: a table's by their numbers, a folder's, which has no row numbers, by their images.

        Args:
            index: Index of the rows in `frame`.
            column: A column whose values are shown beside the numbers.
        """
        rows = self.frame.loc[index]
        if self.path.is_dir():
            return rows["image"].astype(str)
        names = "row " + rows["row"].astype(str)
        if column:
            values = (self.raw if column in self.raw else self.frame).loc[index, column]
            names += " '" + values.astype(object).fillna("").astype(str) + "'"
        return names

    def issue(self, code: str, level: str, text: str, hint: str = "", rows: Rows | None = None, column: str = "",
              names: pd.Series | None = None) -> list[Issue]:
        """Make an Issue of some rows, or of the table as a whole.

        Args:
            code, level, text, hint: See Issue.
            rows: The rows that have the issue, bool [n] or their index in `frame`; None: the table as a whole.
            column: A column whose values are shown beside the numbers of rows.
            names: What the rows are called, else by `row_names`.

        Returns:
            A list of one Issue; empty if no row has it.
        """
        if rows is None:
            return [Issue(code, level, (), len(self.frame), text, hint)]
        numbers = self.frame["row"].loc[rows]
        if names is None and (column or self.path.is_dir()):
            names = self.row_names(numbers.index, column)
        shown = () if names is None else tuple(names)
        issue = Issue(code, level, tuple(numbers.tolist()), len(self.frame), text, hint, shown)
        return [issue] if issue.rows else []


def label_issues(table: LabelTable, cfg: TrainConfig | None = None) -> list[Issue]:
    """Find all issues that show without opening an image.

    Codes: unlabelled, unnamed, word, infinite, missing, void, target, box, flat, absent, broken, few, those of
    Target.impossible and Target.outliers, repeated, contradicting, split, part, leak, group, constant.

    Args:
        table: The labels table.
        cfg: The training's settings; the split of the table has no issues where they do not use it.
    """
    issues, reasons = [], table.reasons
    for target in table.task.targets:
        issues += _state_issues(table, target)
    for reason in ("unlabelled", "unnamed", "box", "flat", "absent", "broken"):
        column = "image" if reason in ("absent", "broken") else ""
        issues += table.issue(reason, "leave out", REASONS[reason], rows=reasons[reason], column=column)
    n = int(table.frame["usable"].sum())
    if n < MIN_ROWS:
        text = f"only {n} usable rows, fewer than {MIN_ROWS}" if n else "no usable row"
        most_absent = reasons["absent"].sum() > len(table.frame) / 2
        hint = "label more images"
        if most_absent:
            hint = absent_hint(table.frame["image"][reasons["absent"]], table.path, table.images)
        issues += table.issue("few", "stop", text, hint)
    issues += [*_outlier_issues(table), *_repetition_issues(table)]
    if uses_table_split(table.frame, cfg or TrainConfig()):
        issues += _split_issues(table)
    elif "fold" in table.frame:
        issues += _fold_issues(table)
    return issues + _constant_issues(table)


def _state_issues(table: LabelTable, target: Target) -> list[Issue]:
    """Find labels of a target that are not finite numbers."""
    states = table.states[:, [table.task.columns.index(column) for column in target.columns]]
    named = ~(table.reasons["unnamed"] | table.reasons["unlabelled"])
    issues, left_out = [], table.reasons["number"]
    for state, (code, text) in STATES.items():
        cells = (states == state) & named[:, None]
        if not cells.any():
            continue
        rows = cells.any(axis=1)
        text += f" {first_few(np.array(target.columns)[cells.any(axis=0)], 3)}"
        if state in (WORD, NO_LABEL):
            row, column = np.argwhere(cells)[0]
            text += f", such as {str(table.raw[target.columns[column]].iloc[row])!r}"
        # `usable` says why other rows are left out
        issues += table.issue(code, "note" if state == NO_LABEL else "leave out", text, rows=rows & left_out)
        issues += table.issue(code, "note", text, rows=rows & ~left_out)
    unlabelled = named.any() and not target.is_labelled(states[named] == 0).any()
    words, filled = (states == WORD) & named[:, None], (states != MISSING) & named[:, None]
    if words.sum() > MAX_WORDS * filled.sum():
        return _unreadable_issue(table, target, words, int(filled.sum()), "target" if unlabelled else "word")
    if unlabelled:
        reason = next((issue.text for issue in issues if issue.code != "missing"), "")
        text = f"no value of {target.name} in any row" + (f": {reason}" if reason else "")
        hint = f"mend the column {first_few(target.columns)}, or leave the target out"
        return table.issue("target", "stop", text, hint)
    return issues


def refuse_unreadable(table: LabelTable) -> None:
    """Raise ImgregError if so many labels of a target are no numbers that the others may not be like them."""
    issues = [issue for target in table.task.targets for issue in _state_issues(table, target)
              if issue.level == "stop" and issue.code == "word"]
    if issues:
        raise ImgregError(f"labels to score with in '{table.path}'", issues[0].text, issues[0].hint)


def _unreadable_issue(table: LabelTable, target: Target, words: np.ndarray, n_filled: int, code: str) -> list[Issue]:
    """Make the issue of a target of which many cells are no numbers; three of them are shown.

    Args:
        table: The labels table.
        target: The target.
        words: Which of its cells are words, bool [n, columns].
        n_filled: The number of its cells that are not empty.
        code: The issue's code.
    """
    shown: dict[str, str] = {}  # different cells
    for row, column in np.argwhere(words):
        cell = str(table.raw[target.columns[column]].iloc[row])
        if cell not in shown:
            shown[cell] = f"{table.row_names(table.frame.index[[row]]).iloc[0]} '{shorten(cell, 40)}'"
        if len(shown) == 3:
            break
    text = f"no number in {words.sum():,} of {n_filled:,} cells of {target.name}: {', '.join(shown.values())}"
    hint = "write them as numbers, leave cells without a value empty, or take another column for --target"
    return table.issue(code, "stop", text, hint)


def _outlier_issues(table: LabelTable) -> list[Issue]:
    """Find labels that are numbers and yet look wrong, as each kind of target knows them."""
    frame, issues = table.frame[table.frame["usable"]], []
    for target in table.task.targets:
        values = frame[list(target.columns)].to_numpy(float)
        issues_found = list(target.impossible(values))
        if np.isfinite(values).any(axis=1).sum() >= MIN_VALUES:
            issues_found += target.outliers(values)
        for outlier in issues_found:
            rows = None if outlier.mask is None else frame.index[outlier.mask]
            issues += table.issue(outlier.code, outlier.level, outlier.text, outlier.hint, rows, outlier.column or "")
    return issues


def labels_differ(labels: pd.DataFrame, groups: pd.Series) -> pd.Series:
    """Tell for each row whether rows of its group have other labels; a missing label differs from none.

    Args:
        labels: Labels, [n, columns].
        groups: The group of each row, [n].
    """
    return (labels.groupby(groups).transform("nunique") > 1).any(axis=1)


def _repetition_issues(table: LabelTable) -> list[Issue]:
    """Find the same image, and the same box of it, in several rows: with the same labels, and with others."""
    rows = table.frame[table.frame["usable"]]
    keys = rows[list(table.task.box)].assign(path=real_paths(rows["path"]))
    keys = keys[keys.duplicated(keep=False)]
    if keys.empty:
        return []
    differ = labels_differ(rows.loc[keys.index, table.task.columns], keys.groupby(list(keys.columns)).ngroup())
    text = "the same image in several rows"
    return [*table.issue("repeated", "note", f"{text}, with the same labels", "keep one row of each",
                         keys.index[~differ], "image"),
            *table.issue("contradicting", "note", f"{text}, with different labels", "keep the rows that are right, or "
                         "join those of several raters by --raters mean or median", keys.index[differ], "image")]


def _split_issues(table: LabelTable) -> list[Issue]:
    """Find unknown and empty parts of the table's split, and what stands in several of them."""
    usable, parts, column = table.frame["usable"], table.frame["split"], split_name(table.frame)
    in_folds = parts.nunique() <= MAX_FOLDS and parts.astype(str).str.fullmatch(r"\d+").all()
    folds = f", or imgreg train --folds '{column}' if these are folds" if in_folds else ""
    issues = table.issue("split", "stop", f"a split that is none of {', '.join(SPLITS)}",
                         f"mend the column '{column}', or --split-col none{folds}", usable & ~parts.isin(SPLITS),
                         "split")
    rows = table.frame[usable & parts.isin(SPLITS)]
    if rows.empty:
        return issues
    counts = rows["split"].value_counts()
    if not issues:  # a part that has an unknown name may be the one that is missing
        n, least = counts.get("train", 0), MIN_ROWS_OF_SPLIT["train"]
        if n < least:  # a validation part that is missing is drawn out of these
            others = ", ".join(f"{count} {part}" for part, count in counts.items() if part != "train")
            text = f"{n} rows whose split is train by '{column}'" + (f" ({others})" if others else "")
            issues += table.issue("part", "stop", text, f"at least {least} are needed, or --split-col none")
    return issues + _torn_issues(table, rows, "split", "in several parts of the split", "put each into one part")


def _fold_issues(table: LabelTable) -> list[Issue]:
    """Find rows without a fold, and what stands in several folds."""
    rows = table.frame[table.frame["usable"]]
    return [*table.issue("fold", "stop", "no fold", "fill these cells, or --folds with a number",
                         rows.index[rows["fold"].isna()]),
            *_torn_issues(table, rows[rows["fold"].notna()], "fold", "in several folds", "put each into one fold")]


def _torn_issues(table: LabelTable, rows: pd.DataFrame, column: str, text: str, hint: str) -> list[Issue]:
    """Find the same image, and the same group, with several values of a column."""
    in_several = rows[column].groupby(real_paths(rows["path"])).transform("nunique") > 1
    issues = table.issue("leak", "note", f"the same image {text}", hint, rows.index[in_several], "image")
    if "group" in rows:  # a group column that is asked for by name promises that no group is in two parts
        in_several = rows[column].groupby(rows["group"]).transform("nunique") > 1  # false where there is no group
        other = "--split-col none" if column == "split" else "--folds with a number, to draw them"
        issues += table.issue("group", "stop" if table.task.group else "note", f"a group {text}", f"{hint}, or {other}",
                              rows.index[in_several], "group")
    return issues


def _constant_issues(table: LabelTable) -> list[Issue]:
    """Find targets with the same label in all rows: one among others teaches nothing, and alone it ruins the run."""
    targets, rows = table.task.targets, table.frame[table.frame["usable"]]
    constant = [t for t in targets if len(rows) > 1 and rows[list(t.columns)].nunique().max() == 1]
    level, hint = ("stop", "take another column") if len(constant) == len(targets) else ("note", "leave it out")
    issues = []
    for t in constant:
        value = f": {rows[t.columns[0]].max():g}" if len(t.columns) == 1 else ""
        issues += table.issue("constant", level, f"the same {t.name} in every row{value}", hint)
    return issues
