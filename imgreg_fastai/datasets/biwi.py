"""The files of the Biwi Kinect Head Pose data set (Fanelli et al., IJCV 2013): calibrations, poses, who is where.

A pose is given in the depth camera's frame, in mm: x right, y down, z forward. A head whose rotation is the identity
looks into the camera: its nose points along -z, the top of its head along -y.
"""
from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Sequence -> person. Four people appear twice: a split by sequence puts them on both sides.
PEOPLE = {
    "01": "F01", "02": "F02", "03": "F03", "04": "F04", "05": "F05", "06": "F06", "07": "M01", "08": "M02",
    "09": "M03", "10": "M04", "11": "M05", "12": "M06", "13": "M07", "14": "M08", "15": "F03", "16": "M09",
    "17": "M10", "18": "F05", "19": "M11", "20": "M12", "21": "F02", "22": "M01", "23": "M13", "24": "M14",
}


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
