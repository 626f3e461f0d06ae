"""Going on with a run where it was stopped, however that was, or beyond the end of its plan."""
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from fastai.learner import Learner

from .. import runs
from ..config import TrainConfig, check_setting
from ..data.known_images import content_hashes
from ..inference import model_file
from ..runs import Folds, Run
from ..training import checkpoint, loop, precision
from ..training.checkpoint import Checkpoint
from ..training.progress import Progress
from ..utils.files import file_hash, remove_temporaries
from ..utils.messages import ImgregError, first_few, say, warn
from . import fitting, learning_curve, run_stages
from .learning_curve import LearningCurve
from .plan import TrainingPlan
from .several_runs import has_begun, with_first_epochs


def resume_run(path: Path, epochs: int | None = None, force: bool = False, device: str | None = None) -> Run:
    """Train a run to the end of its plan, or to another number of epochs, and score it.

    Args:
        path: Of its folder.
        epochs: Number of epochs in all, without frozen ones; None: as planned.
        force: Whether to go on although data or packages have changed.
        device: Where to train; None: as before.

    Returns:
        The run; its state is "interrupted" after Ctrl-C.

    Raises:
        ImgregError: There is nothing to go on with, something has changed, or another process works on the run.
    """
    if epochs is not None:
        check_setting("epochs", epochs)
    run = runs.claim_run(path)
    try:
        n_done = run.about.get("epochs_done") or 0
        if run.config.quick and (run.state == "trained" or epochs is not None):
            raise ImgregError("a run that trains by epochs", f"'{path}', the ridge of --quick",
                              f"imgreg train with --weights {path}, which trains its backbone")
        if run.state == "trained" and epochs is None:
            raise ImgregError("an unfinished run, or --epochs N to train it further",
                              f"'{path}', finished after {n_done} epochs", f"--epochs {2 * run.config.epochs}")
        saved = checkpoint.read_checkpoint(run.path)
        if saved is not None and (epochs is not None or not saved.progress.is_over):
            _check_head(run)
        changes = check_unchanged(run, force)
        for folder in (run.path, run.path / "plots"):
            remove_temporaries(folder)
        if saved is None and n_done and (run.path / model_file.MODEL).exists():  # a new training would overwrite it
            raise ImgregError(f"a checkpoint to go on from in '{path}'", f"its {model_file.MODEL} only",
                              f"imgreg evaluate {path}, or imgreg train --weights {path}")
        config = replace(run.config, epochs=epochs or run.config.epochs, time=None if epochs else run.config.time,
                         device=device or run.config.device)
        is_planned = not has_begun(run) and epochs is None
        with run_stages.resumable(run):
            if saved is not None and epochs is not None:
                _replan_epochs(run, saved, epochs)
            if saved is None and run.state != "planned":
                say(f"{path} has no checkpoint yet: its training begins anew")
            _record(run, saved, epochs, changes)
            if saved is None:
                plan = _plan_of_run(run, config)
                if is_planned:
                    plan = replace(plan, undecided=frozenset(run.about.get("undecided", ())))
                    members = (runs.load_run(file.parent) for file in sorted(path.parent.glob("*/run.json")))
                    plan = with_first_epochs(plan, members)
                return fitting.train(plan, path.parent, planned=run)
            return _continue_training(run, _plan_of_run(run, config), saved)
    finally:
        run.unlock()


