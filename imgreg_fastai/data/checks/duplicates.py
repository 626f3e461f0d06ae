"""The same image, or nearly the same, in several files: with which labels, and in which parts of the split."""
import numpy as np
import pandas as pd

from ..issues import Issue
from ..labels.issue_rules import labels_differ
from ..splits import connected_groups
from .opened_images import CheckedTable

DIFFERENT_LABELS = 0.2  # labels of similar images differ if by more than this share of what any two labels do
MAX_BITS = 6  # bits of 64 in which the hashes of one image differ once it was saved again; nearly always 0 to 4
# How much tiny copies of one image differ at most, as the root of the mean square and anywhere: in brightness, and in
# colour, of which JPEG keeps less. Of 200 faces that were saved again at quality 30 to 75, or at half to twice their
# size, 99.5 % were within; of 6,350 pairs of other photographs whose hashes were as close, 4.
BRIGHTNESS, COLOUR = (2.0, 8), (4.0, 20)
CONTRAST_SHARE = 0.1  # and no more than this share of the image's contrast
BLOCK = 1 << 24  # pairs of hashes that are compared at once
TINY_BLOCK = 20_000  # pairs of tiny copies that are compared at once
MAX_PAIRS = 10_000_000  # pairs of tiny copies that are compared at all: half a minute


def find_duplicates(table: CheckedTable) -> tuple[list[Issue], dict[str, list[list[int]]]]:
    """Find rows whose images are the same, or nearly the same, in several files.

    Codes: duplicate, near, contradicting, leak.

    Returns:
        The issues, and groups of row numbers: those of the "same" image, and of "nearly" the same one.
    """
    rows, facts = np.flatnonzero(table.opened), table.facts
    if not len(rows):
        return [], {"same": [], "nearly": []}
    at = facts.index.get_indexer(pd.Index(table.image[rows]))
    _, first, content = np.unique(facts["content"].to_numpy()[at], return_index=True, return_inverse=True)
    examples = at[first]  # one image of each content
    compared = np.flatnonzero(~facts["blank"].to_numpy()[examples])  # a blank image looks like all others
    pairs, complete = near_pairs(facts["hash"].to_numpy()[examples][compared], table.tiny[examples][compared])
    pairs = compared[pairs]
    keys = pd.DataFrame({"file": table.image[rows], "content": content,
                         "similar": connected_groups(pairs, len(examples))[content]}, rows)
    issues = [*_same_issues(table, keys), *_similar_issues(table, keys, pairs, complete),
              *_leak_issues(table, keys, pairs)]
    numbers = keys.assign(row=table.labels.frame["row"])
    return issues, {"same": _with_several(numbers, "content", "file").groupby("content")["row"].agg(list).tolist(),
                    "nearly": _with_several(numbers, "similar", "content").groupby("similar")["row"].agg(list).tolist()}


def _with_several(keys: pd.DataFrame, by: str | list[str], column: str) -> pd.DataFrame:
    """Select the rows of groups that hold several values of a column."""
    return keys[keys.groupby(by)[column].transform("nunique") > 1]


def _group_issue(table: CheckedTable, groups: pd.Series, code: str, text: str, hint: str) -> list[Issue]:
    """Make an Issue of the rows in `groups`, group by group; each row but the first names the first of its group.

    The text says "{n}" for the number of groups, and "{s}" for the plural's s.
    """
    if groups.empty:
        return []
    first = groups.index.to_series().groupby(groups).transform("min").sort_values(kind="stable")
    short, long = table.labels.row_names(first.index), table.labels.row_names(first.index, "image")
    names = long.where(first.index == first, long + " like " + short[first].to_numpy())
    n = groups.nunique()
    text = text.format(n=f"{n:,}", s="" if n == 1 else "s")
    return table.labels.issue(code, "note", text, hint, first.index, names=names)


def _same_issues(table: CheckedTable, keys: pd.DataFrame) -> list[Issue]:
    """Find the same image in several files, with the same and with different labels; another box is another thing."""
    frame, task = table.labels.frame, table.labels.task
    box = frame.loc[keys.index].groupby(list(task.box)).ngroup() if task.box else 0
    keys = _with_several(keys.assign(box=box), ["content", "box"], "file")
    groups = keys.groupby(["content", "box"]).ngroup()
    differ, text = labels_differ(frame.loc[keys.index, task.columns], groups), "{n} image{s} in several files"
    return [*_group_issue(table, groups[~differ], "duplicate", f"{text}, with the same labels", "keep one row of each"),
            *_group_issue(table, groups[differ], "contradicting", f"{text}, with different labels",
                          "keep the rows that are right")]


def _similar_issues(table: CheckedTable, keys: pd.DataFrame, pairs: np.ndarray, complete: bool) -> list[Issue]:
    """Find images that are nearly the same, with about the same and with different labels."""
    groups = _with_several(keys, "similar", "content")["similar"]
    differ = keys["content"][groups.index].isin(pairs[_pairs_differ(table, keys, pairs)].ravel())
    text = "{n} group{s} of nearly the same image" if complete else "at least {n} group{s} of nearly the same image"
    return [*_group_issue(table, groups[~differ], "near", text,
                          "keep one row of each, unless they are frames of one scene"),
            *_group_issue(table, groups[differ], "contradicting", f"{text}, with different labels",
                          "keep the rows that are right")]


