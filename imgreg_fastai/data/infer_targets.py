"""What a table of labels seems to be about, where nobody said: targets by the names and the values of its columns."""
import re
from dataclasses import dataclass
from itertools import product

import numpy as np
import pandas as pd

from ..tasks import RESERVED_COLUMNS, pairs_by_name
from ..tasks.flip_pairs import NAMELESS, PARTS, point_names
from ..utils.console import say
from ..utils.errors import ImgregError, first_few

FEW = 10  # different whole numbers or fewer may be classes
TURN = 2 * np.pi
DIRECTIONS = {"heading", "bearing", "direction", "azimuth"}  # go round once in 360 degrees
ANGLES = {*DIRECTIONS, "angle", "orientation"}
IDS = {"id", "ids", "index", "idx", "row", "no", "nr", "uuid"}
GROUPS = {"person", "subject", "patient", "class", "category", "gender", "sex", "fold", "series", "sequence", "frame"}
PICTURES = ("", "img", "image", "picture", "photo")
SIZES = ({"x", "y", "w", "h"}, {"x", "y", "width", "height"}, {"cx", "cy", "w", "h"}, {"cx", "cy", "width", "height"},
         {"xmin", "ymin", "xmax", "ymax"}, {"left", "top", "right", "bottom"}, {"left", "top", "width", "height"})
Columns = dict[str, np.ndarray]  # the values of each column of numbers, NaN where there is none


@dataclass(frozen=True)
class InferredTargets:
    """Targets as `--target` takes them, and what is to be told: a line for each thing found or left out."""

    specs: tuple[str, ...]
    told: tuple[str, ...]


def infer_targets(frame: pd.DataFrame, image: str, used: tuple[str, ...] = ()) -> InferredTargets:
    """The targets of a table for which none were named; `image`: its column of pictures; `used`: others with a use.

    Pairs of x and y are points, yaw, pitch and roll a rotation, what is called an angle and stays below 180 or 360 is
    one; boxes, ids, classes and words are left out, and what remains is a number each. Raises ImgregError if that is
    nothing.
    """
    numbers, told = _numbers(frame, [image, *RESERVED_COLUMNS, *used])
    left, specs = dict(numbers), []
    for look in (_boxes, _points, _rotations, _angles, _ids_and_classes, _plain):
        found, lines, used = look(left)
        specs, told = specs + found, told + lines
        left = {column: values for column, values in left.items() if column not in used}
    if specs:
        return InferredTargets(tuple(specs), tuple(told))
    if not numbers:
        raise ImgregError("a column of numbers to predict", "; ".join([f"none among {first_few(frame.columns, 8)}", *told]))
    for line in told:  # why nothing is left
        say(line)
    raise ImgregError("--target NAME, since no column of numbers looks like one to predict",
                      f"{first_few(numbers, 8)}", f"--target {next(iter(numbers))}, if that is what to predict")


def _numbers(frame: pd.DataFrame, taken: list[str]) -> tuple[Columns, list[str]]:
    """The columns in which most of what stands there are numbers, and a line for each of the others."""
    numbers, told = {}, []
    for column in frame.columns:
        if column in taken:
            continue
        known = _known(frame[column])
        values = _floats(known)
        if not len(known):
            told.append(f"left out {column}: it is empty")
        elif np.isfinite(values).mean() <= 0.5:
            told.append(_words(column, known.astype(str)))
        elif re.search("[:=,*]", column):
            told.append(f"left out {column}: --target cannot say a name with : = , or * (the table could call it else)")
        else:
            numbers[column] = values[np.isfinite(values)]
    return numbers, told


def _known(values: pd.Series) -> pd.Series:
    """What stands in the rows where anything does."""
    values = values.dropna()
    if pd.api.types.is_numeric_dtype(values) or not (values.dtype == object or pd.api.types.is_string_dtype(values)):
        return values
    words = values.astype(str).str.strip()
    return words[words != ""]


