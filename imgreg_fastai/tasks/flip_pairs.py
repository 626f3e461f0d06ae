"""Left and right among points: what they are called, and which a mirror makes one another."""
import re
from collections.abc import Iterable, Sequence
from itertools import takewhile
from os.path import isfile
from pathlib import Path

from ..utils.errors import ImgregError, close_matches, first_few

Pairs = tuple[tuple[int, int], ...]
OTHER = {"left": "right", "right": "left", "l": "r", "r": "l"}
# leftEye1 -> left, Eye, 1; whatever is neither a Latin letter nor a digit stands by itself
PARTS = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])|\d+|[^A-Za-z\d]+")

SEPARATORS = "_-. "
NAMELESS = re.compile(r"(p|pt|pts|point|kp|keypoint|lm|landmark)?[_ -]?\d+", re.I)  # such a name tells no side


def point_names(columns: Sequence[str], name: str = "") -> tuple[str, ...]:
    """What each point is called, by what its columns for x and y share; `columns`: x and y of each in turn.

    nose for nose_x and nose_y, 1 for x1 and y1. A single one that shares nothing is called `name`, others by number.
    """
    stems = [stem(x, y) for x, y in zip(columns[::2], columns[1::2], strict=True)]
    if len(stems) == 1:
        return (stems[0] or name,)
    return tuple(s if s and stems.count(s) == 1 else str(i) for i, s in enumerate(stems))


def stem(x: str, y: str) -> str:
    """What two columns share at their beginning and end, without the separators left over."""
    n = _shared(x, y)
    m = _shared(x[n:][::-1], y[n:][::-1])
    before, after = x[:n].rstrip(SEPARATORS), x[len(x) - m:].lstrip(SEPARATORS)
    return (f"{before}_{after}" if before and after else before or after).strip(SEPARATORS)


def _shared(a: str, b: str) -> int:
    """How many characters two words begin with alike."""
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(a, b, strict=False)))


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
    matched = {i for pair in pairs for i in pair}
    has_side = [any(part.lower() in sides for part in PARTS.findall(name)) for name in names]
    return pairs, tuple(name for i, name in enumerate(names) if has_side[i] and i not in matched)


def _mirrored_names(name: str, sides: dict[str, str]) -> list[str]:
    """What the point on the other side may be called: with its word of a side changed, or the side within a word."""
    parts = PARTS.findall(name)
    words = [_with_case_of(part, sides[part.lower()]) if part.lower() in sides else part for part in parts]
    within = [re.sub("^(left|right)|(left|right)$", lambda m: _with_case_of(m[0], OTHER[m[0].lower()]), part,
                     flags=re.I) for part in parts]
    return [other for other in ("".join(words), "".join(within)) if other != name]


def _with_case_of(model: str, word: str) -> str:
    """`word` in capitals where `model` has them."""
    if model.isupper():
        return word.upper()
    return word.capitalize() if model[:1].isupper() else word


