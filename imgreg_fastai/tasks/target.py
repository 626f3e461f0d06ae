"""What every kind of target shares, and what can be done to a picture."""
from dataclasses import asdict, dataclass, field
from typing import Any, ClassVar

import numpy as np

from ..utils.errors import ImgregError

Array = Any  # a numpy array, or a torch tensor where a docstring says so
# mirror left and right, turn by 90 degrees, turn by a few degrees, come nearer or go back, move aside
MOVES = ("flip", "quarter", "turn", "zoom", "shift")


@dataclass(frozen=True)
class Motion:
    """What was done to n pictures, in this order: mirrored, turned, zoomed and shifted, all about their middle.

    `mirrored` [n]: 1 where left and right changed places, else 0; `turn` [n]: degrees counterclockwise as seen; `zoom`
    [n]: 2 makes things twice as large; `shift` [n, 2]: to the right and down, in half widths and half heights;
    `aspect`: width / height of the pictures.
    """

    mirrored: np.ndarray
    turn: np.ndarray
    zoom: np.ndarray
    shift: np.ndarray
    aspect: float = 1.0


@dataclass(frozen=True)
class Target:
    """One thing to be predicted: its `name`, the `columns` of the labels table that hold it and its `unit`.

    `weight`: how much it counts beside the task's other targets, which all weigh the same otherwise.
    `decode`, `residual`, `error`, `centre` and `moved` work on arrays with a row a picture. A missing value is NaN; the
    error of a row that lacks it is NaN.
    """

    name: str
    columns: tuple[str, ...]
    unit: str = ""
    weight: float = field(default=1.0, kw_only=True)

    kind: ClassVar[str]
    wants: ClassVar[str] = "one column"  # how many columns, in words
    partial: ClassVar[bool] = False  # whether some of its columns say something where others are missing
    rigid: ClassVar[bool] = False  # whether turning a picture of bent shape would make the label false

    def __post_init__(self):
        words = (self.name, *self.columns)
        if not isinstance(self.unit, str):
            raise ImgregError(f"the unit of '{self.name}' in words", repr(self.unit))
        if not self._fits(len(self.columns)) or not all(isinstance(word, str) and word.strip() for word in words):
            found = f"'{self.name}' with {', '.join(map(repr, self.columns)) or 'none'}"
            raise ImgregError(f"a {self.kind} with a name and {self.wants}", found)
        if isinstance(self.weight, bool) or not is_finite(self.weight) or self.weight <= 0:
            raise ImgregError(f"a weight of '{self.name}': a number above 0", repr(self.weight))

    @staticmethod
    def _fits(n: int) -> bool:
        return n == 1

    @property
    def n_out(self) -> int:
        """How many of the network's outputs belong to it."""
        return 1

    @property
    def moves(self) -> tuple[str, ...]:
        """The moves of the picture under which the label's law is known; none unless the Task declares it."""
        return ()

    def complete(self, values: Array) -> "Target":
        """The target with what must come from data, from the training part's `values` [n, columns]."""
        return self

    def residual(self, predicted: Array, true: Array) -> Array:
        """Signed difference in units, [n, columns] each."""
        return predicted - true

    def error(self, predicted: Array, true: Array) -> Array:
        """The error of each picture in units: [n, columns] twice -> [n]."""
        return np.abs(self.residual(predicted, true)).mean(axis=1)

    @property
    def interval_columns(self) -> tuple[str, ...]:
        """The columns that tell how far off a prediction may be, one for each of `distances`."""
        return (f"{self.name}_within",)

    def interval_errors(self, predicted: Array, true: Array) -> Array:
        """The errors that have an interval each, in units: [n, columns] twice -> [n, len(within)]."""
        return self.error(predicted, true)[:, None]

    def average(self, values: Array) -> Array:
        """One answer out of k for each picture: [k, n, columns] -> [n, columns]; of those known, NaN where none is."""
        return mean(values)

    def error_scale(self, views: Array) -> Array:
        """What errors are measured against before they are compared between pictures: views [n, 4] -> [n, 1]."""
        return np.ones((len(views), 1))

    def uncertainty_features(self, encoded: Array) -> Array:
        """What the network's outputs [n, n_out] betray of their own error beside the value, [n, any number]."""
        return np.empty((len(encoded), 0))

    def bias(self, predicted: Array, true: Array) -> float:
        """The systematic part of the error in units: the mean residual, signed where there is one column."""
        return float(np.nanmean(self.residual(predicted, true)))

    def to_dict(self) -> dict:
        """The target as JSON can hold it."""
        fields = {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(self).items()}
        return {"kind": self.kind, **fields}


def mean(values: Array) -> Array:
    """The mean over the first axis of what is known, NaN where nothing is."""
    known = np.isfinite(values)
    n = known.sum(axis=0)
    return np.where(n > 0, np.where(known, values / np.maximum(n, 1), 0).sum(axis=0), np.nan)


def is_finite(value: object) -> bool:
    """Whether it is a number that has a place on the line."""
    return isinstance(value, (int, float)) and abs(value) < float("inf")
