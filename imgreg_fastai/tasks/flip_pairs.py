"""Left and right among points: what they are called, and which a mirror makes one another."""
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
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
    called = point_names(columns)
    place = {name: i for i, name in enumerate(called)}
    letters = {part for name in called for part in PARTS.findall(name) if len(part) == 1 and part.isalpha()}
    sides = OTHER if len(letters - {*"lrLRmMcC"}) < 2 else {k: v for k, v in OTHER.items() if len(k) > 1}
    partner = [next((place[other] for other in _others(name, sides) if other in place), None) for name in called]
    pairs = tuple((i, j) for i, j in enumerate(partner) if j is not None and i < j and partner[j] == i)
    matched = {i for pair in pairs for i in pair}
    sided = [any(part.lower() in sides for part in PARTS.findall(name)) for name in called]
    return pairs, tuple(name for i, name in enumerate(called) if sided[i] and i not in matched)


def _others(name: str, sides: dict[str, str]) -> list[str]:
    """What the point on the other side may be called: its words of a side changed, or a word that begins or ends so."""
    parts = PARTS.findall(name)
    whole = [_like(part, sides[part.lower()]) if part.lower() in sides else part for part in parts]
    glued = [re.sub("^(left|right)|(left|right)$", lambda m: _like(m[0], OTHER[m[0].lower()]), part, flags=re.I)
             for part in parts]
    return [other for other in ("".join(whole), "".join(glued)) if other != name]


def _like(model: str, word: str) -> str:
    """`word` in capitals as `model` is."""
    if model.isupper():
        return word.upper()
    return word.capitalize() if model[:1].isupper() else word


def read_pairs(given: str | Path | Iterable[tuple[str, str]], points: Sequence) -> dict[str, Pairs]:
    """The flip_pairs of each Point by its name, as the user gives them.

    `given`: `left_eye:right_eye,p00:p16`, the path of a text file with a pair a line, `none` for no pairs, or pairs of
    names. A point goes by its name, or by either of its columns. Raises ImgregError for what is no point of `points`.
    """
    of = {t.name: [] for t in points}
    known = {name: (t.name, i) for t in points for i, name in enumerate(t.names)}
    columns = {column: (t.name, i // 2) for t in points for i, column in enumerate(t.columns)}
    used = set()
    for pair in _listed(given):
        for name in pair:
            if name not in known and name not in columns:
                close = close_matches(name, known)
                raise ImgregError(f"--flip-pairs with names of points: {first_few(known, 8)}", f"'{name}'", close or None)
        (target, a), (other, b) = ends = [known.get(name) or columns[name] for name in pair]
        if target != other:
            raise ImgregError("--flip-pairs of points of one target, --target NAME=X,Y,X,Y:point",
                              f"'{pair[0]}' of {target} and '{pair[1]}' of {other}")
        if a == b or used & set(ends):
            raise ImgregError("--flip-pairs with each point once", f"{pair[0]}:{pair[1]}")
        used |= set(ends)
        of[target].append((a, b))
    return {name: tuple(pairs) for name, pairs in of.items()}


def _listed(given) -> list[tuple[str, str]]:
    """The pairs of names, wherever they stand."""
    if not isinstance(given, (str, Path)):
        entries = [pair if isinstance(pair, str) else ":".join(map(str, pair)) for pair in given]
    elif str(given).strip() == "none":
        return []
    elif isfile(given):
        entries = _lines(Path(given))
    else:
        entries = str(given).split(",")
    pairs = [tuple(re.split(r"\s*[:,;\t]\s*", entry.strip())) for entry in entries if entry.strip()]
    wrong = [entry for entry in pairs if len(entry) != 2 or not all(entry)]
    if wrong or not pairs:
        raise ImgregError("--flip-pairs LEFT:RIGHT,.., a text file with a pair a line, or none",
                          f"'{':'.join(wrong[0])}'" if wrong else f"no pair in '{given}'")
    return pairs


def _lines(file: Path) -> list[str]:
    try:
        lines = [line.partition("#")[0].strip() for line in file.read_text("utf-8-sig").splitlines()]
        return [re.sub(r"^([^\s:,;]+)\s+([^\s:,;]+)$", r"\1:\2", line) for line in lines]
    except (OSError, UnicodeError) as e:
        raise ImgregError("--flip-pairs with a text file", f"'{file}': {e}") from e


def with_flip_pairs(chosen: Sequence, given=None) -> tuple[tuple, tuple[str, ...]]:
    """(the targets, whose points follow the picture and know left from right, a line for what was found of each).

    `given`: see `read_pairs`; points it does not speak of, or all without it, are paired by their names.
    """
    points = [t for t in chosen if t.kind == "point"]
    if given is not None and not points:
        raise ImgregError("--flip-pairs with a target of points", first_few(f"{t.kind} '{t.name}'" for t in chosen))
    pairs = {} if given is None else read_pairs(given, points)
    none = given is not None and not any(pairs.values())
    done = [_with_sides(t, pairs.get(t.name, ()), none) if t in points else (t, None) for t in chosen]
    return tuple(t for t, _ in done), tuple(told for _, told in done if told)


def _with_sides(point, given: Pairs, none: bool):
    """The Point with the pairs `given` and those its names tell, unless there are to be none, and a line on them."""
    called, (found, lacking) = point.names, ((), ()) if none else pairs_by_name(point.columns)
    named = {i for pair in given for i in pair}
    pairs = given + tuple(pair for pair in found if not named & set(pair))
    matched = {i for pair in pairs for i in pair}
    lacking = [name for i, name in enumerate(called) if name in lacking and i not in matched]
    nameless = [name for i, name in enumerate(called) if i not in matched and NAMELESS.fullmatch(name)]
    unsure = not none and not given and point.n > 1 and (nameless or not pairs)
    if lacking or unsure:
        why = f"{first_few(lacking)} without the other side" if lacking else "its names do not tell left from right"
        told = f"pictures are not mirrored, {why} (--flip-pairs LEFT:RIGHT,.., or none where no two change places)"
        return replace(point, follows=True, mirror=False, flip_pairs=()), f"{point.name}: {told}"
    swaps = first_few((f"{called[a]} and {called[b]}" for a, b in pairs), 8) if pairs else "no two points"
    alone = point.n - len(matched)
    told = f", and {alone} of {point.n} points stay what they are" if given and alone else ""
    told += "" if none or named == matched != set() else " (--flip-pairs changes it)"
    return replace(point, follows=True, mirror=True, flip_pairs=pairs), f"{point.name}: a mirror swaps {swaps}{told}"
