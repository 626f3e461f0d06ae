"""Labels tables: what can be used is read as it stands, the rest is named and left out, parts never share a group."""
import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from imgreg_fastai import runs
from imgreg_fastai.api.preparation import make_config
from imgreg_fastai.data import labels
from imgreg_fastai.tasks import ANGLE, Number, Point, Rotation, Task, task_from_dict
from imgreg_fastai.utils.messages import ImgregError

FACE = Task("faces", (Number("age", ("age",)), Point("eye", ("eye_x", "eye_y"))))
AGE = Task("faces", (Number("age", ("age",), "years"),))


@pytest.fixture
def folder(tmp_path):
    """A folder in which 0.png to 9.png lie; that they are images is asked later."""
    for i in range(10):
        (tmp_path / f"{i}.png").write_bytes(b"x")
    return tmp_path


@pytest.fixture
def warned(caplog):
    caplog.set_level(logging.WARNING, "imgreg")
    return lambda: [record.getMessage() for record in caplog.records]


def divided(frame, seed=0, valid=0.2, **of):
    return labels.assign_splits(frame, make_config(AGE, seed=seed, valid=valid, **of))


def write(folder, text, name="table.csv", encoding="utf-8"):
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


# tables

@pytest.mark.parametrize(("name", "text"), [
    ("a.csv", "image,age\n0.png,30\n1.png,41.5\n"), ("a.csv", "\ufeffimage,age\n0.png,30\n1.png,41.5\n"),
    ("a.tsv", "image\tage\n0.png\t30\n1.png\t41.5\n"), ("a.TSV", "\ufeffage\timage\n30\t0.png\n41.5\t1.png\n"),
    ("a.csv", 'more,"image",age\r\nx,"0.png", 30\r\n,1.png,"41.5"\r\n'), ("a.txt", "image,age\n0.png,30\n1.png,41.5"),
])
def test_tables(folder, warned, name, text):
    frame = labels.read_labels(write(folder, text, name), AGE)
    assert list(frame.columns) == ["image", "age", "path"] and not warned()
    assert frame["image"].tolist() == ["0.png", "1.png"]
    assert frame["path"].tolist() == [str(folder / "0.png"), str(folder / "1.png")]
    assert frame["age"].tolist() == [30, 41.5] and frame["age"].dtype == float


def test_parquet(folder):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"image": ["0.png", "1.png"], "age": [30, 40]}, index=[7, 7])
    frame.to_parquet(folder / "a.parquet")
    assert labels.read_labels(folder / "a.parquet", AGE)["age"].tolist() == [30, 40]


def test_split_and_group_are_kept_and_other_columns_are_not(folder):
    text = "image,age,split,note,group\n0.png,1,train,x,p\n1.png,2,valid,y,q\n"
    frame = labels.read_labels(write(folder, text), AGE)
    assert list(frame.columns) == ["image", "age", "split", "group", "path"]
    assert frame["split"].tolist() == ["train", "valid"] and frame["group"].tolist() == ["p", "q"]


def test_pictures_lie_beside_their_table_or_where_a_full_path_says(folder):
    (folder / "deep").mkdir()
    text = f"image,age\n../0.png,1\n{folder}/1.png,2\n"
    frame = labels.read_labels(write(folder, text, "deep/a.csv"), AGE)
    assert frame["image"].tolist() == ["../0.png", f"{folder}/1.png"]
    assert frame["path"].tolist() == [f"{folder}/deep/../0.png", f"{folder}/1.png"]


def test_a_picture_called_by_a_number_keeps_its_zeros(folder):
    (folder / "007").write_bytes(b"x")
    assert labels.read_labels(write(folder, "image,age\n007,1\n"), AGE)["image"].tolist() == ["007"]


def test_a_folder_with_a_table_called_labels_is_that_table(folder):
    write(folder, "image,age\n3.png,1\n", "labels.csv")
    assert labels.read_labels(folder, AGE)["image"].tolist() == ["3.png"]


