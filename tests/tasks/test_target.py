"""Targets: what is encoded comes back, laws hold against first principles, rubbish is refused in a line."""
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgreg_fastai import tasks
from imgreg_fastai.tasks import ANGLE, MOVES, Angle, Motion, Number, Point, Rotation, parse_target
from imgreg_fastai.utils.messages import ImgregError

BAR = ANGLE.targets[0]
AGE = Number("age", ("age",), "years")
EYES = Point("eyes", ("lx", "ly", "rx", "ry"), follows=True, flip_pairs=((0, 1),))
HEAD = Rotation("head", ("yaw", "pitch", "roll"), camera_frame=True)
PERIODS = st.sampled_from([180.0, 360.0])
DEGREES = st.floats(-1000, 1000)
few = settings(max_examples=100, deadline=None)


def angle(period=360.0, **of):
    return Angle("a", ("a",), period=period, **of)


def on_circle(degrees, period):
    theta = 2 * np.pi * np.asarray(degrees, float) / period
    return np.stack([np.cos(theta), np.sin(theta)], axis=1)


def apart(a, b, period):
    """The distance of two angles, by the chord between their points on the circle."""
    chord = np.linalg.norm(on_circle(np.atleast_1d(a), period) - on_circle(np.atleast_1d(b), period), axis=1)
    return 2 * np.arcsin(np.clip(chord / 2, 0, 1)) * period / (2 * np.pi)


# parse: NAME[=COL,COL...][:KIND]

@pytest.mark.parametrize(("text", "target"), [
    ("age", Number("age", ("age",))),
    ("age:number", Number("age", ("age",))),
    ("age=years_old", Number("age", ("years_old",))),
    ("age=years old:number", Number("age", ("years old",))),
    ("roll:angle360", Angle("roll", ("roll",), period=360.0)),
    ("bar=tilt:angle180", Angle("bar", ("tilt",), period=180.0)),
    ("eye:point", Point("eye", ("eye_x", "eye_y"))),
    ("eyes=a,b,c,d:point", Point("eyes", ("a", "b", "c", "d"))),
    ("head:rotation", Rotation("head", ("yaw", "pitch", "roll"))),
    ("head=a,b,c:rotation", Rotation("head", ("a", "b", "c"))),
    ("head=a,b,c:rotation=ZYX", Rotation("head", ("a", "b", "c"), sequence="ZYX")),
])
def test_parse(text, target):
    assert parse_target(text) == target


@pytest.mark.parametrize(("text", "told"), [
    ("age:numbr", "number, angle180, angle360.*'age:numbr'"), ("age:number:x", "KIND"), ("age:Number", "KIND"),
    ("", "a name and one column"), ("=age", "a name"), (":number", "a name"), (" ", "a name"),
    ("age=a,b", "one column.*'a', 'b'"), ("age=,", "one column"), ("age= ", "one column"),
    ("p=a,b,c:point", "columns for x and y of each point"), ("p=a:point", "x and y"), ("p=a, :point", "x and y"),
    ("r=a,b:rotation", "three columns of angles"), ("r:rotation=XXY", "a sequence of axes"),
    ("r:rotation=XyZ", "a sequence of axes"), ("p:point=XYZ", "KIND"), ("r:rotation=Q", "a sequence of axes"),
])
def test_parse_refuses(text, told):
    with pytest.raises(ImgregError, match=told):
        parse_target(text)


def test_a_known_name_is_the_tasks_own_target_unless_a_kind_is_given():
    assert parse_target("angle", ANGLE.targets) is BAR
    assert parse_target("angle=tilt", ANGLE.targets) == replace(BAR, columns=("tilt",))
    assert parse_target("angle:number", ANGLE.targets) == Number("angle", ("angle",), "°", low=0.0, high=180.0)
    assert parse_target("angle:angle360", ANGLE.targets) == Angle("angle", ("angle",), period=360.0)
    known = (Number("weight", ("mass",), "kg", 0, 9),)
    assert parse_target("weight:number", known) == known[0]  # the kind it has anyway
    assert parse_target("eyes=a,b,c,d", (EYES,)) == replace(EYES, columns=("a", "b", "c", "d"))
    assert parse_target("head=a,b,c", (HEAD,)) == replace(HEAD, columns=("a", "b", "c"))
    with pytest.raises(ImgregError, match="flip_pairs"):  # a point less than the pairs speak of
        parse_target("eyes=a,b", (EYES,))
    with pytest.raises(ImgregError, match=r"targets: angle; found 'angel'; try 'angle'"):
        parse_target("angel", ANGLE.targets)


