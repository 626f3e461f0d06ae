"""Paths of images: which are files, and the table of those that a folder holds; fast enough for a million rows."""
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias

import numpy as np
import pandas as pd

from ...utils.messages import ImgregError, close_matches, first_few
from ..images import list_images
from .frames import FrameTable, Table, as_table

LABELS_NAME = "labels.csv"  # the labels table of a folder
MAX_SINGLE_FILES = 64  # so many files of a folder are looked up one by one; for more, the folder is listed
Paths: TypeAlias = Sequence[str] | np.ndarray | pd.Series
NUMBER = r"[+-]?\d+(\.\d+)?"


def resolve_table(path: str | Table, from_names: bool = False) -> Table:
    """Find the labels table: the labels.csv of a folder, else the path itself.

    Args:
        path: A table, a folder, or a DataFrame.
        from_names: Whether the names of a folder's images hold the labels, even if it has a labels.csv.
    """
    table = as_table(path)
    if isinstance(table, FrameTable) or from_names or not (table / LABELS_NAME).is_file():
        return table
    return table / LABELS_NAME


def join_paths(root: str, names: Iterable[str]) -> np.ndarray:
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
    for folder in by_folder(paths):
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
    for folder in by_folder(paths):
        files = folder.files()
        prefix = os.path.join(os.path.realpath(folder.path), "")
        real[folder.rows] = [os.path.realpath(prefix + name) if files is None or files.get(name) else prefix + name
                             for name in folder.names]
    return pd.Series(real, getattr(paths, "index", None), dtype=object)


class Folder(NamedTuple):
    """The rows whose paths lie in one folder, and the files' names."""

    path: str
    rows: np.ndarray
    names: np.ndarray

    def files(self) -> dict[str, bool] | None:
        """List the folder's files, where many are needed; None where a few are, or if it cannot be listed."""
        return list_files(self.path) if len(self.rows) > MAX_SINGLE_FILES else None


def by_folder(paths: Paths) -> Iterator[Folder]:
    """Yield the folders of the paths, each with its rows."""
    parts = np.array([os.path.split(path) for path in paths], object).reshape(-1, 2)
    codes, folders = pd.factorize(parts[:, 0])
    rows = np.split(np.argsort(codes, kind="stable"), np.cumsum(np.bincount(codes))[:-1])
    for folder, index in zip(folders, rows, strict=False):  # without paths there is one empty part
        yield Folder(folder, index, parts[index, 1])


def list_files(folder: str) -> dict[str, bool] | None:
    """Return the files of a folder, each with whether it is a link; None if the folder cannot be listed."""
    try:
        with os.scandir(folder or ".") as entries:
            return {entry.name: entry.is_symlink() for entry in entries if entry.is_file()}
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None


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
    images = pd.Series(list_images(str(folder), tell=True), dtype=object)
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
    paths = pd.Series(join_paths(str(folder), images), dtype=object)
    return pd.DataFrame({"image": images, "path": paths}).join(labels)


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
