"""The content tells what a table is: packed, JSON, a workbook, without a header, or an export of a labelling tool."""

import bz2
import contextlib
import datetime
import gzip
import io
import json
import logging
import lzma
import os
import subprocess
import sys
import zipfile

import pandas as pd
import pytest

from imgreg_fastai.data import labels, tables
from imgreg_fastai.datasets import own_table
from imgreg_fastai.tasks import Number, Task
from imgreg_fastai.utils.messages import ImgregError

CSV = "image,age\n0.png,30.5\n1.png,41\n"
CELLS = {"image": ["0.png", "1.png"], "age": [30.5, 41]}
ROWS = [{"image": "0.png", "age": 30.5}, {"image": "1.png", "age": 41}]


def write(folder, content, name="t.csv"):
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder / name


def read(*args, **kwargs):
    return tables.read_table(*args, **kwargs).to_dict("list")


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "imgreg")
    return lambda: [record.getMessage() for record in caplog.records]


def zipped(**files):
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as z:
        for name, content in files.items():
            z.writestr(zipfile.ZipInfo(name.replace("_", ".")), content)  # without the time of today
    return archive.getvalue()


@pytest.mark.parametrize("name", ["t.csv", "t.parquet", "UPPER.CSV", "t.csv.gz", "no_ending"])
@pytest.mark.parametrize(
    "content",
    [
        CSV,
        CSV.replace(",", "\t"),
        CSV.replace(",", " "),
        gzip.compress(CSV.encode(), mtime=0),
        bz2.compress(CSV.encode()),
        lzma.compress(CSV.encode()),
        zipped(t_csv=CSV),
        "\n".join(map(json.dumps, ROWS)),
        json.dumps(ROWS),
        "\ufeff" + json.dumps(ROWS),
        json.dumps(ROWS, indent=2),
        json.dumps(CELLS),
        gzip.compress(json.dumps(ROWS).encode(), mtime=0),
        pd.DataFrame(ROWS).to_json(),
    ],
)
def test_the_content_tells_what_a_file_is(tmp_path, content, name):
    assert read(write(tmp_path, content, name), ("image",)) == CELLS


@pytest.mark.parametrize(
    ("name", "is_one", "stem"),
    [
        ("a/x.csv.gz", True, "x"),
        ("a/UPPER.CSV", True, "UPPER"),
        ("a/metadata.jsonl", True, "a"),
        ("a/book.xlsx", True, "book"),
        ("a/labels.csv.gz", True, "a"),
        ("a/x.b.csv", True, "x.b"),
        ("a/t.zip", True, "t"),
        ("a/x.png", False, "x"),
        ("angle", False, "angle"),
    ],
)
def test_the_names_of_tables_and_of_their_runs(tmp_path, name, is_one, stem):
    assert own_table.is_table(name) == is_one and own_table.table_name(tmp_path / name) == stem


def test_json_lines_have_the_numbers_of_an_editor_and_ids_keep_their_zeros(tmp_path):
    text = '{"image": "007", "o": {"a": 1}}\n\n{"image": 8, "age": "12 kg"}\n{"age": 3}\n'
    frame = tables.read_table(write(tmp_path, text, "t.jsonl"), ("image",))
    assert (frame.index + 2).tolist() == [1, 3, 4] and frame["image"].fillna("-").tolist() == ["007", "8", "-"]
    assert frame["o"].iloc[0] == '{"a": 1}' and len(tables.read_table(tmp_path / "t.jsonl", max_rows=2)) == 2


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ('{"image": 1}\n{"image": x}\n', "line 2 is not JSON"),
        ('{"image": 1}\n[1]\n', "line 2 is not an object"),
        ("[]", "nothing in it"),
        ("[1, 2]", "a list of something else"),
        ('{"a": {"b": {"c": 1}}}', "an object with a"),
        (b"\x1f\x8b\x08\x00abc", "packed, and damaged"),
        (gzip.compress(CSV.encode() * 99, mtime=0)[:-30], "damaged"),
        (zipped(a_csv=CSV, b_csv=CSV), "2 tables among a.csv, b.csv"),
        (zipped(a_jpg="x"), "no tables among a.jpg; try it unpacked"),
        (zipped(**{"word/document_xml": ""}), "a Word document"),
        (b"\xd0\xcf\x11\xe0" + b"\0" * 9, r"an old Excel file \(.xls\)"),
        (b"ARROW1\0\0", "a Feather file; try pandas.read_feather"),
        (b"SQLite format 3\0", "SQLite"),
        (b"%PDF-1.7", "PDF"),
        (b"\x93NUMPY\1", "NumPy array"),
        (b"\xff\xd8\xff\xe0", "an image"),
        ("<html><table>", r"a web page \(HTML\)"),
        ("<?xml version='1.0'?>\n<x/>", "an XML file"),
        ('<?mso-application progid="Excel.Sheet"?>', "Excel 2003"),
    ],
)
def test_other_files_are_called_by_their_name(tmp_path, content, told):
    with pytest.raises(ImgregError, match=told) as e:
        tables.read_table(write(tmp_path, content))
    assert "\n" not in str(e.value) and "t.csv" in str(e.value)