def test_a_pattern_for_names_goes_before_a_table_beside_them(folder):
    write(folder, "image,age\n3.png,100\n", "labels.csv")
    frame = labels.read_labels(folder, replace(AGE, name_pattern=r"(?P<age>\d)\.png"))
    assert frame["age"].tolist() == list(range(10))


def test_a_missing_column_is_told_with_the_nearest_name(folder):
    table = write(folder, "image,aged,height\n0.png,1,2\n")
    with pytest.raises(ImgregError, match=r"a column 'age' in .*table\.csv; found image, aged, height; try .*'aged'"):
        labels.read_labels(table, AGE)
    with pytest.raises(ImgregError, match=r"a column 'image' in .*; found who, age; try"):
        labels.read_labels(write(folder, "who,age\nann,1\n"), AGE)


def test_what_is_no_number_is_named_by_its_row_and_left_out(folder, warned):
    values = ["30", "old", "", "inf", "-inf", "1e999", "nan", "40"]
    rows = "".join(f"{i}.png,{value}\n" for i, value in enumerate(values))
    table = write(folder, "image,age\n" + rows)
    frame = labels.read_labels(table, AGE)
    assert frame["image"].tolist() == ["0.png", "7.png"] and frame["age"].tolist() == [30, 40]
    assert frame.index.tolist() == [0, 1]
    told = f"left out 6 of 8 rows of {table}, no finite number: row 3, row 4, row 5, row 6, row 7 and 1 more"
    assert warned() == [told]


def test_a_missing_label_among_others_is_kept_as_missing_and_told_by_its_target(folder, warned):
    text = "image,eye_y,age,eye_x\n0.png,1,2,3\n1.png,x,2,3\n2.png,1,,3\n3.png,,inf,\n4.png,,7,\n"
    table = write(folder, text)
    frame = labels.read_labels(table, FACE)
    nan = np.nan
    assert frame["image"].tolist() == ["0.png", "1.png", "2.png", "4.png"] and frame.index.tolist() == [0, 1, 2, 3]
    np.testing.assert_equal(frame[["age", "eye_x", "eye_y"]].to_numpy(),
                            [[2, 3, 1], [2, 3, nan], [nan, 3, 1], [7, nan, nan]])
    assert warned() == [f"1 of 5 rows of {table} lack a value of age: row 4",
                        f"2 of 5 rows of {table} lack a value of eye: row 3, row 6",
                        f"left out 1 of 5 rows of {table}, no finite number: row 5"]


def test_rows_without_a_point_are_told_once(folder, warned):
    table = write(folder, "image,eye_x,eye_y\n0.png,1,2\n1.png,,\n2.png,3,\n")
    frame = labels.read_labels(table, replace(FACE, targets=FACE.targets[1:]))
    assert len(frame) == 2 and warned() == [f"1 of 3 rows of {table} lack a value of eye: row 4",
                                            f"left out 1 of 3 rows of {table}, no finite number: row 3"]


def test_a_target_without_a_value_in_any_row_is_one_line(folder):
    table = write(folder, "image,eye_x,eye_y,age\n0.png,,,2\n1.png,x,inf,3\n")
    with pytest.raises(ImgregError, match=r"a value of eye in a row of '.*table\.csv'; found none"):
        labels.read_labels(table, FACE)
    task = replace(FACE, targets=(FACE.targets[0], Rotation("pose", ("yaw", "pitch", "roll"))))
    table = write(folder, "image,age,yaw,pitch,roll\n0.png,2,1,,5\n1.png,3,1,2,\n")  # no whole rotation
    with pytest.raises(ImgregError, match="a value of pose in a row"):
        labels.read_labels(table, task)


