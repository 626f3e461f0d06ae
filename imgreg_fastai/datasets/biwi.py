"""The Biwi Kinect Head Pose data set (Fanelli et al., IJCV 2013): its frames, its people, and their labels table.

Labels are in the frame of the colour camera, with each folder's own calibration: cameras.py.
"""
import re
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..data.splits import FEWEST
from ..tasks import Rotation
from ..utils.console import progress_bar, warn
from ..utils.errors import ImgregError, error_reason, first_few
from ..utils.files import atomic_file
from .cameras import Camera, read_calibration, read_pose

# Sequence -> person. Four people appear twice: a split by sequence would put them into two parts.
PEOPLE = {
    "01": "F01", "02": "F02", "03": "F03", "04": "F04", "05": "F05", "06": "F06", "07": "M01", "08": "M02",
    "09": "M03", "10": "M04", "11": "M05", "12": "M06", "13": "M07", "14": "M08", "15": "F03", "16": "M09",
    "17": "M10", "18": "F05", "19": "M11", "20": "M12", "21": "F02", "22": "M01", "23": "M13", "24": "M14",
}
# The people outside the training part: they appear once; women and men, and each of Biwi's two calibrations, are there.
PARTS = {"F04": "valid", "M07": "valid", "M11": "valid", "F06": "test", "M05": "test", "M14": "test"}
TABLES = {"exact": "labels.csv", "fastbook": "labels_fastbook.csv"}
ROTATION = Rotation("pose", ("yaw", "pitch", "roll"))
FILE = re.compile(r"(frame_\d+)_(rgb\.jpg|rgb\.png|pose\.txt)")


def write_table(folder: str | Path, labels: str = "exact") -> Path:
    """Write the labels table of a copy of Biwi, fast.ai's (jpg) or the original (png), into its folder.

    Columns: image; centre_x, centre_y in pixels; yaw, pitch, roll in degrees, as tasks.Rotation defines them; group,
    the person; split, if the copy has people for training and for validation. Frames that cannot be used are named and
    left out.

    Args:
        folder (str or Path): the copy, the folder that holds 01 to 24 or hpdb.
        labels (str): "exact"; or "fastbook" for the centres of the fastai book, which takes K of folder 01 for all and
            the depth camera's frame for the colour camera's, and for its validation part, folder 13.

    Returns:
        Path: the table.

    Raises:
        ImgregError: if the folder is no such copy or cannot be written.
    """
    folder = Path(folder)
    if labels not in TABLES:
        raise ImgregError(f"labels: {' or '.join(TABLES)}", f"'{labels}'")
    sequences = _find_sequences(folder)
    book_camera = None
    if labels == "fastbook":
        book_camera = read_calibration(next(iter(sequences)).parent / "01" / "rgb.cal")
    tables, left_out = [], []
    for sequence in progress_bar(sequences, len(sequences), f"reading the poses of {len(sequences)} sequences"):
        frames, faults = _read_frames(sequence, sequences[sequence])
        left_out += faults
        if frames:
            tables.append(_label_frames(sequence, frames, book_camera))
    if not tables:
        raise ImgregError(f"frames in '{folder}' that can be used",
                          f"none among {len(left_out)}: {first_few(left_out, 3)}")
    table = pd.concat(tables)
    if left_out:
        warn(f"left out {len(left_out)} of {len(table) + len(left_out)} frames of {folder}: {first_few(left_out)}")
    table["image"] = [path.relative_to(folder).as_posix() for path in table["image"]]
    _add_split(table, labels)
    try:
        with atomic_file(folder / TABLES[labels]) as file:
            table.to_csv(file, index=False)
    except ImgregError as e:
        hint = f"a folder of links: cp -rs '{folder.resolve()}' data/headpose"
        raise ImgregError(e.expected, e.actual, hint) from e
    return folder / TABLES[labels]


class _Frame(NamedTuple):
    """An image, and the head's rotation [3, 3] and centre [3] in the depth camera's frame."""

    image: Path
    rotation: np.ndarray
    centre: np.ndarray


