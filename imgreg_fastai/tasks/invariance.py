"""What a user declares about flips and turns by asking for them, and why some are refused."""
from ..utils.errors import ImgregError, first_few
from .target import Target

MOVED = {"flip": "mirrored", "quarter": "turned", "turn": "turned", "zoom": "zoomed", "shift": "shifted"}


def declare_invariance(targets: tuple[Target, ...], moves: tuple[str, ...],
                       task_targets: tuple[Target, ...] = ()) -> tuple[tuple[Target, ...], list[str]]:
    """Take it that labels bear the moves that were asked for, where nothing else is known.

    A plain number stays what it is; a rotation is that of what is seen. A number that is another kind of target in the
    task is left alone: of a mirrored image an angle in degrees is another, however it is written.

    Args:
        targets: The targets.
        moves: The moves of the image that were asked for.
        task_targets: The targets of the task that was changed.

    Returns:
        The targets, and a line for each thing that is taken for granted from now on.
    """
    kinds = {t.name: t.kind for t in task_targets}
    declared = tuple(t if not moves or (t.scalar and kinds.get(t.name, t.kind) != t.kind) else t.declare_moves(moves)
                     for t in targets)
    changed = [new for old, new in zip(targets, declared, strict=True) if new != old]
    lines = list(filter(None, (t.declaration() for t in changed)))
    unmoved = [t.name for t in changed if t.scalar]
    if unmoved:
        words = list(dict.fromkeys(MOVED[move] for move in moves))
        lines.insert(0, f"a {_enumerate(words, 'or')} picture has the same {_enumerate(unmoved, 'and')}: so --augment "
                        f"declares (leave {', '.join(moves)} out if it is false)")
    return declared, lines


def refusal(targets: tuple[Target, ...], moves: list[str]) -> ImgregError | None:
    """The error for moves that some target cannot bear, with the reason if there is one; None if all can."""
    barred = [t for t in targets if any(move not in t.moves for move in moves)]
    if not barred:
        return None
    why, hint = barred[0].refusal()
    return ImgregError(f"augmentation whose effect on '{first_few(t.name for t in barred)}' is declared",
                       first_few(moves) + (f": {why}" if why else ""), hint)


def _enumerate(words: list[str], link: str) -> str:
    """["a", "b", "c"], "or" -> "a, b or c"."""
    return f" {link} ".join(filter(None, (", ".join(words[:-1]), words[-1])))