def resume_folder(folder: Path, epochs: int | None = None, force: bool = False,
                  device: str | None = None) -> Folds | LearningCurve:
    """Train the runs of a cross-validation or of a learning curve that have not ended, and summarise all of them.

    Args:
        folder: Of the runs.
        epochs, force, device: As for `resume_run`.

    Returns:
        The folds or the curve, as their training returns them.

    Raises:
        ImgregError: It is no such folder, or all runs have ended; else as `resume_run` does.
    """
    members = [runs.load_run(file.parent) for file in sorted(folder.glob("*/run.json"))]
    is_curve = bool(members) and all("parts" in run.about for run in members)
    if not is_curve and not (members and all(run.config.fold for run in members)):
        runs.load_run(folder)  # raises, since it is no run
    n_planned = len(members[0].about["parts"]) if is_curve else int(members[0].config.folds or 0)
    if len(members) != n_planned:
        raise ImgregError(f"all {n_planned} runs of '{folder}'", f"{len(members)}, as planning them was cut short",
                          "the command that made it, once more")
    summary = folder / ("curve.json" if is_curve else "scores.json")
    unfinished = [run for run in members if run.state != "trained" or epochs not in (None, run.config.epochs)]
    if not unfinished and summary.is_file():
        raise ImgregError("unfinished runs, or --epochs N to train them further",
                          f"all {n_planned} of '{folder}' trained to their end")
    for i, run in enumerate(members):
        if run in unfinished:
            say(run.about["title"])
            members[i] = resume_run(run.path, epochs, force, device)
            if members[i].state == "interrupted":
                break
    return learning_curve.summarise(folder, members) if is_curve else runs.collect_folds(folder, members)


def _plan_of_run(run: Run, config: TrainConfig) -> TrainingPlan:
    """The plan of a run: its own labels, with the split that they had."""
    data = run.about["data"]
    return TrainingPlan(run.task, config, Path(data["table"]), data["root"], run.about.get("command", ""),
                        rows=run.labels, set_by_user=frozenset(run.about.get("set_by_user", ())),
                        recipe=run.about.get("recipe") or {})


def _replan_epochs(run: Run, saved: Checkpoint, epochs: int) -> None:
    """Plan another number of epochs in all, and save the plan at once: a kill does not undo it."""
    progress = saved.progress
    progress.time = None  # a number of epochs takes the place of the time budget
    n_frozen = run.config.freeze_epochs if any(cycle.frozen for cycle in progress.cycles) else 0
    if n_frozen + epochs <= progress.epoch:
        raise ImgregError(f"--epochs above {progress.epoch - n_frozen}, which '{run.path}' has trained already",
                          str(epochs))
    if run.state == "trained" and (run.labels["split"] == "test").any():
        warn("the test part is scored once more: choose between the two results by the validation part")
    progress.replan_epochs(n_frozen + epochs)
    checkpoint.write_checkpoint(run.path, saved)


def _continue_training(run: Run, plan: TrainingPlan, saved: Checkpoint) -> Run:
    """Train what is left of a run, and score it."""
    progress, config = saved.progress, plan.config
    with precision.deterministic(run.about.get("threads")):
        if progress.is_over:
            say(f"{run.path} is trained: going on with its scores")
            run.note(state="scoring", epochs_done=progress.epoch, stopped=progress.stopped, config=config.to_dict())
            _restore_files(run, plan, saved)
            run_stages.finish(run, plan.rows)
            return run
        learn, _ = fitting.build_network(plan, None)
        checkpoint.restore(learn, saved)
        epoch_steps = loop.count_epoch_steps(learn, config)
        if epoch_steps != progress.epoch_steps:  # after a change of the data
            progress.change_epoch_steps(epoch_steps)
        say(f"going on with {run.path} at epoch {progress.epoch + 1} of {progress.n_epochs}, "
            f"step {progress.step_in_epoch} of {progress.steps_of_epoch}")
        run.note(state="training", stopped="", config=config.to_dict(), device=str(learn.dls.device),
                 precision=_precision(run, learn))
        _say_repeated(run, progress)
        _restore_files(run, plan, saved)
        return fitting.train_to_end(run, plan, learn, progress, saved.best)


def _check_head(run: Run) -> None:
    """Raise ImgregError, before anything is changed, if points are learnt by a head that is no longer trained."""
    if run.task.has_points and "network" not in run.about:
        raise ImgregError("a checkpoint whose points have a map each",
                          f"'{run.path}', whose head an older version of imgreg made",
                          f"imgreg train with --weights {run.path}, which begins anew with its backbone")


