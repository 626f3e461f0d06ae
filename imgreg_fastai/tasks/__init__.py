"""What the numbers of a labels table mean: the Task, the kinds of target, and the built-in tasks.

The network sees values in [-1, 1]; people see units.
"""
from .angle import Angle
from .built_in_tasks import ANGLE, BUILT_IN, DRAWN_HEADS, FASTBOOK, HEADPOSE, PRESETS
from .flip_pairs import pairs_by_name, read_pairs, with_flip_pairs
from .kinds import KINDS, KINDS_BY_NAME, target_from_dict
from .motion import MOVES, Motion
from .number import SCALES, Number, prefers_log
from .parsing import parse_for_table, parse_target, with_options
from .point import Point
from .rotation import Rotation, nearest_rotation
from .target import Array, Target, is_finite
from .task import (
           AUGMENTATIONS,
           COLOURS,
           FITS,
           RESERVED_COLUMNS,
           Task,
           allowed_augmentations,
           complete_task,
           default_augmentations,
           task_from_dict,
)
