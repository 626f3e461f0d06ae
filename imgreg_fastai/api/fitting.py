"""Whole trainings: from a plan to a run with its scores, plots and report."""
import shlex
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.torch_core import set_seed

from .. import plots, runs
from ..config import TrainConfig
from ..data import splits
from ..data.object_size import describe_small_objects
from ..evaluation import calibrate, evaluate
from ..inference import model_file
from ..models import backbones, weights
from ..models.devices import select_device
from ..reports import run_page
from ..tasks import Task
from ..training import batch_size, checkpoint, datablock, learner, loop, precision
from ..training.progress import Progress
from ..utils.files import is_full_disk
from ..utils.format import format_value
from ..utils.messages import ImgregError, ProgressBar, say, warn
from . import automatic, floor, time_estimate
from .preparation import TrainingPlan


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
        head = "its head too" if has_head else "with a new head: its targets or its loss are others"
        say(f"starting from {source.source}, {head}")
    return learn, source


def build_network(plan: TrainingPlan, source: weights.Weights | None) -> tuple[Learner, weights.Weights]:
    """Return a fastai Learner on a plan's rows whose body has weights, or random ones if there is no source.

    The backbone comes first: one that does not work or fit is refused before any image is read.
    """
    task, config = plan.task, plan.config
    body, source = _build_body(plan, source or weights.Weights("none"))
    return learner.build_learner(build_dataloaders(plan), task, config, body), source


def _build_body(plan: TrainingPlan, source: weights.Weights) -> tuple[torch.nn.Module, weights.Weights]:
    """Build the backbone of a plan from its seed, and load weights into it; returns them as they were loaded."""
    config = plan.config
    set_seed(config.seed)
    body = backbones.build(config.arch, plan.task.size, config.arch_args)
    return body, weights.load_body(body, config.arch, source)


def train(plan: TrainingPlan, out: str | Path, planned: runs.Run | None = None) -> runs.Run:
    """Train, score and write a run folder.

    Args:
        plan: With its rows split.
        out: The folder that the run folder <task>-NNN is made in.
        planned: A run folder of this plan in which nothing is trained yet; None: a new one is made.

    Returns:
        The run; its state is "interrupted" after Ctrl-C.
    """
    config, started = plan.config, time.perf_counter()
    if config.quick:
        return fit_quickly(plan, out, planned)
    threads = _threads(config, planned)
    with precision.deterministic(threads):
        learn, source = build_learner(plan)
        in_precision = precision.choose_precision(learn, config.precision, timed=not config.deterministic)
        is_auto = config.bs is None or (planned is not None and planned.about.get("bs") == "auto")
        config = batch_size.choose_batch(learn, config, in_precision)
        loop.count_epoch_steps(learn, config)  # raises before a folder is made
        plan = replace(plan, config=config, started=plan.started or started)
        plan = automatic.plan_epochs(plan, learn, in_precision)
        config = plan.config
        fields = {"command": plan.command, "weights": source.to_dict(), "state": "training", "stopped": "",
                  "threads": threads, "device": str(learn.dls.device), "levels": learn.dls.train.levels,
                  "precision": in_precision, "bs": "auto" if is_auto else config.bs, "recipe": plan.recipe}
        run = _begin_run(plan, out, planned, fields)
        _say_start(plan, learn, run)
        with resumable(run):
            return train_to_end(run, plan, learn)


def _begin_run(plan: TrainingPlan, out: str | Path, planned: runs.Run | None, fields: dict) -> runs.Run:
    """Make the run folder of a plan, or take the planned one, with these fields of run.json."""
    if planned is None:
        return runs.start_run(out, plan.task, plan.config, plan.rows, plan.table, plan.images, plan.earlier, **fields)
    planned.claim()
    planned.note(config=plan.config.to_dict(), **fields)
    return planned


