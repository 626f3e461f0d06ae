"""The kinds of number a picture can be turned into: columns, units, decoding, errors and the law under flips and turns.

The network sees values in [-1, 1]; people see units.
"""
from ..errors import ImgregError
from .base import MOVES, Motion, Target, is_finite
from .grammar import KINDS, described, expanded, parse
from .points import Point
from .rotations import Rotation
from .scalars import SCALES, Angle, Number
from .sides import following, paired, read_pairs

__all__ = ["CLASSES", "KINDS", "MOVES", "SCALES", "Angle", "Motion", "Number", "Point", "Rotation", "Target",
           "described", "expanded", "following", "from_dict", "is_finite", "paired", "parse", "read_pairs"]

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
        if "laws" in of:
            of["laws"] = tuple(of["laws"])
        if kind == Number.kind:
            of.setdefault("scale", "linear")  # written before there was another
        flags = [of[f] for f in ("in_plane", "clockwise", "follows", "mirror", "camera_frame") if f in of]
        if not isinstance(of["columns"], (list, tuple)) or not all(isinstance(flag, bool) for flag in flags):
            raise TypeError(f"columns {of['columns']!r}, flags {flags}")
        return CLASSES[kind](**{**of, "columns": tuple(of["columns"])})
    except (TypeError, KeyError) as e:
        raise ImgregError(f"the fields of a target of kind {kind}", str(e)) from e
