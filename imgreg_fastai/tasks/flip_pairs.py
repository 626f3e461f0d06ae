"""Left and right among points: what they are called, and which a mirror makes one another."""
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import chain
from os.path import isfile
from pathlib import Path

from ..utils.messages import ImgregError, close_matches, first_few
from .point import Point, point_names
from .target import Target

Pairs = tuple[tuple[int, int], ...]
NamePairs = str | Path | Iterable[str | Sequence[str]]
OTHER = {case(side): case(other) for side, other in (("left", "right"), ("right", "left"), ("l", "r"), ("r", "l"))
         for case in (str.lower, str.capitalize, str.upper)}
# leftEye1 -> left, Eye, 1; whatever is neither a Latin letter nor a digit stands by itself
PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^A-Za-z\d]+")
NAMELESS = re.compile(r"(p|pt|pts|point|kp|keypoint|lm|landmark)?[_ -]?\d+", re.I)  # such a name tells no side


def pairs_by_name(columns: Sequence[str]) -> tuple[Pairs, tuple[str, ...]]:
    """Left and right points by their names: (pairs of places, names of a side that lack their other).

    `columns`: x and y of each point in turn. left_eye and right_eye, LeftEye and RightEye, lefteye and righteye, eye_l
    and eye_r, L1 and R1 are pairs; l and r are not where points go by other letters too.
    """
    names = point_names(columns)
    position = {name: i for i, name in enumerate(names)}
    letters = {part for name in names for part in PARTS.findall(name) if len(part) == 1 and part.isalpha()}
    sides = OTHER if len(letters - {*"lrLRmMcC"}) < 2 else {k: v for k, v in OTHER.items() if len(k) > 1}
    partner = [next((position[other] for other in _mirrored_names(name, sides) if other in position), None)
               for name in names]
    pairs = tuple((i, j) for i, j in enumerate(partner) if j is not None and i < j and partner[j] == i)
    matched = set(chain(*pairs))
    return pairs, tuple(name for i, name in enumerate(names) if i not in matched and sides.keys() & PARTS.findall(name))


def _mirrored_names(name: str, sides: dict[str, str]) -> list[str]:
    """What the point on the other side may be called: with its word of a side changed, or the side within a word."""
    parts = PARTS.findall(name)
    words = "".join(sides.get(part, part) for part in parts)
    within = "".join(re.sub("^(left|right)|(left|right)$", lambda m: OTHER[m[0]], part, flags=re.I) for part in parts)
    return [other for other in (words, within) if other != name]


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
    names = [name for t in points for name in t.names]
    positions = {column: (t.name, i // 2) for t in points for i, column in enumerate(t.columns)}
    positions |= {name: (t.name, i) for t in points for i, name in enumerate(t.names)}
    found: dict[str, Pairs] = {t.name: () for t in points}
    for pair in _split_pairs(pairs):
        for name in pair:
            if name not in positions:
                raise ImgregError(f"--flip-pairs with names of points: {first_few(names, 8)}", f"'{name}'",
                                  close_matches(name, names) or None)
        (target, a), (other, b) = (positions[name] for name in pair)
        if target != other:
            raise ImgregError("--flip-pairs of points of one target, --target NAME=X,Y,X,Y:point",
                              f"'{pair[0]}' of {target} and '{pair[1]}' of {other}")
        if a == b or {a, b} & set(chain(*found[target])):
            raise ImgregError("--flip-pairs with each point once", f"{pair[0]}:{pair[1]}")
        found[target] += ((a, b),)
    return found


def _split_pairs(pairs: NamePairs) -> list[list[str]]:
    """The two names of each pair, wherever they stand."""
    if not isinstance(pairs, (str, Path)):
        entries = [pair if isinstance(pair, str) else ":".join(map(str, pair)) for pair in pairs]
    elif str(pairs).strip() == "none":
        return []
    elif isfile(pairs):
        try:
            lines = [line.partition("#")[0].strip() for line in Path(pairs).read_text("utf-8-sig").splitlines()]
        except (OSError, UnicodeError) as e:
            raise ImgregError("--flip-pairs with a text file", f"'{pairs}': {e}") from e
        entries = [re.sub(r"^([^\s:,;]+)\s+([^\s:,;]+)$", r"\1:\2", line) for line in lines]  # blanks may part names
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
    named = {} if pairs is None else read_pairs(pairs, points)
    no_pairs = pairs is not None and not any(named.values())
    paired = {t.name: _pair_points(t, named.get(t.name, ()), no_pairs) for t in points}
    changed = tuple(paired[t.name][0] if t.name in paired else t for t in targets)
    return changed, [line for _, line in paired.values()]


def _pair_points(point: Point, named: Pairs, no_pairs: bool) -> tuple[Point, str]:
    """The Point with the pairs that were named, and those that its names tell unless `no_pairs`; and a line on them."""
    names = point.names
    by_name, unmatched = ((), ()) if no_pairs else pairs_by_name(point.columns)
    pairs = named + tuple(pair for pair in by_name if not set(chain(*named)) & set(pair))
    matched = set(chain(*pairs))
    alone = [name for i, name in enumerate(names) if name in unmatched and i not in matched]
    nameless = [name for i, name in enumerate(names) if i not in matched and NAMELESS.fullmatch(name)]
    unsure = not no_pairs and not named and point.n > 1 and (nameless or not pairs)
    if alone or unsure:
        why = f"{first_few(alone)} without the other side" if alone else "its names do not tell left from right"
        line = f"pictures are not mirrored, {why} (--flip-pairs LEFT:RIGHT,.., or none where no two change places)"
        return replace(point, follows=True, mirror=False, flip_pairs=()), f"{point.name}: {line}"
    line = f"{point.name}: pictures can be mirrored without swapping points"
    if pairs:
        line = f"{point.name}: a mirror swaps {first_few((f'{names[a]} and {names[b]}' for a, b in pairs), 8)}"
    single = point.n - len(matched)
    if named and single:
        line += f", and {single} of {point.n} points stay what they are"
    if not no_pairs and not (named and pairs == named):
        line += " (--flip-pairs changes it)"
    return replace(point, follows=True, mirror=True, flip_pairs=pairs), line
