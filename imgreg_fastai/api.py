"""The verbs as plain functions that return values. cli.py says the same in the terminal."""
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from . import config, datasets
from . import labels as _labels
from .config import TrainConfig
from .errors import ImgregError
from .files import whole
from .messages import Bar, say, warn
from .scoring import quantity
from .tasks import Task, complete


def prepare(task="angle", *, targets=(), data=None, preset=None, labels=None, augment=None, size=None, fit=None,
            box=None, margin=None, group=None, **settings):
    """What every training verb begins with: (completed Task, TrainConfig, labels frame with its split, table's path).

    `task`: the name of a built-in task, the path of a labels table, or a Task of your own with `data` its table;
    `targets`: `NAME[=COL,...][:KIND]` each; `data`, `preset`, `labels`: see datasets.locate; `size`: (height, width);
    `augment`: names out of tasks.AUGMENTATIONS; `box`: four columns; the rest are TrainConfig's fields.
    """
    if not isinstance(task, Task) and Path(task).suffix.lower() in datasets.TABLES:
        if preset or labels:
            raise ImgregError("--preset and --labels with a built-in task", f"the table '{task}'")
        task, targets, data = datasets.from_table(task, list(targets)), (), data or task
    chosen, table = datasets.locate(task, data, preset, labels)
    chosen = chosen.changed(list(targets), augment, size=size, fit=fit, box=box, margin=margin, group=group)
    if margin is not None and not chosen.box:
        raise ImgregError("--margin with a --box to be widened", "no box")
    cfg = config.make(chosen, **settings)
    if cfg.stop_at and not cfg.stop_at[1] > 0:
        raise ImgregError("--stop-at TARGET=VALUE with a value above 0", f"{cfg.stop_at[1]}")
    if cfg.stop_at and cfg.stop_at[0] not in [t.name for t in chosen.targets]:
        known = ", ".join(t.name for t in chosen.targets)
        raise ImgregError(f"--stop-at TARGET=VALUE with a target of the task: {known}", f"'{cfg.stop_at[0]}'")
    frame = _labels.divide(_labels.read(table, chosen), cfg)
    return complete(chosen, frame[frame["split"] == "train"]), cfg, frame, table


def _device(name: str):
    """The torch.device to work on; auto is a CUDA GPU when there is one."""
    import torch

    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        torch.zeros(1, device=name)
    except (RuntimeError, AssertionError) as e:
        raise ImgregError("--device auto, cpu, cuda or mps, present here", f"'{name}': {str(e).splitlines()[0]}") from e
    return torch.device(name)


def _dls(task: Task, cfg: TrainConfig, frame):
    from fastai.torch_core import set_seed

    from . import backbones, batches

    backbones.check(cfg.arch, task.size, cfg.arch_args)
    set_seed(cfg.seed)
    return batches.build(frame, task, cfg, backbones.stats(cfg.arch), _device(cfg.device))


def dataloaders(task="angle", **options):
    """fastai DataLoaders for a task; options as for `train`. Labels are in units, pictures normalised."""
    task, cfg, frame, _ = prepare(task, **options)
    return _dls(task, cfg, frame)


def learner(task="angle", **options):
    """A fastai Learner for a task, untrained; options as for `train`."""
    task, cfg, frame, _ = prepare(task, **options)
    return _learner(_dls(task, cfg, frame), task, cfg)[0]


def _learner(dls, task: Task, cfg: TrainConfig):
    from fastai.torch_core import set_seed

    from . import learners, weights

    set_seed(cfg.seed)
    body, found = weights.build_body(cfg.arch, task.size, cfg.arch_args, weights.find(cfg.arch, cfg.weights))
    learn = learners.build(dls, task, cfg, body)
    if found.kind == "model":
        also = weights.load_head(learn.model, found, task)
        say(f"starting from {found.source}, {'its head too' if also else 'with a new head: its targets are others'}")
    return learn, found


