"""The error for mistakes that users can correct, and lists of names for its messages."""
from collections.abc import Iterable
from difflib import get_close_matches


class ImgregError(Exception):
    """A mistake that the user can correct, described in one line.

    Args:
        expected: what was expected.
        actual: what was there instead.
        hint: what to type or do.
    """

    def __init__(self, expected: str, actual: str | None = None, hint: str | None = None) -> None:
        self.expected, self.actual, self.hint = expected, actual, hint
        parts = (f"expected {expected}", f"found {actual}" if actual else "", f"try {hint}" if hint else "")
        # on one line, whatever it is made of
        super().__init__("; ".join(" ".join(part.split()) for part in parts if part))

    def __reduce__(self) -> tuple[type["ImgregError"], tuple[str, str | None, str | None]]:
        # Worker processes pickle their errors. Exception's own __reduce__ passes the whole message as `expected`.
        return type(self), (self.expected, self.actual, self.hint)


def error_reason(error: BaseException) -> str:
    """Return why something failed, without file names and error numbers: "No space left on device"."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def close_matches(name: str, names: Iterable[str], limit: int = 3) -> str:
    """List the names most like `name`: "'resnet18', 'resnet10t'".

    Args:
        name: a name that is not among `names`.
        names: the names to search.
        limit: the most names to list.

    Returns:
        The names in quotes, with commas. If none is similar: all of at most six names, none of more.
    """
    names = list(names)
    close = get_close_matches(name, names, n=limit, cutoff=0.5) or (names if len(names) <= 6 else [])
    return ", ".join(f"'{n}'" for n in close)


def first_few(names: Iterable[object], limit: int = 5) -> str:
    """List the first names and the number of the others: "a, b and 3 more".

    Args:
        names: anything that str() takes.
        limit: the most names to list.

    Returns:
        The names with commas.
    """
    texts = [str(name) for name in names]
    rest = len(texts) - limit
    return ", ".join(texts[:limit]) + (f" and {rest} more" if rest > 0 else "")
