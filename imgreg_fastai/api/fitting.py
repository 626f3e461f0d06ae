"""Whole trainings: from a plan to a run with its scores, plots and report."""
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from fastai.data.core import DataLoaders
from fastai.learner import Learner

from .. import plots, runs
from ..inference import model_file
from ..models import backbones, network, weights
from ..models.devices import select_device
from ..reports.verdict import training_weaknesses
from ..tasks import Task
from ..training import batch_size, checkpoint, datablock, learner, loop, precision
from ..training.progress import Progress
from ..training.recipe import longer_training
from ..utils.format import format_value
from ..utils.messages import ProgressBar, say
from . import automatic, floor, quick_fit, run_stages, time_estimate
from .plan import TrainingPlan


def build_dataloaders(plan: TrainingPlan) -> DataLoaders:
    """Return fastai DataLoaders of a plan's rows, seeded by the caller."""
    stats, device = backbones.stats(plan.config.arch), select_device(plan.config.device)
    return datablock.build_dataloaders(plan.rows, plan.task, plan.config, stats, device)


def build_learner(plan: TrainingPlan) -> tuple[Learner, weights.Weights]:
    """Return an untrained fastai Learner on a plan's rows, and the weights that it starts from."""
    task, config = plan.task, plan.config
    source = plan.source or weights.find_weights(config.arch, config.weights)
    learn, source = build_network(plan, source)
    if config.weights == "none":
        # a recipe's weights belong to its own backbone
        from_recipe = ("weights", "none") in task.recipe and ("arch", config.arch) in task.recipe
        reason = "the task's recipe" if from_recipe else "--weights none"
        say(f"training {config.arch} from scratch: {reason}")
    if source.origin == "model":
        has_head = weights.load_head(learn.model, source, task)
        others = "its targets, its loss or the form of its head are others"
        say(f"starting from {source.source}, {'its head too' if has_head else f'with a new head: {others}'}")
    return learn, source


def build_network(plan: TrainingPlan, source: weights.Weights | None) -> tuple[Learner, weights.Weights]:
    """Return a fastai Learner on a plan's rows whose body has weights, or random ones if there is no source.

    The backbone comes first: one that does not work or fit is refused before any image is read.
    """
    task, config = plan.task, plan.config
    body, source = run_stages.build_body(plan, source or weights.Weights("none"))
    return learner.build_learner(build_dataloaders(plan), task, config, body), source


def train(plan: TrainingPlan, out: str | Path, planned: runs.Run | None = None) -> runs.Run:
    """Train, score and write a run folder.

    Args:
        plan: With its rows split.
        out: The folder that the run folder <task>-NNN is made in.
        planned: A run folder of this plan in which nothing is trained yet; None: a new one is made.

    Returns:
        The run; its state is "interrupted" after Ctrl-C.
    """
    plan = replace(plan, started=plan.started or time.perf_counter())
    threads = run_stages.threads(plan.config, planned)
    begin = quick_fit.begin if plan.config.quick else _begin
    with precision.deterministic(threads):
        run, to_end = begin(plan, out, planned, threads)
        with run_stages.resumable(run):
            return to_end()


def _begin(plan: TrainingPlan, out: str | Path, planned: runs.Run | None,
           threads: int | None) -> tuple[runs.Run, Callable[[], runs.Run]]:
    """Make the run of a training by epochs, and return what trains it; arguments as those of `train`."""
    config = plan.config
    learn, source = build_learner(plan)
    in_precision = precision.choose_precision(learn, config.precision, timed=not config.deterministic)
    is_auto = config.bs is None or (planned is not None and planned.about.get("bs") == "auto")
    config = batch_size.choose_batch(learn, config, in_precision)
    loop.count_epoch_steps(learn, config)  # raises before a folder is made
    plan = automatic.plan_epochs(replace(plan, config=config), learn, in_precision, is_auto)
    config, progress = time_estimate.begin(plan, learn, in_precision, source.pretrained, is_auto)
    plan = replace(plan, config=config)
    run = run_stages.begin_run(plan, out, planned, weights=source.to_dict(), threads=threads,
                               device=str(learn.dls.device), levels=learn.dls.train.levels, precision=in_precision,
                               network=network_fields(learn), bs="auto" if is_auto else plan.config.bs)
    run_stages.say_start(plan, run, f"training {config.arch} on", len(learn.dls.train_ds), len(learn.dls.valid_ds))
    return run, partial(train_to_end, run, plan, learn, progress)


