"""The kinds of number a picture can be turned into: columns, units, decoding, errors and the law under flips and turns.

The network sees values in [-1, 1]; people see units.
"""
from dataclasses import replace

from ..errors import ImgregError, nearest
from .base import MOVES, Motion, Target
from .points import Point
from .rotations import Rotation
from .scalars import Angle, Number

__all__ = ["CLASSES", "KINDS", "MOVES", "Angle", "Motion", "Number", "Point", "Rotation", "Target", "from_dict",
           "parse"]

KINDS = {
    "number": lambda **of: Number(**of),
    "angle180": lambda **of: Angle(**of, period=180.0),
    "angle360": lambda **of: Angle(**of, period=360.0),
    "point": lambda **of: Point(**of),
    "rotation": lambda **of: Rotation(**of),
}
CLASSES = {cls.kind: cls for cls in (Number, Angle, Point, Rotation)}


def from_dict(fields: dict) -> Target:
    """The target that `to_dict` wrote; raises ImgregError for a kind this version does not know."""
    kind = fields.get("kind") if isinstance(fields, dict) else fields
    if not isinstance(kind, str) or kind not in CLASSES:
        raise ImgregError(f"a target kind of {', '.join(CLASSES)}", repr(kind), "a newer imgreg")
    try:
        of = {name: value for name, value in fields.items() if name != "kind"}
        if "flip_pairs" in of:
            of["flip_pairs"] = tuple(tuple(pair) for pair in of["flip_pairs"])
        flags = [of[flag] for flag in ("in_plane", "clockwise", "follows", "camera_frame") if flag in of]
        if not isinstance(of["columns"], (list, tuple)) or not all(isinstance(flag, bool) for flag in flags):
            raise TypeError(f"columns {of['columns']!r}, flags {flags}")
        return CLASSES[kind](**{**of, "columns": tuple(of["columns"])})
    except (TypeError, KeyError) as e:
        raise ImgregError(f"the fields of a target of kind {kind}", str(e)) from e


def parse(text: str, known: tuple[Target, ...] = ()) -> Target:
    """Read `NAME[=COL,COL...][:KIND]`; `known` are the Task's own targets, of which NAME must be one if there are any.

    A known name without a KIND is the Task's target itself, read from other columns if they are given; with `:number`
    it is a plain number, from 0 to the period where it was an angle. KIND may be `rotation=SEQ`, see Rotation.
    """
    head, _, kind = text.partition(":")
    name, _, listed = head.partition("=")
    kind, _, sequence = kind.partition("=")
    columns = tuple(c.strip() for c in listed.split(",")) if listed else ()
    if (kind and kind not in KINDS) or (sequence and kind != "rotation"):
        raise ImgregError(f"a target NAME[=COL,COL][:KIND] with KIND one of {', '.join(KINDS)}", f"'{text}'")
    own = {t.name: t for t in known}
    if known and name not in own:
        raise ImgregError(f"one of the task's targets: {', '.join(own)}", f"'{name}'", nearest(name, own))
    if name in own and (not kind or (kind == own[name].kind and not sequence)):
        return replace(own[name], columns=columns) if columns else own[name]
    of: dict = {"name": name, "columns": columns or (own[name].columns if name in own else _usual(name, kind))}
    if name in own:
        of["unit"] = own[name].unit
        if kind == "number" and isinstance(own[name], Angle):
            return Number(**of, low=0.0, high=own[name].period)
    return KINDS[kind or "number"](**of, **({"sequence": sequence} if sequence else {}))


def _usual(name: str, kind: str) -> tuple[str, ...]:
    """The columns of a target for which none are given."""
    return {"point": (f"{name}_x", f"{name}_y"), "rotation": ("yaw", "pitch", "roll")}.get(kind, (name,))
