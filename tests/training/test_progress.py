"""How far a training is: cycles, epochs that are cut, and plans that are made anew."""
import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgreg_fastai.training.progress import Cycle, Progress, progress_from_dict


def planned(*epochs, epoch_steps=10):
    """A training of cycles of so many epochs, all but the last of them frozen."""
    progress = Progress(epoch_steps)
    for i, n in enumerate(epochs, 1):
        progress.add_cycle(n, frozen=i < len(epochs))
    return progress


def train(progress, steps=10**6):
    """Go on for so many steps, or to the end: the steps of each epoch that ends."""
    lengths = []
    while progress.cycle:
        if progress.step_in_epoch == progress.steps_of_epoch:
            lengths.append(progress.step_in_epoch)
            progress.history.append({"epoch": progress.epoch + 1})
            progress.step_in_epoch = 0
            continue
        if not steps:
            break
        steps -= 1
        progress.step += 1
        progress.step_in_epoch += 1
    return lengths


@pytest.mark.parametrize(("epochs", "lengths"), [
    ([3], [10, 10, 10]), ([2.5], [10, 10, 5]), ([0.3], [3]), ([0.001], [1]), ([1, 2], [10] * 3),
    ([1.5, 1.2], [10, 5, 10, 2]),
])
def test_an_epoch_ends_where_its_cycle_does(epochs, lengths):
    progress = planned(*epochs)
    assert train(progress) == lengths
    assert progress.step == progress.n_steps == sum(lengths) and progress.cycle is None
    assert progress.n_epochs == progress.epoch == len(lengths)


def test_the_running_cycle_is_the_first_that_is_not_over_and_validated():
    progress = planned(1, 2)
    frozen, last = progress.cycles
    assert progress.cycle is frozen and progress.epochs_left == 1 and progress.n_epochs == 3
    progress.step = progress.step_in_epoch = 10  # trained, but not validated
    assert progress.cycle is frozen and progress.steps_of_epoch == 10
    progress.step_in_epoch = 0
    progress.history.append({})
    assert progress.cycle is last and progress.epochs_left == 2


def test_the_share_of_a_cycle_goes_from_0_to_1_in_even_steps():
    cycle = Cycle(10, 30)
    assert [cycle.share_at(step) for step in (10, 15, 20, 29, 30, 99)] == [0, 0.25, 0.5, 0.95, 1, 1]


@settings(max_examples=150, deadline=None)
@given(st.randoms(use_true_random=False))
def test_whatever_is_planned_anew_the_share_rises_without_a_jump_and_no_epoch_is_empty(rng):
    progress = planned(*(rng.choice([1, 2, 3]) for _ in range(rng.choice([1, 2]))), epoch_steps=rng.randint(1, 12))
    shares = {id(cycle): 0.0 for cycle in progress.cycles}
    for _ in range(400):
        lengths = train(progress, 1)
        assert all(lengths)
        if progress.cycle is None:
            break
        cycle = progress.cycle
        share = cycle.share_at(progress.step)
        largest_step = (1 - cycle.share_at_plan) / (cycle.end - cycle.plan_step) if cycle.end > cycle.plan_step else 1.0
        assert -1e-9 <= share - shares.get(id(cycle), 0.0) <= largest_step + 1e-9
        shares[id(cycle)] = share
        change = rng.random()
        n_epochs = progress.n_epochs
        if change < 0.1:
            n_epochs = max(progress.epoch + 1, n_epochs + rng.randint(-2, 2),
                           sum(c.frozen for c in progress.cycles) * 3 + 1)
            progress.replan_epochs(n_epochs)
        elif change < 0.15:
            progress.change_epoch_steps(rng.randint(1, 12))
        assert progress.n_epochs == n_epochs
        if progress.cycle is cycle and progress.step < cycle.end:
            assert cycle.share_at(progress.step) == pytest.approx(share)
    assert progress.cycle is None and progress.step == progress.n_steps


@pytest.mark.parametrize(("done", "n_epochs", "lengths"), [
    (0, 5, [10] * 5), (14, 5, [10] * 5), (14, 2, [10] * 2), (30, 5, [10] * 5), (29, 3, [10] * 3),
])
def test_another_number_of_epochs_in_all_is_planned_at_any_time(done, n_epochs, lengths):
    progress = planned(3)
    ended = train(progress, done)
    progress.replan_epochs(n_epochs)
    assert progress.n_epochs == n_epochs and progress.n_steps == 10 * n_epochs
    assert ended + train(progress) == lengths


def test_beyond_its_end_a_training_goes_on_with_another_cycle_and_before_it_with_the_same():
    progress = planned(1, 2)
    train(progress, 15)
    progress.replan_epochs(4)
    assert [(c.first, c.end, c.frozen) for c in progress.cycles] == [(0, 10, True), (10, 40, False)]
    train(progress)
    progress.replan_epochs(6)
    assert [(c.first, c.end, c.frozen) for c in progress.cycles][2:] == [(40, 60, False)]
    assert train(progress) == [10, 10]


def test_while_frozen_epochs_run_those_after_them_are_planned():
    progress = planned(2, 3)
    train(progress, 5)
    progress.replan_epochs(4)
    assert [(c.first, c.end) for c in progress.cycles] == [(0, 20), (20, 40)] and progress.n_epochs == 4
    assert [c.share_at(c.first) for c in progress.cycles] == [0, 0]


def test_a_training_that_was_stopped_goes_on_when_more_is_planned():
    progress = planned(9)
    train(progress, 20)
    progress.stopped, progress.epochs_since_best = "no better validation loss in 1 epochs", 1
    progress.replan_epochs(4)
    assert progress.stopped == "" and progress.epochs_since_best == 0
    assert train(progress) == [10, 10]


@pytest.mark.parametrize("epoch_steps", [1, 7, 10, 13])
@pytest.mark.parametrize("done", [0, 4, 10, 14, 25])
def test_with_more_or_fewer_images_there_are_as_many_epochs_as_before(epoch_steps, done):
    progress = planned(1, 3)
    ended = len(train(progress, done))
    progress.change_epoch_steps(epoch_steps)
    assert progress.n_epochs == 4
    lengths = train(progress)
    assert ended + len(lengths) == 4 and progress.step == progress.n_steps and lengths[1:] == [epoch_steps] * len(
        lengths[1:])


def test_it_is_what_it_was_after_json():
    progress = planned(1, 2.5)
    train(progress, 17)
    progress.best_loss, progress.loss_scale = 0.1 + 0.2, {"scale": 65536.0}
    assert progress_from_dict(json.loads(json.dumps(progress.to_dict()))) == progress
    assert progress_from_dict(json.loads(json.dumps(Progress().to_dict()))) == Progress()  # a best loss of infinity
