import logging
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from scipy.spatial.transform import Rotation

from imgreg_fastai.datasets import biwi
from imgreg_fastai.datasets.cameras import Camera, read_calibration, read_pose, write_calibration, write_pose
from imgreg_fastai.utils.messages import ImgregError

K = np.array([[517.679, 0, 320], [0, 517.679, 240.5], [0, 0, 1]])
TWELVE = Camera(  # what Biwi's 12/rgb.cal says
    K,
    np.array([[0.999947, 0.00432361, 0.00929419],
              [-0.00446314, 0.999877, 0.0150443],
              [-0.009228, -0.015085, 0.999844]]),
    np.array([-24.0198, 5.8896, -13.2308]),
    (640, 480),
)
TURN, CENTRE = Rotation.from_euler("XYZ", (30, 20, 10), degrees=True).as_matrix(), np.array([45.0, -30, 950])


def tiny(folder, sequences=("01", "04", "06", "13"), form="jpg", frames=(3, 4, 7)):
    """A small copy in Biwi's own form, fast.ai's or the original; each frame's head is turned a little further."""
    for s in sequences:
        home = folder / s
        home.mkdir(parents=True)
        write_calibration(home / "rgb.cal", TWELVE)
        (folder / f"{s}.obj").write_text("v 0 0 0\n")
        for frame in frames:
            name = f"frame_{frame:05}"
            turn = Rotation.from_euler("XYZ", (frame, int(s), -frame), degrees=True).as_matrix()
            write_pose(home / f"{name}_pose.txt", turn, CENTRE + frame)
            Image.new("RGB", (640, 480), (frame, 0, 0)).save(home / f"{name}_rgb.{form}")
            if form == "png":
                (home / f"{name}_depth.bin").write_bytes(bytes(8))
    return folder


@pytest.fixture
def copy(tmp_path):
    return tiny(tmp_path / "copy")


def test_a_calibration_there_and_back(tmp_path):
    write_calibration(tmp_path / "rgb.cal", TWELVE)
    back = read_calibration(tmp_path / "rgb.cal")
    for part in ("matrix", "rotation", "translation", "size"):
        np.testing.assert_allclose(getattr(back, part), getattr(TWELVE, part))
    lines = (tmp_path / "rgb.cal").read_text().splitlines()  # the lines that the book and others read by number
    assert [len(lines[i].split()) for i in (0, 1, 2, 4, 6, 7, 8, 10, 12)] == [3, 3, 3, 4, 3, 3, 3, 3, 2]


@pytest.mark.parametrize(("old", "new", "found"), [
    ("517.679", "x", "something that is no number"),
    ("517.679", "nan", "not finite"),
    ("517.679", "0.5", "focal lengths"),
    ("517.679 0 320", "-517.679 0 320", "focal lengths"),
    ("320", "700", "middle lies outside"),
    ("640 480", "640.5 480", "whole number of pixels"),
    ("0 0 0 0", "0.1 0 0 0", "a lens that distorts"),
    ("0.999947", "0.9", "a rotation that is none"),
    ("0.999947 0.00432361", "0.999947", "rows of 3, 3, 3, 4, 2"),
    ("640 480", "", "rows of"),
])
def test_a_bad_calibration_is_told(tmp_path, old, new, found):
    write_calibration(tmp_path / "rgb.cal", TWELVE)
    text = (tmp_path / "rgb.cal").read_text()
    assert old in text
    (tmp_path / "rgb.cal").write_text(text.replace(old, new))
    with pytest.raises(ImgregError, match=found) as raised:
        read_calibration(tmp_path / "rgb.cal")
    assert "\n" not in str(raised.value)


def test_a_mirror_is_no_rotation(tmp_path):
    write_calibration(tmp_path / "rgb.cal", Camera(K, np.diag([-1.0, 1, 1]), np.zeros(3), (640, 480)))
    with pytest.raises(ImgregError, match="a rotation that is none"):
        read_calibration(tmp_path / "rgb.cal")


