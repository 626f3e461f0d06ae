"""Targets of a table for which none were named: found by names and values, told in a line each, never an id."""
import re
import sys

import numpy as np
import pandas as pd
import pytest

from imgreg_fastai.data.infer_targets import infer_targets
from imgreg_fastai.tasks import Angle, Number, Point, Rotation, parse_for_table
from imgreg_fastai.utils.messages import ImgregError

N = 60
R = np.random.default_rng(0)


def px(*columns, high=200.0):
    return {column: R.uniform(0, high, N) for column in columns}


def inferred(**columns):
    """What is inferred of the columns, each spec read again as --target is."""
    frame = pd.DataFrame({"image": [f"{i}.jpg" for i in range(N)], **columns})
    specs, messages = infer_targets(frame, "image")
    assert all("\n" not in line for line in messages)
    return [parse_for_table(spec, list(frame)) for spec in specs], messages


def line(told, about):
    """The one line that begins with these words."""
    found = [t for t in told if t.startswith(about)]
    assert len(found) == 1, told
    return found[0]


def test_a_number_among_columns_that_are_none():
    found, told = inferred(
        age=R.integers(1, 90, N), id=R.permutation(N), photo_id=R.uniform(0, 1, N), serial=R.permutation(N) + 1000,
        scan=np.arange(N) * 7 + 3, species=R.choice(["cat", "dog", "emu"], N), ok=R.choice([True, False], N),
        gender=R.integers(0, 2, N), stars=R.integers(1, 6, N), person=R.integers(1, 16, N), flat=3.5, empty=np.nan,
        note=[f"seen by {i}" for i in range(N)], split="train", group="g", path="x",
        date=pd.date_range("2020", periods=N))
    assert found == [Number("age", ("age",))]
    for column, why in {"id": "an id", "photo_id": "an id", "serial": "all different.*an id", "scan": "an id",
                        "species": r"a class \(cat, dog, emu\).*--group species", "ok": r"a class \(False, True\)",
                        "gender": "a class", "stars": "5 different whole numbers.*a class", "person": "a group, 15",
                        "flat": "3.5 in every row", "empty": "it is empty", "note": "words", "date": "words"}.items():
        assert re.search(why, line(told, f"left out {column}:"))
    for column in ("id", "gender", "stars", "person", "flat"):
        assert f"--target {column} predicts it all the same" in line(told, f"left out {column}:")
    assert line(told, "predicting age: a plain number (--target NAME")
    assert not [t for t in told if any(f"{c}:" in t for c in ("split", "group", "path", "image"))]


@pytest.mark.parametrize(("column", "values"), [
    ("price", R.permutation(np.arange(N) * 7919 + 50_000)), ("price", np.sort(R.choice(10**6, N, replace=False))),
    ("tilt", R.choice([-90, -60, -30, -15, 0, 15, 30, 60, 90], N)), ("weight", R.uniform(0, 1, N)),
    ("age", [str(v) if i % 5 else "unknown" for i, v in enumerate(R.integers(1, 90, N))]),
    ("score", pd.array([None, *R.uniform(0, 9, N - 1)], dtype="Float64")), ("x_ray_dose", R.uniform(0, 9, N)),
    ("Größe in cm", R.uniform(0, 9, N)), ("idle", R.uniform(0, 9, N)),
])
def test_what_is_measured_is_a_number(column, values):
    assert inferred(**{column: values})[0] == [Number(column, (column,))]


# points

def test_many_points_of_one_pattern_are_one_target():
    found, told = inferred(**px(*(f"p{i:02}_{axis}" for i in range(68) for axis in "xy")))
    (face,) = found
    assert isinstance(face, Point) and face.name == "points" and face.n == 68 and face.names[67] == "p67"
    assert "68 points: p00, p01, p02, p03 and 64 more" in line(told, "predicting points")