# headers


@pytest.mark.parametrize(
    ("text", "rows", "note"),
    [
        ("# by tool, 1\n# x\nimage,age\n0.png,1\n1.png,2\n", [4, 5], ""),
        ("#name,age\n0.png,1\n1.png,2\n", [2, 3], ""),
        ("# image age\n0.png 1\n1.png 2\n", [2, 3], "its header is the comment 'image, age'"),
        ("Spring,\n,\nimage,age\n0.png,1\n1.png,2\n", [4, 5], "the header is 'image, age', below 2 lines of a title"),
        ("\nSpring 2024\n\nimage,age\n0.png,1\n1.png,2\n", [5, 6], "below 2 lines"),
        ("Date,1\n\nimage,age,x\n0.png,1,\n1.png,2,5\n2.png,2,5\n", [4, 5, 6], "below 2 lines"),
        (
            "0.png,1\n1.png,2\n",
            [1, 2],
            "it has no header, as its first line is data: '0.png, 1'; its columns are called image, column_2",
        ),
        ("0.png;1,5\n1.png;2\n", [1, 2], "no header"),
        ("0.png\n1.png\n", [1, 2], "no header"),
        ("0.png,1", [1], "no header"),
        ("0001,1.5\n0002,2\n", [1, 2], "no header"),
        ("IMG_1,1.5\nIMG_2,2\n", [1, 2], "no header"),
        ("nose,1,2,0.png,80,60\neye,1,2,0.png,80,60\n", [1, 2], "called label, x, y, image, width, height"),
        ("image,400,410\n0.png,1,2\n1.png,1,2\n", [2, 3], ""),
        (",0,1\n0,a.png,3\n1,b.png,3\n", [2, 3], ""),
        ("0,1\na.png,3\nb.png,3\n", [2, 3], ""),
        ("image,age,,\n0.png,1,,\n1.png,2,,\n", [2, 3], ""),
        ("image,2019\n0.png,1\n", [2], ""),
    ],
)
def test_the_header_is_found_or_none_is_told_and_no_row_is_lost(tmp_path, said, text, rows, note):
    frame = tables.read_table(write(tmp_path, text))
    assert (frame.index + 2).tolist() == rows and len(said()) == bool(note) and note in "".join(said())
    assert not any(name.startswith("Unnamed") for name in frame.columns[1:])


def test_a_header_that_begins_with_a_hash_is_not_lost(tmp_path):
    assert list(tables.read_table(write(tmp_path, "#name,x,y\n0.png,1,2\n1.png,3,4\n"))) == ["#name", "x", "y"]
    assert list(tables.read_table(write(tmp_path, "#made by, me\nimage,x\n0.png,1\n1.png,3\n"))) == ["image", "x"]


def test_what_was_guessed_of_a_file_is_said_once_and_before_mistakes(tmp_path, said):
    table = write(tmp_path, "".join(f"{i}.png,{i}.5\n" for i in range(20)))
    with pytest.raises(ImgregError, match="column_2"):
        own_table.table_task(table, ["age"])
    assert len(said()) == 1 and "no header" in said()[0]
    task = own_table.table_task(table, ["column_2"])
    with contextlib.suppress(ImgregError):
        labels.read_labels(table, task)
    assert sum("no header" in line for line in said()) == 2  # once in each training


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("image,age\n0.png,1\n\nname,weight\n0.png,5\n", "a second header below the blank line 3: 'name, weight'"),
        ("image age x\n0.png 1 2\n1.png 2\n2.png 3 4\n", "fewer in .*: line 3; try commas"),
    ],
)
def test_two_tables_and_gaps_between_blanks_are_told(tmp_path, text, told):
    with pytest.raises(ImgregError, match=told):
        tables.read_table(write(tmp_path, text))


def test_a_total_below_a_blank_line_is_no_second_table(tmp_path):
    assert len(tables.read_table(write(tmp_path, "image,age\n0.png,1\n1.png,2\n\nTotal,3\n"))) == 3


# workbooks


@pytest.fixture
def book():
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.active.title = "Data"
    for row in (["image", "age", "group"], ["0.png", 30.5, "a"], ["1.png", 41, None]):
        book.active.append(row)
    return book


