"""The Biwi Kinect Head Pose data set (Fanelli et al., IJCV 2013): its frames, who is where, and their labels table.

Labels are told as the colour camera sees the head, with each folder's own calibration: cameras.py.
"""
import os
import re
from pathlib import Path

import numpy as np

from ..data.splits import FEWEST
from ..tasks import Rotation
from ..utils.console import progress_bar, warn
from ..utils.errors import ImgregError, first_few
from ..utils.files import atomic_file
from .cameras import Camera, find_faults, parse_pose, read_calibration, read_pose, reason

__all__ = ["PARTS", "PEOPLE", "ROTATION", "TABLES", "Camera", "read_calibration", "read_pose", "write_table"]

# Sequence -> person. Four people appear twice: a split by sequence puts them on both sides.
PEOPLE = {
    "01": "F01", "02": "F02", "03": "F03", "04": "F04", "05": "F05", "06": "F06", "07": "M01", "08": "M02",
    "09": "M03", "10": "M04", "11": "M05", "12": "M06", "13": "M07", "14": "M08", "15": "F03", "16": "M09",
    "17": "M10", "18": "F05", "19": "M11", "20": "M12", "21": "F02", "22": "M01", "23": "M13", "24": "M14",
}
# Whom nothing is trained on: people who appear once, women and men, and of either of Biwi's two calibrations.
PARTS = {"F04": "valid", "M07": "valid", "M11": "valid", "F06": "test", "M05": "test", "M14": "test"}
TABLES = {"exact": "labels.csv", "fastbook": "labels_fastbook.csv"}
ROTATION = Rotation("pose", ("yaw", "pitch", "roll"))
FILE = re.compile(r"(frame_\d+)_(rgb\.jpg|rgb\.png|pose\.txt)")


def write_table(folder: str | Path, labels: str = "exact") -> Path:
    """Write the labels table of a copy of Biwi, fast.ai's (jpg) or the original (png), into its `folder`.

    Columns: image; centre_x, centre_y in pixels; yaw, pitch, roll in degrees of the head's rotation in the colour
    camera's frame, as targets.Rotation has them; group, the person; split, where the copy has enough people. `labels`:
    "exact", or "fastbook" with the centres of the fastai book, which takes K of folder 01 for all and the depth
    camera's frame for the colour camera's, and with folder 13 as its validation part. Frames that cannot be used are
    named and left out. Raises ImgregError if this is no such copy or cannot be written to.
    """
    folder = Path(folder)
    if labels not in TABLES:
        raise ImgregError(f"labels: {' or '.join(TABLES)}", f"'{labels}'")
    found = _find(folder)
    book = read_calibration(next(iter(found)).parent / "01" / "rgb.cal") if labels == "fastbook" else None
    rows, turns, left_out = [], [], []
    for home in progress_bar(found, len(found), f"reading the poses of {len(found)} sequences"):
        for into, more in zip((rows, turns, left_out), _labels(home, found[home], book), strict=True):
            into.extend(more)
    if not rows:
        raise ImgregError(f"frames in '{folder}' that can be used", f"none among {len(left_out)}: {first_few(left_out, 3)}")
    if left_out:
        warn(f"left out {len(left_out)} of {len(rows) + len(left_out)} frames of {folder}: {first_few(left_out)}")
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
    there = "no such folder" if inside is None else first_few(inside) or "an empty folder"
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
    faults = find_faults(seen)
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
            poses.append(parse_pose(home / f"{frame}_pose.txt"))
            pictures.append(f"{frame}_{ending}")
        except FileNotFoundError:
            left_out.append(f"{home.name}/{frame} (no pose)")
        except (OSError, ValueError) as e:
            left_out.append(f"{home.name}/{frame} ({reason(e)})")
    return pictures, np.array(poses), left_out


def _part(person: str) -> str:
    """Of people beyond Biwi's twenty, who are drawn, each tenth validates, each twentieth calibrates, another tests."""
    beyond = {1: "valid", 11: "valid", 6: "calibrate", 16: "test"}.get(int(person) % 20) if person.isdigit() else None
    return beyond or PARTS.get(person, "train")


def _write(folder: Path, labels: str, rows: list[tuple], turns: np.ndarray) -> None:
    people = [PEOPLE.get(home.name, home.name) for home, *_ in rows]
    parts = ["valid" if home.name == "13" else "train" for home, *_ in rows] if labels == "fastbook" else [
        _part(person) for person in people]
    if len({person for person, part in zip(people, parts, strict=True) if part == "calibrate"}) < FEWEST[True]:
        parts = ["train" if part == "calibrate" else part for part in parts]
    divided = {"train", "valid"} <= set(parts)  # else whoever trains divides them
    lines = ["image,centre_x,centre_y,yaw,pitch,roll,group" + ",split" * divided]
    angles = ROTATION.angles(turns)
    for (home, name, x, y), (yaw, pitch, roll), person, part in zip(rows, angles, people, parts, strict=True):
        image = f"{home.relative_to(folder).as_posix()}/{name}"
        lines.append(f"{image},{x:.3f},{y:.3f},{yaw:.4f},{pitch:.4f},{roll:.4f},{person}" + f",{part}" * divided)
    table = folder / TABLES[labels]
    try:
        with atomic_file(table) as beside:
            beside.write_text("\n".join(lines) + "\n", encoding="utf-8")
    except ImgregError as e:
        links = f"a folder of links: cp -rs '{folder.resolve()}' data/headpose"
        raise ImgregError(e.expected, e.actual, links) from e
