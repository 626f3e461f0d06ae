"""Points: pixels to the network's view and back, and moved with what is really seen to move."""
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from fastai.torch_core import TensorImage
from fastai.vision.core import TensorPoint
from hypothesis import given, settings
from hypothesis import strategies as st

from imgreg_fastai import tasks
from imgreg_fastai.tasks import MOVES, Motion, Point, Task
from imgreg_fastai.tasks.geometry import place_picture
from imgreg_fastai.training import augment
from imgreg_fastai.training.random_numbers import random_table
from imgreg_fastai.utils.messages import ImgregError

EYES = Point("eyes", ("lx", "ly", "rx", "ry", "nx", "ny"), follows=True, flip_pairs=((0, 1),))
NAN = np.nan


def motion(n=1, mirrored=0, turn=0.0, zoom=1.0, shift=(0.0, 0.0), aspect=1.0):
    one = np.ones(n)
    return Motion(mirrored * one, turn * one, zoom * one, np.tile(np.asarray(shift, float), (n, 1)), aspect)


# what it is

def test_columns_outputs_and_json():
    assert (EYES.n, EYES.n_out, EYES.unit, EYES.moves) == (3, 6, "px", MOVES)
    assert replace(EYES, follows=False).moves == ()
    again = tasks.target_from_dict(json.loads(json.dumps(EYES.to_dict())))
    assert again == EYES and isinstance(again.flip_pairs[0], tuple) and hash(again) == hash(EYES)


@pytest.mark.parametrize("columns", [(), ("x",), ("x", "y", "z"), ("x", ""), ("x", 3)])
def test_columns_that_are_no_pairs_are_refused(columns):
    with pytest.raises(ImgregError, match="a point with a name and columns for x and y of each point"):
        Point("p", columns)


@pytest.mark.parametrize("pairs", [((0, 3),), ((-1, 0),), ((0, 0),), ((0, 1), (1, 2)), ((0, 1.0),), (("l", "r"),)])
def test_flip_pairs_of_no_use_are_refused(pairs):
    with pytest.raises(ImgregError, match="flip_pairs of 'eyes': pairs out of its 3 points"):
        replace(EYES, flip_pairs=pairs)


@pytest.mark.parametrize("pairs", [((0,),), ((0, 1, 2),), (0, 1), "01"])
def test_flip_pairs_that_are_no_pairs_are_refused_and_never_a_traceback(pairs):
    with pytest.raises(ImgregError, match="flip_pairs"):
        replace(EYES, flip_pairs=pairs)
    with pytest.raises(ImgregError):
        tasks.target_from_dict({**EYES.to_dict(), "flip_pairs": pairs})


# pixels and views

@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(8, 3000), st.integers(8, 3000)), min_size=1, max_size=4),
       st.sampled_from(["pad", "crop", "squish"]), st.integers(0, 1000))
def test_decode_undoes_encode_for_pictures_of_any_size(sizes, policy, seed):
    views = np.stack([place_picture(size, (48, 64), policy).view for size in sizes])
    values = np.random.default_rng(seed).uniform(-100, 3000, (len(sizes), 6))
    encoded = EYES.to_batch(values, views)
    assert encoded.shape == values.shape
    np.testing.assert_allclose(EYES.decode(encoded, views), values, atol=1e-6)
    np.testing.assert_allclose(EYES.decode(encoded.astype(np.float32), views), values, atol=0.01)


def test_the_views_edges_are_at_1_and_missing_points_stay_missing():
    views = place_picture((100, 50), (40, 40), "squish").view[None]
    encoded = EYES.to_batch(np.array([[0, 0, 100, 50, 50, NAN]]), views)
    np.testing.assert_allclose(encoded, [[-1, -1, 1, 1, 0, NAN]], atol=1e-12)
    np.testing.assert_allclose(EYES.decode(encoded, views), [[0, 0, 100, 50, 50, NAN]], atol=1e-9)


# errors

def test_errors_are_distances_averaged_over_the_points_that_are_labelled():
    true = np.array([[0, 0, 10, 0, 0, 10], [0, 0, NAN, NAN, NAN, 10], [NAN] * 6], float)
    predicted = np.array([[3, 4, 10, 0, 0, 11], [3, 4, 99, 99, 99, 99], [1.0] * 6])
    np.testing.assert_allclose(EYES.error(predicted, true), [2, 5, NAN])
    np.testing.assert_allclose(EYES.error(true, true), [0, 0, NAN])


def test_bias_is_the_length_of_the_mean_residual_not_the_mean_length():
    two = Point("two", ("ax", "ay", "bx", "by"))
    true = np.zeros((2, 4))
    assert two.bias(np.array([[3.0, 4, 5, 0], [3, 4, -5, 0]]), true) == pytest.approx((5 + 0) / 2)
    assert two.bias(np.array([[3.0, 4, 0, 0], [NAN, NAN, 2, 0]]), true) == pytest.approx((5 + 1) / 2)


def test_bias_is_over_the_points_that_are_labelled_anywhere():
    true = np.array([[0.0, 0, NAN, NAN], [0, 0, NAN, NAN]])
    predicted = np.array([[3.0, 4, 1, 1], [3, 4, 1, 1]])
    assert Point("two", ("ax", "ay", "bx", "by")).bias(predicted, true) == pytest.approx(5)


def test_the_guess_is_the_mean_place_of_what_is_labelled():
    assert EYES.constant_guess(np.array([[0, 1, 2, 3, NAN, 5], [4, 5, 6, 7, 8, 9.0]])).tolist() == [2, 3, 4, 5, 8, 7]


# moved

