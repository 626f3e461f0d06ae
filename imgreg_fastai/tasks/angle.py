"""A direction, an orientation, or anything else that comes round again, such as the hour of a clock."""
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from ..utils.format import with_unit
from ..utils.messages import ImgregError
from .geometry import MOVES, Motion
from .marks import SHADE, Axes, Size, draw_line, image_centre
from .outliers import LabelIssue, radians_issue
from .target import Target, Tensor
from .values import Array, is_finite, mean

LENGTH = 0.36  # of a mark, as a part of the image's shorter side
STARTS = (0.0, -0.5, -1.0, -0.25, -0.75, 0.25, 0.5)  # where a range of labels may begin, in periods, the usual first
DEGREES = (180.0, 360.0)  # periods that need no unit
RADIANS = {"radians": math.tau, "tau": math.tau, "2pi": math.tau, "pi": math.pi}  # PERIODs that are words
KNOWN_PERIODS = {"angle:pi": math.pi, "angle:radians": math.tau, "angle:12": 12.0, "angle:24": 24.0,
                 "angle180": 180.0, "angle360": 360.0}  # KIND -> the period that labels may have been meant for
ANGULAR_UNITS = {"°": ("°", "deg", "degs", "degree", "degrees"), "rad": ("rad", "rads", "radian", "radians")}
MANY = 0.1  # of the labels: so many beyond one period are no slips


