"""Places in the picture."""
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from ..utils.errors import ImgregError
from . import flip_pairs as naming
from . import geometry as v
from .target import MOVES, Array, Motion, Target, mean


@dataclass(frozen=True)
class Point(Target):
    """Points in pixels of the upright original picture: x right, y down, from the outer corner of its first pixel.

    `columns`: x and y of each in turn. The network sees them in [-1, 1] across its view of the picture. `follows`
    declares that the points move with what is seen when the picture is mirrored or turned; `flip_pairs` are those that
    a mirror makes one another (left eye, right eye), by their places in the row, from 0; `mirror` is False where it is
    not known which these are, so that no picture is mirrored.
    """

    unit: str = "px"
    follows: bool = False
    flip_pairs: tuple[tuple[int, int], ...] = ()
    mirror: bool = True

    kind: ClassVar[str] = "point"
    wants: ClassVar[str] = "columns for x and y of each point"
    partial: ClassVar[bool] = True

    def __post_init__(self):
        super().__post_init__()
        pairs = self.flip_pairs if isinstance(self.flip_pairs, tuple) else (None,)
        whole = all(isinstance(pair, tuple) and len(pair) == 2 for pair in pairs)
        of = [i for pair in pairs for i in pair] if whole else [None]
        if not all(isinstance(i, int) and 0 <= i < self.n for i in of) or len(set(of)) != len(of):
            raise ImgregError(f"flip_pairs of '{self.name}': pairs out of its {self.n} points", f"{self.flip_pairs}")

    @staticmethod
    def _fits(n: int) -> bool:
        return n >= 2 and n % 2 == 0

    @property
    def n(self) -> int:
        """How many points."""
        return len(self.columns) // 2

    @property
    def names(self) -> tuple[str, ...]:
        """What each point is called, by what its two columns share: nose for nose_x and nose_y."""
        return naming.point_names(self.columns, self.name)

    @property
    def n_out(self) -> int:
        """x and y of each point."""
        return len(self.columns)

    @property
    def moves(self) -> tuple[str, ...]:
        """All moves, if the points follow them; no mirror unless it is known what becomes of left and right."""
        return tuple(move for move in MOVES if self.follows and (self.mirror or move != "flip"))

    def encode(self, values: Array, views: np.ndarray) -> Array:
        """Pixels [n, columns] -> [n, columns] across the views [n, 4]; see views.py."""
        return v.to_view(values.reshape(len(values), -1, 2), views).reshape(values.shape)

    def decode(self, encoded: Array, views: np.ndarray) -> Array:
        """[n, columns] across the views [n, 4] or [1, 4] -> pixels of the original pictures."""
        encoded = np.asarray(encoded, np.float64)
        return v.to_pixels(encoded.reshape(len(encoded), -1, 2), views).reshape(encoded.shape)

    @property
    def interval_columns(self) -> tuple[str, ...]:
        """A radius for each point, under the target's name and its own where there are several."""
        names = self.names if len(set(self.names)) == self.n else range(self.n)
        return tuple(f"{self.name}_{name}_within" for name in names) if self.n > 1 else super().interval_columns

    def interval_errors(self, predicted: Array, true: Array) -> Array:
        """How far each point is off: [n, columns] twice -> [n, points]; NaN for one without a label."""
        return np.linalg.norm((predicted - true).reshape(len(true), -1, 2), axis=2)

    def error_scale(self, views: Array) -> Array:
        """Pixels of the original picture to half a side of the view: a network is off by a part of what it sees."""
        return 1 / np.sqrt(views[:, :1] * views[:, 1:2])

    def error(self, predicted: Array, true: Array) -> Array:
        """The mean distance of a picture's points that are labelled: [n, columns] twice -> [n]."""
        distance = self.interval_errors(predicted, true)
        labelled = np.isfinite(distance)
        n = labelled.sum(axis=1)
        return np.where(n > 0, np.where(labelled, distance, 0).sum(axis=1) / np.maximum(n, 1), np.nan)

    def bias(self, predicted: Array, true: Array) -> float:
        """The length of the mean residual, averaged over the points that are labelled anywhere."""
        residual = self.residual(predicted, true)
        labelled = np.isfinite(residual)
        known = labelled.any(axis=0).reshape(-1, 2).all(axis=1)
        mean = np.where(labelled, residual, 0).sum(axis=0) / np.maximum(labelled.sum(axis=0), 1)
        lengths = np.linalg.norm(mean.reshape(-1, 2), axis=1)[known]
        return float(lengths.mean()) if len(lengths) else float("nan")

    def constant_guess(self, values: Array) -> Array:
        """The constant to guess: each point's mean place in pixels, [columns]; NaN for one that is labelled nowhere."""
        return mean(values)

    def transform_labels(self, values: Array, motion: Motion) -> Array:
        """The labels [n, columns], in [-1, 1], after the motion of their pictures."""
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
