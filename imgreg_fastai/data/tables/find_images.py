"""Finding the images that a table names: where the name says, or else the one file that can be meant."""
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache, partial
from pathlib import Path

import numpy as np
import pandas as pd

from ...utils.messages import say, warn
from ..images import SUFFIXES
from .frames import Table
from .name_forms import ABSOLUTE, FORMS, decoded_without_query, is_address, plain, plain_number, slashed, without_upload
from .paths import by_folder, files_exist, join_paths, list_files

Key = Callable[[str], str]  # what two names have in common that mean the same file; "" of a name that has no such key
MAX_FILES = 200_000  # below a folder; where there are more, its sub-folders are not searched
MAX_NAME = 1000  # characters; what is longer is no name
RUN_FILE = "run.json"  # marks the folder of a run, whose plots are no images of the table


def with_paths(frame: pd.DataFrame, column: str, root: str | Path, table: str | Table = "") -> pd.DataFrame:
    """Locate the image of each row.

    A name that is no file is looked for with slashes in place of backslashes; in another case or Unicode form, or
    without its ending; an absolute path of another machine by its last parts; without quotes, percent signs and what a
    URL has beside its path; a number without the zeros before it; and in the sub-folders. It is found where only one
    image can be meant.

    Args:
        frame: A table.
        column: The column that names the images.
        root: The folder the names are relative to.
        table: The table's path, to report by what other names images are found; "": nothing is reported.

    Returns:
        The frame with `image`, the name as text (None where there is none), `path` ("" where there is no name), and
        `present`, whether the file exists.
    """
    root = str(root)
    names = frame[column].astype(object).map(str, na_action="ignore").fillna("").to_numpy(object)
    paths = join_paths(root, names)
    present = files_exist(paths)
    searches = ((_by_slashes, ""), (_by_likeness, ""),
                (_by_form, "once quotes, %-codes and parts of a URL are taken off their names"),
                (partial(_by_likeness, key=plain_number), "by their numbers, without the zeros before them"),
                (partial(_below, table=table), "in sub-folders"))
    for search, how in searches:
        lost = np.flatnonzero(~present & (names != ""))
        if not len(lost):
            break
        matches = search(names[lost], root, paths[present])
        matched = lost[matches != ""]
        paths[matched], present[matched] = matches[matches != ""], True
        if table and how and len(matched):
            name, file = names[matched[0]], os.path.relpath(paths[matched[0]], root)
            how = "by the last parts of their addresses (nothing is downloaded)" if is_address(name) else how
            say(f"{len(matched):,} of {len(names):,} images of {table} are found {how}: {name!r} is '{file}'")
    images = pd.Series(names, frame.index, dtype=object).where(names != "", None)
    return frame.assign(image=images, path=paths, present=present)


def absent_hint(names: Iterable[str], table: str | Table, images: str | Path | None) -> str:
    """Say what to do about images that are not found.

    Args:
        names: Their names.
        table: The table.
        images: The folder that the user has named; None: that of the table.
    """
    name = next(iter(names))
    root, base = Path(images or Path(table).parent), os.path.basename(slashed(name))
    if is_address(name):
        scheme, _, rest = name.strip().partition("://")
        tools = {"s3": f"`aws s3 cp s3://{rest.partition('/')[0]} images --recursive`",
                 "gs": f"`gcloud storage cp -r gs://{rest.partition('/')[0]} images`"}
        tool = tools.get(scheme.lower(), "`wget -P images -i FILE`, FILE with an address a line")
        return f"downloading the images first, such as by {tool}, then --images images"
    if "/" in slashed(name) and os.path.isfile(root / base):
        return f"names without their folder in the table: '{base}' is in '{root}'"
    if len(name) > MAX_NAME or name.startswith("data:"):
        return "files of the images, and their names in the table, whose cells hold the images themselves"
    looked_for = f"'{join_paths(str(root), [name])[0]}' was looked for"
    if images:
        return f"the right folder in place of --images {images}: {looked_for}"
    return f"--images DIR, the folder that the names are relative to: {looked_for}"


def _by_slashes(names: np.ndarray, root: str, taken: np.ndarray) -> np.ndarray:
    """Return the paths with slashes for backslashes and without blanks around them; "" where there is no file."""
    return _exact(np.array(list(map(slashed, names)), object), root, taken)


def _exact(names: np.ndarray, root: str, taken: np.ndarray) -> np.ndarray:
    """Return the paths of names; "" where there is no file."""
    paths = join_paths(root, names)
    return np.where(files_exist(paths), paths, "")


