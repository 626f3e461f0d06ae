"""Tables as people have them are opened, their images found, and what is no table is told in one line."""
import logging
import os
import tracemalloc
import unicodedata

import numpy as np
import pandas as pd
import pytest

from imgreg_fastai.data import tables
from imgreg_fastai.datasets import own_table
from imgreg_fastai.utils.messages import ImgregError


def write(folder, text, name="t.csv", encoding="utf-8"):
    (folder / name).write_bytes(text if isinstance(text, bytes) else text.encode(encoding))
    return folder / name


def touch(folder, *names):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "imgreg")
    return lambda: [record.getMessage() for record in caplog.records]


# reading

PLAIN = "image,age,who\n0.png,30.5,ann\n1.png,41,bob\n"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_any_encoding_separator_and_line_end(tmp_path, encoding, separator, end):
    text = PLAIN.replace(",", separator).replace("\n", end)
    frame = tables.read_table(write(tmp_path, text, encoding=encoding), ("image",))
    assert frame.to_dict("list") == {"image": ["0.png", "1.png"], "age": [30.5, 41], "who": ["ann", "bob"]}


@pytest.mark.parametrize("name", ["t.csv", "t.tsv", "t.txt", "no_ending"])
@pytest.mark.parametrize("separator", [",", "\t"])
def test_the_beginning_tells_the_separator_and_not_the_name(tmp_path, name, separator):
    assert tables.read_table(write(tmp_path, PLAIN.replace(",", separator), name))["age"].tolist() == [30.5, 41]


def test_a_separator_within_quotes_or_values_is_none(tmp_path):
    text = 'image,notes,age\n0.png,"a; b; c, d",30\n1.png,e|f;g;h;i,31\n'
    assert tables.read_table(write(tmp_path, text))["age"].tolist() == [30, 31]
    assert tables.read_table(write(tmp_path, "image\na;b.png\nc.png\n"))["image"].tolist() == ["a;b.png", "c.png"]


def test_decimal_commas_beside_semicolons(tmp_path):
    text = "image;age;price;who\n0.png;30,5;1,5;1,2\n1.png;41;old;1,3\n2.png;7.25;2,5;x\n"
    frame = tables.read_table(write(tmp_path, text), ("who",))
    assert frame["age"].tolist() == [30.5, 41, 7.25] and frame["price"].tolist() == [1.5, "old", 2.5]
    assert frame["who"].tolist() == ["1,2", "1,3", "x"]


def test_windows_1252_is_said_however_late_it_shows(tmp_path, said):
    frame = tables.read_table(write(tmp_path, "image,age\né.png,1\n", encoding="cp1252"))
    assert frame["image"].tolist() == ["é.png"] and len(said()) == 1 and "Windows-1252" in said()[0]
    frame = tables.read_table(write(tmp_path, "größe,fotö\n,007\n1,NA\n", encoding="cp1252"), ("fotö",))
    assert frame["fotö"].tolist() == ["007", "NA"] and frame["größe"].isna().tolist() == [True, False]
    late = "image,age\n" + "a.png,1\n" * 20000 + "é.png,1\n"
    assert tables.read_table(write(tmp_path, late, encoding="cp1252"))["image"].iloc[-1] == "é.png"
    assert tables.read_table(write(tmp_path, late))["image"].iloc[-1] == "é.png" and len(said()) == 3


def test_headers_are_stripped_and_excels_first_line_is_heeded(tmp_path):
    assert list(tables.read_table(write(tmp_path, " image , age\n0.png,1\n")).columns) == ["image", "age"]
    frame = tables.read_table(write(tmp_path, "sep=;\nimage;age\n0.png;1,5\n"))
    assert frame["age"].tolist() == [1.5] and (frame.index + 2).tolist() == [3]


def test_text_stays_text_and_only_there_nothing_but_emptiness_is_missing(tmp_path):
    text = "image,group,age\n007,NA,NA\n008,,1\n1e5,None,nan\n"
    frame = tables.read_table(write(tmp_path, text), ("image", "group", "not there"))
    assert frame["image"].tolist() == ["007", "008", "1e5"]
    assert frame["group"].fillna("-").tolist() == ["NA", "-", "None"]
    np.testing.assert_equal(frame["age"].to_numpy(), [np.nan, 1, np.nan])


