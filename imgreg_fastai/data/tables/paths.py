"""Where the images lie that a table names, or that a folder holds; fast enough for a million rows."""
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from ...utils.messages import ImgregError, close_matches, first_few
from ..images import SUFFIXES, list_images

LABELS_NAME = "labels.csv"  # the labels table of a folder
MAX_SINGLE_FILES = 64  # so many files of a folder are looked up one by one; for more, the folder is listed
ABSOLUTE = re.compile(r"[A-Za-z]:/|/")  # the beginning of an absolute path, here or on Windows
Paths: TypeAlias = Sequence[str] | np.ndarray | pd.Series
NUMBER = r"[+-]?\d+(\.\d+)?"


def resolve_table(path: str | Path, from_names: bool = False) -> Path:
    """Find the labels table: the labels.csv of a folder, else the path itself.

    Args:
        path: A table, or a folder.
        from_names: Whether the names of a folder's images hold the labels, even if it has a labels.csv.
    """
    table = Path(path) / LABELS_NAME
    return table if table.is_file() and not from_names else Path(path)


def with_paths(frame: pd.DataFrame, column: str, root: str | Path) -> pd.DataFrame:
    """Locate the image of each row.

    A name that is no file is looked for with slashes in place of backslashes; then in another case or Unicode form, or
    without its ending, where only one image can be meant; and an absolute path of another machine by its last parts.

    Args:
        frame: A table.
        column: The column that names the images.
        root: The folder the names are relative to.

    Returns:
        The frame with `image`, the name as text (None where there is none), `path` ("" where there is no name), and
        `present`, whether the file exists.
    """
    names = frame[column].astype(object).map(str, na_action="ignore").fillna("").to_numpy(object)
    paths = _join(str(root), names)
    present = files_exist(paths)
    for search in (_with_slashes, _by_likeness):
        lost = np.flatnonzero(~present & (names != ""))
        if len(lost):
            matches = search(names[lost], str(root), paths[present])
            paths[lost] = np.where(matches != "", matches, paths[lost])
            present[lost] = matches != ""
    images = pd.Series(names, frame.index, dtype=object).where(names != "", None)
    return frame.assign(image=images, path=paths, present=present)


def _join(root: str, names: Iterable[str]) -> np.ndarray:
    """Join a folder and names, as os.path.join does; a plain sum is faster where the name cannot be absolute."""
    prefix = os.path.join(root, "")
    return np.array([os.path.join(root, name) if name[:1] in ("/", "\\") or name[1:2] == ":" else name and prefix + name
                     for name in names], object)


def files_exist(paths: Paths) -> np.ndarray:
    """Tell which paths are files; a folder with many of them is listed once instead of looking up each file.

    Args:
        paths: Paths, [n].

    Returns:
        Whether each path is a file, bool [n].
    """
    exist = np.zeros(len(paths), bool)
    for folder in _by_folder(paths):
        files = folder.files()
        exist[folder.rows] = [os.path.isfile(os.path.join(folder.path, name)) if files is None else name in files
                              for name in folder.names]
    return exist


def real_paths(paths: Paths) -> pd.Series:
    """Resolve links and dots, so that each file has one path.

    Args:
        paths: Paths, [n].

    Returns:
        The real paths, [n], with the index of `paths`. Links to files are resolved only where they exist.
    """
    real = np.empty(len(paths), object)
    for folder in _by_folder(paths):
        files = folder.files()
        prefix = os.path.join(os.path.realpath(folder.path), "")
        real[folder.rows] = [os.path.realpath(prefix + name) if files is None or files.get(name) else prefix + name
                             for name in folder.names]
    return pd.Series(real, getattr(paths, "index", None), dtype=object)


class _Folder(NamedTuple):
    """The rows whose paths lie in one folder, and the files' names."""

    path: str
    rows: np.ndarray
    names: np.ndarray

    def files(self) -> dict[str, bool] | None:
        """List the folder's files, where many are needed; None where a few are, or if it cannot be listed."""
        return _list_files(self.path) if len(self.rows) > MAX_SINGLE_FILES else None


def _by_folder(paths: Paths) -> Iterator[_Folder]:
    parts = np.array([os.path.split(path) for path in paths], object).reshape(-1, 2)
    codes, folders = pd.factorize(parts[:, 0])
    rows = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    for folder, index in zip(folders, rows, strict=False):  # without paths there is one empty part
        yield _Folder(folder, index, parts[index, 1])


def _list_files(folder: str) -> dict[str, bool] | None:
    """Return the files of a folder, each with whether it is a link; None if the folder cannot be listed."""
    try:
        with os.scandir(folder or ".") as entries:
            return {entry.name: entry.is_symlink() for entry in entries if entry.is_file()}
    except OSError:
        return None


def _with_slashes(names: np.ndarray, root: str, taken: np.ndarray) -> np.ndarray:
    """Return the paths with slashes for backslashes and without blanks around them; "" where there is no file."""
    plain = _slashed(names)
    paths = _join(root, plain)
    return np.where((plain != names) & files_exist(paths), paths, "")


