"""Left and right among points: what they are called, and which a mirror makes one another."""
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from os.path import isfile
from pathlib import Path

from ..utils.messages import ImgregError, close_matches, first_few
from .point import Point, point_names
from .target import Target

Pairs = tuple[tuple[int, int], ...]
NamePairs = str | Path | Iterable[str | Sequence[str]]
OTHER = {"left": "right", "Left": "Right", "LEFT": "RIGHT", "l": "r", "L": "R"}
OTHER |= {right: left for left, right in OTHER.items()}
# leftEye1 -> left, Eye, 1; whatever is neither a Latin letter nor a digit stands by itself
PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^A-Za-z\d]+")
NAMELESS = re.compile(r"(p|pt|pts|point|kp|keypoint|lm|landmark)?[_ -]?\d+", re.I)  # such a name tells no side


def pairs_by_name(columns: Sequence[str]) -> tuple[Pairs, tuple[str, ...]]:
    """Left and right points by their names.

    left_eye and right_eye, LeftEye and RightEye, lefteye and righteye, eye_l and eye_r, L1 and R1 are pairs; l and r
    are not where points go by other letters, too.

    Args:
        columns: x and y of each point in turn.

    Returns:
        The pairs, by the points' place in the row, and the names of one side that have none on the other.
    """
    names = point_names(columns)
    position = {name: i for i, name in enumerate(names)}
    letters = {part for name in names for part in PARTS.findall(name) if len(part) == 1 and part.isalpha()}
    sides = OTHER
    if len(letters - set("lrLRmMcC")) > 1:  # m and c may be the middle or centre
        sides = {side: other for side, other in OTHER.items() if len(side) > 1}
    partner = [next((position[other] for other in _mirrored_names(name, sides) if other in position), None)
               for name in names]
    pairs = tuple((i, j) for i, j in enumerate(partner) if j is not None and i < j and partner[j] == i)
    in_pairs = _members(pairs)
    return pairs, tuple(name for i, name in enumerate(names)
                        if i not in in_pairs and any(part in sides for part in PARTS.findall(name)))


def _mirrored_names(name: str, sides: dict[str, str]) -> list[str]:
    """What the point on the other side may be called: with its word of a side changed, or the side within a word."""
    parts = PARTS.findall(name)
    words = "".join(sides.get(part, part) for part in parts)
    within = "".join(re.sub("^(left|right)|(left|right)$", lambda m: OTHER[m[0]], part, flags=re.I) for part in parts)
    return [other for other in (words, within) if other != name]


def _members(pairs: Pairs) -> set[int]:
    return {point for pair in pairs for point in pair}


