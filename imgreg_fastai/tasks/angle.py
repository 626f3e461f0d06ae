"""A direction or an orientation in degrees."""
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from ..utils.messages import ImgregError
from .geometry import MOVES, Motion
from .marks import SHADE, Axes, Size, draw_line, image_centre
from .outliers import LabelIssue, radians_issue
from .target import Array, Target, Tensor, is_finite, mean

LENGTH = 0.36  # of a mark, as a part of the image's shorter side


@dataclass(frozen=True)
class Angle(Target):
    """A direction (`period` 360) or an orientation (`period` 180) in degrees; the network sees its cosine and sine.

    Args:
        period: Degrees after which it repeats.
        in_plane: Whether it is an angle in the image's plane, so that flips and turns of the image change it in a
            known way.
        zero: The direction of 0 degrees, in degrees counterclockwise from the image's right, as seen.
        clockwise: Whether it grows clockwise, as seen.
    """

    unit: str = "°"
    period: float = 360.0
    in_plane: bool = False
    zero: float = 0.0
    clockwise: bool = False

    kind: ClassVar[str] = "angle"
    outputs_per_column: ClassVar[int] = 2  # cosine and sine
    specs: ClassVar[dict[str, dict]] = {"angle180": {"period": 180.0}, "angle360": {"period": 360.0}}
    linear: ClassVar[bool] = False
    mark_note: ClassVar[str] = "Blue: true. Vermilion, dashed: predicted."

    def __post_init__(self) -> None:
        super().__post_init__()
        if not (is_finite(self.period) and self.period > 0 and is_finite(self.zero)):
            raise ImgregError(f"period and zero of '{self.name}' in degrees", f"{self.period!r}, {self.zero!r}")

    @property
    def wraps(self) -> float:  # type: ignore[override]
        """Its period in degrees."""
        return self.period

    def encode_labels(self, labels: Tensor) -> Tensor:
        """Degrees [n, 1] -> (cos, sin) of 2 pi angle / period, [n, 2]."""
        import torch

        theta = labels * (2 * np.pi / self.period)
        return torch.cat([theta.cos(), theta.sin()], dim=1)

    def decode(self, encoded: np.ndarray, views: np.ndarray | None = None) -> np.ndarray:
        """(cos, sin) of 2 pi angle / period, [n, 2] -> degrees in [0, period), [n, 1]."""
        encoded = np.asarray(encoded, np.float64)
        return self._degrees(encoded[:, 1:], encoded[:, :1])

    def _degrees(self, sin: np.ndarray, cos: np.ndarray) -> np.ndarray:
        """Sine and cosine of 2 pi angle / period, times any length -> degrees in [0, period)."""
        degrees = (np.arctan2(sin, cos) / (2 * np.pi) * self.period) % self.period
        return np.where(degrees >= self.period, 0.0, degrees)  # -1e-18 % 180 is 180

    def uncertainty_features(self, encoded: Array) -> Array:
        """The logarithm of the length of (cos, sin), which is short where the network is torn between two angles."""
        return np.log(np.maximum(np.linalg.norm(encoded, axis=1, keepdims=True), 1e-6))

    def average(self, values: Array) -> Array:
        """[k, n, 1] -> [n, 1]: the circular mean (Mardia and Jupp, Directional Statistics, 2000).

        It is any direction where they cancel one another out.
        """
        theta = np.asarray(values, np.float64) * (2 * np.pi / self.period)
        return self._degrees(mean(np.sin(theta)), mean(np.cos(theta)))

    # ---- moves of the image

    @property
    def moves(self) -> tuple[str, ...]:
        """All moves, if the angle lies in the image's plane."""
        return MOVES if self.in_plane else ()

    def refusal(self) -> tuple[str, str]:
        """Why it cannot be moved."""
        return (f"nothing says that {self.name} is an angle in the image's plane, as a compass heading is not",
                "--augment colour")

    def _from_right(self, degrees: Any) -> Any:
        """Degrees of the label <-> degrees counterclockwise from the image's right, but for the period."""
        return self.zero + (-1.0 if self.clockwise else 1.0) * degrees

    def transform_labels(self, values: Array, motion: Motion) -> Array:
        """The labels [n, 1] after the motion of their images.

        A direction at phi degrees counterclockwise from the image's right goes to 180 - phi by the mirror and to
        phi + turn by the turn; zoom and shift leave it.
        """
        phi = self._from_right(values)
        phi = phi + motion.mirrored[:, None] * (180.0 - 2 * phi) + motion.turn[:, None]
        return ((-1.0 if self.clockwise else 1.0) * (phi - self.zero)) % self.period

    # ---- checks, words and marks

    def outliers(self, values: np.ndarray) -> Iterator[LabelIssue]:
        """Angles beyond one turn, and angles in radians."""
        values = values[:, 0]
        finite = np.isfinite(values)
        starts = (0.0, -self.period / 2)  # of one turn
        outside = {low: finite & ((values < low) | (values > low + self.period)) for low in starts}
        low = min(starts, key=lambda start: outside[start].sum())
        if outside[low].any():
            yield LabelIssue(outside[low], "wrapped", "note", f"{self.name} outside {low:g}° to {low + self.period:g}°",
                             f"it is taken as the same angle within a period of {self.period:g}°", self.columns[0])
        turn = np.deg2rad(self.period)
        if np.abs(values[finite]).max() <= 1.001 * turn and np.ptp(values[finite]) > 0.8 * turn:
            yield radians_issue(self.name, values[finite])

    def describe(self) -> str:
        """With its period."""
        return f"{super().describe()} (period {self.period:g})"

    @property
    def has_mark(self) -> bool:  # type: ignore[override]
        """An angle in the image's plane is a line in it, and its interval a wedge about that line."""
        return self.in_plane

    has_interval_mark = has_mark

    def draw(self, ax: Axes, values: np.ndarray, colour: str, shape: Size, dashed: bool = False,
             origin: np.ndarray | None = None, thin: bool = False) -> None:
        """A line through the image's centre, or an arrow from it where the angle has a direction."""
        if not self.in_plane:
            return
        phi = self._from_right(float(values[0]))
        centre, length = image_centre(shape), LENGTH * min(shape[:2])
        step = length * np.array([np.cos(np.deg2rad(phi)), -np.sin(np.deg2rad(phi))])  # y grows downwards
        has_direction = self.period != 180
        draw_line(ax, [centre if has_direction else centre - step, centre + step], colour, dashed=dashed)
        if has_direction:
            ax.plot(*(centre + step), marker=(3, 0, phi - 90), markersize=9, color=colour, markeredgecolor="white",
                    zorder=5, gid="arrowhead")

    def draw_interval(self, ax: Axes, predicted: np.ndarray, half_widths: np.ndarray, shape: Size, colour: str) -> None:
        """A wedge on each side of a predicted line or arrow."""
        from matplotlib.patches import Wedge

        phi = -self._from_right(float(predicted[0]))  # y grows downwards
        half_width = min(float(half_widths[0]), self.period / 2)
        for turn in (0, 180) if self.period == 180 else (0,):
            ax.add_patch(Wedge(tuple(image_centre(shape)), LENGTH * min(shape[:2]), phi + turn - half_width,
                               phi + turn + half_width, facecolor=colour, **SHADE))