def test_row_numbers_are_those_of_an_editor_whatever_is_blank(tmp_path):
    lines = ["", "image,age", "0.png,1", "", "1.png,2", ",", "2.png,3", "", ""]
    frame = tables.read_table(write(tmp_path, "\n".join(lines)))
    assert [lines[i + 1] for i in frame.index] == ["0.png,1", "1.png,2", "2.png,3"]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_row_numbers_are_those_of_an_editor_though_a_note_has_several_lines(tmp_path, end):
    lines = ["image,note,age", '0.png,"a', "b", 'c",1', "1.png,x,2", "", '2.png,"d', '",3', ""]
    frame = tables.read_table(write(tmp_path, end.join(lines)))
    assert (frame.index + 2).tolist() == [2, 5, 7] and frame["age"].tolist() == [1, 2, 3]
    assert frame["note"].tolist()[0] == f"a{end}b{end}c"


def test_only_so_many_rows(tmp_path):
    assert len(tables.read_table(write(tmp_path, "image,age\n" + "0.png,1\n" * 50), max_rows=7)) == 7


def test_parquet_with_its_index_and_its_gaps(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pd.DataFrame({"image": ["a", "b", "c"], "group": [1.0, None, 7.0], " age": [1, 2, 3], "who": [3, 4, 5]})
    frame.set_index("image").to_parquet(tmp_path / "t.parquet")
    found = tables.read_table(tmp_path / "t.parquet", ("image", "group", "who"))
    assert found["image"].tolist() == ["a", "b", "c"] and found["age"].tolist() == [1, 2, 3]
    assert found["group"].fillna("-").tolist() == ["1", "-", "7"] and found["who"].tolist() == ["3", "4", "5"]
    assert len(tables.read_table(tmp_path / "t.parquet", max_rows=2)) == 2


def test_parquet_without_pyarrow_is_one_line(tmp_path, monkeypatch):
    def missing(path):
        raise ImportError("Unable to find a usable engine;\ntried using: 'pyarrow'")

    monkeypatch.setattr(pd, "read_parquet", missing)
    with pytest.raises(ImgregError, match=r"found '.*t\.parquet': reading Parquet needs pyarrow; try pip") as e:
        tables.read_table(write(tmp_path, b"PAR1", "t.parquet"))
    assert "\n" not in str(e.value)


def test_a_film_is_refused_by_its_beginning(tmp_path):
    film = tmp_path / "film.csv"
    film.write_bytes(b"\0\0\0\x18ftypmp42\x80")
    os.truncate(film, 1 << 28)
    tracemalloc.start()
    with pytest.raises(ImgregError, match="binary data"):
        tables.read_table(film)
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert most < 1 << 24


@pytest.mark.parametrize(("name", "data", "told"), [
    ("t.csv", b"", "No columns"), ("t.csv", b"\n\n \n", "No columns"),
    ("t.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", r"an image \(PNG\); try a table that names it"),
    ("t.csv", b"PK\x03\x04\x14\0\6\0\x08\0\0\0!\0", "another archive, which is damaged; try the table saved"),
    ("t.csv", bytes(range(256)) * 9, "binary data"), ("t.parquet", b"PAR1", "smaller than"),
    ("t.csv", b"image,age\na,1\nb,2,3\nc,1\nd,1,2,3\n",
     "2 rows with more than its 2 columns: line 3, line 5; try quotes"),
    ("t.csv", b"image,age\n" + b"a,1\nb,2,3\n" * 7, "line 3, line 5, line 7, line 9, line 11 and 2 more"),
    ("t.csv", b"image, image\na,b\n", "'image' more than once"), ("t.csv", b"x,y,y,x,,\n", "'x', 'y' more than once"),
])
def test_what_is_no_table_is_one_line(tmp_path, name, data, told):
    with pytest.raises(ImgregError, match=told) as e:
        tables.read_table(write(tmp_path, data, name))
    assert "\n" not in str(e.value) and name in str(e.value)


def test_a_folder_and_nothing_at_all_are_no_tables(tmp_path):
    with pytest.raises(ImgregError, match="found the folder"):
        tables.read_table(tmp_path)
    with pytest.raises(ImgregError, match=r"gone\.csv': No such file"):
        tables.read_table(tmp_path / "gone.csv")


# which column names the images

@pytest.mark.parametrize(("columns", "chosen"), [
    ({"photo": ["a.jpg"], "age": [1]}, "photo"), ({"age": [1], "File Name": ["a"]}, "File Name"),
    ({"x": ["a.JPG ", "b.png"], "y": ["a", "b"]}, "x"), ({"image_id": ["007"], "file": ["a.png"]}, "file"),
    ({"photo": ["a.jpg"], "mask": ["a.png"]}, "photo"), ({"photo": [4], "where": ["b/c.webp"]}, "where"),
])
def test_the_column_of_pictures_is_told_by_its_name_or_its_values_and_said(said, columns, chosen):
    frame = pd.DataFrame(columns)
    assert tables.image_column(frame) == chosen
    assert len(said()) == 1 and f"'{chosen}'" in said()[0] and "--image-col" in said()[0]


def test_image_or_what_is_given_goes_before_any_guess(said):
    frame = pd.DataFrame({"photo": ["a.jpg"], "image": [1]})
    assert tables.image_column(frame) == "image" and tables.image_column(frame, "photo") == "photo" and not said()
    with pytest.raises(ImgregError, match=r"a column 'phto' in t\.csv; found photo, image; try --image-col .*'photo'"):
        tables.image_column(frame, "phto", "t.csv")


def test_pictures_in_two_columns_or_in_none_are_one_line():
    with pytest.raises(ImgregError, match=r"a column 'image' in t\.csv; .* --image-col with one of 'left', 'right'"):
        tables.image_column(pd.DataFrame({"left": ["a.png"], "right": ["b.png"]}), table="t.csv")
    with pytest.raises(ImgregError, match="a column 'image' in the table; found who, age; try --image-col"):
        tables.image_column(pd.DataFrame({"who": ["ann"], "age": [3]}))


# where they lie

def paths_of(folder, *names):
    frame = tables.with_paths(pd.DataFrame({"pic": names}), "pic", folder)
    assert frame["present"].tolist() == [os.path.isfile(path) for path in frame["path"]]
    assert [n if isinstance(n, str) else None for n in frame["image"]] == list(names)  # as the table names them
    return [os.path.relpath(path, folder) if there else None
            for path, there in zip(frame["path"], frame["present"], strict=True)]


def test_backslashes_spaces_and_names_in_any_script(tmp_path):
    names = ["a b/ü ñ.png", "фото/лица 1.png", "写真/顔.jpg", "c/1.png"]
    touch(tmp_path, *names)
    assert paths_of(tmp_path, *names) == names
    assert paths_of(tmp_path, *(name.replace("/", "\\") for name in names)) == names
    assert paths_of(tmp_path, " c/1.png ", ".\\c\\1.png") == ["c/1.png", "c/1.png"]


@pytest.mark.parametrize("before", ["C:\\Users\\me\\photos\\", "d:/photos/", "\\\\server\\share\\photos\\", "/home/x/"])
def test_a_path_of_another_machine_is_found_by_its_last_parts(tmp_path, before):
    touch(tmp_path, "1.png", "deep/2.png")
    assert paths_of(tmp_path, f"{before}1.png", f"{before}gone.png") == ["1.png", None]
    assert paths_of(tmp_path, before + "deep\\2.png") == ["deep/2.png"]


def test_a_name_that_begins_with_its_own_folder_is_found_and_another_folder_is_not(tmp_path):
    touch(tmp_path, "photos/1.png")
    assert paths_of(tmp_path / "photos", "photos/1.png", "other/1.png") == ["1.png", None]


def test_one_picture_is_not_given_to_two_paths(tmp_path):
    touch(tmp_path, "1.png", "2.png", "3.png")
    assert paths_of(tmp_path, "C:\\ann\\1.png", "C:\\bob\\1.png", "C:\\bob\\2.png") == [None, None, "2.png"]
    assert paths_of(tmp_path, "3.png", "C:\\old\\3.png") == ["3.png", None]
    assert paths_of(tmp_path, "C:\\ann\\1.png", "C:\\ann\\1.png") == ["1.png", "1.png"]  # several rows of one image


def test_ids_are_completed_where_one_picture_alone_can_be_meant(tmp_path):
    touch(tmp_path, "000123.jpg", "7.png", "7.jpg", "notes.txt", "a.b.png", "sub/9.png")
    assert paths_of(tmp_path, "000123", "7", "notes", "a.b", "123", "sub/9") == [
        "000123.jpg", None, None, "a.b.png", None, "sub/9.png"]


def test_another_case_or_unicode_form_is_found_where_one_alone_is_like_it(tmp_path):
    name = unicodedata.normalize("NFD", "é.png")
    touch(tmp_path, "Photo.JPG", name, "x.png")
    assert paths_of(tmp_path, "photo.jpg", "é.png", "X.png") == ["Photo.JPG", name, "x.png"]
    assert paths_of(tmp_path, "x.png", "X.png") == ["x.png", None]


def test_rows_without_a_name_lie_nowhere(tmp_path):
    touch(tmp_path, "1.png")
    frame = tables.with_paths(pd.DataFrame({"pic": ["1.png", None, np.nan, ""]}, index=[5, 5, 7, 8]), "pic", tmp_path)
    assert frame["path"].tolist() == [str(tmp_path / "1.png"), "", "", ""]
    assert frame["present"].tolist() == [True, False, False, False] and frame["image"].isna().tolist()[1:] == [True] * 3


def test_presence_is_told_of_few_files_and_of_many_alike(tmp_path):
    """Few are asked for one by one, many by their folder's list."""
    touch(tmp_path, *(f"many/{i}.png" for i in range(0, 300, 2)))
    (tmp_path / "many/1.png").mkdir()
    os.symlink(tmp_path / "many/0.png", tmp_path / "many/3.png")
    os.symlink(tmp_path / "gone.png", tmp_path / "many/5.png")
    paths = [str(tmp_path / f"many/{i}.png") for i in range(300)] + [str(tmp_path / "none/1.png")] * 100 + ["", "x\0"]
    expected = [i % 2 == 0 or i == 3 for i in range(300)] + [False] * 102
    assert tables.files_exist(paths).tolist() == expected
    assert [bool(tables.files_exist([path])[0]) for path in paths[:10]] == expected[:10]
    assert tables.files_exist([]).tolist() == []


@pytest.mark.parametrize("n", [3, 300])
def test_links_and_dots_lead_to_one_true_path(tmp_path, n):
    touch(tmp_path, *(f"real/{i}.png" for i in range(n)))
    os.symlink(tmp_path / "real", tmp_path / "link")
    os.symlink(tmp_path / "real/0.png", tmp_path / "real/1b.png")
    paths = pd.Series([str(tmp_path / f"link/../link/{i}.png") for i in range(n)] + [str(tmp_path / "link/1b.png")])
    true = [str((tmp_path / f"real/{i}.png").resolve()) for i in range(n)]
    assert tables.real_paths(paths).tolist() == [*true, true[0]]


def test_a_large_folder_is_listed_and_no_file_of_it_is_looked_at(tmp_path, monkeypatch):
    touch(tmp_path, *(f"{i}.png" for i in range(500)))
    asked = []
    monkeypatch.setattr(os.path, "isfile", lambda path: asked.append(path))
    monkeypatch.setattr(os, "stat", lambda *a, **k: asked.append(a))
    frame = tables.with_paths(pd.DataFrame({"image": [f"{i}.png" for i in range(500)]}), "image", tmp_path)
    assert frame["present"].all() and not asked


# folders in place of a table

def test_labels_in_file_names_or_else_in_the_names_of_folders(tmp_path):
    touch(tmp_path, "age_7_x.png", "age_9/b.PNG", "none.jpg", "age_3/age_4.png", "age_5.txt")
    frame = tables.table_of_folder(tmp_path, r"age_(?P<age>\d+)", ["age"])
    assert dict(zip(frame["image"], frame["age"], strict=True)) == {
        "age_3/age_4.png": "4", "age_7_x.png": "7", "age_9/b.PNG": "9", "none.jpg": None}
    assert frame["path"].tolist() == [str(tmp_path / image) for image in frame["image"]]


def test_a_pattern_may_hold_a_group_and_a_part_and_span_folders(tmp_path):
    touch(tmp_path, "train/ann/31_x.png", "valid/bob/42_y.png")
    frame = tables.table_of_folder(tmp_path, r"(?P<split>\w+)/(?P<group>\w+)/(?P<age>\d+)_", ["age"])
    assert frame[["split", "group", "age"]].to_numpy().tolist() == [["train", "ann", "31"], ["valid", "bob", "42"]]


def test_sub_folders_called_by_numbers_are_labels(tmp_path):
    touch(tmp_path, "31/a.png", "-4.5/b/c.png", "31/d.jpg", "loose.png")
    (tmp_path / "empty").mkdir()
    frame = tables.table_of_folder(tmp_path, "", ["age"])
    assert dict(zip(frame["image"], frame["age"], strict=True)) == {
        "31/a.png": "31", "-4.5/b/c.png": "-4.5", "31/d.jpg": "31", "loose.png": None}


@pytest.mark.parametrize(("files", "pattern", "names", "told"), [
    (["x.txt"], "", ["age"], "expected images; found none in"),
    (["31/a.png", "old/b.png"], "", ["age"], "called by numbers; found 'old'"),
    (["a.png"], "", ["age"], "called by numbers; found none"),
    (["31/a.png"], "", ["age", "size"], "one number for sub folders to be called by; found 2: age, size"),
    (["a.png"], "age_(?P<age>[0-9]+", ["age"], "a regular expression; found 'age_"),
    (["a.png"], "age_(?P<agee>[0-9]+)", ["age"], r"a group \(\?P<age>\.\.\.\) in --label-from-name.*; try 'agee'"),
])
def test_a_folder_of_no_use_is_one_line(tmp_path, files, pattern, names, told):
    touch(tmp_path, *files)
    with pytest.raises(ImgregError, match=told):
        tables.table_of_folder(tmp_path, pattern, names)


@pytest.mark.parametrize(("rows", "separator", "numbers"), [
    (["3.900", "425,0", "12.000,5"], ";", [3900, 425, 12000.5]),
    (["1.050,00", "970,00", "22.000,00"], ";", [1050, 970, 22000]),
    (['"1,050"', "970", '"2,300,000.5"'], ",", [1050, 970, 2300000.5]), (["1.234.567", "1.000"], ";", [1234567, 1000]),
    (["0.125", "3.900", "1,5"], ";", [0.125, 3.9, 1.5]), (["3.900", "1.250"], ",", [3.9, 1.25]),
    (["3,125", "4,250"], "\t", [3.125, 4.25]), (["3.125,5", "4,25"], "\t", [3125.5, 4.25]),
    (["-1.500,5", "", "20"], ";", [-1500.5, np.nan, 20]),
])
def test_thousands_are_told_from_decimals(tmp_path, rows, separator, numbers):
    lines = [f"a.png{separator}{row}" for row in rows]
    (tmp_path / "t.csv").write_text("\n".join([f"image{separator}price", *lines]), encoding="utf-8")
    found = tables.read_table(tmp_path / "t.csv")["price"].astype(float)
    np.testing.assert_array_equal(found.to_numpy(), np.array(numbers, float))


def test_separators_at_the_ends_of_rows_shift_nothing_and_more_cells_are_told(tmp_path):
    (tmp_path / "t.csv").write_text("image,age\na.png,3,\nb.png,4,\n", encoding="utf-8")
    frame = tables.read_table(tmp_path / "t.csv")
    assert list(frame["image"]) == ["a.png", "b.png"] and list(frame["age"]) == [3, 4]
    (tmp_path / "t.csv").write_text("image,age\na.png,3,x\nb.png,4\n", encoding="utf-8")
    with pytest.raises(ImgregError, match="1 rows with more than its 2 columns: line 2"):
        tables.read_table(tmp_path / "t.csv")


@pytest.mark.parametrize(("pattern", "says"), [
    ("(", "--label-from-name with a regular expression; found '\\('"), (r"age_\d+", r"a group \(\?P<NAME>...\)"),
])
def test_a_pattern_of_no_use_is_told_alike_wherever_it_is_read(tmp_path, pattern, says):
    touch(tmp_path, "age_3.png")
    with pytest.raises(ImgregError, match=says):
        tables.table_of_folder(tmp_path, pattern, ["age"])
    with pytest.raises(ImgregError, match=says):
        own_table.table_task(tmp_path, pattern=pattern)