def train(task="angle", *, out="runs", dry_run=False, **options):
    """Train, score and write a run folder OUT/<task>-NNN; returns the Run (None for a dry run).

    Options: those of `prepare` and the fields of TrainConfig. `dry_run` sends one batch through everything, scores and
    plots included, and leaves nothing. With `folds` it trains as many runs within OUT/<task>-NNN, and returns Folds.
    Interrupted, it leaves a run that can be evaluated. Raises ImgregError for what the user can mend.
    """
    task_, cfg, frame, table = prepare(task, **options)
    if cfg.folds and not cfg.fold and not dry_run:
        return _cross_validate(task, cfg.folds, Path(out), task_, options)
    if not dry_run:
        return _train(task_, cfg, frame, table, out)
    few = frame.groupby("split").head(cfg.bs or 32)
    with TemporaryDirectory(prefix="imgreg-") as folder:
        _train(task_, replace(cfg, epochs=1, freeze_epochs=0, patience=None, stop_at=None), few, table, folder)
    say("one batch went through everything; nothing was kept")
    return None


def _cross_validate(task, n: int, out: Path, prepared: Task, options: dict):
    """Train once for each fold, the folds' runs side by side in one folder; returns runs.Folds with their scores."""
    from . import runs

    folder, done = runs.claim_for(out, prepared.name), []
    try:
        for fold in range(1, n + 1):
            say(f"fold {fold} of {n}")
            done.append(train(task, out=folder, **{**options, "fold": fold}))
            if done[-1].about["state"] == "interrupted":
                break
    finally:
        if not any(folder.iterdir()):
            folder.rmdir()
    return runs.gather(folder, done)


def _train(task: Task, cfg: TrainConfig, frame, table: Path, out):
    from . import precision, runs

    dls = _dls(task, cfg, frame)
    learn, found = _learner(dls, task, cfg)
    used = precision.choose(learn, cfg.precision)
    run = runs.new(out, task, cfg, frame, table, weights=found.to_dict(), state="training", precision=used,
                   device=str(dls.device))
    say(f"training {cfg.arch} on {len(dls.train_ds)} pictures, validating on {len(dls.valid_ds)}: {run.path}")
    try:
        _picture_of_batch(dls, task, run)
        stopped = _fit(learn, task, cfg, run, found)
    except BaseException as e:
        run.note(state="failed", stopped=str(e) or type(e).__name__)
        raise
    run.note(state="interrupted" if stopped == "interrupted" else "trained", stopped=stopped)
    if stopped != "interrupted":
        if stopped:
            say(f"stopped early: {stopped}")
        _finish(run, frame)
    return run


def _picture_of_batch(dls, task: Task, run) -> None:
    from . import plots
    from .batches import shown

    pictures, truths = shown(dls, task)
    plots.save(plots.batch(task, pictures, truths), run.path / "plots" / "batch.png")


def _fit(learn, task: Task, cfg: TrainConfig, run, found) -> str:
    """Train, writing the best weights, the last state and the history as they come; returns why it stopped early."""
    import pandas as pd

    from . import backbones, predictor, training

    about = predictor.describe(task, cfg.arch, cfg.arch_args, backbones.stats(cfg.arch), found.to_dict())
    best = run.path / predictor.MODEL

    def after_epoch(row, improved):
        if improved:
            predictor.save(best, learn.model, about)
        training.save_state(learn, run.path / "last.ckpt", len(watch.history))
        run.write("history.csv", pd.DataFrame(watch.history))
        bar.line(_told(task, row))

    def after_batch(done, total, row):
        bar.update(done, total, _told(task, row) if row else "")

    watch = training.Watch(batch=after_batch, epoch=after_epoch)
    with Bar("training") as bar:
        training.fit(learn, cfg, watch, found.pretrained, run.about["precision"])
    run.note(epochs_done=len(watch.history))
    if not best.exists():  # stopped within the first epoch
        predictor.save(best, learn.model, about)
    return watch.stopped


def _told(task: Task, row: dict) -> str:
    errors = ", ".join(f"{t.name} error {quantity(row[f'{t.name}_error'], t.unit)}" for t in task.targets)
    return f"epoch {row['epoch']}: {errors}, validation loss {row['valid_loss']:.4f}"


def _finish(run, frame) -> None:
    """Score the best weights on the parts held out, the test part now for the first time, and draw the plots."""
    import pandas as pd

    from . import evaluation, predictor

    model = predictor.load(run.path, _device(run.config.device))
    trained, held = frame[frame["split"] == "train"], frame[frame["split"].isin(("valid", "test"))]
    evaluation.write(run, Path(), model, held, trained, pd.read_csv(run.path / "history.csv"))


