"""What drawn data sets share: a folder that appears whole, and the processes that draw into it."""
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from ..utils.errors import ImgregError
from ..utils.files import atomic_folder

T = TypeVar("T")


@contextmanager
def atomic_drawing(out: str | Path, n: int) -> Iterator[Path]:
    """A folder for `n` pictures; when the block ends well, it becomes `out`, which appears whole or not at all.

    Raises ImgregError if `out` holds anything, or cannot be written.
    """
    out = Path(out).resolve()
    try:
        with atomic_folder(out, "draw into", "--out with another name") as folder:
            yield folder
    except OSError as e:
        raise ImgregError(f"a folder that can be written for {n} pictures", f"'{out}': {e.strerror or e}",
                          "--out with another folder") from e


def draw_in_pieces(write: Callable[..., T], work: list[tuple], jobs: int | None = None) -> Iterator[T]:
    """`write` of each piece of work, in order, in `jobs` processes, else one a core; in this one where none can start.

    They cannot in a script without `if __name__ == "__main__"`, where processes are spawned and run the script anew.
    """
    done = 0
    try:
        n_jobs = min(jobs or os.cpu_count() or 1, len(work), 61)  # Windows takes no more
        with ProcessPoolExecutor(n_jobs, initializer=_ignore_interrupts) as pool:
            for written in pool.map(write, *zip(*work, strict=True)):
                yield written
                done += 1
    except BrokenProcessPool:
        yield from (write(*piece) for piece in work[done:])


def _ignore_interrupts() -> None:
    """Leave Ctrl-C, which a terminal sends to all processes, to the one that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
