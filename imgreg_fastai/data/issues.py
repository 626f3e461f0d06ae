"""Issues: what is wrong, or worth knowing, about a table of labelled images."""
from dataclasses import dataclass

from ..utils.messages import first_few

LEVELS = ("stop", "leave out", "note")


@dataclass(frozen=True)
class Issue:
    """One issue of a table, and the rows that have it.

    Attributes:
        code: A word by which issues are counted.
        level: "stop" would ruin a training, "leave out" costs the rows, "note" is worth knowing.
        rows: Numbers of all these rows as an editor counts them, the header being row 1.
        total: Number of rows of the table.
        text: What the issue is.
        hint: What to do about it.
        names: A name for each row, where it says more than the number.
    """

    code: str
    level: str
    rows: tuple[int, ...]
    total: int
    text: str
    hint: str = ""
    names: tuple[str, ...] = ()

    def __post_init__(self):
        if self.level not in LEVELS:
            raise ValueError(f"level {self.level!r}: one of {', '.join(LEVELS)}")

    def describe(self) -> str:
        """Describe the issue in one line: what it is, how many rows have it and the first of them, and what to do."""
        line = self.text
        if self.rows:
            names = first_few(self.names or (f"row {row}" for row in self.rows))
            line += f": {len(self.rows)} of {self.total} rows ({names})"
        return " ".join(f"{line}; {self.hint}".split() if self.hint else line.split())

    def to_dict(self) -> dict:
        """Return the issue as JSON can hold it; names and hint are left out where there are none."""
        fields = {"kind": self.code, "level": self.level, "text": self.text, "count": len(self.rows),
                  "total": self.total, "rows": list(self.rows)}
        optional = {"names": list(self.names), "then": self.hint}
        return fields | {name: value for name, value in optional.items() if value}
