"""Flips and turns move image and label together: each is compared with the moved bar drawn anew."""
from dataclasses import replace

import numpy as np
import pytest
import torch
from fastai.torch_core import TensorImage

from imgreg_fastai.tasks import ANGLE, MOVES, Motion
from imgreg_fastai.training import augment
from imgreg_fastai.training.random_numbers import random_table

ANGLES = np.array([0.0, 12.5, 45.0, 77.3, 90.0, 101.0, 135.0, 179.9])


def as_batch(pictures):
    x = torch.tensor(pictures, dtype=torch.float32)[:, None].expand(-1, 3, -1, -1) / 255
    return TensorImage(x.contiguous())


def random_numbers(n, seed=0):
    return torch.from_numpy(random_table(seed, 0, n).copy())


def motion(n, mirrored=0, turn=0.0, zoom=1.0, shift=(0.0, 0.0), aspect=1.0):
    one = np.ones(n)
    return Motion(mirrored * one, turn * one, zoom * one, np.tile(np.asarray(shift, float), (n, 1)), aspect)


def moved(bars, mirrored, turn):
    how = motion(len(ANGLES), mirrored, turn)
    pictures = augment.warp(as_batch(bars(ANGLES)), how)
    labels = ANGLE.targets[0].transform_labels(ANGLES[:, None], how)
    return pictures[:, 0].numpy() * 255, labels[:, 0]


@pytest.mark.parametrize("mirrored", [0, 1])
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_flips_and_quarter_turns_are_the_moved_bar_to_the_pixel(bars, mirrored, turn):
    # The bar lies on one side of its axis, so its mirror image is the bar at minus the angle, of 360 degrees.
    phi = (-ANGLES if mirrored else ANGLES) + turn
    pictures, labels = moved(bars, mirrored, turn)
    np.testing.assert_allclose(pictures, bars(phi % 360), atol=1.01)
    np.testing.assert_allclose((labels - phi + 90) % 180 - 90, 0, atol=1e-4)


@pytest.mark.parametrize("mirrored", [0, 1])
@pytest.mark.parametrize("turn", [-10, -3.7, 6.2, 10, 97])
def test_a_small_turn_is_nearest_to_the_bar_at_the_new_label(bars, mirrored, turn):
    phi = (-ANGLES if mirrored else ANGLES) + turn
    pictures, labels = moved(bars, mirrored, turn)
    np.testing.assert_allclose((labels - phi + 90) % 180 - 90, 0, atol=1e-4)
    off = [np.abs(pictures - bars((phi + d) % 360)).mean(axis=(1, 2)) for d in (-1, 0, 1)]
    assert (off[1] < off[0]).all() and (off[1] < off[2]).all()


def test_batches_are_moved_only_while_training_and_labels_stay_true(bars):
    moves = augment.GeometricTransform(ANGLE)
    angles = np.linspace(0, 179, 64)
    rows, numbers = torch.arange(64), random_numbers(64)
    batch = (as_batch(bars(angles)), torch.tensor(angles, dtype=torch.float32), rows, numbers)
    pictures, labels, *others = moves(batch, split_idx=0)
    assert torch.equal(others[0], rows) and torch.equal(others[1], numbers)  # which those after it need
    same, untouched, *_ = moves(batch, split_idx=1)
    assert torch.equal(same, batch[0]) and torch.equal(untouched, batch[1])
    assert (labels - batch[1]).abs().max() > 10
    ours = pictures[:, 0].numpy() * 255
    # On which side of its axis the bar lies is lost in a label of period 180: one of the two drawings fits.
    off = [np.abs(ours - bars((labels.numpy() + half) % 360)).mean(axis=(1, 2)) for half in (0, 180)]
    assert np.minimum(*off).max() < 0.2


