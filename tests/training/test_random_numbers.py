"""The random numbers of a training depend on the seed, the epoch and the image alone."""
import numpy as np
import pytest
import torch

from imgreg_fastai.training.random_numbers import Draws, random_table, seed_step


@pytest.mark.parametrize("n", [1, 7, 250])
def test_the_numbers_of_an_image_do_not_depend_on_the_number_of_images(n):
    table = random_table(3, 2, 1000)
    assert table.shape == (1000, len(Draws._fields)) and table.dtype == np.float32
    assert np.array_equal(random_table(3, 2, n), table[:n])


def test_seeds_epochs_images_and_kinds_of_moves_have_numbers_of_their_own():
    tables = [random_table(seed, epoch, 500) for seed, epoch in ((0, 0), (0, 1), (1, 0), (1, 1), (0, 10**6))]
    numbers = np.concatenate([table.ravel() for table in tables]).reshape(len(tables), -1)
    assert np.abs(np.corrcoef(numbers) - np.eye(len(tables))).max() < 0.05
    assert np.abs(np.corrcoef(tables[0].T) - np.eye(len(Draws._fields))).max() < 0.2
    assert len(np.unique(tables[0], axis=0)) == 500


def test_the_numbers_are_uniform_in_0_to_1():
    table = random_table(0, 5, 20_000)
    assert table.min() >= 0 and table.max() < 1
    for column in table.T:
        assert np.histogram(column, bins=10, range=(0, 1))[0] == pytest.approx(2000, rel=0.12)


def test_nobody_can_change_the_numbers_of_an_epoch():
    with pytest.raises(ValueError, match="read-only"):
        random_table(0, 0, 5)[0, 0] = 1


def test_torchs_own_numbers_depend_on_the_place_of_a_step_alone():
    def numbers(*place):
        seed_step(*place)
        return torch.rand(4).tolist()

    places = [(0, 0, 0), (0, 0, 1), (0, 1, 0), (1, 0, 0)]
    first = [numbers(*place) for place in places]
    torch.manual_seed(9)
    assert [numbers(*place) for place in places] == first
    assert len({tuple(values) for values in first}) == 4
