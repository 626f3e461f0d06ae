"""Rotations of things in the camera's frame: x right, y down, z forward."""
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any, ClassVar
from warnings import catch_warnings, simplefilter

import numpy as np

from ..utils.format import format_amount
from ..utils.messages import ImgregError, first_few
from .angle import angular_unit
from .geometry import Motion
from .marks import Axes, Size, draw_axes
from .outliers import LabelIssue, radians_issue
from .rotation_forms import (
    FORMS,
    OPTIONS,
    QUATERNIONS,
    check_quaternion,
    convert_complete,
    likely_forms,
    matrix_issues,
    nearest_rotation,
    read_form,
    row_lengths,
)
from .target import Target, Tensor
from .values import Array, mean

MIRROR = np.diag([-1.0, 1.0, 1.0])
CLAMP = 1 - 1e-6  # of the arc sine, whose slope is infinite at half a turn: within 0.16 degrees of it no gradient


MAX_LENGTH_ERROR = 0.05  # of a quaternion, beyond which it is told


@dataclass(frozen=True)
class Rotation(Target):
    """A rotation by three angles, a quaternion or a matrix; the network sees the matrix, the others are derived last.

    Angles without a `sequence` are the head-pose field's yaw (to the image's left), pitch (up) and roll (clockwise as
    seen): the matrix is scipy's from_euler("XYZ", [-pitch, yaw, roll]). Errors are geodesic angles in degrees, or in
    radians where the labels are.

    Args:
        sequence: One of scipy's Euler sequences, its angles in the columns' order; "" for yaw, pitch and roll.
        camera_frame: Whether it is the rotation of what is seen, so that a mirror makes it M R M with
            M = diag(-1, 1, 1), and a turn of the image Rz R.
        form: How labels are written: angles; wxyz or xyzw, a quaternion of either sign; matrix, its numbers row by row.
        radians: Whether angles are in radians.
    """

    unit: str = "°"
    sequence: str = ""
    camera_frame: bool = False
    form: str = "angles"
    radians: bool = False

    kind: ClassVar[str] = "rotation"
    default_columns: ClassVar[tuple[str, ...]] = FORMS["angles"]
    spec_words: ClassVar[tuple[str, ...]] = ("rotation", "rotation=FORM")
    declaration: ClassVar[str] = ("NAME is taken for the rotation of what is seen, in the camera's frame: it is "
                                  "mirrored and turned with the image (leave --augment out if it is not)")
    linear: ClassVar[bool] = False
    has_mark: ClassVar[bool] = True
    names_itself: ClassVar[bool] = True
    mark_note: ClassVar[str] = ("Blue: true. Vermilion, dashed: predicted. Bold, with a dot: the front (−z), hollow "
                                "where turned away.")

    def __post_init__(self) -> None:
        if self.form not in FORMS:
            raise ImgregError(f"the form of a rotation, one of {', '.join(FORMS)}", repr(self.form))
        super().__post_init__()
        if self.form != "angles" and (self.sequence or self.radians):
            raise ImgregError(f"a rotation by {self.form} without a sequence of axes and radians",
                              first_few(filter(None, (self.sequence, self.radians and "radians"))))
        check_quaternion(self.columns, self.form, self.option)
        if self.sequence == "":  # yaw, pitch and roll
            return
        axes = self.sequence.upper() if isinstance(self.sequence, str) else "?"
        is_sequence = len(axes) == 3 and set(axes) <= set("XYZ") and axes[0] != axes[1] != axes[2]  # XYX is one, too
        if not (is_sequence and self.sequence in (axes, axes.lower())):
            raise ImgregError("a sequence of axes such as XYZ, or xyz for fixed ones", repr(self.sequence), OPTIONS)

    @classmethod
    def read_option(cls, option: str) -> dict[str, Any]:
        """The fields that FORM of --target NAME:rotation=FORM sets."""
        return read_form(option)

    @classmethod
    def columns_where_none(cls, fields: dict[str, Any]) -> tuple[str, ...]:
        """The columns of a rotation that names none, by its form."""
        return FORMS[fields.get("form", "angles")]

    @property
    def column_counts(self) -> range:  # type: ignore[override]
        """As many columns as its form has numbers."""
        return range(len(FORMS[self.form]), len(FORMS[self.form]) + 1)

    @property
    def column_rule(self) -> str:  # type: ignore[override]
        """The same in words."""
        if self.form == "angles":
            return "three columns of angles"
        return f"{len(FORMS[self.form])} columns, as {self.form} has"

    def column_hint(self) -> str | None:
        """The forms that have as many columns; of a quaternion the one that the columns' names tell, if they do."""
        return " or ".join(self.option(f"rotation={form}") for form in likely_forms(self.columns)) or OPTIONS

    @property
    def n_out(self) -> int:
        """The nine numbers of the matrix, row by row, which is made a rotation by its singular values."""
        return 9

    @property
    def wraps(self) -> float | None:  # type: ignore[override]
        """The period of its angles; None for numbers that are none."""
        if self.form != "angles":
            return None
        return 2 * np.pi if self.radians else 360.0

    @property
    def label_unit(self) -> str:
        """None for the numbers of quaternions and matrices."""
        return self.unit if self.form == "angles" else ""

    @property
    def charted(self) -> "Rotation":
        """By yaw, pitch and roll where it is a quaternion or a matrix, whose numbers say nothing one by one."""
        return self if self.form == "angles" else replace(self, form="angles", columns=FORMS["angles"])

    def charted_values(self, values: np.ndarray) -> np.ndarray:
        """Labels or predictions [n, columns] as those of `charted`, [n, 3]."""
        return values if self.form == "angles" else self.charted.labels(self.matrix(values))

    def with_unit(self, unit: str) -> "Rotation":
        """The rotation with another unit of its errors; radians are not the unit of degrees."""
        kinds = self._kind(radians=False), self._kind(radians=True)
        return replace(self, unit=angular_unit(self, unit, self.radians, kinds))

    # ---- labels and matrices

    def matrix(self, values: Array) -> np.ndarray:
        """Labels [n, columns] -> matrices [n, 3, 3]; NaN where one is missing."""
        from scipy.spatial.transform import Rotation as ScipyRotation

        values, sequence = np.asarray(values, np.float64), self.sequence or "XYZ"
        if self.form == "matrix":
            return nearest_rotation(values.reshape(-1, 3, 3))
        if self.form in QUATERNIONS:
            values = values[:, [1, 2, 3, 0]] if self.form == "wxyz" else values
            values = np.where(row_lengths(values) > 0, values, np.nan)
            return convert_complete(values, lambda rows: ScipyRotation.from_quat(rows).as_matrix(), (3, 3))
        if not self.sequence:  # yaw, pitch, roll -> -pitch, yaw, roll
            values = values[:, [1, 0, 2]] * (-1, 1, 1)
        degrees = not self.radians
        return convert_complete(
            values, lambda rows: ScipyRotation.from_euler(sequence, rows, degrees=degrees).as_matrix(), (3, 3))

    def labels(self, matrices: np.ndarray) -> np.ndarray:
        """Matrices [n, 3, 3] -> labels [n, columns], quaternions with w >= 0; NaN where a matrix is."""
        from scipy.spatial.transform import Rotation as ScipyRotation

        if self.form == "matrix":
            return matrices.reshape(-1, 9)
        if self.form in QUATERNIONS:
            values = convert_complete(
                matrices, lambda rows: ScipyRotation.from_matrix(rows).as_quat(canonical=True), (4,))
            return values[:, [3, 0, 1, 2]] if self.form == "wxyz" else values
        sequence, degrees = self.sequence or "XYZ", not self.radians
        with catch_warnings():
            simplefilter("ignore", UserWarning)  # gimbal lock: any of its angles will do
            angles = convert_complete(
                matrices, lambda rows: ScipyRotation.from_matrix(rows).as_euler(sequence, degrees=degrees), (3,))
        return angles if self.sequence else angles[:, [1, 0, 2]] * (1, -1, 1)

    def is_blank(self, values: np.ndarray) -> np.ndarray:
        """Quaternions of length 0, which programs write where there is no rotation."""
        return (values == 0).all(axis=1) if self.form in QUATERNIONS else super().is_blank(values)

    def encode_labels(self, labels: Tensor) -> Tensor:
        """Labels [n, columns] -> the nine numbers of their matrices, [n, 9]."""
        import torch

        matrices = torch.from_numpy(self.matrix(labels.detach().cpu().numpy()))
        return matrices.flatten(1).to(labels.device, labels.dtype)

    def decode(self, encoded: np.ndarray, views: np.ndarray | None = None) -> np.ndarray:
        """Nine numbers [n, 9] -> labels [n, columns] of the nearest rotation (Levinson et al., NeurIPS 2020)."""
        return self.labels(nearest_rotation(np.asarray(encoded, np.float64).reshape(-1, 3, 3)))

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

    def residual(self, predicted: Array, true: Array) -> Array:
        """Signed differences [n, columns]; of quaternions those to the sign that is nearer."""
        if self.form in QUATERNIONS:
            predicted = np.where((predicted * true).sum(axis=1, keepdims=True) < 0, -predicted, predicted)
        return super().residual(predicted, true)

    def error(self, predicted: Array, true: Array) -> Array:
        """The geodesic distance, the angle of the one turn from label to prediction: [n, columns] twice -> [n]."""
        return np.linalg.norm(self._turns(predicted, true), axis=1)

    def bias(self, predicted: Array, true: Array) -> float:
        """The angle of the mean turn from label to prediction, in the camera's frame."""
        return float(np.linalg.norm(np.nanmean(self._turns(predicted, true), axis=0)))

    def _turns(self, predicted: Array, true: Array) -> np.ndarray:
        """Rotation vectors [n, 3] in units from labels to predictions; NaN where either lacks a number."""
        from scipy.spatial.transform import Rotation as ScipyRotation

        turns = self.matrix(predicted) @ self.matrix(true).swapaxes(1, 2)
        degrees = not self.radians
        return convert_complete(turns, lambda rows: ScipyRotation.from_matrix(rows).as_rotvec(degrees=degrees), (3,))

    def average(self, values: Array) -> Array:
        """[k, n, columns] -> [n, columns]: a rotation that is nearest to all by the sum of squared chords."""
        matrices = self.matrix(values.reshape(-1, values.shape[2])).reshape(*values.shape[:2], 3, 3)
        return self.labels(nearest_rotation(mean(matrices)))

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
        """The labels [n, columns] after the motion of their images."""
        from scipy.spatial.transform import Rotation as ScipyRotation

        matrices = self.matrix(values)
        matrices = np.where(motion.mirrored[:, None, None] > 0, MIRROR @ matrices @ MIRROR, matrices)
        # As z points away and y down, clockwise as seen is the positive sense about z.
        about_z = ScipyRotation.from_euler("z", -motion.turn[:, None], degrees=True).as_matrix()
        return self.labels(about_z @ matrices)

    # ---- checks, words and marks

    def impossible(self, values: np.ndarray) -> Iterator[LabelIssue]:
        """Nine numbers that are no rotation."""
        return iter(()) if self.form != "matrix" else matrix_issues(values, self.name, self.columns[0])

    def outliers(self, values: np.ndarray) -> Iterator[LabelIssue]:
        """Angles beyond a whole turn, angles in radians, and quaternions whose length is far from 1."""
        if self.form in QUATERNIONS:
            lengths = row_lengths(values)[:, 0]
            far = np.abs(lengths - 1) > MAX_LENGTH_ERROR  # false for NaN
            if far.any():
                yield LabelIssue(far, "length", "note", f"{self.name} by quaternions whose length is not 1, such as "
                                 f"{lengths[far][0]:.3g}", "they are divided by it", self.columns[0])
        if self.wraps is None:
            return
        finite, sizes = values[np.isfinite(values)], np.abs(np.nan_to_num(values))
        beyond = sizes > 1.001 * self.wraps
        if beyond.any():
            column = self.columns[int(beyond.any(axis=0).argmax())]
            in_degrees = f", or {self.option(self._kind(radians=False))} if they are degrees" if self.radians else ""
            yield LabelIssue(beyond.any(axis=1), "turns", "note",
                             f"{self.name} by more than a whole turn, as in {column}",
                             f"mend these angles{in_degrees}", column)
        if not self.radians and sizes.max() <= 1.001 * np.pi and finite.std() > 0.1:
            yield radians_issue(self.name, finite, self.option(self._kind(radians=True)))

    def _kind(self, radians: bool) -> str:
        """The KIND of the same angles in radians, or in degrees."""
        words = [word for word in (self.sequence, radians and "radians") if word]
        return f"rotation={','.join(words)}" if words else "rotation"

    @property
    def comparison_key(self) -> tuple:
        """Its sequence and its form must agree, too."""
        return *super().comparison_key, self.sequence, self.form

    def describe(self) -> str:
        """With its form and sequence."""
        words = [f"sequence {self.sequence}" if self.sequence else "", self.form if self.form != "angles" else ""]
        return super().describe() + (f" ({first_few(filter(None, words))})" if any(words) else "")

    def label_text(self, values: np.ndarray) -> str:
        """Each angle with its column: "yaw 12°, pitch −3°, roll 5°"."""
        angles = self.charted_values(values[None])[0]
        return ", ".join(f"{column} {format_amount(float(v), self.unit, 2 if self.radians else 0)}"
                         for column, v in zip(self.charted.columns, angles, strict=True))

    def error_text(self, error: float) -> str:
        """With one decimal of degrees."""
        return "off by " + format_amount(error, self.unit, 3 if self.radians else 1)

    def draw(self, ax: Axes, values: np.ndarray, colour: str, shape: Size, dashed: bool = False,
             origin: np.ndarray | None = None, thin: bool = False) -> None:
        """The axes x and y, and boldest, with a dot at its end, the front (-z), as seen from far away.

        The dot is hollow where the front is turned away. `thin`: the front alone. The letters x and y are left out of a
        dashed prediction, whose axes are known by those of the label beside it.
        """
        draw_axes(ax, self.matrix(values[None])[0], colour, shape, dashed, origin, thin)
