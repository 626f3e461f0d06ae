"""How far a training is, as plain data: what its checkpoint holds beside tensors."""
import math
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Cycle:
    """A cycle of the learning rate, which rises and falls over some training steps.

    Attributes:
        first, end: Its first training step, and the one after its last, from the beginning of the training.
        frozen: Whether only the head learns.
        plan_step: The step at which `end` was planned.
        share_at_plan: The share of the cycle that was over at that step.
    """

    first: int
    end: int
    frozen: bool = False
    plan_step: int = 0
    share_at_plan: float = 0.0

    def __post_init__(self) -> None:
        self.plan_step = max(self.plan_step, self.first)

    def share_at(self, step: int) -> float:
        """The share of the cycle that is over after `step` steps of the training."""
        if step >= self.end:
            return 1.0
        return self.share_at_plan + (1 - self.share_at_plan) * (step - self.plan_step) / (self.end - self.plan_step)

    def plan(self, step: int, end: int) -> None:
        """Let the cycle end elsewhere: from `step` on, what is left of it is stretched or compressed."""
        self.share_at_plan, self.plan_step, self.end = self.share_at(step), step, max(end, step)


@dataclass
class TimePlan:
    """What a training with a time budget goes by, in seconds.

    Attributes:
        budget: From the beginning of the reading to the end of the report.
        after: What follows the training: calibration, scores, plots and report.
        used: The time so far, up to the newest checkpoint.
        step, valid: A training step and a validation, as measured before the training.
    """

    budget: float
    after: float = 0.0
    used: float = 0.0
    step: float = 0.0
    valid: float = 0.0


@dataclass
class Progress:
    """How far a training is.

    Attributes:
        epoch_steps: Training steps of a whole epoch.
        peak_lr: The peak of the learning rate.
        cycles: What is planned, one after another. The last epoch of a cycle can be shorter than others.
        step: Training steps so far.
        step_in_epoch: Those of the running epoch.
        newest_lr: Learning rate of the newest step.
        epoch_seconds: Seconds that the running epoch took so far.
        history: A row for each complete epoch: its number, losses, errors, learning rate and seconds.
        best_loss, best_epoch: The lowest validation loss, and the epoch whose weights are kept; 0 before the first.
        epochs_since_best: Epochs without a lower validation loss; frozen ones do not count.
        stopped: Why the training ended before its plan; "" if it did not.
        mean_loss, n_losses: State of fastai's running mean of the training loss.
        loss_scale: State of the scaling of the loss in fp16; {} otherwise.
        time: Of a training with a time budget; else None.
    """

    epoch_steps: int = 0
    peak_lr: float = 0.0
    cycles: list[Cycle] = field(default_factory=list)
    step: int = 0
    step_in_epoch: int = 0
    newest_lr: float = 0.0
    epoch_seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)
    best_loss: float = math.inf
    best_epoch: int = 0
    epochs_since_best: int = 0
    stopped: str = ""
    mean_loss: float = 0.0
    n_losses: int = 0
    loss_scale: dict[str, Any] = field(default_factory=dict)
    time: TimePlan | None = None

    @property
    def epoch(self) -> int:
        """The number of complete epochs."""
        return len(self.history)

    @property
    def cycle(self) -> Cycle | None:
        """The running cycle; None if all that is planned is done."""
        for cycle in self.cycles:
            to_validate = self.step == cycle.end and self.step_in_epoch > 0
            if self.step < cycle.end or to_validate:
                return cycle
        return None

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to train."""
        return self.cycle is None or bool(self.stopped)

    @property
    def _steps_left(self) -> int:
        """The number of steps until the running cycle ends."""
        cycle = self.cycle
        return cycle.end - self.step if cycle else 0

    @property
    def steps_of_epoch(self) -> int:
        """The number of steps of the running epoch: fewer than `epoch_steps` where its cycle ends before."""
        return min(self.epoch_steps, self.step_in_epoch + self._steps_left)

    @property
    def epochs_left(self) -> int:
        """The number of epochs until the running cycle ends, the running epoch included."""
        return max(1, math.ceil((self.step_in_epoch + self._steps_left) / self.epoch_steps))

    @property
    def n_steps(self) -> int:
        """The number of steps that are planned in all."""
        return self.cycles[-1].end if self.cycles else 0

    @property
    def n_epochs(self) -> int:
        """The number of epochs that are planned in all, the last one whole or not."""
        left = self.n_steps - self.step + self.step_in_epoch
        return self.epoch + math.ceil(left / self.epoch_steps)

    def add_cycle(self, epochs: float, frozen: bool = False) -> None:
        """Plan another cycle of so many epochs."""
        first = self.n_steps
        self.cycles.append(Cycle(first, first + max(1, round(epochs * self.epoch_steps)), frozen))

    def replan_epochs(self, n_epochs: int) -> None:
        """Plan `n_epochs` in all: the last cycle is stretched or, if it has ended, another one added."""
        more = n_epochs - self.n_epochs
        last = self.cycles[-1]
        if last.share_at(self.step) < 1:
            last.plan(max(self.step, last.first), last.end + more * self.epoch_steps)
        elif more > 0:
            self.add_cycle(more)
        if self.stopped:
            self.stopped, self.epochs_since_best = "", 0

    def change_epoch_steps(self, epoch_steps: int) -> None:
        """Go on with epochs of another number of steps, because there are more or fewer images than before."""
        cycle, epochs_left, ratio = self.cycle, self.epochs_left, epoch_steps / self.epoch_steps
        self.step_in_epoch = min(self.step_in_epoch, epoch_steps)
        self.epoch_steps = epoch_steps
        if cycle:
            cycle.plan(self.step, self.step - self.step_in_epoch + epochs_left * epoch_steps)
            end = cycle.end
            for later in self.cycles[self.cycles.index(cycle) + 1 :]:
                n_steps = max(1, round((later.end - later.first) * ratio))
                later.first, later.plan_step, later.end = end, end, end + n_steps
                end = later.end

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON can hold it."""
        return asdict(self)


def progress_from_dict(fields: dict[str, Any]) -> Progress:
    """Return what `Progress.to_dict` wrote."""
    time = TimePlan(**fields["time"]) if fields.get("time") else None
    return Progress(**{**fields, "cycles": [Cycle(**cycle) for cycle in fields["cycles"]], "time": time})
