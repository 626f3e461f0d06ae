"""The automatic recipe of a plan: what is known of its data, and what is said of its settings."""
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from fastai.learner import Learner

from ..config import option_name
from ..data.images import known_views
from ..models import backbones, weights
from ..models.devices import select_device
from ..training import loop, recipe
from ..training.trial import measure_training
from ..utils.format import format_seconds
from ..utils.messages import say, warn
from .preparation import TrainingPlan

SAMPLE = 200  # images whose headers tell the size
MEASURED = 3.0  # seconds, of training steps before a training
RECIPE_WORDS = {"arch": "{}", "size": "images of {} pixels", "bs": "batches of {}", "lr": "learning rate {}",
                "body_lr": "body at {} times the head's", "epochs": "{} epochs"}
IMPROVING = 0.03  # of the validation loss, by which the last tenth of a training lowers it where more epochs may help


def apply_recipe(plan: TrainingPlan) -> TrainingPlan:
    """Return a plan whose undecided settings fit its data.

    Args:
        plan: With its rows split.

    Raises:
        ImgregError: The weights that the user names are not available, or the device is not.
    """
    if not plan.undecided:
        return plan
    source = weights.find_weights(plan.config.arch, plan.config.weights)
    config, n_images = plan.config, int((plan.rows["split"] == "train").sum())
    minutes = config.time / 60 if config.time else recipe.MINUTES
    # images of --quick are as large as a training's, so that its error is that of the training's floor
    is_limited = config.time or config.quick or "epochs" in plan.undecided
    facts = recipe.DataFacts(n_images, shown_size(plan), source.pretrained, select_device(config.device) != "cpu",
                             minutes if is_limited else None)
    chosen = recipe.choose_recipe(facts)
    undecided = plan.undecided if _rates_apply(plan, source) else plan.undecided - {"lr", "body_lr"}
    settings: dict[str, Any] = {name: value for name, value in {**chosen.settings, "size": chosen.size}.items()
                                if name in undecided}
    if "arch" in settings:  # whose arguments belong to it
        settings["arch_args"] = {**chosen.settings.get("arch_args", {}), **plan.config.arch_args}
    fields = {name: value for name, value in settings.items() if name != "size"}
    task = replace(plan.task, size=settings.get("size", plan.task.size))
    most_epochs = {"most_epochs": chosen.most_epochs} if "epochs" in undecided else {}
    return replace(plan, task=task, config=replace(plan.config, **fields), source=source,
                   recipe={**settings, **most_epochs, "reason": chosen.reason})


def _rates_apply(plan: TrainingPlan, source: weights.Weights) -> bool:
    """Whether the recipe's rates hold for the backbone: its own, or a pretrained one that is no transformer."""
    is_transformer = backbones.pretrained_cfg(plan.config.arch).fixed_input_size
    return "arch" in plan.undecided or (source.pretrained and not is_transformer)


def plan_epochs(plan: TrainingPlan, learn: Learner, in_precision: str) -> TrainingPlan:
    """Decide by measured steps on the number of epochs that a training has the time for, and say the whole recipe.

    Args:
        plan: After `apply_recipe`.
        learn: Its Learner, which stays as it is.
        in_precision: The precision of the body.

    Returns:
        The plan; the same where the recipe does not decide on the epochs, or nothing may depend on timing.
    """
    config, seconds = plan.config, None
    if "epochs" in plan.undecided and not config.deterministic:
        step, valid = measure_training(learn, in_precision, config.accumulate, MEASURED)
        epoch = loop.count_epoch_steps(learn, config) * step + valid
        n_fitting = math.floor(60 * recipe.MINUTES / epoch)
        if not n_fitting:
            warn(f"an epoch takes about {format_seconds(epoch)}, more than the {recipe.MINUTES} min that are planned: "
                 "a smaller --size or --arch is faster")
        epochs = min(max(1, n_fitting), plan.recipe["most_epochs"])
        plan = replace(plan, config=replace(config, epochs=epochs), recipe={**plan.recipe, "epochs": epochs})
        seconds = epochs * epoch
    say_recipe(plan, seconds)
    return plan


def say_recipe(plan: TrainingPlan, seconds: float | None = None) -> None:
    """Say what the recipe decided, if that is anything with an option; arguments as for `describe_recipe`."""
    if set(plan.recipe) & set(RECIPE_WORDS):
        say(describe_recipe(plan, seconds))


def shown_size(plan: TrainingPlan) -> tuple[float, float]:
    """The median height and width, in the images' own pixels, of what is shown of some training images."""
    rows = plan.rows[plan.rows["split"] == "train"]
    rows = rows.sample(min(SAMPLE, len(rows)), random_state=plan.config.seed)
    task = replace(plan.task, fit="squish", augment=())  # whose view is the whole image or box, without padding
    views = known_views(rows["path"], task, task.boxes(rows))
    scales = views[np.isfinite(views).all(axis=1), :2]
    if not len(scales):  # images that cannot be opened are named later
        return plan.task.size
    width, height = np.median(2 / scales, axis=0)
    return float(height), float(width)


def describe_recipe(plan: TrainingPlan, seconds: float | None = None) -> str:
    """The settings that the recipe decided, each with the option that overrides it, in a line.

    Args:
        plan: After `apply_recipe`.
        seconds: How long the epochs will take; None: not known.
    """
    has_arguments = bool(plan.recipe.get("arch_args"))  # of the backbone, which go with it
    words = RECIPE_WORDS | ({"arch": "small {}"} if has_arguments else {})
    parts = []
    for name, text in words.items():
        if name in plan.recipe:
            value = plan.recipe[name]
            value = "x".join(map(str, value)) if name == "size" else f"{value:g}" if name.endswith("lr") else value
            time = f", about {format_seconds(seconds)}" if name == "epochs" and seconds is not None else ""
            option = "" if name == "body_lr" else f" ({option_name(name)}{time})"  # which only Python has
            parts.append(text.format(value) + option)
    n_images = int((plan.rows["split"] == "train").sum())
    return f"recipe for {n_images} images ({plan.recipe['reason']}): {', '.join(parts)}"


def is_improving(history: pd.DataFrame) -> bool:
    """Whether the last tenth of a training, its history with a row an epoch, lowered the validation loss."""
    losses = history["valid_loss"].to_numpy()
    n_last = math.ceil(len(losses) / 10)
    return len(losses) > n_last and losses[-n_last:].min() < (1 - IMPROVING) * losses[:-n_last].min()