# Number

@few
@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6), st.lists(st.floats(-2, 2), min_size=1, max_size=5))
def test_a_number_comes_back(low, span, encoded):
    number = Number("n", ("n",), low=low, high=low + span)
    encoded = np.array(encoded)[:, None]
    units = number.decode(encoded)
    assert units.shape == encoded.shape
    assert number.encode_labels(units) == pytest.approx(encoded, abs=1e-9 * (1 + abs(low) / span))


def test_a_numbers_ends_are_minus_1_and_1():
    number = Number("n", ("n",), low=10, high=30)
    assert number.encode_labels(np.array([[10.0], [20], [30], [40]])).ravel().tolist() == [-1, 0, 1, 2]
    assert number.decode(np.float32([[-1], [1]])).ravel().tolist() == [10, 30]


def test_a_number_takes_from_the_data_what_was_not_given():
    values, linear = np.array([[5.0], [7.0], [np.nan], [6.0]]), replace(AGE, scale="linear")
    assert AGE.complete(values) == replace(linear, low=4.5, high=7.5)
    assert replace(AGE, low=0.0).complete(values) == replace(linear, low=0.0, high=8.75)
    assert replace(AGE, high=105.0).complete(values) == replace(linear, low=0.0, high=105.0)  # no age below 0 was seen
    given_both = replace(linear, low=0.0, high=1.0)
    assert given_both.complete(values) is given_both == replace(AGE, low=0.0, high=1.0).complete(values)
    with pytest.raises(ImgregError, match="'age' whose values differ; found 3 in every row"):
        AGE.complete(np.full((4, 1), 3.0))
    with pytest.raises(ImgregError, match="low below high"):
        replace(AGE, low=10.0).complete(values)


def test_a_numbers_errors():
    predicted, true = np.array([[3.0], [1.0]]), np.array([[1.0], [4.0]])
    assert AGE.residual(predicted, true).ravel().tolist() == [2, -3]
    assert AGE.error(predicted, true).tolist() == [2, 3]
    assert AGE.constant_guess(np.array([[1.0], [np.nan], [4.0]])).tolist() == [2.5]
    assert AGE.moves == ()


# Angle

@few
@given(st.lists(DEGREES, min_size=1, max_size=5), PERIODS, st.floats(0.05, 3))
def test_an_angle_comes_back_within_its_period_whatever_the_outputs_length(values, period, length):
    decoded = angle(period).decode(length * on_circle(values, period))
    assert decoded.shape == (len(values), 1)
    assert ((decoded >= 0) & (decoded < period)).all()
    assert apart(decoded.ravel(), values, period).max() < 1e-5


@few
@given(st.floats(-1.2, 1.2), st.floats(-1.2, 1.2), PERIODS)
def test_decode_never_returns_the_period(cos, sin, period):
    assert 0 <= angle(period).decode([[cos, sin]])[0, 0] < period


@pytest.mark.parametrize("sin", [-1e-18, -5e-324, -0.0, -1e-300])
def test_just_below_0_is_0_and_not_the_period(sin):
    assert angle(180.0).decode([[1, sin]])[0, 0] == 0


def test_decode_of_the_quarters():
    quarters = np.array([[1, 0], [0, 1], [-1, 0], [0, -1]])
    assert angle(360.0).decode(quarters).ravel() == pytest.approx([0, 90, 180, 270])
    assert angle(180.0).decode(quarters).ravel() == pytest.approx([0, 45, 90, 135])


@pytest.mark.parametrize(("period", "predicted", "true", "residual"), [
    (180.0, 179, 1, -2), (180.0, 1, 179, 2), (180.0, 45, 0, 45), (180.0, 90, 0, -90), (360.0, 350, 10, -20),
    (360.0, 10, 350, 20), (360.0, 180, 0, -180), (360.0, 90, 0, 90), (360.0, 721, 0, 1),
])
def test_a_residual_goes_the_short_way_round(period, predicted, true, residual):
    predicted, true = np.array([[float(predicted)]]), np.array([[float(true)]])
    assert angle(period).residual(predicted, true)[0, 0] == pytest.approx(residual)
    assert angle(period).error(predicted, true) == pytest.approx([abs(residual)])


