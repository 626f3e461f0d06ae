"""A whole training: from a task and its divided labels to a run with its scores and plots; and one for each fold."""
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from ..config import TrainConfig
from ..data import splits
from ..tasks import Task
from ..utils.console import ProgressBar, say
from ..utils.errors import ImgregError
from ..utils.format import format_value
from ..utils.numbered import new_folder


def device(name: str):
    """The torch.device to work on; auto is a CUDA GPU when there is one. Raises ImgregError for what is not here."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as e:
        raise ImgregError("--device auto, cpu, cuda or mps, present here", f"'{name}': {str(e).splitlines()[0]}") from e
    return torch.device(name)


def loaders(task: Task, cfg: TrainConfig, frame):
    """fastai DataLoaders of a labels frame with its split."""
    from fastai.torch_core import set_seed

    from ..models import backbones
    from ..training import datablock

    set_seed(cfg.seed)
    return datablock.build_dataloaders(frame, task, cfg, backbones.stats(cfg.arch), device(cfg.device))


def learner(task: Task, cfg: TrainConfig, frame):
    """An untrained Learner over a labels frame with its split, and the weights.Weights that it begins with.

    The backbone comes first: what does not work or fit ends here, before any picture is read.
    """
    from fastai.torch_core import set_seed

    from ..models import loading, weights
    from ..training.learner import build_learner

    set_seed(cfg.seed)
    source = weights.find_weights(cfg.arch, cfg.weights)
    body, source = loading.build_body(cfg.arch, task.size, cfg.arch_args, source)
    learn = build_learner(loaders(task, cfg, frame), task, cfg, body)
    if source.origin == "model":
        head_loaded = loading.load_head(learn.model, source, task)
        head = "its head too" if head_loaded else "with a new head: its targets are others"
        say(f"starting from {source.source}, {head}")
    return learn, source


def train(task: Task, cfg: TrainConfig, frame, table: Path, out, images=None, command: str = ""):
    """Train, score and write a run folder under `out`; returns the Run.

    `frame`: the labels of `table`, divided; `images`: the folder that its names are relative to, if not its own.
    """
    from .. import runs
    from ..training import precision

    learn, found = learner(task, cfg, frame)
    dls = learn.dls
    used = precision.choose_precision(learn, cfg.precision)
    run = runs.start_run(out, task, cfg, frame, table, images, command=command, weights=found.to_dict(), state="training", precision=used,
                   device=str(dls.device))
    kept = len(_kept(frame, cfg))
    say(f"training {cfg.arch} on {len(dls.train_ds)} pictures, validating on {len(dls.valid_ds)}"
        f"{f', {kept} kept for intervals' if kept else ''}: {run.path}")
    if why := splits.calibration_size(frame, cfg)[1]:
        say(why)
    try:
        _picture_of_batch(dls, task, run)
        stopped = _fit(learn, task, cfg, run, found)
    except BaseException as e:
        run.note(state="failed", stopped=str(e) or type(e).__name__)
        raise
    run.note(state="interrupted" if stopped == "interrupted" else "scoring", stopped=stopped)
    if stopped != "interrupted":
        if stopped:
            say(f"stopped early: {stopped}")
        try:
            finish(run, frame, cfg.device)
        except BaseException:
            say(f"the network is trained, but not scored: imgreg evaluate {run.path} completes the run")
            raise
    return run


def _kept(frame, cfg: TrainConfig):
    """The rows that calibrate intervals: none where none are wanted, whatever the table keeps."""
    return frame[frame["split"] == "calibrate"] if cfg.calibrate != 0 else frame[:0]


def _picture_of_batch(dls, task: Task, run) -> None:
    from .. import plots
    from ..training.datablock import first_batch

    pictures, truths = first_batch(dls, task)
    plots.save(plots.batch(task, pictures, truths), run.path / "plots" / "batch.png")


def _fit(learn, task: Task, cfg: TrainConfig, run, found) -> str:
    """Train, writing the best weights, the last state and the history as they come; returns why it stopped early."""
    import pandas as pd

    from ..inference import model_file
    from ..models import backbones
    from ..training import loop

    about = model_file.model_metadata(task, cfg.arch, cfg.arch_args, backbones.stats(cfg.arch), found.to_dict())
    best = run.path / model_file.MODEL

    def after_epoch(row, improved):
        if improved:
            model_file.save_model(best, learn.model, about)
        loop.save_state(learn, run.path / "last.ckpt", len(watch.history))
        run.write("history.csv", pd.DataFrame(watch.history))
        bar.line(_told(task, row))

    def after_batch(done, total, row):
        bar.update(done, total, _told(task, row) if row else "")

    watch = loop.TrainingWatch(batch=after_batch, epoch=after_epoch)
    with ProgressBar("training") as bar:
        loop.fit(learn, cfg, watch, found.pretrained, run.about["precision"])
    run.note(epochs_done=len(watch.history))
    if not best.exists():  # stopped within the first epoch
        model_file.save_model(best, learn.model, about)
    return watch.stopped


def _told(task: Task, row: dict) -> str:
    errors = ", ".join(f"{t.name} error {format_value(row[f'{t.name}_error'], t.unit)}" for t in task.targets)
    return f"epoch {row['epoch']}: {errors}, validation loss {row['valid_loss']:.4f}"


def finish(run, frame, device_name: str) -> None:
    """Calibrate the best weights, score them on the parts held out, the test part now for the first time; report."""
    import pandas as pd

    from ..evaluation import calibrate, evaluate
    from ..inference import model_file
    from ..reports import run_page

    model = model_file.load_model(run.path, device(device_name))
    if len(_kept(frame, run.config)):
        model = calibrate.calibrate(model, frame, run.config)
        model_file.save_model(run.path / model_file.MODEL, model.network, model.about, model.calibration)
    trained, held = frame[frame["split"] == "train"], frame[frame["split"].isin(("valid", "test"))]
    history = pd.read_csv(run.path / "history.csv")
    run.scores = evaluate.write_evaluation(run.path, model, held, trained, history)
    run_page.write(run, model)
    run.note(state="trained")


def dry_run(task: Task, cfg: TrainConfig, frame, table: Path, images=None) -> None:
    """Send one batch of each part through all that `train` does, and keep nothing."""
    few = frame[frame["split"] != "calibrate"].groupby("split").head(cfg.bs or 32)
    with TemporaryDirectory(prefix="imgreg-") as folder:
        train(task, replace(cfg, epochs=1, freeze_epochs=0, patience=None, stop_at=None, calibrate=0), few, table,
              folder, images)
    say("one batch went through everything; nothing was kept")


def cross_validate(name: str, n: int, out: Path, train_fold: Callable):
    """Train once for each of `n` folds, their runs side by side in a folder OUT/<name>-NNN; returns runs.Folds.

    `train_fold`: the fold's number, from 1, and that folder -> its Run.
    """
    from .. import runs

    folder, done = new_folder(out, name, always=True), []
    try:
        for fold in range(1, n + 1):
            say(f"fold {fold} of {n}")
            done.append(train_fold(fold, folder))
            if done[-1].about["state"] == "interrupted":
                break
    finally:
        if not any(folder.iterdir()):
            folder.rmdir()
    return runs.collect_folds(folder, done)