def _slashed(names: np.ndarray) -> np.ndarray:
    return np.array([name.strip().replace("\\", "/") for name in names], object)


def _by_likeness(names: np.ndarray, root: str, taken: np.ndarray) -> np.ndarray:
    """Return the paths of images that do not lie where their `names` say; "" where there is none.

    No image is given to two names, nor one that is `taken`.
    """
    names = _slashed(names)
    matches = np.full(len(names), "", object)
    lookup = lru_cache(8)(_lookup)  # many folders of another machine may have only the root in common
    for folder in _by_folder(names):
        for place in _possible_folders(folder.path, names[folder.rows[0]], root):
            files, prefix = lookup(place), os.path.join(place, "")
            here = [files.get(_plain(name), "") for name in folder.names]
            if any(here):
                matches[folder.rows] = [name and prefix + name for name in here]
                break
    claims = pd.Series(matches)[(matches != "") & ~pd.Series(names).duplicated()]  # one of each name
    refused = pd.Series(matches).isin([*claims[claims.duplicated()], *taken])
    return np.where(refused, "", matches)


def _possible_folders(folder: str, example: str, root: str) -> Iterator[str]:
    """Yield the folders in which the images of the `folder` that a table names may lie, the likeliest first."""
    parts = folder.split("/")
    if not re.match(r"[A-Za-z]:$", parts[0]):
        yield os.path.join(root, folder) if folder or not example.startswith("/") else "/"
    if ABSOLUTE.match(example):
        tails = [os.path.join(root, *parts[i:]) for i in range(1, len(parts) + 1)]
    else:
        tails = [os.path.join(root, *parts[1:])] if parts[0] == os.path.basename(os.path.abspath(root)) else []
    yield from (tail for tail in tails if os.path.isdir(tail))


def _lookup(folder: str) -> dict[str, str]:
    """Map names without regard to case and form, with and without an image's ending, to the one file that is meant."""
    stems: dict[str, list[str]] = {}
    names: dict[str, list[str]] = {}
    for name in _list_files(folder) or ():
        plain = _plain(name)
        names.setdefault(plain, []).append(name)
        stem, ending = os.path.splitext(plain)
        if ending in SUFFIXES:
            stems.setdefault(stem, []).append(name)
    return {plain: files[0] for group in (stems, names) for plain, files in group.items() if len(files) == 1}


def _plain(name: str) -> str:
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def table_of_folder(folder: str | Path, pattern: str, columns: list[str]) -> pd.DataFrame:
    """Make a labels table of the images below a folder, by their names.

    Args:
        folder: The folder.
        pattern: A regular expression whose named groups are columns. It is searched in each file name; where it is not
            found there, in the path below the folder. "" if the labels are the names of sub folders, all numbers.
        columns: The labels' columns: with a pattern some of its groups, without one a single column.

    Returns:
        `image` relative to the folder, sorted; `path`; and the columns as text, None where the name holds none.

    Raises:
        ImgregError: The folder has no images, a column is no group of the pattern, or without a pattern there is not
            one column, or a sub folder is not called by a number. A pattern that matches no name is no error here.
    """
    images = pd.Series(list_images(str(folder)), dtype=object)
    names = images.str.replace(os.sep, "/", regex=False)
    if pattern:
        groups = columns_in_pattern(pattern)
        for column in columns:
            if column not in groups:
                raise ImgregError(f"a group (?P<{column}>...) in --label-from-name", f"'{pattern}'",
                                  close_matches(column, groups))
        labels = names.str.rpartition("/")[2].str.extract(pattern)[groups]
        unmatched = labels.isna().all(axis=1)
        labels = labels.mask(unmatched, names.str.extract(pattern)[groups])
    else:
        if len(columns) != 1:
            raise ImgregError("one number for sub folders to be called by", f"{len(columns)}: {first_few(columns)}")
        folder_names = names.str.extract("^([^/]*)/")[0]
        not_numbers = [name for name in folder_names.dropna().unique() if not re.fullmatch(NUMBER, name)]
        if not_numbers or folder_names.isna().all():
            raise ImgregError(f"sub folders of '{folder}' that are called by numbers",
                              first_few(map(repr, not_numbers)) or "none")
        labels = pd.DataFrame({columns[0]: folder_names})
    labels = labels.astype(object).where(labels.notna(), None)
    return pd.DataFrame({"image": images, "path": pd.Series(_join(str(folder), images), dtype=object)}).join(labels)


def columns_in_pattern(pattern: str) -> list[str]:
    """Return the named groups of a regular expression, which are columns.

    Raises:
        ImgregError: It is not a regular expression, or it has no named group.
    """
    try:
        groups = list(re.compile(pattern).groupindex)
    except re.error as e:
        raise ImgregError("--label-from-name with a regular expression", f"'{pattern}': {e}") from e
    if not groups:
        raise ImgregError("a group (?P<NAME>...) in --label-from-name", f"'{pattern}'",
                          r"--label-from-name 'age_(?P<age>\d+)'")
    return groups
