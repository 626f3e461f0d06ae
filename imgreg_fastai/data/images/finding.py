"""Finding the images that files, folders and globs name, and saying what else lies there that is not read."""
import os
from collections.abc import Iterable
from glob import glob
from pathlib import Path

from ...utils.messages import ImgregError, warn
from .formats import SUFFIXES, describe_skipped, list_suffixes

THUMBNAILS = frozenset(("__MACOSX", "@eaDir"))  # folders of copies that systems make; hidden ones are left out anyway


def find_images(paths: Iterable[str | os.PathLike]) -> list[str]:
    """Find the images that files, folders (searched below, sorted) and globs name, in this order.

    A file is taken whatever its name, even if it does not exist: it is reported when it is opened. A warning names
    files of other formats in folders and globs.

    Args:
        paths: Paths or globs.

    Raises:
        ImgregError: A folder or a glob holds no image.
    """
    files: list[str] = []
    for path in map(str, paths):
        if os.path.isdir(path):  # unlike Path's, these functions never raise, whatever the name
            files += [str(Path(path, name)) for name in list_images(path, tell=True)]
        elif os.path.exists(path) or "://" in path or not any(c in path for c in "*?["):
            files.append(path)
        else:
            files += _select_images(sorted(filter(os.path.isfile, glob(path, recursive=True))), path, tell=True)
    return files


def list_images(folder: str, tell: bool = False) -> list[str]:
    """List the images below a folder, as sorted paths relative to it; hidden files and folders are left out.

    Args:
        folder: The folder.
        tell: Whether a warning names the files of other formats.

    Raises:
        ImgregError: There is none.
    """
    names: list[str] = []
    start = len(os.path.join(folder, ""))
    for parent, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".") and name not in THUMBNAILS]
        names += [os.path.join(parent, name)[start:] for name in files if not name.startswith(".")]
    return _select_images(sorted(names), folder, tell)


def _select_images(names: list[str], place: str, tell: bool) -> list[str]:
    """Return the images among files; raise ImgregError if there are none."""
    images = [name for name in names if os.path.splitext(name)[1].lower() in SUFFIXES]
    skipped = describe_skipped(names) if tell or not images else ""
    if not images:
        others = f" ({skipped or list_suffixes(names)})" if names else ""
        hint = None if skipped else "a file, a folder or a glob such as 'photos/*.jpg'"
        raise ImgregError("images", f"none in '{place}'{others}", hint)
    if skipped:
        warn(f"skipped in '{place}': {skipped}")
    return images
