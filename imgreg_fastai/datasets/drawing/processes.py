"""Many calls of a function in several processes."""
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait

from ...utils.messages import progress_bar
from ...utils.processes import unguarded_line

MAX_PROCESSES = 61  # Windows allows no more


def run_in_processes(function: Callable, calls: list[tuple], jobs: int | None, description: str,
                     n_complete: int = 0) -> Iterator:
    """Call a function many times in several processes, under a progress bar.

    If processes cannot start, it is called in this one: in a script without a guard, see utils/processes.py.

    Args:
        function (callable): a function of a module.
        calls (list of tuple): the arguments of each call.
        jobs (int or None): the number of processes; None: one for each core.
        description (str): the text before the progress bar.
        n_complete (int): the number of calls that the bar counts as complete at its start.

    Yields:
        the values of the calls, in order.
    """
    if not calls:
        return
    total = n_complete + len(calls)
    if unguarded_line() is not None:
        yield from progress_bar((function(*call) for call in calls), total, description, n_complete)
        return
    complete = 0
    processes = min(jobs or os.cpu_count() or 1, len(calls), MAX_PROCESSES)
    pool = ProcessPoolExecutor(processes, initializer=_start_worker)
    try:
        values = pool.map(function, *zip(*calls, strict=True))
        for value in progress_bar(values, total, description, n_complete):
            yield value
            complete += 1
    except BrokenProcessPool:
        yield from (function(*call) for call in calls[complete:])
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker() -> None:
    """Prepare a process of the pool, which is to end with the process that started it."""
    # Ctrl-C reaches all processes. Only the first one handles it, or each would print a traceback.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """Wait until the parent process ends, by kill -9 too, then end this one: it would wait for calls for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