def _floats(known: pd.Series) -> np.ndarray:
    """As numbers; what is none is NaN."""
    if pd.api.types.is_bool_dtype(known) or pd.api.types.is_datetime64_any_dtype(known):
        return np.full(len(known), np.nan)
    return pd.to_numeric(known, errors="coerce").to_numpy(float, na_value=np.nan)


def _words(column: str, known: pd.Series) -> str:
    """The line on a column of words."""
    kinds = known.unique()
    if len(kinds) == len(known) > FEW:
        return f"left out {column}: words, each row's its own, such as {kinds[0]}"
    such = first_few((word if len(word) < 30 else f"{word[:27]}..." for word in sorted(kinds)), 3)
    return (f"left out {column}: it looks like a class ({such}), and imgreg predicts numbers "
            f"(--group {column}, if it tells whose picture it is)")


def _parts(column: str) -> list[str]:
    """The words of a name, small."""
    return [part.lower() for part in PARTS.findall(column)]


def _boxes(left: Columns) -> tuple[list, list, set]:
    """Columns that together are a box or the size of the picture."""
    used = {c for c in left if {"box", "bbox", "roi"} & set(_parts(c))}
    squeezed = {c: re.sub(r"[^a-z\d]", "", c.lower()).removesuffix("px") for c in left}
    for sides in SIZES:
        last = min(sides, key=len)
        for column in [c for c in left if squeezed[c].endswith(last)]:
            before = squeezed[column].removesuffix(last)
            box = {c for c in left if squeezed[c] in {before + side for side in sides}}
            used |= box if len(box) == 4 else set()
    for before, (width, height) in product(PICTURES, (("width", "height"), ("w", "h"))):
        size = {c for c in left if squeezed[c] in (before + width, before + height)}
        used |= size if len(size) == 2 else set()
    listed = [c for c in left if c in used]
    told = f"left out {first_few(listed, 8)}: a box or the size of the picture (--box CX,CY,W,H looks at a box alone; " \
           f"--target {listed[0]} predicts it)" if listed else ""
    return [], [told] if told else [], used


def _points(left: Columns) -> tuple[list, list, set]:
    """Pairs of x and y: up to three with names of their own are a target each, others one target."""
    pairs = [(x, y) for x in left if (y := _with("y", x, left)) and not _with("z", x, left)]
    parts = [p for p in pairs if all(len(left[c]) and left[c].min() >= 0 and left[c].max() <= 1 for c in p)]
    told = [f"left out {first_few(c for p in parts for c in p)}: parts of the picture's width and height from 0 to 1, as it "
            "seems, and points are in pixels"] if parts else []
    columns = [c for p in pairs if p not in parts for c in p]
    used = {c for p in pairs for c in p}
    if not columns:
        return [], told, used
    called, (sides, lacking) = point_names(columns, "point"), pairs_by_name(columns)
    called = ("point",) if len(called) == len(called[0]) == 1 else called  # of cx and cy
    own = not (sides or lacking) and not any(map(NAMELESS.fullmatch, called))
    if (len(called) == 1 or (len(called) <= 3 and own)) and not set(called) & set(left):
        specs = [f"{name}={x},{y}:point" for name, x, y in zip(called, columns[::2], columns[1::2], strict=True)]
        lines = [f"predicting {name}, a point by {x} and {y} (--target {x} --target {y} takes them as plain numbers)"
                 for name, x, y in zip(called, columns[::2], columns[1::2], strict=True)]
        return specs, told + lines, used
    name = next(n for n in ("points", "places", "all_points") if n not in left)
    told.append(f"predicting {name}, {len(called)} points: {first_few(called, 4)} "
                "(--target 'NAME=X,Y,X,Y:point' takes others)")
    return [f"{name}={','.join(columns)}:point"], told, used


def _with(letter: str, x: str, left: Columns) -> str | None:
    """The column called as `x` is but with another letter in place of an x that begins or ends one of its words."""
    for match in re.finditer("[xX]", x):
        i = match.start()
        around = x[i - 1 : i], x[i + 1 : i + 2]
        inside = all(c.isalpha() and not (c.islower() and x[i].isupper()) for c in around)
        other = x[:i] + (letter.upper() if x[i].isupper() else letter) + x[i + 1 :]
        if not inside and other in left:
            return other
    return None


