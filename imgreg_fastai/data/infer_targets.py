"""Inferring the targets of a table for which none are named, by the names and the values of its columns."""
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, count, product

import numpy as np
import pandas as pd

from ..tasks import RESERVED_COLUMNS, pairs_by_name
from ..tasks.coordinates import BOX_COLUMNS, plain_name
from ..tasks.flip_pairs import NAMELESS, PARTS, point_names
from ..utils.messages import ImgregError, first_few, say
from ..utils.quoting import option, target_text
from .tables import find_list_columns, holds_image_names
from .visibility import counterpart, visibility_columns

MAX_CLASSES = 10  # so few different whole numbers may be classes
TURN = 2 * np.pi
AXES = ("yaw", "pitch", "roll")
DIRECTIONS = {"heading", "bearing", "direction", "azimuth", "compass"}  # wrap at 360 degrees
ANGLES = {*DIRECTIONS, "angle", "orientation"}
IDS = {"id", "ids", "index", "idx", "row", "no", "nr", "uuid"}
RATERS = {"rater", "annotator", "reader", "observer", "user", "worker", "expert", "judge", "grader", "labeler",
          "labeller", "reviewer", "operator"}
GROUPS = {"person", "subject", "patient", "class", "category", "gender", "sex", "fold", "series", "sequence", "frame"}
BOX_NAMES = {"box", "bbox", "roi"}
IMAGE_NAMES = {"", "img", "image", "picture", "photo"}
SIZES = (("width", "height"), ("w", "h"))


@dataclass
class _Inference:
    """What is inferred so far; `columns` holds the finite values of each column of numbers that is still free.

    `units` has the units that stood in their cells.
    """

    columns: dict[str, np.ndarray]
    specs: list[str]
    messages: list[str]
    units: Mapping[str, str] = field(default_factory=dict)

    def take(self, columns: Sequence[str], message: str, specs: Sequence[str] = ()) -> None:
        """Take columns: they are the targets `specs`, or left out."""
        self.columns = {name: values for name, values in self.columns.items() if name not in columns}
        self.messages.append(message)
        self.specs += specs


def infer_targets(frame: pd.DataFrame, image: str, used: tuple[str, ...] = ()) -> tuple[list[str], list[str]]:
    """Infer the targets of a table.

    Pairs of x and y are points, and a visibility beside them is part of them; yaw, pitch and roll are a rotation; what
    is called an angle and stays below 180 or 360 is one. Boxes, ids, classes and words are left out. Each column that
    remains is a number.

    Args:
        frame: The table, or its beginning.
        image: The column that names the images.
        used: Columns that have another use.

    Returns:
        Each target as `--target` takes it; and a line for each target, and for each column that is left out.

    Raises:
        ImgregError: There is nothing to predict.
    """
    inference = _Inference({}, [], [], frame.attrs.get("units", {}))
    free = frame.drop(columns=[image, *RESERVED_COLUMNS, *used], errors="ignore")
    _read_numbers(inference, _without_other_uses(inference, free, frame[image]))
    numbers = list(inference.columns)
    for rule in (_boxes, _points, _rotations, _angles, _ids_and_classes):
        rule(inference)
    names = list(inference.columns)
    if names:
        kind = "a plain number" if len(names) == 1 else "plain numbers"
        inference.take(names, f"predicting {first_few(names, 12)}: {kind} (--target NAME chooses)",
                       [target_text(name) for name in names])
    if inference.specs:
        return inference.specs, inference.messages
    if not numbers:
        reasons = [f"none among {first_few(frame.columns, 8)}", *inference.messages]
        raise ImgregError("a column of numbers to predict", "; ".join(reasons))
    for line in inference.messages:
        say(line)
    raise ImgregError("--target NAME, since no column of numbers looks like one to predict",
                      f"{first_few(numbers, 8)}")  # which of them is not guessed: it may be a file's size


def coordinates(frame: pd.DataFrame, image: str) -> list[tuple[str, str]]:
    """Find the pairs of columns that hold x and y of points, by their names.

    Args:
        frame: The table, or its beginning.
        image: The column that names the images.
    """
    inference = _Inference({}, [], [])
    _read_numbers(inference, frame.drop(columns=[image, *RESERVED_COLUMNS], errors="ignore"))
    _boxes(inference)
    return _pairs(inference.columns)


def rater_columns(frame: pd.DataFrame) -> list[str]:
    """Find the columns that tell who judged an image, by their names."""
    return [name for name in frame.columns if RATERS & set(name_words(name))]


