"""Fitting a Learner: the one cycle, what is watched and kept on the way, and the search for a learning rate."""
import math
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.callback.progress import ProgressCallback
from fastai.callback.schedule import lr_find as _register_lr_find  # noqa: F401  adds Learner.lr_find, fit_one_cycle
from fastai.callback.schedule import valley
from fastai.learner import Learner, Recorder

from ..config import TrainConfig
from ..utils.console import say, warn
from ..utils.errors import ImgregError
from ..utils.files import atomic_file
from . import precision

WARMUP = 0.25  # the part of the cycle in which the rate rises


@dataclass
class TrainingWatch:
    """What `fit` tells as it goes: each hook may be replaced. `row` is a line of the history."""

    batch: callable = lambda done, total, row: None  # after each batch: how far, and the newest row
    epoch: callable = lambda row, improved: None  # after each epoch; `improved`: the lowest validation loss so far
    history: list = field(default_factory=list)  # a dict an epoch
    stopped: str = ""  # why it ended early


class TrainingCallback(Callback):
    """Writes the history, tells the Watch, and stops the fit when patience ends or the goal is reached."""

    order = 60  # after fastai's Recorder, whose values it reads

    def __init__(self, cfg: TrainConfig, watch: TrainingWatch, total: int):
        self.cfg, self.watch, self.total = cfg, watch, total
        self.patient = True  # not yet in the frozen epochs: they only prepare the others
        self.best, self.since, self.done, self.row = math.inf, 0, 0, {}

    def before_train(self):
        self.before = self.done
        self.start = time.perf_counter()

    def after_batch(self):
        if not self.training:
            return
        loss = self.learn.loss.item()
        if not math.isfinite(loss):
            lr = self.opt.hypers[-1]["lr"]
            raise ImgregError("a finite loss", f"{loss} at a learning rate of {lr:.2g}", "a smaller --lr")
        self.done += 1
        self.watch.batch(self.done, self.total, self.row)

    def after_train(self):
        if self.done == self.before:  # or fastai would call an epoch of no batches a success
            raise ImgregError("a batch to train on in every epoch", "none", "a smaller --bs")

    def after_epoch(self):
        names = list(self.recorder.metric_names[1:-1])
        values = dict(zip(names, map(float, self.recorder.values[-1]), strict=True))
        self.row = {"epoch": len(self.watch.history) + 1, **values, "lr": float(self.opt.hypers[-1]["lr"]),
                    "seconds": round(time.perf_counter() - self.start, 2)}
        self.watch.history.append(self.row)
        improved = self.row["valid_loss"] < self.best
        self.best, self.since = min(self.best, self.row["valid_loss"]), 0 if improved else self.since + 1
        reached = self._reached()
        self.watch.epoch(self.row, improved or bool(reached))  # the weights that reached the goal are those to keep
        if not reached and self.cfg.patience and self.since >= self.cfg.patience and self.patient:
            reached = f"no better validation loss in {self.since} epochs"
        self.watch.stopped = reached
        if reached:
            raise CancelFitException

    def _reached(self) -> str:
        target, goal = self.cfg.stop_at or ("", 0.0)
        error = self.row.get(f"{target}_error", math.inf)
        return f"{target} error {error:.3g} reached {goal:g}" if target and error <= goal else ""


def fit(learn: Learner, cfg: TrainConfig, watch: TrainingWatch, pretrained: bool, chosen: str) -> None:
    """Train by one cycle, after frozen epochs where asked, in the precision `chosen`.

    A pretrained body learns at `body_lr` times the head's rate from the start. KeyboardInterrupt ends the fit quietly,
    with `watch.stopped` saying so. Raises ImgregError when the loss stops being a number.
    """
    frozen = cfg.freeze_epochs if pretrained else 0
    if cfg.freeze_epochs and not pretrained:
        warn("no frozen epochs: the backbone starts from random weights, which must learn")
    quiet(learn)
    keeper = TrainingCallback(cfg, watch, (frozen + cfg.epochs) * len(learn.dls.train))
    cbs = [*precision.speed(chosen), keeper]
    try:
        lr = _found_lr(learn, chosen) if cfg.lr is None else cfg.lr
        if frozen:
            keeper.patient = False
            learn.freeze()
            learn.fit_one_cycle(frozen, lr, pct_start=0.99, cbs=cbs)
            learn.unfreeze()
            keeper.patient, keeper.since = True, 0
        if not watch.stopped:
            rates = slice(lr * cfg.body_lr, lr) if pretrained else lr
            learn.fit_one_cycle(cfg.epochs, rates, pct_start=WARMUP, cbs=cbs)
    except KeyboardInterrupt:
        watch.stopped = "interrupted"
    finally:
        precision.without_precision(cbs)


