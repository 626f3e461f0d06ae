"""A direction or an orientation in degrees."""
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..utils.errors import ImgregError
from .geometry import MOVES, Motion
from .marks import SHADE, decimals_of, draw_line, image_centre
from .outliers import LabelIssue, radians_issue
from .target import Array, Target, is_finite, mean

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
    specs: ClassVar[dict[str, dict]] = {"angle180": {"period": 180.0}, "angle360": {"period": 360.0}}
    rigid: ClassVar[bool] = True
    linear: ClassVar[bool] = False
    mark_note: ClassVar[str] = "Blue: true. Vermilion, dashed: predicted."

    def __post_init__(self):
        super().__post_init__()
        if not (is_finite(self.period) and self.period > 0 and is_finite(self.zero)):
            raise ImgregError(f"period and zero of '{self.name}' in degrees", f"{self.period!r}, {self.zero!r}")

    @property
    def n_out(self) -> int:
        """Cosine and sine."""
        return 2

    @property
    def wraps(self) -> float:
        """Its period in degrees."""
        return self.period

    def encode_labels(self, labels):
        """Degrees [n, 1], a tensor -> (cos, sin) of 2 pi angle / period, [n, 2]."""
        import torch

        theta = labels * (2 * np.pi / self.period)
        return torch.cat([theta.cos(), theta.sin()], dim=1)

    def decode(self, encoded: Array, views: Array = None) -> Array:
        """(cos, sin) of 2 pi angle / period, [n, 2] -> degrees in [0, period), [n, 1]."""
        encoded = np.asarray(encoded, np.float64)
        return self._wrapped(np.arctan2(encoded[:, 1:], encoded[:, :1]))

    def _wrapped(self, theta: np.ndarray) -> np.ndarray:
        """Radians of 2 pi angle / period -> degrees in [0, period)."""
        degrees = (theta / (2 * np.pi) * self.period) % self.period
        return np.where(degrees >= self.period, 0.0, degrees)  # -1e-18 % 180 is 180

    def uncertainty_features(self, encoded: Array) -> Array:
        """The logarithm of the length of (cos, sin), which is short where the network is torn between two angles."""
        return np.log(np.maximum(np.linalg.norm(encoded, axis=1, keepdims=True), 1e-6))

    def constant_guess(self, values: Array) -> Array:
        """The circular mean of labels [n, 1], [1] (Mardia and Jupp, Directional Statistics, 2000)."""
        return self.average(values)

    def average(self, values: Array) -> Array:
        """[k, n, 1] -> [n, 1]: the circular mean; any direction where they cancel one another out."""
        theta = np.asarray(values, np.float64) * (2 * np.pi / self.period)
        return self._wrapped(np.arctan2(mean(np.sin(theta)), mean(np.cos(theta))))

    # ---- moves of the image

    @property
    def moves(self) -> tuple[str, ...]:
        """All moves, if the angle lies in the image's plane."""
        return MOVES if self.in_plane else ()

    def refusal(self) -> tuple[str, str]:
        """Why it cannot be moved."""
        why = f"nothing says that {self.name} is an angle in the picture's plane, as a compass heading is not"
        return why, "--augment colour"

    def _from_right(self, degrees):
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
        ranges = ((0.0, self.period), (-self.period / 2, self.period / 2))
        outside = [finite & ((values < low) | (values > high)) for low, high in ranges]
        best = int(outside[1].sum() < outside[0].sum())
        if outside[best].any():
            low, high = ranges[best]
            yield LabelIssue(outside[best], "wrapped", "note", f"{self.name} outside {low:g}° to {high:g}°",
                             f"it is taken as the same angle within a period of {self.period:g}°", self.columns[0])
        turn = np.deg2rad(self.period)
        if np.abs(values[finite]).max() <= 1.001 * turn and np.ptp(values[finite]) > 0.8 * turn:
            yield radians_issue(self.name, values[finite])

    @property
    def comparison_key(self) -> tuple:
        """Its period must agree, too."""
        return *super().comparison_key, self.period

    def describe(self) -> str:
        """With its period."""
        return f"{super().describe()} (period {self.period:g})"

    def decimals(self, values: Array) -> int:
        """How many decimals tell a thousandth of the period."""
        return decimals_of(self.period)

    @property
    def has_mark(self) -> bool:
        """An angle in the image's plane is a line in it."""
        return self.in_plane

    @property
    def has_interval_mark(self) -> bool:
        """Its interval is a wedge about that line."""
        return self.in_plane

    def draw(self, ax, values: np.ndarray, colour: str, shape: tuple[int, ...], dashed: bool = False, origin=None,
             thin: bool = False) -> None:
        """A line through the image's centre, or an arrow from it where the angle has a direction."""
        if not self.in_plane:
            return
        phi = self._from_right(float(values[0]))
        centre, length = image_centre(shape), LENGTH * min(shape[:2])
        step = length * np.array([np.cos(np.deg2rad(phi)), -np.sin(np.deg2rad(phi))])  # y grows downwards
        if self.period == 180:
            draw_line(ax, [centre - step, centre + step], colour, dashed=dashed)
            return
        draw_line(ax, [centre, centre + step], colour, dashed=dashed)
        head = ax.plot(*(centre + step), marker=(3, 0, phi - 90), markersize=9, color=colour, markeredgecolor="white",
                       zorder=5)
        head[0].set_gid("arrowhead")

    def draw_interval(self, ax, predicted: np.ndarray, half_widths: np.ndarray, shape: tuple[int, ...],
                      colour: str) -> None:
        """A wedge on each side of a predicted line or arrow."""
        from matplotlib.patches import Wedge

        phi = -self._from_right(float(predicted[0]))  # y grows downwards
        half_width = min(float(half_widths[0]), self.period / 2)
        for turn in (0, 180) if self.period == 180 else (0,):
            ax.add_patch(Wedge(image_centre(shape), LENGTH * min(shape[:2]), phi + turn - half_width,
                               phi + turn + half_width, facecolor=colour, **SHADE))
