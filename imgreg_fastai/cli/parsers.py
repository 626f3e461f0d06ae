"""How the texts of options are read: sizes, numbers, names, pairs; raising ImgregError for what is none."""
from ..utils.errors import ImgregError


def read_size(text: str | None) -> tuple[int, int] | None:
    """`128` or `240x320` as (height, width)."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(p.isascii() and p.isdigit() and int(p) >= 16 for p in parts):
        raise ImgregError("--size N or HxW in pixels, each at least 16", f"'{text}'", "--size 128 or --size 240x320")
    return int(parts[0]), int(parts[-1])


def read_number(text: str, option: str, kind: type = float):
    """A number of that kind, or None for auto."""
    try:
        return None if text == "auto" else kind(text)
    except ValueError:
        raise ImgregError(f"{option} with a{' whole' if kind is int else ''} number or auto", f"'{text}'") from None


def read_pairs(texts: list[str]) -> dict:
    """`k=v` options as a dict, each value read as JSON where it is JSON."""
    import json

    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ImgregError("--arch-arg k=v", f"'{text}'", "--arch-arg output_stride=16")
        try:
            pairs[key] = json.loads(value)
        except ValueError:
            pairs[key] = value
    return pairs


def read_names(text: str | None) -> tuple[str, ...] | None:
    """`a,b` as ("a", "b")."""
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


def read_parts(text: str) -> tuple[float, ...]:
    """`10,25` as (10.0, 25.0)."""
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise ImgregError("--parts N,N,..: numbers, in per cent", f"'{text}'", "--parts 10,25,50,100") from None


def read_goal(text: str | None) -> tuple[str, float] | None:
    """`angle=0.5` as ("angle", 0.5)."""
    if text is None:
        return None
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise ImgregError("--stop-at TARGET=VALUE", f"'{text}'", "--stop-at angle=0.5") from None


def read_values(texts: list[str] | None, option: str, kind: type = str) -> dict | None:
    """`name=value` options as a dict, each value of that kind."""
    if not texts:
        return None
    pairs = dict(text.partition("=")[::2] for text in texts)
    if not all(key and value for key, value in pairs.items()):
        raise ImgregError(f"{option} NAME={'NUMBER' if kind is float else 'WORD'}", f"'{texts[0]}'")
    return {key: read_number(value, f"{option} {key}=", kind) if kind is float else value
            for key, value in pairs.items()}


def read_range(text: str | None) -> tuple[float, float] | None:
    """`0,4095` as (0.0, 4095.0)."""
    if text is None:
        return None
    ends = [read_number(end, "--range BLACK,WHITE:") for end in text.split(",")]
    if len(ends) != 2 or None in ends:
        raise ImgregError("--range BLACK,WHITE: two numbers", f"'{text}'", "--range 0,4095")
    return ends[0], ends[1]


def read_augment(text: str | None) -> tuple[str, ...] | None:
    """`flip,colour` as ("flip", "colour"), none as nothing at all; None for auto."""
    return None if text in (None, "auto") else () if text == "none" else read_names(text)
