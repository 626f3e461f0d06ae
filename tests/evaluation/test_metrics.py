"""Scores: errors in units beside guessing, of what is labelled."""
import json
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from imgreg_fastai import load
from imgreg_fastai.evaluation import metrics
from imgreg_fastai.inference.predictor import Predictor
from imgreg_fastai.tasks import ANGLE, Number, Point, Rotation, Task


def test_scores_of_known_errors():
    true = np.array([10.0, 60.0, 110.0, 179.0])
    result = pd.DataFrame({"angle": true, "angle_predicted": [12.0, 59.0, 110.0, 3.0],
                           "angle_error": [2.0, 1.0, 0.0, 4.0]})
    s = metrics.score(ANGLE, result, pd.DataFrame({"angle": np.arange(0, 180, 1.0)}))["angle"]
    assert s["n"] == 4 and s["unit"] == "°" and s["max"] == 4
    assert s["mean"] == pytest.approx(1.75) and s["median"] == pytest.approx(1.5)
    assert s["bias"] == pytest.approx((2 - 1 + 0 + 4) / 4) and s["rmse"] == pytest.approx(np.sqrt(21 / 4))
    assert metrics.format_score("angle", s).startswith("angle error 1.75° (guessing: ")


def test_the_baseline_is_the_training_parts_mean():
    task = Task("ages", (Number("age", ("age",), "years", low=0.0, high=100.0),))
    result = pd.DataFrame({"age": [10.0, 30.0], "age_predicted": [10.0, 30.0], "age_error": [0.0, 0.0]})
    s = metrics.score(task, result, pd.DataFrame({"age": [40.0, 60.0]}))["age"]
    assert s["baseline"] == 30 and s["mean"] == 0  # |10 - 50| and |30 - 50|


def test_predictions_keep_rows_and_leave_broken_pictures_out(run, tmp_path):
    frame = run.labels.head(5).copy()
    broken = tmp_path / "x.png"
    broken.write_bytes(b"")
    frame.loc[2, "path"] = str(broken)
    result = metrics.predictions(load(run.path), frame)
    assert list(result["image"]) == list(frame["image"].drop(2))
    error = np.abs((result["angle_predicted"] - result["angle"] + 90) % 180 - 90)
    np.testing.assert_allclose(result["angle_error"], error)


def test_points_are_guessed_at_a_constant_place_of_each_picture(tmp_path):
    """The mean shape as a fraction of the image, whatever its size; other targets as ever."""
    sizes, rng = [(40, 40), (80, 80), (200, 200), (400, 400)] * 6, np.random.default_rng(0)
    rows = []
    for i, (width, height) in enumerate(sizes):
        Image.new("RGB", (width, height)).save(tmp_path / f"{i}.png")
        x, y = width * (0.25 + rng.normal() / 100), height * 0.5
        rows.append({"path": str(tmp_path / f"{i}.png"), "image": f"{i}.png", "x": x, "y": y, "n": width})
    task = Task("t", (Point("p", ("x", "y")), Number("n", ("n",), low=0.0, high=500.0)), (32, 32))
    model = Predictor(task, (lambda x: x, lambda x: torch.zeros(len(x), 3)), {"mean": (0.0,) * 3, "std": (1.0,) * 3})
    frame = pd.DataFrame(rows)
    train, valid = frame[:16], metrics.predictions(model, frame[16:])
    in_pixels, in_view = metrics.score(task, valid, train), metrics.score(task, valid, metrics.add_views(task, train))
    assert in_view["p"]["baseline"] < 0.02 * np.mean(sizes[16:]) < 60 < in_pixels["p"]["baseline"]
    assert in_view["p"]["columns"]["x"]["baseline"] < 3 and in_view["p"]["columns"]["y"]["baseline"] < 1e-6
    assert in_view["n"] == in_pixels["n"] and in_view["p"]["mean"] == in_pixels["p"]["mean"]
    assert not set(metrics.VIEW_COLUMNS) & set(metrics.predictions_table(task, valid))
    (tmp_path / "0.png").unlink()  # a lost training image costs itself alone, and all of them the views
    assert metrics.score(task, valid, metrics.add_views(task, train))["p"]["baseline"] < 3
    gone = metrics.add_views(task, train.assign(path="gone.png"))
    assert metrics.score(task, valid, gone) == in_pixels


