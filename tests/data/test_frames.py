"""A DataFrame is read as a file with the same cells, whatever its dtypes, its index and its columns' names are."""
import datetime
from decimal import Decimal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from imgreg_fastai.data.tables import FrameTable, as_table, read_table, resolve_table
from imgreg_fastai.utils.messages import ImgregError

NAMES = ["a.png", "b.png", "c.png", "d.png"]


def read(frame, text=("image",)):
    return read_table(FrameTable(frame), text)


@pytest.mark.parametrize("values", [
    [1, 2, 3, 4], [1.5, 2, np.nan, 4], pd.array([1, None, 3, 4], "Int64"), pd.array([1.5, None, 3, 4], "Float32"),
    pd.Categorical([3, 1, 3, None]), pd.Categorical(["x", "y", "x", None]), [True, False, True, True],
    pd.array([True, None, False, True], "boolean"), ["x", "", "NA", "y"], pd.array(["1.5", "2", None, "4"], "string"),
    pd.arrays.SparseArray([0, 0, 1.5, np.nan]), [Decimal("1.5"), 2, None, "3"], ["1,234", "2,000,000", "3", "4"],
])
def test_cells_of_any_dtype_are_those_of_a_file(tmp_path, values):
    frame = pd.DataFrame({"image": NAMES, "y": values, 7: [1, 2, 3, 4]})
    copy = frame.copy()
    frame.to_csv(tmp_path / "t.csv", index=False)
    from_frame, from_file = read(frame), read_table(tmp_path / "t.csv", ("image",))
    assert list(from_frame) == list(from_file) == ["image", "y", "7"]
    for column in from_file:
        assert from_frame[column].isna().tolist() == from_file[column].isna().tolist()
        assert from_frame[column].dropna().tolist() == from_file[column].dropna().tolist()
    pd.testing.assert_frame_equal(frame, copy)  # the user's own is not changed


@pytest.mark.parametrize("dtype", ["int64[pyarrow]", "double[pyarrow]", "string[pyarrow]", "bool[pyarrow]"])
def test_cells_of_arrow(dtype):
    pytest.importorskip("pyarrow")
    values = ["1", None, "0", "1"] if dtype.startswith("string") else [1, None, 0, 1]
    cells = read(pd.DataFrame({"image": NAMES, "y": pd.array(values, dtype)}))["y"]
    assert cells.isna().tolist() == [False, True, False, False] and float(cells[0 - 2]) == 1


@pytest.mark.parametrize("value", [
    pd.Timestamp("2024-01-05"), datetime.date(2024, 1, 5), pd.Timedelta("3s"), pd.Period("2024-01"), 1 + 2j,
])
def test_times_and_complex_numbers_are_no_numbers(value):
    cells = read(pd.DataFrame({"image": NAMES, "when": [value] * 4}))["when"]
    assert pd.to_numeric(cells, errors="coerce").isna().all() and str(value)[:4].strip("(") in cells.iloc[0]


def test_lists_and_paths_in_cells_become_text():
    cells = [[1, 2.5], (np.float64(1), 2.5), np.array([1, 2.5]), Path("a/b.png")]
    texts = read(pd.DataFrame({"image": list(map(Path, NAMES)), "y": cells}))
    assert texts["y"].tolist() == ["[1, 2.5]", "[1.0, 2.5]", "[1.0, 2.5]", str(Path("a/b.png"))]
    assert texts["image"].tolist() == NAMES


def test_names_stay_text_and_whole_numbers_whole():
    frame = pd.DataFrame({"image": ["007", "NA", "", None], "group": [1.0, 2, np.nan, 3], "id": pd.array([1, 2, 3, 4])})
    read_frame = read(frame, ("image", "group", "id"))
    assert read_frame["image"].dropna().tolist() == ["007", "NA"]
    assert read_frame["group"].dropna().tolist() == list("123")
    assert read_frame["id"].tolist() == list("1234")


def test_rows_are_called_by_their_positions():
    frame = pd.DataFrame({"image": NAMES, "y": [1, 2, None, 4]}, index=["p", "q", "r", "s"])
    frame.loc["q"] = None
    assert (read(frame).index + 2).tolist() == [0, 2, 3] and len(read_table(FrameTable(frame), max_rows=1)) == 1


@pytest.mark.parametrize(("index", "columns"), [
    (pd.Index(NAMES, name="image"), ["image", "y"]), (pd.Index(NAMES, name="y"), ["y"]), (pd.Index(NAMES), ["y"]),
    (pd.MultiIndex.from_arrays([NAMES, range(4)], names=["image", None]), ["image", "level_1", "y"]),
])
def test_an_index_with_names_is_columns(index, columns):
    assert list(read(pd.DataFrame({"y": range(4)}, index))) == columns


@pytest.mark.parametrize(("frame", "words"), [
    (pd.DataFrame([[1, 2]], columns=pd.MultiIndex.from_product([["a"], ["x", "y"]])), ["2 levels", "frame.columns"]),
    (pd.DataFrame([[1, 2]], columns=["a", "a "]), ["'a' more than once"]),
    (pd.DataFrame({"image": [Image.new("RGB", (2, 2))]}), ["'image'", "type Image", "their paths"]),
    (pd.DataFrame({"image": [b"\x89PNG"]}), ["type bytes"]),
])
def test_what_cannot_be_a_table_is_told_in_one_line(frame, words):
    with pytest.raises(ImgregError) as error:
        read(frame)
    assert all(word in str(error.value) for word in ["the DataFrame", *words])


def test_objects_in_other_columns_do_not_matter():
    frame = pd.DataFrame({"image": NAMES, "thumb": [Image.new("RGB", (2, 2))] * 4, "y": range(4)})
    assert read(frame)["y"].tolist() == [0, 1, 2, 3]


class Polars:
    def to_pandas(self):
        raise NotImplementedError


@pytest.mark.parametrize(("table", "hint"), [
    (None, "DataFrame(...)"), ({"image": NAMES}, "pandas.DataFrame"), (5, "DataFrame"), (Polars(), "its to_pandas()"),
])
def test_what_is_no_table_is_told_in_one_line(table, hint):
    with pytest.raises(ImgregError, match="or a DataFrame; found a ") as error:
        as_table(table)
    assert hint in error.value.hint


def test_a_path_is_a_path(tmp_path):
    (tmp_path / "labels.csv").write_text("image,y\na.png,1\n")
    assert resolve_table(str(tmp_path)) == tmp_path / "labels.csv" and as_table("x.csv") == Path("x.csv")
    table = FrameTable(pd.DataFrame())
    assert resolve_table(table) is as_table(table) is table and Path(table).parent == Path() == table.parent


def test_arrays_without_dimensions_are_numbers():
    frame = pd.DataFrame({"image": ["a.png", "b.png"], "y": [np.array(3.0), np.array(4)]})
    assert read_table(frame)["y"].tolist() == [3, 4]
