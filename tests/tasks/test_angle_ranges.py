"""Angles are answered where they were labelled, whatever their period and unit."""
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from imgreg_fastai.tasks import Angle, Motion, parse_target, period_start, target_from_dict
from imgreg_fastai.utils.messages import ImgregError

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(("kind", "low", "high", "start"), [
    ("angle360", 0, 360, 0), ("angle360", -180, 180, -180), ("angle360", -90, 270, -90), ("angle360", -350, -10, -360),
    ("angle180", -90, 90, -90), ("angle180", 0, 180, 0), ("angle:12", 1, 12, 0), ("angle:24", 0, 23.9, 0),
    ("angle:radians", -3.1, 3.1, -math.pi), ("angle:pi", 0, 3.1, 0), ("angle360", 20, 40, 0),
    ("angle360", -30, 30, -180),
])
def test_what_is_predicted_and_averaged_lies_where_the_labels_do(kind, low, high, start):
    labels = RNG.uniform(low, high, (500, 1))
    target = parse_target(f"a:{kind}").complete(labels)
    assert target.start == pytest.approx(start) and target.complete(labels) == target
    decoded = target.decode(target.encode_labels(torch.from_numpy(labels)).numpy())
    np.testing.assert_allclose(decoded, labels, atol=1e-9)
    np.testing.assert_allclose(target.average(np.stack([labels, labels])), labels, atol=1e-9)
    assert target_from_dict(target.to_dict()) == target


@given(st.floats(-1e4, 1e4), st.sampled_from([-180.0, 0.0, -90.0, 90.0]))
def test_a_prediction_is_never_outside_its_period(value, start):
    target = Angle("a", ("a",), start=start)
    decoded = target.decode(target.encode_labels(torch.tensor([[value]], dtype=torch.float64)).numpy())
    assert start <= decoded[0, 0] < start + 360
    assert target.error(decoded, np.array([[value]]))[0] < 1e-6


def test_a_few_labels_beyond_the_range_do_not_move_it():
    values = np.append(RNG.uniform(-180, 180, 200), [190.0, 359.0])
    assert period_start(values, 360.0) == -180 and period_start(np.append(RNG.uniform(0, 360, 200), -3.0), 360.0) == 0


@pytest.mark.parametrize(("spec", "period", "unit"), [
    ("angle:12", 12, ""), ("angle:360", 360, "°"), ("angle:180", 180, "°"), ("angle:radians", math.tau, "rad"),
    ("angle:2pi", math.tau, "rad"), ("angle:tau", math.tau, "rad"), ("angle:pi", math.pi, "rad"),
    ("angle:0.5", 0.5, ""),
    ("angle=24", 24, ""), ("angle: 7 ", 7, ""), ("angle360", 360, "°"),
])
def test_periods_as_they_are_written(spec, period, unit):
    assert parse_target(f"hour:{spec}") == Angle("hour", ("hour",), unit=unit, period=period)


@pytest.mark.parametrize("spec", ["angle", "angle:", "angle:0", "angle:-5", "angle:nan", "angle:inf", "angle:x",
                                  "angle:1e999"])
def test_a_period_of_no_use_is_refused_with_an_example(spec):
    with pytest.raises(ImgregError, match=r"angle:PERIOD with a number above 0.*angle:12 for the hours"):
        parse_target(f"hour:{spec}")


@pytest.mark.parametrize(("kind", "low", "high", "hint"), [
    ("angle:12", 0, 24, "--target hour:angle:24"), ("angle180", 0, 359, "--target hour:angle360"),
    ("angle:radians", 0, 359, "--target hour:angle360"), ("angle:pi", -3.1, 3.1, "--target hour:angle:radians"),
    ("angle360", -3.1, 3.1, "--target hour:angle:radians"), ("angle180", 0, 3.1, "--target hour:angle:pi"),
])
def test_labels_of_another_period_are_told_with_the_kind_that_reads_them(kind, low, high, hint):
    issues = list(parse_target(f"hour:{kind}").outliers(np.linspace(low, high, 300)[:, None]))
    assert len(issues) == 1 and hint in issues[0].hint and issues[0].level == "note"


@pytest.mark.parametrize(("kind", "low", "high"), [
    ("angle:12", 0, 12), ("angle:12", -6, 6), ("angle360", -180, 180), ("angle360", 0, 5), ("angle:radians", -3.1, 3.1),
    ("angle:24", 0, 6), ("angle180", -90, 90), ("angle:100", 0, 100),
])
def test_ordinary_angles_raise_no_issue(kind, low, high):
    assert not list(parse_target(f"hour:{kind}").outliers(np.linspace(low, high, 300)[:, None]))


def test_words_fit_the_period():
    values = np.append(np.linspace(0, 12, 100), 30.0)[:, None]
    [issue] = parse_target("hour:angle:12").outliers(values)
    assert issue.text == "hour outside 0 to 12" and issue.hint == "it is taken as the same angle within a period of 12"


def test_an_angle_in_the_plane_in_radians_moves_as_one_in_degrees():
    degrees = Angle("a", ("a",), in_plane=True, start=-180.0)
    radians = Angle("a", ("a",), in_plane=True, unit="rad", period=math.tau, start=-math.pi)
    one, values = np.ones(50), RNG.uniform(-180, 180, (50, 1))
    motion = Motion(RNG.integers(0, 2, 50) * 1.0, RNG.uniform(0, 360, 50), one, np.zeros((50, 2)))
    moved = degrees.transform_labels(values, motion)
    np.testing.assert_allclose(np.rad2deg(radians.transform_labels(np.deg2rad(values), motion)), moved)
    assert (moved >= -180).all() and (moved < 180).all()


@pytest.mark.parametrize(("kind", "unit", "told"), [
    ("angle360", "rad", "degrees as the unit of 'a'; found 'rad'; try --target a:angle:radians"),
    ("angle180", "Radians", "try --target a:angle:pi"), ("angle:radians", "°", "try --target a:angle360"),
    ("rotation", "rad", "try --target a=yaw,pitch,roll:rotation=radians"),
    ("rotation=YXZ,radians", "deg", "try --target a=yaw,pitch,roll:rotation=YXZ"),
])
def test_a_unit_that_contradicts_the_kind_is_refused_with_the_other_kind(kind, unit, told):
    with pytest.raises(ImgregError, match=told.replace("(", r"\(")):
        parse_target(f"a:{kind}").with_unit(unit)
    assert parse_target("a:angle:24").with_unit("h").unit == "h"
    assert parse_target("a:angle360").with_unit("degrees").unit == "°"
