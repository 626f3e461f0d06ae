"""What is said to people while work goes on: lines and progress bars, always on stderr."""
import logging
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
log = logging.getLogger("imgreg")


def say(text: str) -> None:
    """Tell something worth knowing; seen in the terminal, silent in a library unless logging asks for it."""
    log.info(text)


def warn(text: str) -> None:
    """Tell something the user did not ask for and should know: a picture left out, weights not to be had."""
    log.warning(text)


def track(items: Iterable[T], total: int, doing: str) -> Iterator[T]:
    """Yield `items` under a progress bar on stderr; no bar when stderr is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield from progress.track(items, total=total, description=doing)
