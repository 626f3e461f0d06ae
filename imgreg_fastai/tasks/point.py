"""Positions in the image."""
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from os.path import commonprefix
from typing import Any, ClassVar

import numpy as np

from ..utils.format import format_amount
from ..utils.messages import ImgregError, first_few
from .geometry import MOVES, Motion, to_pixels, to_view
from .marks import MAX_CROSSES, SHADE, Axes, Size
from .outliers import LabelIssue, far_values
from .target import Target, Tensor
from .values import Array, mean

SEPARATORS = "_-. "  # of the parts of a column's name
CORNERS = ((0.0, 0.0), (-1.0, -1.0))  # what programs write for a point that is not there


@dataclass(frozen=True)
class Point(Target):
    """Points in pixels of the upright original image: x right, y down, from the outer corner of its first pixel.

    `columns` are x and y of each point in turn. The network sees them in [-1, 1] across its view of the image.

    Args:
        follows: Whether the points move with what is seen when the image is mirrored or turned.
        flip_pairs: Points that a mirror exchanges (left eye, right eye), by their place in the row, from 0.
        mirror: False where these are not known, so that no image is mirrored.
    """

    unit: str = "px"
    follows: bool = False
    flip_pairs: tuple[tuple[int, int], ...] = ()
    mirror: bool = True

    kind: ClassVar[str] = "point"
    column_counts: ClassVar[range] = range(2, sys.maxsize, 2)
    column_rule: ClassVar[str] = "columns for x and y of each point"
    default_columns: ClassVar[tuple[str, ...]] = ("NAME_x", "NAME_y")
    in_image: ClassVar[bool] = True
    has_mark: ClassVar[bool] = True
    histogram: ClassVar[str] = "map"
    mark_note: ClassVar[str] = "Blue: true. Vermilion: predicted; thin lines lead to it from the truth."

    def __post_init__(self) -> None:
        super().__post_init__()
        pairs = self.flip_pairs
        are_pairs = isinstance(pairs, tuple) and all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs)
        points = [i for pair in pairs for i in pair] if are_pairs else []
        exist = all(isinstance(i, int) and 0 <= i < self.n for i in points)
        if not are_pairs or not exist or len(set(points)) < len(points):
            raise ImgregError(f"flip_pairs of '{self.name}': pairs out of its {self.n} points", f"{self.flip_pairs}")

    @property
    def n(self) -> int:
        """How many points."""
        return len(self.columns) // 2

    @property
    def names(self) -> tuple[str, ...]:
        """What each point is called, by what its two columns share: nose for nose_x and nose_y."""
        return point_names(self.columns, self.name)

    # ---- labels in a batch

    def block(self) -> Any:
        """fastai's PointBlock."""
        from fastai.vision.data import PointBlock

        return PointBlock

    def to_batch(self, values: Array, views: Array) -> Array:
        """Pixels [n, columns] -> [n, columns] across the views [n, 4]."""
        return to_view(values.reshape(len(values), -1, 2), views).reshape(values.shape)

    def from_batch(self, values: Array, views: Array) -> Array:
        """[n, columns] across the views [n, 4] or [1, 4] -> pixels of the original images."""
        values = np.asarray(values, np.float64)
        return to_pixels(values.reshape(len(values), -1, 2), views).reshape(values.shape)

    def decode(self, encoded: np.ndarray, views: np.ndarray | None = None) -> np.ndarray:
        """Outputs [n, columns] -> pixels of the original images."""
        return self.from_batch(encoded, views)

    def batch_tensor(self, labels: Tensor) -> Tensor:
        """Labels [n, columns] as fastai's TensorPoint [n, points, 2]."""
        from fastai.vision.core import TensorPoint

        return TensorPoint(labels.reshape(len(labels), -1, 2))

    # ---- errors and intervals

    @property
    def interval_columns(self) -> tuple[str, ...]:
        """A radius for each point, under the target's name and the point's where there are several."""
        if self.n == 1:
            return super().interval_columns
        names = self.names if len(set(self.names)) == self.n else range(self.n)
        return tuple(f"{self.name}_{name}_within" for name in names)

    def interval_errors(self, predicted: Array, true: Array) -> Array:
        """The distance of each point from its label: [n, columns] twice -> [n, points]; NaN without a label."""
        return np.linalg.norm((predicted - true).reshape(len(true), -1, 2), axis=2)

    def error_scale(self, views: Array) -> Array:
        """Pixels of the original image per half side of the view: the network errs by a part of what it sees."""
        return 1 / np.sqrt(views[:, :1] * views[:, 1:2])

    def error(self, predicted: Array, true: Array) -> Array:
        """The mean distance of an image's labelled points: [n, columns] twice -> [n]."""
        return mean(self.interval_errors(predicted, true).T)

    def bias(self, predicted: Array, true: Array) -> float:
        """The length of the mean residual, averaged over the points that are labelled anywhere."""
        lengths = np.linalg.norm(mean(self.residual(predicted, true)).reshape(-1, 2), axis=1)
        return float(mean(lengths))

    # ---- moves of the image

    @property
    def moves(self) -> tuple[str, ...]:
        """All moves, if the points follow them; no mirror unless left and right are known."""
        return tuple(move for move in MOVES if self.follows and (self.mirror or move != "flip"))

    def refusal(self) -> tuple[str, str]:
        """Why it cannot be mirrored."""
        if not self.follows or self.mirror:
            return super().refusal()
        return (f"which points of {self.name} change places in a mirror is not known",
                "--flip-pairs LEFT:RIGHT,.., or --flip-pairs none if no two do")

    def transform_labels(self, values: Array, motion: Motion) -> Array:
        """The labels [n, columns], in [-1, 1], after the motion of their images."""
        points = values.reshape(len(values), -1, 2) * (motion.aspect, 1)
        order = np.arange(self.n)
        for a, b in self.flip_pairs:
            order[[a, b]] = b, a
        points = np.where(motion.mirrored[:, None, None] > 0, points[:, order] * (-1, 1), points)
        turn = np.deg2rad(motion.turn)[:, None]
        x, y = points[..., 0], points[..., 1]  # y grows downwards: counterclockwise as seen is clockwise in (x, y)
        turned = np.stack([x * np.cos(turn) + y * np.sin(turn), y * np.cos(turn) - x * np.sin(turn)], axis=2)
        turned = turned / (motion.aspect, 1) * motion.zoom[:, None, None] + motion.shift[:, None]
        return turned.reshape(values.shape)

    def undo(self, outputs: Array, views: Array, motion: Motion) -> Array:
        """Points move within the view, before they are pixels."""
        return self.decode(self.transform_labels(outputs, motion), views)

    # ---- checks, words and marks

    def outliers(self, values: np.ndarray) -> Iterator[LabelIssue]:
        """Points in a corner, and points far from all others."""
        points = values.reshape(len(values), -1, 2)
        for x, y in CORNERS:
            at_corner = (points == (x, y)).all(axis=2)
            if at_corner.any():
                names = first_few(np.array(self.names)[at_corner.any(axis=0)], 3)
                yield LabelIssue(at_corner.any(axis=1), "corner", "note",
                                 f"at ({x:g}, {y:g}), the image's corner: {names}",
                                 "leave the values of a point empty that is not there")
        far_x, far_y = far_values(points[..., 0].ravel()), far_values(points[..., 1].ravel())
        far = (far_x | far_y).reshape(points.shape[:2]).any(axis=1)
        if far.any():
            yield LabelIssue(far, "outlier", "note", f"points of {self.name} far from all others",
                             "mend them, or leave them empty")

    def label_text(self, values: np.ndarray) -> str:
        """The position of a single point; nothing for many."""
        return super().label_text(values) if self.n == 1 else ""

    def error_text(self, error: float) -> str:
        """With two significant digits."""
        return "off by " + format_amount(error, self.unit)

    @property
    def has_interval_mark(self) -> bool:  # type: ignore[override]
        """Discs about a few points; about many they would hide the image."""
        return self.n <= MAX_CROSSES

    def draw(self, ax: Axes, values: np.ndarray, colour: str, shape: Size, dashed: bool = False,
             origin: np.ndarray | None = None, thin: bool = False) -> None:
        """A cross at each point, upright or (a prediction beside its label) slanting; of many points a dot each."""
        from matplotlib.patheffects import withStroke

        points = values.reshape(-1, 2) - 0.5
        if self.n > MAX_CROSSES:
            ax.plot(*points.T, "o", color=colour, markersize=2.6, markeredgecolor="white", markeredgewidth=0.35,
                    zorder=5)
            return
        marker, size = ("x", 5.5) if dashed else ("+", 8.5)
        ax.plot(*points.T, marker, color=colour, markersize=size, markeredgewidth=1.6, zorder=5.5,
                path_effects=[withStroke(linewidth=2.9, foreground="white")])

    def draw_interval(self, ax: Axes, predicted: np.ndarray, half_widths: np.ndarray, shape: Size, colour: str) -> None:
        """A disc about each predicted point."""
        from matplotlib.patches import Circle

        for point, radius in zip(predicted.reshape(-1, 2) - 0.5, half_widths, strict=True):
            ax.add_patch(Circle(point, radius, facecolor=colour, **SHADE))

    def draw_error(self, ax: Axes, true: np.ndarray, predicted: np.ndarray, colour: str) -> None:
        """Thin lines from true points to predicted ones."""
        from matplotlib.patheffects import withStroke

        ends = np.stack([np.reshape(true, (-1, 2)), np.reshape(predicted, (-1, 2))]) - 0.5
        halo = [withStroke(linewidth=1.8, foreground="white")] if self.n <= MAX_CROSSES else None
        ax.plot(ends[..., 0], ends[..., 1], color=colour, linewidth=0.8, zorder=4.9, gid="join", path_effects=halo)


def point_names(columns: Sequence[str], name: str = "") -> tuple[str, ...]:
    """What each point is called, by what its columns for x and y share; `columns`: x and y of each in turn.

    nose for nose_x and nose_y, 1 for x1 and y1. A single one that shares nothing is called `name`, others by number.
    """
    stems = [stem(x, y) for x, y in zip(columns[::2], columns[1::2], strict=True)]
    if len(stems) == 1:
        return (stems[0] or name,)
    return tuple(s if s and stems.count(s) == 1 else str(i) for i, s in enumerate(stems))


def stem(x: str, y: str) -> str:
    """What two columns share at their beginning and end, without the separators left over."""
    start = commonprefix((x, y))  # noqa: RUF071 by character is right
    end = commonprefix((x[len(start):][::-1], y[len(start):][::-1]))[::-1]  # noqa: RUF071
    start, end = start.rstrip(SEPARATORS), end.lstrip(SEPARATORS)
    return (f"{start}_{end}" if start and end else start or end).strip(SEPARATORS)