def read_pairs(pairs: NamePairs, points: Sequence[Point]) -> dict[str, Pairs]:
    """The flip_pairs of each Point target, from what a user says.

    Args:
        pairs: `left_eye:right_eye,p00:p16`, the path of a text file with a pair a line, `none` for no pairs, or pairs
            of names. A point goes by its name, or by either of its columns.
        points: The Point targets.

    Returns:
        {target name: pairs of positions in its row}.

    Raises:
        ImgregError: For a name that is no point's, a point in two pairs, or a pair of points of two targets.
    """
    by_column = {column: (t.name, i // 2) for t in points for i, column in enumerate(t.columns)}
    by_name = {name: (t.name, i) for t in points for i, name in enumerate(t.names)}
    positions = {**by_column, **by_name}
    flip_pairs: dict[str, Pairs] = {t.name: () for t in points}
    for pair in _split_pairs(pairs):
        for name in pair:
            if name not in positions:
                raise ImgregError(f"--flip-pairs with names of points: {first_few(by_name, 8)}", f"'{name}'",
                                  close_matches(name, by_name) or None)
        (target, a), (other, b) = (positions[name] for name in pair)
        if target != other:
            raise ImgregError("--flip-pairs of points of one target, --target NAME=X,Y,X,Y:point",
                              f"'{pair[0]}' of {target} and '{pair[1]}' of {other}")
        if a == b or {a, b} & _members(flip_pairs[target]):
            raise ImgregError("--flip-pairs with each point once", f"{pair[0]}:{pair[1]}")
        flip_pairs[target] += ((a, b),)
    return flip_pairs


def _split_pairs(pairs: NamePairs) -> list[list[str]]:
    """The two names of each pair, whether they are in a text, a file or a list."""
    if not isinstance(pairs, (str, Path)):
        entries = [pair if isinstance(pair, str) else ":".join(map(str, pair)) for pair in pairs]
    elif str(pairs).strip() == "none":
        return []
    elif isfile(pairs):
        try:
            lines = [line.partition("#")[0].strip() for line in Path(pairs).read_text("utf-8-sig").splitlines()]
        except (OSError, UnicodeError) as e:
            raise ImgregError("--flip-pairs with a text file", f"'{pairs}': {e}") from e
        # a blank may stand between the names
        entries = [re.sub(r"^([^\s:,;]+)\s+([^\s:,;]+)$", r"\1:\2", line) for line in lines]
    else:
        entries = str(pairs).split(",")
    names = [re.split(r"\s*[:,;\t]\s*", entry.strip()) for entry in entries if entry.strip()]
    wrong = [entry for entry in names if len(entry) != 2 or not all(entry)]
    if wrong or not names:
        raise ImgregError("--flip-pairs LEFT:RIGHT,.., a text file with a pair a line, or none",
                          f"'{':'.join(wrong[0])}'" if wrong else f"no pair in '{pairs}'")
    return names


def with_flip_pairs(targets: Sequence[Target], pairs: NamePairs | None = None) -> tuple[tuple[Target, ...], list[str]]:
    """Let points follow the image, and pair left and right.

    Args:
        targets: Targets of any kind; those that are not points stay as they are.
        pairs: See `read_pairs`; points that it does not name, or all if None, are paired by their names.

    Returns:
        The targets, and a line on each target of points.
    """
    points = [t for t in targets if isinstance(t, Point)]
    if pairs is not None and not points:
        raise ImgregError("--flip-pairs with a target of points", first_few(f"{t.kind} '{t.name}'" for t in targets))
    user_pairs = {} if pairs is None else read_pairs(pairs, points)
    no_pairs = pairs is not None and not any(user_pairs.values())
    changed: list[Target] = []
    lines = []
    for t in targets:
        if isinstance(t, Point):
            t, line = _pair_points(t, user_pairs.get(t.name, ()), no_pairs)
            lines.append(line)
        changed.append(t)
    return tuple(changed), lines


def _pair_points(point: Point, user_pairs: Pairs, no_pairs: bool) -> tuple[Point, str]:
    """The Point with the user's pairs, and with those that its names tell unless `no_pairs`; and a line on them."""
    names = point.names
    by_name, unmatched = ((), ()) if no_pairs else pairs_by_name(point.columns)
    pairs = user_pairs + tuple(pair for pair in by_name if not _members(user_pairs) & set(pair))
    in_pairs = _members(pairs)
    single = [name for i, name in enumerate(names) if i not in in_pairs]
    alone = [name for name in single if name in unmatched]
    nameless = [name for name in single if NAMELESS.fullmatch(name)]
    unsure = not no_pairs and not user_pairs and point.n > 1 and (nameless or not pairs)
    if alone or unsure:
        why = f"{first_few(alone)} without the other side" if alone else "its names do not tell left from right"
        line = f"images are not mirrored, {why} (--flip-pairs LEFT:RIGHT,.., or none where no two change places)"
        return replace(point, follows=True, mirror=False, flip_pairs=()), f"{point.name}: {line}"
    line = f"{point.name}: images can be mirrored without swapping points"
    if pairs:
        line = f"{point.name}: a mirror swaps {first_few((f'{names[a]} and {names[b]}' for a, b in pairs), 8)}"
    if user_pairs and single:
        line += f", and {len(single)} of {point.n} points stay what they are"
    all_by_user = no_pairs or (user_pairs and pairs == user_pairs)
    if not all_by_user:
        line += " (--flip-pairs changes it)"
    return replace(point, follows=True, mirror=True, flip_pairs=pairs), line