def _pairs_differ(table: CheckedTable, keys: pd.DataFrame, pairs: np.ndarray) -> np.ndarray:
    """Tell which pairs of images have labels that differ by more than a fifth of what any two labels do.

    None of one group: frames of one person may look nearly the same, and the labels be right. None with boxes, each of
    which has its own label.
    """
    if table.labels.task.box or not len(pairs):
        return np.zeros(len(pairs), bool)
    frame = table.labels.frame
    examples = keys.drop_duplicates("content").sort_values("content").index.to_numpy()  # one row of each content
    a, b = examples[pairs].T
    differ, sizes = np.zeros(len(pairs), bool), table.sizes()
    for t in table.labels.task.targets:
        values = frame[list(t.columns)].to_numpy(float)
        others = values[b]
        if t.in_image:  # in pixels of the first image
            others = others * np.tile(sizes[a] / sizes[b], len(t.columns) // 2)
        # What any two labels differ by: the median over many pairs, which a few wild labels leave alone.
        labelled = values[table.opened & t.is_labelled(np.isfinite(values))]
        errors = t.error(labelled, np.random.default_rng(0).permutation(labelled)) if len(labelled) else np.empty(0)
        typical = np.nanmedian(errors) if np.isfinite(errors).any() else 0.0
        differ |= t.error(others, values[a]) > DIFFERENT_LABELS * typical
    if "group" in frame:
        groups = frame["group"].to_numpy()
        differ &= (groups[a] != groups[b]) | pd.isna(groups[a])
    return differ


def _leak_issues(table: CheckedTable, keys: pd.DataFrame, pairs: np.ndarray) -> list[Issue]:
    """Find images that are in another part of the split, too, in another file: the same, and nearly the same."""
    parts = pd.Series(table.parts[keys.index], keys.index)
    codes = pd.Series(pd.factorize(parts)[0], keys.index).where(parts != "")  # NaN: in no part
    lowest, highest = codes.groupby(keys["content"]).agg(["min", "max"]).to_numpy().T  # of each content
    files = keys.groupby("content")["file"].transform("nunique")
    same = keys["content"][(files > 1) & (highest > lowest)[keys["content"]]]
    a, b = pairs.T
    across = pairs[np.fmax(highest[a], highest[b]) > np.fmin(lowest[a], lowest[b])]
    similar = keys["similar"][keys["content"].isin(across.ravel())]
    split, hint = "split", "put each into one part"
    if table.drawn:
        split, hint = "split that a training would draw", "take one row of each away"
    return [*_group_issue(table, same, "leak", f"{{n}} image{{s}} in several files and parts of the {split}", hint),
            *_group_issue(table, similar, "leak",
                          f"{{n}} group{{s}} of nearly the same image in several parts of the {split}", hint)]


def near_pairs(hashes: np.ndarray, tiny: np.ndarray) -> tuple[np.ndarray, bool]:
    """Find pairs of images that look the same: their hashes differ in few bits, and their tiny copies by little.

    Args:
        hashes: Perceptual hashes, uint64 [n].
        tiny: Tiny copies, uint8 [n, 432]; see ImageFingerprint.

    Returns:
        The pairs, int [m, 2], and whether all were compared.
    """
    brightness, contrast = tiny[:, ::3].mean(axis=1), tiny[:, ::3].std(axis=1)
    pairs, n_compared = [np.empty((0, 2), np.int64)], 0
    # 1. Compare the hashes block by block, each pair once: equal bits less different ones are a product of signs.
    signs = np.where(np.unpackbits(hashes.astype(np.uint64)[:, None].view(np.uint8), axis=1), 1, -1).astype(np.float32)
    step = BLOCK // max(1, len(signs)) + 1
    for start in range(0, len(signs), step):
        products = signs[start : start + step] @ signs[start:].T
        close = np.argwhere(np.triu(products >= 64 - 2 * MAX_BITS, 1)) + start
        # 2. Compare the tiny copies of those whose hashes are close.
        close = close[np.abs(brightness[close[:, 0]] - brightness[close[:, 1]]) <= BRIGHTNESS[0]]
        for part in np.array_split(close, len(close) // TINY_BLOCK + 1):
            pairs.append(part[_look_alike(tiny, contrast, part)])
        n_compared += len(close)
        if n_compared > MAX_PAIRS:
            return np.concatenate(pairs), False
    return np.concatenate(pairs), True


def _look_alike(tiny: np.ndarray, contrast: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Tell which pairs [m, 2] of tiny copies show the same."""
    i, j = pairs.T
    difference = tiny[i].astype(np.int16) - tiny[j]
    strictness = np.minimum(1.0, CONTRAST_SHARE * np.minimum(contrast[i], contrast[j]) / BRIGHTNESS[0])
    alike = np.ones(len(pairs), bool)
    for channel, (max_rms, max_difference) in enumerate((BRIGHTNESS, COLOUR, COLOUR)):
        values = difference[:, channel::3]
        alike &= np.square(values, dtype=np.int32).mean(axis=1) <= (max_rms * strictness) ** 2
        alike &= np.abs(values).max(axis=1) <= max_difference * strictness
    return alike
