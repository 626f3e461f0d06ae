"""The files of the Biwi Kinect Head Pose data set (Fanelli et al., IJCV 2013): calibrations, poses, who is where.

A pose is given in the depth camera's frame, in mm: x right, y down, z forward. A head whose rotation is the identity
looks into the camera: its nose points along -z, the top of its head along -y. Labels are told as the colour camera sees
the head, with each folder's own calibration. The lens is taken to be free of distortion, as Biwi's files say it is.
"""
import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import ImgregError, some
from ..files import whole
from ..messages import track, warn

# Sequence -> person. Four people appear twice: a split by sequence puts them on both sides.
PEOPLE = {
    "01": "F01", "02": "F02", "03": "F03", "04": "F04", "05": "F05", "06": "F06", "07": "M01", "08": "M02",
    "09": "M03", "10": "M04", "11": "M05", "12": "M06", "13": "M07", "14": "M08", "15": "F03", "16": "M09",
    "17": "M10", "18": "F05", "19": "M11", "20": "M12", "21": "F02", "22": "M01", "23": "M13", "24": "M14",
}
# Whom nothing is trained on: people who appear once, women and men, and of either of Biwi's two calibrations.
PARTS = {"F04": "valid", "M07": "valid", "M11": "valid", "F06": "test", "M05": "test", "M14": "test"}
TABLES = {"exact": "labels.csv", "fastbook": "labels_fastbook.csv"}
FILE = re.compile(r"(frame_\d+)_(rgb\.jpg|rgb\.png|pose\.txt)")
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
        raise ImgregError(wanted, f"'{path}': {_why(e)}") from e
    if [len(row) for row in rows[:3] + rows[4:]] != [3] * 7 + [2]:
        raise ImgregError(wanted, f"'{path}' with rows of {some(map(len, rows), 12)} numbers")
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
        pose = _pose(Path(path))
        fault = _faults(pose[None])[0]
    except (OSError, ValueError) as e:
        fault = _why(e)
    if fault:
        raise ImgregError("three rows of a rotation, then the head's centre in mm", f"'{path}': {fault}")
    return pose[:3], pose[3]


def _numbers(path: Path) -> list[list[float]]:
    """The numbers of each line that is not blank; raises OSError or ValueError."""
    try:
        return [[float(v) for v in line.split()] for line in path.read_bytes().splitlines() if line.strip()]
    except ValueError:  # its own text names but a piece of bytes
        raise ValueError("something that is no number") from None


def _pose(path: Path) -> np.ndarray:
    """[4, 3]: the rotation and, below it, the centre; raises OSError or ValueError."""
    rows = _numbers(path)
    if [len(row) for row in rows] != [3] * 4:
        raise ValueError("not four rows of three numbers")
    pose = np.array(rows)
    if not np.isfinite(pose).all():
        raise ValueError("a number that is not finite")
    return pose


def _why(e: OSError | ValueError) -> str:
    return getattr(e, "strerror", None) or str(e)


def _turns(matrices: np.ndarray) -> np.ndarray:
    """Which of the matrices [n, 3, 3] are rotations: [n] bool."""
    off = np.abs(matrices @ matrices.transpose(0, 2, 1) - np.eye(3)).max(axis=(1, 2))
    return (off <= SLACK) & (np.linalg.det(matrices) > 0)


def _faults(poses: np.ndarray) -> np.ndarray:
    """What is wrong with each of the poses [n, 4, 3], or nothing."""
    return np.select([~_turns(poses[:, :3]), poses[:, 3, 2] <= 0], ["no rotation", "a head behind the camera"], "")


def write_table(folder: str | Path, labels: str = "exact") -> Path:
    """Write the labels table of a copy of Biwi, fast.ai's (jpg) or the original (png), into its `folder`.

    Columns: image; centre_x, centre_y in pixels; yaw, pitch, roll in degrees, with the head's rotation in the colour
    camera's frame = scipy's from_euler('XYZ', (-pitch, yaw, roll)); group, the person; split, where the copy has enough
    people. `labels`: "exact", or "fastbook" with the centres of the fastai book, which takes K of folder 01 for all and
    the depth camera's frame for the colour camera's, and with folder 13 as its validation part. Frames that cannot be
    used are named and left out. Raises ImgregError if this is no such copy or cannot be written to.
    """
    folder = Path(folder)
    if labels not in TABLES:
        raise ImgregError(f"labels: {' or '.join(TABLES)}", f"'{labels}'")
    found = _find(folder)
    book = read_calibration(next(iter(found)).parent / "01" / "rgb.cal") if labels == "fastbook" else None
    rows, turns, left_out = [], [], []
    for home in track(found, len(found), f"reading the poses of {len(found)} sequences"):
        for into, more in zip((rows, turns, left_out), _labels(home, found[home], book), strict=True):
            into.extend(more)
    if not rows:
        raise ImgregError(f"frames in '{folder}' that can be used", f"none among {len(left_out)}: {some(left_out, 3)}")
    if left_out:
        warn(f"left out {len(left_out)} of {len(rows) + len(left_out)} frames of {folder}: {some(left_out)}")
    _write(folder, labels, rows, np.array(turns))
    return folder / TABLES[labels]


