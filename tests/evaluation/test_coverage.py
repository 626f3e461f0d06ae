"""How many true values lie within their intervals, and what is said where they are too few."""
import numpy as np
import pandas as pd
import pytest

from imgreg_fastai.evaluation import coverage
from imgreg_fastai.tasks import Angle, Number, Point, Task

AGE = Task("age", (Number("age", ("age",), "years", low=0.0, high=100.0),), (32, 32))


def rows(n=200, off=1.0, within=1.5, **more):
    """Rows of ages that are off by `off`, one in ten by 5."""
    age = np.linspace(10, 90, n)
    error = np.where(np.arange(n) % 10 == 0, 5.0, off)
    return pd.DataFrame({"image": np.arange(n).astype(str), "path": np.arange(n).astype(str), "age": age,
                         "age_predicted": age + error, "age_within": within, "ood": False, **more})


def test_the_part_within_its_width_and_its_range():
    of = coverage.measure_coverage(AGE, rows(), 0.9, 100)["age"]
    assert (of["asked"], of["reached"], of["width"]) == (0.9, 0.9, 1.5)
    assert of["low"] < 0.9 < of["high"]
    assert sum(part["n"] for part in of["range"]) == 200 and {p["reached"] for p in of["range"]} == {0.9}


def test_groups_stand_worst_first():
    frame = rows(group=np.where(np.arange(200) < 100, "anna", "ben"))
    frame.loc[:40, "age_within"] = 0.5
    of = coverage.measure_coverage(AGE, frame, 0.9, 100)["age"]
    assert list(of["groups"]) == ["anna", "ben"] and of["groups"]["ben"] == {"n": 100, "reached": 0.9}


def test_the_short_way_round_counts():
    task = Task("a", (Angle("angle", ("angle",), period=180.0),), (32, 32))
    frame = pd.DataFrame({"image": ["a", "b"], "path": ["a", "b"], "angle": [179.0, 90], "angle_predicted": [1.0, 99],
                          "angle_within": [3.0, 3], "ood": False})
    assert coverage.measure_coverage(task, frame, 0.9, 100)["angle"]["reached"] == 0.5


def test_points_are_averaged_over_those_with_a_label():
    task = Task("f", (Point("face", ("a_x", "a_y", "b_x", "b_y")),), (32, 32))
    values = {"a_x": [0, 0, np.nan], "a_y": [0, 0, np.nan], "b_x": [0.0, 0, 0], "b_y": [0.0, 0, 0]}
    predicted = {"a_x_predicted": [1.0, 9, 9], "a_y_predicted": 0.0, "b_x_predicted": 1.0, "b_y_predicted": 0.0}
    frame = pd.DataFrame({"image": list("abc"), "path": list("abc"), **values, **predicted, "face_a_within": 2.0,
                          "face_b_within": 2.0, "ood": False})
    of = coverage.measure_coverage(task, frame, 0.9, 100)["face"]
    assert of["reached"] == pytest.approx(4 / 5) and of["width"] == 2.0


def test_without_labels_nothing_is_told():
    assert coverage.measure_coverage(AGE, rows().assign(age=np.nan), 0.9, 100) == {}


def test_a_shifted_set_that_breaks_the_promise_is_told_plainly_and_a_good_one_is_not(caplog):
    coverage.warn_if_too_low("age", coverage.measure_coverage(AGE, rows(), 0.9, 100)["age"], 0.0)
    assert not caplog.text
    narrow = coverage.measure_coverage(AGE, rows(within=0.5), 0.9, 100)["age"]
    coverage.warn_if_too_low("age", narrow, pd.Series([0.4]).mean())
    assert "promise 90 % and hold 0.0 %" in caplog.text and "40 % of which are out of distribution" in caplog.text


def test_the_line_for_people():
    of = coverage.measure_coverage(AGE, rows(), 0.9, 100)["age"]
    told = coverage.format_coverage(of, "years")
    assert told.startswith("90 % intervals contain 90.0 % of the true values (")
    assert told.endswith("± 1.5 years on average")


def test_sound_intervals_are_not_called_broken_for_few_pictures_or_few_that_calibrated():
    rng, alarms = np.random.default_rng(0), {}
    for n, units in ((1, 1000), (3, 1000), (6, 1000), (500, 20), (500, 100), (500, 1000)):
        made = []
        for _ in range(60):
            held = rng.beta(np.ceil(0.9 * (units + 1)), units + 1 - np.ceil(0.9 * (units + 1)))
            frame = rows(n).assign(age_within=np.where(rng.random(n) < held, 9.0, 0.1))
            made.append(coverage.is_too_low(coverage.measure_coverage(AGE, frame, 0.9, units)["age"]))
        alarms[n, units] = np.mean(made)
    assert max(alarms.values()) < 0.07, alarms
