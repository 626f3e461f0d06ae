"""Flips and turns move picture and label together: each is compared with the moved bar drawn anew."""
import numpy as np
import pytest
import torch
from fastai.torch_core import TensorImage

from imgreg_fastai import augment
from imgreg_fastai.tasks import ANGLE

ANGLES = np.array([0.0, 12.5, 45.0, 77.3, 90.0, 101.0, 135.0, 179.9])


def as_batch(pictures):
    x = torch.tensor(pictures, dtype=torch.float32)[:, None].expand(-1, 3, -1, -1) / 255
    return TensorImage(x.contiguous())


def moved(bars, mirrored, turn):
    n = len(ANGLES)
    one = torch.ones(n)
    pictures = augment.warp(as_batch(bars(ANGLES)), mirrored * one, turn * one)
    labels = ANGLE.targets[0].moved(torch.tensor(ANGLES), mirrored * one, turn * one)
    return pictures[:, 0].numpy() * 255, labels.numpy()


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
    torch.manual_seed(0)
    moves = augment.Moves(ANGLE)
    angles = np.linspace(0, 179, 64)
    batch = (as_batch(bars(angles)), torch.tensor(angles, dtype=torch.float32))
    pictures, labels = moves(batch, split_idx=0)
    same, untouched = moves(batch, split_idx=1)
    assert torch.equal(same, batch[0]) and torch.equal(untouched, batch[1])
    assert (labels - batch[1]).abs().max() > 10
    ours = pictures[:, 0].numpy() * 255
    # On which side of its axis the bar lies is lost in a label of period 180: one of the two drawings fits.
    off = [np.abs(ours - bars((labels.numpy() + half) % 360)).mean(axis=(1, 2)) for half in (0, 180)]
    assert np.minimum(*off).max() < 0.2


def test_all_eight_moves_are_drawn_and_only_those_allowed():
    torch.manual_seed(0)
    mirrored, turn = augment.draw_moves(("flip", "quarter"), 400)
    seen = {(int(m), int(t)) for m, t in zip(mirrored, turn, strict=True)}
    assert seen == {(m, t) for m in (0, 1) for t in (0, 90, 180, 270)}
    mirrored, turn = augment.draw_moves(("turn",), 400)
    assert not mirrored.any() and 5 < turn.abs().max() <= augment.TURN and (turn == 0).float().mean() > 0.3
    mirrored, turn = augment.draw_moves(("flip",), 400)
    assert not turn.any() and set(mirrored.tolist()) == {0, 1}


def test_a_turn_of_a_picture_that_is_not_square_keeps_its_shape():
    """A disc stays a disc: coordinates from -1 to 1 along unlike sides must not shear."""
    y, x = np.mgrid[:60, :120]
    disc = (np.hypot(x - 59.5, y - 29.5) < 12) * 255.0
    turned = augment.warp(as_batch(disc[None]), torch.zeros(1), torch.tensor([33.0]))[0, 0].numpy() * 255
    assert np.abs(turned - disc).mean() < 2


def test_colour_is_added_and_moves_left_out_as_the_task_says():
    from dataclasses import replace

    names = [type(t).__name__ for t in augment.transforms(replace(ANGLE, augment=("colour",)))]
    assert names == ["Brightness", "Contrast"]
    assert [type(t).__name__ for t in augment.transforms(ANGLE)] == ["Moves"]
    assert augment.transforms(replace(ANGLE, augment=())) == []