# several columns, groups, missing labels

POINT = Task("p", (Point("p", ("x", "y")), Number("n", ("n",), low=0.0, high=9.0)))
NAN = np.nan


def scored(frame, trained=None, task=POINT):
    """Score rows {column: true and column_predicted: predicted}, with the errors that `predictions` would add."""
    frame = pd.DataFrame(frame)
    for t in task.targets:
        true, predicted = (frame[[c + end for c in t.columns]].to_numpy(float) for end in ("", "_predicted"))
        frame[f"{t.name}_error"] = t.error(predicted, true)
    return metrics.score(task, frame, frame if trained is None else pd.DataFrame(trained))


def rows(count, **of):
    usual = {"x": 0.0, "y": 0.0, "n": 1.0, "x_predicted": 3.0, "y_predicted": 4.0, "n_predicted": 2.0}
    return {**{name: [value] * count for name, value in usual.items()}, **of}


def test_a_target_of_several_columns_tells_each_of_them_too():
    s = scored(rows(4, x_predicted=[3.0, -3, 3, 3]), {"x": [10.0, 20], "y": [0.0, 0], "n": [0.0, 2]})
    assert s["p"]["mean"] == 5 and s["p"]["n"] == 4 and s["p"]["baseline"] == 15
    assert s["p"]["columns"]["x"] == {"mean": 3, "median": 3, "rmse": 3, "bias": 1.5, "baseline": 15}
    assert s["p"]["columns"]["y"] == {"mean": 4, "median": 4, "rmse": 4, "bias": 4, "baseline": 0}
    assert "columns" not in s["n"] and s["p"]["bias"] == pytest.approx(np.hypot(1.5, 4))
    assert metrics.format_columns(s["p"]) == "x 3 px, y 4 px" and metrics.format_columns(s["n"]) == ""
    assert metrics.format_columns(s["p"], max_columns=1) == ""


def test_the_angles_of_a_rotation_wrap_round_one_by_one():
    task = Task("r", (Rotation("r", ("a", "b", "c"), sequence="ZYX"),))
    frame = {"a": [179.0], "b": [0.0], "c": [0.0], "a_predicted": [-179.0], "b_predicted": [0.0], "c_predicted": [0.0]}
    s = scored(frame, frame, task)["r"]
    assert s["mean"] == pytest.approx(2, abs=1e-4) and s["columns"]["a"]["bias"] == 2 and s["columns"]["b"]["mean"] == 0


def test_groups_are_told_worst_first():
    s = scored(rows(5, x_predicted=[0.0, 0, 9, 9, 3], y_predicted=[1.0, 3, 0, 0, 4], group=["a", "a", "b", "b", "c"]))
    assert list(s["p"]["groups"].items()) == [("b", {"n": 2, "mean": 9}), ("c", {"n": 1, "mean": 5}),
                                              ("a", {"n": 2, "mean": 2})]
    assert "groups" not in scored(rows(3))["p"] and "groups" not in scored(rows(3, group=["a"] * 3))["p"]


def test_rows_without_a_group_are_in_none():
    s = scored(rows(4, group=["7", "7", "12", None]))
    assert {name: g["n"] for name, g in s["p"]["groups"].items()} == {"7": 2, "12": 1} and s["p"]["n"] == 4


