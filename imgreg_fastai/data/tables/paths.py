"""Where the pictures lie that a table names, or that a folder holds; made for a million rows."""
import os
import re
import unicodedata
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from ...utils.errors import ImgregError, close_matches, first_few
from ..images import SUFFIXES as PICTURES

FEW = 64  # so many files of a folder are asked for one by one; for more its list is read, however long that is
FOREIGN = re.compile(r"[A-Za-z]:/|/")  # the beginning of a path that is complete, here or on Windows
NUMBER = r"[+-]?\d+(\.\d+)?"


def with_paths(frame: pd.DataFrame, column: str, root: str | Path) -> pd.DataFrame:
    """The frame with `image`, the names in `column` as text; `path`, where each lies; `present`, whether it does.

    Names are relative to the folder `root`. One that is not there as it stands is looked for with slashes for
    backslashes; in another case or Unicode form, or without its ending, where only one picture can be meant; and a
    complete path of another machine by its last parts. Rows without a name get the path "".
    """
    names = np.array(["" if missing else str(name) for name, missing in
                      zip(frame[column].tolist(), frame[column].isna().tolist(), strict=True)], object)
    paths = _joined(str(root), names)
    there = files_exist(paths)
    for search in (_forward, _searched):
        lost = np.flatnonzero(~there & (names != ""))
        if len(lost):
            found = search(names[lost], str(root), paths[there])
            paths[lost] = np.where(found != "", found, paths[lost])
            there[lost] = found != ""
    return frame.assign(image=np.where(names != "", names, None), path=paths, present=there)


def _joined(root: str, names) -> np.ndarray:
    before = os.path.join(root, "")
    odd = frozenset("/\\")  # what may begin a complete path; a plain sum is faster than os.path.join for the others
    return np.array([os.path.join(root, name) if name[:1] in odd or name[1:2] == ":" else name and before + name
                     for name in names], object)


def files_exist(paths) -> np.ndarray:
    """Whether each path is a file: bool [n]. A folder of which many are asked is listed once, no file looked at."""
    there = np.zeros(len(paths), bool)
    for folder, rows, names, known in _listed(paths):
        if known is None:
            there[rows] = [os.path.isfile(os.path.join(folder, name)) for name in names]
        else:
            there[rows] = [name in known for name in names]
    return there


def real_paths(paths) -> pd.Series:
    """The one true path of each file, whatever links and dots lead to it; of links to files only if they are there."""
    true = np.empty(len(paths), object)
    for folder, rows, names, known in _listed(paths):
        if known is None:
            true[rows] = [os.path.realpath(os.path.join(folder, name)) for name in names]
            continue
        straight = os.path.join(os.path.realpath(folder), "")
        true[rows] = [os.path.realpath(straight + name) if known.get(name) else straight + name for name in names]
    return pd.Series(true, getattr(paths, "index", None), dtype=object)


def _listed(paths):
    """As `_by_folder`, with the folder's `_listing` where many of its files are asked for, else None."""
    for folder, rows, names in _by_folder(paths):
        yield folder, rows, names, _listing(folder) if len(rows) > FEW else None


def _by_folder(paths):
    """Yield (folder, the places of its rows, the files' names) for each folder in `paths`."""
    parts = [os.path.split(path) for path in np.asarray(paths, object)]
    codes, folders = pd.factorize(np.array([folder for folder, _ in parts], object))
    names = np.array([name for _, name in parts], object)
    order = np.argsort(codes, kind="stable")
    start = 0
    for folder, n in zip(folders, np.bincount(codes), strict=True):
        rows, start = order[start : start + n], start + n
        yield folder, rows, names[rows]


def _listing(folder: str) -> dict[str, bool] | None:
    """The files of a folder, each with whether it is a link; None if the folder cannot be listed."""
    try:
        with os.scandir(folder or ".") as entries:
            return {entry.name: entry.is_symlink() for entry in entries if entry.is_file()}
    except OSError:
        return None


def _forward(names: np.ndarray, root: str, _) -> np.ndarray:
    """The paths with slashes for backslashes and without blanks about them; "" where no file is."""
    found, plain = np.full(len(names), "", object), _slashed(names)
    other = np.flatnonzero(plain != names)
    paths = _joined(root, plain[other])
    found[other] = np.where(files_exist(paths), paths, "")
    return found


def _slashed(names: np.ndarray) -> np.ndarray:
    return np.array([name.strip().replace("\\", "/") for name in names], object)


def _searched(names: np.ndarray, root: str, taken: np.ndarray) -> np.ndarray:
    """The paths of pictures that do not lie where their `names` say; "" for one that is not found.

    No picture is given to two names, nor one that is `taken`.
    """
    names, found = _slashed(names), np.full(len(names), "", object)
    likely = lru_cache(8)(_likely)  # many folders of another machine may have the root alone in common
    for folder, rows, last in _by_folder(names):
        for place in _candidates(folder, names[rows[0]], root):
            whole, stems, before = *likely(place), os.path.join(place, "")
            here = [whole.get(name) or stems.get(name) for name in map(_plain, last)]
            found[rows] = [name and before + name for name in here]
            if any(here):
                break
    found = pd.Series(found).fillna("")
    claims = pd.Series(names)[found != ""].drop_duplicates()  # one of each name
    twice = found[claims.index][found[claims.index].duplicated(keep=False)]
    return found.mask(found.isin(set(twice)) | found.isin(taken), "").to_numpy(object)


