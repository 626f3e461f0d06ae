"""Rotations: the head-pose field's convention, the law under mirror and turn, and distances that need no convention."""
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation as R

from imgreg_fastai import tasks
from imgreg_fastai.tasks import Motion, Rotation, nearest_rotation
from imgreg_fastai.utils.messages import ImgregError

POSE = Rotation("pose", ("yaw", "pitch", "roll"), camera_frame=True)
SEQUENCES = ("", "ZYX", "xyz", "XYZ", "ZYZ", "yxz")
NAN = np.nan
many = settings(max_examples=100, deadline=None)
POSES = st.tuples(st.floats(-85, 85), st.floats(-85, 85), st.floats(-170, 170))


def motion(n=1, mirrored=0, turn=0.0):
    one = np.ones(n)
    return Motion(mirrored * one, turn * one, one, np.zeros((n, 2)))


def moved(pose, **how):
    return POSE.transform_labels(np.array([pose], float), motion(**how))[0]


def apart(a, b):
    """The angle in degrees between two matrices, by the trace: cos = (tr(A B^T) - 1) / 2."""
    return np.rad2deg(np.arccos(np.clip((np.trace(a @ b.T) - 1) / 2, -1, 1)))


# the convention

def test_the_fields_angles_of_a_known_pose():
    matrix = R.from_euler("xyz", (41.5, -62.1, -12.8), degrees=True).as_matrix()[None]
    assert POSE.labels(matrix)[0] == pytest.approx((-52.4, -54.9, 41.6), abs=0.05)
    assert Rotation("r", ("a", "b", "c"), sequence="xyz").labels(matrix)[0] == pytest.approx((41.5, -62.1, -12.8))
    # deep-head-pose's own formulas, on the transpose of the matrix they stand for
    r = matrix[0].T
    yaw, pitch = np.arctan2(r[2, 0], np.hypot(r[2, 1], r[2, 2])), np.arctan2(r[2, 1], r[2, 2])
    by_hand = yaw, pitch, -np.arctan2(r[1, 0], r[0, 0])
    assert np.rad2deg(by_hand) == pytest.approx(POSE.labels(matrix)[0])


@pytest.mark.parametrize(("pose", "nose"), [  # where a nose that points at the camera (0, 0, -1) is turned to
    ((30, 0, 0), (-0.5, 0, -np.sqrt(0.75))),  # yaw: to the image's left
    ((0, 30, 0), (0, -0.5, -np.sqrt(0.75))),  # pitch: up, and y grows downwards
    ((0, 0, 30), (0, 0, -1)),
])
def test_yaw_turns_a_face_to_the_left_pitch_up_and_roll_leaves_its_nose(pose, nose):
    assert POSE.matrix([pose])[0] @ (0, 0, -1) == pytest.approx(nose)


def test_roll_is_clockwise_as_seen():
    top_of_head = POSE.matrix([(0, 0, 30)])[0] @ (0, -1, 0)
    assert top_of_head == pytest.approx((0.5, -np.sqrt(0.75), 0))  # leans to the image's right


@pytest.mark.parametrize("sequence", SEQUENCES)
@many
@given(POSES)
def test_angles_and_matrices_lead_to_one_another(sequence, pose):
    target = Rotation("r", ("a", "b", "c"), sequence=sequence)
    matrix = target.matrix([pose])
    np.testing.assert_allclose(target.matrix(target.labels(matrix)), matrix, atol=1e-7)
    if sequence:
        expected = R.from_euler(sequence, pose, degrees=True).as_matrix()
    else:
        expected = R.from_euler("XYZ", [-pose[1], pose[0], pose[2]], degrees=True).as_matrix()
        assert target.labels(matrix)[0] == pytest.approx(pose, abs=1e-6)
    np.testing.assert_allclose(matrix[0], expected, atol=1e-12)


def test_gimbal_lock_is_still_the_same_rotation_without_a_warning(recwarn):
    matrix = POSE.matrix([(90.0, 20.0, 30.0)])
    np.testing.assert_allclose(POSE.matrix(POSE.labels(matrix)), matrix, atol=1e-7)
    assert not list(recwarn)


@pytest.mark.parametrize("sequence", ["XXY", "xyZ", "XY", "abc", "XYZX", 5, None, ["X", "Y", "Z"]])
def test_a_sequence_of_no_use_is_refused(sequence):
    with pytest.raises(ImgregError, match="a sequence of axes such as XYZ"):
        replace(POSE, sequence=sequence)


