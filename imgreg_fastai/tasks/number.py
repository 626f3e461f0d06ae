"""One number a picture: a plain number, or an angle.

Every formula between units and the network's [-1, 1] stands here, once, in arithmetic that numpy arrays and torch
tensors share, except for the trigonometry: `encode` is torch's (see losses.py).
"""
import math
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from ..utils.errors import ImgregError
from .target import MOVES, Array, Motion, Target, is_finite, mean

SCALES = ("auto", "linear", "log")
# Labels of the training part lie within 2/3 of [-1, 1], which leaves the network a third of their range (of their
# logarithms' range) beyond the largest and below the smallest: others may be larger than any that were seen.
MARGIN = 0.25
FEWEST = 10  # values that tell a spread
SPREAD = 20.0  # the 99th percentile over the 1st beyond which a logarithm is thought of
STRAIGHTER = 0.4  # and how much less skew it must be; exponential values have 0.57
LOWEST = 1.1  # where the network's range ends
LARGEST_LOG = 700.0  # of a float64
LARGEST = 1e308


@dataclass(frozen=True)
class Number(Target):
    """A plain number, or its logarithm, scaled from [low, high] to [-1, 1].

    `scale`: linear, log, or auto, which `complete` resolves; before that auto is linear. `laws`: the moves of the
    picture under which the number stays what it is.
    """

    low: float | None = None
    high: float | None = None
    scale: str = "auto"
    laws: tuple[str, ...] = ()

    kind: ClassVar[str] = "number"

    def __post_init__(self):
        super().__post_init__()
        ends = [end for end in (self.low, self.high) if end is not None]
        if not all(map(is_finite, ends)) or (len(ends) == 2 and not ends[0] < ends[1]):
            raise ImgregError(f"low and high of '{self.name}': numbers, low below high", f"{self.low!r}, {self.high!r}")
        if self.scale not in SCALES:
            raise ImgregError(f"--scale {', '.join(SCALES)}", repr(self.scale))
        if self.scale == "log" and any(end <= 0 for end in ends):
            raise ImgregError(f"labels of '{self.name}' above 0, for their logarithm", str(min(ends)), "--scale linear")
        if not isinstance(self.laws, tuple) or not all(move in MOVES for move in self.laws):
            raise ImgregError(f"laws of '{self.name}' out of {', '.join(MOVES)}", repr(self.laws))

    @property
    def moves(self) -> tuple[str, ...]:
        """The moves it was declared to stand."""
        return self.laws

    def complete(self, values: Array) -> "Number":
        """Fill in what was not given: `scale` by `wants_log`, `low` and `high` with MARGIN beyond the labels.

        Raises ImgregError if all values are one, or not above 0 where their logarithm was asked for.
        """
        given = (self.low, self.high)
        if None not in given:
            return self if self.scale != "auto" else replace(self, scale="linear")
        values = np.asarray(values, np.float64)
        values = values[np.isfinite(values)]
        low, high = (own if end is None else end for own, end in zip((values.min(), values.max()), given, strict=True))
        if low == high:
            raise ImgregError(f"a column '{self.columns[0]}' whose values differ", f"{low:g} in every row")
        log = low > 0 and wants_log(values) if self.scale == "auto" else self.scale == "log"
        done = replace(self, low=float(low), high=float(high), scale="log" if log else "linear")
        ends = (new if end is None else end for new, end in zip(widen(done.low, done.high, log), given, strict=True))
        return replace(done, **dict(zip(("low", "high"), ends, strict=True)))

    def _span(self) -> tuple[float, float]:
        """The middle of [low, high] and half its length, of the logarithms where the scale is log."""
        low, high = (math.log(self.low), math.log(self.high)) if self.scale == "log" else (self.low, self.high)
        return low / 2 + high / 2, high / 2 - low / 2

    def encode(self, values: Array) -> Array:
        """Units -> [-1, 1], for numpy and torch alike: low and high lie at -1 and 1.

        What has no logarithm, or a very small one, is put where the network's range ends.
        """
        middle, half = self._span()
        if self.scale == "log":
            values = values.clip(min=math.exp(max(middle - LOWEST * half, -LARGEST_LOG)))
            values = values.log() if hasattr(values, "log") else np.log(values)
        return (values - middle) / half

    def decode(self, encoded: Array, views: Array = None) -> Array:
        """[n, 1] in [-1, 1] -> [n, 1] in units, in double precision; of a logarithm never infinite."""
        middle, half = self._span()
        encoded = encoded.double() if hasattr(encoded, "double") else np.asarray(encoded, np.float64)
        values = encoded * half + middle
        if self.scale != "log":
            return values
        values = values.clip(-LARGEST_LOG, LARGEST_LOG)
        return values.exp() if hasattr(values, "exp") else np.exp(values)

    def constant_guess(self, values: Array) -> Array:
        """The constant to guess: the mean, [columns]."""
        return np.nanmean(values, axis=0)

    def average(self, values: Array) -> Array:
        """[k, n, 1] -> [n, 1]: the mean, of what was learnt by its logarithm the geometric one."""
        if self.scale != "log":
            return mean(values)
        return np.exp(mean(np.log(np.where(values > 0, values, np.nan))))

    def transform_labels(self, values: Array, motion: Motion) -> Array:
        """The labels [n, 1] after a motion of their pictures that was declared to leave them."""
        return values


def wants_log(values: np.ndarray) -> bool:
    """Whether finite values are better told apart by ratio: a long tail that their logarithms have not.

    There are at least 10, all above 0, the 99th percentile is more than 20 times the 1st, and the logarithms' skewness
    is less than 0.4 of the values' own, those beyond these percentiles counted as if they lay there. So prices and
    lognormal values are; uniform, normal and, where there are hundreds, exponential ones, whose logarithms have a tail
    of their own towards 0, are not.
    """
    if len(values) < FEWEST or values.min() <= 0:
        return False
    few, many = np.quantile(values, (0.01, 0.99))
    values = np.clip(values, few, many)  # or one wild value would decide
    return bool(many / SPREAD > few and abs(_skewness(np.log(values))) < STRAIGHTER * abs(_skewness(values)))


def _skewness(values: np.ndarray) -> float:
    """The mean cube of the standardised values."""
    values = values / np.abs(values).max()  # or the cubes of huge ones would overflow
    spread = values.std()
    return float((((values - values.mean()) / spread) ** 3).mean()) if spread else 0.0


def widen(low: float, high: float, log: bool = False) -> tuple[float, float]:
    """[low, high] with MARGIN of its length added at each end, as factors where `log`.

    What is never below 0, or never above it, stays so.
    """
    if log:
        more = MARGIN * (math.log(high) - math.log(low))
        ends = math.log(low) - more, math.log(high) + more
        return tuple(math.exp(min(max(end, -LARGEST_LOG), LARGEST_LOG)) for end in ends)
    more = MARGIN * high - MARGIN * low
    below, above = max(low - more, min(low, -LARGEST)), min(high + more, max(high, LARGEST))
    return max(below, 0.0) if low >= 0 else below, min(above, 0.0) if high <= 0 else above
