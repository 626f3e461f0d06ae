"""What a training by epochs and a quick fit have in common: how a run begins, how it fails, and how it is finished."""
import shlex
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from fastai.torch_core import set_seed

from .. import runs
from ..config import TrainConfig
from ..data import splits
from ..data.object_size import describe_small_objects
from ..evaluation import calibrate, evaluate, frozen_ridge
from ..inference import model_file
from ..inference.quantiles import FEWEST_GROUPS
from ..models import backbones, weights
from ..models.devices import select_device
from ..reports import run_page
from ..utils.files import is_full_disk
from ..utils.messages import ImgregError, say, warn
from . import floor
from .plan import TrainingPlan

# ---- how it begins


def build_body(plan: TrainingPlan, source: weights.Weights) -> tuple[torch.nn.Module, weights.Weights]:
    """Build the backbone of a plan from its seed.

    Args:
        plan: The plan.
        source: Weights to load into it.

    Returns:
        The backbone, and the weights as they were loaded.
    """
    config = plan.config
    set_seed(config.seed)
    body = backbones.build(config.arch, plan.task.size, config.arch_args)
    return body, weights.load_body(body, config.arch, source)


def threads(config: TrainConfig, planned: runs.Run | None) -> int | None:
    """The number of threads that a run keeps: those of its planned run, else see `fixed_threads`."""
    return (planned.about.get("threads") if planned else None) or fixed_threads(config)


def fixed_threads(config: TrainConfig) -> int | None:
    """The number of threads that a deterministic training keeps; None: it is not deterministic."""
    return torch.get_num_threads() if config.deterministic else None


def plan_fields(plan: TrainingPlan) -> dict[str, Any]:
    """What run.json has of a plan beside its task, settings and rows, as fields of `runs.start_run`."""
    return {"command": plan.command, "recipe": plan.recipe, "set_by_user": sorted(plan.set_by_user)}


def begin_run(plan: TrainingPlan, out: str | Path, planned: runs.Run | None, **fields: Any) -> runs.Run:
    """Make the run folder of a plan, or take the one that is planned.

    Args:
        plan: With its rows split.
        out: The folder that the run folder is made in.
        planned: A run folder of this plan in which nothing is trained yet; None: a new one is made.
        **fields: Of run.json, besides those that all runs have.
    """
    fields = {**plan_fields(plan), "state": "training", "stopped": "", **fields}
    if planned is None:
        return runs.start_run(out, plan.task, plan.config, plan.rows, plan.table, plan.images, plan.earlier, **fields)
    planned.claim()
    planned.note(config=plan.config.to_dict(), **fields)
    return planned


def say_start(plan: TrainingPlan, run: runs.Run, purpose: str, n_train: int, n_valid: int) -> None:
    """Say what begins on how many images, and where; warn of objects that are too small.

    Args:
        plan: The plan.
        run: Its run.
        purpose: What is done with the training images, up to their number: "training resnet18 on".
        n_train: Number of training images.
        n_valid: Number of validation images.
    """
    for sentence in describe_small_objects(plan.rows[plan.rows["split"] == "train"], plan.task):
        warn(sentence)
    say_parts(plan, purpose, n_train, n_valid, f": {run.path}")


def say_parts(plan: TrainingPlan, purpose: str, n_train: int, n_valid: int, end: str = "") -> None:
    """Say how many images each part has, and why none is kept for intervals; arguments as for `say_start`."""
    parts = splits.calibrating_parts(plan.rows, plan.config)
    n_kept = int((plan.rows["split"] == "calibrate").sum()) if "calibrate" in parts else 0
    for_intervals = f", {n_kept} kept for intervals" if n_kept else ""
    say(f"{purpose} {n_train} images, validating on {n_valid}{for_intervals}{end}")
    if "valid" in parts:
        n_groups = splits.split_units(plan.rows[plan.rows["split"].isin(parts)]).nunique()
        if n_groups < FEWEST_GROUPS:
            few = "one group is" if n_groups == 1 else f"{n_groups} groups are"
            say(f"intervals are calibrated by the images of the validation part, as {few} too few")
        else:
            whose = "among them those" if n_kept else "those"
            say(f"intervals are calibrated by {n_groups} groups, {whose} of the validation part")
    _, why_no_intervals = splits.calibration_size(plan.rows, plan.config, plan.old_parts)
    if why_no_intervals and not parts:
        say(why_no_intervals)


# ---- how it fails


@contextmanager
def noting_failure(run: runs.Run) -> Iterator[None]:
    """Within the block, an error or Ctrl-C is noted in a run, which is unlocked."""
    try:
        yield
    except BaseException as e:
        state = "interrupted" if isinstance(e, KeyboardInterrupt) else "failed"
        with suppress(ImgregError):  # a full disk takes no note: the run without a process is "interrupted" then
            run.note(state=state, stopped=str(e) or type(e).__name__)
        run.unlock()
        raise


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


# ---- how it ends


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
        if splits.calibrating_parts(rows, run.config):
            model = calibrate.calibrate(model, rows, run.config)
            model_file.save_model(run.path / model_file.MODEL, model.network, model.about, model.calibration)
        train_rows, held_out = rows[rows["split"] == "train"], rows[rows["split"].isin(("valid", "test"))]
        history = None if run.config.quick else pd.read_csv(run.path / "history.csv")
        run.scores = evaluate.write_evaluation(run.path, model, held_out, train_rows, history,
                                               ridge=frozen_ridge.read_predictions(run))
        run_page.write(run, model)
        run.note(state="trained")
        floor.warn_if_better(run)
    except BaseException as e:
        run.unlock()
        if not is_full_disk(e):  # whose message names the next command
            warn(f"the {'ridge is fitted' if run.config.quick else 'network is trained'}, but not scored")
            warn(f"next: {resume_command(run)}")
        raise
