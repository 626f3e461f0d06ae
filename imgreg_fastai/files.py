"""Writing files whole or not at all."""
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import ImgregError


@contextmanager
def whole(path: str | Path) -> Iterator[Path]:
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
