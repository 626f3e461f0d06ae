"""What may be done to a training image: the augmentations that keep labels true, and those that a user declares so."""
from collections.abc import Sequence

from ..utils.messages import ImgregError, first_few, say
from ..utils.quoting import option
from .geometry import MOVES
from .target import Target

COLOURS = ("colour", "tint")  # brightness and contrast; the light's own colour
AUGMENTATIONS = (*MOVES, *COLOURS)
MOVED = {"flip": "mirrored", "quarter": "turned", "turn": "turned", "zoom": "zoomed", "shift": "shifted"}


def allowed_augmentations(targets: Sequence[Target], fit: str) -> tuple[str, ...]:
    """The augmentations that keep the labels of these targets true.

    A squished image may be mirrored, but a turn of it is no turn of the original, whose angles the labels tell.
    """
    squished = ("quarter", "turn") if fit == "squish" and not all(t.linear for t in targets) else ()
    return tuple(a for a in AUGMENTATIONS if a in COLOURS or (a not in squished and all(a in t.moves for t in targets)))


def default_augmentations(targets: Sequence[Target], fit: str = "pad") -> tuple[str, ...]:
    """The augmentations for a user's table: all that points can bear; colour alone where there is anything else.

    A number that a mirror negates was declared so to have its images mirrored, where the other targets allow it: other
    plain numbers of the table are the same in a mirror then.
    """
    defaults: tuple[str, ...] = ("flip", "turn", "zoom", "shift", *COLOURS)
    if not all(t.in_image for t in targets):
        defaults = ("flip", "colour") if any(t.negated_by_flip for t in targets) else ("colour",)
    return tuple(a for a in defaults if a in allowed_augmentations(targets, fit))


def check_augmentations(augment: Sequence[str], targets: Sequence[Target], fit: str) -> None:
    """Raise ImgregError for augmentations that do not exist, and for those that would make a label false."""
    unknown = [a for a in augment if a not in AUGMENTATIONS]
    if unknown:
        raise ImgregError(f"--augment with some of {', '.join(AUGMENTATIONS)}", first_few(unknown))
    allowed = allowed_augmentations(targets, fit)
    barred = [a for a in augment if a not in allowed]
    unable = [t for t in targets if any(move not in t.moves for move in barred)]
    if unable:
        why, hint = unable[0].refusal()
        raise ImgregError(f"augmentation whose effect on '{first_few(t.name for t in unable)}' is declared",
                          first_few(barred) + (f": {why}" if why else ""), hint)
    if barred:
        raise ImgregError("a fit that keeps angles, for images that are turned", "--fit squish", "--fit pad")


def declare_invariance(targets: tuple[Target, ...], moves: tuple[str, ...],
                       task_targets: tuple[Target, ...]) -> tuple[Target, ...]:
    """Declare that labels bear the moves that the user asks for, where nothing else is known, and say so.

    A plain number stays what it is when the image moves; a rotation moves with what is seen. A number that is another
    kind of target in the task stays undeclared: a mirror changes an angle in degrees, even if it is read as a number.

    Args:
        targets: The targets.
        moves: The moves of the image that the user asks for.
        task_targets: The task's own targets, before the user changed them.

    Returns:
        The targets with the declared moves.
    """
    if not moves:
        return targets
    kinds = {t.name: t.kind for t in task_targets}
    other_kind = [t.scalar and kinds.get(t.name, t.kind) != t.kind for t in targets]
    declared = tuple(t if other else t.declare_moves(moves) for t, other in zip(targets, other_kind, strict=True))
    changed = [new for old, new in zip(targets, declared, strict=True) if new != old]
    for negated in (False, True):  # of a number that a mirror negates nothing else is declared
        unmoved = [t.name for t in changed if t.scalar and t.negated_by_flip == negated]
        if unmoved:
            declared_moves = [move for move in moves if not (negated and move == "flip")]
            words = list(dict.fromkeys(MOVED[move] for move in declared_moves))
            sign = f"; {option('--flip-negates', unmoved[0])} if its sign changes" if "flip" in declared_moves else ""
            say(f"--augment declares that a {enumerate_words(words, 'or')} image has the same "
                f"{enumerate_words(unmoved, 'and')} (leave {', '.join(declared_moves)} out if that is false{sign})")
    for t in changed:
        if t.declaration:
            say(t.declaration.replace("NAME", t.name))
    return declared


def enumerate_words(words: list[str], link: str) -> str:
    """["a", "b", "c"], "or" -> "a, b or c"."""
    *first, last = words
    return f"{', '.join(first)} {link} {last}" if first else last