def test_columns_outputs_and_json():
    assert (POSE.n_out, POSE.unit, POSE.moves) == (9, "°", ("flip", "quarter", "turn"))
    assert replace(POSE, camera_frame=False).moves == ()
    other = replace(POSE, sequence="ZYX", camera_frame=False)
    for target in (POSE, other):
        assert tasks.target_from_dict(json.loads(json.dumps(target.to_dict()))) == target
    with pytest.raises(ImgregError, match="three columns of angles"):
        Rotation("r", ("a", "b"))


# the law under mirror and turn

def test_a_turn_of_the_picture_changes_all_three_angles():
    assert moved((50, -30, 20), turn=-15.0) == pytest.approx((55.4, -11.4, 43.2), abs=0.05)


@many
@given(POSES)
def test_a_mirror_negates_yaw_and_roll(pose):
    assert moved(pose, mirrored=1) == pytest.approx((-pose[0], pose[1], -pose[2]), abs=1e-6)


@many
@given(POSES, st.floats(-180, 180))
def test_twice_mirrored_or_turned_and_turned_back_is_as_it_was(pose, turn):
    values = np.array([pose])
    twice = POSE.transform_labels(POSE.transform_labels(values, motion(mirrored=1)), motion(mirrored=1))
    back = POSE.transform_labels(POSE.transform_labels(values, motion(turn=turn)), motion(turn=-turn))
    for again in (twice, back):
        assert again[0] == pytest.approx(pose, abs=1e-5)


@pytest.mark.parametrize("sequence", SEQUENCES)
@many
@given(POSES, st.booleans(), st.floats(-180, 180))
def test_directions_move_as_the_picture_does(sequence, pose, mirrored, turn):
    """A nose, an ear and the crown, seen from afar, go where a mirror and a turn take their places in the image.

    The mirrored head is a mirrored head: its left ear is where the right one was, so an ear's sign changes.
    """
    target = Rotation("r", ("a", "b", "c"), sequence=sequence, camera_frame=True)
    before = target.matrix([pose])[0]
    after = target.matrix(target.transform_labels(np.array([pose]), motion(mirrored=int(mirrored), turn=turn)))[0]
    c, s = np.cos(np.deg2rad(turn)), np.sin(np.deg2rad(turn))
    for own, seen in (((0, 0, -1), before @ (0, 0, -1)), ((0, -1, 0), before @ (0, -1, 0)),
                      ((-1 if mirrored else 1, 0, 0), before @ (1, 0, 0))):
        x, up, depth = -seen[0] if mirrored else seen[0], -seen[1], seen[2]
        expected = c * x - s * up, -(s * x + c * up), depth  # counterclockwise with y upwards
        assert after @ own == pytest.approx(expected, abs=1e-6)


# errors

@many
@given(POSES, st.floats(0, 179.9), st.integers(0, 1000))
def test_the_error_is_the_angle_of_the_turn_between(pose, degrees, seed):
    axis = np.random.default_rng(seed).normal(size=3)
    step = R.from_rotvec(np.deg2rad(degrees) * axis / np.linalg.norm(axis)).as_matrix()
    true, predicted = np.array([pose]), POSE.labels(step @ POSE.matrix([pose]))
    assert POSE.error(predicted, true) == pytest.approx([degrees], abs=1e-4)
    assert POSE.error(true, predicted) == pytest.approx([degrees], abs=1e-4)
    assert POSE.error(predicted, predicted) == pytest.approx([0], abs=1e-4)


@many
@given(POSES, POSES)
def test_the_error_agrees_with_the_trace_and_needs_no_convention(a, b):
    error = POSE.error(np.array([a]), np.array([b]))[0]
    assert error == pytest.approx(apart(POSE.matrix([a])[0], POSE.matrix([b])[0]), abs=1e-3)
    assert POSE.error(np.array([a]) + 360, np.array([b]) - 360)[0] == pytest.approx(error, abs=1e-6)
    assert 0 <= error <= 180


def test_residuals_of_each_angle_wrap_round():
    assert POSE.residual(np.array([[179.0, -10, 350]]), np.array([[-179.0, 10, -10]])).ravel().tolist() == [-2, -20, 0]


def test_bias_is_what_is_systematic():
    true = np.array([[10.0, 20, 30], [-40, 5, 8], [60, -20, 4]])
    step = R.from_euler("y", 7, degrees=True).as_matrix()
    assert POSE.bias(POSE.labels(step @ POSE.matrix(true)), true) == pytest.approx(7, abs=1e-6)
    there_and_back = np.stack([step, step.T])
    assert POSE.bias(POSE.labels(there_and_back @ POSE.matrix(true[:2])), true[:2]) == pytest.approx(0, abs=1e-6)


