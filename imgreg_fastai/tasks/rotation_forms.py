"""How rotations are written in a table, and arrays of rotations of which some are missing."""
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from ..utils.messages import ImgregError
from .outliers import LabelIssue

# How labels are written -> the columns where none are named.
FORMS = {
    "angles": ("yaw", "pitch", "roll"),
    "wxyz": ("qw", "qx", "qy", "qz"),
    "xyzw": ("qx", "qy", "qz", "qw"),
    "matrix": tuple(f"r{i}{j}" for i in "123" for j in "123"),
}
QUATERNIONS = ("wxyz", "xyzw")
OPTIONS = ("rotation=FORM with FORM wxyz or xyzw for a quaternion, matrix for nine numbers row by row, radians for "
           "yaw, pitch and roll in radians, or a sequence of axes such as YXZ, or YXZ,radians")
MAX_SKEW = 0.2  # of a matrix times its transpose from the identity: numbers of one decimal are within it


def read_form(option: str) -> dict[str, Any]:
    """The fields of a Rotation that FORM of --target NAME:rotation=FORM sets; raises ImgregError for what is none."""
    words = [word.strip() for word in option.split(",") if word.strip()]
    if len(words) == 1 and words[0].lower() in FORMS and words[0].lower() != "angles":
        return {"form": words[0].lower()}
    sequences = [word for word in words if word.lower() != "radians"]
    if len(sequences) > 1 or len(words) - len(sequences) > 1:
        raise ImgregError(OPTIONS, f"'rotation={option}'")
    radians = {"radians": True, "unit": "rad"} if len(words) > len(sequences) else {}
    return {**({"sequence": sequences[0]} if sequences else {}), **radians}


def quaternion_order(columns: Sequence[str]) -> str:
    """The order of w, x, y and z by the last letters of columns' names: "wxyz" of qw, qx, qy, qz; "" if unknown."""
    letters = "".join(str(column).strip()[-1:].lower() for column in columns)
    return letters if sorted(letters) == sorted("wxyz") else ""


def likely_forms(columns: Sequence[str]) -> list[str]:
    """The forms beside angles that have as many columns; of a quaternion the one that their names tell, if they do."""
    return [form for form, names in FORMS.items() if form != "angles" and len(names) == len(columns)
            and quaternion_order(columns) in ("", form)]


def check_quaternion(columns: Sequence[str], form: str, option: Callable[[str], str]) -> None:
    """Raise ImgregError if the names of a quaternion's columns tell another order than its form.

    Args:
        columns: The columns.
        form: The form of the rotation.
        option: Writes the target with a kind, as it is typed.
    """
    order = quaternion_order(columns)
    if form in QUATERNIONS and order and order != form:
        hint = option(f"rotation={order}") if order in QUATERNIONS else f"the columns in the order {form}"
        raise ImgregError(f"columns of a quaternion in the order {form}", ", ".join(columns), hint)


def matrix_issues(values: np.ndarray, name: str, column: str) -> Iterator[LabelIssue]:
    """What is no rotation in the rows of nine numbers [n, 9] of the target `name`, which begin in `column`."""
    matrices = values.reshape(-1, 3, 3)
    skew = np.abs(matrices @ matrices.swapaxes(1, 2) - np.eye(3)).max(axis=(1, 2))
    mirrored = (skew <= MAX_SKEW) & (np.linalg.det(np.nan_to_num(matrices)) < 0)
    for mask, text in ((skew > MAX_SKEW, "rows are not at right angles, or not of length 1"),
                       (mirrored, "determinant is -1, that of a mirror")):
        if mask.any():
            yield LabelIssue(mask, "matrix", "stop", f"{name} has matrices that are no rotation: their {text}",
                             "name the nine columns row by row, mend these rows, or leave them empty", column)


def nearest_rotation(matrices: np.ndarray) -> np.ndarray:
    """[n, 3, 3] -> the rotations nearest in the sum of squares (Kabsch, Acta Cryst. 1976); NaN stays NaN."""
    def nearest(complete: np.ndarray) -> np.ndarray:
        u, _, vt = np.linalg.svd(complete)
        u[:, :, 2] *= np.linalg.det(u @ vt)[:, None]
        return u @ vt

    return convert_complete(matrices, nearest, (3, 3))


def row_lengths(values: np.ndarray) -> np.ndarray:
    """The lengths of rows, [n, 1]."""
    return np.linalg.norm(values, axis=1, keepdims=True)


def convert_complete(values: np.ndarray, convert: Callable, shape: tuple[int, ...]) -> np.ndarray:
    """[n, ...] -> [n, *shape] by `convert`, of rows without NaN; NaN for the others."""
    complete = np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
    converted = np.full((len(values), *shape), np.nan)
    if complete.any():
        converted[complete] = convert(values[complete])
    return converted
