"""One number a picture: a plain number, or an angle.

Every formula between units and the network's [-1, 1] stands here, once, in arithmetic that numpy arrays and torch
tensors share, except for the trigonometry: `encode` is torch's (see losses.py).
"""
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ..errors import ImgregError
from .base import MOVES, Array, Motion, Target, is_finite


@dataclass(frozen=True)
class Number(Target):
    """A plain number, scaled from [low, high] of the training part to [-1, 1]."""

    low: float | None = None
    high: float | None = None

    kind: ClassVar[str] = "number"

    def __post_init__(self):
        super().__post_init__()
        ends = [end for end in (self.low, self.high) if end is not None]
        if not all(map(is_finite, ends)) or (len(ends) == 2 and not ends[0] < ends[1]):
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

    def decode(self, encoded: Array, views: Array = None) -> Array:
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
    rigid: ClassVar[bool] = True

    def __post_init__(self):
        super().__post_init__()
        if not (is_finite(self.period) and self.period > 0 and is_finite(self.zero)):
            raise ImgregError(f"period and zero of '{self.name}' in degrees", f"{self.period!r}, {self.zero!r}")

    @property
    def n_out(self) -> int:
        """Cosine and sine."""
        return 2

    @property
    def moves(self) -> tuple[str, ...]:
        """All moves, if the angle lies in the picture's plane."""
        return MOVES if self.in_plane else ()

    def decode(self, encoded: Array, views: Array = None) -> Array:
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

    def moved(self, values: Array, motion: Motion) -> Array:
        """The labels [n, 1] after the motion of their pictures.

        A direction at phi degrees counterclockwise from the picture's right goes to 180 - phi by the mirror and to
        phi + turn by the turn; zoom and shift leave it.
        """
        sense = -1.0 if self.clockwise else 1.0
        phi = self.zero + sense * values
        phi = phi + motion.mirrored[:, None] * (180.0 - 2 * phi) + motion.turn[:, None]
        return (sense * (phi - self.zero)) % self.period