def test_a_pose_there_and_back(tmp_path):
    write_pose(tmp_path / "pose.txt", TURN, CENTRE)
    turn, centre = read_pose(tmp_path / "pose.txt")
    np.testing.assert_allclose(turn, TURN, atol=1e-8)
    np.testing.assert_allclose(centre, CENTRE)
    assert (tmp_path / "pose.txt").read_text().splitlines()[3] == ""


BAD = {
    "not four rows of three numbers": "1 0 0\n0 1 0\n0 0 1\n\n0 0\n",
    "not four rows": "1 0 0 0 1 0 0 0 1 0 0 900\n",
    "something that is no number": "1 0 0\n0 one 0\n0 0 1\n\n0 0 900\n",
    "not finite": "1 0 0\n0 1 0\n0 0 1\n\n0 0 inf\n",
    "not finite$": "1 0 0\n0 nan 0\n0 0 1\n\n0 0 900\n",
    "no rotation": "2 0 0\n0 1 0\n0 0 1\n\n0 0 900\n",
    "no rotation$": "-1 0 0\n0 1 0\n0 0 1\n\n0 0 900\n",
    "a head behind the camera": "1 0 0\n0 1 0\n0 0 1\n\n0 0 -900\n",
}


@pytest.mark.parametrize("found", BAD)
def test_a_bad_pose_is_told(tmp_path, found):
    (tmp_path / "pose.txt").write_text(BAD[found])
    with pytest.raises(ImgregError, match=found) as raised:
        read_pose(tmp_path / "pose.txt")
    assert "\n" not in str(raised.value)


def test_a_pose_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ImgregError, match="No such file"):
        read_pose(tmp_path / "pose.txt")


def ray(depth):
    """The centre of 12/frame_00003 at a depth in mm: the book's formula gives (344.8, 223.0) for it, turned round."""
    return np.array([(344.8 - 320) / 517.679, (223.0 - 240.5) / 517.679, 1]) * depth


def test_the_book_is_wrong_by_as_much_as_was_published():
    depths = np.arange(700.0, 1200)
    exact = np.array([TWELVE.project(TWELVE.from_depth_frame(np.eye(3), ray(z))[1])[0] for z in depths])
    best = np.abs(exact - (336.0, 233.9)).max(axis=1).argmin()
    assert 880 < depths[best] < 1000
    np.testing.assert_allclose(exact[best], (336.0, 233.9), atol=0.2)


def test_exact_and_fastbook_labels_of_that_frame(tmp_path):
    copy = tiny(tmp_path, sequences=("01", "12"), frames=(3,))
    write_pose(copy / "12" / "frame_00003_pose.txt", TURN, ray(903))
    for labels, place in {"exact": (336.0, 233.95), "fastbook": (344.8, 223.0)}.items():
        rows = pd.read_csv(biwi.write_table(copy, labels)).set_index("image")
        found = rows.loc["12/frame_00003_rgb.jpg"]
        assert (found.centre_x, found.centre_y) == pytest.approx(place, abs=0.05)
        turn = Rotation.from_euler("XYZ", (-found.pitch, found.yaw, found.roll), degrees=True).as_matrix()
        np.testing.assert_allclose(turn, TWELVE.rotation @ TURN, atol=1e-4)
    assert sorted(p.name for p in copy.glob("*.csv")) == ["labels.csv", "labels_fastbook.csv"]


def test_the_fields_angles(tmp_path):
    """01/frame_00501, told by the annotations' angles and by the field's."""
    copy = tiny(tmp_path, sequences=("01",), frames=(501,))
    write_calibration(copy / "01" / "rgb.cal", Camera(K, np.eye(3), np.zeros(3), (640, 480)))
    turn = Rotation.from_euler("xyz", (41.5, -62.1, -12.8), degrees=True).as_matrix()
    write_pose(copy / "01" / "frame_00501_pose.txt", turn, CENTRE)
    row = pd.read_csv(biwi.write_table(copy)).iloc[0]
    assert (row.yaw, row.pitch, row.roll) == pytest.approx((-52.4, -54.9, 41.6), abs=0.1)


