"""What the user declares of flips and turns by asking for them, and why some cannot be had."""
from dataclasses import replace

from ..utils.errors import ImgregError, first_few
from .angle import Angle
from .number import Number
from .point import Point
from .rotation import Rotation
from .target import MOVES, Target

MOVED = {"flip": "mirrored", "quarter": "turned", "turn": "turned", "zoom": "zoomed", "shift": "shifted"}


def declare_invariance(chosen: tuple[Target, ...], moves: tuple[str, ...],
             known: tuple[Target, ...] = ()) -> tuple[tuple[Target, ...], tuple[str, ...]]:
    """(targets with the laws that asking for `moves` declares, a line for each law that was not known before).

    A plain number stays what it is, a rotation is that of what is seen. A number that is another kind of target among
    those `known` is no plain one: of a mirrored picture an angle in degrees is another, however it is written.
    """
    others = {t.name for t in known if not isinstance(t, Number)}
    done, same, told = [], [], []
    for t in chosen:
        new = t
        if isinstance(t, Number) and t.name not in others and not set(moves) <= set(t.laws):
            new = replace(t, laws=tuple(m for m in MOVES if m in moves or m in t.laws))
            same.append(t.name)
        elif isinstance(t, Rotation) and not t.camera_frame and moves:
            new = replace(t, camera_frame=True)
            told.append(f"{t.name} is taken for the rotation of what is seen, in the camera's frame: it is mirrored "
                        "and turned with the picture (leave --augment out if it is not)")
        done.append(new)
    if same:
        words = list(dict.fromkeys(MOVED[m] for m in moves))
        told.insert(0, f"a {_either(words, 'or')} picture has the same {_either(same, 'and')}: so --augment declares "
                       f"(leave {', '.join(moves)} out if it is false)")
    return tuple(done), tuple(told)


def refusal(chosen: tuple[Target, ...], barred: list[str]) -> ImgregError | None:
    """The error for moves some target cannot bear, with the reason where there is one; None if all can."""
    guilty = [t for t in chosen if any(move not in t.moves for move in barred)]
    if not guilty:
        return None
    first, then = guilty[0], "--augment colour"
    why = ""
    if isinstance(first, Angle):
        why = f": nothing says that {first.name} is an angle in the picture's plane, as a compass heading is not"
    elif isinstance(first, Rotation) and first.camera_frame:
        why = f": they change the angle of view, which {first.name} does not know of"
    elif isinstance(first, Point) and first.follows and not first.mirror:
        why = f": which points of {first.name} change places in a mirror is not known"
        then = "--flip-pairs LEFT:RIGHT,.., or --flip-pairs none if no two do"
    return ImgregError(f"augmentation whose effect on '{first_few(t.name for t in guilty)}' is declared",
                       f"{first_few(barred)}{why}", then)


def _either(words: list[str], link: str) -> str:
    return f" {link} ".join(filter(None, (", ".join(words[:-1]), words[-1])))
