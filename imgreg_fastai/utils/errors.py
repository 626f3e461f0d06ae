"""The error for mistakes that users can correct, and lists of names for its messages."""
from collections.abc import Iterable
from difflib import get_close_matches


class ImgregError(Exception):
    """A mistake that the user can correct, described in one line.

    Args:
        expected (str): what was expected.
        actual (str or None): what was there instead.
        hint (str or None): what to type or do.
    """

    def __init__(self, expected: str, actual: str | None = None, hint: str | None = None):
        self.expected, self.actual, self.hint = expected, actual, hint
        parts = [f"expected {expected}"]
        if actual:
            parts.append(f"found {actual}")
        if hint:
            parts.append(f"try {hint}")
        super().__init__("; ".join(" ".join(part.split()) for part in parts))  # on one line, whatever it is made of

    def __reduce__(self):
        # Worker processes pickle their errors. Exception's own __reduce__ passes the whole message as `expected`.
        return type(self), (self.expected, self.actual, self.hint)


def error_reason(error: BaseException) -> str:
    """Return why something failed, without file names and error numbers: "No space left on device"."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def close_matches(name: str, names: Iterable[str], limit: int = 3) -> str:
    """List the names most like `name`: "'resnet18', 'resnet10t'".

    Args:
        name (str): a name that is not among `names`.
        names (iterable of str): the names to search.
        limit (int): the most names to list.

    Returns:
        str: the names in quotes, with commas. If none is similar: all of at most six names, none of more.
    """
    names = list(names)
    close = get_close_matches(name, names, n=limit, cutoff=0.5)
    if not close and len(names) <= 6:
        close = names
    return ", ".join(f"'{n}'" for n in close)


def first_few(names: Iterable[object], limit: int = 5) -> str:
    """List the first names and the number of the others: "a, b and 3 more".

    Args:
        names (iterable): anything that str() takes.
        limit (int): the most names to list.

    Returns:
        str: the names with commas.
    """
    names = [str(n) for n in names]
    rest = len(names) - limit
    return ", ".join(names[:limit]) + (f" and {rest} more" if rest > 0 else "")
