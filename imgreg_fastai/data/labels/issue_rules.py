"""The faults of labelled rows that show without opening a picture."""
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...config import TrainConfig
from ...tasks import Target, Task
from ...tasks.outliers import MIN_VALUES, LabelIssue
from ...utils.errors import first_few
from ..issues import Issue
from ..splits import SPLITS
from ..tables import real_paths

LEAST = 10  # with fewer rows there is nothing to learn from, and nothing to judge by
MISSING, WORD, INFINITE = 1, 2, 3  # what a label is that is no finite number; 0 where it is one


@dataclass(frozen=True)
class LabelTable:
    """A labels table as it was read, before anything is left out.

    `frame`: see labels.survey; `bad`: for each reason to leave rows out, which; `kinds` [n, the task's columns]: what
    each label is; `raw`: the labels as they stand in the table; `folder`: whether it is a folder, whose pictures have
    names and no rows.
    """

    task: Task
    frame: pd.DataFrame
    bad: dict[str, np.ndarray]
    kinds: np.ndarray
    raw: pd.DataFrame
    folder: bool = False

    def finding(self, mask, kind: str, level: str, text: str, then: str = "", told=None) -> list[Issue]:
        """A Issue on the rows of `mask`, none if there are none; `told`: a column that is told beside the row."""
        return issue_on_rows(self.frame, mask, kind, level, text, then, told, self.folder)


def issue_on_rows(frame: pd.DataFrame, mask, kind: str, level: str, text: str, then: str = "", told=None,
            folder: bool = False) -> list[Issue]:
    """A Issue on the rows of `frame` that `mask` says; none if there are none. See Sheet.

    `told`: a column, or what is told beside each of these rows.
    """
    rows = frame[np.asarray(mask)]
    if not len(rows):
        return []
    names = tuple(rows["image"].astype(str)) if folder else ()
    if isinstance(told, str):
        told = None if folder else "'" + rows[told].fillna("").astype(str) + "'"
    if told is not None:
        of = names or [f"row {row}" for row in rows["row"]]
        names = tuple(f"{name} {value}".strip() for name, value in zip(of, told, strict=True))
    return [Issue(kind, level, tuple(rows["row"].tolist()), len(frame), text, then, names)]


def uses_own_split(frame: pd.DataFrame, cfg: TrainConfig | None) -> bool:
    """Whether a training by these settings takes the table's own split: it has one, and nothing else is held out."""
    return "split" in frame and not (cfg and (cfg.hold_out or cfg.folds))


def label_issues(sheet: LabelTable, cfg: TrainConfig | None = None) -> list[Issue]:
    """All of them: unnamed and absent pictures, labels, boxes, repeated pictures, the split, constants, too few rows.

    Kinds: unnamed, unlabelled, word, infinite, missing, target, box, absent, repeated, contradicting, split, part,
    leak, group, constant, few, and those of outliers.found. `cfg`: the training's settings; where these do not use the
    table's own split, it has no faults.
    """
    leave, bad = "leave out", sheet.bad
    first = sheet.finding(bad["unlabelled"], "unlabelled", leave, "no label in the picture's name")
    first += sheet.finding(bad["unnamed"], "unnamed", leave, "no picture named")
    last = sheet.finding(bad["box"], "box", leave, "no whole box")
    last += sheet.finding(bad["absent"], "absent", leave, "no such picture", told="image")
    usable = int(sheet.frame["usable"].sum())
    if usable < LEAST:
        text = f"only {usable} usable rows, fewer than {LEAST}" if usable else "no usable row"
        then = "--images DIR, their folder" if bad["absent"].sum() > len(sheet.frame) / 2 else "label more pictures"
        last += [Issue("few", "stop", (), len(sheet.frame), text, then)]
    targets = [finding for t in sheet.task.targets for finding in _labels(sheet, t)]
    split = _split(sheet) if uses_own_split(sheet.frame, cfg) else []
    return [*first, *targets, *last, *_odd(sheet), *_repeated(sheet), *split, *_constant(sheet)]


def _labels(sheet: LabelTable, target: Target) -> list[Issue]:
    """Labels of a target that are no finite numbers."""
    at = [sheet.task.columns.index(column) for column in target.columns]
    kinds, named = sheet.kinds[:, at], ~(sheet.bad["unnamed"] | sheet.bad["unlabelled"])
    unusable = (kinds > 0).all(axis=1) if target.partial else (kinds > 0).any(axis=1)
    if named.any() and unusable[named].all():
        words = (kinds == WORD) & named[:, None]
        why = f": {_text(sheet, target, words, 'word')}" if words.any() else ""
        return [Issue("target", "stop", (), len(sheet.frame), f"no value of {target.name} in any row{why}",
                        f"mend the column {first_few(target.columns)}, or leave the target out")]
    out = []
    for code, kind in ((WORD, "word"), (INFINITE, "infinite"), (MISSING, "missing")):
        where = (kinds == code) & named[:, None]
        mask, text = where.any(axis=1), _text(sheet, target, where, kind)
        out += sheet.finding(mask & sheet.bad["number"], kind, "leave out", text)
        out += sheet.finding(mask & ~sheet.bad["number"], kind, "note", text)
    return out


