"""Rotations by quaternions, matrices, and angles in radians: the same rotation whatever it is written in."""
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation as R

from imgreg_fastai.tasks import Motion, Rotation, parse_for_table, parse_target, target_from_dict
from imgreg_fastai.utils.messages import ImgregError

KINDS = ("rotation", "rotation=wxyz", "rotation=xyzw", "rotation=matrix", "rotation=radians", "rotation=YXZ",
         "rotation=YXZ,radians")
TRUE, PREDICTED = (R.random(60, rng=np.random.default_rng(seed)).as_matrix() for seed in (0, 1))
DEGREES = Rotation("pose", ("yaw", "pitch", "roll"), camera_frame=True)


def target_of(kind):
    return parse_target(f"pose:{kind}").declare_moves(())


@pytest.mark.parametrize("kind", KINDS)
def test_every_operation_gives_the_same_rotation_in_every_form(kind):
    target = target_of(kind)
    values, others = target.labels(TRUE), target.labels(PREDICTED)
    assert values.shape == (60, len(target.columns)) and target.n_out == 9
    np.testing.assert_allclose(target.matrix(values), TRUE, atol=1e-7)
    encoded = target.encode_labels(torch.from_numpy(values))
    np.testing.assert_allclose(target.decode(encoded.numpy()), values, atol=1e-6)
    scale = np.rad2deg(1) if target.radians else 1.0
    degrees = DEGREES.labels(TRUE), DEGREES.labels(PREDICTED)
    np.testing.assert_allclose(scale * target.error(others, values), DEGREES.error(*degrees[::-1]), atol=1e-5)
    assert scale * target.bias(others, values) == pytest.approx(DEGREES.bias(*degrees[::-1]), abs=1e-5)
    motion = Motion(np.arange(60) % 2.0, np.linspace(0, 300, 60), np.ones(60), np.zeros((60, 2)))
    moved = target.matrix(target.transform_labels(values, motion))
    np.testing.assert_allclose(moved, DEGREES.matrix(DEGREES.transform_labels(degrees[0], motion)), atol=1e-6)
    averages = target.matrix(target.average(np.stack([values, others])))
    np.testing.assert_allclose(averages, DEGREES.matrix(DEGREES.average(np.stack(degrees))), atol=1e-5)
    charted = target.charted_values(values)
    np.testing.assert_allclose(target.charted.matrix(charted), TRUE, atol=1e-6)
    assert target.label_text(values[0]).startswith("yaw ") and target_from_dict(target.to_dict()) == target


@pytest.mark.parametrize("kind", ["rotation=wxyz", "rotation=xyzw"])
def test_either_sign_and_any_length_of_a_quaternion_is_one_label(kind):
    target = target_of(kind)
    values = target.labels(TRUE)
    w = values[:, 0 if kind.endswith("wxyz") else 3]
    assert (w >= 0).all()
    np.testing.assert_allclose(target.matrix(-3 * values), TRUE, atol=1e-9)
    assert target.error(-values, values).max() < 1e-4 and np.abs(target.residual(-values, values)).max() == 0
    np.testing.assert_allclose(target.average(np.stack([values, -values])), values, atol=1e-7)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6))
def test_wxyz_and_xyzw_are_scipys_quaternions(seed):
    one = R.random(1, rng=np.random.default_rng(seed))
    xyzw = one.as_quat(canonical=True)
    assert target_of("rotation=xyzw").labels(one.as_matrix())[0] == pytest.approx(xyzw[0])
    assert target_of("rotation=wxyz").labels(one.as_matrix())[0] == pytest.approx(np.roll(xyzw[0], 1))
    assert target_of("rotation=matrix").labels(one.as_matrix())[0] == pytest.approx(one.as_matrix().ravel())


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_missing_stays_missing(kind):
    target = target_of(kind)
    values = target.labels(TRUE[:3])
    values[1, -1] = np.nan
    assert np.isfinite(target.error(values, values)).tolist() == [True, False, True]
    penalty = target.penalty(torch.rand(3, 9), target.encode_labels(torch.from_numpy(values).float()),
                             torch.nn.L1Loss(reduction="none"))
    assert penalty.isfinite()