# the nearest rotation

@many
@given(st.integers(0, 10_000))
def test_the_nearest_rotation_is_a_rotation_stays_one_and_is_the_nearest(seed):
    rng = np.random.default_rng(seed)
    any_nine = rng.normal(size=(5, 3, 3))
    nearest = nearest_rotation(any_nine)
    np.testing.assert_allclose(np.linalg.det(nearest), 1, atol=1e-9)
    np.testing.assert_allclose(nearest @ nearest.swapaxes(1, 2), np.broadcast_to(np.eye(3), (5, 3, 3)), atol=1e-9)
    np.testing.assert_allclose(nearest_rotation(nearest), nearest, atol=1e-7)
    others = R.random(300, rng=rng).as_matrix()
    for own, best in zip(any_nine, nearest, strict=True):
        assert np.square(best - own).sum() <= np.square(others - own).sum(axis=(1, 2)).min() + 1e-9


def test_a_mirror_image_becomes_a_rotation_too_and_nan_stays_nan():
    found = nearest_rotation(np.stack([np.diag([1.0, 1.0, -0.5]), np.full((3, 3), NAN), 7 * np.eye(3)]))
    np.testing.assert_allclose(found[0], np.eye(3), atol=1e-12)
    np.testing.assert_allclose(found[2], np.eye(3), atol=1e-12)
    assert np.isnan(found[1]).all()


def test_the_guess_is_the_chordal_mean():
    rng = np.random.default_rng(0)
    values = rng.uniform(-40, 40, (50, 3))
    guess = POSE.matrix(POSE.constant_guess(values)[None])[0]
    matrices = POSE.matrix(values)
    cost = np.square(matrices - guess).sum()
    for axis in np.eye(3):  # no rotation beside it is nearer to all
        for step in (-0.5, 0.5):
            beside = R.from_rotvec(np.deg2rad(step) * axis).as_matrix() @ guess
            assert np.square(matrices - beside).sum() > cost
    spread = np.array([[170.0, 0, 0], [-170, 0, 0], [NAN, 0, 0]])  # across the seam, one unknown
    roll = Rotation("r", ("a", "b", "c"), sequence="ZYX")
    assert abs(roll.constant_guess(spread)[0]) == pytest.approx(180)


# encoding

@pytest.mark.parametrize("sequence", SEQUENCES)
@many
@given(POSES, st.floats(0.1, 3))
def test_decode_undoes_encode_whatever_the_outputs_length(sequence, pose, length):
    target = Rotation("r", ("a", "b", "c"), sequence=sequence)
    values = torch.tensor([pose])
    encoded = target.encode_labels(values)
    assert encoded.shape == (1, 9) and encoded.dtype == values.dtype and encoded.abs().max() <= 1 + 1e-6
    decoded = target.decode((length * encoded).numpy())
    assert apart(target.matrix(decoded)[0], target.matrix([pose])[0]) < 0.1  # float32 within the arc cosine
    assert target.error(decoded, np.array([pose]))[0] < 1e-3
    if not sequence:
        assert decoded[0] == pytest.approx(pose, abs=2e-3)


def test_a_row_that_lacks_an_angle_is_missing_everywhere_and_costs_the_others_nothing():
    values = np.array([[10.0, NAN, 30], [40, 5, 8], [NAN, NAN, NAN]])
    lacking = np.array([True, False, True])
    checks = {
        "matrix": POSE.matrix(values), "angles": POSE.labels(POSE.matrix(values)),
        "error": POSE.error(values, np.zeros((3, 3))), "the other way": POSE.error(np.zeros((3, 3)), values),
        "moved": POSE.transform_labels(values, motion(3, 1, 10.0)),
        "encoded": POSE.encode_labels(torch.tensor(values)).numpy(),
        "decoded": POSE.decode(POSE.encode_labels(torch.tensor(values)).numpy()),
    }
    for name, found in checks.items():
        flat = found.reshape(3, -1)
        assert np.array_equal(np.isnan(flat).all(axis=1), lacking), name
        assert np.isfinite(flat[1]).all(), name
    assert np.isfinite(POSE.constant_guess(values)).all() and np.isfinite(POSE.bias(values, np.zeros((3, 3))))