def test_points_of_which_every_row_lacks_one_are_still_labels(folder):
    task = replace(FACE, targets=(FACE.targets[0], Point("eyes", ("lx", "ly", "rx", "ry"))))
    frame = labels.read_labels(write(folder, "image,age,lx,ly,rx,ry\n0.png,1,2,3,,\n1.png,1,,,4,5\n"), task)
    nan = np.nan
    np.testing.assert_equal(frame[task.columns].to_numpy(), [[1, 2, 3, nan, nan], [1, nan, nan, 4, 5]])


# names of images

def test_pictures_may_lie_in_another_folder_and_be_named_in_another_column(folder):
    for i in range(3):
        (folder / "deep").mkdir(exist_ok=True)
        (folder / f"deep/{i:06}.jpg").write_bytes(b"x")
    table = write(folder, "nr;photo;age;image\n1;000000;1,5;x\n2;C:\\me\\000001.jpg;2;y\n3; 000002.JPG;3;z\n")
    frame = labels.read_labels(table, replace(AGE, image="photo"), images=folder / "deep")
    assert list(frame.columns) == ["image", "age", "path"] and frame["age"].tolist() == [1.5, 2, 3]
    assert frame["image"].tolist()[:2] == ["000000", "C:\\me\\000001.jpg"]
    assert frame["path"].tolist() == [str(folder / f"deep/{i:06}.jpg") for i in range(3)]
    told = labels.read_pictures(table, replace(AGE, image="photo"), images=folder / "deep")
    assert told["path"].tolist() == frame["path"].tolist()
    with pytest.raises(ImgregError, match="no such image in any of 3: x, y, z; try --images DIR"):
        labels.read_labels(table, AGE)


def test_a_column_of_pictures_that_is_not_called_image_is_found_and_said(folder, caplog):
    with caplog.at_level(logging.INFO, "imgreg"):
        frame = labels.read_labels(write(folder, "age,file name\n1,0.png\n2,1.png\n"), AGE)
    assert list(frame.columns) == ["image", "age", "path"] and len(frame) == 2 and "'file name'" in caplog.text


def test_what_a_run_keeps_of_its_labels_finds_the_pictures_again(folder):
    (folder / "NA").write_bytes(b"x")
    table = write(folder, "image,age,group\nC:\\me\\0.png,1,NA\nNA,2,007\n2,3,\n")
    frame = labels.read_labels(table, AGE).assign(split="train")
    frame.drop(columns="path").to_csv(folder / "labels.csv", index=False)
    again = runs.Run(folder, {"data": {"root": str(folder)}}).labels
    assert again["path"].tolist() == frame["path"].tolist() == [str(folder / n) for n in ("0.png", "NA", "2.png")]
    assert again["group"].fillna("-").tolist() == ["NA", "007", "-"] and again["image"].tolist()[1:] == ["NA", "2"]


# boxes and groups

BOXED = replace(FACE, box=("cx", "cy", "w", "h"))


def test_a_box_is_read_as_numbers_and_a_row_without_a_whole_one_is_left_out(folder, warned):
    boxes = ["5,6,7,8", "5,6,7,", "5,6,0,8", "5,6,7,-8", "x,6,7,8", "inf,6,7,8", "0,-1,2.5,1"]
    rows = "".join(f"{i}.png,1,2,3,{box}\n" for i, box in enumerate(boxes))
    table = write(folder, "image,age,eye_x,eye_y,cx,cy,w,h\n" + rows)
    frame = labels.read_labels(table, BOXED)
    assert list(frame.columns) == ["image", "age", "eye_x", "eye_y", "cx", "cy", "w", "h", "path"]
    assert frame[list(BOXED.box)].to_numpy().tolist() == [[5, 6, 7, 8], [0, -1, 2.5, 1]]
    told = [f"left out 3 of 7 rows of {table}, no whole box: row 3, row 6, row 7",
            f"left out 2 of 4 rows of {table}, a box without width or height: row 4, row 5"]
    assert warned() == told


