"""What the numbers of a labels table mean: the Task, the kinds of target, and the built-in tasks.

The network sees values in [-1, 1]; people see units.
"""
from .angle import Angle, is_angular_unit, period_start
from .augmentations import default_augmentations
from .built_in_tasks import ANGLE, BUILT_IN, DRAWN_HEADS, FASTBOOK, HEADPOSE, PRESETS
from .flip_pairs import NamePairs, pairs_by_name, read_pairs, with_flip_pairs
from .geometry import MOVES, Motion
from .kinds import Bounds, parse_for_table, parse_target, split_spec, target_from_dict, with_options
from .number import Number, prefers_log
from .point import Point
from .rotation import Rotation
from .rotation_forms import nearest_rotation
from .target import Target
from .task import RESERVED_COLUMNS, ROW_WEIGHT, Task, complete_task, task_from_dict
from .values import Array
