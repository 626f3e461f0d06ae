"""What every kind of target shares."""
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..utils import quoting
from ..utils.messages import ImgregError, first_few
from .geometry import Motion
from .marks import Mark
from .outliers import LabelIssue
from .values import Array, as_tuples, is_finite, json_fields, mean

if TYPE_CHECKING:
    from pandas import DataFrame
    from torch import Tensor, dtype
else:  # only annotations name these types, and do not load their libraries
    DataFrame = Tensor = dtype = Any


@dataclass(frozen=True)
class Target(Mark):
    """One thing to predict. Each kind of target is a subclass, in a file of its own.

    Arrays have one row per image. A missing label is NaN, and so is the error of a row that lacks it.

    Args:
        name: What it is called.
        columns: The columns of the labels table that hold it.
        unit: Unit of its labels, for people.
        weight: How much it counts beside the task's other targets, which count the same otherwise.

    Raises:
        ImgregError: If a name is empty, the number of columns does not fit the kind, or the weight is not above 0.
    """

    name: str
    columns: tuple[str, ...]
    unit: str = ""
    weight: float = field(default=1.0, kw_only=True)

    kind: ClassVar[str]
    column_counts: ClassVar[range] = range(1, 2)  # how many columns it may have
    column_rule: ClassVar[str] = "one column"  # the same in words
    default_columns: ClassVar[tuple[str, ...]] = ("NAME",)  # where none are named; NAME stands for its name
    outputs_per_column: ClassVar[int] = 1
    declaration: ClassVar[str] = ""  # what `declare_moves` assumes, in words; "" where one line is for all such targets
    specs: ClassVar[dict[str, dict]] = {}  # --target NAME:SPEC -> fields that it sets; {}: SPEC is the kind
    spec_words: ClassVar[tuple[str, ...]] = ()  # what SPEC may be, in words; (): the kind
    in_image: ClassVar[bool] = False  # labels are positions in the image
    linear: ClassVar[bool] = True  # values lie on a line; False: they are directions, which wrap
    log_scale: ClassVar[bool] = False  # it is learnt by its logarithm
    negated_by_flip: ClassVar[bool] = False  # a mirror changes its sign

    def __post_init__(self) -> None:
        names = (self.name, *self.columns)
        if not isinstance(self.unit, str):
            raise ImgregError(f"the unit of '{self.name}' in words", repr(self.unit))
        if len(self.columns) not in self.column_counts or not all(isinstance(n, str) and n.strip() for n in names):
            columns = f"'{self.name}' with {first_few(map(repr, self.columns), 12) or 'none'}"
            raise ImgregError(f"a {self.kind} with a name and {self.column_rule}", columns, self.column_hint())
        if isinstance(self.weight, bool) or not is_finite(self.weight) or self.weight <= 0:
            raise ImgregError(f"a weight of '{self.name}': a number above 0", repr(self.weight))

    @classmethod
    def read_option(cls, option: str) -> dict[str, Any]:
        """The fields that OPTION of --target NAME:KIND=OPTION sets; raises ImgregError where the kind takes none."""
        if option:
            raise ImgregError(f"a {cls.kind} without '{option}' behind it", f"'{cls.kind}={option}'")
        return {}

    @classmethod
    def columns_where_none(cls, fields: dict[str, Any]) -> tuple[str, ...]:
        """The columns of a target that names none, by the fields that SPEC sets; NAME stands for its name."""
        return cls.default_columns

    def option(self, kind: str = "") -> str:
        """What to type for this target as another kind: --target 'pose=a,b,c:rotation=radians'."""
        columns = () if self.columns == (self.name,) else self.columns
        return quoting.option("--target", quoting.target_text(self.name, columns, kind))

    def with_unit(self, unit: str) -> "Target":
        """The target with another unit; raises ImgregError for one that contradicts what it is."""
        return replace(self, unit=unit)

    # ---- columns and outputs

    def column_hint(self) -> str | None:
        """What to type where the number of columns does not fit the kind."""
        return None

    @property
    def n_out(self) -> int:
        """How many of the network's outputs belong to it."""
        return self.outputs_per_column * len(self.columns)

    @property
    def scalar(self) -> bool:
        """Whether it is one number on a line: with a range, R², and rare labels."""
        return self.linear and len(self.columns) == 1

    @property
    def histogram(self) -> str:
        """The form of the histograms that it can be learnt by, "line", "circle" or "map" (of points); "": none."""
        return "line" if self.scalar else ""

    def is_labelled(self, finite: Array) -> Array:
        """Which rows have a label: of points any value is enough, other kinds need all; [n, columns] -> [n]."""
        return finite.any(axis=1) if self.in_image else finite.all(axis=1)

    def is_blank(self, values: np.ndarray) -> np.ndarray:
        """Which rows of [n, columns] have numbers that stand for no label, mask [n]."""
        return np.zeros(len(values), bool)

    def complete(self, values: np.ndarray) -> "Target":
        """The target with what must come from the data: the labels of the training part, [n, columns] in units."""
        return self

    def decode(self, encoded: np.ndarray, views: np.ndarray | None = None) -> np.ndarray:
        """Turn network outputs into units.

        Args:
            encoded: Outputs, [n, n_out] in [-1, 1].
            views: Where each image lies in what the network sees, [n, 4] or [1, 4]; see geometry. For points only.

        Returns:
            Values in units, [n, columns], float64.
        """
        raise TypeError(f"{type(self).__name__} does not say how outputs become units")

    # ---- labels in a batch (torch and fastai)

    @property
    def label_dtype(self) -> dtype:
        """The torch dtype of its labels in a batch."""
        import torch

        return torch.float32

    def block(self) -> Any:
        """The fastai TransformBlock of its labels."""
        from fastai.vision.data import RegressionBlock

        return RegressionBlock(n_out=len(self.columns))

    def to_batch(self, values: Array, views: Array) -> Array:
        """Labels in units as a batch holds them.

        Args:
            values: [n, columns] in units.
            views: [n, 4]; see geometry.

        Returns:
            [n, columns]: points in [-1, 1] across the view, other kinds in units.
        """
        return values

    def from_batch(self, values: Array, views: Array) -> Array:
        """The inverse of `to_batch`."""
        return values

    def batch_tensor(self, labels: Tensor) -> Tensor:
        """Labels [n, columns] as the tensor that a fastai batch holds: one column is [n]."""
        return labels[:, 0] if labels.shape[1] == 1 else labels

    def encode_labels(self, labels: Tensor) -> Tensor:
        """Labels as a batch holds them, encoded.

        Args:
            labels: [n, columns].

        Returns:
            [n, n_out] in [-1, 1], what the network should put out. NaN stays NaN.
        """
        return labels

    def penalty(self, predicted: Tensor, encoded: Tensor, loss: Callable, weights: Callable | None = None) -> Tensor:
        """The mean loss over what is labelled.

        Args:
            predicted: Outputs, [n, n_out].
            encoded: Encoded labels, [n, n_out]; NaN where a label is missing.
            loss: Elementwise loss of (predicted, encoded), such as torch's l1_loss with reduction="none".
            weights: Gives each encoded label its weight, [n, n_out] -> [n, n_out]; None: all weigh 1.

        Returns:
            A scalar; 0 where nothing is labelled.
        """
        import torch

        labelled = encoded.isfinite()
        costs = loss(predicted, torch.where(labelled, encoded, predicted.detach()))
        if weights is not None:
            costs = costs * weights(encoded)
        return torch.where(labelled, costs, 0).sum() / labelled.sum().clamp(min=1)

    # ---- errors

    def residual(self, predicted: Array, true: Array) -> Array:
        """Signed difference in units, [n, columns] each; of values that wrap, the short way round."""
        difference = predicted - true
        return difference if self.wraps is None else (difference + self.wraps / 2) % self.wraps - self.wraps / 2

    def error(self, predicted: Array, true: Array) -> Array:
        """The error of each image in units: [n, columns] twice -> [n]."""
        return np.abs(self.residual(predicted, true)).mean(axis=1)

    def bias(self, predicted: Array, true: Array) -> float:
        """The systematic part of the error in units: the mean residual, signed where there is one column."""
        return float(np.nanmean(self.residual(predicted, true)))

    def constant_guess(self, values: Array) -> Array:
        """The best constant prediction for labels [n, columns], [columns]: their average, if the kind has no other."""
        return self.average(np.asarray(values)[:, None])[0]

    def average(self, values: Array) -> Array:
        """Average k predictions of each image: [k, n, columns] -> [n, columns], leaving NaN out."""
        return mean(values)

    def bounded(self, values: Array) -> Array:
        """Values [n, columns] in units, within the bounds of the target where it has some."""
        return values

    # ---- charts

    @property
    def charted(self) -> "Target":
        """The target whose columns charts and texts show in place of its own, which say nothing one by one."""
        return self

    def charted_values(self, values: np.ndarray) -> np.ndarray:
        """Labels or predictions [n, columns] as those of `charted`."""
        return values

    # ---- intervals

    @property
    def interval_columns(self) -> tuple[str, ...]:
        """The columns that hold interval half-widths, one for each of `interval_errors`."""
        return (f"{self.name}_within",)

    def interval_errors(self, predicted: Array, true: Array) -> Array:
        """The errors that have an interval each, in units: [n, columns] twice -> [n, len(interval_columns)]."""
        return self.error(predicted, true)[:, None]

    def error_scale(self, views: Array) -> Array:
        """What errors are divided by before images are compared: views [n, 4] -> [n, 1]."""
        return np.ones((len(views), 1))

    def uncertainty_features(self, encoded: Array) -> Array:
        """What the outputs [n, n_out] tell about their own error beside the value, [n, any number]."""
        return np.empty((len(encoded), 0))

    # ---- moves of the image

    @property
    def moves(self) -> tuple[str, ...]:
        """The moves whose effect on the label is known; none unless the task declares it."""
        return ()

    def declare_moves(self, moves: tuple[str, ...]) -> "Target":
        """The target once a user has declared, by asking for these moves, that it bears them; itself if it cannot."""
        return self

    def refusal(self) -> tuple[str, str]:
        """Why some moves are not allowed, and what to type instead."""
        return "", "--augment colour"

    def transform_labels(self, values: Array, motion: Motion) -> Array:
        """The labels [n, columns], as a batch holds them, after a motion of their images."""
        return values

    def undo(self, outputs: Array, views: Array, motion: Motion) -> Array:
        """Predictions for moved images as those for the images themselves.

        Args:
            outputs: [n, n_out] for the moved images.
            views: [n, 4] of the images as they are.
            motion: What moves the images back.

        Returns:
            [n, columns] in units.
        """
        return self.transform_labels(self.decode(outputs, views), motion)

    # ---- checks, words and marks

    def impossible(self, values: np.ndarray) -> Iterator[LabelIssue]:
        """What cannot be in labels [n, columns] of this target, however few they are."""
        return iter(())

    def outliers(self, values: np.ndarray) -> Iterator[LabelIssue]:
        """What looks wrong about labels [n, columns] that are numbers all the same."""
        return iter(())

    def typical(self, values: np.ndarray) -> tuple[np.ndarray, bool]:
        """Which values [n] of a column are not far from all others, and whether they are compared by ratio."""
        return np.isfinite(values), False

    @property
    def comparison_key(self) -> tuple:
        """What must agree before predictions of two models are compared or averaged."""
        return self.name, self.columns, self.kind, self.unit, self.wraps

    def describe(self) -> str:
        """The target in words: "angle 'heading' of column heading in ° (period 360)"."""
        return f"{self.kind} '{self.name}' of {first_few(self.columns)}" + (f" in {self.unit}" if self.unit else "")

    # ---- JSON

    def to_dict(self) -> dict[str, Any]:
        """The target as JSON can hold it."""
        return {"kind": self.kind, **json_fields(self)}

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> "Target":
        """The target that `to_dict` wrote, but for its kind. Raises TypeError or KeyError for other fields."""
        if not isinstance(fields["columns"], (list, tuple)):
            raise TypeError(f"columns {fields['columns']!r}")
        for f in cls.__dataclass_fields__.values():
            if f.type in ("bool", bool) and not isinstance(fields.get(f.name, False), bool):
                raise TypeError(f"{f.name} {fields[f.name]!r}")
        return cls(**{name: as_tuples(value) for name, value in fields.items()})
