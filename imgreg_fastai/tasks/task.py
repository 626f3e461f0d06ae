"""A Task says what the numbers of a labels table mean. It is pure data, JSON there and back."""
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from ..utils.console import say
from ..utils.errors import ImgregError, first_few
from . import invariance
from .kinds import target_from_dict
from .motion import MOVES
from .parsing import parse_target
from .target import Target, is_finite

FITS = ("pad", "squish", "crop")
COLOURS = ("colour", "tint")  # brightness and contrast; the light's own colour
AUGMENTATIONS = (*MOVES, *COLOURS)
RESERVED_COLUMNS = ("image", "path", "split", "group")  # columns of a labels table that are no labels


@dataclass(frozen=True)
class Task:
    """What is predicted from which view of an image.

    Args:
        name: What it is called.
        targets: What to predict.
        size: Height and width in pixels that the network sees.
        fit: How an image of another aspect ratio gets there: pad, squish or crop.
        box: The four columns of the part to see: centre x, centre y, width and height in pixels; () for all of it.
        margin: Widens the box, by this part of its sides on each side.
        group: The column that tells whose image it is, which must be there; "": the column `group` where there is one.
        augment: What may be done to a training image, out of AUGMENTATIONS.
        recipe: Training settings that were measured to suit the task, (field of TrainConfig, value) each.
        name_pattern: A regular expression with a group for each column, which reads labels off file names.
        name_scale: What the numbers in file names are multiplied by.
        labelling: Which of a dataset's ways to read its labels, where it has several.
        image: The column that names the images; "": it is inferred.
        value_range: What is black and what is white in images of 16 or 32 bits; None: by their type.

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
    value_range: tuple[float, float] | None = None

    def __post_init__(self):
        self._check_targets()
        self._check_box()
        self._check_range()
        sides = self.size if isinstance(self.size, (tuple, list)) else ()
        if len(sides) != 2 or not all(isinstance(n, int) and n > 0 for n in sides):
            raise ImgregError("a size (height, width) in pixels", repr(self.size))
        if self.fit not in FITS:
            raise ImgregError(f"--fit {', '.join(FITS)}", f"'{self.fit}'")
        unknown = [a for a in self.augment if a not in AUGMENTATIONS]
        if unknown:
            raise ImgregError(f"--augment with some of {', '.join(AUGMENTATIONS)}", first_few(unknown))
        barred = [a for a in self.augment if a not in allowed_augmentations(self.targets, self.fit)]
        if barred:
            raise invariance.refusal(self.targets, barred) or ImgregError(
                "a fit that keeps angles, for pictures that are turned", "--fit squish", "--fit pad")

    def _check_targets(self) -> None:
        """Every target, column and column of results has a name of its own."""
        reserved = [*RESERVED_COLUMNS, *([self.image] if self.image not in ("", *RESERVED_COLUMNS) else [])]
        names = [t.name for t in self.targets]
        intervals = [name for t in self.targets for name in t.interval_columns]
        results = {*intervals, "unlike", "warning", *(f"{name}_error" for name in names),
                   *(f"{column}{end}" for column in self.columns for end in ("_predicted", "_true"))}
        clashes = sorted(results & set(self.columns))
        if clashes:
            raise ImgregError("columns that are not called as predictions and errors will be", first_few(clashes))
        repeated = [*_repeated(names), *_repeated([*reserved, *self.columns]), *_repeated(intervals)]
        if repeated or not names:
            expected = f"targets, each with a name and a column of its own (not {', '.join(reserved)})"
            raise ImgregError(expected, first_few(dict.fromkeys(repeated)) or "none")

    def _check_box(self) -> None:
        if self.box and (len(set(self.box)) != 4 or not all(isinstance(c, str) and c.strip() for c in self.box)):
            raise ImgregError("--box CX,CY,W,H: four columns", first_few(map(repr, self.box)))
        if isinstance(self.margin, bool) or not isinstance(self.margin, (int, float)) or not 0 <= self.margin <= 10:
            raise ImgregError("--margin between 0 and 10, as a part of the box", repr(self.margin))

    def _check_range(self) -> None:
        ends = self.value_range
        if ends is not None and not (isinstance(ends, tuple) and len(ends) == 2
                                     and all(map(is_finite, ends)) and ends[0] != ends[1]):
            raise ImgregError("--range BLACK,WHITE: two numbers that differ", repr(ends))

    @property
    def columns(self) -> list[str]:
        """The labels table's columns this task reads, in the order of its targets."""
        return [c for t in self.targets for c in t.columns]

    @property
    def n_out(self) -> int:
        """How many outputs the network has."""
        return sum(t.n_out for t in self.targets)

    @property
    def has_points(self) -> bool:
        """Whether the network must tell where things are, and not only what they look like."""
        return any(t.in_image for t in self.targets)

    def with_options(self, specs: Sequence[str] = (), augment: Sequence[str] | None = None, **fields) -> "Task":
        """The task with other targets, augmentation and fields.

        Args:
            specs: `NAME[=COLUMN,...][:KIND]` each; the task's own targets if there are none.
            augment: Augmentations in place of the task's. To name moves declares that plain numbers and rotations bear
                them, which is said. None: the task's, without those that would make a label false.
            **fields: Other fields of Task; None leaves a field as it is.

        Raises:
            ImgregError: For targets, augmentations or fields that do not go together.
        """
        targets = tuple(parse_target(spec, self.targets) for spec in specs) or self.targets
        fields = {name: value for name, value in fields.items() if value is not None}
        fit = fields.get("fit", self.fit)
        if augment is None and fit in FITS:
            augment = tuple(a for a in self.augment if a in allowed_augmentations(targets, fit))
        elif augment:
            moves = tuple(move for move in augment if move in MOVES)
            targets, lines = invariance.declare_invariance(targets, moves, self.targets)
            for line in lines:
                say(line)
        return replace(self, targets=targets, augment=tuple(augment or ()), **fields)

    def split(self, outputs) -> list:
        """The network's outputs [..., n_out], an array or a tensor, divided by target: [..., t.n_out] for each."""
        ends = accumulate(t.n_out for t in self.targets)
        return [outputs[..., end - t.n_out : end] for t, end in zip(self.targets, ends, strict=True)]

    def decode(self, encoded, views=None) -> dict:
        """The network's outputs [n, n_out] -> {target name: [n, columns] in units}; points need the `views` [n, 4]."""
        parts = zip(self.targets, self.split(encoded), strict=True)
        return {t.name: t.decode(part, views) for t, part in parts}

    def error_scales(self, views) -> np.ndarray:
        """Target.error_scale of each interval, for images with these `views` [n, 4]: [n, all interval columns]."""
        scales = [np.repeat(t.error_scale(views), len(t.interval_columns), axis=1) for t in self.targets]
        return np.hstack(scales)

    @property
    def n_uncertainty_features(self) -> int:
        """How many numbers `uncertainty_features` gives for an image."""
        return self.uncertainty_features(np.ones((1, self.n_out))).shape[1]

    def uncertainty_features(self, encoded) -> np.ndarray:
        """Target.uncertainty_features of all targets side by side, for outputs [n, n_out]."""
        parts = zip(self.targets, self.split(encoded), strict=True)
        return np.hstack([t.uncertainty_features(part) for t, part in parts])

    def to_dict(self) -> dict:
        """The task as JSON can hold it."""
        return {
            "name": self.name, "targets": [t.to_dict() for t in self.targets], "size": list(self.size),
            "fit": self.fit, "box": list(self.box), "margin": self.margin, "group": self.group,
            "augment": list(self.augment), "recipe": dict(self.recipe), "name_pattern": self.name_pattern,
            "name_scale": self.name_scale, "labelling": self.labelling, "image": self.image,
            "value_range": None if self.value_range is None else list(self.value_range),
        }