@pytest.mark.parametrize(("columns", "points"), [
    (("left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y", "nose_x", "nose_y"), {"points": 3}),
    (("x1", "y1", "x2", "y2"), {"points": 2}), (("tip_x", "tip_y", "centre_x", "centre_y"), {"tip": 1, "centre": 1}),
    (("x", "y"), {"point": 1}), (("cx", "cy"), {"point": 1}), (("noseX", "noseY"), {"nose": 1}),
    (("a_x", "a_y", "b_x", "b_y", "c_x", "c_y", "d_x", "d_y"), {"points": 4}), (("y_nose", "x_nose"), {"nose": 1}),
    (("left_ear_x", "left_ear_y"), {"left_ear": 1}), (("X", "Y", "tip_x", "tip_y"), {"points": 2}),
])
def test_pairs_of_x_and_y_are_points(columns, points):
    found, told = inferred(**px(*columns))
    assert {t.name: t.n for t in found} == points and all(isinstance(t, Point) for t in found)
    for target in found:
        assert [c.lower().replace("x", "y") for c in target.columns[::2]] == [c.lower() for c in target.columns[1::2]]
        assert "--target" in line(told, f"predicting {target.name},")


def test_a_point_whose_name_is_a_columns_goes_by_another():
    found, _ = inferred(**px("nose_x", "nose_y", "nose", "points"))
    assert [t.name for t in found] == ["places", "nose", "points"] and isinstance(found[0], Point)


@pytest.mark.parametrize("columns", [("x", "y", "z"), ("tip_x", "length"), ("max", "min"), ("box_width", "ex", "why")])
def test_what_is_no_pair_is_no_point(columns):
    found, _ = inferred(**px(*columns))
    assert not any(isinstance(t, Point) for t in found)


def test_parts_of_the_picture_are_points_whose_unit_is_checked_later():
    found, _ = inferred(**px("nose_x", "nose_y", high=1.0), age=R.uniform(0, 9, N))
    assert [(t.name, t.kind) for t in found] == [("nose", "point"), ("age", "number")]


def test_visibilities_belong_to_their_points():
    found, told = inferred(**px("nose_x", "nose_y", "x1", "y1"), nose_v=R.integers(0, 3, N), v1=R.integers(0, 2, N),
                           cap_v=R.uniform(0, 3, N))
    assert [t.name for t in found] == ["points", "cap_v"]  # which has no x and y
    assert "visible" in line(told, "left out nose_v, v1")
    found, _ = inferred(**px("nose_x", "nose_y"), nose_v=R.uniform(0, 3, N))  # its speed
    assert [t.name for t in found] == ["nose", "nose_v"]


def test_the_option_for_a_box_names_its_columns_and_its_format():
    assert "(--box xmin,ymin,xmax,ymax --box-format xyxy looks" in line(inferred(**px("xmin", "ymin", "xmax", "ymax",
                                                                                     "age"))[1], "left out")
    assert "(--box 'my cx,my cy,my w,my h' looks" in line(inferred(**px("my cx", "my cy", "my w", "my h", "age"))[1],
                                                           "left out")


@pytest.mark.parametrize("box", [
    ("x", "y", "w", "h"), ("cx", "cy", "width", "height"), ("box_x", "box_y", "box_w", "box_h"), ("bbox", "bbox_2"),
    ("xmin", "ymin", "xmax", "ymax"), ("left", "top", "right", "bottom"), ("head_cx", "head_cy", "head_w", "head_h"),
    ("x_min", "y_min", "x_max", "y_max"), ("width", "height"), ("image_width", "image_height"), ("img_w", "img_h"),
    ("head_cx_px", "head_cy_px", "head_w_px", "head_h_px"),
])
def test_boxes_and_sizes_are_left_out(box):
    found, told = inferred(**px(*box, "age"))
    assert [t.name for t in found] == ["age"]
    assert "--box" in line(told, f"left out {', '.join(box)}: a box")


def test_a_leaf_has_a_width_and_a_height_of_its_own():
    assert [t.name for t in inferred(**px("leaf_width", "leaf_height"))[0]] == ["leaf_width", "leaf_height"]


# rotations and angles

