"""What is found wrong, or worth knowing, about labelled pictures: one value a fault, told in one line."""
from dataclasses import dataclass

from ..utils.errors import first_few

LEVELS = ("stop", "leave out", "note")


@dataclass(frozen=True)
class Issue:
    """One fault of a table, and the rows that have it.

    `kind`: a word to count it by; `level`: "stop" would ruin a run, "leave out" costs these rows, "note" is worth
    knowing; `rows`: their numbers as an editor counts them, the header being row 1, all of them, out of `total`;
    `text`: what it is; `hint`: what to do about it; `names`: what the rows are called where that tells more than a
    number, one a row.
    """

    kind: str
    level: str
    rows: tuple[int, ...]
    total: int
    text: str
    hint: str = ""
    names: tuple[str, ...] = ()

    def __post_init__(self):
        if self.level not in LEVELS:
            raise ValueError(f"level {self.level!r}: one of {', '.join(LEVELS)}")
        if self.names and len(self.names) != len(self.rows):
            raise ValueError(f"{len(self.names)} names of {len(self.rows)} rows")

    def told(self, most: int = 5) -> str:
        """One line: what, how many, the first few rows and how many more, and what to do."""
        line = self.text
        if self.rows:
            shown = first_few(self.names or (f"row {row}" for row in self.rows), most)
            line += f": {len(self.rows)} of {self.total} rows ({shown})"
        return " ".join(f"{line}; {self.hint}".split() if self.hint else line.split())

    def to_dict(self) -> dict:
        """The finding as JSON can hold it; `rows` are all of them, `names` are left out where there are none."""
        of = {"kind": self.kind, "level": self.level, "text": self.text, "count": len(self.rows), "total": self.total,
              "rows": list(self.rows)}
        return of | ({"names": list(self.names)} if self.names else {}) | ({"then": self.hint} if self.hint else {})