def _without_other_uses(inference: _Inference, frame: pd.DataFrame, images: pd.Series) -> pd.DataFrame:
    """Leave out names of other images, who judged an image, lists of numbers, and which points are visible."""
    others = [name for name in frame.columns if holds_image_names(frame[name])]
    if others:
        inference.messages.append(f"left out {first_few(others)}: names of other images "
                                  f"(--image-col {others[0]} takes them)")
    raters = rater_columns(frame) if images.duplicated().any() else []
    if raters:
        inference.messages.append(f"left out {first_few(raters)}: who judged an image, by the name "
                                  "(--raters mean joins the rows of an image)")
    lists = find_list_columns(frame)
    for name, list_column in lists.items():
        inference.messages.append(f"left out {name}: {list_column.length} numbers in a cell, such as "
                                  f"{list_column.example} (--list-col {name} makes a column of each)")
    visibility = visibility_columns(frame)
    if visibility:
        inference.messages.append(f"left out {first_few(visibility)}: it says whether a point is visible, and one with "
                                  "0 there is taken as missing")
    return frame.drop(columns=[*others, *raters, *lists, *visibility])


def _read_numbers(inference: _Inference, frame: pd.DataFrame) -> None:
    """Read the columns in which most values are numbers; say why the others are left out."""
    notes = frame.attrs.get("notes", {})
    for name in frame.columns:
        values = frame[name].dropna()
        if not pd.api.types.is_numeric_dtype(values) or pd.api.types.is_bool_dtype(values):
            values = values.astype(str).str.strip()
            values = values[values != ""]
        numbers = pd.to_numeric(values, errors="coerce").to_numpy(float, na_value=np.nan)
        if not len(values):
            inference.messages.append(f"left out {name}: it is empty")
        elif np.isfinite(numbers).mean() <= 0.5:
            words = values.astype(str).unique()
            message = f"left out {name}: words, each row's its own, such as {words[0]}"
            if notes.get(name):  # numbers, written so that they cannot be read
                message = f"left out {name}: {'; '.join(notes[name])}"
            elif len(words) < len(values) or len(words) <= MAX_CLASSES:
                examples = first_few((word if len(word) < 30 else f"{word[:27]}..." for word in sorted(words)), 3)
                message = (f"left out {name}: it looks like a class ({examples}), and imgreg predicts numbers "
                           f"({option('--group', name)}, if its images show the same thing)")
            inference.messages.append(message)
        else:
            inference.columns[name] = numbers[np.isfinite(numbers)]


def _option(name: str, columns: Iterable[str] = (), kind: str = "") -> str:
    """What to type for a target, in quotes where it needs them."""
    return option("--target", target_text(name, columns, kind))


def name_words(name: object) -> list[str]:
    """Divide the name of a column into its words, in lower case: is and valid of isValid, Is-Valid and is_valid."""
    return [part.lower() for part in PARTS.findall(str(name)) if part.isalnum()]


def _boxes(inference: _Inference) -> None:
    """Leave out columns that together are a box, or the size of the image; say how to look at a box alone."""
    columns = inference.columns
    boxes = {name for name in columns if BOX_NAMES & set(name_words(name))}
    sides_of: dict[str, dict[str, str]] = defaultdict(dict)  # by what precedes the side in a column's name
    for name, side in product(columns, set(chain(*BOX_COLUMNS, *SIZES))):
        plain = plain_name(name)
        if plain.endswith(side):
            sides_of[plain.removesuffix(side)][side] = name
    box_option = "--box CX,CY,W,H"
    for prefix, sides in sides_of.items():
        for box in (*BOX_COLUMNS, *(SIZES if prefix in IMAGE_NAMES else ())):
            if set(box) <= set(sides):
                boxes |= {sides[side] for side in box}
            if set(box) <= set(sides) and box in BOX_COLUMNS:
                box_option = (f"--box {shlex.quote(','.join(sides[side] for side in box))}"
                              + (f" --box-format {BOX_COLUMNS[box]}" if BOX_COLUMNS[box] not in ("", "cxcywh") else ""))
    names = [name for name in columns if name in boxes]
    if names:
        inference.take(names, f"left out {first_few(names, 8)}: a box or the size of the image "
                       f"({box_option} looks at a box alone; {_option(names[0])} predicts it)")


