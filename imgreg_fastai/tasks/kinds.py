"""The kinds of target. A new kind is a file beside this one, and its class in KINDS."""
from ..utils.errors import ImgregError
from .angle import Angle
from .number import Number
from .point import Point
from .rotation import Rotation
from .target import Target

KINDS = (Number, Angle, Point, Rotation)
KINDS_BY_NAME = {cls.kind: cls for cls in KINDS}
SPECS = {spec: (cls, fields) for cls in KINDS for spec, fields in cls.specs.items()}  # as --target NAME:SPEC says it


def target_from_dict(fields: dict) -> Target:
    """The target that `Target.to_dict` wrote; raises ImgregError for a kind that this version does not know."""
    kind = fields.get("kind") if isinstance(fields, dict) else fields
    if not isinstance(kind, str) or kind not in KINDS_BY_NAME:
        raise ImgregError(f"a target kind of {', '.join(KINDS_BY_NAME)}", repr(kind), "a newer imgreg")
    try:
        return KINDS_BY_NAME[kind].from_dict({name: value for name, value in fields.items() if name != "kind"})
    except (TypeError, KeyError) as e:
        raise ImgregError(f"the fields of a target of kind {kind}", str(e)) from e
