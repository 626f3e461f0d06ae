"""The automatic recipe of a plan: what is known of its data, and what is said of its settings."""
import math
from dataclasses import replace
from typing import Any

from fastai.learner import Learner

from ..config import BY_RECIPE, option_name
from ..data.object_size import shown_size
from ..models import backbones, weights
from ..models.devices import select_device
from ..training import loop, recipe
from ..training.batch_size import measure_steps
from ..utils.format import format_seconds
from ..utils.messages import say, warn
from .plan import TrainingPlan

STEPS_SECONDS = 3.0  # for measuring training steps, before a training
SAID = ("arch", "size", "bs", "lr", "loss", "augment", "epochs")  # settings that have an option


def apply_recipe(plan: TrainingPlan) -> TrainingPlan:
    """Return a plan whose undecided settings fit its data.

    Args:
        plan: With its rows split.

    Raises:
        ImgregError: The weights that the user names are not available, or the device is not.
    """
    if not plan.undecided:
        return plan
    config, source = plan.config, weights.find_weights(plan.config.arch, plan.config.weights)
    chosen = recipe.choose_recipe(_data_facts(plan, source))
    undecided = plan.undecided if _rates_apply(plan, source) else plan.undecided - {"lr", "body_lr"}
    settings: dict[str, Any] = {name: value for name, value in {**chosen.settings, "size": chosen.size}.items()
                                if name in undecided}
    if "arch" in settings:  # whose arguments belong to it
        settings["arch_args"] = {**chosen.settings.get("arch_args", {}), **config.arch_args}
    fields = {name: value for name, value in settings.items() if name != "size"}
    task = replace(plan.task, size=settings.get("size", plan.task.size))
    if not config.quick:
        by_kind = {"loss": config.loss, "augment": task.augment}  # decided by the kinds of the targets
        settings |= {name: value for name, value in by_kind.items() if name not in plan.set_by_user}
        settings["most_epochs"] = chosen.most_epochs
    return replace(plan, task=task, config=replace(config, **fields), source=source,
                   recipe={**settings, "reason": chosen.reason})


def _data_facts(plan: TrainingPlan, source: weights.Weights) -> recipe.DataFacts:
    """What the recipe goes by."""
    config, rows = plan.config, plan.rows[plan.rows["split"] == "train"]
    minutes = config.time / 60 if config.time else recipe.MINUTES
    # images of --quick are as large as a training's, so that its error is that of the training's floor
    is_limited = config.time or config.quick or "epochs" in plan.undecided
    trained_size = None
    if "size" in plan.undecided and source.origin == "model":
        trained_task = weights.trained_task(source.path)
        trained_size = trained_task.size if trained_task else None
    return recipe.DataFacts(len(rows), shown_size(rows, plan.task), source.pretrained,
                            select_device(config.device) != "cpu",
                            minutes if is_limited else None, trained_size, plan.task.has_points)


def _rates_apply(plan: TrainingPlan, source: weights.Weights) -> bool:
    """Whether the recipe's rates hold for the backbone: its own, or a pretrained one that is no transformer."""
    is_transformer = backbones.pretrained_cfg(plan.config.arch).fixed_input_size
    return "arch" in plan.undecided or (source.pretrained and not is_transformer)


def plan_epochs(plan: TrainingPlan, learn: Learner, in_precision: str, is_auto: bool) -> TrainingPlan:
    """Decide by measured steps on the number of epochs that a training has the time for, and say the whole recipe.

    Args:
        plan: After `apply_recipe`.
        learn: Its Learner, which stays as it is.
        in_precision: The precision of the body.
        is_auto: Whether smaller batches may be made where memory is exhausted.

    Returns:
        The plan; the same where the recipe does not decide on the epochs, or nothing may depend on timing.
    """
    config, seconds = plan.config, None
    if "epochs" in plan.undecided and not config.deterministic:
        config, step, valid = measure_steps(learn, config, in_precision, STEPS_SECONDS, is_auto)
        epoch = loop.count_epoch_steps(learn, config) * step + valid
        n_fitting = math.floor(60 * recipe.MINUTES / epoch)
        if not n_fitting:
            warn(f"an epoch takes about {format_seconds(epoch)}, more than the {recipe.MINUTES} min that are planned: "
                 "a smaller --size or --arch is faster")
        epochs = min(max(1, n_fitting), plan.recipe["most_epochs"])
        plan = replace(plan, config=replace(config, epochs=epochs), recipe={**plan.recipe, "epochs": epochs})
        seconds = epochs * epoch
    say_recipe(plan, "" if seconds is None else f", about {format_seconds(seconds)}")
    return plan


def say_recipe(plan: TrainingPlan, time: str = "") -> None:
    """Say the settings that the recipe decided, each as the option that overrides it; nothing if it decided none.

    Args:
        plan: After `apply_recipe`.
        time: What is known of it: ", about 4 min".
    """
    if set(plan.recipe) & set(SAID) & set(BY_RECIPE):
        n_images = int((plan.rows["split"] == "train").sum())
        small = f", a small {plan.recipe['arch']} (--arch)" if plan.recipe.get("arch_args") else ""
        say(f"recipe for {n_images} images ({plan.recipe['reason']}){small}{time}; options override it:")
        say(describe_recipe(plan.recipe))


def describe_recipe(decisions: dict[str, Any]) -> str:
    """The settings that the recipe decided, in a line of options: "--arch resnet18 --size 128 --bs 16".

    Args:
        decisions: As run.json has them. The rate of a body is left out, as only Python has an option for it, and a
            backbone with arguments of its own, which its name alone does not give.
    """
    parts = []
    for name in SAID:
        if name in decisions and not (name == "arch" and decisions.get("arch_args")):
            value = decisions[name]
            if name == "size":
                value = "x".join(map(str, value if value[0] != value[1] else value[:1]))
            elif name == "augment":
                value = ",".join(value) or "none"
            parts.append(f"{option_name(name)} {value}")
    return " ".join(parts)