def test_a_table_without_the_boxs_columns_is_one_line(folder):
    table = write(folder, "image,age,eye_x,eye_y,cx,cy,w,height\n0.png,1,2,3,4,5,6,7\n")
    with pytest.raises(ImgregError, match=r"a column 'h' in .*; found image.*height"):
        labels.read_labels(table, BOXED)


def test_a_column_may_be_target_and_box_at_once(folder):
    task = replace(FACE, box=("eye_x", "eye_y", "w", "w2"))
    frame = labels.read_labels(write(folder, "image,age,eye_x,eye_y,w,w2\n0.png,1,2,3,4,5\n1.png,1,,3,4,5\n"), task)
    assert list(frame.columns) == ["image", "age", "eye_x", "eye_y", "w", "w2", "path"]
    assert frame[[*task.columns, *task.box]].to_numpy().tolist() == [[1, 2, 3, 2, 3, 4, 5]]  # no box without its label


def test_pictures_to_predict_need_their_boxes_and_no_labels(folder, warned):
    table = write(folder, "image,cx,cy,w,h\n0.png,1,2,3,4\n1.png,1,2,3,\ngone.png,1,2,3,4\n")
    frame = labels.read_pictures(table, BOXED)
    assert frame["path"].tolist() == [str(folder / "0.png"), str(folder / "gone.png")]  # opening it will tell
    assert frame[list(BOXED.box)].to_numpy().tolist() == [[1, 2, 3, 4]] * 2 and "row 3" in warned()[0]
    assert labels.read_pictures(table, FACE)["image"].tolist() == ["0.png", "1.png", "gone.png"]
    with pytest.raises(ImgregError, match="a column 'cx'"):
        labels.read_pictures(write(folder, "image,age\n0.png,1\n"), BOXED)
    with pytest.raises(ImgregError, match=r"expected a table of images; found the folder '.*'$"):
        labels.read_pictures(folder, replace(FACE, name_pattern=r"(?P<age>\d)"))


def test_the_group_may_stand_in_a_column_of_another_name(folder):
    table = write(folder, "image,age,person,group\n0.png,1,ann,x\n1.png,2,bob,x\n")
    named = labels.read_labels(table, replace(AGE, group="person"))
    assert list(named.columns) == ["image", "age", "group", "path"] and named["group"].tolist() == ["ann", "bob"]
    assert labels.read_labels(table, AGE)["group"].tolist() == ["x", "x"]
    with pytest.raises(ImgregError, match=r"a column 'persons' in .*try .*'person'"):
        labels.read_labels(table, replace(AGE, group="persons"))
    alone = write(folder, "image,old,person\n0.png,1,ann\n", "alone.csv")
    with pytest.raises(ImgregError, match=r"a column .age. in .*; found image, old, person(;|$)"):
        labels.read_labels(alone, replace(AGE, group="person"))


def test_a_group_column_that_is_named_must_be_there_even_if_it_is_called_group(folder):
    table = write(folder, "image,age\n0.png,1\n1.png,2\n")
    with pytest.raises(ImgregError, match=r"a column 'group' in .*; found image, age"):
        labels.read_labels(table, replace(AGE, group="group"))
    assert len(labels.read_labels(table, AGE)) == 2
    assert len(labels.read_labels(table, replace(AGE, group="group"), to_divide=False)) == 2
    saved = {**AGE.to_dict(), "group": "group"}  # as older versions wrote it where no column was named
    assert len(labels.read_labels(table, task_from_dict(saved))) == 2
    table = write(folder, "image,age,group,split\n0.png,1,a,train\n1.png,2,a,valid\n")
    for group, level in (("", "note"), ("group", "stop")):
        found = labels.label_issues(labels.read_rows(table, replace(AGE, group=group)))
        assert [i.level for i in found if i.code == "group"] == [level]


