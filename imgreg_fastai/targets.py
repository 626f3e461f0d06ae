"""The kinds of number a picture can be turned into: columns, units, decoding, errors and the law under flips and turns.

The network sees values in [-1, 1]; people see units. Every formula between the two stands here, once, in arithmetic
that numpy arrays and torch tensors share, except for the trigonometry: `encode` is torch's (see losses.py).
"""
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar

import numpy as np

from .errors import ImgregError, nearest

Array = Any  # a numpy array, or a torch tensor where a docstring says so
MOVES = ("flip", "quarter", "turn")  # mirror left and right, turn by 90 degrees, turn by a few degrees


@dataclass(frozen=True)
class Target:
    """One thing to be predicted: its `name`, the `columns` of the labels table that hold it and its `unit`."""

    name: str
    columns: tuple[str, ...]
    unit: str = ""

    kind: ClassVar[str]
    n_out: ClassVar[int]  # how many of the network's outputs belong to it

    def __post_init__(self):
        words = (self.name, *self.columns)
        if len(self.columns) != 1 or not all(isinstance(word, str) and word.strip() for word in words):
            found = f"'{self.name}' with {', '.join(map(repr, self.columns)) or 'none'}"
            raise ImgregError(f"a {self.kind} with a name and one column", found)

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

    def to_dict(self) -> dict:
        """The target as JSON can hold it."""
        return {"kind": self.kind, **asdict(self), "columns": list(self.columns)}


@dataclass(frozen=True)
class Number(Target):
    """A plain number, scaled from [low, high] of the training part to [-1, 1]."""

    low: float | None = None
    high: float | None = None

    kind: ClassVar[str] = "number"
    n_out: ClassVar[int] = 1

    def __post_init__(self):
        super().__post_init__()
        ends = [end for end in (self.low, self.high) if end is not None]
        if not all(map(_is_finite, ends)) or (len(ends) == 2 and not ends[0] < ends[1]):
            raise ImgregError(f"low and high of '{self.name}': numbers, low below high", f"{self.low!r}, {self.high!r}")

    def complete(self, values: Array) -> "Number":
        """Fill in `low` and `high` where they were not given; raises ImgregError if all values are one."""
        if self.low is not None and self.high is not None:
            return self
        low = float(np.nanmin(values)) if self.low is None else self.low
        high = float(np.nanmax(values)) if self.high is None else self.high
        if low == high:
            raise ImgregError(f"a column '{self.columns[0]}' whose values differ", f"{low:g} in every row")
        return replace(self, low=low, high=high)

    def encode(self, values: Array) -> Array:
        """Units -> [-1, 1], for numpy and torch alike; the labels' own ends lie at -1 and 1."""
        return 2 * (values - self.low) / (self.high - self.low) - 1

    def decode(self, encoded: Array) -> Array:
        """[n, 1] in [-1, 1] -> [n, 1] in units."""
        return (np.asarray(encoded, np.float64) + 1) / 2 * (self.high - self.low) + self.low

    def centre(self, values: Array) -> Array:
        """The constant to guess: the mean, [columns]."""
        return np.nanmean(values, axis=0)


