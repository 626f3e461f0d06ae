"""The one kind of error a user is meant to see."""
from collections.abc import Iterable
from difflib import get_close_matches


class ImgregError(Exception):
    """A mistake the user can mend, told in one line.

    `expected`: what was expected; `found`: what stood there instead; `then`: what to type or do.
    """

    def __init__(self, expected: str, found: str | None = None, then: str | None = None):
        self.expected, self.found, self.hint = expected, found, then
        parts = [f"expected {expected}", found and f"found {found}", then and f"try {then}"]
        super().__init__("; ".join(" ".join(part.split()) for part in parts if part))

    def __reduce__(self):  # worker processes send their errors home; Exception's own would wrap the message twice
        return type(self), (self.expected, self.found, self.hint)


def close_matches(name: str, names: Iterable[str], most: int = 3) -> str:
    """The names most like `name`, ready to be read: "'resnet18', 'resnet10t'".

    If none is like it: all of a short list, nothing of a long one.
    """
    names = list(names)
    close = get_close_matches(name, names, n=most, cutoff=0.5) or (names if len(names) <= 6 else [])
    return ", ".join(f"'{n}'" for n in close)


def first_few(names: Iterable[object], most: int = 5) -> str:
    """The first few of `names` and how many more there are: "a, b and 3 more"."""
    names = [str(n) for n in names]
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
