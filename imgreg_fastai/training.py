"""Fitting a Learner: the one cycle, what is watched and kept on the way, and the search for a learning rate."""
import copy
import math
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.callback.fp16 import MixedPrecision
from fastai.callback.progress import ProgressCallback
from fastai.callback.schedule import lr_find as _register_lr_find  # noqa: F401  adds Learner.lr_find, fit_one_cycle
from fastai.callback.schedule import valley
from fastai.learner import Learner, Recorder

from .config import TrainConfig
from .errors import ImgregError
from .messages import say, warn

WARMUP = 0.25  # the part of the cycle in which the rate rises


class Precision(Callback):
    """Runs the body, and it alone, under autocast while training; the head and the loss stay in float32.

    The picture tensor becomes a plain one in channels-last order: fastai's subclass costs every operation a detour.
    """

    order = 10  # after the data are on the device

    def __init__(self, dtype: torch.dtype | None):
        self.dtype = dtype

    def before_fit(self):
        body = self.learn.model[0]
        self.handles = [body.register_forward_pre_hook(self._enter), body.register_forward_hook(self._leave)]

    def _enter(self, body, _):
        device = next(body.parameters()).device.type
        on = self.dtype is not None and body.training
        self.context = torch.autocast(device, self.dtype or torch.bfloat16, enabled=on)
        self.context.__enter__()

    def _leave(self, _, __, features):
        self.context.__exit__(None, None, None)
        return features.float()

    def before_batch(self):
        pictures = self.learn.xb[0].as_subclass(torch.Tensor)
        self.learn.xb = (pictures.contiguous(memory_format=torch.channels_last),)

    def after_fit(self):
        for handle in self.handles:
            handle.remove()


def precision(learn: Learner, asked: str) -> str:
    """The precision of the body's training: as asked, or what is faster on this machine.

    Raises ImgregError for fp16 without a GPU: it needs loss scaling, which only helps there.
    """
    device = learn.dls.device.type
    if asked == "fp16" and device != "cuda":
        raise ImgregError("--precision fp16 on a CUDA GPU", f"the device {device}", "--precision auto, bf16 or fp32")
    if asked != "auto":
        return asked
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    if device != "cpu" or not torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return "fp32"
    # bfloat16 doubles the speed of wide convolutions and slows narrow depthwise ones: a few steps tell.
    seconds = {name: _step_seconds(learn, dtype) for name, dtype in (("fp32", None), ("bf16", torch.bfloat16))}
    return min(seconds, key=seconds.get)


def _step_seconds(learn: Learner, dtype, steps: int = 3) -> float:
    """The least time of a training step on a copy of the model, which leaves the model and the random state as is."""
    state = torch.random.get_rng_state()
    model = copy.deepcopy(learn.model).train()
    batch = learn.dls.train.one_batch()
    x = batch[0].as_subclass(torch.Tensor).contiguous(memory_format=torch.channels_last)
    seconds = []
    for _ in range(steps):
        start = time.perf_counter()
        with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
            features = model[0](x)
        learn.loss_func(model[1](features.float()), *batch[1:]).backward()
        seconds.append(time.perf_counter() - start)
    torch.random.set_rng_state(state)
    return min(seconds)


def _speed(learn: Learner, chosen: str) -> list[Callback]:
    dtypes = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
    return [Precision(dtypes[chosen])] + ([MixedPrecision()] if chosen == "fp16" else [])


@dataclass
class Watch:
    """What `fit` tells as it goes: each hook may be replaced. `row` is a line of the history."""

    batch: callable = lambda done, total, row: None  # after each batch: how far, and the newest row
    epoch: callable = lambda row, improved: None  # after each epoch; `improved`: the lowest validation loss so far
    history: list = field(default_factory=list)  # a dict an epoch
    stopped: str = ""  # why it ended early


class Keeper(Callback):
    """Writes the history, tells the Watch, and stops the fit when patience ends or the goal is reached."""

    order = 60  # after fastai's Recorder, whose values it reads

    def __init__(self, cfg: TrainConfig, watch: Watch, total: int):
        self.cfg, self.watch, self.total = cfg, watch, total
        self.best, self.since, self.done, self.row = math.inf, 0, 0, {}

    def before_train(self):
        self.start = time.perf_counter()

    def after_batch(self):
        if not self.training:
            return
        if not math.isfinite(self.loss.item()):
            lr = self.opt.hypers[-1]["lr"]
            raise ImgregError("a finite loss", f"{self.loss.item()} at a learning rate of {lr:.2g}", "a smaller --lr")
        self.done += 1
        self.watch.batch(self.done, self.total, self.row)

    def after_epoch(self):
        names = list(self.recorder.metric_names[1:-1])
        values = dict(zip(names, map(float, self.recorder.values[-1]), strict=True))
        self.row = {"epoch": len(self.watch.history) + 1, **values, "lr": float(self.opt.hypers[-1]["lr"]),
                    "seconds": round(time.perf_counter() - self.start, 2)}
        self.watch.history.append(self.row)
        improved = self.row["valid_loss"] < self.best
        self.best, self.since = min(self.best, self.row["valid_loss"]), 0 if improved else self.since + 1
        self.watch.epoch(self.row, improved)
        self._stop_early()

    def _stop_early(self):
        target, goal = self.cfg.stop_at or ("", 0.0)
        if target and self.row[f"{target}_error"] <= goal:
            self.watch.stopped = f"{target} error {self.row[f'{target}_error']:.3g} reached {goal:g}"
        elif self.cfg.patience and self.since >= self.cfg.patience:
            self.watch.stopped = f"no better validation loss in {self.since} epochs"
        if self.watch.stopped:
            raise CancelFitException


