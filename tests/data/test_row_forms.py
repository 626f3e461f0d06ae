"""Rows of points become one row an image; tables of this form are recognised before anything is trained on them."""
import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgreg_fastai.data.long_form import refuse_point_rows
from imgreg_fastai.data.tables import RowOptions, arrange
from imgreg_fastai.utils.messages import ImgregError

POINTS = RowOptions(point_rows=("label", "x", "y"))


def long(n=12, labels=("nose", "tail"), image="image_name", label="label"):
    """A table with a row for each point: nose of image 3 at (3, 13), tail at (103, 113)."""
    rows = [{label: word, "x": i + 100 * k, "y": i + 10 + 100 * k, image: f"{i}.jpg", "w": 80, "group": f"g{i % 3}"}
            for i in range(n) for k, word in enumerate(labels)]
    return pd.DataFrame(rows)


def joined(frame, **how):
    return arrange(frame, "image_name", POINTS, "t.csv", **how)


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "imgreg")
    return lambda: [record.getMessage() for record in caplog.records]


def test_the_points_of_an_image_stand_side_by_side_with_what_is_known_of_it(said):
    frame = long()
    frame.attrs["units"] = {"w": "px"}
    wide = joined(frame)
    assert list(wide.columns) == ["image_name", "w", "group", "nose_x", "nose_y", "tail_x", "tail_y"]
    assert list(wide.index) == list(range(0, 24, 2))  # the first row of each image
    assert wide.loc[6].tolist() == ["3.jpg", 80, "g0", 3, 13, 103, 113] and not said()
    assert wide.attrs == frame.attrs and wide["nose_x"].dtype == float


@given(st.permutations(range(24)), st.sets(st.integers(0, 23), max_size=10))
def test_the_order_of_the_rows_does_not_matter_and_a_missing_point_is_empty(order, missing):
    rows = [i for i in order if i not in missing]
    if not rows:
        return
    wide = joined(long().iloc[rows]).set_index("image_name")
    for i in range(12):
        for k, word in enumerate(("nose", "tail")):
            if f"{i}.jpg" in wide.index and f"{word}_x" in wide:
                there = 2 * i + k not in missing
                assert wide.loc[f"{i}.jpg", f"{word}_x"] == i + 100 * k if there else np.isnan(
                    wide.loc[f"{i}.jpg", f"{word}_x"])


def test_numbers_are_labels_too_and_words_in_coordinates_stay(said):
    frame = long(labels=(1.0, 2.0)).astype({"x": object})
    frame.loc[3, "x"] = "?"
    wide = joined(frame)
    assert list(wide.columns[-4:]) == ["1_x", "1_y", "2_x", "2_y"] and wide.loc[2, "2_x"] == "?"


def test_rows_without_a_label_are_told_and_those_without_an_image_stay(said):
    frame = long()
    frame.loc[3, "label"], frame.loc[[6, 8], "image_name"] = " ", None
    wide = joined(frame)
    assert "1 of 24 rows of t.csv are left out, points without label: row 5" in said()[0]
    assert np.isnan(wide.loc[2, "tail_x"]) and wide.loc[2, "nose_x"] == 1
    assert list(wide.index[wide["image_name"].isna()]) == [6, 8] and np.isnan(wide.loc[6, "nose_x"])


def test_columns_that_differ_within_an_image_are_left_out_and_told_when_targets_are_chosen(said):
    frame = long().assign(score=range(24), note=[None, "a"] * 12)
    wide = joined(frame, choosing=True)
    assert "score" not in wide and said() == ["left out score: what differs among the points of an image"]
    assert wide["note"].tolist() == ["a"] * 12  # what is missing in a row stands in another


@pytest.mark.parametrize(("change", "says"), [
    (lambda frame: frame.assign(group=[f"g{i}" for i in range(24)]),
     r"the same group in all rows of an image in t.csv; found 'g0' and 'g1' of 0.jpg \(row 3\)"),
    (lambda frame: frame.assign(label="nose"), "each point once .*found 'nose' of 0.jpg in row 2, row 3 .24 such rows"),
    (lambda frame: frame.assign(label=None), "labels in the column 'label' of t.csv .*; found none"),
    (lambda frame: frame.assign(nose_x=1), "no columns in t.csv that are called .*; found nose_x"),
    (lambda frame: frame.drop(columns="y"), "a column 'y' in t.csv, for --point-rows LABEL,X,Y"),
    (lambda frame: pd.concat([frame.assign(label=str(i)) for i in range(1001)]), "1,001 different ones"),
])
def test_a_contradiction_is_one_line(change, says):
    with pytest.raises(ImgregError, match=says):
        joined(change(long()), needed=("group",))


def test_a_table_with_one_row_an_image_is_taken_where_points_are_not_required():
    wide = joined(long())
    assert joined(wide, required=False).equals(wide)
    with pytest.raises(ImgregError, match="a column 'label'"):
        joined(wide)


def refusal(frame, image="image_name", columns=()):
    try:
        refuse_point_rows(frame, image, "t.csv", columns)
    except ImgregError as e:
        return str(e)
    return ""


def test_one_row_a_point_is_recognised_with_the_option_that_reads_it():
    says = refusal(long())
    assert "one row a point: nose, tail of 0.jpg in row 2, row 3" in says and "--point-rows label,x,y" in says
    assert "--point-rows region_id,x,y" in refusal(long(labels=(0, 1, 2), label="region_id"))  # as VIA writes it
    assert "--point-rows part,X,Y" in refusal(long(label="part").rename(columns={"x": "X", "y": "Y"}))
    assert "--point-rows label" in refusal(long().drop(index=[3, 8, 11]))  # some points are missing
    assert "--point-rows label" in refusal(pd.concat([long(), long().tail(1)]))  # which --point-rows tells of
    assert "--point-rows label" in refusal(long(), columns=["nose_x", "nose_y"])  # --target nose:point
    assert "--point-rows label" in refusal(long(), columns=["x"])
    assert "--point-rows label" in refusal(long().assign(width=80, height=60))  # of the image


def test_points_without_names_are_recognised_too():
    says = refusal(long().drop(columns="label"))
    assert "2 points of 0.jpg without names in row 2, row 3" in says and "--raters mean" in says
    assert "without names" in refusal(long(labels=("cell", "cell")))
    assert "without names" in refusal(long(labels=("cell", "cell")).assign(Mean=range(24)))  # as ImageJ writes it
    assert not refusal(long(labels=("cell", "cell")).assign(yaw=range(24)))  # contradictions, as of other labels


@pytest.mark.parametrize("frame", [
    long(labels=("nose",)), joined(long()), long(labels=("r1", "r2"), label="rater"), long().drop(columns=["x", "y"]),
    long().rename(columns={"x": "cx", "y": "cy"}).assign(h=3), pd.concat([long(labels=("nose",))] * 2),
    long().assign(x2=1.0, y2=2.0), long().iloc[:0], pd.concat([long(40, labels=("nose",)), long(2)]),
])
def test_other_tables_are_not(frame):
    """One point an image, joined ones, raters, no points, boxes, copies, several points a row, no or few rows."""
    assert not refusal(frame)


def test_targets_that_are_no_points_may_stand_in_such_a_table():
    assert not refusal(long().assign(age=3), columns=["age"])