@pytest.mark.parametrize("ending", ["xlsx", "ods"])
def test_a_workbook_is_read_whatever_it_is_called(tmp_path, ending):
    pytest.importorskip("odf" if ending == "ods" else "openpyxl")
    frame = pd.DataFrame(
        [
            ["Spring", None, None],
            [None] * 3,
            ["image", "age", "when"],
            ["007", 30.5, datetime.date(2024, 5, 1)],
            ["008", 41, None],
            [None] * 3,
            ["009", "12,5", None],
        ]
    )
    frame.to_excel(f"{tmp_path}/t.{ending}", index=False, header=False)
    (tmp_path / f"t.{ending}").rename(tmp_path / "t.csv")
    frame = tables.read_table(tmp_path / "t.csv", ("image",))
    assert frame["image"].tolist() == ["007", "008", "009"] and (frame.index + 2).tolist() == [4, 5, 7]
    assert frame["age"].tolist() == [30.5, 41, 12.5] and str(frame["when"].iloc[0]).startswith("2024-05-01")
    assert len(tables.read_table(tmp_path / "t.csv", max_rows=2)) == 2


def test_merged_cells_stand_in_each_row_and_merged_names_are_refused(tmp_path, book):
    book.active.merge_cells("C2:C3")
    book.save(tmp_path / "t.xlsx")
    assert tables.read_table(tmp_path / "t.xlsx")["group"].tolist() == ["a", "a"]
    book.active.merge_cells("B1:C1")
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(ImgregError, match=r"merged cells in .*: B1:C1 of the sheet Data, 'age'"):
        tables.read_table(tmp_path / "t.xlsx")


def test_a_formula_without_a_value_stops(tmp_path, book):
    book.active["B3"] = "=B2*2"
    book.save(tmp_path / "t.xlsx")
    with pytest.raises(ImgregError, match=r"a formula without one in .*: B3 '=B2\*2'; try the file opened and saved"):
        tables.read_table(tmp_path / "t.xlsx")


def test_of_several_sheets_the_first_visible_one_with_cells_is_read_and_told(tmp_path, book, said):
    book.create_sheet("Hidden", 0).sheet_state = "hidden"
    book.worksheets[0].append(["secret"])
    book.create_sheet("Empty", 1)
    book.save(tmp_path / "t.xlsx")
    assert read(tmp_path / "t.xlsx")["age"] == [30.5, 41] and not said()
    book.create_sheet("More").append(["x"])
    book.save(tmp_path / "t.xlsx")
    tables.read_table(tmp_path / "t.xlsx")
    assert said() == [
        f"{tmp_path / 't.xlsx'}: "
        "the sheet 'Data' is read, the first of Data, More (move another to the front to read that)"
    ]


@pytest.mark.parametrize(("name", "extra"), [("openpyxl", "sheets"), ("odf", "sheets"), ("pyarrow", "parquet")])
def test_a_reader_that_is_missing_is_named_with_its_extra(tmp_path, monkeypatch, name, extra):
    ending = {"openpyxl": "xlsx", "odf": "ods", "pyarrow": "parquet"}[name]
    pytest.importorskip(name)
    frame = pd.DataFrame(ROWS)
    frame.to_parquet(tmp_path / "t.parquet") if name == "pyarrow" else frame.to_excel(
        f"{tmp_path}/t.{ending}", index=False
    )

    def missing(*_, **__):
        raise ImportError(name)

    monkeypatch.setattr(pd, "read_parquet", missing)
    monkeypatch.setattr(pd, "read_excel", missing)
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    with pytest.raises(ImgregError, match=rf"needs {name}.*; try pip install 'imgreg-fastai\[{extra}\]'"):
        tables.read_table(tmp_path / f"t.{ending}")


def test_times_of_parquet_are_no_numbers(tmp_path):
    pytest.importorskip("pyarrow")
    pd.DataFrame({"image": ["a"], "t": pd.to_datetime(["2024-05-01"])}).to_parquet(tmp_path / "t.parquet")
    assert str(read(tmp_path / "t.parquet")["t"][0]).startswith("2024-05-01")


# exports of labelling tools