def _rotations(left: Columns) -> tuple[list, list, set]:
    """Yaw, pitch and roll that share the rest of their name."""
    specs, told, used = [], [], set()
    for yaw in [c for c in left if "yaw" in _parts(c)]:
        three = [next((c for c in left if _parts(c) == [axis if p == "yaw" else p for p in _parts(yaw)]), None)
                 for axis in ("yaw", "pitch", "roll")]
        if None in three:
            continue
        listed = f"{three[0]}, {three[1]} and {three[2]}"
        if max(np.abs(left[c]).max() for c in three) <= TURN / 2 + 0.01:
            told.append(f"{listed} look like radians and are taken as plain numbers "
                        f"(in degrees, --target pose={','.join(three)}:rotation is a rotation)")
            continue
        used |= set(three)
        names_ = ("pose", "rotation", *(f"pose_{i}" for i in range(2, len(left))))
        name = next(n for n in names_ if n not in left and not any(spec.startswith(f"{n}=") for spec in specs))
        specs.append(f"{name}={','.join(three)}:rotation")
        told.append(f"predicting {name}, a rotation by {listed} in degrees "
                    f"(--target {yaw} takes one of them as a plain number)")
    return specs, told, used


def _angles(left: Columns) -> tuple[list, list, set]:
    """What is called an angle, is never negative, and stays within a half or a whole turn in degrees."""
    specs, told = [], []
    for column, values in left.items():
        if not ANGLES & set(_parts(column)) or IDS & set(_parts(column)):
            continue
        if values.min() < 0 or values.max() >= 360 or values.max() <= TURN:
            told.append(f"{column} is taken as a plain number, by its values from {values.min():g} to {values.max():g} "
                        f"(--target {column}:angle360 takes it as an angle in degrees that goes round)")
            continue
        kind = "angle180" if values.max() < 180 and not DIRECTIONS & set(_parts(column)) else "angle360"
        specs.append(f"{column}:{kind}")
        told.append(f"predicting {column} as {kind}, by its name and its values up to {values.max():g} "
                    f"(--target {column}:number if it does not go round)")
    return specs, told, {spec.partition(":")[0] for spec in specs}


def _ids_and_classes(left: Columns) -> tuple[list, list, set]:
    """Columns of numbers that only count or name things."""
    told = {}
    for column, values in left.items():
        if why := _not_measured(column, values):
            told[column] = f"left out {column}: {why} (--target {column} predicts it all the same)"
    return [], list(told.values()), set(told)


def _not_measured(column: str, values: np.ndarray) -> str:
    """Why these are no numbers to predict, in words; nothing if they may be."""
    if IDS & set(_parts(column)[-1:]):
        return "by its name it looks like an id"
    kinds = np.unique(values)
    if len(kinds) == 1:
        return f"{kinds[0]:g} in every row"
    if (kinds % 1 != 0).any() or len(values) < FEW:
        return ""
    if GROUPS & set(_parts(column)):
        return f"by its name it looks like a class or a group, {len(kinds)} of them"
    span, n = kinds[-1] - kinds[0], len(values)
    in_order = (np.diff(values) > 0).all()  # with gaps; prices may be all different too, but lie further apart
    if len(kinds) == n and span < (10 if in_order else 2) * n:
        return "whole numbers that are all different, and so it looks like an id"
    if len(kinds) == 2 or (len(kinds) <= FEW and n >= 3 * len(kinds) and abs(kinds[0]) <= 1 and span < 2 * len(kinds)):
        return f"{len(kinds)} different whole numbers, and so it looks like a class"
    return ""


def _plain(left: Columns) -> tuple[list, list, set]:
    """Every other number is itself."""
    columns = list(left)
    if not columns:
        return [], [], set()
    kind = "a plain number" if len(columns) == 1 else "plain numbers"
    return columns, [f"predicting {first_few(columns, 12)}: {kind} (--target NAME chooses)"], set(columns)