def test_the_group_may_be_a_column_that_is_predicted_or_a_box(folder):
    table = write(folder, "image,age,eye_x,eye_y\n0.png,30,2,3\n1.png,40,4,5\n")
    frame = labels.read_labels(table, replace(FACE, group="age"))
    assert frame["age"].tolist() == [30, 40] and frame["group"].tolist() == ["30", "40"]


def test_missing_pictures_are_named_and_left_out(folder, warned):
    (folder / "dir.png").mkdir()
    rows = "".join(f"{name},1\n" for name in ("gone.png", "1.png", "sub/gone.png", "dir.png", "2.png"))
    frame = labels.read_labels(write(folder, "image,age\n" + rows), AGE)
    assert frame["image"].tolist() == ["1.png", "2.png"] and frame.index.tolist() == [0, 1]
    assert len(warned()) == 1 and warned()[0].endswith("no such image: gone.png, sub/gone.png, dir.png")


def test_rows_keep_their_numbers_whatever_was_left_out_before(folder, warned):
    frame = labels.read_labels(write(folder, "image,age\n,1\n1.png,x\n2.png,3\n"), AGE)
    assert frame["image"].tolist() == ["2.png"]
    assert [told.partition(", no ")[2] for told in warned()] == ["image named: row 2", "finite number: row 3"]


@pytest.mark.parametrize(("text", "told"), [
    ("", "CSV, .* or Parquet.*No columns"), ("image,age\n", "a labels table with rows; found none in"),
    ("image,age\n0.png,x\n1.png,y\n", "usable rows in .*found no finite number in any of 2: row 2, row 3"),
    ("image,age\na.png,1\nb.png,2\n", "usable rows in .*found no such image in any of 2: a.png, b.png"),
    ("image,age\n,1\n,2\n", "usable rows in .*found no image named in any of 2: row 2, row 3"),
    ("image,age\n0.png,1\n1.png,2,3,4\n", "CSV, TSV, JSON, Excel, ODS or Parquet.*line 3"),
])
def test_a_table_of_no_use_is_one_line(folder, text, told):
    with pytest.raises(ImgregError, match=told) as e:
        labels.read_labels(write(folder, text), AGE)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize("data", [b"\x89PNG\r\n\x1a\n\x00\x00", b"PK\x03\x04\x14\x00\x06\x00\x08\x00"])
@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.parquet"])
def test_what_is_no_table_is_one_line(folder, data, name):
    (folder / name).write_bytes(data)
    with pytest.raises(ImgregError, match=r"a labels table \(CSV, .* or Parquet\); found '.*a\.") as e:
        labels.read_labels(folder / name, AGE)
    assert "\n" not in str(e.value)


def test_rows_longer_than_the_header_are_told(folder):
    with pytest.raises(ImgregError, match="2 rows with more than its 2 columns: line 2, line 3"):
        labels.read_labels(write(folder, "image,age\nx,0.png,old\ny,1.png,2\n"), AGE)  # pandas makes x and y the index


def test_a_table_that_is_not_there(folder):
    with pytest.raises(ImgregError, match=r"a labels table or a folder of images; found no '.*gone\.csv'"):
        labels.read_labels(folder / "gone.csv", AGE)


# folders whose file names hold the labels

def test_a_folder_whose_names_hold_the_labels(tmp_path, warned):
    names = ["angle_00000.png", "angle_04550.JPG", "x_angle_17999_2.png", "sub/angle_09000.png"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "notes.txt").write_text("angle_00000")
    frame = labels.read_labels(tmp_path, ANGLE)
    assert list(frame.columns) == ["image", "angle", "path"] and not warned()
    assert dict(zip(frame["image"], frame["angle"], strict=True)) == pytest.approx(
        dict(zip(names, (0, 45.5, 179.99, 90), strict=True)))
    assert all(path == str(tmp_path / image) for image, path in zip(frame["image"], frame["path"], strict=True))