def _find(folder: Path) -> dict[Path, dict[str, dict[str, int]]]:
    """The sequences in `folder` or its hpdb: home -> frame -> what its file names end in -> the picture's bytes."""
    places = [folder, folder / "hpdb"]
    try:
        for root in places:
            homes = sorted(p for p in root.iterdir() if re.fullmatch(r"\d\d+", p.name)) if root.is_dir() else []
            if found := {home: frames for home in homes if home.is_dir() and (frames := _frames(home))}:
                return found
        inside = sorted(p.name for p in folder.iterdir()) if folder.is_dir() else None
    except OSError as e:
        raise ImgregError("a folder that can be read", f"'{e.filename}': {e.strerror}") from e
    there = "no such folder" if inside is None else some(inside) or "an empty folder"
    raise ImgregError(f"Biwi's frames, 01/frame_00003_rgb.jpg or .png, under '{folder}' or '{places[1]}'", there,
                      "the folder that holds 01 to 24")


def _frames(home: Path) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for entry in os.scandir(home):
        if (name := FILE.fullmatch(entry.name)) and entry.is_file():
            found.setdefault(name[1], {})[name[2]] = 0 if name[2] == "pose.txt" else entry.stat().st_size
    return found


def _labels(home: Path, frames: dict, book: Camera | None) -> tuple[list[tuple], list[np.ndarray], list[str]]:
    """A sequence's rows (home, picture, x, y), its rotations in the colour camera's frame, and what is left out."""
    camera = read_calibration(home / "rgb.cal")
    pictures, poses, left_out = _read(home, frames)
    if not pictures:
        return [], [], left_out
    seen = np.array([np.vstack(camera.see(pose[:3], pose[3])) for pose in poses])
    faults = _faults(seen)
    left_out += [f"{home.name}/{name} ({why})" for name, why in zip(pictures, faults, strict=True) if why]
    good = np.flatnonzero(faults == "")
    points = book.project(poses[good, 3]) if book else camera.project(seen[good, 3])
    return [(home, pictures[i], *point) for i, point in zip(good, points, strict=True)], list(seen[good, :3]), left_out


def _read(home: Path, frames: dict) -> tuple[list[str], np.ndarray, list[str]]:
    """The pictures of a sequence, their poses [n, 4, 3], and the frames that lack one or the other."""
    pictures, poses, left_out = [], [], []
    for frame, files in sorted(frames.items()):
        endings = sorted(files.keys() - {"pose.txt"})
        ending = next((e for e in endings if files[e]), "")
        try:
            if not ending:
                raise ValueError("an empty picture" if endings else "no picture")
            poses.append(_pose(home / f"{frame}_pose.txt"))
            pictures.append(f"{frame}_{ending}")
        except FileNotFoundError:
            left_out.append(f"{home.name}/{frame} (no pose)")
        except (OSError, ValueError) as e:
            left_out.append(f"{home.name}/{frame} ({_why(e)})")
    return pictures, np.array(poses), left_out


def _part(person: str) -> str:
    """Of people beyond Biwi's twenty, who are drawn, every sixth validates and every sixth tests."""
    beyond = {1: "valid", 4: "test"}.get(int(person) % 6) if person.isdigit() else None
    return beyond or PARTS.get(person, "train")


def _write(folder: Path, labels: str, rows: list[tuple], turns: np.ndarray) -> None:
    from scipy.spatial.transform import Rotation

    angles = Rotation.from_matrix(turns).as_euler("XYZ", degrees=True)
    people = [PEOPLE.get(home.name, home.name) for home, *_ in rows]
    parts = ["valid" if home.name == "13" else "train" for home, *_ in rows] if labels == "fastbook" else [
        _part(person) for person in people]
    divided = {"train", "valid"} <= set(parts)  # else whoever trains divides them
    lines = ["image,centre_x,centre_y,yaw,pitch,roll,group" + ",split" * divided]
    for (home, name, x, y), (down, yaw, roll), person, part in zip(rows, angles, people, parts, strict=True):
        image = f"{home.relative_to(folder).as_posix()}/{name}"
        lines.append(f"{image},{x:.3f},{y:.3f},{yaw:.4f},{-down:.4f},{roll:.4f},{person}" + f",{part}" * divided)
    table = folder / TABLES[labels]
    try:
        with whole(table) as beside:
            beside.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except ImgregError as e:
        links = f"a folder of links: cp -rs '{folder.resolve()}' data/headpose"
        raise ImgregError(e.expected, e.found, links) from e
