"""A Task says what the numbers of a labels table mean. It is pure data, JSON there and back."""
from dataclasses import dataclass, replace
from itertools import accumulate

import numpy as np

from ..utils.console import say
from ..utils.errors import ImgregError, first_few
from . import invariance
from .kinds import target_from_dict
from .number import Number
from .parsing import parse_target
from .point import Point
from .target import MOVES, Target, is_finite

FITS = ("pad", "squish", "crop")
COLOURS = ("colour", "tint")  # brightness and contrast; the light's own colour
AUGMENTATIONS = (*MOVES, *COLOURS)
RESERVED_COLUMNS = ("image", "path", "split", "group")  # columns of a labels table that are no labels


@dataclass(frozen=True)
class Task:
    """What is predicted from which view of a picture.

    `size`: height and width the network sees; `fit`: how a picture of another shape gets there; `box`: the four columns
    of the part to be seen (centre x, centre y, width, height in pixels), widened by `margin` of its sides on each side;
    `group`: the column that tells whose picture it is; `augment`: what may be done to a training picture, out of
    AUGMENTATIONS; `recipe`: training settings that were measured to suit it, as (field of TrainConfig, value);
    `name_pattern`: a regular expression with a group per column that reads labels off file names, `name_scale` times
    what it matches; `labelling`: which of a dataset's ways to read its labels, where it has several; `image`: the
    column that names the pictures, found by itself if left empty; `value_range`: what is black and what is white in
    pictures of 16 or 32 bits, by their type if left out.
    """

    name: str
    targets: tuple[Target, ...]
    size: tuple[int, int] = (224, 224)
    fit: str = "pad"
    box: tuple[str, ...] = ()
    margin: float = 0.25
    group: str = "group"
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
        taken = dict.fromkeys((*RESERVED_COLUMNS, self.image) if self.image else RESERVED_COLUMNS)
        names, columns = [t.name for t in self.targets], [*taken, *self.columns]
        twice = [n for n in dict.fromkeys(names) if names.count(n) > 1]
        twice += [c for c in dict.fromkeys(columns) if columns.count(c) > 1 and c not in twice]
        ours = {f"{t.name}_error" for t in self.targets} | {f"{c}{end}" for c in self.columns
                                                             for end in ("_predicted", "_true")}
        intervals = [name for t in self.targets for name in t.interval_columns]
        ours |= {*intervals, "unlike", "warning"}
        twice += [n for n in dict.fromkeys(intervals) if intervals.count(n) > 1]
        if clash := ours & set(self.columns):
            raise ImgregError("columns that are not called as predictions and errors will be", first_few(sorted(clash)))
        if twice or not names:
            expected = f"targets, each with a name and a column of its own (not {', '.join(taken)})"
            raise ImgregError(expected, first_few(twice) or "none")

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
    def places(self) -> bool:
        """Whether the network must tell where things are, and not only what they look like."""
        return any(t.kind == Point.kind for t in self.targets)

    def with_options(self, specs: list[str] = (), augment=None, **given) -> "Task":
        """The task for other targets (`NAME[=COL,...][:KIND]` each), another view of the picture, other fields.

        Its own augmentations that would make a label false are dropped; `augment` replaces them, and is refused then.
        To name moves there is to declare the law of plain numbers (they stay) and of rotations, and is said.
        """
        chosen = tuple(parse_target(s, self.targets) for s in specs) or self.targets
        given = {name: value for name, value in given.items() if value is not None}
        fit = given.get("fit", self.fit)
        if augment is None and fit in FITS:
            augment = tuple(a for a in self.augment if a in allowed_augmentations(chosen, fit))
        elif augment:
            chosen, told = invariance.declare_invariance(chosen, tuple(m for m in augment if m in MOVES), self.targets)
            for line in told:
                say(line)
        return replace(self, targets=chosen, augment=tuple(augment or ()), **given)

    def split(self, outputs) -> list:
        """The network's outputs [..., n_out], an array or a tensor, divided by target: [..., t.n_out] for each."""
        ends = accumulate(t.n_out for t in self.targets)
        return [outputs[..., end - t.n_out : end] for t, end in zip(self.targets, ends, strict=True)]

    def decode(self, encoded, views=None) -> dict:
        """The network's outputs [n, n_out] -> {target name: [n, columns] in units}; points need the `views` [n, 4]."""
        parts = zip(self.targets, self.split(encoded), strict=True)
        return {t.name: t.decode(part, views) for t, part in parts}

    def error_scales(self, views) -> np.ndarray:
        """Each distance's Target.extent for pictures seen by `views` [n, 4], [n, all Target.interval_columns]."""
        return np.hstack([np.broadcast_to(t.error_scale(views), (len(views), len(t.interval_columns))) for t in self.targets])

    @property
    def n_uncertainty_features(self) -> int:
        """How many numbers `doubts` gives."""
        return self.uncertainty_features(np.ones((1, self.n_out))).shape[1]

    def uncertainty_features(self, encoded) -> np.ndarray:
        """Target.doubt of all targets for outputs [n, n_out], [n, any number]."""
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


