"""A colour camera beside a depth camera, and Biwi's files of both: calibrations and poses.

A pose is given in the depth camera's frame, in mm: x right, y down, z forward. A head whose rotation is the identity
looks into the camera: its nose points along -z, the top of its head along -y. The lens has no distortion, as Biwi's
files say.
"""
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..utils.messages import ImgregError, error_reason, first_few

Pose = tuple[np.ndarray, np.ndarray]  # a head's rotation, [3, 3], and its centre, [3] in mm
TOLERANCE = 1e-2  # how far R times its transpose may be off the identity; Biwi's own are off by 1e-6


@dataclass(frozen=True)
class Camera:
    """The colour camera.

    Args:
        matrix (np.ndarray): K, [3, 3].
        rotation (np.ndarray): from the depth camera's frame to its own, [3, 3].
        translation (np.ndarray): from the depth camera's frame to its own, [3] in mm.
        size (tuple): width and height in pixels.
    """

    matrix: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    size: tuple[int, int]

    def from_depth_frame(self, rotation: np.ndarray, centre: np.ndarray) -> Pose:
        """Convert a pose from the depth camera's frame to this camera's."""
        return self.rotation @ rotation, self.rotation @ centre + self.translation

    def to_depth_frame(self, rotation: np.ndarray, centre: np.ndarray) -> Pose:
        """Convert a pose from this camera's frame to the depth camera's."""
        return self.rotation.T @ rotation, self.rotation.T @ (centre - self.translation)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Project points in this camera's frame, [n, 3] in mm, to the image, [n, 2] in pixels, x right and y down."""
        projected = np.atleast_2d(points) @ self.matrix.T
        return projected[:, :2] / projected[:, 2:]


def write_calibration(path: Path, camera: Camera) -> None:
    """Write rgb.cal in Biwi's form: K, distortion (none), rotation, translation, size, with blank lines between."""
    _write_numbers(path, camera.matrix, np.zeros(4), camera.rotation, camera.translation, np.array(camera.size))


def write_pose(path: Path, rotation: np.ndarray, centre: np.ndarray) -> None:
    """Write pose.txt in Biwi's form: the rotation and the centre in the depth camera's frame, a blank line between."""
    _write_numbers(path, rotation, centre)


def _write_numbers(path: Path, *arrays: np.ndarray) -> None:
    texts = ["".join(" ".join(f"{v:.9g}" for v in row) + " \n" for row in np.atleast_2d(array)) for array in arrays]
    path.write_text("\n".join(texts), encoding="ascii")


def _read_numbers(path: Path) -> list[list[float]]:
    """The numbers of each line that is not blank; raises OSError or ValueError."""
    try:
        return [[float(v) for v in line.split()] for line in path.read_bytes().splitlines() if line.strip()]
    except ValueError:  # its own text names a piece of bytes only
        raise ValueError("something that is no number") from None


def read_calibration(path: str | Path) -> Camera:
    """Read rgb.cal.

    Args:
        path (str or Path): the file.

    Returns:
        Camera: the colour camera.

    Raises:
        ImgregError: if the file is missing, has another form, or describes an impossible camera or a lens distortion.
    """
    path = Path(path)
    if not path.is_file():
        raise ImgregError("an rgb.cal in each folder of frames", f"none in '{path.parent}'", "a whole copy of the data")
    try:
        rows = _read_numbers(path)
        if [len(row) for row in rows[:3] + rows[4:]] != [3] * 7 + [2]:
            raise ValueError(f"rows of {first_few(map(len, rows), 12)} numbers")
        if not all(np.isfinite(row).all() for row in rows):
            raise ValueError("a number that is not finite")
        matrix, rotation, size = np.array(rows[:3]), np.array(rows[4:7]), np.array(rows[8])
        focal, middle = np.diag(matrix)[:2], matrix[:2, 2]
        if any(rows[3]):
            raise ValueError("a lens that distorts, which is not undone here: labels would be off")
        if (size < 1).any() or (size % 1).any():
            raise ValueError("a size that is no whole number of pixels")
        if matrix[1, 0] or (matrix[2] != (0, 0, 1)).any() or not ((focal > 0.1 * size) & (focal < 20 * size)).all():
            raise ValueError("a K whose focal lengths do not suit the size")
        if not ((middle > 0) & (middle < size)).all():
            raise ValueError("a K whose middle lies outside the image")
        if not _is_rotation(rotation):
            raise ValueError("a rotation that is none")
    except (OSError, ValueError) as e:
        raise ImgregError("K, distortion, rotation, translation and size, as in Biwi's rgb.cal",
                          f"'{path}': {error_reason(e)}") from e
    return Camera(matrix, rotation, np.array(rows[7]), (int(size[0]), int(size[1])))


def read_pose(path: str | Path) -> Pose:
    """Read pose.txt.

    Args:
        path (str or Path): the file.

    Returns:
        The pose in the depth camera's frame.

    Raises:
        ImgregError: if the file cannot be read or has another form, if the rotation is none, or if the head is behind
            the camera. Its `actual` does not name the file.
    """
    try:
        rows = _read_numbers(Path(path))
        if [len(row) for row in rows] != [3] * 4:
            raise ValueError("not four rows of three numbers")
        if not np.isfinite(rows).all():
            raise ValueError("a number that is not finite")
        rotation, centre = np.array(rows[:3]), np.array(rows[3])
        if not _is_rotation(rotation):
            raise ValueError("no rotation")
        if centre[2] <= 0:
            raise ValueError("a head behind the camera")
    except (OSError, ValueError) as e:
        expected = f"three rows of a rotation, then the head's centre in mm, in '{path}'"
        raise ImgregError(expected, error_reason(e)) from e
    return rotation, centre


def _is_rotation(matrix: np.ndarray) -> bool:
    return np.abs(matrix @ matrix.T - np.eye(3)).max() <= TOLERANCE and np.linalg.det(matrix) > 0
