"""The options and arguments of the commands. options.json has the panel, kind, metavar and help text of each option.

Its keys are the keywords of the public functions: "training" has those of api.preparation.resolve_options and fields of
TrainConfig, that all commands that prepare a training have. A help text names defaults of TrainConfig as {epochs}.
"""
import inspect
import json
from collections.abc import Callable
from dataclasses import asdict
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ..config import MINIMUM, Cache, Loss, Precision, TrainConfig, option_name
from . import parsers

TableFormat = Literal["table", "csv", "json", "jsonl"]
PANELS = ("What to predict", "Images", "Split", "Training", "Output")
DEFINITIONS = json.loads(Path(__file__).with_name("options.json").read_text(encoding="utf-8"))
TRAINING = tuple(DEFINITIONS["training"])  # the options of all commands that prepare a training, in the order of --help
OPTIONS = {**DEFINITIONS["training"], **DEFINITIONS["other"]}
KINDS: dict[str, Any] = {
    "text": str, "texts": list[str], "number": float, "whole number": int, "flag": bool, "path": Path,
    "loss": Loss, "precision": Precision, "cache": Cache,
}
LIMITS = {**MINIMUM, "wd": 0, "bs": None}  # bs may be a word; TrainConfig checks its number
PARSERS: dict[str, Callable] = {
    "units": parsers.parse_unit, "target_weights": parsers.parse_weight, "value_range": parsers.parse_value_range,
    "size": parsers.parse_size, "box": parsers.parse_names, "augment": parsers.parse_augmentations,
    "hold_out": parsers.parse_names, "stop_at": parsers.parse_goal, "arch_args": parsers.parse_arch_arg,
    "lr": parsers.parse_learning_rate, "bs": parsers.parse_batch_size, "curve.parts": parsers.parse_parts,
}


def option(key: str) -> Any:
    """Return the option that has a key in options.json: a keyword, or COMMAND.KEYWORD where commands differ."""
    definition = OPTIONS[key]
    return typer.Option(option_name(key.rpartition(".")[2]), metavar=definition.get("metavar"), show_default=False,
                        help=definition["help"].format(**asdict(TrainConfig())), rich_help_panel=definition["panel"],
                        min=LIMITS.get(key), parser=PARSERS.get(key))


def argument(metavar: str, text: str) -> Any:
    """Return an argument, which is typed by its place."""
    return typer.Argument(metavar=metavar, help=text)


TaskName = Annotated[str, argument("TASK", "angle, headpose, a labels table, or a folder whose file names hold the "
                                           "labels.")]
RunPath = Annotated[Path, argument("RUN", "A run folder, such as runs/angle-001.")]
AsJson = Annotated[bool, option("json")]


def with_options(*keys: str) -> Callable[[Callable], Callable]:
    """Return a decorator that lets typer see options in place of the `**options` of a command.

    The command receives those that were typed. The defaults of the others are those of the function that it calls.

    Args:
        *keys: Of the options, see `option`.
    """
    added = {key.rpartition(".")[2]: Annotated[KINDS[OPTIONS[key].get("kind", "text")] | None, option(key)]
             for key in keys}

    def decorate(command: Callable) -> Callable:
        @wraps(command)
        def with_typed_options(**values: Any) -> None:
            command(**{name: value for name, value in values.items() if value is not None or name not in added})

        *parameters, _ = inspect.signature(command).parameters.values()  # the last are the `**options`
        parameters += [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
                       for name, annotation in added.items()]
        with_typed_options.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
        return with_typed_options

    return decorate
