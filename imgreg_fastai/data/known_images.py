"""The images that a run knows, by the content of their files: renamed or copied, they are recognised."""
import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from hashlib import blake2b
from pathlib import Path

import numpy as np
import pandas as pd

from ..utils.messages import ImgregError, progress_bar, warn
from .images import map_ahead
from .kept_parts import FRESHNESS
from .tables import files_exist, read_csv, real_paths

FILE = "image_hashes.csv"  # of a run: the images that it knows, those of the runs that it went on from too
COLUMNS = ("hash", "bytes", "split", "group")  # of a table of known images
# Of a larger file its beginning and its end are read: a table of films or slides of gigabytes would take an hour, and
# two of the same size that share both ends are the same file.
MAX_READ = 1 << 26
END = 1 << 22
MANY = 500  # files that take long enough for a progress bar


def content_hashes(paths: Sequence[str] | pd.Series) -> np.ndarray:
    """Hash the content of files; each is read once by a process as long as it does not change.

    Args:
        paths: Paths, [n].

    Returns:
        The hashes as text, [n]; "" of a file that cannot be read.
    """
    files, codes = np.unique(np.asarray(paths, object).astype(str), return_inverse=True)
    hashes = map_ahead(_hash, files)
    if len(files) >= MANY:
        hashes = progress_bar(hashes, len(files), f"recognising {len(files):,} images")
    return np.array([*hashes], object)[codes] if len(files) else np.empty(0, object)


def _hash(path: str) -> str:
    """Hash a file; "" if it cannot be read."""
    try:
        status = os.stat(path)
        return _hash_of_version(path, status.st_size, status.st_mtime_ns)
    except OSError:
        return ""


@lru_cache(maxsize=1 << 20)
def _hash_of_version(path: str, size: int, _: int) -> str:
    """Hash a file of a size and a time of its last change."""
    digest = blake2b(digest_size=16)
    with open(path, "rb") as file:
        if size <= MAX_READ:
            digest.update(file.read())
        else:
            digest.update(f"{size} ".encode() + file.read(END))
            file.seek(-END, os.SEEK_END)
            digest.update(file.read())
    return digest.hexdigest()


def known_images(frame: pd.DataFrame, earlier: pd.DataFrame | None = None) -> pd.DataFrame:
    """List the images that a training knows: those of its table, and those that it goes on from.

    Args:
        frame: Its labels with `path`, `split` and optionally `group`.
        earlier: What the run knows that it starts from.

    Returns:
        COLUMNS, a row for each content; its part is the one that used it most, its group "" where it has none.
    """
    sizes = [os.stat(path).st_size if os.path.isfile(path) else 0 for path in frame["path"]]
    group = frame["group"].fillna("").astype(str) if "group" in frame else ""
    images_known = frame[["split"]].assign(hash=content_hashes(frame["path"]), bytes=sizes, group=group)[[*COLUMNS]]
    images_known = pd.concat([images_known] if earlier is None else [images_known, earlier[[*COLUMNS]]])
    order = images_known["split"].map(FRESHNESS).fillna(len(FRESHNESS))
    return images_known.iloc[np.argsort(order.to_numpy(), kind="stable")].drop_duplicates("hash").reset_index(drop=True)


def read_known_images(folder: Path, labels: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """Read what a run knows, or compute it for a run that did not record it.

    Args:
        folder: The run's.
        labels: Returns its labels with `path` and `split`.

    Returns:
        As known_images does; the hash of a file that is gone is "".

    Raises:
        ImgregError: The file cannot be read.
    """
    file = folder / FILE
    if not file.is_file():
        return known_images(labels())
    try:
        return read_csv(file, text=COLUMNS)[[*COLUMNS]].astype({"bytes": int})
    except (OSError, ValueError, KeyError) as e:
        raise ImgregError(f"the {FILE} of a run as imgreg wrote it", f"'{file}': {e}", "removing that file") from e


def known_parts(frame: pd.DataFrame, images_known: pd.DataFrame, same_groups: bool) -> tuple[pd.Series, pd.Series]:
    """Look up in which part a run had the images of a table.

    Args:
        frame: Rows with `path` and optionally `group`.
        images_known: What the run knows, see known_images.
        same_groups: Whether `group` is the same column as that of the run, so that its names mean the same.

    Returns:
        The part of each row's image; and the part of each row, which a new image has from its group where the run knows
        that in one part. NaN where there is none.
    """
    by_hash = images_known[images_known["hash"] != ""].set_index("hash")["split"]
    images = pd.Series(content_hashes(frame["path"]), frame.index).map(by_hash).astype(object)
    if not same_groups or "group" not in frame:
        return images, images
    groups = images_known[(images_known["group"].notna()) & (images_known["group"] != "")].groupby("group")["split"]
    in_one_part = groups.first()[groups.nunique() == 1]
    return images, images.fillna(frame["group"].astype(object).map(str, na_action="ignore").map(in_one_part))


def exclude_trained(frame: pd.DataFrame, trained: pd.DataFrame, images_known: pd.DataFrame) -> pd.DataFrame:
    """Leave out the rows whose image a run was trained or calibrated on, and warn how many they are.

    An image is the same if its path or its content is; where its file no longer exists and no content is known, if its
    name is: it may have moved.

    Args:
        frame: Rows with `image` and `path`.
        trained: The rows the run was trained and calibrated on.
        images_known: What the run knows, see known_images.

    Returns:
        The other rows.

    Raises:
        ImgregError: No row is left.
    """
    moved = trained.loc[~files_exist(trained["path"]), "image"] if (images_known["hash"] == "").any() else []
    in_training = real_paths(frame["path"]).isin(set(real_paths(trained["path"]))) | frame["image"].isin(set(moved))
    used = images_known[images_known["split"].isin(("train", "calibrate")) & (images_known["hash"] != "")]
    sizes = frame["path"].map(lambda path: os.stat(path).st_size if os.path.isfile(path) else -1)
    same_size = ~in_training & sizes.isin(set(used["bytes"]))  # others have another content: they need not be read
    in_training[same_size] = np.isin(content_hashes(frame.loc[same_size, "path"]).astype(str), used["hash"].astype(str))
    n = in_training.sum()
    if n == len(frame):
        raise ImgregError("images that the run was not trained on", f"{len(frame)} that it was", "other images")
    if n:
        warn(f"left out {n} of {len(frame)} images, because the run was trained or calibrated on them")
    return frame[~in_training].reset_index(drop=True)
