"""Fitting a Learner along a plan: cycles of the learning rate, early stopping, and what is reported and saved."""
import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from fastai.callback.core import Callback, CancelBatchException, CancelFitException
from fastai.callback.fp16 import MixedPrecision
from fastai.learner import Learner
from fastcore.basics import noop

from ..config import TrainConfig
from ..utils.messages import ImgregError, say, warn
from .batch_size import fits_memory, halve
from .checkpoint import Moment, is_frozen
from .norm import fix_norm, is_norm_fixed
from .precision import in_precision
from .progress import Progress
from .random_numbers import seed_step
from .rate_search import find_rate, quiet
from .time_budget import MEASURED, Pace, TimeBudget
from .trial import measure_training

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
    """Keeps a fit in step with its Progress: sets the schedule, reports, saves, and ends the fit.

    Args:
        progress: How far the training is; a new one if None.
        step: Called after each training step with the Progress.
        epoch: Called after each epoch with its row of the history.
        save: Called where the state is whole and may be saved: with "step" or "epoch" after one of these, and with
            "end" where the training ends.
        change: Called with what to say where `cfg`, the epochs that are planned or the batch, has changed.
        budget: Of time, which decides on the number of epochs; None: the config does.

    Attributes:
        cfg: How the network is trained; `fit` fills it in.
        pace: How fast the training goes.
        best: The weights with the lowest validation loss, or that reached `stop_at`; {} before there are any.
        stop_requested: Whether the training is to end after the running step.
    """

    order = 60  # after fastai's Recorder, whose values it reads
    cfg: TrainConfig

    def __init__(self, progress: Progress | None = None, step: Callable[[Progress], None] = noop,
                 epoch: Callable[[dict], None] = noop, save: Callable[[Moment], None] = noop,
                 change: Callable[[str], None] = noop, budget: TimeBudget | None = None):
        self.progress = progress or Progress()
        self.report_step, self.report_epoch, self.save, self.report_change = step, epoch, save, change
        self.budget, self.own_pace = budget, Pace()
        self.best: dict[str, torch.Tensor] = {}
        self.stop_requested = False

    @property
    def pace(self) -> Pace:
        """How fast the training goes."""
        return self.budget.pace if self.budget else self.own_pace

    def seconds_left(self) -> float:
        """The seconds until the end of the training; with a time budget, those until the end of all."""
        return (self.budget or self.pace).seconds_left(self.progress)

    def before_fit(self) -> None:
        # fastai forgets these at the beginning of a fit
        progress, mean = self.progress, self.recorder.smooth_loss
        mean.count, mean.val = progress.n_losses, torch.tensor(progress.mean_loss)
        if progress.loss_scale:
            self.learn.scaler.load_state_dict(progress.loss_scale)

    def before_train(self) -> None:
        progress, loader = self.progress, self.learn.dls.train
        self.start = time.perf_counter() - progress.epoch_seconds
        loader.epoch, loader.first_batch = progress.epoch, progress.step_in_epoch * self.cfg.accumulate
        self.first_batch = loader.first_batch
        self.pace.n_valid = len(self.learn.dls.valid)
        self.pace.begin()
        self._set_schedule_position()

    def _set_schedule_position(self) -> None:
        """Set what depends on the place of the next step in the training."""
        progress = self.progress
        self.learn.dls.train.end_batch = progress.steps_of_epoch * self.cfg.accumulate
        if progress.cycle:
            self.learn.pct_train = progress.cycle.share_at(progress.step)  # which fastai's schedule goes by

    def before_batch(self) -> None:
        if self.training:
            seed_step(self.cfg.seed, self.progress.epoch, self.first_batch + self.iter)
            if is_norm_fixed(self.progress, self.cfg.fixed_norm):
                fix_norm(self.learn.model)

    def after_batch(self) -> None:
        if self.training:
            self._check_loss()
            if (self.iter + 1) % self.cfg.accumulate:  # the gradients of a step are not complete
                self._set_schedule_position()  # fastai's own count goes on with each batch
                return
            self.progress.step += 1
            self.progress.step_in_epoch += 1
            self.progress.newest_lr = float(self.opt.hypers[-1]["lr"])
            self.pace.end_step()
            self._plan_anew(False)
            self.report_step(self.progress)
            self._set_schedule_position()
            self._save("step")
        if self.stop_requested:
            self._save("end")
            self.progress.stopped = "interrupted"
            raise CancelFitException

    def _plan_anew(self, epoch_ends: bool) -> None:
        """Keep within the time budget, if there is one."""
        if self.budget:
            line = self.budget.plan_anew(self.progress, epoch_ends)
            if line:
                self.change(line)

    def change(self, line: str) -> None:
        """Bring the epochs of the config up to date, and report a change of it."""
        if self.budget:
            n_frozen = self.cfg.freeze_epochs if any(cycle.frozen for cycle in self.progress.cycles) else 0
            self.cfg = replace(self.cfg, epochs=max(1, self.progress.n_epochs - n_frozen))
        self.report_change(line)

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
        if progress.time and self.budget:
            progress.time.used = self.budget.passed
        self.save(moment)

    def after_train(self) -> None:
        if self.progress.step_in_epoch == 0:  # fastai does not complain about an epoch without batches
            raise ImgregError("a batch to train on in every epoch", "none", "a smaller --bs")

    def after_epoch(self) -> None:
        progress, cycle = self.progress, self.progress.cycle
        row = self._history_row()
        progress.history.append(row)
        progress.step_in_epoch, progress.epoch_seconds = 0, 0.0
        self.pace.end_validation()
        self._plan_anew(True)
        improved = row["valid_loss"] < progress.best_loss
        progress.best_loss = min(progress.best_loss, row["valid_loss"])
        is_frozen = cycle is not None and cycle.frozen  # frozen epochs do not count for --patience
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
        return {"epoch": self.progress.epoch + 1, **values, "lr": self.progress.newest_lr,
                "seconds": round(time.perf_counter() - self.start, 2)}


