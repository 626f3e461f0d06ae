"""The Biwi Kinect Head Pose data set (Fanelli et al., IJCV 2013): its frames, its people, and their labels table.

Labels are in the frame of the colour camera, with each folder's own calibration: cameras.py.
"""
from pathlib import Path

import numpy as np
import pandas as pd

from ..config import MANY_GROUPS
from ..tasks import Rotation
from ..utils.files import atomic_file
from ..utils.messages import ImgregError, error_reason, first_few, progress_bar, warn
from .cameras import Camera, Pose, read_calibration, read_pose

# Sequence -> person. Four people appear twice: a split by sequence would put them into two parts.
PEOPLE = {
    "01": "F01", "02": "F02", "03": "F03", "04": "F04", "05": "F05", "06": "F06", "07": "M01", "08": "M02",
    "09": "M03", "10": "M04", "11": "M05", "12": "M06", "13": "M07", "14": "M08", "15": "F03", "16": "M09",
    "17": "M10", "18": "F05", "19": "M11", "20": "M12", "21": "F02", "22": "M01", "23": "M13", "24": "M14",
}
# The people outside the training part: they appear once; women and men, and each of Biwi's two calibrations, are there.
PARTS = {"F04": "valid", "M07": "valid", "M11": "valid", "F06": "test", "M05": "test", "M14": "test"}
DRAWN_PARTS = {1: "valid", 11: "valid", 6: "calibrate", 16: "test"}  # by the number of a drawn person modulo 20
TABLES = {"exact": "labels.csv", "fastbook": "labels_fastbook.csv"}
ROTATION = Rotation("pose", ("yaw", "pitch", "roll"))


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
    book_camera = read_calibration(sequences[0].parent / "01" / "rgb.cal") if labels == "fastbook" else None
    tables, left_out = [], []
    for sequence in progress_bar(sequences, len(sequences), f"reading the poses of {len(sequences)} sequences"):
        frames, faults = _read_frames(sequence)
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
    split = table["group"].map(lambda person: _part(person, labels))
    if table["group"][split == "calibrate"].nunique() < MANY_GROUPS:  # better trained on
        split = split.replace("calibrate", "train")
    if {"train", "valid"} <= set(split):  # else the training divides the rows
        table["split"] = split
    hint = f"a folder of links: cp -rs '{folder.resolve()}' data/headpose"
    with atomic_file(folder / TABLES[labels], hint) as file:
        table.to_csv(file, index=False)
    return folder / TABLES[labels]


def _find_sequences(folder: Path) -> list[Path]:
    """The folders of sequences in `folder` or its hpdb."""
    hpdb = folder / "hpdb"
    for place in (folder, hpdb):
        sequences = [p for p in sorted(place.glob("[0-9][0-9]*")) if p.name.isdigit() and any(p.glob("frame_*_*"))]
        if sequences:
            return sequences
    try:
        content = first_few(sorted(p.name for p in folder.iterdir())) or "an empty folder"
    except OSError as e:
        content = error_reason(e)
    expected = f"Biwi's frames, 01/frame_00003_rgb.jpg or .png, under '{folder}' or '{hpdb}'"
    raise ImgregError(expected, content, "the folder that holds 01 to 24")


def _read_frames(sequence: Path) -> tuple[dict[Path, Pose], list[str]]:
    """The poses of the images of a sequence that can be used, as of read_pose; and why the others cannot."""
    poses, pngs, jpgs = ({path.name[: -len(ending)]: path for path in sequence.glob(f"frame_*{ending}")}
                         for ending in ("_pose.txt", "_rgb.png", "_rgb.jpg"))
    images = {**pngs, **jpgs}
    frames, faults = {}, []
    for name in sorted({**images, **poses}):
        image, pose = images.get(name), poses.get(name)
        try:
            if image is None:
                raise ImgregError("an image", "no image")
            if not image.stat().st_size:
                raise ImgregError("an image", "an empty image")
            if pose is None:
                raise ImgregError("a pose", "no pose")
            frames[image] = read_pose(pose)
        except ImgregError as e:
            faults.append(f"{sequence.name}/{name} ({e.actual})")
    return frames, faults


def _label_frames(sequence: Path, frames: dict[Path, Pose], book_camera: Camera | None) -> pd.DataFrame:
    """The rows of a sequence, without the split; `image` as a Path."""
    camera = read_calibration(sequence / "rgb.cal")
    poses = [camera.from_depth_frame(*pose) for pose in frames.values()]
    if book_camera:
        points = book_camera.project(np.array([centre for _, centre in frames.values()]))
    else:
        points = camera.project(np.array([centre for _, centre in poses]))
    angles = ROTATION.labels(np.array([rotation for rotation, _ in poses]))
    table = pd.DataFrame({"image": list(frames)})
    table[["centre_x", "centre_y"]] = np.char.mod("%.3f", points)
    table[["yaw", "pitch", "roll"]] = np.char.mod("%.4f", angles)
    return table.assign(group=PEOPLE.get(sequence.name, sequence.name))


def _part(person: str, labels: str) -> str:
    """The part of a person; names of drawn people are numbers."""
    if labels == "fastbook":
        return "valid" if person == PEOPLE["13"] else "train"
    if person.isdigit():
        return DRAWN_PARTS.get(int(person) % 20, "train")
    return PARTS.get(person, "train")
