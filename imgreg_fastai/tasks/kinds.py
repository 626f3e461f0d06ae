"""The kinds of target there are, and a target read from JSON."""
from ..utils.errors import ImgregError
from .angle import Angle
from .number import Number
from .point import Point
from .rotation import Rotation
from .target import Target

KINDS_BY_NAME = {cls.kind: cls for cls in (Number, Angle, Point, Rotation)}


def target_from_dict(fields: dict) -> Target:
    """The target that `to_dict` wrote; raises ImgregError for a kind this version does not know."""
    kind = fields.get("kind") if isinstance(fields, dict) else fields
    if not isinstance(kind, str) or kind not in KINDS_BY_NAME:
        raise ImgregError(f"a target kind of {', '.join(KINDS_BY_NAME)}", repr(kind), "a newer imgreg")
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
        return KINDS_BY_NAME[kind](**{**of, "columns": tuple(of["columns"])})
    except (TypeError, KeyError) as e:
        raise ImgregError(f"the fields of a target of kind {kind}", str(e)) from e