def fit(learn: Learner, cfg: TrainConfig, watch: Watch, pretrained: bool, chosen: str) -> None:
    """Train by one cycle, after frozen epochs where asked, in the precision `chosen`.

    A pretrained body learns at `body_lr` times the head's rate from the start. KeyboardInterrupt ends the fit quietly,
    with `watch.stopped` saying so. Raises ImgregError when the loss stops being a number.
    """
    frozen = cfg.freeze_epochs if pretrained else 0
    if cfg.freeze_epochs and not pretrained:
        warn("no frozen epochs: the backbone starts from random weights, which must learn")
    _quiet(learn)
    lr = cfg.lr or _found_lr(learn, cfg)
    keeper = Keeper(cfg, watch, (frozen + cfg.epochs) * len(learn.dls.train))
    cbs = [*_speed(learn, chosen), keeper]
    rates = slice(lr * cfg.body_lr, lr) if pretrained else lr
    try:
        if frozen:
            learn.freeze()
            learn.fit_one_cycle(frozen, lr, pct_start=0.99, cbs=cbs)
            learn.unfreeze()
        if not watch.stopped:
            learn.fit_one_cycle(cfg.epochs, rates, pct_start=WARMUP, cbs=cbs)
    except KeyboardInterrupt:
        watch.stopped = "interrupted"


def dry(learn: Learner) -> float:
    """Send one training batch forwards and backwards and one validation batch forwards; returns the training loss."""
    losses = []
    for dl, train in ((learn.dls.train, True), (learn.dls.valid, False)):
        x, *labels = dl.one_batch()
        learn.model.to(learn.dls.device).train(train)
        with torch.set_grad_enabled(train):
            losses.append(learn.loss_func(learn.model(x.as_subclass(torch.Tensor)), *labels))
    losses[0].backward()
    return losses[0].item()


def save_state(learn: Learner, path: Path, epochs: int) -> None:
    """Write the last state, whole or not at all: model, optimizer, random numbers, epochs done; tensors only."""
    state = {"model": learn.model.state_dict(), "opt": learn.opt.state_dict(), "epochs": epochs,
             "random": torch.random.get_rng_state()}
    beside = path.with_suffix(".part")
    try:
        torch.save(state, beside)
        beside.replace(path)
    except (OSError, RuntimeError) as e:  # torch's zip writer turns a full disk into a RuntimeError
        beside.unlink(missing_ok=True)
        raise ImgregError("room to write the run", f"'{path}': {e}", "another --out") from e


def _quiet(learn: Learner) -> None:
    """No bars and tables of fastai's: progress is told through the Watch."""
    learn.remove_cbs([cb for cb in learn.cbs if isinstance(cb, ProgressCallback)])
    learn.logger = _nothing


def _nothing(*_):
    """A logger that says nothing, and can be pickled."""


def _found_lr(learn: Learner, cfg: TrainConfig) -> float:
    sweep = find_lr(learn, cfg)
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


def find_lr(learn: Learner, cfg: TrainConfig, steps: int = 100) -> Sweep:
    """Sweep the learning rate twice from the same weights, with the pictures in other orders; the model stays as is.

    The suggestion is the geometric mean of the two valleys. It is trusted if they agree within a factor of 8 and the
    loss fell by a tenth before it rose: on a few dozen pictures a sweep suggests rates two thousand times apart.
    """
    _quiet(learn)
    passes = [_sweep(learn, cfg, steps) for _ in range(2)]
    found = [max(s, 1e-7) for _, _, s in passes]
    lrs, losses, _ = passes[0]
    falls = [1 - min(s) / s[0] for s in (_smooth(p[1]) for p in passes)]
    why = ""
    if max(found) > 8 * min(found):
        why = f"two sweeps suggest {min(found):.1g} and {max(found):.1g}"
    elif min(falls) < 0.1:
        why = f"the loss fell by {100 * max(min(falls), 0):.0f} % only"
    return Sweep(lrs, losses, math.sqrt(found[0] * found[1]), not why, why)


def _sweep(learn: Learner, cfg: TrainConfig, steps: int) -> tuple[list, list, float]:
    """One sweep of fastai's lr_find, its temporary checkpoint in a temporary folder."""
    path, cbs = learn.path, _speed(learn, precision(learn, cfg.precision))
    with tempfile.TemporaryDirectory() as folder:
        learn.path = Path(folder)
        try:
            with learn.added_cbs(cbs):
                found = learn.lr_find(num_it=steps, show_plot=False, suggest_funcs=(valley,))
        finally:
            learn.path = path
    recorder: Recorder = learn.recorder
    return list(map(float, recorder.lrs)), list(map(float, recorder.losses)), float(found.valley)


def _smooth(values: list, beta: float = 0.9) -> list:
    mean, out = 0.0, []
    for i, value in enumerate(values, 1):
        mean = beta * mean + (1 - beta) * value
        out.append(mean / (1 - beta**i))
    return out
