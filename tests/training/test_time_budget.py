"""A training fits into its time, whatever the machine does meanwhile."""
import pytest

from imgreg_fastai.training import time_budget
from imgreg_fastai.training.progress import Progress, TimePlan
from imgreg_fastai.training.time_budget import Pace, TimeBudget, steps_that_fit
from imgreg_fastai.utils.messages import ImgregError


@pytest.mark.parametrize(("room", "done", "epoch", "expected"), [
    (60, 0, 0, 50),  # five epochs of ten steps and a validation, 12 s each
    (71, 0, 0, 50),  # the sixth would be cut
    (30, 0, 0, 24),  # two epochs and four steps with a validation
    (24.5, 0, 0, 20),  # what is left is not worth a validation
    (7, 0, 0, 5), (2, 0, 0, 0), (-5, 0, 0, 0),
    (20, 4, 0, 16),  # six steps to the end of the epoch with its validation, then another epoch
    (19, 4, 0, 15), (19, 4, 6, 6),  # whole epochs, in the second case
    (5, 4, 6, 3), (1, 4, 6, 0),  # not even the running epoch fits
])
def test_whole_epochs_fit_where_there_are_five_and_a_part_of_one_elsewhere(room, done, epoch, expected):
    progress = Progress(epoch_steps=10, step_in_epoch=done, history=[{}] * epoch)
    assert steps_that_fit(room, 1.0, 2.0, progress) == expected


def test_the_time_left_counts_validations_and_what_follows(monkeypatch):
    progress = Progress(epoch_steps=10)
    progress.add_cycle(2.5)
    assert Pace(step=1.0, valid=4.0).seconds_left(progress) == 25 + 3 * 4
    assert Pace(step=1.0, n_valid=6).seconds_left(progress) == pytest.approx(25 + 3 * 2)
    budget = TimeBudget(TimePlan(100, after=20, step=1.0, valid=4.0), 0.0)
    assert budget.seconds_left(progress) == 25 + 3 * 4 + 20


class Clock:
    """A machine on which a training takes as long as is said."""

    def __init__(self, monkeypatch):
        self.now = 1000.0
        monkeypatch.setattr(time_budget.time, "perf_counter", lambda: self.now)


def simulate(clock, slowness, seconds=300, epoch_steps=40, step=0.5, valid=2.0, after=25.0, fixed=False, measured=1.0):
    """Train within a budget on a machine that is slower by slowness(share of the budget so far); the end and lines."""
    plan, progress = TimePlan(seconds, after), Progress(epoch_steps=epoch_steps)
    budget, lines, shares = TimeBudget(plan, clock.now, fixed), [], []
    start = clock.now
    clock.now += 10
    lines.append(budget.make(measured * step, measured * valid, progress, 0))

    def take(seconds_on_idle):
        clock.now += seconds_on_idle * slowness((clock.now - start) / seconds)

    while progress.cycle:
        budget.pace.begin()
        while progress.step_in_epoch < progress.steps_of_epoch:
            take(step)
            progress.step, progress.step_in_epoch = progress.step + 1, progress.step_in_epoch + 1
            budget.pace.end_step()
            lines.append(budget.plan_anew(progress, False))
            shares.append(progress.cycles[-1].share_at(progress.step))
        take(valid)
        progress.history.append({})
        progress.step_in_epoch = 0
        budget.pace.end_validation()
        lines.append(budget.plan_anew(progress, True))
    take(after)
    assert shares == sorted(shares) and shares[-1] == 1  # the learning rate never jumps back
    return (clock.now - start) / seconds, [line for line in lines if line]


MACHINES = {"idle": lambda t: 1, "twice as slow": lambda t: 2, "slow later": lambda t: 1 + (t > 0.3),
            "slow at last": lambda t: 1 + (t > 0.6), "fast later": lambda t: 2 - (t > 0.4)}


@pytest.mark.parametrize("shape", [{}, {"epoch_steps": 400}, {"epoch_steps": 3, "valid": 0.2}], ids=str)
@pytest.mark.parametrize("machine", MACHINES)
def test_a_training_ends_within_its_time(monkeypatch, machine, shape):
    measured = 2.0 if machine == "fast later" else 1.0
    share, lines = simulate(Clock(monkeypatch), MACHINES[machine], measured=measured, **shape)
    assert 0.8 < share < 1.1, lines
    assert len(lines) == 1 if machine == "idle" else len(lines) < 12


def test_a_fixed_plan_stays(monkeypatch):
    share, lines = simulate(Clock(monkeypatch), MACHINES["twice as slow"], fixed=True)
    assert share > 1.5 and len(lines) == 1
    assert lines == ["--time 5m: 12 epochs, about 22 s each; scores and report take about 25 s"]


def test_a_budget_in_which_nothing_fits_is_refused(monkeypatch):
    with pytest.raises(ImgregError, match=r"found 30s, of which about 10 s go .* and 25 s into .*; try --time 50s"):
        simulate(Clock(monkeypatch), MACHINES["idle"], seconds=30)