def test_an_image_is_moved_by_its_own_numbers_whatever_is_beside_it(bars):
    """Two epochs' numbers move it otherwise; in another order and another batch it is moved in the same way."""
    moves, light = augment.GeometricTransform(ANGLE), augment.ColourTransform(True, True)
    angles, rows, numbers = torch.linspace(0, 179, 12), torch.arange(12), random_numbers(12)
    whole = (as_batch(bars(angles.numpy())), angles, rows, numbers)
    moved = light(moves(whole, split_idx=0), split_idx=0)
    some = torch.tensor([7, 2, 11])
    parts = light(moves(tuple(part[some] for part in whole), split_idx=0), split_idx=0)
    for one, other in zip(parts, moved, strict=True):
        torch.testing.assert_close(one, other[some], atol=1e-6, rtol=0)
    again = light(moves((*whole[:3], random_numbers(12, seed=1)), split_idx=0), split_idx=0)
    assert not torch.allclose(again[0], moved[0]) and not torch.allclose(again[1], moved[1])


def differs(how):
    """Which of the moves were drawn at all."""
    quarters = np.round(how.turn / 90) * 90
    drawn = {"flip": how.mirrored, "quarter": quarters, "turn": how.turn - quarters, "zoom": how.zoom - 1,
             "shift": how.shift}
    return {name for name, amount in drawn.items() if amount.any()}


def test_all_eight_moves_are_drawn():
    how = augment.draw_motion(("flip", "quarter"), random_table(0, 0, 400))
    seen = {(int(m), int(t)) for m, t in zip(how.mirrored, how.turn, strict=True)}
    assert seen == {(m, t) for m in (0, 1) for t in (0, 90, 180, 270)}


@pytest.mark.parametrize("allowed", [(), ("colour",), *((m,) for m in MOVES), ("flip", "zoom"), MOVES])
def test_only_moves_that_are_allowed_are_drawn(allowed):
    how = augment.draw_motion(allowed, random_table(0, 0, 400), 1.5)
    assert differs(how) == set(allowed) - {"colour"} and how.aspect == 1.5


def test_small_moves_go_both_ways_to_their_ends_and_half_of_the_pictures_stay_sharp():
    how = augment.draw_motion(MOVES, random_table(0, 0, 2000))
    turn, zoom = how.turn - np.round(how.turn / 90) * 90, np.log(how.zoom) / np.log(augment.ZOOM)
    for part in (turn / augment.TURN, zoom, *(how.shift / augment.SHIFT).T):
        assert -1 <= part.min() < -0.95 and 0.95 < part.max() <= 1 and abs(part.mean()) < 0.1
    still = (turn == 0) & (how.zoom == 1) & (how.shift == 0).all(axis=1)
    assert 0.4 < still.mean() < 0.6 and np.array_equal(still, turn == 0)
    assert how.mirrored[still].any() and (how.turn[still] != 0).any()  # but they are mirrored and turned by quarters


def test_a_turn_of_a_picture_that_is_not_square_keeps_its_shape():
    """A disc stays a disc: coordinates from -1 to 1 along unlike sides must not shear."""
    y, x = np.mgrid[:60, :120]
    disc = (np.hypot(x - 59.5, y - 29.5) < 12) * 255.0
    turned = augment.warp(as_batch(disc[None]), motion(1, turn=33.0, aspect=2.0))[0, 0].numpy() * 255
    assert np.abs(turned - disc).mean() < 2


def test_bytes_that_only_change_places_stay_bytes():
    pictures = TensorImage(torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8))
    whole = augment.warp(pictures, motion(4, 1, 90.0))
    assert type(whole) is TensorImage and whole.dtype == torch.uint8
    assert torch.equal(whole, pictures.flip(-1).rot90(1, (-2, -1)))
    assert torch.equal(augment.warp(pictures, motion(4)), pictures)
    assert augment.warp(pictures, motion(4, turn=7.0)).dtype == torch.float32
    wide = TensorImage(torch.randint(0, 256, (1, 3, 8, 12), dtype=torch.uint8))  # a quarter of it has to be sampled
    assert augment.warp(wide, motion(1, turn=90.0, aspect=1.5)).shape == wide.shape
    assert torch.equal(augment.warp(wide, motion(1, turn=180.0, aspect=1.5)), wide.flip(-1, -2))


