"""Fitting a Learner: one cycle with early stopping, and the search for a learning rate."""
import math
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import torch
from fastai.callback.core import Callback, CancelBatchException, CancelFitException
from fastai.callback.fp16 import MixedPrecision
from fastai.callback.progress import ProgressCallback
from fastai.callback.schedule import valley  # the module adds lr_find and fit_one_cycle to Learner
from fastai.learner import Learner
from fastcore.basics import noop

from ..config import TrainConfig
from ..utils.messages import ImgregError, say, warn
from .checkpoint import Moment, is_frozen
from .precision import in_precision
from .progress import Progress
from .random_numbers import seed_step

WARMUP = 0.25  # the part of the cycle in which the learning rate rises


class Accumulate(Callback):
    """Makes a training step of every n batches, by the mean of their gradients.

    Args:
        n: Number of batches.
    """

    order, run_valid = MixedPrecision.order - 4, False  # before the gradients are scaled back for a step

    def __init__(self, n: int):
        self.n = n

    def after_loss(self) -> None:
        self.learn.loss_grad = self.loss_grad / self.n

    def before_step(self) -> None:
        if (self.iter + 1) % self.n:
            raise CancelBatchException


class TrainingWatch(Callback):
    """Leads a fit along its Progress: what follows when, what is reported and saved, and when it ends.

    Args:
        progress: How far the training is; a new one if None.
        step: Called after each training step with the Progress.
        epoch: Called after each epoch with its row of the history.
        save: Called where the state is whole and may be saved: with "step" or "epoch" after one of these, and with
            "end" where the training ends.

    Attributes:
        best: The weights with the lowest validation loss, or that reached `stop_at`; {} before there are any.
        stop_requested: Whether the training is to end after the running step.
    """

    order = 60  # after fastai's Recorder, whose values it reads
    cfg: TrainConfig  # `fit` fills it in

    def __init__(self, progress: Progress | None = None, step: Callable[[Progress], None] = noop,
                 epoch: Callable[[dict], None] = noop, save: Callable[[Moment], None] = noop):
        self.progress = progress or Progress()
        self.report_step, self.report_epoch, self.save = step, epoch, save
        self.best: dict[str, torch.Tensor] = {}
        self.stop_requested = False

    def before_fit(self) -> None:
        # fastai forgets these at the beginning of a fit
        progress, mean = self.progress, self.recorder.smooth_loss
        mean.count, mean.val = progress.n_losses, torch.tensor(progress.mean_loss)
        if progress.loss_scale:
            self.learn.scaler.load_state_dict(progress.loss_scale)

    def before_train(self) -> None:
        progress, loader = self.progress, self.learn.dls.train
        self.start = time.perf_counter() - progress.epoch_seconds
        loader.epoch, loader.first = progress.epoch, progress.step_in_epoch * self.cfg.accumulate
        self.first_batch = loader.first
        self._place_step()

    def _place_step(self) -> None:
        """Set what depends on the place of the next step in the training."""
        progress = self.progress
        self.learn.dls.train.last = progress.end_of_epoch * self.cfg.accumulate
        if progress.cycle:
            self.learn.pct_train = progress.cycle.share_at(progress.step)  # which fastai's schedule goes by

    def before_batch(self) -> None:
        if self.training:
            seed_step(self.cfg.seed, self.progress.epoch, self.first_batch + self.iter)

    def after_batch(self) -> None:
        if self.training:
            self._check_loss()
            if (self.iter + 1) % self.cfg.accumulate:  # the gradients of a step are not complete
                self._place_step()  # fastai's own count goes on with each batch
                return
            self.progress.step += 1
            self.progress.step_in_epoch += 1
            self.progress.rate = float(self.opt.hypers[-1]["lr"])
            self.report_step(self.progress)
            self._place_step()
            self._save("step")
        if self.stop_requested:
            self._save("end")
            self.progress.stopped = "interrupted"
            raise CancelFitException

    def _check_loss(self) -> None:
        loss = self.learn.loss.item()
        if not math.isfinite(loss):
            lr = self.opt.hypers[-1]["lr"]
            raise ImgregError("a finite loss", f"{loss} at a learning rate of {lr:.2g}", "a smaller --lr")

    def _save(self, moment: Moment) -> None:
        """Bring the Progress up to date, and save it or not."""
        progress, mean = self.progress, self.recorder.smooth_loss
        progress.mean_loss, progress.n_losses = float(mean.val), mean.count
        if getattr(self.learn, "scaler", None) is not None:
            progress.loss_scale = self.learn.scaler.state_dict()
        if progress.step_in_epoch:
            progress.epoch_seconds = time.perf_counter() - self.start
        self.save(moment)

    def after_train(self) -> None:
        if self.progress.step_in_epoch == 0:  # fastai would call an epoch without batches a success
            raise ImgregError("a batch to train on in every epoch", "none", "a smaller --bs")

    def after_epoch(self) -> None:
        progress, cycle = self.progress, self.progress.cycle
        row = self._history_row()
        progress.history.append(row)
        progress.step_in_epoch, progress.epoch_seconds = 0, 0.0
        improved = row["valid_loss"] < progress.best_loss
        progress.best_loss = min(progress.best_loss, row["valid_loss"])
        is_frozen = cycle is not None and cycle.frozen  # frozen epochs only prepare the others, and end no patience
        progress.epochs_since_best = 0 if improved or is_frozen else progress.epochs_since_best + 1

        target, goal = self.cfg.stop_at or ("", 0.0)
        error = row.get(f"{target}_error", math.inf)
        if improved or error <= goal or not self.best:
            progress.best_epoch = progress.epoch
            self.best = {name: tensor.detach().clone() for name, tensor in self.learn.model.state_dict().items()}
        if error <= goal:
            progress.stopped = f"{target} error {error:.3g} reached {goal:g}"
        elif self.cfg.patience and progress.epochs_since_best >= self.cfg.patience:
            progress.stopped = f"no better validation loss in {progress.epochs_since_best} epochs"
        self.report_epoch(row)
        self._save("end" if progress.stopped or progress.cycle is None else "epoch")
        if progress.stopped or progress.cycle is not cycle:
            raise CancelFitException

    def _history_row(self) -> dict[str, float]:
        """The row of the epoch that ends."""
        names = list(self.recorder.metric_names[1:-1])
        values = {name: math.nan if value is None else float(value)  # there is no loss if all images broke
                  for name, value in zip(names, self.recorder.values[-1], strict=True)}
        return {"epoch": self.progress.epoch + 1, **values, "lr": self.progress.rate,
                "seconds": round(time.perf_counter() - self.start, 2)}


