"""The backbone that `--weights FILE` brings along where the user names none."""
from pathlib import Path
from typing import Any, NamedTuple

from ..utils.messages import say


class Defaults(NamedTuple):
    """What decides the settings of a training, the stronger first.

    Args:
        settings: Of the user, by field of TrainConfig.
        recipe: Of the task.
    """

    settings: dict[str, Any]
    recipe: dict[str, Any]


def brings_backbone(settings: dict[str, Any]) -> bool:
    """Tell whether settings name a weights file, run or model, and no backbone."""
    weights = settings.get("weights")
    return weights is not None and str(weights) not in ("auto", "hub", "none") and not settings.get("arch")


def take_backbone(settings: dict[str, Any], recipe: dict[str, Any]) -> Defaults:
    """Return the settings with the backbone of the weights file, run or model that they name, if they name no other.

    The arguments of the backbone of a run or model of ours take the place of the recipe's; a weights file does not
    tell its own.

    Args:
        settings: Of the user, by field of TrainConfig.
        recipe: Of the task.

    Raises:
        ImgregError: There is no such file, or its backbone is not known.
    """
    if not brings_backbone(settings):
        return Defaults(settings, recipe)
    from ..models import backbones, recognition, weights_files

    spec = settings["weights"]
    if not weights_files.file_path(spec).is_file():  # which is said when the weights are to be loaded
        return Defaults(settings, recipe)
    backbone = recognition.recognise_backbone(spec)
    if backbone is None:
        raise recognition.refusal(spec)
    settings = {**settings, "arch": backbone.arch}
    note = ""
    if backbone.arch_args is None:
        note = backbones.normalisation_note(backbone.arch)
    else:
        settings["arch_args"] = {**backbone.arch_args, **settings.get("arch_args", {})}
        recipe = {name: value for name, value in recipe.items() if name != "arch_args"}
    say(f"weights {Path(spec).name}: the backbone is {backbone.arch} (--arch NAME for another){note}")
    return Defaults(settings, recipe)
