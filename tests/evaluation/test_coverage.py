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


def test_the_coverage_of_groups_left_out_stands_beside_that_of_images_which_calibrated():
    of = coverage.measure_coverage(AGE, rows(), 0.9, 100)["age"]
    assert "calibrated" not in coverage.format_coverage(of, "years")
    told = coverage.format_coverage({**of, "calibrates": True, "left_out": 0.883}, "years")
    assert "on average; these images calibrated them, and of groups left out in turn they contain 88.3 %" in told
    assert coverage.format_coverage({**of, "calibrates": True}, "years").endswith("these images calibrated them")


# joint intervals

TWO = Task("two", (Number("age", ("age",), "years", low=0.0, high=100.0), Point("face", ("a_x", "a_y", "b_x", "b_y"))),
           (32, 32))


def two_rows():
    """Four images: all is right; a point is off; the age is off; only the age is labelled, and right."""
    frame = pd.DataFrame({"image": list("abcd"), "path": list("abcd"), "age": 30.0})
    frame["age_predicted"] = [31.0, 30, 39, 32]
    for name in ("a", "b"):
        off = [0.0, 5.0 * (name == "b"), 0, 0]
        frame[f"{name}_x_predicted"], frame[f"{name}_y_predicted"] = 10.0 + np.array(off), 10.0
        frame[f"{name}_x"] = frame[f"{name}_y"] = [10.0, 10, 10, np.nan]
    return frame


def test_joint_intervals_are_broken_by_any_value_and_measured_on_images_that_have_all():
    of = coverage.measure_joint_coverage(TWO, two_rows(), np.tile([2.0, 1, 3], (4, 1)), 0.9)
    assert of["age"]["reached"] == of["face"]["reached"] == pytest.approx(1 / 3, abs=1e-6) and of["age"]["asked"] == 0.9
    assert of["age"]["width"] == 2 and of["face"]["width"] == 2
    without_b = coverage.measure_joint_coverage(TWO, two_rows(), np.tile([2.0, 1, np.nan], (4, 1)), 0.9)
    assert without_b["age"]["reached"] == pytest.approx(2 / 3, abs=1e-6) and without_b["face"]["width"] == 1
    assert coverage.measure_joint_coverage(TWO, two_rows(), np.full((4, 3), np.nan), 0.9) == {}


def test_the_line_of_joint_intervals():
    scores = {"asked": 0.9, "reached": 0.912, "low": 0.88, "high": 0.94, "width": 2.14}
    told = coverage.format_joint_coverage(scores, "°")
    assert told == "joint 90 % intervals contain all values of 91.2 % of the images (88 % to 94 %), ± 2.14° on average"
