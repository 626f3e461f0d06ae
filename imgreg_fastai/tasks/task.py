"""A Task says what the numbers of a labels table mean. It is pure data, JSON there and back."""
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

import numpy as np

from ..utils.messages import ImgregError, first_few, say
from ..utils.quoting import option, quote
from .augmentations import allowed_augmentations, check_augmentations, declare_invariance
from .coordinates import BOX_FORMATS, COORDS, FULL_SIDE
from .geometry import MOVES
from .kinds import check_names, parse_target, split_spec, target_from_dict
from .target import DataFrame, Target
from .values import Array, as_tuples, is_finite, json_fields

FITS = ("pad", "squish", "crop")
RATERS = ("mean", "median")  # how the labels of several raters are joined
ROW_WEIGHT = "row_weight"  # the column of a labels frame that says how much a row counts in the training loss
RESERVED_COLUMNS = ("image", "path", "split", "group", ROW_WEIGHT)  # columns of a labels table that are no labels


@dataclass(frozen=True)
class Task:
    """What is predicted from which view of an image.

    Args:
        name: What it is called.
        targets: What to predict.
        size: Height and width in pixels that the network sees.
        fit: How an image of another aspect ratio gets there: pad, squish or crop.
        box: The four columns of the part to see: centre x, centre y, width and height in pixels, unless `coords` and
            `box_format` say otherwise; () for all of it.
        margin: Widens the box, by this part of its sides on each side.
        group: The column that tells whose image it is, which must be there; "": the column `group` where there is one.
        augment: What may be done to a training image, out of AUGMENTATIONS.
        recipe: Training settings that were measured to suit the task, (field of TrainConfig, value) each.
        name_pattern: A regular expression with a group for each column, which reads labels off file names.
        name_scale: What the numbers in file names are multiplied by.
        labelling: Which of a dataset's ways to read its labels, where it has several.
        image: The column that names the images; "": it is inferred.
        split_col: The column that says which part each row is in; "": it is inferred; "none": there is none.
        value_range: What is black and what is white in images of 16 or 32 bits; None: by their type.
        raters: mean or median, of the labels that several raters gave an image; "": each row stands alone.
        point_rows: The columns LABEL, X and Y of a table with a row for each point; (): a row is an image.
        list_cols: `COLUMN=NAME,NAME,..` each: columns whose cells hold several numbers, and what these are called.
        max_pixels: The most pixels of an image that is decoded; None: Pillow's limit of 89 million.
        coords: What points and boxes of its tables are in: pixels, fraction (0 to 1) or percent of the image's width
            and height; "": pixels, and a table that looks otherwise is refused. Predictions are in pixels.
        box_format: What the columns `box` of its tables are: cxcywh, xywh (left, top, width, height) or xyxy (left,
            top, right, bottom); "": cxcywh, with the same refusal. Rows that are read have cxcywh in pixels.
        row_weight: The column of weights by which rows count in the training loss; "": all the same.

    Raises:
        ImgregError: For fields that do not go together.
    """

    name: str
    targets: tuple[Target, ...]
    size: tuple[int, int] = (224, 224)
    fit: str = "pad"
    box: tuple[str, ...] = ()
    margin: float = 0.25
    group: str = ""
    augment: tuple[str, ...] = ("colour",)
    recipe: tuple[tuple[str, object], ...] = ()
    name_pattern: str = ""
    name_scale: float = 1.0
    labelling: str = ""
    image: str = ""
    split_col: str = ""
    value_range: tuple[float, float] | None = None
    raters: str = ""
    point_rows: tuple[str, ...] = ()
    list_cols: tuple[str, ...] = ()
    max_pixels: int | None = None
    coords: str = ""
    box_format: str = ""
    row_weight: str = ""

    def __post_init__(self) -> None:
        # 1. Every target, column and column of results has a name of its own.
        names = [t.name for t in self.targets]
        intervals = self.interval_columns
        results = {*intervals, "ood", "warning", *(f"{name}_error" for name in names),
                   *(f"{column}{end}" for column in self.columns for end in ("_predicted", "_true"))}
        clashes = sorted(results & set(self.columns))
        if clashes:
            raise ImgregError("columns that are not called as predictions and errors will be", first_few(clashes))
        reserved = [*RESERVED_COLUMNS]
        named = [self.image, "" if self.split_col == "none" else self.split_col, self.row_weight]
        reserved += [column for column in dict.fromkeys(named) if column and column not in reserved]
        repeated = [*_repeated(names), *_repeated([*reserved, *self.columns]), *_repeated(intervals)]
        if repeated or not names:
            expected = f"targets, each with a name and a column of its own (not {', '.join(reserved)})"
            raise ImgregError(expected, first_few(dict.fromkeys(repeated)) or "none")
        # 2. The part of the image that is seen, and its values.
        _check_positions(self)
        if isinstance(self.margin, bool) or not is_finite(self.margin) or not 0 <= self.margin <= 10:
            raise ImgregError("--margin between 0 and 10, as a part of the box", repr(self.margin))
        ends = self.value_range
        if ends is not None and not (isinstance(ends, tuple) and len(ends) == 2
                                     and all(map(is_finite, ends)) and ends[0] != ends[1]):
            raise ImgregError("--range BLACK,WHITE: two numbers that differ", repr(ends))
        if self.raters not in ("", *RATERS):
            raise ImgregError(f"--raters {', '.join(RATERS)}", repr(self.raters))
        if self.max_pixels is not None and (type(self.max_pixels) is not int or self.max_pixels < 1):
            raise ImgregError("--max-pixels: a whole number above 0", repr(self.max_pixels))
        # 3. How it gets to the network.
        sides = self.size if isinstance(self.size, (tuple, list)) else ()
        if len(sides) != 2 or not all(isinstance(n, int) and n > 0 for n in sides):
            raise ImgregError("a size (height, width) in pixels", repr(self.size))
        if self.fit not in FITS:
            raise ImgregError(f"--fit {', '.join(FITS)}", f"'{self.fit}'")
        check_augmentations(self.augment, self.targets, self.fit)

    @property
    def columns(self) -> list[str]:
        """The labels table's columns this task reads, in the order of its targets."""
        return [c for t in self.targets for c in t.columns]

    @property
    def interval_columns(self) -> list[str]:
        """The columns of all interval half-widths, in the order of its targets."""
        return [c for t in self.targets for c in t.interval_columns]

    @property
    def interval_slices(self) -> list[slice]:
        """Where the interval columns of each target stand among those of all."""
        ends = accumulate(len(t.interval_columns) for t in self.targets)
        return [slice(end - len(t.interval_columns), end) for t, end in zip(self.targets, ends, strict=True)]

    def boxes(self, frame: DataFrame) -> Array:
        """Return the boxes [n, 4] of a labels frame in pixels, or None if the task has none."""
        return frame[list(self.box)].to_numpy(float) if self.box else None

    @property
    def n_out(self) -> int:
        """How many outputs the network has."""
        return sum(t.n_out for t in self.targets)

    @property
    def has_points(self) -> bool:
        """Whether the network must tell where things are, and not only what they look like."""
        return any(t.in_image for t in self.targets)

    def with_options(self, specs: Sequence[str] = (), augment: Sequence[str] | None = None, **fields: Any) -> "Task":
        """The task with other targets, augmentation and fields.

        Args:
            specs: `NAME[=COLUMN,...][:KIND]` each; the task's own targets if there are none.
            augment: Augmentations in place of the task's. To name moves declares that plain numbers and rotations bear
                them, which is said. None: the task's, without those that would make a label false.
            **fields: Other fields of Task; None leaves a field as it is.

        Returns:
            The changed task.

        Raises:
            ImgregError: For targets, augmentations or fields that do not go together.
        """
        targets = tuple(parse_target(spec, self.targets) for spec in specs) or self.targets
        fields = {name: value for name, value in fields.items() if value is not None}
        if augment is None:
            allowed = allowed_augmentations(targets, fields.get("fit", self.fit))
            augment = [a for a in self.augment if a in allowed]
        else:
            targets = declare_invariance(targets, tuple(move for move in augment if move in MOVES), self.targets)
        return replace(self, targets=targets, augment=tuple(augment), **fields)

    def with_columns(self, columns: Sequence[str] | Mapping[str, str | Sequence[str]]) -> "Task":
        """The task with the labels of some targets in other columns, as another table calls them.

        Args:
            columns: `NAME=COLUMN[,COLUMN..]` each, or {target name: its columns}.

        Returns:
            The changed task.

        Raises:
            ImgregError: For a name that is no target's, and for too few or too many columns.
        """
        if isinstance(columns, Mapping):
            pairs = [(name, (c,) if isinstance(c, str) else tuple(c), "") for name, c in columns.items()]
        else:
            pairs = [split_spec(text)[:3] for text in columns]
        by_name = {t.name: t for t in self.targets}
        check_names("--target NAME=COLUMN", [name for name, *_ in pairs], self.targets)
        for name, new, kind in pairs:
            old = by_name[name]
            if kind or len(new) != len(old.columns):
                example = f"{quote(name)}={','.join(map(quote, old.columns))}"
                new_columns = first_few(new) or "no column"
                raise ImgregError(f"--target NAME=COLUMN with as many columns as {name} has, and no kind",
                                  f":{kind}" if kind else new_columns,
                                  f"{option('--target', example)}, with the columns of this table")
            by_name[name] = replace(old, columns=new)
        return replace(self, targets=tuple(by_name.values()))

    def split(self, outputs: Array) -> list[Array]:
        """The network's outputs [..., n_out], an array or a tensor, divided by target: [..., t.n_out] for each."""
        ends = accumulate(t.n_out for t in self.targets)
        return [outputs[..., end - t.n_out : end] for t, end in zip(self.targets, ends, strict=True)]

    def decode(self, encoded: np.ndarray, views: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """The network's outputs [n, n_out] -> {target name: [n, columns] in units}; points need the `views` [n, 4]."""
        return {t.name: t.decode(part, views) for t, part in zip(self.targets, self.split(encoded), strict=True)}

    def error_scales(self, views: np.ndarray) -> np.ndarray:
        """Target.error_scale of each interval, for images with these `views` [n, 4]: [n, all interval columns]."""
        return np.hstack([np.repeat(t.error_scale(views), len(t.interval_columns), axis=1) for t in self.targets])

    @property
    def n_uncertainty_features(self) -> int:
        """How many numbers `uncertainty_features` gives for an image."""
        return self.uncertainty_features(np.ones((1, self.n_out))).shape[1]

    def uncertainty_features(self, encoded: np.ndarray) -> np.ndarray:
        """Target.uncertainty_features of all targets side by side, for outputs [n, n_out]."""
        parts = self.split(encoded)
        return np.hstack([t.uncertainty_features(part) for t, part in zip(self.targets, parts, strict=True)])

    def to_dict(self) -> dict[str, Any]:
        """The task as JSON can hold it."""
        return {**json_fields(self), "targets": [t.to_dict() for t in self.targets], "recipe": dict(self.recipe),
                "group_named": bool(self.group)}


def _check_positions(task: Task) -> None:
    """Raise ImgregError for columns of a box, a unit or a format that are none."""
    if task.box and (len(set(task.box)) != 4 or not all(isinstance(c, str) and c.strip() for c in task.box)):
        raise ImgregError("--box CX,CY,W,H: four columns", first_few(map(repr, task.box)))
    for name, value, choices in (("--coords", task.coords, COORDS), ("--box-format", task.box_format, BOX_FORMATS)):
        if value not in ("", *choices):
            raise ImgregError(f"{name} {', '.join(choices)}", repr(value))
    shared = set(task.box) & set(task.columns)
    if shared and (task.coords in FULL_SIDE or task.box_format not in ("", "cxcywh")):
        raise ImgregError("a box in columns that are no target, where it is turned into pixels",
                          first_few(sorted(shared)))


def _repeated(names: list[str]) -> list[str]:
    return [name for name in names if names.count(name) > 1]


def task_from_dict(fields: dict[str, Any]) -> Task:
    """The task that `Task.to_dict` wrote; raises ImgregError if it is none."""
    try:
        names = ("name", "fit", "group", "name_pattern", "labelling", "image", "split_col", "raters", "coords",
                 "box_format", "row_weight")
        texts = [fields.get(name, "") for name in names]
        lists = [fields["size"], fields["augment"], *(fields.get(name, ()) for name in ("box", "point_rows",
                                                                                        "list_cols"))]
        if not all(isinstance(text, str) for text in texts) or not all(isinstance(v, (list, tuple)) for v in lists):
            raise TypeError(f"texts {texts}, lists {lists}")
        values = {name: as_tuples(value) for name, value in fields.items() if name != "group_named"}
        if values.get("group") == "group" and not fields.get("group_named"):
            values["group"] = ""  # files without group_named say "group" where no column was named
        return Task(**{
            **values,
            "targets": tuple(target_from_dict(t) for t in fields["targets"]),
            "size": tuple(int(n) for n in fields["size"]),
            "recipe": tuple(fields["recipe"].items()),
        })
    except (TypeError, KeyError, ValueError, OverflowError, AttributeError) as e:
        raise ImgregError("the description of a task", f"{type(e).__name__}: {e}") from e


def complete_task(task: Task, training_part: DataFrame) -> Task:
    """Fill in what must come from the data.

    Args:
        task: The task.
        training_part: The rows of the training images.

    Returns:
        The task with completed targets.

    Raises:
        ImgregError: For a target without a label in the training part.
    """
    targets = []
    for t in task.targets:
        labels = training_part[list(t.columns)].to_numpy(float)
        if not t.is_labelled(np.isfinite(labels)).any():
            raise ImgregError(f"a value of {t.name} among the images to train on", "none")
        completed = t.complete(labels)
        if completed.log_scale and not t.log_scale:
            say(f"{t.name} is learnt by its logarithm, since its labels run from {np.nanmin(labels):g} to "
                f"{np.nanmax(labels):g} (--scale linear changes it)")
        targets.append(completed)
    return replace(task, targets=tuple(targets))
