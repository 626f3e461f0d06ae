"""The search for a learning rate."""
import math
import statistics
import tempfile
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from fastai.callback.core import Callback
from fastai.callback.progress import ProgressCallback
from fastai.callback.schedule import minimum, steep, valley  # the module adds lr_find and fit_one_cycle to Learner
from fastai.learner import Learner
from fastcore.basics import noop

from ..config import TrainConfig
from ..utils.messages import ProgressBar, say, warn
from .precision import in_precision
from .random_numbers import seed_step

N_PASSES = 2  # of a sweep
MIN_POINTS = 10  # of a pass, to suggest a rate by


def quiet(learn: Learner) -> None:
    """Remove fastai's progress bars and tables."""
    learn.remove_cbs([cb for cb in learn.cbs if isinstance(cb, ProgressCallback)])
    learn.logger = noop


def find_rate(learn: Learner, precision: str) -> float:
    """Search for a learning rate; the default one, with a warning, where the search means nothing."""
    sweep = find_lr(learn, precision)
    if sweep.trusted:
        say(f"learning rate {sweep.suggestion:.2g}")
        return sweep.suggestion
    default = TrainConfig.lr or 0.0
    warn(f"the search for a learning rate means nothing here ({sweep.why}); taking {default:g}")
    return default


class Sweep(NamedTuple):
    """A learning rate sweep.

    Attributes:
        lrs: Rates, of the first pass where there are several.
        losses: The smoothed losses at these rates.
        suggestion: The suggested rate.
        why: Why the suggestion is not to be trusted; "" if it is.
        default: The rate that a training takes by itself; None: not known.
        by_recipe: Whether that is a recipe's, which the errors of whole trainings have chosen.
    """

    lrs: list[float]
    losses: list[float]
    suggestion: float
    why: str = ""
    default: float | None = None
    by_recipe: bool = False

    @property
    def trusted(self) -> bool:
        """Whether the suggestion means anything."""
        return not self.why


def find_lr(learn: Learner, precision: str, steps: int = 100) -> Sweep:
    """Sweep the learning rate twice from the same weights; the model stays as it is.

    Of each the median of three places is taken: the middle of the longest fall of the loss (fastai's `valley`), its
    steepest place, and a tenth of the rate where it is lowest (docs/benchmarks.md compares them). The suggestion is the
    geometric mean of the two passes. It is trusted if they agree within a factor of 8 and the loss fell by a tenth
    before it rose: on a few dozen images a sweep suggests rates two thousand times apart.

    Args:
        learn: Learner of `build_learner`.
        precision: Precision of the body: fp32, bf16 or fp16.
        steps: Number of batches of a pass.
    """
    quiet(learn)
    with ProgressBar("trying learning rates") as bar, learn.added_cbs(MoveBar(bar, N_PASSES * steps)):
        passes = [_sweep(learn, precision, steps) for _ in range(N_PASSES)]
    if not all(p.trusted for p in passes):
        return next(p for p in passes if not p.trusted)
    low, high = sorted(max(p.suggestion, 1e-7) for p in passes)
    smoothed = [pd.Series(p.losses).ewm(alpha=0.1).mean() for p in passes]  # or one lucky batch would be a fall
    fall = min(1 - losses.min() / losses[0] for losses in smoothed)
    why = ""
    if high > 8 * low:
        why = f"two sweeps suggest {low:.1g} and {high:.1g}"
    elif fall < 0.1:
        why = f"the loss fell by {100 * max(fall, 0):.0f} % only"
    return Sweep(passes[0].lrs, passes[0].losses, math.sqrt(low * high), why)


class MoveBar(Callback):
    """Moves a progress bar by a step with each batch.

    Args:
        bar: The bar.
        total: All steps.
    """

    def __init__(self, bar: ProgressBar, total: int):
        self.bar, self.n, self.total = bar, 0, total

    def after_batch(self) -> None:
        self.n += 1
        self.bar.update(self.n, self.total)


def _sweep(learn: Learner, precision: str, steps: int) -> Sweep:
    """One pass of fastai's lr_find, whose checkpoint goes to a temporary folder."""
    path = learn.path
    learn.dls.train.epoch = 0
    seed_step(learn.dls.train.seed, 0, 0)
    with tempfile.TemporaryDirectory() as folder, in_precision(learn, precision):
        learn.path = Path(folder)
        try:
            learn.lr_find(num_it=steps, show_plot=False, suggest_funcs=None)
        finally:
            learn.path = path
    return suggest(list(map(float, learn.recorder.lrs)), list(map(float, learn.recorder.losses)), steps // 5)


def suggest(lrs: list[float], losses: list[float], n_noisy: int) -> Sweep:
    """Return a pass with the median of three of fastai's suggestions, up to where the loss is no finite number.

    Args:
        lrs: Rates.
        losses: The smoothed losses at these rates.
        n_noisy: So many at the beginning count for nothing, nor do the last five.
    """
    n = next((i for i, loss in enumerate(losses) if not math.isfinite(loss)), len(losses))
    lrs, losses = lrs[:n], losses[:n]
    rates, values = torch.tensor(lrs[n_noisy:-5]), torch.tensor(losses[n_noisy:-5])
    if len(rates) < MIN_POINTS:
        return Sweep(lrs, losses, TrainConfig.lr or 0.0, "the loss diverged at once")
    found = [function(rates, values, len(rates))[0] for function in (valley, steep, minimum)]
    return Sweep(lrs, losses, statistics.median(map(float, found)))
