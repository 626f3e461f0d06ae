"""Images are found by the names that people and programs give them, and one that may be another is not taken."""
import logging
import os

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgreg_fastai.data import tables
from imgreg_fastai.data.tables import find_images, name_forms
from imgreg_fastai.utils.messages import ImgregError


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


def found(folder, *names, table=""):
    """Where the images of these names are, relative to the folder; None where there is none."""
    frame = tables.with_paths(pd.DataFrame({"pic": names}), "pic", folder, table)
    assert frame["present"].tolist() == [os.path.isfile(path) for path in frame["path"]]
    return [os.path.relpath(path, folder) if there else None
            for path, there in zip(frame["path"], frame["present"], strict=True)]


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "imgreg")
    return lambda: [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("written", [
    "'a b.jpg'", '"a b.jpg"', " “a b.jpg” ", "a%20b.jpg", "'a%20b.jpg'", "a b.jpg?w=200", "file:///home/x/a%20b.jpg",
    "file:///C:/Users/x/a%20b.jpg", "file://host/share/a%20b.jpg", "https://example.com/p/a b.jpg",
    "https://example.com/p/a%20b.jpg?w=200#top", "s3://bucket/p/a b.jpg", "/data/local-files/?d=pics/a b.jpg",
    "/data/local-files/?d=pics%5Ca%20b.jpg&x=1", "/data/upload/1/0a1b2c3d-a b.jpg", "upload/3/0a1b2c3d-a b.jpg",
    "http://localhost:8080/data/upload/0a1b2c3d-a%20b.jpg", "D:\\me\\a b.jpg", "./a b.jpg", ".\\A B.JPG",
])
@pytest.mark.parametrize("folder", ["", "sub/deep/"])
def test_a_name_is_read_however_it_is_written(tmp_path, written, folder):
    touch(tmp_path, f"{folder}a b.jpg", f"{folder}other.jpg")
    assert found(tmp_path, written) == [f"{folder}a b.jpg"]


def test_what_a_name_says_goes_before_what_it_may_mean(tmp_path):
    touch(tmp_path, "a%20b.jpg", "a b.jpg", "'q'.jpg", "q.jpg", "0a1b2c3d-x.jpg", "x.jpg")
    names = ["a%20b.jpg", "'q'.jpg", "/data/upload/1/0a1b2c3d-x.jpg"]
    assert found(tmp_path, *names) == ["a%20b.jpg", "'q'.jpg", "0a1b2c3d-x.jpg"]


def test_files_as_wget_names_them(tmp_path):
    touch(tmp_path, "1.jpg?w=200", "example.com/p/2.jpg")
    assert found(tmp_path, "https://example.com/1.jpg?w=200", "https://example.com/p/2.jpg") == [
        "1.jpg?w=200", "example.com/p/2.jpg"]


def test_one_image_is_not_given_to_two_names_however_they_are_written(tmp_path):
    touch(tmp_path, "1.jpg", "0007.png", "sub/9.jpg")
    assert found(tmp_path, "https://a.com/x/1.jpg", "https://a.com/y/1.jpg") == [None, None]
    assert found(tmp_path, "1.jpg", "'1.jpg'") == ["1.jpg", None]
    assert found(tmp_path, "7", "7.0") == [None, None] and found(tmp_path, "0007", "7") == ["0007.png", None]
    assert found(tmp_path, "9.jpg", "s3://b/9.jpg") == [None, None]
    assert found(tmp_path, "'1.jpg'", "'1.jpg'") == ["1.jpg", "1.jpg"]  # several rows of one image


def test_ids_whose_zeros_are_lost_are_found_where_one_image_alone_can_be_meant(tmp_path, said):
    touch(tmp_path, "0007.png", "0008.png", "008.png", "12.png", "0012.png", "a7.png", "0031.txt")
    assert found(tmp_path, "7.0", "8", "12", "0012", "31", table="t.csv") == [
        "0007.png", None, "12.png", "0012.png", None]
    assert found(tmp_path, "7.png", "007") == [None, None] and found(tmp_path, "7.png") == ["0007.png"]
    assert said()[0] == ("1 of 5 images of t.csv are found by their numbers, without the zeros before them: "
                         "'7.0' is '0007.png'")


@pytest.mark.parametrize("dtype", [int, float, str, "Int64"])
def test_a_column_of_numbers_may_name_the_images(tmp_path, dtype):
    touch(tmp_path, *(f"{i:04}.png" for i in range(1, 9)))
    frame = tables.with_paths(pd.DataFrame({"id": range(1, 9)}).astype({"id": dtype}), "id", tmp_path)
    assert frame["present"].all() and frame["path"].iloc[0] == str(tmp_path / "0001.png")


def test_images_of_sub_folders_are_found_where_the_name_is_the_only_one(tmp_path, said):
    touch(tmp_path, "a/1.jpg", "a/2.jpg", "b/2.jpg", "b/c/3.JPG", "b/4.png", "run/run.json", "run/plots/1.jpg",
          ".hidden/1.jpg", "b/0005.png")
    assert found(tmp_path, "1.jpg", "2.jpg", "c/3.jpg", "d/4.png", "4", "5", table="t.csv") == [
        "a/1.jpg", None, "b/c/3.JPG", None, "b/4.png", "b/0005.png"]
    assert found(tmp_path, "/home/x/b/2.jpg", "C:\\a\\2.jpg") == ["b/2.jpg", "a/2.jpg"]  # by their last parts
    assert any("'2.jpg' fits" in line and "t.csv" in line for line in said())
    assert any("4 of 6 images of t.csv are found in sub-folders: '1.jpg' is 'a/1.jpg'" in line for line in said())


def test_links_that_lead_back_are_followed_once_and_too_many_files_are_not_searched(tmp_path, said, monkeypatch):
    touch(tmp_path / "root", "a/1.jpg")
    touch(tmp_path, "elsewhere/2.jpg")
    os.symlink(tmp_path / "root", tmp_path / "root/a/back")
    os.symlink(tmp_path / "elsewhere", tmp_path / "root/link")
    assert found(tmp_path / "root", "1.jpg", "2.jpg") == ["a/1.jpg", "link/2.jpg"]
    monkeypatch.setattr(find_images, "MAX_FILES", 2)
    assert found(tmp_path / "root", "1.jpg", table="t.csv") == [None] and "more than 2 files" in said()[-1]


def test_an_ordinary_table_is_found_without_a_word_and_without_a_search(tmp_path, said, monkeypatch):
    touch(tmp_path, *(f"{i}.jpg" for i in range(100)), "sub/x.jpg", "sub/y.JPG")
    monkeypatch.setattr(os, "walk", lambda *_, **__: pytest.fail("sub-folders are searched"))
    assert None not in found(tmp_path, *(f"{i}.jpg" for i in range(100)), "sub/x.jpg", "sub/Y.jpg", table="t.csv")
    assert not said()


@given(st.lists(st.text(max_size=20), min_size=1, max_size=5))
def test_no_name_is_too_odd(tmp_path_factory, names):
    folder = tmp_path_factory.getbasetemp() / "odd"
    touch(folder, "1.jpg", "sub/2.jpg")
    names = [*names, "\0", "x" * 5000 + ".jpg", "http://[", "file:", "%", "''", "/", "..", "?", "upload/00000000-"]
    assert len(found(folder, *names)) == len(names)


def test_numbers_are_plain_without_their_zeros():
    plain_numbers = {"007": "7", "7.0": "7", "0": "0", "000": "0", "07.PNG": "7.png", "7.5": "", "a7": "", "": ""}
    for name, plain in plain_numbers.items():
        assert name_forms.plain_number(name) == plain


@pytest.mark.parametrize("values", [[1, 2, 3], [1.0, None, 3.0], ["0001", "0002", "0003"]])
@pytest.mark.parametrize("name", ["id", "Image ID", "ID"])
def test_ids_name_the_images_where_files_are_called_so(tmp_path, values, name, said):
    frame = pd.DataFrame({name: values, "age": [4, 5, 6]})
    if name != "Image ID":  # that is the column by its name alone
        with pytest.raises(ImgregError, match=r"a column 'image' in .*, or files .*; try their folder by --images"):
            tables.image_column(frame, "", tmp_path / "t.csv")
    touch(tmp_path, "pics/0001.png", "pics/0002.png", "pics/0003.png")
    assert tables.image_column(frame, "", tmp_path / "t.csv") == name
    assert tables.image_column(frame, "", "t.csv", tmp_path / "pics") == name and "--image-col" in said()[-1]


@pytest.mark.parametrize(("name", "images", "says"), [
    ("https://example.com/1.jpg?w=2", None, "downloading the images first, such as by `wget -P images -i FILE`"),
    ("s3://bucket/p/1.jpg", None, "`aws s3 cp s3://bucket images --recursive`, then --images images"),
    ("other/here.jpg", None, "names without their folder in the table: 'here.jpg' is in"),
    ("1.jpg", None, "--images DIR, the folder that the names are relative to: '{}/1.jpg' was looked for"),
    ("data:image/png;base64,iVBORw0KGgo=", None, "whose cells hold the images themselves"),
    ("A" * 5000, None, "whose cells hold the images themselves"),
    ("1.jpg", "{}/pics", "the right folder in place of --images {}/pics: '{}/pics/1.jpg' was looked for"),
])
def test_the_hint_for_images_that_are_not_there_can_work(tmp_path, name, images, says):
    touch(tmp_path, "here.jpg")
    images = images and images.format(tmp_path)
    assert says.replace("{}", str(tmp_path)) in find_images.absent_hint([name], tmp_path / "t.csv", images)