def test_flips_turns_zooms_and_shifts_by_hand():
    one, place_ = Point("p", ("x", "y"), follows=True), np.array([[0.5, -0.2]])
    assert one.transform_labels(place_, motion()).ravel() == pytest.approx([0.5, -0.2])
    assert one.transform_labels(place_, motion(mirrored=1)).ravel() == pytest.approx([-0.5, -0.2])
    # counterclockwise as seen: what is at the right goes up, and y grows downwards
    assert one.transform_labels(np.array([[0.5, 0.0]]), motion(turn=90)).ravel() == pytest.approx([0, -0.5])
    wide = one.transform_labels(np.array([[0.5, 0.0]]), motion(turn=90, aspect=4 / 3))
    assert wide.ravel() == pytest.approx([0, -2 / 3])
    assert one.transform_labels(place_, motion(zoom=2.0, shift=(0.1, 0.3))).ravel() == pytest.approx([1.1, -0.1])
    assert one.transform_labels(place_, motion(mirrored=1, turn=180, zoom=0.5)).ravel() == pytest.approx([0.25, 0.1])


def test_a_mirror_makes_the_left_eye_the_right_one_and_only_where_it_mirrors():
    values = np.array([[-0.5, 0.1, 0.4, 0.2, 0.0, 0.3]] * 2)
    how = Motion(np.array([1.0, 0.0]), np.zeros(2), np.ones(2), np.zeros((2, 2)))
    moved = EYES.transform_labels(values, how)
    assert moved[0] == pytest.approx([-0.4, 0.2, 0.5, 0.1, 0.0, 0.3]) and moved[1] == pytest.approx(values[1])
    unpaired = replace(EYES, flip_pairs=())
    assert unpaired.transform_labels(values, how)[0] == pytest.approx([0.5, 0.1, -0.4, 0.2, 0.0, 0.3])
    assert EYES.transform_labels(EYES.transform_labels(values, motion(2, 1)), motion(2, 1)) == pytest.approx(values)


def test_missing_points_stay_missing_and_change_sides_too():
    moved = EYES.transform_labels(np.array([[NAN, NAN, 0.4, 0.2, 0.0, 0.3]]), motion(1, 1, turn=10.0))
    assert np.isfinite(moved[0, [0, 1, 4, 5]]).all() and np.isnan(moved[0, 2:4]).all()


MOTIONS = st.fixed_dictionaries({}, optional={
    "mirrored": st.just(1), "turn": st.floats(-20, 20), "zoom": st.floats(0.8, 1.25),
    "shift": st.tuples(st.floats(-0.2, 0.2), st.floats(-0.2, 0.2)), "quarters": st.integers(1, 3)})


def spots(places, height, width):
    """An image with a blob in another channel for each of three places in [-1, 1]: [1, 3, height, width]."""
    y, x = np.mgrid[:height, :width] + 0.5
    at = [((px + 1) / 2 * width, (py + 1) / 2 * height) for px, py in places]
    bells = [np.exp(-((x - a) ** 2 + (y - b) ** 2) / (2 * 2.5**2)) for a, b in at]
    return TensorImage(torch.tensor(np.stack(bells)[None], dtype=torch.float32))


def found(pictures):
    """The blobs' centroids in [-1, 1], [3, 2]."""
    bright = pictures[0].as_subclass(torch.Tensor).numpy()
    _, height, width = bright.shape
    y, x = np.mgrid[:height, :width] + 0.5
    middle = [((b * x).sum() / b.sum(), (b * y).sum() / b.sum()) for b in bright]
    return np.array(middle) / (width, height) * 2 - 1


@settings(max_examples=100, deadline=None)
@given(MOTIONS, st.sampled_from([(64, 64), (60, 80), (80, 60)]), st.integers(0, 10_000))
def test_points_move_as_what_is_seen_does(how, size, seed):
    """The blobs of a warped image are where `moved` says, to a tenth of a pixel."""
    quarters = how.pop("quarters", 0) * (1 if size[0] == size[1] else 2)
    height, width = size
    how = motion(turn=how.pop("turn", 0.0) + 90.0 * quarters, aspect=width / height, **how)
    places = np.random.default_rng(seed).uniform(-0.3, 0.3, (3, 2))
    warped = augment.warp(spots(places, height, width), how)
    assert warped.shape == (1, 3, height, width)
    off = (found(warped) - replace(EYES, flip_pairs=()).transform_labels(places.reshape(1, 6), how).reshape(3, 2))
    assert np.abs(off * (width / 2, height / 2)).max() < 0.1


@pytest.mark.parametrize("size", [(64, 64), (60, 80)])
def test_a_batch_is_moved_with_its_points(size):
    """Through Moves, as training does it: TensorPoint in, TensorPoint out, each image by its own motion."""
    task = Task("eyes", (replace(EYES, flip_pairs=()),), size=size, augment=("flip", "turn", "zoom", "shift"))
    places = np.random.default_rng(0).uniform(-0.3, 0.3, (24, 3, 2))
    pictures = TensorImage(torch.cat([spots(p, *size) for p in places]))
    points = TensorPoint(torch.tensor(places, dtype=torch.float32))
    batch = pictures, points, torch.arange(24), torch.from_numpy(random_table(1, 0, 24).copy())
    moved, labels, *_ = augment.GeometricTransform(task)(batch, split_idx=0)
    assert isinstance(labels, TensorPoint) and labels.shape == points.shape and labels.dtype == torch.float32
    seen = np.stack([found(p[None]) for p in moved])
    assert np.abs((labels.numpy() - seen) * (size[1] / 2, size[0] / 2)).max() < 0.1
    assert (labels - points).abs().amax(dim=(1, 2)).gt(0.05).sum() > 12  # and most were moved indeed