@pytest.mark.parametrize("zoom", [1.2, 1 / 1.2])
def test_a_zoom_makes_things_larger_and_a_shift_takes_them_along(zoom):
    """A square of 20 pixels in the middle of 80: its side afterwards, and where its middle lies."""
    square = np.zeros((1, 80, 80))
    square[0, 30:50, 30:50] = 255
    seen = augment.warp(as_batch(square), motion(1, zoom=zoom, shift=(0.1, -0.2)))[0, 0].numpy()
    y, x = np.mgrid[:80, :80] + 0.5
    assert np.sqrt(seen.sum()) == pytest.approx(20 * zoom, rel=0.01)
    middle = (seen * x).sum() / seen.sum(), (seen * y).sum() / seen.sum()
    assert middle == pytest.approx((40 + 0.1 * 40, 40 - 0.2 * 40), abs=0.05)


def test_colour_is_added_and_moves_left_out_as_the_task_says():
    names = [type(t).__name__ for t in augment.transforms(replace(ANGLE, augment=("colour",)))]
    assert names == ["ColourTransform"]
    assert [type(t).__name__ for t in augment.transforms(ANGLE)] == ["GeometricTransform"]
    assert augment.transforms(replace(ANGLE, augment=())) == []


def relit(pictures, **how):
    """What ColourTransform makes of training images; those given stay as they are."""
    rows, numbers = torch.arange(len(pictures)), random_numbers(len(pictures))
    return augment.ColourTransform(**how)((TensorImage(pictures.clone()), rows, numbers), split_idx=0)[0].as_subclass(
        torch.Tensor)


def test_a_tint_is_one_factor_a_channel_of_each_training_picture():
    torch.manual_seed(0)
    pictures = torch.rand(200, 3, 4, 4) * 0.6 + 0.1
    gain = relit(pictures, colour=False, tint=True) / pictures
    assert (gain.amax(dim=(2, 3)) - gain.amin(dim=(2, 3))).max() < 1e-5
    spread = gain[:, :, 0, 0].log() / augment.TINT
    assert -1 <= spread.min() < -0.95 and 0.95 < spread.max() <= 1 + 1e-5 and spread.std(dim=1).min() > 0.001
    assert relit(torch.ones(50, 3, 2, 2), colour=False, tint=True).max() <= 1
    assert [type(t).__name__ for t in augment.transforms(replace(ANGLE, augment=("tint",)))] == ["ColourTransform"]


def test_brightness_and_contrast_are_one_line_for_all_channels_of_a_picture():
    pictures = torch.tensor([0.3, 0.5, 0.7]).view(1, 1, 3, 1).expand(400, 3, 3, 1)
    low, middle, high = relit(pictures, colour=True)[:, :, :, 0].unbind(dim=2)
    assert torch.equal(low[:, :1].expand(-1, 3), low) and torch.allclose(high - middle, middle - low, atol=1e-6)
    plus, factor = (middle - 0.5)[:, 0] / augment.BRIGHT, ((high - low)[:, 0] / 0.4).log() / augment.CONTRAST
    for spread in (plus, factor):
        assert -1 <= spread.min() < -0.97 and 0.97 < spread.max() <= 1 + 1e-4
    assert relit(torch.ones(50, 3, 2, 2), colour=True).max() == 1 and relit(torch.zeros(50, 3, 2, 2)).min() == 0


def test_the_light_of_pictures_that_validate_stays():
    pictures = TensorImage(torch.rand(4, 3, 5, 5))
    batch = pictures.clone(), torch.arange(4), random_numbers(4)
    assert torch.equal(augment.ColourTransform(True, True)(batch, split_idx=1)[0], pictures)
