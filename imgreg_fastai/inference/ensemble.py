"""Several models whose predictions are averaged."""
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from ..data.images import SUFFIXES
from ..tasks import Task
from ..utils.messages import ImgregError, first_few, say
from .inputs import Inputs, resolve_inputs
from .merging import ModelPredictions, merge_intervals
from .predictor import Predictor, name_sources

MODEL_SUFFIXES = (".imgreg", ".safetensors", ".pkl")  # of files that are opened as models, or refused as such


@dataclass(frozen=True)
class Ensemble:
    """Models of the same targets, whose predictions are averaged by each target's own average.

    Args:
        models: At least one.

    Raises:
        ImgregError: If the targets differ in Target.comparison_key, or the boxes differ.
    """

    models: tuple[Predictor, ...] = field(repr=False)

    def __post_init__(self):
        if not self.models:
            raise ImgregError("a run or a model file", "none")
        targets = {t.comparison_key: t for t in self.task.targets}
        for model in self.models[1:]:
            others = {t.comparison_key: t for t in model.task.targets}
            if in_one_only := targets.keys() ^ others.keys():
                names = first_few(sorted({**targets, **others}[key].describe() for key in in_one_only), 8)
                raise ImgregError("models of the same targets", f"some that are not in all: {names}")
            if model.task.box != self.task.box:
                boxes = [first_few(task.box) or "none" for task in (self.task, model.task)]
                raise ImgregError("models that were trained on the same --box", " and ".join(boxes))

    @property
    def task(self) -> Task:
        """The task of the first model."""
        return self.models[0].task

    def predict(self, pictures: Any, boxes: Any = None, *, bs: int = 64, quiet: bool = False, expand: bool = True,
                coverage: float | None = None, tta: bool = False, tell: bool = True) -> pd.DataFrame:
        """Predict for the images that every model can open; arguments as for Predictor.predict.

        Returns:
            `image`, the averaged predictions, and if any model is calibrated half-widths, see `merging`, and `ood`:
            True where one of the models flags the image.

        Raises:
            ImgregError: As Predictor.predict does.
        """
        coverage = self.check_options(coverage, tta)
        inputs = resolve_inputs(pictures, boxes, self.task) if expand else Inputs(pictures, boxes)
        opened, models = self.predict_each(inputs.sources, inputs.boxes, bs=bs, quiet=quiet, tta=tta, tell=tell)
        frame = inputs.with_table_names(self.merge(inputs.sources, opened, models, coverage))
        return frame.reset_index(drop=True) if expand else frame

    def check_options(self, coverage: float | None = None, tta: bool = False, joint: bool = False) -> float | None:
        """Raise ImgregError before the work where a model has no such intervals or moves; return `resolve_coverage`."""
        if joint:
            raise ImgregError("--joint with one model", f"{len(self.models)} models", "one RUN at a time")
        for model in self.models:
            model.check_options(tta=tta)
        return self.resolve_coverage(coverage)

    def resolve_coverage(self, coverage: float | None = None) -> float | None:
        """Return the coverage of the intervals: `coverage`, or the lowest that a model was calibrated for.

        Raises:
            ImgregError: If no model is calibrated, or one that is has no intervals of this coverage.
        """
        calibrated = [model for model in self.models if model.calibration]
        if not calibrated:
            return self.models[0].resolve_coverage(coverage)
        if coverage is None:
            coverage = min(model.about["calibration"]["coverage"] for model in calibrated)
        for model in calibrated:
            model.resolve_coverage(coverage)
        return coverage

    def predict_each(self, sources: list, boxes: Any = None, *, bs: int = 64, quiet: bool = False,
                     tta: bool = False, tell: bool = True) -> tuple[np.ndarray, list[ModelPredictions]]:
        """Predict for a list of images, see Predictor.predict_each; the images are those that every model can open."""
        n_calibrated = sum(model.calibration is not None for model in self.models)
        if 0 < n_calibrated < len(self.models):
            say(f"intervals come from the {n_calibrated} of {len(self.models)} models that are calibrated")
        boxes = self.models[0].check_boxes(boxes, len(sources))
        opened = np.arange(len(sources))  # positions of the images that all models up to here can open
        results: list[ModelPredictions] = []
        for model in self.models:
            own_boxes = None if boxes is None else boxes[opened]
            rows, (predictions,) = model.predict_each([sources[i] for i in opened], own_boxes, bs=bs, quiet=quiet,
                                                      tta=tta, tell=tell and not results)
            results = [result.take(rows) for result in results] + [predictions]
            opened = opened[rows]
        return opened, results

    def merge(self, sources: list, opened: np.ndarray, models: list[ModelPredictions],
              coverage: float | None = None, joint: bool = False) -> pd.DataFrame:
        """Average what `predict_each` returned for `sources`; as `predict` returns it, with `opened` as its index."""
        columns: dict[str, Any] = {}
        for target in self.task.targets:
            values = np.stack([model.target_values(target) for model in models])
            targets = [t for model in self.models for t in model.task.targets if t.name == target.name]
            # Predictions of a model without a log scale may be negative, which the average of a log scale cannot take.
            averaging_target = next((t for t in targets if not t.log_scale), target)
            averages = target.bounded(averaging_target.average(values))
            columns.update(zip(target.columns, averages.T, strict=True))
        coverage = self.resolve_coverage(coverage)
        if coverage is not None:
            each_alone = np.arange(len(opened))[:, None]
            columns |= merge_intervals(self.task, models, each_alone, columns, coverage)
            columns["ood"] = np.any([model.ood for model in models if model.calibration], axis=0)
        return pd.DataFrame({"image": name_sources(sources, opened), **columns}, index=opened)


def count_models(arguments: Sequence[str]) -> int:
    """Count the leading arguments of a command that are models: the first, and the runs and model files that follow.

    A folder that holds an image is a folder of images, whatever else is in it.
    """
    for i, path in enumerate(arguments[1:], start=1):
        is_model = os.path.isfile(path) and Path(path).suffix.lower() in MODEL_SUFFIXES
        if os.path.isdir(path):  # unlike Path.is_dir, this never raises
            is_run = os.path.isfile(os.path.join(path, "run.json"))
            is_model = is_run and not any(file.suffix.lower() in SUFFIXES for file in Path(path).iterdir())
        if not is_model:
            return i
    return len(arguments)
