"""Finding the files of images."""
import os
from glob import glob
from pathlib import Path

from ...utils.errors import ImgregError

SUFFIXES = frozenset((".png", ".apng", ".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".webp", ".bmp", ".gif", ".tif",
                      ".tiff", ".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".jp2"))


def find_images(paths) -> list[str]:
    """Find the images that files, folders (searched below, sorted) and globs name, in this order.

    A file is taken whatever its name, even if it does not exist: it is reported when it is opened.

    Args:
        paths: Paths or globs.

    Raises:
        ImgregError: A folder or a glob holds no image.
    """
    files: list[str] = []
    for path in map(str, paths):
        if os.path.isdir(path):  # unlike Path's, these functions never raise, whatever the name
            files += [str(Path(path, name)) for name in list_images(path)]
        elif os.path.exists(path) or not any(c in path for c in "*?["):
            files.append(path)
        else:
            matches = sorted(name for name in glob(path, recursive=True) if _is_image(name) and os.path.isfile(name))
            files += _require_images(matches, path)
    return files


def list_images(folder: str) -> list[str]:
    """List the images below a folder, as sorted paths relative to it.

    Raises:
        ImgregError: There is none.
    """
    images = [os.path.join(parent, name) for parent, _, names in os.walk(folder) for name in names if _is_image(name)]
    start = len(os.path.join(folder, ""))
    return _require_images(sorted(path[start:] for path in images), folder)


def _require_images(images: list[str], path: str) -> list[str]:
    """Return the images; raise ImgregError if there are none."""
    if not images:
        raise ImgregError("pictures", f"none in '{path}'", "a file, a folder or a glob such as 'photos/*.jpg'")
    return images


def _is_image(path: str) -> bool:
    return os.path.splitext(path)[1].lower() in SUFFIXES
