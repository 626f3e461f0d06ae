"""A direction or an orientation in degrees."""
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..utils.errors import ImgregError
from .target import MOVES, Array, Motion, Target, is_finite, mean


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

    def uncertainty_features(self, encoded: Array) -> Array:
        """The logarithm of the length of (cos, sin): torn between two angles, a network puts out a short one."""
        return np.log(np.maximum(np.linalg.norm(encoded, axis=1, keepdims=True), 1e-6))

    def residual(self, predicted: Array, true: Array) -> Array:
        """Signed difference the short way round, in [-period/2, period/2)."""
        half = self.period / 2
        return (predicted - true + half) % self.period - half

    def constant_guess(self, values: Array) -> Array:
        """The constant to guess: the circular mean (Mardia and Jupp, Directional Statistics, 2000), [1]."""
        return self.average(values)

    def average(self, values: Array) -> Array:
        """[k, n, 1] -> [n, 1]: the circular mean; any direction where they cancel one another out."""
        theta = np.asarray(values, np.float64) * (2 * np.pi / self.period)
        degrees = np.arctan2(mean(np.sin(theta)), mean(np.cos(theta))) * self.period / (2 * np.pi) % self.period
        return np.where(degrees >= self.period, 0.0, degrees)  # -1e-18 % 180 is 180

    def transform_labels(self, values: Array, motion: Motion) -> Array:
        """The labels [n, 1] after the motion of their pictures.

        A direction at phi degrees counterclockwise from the picture's right goes to 180 - phi by the mirror and to
        phi + turn by the turn; zoom and shift leave it.
        """
        sense = -1.0 if self.clockwise else 1.0
        phi = self.zero + sense * values
        phi = phi + motion.mirrored[:, None] * (180.0 - 2 * phi) + motion.turn[:, None]
        return (sense * (phi - self.zero)) % self.period
