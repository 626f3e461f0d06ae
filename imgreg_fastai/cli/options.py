"""The options and arguments of the commands.

options.json has the panel, kind, metavar and help text of each option, and what an error says that it expects. Its keys
are the keywords of the public functions, or COMMAND.KEYWORD where commands differ. "training" has those of all commands
that prepare a training: keywords of api.preparation.resolve_options and fields of TrainConfig. {epochs} in a help text
is the default of TrainConfig.
"""
import inspect
import json
import re
from collections.abc import Callable
from dataclasses import asdict
from functools import cache, wraps
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from ..config import CHOICES, MINIMUM, TrainConfig, option_name, parse_size, parse_time
from ..utils import quoting
from ..utils.messages import ImgregError

# ---- how the text of an option is read; ValueError where it is wrong


def parse_rate(text: str) -> float | str:
    """Read a number; `auto` stays."""
    return text if text == "auto" else float(text)


def parse_batch_size(text: str) -> int | str:
    """Read a whole number; `auto` stays."""
    return text if text == "auto" else int(text)


def parse_names(text: str) -> tuple[str, ...]:
    """Read `a,b` as ("a", "b"), and `"a,b"` as ("a,b",)."""
    return tuple(quoting.unquote(name) for name in quoting.split(text, ",") if name.strip())


def parse_augment(text: str) -> tuple[str, ...] | None:
    """Read `flip,colour` as ("flip", "colour"), `none` as nothing at all, `auto` as None."""
    if text == "auto":
        return None
    return () if text == "none" else parse_names(text)


def parse_folds(text: str) -> int | str:
    """Read a whole number of at least 2; anything but a number is the name of a column."""
    if not re.fullmatch(r"[\s+-]*[\d.]*\s*", text):
        return text
    if int(text) < MINIMUM["folds"]:
        raise ValueError
    return int(text)


def parse_numbers(text: str) -> tuple[float, ...]:
    """Read `10,25` as (10.0, 25.0)."""
    return tuple(map(float, text.split(",")))


def parse_pair(text: str) -> tuple[str, str]:
    """Read `age=years` as ("age", "years"): the two sides of the first equals sign outside quotes."""
    name, _, value = quoting.partition(text, "=")
    if not name or not value:
        raise ValueError
    return quoting.unquote(name), value


def parse_named_number(text: str) -> tuple[str, float]:
    """Read `angle=0.5` as ("angle", 0.5)."""
    name, value = parse_pair(text)
    return name, float(value)


def parse_bound(text: str) -> float | tuple[str, float]:
    """Read `0` as 0.0, and `age=0` as ("age", 0.0)."""
    try:
        return float(text)
    except ValueError:
        return parse_named_number(text)


def parse_arch_arg(text: str) -> tuple[str, object]:
    """Read `output_stride=16` as ("output_stride", 16): the value as JSON where it is JSON."""
    name, value = parse_pair(text)
    try:
        return name, json.loads(value)
    except ValueError:
        return name, value


# ---- options and arguments

TableFormat = Literal["table", "csv", "json", "jsonl"]
PANELS = ("What to predict", "Images", "Split", "Training", "Output")
DEFINITIONS = json.loads(Path(__file__).with_name("options.json").read_text(encoding="utf-8"))
TRAINING = tuple(DEFINITIONS["training"])  # the options of all commands that prepare a training, in the order of --help
OPTIONS = {**DEFINITIONS["training"], **DEFINITIONS["other"]}
KINDS: dict[str, Any] = {
    "text": str, "texts": list[str], "number": float, "whole number": int, "flag": bool, "path": Path,
}
METAVARS = {"number": "NUMBER", "whole number": "N", **{name: "|".join(words) for name, words in CHOICES.items()}}
PARSERS: dict[str, Callable] = {
    "units": parse_pair, "target_weights": parse_named_number, "stop_at": parse_named_number,
    "arch_args": parse_arch_arg, "value_range": parse_numbers, "curve.parts": parse_numbers,
    "minimum": parse_bound, "maximum": parse_bound, "flip_negates": parse_names,
    "size": parse_size, "backbones.size": parse_size, "time": parse_time,
    "lr": parse_rate, "bs": parse_batch_size, "folds": parse_folds, "box": parse_names, "hold_out": parse_names,
    "point_rows": parse_names,
    "augment": parse_augment,
}
NUMBERS: dict[str | None, Callable] = {"number": float, "whole number": int}
DEFAULTS = asdict(TrainConfig())


@cache  # most options belong to several commands
def option(key: str) -> Any:
    """Return the option that has a key in options.json: a keyword, or COMMAND.KEYWORD where commands differ."""
    definition = OPTIONS[key]
    kind = definition.get("kind")
    metavar = definition.get("metavar") or METAVARS.get(key) or METAVARS.get(kind)
    parser = PARSERS.get(key) or NUMBERS.get(kind)
    return typer.Option(option_name(key.rpartition(".")[2]), metavar=metavar, show_default=False,
                        help=definition["help"].format(**DEFAULTS), rich_help_panel=definition["panel"],
                        parser=_option_parser(key, parser) if parser else None)


def _option_parser(key: str, parser: Callable[[str], Any]) -> Callable[[str], Any]:
    """Return the parser of an option, with an error that says what the option takes."""
    definition = OPTIONS[key]
    expected = definition.get("expected", f"a {definition.get('kind')} for {option_name(key.rpartition('.')[2])}")

    def parse(text: str) -> Any:
        try:
            return parser(text)
        except ValueError:
            raise ImgregError(expected, f"'{text}'", definition.get("hint")) from None

    return parse


def argument(key: str) -> Any:
    """Return the argument that has a key in options.json, METAVAR or COMMAND.METAVAR."""
    return typer.Argument(metavar=key.rpartition(".")[2], help=DEFINITIONS["arguments"][key])


TaskName = Annotated[str, argument("TASK")]
RunPath = Annotated[Path, argument("RUN")]
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