def test_missing_labels_are_left_out_of_the_target_that_lacks_them_alone():
    frame = rows(4, x=[0.0, NAN, 0, 0], y=[0.0, 0, 0, NAN], n=[NAN, 1.0, 1, 1], x_predicted=[3.0, 99, 6, 99],
                 y_predicted=[4.0, 99, 8, 99], group=["a", "b", "c", "b"])
    s = scored(frame)
    assert (s["p"]["n"], s["n"]["n"]) == (2, 3) and s["p"]["mean"] == 7.5 and s["n"]["mean"] == 1
    assert set(s["p"]["groups"]) == {"a", "c"} and set(s["n"]["groups"]) == {"b", "c"}
    assert all(np.isfinite(v) for v in s["p"]["columns"]["x"].values())


def test_points_of_which_some_are_missing_are_scored_by_the_others():
    task = Task("p", (Point("p", ("ax", "ay", "bx", "by")),))
    frame = {"ax": [0.0, NAN], "ay": [0.0, NAN], "bx": [0.0, 0], "by": [0.0, 0],
             "ax_predicted": [3.0, 50], "ay_predicted": [4.0, 50], "bx_predicted": [0.0, 6], "by_predicted": [1.0, 8]}
    s = scored(frame, frame, task)["p"]
    assert s["n"] == 2 and s["mean"] == pytest.approx((3 + 10) / 2)
    assert s["columns"]["ax"]["mean"] == 3 and s["columns"]["by"]["mean"] == 4.5


def test_a_target_without_any_label_has_nothing_but_its_number():
    s = scored(rows(3, x=[NAN] * 3), rows(3))
    assert s["p"] == {"unit": "px", "n": 0} and s["n"]["n"] == 3
    assert metrics.format_score("p", s["p"]) == "p: no labels"


def test_the_guess_skips_what_is_missing_in_the_training_part():
    s = scored(rows(2), {"x": [NAN, 6.0], "y": [8.0, NAN], "n": [NAN, 4.0]})
    assert s["p"]["baseline"] == 10 and s["n"]["baseline"] == 3


def test_the_table_for_people_has_predictions_first_and_keeps_groups():
    errors = {"p_error": [5.0], "n_error": [1.0]}
    frame = pd.DataFrame({**rows(1), "image": ["a"], "path": ["/x/a"], "group": ["g"], **errors})
    told = metrics.predictions_table(POINT, frame)
    assert list(told.columns) == ["image", "x", "y", "n", "x_true", "y_true", "n_true", "p_error", "n_error", "group"]
    assert told.loc[0, ["x", "x_true"]].tolist() == [3, 0]


def test_a_point_that_training_never_saw_has_no_guess_and_no_number_that_is_none():
    """Scores are written as JSON, which knows no NaN; nobody wants numpy's warnings."""
    task = Task("p", (Point("p", ("ax", "ay", "bx", "by")),))
    frame = {c + end: [1.0, 2.0] for c in ("ax", "ay", "bx", "by") for end in ("", "_predicted")}
    trained = {"ax": [5.0], "ay": [1.5], "bx": [NAN], "by": [NAN]}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        s = scored(frame, trained, task)
    json.dumps(s, allow_nan=False)
    assert s["p"]["columns"]["ax"]["baseline"] == 3.5 and "baseline" not in s["p"]["columns"]["bx"]
    assert s["p"]["baseline"] == pytest.approx(np.hypot([4, 3], 0.5).mean(), abs=1e-6)
    assert s["p"]["columns"]["bx"]["mean"] == 0


def scored_number(true, off, **of):
    """Scores of a plain number with these labels and errors."""
    number = Number("price", ("price",), "€", low=1.0, high=1e6, **of)
    true, off = np.asarray(true, float), np.asarray(off, float)
    result = pd.DataFrame({"price": true, "price_predicted": true + off, "price_error": np.abs(off)})
    return metrics.score(Task("t", (number,)), result, result[["price"]])["price"]