def read_pairs(pairs: str | Path | Iterable[tuple[str, str]], points: Sequence) -> dict[str, Pairs]:
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
    by_name = {name: (t.name, i) for t in points for i, name in enumerate(t.names)}
    by_column = {column: (t.name, i // 2) for t in points for i, column in enumerate(t.columns)}
    positions: dict[str, list] = {t.name: [] for t in points}
    used = set()
    for pair in _name_pairs(pairs):
        for name in pair:
            if name not in by_name and name not in by_column:
                raise ImgregError(f"--flip-pairs with names of points: {first_few(by_name, 8)}", f"'{name}'",
                                  close_matches(name, by_name) or None)
        first, second = (by_name.get(name) or by_column[name] for name in pair)
        if first[0] != second[0]:
            raise ImgregError("--flip-pairs of points of one target, --target NAME=X,Y,X,Y:point",
                              f"'{pair[0]}' of {first[0]} and '{pair[1]}' of {second[0]}")
        if first == second or used & {first, second}:
            raise ImgregError("--flip-pairs with each point once", f"{pair[0]}:{pair[1]}")
        used |= {first, second}
        positions[first[0]].append((first[1], second[1]))
    return {name: tuple(pairs) for name, pairs in positions.items()}


def _name_pairs(pairs) -> list[tuple[str, str]]:
    """The pairs of names, wherever they stand."""
    if not isinstance(pairs, (str, Path)):
        entries = [pair if isinstance(pair, str) else ":".join(map(str, pair)) for pair in pairs]
    elif str(pairs).strip() == "none":
        return []
    elif isfile(pairs):
        entries = _file_lines(Path(pairs))
    else:
        entries = str(pairs).split(",")
    names = [tuple(re.split(r"\s*[:,;\t]\s*", entry.strip())) for entry in entries if entry.strip()]
    wrong = [entry for entry in names if len(entry) != 2 or not all(entry)]
    if wrong or not names:
        raise ImgregError("--flip-pairs LEFT:RIGHT,.., a text file with a pair a line, or none",
                          f"'{':'.join(wrong[0])}'" if wrong else f"no pair in '{pairs}'")
    return names


def _file_lines(file: Path) -> list[str]:
    """The lines of a file of pairs, without comments; names apart by blanks are joined by a colon."""
    try:
        lines = [line.partition("#")[0].strip() for line in file.read_text("utf-8-sig").splitlines()]
        return [re.sub(r"^([^\s:,;]+)\s+([^\s:,;]+)$", r"\1:\2", line) for line in lines]
    except (OSError, UnicodeError) as e:
        raise ImgregError("--flip-pairs with a text file", f"'{file}': {e}") from e


def with_flip_pairs(targets: Sequence, pairs=None) -> tuple[tuple, list[str]]:
    """Let points follow the image, and pair left and right.

    Args:
        targets: Targets of any kind; those that are not points stay as they are.
        pairs: See `read_pairs`; points that it does not name, or all if None, are paired by their names.

    Returns:
        The targets, and a line on each target of points.
    """
    points = [t for t in targets if t.in_image]
    if pairs is not None and not points:
        raise ImgregError("--flip-pairs with a target of points", first_few(f"{t.kind} '{t.name}'" for t in targets))
    by_target = {} if pairs is None else read_pairs(pairs, points)
    no_pairs = pairs is not None and not any(by_target.values())
    paired, lines = [], []
    for t in targets:
        if t.in_image:
            t, line = _pair_points(t, by_target.get(t.name, ()), no_pairs)
            lines.append(line)
        paired.append(t)
    return tuple(paired), lines


def _pair_points(point, pairs: Pairs, no_pairs: bool):
    """The Point with these pairs, those that its names tell unless `no_pairs`, and a line on them."""
    names = point.names
    by_name, unmatched = ((), ()) if no_pairs else pairs_by_name(point.columns)
    in_pairs = {i for pair in pairs for i in pair}
    all_pairs = pairs + tuple(pair for pair in by_name if not in_pairs & set(pair))
    matched = {i for pair in all_pairs for i in pair}
    unmatched = [name for i, name in enumerate(names) if name in unmatched and i not in matched]
    nameless = [name for i, name in enumerate(names) if i not in matched and NAMELESS.fullmatch(name)]
    unsure = not no_pairs and not pairs and point.n > 1 and (nameless or not all_pairs)
    if unmatched or unsure:
        why = "its names do not tell left from right"
        if unmatched:
            why = f"{first_few(unmatched)} without the other side"
        line = f"pictures are not mirrored, {why} (--flip-pairs LEFT:RIGHT,.., or none where no two change places)"
        return point.with_pairs((), mirror=False), f"{point.name}: {line}"
    swaps = first_few((f"{names[a]} and {names[b]}" for a, b in all_pairs), 8) if all_pairs else "no two points"
    line = f"{point.name}: a mirror swaps {swaps}"
    single = point.n - len(matched)
    if pairs and single:
        line += f", and {single} of {point.n} points stay what they are"
    if not no_pairs and not (pairs and in_pairs == matched):
        line += " (--flip-pairs changes it)"
    return point.with_pairs(all_pairs), line