def evaluate(run, table=None, device: str = "auto") -> dict:
    """Score a run on its validation part, or on another labelled set; returns {target: {unit, n, mean, ...}}.

    `table`: a labels table, or a folder whose file names hold the labels; pictures the run was trained on are left out.
    Scores, predictions and plots are written to RUN/evaluations/NAME, under a new name if that exists; the returned
    dict says where under "folder".
    """
    from . import evaluation, predictor, runs

    run = run if isinstance(run, runs.Run) else runs.load(run)
    model = predictor.load(run.path, _device(device))
    if run.about.get("state") != "trained":
        warn(f"the training of {run.path} did not come to its end: {run.about.get('state')}")
    known = run.labels
    trained, frame, name = known[known["split"] == "train"], known[known["split"] == "valid"], "valid"
    if table is not None:
        place = Path(table).resolve()
        frame, name = _labels.unseen(_labels.read(table, model.task, to_divide=False), trained), place.stem
        name = place.parent.name if name == "labels" else name
    folder = runs.claim(run.path / "evaluations", name).relative_to(run.path)
    try:
        scores = evaluation.write(run, folder, model, frame.assign(split=name), trained)
    except ImgregError:
        (run.path / folder).rmdir()
        raise
    return {"folder": str(run.path / folder), **scores[name]}


def predict(model, pictures, boxes=None, draw=None):
    """Predict for pictures with a run or model file (or an opened Predictor); returns Predictor.predict's DataFrame.

    `pictures` may be the path of a table with a column `image`, and the columns of the box where the model needs them.
    `draw`: a folder for copies of the pictures with the predictions drawn on them.
    """
    model = model if hasattr(model, "predict") else load(model)
    if draw is not None:  # known before the work, not after it
        with whole(Path(draw) / ".imgreg") as file:
            file.touch()
        (Path(draw) / ".imgreg").unlink()
    place = pictures[0] if isinstance(pictures, list) and len(pictures) == 1 else pictures
    if isinstance(place, (str, Path)) and Path(place).suffix.lower() in datasets.TABLES:
        return _predict_table(model, place, boxes, draw)
    result = model.predict(pictures, boxes)
    _draw(draw, model, result)
    return result


def _predict_table(model, table, boxes, draw):
    """As `predict`, the pictures and their boxes being those of a table; `image` is what the table says."""
    frame = _labels.to_predict(table, model.task)
    if boxes is not None:
        raise ImgregError("the boxes in the table, or pictures with boxes=", f"both a table '{table}' and boxes")
    boxes = frame[list(model.task.box)].to_numpy() if model.task.box else None
    result = model.predict(list(frame["path"]), boxes, listed=True)
    _draw(draw, model, result)
    return result.assign(image=result["image"].map(dict(zip(frame["path"], frame["image"], strict=True))))


def _draw(folder, model, result) -> None:
    if folder is not None:
        from . import plots

        plots.draw(folder, model.task, result)


def load(path, device: str = "cpu"):
    """Open a run folder or a model file (model.imgreg) as a Predictor; a pickle is refused."""
    from . import predictor

    return predictor.load(path, _device(device))


def export(run, format: str | None = None, out=None) -> Path:
    """Write a run as a file that needs nothing else: `learner` (fastai's export.pkl) or `bundle` (model.imgreg).

    Without a format the ending of `out` decides; learner if there is none.
    """
    from . import exports, runs

    return exports.export(run if isinstance(run, runs.Run) else runs.load(run), format, out)


def lr_find(task="angle", *, out="runs", **options):
    """Sweep the learning rate for a task; returns training.Sweep and the path of its plot, OUT/lr_find-<task>-NNN.png.

    Options as for `train`.
    """
    from . import plots, precision, runs, training

    task, cfg, frame, _ = prepare(task, **options)
    learn, _ = _learner(_dls(task, cfg, frame), task, cfg)
    sweep = training.find_lr(learn, precision.choose(learn, cfg.precision))
    path = Path(out) / runs.fresh(Path(out), f"lr_find-{task.name}", ".png", always=True)
    plots.save(plots.lr_find(sweep.lrs, sweep.losses, sweep.suggestion, sweep.trusted), path)
    return sweep, path