def allowed_augmentations(chosen: tuple[Target, ...], fit: str) -> tuple[str, ...]:
    """The augmentations that keep the labels of these targets true.

    A squished picture may be mirrored, but a turn of it is no turn of the original, whose angles the labels tell.
    """
    bent = ("quarter", "turn") if fit == "squish" and any(t.rigid for t in chosen) else ()
    return tuple(a for a in AUGMENTATIONS if a in COLOURS or (a not in bent and all(a in t.moves for t in chosen)))


def default_augmentations(chosen: tuple[Target, ...], fit: str = "pad") -> tuple[str, ...]:
    """What is done to the pictures of a user's table: all that points can bear, colour where there is anything else."""
    wanted = ("flip", "turn", "zoom", "shift", *COLOURS) if all(t.kind == Point.kind for t in chosen) else ("colour",)
    return tuple(a for a in wanted if a in allowed_augmentations(chosen, fit))


def task_from_dict(fields: dict) -> Task:
    """The task that `to_dict` wrote; raises ImgregError if it is none."""
    try:
        of = dict(fields)
        texts = [of.get(name, "") for name in ("name", "fit", "group", "name_pattern", "labelling", "image")]
        if not all(isinstance(text, str) for text in texts) or any(isinstance(of[k], str) for k in ("size", "augment")):
            raise TypeError(f"words {texts}, size {of['size']!r}, augment {of['augment']!r}")
        if isinstance(of.get("box", ()), str):
            raise TypeError(f"box {of['box']!r}")
        of["targets"] = tuple(target_from_dict(t) for t in of["targets"])
        of["size"], of["augment"] = tuple(int(n) for n in of["size"]), tuple(of["augment"])
        if of.get("value_range") is not None:
            of["value_range"] = tuple(of["value_range"])
        of["recipe"], of["box"] = tuple(of["recipe"].items()), tuple(of.get("box", ()))
        return Task(**of)
    except (TypeError, KeyError, ValueError, OverflowError, AttributeError) as e:
        raise ImgregError("the description of a task", f"{type(e).__name__}: {e}") from e


def complete_task(task: Task, training_part) -> Task:
    """The task with what must come from data; `training_part`: the DataFrame of the training pictures.

    Raises ImgregError for a target without a label there.
    """
    done = (_completed(t, training_part[list(t.columns)].to_numpy(float)) for t in task.targets)
    done = replace(task, targets=tuple(done))
    logs = [new for t, new in zip(task.targets, done.targets, strict=True)
            if isinstance(new, Number) and new.scale == "log" != t.scale]
    for t in logs:
        values = training_part[list(t.columns)].to_numpy(float)
        ends = f"{np.nanmin(values):g} to {np.nanmax(values):g}"
        say(f"{t.name} is learnt by its logarithm, since its labels run from {ends} (--scale linear changes it)")
    return done


def _completed(target: Target, values) -> Target:
    labelled = np.isfinite(values)
    if not (labelled.any(axis=1) if target.partial else labelled.all(axis=1)).any():
        raise ImgregError(f"a value of {target.name} among the pictures to train on", "none")
    return target.complete(values)