@pytest.mark.parametrize("form", ["jpg", "png"])
@pytest.mark.parametrize("inside", ["", "hpdb"])
def test_either_form_is_read(tmp_path, form, inside):
    tiny(tmp_path / inside, form=form)
    table = biwi.write_table(tmp_path)
    assert table == tmp_path / "labels.csv"
    rows = pd.read_csv(table)
    assert list(rows.columns) == ["image", "centre_x", "centre_y", "yaw", "pitch", "roll", "group", "split"]
    assert len(rows) == 12
    assert rows.image[0] == f"{inside}/01/frame_00003_rgb.{form}".lstrip("/")
    assert all((tmp_path / name).is_file() for name in rows.image)
    assert list(rows.group[::3]) == ["F01", "F04", "F06", "M07"]
    assert list(rows.split[::3]) == ["train", "valid", "test", "valid"]


def test_each_folder_has_its_own_calibration(copy):
    shifted = Camera(K, TWELVE.rotation, TWELVE.translation + np.array([100, 0, 0]), (640, 480))
    write_calibration(copy / "06" / "rgb.cal", shifted)
    rows = pd.read_csv(biwi.write_table(copy))
    assert rows.centre_x[6] - rows.centre_x[0] == pytest.approx(517.679 * 100 / 940, abs=1)
    book = pd.read_csv(biwi.write_table(copy, "fastbook"))
    assert book.centre_x[6] == book.centre_x[0]


def test_the_books_split(copy):
    rows = pd.read_csv(biwi.write_table(copy, "fastbook"))
    assert set(rows.image[rows.split == "valid"].str[:2]) == {"13"}
    assert set(rows.split) == {"train", "valid"}


def test_nobody_is_on_both_sides():
    people = list(biwi.PEOPLE.values())
    assert len(people) == 24 and len(set(people)) == 20
    assert all(people.count(p) == 1 for p in biwi.PARTS)
    for part in ("valid", "test"):
        names = [p for p, where in biwi.PARTS.items() if where == part]
        first = [s in {"06", *map(str, range(15, 25))} for s, p in biwi.PEOPLE.items() if p in names]
        assert len(names) == 3 and {n[0] for n in names} == {"F", "M"} and set(first) == {True, False}


def test_too_few_people_for_a_split(tmp_path):
    rows = pd.read_csv(biwi.write_table(tiny(tmp_path, sequences=("01", "02"))))
    assert "split" not in rows and set(rows.group) == {"F01", "F02"}


@pytest.mark.parametrize(("n", "part"), [(29, "train"), (30, "calibrate")])
def test_drawn_people_calibrate_where_there_are_many_and_else_are_trained_on(tmp_path, n, part):
    drawn = [str(26 + 20 * i) for i in range(n)]
    rows = pd.read_csv(biwi.write_table(tiny(tmp_path, ("01", "04", *drawn), frames=(3,))), dtype={"group": str})
    assert set(rows.split[rows.group.isin(drawn)]) == {part} and rows.group.isin(drawn).sum() == n


def test_an_unknown_sequence_is_a_person_of_its_own(tmp_path):
    tiny(tmp_path, sequences=("01", "04", "25", "107"))
    (tmp_path / "26").mkdir()  # nothing in it
    (tmp_path / "notes").mkdir()
    rows = pd.read_csv(biwi.write_table(tmp_path), dtype={"group": str})
    assert list(rows.group.unique()) == ["F01", "F04", "107", "25"]


