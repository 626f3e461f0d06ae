"""How fast a training goes, how long it still takes, and how many steps fit into a time budget."""
import math
import time
from collections import deque

from ..config import time_option
from ..utils.format import format_seconds
from ..utils.messages import ImgregError
from .progress import Progress, TimePlan

WINDOW = 15.0  # seconds of newest steps, or CHECK of a longer budget, that the pace is the mean of
MEASURED = 0.02  # of the budget goes into measuring steps
CHECK = 0.05  # of the budget, the longest time between two looks at the plan
TOLERANCE = 0.03  # of the budget, by which the end may be missed before the plan changes
WHOLE_EPOCHS = 5  # from so many on, the last one is not cut
SMALLEST_PART = 0.1  # of an epoch, that is worth another validation
PRIOR = 5  # steps that a pace measured before the training counts as
FORWARD = 1 / 3  # of a training step is the share of its forward pass, until a validation is measured


class Pace:
    """How fast a training goes.

    Args:
        step: Seconds of a training step as measured before; 0: not known. It counts as PRIOR steps among the newest.
        valid: Seconds of a validation, until there is a new one; 0: a guess by the steps.
        n_valid: Batches of a validation.
        window: Seconds of newest steps whose mean counts.
    """

    def __init__(self, step: float = 0.0, valid: float = 0.0, n_valid: int = 0, window: float = WINDOW):
        self.valid, self.n_valid, self.window = valid, n_valid, window
        self.newest = deque([step] * PRIOR if step else [])
        self.sum = sum(self.newest)
        self.begin()

    def begin(self) -> None:
        """Begin the time of the next step or validation."""
        self.mark = time.perf_counter()

    def _lap(self) -> float:
        """The seconds since the mark, which is set anew."""
        before = self.mark
        self.begin()
        return self.mark - before

    def end_step(self) -> None:
        """Count a training step."""
        self.newest.append(self._lap())
        self.sum += self.newest[-1]
        while len(self.newest) > PRIOR and self.sum > self.window:
            self.sum -= self.newest.popleft()

    def end_validation(self) -> None:
        """Count a validation."""
        self.valid = self._lap()

    @property
    def step(self) -> float:
        """Seconds of a training step lately."""
        return self.sum / len(self.newest) if self.newest else 0.0

    def seconds_left(self, progress: Progress) -> float:
        """The seconds until the end of what is planned."""
        valid = self.valid or FORWARD * self.step * self.n_valid
        return (progress.n_steps - progress.step) * self.step + (progress.n_epochs - progress.epoch) * valid


