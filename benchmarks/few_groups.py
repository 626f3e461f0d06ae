"""How few people calibrate intervals, and what it costs to give some up for it, where the photographs are available.

    IMGREG_REAL_DATA=FOLDER python -m benchmarks --only few_groups

FOLDER is that of new_people.py. The models are ridges on frozen features, so that many of them can be fitted: five
folds of people give each image an error of a model that has not seen its person. Random people calibrate, and all
others are new.
"""
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.model_selection import GroupKFold

from imgreg_fastai.api import preparation, run_stages
from imgreg_fastai.api.plan import TrainingPlan
from imgreg_fastai.data.splits import CALIBRATE_SHARE
from imgreg_fastai.evaluation import frozen_ridge, ridge
from imgreg_fastai.evaluation.feature_cache import frozen_features
from imgreg_fastai.inference.quantiles import guaranteed_quantile, left_out_quantile, sort_scores
from imgreg_fastai.models import weights
from imgreg_fastai.models.output_head import SigmoidRange
from imgreg_fastai.tasks import Task
from imgreg_fastai.utils.messages import muted

from . import keypoints, photographs, pointing
from .coverage import COVERAGE

FOLDS = 5
PEOPLE = (3, 6, 9, 12, 17, 30)  # that calibrate
DIVISIONS, SHARES = 60, 12  # random divisions of people, and draws of those given up
MOST_COLUMNS = 10  # points of faces whose intervals are measured


class Features:
    """The frozen features of labelled images.

    Args:
        plan (TrainingPlan): of a training on them.

    Attributes:
        people (np.ndarray): number of the person of each image, [n].
    """

    def __init__(self, plan: TrainingPlan):
        with muted():
            body, _ = run_stages.build_body(plan, weights.find_weights(plan.config.arch, plan.config.weights))
            model = frozen_ridge.build_model(plan.task, plan.config, body, {}, len(plan.rows), "cpu")
            self.rows, self.output = frozen_features(model, plan.rows)
        self.task: Task = plan.task
        self.people = pd.factorize(self.rows["group"])[0]
        self.logits = ridge.to_logits(ridge.encode_labels(self.task, self.rows, self.output.views))

    def errors(self, fitted: np.ndarray, scored: np.ndarray) -> np.ndarray:
        """Fit a ridge to some images; return the errors of others that have an interval, [n, m]."""
        features, views = self.output.features, self.output.views
        fit = ridge.fit_ridge(self.task, features[fitted], self.logits[fitted], self.people[fitted])
        logits = torch.from_numpy(features[scored] @ fit.slopes + fit.intercepts)
        outputs = SigmoidRange()(logits).numpy()
        predicted, rows = self.task.decode(outputs, views[scored]), self.rows.iloc[scored]
        return np.hstack([t.interval_errors(predicted[t.name], rows[list(t.columns)].to_numpy(float))
                          for t in self.task.targets])


def measure(quick: bool = False) -> list[dict]:
    """Measure coverage by the number of people that calibrate, and the error without those who are kept for it.

    Args:
        quick (bool): few images and draws.

    Returns:
        list of dict: rows of `cover` and of `cost`.
    """
    def part(name, make_plan, *paths):
        features = Features(make_plan(*paths, quick))
        return [*cover(name, features, 2 if quick else DIVISIONS), cost(name, features, 2 if quick else SHARES)]

    plans = {"pointing04": plan_heads, "facial_keypoints": plan_faces}
    return photographs.measure_each({name: partial(part, name, make_plan) for name, make_plan in plans.items()})


def plan_heads(table: Path, file: Path, quick: bool) -> TrainingPlan:
    """Plan a training on the centres of the heads."""
    frame = pointing.read(table, 6 if quick else None)
    return _plan(frame, file, quick, "centre=head_cx_px,head_cy_px:point", (96, 128))


def plan_faces(table: Path, file: Path, quick: bool) -> TrainingPlan:
    """Plan a training on the points of faces."""
    frame = pd.read_csv(table).drop(columns="split")
    frame["image"] = [str((table.parent / name).resolve()) for name in frame["image"]]
    frame = frame.groupby("person").head(3) if quick else frame
    return _plan(frame, file, quick, keypoints.OPTIONS["targets"], (128, 128))


def _plan(frame: pd.DataFrame, file: Path, quick: bool, targets: str | list[str],
          size: tuple[int, int]) -> TrainingPlan:
    """Plan a training by person; all rows are used, whatever their part."""
    options = {"arch": "mobilenetv2_100", "arch_args": {"pad_type": "same"}, "weights": str(file)}
    options |= {"arch": "test_resnet", "arch_args": {}, "weights": "none"} if quick else {}
    with muted():
        return preparation.prepare(frame.reset_index(drop=True), targets=targets, size=size, group="person", quick=True,
                                   **options)


def cover(name: str, features: Features, divisions: int) -> list[dict]:
    """Measure intervals by the number of people that calibrate them.

    Returns:
        list of dict: a row a number: the mean coverage of the quantile that is guaranteed (missing where it is
        infinite) and of the one by groups left out, all new people weighing the same, and the latter's standard
        deviation.
    """
    people, rng, rows = features.people, np.random.default_rng(0), []
    errors = np.empty((len(people), len(features.task.interval_columns)))
    for fitted, scored in GroupKFold(FOLDS).split(people, groups=people):
        errors[scored] = features.errors(fitted, scored)
    errors = errors[:, :: max(1, errors.shape[1] // MOST_COLUMNS)]
    names = np.unique(people)
    for n in PEOPLE:
        if n >= 0.8 * len(names):
            break
        found = [_coverage(errors, people, rng.permutation(names)[:n]) for _ in range(divisions)]
        guaranteed, left_out = np.array(found).T
        rows.append({"data": name, "people that calibrate": n, "guaranteed": guaranteed.mean(),
                     "left out": left_out.mean(), "spread": left_out.std()})
    return rows


def _coverage(errors: np.ndarray, people: np.ndarray, calibrating: np.ndarray) -> tuple[float, float]:
    """The coverage of new people by both quantiles, as the mean over columns; NaN for an infinite one."""
    calibrates, results = np.isin(people, calibrating), []
    for column in errors.T:
        scores = sort_scores(column[calibrates], people[calibrates])
        for quantile in (guaranteed_quantile, left_out_quantile):
            width = quantile(scores, COVERAGE)
            inside = pd.Series(column[~calibrates] <= width).groupby(people[~calibrates]).mean().mean()
            results.append(inside if np.isfinite(width) else np.nan)
    return tuple(np.reshape(results, (-1, 2)).mean(axis=0))


def cost(name: str, features: Features, draws: int) -> dict:
    """Measure the error without those who would be kept for intervals, on a fifth of the people.

    Returns:
        dict: how much larger the mean error is on average, and the standard deviation of that mean.
    """
    people, rng, ratios = features.people, np.random.default_rng(1), []
    names = np.unique(people)
    for _ in range(draws):
        scored, trained = np.split(rng.permutation(names), [len(names) // FOLDS])
        kept = trained[round(CALIBRATE_SHARE * len(trained)) :]
        everyone, fewer = (np.nanmean(features.errors(np.isin(people, some), np.isin(people, scored)))
                           for some in (trained, kept))
        ratios.append(fewer / everyone - 1)
    return {"data": name, "people given up": f"{CALIBRATE_SHARE:.0%}", "larger error": np.mean(ratios),
            "spread": np.std(ratios) / np.sqrt(draws)}
