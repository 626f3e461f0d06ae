"""The options and arguments of the commands: their kinds here, their panels and help texts in options.json."""
import inspect
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from ..config import MINIMUM, Cache, Loss, Precision, TrainConfig, option_name
from . import parsers

PANELS = json.loads(Path(__file__).with_name("options.json").read_text(encoding="utf-8"))
LIMITS = {**MINIMUM, "wd": 0}

# The kinds of the options of all commands that prepare a training, by the keywords of
# api.preparation.resolve_options and TrainConfig, and of those that train has besides. None stands for the default.
TRAINING = {
    "targets": list[str], "units": list[str], "target_weights": list[str], "scale": str, "flip_pairs": str,
    "data": Path, "preset": str, "labels": str, "label_from_name": str, "image_col": str, "images": Path,
    "value_range": str, "size": str, "fit": str, "box": str, "margin": float, "augment": str, "group": str,
    "valid": float, "test": float, "calibrate": float, "coverage": float, "hold_out": str, "arch": str,
    "arch_args": list[str], "weights": str, "lr": str, "bs": str, "loss": Loss, "wd": float, "balance": bool,
    "precision": Precision, "workers": int, "cache": Cache, "seed": int, "device": str, "strict": bool,
}
FIT = {"epochs": int, "freeze_epochs": int, "patience": int, "stop_at": str, "folds": int}
PARSERS: dict[str, Callable] = {
    "units": parsers.parse_unit, "target_weights": parsers.parse_weight, "value_range": parsers.parse_value_range,
    "size": parsers.parse_size, "box": parsers.parse_names, "augment": parsers.parse_augmentations,
    "hold_out": parsers.parse_names, "stop_at": parsers.parse_goal, "arch_args": parsers.parse_arch_arg,
    "lr": parsers.parse_learning_rate, "bs": parsers.parse_batch_size, "curve.parts": parsers.parse_parts,
}


def option(key: str) -> Any:
    """Return the option that has a key in options.json: a keyword, or COMMAND.KEYWORD where commands differ."""
    panel = next(name for name, options in PANELS.items() if key in options)
    text = PANELS[panel][key]["help"].format(**asdict(TrainConfig()))
    return typer.Option(option_name(key.rpartition(".")[2]), metavar=PANELS[panel][key].get("metavar"), help=text,
                        rich_help_panel=panel, show_default=False, min=LIMITS.get(key), parser=PARSERS.get(key))


def argument(metavar: str, text: str) -> Any:
    """Return an argument, which is typed by its place."""
    return typer.Argument(metavar=metavar, help=text)


# Of several commands
TaskName = Annotated[str, argument("TASK", "angle, headpose, a labels table, or a folder whose file names hold the "
                                           "labels.")]
RunPath = Annotated[Path, argument("RUN", "A run folder, such as runs/angle-001.")]
Images = Annotated[Path | None, option("images")]
Size = Annotated[Any, option("size")]  # read as (height, width)
Coverage = Annotated[float | None, option("coverage")]
Device = Annotated[str, option("device")]
By = Annotated[str | None, option("by")]
How = Annotated[str, option("how")]
Tta = Annotated[bool, option("tta")]
Out = Annotated[Path, option("out")]
AsJson = Annotated[bool, option("json")]


def with_options(kinds: dict[str, Any]) -> Callable[[Callable], Callable]:
    """Return a decorator that lets typer see options in place of the `**options` of a command.

    The command receives those that were typed.

    Args:
        kinds: Of the options, by their keywords.
    """
    added = [inspect.Parameter(keyword, inspect.Parameter.KEYWORD_ONLY, default=None,
                               annotation=Annotated[kind | None, option(keyword)]) for keyword, kind in kinds.items()]

    def decorate(command: Callable) -> Callable:
        @wraps(command)
        def with_typed_options(**values: Any) -> None:
            command(**{name: value for name, value in values.items() if value is not None or name not in kinds})

        *parameters, _ = inspect.signature(command).parameters.values()  # the last are the `**options`
        with_typed_options.__signature__ = inspect.Signature([*parameters, *added])  # type: ignore[attr-defined]
        return with_typed_options

    return decorate
