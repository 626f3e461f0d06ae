"""Many calls of a function in several processes."""
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

MAX_PROCESSES = 61  # Windows allows no more


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
        # Ctrl-C reaches all processes. Only this one handles it, or each would print a traceback.
        ignore = {"initializer": signal.signal, "initargs": (signal.SIGINT, signal.SIG_IGN)}
        with ProcessPoolExecutor(processes, **ignore) as pool:
            for value in pool.map(function, *zip(*calls, strict=True)):
                yield value
                complete += 1
    except BrokenProcessPool:
        yield from (function(*call) for call in calls[complete:])
