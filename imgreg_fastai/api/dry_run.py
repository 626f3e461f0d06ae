"""A dry run: what a training would do, and one batch of each part through all of it."""
import logging
from dataclasses import replace
from pathlib import Path

from ..data import splits
from ..models import weights
from ..utils.messages import muted, say
from . import automatic, fitting
from .preparation import TrainingPlan


def try_batch(plan: TrainingPlan, out: str | Path) -> None:
    """Say what a training would do, and send one batch of each part through it; its scores mean nothing.

    Args:
        plan: With its rows split.
        out: The folder that the run folder is made in, for the caller to remove.
    """
    plan = automatic.apply_recipe(plan)
    config = plan.config
    plan = replace(plan, source=plan.source or weights.find_weights(config.arch, config.weights))
    is_estimate = "epochs" in plan.recipe and not config.deterministic
    automatic.say_recipe(plan, ", epochs estimated" if is_estimate else "")
    _say_parts(plan)
    config = replace(config, epochs=1, time=None, freeze_epochs=0, accumulate=1, patience=None, stop_at=None,
                     calibrate=0)
    rows = plan.rows[plan.rows["split"] != "calibrate"].groupby("split").head(config.bs or 32)
    with muted(logging.WARNING):
        fitting.train(replace(plan, config=config, rows=rows, undecided=frozenset(), recipe={}, dry_run=True), out)
    say("one batch went through everything; nothing was kept")


def _say_parts(plan: TrainingPlan) -> None:
    """Say what a training begins with, and how many images each of its parts has."""
    config, source = plan.config, plan.source
    n_images = plan.rows["split"].value_counts()
    n_calibration = 0 if config.calibrate == 0 else n_images.get("calibrate", 0)
    for_intervals = f", {n_calibration} kept for intervals" if n_calibration else ""
    start = f"the weights {source.source}" if source and source.pretrained else "random weights"
    say(f"a training begins with {start} of {config.arch}: {n_images['train']} images to train on, {n_images['valid']} "
        f"to validate on{for_intervals}")
    _, why_no_intervals = splits.calibration_size(plan.rows, config, plan.old_parts)
    if why_no_intervals:
        say(why_no_intervals)