def _text(sheet: LabelTable, target: Target, where: np.ndarray, kind: str) -> str:
    """What is wrong with labels of one kind: `where` [n, columns]."""
    columns = first_few([c for c, here in zip(target.columns, where.any(axis=0), strict=True) if here], 3)
    if kind == "missing":
        return f"no value of {target.name}" + (f" in {columns}" if len(target.columns) > 1 else "")
    if kind == "infinite":
        return f"infinite {columns}"
    row, column = np.unravel_index(where.argmax(), where.shape)
    return f"no number in {columns}, such as {str(sheet.raw[target.columns[column]].iloc[row])!r}" if columns else ""


def _odd(sheet: LabelTable) -> list[Issue]:
    """Labels that are numbers and yet odd."""
    usable, out = sheet.frame["usable"].to_numpy(), []
    for odd in _outliers(sheet.frame[usable], sheet.task):
        if odd.mask is None:
            out.append(Issue(odd.code, odd.level, (), len(sheet.frame), odd.text, odd.hint))
        else:
            mask = np.zeros(len(usable), bool)
            mask[usable] = odd.mask
            shown = None
            if odd.column and not sheet.folder:
                shown = [f"'{value}'" for value in sheet.raw[odd.column].to_numpy()[mask]]
            out += sheet.finding(mask, odd.code, odd.level, odd.text, odd.hint, shown)
    return out


def _outliers(rows: pd.DataFrame, task: Task) -> Iterator[LabelIssue]:
    """What each target says of its labels in usable rows."""
    for t in task.targets:
        values = rows[list(t.columns)].to_numpy(float)
        if np.isfinite(values).any(axis=1).sum() >= MIN_VALUES:
            yield from t.outliers(values)


def _repeated(sheet: LabelTable) -> list[Issue]:
    """The same picture, and the same box of it, in several rows: with the same labels and with others."""
    rows = sheet.frame[sheet.frame["usable"]]
    keys = rows[list(sheet.task.box)].assign(path=real_paths(rows["path"]))
    twice = keys.duplicated(keep=False)
    if not twice.any():
        return []
    keys, labels = keys[twice], rows.loc[twice, sheet.task.columns]
    sets = keys.groupby(list(keys.columns)).ngroup()
    differ = (labels.groupby(sets).transform("nunique") > 1).any(axis=1)
    all_rows = sheet.frame.index
    return [*sheet.finding(all_rows.isin(sets.index[~differ]), "repeated", "note",
                           "the same picture in several rows, with the same labels", "keep one row of each", "image"),
            *sheet.finding(all_rows.isin(sets.index[differ]), "contradicting", "note",
                           "the same picture in several rows, with different labels", "keep the rows that are right",
                           "image")]


def _split(sheet: LabelTable) -> list[Issue]:
    """Unknown and lacking parts of the table's own split, and what stands in several of them."""
    usable, parts = sheet.frame["usable"], sheet.frame["split"]
    out = sheet.finding(usable & ~parts.isin(SPLITS), "split", "stop",
                        f"a split that is none of {', '.join(SPLITS)}", "mend the column 'split'", "split")
    rows = sheet.frame[usable & parts.isin(SPLITS)]
    counts = rows["split"].value_counts()
    out += [Issue("part", "stop", (), len(sheet.frame), f"{counts.get(part, 0)} rows whose split is {part}",
                    f"at least {least} are needed")
            for part, least in (("train", 2), ("valid", 1)) if not out and len(rows) and counts.get(part, 0) < least]
    return out + _leaks(sheet, rows) if len(rows) else out


def _leaks(sheet: LabelTable, rows: pd.DataFrame) -> list[Issue]:
    """Pictures and groups that stand in several parts of the split of `rows`."""
    out, wanted = [], "let each stand in one part"
    cases = [("leak", "the same picture", real_paths(rows["path"]), "image", wanted)]
    if "group" in rows:  # a row without a group is of none, and never counted
        cases += [("group", "a group", rows["group"], "group", f"{wanted}, or drop the column 'split' for --group")]
    for kind, what, of, told, then in cases:
        both = rows.index[rows["split"].groupby(of).transform("nunique") > 1]
        text = f"{what} in several parts of the split"
        asked = kind == "group" and sheet.task.group != "group"  # --group says that nobody may be in two parts
        out += sheet.finding(sheet.frame.index.isin(both), kind, "stop" if asked else "note", text, then, told)
    return out


def _constant(sheet: LabelTable) -> list[Issue]:
    """Targets of which all rows have the same: one among others teaches nothing, and alone it ruins the run."""
    rows = sheet.frame[sheet.frame["usable"]]
    out, same = [], [t for t in sheet.task.targets if _is_constant(rows[list(t.columns)])]
    level, then = ("stop", "take another column") if len(same) == len(sheet.task.targets) else ("note", "leave it out")
    for t in same:
        value = f": {rows[t.columns[0]].max():g}" if len(t.columns) == 1 else ""
        out.append(Issue("constant", level, (), len(sheet.frame), f"the same {t.name} in every row{value}", then))
    return out


def _is_constant(values: pd.DataFrame) -> bool:
    """Whether there are values, and in no column do they differ."""
    known = values.loc[:, values.notna().any()]
    return len(values) > 1 and known.shape[1] > 0 and bool((known.min() == known.max()).all())
