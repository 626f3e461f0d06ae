"""A colour camera beside a depth camera, and Biwi's files of both: calibrations and poses.

A pose is given in the depth camera's frame, in mm: x right, y down, z forward. A head whose rotation is the identity
looks into the camera: its nose points along -z, the top of its head along -y. The lens is taken to be free of
distortion, as Biwi's files say it is.
"""
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..utils.errors import ImgregError, first_few

SLACK = 1e-2  # how far R times its transpose may be off the identity; Biwi's own are off by 1e-6


@dataclass(frozen=True)
class Camera:
    """The colour camera: `matrix` K [3, 3]; `rotation` [3, 3] and `translation` [3] in mm from the depth camera's frame
    to its own; `size` (width, height) in pixels.
    """

    matrix: np.ndarray
    rotation: np.ndarray
    translation: np.ndarray
    size: tuple[int, int]

    def see(self, rotation: np.ndarray, centre: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """A pose in the depth camera's frame, ([3, 3], [3]), as this camera sees it: X_rgb = R X_depth + T."""
        return self.rotation @ rotation, self.rotation @ centre + self.translation

    def project(self, points: np.ndarray) -> np.ndarray:
        """Points in this camera's frame, [n, 3] in mm -> [n, 2] in pixels, x right and y down."""
        seen = np.atleast_2d(points) @ self.matrix.T
        return seen[:, :2] / seen[:, 2:]


def write_calibration(path: Path, camera: Camera) -> None:
    """Write rgb.cal as Biwi has it: K, distortion (none), rotation, translation, resolution, blank lines between."""
    def rows(matrix):
        return "".join(" ".join(f"{v:.9g}" for v in row) + " \n" for row in np.atleast_2d(matrix))

    parts = [camera.matrix, np.zeros(4), camera.rotation, camera.translation, np.array(camera.size)]
    path.write_text("\n".join(rows(part) for part in parts), encoding="ascii")


def write_pose(path: Path, rotation: np.ndarray, centre: np.ndarray) -> None:
    """Write pose.txt: three rows of the rotation, a blank line, the head's centre in mm; the depth camera's frame."""
    lines = [" ".join(f"{v:.9g}" for v in row) + " \n" for row in rotation]
    path.write_text("".join(lines) + "\n" + " ".join(f"{v:.9g}" for v in centre) + " \n", encoding="ascii")


def read_calibration(path: str | Path) -> Camera:
    """Read rgb.cal. Raises ImgregError if it is missing, misshapen or implausible, or tells of a distorting lens."""
    path = Path(path)
    if not path.is_file():
        raise ImgregError("an rgb.cal in each folder of frames", f"none in '{path.parent}'", "a whole copy of the data")
    wanted = "K, distortion, rotation, translation and size, as in Biwi's rgb.cal"
    try:
        rows = _numbers(path)
    except (OSError, ValueError) as e:
        raise ImgregError(wanted, f"'{path}': {reason(e)}") from e
    if [len(row) for row in rows[:3] + rows[4:]] != [3] * 7 + [2]:
        raise ImgregError(wanted, f"'{path}' with rows of {first_few(map(len, rows), 12)} numbers")
    k, turn, shift, size = (np.array(rows[at]) for at in (slice(0, 3), slice(4, 7), 7, 8))
    if fault := _misfit(k, rows[3], turn, shift, size):
        raise ImgregError(wanted, f"'{path}': {fault}")
    return Camera(k, turn, shift, (int(size[0]), int(size[1])))


def _misfit(k, distortion, turn, shift, size) -> str:
    """What is wrong with the numbers of a calibration, or nothing."""
    if not all(np.isfinite(part).all() for part in (k, distortion, turn, shift, size)):
        return "a number that is not finite"
    if any(distortion):
        return "a lens that distorts, which is not undone here: labels would be off"
    focal, middle = np.diag(k)[:2], k[:2, 2]
    if (size < 1).any() or (size % 1).any():
        return "a size that is no whole number of pixels"
    if k[1, 0] or (k[2] != (0, 0, 1)).any() or not ((focal > 0.1 * size) & (focal < 20 * size)).all():
        return "a K whose focal lengths do not suit the size"
    if not ((middle > 0) & (middle < size)).all():
        return "a K whose middle lies outside the picture"
    return "" if _turns(turn[None])[0] else "a rotation that is none"


def read_pose(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Read pose.txt: the rotation [3, 3] and the head's centre [3] in mm, in the depth camera's frame.

    Raises ImgregError if it cannot be read, is misshapen, is no rotation, or the head lies behind the camera.
    """
    try:
        pose = parse_pose(path)
        fault = find_faults(pose[None])[0]
    except (OSError, ValueError) as e:
        fault = reason(e)
    if fault:
        raise ImgregError("three rows of a rotation, then the head's centre in mm", f"'{path}': {fault}")
    return pose[:3], pose[3]


def _numbers(path: Path) -> list[list[float]]:
    """The numbers of each line that is not blank; raises OSError or ValueError."""
    try:
        return [[float(v) for v in line.split()] for line in path.read_bytes().splitlines() if line.strip()]
    except ValueError:  # its own text names but a piece of bytes
        raise ValueError("something that is no number") from None


def parse_pose(path: str | Path) -> np.ndarray:
    """pose.txt as [4, 3], the rotation and below it the centre, finite; raises OSError or ValueError."""
    rows = _numbers(Path(path))
    if [len(row) for row in rows] != [3] * 4:
        raise ValueError("not four rows of three numbers")
    pose = np.array(rows)
    if not np.isfinite(pose).all():
        raise ValueError("a number that is not finite")
    return pose


def reason(e: OSError | ValueError) -> str:
    """What an error says, in words."""
    return getattr(e, "strerror", None) or str(e)


def _turns(matrices: np.ndarray) -> np.ndarray:
    """Which of the matrices [n, 3, 3] are rotations: [n] bool."""
    off = np.abs(matrices @ matrices.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    return (off <= SLACK) & (np.linalg.det(matrices) > 0)


def find_faults(poses: np.ndarray) -> np.ndarray:
    """What is wrong with each of the poses [n, 4, 3], or nothing."""
    return np.select([~_turns(poses[:, :3]), poses[:, 3, 2] <= 0], ["no rotation", "a head behind the camera"], "")
