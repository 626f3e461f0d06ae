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


def progress_bar(items: Iterable[T], total: int, doing: str) -> Iterator[T]:
    """Yield `items` under a progress bar on stderr; no bar when stderr is not a terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        yield from progress.track(items, total=total, description=doing)


class ProgressBar:
    """A progress bar with a line of text, for work whose total shows itself only as it goes on.

    On a terminal the bar is redrawn in place; elsewhere only `line` says anything.
    """

    def __init__(self, doing: str):
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
                   TextColumn("{task.fields[text]}"))
        self.seen = console.is_terminal
        self.progress = Progress(*columns, console=console, transient=True, disable=not self.seen)
        self.task = self.progress.add_task(doing, total=None, text="")

    def __enter__(self):
        self.progress.start()
        return self

    def __exit__(self, *_):
        self.progress.stop()

    def update(self, done: int, total: int, text: str = "") -> None:
        """Move the bar to `done` of `total`, with `text` behind it."""
        self.progress.update(self.task, completed=done, total=total, text=text)

    def line(self, text: str) -> None:
        """Say a line that stays, above the bar."""
        if self.seen:
            self.progress.console.print(text, highlight=False)
        else:
            say(text)
