"""What the numbers of a labels table mean: the Task, the kinds of target, and the built-in tasks.

The network sees values in [-1, 1]; people see units.
"""
from .angle import Angle
from .built_in import ANGLE, BUILT_IN, DRAWN_HEADS, FASTBOOK, HEADPOSE, PRESETS
from .flip_pairs import following, paired, read_pairs
from .kinds import KINDS_BY_NAME, target_from_dict
from .number import SCALES, Number, wants_log
from .parsing import described, expanded, parse
from .point import Point
from .rotation import Rotation, nearest_rotation
from .target import MOVES, Array, Motion, Target, is_finite
from .task import AUGMENTATIONS, COLOURS, FITS, TAKEN, Task, complete, from_dict, permitted, usual

__all__ = ["ANGLE", "AUGMENTATIONS", "BUILT_IN", "COLOURS", "DRAWN_HEADS", "FASTBOOK", "FITS", "HEADPOSE", "KINDS_BY_NAME", "MOVES",
           "PRESETS", "SCALES", "TAKEN", "Angle", "Array", "Motion", "Number", "Point", "Rotation", "Target", "Task",
           "complete", "described", "expanded", "following", "from_dict", "is_finite", "nearest_rotation", "paired",
           "parse", "permitted", "read_pairs", "target_from_dict", "usual", "wants_log"]
