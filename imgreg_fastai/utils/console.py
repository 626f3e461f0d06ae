"""Messages and progress bars for people, always on stderr."""
import logging
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")
log = logging.getLogger("imgreg")


def say(text: str) -> None:
    """Log what happens, at the level INFO. The command line shows it; Python code shows it if logging is set up so."""
    log.info(text)


def warn(text: str) -> None:
    """Log a problem at the level WARNING: an image that is left out, weights that are not available."""
    log.warning(text)


class ProgressBar:
    """A progress bar with a text behind it. It is drawn on terminals only.

    Args:
        description: The text before the bar, such as "training".
    """

    def __init__(self, description: str) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(),
                   TextColumn("{task.fields[text]}"))
        self.progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.task = self.progress.add_task(description, total=None, text="")

    def __enter__(self) -> "ProgressBar":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def update(self, completed: int, total: int | None, text: str = "") -> None:
        """Move the bar.

        Args:
            completed (int): the steps that are complete.
            total (int or None): all steps; None if their number is unknown.
            text (str): the text behind the bar.
        """
        self.progress.update(self.task, completed=completed, total=total, text=text)

    def line(self, text: str) -> None:
        """Print a line that stays above the bar; without a terminal, log it as `say` does."""
        if self.progress.disable:
            say(text)
        else:
            self.progress.console.print(text, highlight=False)


def progress_bar(items: Iterable[T], total: int, description: str) -> Iterator[T]:
    """Yield items under a progress bar.

    Args:
        items: What to yield.
        total: The number of items.
        description: The text before the bar, such as "reading 200 pictures".

    Yields:
        the items.
    """
    with ProgressBar(description) as bar:
        for n, item in enumerate(items):
            bar.update(n, total, f"{n}/{total}")
            yield item
