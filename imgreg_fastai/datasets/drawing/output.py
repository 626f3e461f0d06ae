"""What all drawn data sets share: a folder that is filled completely or not at all, and processes that fill it."""
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from pathlib import Path

from ...utils.errors import ImgregError, error_reason
from ...utils.files import atomic_folder

MAX_PROCESSES = 61  # Windows allows no more


@contextmanager
def atomic_drawing(out: str | Path, n: int) -> Iterator[Path]:
    """Fill a folder with `n` images: `atomic_folder`, with messages about --out."""
    out = Path(out).resolve()
    try:
        with atomic_folder(out, "draw into", "--out with another name") as folder:
            yield folder
    except OSError as e:
        raise ImgregError(f"a folder that can be written for {n} images", f"'{out}': {error_reason(e)}",
                          "--out with another folder") from e


def run_in_processes(function: Callable, calls: list[tuple], jobs: int | None = None) -> Iterator:
    """Call a function many times in several processes.

    If processes cannot start, it is called in this one. They cannot where they are spawned and run the script anew: in
    a script without `if __name__ == "__main__"`.

    Args:
        function (callable): a function of a module.
        calls (list of tuple): the arguments of each call.
        jobs (int or None): the number of processes; None: one for each core.

    Yields:
        the values of the calls, in order.
    """
    complete = 0
    processes = min(jobs or os.cpu_count() or 1, len(calls), MAX_PROCESSES)
    try:
        # Ctrl-C reaches all processes. Only this one handles it, so that it is reported once.
        with ProcessPoolExecutor(processes, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN)) as pool:
            for value in pool.map(function, *zip(*calls, strict=True)):
                yield value
                complete += 1
    except BrokenProcessPool:
        yield from (function(*call) for call in calls[complete:])
