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
from .predictor import Predictor, list_pictures
from .tta import moves_for

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
                coverage: float | None = None, tta: bool = False) -> pd.DataFrame:
        """Predict for the images that every model can open; arguments as for Predictor.predict.

        Returns:
            `image`, the averaged predictions, and `ood`, if any model is calibrated: True where one of them flags
            the image. There are no intervals.

        Raises:
            ImgregError: As Predictor.predict does, and for a `coverage`.
        """
        if coverage is not None:
            raise ImgregError("--coverage with one model", f"{len(self.models)}, whose averaged half-widths have none")
        if tta:
            for model in self.models:
                moves_for(model.task)  # raises before the work begins
        if any(model.calibration for model in self.models):
            say("no intervals: averaged half-widths have no coverage, so predictions of several models have none")
        sources = list_pictures(pictures) if expand else pictures
        boxes = self.models[0].check_boxes(boxes, len(sources))
        opened, frames = np.arange(len(sources)), []  # positions of the images that all models up to here can open
        for model in self.models:
            own_boxes = None if boxes is None else boxes[opened]
            frame = model.predict([sources[i] for i in opened], own_boxes, bs=bs, quiet=quiet, expand=False, tta=tta)
            opened = opened[frame.index]
            frames.append(frame.set_axis(opened))
        return self._average([frame.loc[opened] for frame in frames], None if expand else opened)

    def _average(self, frames: list[pd.DataFrame], index: np.ndarray | None) -> pd.DataFrame:
        """Average one frame a model, all of the same images in the same order."""
        columns = {"image": frames[0]["image"].to_numpy()}
        for target in self.task.targets:
            values = np.stack([frame[list(target.columns)].to_numpy(float) for frame in frames])
            targets = [t for model in self.models for t in model.task.targets if t.name == target.name]
            # Predictions of a model without a log scale may be negative, which the average of a log scale cannot take.
            averaging_target = next((t for t in targets if not t.log_scale), target)
            averages = averaging_target.average(values)
            columns.update(zip(target.columns, averages.T, strict=True))
        flags = [frame["ood"].to_numpy(bool) for frame in frames if "ood" in frame]
        if flags:
            columns["ood"] = np.any(flags, axis=0)
        return pd.DataFrame(columns, index=index)


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
