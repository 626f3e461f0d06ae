"""How a target is written: NAME[=COL,COL...][:KIND]."""
import re
from collections.abc import Sequence
from dataclasses import replace

from ..utils.errors import ImgregError, close_matches, first_few
from .angle import Angle
from .number import Number
from .point import Point
from .rotation import Rotation
from .target import Target

KINDS = {
    "number": lambda **of: Number(**of),
    "angle180": lambda **of: Angle(**of, period=180.0),
    "angle360": lambda **of: Angle(**of, period=360.0),
    "point": lambda **of: Point(**of),
    "rotation": lambda **of: Rotation(**of),
}


def parse_target(text: str, known: tuple[Target, ...] = ()) -> Target:
    """Read `NAME[=COL,COL...][:KIND]`; `known` are the Task's own targets, of which NAME must be one if there are any.

    A known name without a KIND is the Task's target itself, read from other columns if they are given; with `:number`
    it is a plain number, from 0 to the period where it was an angle. KIND may be `rotation=SEQ`, see Rotation.
    """
    name, columns, kind, sequence = _read(text)
    own = {t.name: t for t in known}
    if known and name not in own:
        raise ImgregError(f"one of the task's targets: {', '.join(own)}", f"'{name}'", close_matches(name, own))
    if name in own and (not kind or (kind == own[name].kind and not sequence)):
        return replace(own[name], columns=columns) if columns else own[name]
    of: dict = {"name": name, "columns": columns or (own[name].columns if name in own else _usual(name, kind))}
    if name in own:
        of["unit"], of["weight"] = own[name].unit, own[name].weight
        if kind == "number" and isinstance(own[name], Angle):
            return Number(**of, low=0.0, high=own[name].period)
    return KINDS[kind or "number"](**of, **({"sequence": sequence} if sequence else {}))


def parse_for_table(text: str, columns: Sequence[str]) -> Target:
    """Read a target as `parse` does, all of whose columns must be among those of a table.

    A point's x and y may be patterns, `face=p*_x,p*_y:point`: all columns that match, in natural order, x and y that
    have the same in place of the star side by side. Raises ImgregError for a column that is not there, a star that
    matches nothing and an x without its y.
    """
    name, given, kind, _ = _read(text)
    if any("*" in c and c not in columns for c in given):
        if kind != Point.kind or len(given) % 2:
            raise ImgregError("stars in pairs of columns of points", f"'{text}'", f"--target '{name}=*_x,*_y:point'")
        pairs = zip(given[::2], given[1::2], strict=True)
        target = Point(name, tuple(dict.fromkeys(c for x, y in pairs for c in _matching(x, y, columns))))
    else:
        target = parse_target(text)
    for column in target.columns:
        if column not in columns:
            raise ImgregError(f"a column '{column}' for the target '{name}'", f"columns {first_few(columns, 8)}",
                              _instead(name, column, columns))
    return target


def with_options(chosen: Sequence[Target], units=(), weights=(), scale: str | None = None) -> tuple[Target, ...]:
    """The targets with `units` and `weights`, (name, value) each, and all numbers on `scale`.

    Raises ImgregError for a name that is no target's, and for a scale where nothing is a number.
    """
    units, weights = dict(units), dict(weights)
    names = [t.name for t in chosen]
    for option, given in (("--unit NAME=UNIT", units), ("--target-weight NAME=NUMBER", weights)):
        for name in given:
            if name not in names:
                raise ImgregError(f"{option} for a target: {first_few(names, 8)}", f"'{name}'", close_matches(name, names) or None)
    if scale is not None and not any(isinstance(t, Number) for t in chosen):
        raise ImgregError("--scale with a target that is a plain number", first_few(f"{t.kind} '{t.name}'" for t in chosen))
    done = []
    for t in chosen:
        of = {"unit": units.get(t.name, t.unit), "weight": weights.get(t.name, t.weight)}
        done.append(replace(t, **of, **({"scale": scale} if scale is not None and isinstance(t, Number) else {})))
    return tuple(done)


def _read(text: str) -> tuple[str, tuple[str, ...], str, str]:
    """The name, the columns that are given, the kind and a rotation's sequence."""
    head, _, kind = text.partition(":")
    name, _, listed = head.partition("=")
    kind, _, sequence = kind.partition("=")
    if (kind and kind not in KINDS) or (sequence and kind != Rotation.kind):
        raise ImgregError(f"a target NAME[=COL,COL][:KIND] with KIND one of {', '.join(KINDS)}", f"'{text}'")
    return name.strip(), tuple(c.strip() for c in listed.split(",")) if listed else (), kind, sequence


def _usual(name: str, kind: str) -> tuple[str, ...]:
    """The columns of a target for which none are given."""
    return {"point": (f"{name}_x", f"{name}_y"), "rotation": ("yaw", "pitch", "roll")}.get(kind, (name,))


def _instead(name: str, column: str, columns: Sequence[str]) -> str | None:
    """What may have been meant by a column that is not there."""
    if column == name and {f"{name}_x", f"{name}_y"} <= set(columns):
        return f"--target {name}:point"
    close = close_matches(column, columns)
    return f"one of {close}" if close else None


def _matching(x: str, y: str, columns: Sequence[str]) -> list[str]:
    """The columns of the patterns `x` and `y`, side by side; the two columns themselves where neither has a star."""
    if (x in columns and y in columns) or "*" not in x + y:
        return [x, y]
    stars = [_stars(pattern, columns) for pattern in (x, y)]
    for pattern, found in zip((x, y), stars, strict=True):
        if not found:
            close = close_matches(pattern.replace("*", ""), columns)
            raise ImgregError(f"columns like '{pattern}'", "none", close and f"a pattern of such as {close}")
    for (one, other), (of, lacking) in (((x, y), stars), ((y, x), stars[::-1])):
        alone = [column for star, column in of.items() if star not in lacking]
        if alone:
            raise ImgregError(f"a column '{other}' for each '{one}'", f"{first_few(alone)} without it")
    order = sorted(stars[0], key=lambda found: [natural(part) for part in found])
    return [of[star] for star in order for of in stars]


def _stars(pattern: str, columns: Sequence[str]) -> dict[tuple[str, ...], str]:
    """The columns that match, by what stands in place of the stars."""
    match = re.compile("(.*)".join(map(re.escape, pattern.split("*"))))
    return {m.groups(): column for column in columns if (m := match.fullmatch(column))}


def natural(text: str) -> list[tuple[int, str]]:
    """A key that sorts p2 before p10."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", text)]
