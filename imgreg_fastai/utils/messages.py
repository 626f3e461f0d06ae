"""What the user reads: the error for mistakes, lists of names in it, messages and progress bars; always on stderr."""
import logging
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import TypeVar

T = TypeVar("T")
log = logging.getLogger("imgreg")


class ImgregError(Exception):
    """A mistake that the user can correct, described in one line.

    Args:
        expected: What was expected.
        actual: What was there instead.
        hint: What to type or do.
    """

    def __init__(self, expected: str, actual: str | None = None, hint: str | None = None) -> None:
        self.expected, self.actual, self.hint = expected, actual, hint
        parts = [f"expected {expected}"]
        if actual:
            parts.append(f"found {actual}")
        if hint:
            parts.append(f"try {hint}")
        super().__init__("; ".join(" ".join(part.split()) for part in parts))  # on one line, whatever it is made of

    def __reduce__(self) -> tuple[type["ImgregError"], tuple[str, str | None, str | None]]:
        # Worker processes pickle their errors. Exception's own __reduce__ passes the whole message as `expected`.
        return type(self), (self.expected, self.actual, self.hint)


def error_reason(error: BaseException) -> str:
    """Return why something failed, without file names and error numbers: "No space left on device"."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def close_matches(name: str, names: Iterable[str]) -> str:
    """List the names most like `name`: "'resnet18', 'resnet10t'".

    Args:
        name: A name that is not among `names`.
        names: The names to search.

    Returns:
        At most three names in quotes, with commas. If none is similar: all of at most six names, none of more.
    """
    names = list(names)
    close = get_close_matches(name, names, cutoff=0.5)
    if not close and len(names) <= 6:
        close = names
    return ", ".join(f"'{n}'" for n in close)


def first_few(names: Iterable[object], limit: int = 5) -> str:
    """List the first names and the number of the others: "a, b and 3 more".

    Args:
        names: Anything that str() takes.
        limit: The most names to list.

    Returns:
        The names with commas.
    """
    texts = [str(name) for name in names]
    rest = f" and {len(texts) - limit} more" if len(texts) > limit else ""
    return ", ".join(texts[:limit]) + rest


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
            completed: The steps that are complete.
            total: All steps; None if their number is unknown.
            text: The text behind the bar.
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
        description: The text before the bar, such as "reading 200 images".

    Yields:
        The items.
    """
    with ProgressBar(description) as bar:
        for n, item in enumerate(items):
            bar.update(n, total, f"{n}/{total}")
            yield item
