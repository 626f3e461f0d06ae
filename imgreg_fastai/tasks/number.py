"""A plain number, or its logarithm."""
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ..utils.messages import ImgregError
from .geometry import MOVES, Motion
from .outliers import LabelIssue, far_values, quartiles
from .target import Target, dtype
from .values import Array, is_finite, mean

SCALES = ("auto", "linear", "log")
# Labels of the training part lie within 2/3 of [-1, 1], which leaves the network a third of their range (of their
# logarithms' range) beyond the largest and below the smallest: others may be larger than any that were seen.
MARGIN = 0.25
MIN_VALUES = 10  # fewer do not tell a spread
MIN_RATIO = 20.0  # of the 99th percentile to the 1st, below which a logarithm gains nothing
MAX_SKEWNESS_LEFT = 0.4  # as a part of the values' own; exponential values have 0.57
RANGE_END = 1.1  # where the network's range ends
MAX_LOG = 700.0  # of a float64
MAX_FLOAT = 1e308
MAX_ROUNDING = 1e-6  # of a number's range: so much of its labels may be rounded off
UNKNOWN_VALUES = (-1.0, -9.0, -99.0, -999.0, -9999.0)  # often written for a number that is not known


@dataclass(frozen=True)
class Number(Target):
    """A plain number, or its logarithm, scaled from [low, high] to [-1, 1].

    Args:
        low: What the network's -1 means, in units; from the labels if None.
        high: What the network's 1 means, in units; from the labels if None.
        scale: linear, log, or auto, which `complete` decides; before that auto is linear.
        laws: The moves of the image under which the number stays what it is.
        minimum: The smallest value that it can have, which no prediction is below; None: none.
        maximum: The largest, likewise.
        flip_negates: Whether a mirror changes its sign, as that of a steering angle or an offset to the side.
    """

    low: float | None = None
    high: float | None = None
    scale: str = "auto"
    laws: tuple[str, ...] = ()
    minimum: float | None = None
    maximum: float | None = None
    flip_negates: bool = False

    kind: ClassVar[str] = "number"

    def __post_init__(self) -> None:
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
        bounds = [bound for bound in (self.minimum, self.maximum) if bound is not None]
        if not all(map(is_finite, bounds)) or (len(bounds) == 2 and not bounds[0] < bounds[1]):
            raise ImgregError(f"--min and --max of '{self.name}': numbers, --min below --max",
                              f"{self.minimum!r}, {self.maximum!r}")
        if self.maximum is not None and self.maximum <= 0 and self.log_scale:
            raise ImgregError(f"--max of '{self.name}' above 0, for its logarithm", f"{self.maximum:g}",
                              "--scale linear")
        if self.flip_negates:
            self._check_symmetry()

    def _check_symmetry(self) -> None:
        """Raise ImgregError where a number of the other sign, that of a mirrored image, could not be."""
        name = f"'{self.name}', whose sign a mirror changes"
        if self.log_scale:
            raise ImgregError(f"a linear scale of {name}", "--scale log", "--scale linear")
        if (self.minimum is None) != (self.maximum is None) or -(self.minimum or 0.0) != (self.maximum or 0.0):
            given = [f"--{word} {bound:g}" for word, bound in (("min", self.minimum), ("max", self.maximum))
                     if bound is not None]
            raise ImgregError(f"the same --min and --max, but for the sign, of {name}", " and ".join(given),
                              "--min and --max such as -1 and 1, or no --flip-negates")

    @property
    def negated_by_flip(self) -> bool:  # type: ignore[override]
        """Whether a mirror changes its sign."""
        return self.flip_negates

    @property
    def log_scale(self) -> bool:  # type: ignore[override]
        """Whether it is learnt by its logarithm."""
        return self.scale == "log"

    def complete(self, values: np.ndarray) -> "Number":
        """Choose `scale` by `prefers_log`, and `low` and `high` with MARGIN beyond the labels, unless they are set.

        They do not lie beyond `minimum` and `maximum`, and on both sides of 0 alike where a mirror changes the sign.

        Args:
            values: Labels of the training part, [n, 1].

        Returns:
            The number with all of them set.

        Raises:
            ImgregError: If all values are equal, or not above 0 where their logarithm is to be learnt.
        """
        if self.low is not None and self.high is not None:
            return replace(self, scale="linear") if self.scale == "auto" else self
        values = np.asarray(values, np.float64)
        values = values[np.isfinite(values)]
        low = float(values.min() if self.low is None else self.low)
        high = float(values.max() if self.high is None else self.high)
        if low == high:
            raise ImgregError(f"a column '{self.columns[0]}' whose values differ", f"{low:g} in every row")
        log = self._chooses_log(values, low)
        target = replace(self, low=low, high=high, scale="log" if log else "linear")  # checks them
        low, high = widen(low, high, log)
        if self.flip_negates:
            high = max(-low, high)
            low = -high
        low, high = self.bounded(np.array([low, high])).tolist()
        return replace(target, low=low if self.low is None else self.low,
                       high=high if self.high is None else self.high)

    def _chooses_log(self, values: np.ndarray, low: float) -> bool:
        """Whether finite labels [n], and a range from `low`, are to be learnt by their logarithm."""
        if self.scale != "auto" or self.flip_negates:
            return self.log_scale
        return low > 0 and prefers_log(values)

    def bounded(self, values: Array) -> Array:
        """Values of any shape in units, none of them below `minimum` or above `maximum`."""
        if self.minimum is None and self.maximum is None:
            return values
        return np.clip(values, self.minimum, self.maximum)

    def _middle_and_half(self) -> tuple[float, float]:
        """The middle of [low, high] and half its length, of the logarithms where the scale is log."""
        if self.low is None or self.high is None:
            raise TypeError(f"'{self.name}' has no range before it is completed")
        low, high = (math.log(self.low), math.log(self.high)) if self.log_scale else (self.low, self.high)
        return low / 2 + high / 2, high / 2 - low / 2

    def encode_labels(self, labels: Array) -> Array:
        """Units [n, 1], tensor or array -> [-1, 1]: low becomes -1, high 1.

        A value that has no logarithm, or a very small one, is put where the network's range ends.
        """
        middle, half = self._middle_and_half()
        if self.log_scale:
            labels = labels.clip(min=math.exp(max(middle - RANGE_END * half, -MAX_LOG)))
            labels = labels.log() if hasattr(labels, "log") else np.log(labels)
        return (labels - middle) / half

    def decode(self, encoded: np.ndarray, views: np.ndarray | None = None) -> np.ndarray:
        """Outputs [n, 1] -> [n, 1] in units within its bounds, in double precision; never infinite."""
        middle, half = self._middle_and_half()
        values = np.asarray(encoded, np.float64) * half + middle
        return self.bounded(np.exp(values.clip(-MAX_LOG, MAX_LOG)) if self.log_scale else values)

    @property
    def label_dtype(self) -> dtype:
        """float64 where float32 would round off too much: of seconds since 1970 it tells none apart within 128 s."""
        import torch

        if self.low is None or self.high is None:
            return torch.float32
        with np.errstate(all="ignore"):  # beyond what float32 can hold the rounding is not a number
            rounding = np.spacing(np.float32(max(abs(self.low), abs(self.high)))) / 2
        return torch.float32 if rounding <= MAX_ROUNDING * (self.high - self.low) else torch.float64

    def constant_guess(self, values: Array) -> Array:
        """The mean of labels [n, 1], [1], whatever the scale."""
        return self.bounded(mean(values))

    def average(self, values: Array) -> Array:
        """[k, n, 1] -> [n, 1]: the mean; of a number that is learnt by its logarithm the geometric mean."""
        if not self.log_scale:
            return self.bounded(mean(values))
        return self.bounded(np.exp(mean(np.log(np.where(values > 0, values, np.nan)))))

    # ---- moves of the image

    @property
    def moves(self) -> tuple[str, ...]:
        """The moves under which it was declared to stay what it is, and a mirror that changes its sign."""
        return tuple(move for move in MOVES if move in self.laws or (move == "flip" and self.flip_negates))

    def declare_moves(self, moves: tuple[str, ...]) -> "Number":
        """The number, which these moves leave as it is, too, but for a mirror that changes its sign."""
        return replace(self, laws=tuple(move for move in MOVES if move in self.laws or (
            move in moves and not (move == "flip" and self.flip_negates))))

    def transform_labels(self, values: Array, motion: Motion) -> Array:
        """The labels [n, 1] after the motion of their images."""
        return values * (1 - 2 * motion.mirrored[:, None]) if self.flip_negates else values

    # ---- checks and words

    def impossible(self, values: np.ndarray) -> Iterator[LabelIssue]:
        """Labels beyond its bounds, and labels of one sign where a mirror is said to change it."""
        column, values = self.columns[0], values[:, 0]
        for mask, word, bound in ((values < (-np.inf if self.minimum is None else self.minimum), "min", self.minimum),
                                  (values > (np.inf if self.maximum is None else self.maximum), "max", self.maximum)):
            if mask.any():
                side = "below" if word == "min" else "above"
                yield LabelIssue(mask, "bound", "stop", f"{self.name} {side} --{word} {bound:g}",
                                 f"mend these labels, or another --{word}", column)
        finite = values[np.isfinite(values)]
        if self.flip_negates and len(finite) and (finite.min() >= 0 or finite.max() <= 0):
            yield LabelIssue(None, "sign", "stop", f"{self.name} is on one side of 0 only, from {finite.min():g} to "
                             f"{finite.max():g}, and --flip-negates would teach the other side", "leave "
                             f"{self.name} out of --flip-negates")

    def outliers(self, values: np.ndarray) -> Iterator[LabelIssue]:
        """Values that stand for an unknown one, and values far from all others."""
        column, values = self.columns[0], values[:, 0]
        below = values < 0
        filler = float(values[below].min()) if below.any() else 0.0
        if filler in UNKNOWN_VALUES and (values[below] == filler).all() and np.nanquantile(values, 0.25) > 3:
            yield LabelIssue(below, "filler", "note", f"{filler:g} as {self.name}, the only value below 0",
                             "if it stands for an unknown one, leave it empty", column)
        far = np.isfinite(values) & ~self.typical(values)[0]
        if far.any():
            low, high = quartiles(values[np.isfinite(values)])
            text = f"far from other values of {self.name}, half of which are {low:g} to {high:g}"
            yield LabelIssue(far, "outlier", "note", text, "mend them, or leave them empty", column)

    def typical(self, values: np.ndarray) -> tuple[np.ndarray, bool]:
        """Which values [n] are not far from all others, and whether these are to be learnt by their logarithm.

        One value that is far makes any column look as if it had a long tail, so the scale is decided without those.
        """
        finite, far = np.isfinite(values), far_values(values)
        others = values[finite & ~far & ~far_values(values, log=True)]
        log = self._chooses_log(others, float(others.min())) if len(others) else self.log_scale
        return finite & ~(far_values(values, log=True) if log else far), log

    def decimals(self, values: np.ndarray | float) -> int:
        """How many decimals tell a thousandth of the range."""
        if self.low is None or self.high is None:
            return super().decimals(values)
        return super().decimals(self.high - self.low)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Target":
        """As Target.from_dict; a file without a scale was written when there was only one."""
        return super().from_dict({"scale": "linear", **fields})