def train_to_end(run: runs.Run, plan: TrainingPlan, learn: Learner, progress: Progress,
                 best: dict[str, torch.Tensor] | None = None) -> runs.Run:
    """Train a run to its end, and score it.

    Args:
        run: The run, claimed by this process.
        plan: Its plan.
        learn: Its Learner.
        progress: How far the training is; nothing is planned at its beginning.
        best: The best weights so far.

    Returns:
        The run.
    """
    with run_stages.noting_failure(run):
        if not progress.cycles:
            shown = plots.batch(plan.task, *datablock.first_batch(learn.dls, plan.task))
            plots.save(shown, run.path / "plots" / "batch.png")
            if not plan.dry_run:
                floor.measure(run, plan, learn.model[0], str(learn.dls.device))
        stopped = _fit(run, plan, learn, progress, best or {})
        run.note(state="interrupted" if stopped == "interrupted" else "scoring", stopped=stopped)
    if stopped != "interrupted":
        if stopped:
            say(f"stopped early: {stopped}")
        _say_best_epoch(progress)
        run_stages.finish(run, plan.rows)
        longer = longer_training(run.config, plan.recipe)
        for weakness in training_weaknesses(pd.DataFrame(progress.history), longer, stopped):
            if weakness.kind == "short":
                say(f"{weakness.text} {weakness.hint}")
    return run


def _say_best_epoch(progress: Progress) -> None:
    """Say which epoch's weights are those of the model, where there were several."""
    if progress.epoch > 1:
        best = progress.history[progress.best_epoch - 1]
        reason = ", whose validation loss is the lowest" if best["valid_loss"] == progress.best_loss else ""
        say(f"kept: the weights of epoch {progress.best_epoch} of {progress.epoch}{reason}")


def _fit(run: runs.Run, plan: TrainingPlan, learn: Learner, progress: Progress, best: dict[str, torch.Tensor]) -> str:
    """Train, writing history, checkpoints and the best weights; returns why it stopped early."""
    task, config = plan.task, plan.config
    metadata = model_metadata(run, plan)
    model = run.path / model_file.MODEL
    writer = checkpoint.CheckpointWriter(run.path, config.save_minutes)
    epoch_of_model = progress.best_epoch

    def after_step(_: Progress) -> None:
        line = _epoch_line(task, progress.history[-1]) if progress.history else ""
        bar.update(progress.step, progress.n_steps, line, watch.seconds_left())

    def after_epoch(row: dict) -> None:
        run.write("history.csv", pd.DataFrame(progress.history))
        bar.line(_epoch_line(task, row))

    def save(moment: checkpoint.Moment) -> None:
        nonlocal epoch_of_model
        if not writer.is_due(moment):
            return
        with writer.timed():
            writer.write(checkpoint.take_checkpoint(learn, progress, watch.best))
            if epoch_of_model != progress.best_epoch:  # after the checkpoint, from which `imgreg resume` restores it
                model_file.save_model(model, watch.best, metadata)
                epoch_of_model = progress.best_epoch

    def after_change(line: str) -> None:
        run.note(config=watch.cfg.to_dict())
        bar.line(line)

    budget = time_estimate.time_budget(plan, progress.time) if progress.time else None
    watch = loop.TrainingWatch(progress, after_step, after_epoch, save, after_change, budget)
    watch.best = best
    with ProgressBar("training", knows_time=True) as bar:
        loop.fit(learn, config, watch, run.about["weights"]["kind"] != "none", run.about["precision"],
                 halve_batches=run.about.get("bs") == "auto")
    run.note(epochs_done=progress.epoch, config=watch.cfg.to_dict())
    if not model.exists() and progress.step:  # stopped within the first epoch
        model_file.save_model(model, learn.model, metadata)
    return progress.stopped


def network_fields(learn: Learner) -> dict[str, Any]:
    """What run.json tells of a network beside its backbone, as arguments of `model_file.model_metadata`."""
    body, head = learn.model
    return {"head": network.kind_of(body), "forms": head.forms}


def model_metadata(run: runs.Run, plan: TrainingPlan) -> dict:
    """What the model file of a run holds beside tensors, until it is calibrated."""
    config = plan.config
    # runs of older versions do not tell
    fields = run.about.get("network") or model_file.older_network(plan.task, learner.output_forms(plan.task, config))
    return model_file.model_metadata(plan.task, config.arch, config.arch_args, backbones.stats(config.arch),
                                     run.about["weights"], run.about.get("levels"), **fields)


def _epoch_line(task: Task, row: dict) -> str:
    errors = ", ".join(f"{t.name} error {format_value(row[f'{t.name}_error'], t.unit)}" for t in task.targets)
    return f"epoch {row['epoch']}: {errors}, validation loss {row['valid_loss']:.4f}"