def _points(inference: _Inference) -> None:
    """Take pairs of x and y: up to three with names of their own are a target each, others are one target."""
    columns = inference.columns
    pairs = _pairs(columns)
    in_turn = list(chain(*pairs))
    if not in_turn:
        return
    names, (sides, unpaired) = point_names(in_turn, "point"), pairs_by_name(in_turn)
    if len(names) == len(names[0]) == 1:  # of cx and cy
        names = ("point",)
    distinct = not (sides or unpaired) and not any(map(NAMELESS.fullmatch, names))
    if (len(names) == 1 or (len(names) <= 3 and distinct)) and not set(names) & set(columns):
        for name, (x, y) in zip(names, pairs, strict=True):
            inference.take((x, y), f"predicting {name}, a point by {x} and {y} "
                           f"({_option(x)} {_option(y)} takes them as plain numbers)",
                           [target_text(name, (x, y), "point")])
        return
    target = next(name for name in ("points", "places", "all_points") if name not in columns)
    inference.take(in_turn, f"predicting {target}, {len(names)} points: {first_few(names, 4)} "
                   "(--target 'NAME=X,Y,X,Y:point' takes others)", [target_text(target, in_turn, "point")])


def _pairs(columns: Iterable[str]) -> list[tuple[str, str]]:
    """Pair the columns of x and y that have no z beside them."""
    pairs = [(x, counterpart("y", x, columns)) for x in columns if not counterpart("z", x, columns)]
    return [pair for pair in pairs if pair[1]]


def _rotations(inference: _Inference) -> None:
    """Take yaw, pitch and roll that share the rest of their name."""
    columns = inference.columns
    by_rest: dict[tuple[str, ...], dict[str, str]] = defaultdict(dict)
    for name, axis in product(columns, AXES):
        if axis in name_words(name):
            by_rest[tuple("" if word == axis else word for word in name_words(name))][axis] = name
    names = (name for name in chain(("pose", "rotation"), map("pose_{}".format, count(2))) if name not in columns)
    for angles in ([by_axis[axis] for axis in AXES] for by_axis in by_rest.values() if len(by_axis) == len(AXES)):
        listed = f"{angles[0]}, {angles[1]} and {angles[2]}"
        if max(np.abs(columns[name]).max() for name in angles) <= TURN / 2 + 0.01:
            kinds = [_option("pose", angles, kind) for kind in ("rotation=radians", "rotation")]
            inference.messages.append(f"{listed} look like radians and are taken as plain numbers "
                                      f"({kinds[0]} is a rotation in radians, {kinds[1]} one in degrees)")
            continue
        target = next(names)
        inference.take(angles, f"predicting {target}, a rotation by {listed} in degrees "
                       f"({_option(angles[0])} takes one of them as a plain number)",
                       [target_text(target, angles, "rotation")])


def _angles(inference: _Inference) -> None:
    """Take what is called an angle, is never negative, and stays within a half or a whole turn in degrees."""
    for name, values in inference.columns.items():
        words = set(name_words(name))
        if not ANGLES & words or IDS & words:
            continue
        if values.min() < 0 or values.max() >= 360 or values.max() <= TURN:
            kind, unit = ("angle:radians", "radians") if np.abs(values).max() <= TURN else ("angle360", "degrees")
            inference.messages.append(
                f"{name} is taken as a plain number, by its values from {values.min():g} to {values.max():g} "
                f"({_option(name, kind=kind)} takes it as an angle in {unit} that goes round)")
            continue
        kind = "angle180" if values.max() < 180 and not DIRECTIONS & words else "angle360"
        inference.take([name], f"predicting {name} as {kind}, by its name and its values up to {values.max():g} "
                       f"({_option(name, kind='number')} if it does not wrap around)",
                       [target_text(name, kind=kind)])


def _ids_and_classes(inference: _Inference) -> None:
    """Leave out columns of numbers that only count or name things."""
    for name, values in inference.columns.items():
        why = "" if name in inference.units else _not_measured(name, values)
        if why:
            inference.take([name], f"left out {name}: {why} ({_option(name)} predicts it all the same)")


def _not_measured(name: str, values: np.ndarray) -> str:
    """Say why these are not measurements; "" if they may be."""
    if IDS & set(name_words(name)[-1:]):
        return "by its name it looks like an id"
    different = np.unique(values)
    n, k, span = len(values), len(different), different[-1] - different[0]
    if k == 1:
        return f"{different[0]:g} in every row"
    if (different % 1 != 0).any() or n < MAX_CLASSES:
        return ""
    if GROUPS & set(name_words(name)):
        return f"by its name it looks like a class or a group, {k} of them"
    in_order = (np.diff(values) > 0).all()  # with gaps; prices may be all different too, but lie further apart
    if k == n and span < (10 if in_order else 2) * n:
        return "whole numbers that are all different, and so it looks like an id"
    if k == 2 or (k <= MAX_CLASSES and n >= 3 * k and abs(different[0]) <= 1 and span < 2 * k):
        return f"{k} different whole numbers, and so it looks like a class"
    return ""
