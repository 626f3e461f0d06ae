"""Predictions as text."""
import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgreg_fastai.inference import prediction_table
from imgreg_fastai.tasks import ANGLE, Number, Point, Task

ONE = pd.DataFrame({"image": ["a.png", "b.png"], "angle": [73.234, 5.0], "angle_within": [0.81, 12.3],
                    "ood": [False, True]})


@pytest.mark.parametrize("value, radius, unit, told", [
    (73.234, 0.81, "°", "73.2° ± 0.9"), (73.234, 1.34, "°", "73.2° ± 1.4"), (34.4, 12.6, "years", "34 ± 13 years"),
    (212345, 31234, "EUR", "212000 ± 32000 EUR"),
    (-24.5, 80.2, "°", "-24° ± 81"), (0.01234, 0.00031, "", "0.01234 ± 0.00031"),
    (5.0, 0.0, "px", "5.00 px"), (214567.0, np.nan, "EUR", "214567.00 EUR"), (-0.04, 4.6, "°", "0° ± 5"),
    (99.96, 0.96, "%", "100.0% ± 1.0")])
def test_a_number_is_told_as_exactly_as_it_is_known(value, radius, unit, told):
    assert prediction_table.format_interval(value, radius, unit) == told


def test_people_see_intervals_beside_their_numbers_and_a_warning_in_words():
    lines = prediction_table.format_predictions(ONE, "table", ANGLE).splitlines()
    assert lines[0].split() == ["image", "angle", "warning"]
    assert "73.2° ± 0.9" in lines[1] and prediction_table.OOD_WARNING not in lines[1]
    assert "5° ± 13" in lines[2] and lines[2].endswith(prediction_table.OOD_WARNING)


def test_without_anything_unlike_there_is_no_warning_column():
    assert "warning" not in prediction_table.format_predictions(ONE[:1], "table", ANGLE)


def test_programs_get_columns():
    assert prediction_table.format_predictions(ONE, "csv", ANGLE).splitlines()[0] == "image,angle,angle_within,ood"
    first = json.loads(prediction_table.format_predictions(ONE, "json", ANGLE))[0]
    assert first == {"image": "a.png", "angle": 73.234, "angle_within": 0.81, "ood": False}
    assert len(prediction_table.format_predictions(ONE, "jsonl", ANGLE).splitlines()) == 2


def test_a_place_has_its_radius_behind_it():
    task = Task("t", (Point("tip", ("x", "y")),), (32, 32))
    frame = pd.DataFrame({"image": ["a"], "x": [1.0], "y": [2.0], "tip_within": [3.0], "ood": [False]})
    words = prediction_table.format_predictions(frame, "table", task).split()
    assert words == ["image", "x", "y", "tip", "±", "a", "1.00", "2.00", "3.00"]


def test_many_columns_are_for_programs():
    """A table has a handful of a target's columns, and tells where all are."""
    points = [f"p{i}_{axis}" for i in range(68) for axis in "xy"]
    face = Point("face", tuple(points))
    task = Task("t", (face, Number("age", ("age",), "years")), (32, 32))
    columns = {**dict.fromkeys(points, 1.0), "age": 31.0, **dict.fromkeys(face.interval_columns, 2.0)}
    columns["age_within"] = 3.0
    frame = pd.DataFrame({"image": ["a", "b"], **{name: [value] * 2 for name, value in columns.items()}})
    lines = prediction_table.format_predictions(frame.assign(ood=True), "table", task).splitlines()
    assert lines[0].split() == ["image", *points[:6], "age", "warning"] and "31.0 ± 3.0 years" in lines[1]
    assert len(lines) == 4 and lines[3] == "all 137 columns: --format csv" and max(map(len, lines)) < 120
    assert prediction_table.format_predictions(frame, "csv", task).splitlines()[0].split(",") == ["image", *columns]
    assert set(json.loads(prediction_table.format_predictions(frame, "json", task))[0]) == {"image", *columns}


def test_without_a_calibration_the_unit_is_in_the_heading():
    task = Task("t", (Number("age", ("age",), "years"),), (32, 32))
    frame = pd.DataFrame({"image": ["a"], "age": [31.456]})
    words = prediction_table.format_predictions(frame, "table", task).split()
    assert words == ["image", "age", "(years)", "a", "31.46"]


@given(st.floats(-1e6, 1e6), st.floats(1e-4, 1e6))
def test_what_is_written_covers_the_interval(value, radius):
    middle, written = (float(part) for part in prediction_table.format_interval(value, radius, "").split(" ± "))
    slack = 1e-5 * (abs(value) + radius)
    assert middle - written <= value - radius + slack and middle + written >= value + radius - slack
    assert written < 1.6 * radius