@dataclass(frozen=True)
class Angle(Target):
    """A direction (`period` 360) or an orientation (`period` 180); the network sees its cosine and sine.

    Args:
        period: After how many units it repeats.
        in_plane: Whether it is an angle in the image's plane, in degrees (in radians where its unit is rad), so that
            flips and turns of the image change it in a known way.
        zero: The direction of 0, counterclockwise from the image's right, as seen.
        clockwise: Whether it grows clockwise, as seen.
        start: Where the period begins in which it is predicted; `complete` learns it from the labels.
    """

    unit: str = "°"
    period: float = 360.0
    in_plane: bool = False
    zero: float = 0.0
    clockwise: bool = False
    start: float = 0.0

    kind: ClassVar[str] = "angle"
    outputs_per_column: ClassVar[int] = 2  # cosine and sine
    specs: ClassVar[dict[str, dict]] = {"angle180": {"period": 180.0}, "angle360": {"period": 360.0}, "angle": {}}
    spec_words: ClassVar[tuple[str, ...]] = ("angle180", "angle360", "angle:PERIOD")
    linear: ClassVar[bool] = False
    histogram: ClassVar[str] = "circle"
    mark_note: ClassVar[str] = "Blue: true. Vermilion, dashed: predicted."

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (is_finite(self.period) and self.period > 0 and is_finite(self.zero) and is_finite(self.start)):
            raise ImgregError(f"period, zero and start of '{self.name}': numbers, the period above 0",
                              f"{self.period!r}, {self.zero!r}, {self.start!r}")

    @classmethod
    def read_option(cls, option: str) -> dict[str, Any]:
        """The period and the unit that PERIOD of --target NAME:angle:PERIOD stands for."""
        word = option.strip().lower().replace("*", "").replace("π", "pi").replace(" ", "")
        if word in RADIANS:
            return {"period": RADIANS[word], "unit": "rad"}
        if not re.fullmatch(r"\d*\.?\d+(e\d+)?", word) or not 0 < float(word) < math.inf:
            raise ImgregError("angle:PERIOD with a number above 0, radians or pi", f"'angle:{option}'",
                              "angle:12 for the hours of a clock, angle360 for degrees")
        return {"period": float(word), "unit": "°" if float(word) in DEGREES else ""}

    def with_unit(self, unit: str) -> "Angle":
        """The angle with another unit; radians are not the unit of degrees."""
        if self.unit not in ("°", "rad"):  # of hours and the like
            return replace(self, unit=unit)
        kinds = ("angle180", "angle:pi") if self._is_line else ("angle360", "angle:radians")
        return replace(self, unit=angular_unit(self, unit, self.unit == "rad", kinds))

    def complete(self, values: np.ndarray) -> "Angle":
        """The angle with the `start` of the period that its labels [n, 1] are given in."""
        return replace(self, start=period_start(values, self.period, self.start))

    @property
    def wraps(self) -> float:  # type: ignore[override]
        """Its period in units."""
        return self.period

    def encode_labels(self, labels: Tensor) -> Tensor:
        """Units [n, 1] -> (cos, sin) of 2 pi angle / period, [n, 2]."""
        import torch

        theta = labels * (2 * np.pi / self.period)
        return torch.cat([theta.cos(), theta.sin()], dim=1)

    def decode(self, encoded: np.ndarray, views: np.ndarray | None = None) -> np.ndarray:
        """(cos, sin) of 2 pi angle / period, [n, 2] -> units in [start, start + period), [n, 1]."""
        encoded = np.asarray(encoded, np.float64)
        return self._angle(encoded[:, 1:], encoded[:, :1])

    def _angle(self, sin: np.ndarray, cos: np.ndarray) -> np.ndarray:
        """Sine and cosine of 2 pi angle / period, times any length -> units in [start, start + period)."""
        return self._in_period(np.arctan2(sin, cos) / (2 * np.pi) * self.period)

    def _in_period(self, values: Array) -> np.ndarray:
        """The same angles in [start, start + period)."""
        values = (values - self.start) % self.period + self.start
        return np.where(values >= self.start + self.period, self.start, values)  # -1e-18 % 180 is 180

    def uncertainty_features(self, encoded: Array) -> Array:
        """The logarithm of the length of (cos, sin), which is short where the network is torn between two angles."""
        return np.log(np.maximum(np.linalg.norm(encoded, axis=1, keepdims=True), 1e-6))

    def average(self, values: Array) -> Array:
        """[k, n, 1] -> [n, 1]: the circular mean (Mardia and Jupp, Directional Statistics, 2000).

        It is any direction where they cancel one another out.
        """
        theta = np.asarray(values, np.float64) * (2 * np.pi / self.period)
        return self._angle(mean(np.sin(theta)), mean(np.cos(theta)))

    # ---- moves of the image

    @property
    def moves(self) -> tuple[str, ...]:
        """All moves, if the angle lies in the image's plane."""
        return MOVES if self.in_plane else ()

    def refusal(self) -> tuple[str, str]:
        """Why it cannot be moved."""
        return (f"nothing says that {self.name} is an angle in the image's plane, as a compass heading is not",
                "--augment colour")

    def _from_right(self, values: Any) -> Any:
        """Labels -> degrees counterclockwise from the image's right, but for the period."""
        return (self.zero + (-1.0 if self.clockwise else 1.0) * values) * self._degrees_per_unit

    @property
    def _degrees_per_unit(self) -> float:
        return 180 / np.pi if self.unit == "rad" else 1.0

    def transform_labels(self, values: Array, motion: Motion) -> Array:
        """The labels [n, 1] after the motion of their images.

        A direction at phi degrees counterclockwise from the image's right goes to 180 - phi by the mirror and to
        phi + turn by the turn; zoom and shift leave it.
        """
        phi = self._from_right(values)
        phi = phi + motion.mirrored[:, None] * (180.0 - 2 * phi) + motion.turn[:, None]
        sign = -1.0 if self.clockwise else 1.0
        return self._in_period(sign * (phi / self._degrees_per_unit - self.zero))

    # ---- checks, words and marks

    def outliers(self, values: np.ndarray) -> Iterator[LabelIssue]:
        """Angles beyond one period, and labels that look like those of another one, such as radians."""
        values = values[:, 0]
        finite = np.isfinite(values)
        low = period_start(values, self.period, self.start)
        outside = finite & ((values < low) | (values > low + self.period))
        if outside.any():
            ends = [with_unit(f"{end:.6g}", self.unit) for end in (low, low + self.period, self.period)]
            hint = f"it is taken as the same angle within a period of {ends[2]}"
            kind = _larger_kind(values[finite], self.period) if outside.sum() > MANY * finite.sum() else ""
            if kind:
                hint += f"; {self.option(kind)}, if that is how it is labelled"
            yield LabelIssue(outside, "wrapped", "note", f"{self.name} outside {ends[0]} to {ends[1]}", hint,
                             self.columns[0])
        turn = np.deg2rad(self.period)
        in_degrees = self.unit == "°" and self.period in DEGREES
        if in_degrees and np.abs(values[finite]).max() <= 1.001 * turn and np.ptp(values[finite]) > 0.8 * turn:
            kind = "angle:radians" if self.period == DEGREES[1] else "angle:pi"
            yield radians_issue(self.name, values[finite], self.option(kind))

    def describe(self) -> str:
        """With its period, and where that begins unless it is 0."""
        start = f" from {self.start:.6g}" if self.start else ""
        return f"{super().describe()} (period {self.period:.6g}{start})"

    @property
    def has_mark(self) -> bool:  # type: ignore[override]
        """An angle in the image's plane is a line in it, and its interval a wedge about that line."""
        return self.in_plane

    has_interval_mark = has_mark

    @property
    def _is_line(self) -> bool:
        """Whether it is a line without a direction, which half a turn leaves as it is."""
        return bool(np.isclose(self.period * self._degrees_per_unit, 180))

    def draw(self, ax: Axes, values: np.ndarray, colour: str, shape: Size, dashed: bool = False,
             origin: np.ndarray | None = None, thin: bool = False) -> None:
        """A line through the image's centre, or an arrow from it where the angle has a direction."""
        if not self.in_plane:
            return
        phi = self._from_right(float(values[0]))
        centre, length = image_centre(shape), LENGTH * min(shape[:2])
        step = length * np.array([np.cos(np.deg2rad(phi)), -np.sin(np.deg2rad(phi))])  # y grows downwards
        has_direction = not self._is_line
        draw_line(ax, [centre if has_direction else centre - step, centre + step], colour, dashed=dashed)
        if has_direction:
            ax.plot(*(centre + step), marker=(3, 0, phi - 90), markersize=9, color=colour, markeredgecolor="white",
                    zorder=5, gid="arrowhead")

    def draw_interval(self, ax: Axes, predicted: np.ndarray, half_widths: np.ndarray, shape: Size, colour: str) -> None:
        """A wedge on each side of a predicted line or arrow."""
        from matplotlib.patches import Wedge

        phi = -self._from_right(float(predicted[0]))  # y grows downwards
        half_width = min(float(half_widths[0]), self.period / 2) * self._degrees_per_unit
        for turn in (0, 180) if self._is_line else (0,):
            ax.add_patch(Wedge(tuple(image_centre(shape)), LENGTH * min(shape[:2]), phi + turn - half_width,
                               phi + turn + half_width, facecolor=colour, **SHADE))