def _by_form(names: np.ndarray, root: str, taken: np.ndarray) -> np.ndarray:
    """Return the paths of what the `names` mean in one of FORMS."""
    matches = np.full(len(names), "", object)
    usual = np.array(list(map(slashed, names)), object)  # which was looked for already
    for form in FORMS:
        forms = np.array(list(map(form, names)), object)
        for likely in (False, True):
            rows = np.flatnonzero((matches == "") & (forms != usual) & (forms != ""))
            if len(rows):
                search = _by_likeness if likely else _exact
                matches[rows] = search(forms[rows], root, taken)
    return _unclaimed(names, matches, taken)


def _by_likeness(names: np.ndarray, root: str, taken: np.ndarray, key: Key = plain) -> np.ndarray:
    """Return the paths of images that do not lie where their `names` say, and have their `key`; "" where there is none.

    No image is given to two names, nor one that is `taken`.
    """
    names = np.array(list(map(slashed, names)), object)
    matches = np.full(len(names), "", object)
    lookup = lru_cache(8)(partial(_unique_files, key=key))  # many folders of another machine may share only the root
    for folder in by_folder(names):
        for place in _possible_folders(folder.path, names[folder.rows[0]], root):
            files, prefix = lookup(place), os.path.join(place, "")
            here = [files.get(key(name), "") for name in folder.names]
            if any(here):
                matches[folder.rows] = [name and prefix + name for name in here]
                break
    return _unclaimed(names, matches, taken)


def _unclaimed(names: np.ndarray, matches: np.ndarray, taken: np.ndarray) -> np.ndarray:
    """Return the matches without those that several names claim, or that are `taken`."""
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


def _unique_files(folder: str, key: Key) -> dict[str, str]:
    """Map the keys of a folder's files, each of one file alone, to these."""
    return {name: matched[0] for name, matched in _index(list_files(folder) or (), key).items() if len(matched) == 1}


def _index(files: Iterable[str], key: Key) -> dict[str, list[str]]:
    """Map the keys of files' names to the files; the name without an image's ending where no whole name is so."""
    stems: dict[str, list[str]] = {}
    names: dict[str, list[str]] = {}
    for file in files:
        name = os.path.basename(file)
        names.setdefault(key(name), []).append(file)
        stem, ending = os.path.splitext(name)
        if ending.lower() in SUFFIXES:
            stems.setdefault(key(stem), []).append(file)
    index = {**stems, **{name: matched for name, matched in names.items() if len(matched) == 1 or name not in stems}}
    return {name: matched for name, matched in index.items() if name}


def _below(names: np.ndarray, root: str, taken: np.ndarray, table: str | Table) -> np.ndarray:
    """Return the paths of images in sub-folders of the root; a folder that a relative name has must be theirs."""
    files = _images_below(root)
    if files is None:
        if table:
            warn(f"{root} holds more than {MAX_FILES:,} files, and its sub-folders are not searched for images")
        return np.full(len(names), "", object)
    indices = [(key, _index(files, key)) for key in (plain, plain_number)]
    candidates = {name: _candidates(name, indices) for name in dict.fromkeys(names)}
    several = [(name, matched) for name, matched in candidates.items() if len(matched) > 1]
    if table and several:
        name, matched = several[0]
        warn(f"{len(several):,} names of images in {table} fit several files in the sub-folders of {root}: {name!r} "
             f"fits '{matched[0]}' and '{matched[1]}'")
    paths = [os.path.join(root, candidates[name][0]) if len(candidates[name]) == 1 else "" for name in names]
    return _unclaimed(names, np.array(paths, object), taken)


def _candidates(name: str, indices: Sequence[tuple[Key, dict[str, list[str]]]]) -> list[str]:
    """Return the files that a name may mean: those that agree in the most of its folders, all of a relative name's."""
    for form in dict.fromkeys((decoded_without_query(name), without_upload(name))):
        *folders, base = plain(os.path.normpath(form)).split("/")
        for key, index in indices:
            agreeing: dict[int, list[str]] = {}
            for file in index.get(key(base), ()):
                theirs = plain(file).split("/")[:-1]
                same = (a == b for a, b in zip(reversed(folders), reversed(theirs), strict=False))
                n = next((i for i, agrees in enumerate(same) if not agrees), min(len(folders), len(theirs)))
                agreeing.setdefault(n, []).append(file)
            if agreeing and (ABSOLUTE.match(form) or max(agreeing) == len(folders)):
                return agreeing[max(agreeing)]
    return []


def _images_below(root: str) -> list[str] | None:
    """List the images below a folder relative to it, with slashes; None if there are too many files.

    Hidden folders and those of runs are left out; a folder is listed once, however many links lead to it.
    """
    images: list[str] = []
    n, visited = 0, set()
    for parent, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(parent)
        if real in visited or RUN_FILE in files:
            folders.clear()
            continue
        visited.add(real)
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        n += len(files) + len(folders)
        if n > MAX_FILES:
            return None
        here = os.path.relpath(parent, root)
        images += [name if here == "." else f"{here}/{name}" for name in sorted(files)
                   if os.path.splitext(name)[1].lower() in SUFFIXES]
    return images