class TimeBudget:
    """Keeps a training within its time.

    Args:
        plan: What it goes by; `used` is kept up to date.
        started: When this process began with the training, as time.perf_counter gives it.
        fixed: Whether the plan stays as it was made.
        n_trainings: How many trainings share the time that the user sets.

    Attributes:
        pace: How fast the training goes.
    """

    def __init__(self, plan: TimePlan, started: float, fixed: bool = False, n_trainings: int = 1):
        self.plan, self.start, self.fixed, self.n_trainings = plan, started - plan.used, fixed, n_trainings
        self.pace = Pace(plan.step, plan.valid, window=max(WINDOW, CHECK * plan.budget))
        self.checked = time.perf_counter()
        self.n_told = 0  # the steps that were planned when it was said

    @property
    def passed(self) -> float:
        """Seconds of the budget that have passed."""
        return time.perf_counter() - self.start

    @property
    def after(self) -> float:
        """Seconds of what follows the training, on a machine that may have become slower since they were measured."""
        return self.plan.after * max(1.0, self.pace.step / (self.plan.step or math.inf))

    def seconds_left(self, progress: Progress) -> float:
        """The seconds until the end of all."""
        return self.pace.seconds_left(progress) + self.after

    def make(self, step: float, valid: float, progress: Progress, freeze_epochs: int) -> str:
        """Plan the cycles of a training by measured seconds of a step and of a validation; returns what to say.

        Raises:
            ImgregError: Nothing can be trained in what is left of the time.
        """
        plan = self.plan
        plan.step, plan.valid = step, valid
        self.pace = Pace(step, valid, window=self.pace.window)
        room = plan.budget - self.passed - plan.after
        n_steps = steps_that_fit(room, step, valid, progress)
        n_frozen = freeze_epochs * progress.epoch_steps
        if n_steps <= n_frozen:
            needed = plan.budget - room + valid + (n_frozen + max(1, progress.epoch_steps // 10)) * step
            needed += freeze_epochs * valid
            rounded = 10 * math.ceil(1.25 * needed / 10)  # a share of it goes into a ridge and into measuring
            share = f" for each of {self.n_trainings}" if self.n_trainings > 1 else ""
            raise ImgregError(f"a --time in which {progress.epoch_steps} steps of an epoch, or some of them, fit",
                              f"{time_option(plan.budget)}{share}, of which about {format_seconds(self.passed)} go "
                              f"into what comes before, and {format_seconds(plan.after)} into scores and report",
                              f"--time {time_option(self.n_trainings * rounded)}")
        if n_frozen:
            progress.add_cycle(freeze_epochs, frozen=True)
        progress.add_cycle((n_steps - n_frozen) / progress.epoch_steps)
        return self._line(progress)

    def _line(self, progress: Progress, now: str = "") -> str:
        """What is planned, in a line."""
        self.n_told = progress.n_steps
        each = progress.epoch_steps * self.pace.step + self.pace.valid
        n_epochs = round(progress.epoch + (progress.n_steps - progress.step + progress.step_in_epoch)
                         / progress.epoch_steps, 1)
        epochs = f"{n_epochs:g} epoch{'' if n_epochs == 1 else 's'}, about {format_seconds(each)} each"
        of_each = f" for each of {self.n_trainings} trainings" if self.n_trainings > 1 else ""
        return (f"--time {time_option(self.plan.budget)}{of_each}: {now}{epochs}; scores and report take about "
                f"{format_seconds(self.after)}")

    def plan_anew(self, progress: Progress, epoch_ends: bool) -> str:
        """Change the end of the last cycle where the end of all would be far from the budget.

        Args:
            progress: Of the training, after a step, or after an epoch.
            epoch_ends: Which of them.

        Returns:
            What to say; "" if the number of epochs stays about the same.
        """
        now, cycle = time.perf_counter(), progress.cycles[-1]
        if self.fixed or not (epoch_ends or now - self.checked >= CHECK * self.plan.budget):
            return ""
        self.checked = now
        room = self.plan.budget - self.passed - self.after
        excess = self.pace.seconds_left(progress) - room
        if abs(excess) <= TOLERANCE * self.plan.budget or cycle.share_at(progress.step) == 1:
            return ""
        end = progress.step + steps_that_fit(room, self.pace.step, self.pace.valid, progress)
        end = max(end, cycle.first + 1, progress.step)
        if (end < cycle.end) == (excess > 0):  # whole epochs may leave more room than there is to miss
            cycle.plan(max(progress.step, cycle.first), end)
        if abs(progress.n_steps - self.n_told) < progress.epoch_steps:
            return ""
        return self._line(progress, "now ")


def steps_that_fit(room: float, step: float, valid: float, progress: Progress) -> int:
    """The number of training steps that fit into a time, with a validation at the end of each epoch.

    Where WHOLE_EPOCHS fit, counted from the beginning of the training, all are whole; else the last one is cut.

    Args:
        room: Seconds.
        step: Seconds of a step.
        valid: Seconds of a validation.
        progress: Of the training; its running epoch may be begun.
    """
    n = progress.epoch_steps
    room += progress.step_in_epoch * step  # as if the running epoch was still to come
    n_epochs = max(0, math.floor(room / (n * step + valid)))
    rest = room - n_epochs * (n * step + valid) - valid
    part = max(0, min(n, math.floor(rest / step)))
    if n_epochs and (progress.epoch + n_epochs >= WHOLE_EPOCHS or part < SMALLEST_PART * n):
        part = 0
    return max(0, n_epochs * n + part - progress.step_in_epoch)