def fit(learn: Learner, cfg: TrainConfig, watch: TrainingWatch, pretrained: bool, precision: str,
        halve_batches: bool = False) -> None:
    """Train by one cycle, after frozen epochs where the config has some; or go on with what is planned.

    Ctrl-C ends the fit without an error, after the running step.

    Args:
        learn: Learner of `build_learner`.
        cfg: How it is trained.
        watch: Progress of the fit. If nothing is planned, the epochs of the config are.
        pretrained: Whether the body has weights; then it learns at `cfg.body_lr` times the head's rate.
        precision: Precision of the body: fp32, bf16 or fp16.
        halve_batches: Whether to go on with smaller batches where memory is exhausted.

    Raises:
        ImgregError: The loss is not finite, an epoch has no batch, or memory is exhausted.
    """
    quiet(learn)
    watch.cfg, progress = cfg, watch.progress
    try:
        while not progress.stopped and (progress.cycle or not progress.cycles):
            if not fits_memory(_fit_planned, learn, watch, pretrained, precision):
                watch.cfg = halve(learn, watch.cfg, halve_batches)
                watch.change(f"the memory of {learn.dls.device} is exhausted: going on with batches of "
                             f"{watch.cfg.bs} images, {watch.cfg.accumulate} of them in a step")
    except KeyboardInterrupt:
        progress.stopped = "interrupted"


def _fit_planned(learn: Learner, watch: TrainingWatch, pretrained: bool, precision: str) -> None:
    """Plan a training if it is not, and follow the plan."""
    cfg, progress = watch.cfg, watch.progress
    if not progress.cycles:
        plan_training(learn, watch, pretrained, precision)
    accumulate = [Accumulate(cfg.accumulate)] if cfg.accumulate > 1 else []
    with in_precision(learn, precision), learn.added_cbs([watch, *accumulate]), _stopped_by_signals(watch):
        while (cycle := progress.cycle) and not progress.stopped:
            if cycle.frozen != is_frozen(learn):  # both make the optimizer forget its averages
                (learn.freeze if cycle.frozen else learn.unfreeze)()
            lr = progress.peak_lr
            rates = slice(lr * cfg.body_lr, lr) if pretrained and not cycle.frozen else lr
            learn.fit_one_cycle(progress.epochs_left, rates, pct_start=0.99 if cycle.frozen else WARMUP)
        if watch.stop_requested:
            progress.stopped = "interrupted"


def plan_training(learn: Learner, watch: TrainingWatch, pretrained: bool, precision: str) -> None:
    """Plan the epochs of a config or of a time budget, and find their learning rate; fills in the Progress."""
    cfg, progress, budget = watch.cfg, watch.progress, watch.budget
    if cfg.freeze_epochs and not pretrained:
        warn("no frozen epochs: the backbone starts from random weights, which must learn")
    progress.peak_lr = find_rate(learn, precision) if cfg.lr is None else cfg.lr
    progress.epoch_steps = count_epoch_steps(learn, cfg)
    n_frozen = cfg.freeze_epochs if pretrained else 0
    if budget:
        measured = measure_training(learn, precision, cfg.accumulate, MEASURED * budget.plan.budget)
        watch.change(budget.make(*measured, progress, n_frozen))
        return
    if n_frozen:
        progress.add_cycle(n_frozen, frozen=True)
    progress.add_cycle(cfg.epochs)


def count_epoch_steps(learn: Learner, cfg: TrainConfig) -> int:
    """The number of training steps of an epoch; raises ImgregError if there is none."""
    n_batches = len(learn.dls.train)
    if n_batches < cfg.accumulate:
        hint = f"--accumulate {n_batches}" if n_batches else "a smaller --bs"
        raise ImgregError("a training step in every epoch", f"{n_batches} batches, where --accumulate "
                          f"{cfg.accumulate} makes one step of {cfg.accumulate}", hint)
    return n_batches // cfg.accumulate


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