def prefers_log(values: np.ndarray) -> bool:
    """Whether values are better told apart by ratio: they have a long tail that their logarithms have not.

    There are at least MIN_VALUES, all above 0, the 99th percentile is more than MIN_RATIO times the 1st, and the
    logarithms' skewness is less than MAX_SKEWNESS_LEFT of the values' own, values beyond these percentiles being moved
    there. Prices and lognormal values are so; uniform, normal and, where there are hundreds, exponential ones, whose
    logarithms have a tail of their own towards 0, are not.

    Args:
        values: Finite, [n].

    Returns:
        Whether they are.
    """
    if len(values) < MIN_VALUES or values.min() <= 0:
        return False
    p1, p99 = np.quantile(values, (0.01, 0.99))
    if p99 / MIN_RATIO <= p1:
        return False
    values = np.clip(values, p1, p99)  # or one wild value would decide
    skewness = _skewness(values / p99)  # divided, or the cubes of huge values would overflow
    return abs(_skewness(np.log(values))) < MAX_SKEWNESS_LEFT * abs(skewness)


def _skewness(values: np.ndarray) -> float:
    """The mean cube of the standardised values."""
    return float((((values - values.mean()) / values.std()) ** 3).mean())


def widen(low: float, high: float, log: bool = False) -> tuple[float, float]:
    """[low, high] with MARGIN of its length added at each end, as factors where `log`.

    A range that is never below 0, or never above it, stays so.
    """
    if log:
        low, high = math.log(low), math.log(high)
        margin = MARGIN * (high - low)
        return math.exp(max(low - margin, -MAX_LOG)), math.exp(min(high + margin, MAX_LOG))
    margin = MARGIN * high - MARGIN * low
    below = max(low - margin, min(low, -MAX_FLOAT))
    above = min(high + margin, max(high, MAX_FLOAT))
    if low >= 0:
        below = max(below, 0.0)
    if high <= 0:
        above = min(above, 0.0)
    return below, above