def test_names_without_a_label_are_counted_and_left_out(tmp_path, warned):
    for name in ("angle_00100.png", "angle_1.png", "angle_123456.png", "sub/photo.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    assert labels.read_labels(tmp_path, ANGLE)["image"].tolist() == ["angle_00100.png"]
    told = f"left out 3 of 4 rows of {tmp_path}, no label in its name: angle_1.png, angle_123456.png, sub/photo.png"
    assert warned() == [told]


def test_a_folder_without_a_label_in_any_name_is_one_line(folder):
    told = r"^expected file names like 'angle_00000\.png'; found none among the 10 images in '.*', such as '0\.png'$"
    with pytest.raises(ImgregError, match=told):
        labels.read_labels(folder, ANGLE)


def test_a_folder_whose_sub_folders_are_called_by_their_labels(tmp_path, warned):
    for name in ("31/a.png", "31/b.png", "4.5/deep/c.png", "loose.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    frame = labels.read_labels(tmp_path, AGE)
    found = dict(zip(frame["image"], frame["age"], strict=True))
    assert found == {"31/a.png": 31, "31/b.png": 31, "4.5/deep/c.png": 4.5}
    assert warned() == [f"left out 1 of 4 rows of {tmp_path}, no label in its name: loose.png"]


def test_names_may_hold_the_group_and_the_part_and_a_word_is_told_by_its_picture(tmp_path, warned):
    for name in ("train/ann_31.png", "valid/bob_42.png", "train/cyd_x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    task = replace(AGE, name_pattern=r"(?P<split>\w+)/(?P<who>[a-z]+)_(?P<age>\w+)", group="who")
    frame = labels.read_labels(tmp_path, task)
    assert frame.drop(columns="path").to_numpy().tolist() == [
        ["train/ann_31.png", 31, "train", "ann"], ["valid/bob_42.png", 42, "valid", "bob"]]
    assert warned() == [f"left out 1 of 3 rows of {tmp_path}, no finite number: train/cyd_x.png"]
    with pytest.raises(ImgregError, match="a column 'person'"):
        labels.read_labels(tmp_path, replace(task, group="person"))
    with pytest.raises(ImgregError, match="a column 'cx'"):
        labels.read_labels(tmp_path, replace(task, box=("cx", "cy", "w", "h")))


def test_a_folder_of_no_use(folder, tmp_path):
    with pytest.raises(ImgregError, match=r"a labels table; found the folder '.*', and task 'faces' reads no"):
        labels.read_labels(folder, AGE)
    (tmp_path / "empty").mkdir()
    with pytest.raises(ImgregError, match="expected images; found none in"):
        labels.read_labels(tmp_path / "empty", ANGLE)


# divide

def frame_of(n=100, **columns):
    return pd.DataFrame({"image": [f"{i}.png" for i in range(n)], **columns})


def test_divide_holds_a_share_out_at_random_the_same_each_time():
    frame = frame_of()
    first, again, other = (divided(frame, seed)["split"] for seed in (1, 1, 2))
    assert first.value_counts().to_dict() == {"train": 80, "valid": 20}
    assert first.equals(again) and not first.equals(other)
    assert "split" not in frame
    valid = np.flatnonzero(first == "valid")
    assert valid.min() < 30 and valid.max() > 70


@pytest.mark.parametrize("names", [list("abcdefghij"), list(range(10)), ["p", None, "q", float("nan"), "r", *"stuvw"]])
def test_no_group_is_on_both_sides(names):
    frame = frame_of(100, group=[names[i % 10] for i in range(100)])
    for seed in range(5):
        done = divided(frame, seed, 0.3)
        sides = done.dropna(subset="group").groupby("group")["split"].nunique()
        assert (sides == 1).all()
        assert set(done["split"]) == {"train", "valid"}
    if None not in names:
        assert (done["split"] == "valid").sum() == 30


def test_rows_without_a_group_stand_alone():
    frame = frame_of(60, group=[None] * 50 + ["p"] * 10)
    done = divided(frame, 0, 0.5)
    assert set(done["split"][:50]) == {"train", "valid"} and done["split"][50:].nunique() == 1


def test_a_split_column_is_obeyed():
    parts = ["train"] * 5 + ["valid"] * 2 + ["calibrate", "test"]
    frame = frame_of(9, split=parts, group=["p"] * 9)
    assert divided(frame, 3, 0.9)["split"].tolist() == parts


@pytest.mark.parametrize(("parts", "found"), [
    (["train", "train", "val", "Test"], "found Test, val"), (["train", "train", "valid", None], "found (nan|None)"),
    (["train", "oops", "valid", float("nan")], "found nan, oops"), ([0, 0, 1, 1], "found 0, 1"),
])
def test_an_unknown_part_is_told(parts, found):
    with pytest.raises(ImgregError, match=f"a column 'split' with train, valid, calibrate, test; {found}"):
        divided(frame_of(4, split=parts))


@pytest.mark.parametrize(("frame", "found"), [
    (frame_of(2, split=["train", "test"]), "0 and 1"),
    (frame_of(3, split=["train", "valid", "valid"]), "1 and 2"),
    (frame_of(2, split=["valid", "valid"]), "0 and 2"), (frame_of(1), "0 and 1"), (frame_of(2), "1 and 1"),
    (frame_of(9, group=["p"] * 9), "0 and 9"),
])
def test_nothing_left_to_train_on_or_to_validate_with(frame, found):
    wanted = f"2 images to train on and 1 to validate with; found {found}; try (more|rows)"
    with pytest.raises(ImgregError, match=wanted):
        divided(frame)


def test_one_picture_is_held_out_however_small_the_share():
    assert (divided(frame_of(3), 0, 0.01)["split"] == "valid").sum() == 1


def test_a_person_called_na_is_a_person(folder):
    table = write(folder, "image,age,group\n0.png,1,NA\n1.png,2,NA\n0.png,3,None\n1.png,,\n0.png,n/a,\n")
    frame = labels.read_labels(table, AGE)
    assert frame["group"].tolist() == ["NA", "NA", "None"] and frame["age"].tolist() == [1, 2, 3]


def test_a_table_to_judge_by_needs_no_groups(folder):
    table = write(folder, "image,age\n0.png,1\n1.png,2\n")
    grouped = replace(AGE, group="person")
    assert len(labels.read_labels(table, grouped, to_divide=False)) == len(labels.read_pictures(table, grouped)) == 2
    with pytest.raises(ImgregError, match="a column 'person'"):
        labels.read_labels(table, grouped)


def test_a_table_to_score_with_is_refused_where_many_labels_are_no_numbers(folder):
    task = Task("t", (Number("age", ("age",)),))
    write(folder, "image,age\n" + "".join(f"{i % 10}.png,{'x' if i < 3 else i}\n" for i in range(20)))
    assert len(labels.read_labels(folder / "table.csv", task)) == 17
    with pytest.raises(ImgregError, match=r"labels to score with in .*no number in 3 of 20 cells of age: row 2 'x'"):
        labels.read_labels(folder / "table.csv", task, to_divide=False)


def test_an_option_that_predict_lacks_is_not_named_where_the_column_of_images_is_missing(folder, caplog):
    caplog.set_level(logging.INFO, "imgreg")
    task = Task("t", (Number("age", ("age",)),))
    write(folder, "weight,height\n1,2\n3,4\n")
    with pytest.raises(ImgregError, match=r"a column 'image' in .*; try that name for the column of the images$"):
        labels.read_pictures(folder / "table.csv", task)
    write(folder, "foto,height\n0.png,2\n1.png,4\n")
    assert len(labels.read_pictures(folder / "table.csv", task)) == 2
    assert "those of the column 'foto'" in caplog.text and "--image-col" not in caplog.text
    with pytest.raises(ImgregError, match="--image-col"):
        labels.read_rows(write(folder, "weight,age\n1,2\n"), task)