def _repeated(names: Sequence[str]) -> list[str]:
    """The names that occur more than once, each once."""
    return [name for name in dict.fromkeys(names) if names.count(name) > 1]


def allowed_augmentations(targets: Sequence[Target], fit: str) -> tuple[str, ...]:
    """The augmentations that keep the labels of these targets true.

    A squished image may be mirrored, but a turn of it is no turn of the original, whose angles the labels tell.
    """
    squished = ("quarter", "turn") if fit == "squish" and any(t.rigid for t in targets) else ()
    return tuple(a for a in AUGMENTATIONS
                 if a in COLOURS or (a not in squished and all(a in t.moves for t in targets)))


def default_augmentations(targets: Sequence[Target], fit: str = "pad") -> tuple[str, ...]:
    """The augmentations for a user's table: all that points can bear; colour alone where there is anything else."""
    defaults = ("flip", "turn", "zoom", "shift", *COLOURS) if all(t.in_image for t in targets) else ("colour",)
    return tuple(a for a in defaults if a in allowed_augmentations(targets, fit))


def task_from_dict(fields: dict) -> Task:
    """The task that `Task.to_dict` wrote; raises ImgregError if it is none."""
    try:
        texts = [fields.get(name, "") for name in ("name", "fit", "group", "name_pattern", "labelling", "image")]
        lists = [fields["size"], fields["augment"], fields.get("box", ())]
        if not all(isinstance(text, str) for text in texts) or any(isinstance(value, str) for value in lists):
            raise TypeError(f"texts {texts}, lists {lists}")
        value_range = fields.get("value_range")
        group = fields.get("group", "")
        return Task(**{
            **fields,
            "group": "" if group == "group" else group,  # "group" once said that no column was named
            "targets": tuple(target_from_dict(t) for t in fields["targets"]),
            "size": tuple(int(n) for n in fields["size"]),
            "augment": tuple(fields["augment"]),
            "box": tuple(fields.get("box", ())),
            "recipe": tuple(fields["recipe"].items()),
            "value_range": None if value_range is None else tuple(value_range),
        })
    except (TypeError, KeyError, ValueError, OverflowError, AttributeError) as e:
        raise ImgregError("the description of a task", f"{type(e).__name__}: {e}") from e


def complete_task(task: Task, training_part) -> Task:
    """Fill in what must come from the data.

    Args:
        task: The task.
        training_part: DataFrame of the training images.

    Returns:
        The task with completed targets.

    Raises:
        ImgregError: For a target without a label in the training part.
    """
    targets = []
    for t in task.targets:
        labels = training_part[list(t.columns)].to_numpy(float)
        if not t.is_labelled(np.isfinite(labels)).any():
            raise ImgregError(f"a value of {t.name} among the pictures to train on", "none")
        completed = t.complete(labels)
        if completed.log_scale and not t.log_scale:
            say(f"{t.name} is learnt by its logarithm, since its labels run from {np.nanmin(labels):g} to "
                f"{np.nanmax(labels):g} (--scale linear changes it)")
        targets.append(completed)
    return replace(task, targets=tuple(targets))
