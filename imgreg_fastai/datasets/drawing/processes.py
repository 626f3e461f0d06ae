"""Many calls of a function in several processes."""
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from ...utils.messages import progress_bar
from ...utils.processes import unguarded_line

MAX_PROCESSES = 61  # Windows allows no more


def run_in_processes(function: Callable, calls: list[tuple], jobs: int | None, description: str) -> Iterator:
    """Call a function many times in several processes, under a progress bar.

    If processes cannot start, it is called in this one: in a script without a guard, see utils/processes.py.

    Args:
        function (callable): a function of a module.
        calls (list of tuple): the arguments of each call.
        jobs (int or None): the number of processes; None: one for each core.
        description (str): the text before the progress bar.

    Yields:
        the values of the calls, in order.
    """
    if unguarded_line() is not None:
        yield from progress_bar((function(*call) for call in calls), len(calls), description)
        return
    complete = 0
    processes = min(jobs or os.cpu_count() or 1, len(calls), MAX_PROCESSES)
    # Ctrl-C reaches all processes. Only this one handles it, or each would print a traceback.
    pool = ProcessPoolExecutor(processes, initializer=signal.signal, initargs=(signal.SIGINT, signal.SIG_IGN))
    try:
        values = pool.map(function, *zip(*calls, strict=True))
        for value in progress_bar(values, len(calls), description):
            yield value
            complete += 1
    except BrokenProcessPool:
        yield from (function(*call) for call in calls[complete:])
    finally:
        pool.shutdown(cancel_futures=True)