def test_a_copy_of_links_is_read(copy, tmp_path):
    for path in copy.rglob("*"):
        there = tmp_path / "links" / path.relative_to(copy)
        if path.is_dir():
            there.mkdir(parents=True, exist_ok=True)
        else:
            there.parent.mkdir(parents=True, exist_ok=True)
            there.symlink_to(path)
    assert len(pd.read_csv(biwi.write_table(tmp_path / "links"))) == 12
    assert not (copy / "labels.csv").exists()


def test_broken_frames_are_named_once_and_left_out(copy, caplog):
    (copy / "01" / "frame_00003_pose.txt").unlink()
    (copy / "01" / "frame_00004_rgb.jpg").unlink()
    (copy / "04" / "frame_00003_rgb.jpg").write_bytes(b"")
    (copy / "04" / "frame_00004_pose.txt").write_text(BAD["not four rows"])
    (copy / "06" / "frame_00007_pose.txt").write_text(BAD["no rotation"])
    with caplog.at_level(logging.WARNING):
        rows = pd.read_csv(biwi.write_table(copy))
    assert len(rows) == 7
    (message,) = caplog.messages
    assert message.startswith("left out 5 of 12 frames of ")
    for why in ("01/frame_00003 (no pose)", "01/frame_00004 (no image)", "04/frame_00003 (an empty image)",
                "04/frame_00004 (not four rows of three numbers)", "06/frame_00007 (no rotation)"):
        assert why in message


def test_nothing_left_is_an_error(copy):
    for pose in copy.rglob("*_pose.txt"):
        pose.write_text(BAD["no rotation"])
    with pytest.raises(ImgregError, match=r"none among 12: 01/frame_00003 \(no rotation\)"):
        biwi.write_table(copy)
    assert not (copy / "labels.csv").exists()


def test_a_folder_without_calibration_is_named(copy):
    (copy / "06" / "rgb.cal").unlink()
    with pytest.raises(ImgregError, match=r"an rgb\.cal in each folder of frames; found none in '.*06'; try a whole"):
        biwi.write_table(copy)


def test_the_book_needs_folder_01(tmp_path):
    with pytest.raises(ImgregError, match=r"rgb\.cal.*none in '.*01'"):
        biwi.write_table(tiny(tmp_path, sequences=("04", "13")), "fastbook")


@pytest.mark.parametrize("what", ["nothing", "empty", "other", "file"])
def test_what_is_not_biwi_is_told(tmp_path, what):
    folder = tmp_path / "data"
    if what == "file":
        folder.write_text("")
    elif what != "nothing":
        folder.mkdir()
    if what == "other":
        (folder / "photo.jpg").write_bytes(b"x")
        (folder / "01").mkdir()
    found = {"empty": "an empty folder", "other": r"01, photo\.jpg", "file": "Not a directory",
             "nothing": "No such file or directory"}[what]
    with pytest.raises(ImgregError, match=rf"01/frame_00003_rgb\.jpg or \.png, under .*hpdb'; found {found}; try") as e:
        biwi.write_table(folder)
    assert "\n" not in str(e.value)


def test_unknown_labels_are_told(copy):
    with pytest.raises(ImgregError, match="exact or fastbook"):
        biwi.write_table(copy, "precise")


def test_a_folder_that_cannot_be_written_to(copy, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "replace", refuse)
    with pytest.raises(ImgregError, match=r"Permission denied; try a folder of links: cp -rs '.*copy' data/headpose"):
        biwi.write_table(copy)
    assert not list(copy.glob("*labels*"))


def test_an_older_table_is_replaced_whole(copy):
    (copy / "labels.csv").write_text("old")
    biwi.write_table(copy)
    assert (copy / "labels.csv").read_text().startswith("image,centre_x")


def test_pictures_are_not_opened(copy, monkeypatch):
    monkeypatch.setattr(Image, "open", None)
    for picture in Path(copy).rglob("*.jpg"):
        picture.write_bytes(b"not an image, but no business of this room")
    assert len(pd.read_csv(biwi.write_table(copy))) == 12
