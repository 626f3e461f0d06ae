"""One answer out of several: each kind's own mean, of what is known."""
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation as R

from imgreg_fastai.tasks import Angle, Number, Point, Rotation

NAN = np.nan
PRICE = Number("price", ("price",), low=1.0, high=1000.0, scale="log")
POSE = Rotation("pose", ("yaw", "pitch", "roll"))
KINDS = [Number("n", ("n",), low=0.0, high=9.0), PRICE, Angle("a", ("a",), period=180.0),
         Point("p", ("x", "y", "u", "v")), POSE, Rotation("r", ("a", "b", "c"), sequence="zyx")]
angle = st.floats(-400, 400)


def average(target, *answers):
    """Of k answers to one image."""
    return target.average(np.array(answers, float).reshape(len(answers), 1, -1))[0]


@pytest.mark.parametrize("target", KINDS, ids=lambda t: t.name)
def test_pictures_by_themselves_agreeing_answers_stay_and_unknown_ones_do_not_count(target):
    """[k, n, columns] -> [n, columns], without a warning."""
    values = np.random.default_rng(0).uniform(1, 60, (5, len(target.columns)))
    same = np.repeat(values[None], 4, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert target.error(target.average(same), values) == pytest.approx(0, abs=1e-6)
        same[1, 2], same[:, 3] = NAN, NAN
        found = target.average(same)
        assert target.average(same[:, :0]).shape == (0, len(target.columns))
    assert target.error(found[:3], values[:3]) == pytest.approx(0, abs=1e-6)
    assert np.isnan(found[3]).all() and np.isfinite(found[4]).all()


def test_numbers_have_the_plain_mean_and_logarithms_the_geometric_one():
    assert average(KINDS[0], 4, 100) == 52 and average(PRICE, 4, 100) == pytest.approx(20)
    assert average(PRICE, 4, 100, -3, 0) == pytest.approx(20)  # what has no logarithm does not count
    assert average(KINDS[0], 1e308, 1e308) == pytest.approx(1e308)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.floats(-5, 5), min_size=1, max_size=6), angle, st.sampled_from([180.0, 360.0]))
def test_angles_are_averaged_the_short_way_round_wherever_zero_lies(off, start, period):
    target = Angle("a", ("a",), period=period)
    found = average(target, *[(start + d) % period for d in off])
    assert 0 <= found[0] < period
    assert abs(target.residual(found, np.array([start + np.mean(off)])))[0] < 0.1  # vectors, not degrees, are averaged
    turned = average(target, *[(start + 77 + d) % period for d in off])
    assert target.residual(turned, found + 77) == pytest.approx(0, abs=1e-6)


def test_points_have_the_mean_of_each_coordinate_that_is_known():
    assert average(KINDS[3], (0, 1, 5, NAN), (4, 3, NAN, NAN)) == pytest.approx([2, 2, 5, NAN], nan_ok=True)


@settings(max_examples=100, deadline=None)
@given(st.tuples(angle, angle, angle), st.tuples(angle, angle, angle), st.floats(-1.2, 1.2))
def test_rotations_about_either_side_of_one_have_it_for_their_mean_in_any_frame(pose, frame, step):
    middle = R.from_euler("XYZ", pose, degrees=True)
    sides = [middle * R.from_rotvec([0, s * step, s * step / 2]) for s in (-1, 1)]
    turn = R.from_euler("XYZ", frame, degrees=True)
    for of in (R.identity(), turn):
        found = average(POSE, *(POSE.labels((of * side).as_matrix()[None])[0] for side in sides))
        assert POSE.error(found[None], POSE.labels((of * middle).as_matrix()[None]))[0] < 1e-3


def test_a_mean_of_rotations_is_the_centre_of_a_table_of_them():
    values = np.random.default_rng(1).uniform(-40, 40, (7, 3))
    assert POSE.average(values[:, None])[0] == pytest.approx(POSE.constant_guess(values))
    assert KINDS[2].average(values[:, None, :1])[0] == pytest.approx(KINDS[2].constant_guess(values[:, :1]))
