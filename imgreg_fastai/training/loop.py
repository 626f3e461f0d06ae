"""Fitting a Learner: one cycle with early stopping, the saved state, and the search for a learning rate."""
import math
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.callback.progress import ProgressCallback
from fastai.callback.schedule import valley  # the module adds lr_find and fit_one_cycle to Learner
from fastai.learner import Learner
from fastcore.basics import noop

from ..config import TrainConfig
from ..utils.files import atomic_file
from ..utils.messages import ImgregError, say, warn
from .precision import in_precision

WARMUP = 0.25  # the part of the cycle in which the learning rate rises


class TrainingWatch(Callback):
    """The progress of a fit: writes its history, and stops it when patience ends or `stop_at` is reached.

    A row of the history has the epoch, losses, errors, learning rate and seconds.

    Args:
        batch: Called after each training batch with its number, the number of all, and the newest row or {}.
        epoch: Called after each epoch with its row and whether its weights are the ones to keep.

    Attributes:
        history: The rows so far.
        stopped: Why the fit ended early; "" if it did not.
    """

    order = 60  # after fastai's Recorder, whose values it reads
    cfg: TrainConfig  # `fit` fills in these two
    n_batches: int

    def __init__(self, batch: Callable[[int, int, dict], None] = noop, epoch: Callable[[dict, bool], None] = noop):
        self.report_batch, self.report_epoch = batch, epoch
        self.history: list[dict[str, float]] = []
        self.stopped, self.batches_done, self.best_loss, self.epochs_since_best = "", 0, math.inf, 0

    def before_train(self) -> None:
        self.start, self.first_batch = time.perf_counter(), self.batches_done

    def after_batch(self) -> None:
        if not self.training:
            return
        loss = self.learn.loss.item()
        if not math.isfinite(loss):
            lr = self.opt.hypers[-1]["lr"]
            raise ImgregError("a finite loss", f"{loss} at a learning rate of {lr:.2g}", "a smaller --lr")
        self.batches_done += 1
        self.report_batch(self.batches_done, self.n_batches, self.history[-1] if self.history else {})

    def after_train(self) -> None:
        if self.batches_done == self.first_batch:  # fastai would call an epoch without batches a success
            raise ImgregError("a batch to train on in every epoch", "none", "a smaller --bs")

    def after_epoch(self) -> None:
        names = list(self.recorder.metric_names[1:-1])
        values = {name: math.nan if value is None else float(value)  # there is no loss if all images broke
                  for name, value in zip(names, self.recorder.values[-1], strict=True)}
        row = {"epoch": len(self.history) + 1, **values, "lr": float(self.opt.hypers[-1]["lr"]),
               "seconds": round(time.perf_counter() - self.start, 2)}
        self.history.append(row)
        improved = row["valid_loss"] < self.best_loss
        self.best_loss = min(self.best_loss, row["valid_loss"])
        frozen = self.opt.frozen_idx > 0  # frozen epochs only prepare the others, and end no patience
        self.epochs_since_best = 0 if improved or frozen else self.epochs_since_best + 1

        target, goal = self.cfg.stop_at or ("", 0.0)
        error = row.get(f"{target}_error", math.inf)
        self.report_epoch(row, improved or error <= goal)
        if error <= goal:
            self.stopped = f"{target} error {error:.3g} reached {goal:g}"
        elif self.cfg.patience and self.epochs_since_best >= self.cfg.patience:
            self.stopped = f"no better validation loss in {self.epochs_since_best} epochs"
        if self.stopped:
            raise CancelFitException


def fit(learn: Learner, cfg: TrainConfig, watch: TrainingWatch, pretrained: bool, precision: str) -> None:
    """Train by one cycle, after frozen epochs where the config has some. Ctrl-C ends the fit without an error.

    Args:
        learn: Learner of `build_learner`.
        cfg: How it is trained.
        watch: Progress of the fit, which is filled in.
        pretrained: Whether the body has weights; then it learns at `cfg.body_lr` times the head's rate.
        precision: Precision of the body: fp32, bf16 or fp16.

    Raises:
        ImgregError: The loss is not finite, or an epoch has no batch.
    """
    n_frozen = cfg.freeze_epochs if pretrained else 0
    if cfg.freeze_epochs and not pretrained:
        warn("no frozen epochs: the backbone starts from random weights, which must learn")
    quiet(learn)
    watch.cfg, watch.n_batches = cfg, (n_frozen + cfg.epochs) * len(learn.dls.train)
    try:
        lr: Any = cfg.lr
        if lr is None:
            sweep = find_lr(learn, precision)
            lr = sweep.suggestion if sweep.trusted else TrainConfig.lr
            if sweep.trusted:
                say(f"learning rate {lr:.2g}")
            else:
                warn(f"the search for a learning rate means nothing here ({sweep.why}); taking {lr:g}")
        with in_precision(learn, precision), learn.added_cbs(watch):
            if n_frozen:
                learn.freeze()
                learn.fit_one_cycle(n_frozen, lr, pct_start=0.99)
                learn.unfreeze()
            if not watch.stopped:
                rates = slice(lr * cfg.body_lr, lr) if pretrained else lr
                learn.fit_one_cycle(cfg.epochs, rates, pct_start=WARMUP)
    except KeyboardInterrupt:
        watch.stopped = "interrupted"


def save_state(learn: Learner, path: Path, epochs: int) -> None:
    """Write the last state: model, optimizer, random numbers and epochs; tensors and plain values only.

    Args:
        learn: The Learner.
        path: File to write; it is replaced at once or not at all.
        epochs: Number of epochs trained.
    """
    opt = learn.opt.state_dict()
    for group in opt["param_groups"]:  # the schedule leaves numpy's numbers there, which torch's safe loading refuses
        group.update(lr=float(group["lr"]), betas=tuple(map(float, group["betas"])))
    state = {"model": learn.model.state_dict(), "opt": opt, "epochs": epochs, "random": torch.random.get_rng_state()}
    with atomic_file(path) as file:
        torch.save(state, file)


def quiet(learn: Learner) -> None:
    """Remove fastai's progress bars and tables."""
    learn.remove_cbs([cb for cb in learn.cbs if isinstance(cb, ProgressCallback)])
    learn.logger = noop


# ---- the search for a learning rate


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
    with tempfile.TemporaryDirectory() as folder, in_precision(learn, precision):
        learn.path = Path(folder)
        try:
            suggested = learn.lr_find(num_it=steps, show_plot=False, suggest_funcs=(valley,))
        finally:
            learn.path = path
    lrs, losses = learn.recorder.lrs, learn.recorder.losses
    return Sweep(list(map(float, lrs)), list(map(float, losses)), float(suggested.valley))