def test_the_error_over_the_range_of_a_number():
    s = scored_number([0, 1, 2, 9, 10], [1, 1, 1, 3, -5])["range"]
    assert s == [{"low": 0.0, "high": 2.0, "n": 2, "mean": 1.0}, {"low": 2.0, "high": 4.0, "n": 1, "mean": 1.0},
                 {"low": 8.0, "high": 10.0, "n": 2, "mean": 4.0}]
    s = scored_number([10, 100, 1000, 1e4, 1e5, 1e6], np.ones(6), scale="log")["range"]
    assert [part["n"] for part in s] == [1, 1, 1, 1, 2] and s[0]["high"] == pytest.approx(100)
    assert scored_number([5, 5], [1, 2])["range"] == [{"low": 5.0, "high": 5.0, "n": 2, "mean": 1.5}]


# how sure, and how much of the spread is explained

def test_the_interval_of_the_mean_error_by_pictures_or_by_groups():
    error = np.random.default_rng(0).random(60)
    frame = {"n": np.zeros(60), "n_predicted": error}
    task = Task("t", (Number("n", ("n",), low=-9.0, high=9.0),))
    low, high = scored(frame, task=task)["n"]["ci"]
    assert low < error.mean() < high and high - low == pytest.approx(3.92 * error.std() / 60**0.5, rel=0.15)
    assert scored({**frame, "image": np.repeat(list("abcd"), 15)}, task=task)["n"].get("ci") is None
    error = np.repeat(np.linspace(0, 1, 12), 5)
    by_group = scored({**frame, "n_predicted": error, "group": np.repeat(list("abcdefghijkl"), 5)}, task=task)["n"]
    assert np.ptp(by_group["ci"]) > 1.7 * np.ptp(scored({**frame, "n_predicted": error}, task=task)["n"]["ci"])
    assert "ci" not in scored({"n": np.zeros(4), "n_predicted": np.ones(4)}, task=task)["n"]


def test_the_part_of_the_spread_that_is_explained():
    true = np.array([1.0, 2, 3, 4, 5])
    assert scored_number(true, np.zeros(5))["r2"] == 1
    assert scored_number(true, [1, -1, 1, -1, 0])["r2"] == pytest.approx(1 - 4 / 10)
    assert scored_number(true, 3 - true)["r2"] == 0 and scored_number(true, true * 0 + 9)["r2"] < -10
    assert "r2" not in scored_number([5, 5], [1, 2])
    task = Task("p", (Point("p", ("x", "y")), *ANGLE.targets, Rotation("r", ("yaw", "pitch", "roll"))))
    frame = {c + end: true for c in task.columns for end in ("", "_predicted")}
    s = scored({**frame, "y_predicted": true + 1, "x": [1.0, NAN, 3, 4, 5]}, task=task)
    assert s["p"]["columns"]["x"]["r2"] == 1 and s["p"]["columns"]["y"]["r2"] == pytest.approx(1 - 4 / 8.75)
    assert not any("r2" in of for of in (s["p"], s["angle"], s["r"], *s["r"]["columns"].values()))


def test_the_other_scores_in_a_line():
    s = {"unit": "°", "n": 9, "mean": 0.2, "ci": [0.161, 0.2349], "r2": 0.98765, "median": 0.1, "bias": -0.01}
    assert metrics.format_details(s) == "mean 95 % between 0.161° and 0.235°  R² 0.988  median 0.1°  bias -0.01°"
    assert metrics.format_details({"unit": "", "n": 0}) == ""


@pytest.mark.parametrize(("mean", "guess", "words"), [
    (1.0, 2.0, ""), (1.7, 2.0, "hardly better than guessing"), (2.0, 2.0, "no better than guessing"),
    (2.5, 2.0, "no better than guessing"), (1.0, 0.0, ""), (float("nan"), 2.0, ""),
])
def test_a_mean_error_is_compared_with_that_of_guessing_in_words(mean, guess, words):
    assert metrics.describe_guessing(mean, guess) == words
