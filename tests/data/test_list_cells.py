"""Lists of numbers in the cells of a table are recognised, and become columns of numbers."""
import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgreg_fastai.data.infer_targets import infer_targets
from imgreg_fastai.data.tables import list_cells
from imgreg_fastai.data.tables.list_cells import complete_specs, expand_lists, find_list_columns, read_list
from imgreg_fastai.datasets.own_table import table_task
from imgreg_fastai.utils.messages import ImgregError


@pytest.mark.parametrize(("cell", "numbers"), [
    ("[12.5, 30.1]", [12.5, 30.1]), ("12.5 30.1", [12.5, 30.1]), ("(12.5;30.1)", [12.5, 30.1]),
    ("12.5,30.1", [12.5, 30.1]), ("[[1,2],[3,4]]", [1, 2, 3, 4]), ("[1. 2.\n 3. 4.]", [1, 2, 3, 4]),
    ("array([1e2, -.5])", [100, -0.5]), ("(12,5; 30)", [12.5, 30]), ("[12,5]", [12, 5]), ("1,2,3", [1, 2, 3]),
    ("[1, None, nan]", [1, np.nan, np.nan]), ([1, 2], [1, 2]), (np.array([[1, 2], [3, 4]]), [1, 2, 3, 4]),
    ([np.array([1, 2]), np.array([3, 4])], [1, 2, 3, 4]), ("{1 | 2}", [1, 2]),
])
def test_a_list_is_read_however_it_is_written(cell, numbers):
    assert read_list(cell) == pytest.approx(numbers, nan_ok=True)


@pytest.mark.parametrize("cell", [
    "12,5", "1234", "a, b", "2021-05-06", "12:30", "[]", "[5]", "", "x 1 2", "{'x': 1}", None, 3.5, [], [1], ["a", "b"],
    [{"x": 1}, {"x": 2}], "1" * 30000, "[" * 30000, "1e", "1 2 a"])
def test_one_number_and_words_are_no_list(cell):
    assert read_list(cell) is None


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=2, max_size=6),
       st.sampled_from(["[{}]", "({})", "{}", " {} "]), st.sampled_from([", ", " ", ";", ",", " | "]))
def test_any_numbers_come_back(numbers, brackets, separator):
    assert read_list(brackets.format(separator.join(map(repr, numbers)))).tolist() == numbers


@given(st.text(max_size=40))
def test_no_text_is_too_odd(text):
    numbers = read_list(text)
    assert numbers is None or len(numbers) > 1


def test_only_columns_of_which_most_cells_are_lists_of_one_length_are_found():
    frame = pd.DataFrame({"box": ["[1,2,3,4]"] * 8 + ["[1,2]", None], "words": ["a b"] * 10, "n": range(10),
                          "pixels": [" ".join(["1"] * 2304)] * 10, "mixed": ["1 2", "1 2 3"] * 5,
                          "name": ["1.png"] * 10})
    (name, found), = find_list_columns(frame).items()
    assert (name, found.length, found.pairs) == ("box", 4, False)


def test_each_number_gets_a_column_and_other_counts_are_missing_and_told(caplog):
    frame = pd.DataFrame({"kp": ["[[1,2],[3,4]]", "[[5,6],[7,8]]", "[1,2]", None], "n": range(4)}, [0, 1, 4, 7])
    specs = complete_specs(frame, ("kp",), "t.csv")
    assert specs == ("kp=kp_0_x,kp_0_y,kp_1_x,kp_1_y",)
    wide = expand_lists(frame, specs, "t.csv", report=True)
    assert list(wide.columns) == ["n", "kp_0_x", "kp_0_y", "kp_1_x", "kp_1_y"] and list(wide.index) == [0, 1, 4, 7]
    assert wide["kp_1_x"].tolist() == pytest.approx([3, 7, np.nan, np.nan], nan_ok=True)
    assert "1 of 4 cells do not hold 4 numbers" in caplog.text and "row 6 '[1,2]'" in caplog.text
    assert expand_lists(wide, specs, "t.csv").equals(wide)  # a table that has the columns already


def test_names_are_the_users_and_how_a_cell_is_read_is_told(caplog):
    caplog.set_level(logging.INFO, "imgreg")
    frame = pd.DataFrame({"bbox": ["(12,5; 30)", "(1; 2)"]})
    assert complete_specs(frame, ("bbox = px, py",), "t.csv") == ("bbox=px,py",)
    assert "bbox of t.csv: (12,5; 30) is read as px 12.5, py 30" in caplog.text
    assert complete_specs(frame, ("bbox",), "t.csv") == ("bbox=bbox_0,bbox_1",)


@pytest.mark.parametrize(("spec", "says"), [
    ("kp=a,b,c", r"2 different names, for cells such as \[1, 2\]; found 3: a, b, c"), ("kp=a,a", "2 different names"),
    ("kq", "a column 'kq' in t.csv, for --list-col; found kp, n, e"), ("n", "as many numbers, .* cells such as '3'"),
    ("e", "it is empty"),
])
def test_what_cannot_be_read_is_one_line(spec, says):
    frame = pd.DataFrame({"kp": ["[1, 2]"] * 3, "n": [3] * 3, "e": [None] * 3})
    with pytest.raises(ImgregError, match=says):
        complete_specs(frame, (spec,), "t.csv")


def test_a_name_that_is_taken_is_one_line():
    with pytest.raises(ImgregError, match=r"--list-col kp=NAME,\.\. with names that no column of t\.csv has; found n"):
        expand_lists(pd.DataFrame({"kp": ["[1, 2]"], "n": [3]}), ("kp=n,m",), "t.csv")


def test_a_column_of_lists_is_left_out_with_the_option_that_reads_it():
    frame = pd.DataFrame({"image": [f"{i}.png" for i in range(9)], "kp": ["[1, 2]"] * 9, "n": np.arange(9) / 2})
    specs, lines = infer_targets(frame, "image")
    assert specs == ["n"]
    assert "left out kp: 2 numbers in a cell, such as [1, 2] (--list-col kp makes a column of each)" in lines
    with pytest.raises(ImgregError, match="--list-col kp makes"):
        infer_targets(frame.drop(columns="n"), "image")


def test_a_short_list_in_a_message():
    assert len(list_cells.find_list_columns(pd.DataFrame({"k": [" ".join(["1"] * 500)]}))["k"].example) <= 40


def test_blanks_in_numbers_may_part_thousands(tmp_path):
    pd.DataFrame({"image": ["a.png", "b.png"], "price": ["1 200", "3 400"]}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(ImgregError, match="try 1200 in the table if it is one number, or --list-col price=A,B"):
        table_task(tmp_path / "t.csv", ["price"])


def test_a_later_table_may_lack_the_lists_but_not_their_numbers():
    with pytest.raises(ImgregError, match=r"a column 'kp' of lists in t.csv, or n, m in its place; found x$"):
        expand_lists(pd.DataFrame({"x": [1]}), ("kp=n,m",), "t.csv", needed=("n",))
