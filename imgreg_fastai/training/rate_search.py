"""The search for a learning rate."""
import math
import tempfile
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from fastai.callback.progress import ProgressCallback
from fastai.callback.schedule import valley  # the module adds lr_find and fit_one_cycle to Learner
from fastai.learner import Learner
from fastcore.basics import noop

from ..config import TrainConfig
from ..utils.messages import say, warn
from .precision import in_precision
from .random_numbers import seed_step


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
    """

    lrs: list[float]
    losses: list[float]
    suggestion: float
    why: str = ""

    @property
    def trusted(self) -> bool:
        """Whether the suggestion means anything."""
        return not self.why


def find_lr(learn: Learner, precision: str, steps: int = 100) -> Sweep:
    """Sweep the learning rate twice from the same weights; the model stays as it is.

    The suggestion is the geometric mean of the two. It is trusted if they agree within a factor of 8 and the loss fell
    by a tenth before it rose: on a few dozen images a sweep suggests rates two thousand times apart.

    Args:
        learn: Learner of `build_learner`.
        precision: Precision of the body: fp32, bf16 or fp16.
        steps: Number of batches of a pass.
    """
    quiet(learn)
    passes = [_sweep(learn, precision, steps) for _ in range(2)]
    low, high = sorted(max(p.suggestion, 1e-7) for p in passes)
    smoothed = [pd.Series(p.losses).ewm(alpha=0.1).mean() for p in passes]  # or one lucky batch would be a fall
    fall = min(1 - losses.min() / losses[0] for losses in smoothed)
    why = ""
    if high > 8 * low:
        why = f"two sweeps suggest {low:.1g} and {high:.1g}"
    elif fall < 0.1:
        why = f"the loss fell by {100 * max(fall, 0):.0f} % only"
    return Sweep(passes[0].lrs, passes[0].losses, math.sqrt(low * high), why)


def _sweep(learn: Learner, precision: str, steps: int) -> Sweep:
    """One pass of fastai's lr_find, whose checkpoint goes to a temporary folder."""
    path = learn.path
    learn.dls.train.epoch = 0
    seed_step(learn.dls.train.seed, 0, 0)
    with tempfile.TemporaryDirectory() as folder, in_precision(learn, precision):
        learn.path = Path(folder)
        try:
            suggested = learn.lr_find(num_it=steps, show_plot=False, suggest_funcs=(valley,))
        finally:
            learn.path = path
    lrs, losses = learn.recorder.lrs, learn.recorder.losses
    return Sweep(list(map(float, lrs)), list(map(float, losses)), float(suggested.valley))