def period_start(values: np.ndarray, period: float, first: float = 0.0) -> float:
    """Where a period begins that holds most of some angles: 0 for 0..360 and -180 for -180..180, of period 360.

    Args:
        values: Angles of any shape in units; NaN is left out.
        period: In units.
        first: What is taken where it does as well as the others.

    Returns:
        `first`, or a number of quarters of the period.
    """
    values = values[np.isfinite(values)]
    starts = (first, *(part * period for part in STARTS))
    return min(starts, key=lambda start: int(((values < start) | (values > start + period)).sum()))


def _larger_kind(values: np.ndarray, period: float) -> str:
    """The KIND with the smallest known period above `period` that finite values fill; "" if there is none."""
    for kind, other in KNOWN_PERIODS.items():
        low = period_start(values, other)
        inside = values.min() >= low and values.max() <= low + other
        if other > 1.001 * period and inside:
            return kind if np.ptp(values) > 0.6 * other else ""
    return ""


def is_angular_unit(unit: str) -> bool:
    """Whether it is a word for degrees or radians."""
    return any(unit.strip().lower() in words for words in ANGULAR_UNITS.values())


def angular_unit(target: Target, unit: str, in_radians: bool, kinds: tuple[str, str]) -> str:
    """A unit for angles as it is written, ° or rad; other units stay.

    Args:
        target: The target.
        unit: What a user, or the cells of a table, call its unit.
        in_radians: Whether its labels are taken for radians.
        kinds: The KIND that takes them for degrees, and the one for radians.

    Raises:
        ImgregError: For degrees that are taken for radians, or the other way round.
    """
    written = next((word for word, others in ANGULAR_UNITS.items() if str(unit).strip().lower() in others), unit)
    if written == ("°" if in_radians else "rad"):
        raise ImgregError(f"{'radians' if in_radians else 'degrees'} as the unit of '{target.name}'", f"'{unit}'",
                          target.option(kinds[0] if in_radians else kinds[1]))
    return written
