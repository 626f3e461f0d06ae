"""Averages of the weights of a training: an exponential moving one, and one of checkpoints."""
import torch
from fastai.callback.core import Callback

EMA_SHARE = 0.05  # of all steps: the time constant of the exponential average
LAST_SHARE, N_CHECKPOINTS = 0.2, 5  # of all steps, and the checkpoints in it that are averaged


class AverageWeights(Callback):
    """Keeps an average of a network's floats, weights and running statistics.

    Attributes:
        average: Tensors as in the network's state_dict; empty before the first of them counts.
    """

    order, run_valid = 70, False

    def __init__(self):
        self.average, self.n_done = {}, 0

    def before_fit(self):
        self.n_steps = self.learn.n_epoch * len(self.learn.dls.train)

    def after_batch(self):
        self.n_done += 1
        share = self.newest_share()
        if not share:
            return
        newest = {name: t.detach() for name, t in self.learn.model.state_dict().items() if t.is_floating_point()}
        if not self.average:
            self.average = {name: t.clone() for name, t in newest.items()}
        torch._foreach_lerp_(list(self.average.values()), list(newest.values()), share)

    def newest_share(self) -> float:
        """The share of the newest weights in the average; 0: they do not count."""
        raise NotImplementedError


class MovingAverage(AverageWeights):
    """An exponential moving average, which forgets the beginning faster."""

    def newest_share(self) -> float:
        return max(1 / (EMA_SHARE * self.n_steps), 1 / self.n_done) if self.n_steps * EMA_SHARE > 1 else 1.0


class CheckpointAverage(AverageWeights):
    """The mean of N_CHECKPOINTS checkpoints, evenly spread over the last steps."""

    n_averaged = 0

    def newest_share(self) -> float:
        left, distance = self.n_steps - self.n_done, max(1, int(LAST_SHARE * self.n_steps / N_CHECKPOINTS))
        if left % distance or left // distance >= N_CHECKPOINTS:
            return 0.0
        self.n_averaged += 1
        return 1 / self.n_averaged


AVERAGES = {"ema": MovingAverage, "checkpoints": CheckpointAverage}
