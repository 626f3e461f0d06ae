"""The same picture, or nearly the same, in several files: with which labels, and in which parts of the split."""
import numpy as np
import pandas as pd

from ...tasks import Point, Target
from ..issues import Issue
from . import likeness
from .image_stats import CheckedTable

ANOTHER = 0.2  # labels of nearly the same picture are others if they differ by more than this part of what any two do


def duplicate_issues(s: CheckedTable) -> tuple[list[Issue], dict[str, list[list[int]]]]:
    """The findings, and the groups of rows whose pictures are the `same` and `nearly` the same.

    Kinds: duplicate, near, contradicting, leak.
    """
    rows = np.flatnonzero(s.of >= 0)
    if not len(rows):
        return [], {"same": [], "nearly": []}
    _, first, content = np.unique(s.album.content[s.of[rows]], return_index=True, return_inverse=True)
    one = s.of[rows[first]]  # a picture of each content
    seen = np.flatnonzero(~s.album.blank[one])  # a blank one looks like all others that are blank
    pairs, whole = likeness.near_pairs(s.album.hash[one][seen], s.album.tiny[one][seen])
    pairs = seen[pairs]
    near = likeness.groups(pairs, len(one))[content]
    kinds = pd.DataFrame({"file": s.of[rows], "content": content, "near": near}, rows)
    out = [*_same(s, kinds), *_near(s, kinds, pairs, whole), *_leaks(s, kinds, pairs)]
    return out, {"same": _numbers(s, kinds, "content", "file"), "nearly": _numbers(s, kinds, "near", "content")}


def _several(kinds: pd.DataFrame, by, what: str) -> pd.DataFrame:
    """The rows of those groups that hold several of `what`."""
    return kinds[kinds.groupby(by)[what].transform("nunique") > 1]


def _numbers(s: CheckedTable, kinds: pd.DataFrame, by: str, what: str) -> list[list[int]]:
    number = s.frame["row"].to_numpy()
    return [number[group.index].tolist() for _, group in _several(kinds, by, what).groupby(by)]


def _grouped(s: CheckedTable, group: pd.Series, kind: str, text: str, then: str) -> list[Issue]:
    """A Issue on rows whose `group` is given, group by group, each told with the first one; `text`: see _counted."""
    if group.empty:
        return []
    first = pd.Series(group.index, group.index).groupby(group).transform("first")
    order = np.lexsort((group.index, first))
    rows, first = s.frame.loc[group.index[order]], s.frame.loc[first.iloc[order]]
    like = first["image"] if s.folder else "row " + first["row"].astype(str)
    like = np.where(first.index == rows.index, "", " like " + like.to_numpy())
    names = rows["image"] if s.folder else "row " + rows["row"].astype(str) + " '" + rows["image"] + "'"
    text = _counted(text, group.nunique())
    return [Issue(kind, "note", tuple(rows["row"].tolist()), len(s.frame), text, then, tuple(names + like))]


def _counted(text: str, n: int) -> str:
    """The text with the number for # and the plural's s for @."""
    return text.replace("#", f"{n:,}").replace("@", "s" * (n != 1))


def _same(s: CheckedTable, kinds: pd.DataFrame) -> list[Issue]:
    """The same picture in several files, with the same labels and with others; another box of it is another thing."""
    keys = kinds.assign(**s.frame.loc[kinds.index, list(s.task.box)])
    keys = _several(keys, ["content", *s.task.box], "file")
    group = keys.groupby(["content", *s.task.box]).ngroup()
    differ = (s.frame.loc[keys.index, s.task.columns].groupby(group).transform("nunique") > 1).any(axis=1)
    return [*_grouped(s, group[~differ], "duplicate", "# picture@ in several files, with the same labels",
                      "keep one row of each"),
            *_grouped(s, group[differ], "contradicting", "# picture@ in several files, with different labels",
                      "keep the rows that are right")]


def _near(s: CheckedTable, kinds: pd.DataFrame, pairs: np.ndarray, whole: bool) -> list[Issue]:
    """Pictures that are nearly the same: with about the same labels, and pairs with others."""
    group, what = _several(kinds, "near", "content")["near"], f"{'' if whole else 'at least '}# group@ of nearly"
    differ = pairs[_differ(s, kinds, pairs)] if len(pairs) and not s.task.box else pairs[:0]  # a box has its own label
    differ = kinds["content"][group.index].isin(differ.ravel())
    return [*_grouped(s, group[~differ], "near", f"{what} the same picture",
                      "keep one row of each, unless they are frames of one scene"),
            *_grouped(s, group[differ], "contradicting", f"{what} the same picture, with different labels",
                      "keep the rows that are right")]


def _differ(s: CheckedTable, kinds: pd.DataFrame, pairs: np.ndarray) -> np.ndarray:
    """Of which pairs of pictures the labels are further apart than a fifth of what any two are.

    Of none of one group: frames of one person may look nearly the same, and the labels be right.
    """
    rows = kinds.drop_duplicates("content").sort_values("content").index.to_numpy()  # one of each content
    of, out = rows[pairs], np.zeros(len(pairs), bool)
    size = np.stack([s.fact("width"), s.fact("height")], axis=1)
    for t in s.task.targets:
        values = s.frame[list(t.columns)].to_numpy(float)
        apart, one, other = _apart(t, values[s.of >= 0]), values[of[:, 0]], values[of[:, 1]]
        if t.kind == Point.kind:  # in pixels of the first one
            other = other * np.tile(size[of[:, 0]] / size[of[:, 1]], t.n)
        out |= t.error(other, one) > ANOTHER * apart
    if "group" in s.frame:
        groups = s.frame["group"].to_numpy()[of]
        out &= (groups[:, 0] != groups[:, 1]) | pd.isna(groups[:, 0])
    return out


def _apart(t: Target, values: np.ndarray) -> float:
    """How far the labels of any two pictures are apart: the median of many pairs, which a few wild ones leave alone."""
    known = np.isfinite(values)
    values = values[known.any(axis=1) if t.partial else known.all(axis=1)]
    errors = t.error(values, np.random.default_rng(0).permutation(values)) if len(values) else np.empty(0)
    return float(np.nanmedian(errors)) if np.isfinite(errors).any() else 0.0


def _leaks(s: CheckedTable, kinds: pd.DataFrame, pairs: np.ndarray) -> list[Issue]:
    """Pictures that are in another part of the split, too, in another file: the same, and nearly the same."""
    codes, _ = pd.factorize(s.parts[kinds.index])
    bits = np.where(s.parts[kinds.index] == "", 0, 1 << codes)
    parts = np.zeros(int(kinds["content"].max()) + 1, np.int64)
    np.bitwise_or.at(parts, kinds["content"], bits)
    files = kinds.groupby("content")["file"].transform("nunique")
    both = kinds.index[(files > 1) & _several_of(parts)[kinds["content"]]]
    across = pairs[_several_of(parts[pairs[:, 0]] | parts[pairs[:, 1]])]
    near = kinds.index[kinds["content"].isin(across.ravel())]
    split = "split that a training would draw" if s.drawn else "split"
    then = "take one row of each away" if s.drawn else "let each stand in one part"
    return [*_grouped(s, kinds["content"][both], "leak", f"# picture@ in several files and parts of the {split}", then),
            *_grouped(s, kinds["near"][near], "leak",
                      f"# group@ of nearly the same picture in several parts of the {split}", then)]


def _several_of(bits: np.ndarray) -> np.ndarray:
    """Whether more than one bit is set."""
    return bits & (bits - 1) > 0