def fit(learn: Learner, cfg: TrainConfig, watch: TrainingWatch, pretrained: bool, precision: str) -> None:
    """Train by one cycle, after frozen epochs where the config has some; or go on with what is planned.

    Ctrl-C ends the fit without an error, after the running step.

    Args:
        learn: Learner of `build_learner`.
        cfg: How it is trained.
        watch: Progress of the fit. If nothing is planned, the epochs of the config are.
        pretrained: Whether the body has weights; then it learns at `cfg.body_lr` times the head's rate.
        precision: Precision of the body: fp32, bf16 or fp16.

    Raises:
        ImgregError: The loss is not finite, or an epoch has no batch.
    """
    quiet(learn)
    watch.cfg, progress = cfg, watch.progress
    try:
        if not progress.cycles:
            plan_training(learn, cfg, progress, pretrained, precision)
        accumulate = [Accumulate(cfg.accumulate)] if cfg.accumulate > 1 else []
        with in_precision(learn, precision), learn.added_cbs([watch, *accumulate]), _stopped_by_signals(watch):
            while (cycle := progress.cycle) and not progress.stopped:
                if cycle.frozen != is_frozen(learn):  # both make the optimizer forget its averages
                    (learn.freeze if cycle.frozen else learn.unfreeze)()
                lr = progress.lr
                rates = slice(lr * cfg.body_lr, lr) if pretrained and not cycle.frozen else lr
                learn.fit_one_cycle(progress.epochs_left, rates, pct_start=0.99 if cycle.frozen else WARMUP)
            if watch.stop_requested:
                progress.stopped = "interrupted"
    except KeyboardInterrupt:
        progress.stopped = "interrupted"


def plan_training(learn: Learner, cfg: TrainConfig, progress: Progress, pretrained: bool, precision: str) -> None:
    """Plan the epochs of a config, and find their learning rate where it has none; fills in the Progress."""
    if cfg.freeze_epochs and not pretrained:
        warn("no frozen epochs: the backbone starts from random weights, which must learn")
    progress.lr = find_rate(learn, precision) if cfg.lr is None else cfg.lr
    progress.epoch_steps = count_epoch_steps(learn, cfg)
    if cfg.freeze_epochs and pretrained:
        progress.add_cycle(cfg.freeze_epochs, frozen=True)
    progress.add_cycle(cfg.epochs)


def count_epoch_steps(learn: Learner, cfg: TrainConfig) -> int:
    """The number of training steps of an epoch; raises ImgregError if there is none."""
    n_batches = len(learn.dls.train)
    if n_batches < cfg.accumulate:
        hint = f"--accumulate {n_batches}" if n_batches else "a smaller --bs"
        raise ImgregError("a training step in every epoch", f"{n_batches} batches, where --accumulate "
                          f"{cfg.accumulate} makes one step of {cfg.accumulate}", hint)
    return n_batches // cfg.accumulate


def find_rate(learn: Learner, precision: str) -> float:
    """Search for a learning rate; the default one, with a warning, where the search means nothing."""
    sweep = find_lr(learn, precision)
    if sweep.trusted:
        say(f"learning rate {sweep.suggestion:.2g}")
        return sweep.suggestion
    default = TrainConfig.lr or 0.0
    warn(f"the search for a learning rate means nothing here ({sweep.why}); taking {default:g}")
    return default


@contextmanager
def _stopped_by_signals(watch: TrainingWatch) -> Iterator[None]:
    """Within the block, the signals that raise KeyboardInterrupt let the running step end; the second one does not."""
    def request(*_: object) -> None:
        if watch.stop_requested:
            raise KeyboardInterrupt
        watch.stop_requested = True
        say("stopping after this step (Ctrl-C again: at once)")

    is_main = threading.current_thread() is threading.main_thread()  # only there signals can be handled
    signals = [s for s in (signal.SIGINT, signal.SIGTERM)
               if is_main and signal.getsignal(s) is signal.default_int_handler]
    for number in signals:
        signal.signal(number, request)
    try:
        yield
    finally:
        for number in signals:
            signal.signal(number, signal.default_int_handler)


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
