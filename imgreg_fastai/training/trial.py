"""Training steps of a copy of the network, to measure them before a training: the network itself stays as it is."""
import copy
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from itertools import islice

import torch
from fastai.learner import Learner

from .datablock import PictureDL
from .precision import DTYPES, body_features

MIN_STEPS = 3  # that are measured, after as many to warm up where an epoch has them


class Trial:
    """A copy of a Learner's network that is trained in its place.

    Args:
        learn: Learner of `build_learner`.
        precision: Precision of the body: fp32, bf16 or fp16.
        accumulate: Batches that make a step.
    """

    def __init__(self, learn: Learner, precision: str, accumulate: int = 1):
        self.learn, self.dtype, self.accumulate = learn, DTYPES[precision], accumulate
        self.model = copy.deepcopy(learn.model)
        self.opt = learn.opt_func(learn.splitter(self.model), lr=1e-6)
        self.n_batches = 0

    def loss(self, batch: tuple) -> torch.Tensor:
        """The loss of a batch: images and labels."""
        pictures, *labels = batch
        body, head = self.model
        dtype = self.dtype if self.model.training else None
        return self.learn.loss_func(head(body_features(body, pictures, dtype)), *labels)

    def train(self, batch: tuple) -> None:
        """Train on a batch; every `accumulate` batches are a step."""
        self.model.train()
        loss = self.loss(batch)
        loss.backward()
        self.n_batches += 1
        if self.n_batches % self.accumulate == 0:
            self.opt.step()
            self.opt.zero_grad()
        loss.item()  # waits for a GPU, as a training does

    def validate(self, batch: tuple) -> None:
        """Validate on a batch."""
        self.model.eval()
        with torch.no_grad():
            self.loss(batch).item()


def measure_training(learn: Learner, precision: str, accumulate: int, seconds: float) -> tuple[float, float]:
    """Measure a training step and a validation, loading and augmentation included.

    Args:
        learn: Learner of `build_learner`; its loaders, weights and random numbers stay as they are.
        precision: Precision of the body.
        accumulate: Batches that make a step.
        seconds: How long each may be measured, beyond a few batches.

    Returns:
        The seconds of a training step, and those of a whole validation.
    """
    trial = Trial(learn, precision, accumulate)
    train, valid = learn.dls.train, learn.dls.valid
    with torch.random.fork_rng():
        batch = _seconds_per_batch(train, trial.train, seconds)
        return accumulate * batch, len(valid) * _seconds_per_batch(valid, trial.validate, seconds / 2)


def _seconds_per_batch(loader: PictureDL, use: Callable[[tuple], None], seconds: float) -> float:
    """The mean seconds of loading and using a batch, after some to warm up."""
    n = len(loader)
    n_warmup = min(MIN_STEPS, n // 2)
    with _as_before(loader) as batches:
        for batch in islice(batches, n_warmup):
            use(batch)
        n_measured, start = 0, time.perf_counter()
        for batch in islice(batches, n - n_warmup):
            use(batch)
            n_measured += 1
            if n_measured >= MIN_STEPS and time.perf_counter() - start > seconds:
                break
        return (time.perf_counter() - start) / max(n_measured, 1)


@contextmanager
def _as_before(loader: PictureDL) -> Iterator[Generator[tuple, None, None]]:
    """Iterate over a loader, which is afterwards in the state that it was in."""
    before = {name: getattr(loader, name) for name in ("epoch", "first_batch", "end_batch", "broken", "rng")}
    batches = iter(loader)
    try:
        yield batches
    finally:
        batches.close()  # before its end
        for name, value in before.items():
            setattr(loader, name, value)
