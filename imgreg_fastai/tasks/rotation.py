"""Rotations of things in the camera's frame: x right, y down, z forward."""
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import ClassVar
from warnings import catch_warnings, simplefilter

import numpy as np

from ..utils.format import format_amount
from ..utils.messages import ImgregError
from .geometry import Motion
from .marks import Axes, Size, draw_line, image_centre
from .outliers import LabelIssue, radians_issue
from .target import Array, Target, Tensor, mean

MIRROR = np.diag([-1.0, 1.0, 1.0])
LENGTH = 0.3  # of the front's mark, as a part of the image's shorter side
CLAMP = 1 - 1e-6  # of the arc sine, whose slope is infinite at half a turn: within 0.16 degrees of it no gradient


@dataclass(frozen=True)
class Rotation(Target):
    """A rotation, by three angles in degrees; the network sees the matrix, angles are derived last.

    Without a `sequence` the columns are the head-pose field's yaw (to the image's left), pitch (up) and roll
    (clockwise as seen): the matrix is scipy's from_euler("XYZ", [-pitch, yaw, roll]).

    Args:
        sequence: One of scipy's Euler sequences, its angles in the columns' order; "" for yaw, pitch and roll.
        camera_frame: Whether it is the rotation of what is seen, so that a mirror makes it M R M with
            M = diag(-1, 1, 1), and a turn of the image Rz R.
    """

    unit: str = "°"
    sequence: str = ""
    camera_frame: bool = False

    kind: ClassVar[str] = "rotation"
    column_counts: ClassVar[range] = range(3, 4)
    column_rule: ClassVar[str] = "three columns of angles"
    default_columns: ClassVar[tuple[str, ...]] = ("yaw", "pitch", "roll")
    # nine in all: the numbers of the matrix, row by row, which is made a rotation by its singular values
    outputs_per_column: ClassVar[int] = 3
    declaration: ClassVar[str] = ("NAME is taken for the rotation of what is seen, in the camera's frame: it is "
                                  "mirrored and turned with the image (leave --augment out if it is not)")
    spec_option: ClassVar[str] = "sequence"
    linear: ClassVar[bool] = False
    wraps: ClassVar[float | None] = 360.0
    has_mark: ClassVar[bool] = True
    names_itself: ClassVar[bool] = True
    mark_note: ClassVar[str] = ("Blue: true. Vermilion, dashed: predicted. Bold, with a dot: the front (−z), hollow "
                                "where turned away.")

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.sequence == "":  # yaw, pitch and roll
            return
        axes = self.sequence.upper() if isinstance(self.sequence, str) else "?"
        is_sequence = len(axes) == 3 and set(axes) <= set("XYZ") and axes[0] != axes[1] != axes[2]  # XYX is one, too
        if not (is_sequence and self.sequence in (axes, axes.lower())):
            raise ImgregError("a sequence of axes such as XYZ, or xyz for fixed ones", repr(self.sequence))

    # ---- angles and matrices

    def matrix(self, values: Array) -> np.ndarray:
        """Angles [n, 3] in degrees -> matrices [n, 3, 3]; NaN where an angle is missing."""
        from scipy.spatial.transform import Rotation as ScipyRotation

        angles, sequence = np.asarray(values, np.float64), self.sequence or "XYZ"
        if not self.sequence:  # yaw, pitch, roll -> -pitch, yaw, roll
            angles = angles[:, [1, 0, 2]] * (-1, 1, 1)
        return _convert_complete(
            angles, lambda rows: ScipyRotation.from_euler(sequence, rows, degrees=True).as_matrix(), (3, 3))

    def angles(self, matrices: np.ndarray) -> np.ndarray:
        """Matrices [n, 3, 3] -> angles [n, 3] in degrees; NaN where a matrix is."""
        from scipy.spatial.transform import Rotation as ScipyRotation

        sequence = self.sequence or "XYZ"
        with catch_warnings():
            simplefilter("ignore", UserWarning)  # gimbal lock: any of its angles will do
            angles = _convert_complete(
                matrices, lambda rows: ScipyRotation.from_matrix(rows).as_euler(sequence, degrees=True), (3,))
        return angles if self.sequence else angles[:, [1, 0, 2]] * (1, -1, 1)

    def encode_labels(self, labels: Tensor) -> Tensor:
        """Angles [n, 3] in degrees -> the nine numbers of their matrices, [n, 9]."""
        import torch

        matrices = torch.from_numpy(self.matrix(labels.detach().cpu().numpy()))
        return matrices.flatten(1).to(labels.device, labels.dtype)

    def decode(self, encoded: np.ndarray, views: np.ndarray | None = None) -> np.ndarray:
        """Nine numbers [n, 9] -> angles [n, 3] of the nearest rotation (Levinson et al., NeurIPS 2020)."""
        return self.angles(nearest_rotation(np.asarray(encoded, np.float64).reshape(-1, 3, 3)))

    def penalty(self, predicted: Tensor, encoded: Tensor, loss: Callable, weights: Callable | None = None) -> Tensor:
        """The mean loss of the geodesic distances in radians, over complete labels.

        The nine outputs are made a rotation by their singular values (Levinson et al., NeurIPS 2020).
        """
        import roma
        import torch

        labelled = encoded.isfinite().all(dim=1)
        identity = torch.eye(3, device=encoded.device, dtype=encoded.dtype).flatten()
        true = torch.where(labelled[:, None], encoded, identity).unflatten(1, (3, 3))
        rotations = roma.special_procrustes(predicted.unflatten(1, (3, 3)))
        distances = roma.rotmat_geodesic_distance(rotations, true, clamping=CLAMP)[:, None]
        return super().penalty(distances, torch.where(labelled, 0.0, torch.nan)[:, None], loss, weights)

    # ---- errors

    def uncertainty_features(self, encoded: Array) -> Array:
        """The singular values of the nine numbers, and how far they are from a rotation's, which are 1."""
        matrices = np.nan_to_num(np.asarray(encoded, np.float64)).reshape(-1, 3, 3)
        values = np.linalg.svd(matrices, compute_uv=False)
        return np.hstack([values, np.log(np.linalg.norm(values - 1, axis=1, keepdims=True) + 1e-6)])

    def error(self, predicted: Array, true: Array) -> Array:
        """The geodesic distance in degrees, the angle of the one turn from label to prediction: [n, 3] twice -> [n]."""
        return np.rad2deg(np.linalg.norm(self._turns(predicted, true), axis=1))

    def bias(self, predicted: Array, true: Array) -> float:
        """The angle in degrees of the mean turn from label to prediction, in the camera's frame."""
        return float(np.rad2deg(np.linalg.norm(np.nanmean(self._turns(predicted, true), axis=0))))

    def _turns(self, predicted: Array, true: Array) -> np.ndarray:
        """Rotation vectors [n, 3] in radians from labels to predictions; NaN where either lacks an angle."""
        from scipy.spatial.transform import Rotation as ScipyRotation

        turns = self.matrix(predicted) @ self.matrix(true).swapaxes(1, 2)
        return _convert_complete(turns, lambda rows: ScipyRotation.from_matrix(rows).as_rotvec(), (3,))

    def average(self, values: Array) -> Array:
        """[k, n, 3] -> [n, 3]: the rotation nearest to all by the sum of squared chords; any if there are several."""
        matrices = self.matrix(values.reshape(-1, 3)).reshape(*values.shape[:2], 3, 3)
        return self.angles(nearest_rotation(mean(matrices)))

    # ---- moves of the image

    @property
    def moves(self) -> tuple[str, ...]:
        """Flips and turns, if it is the rotation of what is seen. Zoom and shift change the angle of view."""
        return ("flip", "quarter", "turn") if self.camera_frame else ()

    def declare_moves(self, moves: tuple[str, ...]) -> "Rotation":
        """The rotation of what is seen."""
        return replace(self, camera_frame=True)

    def refusal(self) -> tuple[str, str]:
        """Why it cannot be zoomed or shifted."""
        why = f"they change the angle of view, which {self.name} does not know of" if self.camera_frame else ""
        return why, "--augment colour"

    def transform_labels(self, values: Array, motion: Motion) -> Array:
        """The labels [n, 3] after the motion of their images."""
        from scipy.spatial.transform import Rotation as ScipyRotation

        matrices = self.matrix(values)
        matrices = np.where(motion.mirrored[:, None, None] > 0, MIRROR @ matrices @ MIRROR, matrices)
        # As z points away and y down, clockwise as seen is the positive sense about z.
        about_z = ScipyRotation.from_euler("z", -motion.turn[:, None], degrees=True).as_matrix()
        return self.angles(about_z @ matrices)

    # ---- checks, words and marks

    def outliers(self, values: np.ndarray) -> Iterator[LabelIssue]:
        """Angles beyond a whole turn, and angles in radians."""
        finite, sizes = values[np.isfinite(values)], np.abs(np.nan_to_num(values))
        beyond = sizes > 360
        if beyond.any():
            column = self.columns[int(beyond.any(axis=0).argmax())]
            yield LabelIssue(beyond.any(axis=1), "turns", "note",
                             f"{self.name} by more than a whole turn, as in {column}", "mend these angles", column)
        if sizes.max() <= 1.001 * np.pi and finite.std() > 0.1:
            yield radians_issue(self.name, finite)

    @property
    def comparison_key(self) -> tuple:
        """Its sequence must agree, too."""
        return *super().comparison_key, self.sequence

    def describe(self) -> str:
        """With its sequence."""
        return super().describe() + (f" (sequence {self.sequence})" if self.sequence else "")

    def label_text(self, values: np.ndarray) -> str:
        """Each angle with its column: "yaw 12°, pitch −3°, roll 5°"."""
        return ", ".join(f"{column} {format_amount(float(v), self.unit, 0)}"
                         for column, v in zip(self.columns, values, strict=True))

    def error_text(self, error: float) -> str:
        """With one decimal."""
        return "off by " + format_amount(error, self.unit, 1)

    def draw(self, ax: Axes, values: np.ndarray, colour: str, shape: Size, dashed: bool = False,
             origin: np.ndarray | None = None, thin: bool = False) -> None:
        """The axes x and y, and boldest, with a dot at its end, the front (-z), as seen from far away.

        The dot is hollow where the front is turned away. `thin`: the front alone. The letters x and y are left out of a
        dashed prediction, whose axes are known by those of the label beside it.
        """
        from matplotlib.patheffects import withStroke

        matrix, length = self.matrix(values[None])[0], LENGTH * min(shape[:2])
        inside = origin is not None and 0 <= origin[0] <= shape[1] and 0 <= origin[1] <= shape[0]
        start = np.asarray(origin, float) - 0.5 if inside else image_centre(shape)
        for i, letter in enumerate("" if thin else "xy"):
            step = 0.7 * length * matrix[:2, i]
            draw_line(ax, (start, start + step), colour, 1.3, dashed)
            if not dashed:
                place = start + step + 0.1 * length * step / max(float(np.hypot(*step)), 1e-9)
                ax.plot(*place, marker=f"${letter}$", markersize=4.5, color=colour, markeredgewidth=0.3, zorder=5,
                        path_effects=[withStroke(linewidth=2, foreground="white")])
        tip, away = start - length * matrix[:2, 2], matrix[2, 2] <= 0
        draw_line(ax, (start, tip), colour, 1.1 if thin else 2.4, dashed)
        ax.plot(*tip, "o", markersize=4 if thin else 5, color="white" if away else colour, zorder=5.2,
                markeredgecolor=colour if away else "white", markeredgewidth=0.8)


def nearest_rotation(matrices: np.ndarray) -> np.ndarray:
    """[n, 3, 3] -> the rotations nearest in the sum of squares (Kabsch, Acta Cryst. 1976); NaN stays NaN."""
    def nearest(complete: np.ndarray) -> np.ndarray:
        u, _, vt = np.linalg.svd(complete)
        u[:, :, 2] *= np.linalg.det(u @ vt)[:, None]
        return u @ vt

    return _convert_complete(matrices, nearest, (3, 3))


def _convert_complete(values: np.ndarray, convert: Callable, shape: tuple[int, ...]) -> np.ndarray:
    """[n, ...] -> [n, *shape] by `convert`, of rows without NaN; NaN for the others."""
    complete = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    converted = np.full((len(values), *shape), np.nan)
    if complete.any():
        converted[complete] = convert(values[complete])
    return converted
