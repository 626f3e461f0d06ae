"""What the user reads: the error for mistakes, lists of names in it, messages and progress bars; always on stderr."""
import logging
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TypeVar

from .format import format_clock

T = TypeVar("T")
log = logging.getLogger("imgreg")
SCREEN = 600  # characters of the longest message
ITEM = 60  # of a value out of the user's data, such as a cell or a column name
PATH = 160  # of a path that is left whole, and of what a hint gives to be typed
QUOTED = r"(?<!\w)'.*?'(?!\w)"  # an apostrophe within a word opens and closes nothing
LONG_WORD = rf"[^\s']{{{ITEM + 1},}}"


def shorten(value: object, limit: int = ITEM) -> str:
    """Return a value as one line of text that any terminal can show: "9j/4AAQSkZJRgABAQ…UAFFFFAH//Z".

    White space becomes single blanks, and what cannot be printed becomes an escape such as `\\x1b`.

    Args:
        value: Anything that str() takes.
        limit: The most characters; of a longer text the middle is left out.
    """
    text = str(value)
    if len(text) > 20 * limit:  # all but the ends of a huge cell is left alone
        text = f"{text[:8 * limit]}…{text[-8 * limit:]}"
    text = " ".join(text.split())
    text = "".join(c if c.isprintable() else c.encode("unicode_escape", "surrogatepass").decode() for c in text)
    end = (limit - 1) // 2
    return text if len(text) <= limit else f"{text[:limit - 1 - end]}…{text[len(text) - end:]}"


def shorten_items(text: str, limit: int = ITEM) -> str:
    """Return a sentence as `shorten` does at any length, its long words and quoted values as short as `limit`."""
    def shorten_match(match: re.Match) -> str:
        item = match[0]
        if len(item) <= (PATH if re.search(r"[/\\]", item) else limit):
            return item
        return f"'{shorten(item[1:-1], limit - 2)}'" if item.startswith("'") else shorten(item, limit)

    text = re.sub(QUOTED, shorten_match, shorten(text, 100 * SCREEN))
    return re.sub(LONG_WORD, shorten_match, text)


class ImgregError(Exception):
    """A mistake that the user can correct, described in one line.

    Args:
        expected: What was expected.
        actual: What was there instead.
        hint: What to type or do.
    """

    def __init__(self, expected: str, actual: str | None = None, hint: str | None = None) -> None:
        self.expected, self.actual, self.hint = expected, actual, hint
        hint = f"; try {shorten(shorten_items(hint, PATH), SCREEN // 2)}" if hint else ""
        actual = f"; found {shorten_items(actual)}" if actual else ""
        expected = f"expected {shorten_items(expected)}"
        room = SCREEN - len(hint)  # the hint is what helps: the others give way
        expected = shorten(expected, max(room // 2, room - len(actual)))
        super().__init__(expected + shorten(actual, room - len(expected)) + hint)

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
    """List the first names, each of them short, and the number of the others: "a, b and 3 more".

    Args:
        names: Anything that str() takes.
        limit: The most names to list.

    Returns:
        The names with commas.
    """
    names = list(names)
    rest = f" and {len(names) - limit} more" if len(names) > limit else ""
    texts = [shorten_items(str(name)) for name in names[:limit]]
    # A sentence with a path or a quoted name in it is longer than a name.
    return ", ".join(shorten(text, PATH if re.search(r"['/\\]", text) else ITEM) for text in texts) + rest


def say(text: str) -> None:
    """Log what happens, at the level INFO. The command line shows it; Python code shows it if logging is set up so."""
    log.info(shorten(shorten_items(text), SCREEN))


def warn(text: str) -> None:
    """Log a problem at the level WARNING: an image that is left out, weights that are not available."""
    log.warning(shorten(shorten_items(text), SCREEN))


@contextmanager
def muted(level: int = logging.CRITICAL) -> Iterator[None]:
    """Within this context, nothing below a level is logged: what is read again was told of when it was read first."""
    before = log.level
    log.setLevel(max(level, before))
    try:
        yield
    finally:
        log.setLevel(before)


class ProgressBar:
    """A progress bar with a text behind it. It is drawn on terminals only.

    Args:
        description: The text before the bar, such as "training".
        knows_time: Whether `update` gets the time that is left; otherwise it is guessed by the steps so far.
    """

    def __init__(self, description: str, knows_time: bool = False) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

        console = Console(stderr=True)
        time_left = TextColumn("{task.fields[left]}") if knows_time else TimeRemainingColumn()
        columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), time_left,
                   TextColumn("{task.fields[text]}"))
        self.progress = Progress(*columns, console=console, transient=True, disable=not console.is_terminal)
        self.task = self.progress.add_task(description, total=None, text="", left="")

    def __enter__(self) -> "ProgressBar":
        self.progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.progress.stop()

    def update(self, completed: int, total: int | None, text: str = "", seconds_left: float = 0.0) -> None:
        """Move the bar.

        Args:
            completed: The steps that are complete.
            total: All steps; None if their number is unknown.
            text: The text behind the bar.
            seconds_left: Shown as "3:12 left" if the bar knows the time.
        """
        left = f"{format_clock(seconds_left)} left"
        self.progress.update(self.task, completed=completed, total=total, text=text, left=left)

    def line(self, text: str) -> None:
        """Print a line that stays above the bar; without a terminal, log it as `say` does."""
        if self.progress.disable:
            say(text)
        elif log.isEnabledFor(logging.INFO):
            self.progress.console.print(shorten(text, SCREEN), markup=False, highlight=False)


def progress_bar(items: Iterable[T], total: int, description: str, start: int = 0) -> Iterator[T]:
    """Yield items under a progress bar.

    Args:
        items: What to yield.
        total: The number of items, with those that were complete before.
        description: The text before the bar, such as "reading 200 images".
        start: The number of items that were complete before.

    Yields:
        The items.
    """
    with ProgressBar(description) as bar:
        for n, item in enumerate(items, start):
            bar.update(n, total, f"{n}/{total}")
            yield item