@dataclass(frozen=True)
class Angle(Target):
    """A direction (`period` 360) or an orientation (`period` 180) in degrees; the network sees its cosine and sine.

    `in_plane` declares that it is an angle in the picture's plane, so that flips and turns of the picture move it by a
    known law: `zero` is the direction of 0 degrees, counted counterclockwise from the picture's right, and `clockwise`
    its sense of turning, both as seen by somebody looking at the upright picture.
    """

    unit: str = "°"
    period: float = 360.0
    in_plane: bool = False
    zero: float = 0.0
    clockwise: bool = False

    kind: ClassVar[str] = "angle"
    n_out: ClassVar[int] = 2

    def __post_init__(self):
        super().__post_init__()
        if not (_is_finite(self.period) and self.period > 0 and _is_finite(self.zero)):
            raise ImgregError(f"period and zero of '{self.name}' in degrees", f"{self.period!r}, {self.zero!r}")

    @property
    def moves(self) -> tuple[str, ...]:
        """All moves, if the angle lies in the picture's plane."""
        return MOVES if self.in_plane else ()

    def decode(self, encoded: Array) -> Array:
        """(cos, sin) of 2 pi angle / period, [n, 2] -> degrees in [0, period), [n, 1]."""
        encoded = np.asarray(encoded, np.float64)
        turns = np.arctan2(encoded[:, 1], encoded[:, 0]) / (2 * np.pi)
        degrees = (turns * self.period) % self.period
        return np.where(degrees >= self.period, 0.0, degrees)[:, None]  # -1e-18 % 180 is 180

    def residual(self, predicted: Array, true: Array) -> Array:
        """Signed difference the short way round, in [-period/2, period/2)."""
        half = self.period / 2
        return (predicted - true + half) % self.period - half

    def centre(self, values: Array) -> Array:
        """The constant to guess: the circular mean (Mardia and Jupp, Directional Statistics, 2000), [1]."""
        theta = np.asarray(values, np.float64) * (2 * np.pi / self.period)
        mean = np.arctan2(np.nanmean(np.sin(theta), axis=0), np.nanmean(np.cos(theta), axis=0))
        return mean * self.period / (2 * np.pi) % self.period

    def moved(self, values: Array, mirrored: Array, turn: Array) -> Array:
        """The label after the picture was mirrored left to right (where `mirrored` is 1, else 0) and then turned.

        `turn`: degrees counterclockwise. The three broadcast, numpy or torch. A direction at phi degrees
        counterclockwise from the picture's right goes to 180 - phi by the mirror and to phi + turn by the turn.
        """
        sense = -1.0 if self.clockwise else 1.0
        phi = self.zero + sense * values
        phi = phi + mirrored * (180.0 - 2 * phi) + turn
        return (sense * (phi - self.zero)) % self.period


def _is_finite(value) -> bool:
    return isinstance(value, (int, float)) and abs(value) < float("inf")


KINDS = {
    "number": lambda **of: Number(**of),
    "angle180": lambda **of: Angle(**of, period=180.0),
    "angle360": lambda **of: Angle(**of, period=360.0),
}
CLASSES = {cls.kind: cls for cls in (Number, Angle)}


def from_dict(fields: dict) -> Target:
    """The target that `to_dict` wrote; raises ImgregError for a kind this version does not know."""
    kind = fields.get("kind") if isinstance(fields, dict) else fields
    if not isinstance(kind, str) or kind not in CLASSES:
        raise ImgregError(f"a target kind of {', '.join(CLASSES)}", repr(kind), "a newer imgreg")
    try:
        of = {name: value for name, value in fields.items() if name != "kind"}
        return CLASSES[kind](**{**of, "columns": tuple(of["columns"])})
    except (TypeError, KeyError) as e:
        raise ImgregError(f"the fields of a target of kind {kind}", str(e)) from e


def parse(text: str, known: tuple[Target, ...] = ()) -> Target:
    """Read `NAME[=COL,COL...][:KIND]`; `known` are the Task's own targets.

    A known name without a KIND is the Task's target itself, read from another column if one is given; with `:number`
    it is a plain number, from 0 to the period where it was an angle.
    """
    head, _, kind = text.partition(":")
    name, _, columns = head.partition("=")
    if kind and kind not in KINDS:
        raise ImgregError(f"a target NAME[=COL,COL][:KIND] with KIND one of {', '.join(KINDS)}", f"'{text}'")
    own = {t.name: t for t in known}
    if known and name not in own:
        raise ImgregError(f"one of the task's targets: {', '.join(own)}", f"'{name}'", nearest(name, own))
    if name in own and not kind:
        return replace(own[name], columns=tuple(columns.split(","))) if columns else own[name]
    of: dict = {"name": name, "columns": tuple(columns.split(",")) if columns else (name,)}
    if name in own:
        of.update(unit=own[name].unit, columns=of["columns"] if columns else own[name].columns)
        if kind == "number" and isinstance(own[name], Angle):
            return Number(**of, low=0.0, high=own[name].period)
    return KINDS[kind or "number"](**of)