def _say_repeated(run: Run, progress: Progress) -> None:
    """Say which epochs had ended after the checkpoint."""
    file = run.path / "history.csv"
    n_ended = len(run.read_table(file.name)) if file.is_file() else 0
    if n_ended > progress.epoch:
        say(f"what was trained after the checkpoint, up to epoch {n_ended}, is trained again")


def _precision(run: Run, learn: Learner) -> str:
    """The precision of the run; on a device of another kind it is chosen anew."""
    config, before = run.config, torch.device(run.about["device"]).type
    if learn.dls.device.type == before:
        return run.about["precision"]
    new_precision = precision.choose_precision(learn, config.precision, timed=not config.deterministic)
    say(f"on {learn.dls.device.type} in {new_precision}; before on {before} in {run.about['precision']}")
    return new_precision


def _restore_files(run: Run, plan: TrainingPlan, saved: Checkpoint) -> None:
    """Bring the history and the best weights of a run folder to the state of its checkpoint."""
    if saved.progress.history:
        run.write("history.csv", pd.DataFrame(saved.progress.history))
    model = run.path / model_file.MODEL
    if saved.best and not model_file.has_weights(model, saved.best):
        model_file.save_model(model, saved.best, fitting.model_metadata(run, plan))


# ---- what has changed since a run began


def check_unchanged(run: Run, force: bool) -> list[str]:
    """Look for changes of packages, labels and images since a run began, and return them.

    Args:
        run: The run.
        force: Whether there may be some.

    Raises:
        ImgregError: There are some.
    """
    changes = [*_changed_versions(run), *_changed_data(run)]
    if changes and not force:
        raise ImgregError(f"the packages and data that '{run.path}' began with", "; ".join(changes),
                          f"imgreg resume {run.path} --force, which goes on with what is here now")
    return changes


def _record(run: Run, saved: Checkpoint | None, epochs: int | None, changes: list[str]) -> None:
    """Note in run.json that a run is resumed, and accept what has changed."""
    for change in changes:
        warn(f"going on although this has changed: {change}")
    line = f"at step {saved.progress.step}" if saved else "at its beginning"
    line += f", to {epochs} epochs" if epochs else ""
    line += f"; changed since the beginning: {'; '.join(changes)}" if changes else ""
    data = run.about["data"]
    if changes:
        data = {**data, **runs.data_hashes(run.path, Path(data.get("table_path", "")), run.labels)}
    run.note(state="training", versions=runs.versions() if changes else run.about.get("versions", {}), data=data,
             resumed=[*run.about.get("resumed", []), line])


def _changed_versions(run: Run) -> list[str]:
    """The packages that have another version than when the run began."""
    before, now = dict(run.about.get("versions", {})), runs.versions()
    for versions in (before, now):
        versions["python"] = ".".join(versions.get("python", "").split(".")[:2])  # a repair of Python changes no result
    return [f"{name} {before[name]}, now {now[name]}" for name in now if before.get(name, now[name]) != now[name]]


def _changed_data(run: Run) -> list[str]:
    """What is no longer as it was of the run's labels, of its table and of its images."""
    data, changes = run.about["data"], []
    labels, table = run.path / "labels.csv", Path(data.get("table_path", ""))
    if data.get("labels_sha256", "") not in ("", file_hash(labels)):
        changes.append(f"{labels} was edited")
    if data.get("table_sha256") and table.is_file() and file_hash(table) != data["table_sha256"]:
        changes.append(f"{table} was edited (the run keeps the labels that it began with)")
    rows = run.labels
    hashes = pd.Series(content_hashes(rows["path"]), rows.index)
    if data.get("images_sha256", "") == runs.text_hash(*hashes):
        return changes
    missing, changed = hashes == "", (hashes != "") & ~hashes.isin(set(run.known_images["hash"]))
    for which, what in ((missing, "gone"), (changed, "changed")):
        if which.any():
            changes.append(f"{which.sum()} of {len(rows)} images {what}: {first_few(rows.loc[which, 'image'], 3)}")
    if "images_sha256" in data and not (missing | changed).any():
        changes.append("the content of some images is now that of others of the table")
    return changes