def fit_quickly(plan: TrainingPlan, out: str | Path, planned: runs.Run | None = None) -> runs.Run:
    """Fit a ridge to the frozen features of the backbone, and score it; arguments and result as those of `train`."""
    plan = replace(plan, config=replace(plan.config, loss="mse"))  # a ridge's; there are no histograms
    config, device = plan.config, select_device(plan.config.device)
    threads = _threads(config, planned)
    with precision.deterministic(threads):
        source = plan.source or weights.find_weights(config.arch, config.weights)
        body, source = _build_body(plan, source)
        used = source.to_dict()
        fields = {"command": plan.command, "weights": used, "state": "training", "stopped": "", "threads": threads,
                  "device": device, "precision": "fp32", "recipe": plan.recipe}
        run = _begin_run(plan, out, planned, fields)
        n_images = (plan.rows["split"] == "train").sum()
        say(f"fitting a {floor.name_of(used)} of {config.arch} to {n_images} images: {run.path}")
        with resumable(run):
            with _noting_failure(run):
                fitted = floor.fit(plan, floor.build_model(plan, body, device, used))
                floor.say_scores(fitted, plan, used)
                model_file.save_model(run.path / model_file.MODEL, fitted.model.network, fitted.model.about)
                run.note(state="scoring", epochs_done=0)
            finish(run, plan.rows)
    return run


@contextmanager
def _noting_failure(run: runs.Run) -> Iterator[None]:
    """Within the block, an error or Ctrl-C is noted in a run, which is unlocked."""
    try:
        yield
    except BaseException as e:
        state = "interrupted" if isinstance(e, KeyboardInterrupt) else "failed"
        with suppress(ImgregError):  # a full disk takes no note: the run without a process is "interrupted" then
            run.note(state=state, stopped=str(e) or type(e).__name__)
        run.unlock()
        raise


def _threads(config: TrainConfig, planned: runs.Run | None) -> int | None:
    """The number of threads that a training keeps: those of its planned run, else see `fixed_threads`."""
    return (planned.about.get("threads") if planned else None) or fixed_threads(config)


def fixed_threads(config: TrainConfig) -> int | None:
    """The number of threads that a deterministic training keeps; None: it is not deterministic."""
    return torch.get_num_threads() if config.deterministic else None


def _say_start(plan: TrainingPlan, learn: Learner, run: runs.Run) -> None:
    """Say what is trained on how many images, and where; warn of objects that are too small."""
    for sentence in describe_small_objects(plan.rows[plan.rows["split"] == "train"], plan.task):
        warn(sentence)
    n_calibration = len(_calibration_rows(plan.rows, plan.config))
    for_intervals = f", {n_calibration} kept for intervals" if n_calibration else ""
    say(f"training {plan.config.arch} on {len(learn.dls.train_ds)} images, "
        f"validating on {len(learn.dls.valid_ds)}{for_intervals}: {run.path}")
    _, why_no_intervals = splits.calibration_size(plan.rows, plan.config, plan.old_parts)
    if why_no_intervals:
        say(why_no_intervals)


def train_to_end(run: runs.Run, plan: TrainingPlan, learn: Learner, progress: Progress | None = None,
                 best: dict[str, torch.Tensor] | None = None) -> runs.Run:
    """Train a run to its end, and score it.

    Args:
        run: The run, claimed by this process.
        plan: Its plan.
        learn: Its Learner.
        progress: How far the training is; None: at its beginning.
        best: The best weights so far.

    Returns:
        The run.
    """
    with _noting_failure(run):
        if progress is None:
            shown = plots.batch(plan.task, *datablock.first_batch(learn.dls, plan.task))
            plots.save(shown, run.path / "plots" / "batch.png")
            floor.measure(run, plan, learn.model[0], str(learn.dls.device))
            progress = time_estimate.begin(plan, learn, len(_calibration_rows(plan.rows, plan.config)) > 0)
        stopped = _fit(run, plan, learn, progress, best or {})
        run.note(state="interrupted" if stopped == "interrupted" else "scoring", stopped=stopped)
    if stopped != "interrupted":
        if stopped:
            say(f"stopped early: {stopped}")
        finish(run, plan.rows)
        if "epochs" in plan.undecided and automatic.is_improving(run.read_table("history.csv")):
            say(f"the error was still falling: --epochs {2 * run.config.epochs} or --time may lower it further")
    return run


