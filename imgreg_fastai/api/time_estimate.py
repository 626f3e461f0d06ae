"""How long calibration, scores, plots and report will take, for a training with a time budget."""
import copy
import time
from collections.abc import Callable

import numpy as np
from fastai.learner import Learner

from ..evaluation.calibrate import MAX_PICTURES
from ..evaluation.metrics import network_outputs
from ..inference.model_file import model_metadata
from ..inference.predictor import Predictor
from ..models import backbones
from ..reports.occlusion import POSITIONS
from ..reports.run_page import MAX_TARGETS, n_occluded
from ..training import loop
from ..training.progress import Progress, TimePlan
from ..training.time_budget import TimeBudget
from ..training.trial import measure_training
from .plan import TrainingPlan

SAMPLE = 128  # images that are measured
MEASURED = 1.0  # seconds, of training steps before there is a run folder
# Seconds without the images' way through the network, by runs on one of two cores in 2026, the other one busy: 5.4 for
# one target; with intervals, 8.2 for one target and 21.5 for three.
CALIBRATION, CHARTS, CHARTS_OF_TARGET = 2.0, 0.5, 6.0


def begin(plan: TrainingPlan, learn: Learner, calibrates: bool) -> Progress:
    """Return the Progress of a training that begins, with its time if that is limited; arguments as `seconds_after`."""
    if plan.config.time is None:
        return Progress()
    return Progress(time=TimePlan(plan.config.time, seconds_after(plan, learn, calibrates)))


def refuse_short(plan: TrainingPlan, learn: Learner, in_precision: str, pretrained: bool, calibrates: bool) -> None:
    """Raise ImgregError if no step fits into the time of a training, before it has a run folder.

    Args:
        plan: With its rows split.
        learn: Its Learner, which stays as it is.
        in_precision: The precision of the body.
        pretrained: Whether it begins with weights.
        calibrates: Whether intervals are calibrated.
    """
    progress, config = begin(plan, learn, calibrates), plan.config
    budget = time_budget(plan, progress)
    if budget:
        progress.epoch_steps = loop.count_epoch_steps(learn, config)
        step, valid = measure_training(learn, in_precision, config.accumulate, MEASURED)
        budget.make(step, valid, progress, config.freeze_epochs if pretrained else 0)


def time_budget(plan: TrainingPlan, progress: Progress) -> TimeBudget | None:
    """Return what keeps a training within its time; None if that is not limited."""
    if progress.time is None:
        return None
    started = time.perf_counter() if plan.started is None else plan.started
    return TimeBudget(progress.time, started, fixed=plan.config.deterministic)


def seconds_after(plan: TrainingPlan, learn: Learner, calibrates: bool) -> float:
    """Estimate the seconds from the last epoch to the end of the report.

    Args:
        plan: With its rows split.
        learn: Its Learner, whose network stays as it is.
        calibrates: Whether intervals are calibrated.
    """
    task, config, rows = plan.task, plan.config, plan.rows
    metadata = model_metadata(task, config.arch, config.arch_args, backbones.stats(config.arch), {})
    model = Predictor(task, copy.deepcopy(learn.model).eval(), metadata, str(learn.dls.device))
    sample = rows[rows["split"] != "train"].head(SAMPLE)
    network_outputs(model, sample.head(16))  # warms up
    of_image = _timed(lambda: network_outputs(model, sample)) / len(sample)
    pixels = np.zeros((16, *task.size, 3), np.uint8)
    of_pass = _timed(lambda: model.forward(pixels)) / len(pixels)

    n = rows["split"].value_counts().to_dict()
    n_images = n.get("valid", 0) + n.get("test", 0)
    if calibrates:
        n_images += sum(min(MAX_PICTURES, n.get(part, 0)) for part in ("train", "valid")) + n.get("calibrate", 0)
    n_targets = min(len(task.targets), MAX_TARGETS)
    n_passes = 2 * n_occluded(n_targets) * n_targets * (POSITIONS**2 + 1)
    constant = CHARTS + CHARTS_OF_TARGET * n_targets + (CALIBRATION if calibrates else 0)
    return n_images * of_image + n_passes * of_pass + constant


def _timed(function: Callable[[], object]) -> float:
    """The seconds that a function takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start
