"""A point whose column of visibility says 0 is missing; other columns are left alone."""
import numpy as np
import pandas as pd
import pytest

from imgreg_fastai.data.visibility import blank_invisible, visibility_columns
from imgreg_fastai.tasks import Number, Point, Task

TASK = Task("t", (Point("face", ("nose_x", "nose_y", "ear_x", "ear_y")), Number("age", ("age",))))


def table(**columns):
    frame = pd.DataFrame({"nose_x": [1.0, 2, 3, 4], "nose_y": [5.0, 6, 7, 8], "ear_x": [1.0, 0, 3, 4],
                          "ear_y": [1.0, 0, 3, 4], "age": [1.0, 2, 3, 4]})
    return frame.assign(**columns)


@pytest.mark.parametrize("name", ["ear_v", "ear_visible", "ear_visibility", "ear_vis", "Ear_V"])
@pytest.mark.parametrize("values", [[2, 0, 1, 0], ["2", "0", "1", "0.0"], [True, False, True, False],
                                    ["True", "false", "", "0"], [1.0, 0.0, np.nan, 0.0]])
def test_a_point_with_0_is_missing(name, values, caplog):
    frame = table(**{name: values})
    with caplog.at_level("INFO", "imgreg"):
        labels = blank_invisible(frame[TASK.columns], frame, TASK)
    assert labels["ear_x"].isna().tolist() == labels["ear_y"].isna().tolist() == [False, True, False, True]
    assert labels[["nose_x", "nose_y", "age"]].equals(frame[["nose_x", "nose_y", "age"]])
    assert [r.message for r in caplog.records] == [
        f"{name} says which points are visible: 2 points with 0 there are taken as missing"]
    assert visibility_columns(frame) == [name]


@pytest.mark.parametrize("columns", [
    {"ear_v": [0.0, 0.5, 1, 2]}, {"ear_v": [0, 1, 2, 3]}, {"ear_v": ["no", "0", "1", "2"]}, {"ear_v": [None] * 4},
    {"tail_v": [0, 0, 1, 1]}, {"v": [0, 0, 1, 1]}, {"ear_very": [0, 0, 1, 1]},
])
def test_other_columns_are_no_visibility(columns, caplog):
    frame = table(**columns)
    assert blank_invisible(frame[TASK.columns], frame, TASK).equals(frame[TASK.columns])
    assert not caplog.records and not visibility_columns(frame)


def test_numbered_points_have_numbered_visibilities():
    frame = pd.DataFrame({"x1": [1.0, 2], "y1": [1.0, 2], "v1": [0, 1], "x2": [1.0, 2], "y2": [1.0, 2], "v2": [1, 0]})
    labels = blank_invisible(frame[["x1", "y1", "x2", "y2"]], frame, Task("t", (Point("p", ("x1", "y1", "x2", "y2")),)))
    assert labels.isna().to_numpy().tolist() == [[True, True, False, False], [False, False, True, True]]