def test_yaw_pitch_and_roll_are_a_rotation_in_whatever_order_they_stand():
    found, told = inferred(roll=R.uniform(-60, 60, N), yaw=R.uniform(-60, 60, N), pitch=R.uniform(-60, 60, N))
    assert found == [Rotation("pose", ("yaw", "pitch", "roll"))] and "--target yaw" in line(told, "predicting pose")
    three = {f"{part}_{axis}_deg": R.uniform(-60, 60, N)
             for part in ("head", "gaze") for axis in ("yaw", "pitch", "roll")}
    found, _ = inferred(**three)
    assert [t.columns for t in found] == [tuple(three)[:3], tuple(three)[3:]] and len({t.name for t in found}) == 2
    assert all(isinstance(t, Number) for t in inferred(yaw=R.uniform(-60, 60, N), pitch=R.uniform(-60, 60, N))[0])


def test_radians_are_said_and_taken_as_they_are():
    found, told = inferred(**{axis: R.uniform(-1.5, 1.5, N) for axis in ("yaw", "pitch", "roll")})
    assert all(isinstance(t, Number) for t in found)
    assert "--target pose=yaw,pitch,roll:rotation=radians is a rotation" in line(told, "yaw, pitch and roll")


@pytest.mark.parametrize(("column", "low", "high", "period"), [
    ("heading", 0, 359.9, 360), ("angle", 0, 179.9, 180), ("needle_angle", 0, 300, 360), ("orientation", 5, 170, 180),
    ("bearing", 0, 150, 360), ("windDirection", 0, 90, 360), ("azimuth", 0, 359, 360),
    ("angle", -30, 30, None), ("heading", 0, 720, None), ("angle", 0, 6.2, None), ("triangle", 0, 170, None),
])
def test_angles_go_round_where_name_and_values_say_so(column, low, high, period):
    found, told = inferred(**{column: np.linspace(low, high, N)})
    assert found == [Angle(column, (column,), period=period) if period else Number(column, (column,))]
    if period:
        assert f"--target {column}:number" in line(told, f"predicting {column} as angle{period}")
    elif column != "triangle":
        kind = "angle:radians" if high < 7 else "angle360"
        assert f"--target {column}:{kind}" in line(told, f"{column} is taken as a plain number")


# nothing

@pytest.mark.parametrize(("columns", "told"), [
    ({"id": range(N), "stars": R.integers(1, 6, N)}, "--target NAME.*found id, stars$"),
    ({"species": ["cat", "dog"] * (N // 2)},
     r"a column of numbers to predict; found none among image, species; left out species: .* a class \(cat, dog\)"),
    ({}, "found none among image"), ({"flat": 1.0}, "found flat"),
])
def test_where_nothing_is_to_be_predicted_one_line_names_the_columns_of_numbers(columns, told):
    with pytest.raises(ImgregError, match=told) as e:
        inferred(**columns)
    assert "\n" not in str(e.value)


def test_names_with_the_signs_of_target_are_written_in_quotes_and_can_be_typed():
    names = ["a:b", "a=b", "T, mean (°C)", "*", 'the "best"=1', "it's: odd", "b"]
    found, told = inferred(**{name: R.uniform(0, 1, N) for name in names})
    assert found == [Number(name, (name,)) for name in names]
    found, told = inferred(**px("a:x", "a:y"), **{"id:": range(N)})
    assert [t.columns for t in found] == [("a:x", "a:y")]
    assert """--target '"id:"' predicts it all the same""" in line(told, "left out id:")


def calls(n):
    """How many functions are called to infer the targets of `n` rows; C functions count, too."""
    frame = pd.DataFrame({"image": "a.jpg", **{f"p{i}_{a}": np.arange(n) % 97 / 2 for i in range(4) for a in "xy"}})
    events = []
    sys.setprofile(lambda _, event, __: events.append(event))
    try:
        specs, _ = infer_targets(frame, "image")
    finally:
        sys.setprofile(None)
    assert specs[0].startswith("points=")
    return len(events)


def test_columns_are_read_whole_and_not_row_by_row():
    calls(1_000)  # what is imported and cached on the way is so once
    assert calls(300_000) < 1.1 * calls(1_000)