def test_a_quaternion_of_length_0_is_no_label_and_odd_lengths_are_told():
    target = target_of("rotation=wxyz")
    values = target.labels(TRUE)
    assert not list(target.outliers(np.round(values, 2)))
    values[3] *= 2.5
    [issue] = target.outliers(values)
    assert issue.code == "length" and "such as 2.5" in issue.text and np.flatnonzero(issue.mask).tolist() == [3]
    values[5] = 0
    assert np.flatnonzero(target.is_blank(values)).tolist() == [5] and np.isnan(target.matrix(values)[5]).all()


def test_matrices_that_are_no_rotation_stop_and_rounded_or_transposed_ones_do_not():
    target = target_of("rotation=matrix")
    values = target.labels(TRUE)
    for fine in (np.round(values, 1), target.labels(TRUE.swapaxes(1, 2)), np.full_like(values, np.nan)):
        assert not list(target.impossible(fine))
    values[2] *= 2
    values[7] *= -1
    scaled, mirrored = target.impossible(values)
    assert scaled.level == mirrored.level == "stop" and "determinant is -1" in mirrored.text
    assert [np.flatnonzero(issue.mask).tolist() for issue in (scaled, mirrored)] == [[2], [7]]


@pytest.mark.parametrize(("spec", "told"), [
    ("pose=a,b,c,d:rotation", "try --target pose=a,b,c,d:rotation=wxyz or --target pose=a,b,c,d:rotation=xyzw"),
    ("pose=a,b,c,d,e,f,g,h,i:rotation", "try --target pose=a,b,c,d,e,f,g,h,i:rotation=matrix"),
    ("pose=a,b,c:rotation=wxyz", "4 columns, as wxyz has"), ("pose:rotation=quat", "rotation=FORM with FORM wxyz"),
    ("pose:rotation=XYZ,ZYX", "rotation=FORM"), ("pose:rotation=matrix,radians", "a sequence of axes"),
])
def test_what_does_not_fit_names_the_forms(spec, told):
    with pytest.raises(ImgregError, match=told):
        parse_target(spec)


def test_radians_taken_for_degrees_and_degrees_for_radians_are_told():
    angles = np.random.default_rng(0).uniform(-1.5, 1.5, (100, 3))
    [issue] = target_of("rotation").outliers(angles)
    assert "--target pose=yaw,pitch,roll:rotation=radians" in issue.hint
    [issue] = target_of("rotation=YXZ,radians").outliers(60 * angles)
    assert "--target pose=yaw,pitch,roll:rotation=YXZ if they are degrees" in issue.hint
    assert not list(target_of("rotation=radians").outliers(angles))


def test_a_file_without_a_form_is_of_degrees():
    fields = {"kind": "rotation", "name": "p", "columns": ["a", "b", "c"], "unit": "°", "sequence": ""}
    assert target_from_dict(fields) == Rotation("p", ("a", "b", "c"))


def test_names_that_tell_the_order_of_a_quaternion_decide_the_hint_and_contradict_another_form():
    columns = ("qx", "qy", "qz", "qw")
    with pytest.raises(ImgregError, match=r"rotation=xyzw$"):
        parse_for_table("pose=qx,qy,qz,qw:rotation", columns)
    with pytest.raises(ImgregError, match=r"in the order wxyz; found qx, qy, qz, qw; try .*rotation=xyzw"):
        parse_for_table("pose=qx,qy,qz,qw:rotation=wxyz", columns)
    assert parse_for_table("pose=qx,qy,qz,qw:rotation=xyzw", columns).form == "xyzw"
    assert parse_for_table("pose=a,b,c,d:rotation=wxyz", tuple("abcd")).form == "wxyz"  # such names tell nothing