def _find_sequences(folder: Path) -> dict[Path, dict[str, dict[str, Path]]]:
    """The sequences in `folder` or its hpdb: {sequence: {frame: {"rgb.jpg", "rgb.png" or "pose.txt": file}}}."""
    places = [folder, folder / "hpdb"]
    try:
        for place in places:
            children = sorted(place.iterdir()) if place.is_dir() else []
            numbered = [child for child in children if re.fullmatch(r"\d\d+", child.name) and child.is_dir()]
            sequences = {sequence: frames for sequence in numbered if (frames := _find_files(sequence))}
            if sequences:
                return sequences
        content = first_few(sorted(p.name for p in folder.iterdir())) if folder.is_dir() else "no such folder"
    except OSError as e:
        raise ImgregError("a folder that can be read", f"'{e.filename}': {error_reason(e)}") from e
    raise ImgregError(f"Biwi's frames, 01/frame_00003_rgb.jpg or .png, under '{folder}' or '{places[1]}'",
                      content or "an empty folder", "the folder that holds 01 to 24")


def _find_files(sequence: Path) -> dict[str, dict[str, Path]]:
    frames: dict[str, dict[str, Path]] = {}
    for path in sorted(sequence.iterdir()):
        name = FILE.fullmatch(path.name)
        if name and path.is_file():
            frames.setdefault(name[1], {})[name[2]] = path
    return frames


def _read_frames(sequence: Path, files: dict[str, dict[str, Path]]) -> tuple[list[_Frame], list[str]]:
    """The frames of a sequence that can be used, and why the others cannot."""
    frames, faults = [], []
    for name, paths in files.items():
        images = [paths[ending] for ending in ("rgb.jpg", "rgb.png") if ending in paths]
        filled = [image for image in images if image.stat().st_size]
        try:
            if not filled:
                raise ImgregError("a picture", "an empty picture" if images else "no picture")
            if "pose.txt" not in paths:
                raise ImgregError("a pose", "no pose")
            frames.append(_Frame(filled[0], *read_pose(paths["pose.txt"])))
        except ImgregError as e:
            faults.append(f"{sequence.name}/{name} ({e.actual})")
    return frames, faults


def _label_frames(sequence: Path, frames: list[_Frame], book_camera: Camera | None) -> pd.DataFrame:
    """The rows of a sequence, without the split; `image` as a Path."""
    camera = read_calibration(sequence / "rgb.cal")
    poses = [camera.from_depth_frame(frame.rotation, frame.centre) for frame in frames]
    if book_camera:
        points = book_camera.project([frame.centre for frame in frames])
    else:
        points = camera.project([centre for _, centre in poses])
    angles = ROTATION.angles(np.array([rotation for rotation, _ in poses]))
    table = pd.DataFrame({"image": [frame.image for frame in frames]})
    table[["centre_x", "centre_y"]] = np.char.mod("%.3f", points)
    table[["yaw", "pitch", "roll"]] = np.char.mod("%.4f", angles)
    return table.assign(group=PEOPLE.get(sequence.name, sequence.name))


def _add_split(table: pd.DataFrame, labels: str) -> None:
    """Add the column `split` if there are a training and a validation part; else the training divides the rows."""
    if labels == "fastbook":
        parts = table["group"].map(lambda person: "valid" if person == PEOPLE["13"] else "train")
    else:
        parts = table["group"].map(_part)
    if table["group"][parts == "calibrate"].nunique() < FEWEST[True]:
        parts = parts.replace("calibrate", "train")
    if {"train", "valid"} <= set(parts):
        table["split"] = parts


def _part(person: str) -> str:
    """The part of a person. Drawn people beyond Biwi's have numbers: two in twenty validate, one calibrates, one tests."""
    if person.isdigit():
        return {1: "valid", 11: "valid", 6: "calibrate", 16: "test"}.get(int(person) % 20, "train")
    return PARTS.get(person, "train")
