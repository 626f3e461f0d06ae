"""A dry run: what a training would do, and one batch of each part through all of it."""
import logging
from dataclasses import replace
from pathlib import Path

from ..models import weights
from ..training import recipe
from ..utils.messages import muted, say
from . import automatic, fitting, run_stages
from .plan import TrainingPlan


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
    automatic.say_recipe(plan, f", {recipe.MINUTES} min at most, epochs estimated" if is_estimate else "")
    n_images, start = plan.rows["split"].value_counts(), _describe_start(plan)
    run_stages.say_parts(plan, start, n_images["train"], n_images["valid"])
    config = replace(config, epochs=1, time=None, freeze_epochs=0, accumulate=1, patience=None, stop_at=None,
                     calibrate=0)
    rows = plan.rows[plan.rows["split"] != "calibrate"].groupby("split").head(config.bs or 32)
    with muted(logging.WARNING):
        fitting.train(replace(plan, config=config, rows=rows, undecided=frozenset(), recipe={}, dry_run=True), out)
    say("one batch went through everything; nothing was kept")


def _describe_start(plan: TrainingPlan) -> str:
    """What is done with the training images, up to their number."""
    arch, source = plan.config.arch, plan.source
    start = f"the weights {source.source}" if source and source.pretrained else "random weights"
    if plan.config.quick:
        return f"a ridge is fitted to features of {arch} with {start} for"
    return f"a training begins with {start} of {arch}, on"