@few
@given(DEGREES, DEGREES, PERIODS)
def test_residuals_lead_from_truth_to_prediction_by_at_most_half_a_period(predicted, true, period):
    rest = angle(period).residual(predicted, true)
    assert abs(rest) <= period / 2
    assert apart(true + rest, predicted, period)[0] < 1e-5
    assert abs(rest) == pytest.approx(apart(predicted, true, period)[0], abs=1e-5)


@few
@given(st.floats(0, 360), PERIODS, st.floats(0, 40), st.integers(1, 6))
def test_the_circular_mean_lies_in_the_middle_wherever_the_seam_is(middle, period, spread, n):
    around = spread * np.linspace(-1, 1, 2 * n + 1)
    centre = angle(period).constant_guess((middle + around)[:, None] % period)
    assert centre.shape == (1,) and apart(centre, middle, period)[0] < 1e-5


def test_the_circular_mean_skips_what_is_unknown():
    assert apart(angle(180.0).constant_guess([[170.0], [np.nan], [20.0]]), 5, 180.0)[0] < 1e-6


def seen(target, value):
    """The direction in which a label points on the upright image, x to the right and y upwards, by the definition."""
    phi = math.radians(target.zero + (-value if target.clockwise else value))
    return np.array([math.cos(phi), math.sin(phi)])


@few
@given(PERIODS, st.booleans(), st.floats(-360, 360), st.floats(0, 360), st.booleans(), st.floats(-360, 360))
def test_a_label_moves_as_a_unit_vector_does(period, clockwise, zero, value, mirrored, turn):
    target = angle(period, in_plane=True, zero=zero, clockwise=clockwise)
    vector = seen(target, value) * ([-1, 1] if mirrored else [1, 1])
    c, s = math.cos(math.radians(turn)), math.sin(math.radians(turn))
    expected = np.array([[c, -s], [s, c]]) @ vector  # counterclockwise as seen
    how = Motion(np.array([float(mirrored)]), np.array([turn]), np.array([1.3]), np.array([[0.1, -0.2]]), 1.5)
    moved = target.transform_labels(np.array([[value]]), how)[0, 0]
    assert 0 <= moved <= period
    got = seen(target, moved)
    if period == 180:  # an orientation has no head: both ends are as good
        got = got * (np.sign(got @ expected) or 1)
    assert got == pytest.approx(expected, abs=1e-7)


def test_each_picture_has_its_own_motion_and_a_missing_angle_stays_missing():
    how = Motion(np.array([0.0, 1.0, 1.0]), np.array([90.0, 0.0, 5.0]), np.ones(3), np.zeros((3, 2)))
    moved = BAR.transform_labels(np.array([[10.0], [100.0], [np.nan]]), how)
    assert moved.shape == (3, 1) and moved[:2].ravel().tolist() == [100, 80] and np.isnan(moved[2, 0])


def test_only_an_angle_in_the_pictures_plane_has_a_law():
    assert angle().moves == () and angle(in_plane=True).moves == MOVES == BAR.moves


@pytest.mark.parametrize("of", [
    {"period": 0}, {"period": -180.0}, {"period": "180"}, {"period": math.inf}, {"zero": math.nan}, {"zero": None},
])
def test_an_angle_of_no_use_is_refused(of):
    with pytest.raises(ImgregError, match="period, zero and start of 'a'"):
        Angle("a", ("a",), **of)


@pytest.mark.parametrize("ends", [(1, 1), (2, 1), (math.nan, 1), (0, math.inf), ("0", 1)])
def test_a_number_of_no_use_is_refused(ends):
    with pytest.raises(ImgregError, match="low and high of 'n'"):
        Number("n", ("n",), low=ends[0], high=ends[1])


# rubbish

JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
                    max_leaves=8)


def some_rubbish(fields: dict):
    """`fields` with some of them replaced, lacking or added."""
    changed = st.fixed_dictionaries({}, optional={name: st.just(value) | JSON for name, value in fields.items()})
    return changed | st.builds(lambda value, key, of: {**value, key: of}, st.just(fields),
                               st.sampled_from([*fields, "more"]), JSON)


@settings(max_examples=400, deadline=None)
@given(JSON | some_rubbish(BAR.to_dict()) | some_rubbish(AGE.to_dict()) | some_rubbish(EYES.to_dict())
       | some_rubbish(HEAD.to_dict()))
def test_a_target_out_of_rubbish_is_a_target_or_one_error(fields):
    try:
        target = tasks.target_from_dict(fields)
    except ImgregError as e:
        assert "\n" not in str(e)
    else:
        assert isinstance(target, (Number, Angle, Point, Rotation)) and target.n_out > 0
