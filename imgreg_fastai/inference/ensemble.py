"""Several models that answer together."""
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ..data.images import SUFFIXES
from ..tasks import Target, Task
from ..utils.console import say
from ..utils.errors import ImgregError, first_few
from .predictor import Predictor, list_pictures
from .tta import moves_for

MODELS = (".imgreg", ".safetensors", ".pkl")  # endings of what is opened as a model, or refused as one
TOLD = "no intervals: averaged radii would promise nothing, so an answer of several models has none"


@dataclass(frozen=True)
class Ensemble:
    """Models whose answers to the same question are averaged, by each kind's own mean.

    Raises ImgregError unless their targets agree in name, columns, kind, unit, period and sequence, and their boxes.
    """

    models: tuple[Predictor, ...] = field(repr=False)

    def __post_init__(self):
        if not self.models:
            raise ImgregError("a run or a model file", "none")
        known = set(map(_question, self.task.targets))
        for other in self.models[1:]:
            if differing := known ^ set(map(_question, other.task.targets)):
                told = first_few(sorted(map(_told, differing)), 8)
                raise ImgregError("models of the same targets", f"some that are not in all: {told}")
            if other.task.box != self.task.box:
                boxes = (first_few(box) or "none" for box in (self.task.box, other.task.box))
                raise ImgregError("models that were trained on the same --box", " and ".join(boxes))

    @property
    def task(self) -> Task:
        """The first model's."""
        return self.models[0].task

    def predict(self, pictures, boxes=None, bs: int = 64, quiet: bool = False, listed: bool = False,
                coverage: float | None = None, tta: bool = False) -> pd.DataFrame:
        """As Predictor.predict, of pictures that open for every model: `image`, and the average of their answers.

        `unlike`, where any model tells it, is True where one of them says so. There are no intervals, which is said
        once; raises ImgregError for a `coverage`.
        """
        if coverage is not None:
            raise ImgregError("--coverage with one model", f"{len(self.models)}, and averaged radii promise nothing")
        for model in self.models if tta else ():
            moves_for(model.task)  # what cannot be done is known before the work
        if any(model.calibration for model in self.models):
            say(TOLD)
        sources = pictures if listed else list_pictures(pictures)
        boxes, left, frames = self.models[0].boxed(boxes, len(sources)), np.arange(len(sources)), []
        for model in self.models:
            found = model.predict([sources[i] for i in left], None if boxes is None else boxes[left], bs, quiet,
                                  listed=True, tta=tta)
            left = left[found.index]
            frames.append(found.set_axis(left))
        return self._averaged([frame.loc[left] for frame in frames], left if listed else None)

    def _averaged(self, frames: list[pd.DataFrame], index) -> pd.DataFrame:
        """One frame of those of each model, of the same pictures in the same order."""
        found = {"image": frames[0]["image"].to_numpy()}
        for target in self.task.targets:
            answers = np.stack([frame[list(target.columns)].to_numpy(float) for frame in frames])
            found.update(zip(target.columns, self._learnt(target).average(answers).T, strict=True))
        if judged := [frame["unlike"].to_numpy(bool) for frame in frames if "unlike" in frame]:
            found["unlike"] = np.any(judged, axis=0)
        return pd.DataFrame(found, index=index)

    def _learnt(self, target: Target) -> Target:
        """The target as one of the models learnt it; plainly if any did, for its answers may have no logarithm."""
        each = [t for model in self.models for t in model.task.targets if t.name == target.name]
        return next((t for t in each if getattr(t, "scale", "log") != "log"), target)


def _question(target: Target) -> tuple:
    """What must be the same of targets whose answers are averaged."""
    more = (getattr(target, name, None) for name in ("period", "sequence"))
    return target.name, target.columns, target.kind, target.unit, *more


def _told(question: tuple) -> str:
    """angle 'heading' of column heading in ° (period 360)."""
    name, columns, kind, unit, period, sequence = question
    more = f" (period {period:g})" if period else f" (sequence {sequence})" if sequence else ""
    return f"{kind} '{name}' of {first_few(columns)}" + (f" in {unit}" if unit else "") + more


def count_models(places: Sequence[str]) -> int:
    """How many of a command's arguments are models: the first, and the run folders and model files that follow it.

    A folder with a picture in it is a folder of pictures, whatever else lies there.
    """
    return next((i for i, place in enumerate(places) if i and not _is_model(place)), len(places))


def _is_model(place: str) -> bool:
    if os.path.isdir(place):  # unlike Path's, these never raise
        run = os.path.isfile(os.path.join(place, "run.json"))
        return run and not any(path.suffix.lower() in SUFFIXES for path in Path(place).iterdir())
    return os.path.isfile(place) and Path(place).suffix.lower() in MODELS