@contextmanager
def resumable(run: runs.Run) -> Iterator[None]:
    """Within the block, the error of a full disk names the command that goes on with a run once there is room."""
    try:
        yield
    except ImgregError as e:
        if not is_full_disk(e):
            raise
        raise ImgregError(e.expected, e.actual, f"making room, then {resume_command(run)}") from e.__cause__


def resume_command(run: runs.Run) -> str:
    """The command that goes on with a run, or with the folder of runs that it is one of."""
    folder = run.path.parent if "title" in run.about else run.path
    return shlex.join(["imgreg", "resume", str(folder)])


def _calibration_rows(rows: pd.DataFrame, config: TrainConfig) -> pd.DataFrame:
    """The rows that calibrate intervals: none where none are wanted, whatever the table keeps for it."""
    return rows[:0] if config.calibrate == 0 else rows[rows["split"] == "calibrate"]


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

    budget = time_estimate.time_budget(plan, progress)
    watch = loop.TrainingWatch(progress, after_step, after_epoch, save, after_change, budget)
    watch.best = best
    with ProgressBar("training", knows_time=True) as bar:
        loop.fit(learn, config, watch, run.about["weights"]["kind"] != "none", run.about["precision"],
                 halve_batches=run.about.get("bs") == "auto")
    run.note(epochs_done=progress.epoch, config=watch.cfg.to_dict())
    if not model.exists() and progress.step:  # stopped within the first epoch
        model_file.save_model(model, learn.model, metadata)
    return progress.stopped


def model_metadata(run: runs.Run, plan: TrainingPlan) -> dict:
    """What the model file of a run holds beside tensors, until it is calibrated."""
    config = plan.config
    return model_file.model_metadata(plan.task, config.arch, config.arch_args, backbones.stats(config.arch),
                                     run.about["weights"], run.about.get("levels"),
                                     learner.output_forms(plan.task, config))


def _epoch_line(task: Task, row: dict) -> str:
    errors = ", ".join(f"{t.name} error {format_value(row[f'{t.name}_error'], t.unit)}" for t in task.targets)
    return f"epoch {row['epoch']}: {errors}, validation loss {row['valid_loss']:.4f}"


def finish(run: runs.Run, rows: pd.DataFrame, device: str | None = None) -> None:
    """Calibrate the best weights, score them on the parts held out (the test part now for the first time), and report.

    If this fails, a warning names the command that completes the run.

    Args:
        run: A run whose network is trained.
        rows: Its labels with their split.
        device: Where to work; None: as it was trained.
    """
    try:
        model = model_file.load_model(run.path, select_device(device or run.config.device))
        if len(_calibration_rows(rows, run.config)):
            model = calibrate.calibrate(model, rows, run.config)
            model_file.save_model(run.path / model_file.MODEL, model.network, model.about, model.calibration)
        train_rows, held_out = rows[rows["split"] == "train"], rows[rows["split"].isin(("valid", "test"))]
        history = None if run.config.quick else pd.read_csv(run.path / "history.csv")
        run.scores = evaluate.write_evaluation(run.path, model, held_out, train_rows, history,
                                               ridge=floor.read_predictions(run))
        run_page.write(run, model)
        run.note(state="trained")
        floor.warn_if_better(run)
    except BaseException as e:
        run.unlock()
        if not is_full_disk(e):  # whose message names the next command
            warn("the network is trained, but not scored")
            warn(f"next: {resume_command(run)}")
        raise


def dry_run(plan: TrainingPlan, out: str | Path) -> None:
    """Send one batch of each part through all that `train` does, in a folder that the caller removes."""
    config = replace(plan.config, epochs=1, time=None, freeze_epochs=0, accumulate=1, patience=None, stop_at=None,
                     calibrate=0)
    rows = plan.rows[plan.rows["split"] != "calibrate"].groupby("split").head(config.bs or 32)
    train(replace(plan, config=config, rows=rows, undecided=frozenset()), out)
    say("one batch went through everything; nothing was kept")