def save_state(learn: Learner, path: Path, epochs: int) -> None:
    """Write the last state, whole or not at all: model, optimizer, random numbers, epochs done; tensors only."""
    opt = learn.opt.state_dict()
    opt["param_groups"] = [{k: _unboxed(v) for k, v in group.items()} for group in opt["param_groups"]]
    state = {"model": learn.model.state_dict(), "opt": opt, "epochs": epochs, "random": torch.random.get_rng_state()}
    with atomic_file(path) as file:
        torch.save(state, file)


def _unboxed(value):
    """numpy's numbers, which the schedule leaves in the optimizer, as Python's: torch's safe loading wants those."""
    if isinstance(value, tuple):
        return tuple(map(_unboxed, value))
    return value.item() if hasattr(value, "item") and not isinstance(value, torch.Tensor) else value


def quiet(learn: Learner) -> None:
    """No bars and tables of fastai's: progress is told through the Watch."""
    learn.remove_cbs([cb for cb in learn.cbs if isinstance(cb, ProgressCallback)])
    learn.logger = _nothing


def _nothing(*_):
    """A logger that says nothing, and can be pickled."""


def _found_lr(learn: Learner, chosen: str) -> float:
    sweep = find_lr(learn, chosen)
    if not sweep.trusted:
        warn(f"the search for a learning rate means nothing here ({sweep.why}); taking {TrainConfig.lr:g}")
        return TrainConfig.lr
    say(f"learning rate {sweep.suggestion:.2g}")
    return sweep.suggestion


@dataclass
class Sweep:
    """A learning rate sweep: rates and losses of the first pass, the suggestion, and whether it means anything."""

    lrs: list
    losses: list
    suggestion: float
    trusted: bool
    why: str = ""


def find_lr(learn: Learner, chosen: str, steps: int = 100) -> Sweep:
    """Sweep the learning rate twice from the same weights, in the precision `chosen`; the model stays as is.

    The suggestion is the geometric mean of the two valleys. It is trusted if they agree within a factor of 8 and the
    loss fell by a tenth before it rose: on a few dozen pictures a sweep suggests rates two thousand times apart.
    """
    quiet(learn)
    passes = [_sweep(learn, chosen, steps) for _ in range(2)]
    found = [max(s, 1e-7) for _, _, s in passes]
    lrs, losses, _ = passes[0]
    falls = [1 - min(s) / s[0] for s in (_smooth(p[1]) for p in passes)]
    why = ""
    if max(found) > 8 * min(found):
        why = f"two sweeps suggest {min(found):.1g} and {max(found):.1g}"
    elif min(falls) < 0.1:
        why = f"the loss fell by {100 * max(min(falls), 0):.0f} % only"
    return Sweep(lrs, losses, math.sqrt(found[0] * found[1]), not why, why)


def _sweep(learn: Learner, chosen: str, steps: int) -> tuple[list, list, float]:
    """One sweep of fastai's lr_find, its temporary checkpoint in a temporary folder."""
    path, cbs = learn.path, precision.speed(chosen)
    with tempfile.TemporaryDirectory() as folder:
        learn.path = Path(folder)
        try:
            with learn.added_cbs(cbs):
                found = learn.lr_find(num_it=steps, show_plot=False, suggest_funcs=(valley,))
        finally:
            learn.path = path
            precision.without_precision(cbs)
    recorder: Recorder = learn.recorder
    return list(map(float, recorder.lrs)), list(map(float, recorder.losses)), float(found.valley)


def _smooth(values: list, beta: float = 0.9) -> list:
    mean, out = 0.0, []
    for i, value in enumerate(values, 1):
        mean = beta * mean + (1 - beta) * value
        out.append(mean / (1 - beta**i))
    return out
