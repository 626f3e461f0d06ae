"""The time of a training with a budget: what follows it, and whether a step fits at all."""
import copy
import time
from collections.abc import Callable

import numpy as np
from fastai.learner import Learner

from ..config import TrainConfig
from ..data.splits import calibrating_parts
from ..evaluation.calibrate import MAX_PICTURES
from ..evaluation.metrics import network_outputs
from ..inference.model_file import model_metadata
from ..inference.predictor import Predictor
from ..models import backbones
from ..reports.occlusion import POSITIONS
from ..reports.run_page import MAX_TARGETS, n_occluded
from ..training import loop
from ..training.batch_size import measure_steps
from ..training.progress import Progress, TimePlan
from ..training.time_budget import MEASURED, TimeBudget
from .floor import SHARE
from .plan import TrainingPlan

SAMPLE = 128  # images that are measured
STEPS_SECONDS = 1.0  # for measuring training steps, before there is a run folder
# Seconds of what is not the network's, measured in 2026 on one core while the other was busy: 5.4 for one target; with
# intervals, 8.2 for one target and 21.5 for three.
CALIBRATION, CHARTS, CHARTS_OF_TARGET = 2.0, 0.5, 6.0


def begin(plan: TrainingPlan, learn: Learner, in_precision: str, pretrained: bool,
          is_auto: bool) -> tuple[TrainConfig, Progress]:
    """Return the settings and the Progress of a training that begins, with its time if that is limited.

    Args:
        plan: With its rows split.
        learn: Its Learner, which stays as it is.
        in_precision: The precision of the body.
        pretrained: Whether it begins with weights.
        is_auto: Whether smaller batches may be made where memory is exhausted.

    Raises:
        ImgregError: No step fits into the time, beside the ridge on frozen features and what follows the training.
    """
    config = plan.config
    if config.time is None:
        return config, Progress()
    seconds = config.time
    config, step, valid = measure_steps(learn, config, in_precision, STEPS_SECONDS, is_auto)
    time_plan = TimePlan(seconds, seconds_after(plan, learn, bool(calibrating_parts(plan.rows, config))))
    budget = time_budget(plan, copy.copy(time_plan))
    budget.start -= (SHARE + MEASURED) * seconds  # as if the ridge and the measuring for the plan were over
    trial = Progress(epoch_steps=loop.count_epoch_steps(learn, config))
    budget.make(step, valid, trial, config.freeze_epochs if pretrained else 0)
    return config, Progress(time=time_plan)


def time_budget(plan: TrainingPlan, time_plan: TimePlan) -> TimeBudget:
    """Return what keeps a training within its time."""
    started = time.perf_counter() if plan.started is None else plan.started
    return TimeBudget(time_plan, started, plan.config.deterministic, plan.config.n_trainings)


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
