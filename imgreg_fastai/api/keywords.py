"""Keywords of the public functions as people type them: size=48, target="age", epochs="5"."""
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from functools import wraps
from typing import Any, TypeVar

from ..config import LOWEST, MINIMUM, OPTION_NAMES, TrainConfig, check_setting, parse_size, parse_time
from ..utils import quoting
from ..utils.messages import ImgregError, close_matches

Function = TypeVar("Function", bound=Callable)
OTHER_NAMES = {option[2:].replace("-", "_"): keyword for keyword, option in OPTION_NAMES.items()}  # as in the terminal
PAIRS = ("units", "target_weights", "arch_args")
LISTS = ("box", "augment", "point_rows", "flip_negates")  # of names, which may be typed with commas between
NAMES = (*LISTS, "targets", "list_cols", "hold_out")
WHOLE = ("max_pixels",)  # besides those of MINIMUM
BOUNDS = ("minimum", "maximum")  # a number, or one by name


def plain_keywords(function: Function) -> Function:
    """Return a function that takes its keywords, and as `**settings` those of TrainConfig, as people type them."""
    names = [*inspect.signature(function).parameters, *(f.name for f in fields(TrainConfig))]
    keyword_names = [name for name in names if name not in ("task", "settings", "command", "sample_folder")]

    @wraps(function)
    def with_plain_keywords(task: Any = "angle", **options: Any) -> Any:
        plain: dict[str, Any] = {}
        for typed, value in options.items():
            name = OTHER_NAMES.get(typed, typed)
            if name not in names:
                raise ImgregError("a keyword that this function has", f"'{typed}'", close_matches(typed, keyword_names))
            if plain.get(name) is not None:
                raise ImgregError(f"{name}= once", f"it under two names: {', '.join(map(repr, options))}")
            plain[name] = plain_value(name, value)
            if plain[name] is not None and plain[name] != "auto":
                check_setting(name, plain[name])  # before images are drawn or tables read
        return function(task, **plain)

    return with_plain_keywords  # type: ignore[return-value]


def plain_value(name: str, value: Any) -> Any:
    """Return the value of a keyword as its function takes it, where it can be meant in one way only.

    What cannot be is left as it is, for the function that knows the limits to refuse.
    """
    if isinstance(value, str) and name in LISTS:
        return _words(name, value)
    if value is None or (isinstance(value, bool) and name in (*MINIMUM, *LOWEST, "size")):
        return value
    if name in NAMES:
        words = list(value) if isinstance(value, Iterable) else [value]
        if not all(isinstance(word, str) for word in words):
            raise ImgregError(f"{name}= with names", repr(value))
        return value if isinstance(value, str) else tuple(words)
    if name == "size":
        return _size(value)
    if name == "time" and isinstance(value, str):
        return _seconds(value)
    if name in PAIRS or (name in BOUNDS and isinstance(value, str) and "=" in value):
        return dict(_pairs(name, value))
    if name == "stop_at":
        return next(iter(_pairs(name, value)), None)
    if name == "value_range":
        ends = value.split(",") if isinstance(value, str) else value
        return tuple(map(_number, ends)) if isinstance(ends, Iterable) else ends
    if name in (*MINIMUM, *LOWEST, *WHOLE, *BOUNDS, "margin"):
        return _number(value, must_be_integer=name in (*MINIMUM, *WHOLE))
    return value


def _words(name: str, text: str) -> tuple[str, ...] | None:
    """Read "a, b" as ("a", "b"); for `augment`, "none" as none and "auto" as None."""
    if name == "augment" and text == "auto":
        return None
    words = tuple(quoting.unquote(word) for word in quoting.split(text, ",") if word.strip())
    return () if name == "augment" and words == ("none",) else words


def _size(value: Any) -> Any:
    """Read 48, "48", "240x320", [240, 320] and arrays as (height, width)."""
    if isinstance(value, str):
        try:
            return parse_size(value)
        except ValueError:
            return value
    number = _number(value, must_be_integer=True)
    if isinstance(number, int):
        return number, number
    return tuple(_number(side, must_be_integer=True) for side in value) if isinstance(value, Iterable) else value


def _seconds(text: str) -> float:
    """Read "90s", "1h30m", and "90" as seconds."""
    number = _number(text)
    try:
        return parse_time(text) if isinstance(number, str) else number
    except ValueError:
        raise ImgregError("time= with seconds, or a text such as '90s', '30m' or '1h30m'", repr(text)) from None


def _pairs(name: str, value: Any) -> list[tuple[str, Any]]:
    """Read {"age": 2}, [("age", 2)], ("age", 2), "age=2" and ["age=2"] as [("age", 2)]; "2" is the number, too.

    Raises:
        ImgregError: It is something else.
    """
    pairs = list(value.items()) if isinstance(value, Mapping) else value
    if isinstance(pairs, str):
        pairs = quoting.split(pairs, ",")
    if isinstance(pairs, tuple) and len(pairs) == 2 and isinstance(pairs[0], str) and "=" not in pairs[0]:
        pairs = [pairs]
    pairs = list(pairs) if isinstance(pairs, Iterable) else [pairs]
    pairs = [quoting.partition(pair, "=")[::2] if isinstance(pair, str) and "=" in pair else pair for pair in pairs]
    if not all(isinstance(pair, (tuple, list)) and len(pair) == 2 and isinstance(pair[0], str) for pair in pairs):
        raise ImgregError(f"{name}={{'NAME': VALUE}}", f"{name}={value!r}")
    return [(quoting.unquote(key), item if name == "units" else _number(item)) for key, item in pairs]


def _number(value: Any, must_be_integer: bool = False) -> Any:
    """Read "5", numpy's 5 and, where a whole number is due, 5.0 as 5; anything else stays as it is."""
    if getattr(value, "shape", None) == ():  # numpy's and torch's numbers
        value = value.item()
    if isinstance(value, str):
        for kind in (int, float):
            try:
                value = kind(value)
                break
            except ValueError:
                continue
    return int(value) if must_be_integer and isinstance(value, float) and value.is_integer() else value
