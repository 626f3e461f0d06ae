"""How the texts of options are read: sizes, numbers, names and pairs. Each raises ImgregError for a wrong text."""
import json

from ..utils.errors import ImgregError


def parse_size(text: str) -> tuple[int, int]:
    """Read `128` or `240x320` as (height, width)."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(p.isascii() and p.isdigit() and int(p) >= 16 for p in parts):
        raise ImgregError("--size N or HxW in pixels, each at least 16", f"'{text}'", "--size 128 or --size 240x320")
    return int(parts[0]), int(parts[-1])


def parse_learning_rate(text: str) -> float | str:
    """Read a number; `auto` stays."""
    return text if text == "auto" else _number(text, "--lr with a number or auto")


def parse_batch_size(text: str) -> int | str:
    """Read a whole number; `auto` stays."""
    return text if text == "auto" else _number(text, "--bs with a whole number or auto", int)


def parse_names(text: str) -> tuple[str, ...]:
    """Read `a,b` as ("a", "b")."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def parse_augmentations(text: str) -> tuple[str, ...] | None:
    """Read `flip,colour` as ("flip", "colour"), `none` as nothing at all, `auto` as None."""
    if text == "auto":
        return None
    return () if text == "none" else parse_names(text)


def parse_parts(text: str) -> tuple[float, ...]:
    """Read `10,25` as (10.0, 25.0)."""
    return tuple(_number(part, "--parts N,N,..: numbers, in per cent", hint="--parts 10,25,50,100")
                 for part in text.split(","))


def parse_value_range(text: str) -> tuple[float, ...]:
    """Read `0,4095` as (0.0, 4095.0)."""
    return tuple(_number(end, "--range BLACK,WHITE: two numbers", hint="--range 0,4095") for end in text.split(","))


def parse_goal(text: str) -> tuple[str, float]:
    """Read `angle=0.5` as ("angle", 0.5)."""
    return _named_number(text, "--stop-at TARGET=VALUE", "--stop-at angle=0.5")


def parse_unit(text: str) -> tuple[str, str]:
    """Read `age=years` as ("age", "years")."""
    return _pair(text, "--unit NAME=WORD")


def parse_weight(text: str) -> tuple[str, float]:
    """Read `age=2` as ("age", 2.0)."""
    return _named_number(text, "--target-weight NAME=NUMBER")


def parse_arch_arg(text: str) -> tuple[str, object]:
    """Read `output_stride=16` as ("output_stride", 16): the value as JSON where it is JSON."""
    key, value = _pair(text, "--arch-arg k=v", "--arch-arg output_stride=16")
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _number(text: str, expected: str, kind: type = float, hint: str | None = None):
    try:
        return kind(text)
    except ValueError:
        raise ImgregError(expected, f"'{text}'", hint) from None


def _named_number(text: str, expected: str, hint: str | None = None) -> tuple[str, float]:
    name, value = _pair(text, expected, hint)
    return name, _number(value, expected, hint=hint)


def _pair(text: str, expected: str, hint: str | None = None) -> tuple[str, str]:
    """The two sides of the first equals sign."""
    key, _, value = text.partition("=")
    if not key or not value:
        raise ImgregError(expected, f"'{text}'", hint)
    return key, value