def cell(value):
    return '"' + json.dumps(value).replace('"', '""') + '"'


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("filename,file_size,region_shape_attributes\na.jpg,3,{}\n", "VIA's CSV"),
        ("index,axis-0,axis-1\n0,3,4\n", "napari's CSV of points: axis-1 is x, axis-0 is y"),
        ("index,axis-0,axis-1,axis-2\n0,0,3,4\n", "napari's CSV of points: axis-2 is x, axis-1 is y"),
        ("<?xml version='1.0'?>\n<annotations>\n<version>1.1</version>", "CVAT's XML"),
        ("<annotation><folder/>", "Pascal VOC"),
        ("version: 1\nn_points: 2\n{\n1 2\n3 4\n}\n", "iBUG file of points"),
        ("0 0.5 0.5 1 1 0.2 0.3 2\n", "a label file of YOLO"),
        ("2 0.5 .5 0.1 0.1\n3 0.2 0.2 0.1 0.1\n", "a label file of YOLO"),
        (json.dumps({"images": [], "annotations": []}), "COCO's JSON"),
        (json.dumps({"shapes": [], "imagePath": "a"}), "LabelMe's JSON"),
        (json.dumps([{"id": 1, "data": {}, "annotations": []}]), "Label Studio's JSON.*export as CSV or JSON-MIN"),
        (json.dumps({"_via_settings": {}, "_via_img_metadata": {}}), "VIA's JSON"),
        (json.dumps({"a.jpg12": {"filename": "a.jpg", "size": 12, "regions": []}}), "VIA's JSON"),
    ],
)
def test_an_export_of_a_tool_is_called_by_its_name(tmp_path, content, told):
    table = write(tmp_path, content)
    with pytest.raises(ImgregError, match=told) as e:
        own_table.table_task(table)
    assert "\n" not in str(e.value) and "; try " in str(e.value)


@pytest.mark.parametrize("deep", [False, True])
def test_the_line_that_makes_deeplabcuts_rows_of_names_one_works(tmp_path, deep):
    start = ["scorer", "", ""] if deep else ["scorer"]
    rows = [[*start, "me", "me"], ["bodyparts", *start[1:], "nose", "nose"], ["coords", *start[1:], "x", "y"]]
    rows += [
        [*(["labeled-data", "v", f"{i}.png"] if deep else [f"labeled-data/v/{i}.png"]), f"{i}.5", "3"] for i in range(3)
    ]
    table = write(tmp_path, "\n".join(map(",".join, rows)))
    with pytest.raises(ImgregError, match="a table of DeepLabCut") as e:
        own_table.table_task(table)
    code = str(e.value).partition('python -c "')[2].removesuffix('"')
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    expected = {"image": [f"labeled-data/v/{i}.png" for i in range(3)], "nose_x": [0.5, 1.5, 2.5], "nose_y": [3, 3, 3]}
    assert read(tmp_path / "points.csv") == expected


@pytest.mark.parametrize("ending", ["csv", "json"])
def test_label_studios_points_are_read_in_pixels_and_nothing_of_its_own_is_predicted(tmp_path, said, ending):
    def point(x, y, label):
        return {"x": x, "y": y, "width": 0.5, "keypointlabels": [label], "original_width": 200, "original_height": 50}

    cells = [[point(50, 10, "nose"), point(1, 2, "ear"), point(3, 4, "ear")], [point(25, 20, "nose")]]
    if ending == "csv":
        lines = [f"{i},a,{i}.jpg,{cell(points)},1.{i},{i}" for i, points in enumerate(cells)]
        text = "\n".join(["annotation_id,annotator,image,kp,lead_time,rating", *lines])
    else:
        text = json.dumps(
            [
                {"annotation_id": i, "annotator": 1, "image": f"{i}.jpg", "kp": points, "lead_time": 1, "rating": i}
                for i, points in enumerate(cells)
            ]
        )
    table = write(tmp_path, text, f"t.{ending}")
    frame = tables.read_table(table, ("image",))
    assert frame[["nose_x", "nose_y", "ear_x", "ear_2_y"]].fillna(-1).to_numpy().tolist() == [
        [100, 5, 2, 2],
        [50, 10, -1, -1],
    ]
    assert "its points in 'kp' are the columns nose_x, nose_y" in said()[0]
    with pytest.raises(ImgregError, match=r"--target NAME for Label Studio's.*try --target nose:point"):
        own_table.table_task(table)
    assert own_table.table_task(table, ["nose:point"]).columns == ["nose_x", "nose_y"]


def test_imagejs_results_are_told_and_read(tmp_path, said):
    frame = tables.read_table(write(tmp_path, " ,Label,Area,X,Y\n1,0.jpg,0.5,3,4\n2,1.jpg,1.5,3,4\n"))
    assert frame["X"].tolist() == [3, 3] and "ImageJ's table of results" in said()[0]


def test_a_folder_of_label_files_is_told(tmp_path):
    (tmp_path / "0.jpg").write_bytes(b"x")
    write(tmp_path, json.dumps({"shapes": [], "imagePath": "0.jpg"}), "0.json")
    with pytest.raises(ImgregError, match="LabelMe's JSON"):
        labels.read_rows(tmp_path, Task("t", (Number("age", ("age",)),)))
    os.remove(tmp_path / "0.json")
    with pytest.raises(ImgregError, match="label-from-name"):
        labels.read_rows(tmp_path, Task("t", (Number("age", ("age",)),)))
