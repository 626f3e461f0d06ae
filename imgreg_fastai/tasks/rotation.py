"""Rotations of things in the camera's frame: x right, y down, z forward."""
from dataclasses import dataclass
from typing import ClassVar
from warnings import catch_warnings, simplefilter

import numpy as np
from scipy.spatial.transform import Rotation as R

from ..utils.errors import ImgregError
from .target import Array, Motion, Target, mean

MIRROR = np.diag([-1.0, 1.0, 1.0])


@dataclass(frozen=True)
class Rotation(Target):
    """A rotation, by its angles in degrees; the network sees the matrix, angles are derived last.

    Without a `sequence` the columns are the head-pose field's yaw (to the picture's left), pitch (up) and roll
    (clockwise as seen): the matrix is scipy's from_euler("XYZ", [-pitch, yaw, roll]). Another `sequence` is one of
    scipy's, its angles in the columns' order. `camera_frame` declares that it is the rotation of what is seen, so that
    a mirror makes it M R M with M = diag(-1, 1, 1), and a turn of the picture Rz R.
    """

    unit: str = "°"
    sequence: str = ""
    camera_frame: bool = False

    kind: ClassVar[str] = "rotation"
    rigid: ClassVar[bool] = True
    wants: ClassVar[str] = "three columns of angles"

    def __post_init__(self):
        super().__post_init__()
        axes = self.sequence.upper() if isinstance(self.sequence, str) else "?"
        proper = len(axes) == 3 and set(axes) <= set("XYZ") and axes[0] != axes[1] != axes[2]
        if axes and not (proper and self.sequence in (axes, axes.lower())):
            raise ImgregError("a sequence of axes such as XYZ, or xyz for fixed ones", repr(self.sequence))

    @staticmethod
    def _fits(n: int) -> bool:
        return n == 3

    @property
    def n_out(self) -> int:
        """The nine numbers of the matrix, row by row; it is made a rotation by its singular values."""
        return 9

    @property
    def moves(self) -> tuple[str, ...]:
        """Flips and turns, if it is the rotation of what is seen. Zoom and shift change the angle of view."""
        return ("flip", "quarter", "turn") if self.camera_frame else ()

    def matrix(self, values: Array) -> np.ndarray:
        """Angles [n, 3] in degrees -> matrices [n, 3, 3]; NaN where an angle is missing."""
        values = np.asarray(values, np.float64)
        whole = np.isfinite(values).all(axis=1)
        matrices = np.full((len(values), 3, 3), np.nan)
        if whole.any():
            yaw, pitch, roll = values[whole].T
            own = values[whole] if self.sequence else np.stack([-pitch, yaw, roll], axis=1)
            matrices[whole] = R.from_euler(self.sequence or "XYZ", own, degrees=True).as_matrix()
        return matrices

    def angles(self, matrices: np.ndarray) -> np.ndarray:
        """Matrices [n, 3, 3] -> angles [n, 3] in degrees; NaN where a matrix is."""
        whole = np.isfinite(matrices).all(axis=(1, 2))
        values = np.full((len(matrices), 3), np.nan)
        if whole.any():
            with catch_warnings():
                simplefilter("ignore", UserWarning)  # gimbal lock: any of its angles will do
                own = R.from_matrix(matrices[whole]).as_euler(self.sequence or "XYZ", degrees=True)
            values[whole] = own if self.sequence else np.stack([own[:, 1], -own[:, 0], own[:, 2]], axis=1)
        return values

    def decode(self, encoded: Array, views: Array = None) -> Array:
        """Nine numbers [n, 9] -> angles [n, 3]: of the nearest rotation (Levinson et al., NeurIPS 2020)."""
        return self.angles(nearest_rotation(np.asarray(encoded, np.float64).reshape(-1, 3, 3)))

    def uncertainty_features(self, encoded: Array) -> Array:
        """The singular values of the nine numbers, and how far they are from a rotation's, which are 1."""
        nine = np.nan_to_num(np.asarray(encoded, np.float64)).reshape(-1, 3, 3)
        values = np.linalg.svd(nine, compute_uv=False)
        away = np.log(np.linalg.norm(values - 1, axis=1, keepdims=True) + 1e-6)
        return np.hstack([values, away])

    def residual(self, predicted: Array, true: Array) -> Array:
        """Signed difference of each angle the short way round, in [-180, 180)."""
        return (predicted - true + 180) % 360 - 180

    def error(self, predicted: Array, true: Array) -> Array:
        """The geodesic distance in degrees: the angle of the one turn that leads from truth to prediction, [n]."""
        return np.rad2deg(np.linalg.norm(self._between(predicted, true), axis=1))

    def bias(self, predicted: Array, true: Array) -> float:
        """The angle in degrees of the mean turn from truth to prediction, in the camera's frame."""
        return float(np.rad2deg(np.linalg.norm(np.nanmean(self._between(predicted, true), axis=0))))

    def _between(self, predicted: Array, true: Array) -> np.ndarray:
        """Rotation vectors [n, 3] in radians that lead from truth to prediction; NaN where either lacks an angle."""
        step = self.matrix(predicted) @ self.matrix(true).swapaxes(1, 2)
        whole = np.isfinite(step).all(axis=(1, 2))
        vectors = np.full((len(step), 3), np.nan)
        if whole.any():
            vectors[whole] = R.from_matrix(step[whole]).as_rotvec()
        return vectors

    def constant_guess(self, values: Array) -> Array:
        """The constant to guess: the rotation nearest to all by the sum of squared chords, as angles [3]."""
        return self.average(values[:, None])[0]

    def average(self, values: Array) -> Array:
        """[k, n, 3] -> [n, 3]: the rotation nearest to all by the sum of squared chords; any if there are several."""
        matrices = self.matrix(values.reshape(-1, 3)).reshape(*values.shape[:2], 3, 3)
        return self.angles(nearest_rotation(mean(matrices)))

    def transform_labels(self, values: Array, motion: Motion) -> Array:
        """The labels [n, 3] after the motion of their pictures."""
        matrices = self.matrix(values)
        mirrored = motion.mirrored[:, None, None] > 0
        matrices = np.where(mirrored, MIRROR @ matrices @ MIRROR, matrices)
        clockwise = -motion.turn[:, None]  # as z points away and y down, that is the positive sense
        about_z = R.from_euler("z", clockwise, degrees=True).as_matrix()
        return self.angles(about_z @ matrices)


def nearest_rotation(matrices: np.ndarray) -> np.ndarray:
    """[n, 3, 3] -> the rotations nearest in the sum of squares (Kabsch, Acta Cryst. 1976); NaN stays NaN."""
    rotations = np.full(matrices.shape, np.nan)
    whole = np.isfinite(matrices).all(axis=(1, 2))
    u, _, vt = np.linalg.svd(matrices[whole])
    u[:, :, 2] *= np.linalg.det(u @ vt)[:, None]
    rotations[whole] = u @ vt
    return rotations
