"""One trial: a training by imgreg_fastai with what its technique changes."""
import time
from datetime import date

import numpy as np
import pandas as pd
from fastai.learner import Learner

from imgreg_fastai.api import fitting
from imgreg_fastai.api.plan import TrainingPlan
from imgreg_fastai.runs import versions
from imgreg_fastai.tasks import Task
from imgreg_fastai.training import loop
from imgreg_fastai.training.precision import has_bfloat16
from imgreg_fastai.utils.messages import muted

from . import data_sets
from .averages import AVERAGES
from .table import BASELINE, Result, Trial
from .techniques import TECHNIQUES

SHARING = (BASELINE, *AVERAGES)  # a training


def precision() -> str:
    """bf16 where the processor computes in it; the package's auto would depend on what else the machine does."""
    return "bf16" if has_bfloat16() else "fp32"


def train(trial: Trial, data: data_sets.DataSet, frame: pd.DataFrame) -> dict[str, Result]:
    """Do a trial. Averages change nothing while the network trains: one training measures the baseline and all of them.

    Args:
        trial: The trial.
        data: Its data set.
        frame: Of `data_sets.labels`.

    Returns:
        {technique: its result}; {} if the technique does not apply to the data set.
    """
    technique = TECHNIQUES[trial.technique]
    with muted():
        plan = data_sets.plan(data, frame, trial.fold, epochs=trial.epochs, seed=trial.seed)
        pretrained = plan.config.weights != "none"
        if not technique.applies(plan.task, pretrained):
            return {}
        plan = technique.change_plan(plan)
        averages = {name: average() for name, average in AVERAGES.items()} if trial.technique in SHARING else {}
        with technique.patch():
            learn, _ = fitting.build_learner(plan)
            start = time.perf_counter()
            callbacks = [*technique.start(learn, plan.task, plan.config), *averages.values()]
            with learn.added_cbs(callbacks):
                loop.fit(learn, plan.config, loop.TrainingWatch(), pretrained, precision())
        seconds = time.perf_counter() - start
        results = {BASELINE if averages else trial.technique: result(learn, plan, seconds)}
        for name, average in averages.items():
            learn.model.load_state_dict(average.average, strict=False)
            results[name] = result(learn, plan, seconds)
    return results


def result(learn: Learner, plan: TrainingPlan, seconds: float) -> Result:
    """Measure the newest weights of a Learner on the fold held out."""
    errors, guessing = [float(value) for value in learn.validate()[1:]], guess_errors(plan.task, plan.rows)
    names, score = [t.name for t in plan.task.targets], float(np.mean(np.divide(errors, guessing)))
    return Result(_text(names, errors), _text(names, guessing), round(score, 5), round(seconds, 1), str(date.today()),
                  versions()["imgreg-fastai"])


def guess_errors(task: Task, rows: pd.DataFrame) -> list[float]:
    """The mean error of the best constant guess of each target, on the part held out."""
    train_rows, valid_rows = (rows[rows["split"] == part] for part in ("train", "valid"))
    errors = []
    for target in task.targets:
        known, true = (part[list(target.columns)].to_numpy(float) for part in (train_rows, valid_rows))
        guess = target.constant_guess(known[np.isfinite(known).all(axis=1)])
        errors.append(float(np.nanmean(target.error(np.broadcast_to(guess, true.shape), true))))
    return errors


def _text(names: list[str], errors: list[float]) -> str:
    return "; ".join(f"{name} {error:.4g}" for name, error in zip(names, errors, strict=True))
