"""Writing files and folders whole or not at all."""
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import ImgregError


@contextmanager
def atomic_file(path: str | Path) -> Iterator[Path]:
    """A place beside `path` to write to; when the block ends well, it takes the place of `path`, whose folder is made.

    However the block ends, `path` is the whole new file or what it was before, and nothing else is left. Raises
    ImgregError if the place cannot be written or the disk is full.
    """
    path = Path(path)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield beside
            os.replace(beside, path)
        finally:
            beside.unlink(missing_ok=True)
    except (OSError, RuntimeError) as e:
        if not isinstance(e, OSError) and "inline_container" not in str(e):
            raise
        why = e.strerror if isinstance(e, OSError) and e.strerror else "torch could not write it; is the disk full?"
        raise ImgregError("a place that can be written", f"'{path}': {why}", "another --out") from e


def has_content(folder: str | Path) -> bool:
    """Whether it is a folder that holds anything."""
    folder = Path(folder)
    return folder.is_dir() and any(folder.iterdir())


@contextmanager
def atomic_folder(path: str | Path, use: str, then: str | None = None) -> Iterator[Path]:
    """A folder beside `path` to fill; when the block ends well, it becomes `path`, or fills it where that is empty.

    If the block fails, `path` is what it was before; however it ends, nothing else is left. `use`: what it is for, as
    in "draw into". Raises ImgregError, with `then`, if `path` holds anything; an OSError is for the caller to tell, who
    knows what there was no room for.
    """
    home = Path(path).resolve()
    if has_content(home) or (home.exists() and not home.is_dir()):
        raise ImgregError(f"a new or empty folder to {use}, so that nothing is lost", f"'{path}' in use", then)
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{home.name}-", dir=home.parent, ignore_cleanup_errors=True) as work:
        folder = Path(work, "all")
        folder.mkdir()  # with the permissions of any new folder; a temporary one is closed to others
        yield folder
        if not home.is_dir():
            folder.rename(home)
            return
        for child in sorted(folder.iterdir(), key=Path.is_file):  # a labels table last: it says that all is there
            child.rename(home / child.name)  # one by one, for `path` may be the current folder