def _candidates(folder: str, example: str, root: str):
    """Yield the folders in which the pictures of the `folder` that a table names may lie, the likeliest first."""
    parts = folder.split("/")
    if not re.match(r"[A-Za-z]:$", parts[0]):
        yield os.path.join(root, folder) if folder or not example.startswith("/") else "/"
    if FOREIGN.match(example):
        tails = [os.path.join(root, *parts[i:]) for i in range(1, len(parts) + 1)]
    else:
        tails = [os.path.join(root, *parts[1:])] if parts[0] == os.path.basename(os.path.abspath(root)) else []
    yield from (tail for tail in tails if os.path.isdir(tail))


def _likely(folder: str) -> tuple[dict, dict]:
    """The files of a folder by their names without regard to case and form, and its pictures by these without ending.

    What more than one could be called is None.
    """
    whole: dict[str, str | None] = {}
    stems: dict[str, str | None] = {}
    for name in _listing(folder) or ():
        plain = _plain(name)
        stem, dot, ending = plain.rpartition(".")
        whole[plain] = None if plain in whole else name
        if dot + ending in PICTURES:
            stems[stem] = None if stem in stems else name
    return whole, stems


def _plain(name: str) -> str:
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def table_of_folder(folder: str | Path, pattern: str, names: list[str]) -> pd.DataFrame:
    """The pictures below a folder, sorted: `image` relative to it, `path`, and the columns that their names hold.

    `pattern`: a regular expression whose named groups are columns, searched in each picture's file name, and where it
    is not found there in its path below the folder; the labels `names` must be among them. Without a pattern the one
    column of `names` is what the sub folder is called, where all that hold pictures are called by numbers. Values are
    text, None where there is none. Raises ImgregError for a folder without pictures, or for such names.
    """
    images = _pictures(str(folder))
    if not len(images):
        raise ImgregError("pictures", f"none in '{folder}'", "a file, a folder or a glob such as 'photos/*.jpg'")
    columns = _matched(images, pattern, names) if pattern else _called(images, str(folder), names)
    paths = [os.path.join(str(folder), image) for image in images]
    return pd.DataFrame({"image": images, "path": pd.Series(paths, dtype=object)}).join(columns)


def _pictures(folder: str) -> pd.Series:
    found = []
    for place, _, files in os.walk(folder):
        found += [os.path.join(place, name) for name in files if os.path.splitext(name)[1].lower() in PICTURES]
    return pd.Series([path[len(os.path.join(folder, "")) :] for path in sorted(found)], dtype=object)


def columns_in_pattern(pattern: str) -> list[str]:
    """The columns that names of pictures hold by a pattern: its named groups.

    Raises ImgregError where there are none, and for what is no regular expression.
    """
    try:
        groups = list(re.compile(pattern).groupindex)
    except re.error as e:
        raise ImgregError("--label-from-name with a regular expression", f"'{pattern}': {e}") from e
    if not groups:
        raise ImgregError("a group (?P<NAME>...) in --label-from-name", f"'{pattern}'",
                          r"--label-from-name 'age_(?P<age>\d+)'")
    return groups


def _matched(images: pd.Series, pattern: str, names: list[str]) -> pd.DataFrame:
    groups = columns_in_pattern(pattern)
    for name in names:
        if name not in groups:
            raise ImgregError(f"a group (?P<{name}>...) in --label-from-name", f"'{pattern}'", close_matches(name, groups))
    slashed = images.str.replace("\\", "/", regex=False) if os.sep == "\\" else images
    found = slashed.str.rpartition("/")[2].str.extract(pattern)[groups]
    elsewhere = found.isna().all(axis=1)
    if elsewhere.any():
        found[elsewhere] = slashed[elsewhere].str.extract(pattern)[groups]
    return found.astype(object).where(found.notna(), None)


def _called(images: pd.Series, folder: str, names: list[str]) -> pd.DataFrame:
    if len(names) != 1:
        raise ImgregError("one number for sub folders to be called by", f"{len(names)}: {first_few(names)}")
    parts = images.str.replace("\\", "/", regex=False).str.partition("/")
    called = parts[0].where(parts[1] != "")
    odd = called[called.notna() & ~called.fillna("").str.fullmatch(NUMBER)].unique()
    if len(odd) or called.isna().all():
        raise ImgregError(f"sub folders of '{folder}' that are called by numbers", first_few(map(repr, odd)) or "none")
    return pd.DataFrame({names[0]: called.astype(object).where(called.notna(), None)})
