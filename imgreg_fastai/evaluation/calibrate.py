"""Fitting the intervals of a trained network on labelled pictures that it has not learnt from."""
from dataclasses import replace
from typing import NamedTuple
from warnings import catch_warnings, simplefilter

import numpy as np
import pandas as pd

from ..config import TrainConfig, fewest_to_calibrate
from ..data import splits
from ..inference.conformal import UNLIKE, Calibration, FeatureSpace, difficulty, difficulty_inputs, linear
from ..inference.predictor import NetworkOutput, Predictor
from ..utils.console import warn
from ..utils.errors import first_few
from . import metrics

MOST = 2000  # pictures of the training and of the validation part that are looked at
AXES = 64  # directions in which the training pictures differ most
FEWEST = 30  # validation pictures to learn difficulty from
SHARES = (0.25, 0.5, 0.75, 1.0)  # of the logarithm of the expected error that are believed, to choose from
WORTH = 0.99  # of the plain radii's mean: difficulty is kept where it makes them smaller than this
FLOOR = 0.5  # of the median error: a smaller one was good luck, and does not say that its picture is easy
STRENGTHS = np.logspace(-1, 5, 13)  # of the ridge, to choose from
PARTS = 5  # of the validation part, to choose by


def calibrate(model: Predictor, frame: pd.DataFrame, cfg: TrainConfig) -> Predictor:
    """The model with the Calibration that the rows of `frame` give it; as it is, and said, where they are too few.

    Training pictures tell what the model knows, those of the validation part which pictures are hard, and those of the
    part `calibrate`, which nothing else has seen, how large the radii must be.
    """
    space, (trained, valid, kept) = score_parts(model, frame, frame[frame["split"] == "calibrate"], cfg.seed)
    sized, weights, low, high, gains = fit_difficulty(model.task, trained, valid, cfg.coverage)
    inputs, far, distances, extents, units = kept
    scores = distances / (extents**sized * difficulty(inputs, weights, low, high))
    scores, units = _enough(scores, units, cfg.coverage, [w for t in model.task.targets for w in t.interval_columns])
    if not np.isfinite(scores).any():
        return model
    found = Calibration(space, sized, weights, low, high, scores, units,
                        np.quantile(far, [1 - UNLIKE], method="higher"))
    about = {"coverage": cfg.coverage, "pictures": len(scores), "units": len(np.unique(units)),
             "narrower": {name: round(float(gain), 4) for name, gain in gains.items()}}
    return replace(model, calibration=found, about={**model.about, "calibration": about})


def fit_feature_space(features: np.ndarray) -> FeatureSpace:
    """The Space of the training pictures' features [n, F]."""
    from sklearn.decomposition import PCA

    features = features.astype(np.float64)
    n, width = features.shape
    found = PCA(max(1, min(AXES, n // 10, width - 1)), random_state=0).fit(features)
    least = 1e-6 * features.var(axis=0).mean() + 1e-12  # features that are 0 in every picture tell nothing
    return FeatureSpace(found.mean_, found.components_.astype(np.float32), np.maximum(found.explained_variance_, least),
                 np.maximum([found.noise_variance_], least))


class ScoredPart(NamedTuple):
    """Labelled pictures: what difficulty is judged by [n, d], how far they lie [n], their distances and extents [n, m].

    `units` [n]: what they have in common, see splits.units.
    """

    inputs: np.ndarray
    far: np.ndarray
    distances: np.ndarray
    extents: np.ndarray
    units: np.ndarray


def score_part(task, space: FeatureSpace, rows: pd.DataFrame, seen: NetworkOutput) -> ScoredPart:
    """What is known of labelled rows that a model has seen, features included: see metrics.seen."""
    inputs, far = difficulty_inputs(space, seen.features, seen.outputs, task.uncertainty_features(seen.outputs))
    decoded = task.decode(seen.outputs, seen.views)
    distances = [t.interval_errors(decoded[t.name], rows[list(t.columns)].to_numpy(float)) for t in task.targets]
    return ScoredPart(inputs, far, np.hstack(distances), task.error_scales(seen.views), pd.factorize(splits.split_units(rows))[0])


def score_parts(model: Predictor, frame: pd.DataFrame, kept: pd.DataFrame, seed: int) -> tuple[FeatureSpace, list[ScoredPart]]:
    """The Space of the training pictures, and what is known of these, of those that validate, and of the rows `kept`.

    Of the first two parts at most MOST are looked at, drawn by `seed`.
    """
    parts = [frame[frame["split"] == part] for part in ("train", "valid")]
    rows = [*(of.sample(min(MOST, len(of)), random_state=seed) for of in parts), kept]
    seen = [metrics.network_outputs(model, of, features=True) for of in rows]
    space = fit_feature_space(seen[0][1].features)
    return space, [score_part(model.task, space, *of) for of in seen]


def _enough(scores: np.ndarray, units: np.ndarray, coverage: float, names: list[str]):
    """The scores [n, m] without columns that too few labels have for that coverage, and the units [n] of its promise.

    These are groups; where a column has too few of them, each picture stands for itself. Both are said.
    """
    labelled, least = np.isfinite(scores), fewest_to_calibrate(coverage)
    few = labelled.sum(axis=0) < least
    if few.any():
        lacking = first_few(name for name, lacks in zip(names, few, strict=True) if lacks)
        warn(f"no intervals for {lacking}: fewer than {least} of the {len(scores)} pictures kept are labelled")
    groups = min((len(np.unique(units[of])) for of in labelled.T[~few]), default=least)
    if groups < least:
        warn(f"intervals rest on {groups} group{'s' * (groups > 1)}, and at least {least} would make them hold for "
             "new ones: of pictures of new groups they may hold fewer than they say")
        units = np.arange(len(units))
    return np.where(few, np.nan, scores), units


def fit_difficulty(task, trained: ScoredPart, valid: ScoredPart, coverage: float):
    """`sized`, `weights`, `low` and `high` of a Calibration, and what they gain.

    A ridge on the logarithm of the errors. Training pictures, which are many, tell too which ones are hard, though not
    how hard: each part's mean is left out. On validation pictures of units apart it is measured whether errors grow
    with the extent, and how much of what the ridge expects is to be believed: as much as makes the mean radius
    smallest, and nothing where that gains too little. Gains: {target: that mean radius as a part of the constant one}.
    """
    m, gains, end = valid.distances.shape[1], {}, 0
    sized, weights, low, high = np.zeros(m), np.zeros((valid.inputs.shape[1] + 1, m)), np.zeros(m), np.zeros(m)
    for t in task.targets:
        start, end = end, end + len(t.interval_columns)
        old, new = (_of(part, slice(start, end)) for part in (trained, valid))
        if len(new.units) < FEWEST or len(np.unique(new.units)) < PARTS:
            continue
        size, share, found, gains[t.name] = _believed(old, new, coverage)
        sized[start:end], weights[:, start:end] = size, share * found
        limits = np.quantile(linear(np.vstack([old.inputs, new.inputs]), share * found), (0.01, 0.99), axis=0)
        low[start:end], high[start:end] = limits
    return sized, weights, low, high, gains


def _believed(old: ScoredPart, new: ScoredPart, coverage: float) -> tuple[float, float, np.ndarray, float]:
    """Of one target: whether its errors grow with the extent, the share believed, the ridge's weights, and the gain."""
    x, units = np.vstack([old.inputs, new.inputs]), np.concatenate([old.units, -1 - new.units])
    best = (0.0, 0.0, np.zeros((x.shape[1] + 1, new.distances.shape[1])), 1.0)
    for size in (0.0, 1.0) if np.ptp(new.extents) > 1e-6 * new.extents.max() else (0.0,):
        plain = _narrower(new.distances, new.extents**size, coverage)
        if plain < WORTH * best[-1]:
            best = size, 0.0, best[2], plain
    for size in {0.0, best[0]}:
        y = np.vstack([_logs(part.distances / part.extents**size) for part in (old, new)])
        found, apart = _ridge(x, y, units)
        for share in SHARES:
            gain = _narrower(new.distances, new.extents**size * np.exp(share * apart[len(old.units) :]), coverage)
            if gain < (WORTH if best[1] == 0 else 1) * best[-1]:
                best = size, share, found, gain
    return best


def _of(part: ScoredPart, columns: slice) -> ScoredPart:
    """The pictures of a part that have a label of a target, and that target's columns."""
    known = np.isfinite(part.distances[:, columns]).any(axis=1)
    return ScoredPart(part.inputs[known], part.far[known], part.distances[known, columns], part.extents[known, columns],
                  part.units[known])


def _logs(distances: np.ndarray) -> np.ndarray:
    """The logarithms of errors [n, m] less their mean, from FLOOR on; 0 in place of missing ones."""
    with np.errstate(invalid="ignore"), catch_warnings():
        simplefilter("ignore", RuntimeWarning)  # a point that is labelled nowhere has no mean
        least = np.maximum(FLOOR * np.nanmedian(distances, axis=0), 1e-9)
        logs = np.log(np.maximum(distances, least))
        return np.nan_to_num(logs - np.nanmean(logs, axis=0))


def _ridge(x: np.ndarray, y: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights [d + 1, m] of a ridge for `y` [n, m] by `x` [n, d]; its predictions on units apart, less their mean."""
    from sklearn.base import clone
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV, GroupKFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = list(GroupKFold(PARTS).split(x, groups=units))
    search = GridSearchCV(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": STRENGTHS}, cv=folds,
                          scoring="neg_mean_squared_error").fit(x, y)
    scaler, ridge = search.best_estimator_
    slopes = (ridge.coef_.reshape(y.shape[1], -1) / scaler.scale_).T
    apart = np.empty_like(y)
    for own, other in folds:  # without their means, or the chance of which units are in which fold looks like knowledge
        made = clone(search.best_estimator_).fit(x[own], y[own]).predict(x[other])
        apart[other] = made.reshape(-1, y.shape[1]) - y[own].mean(axis=0)
    return np.vstack([slopes, ridge.intercept_ - scaler.mean_ @ slopes]), apart


def _narrower(distances: np.ndarray, hard: np.ndarray, coverage: float) -> float:
    """The mean radius by difficulties `hard` [n, m] as a part of the constant one, at the same coverage."""
    with catch_warnings():
        simplefilter("ignore", RuntimeWarning)  # of a point that is labelled nowhere
        radii = np.nanquantile(distances / hard, coverage, axis=0) * hard.mean(axis=0)
        return float(np.nanmean(radii / np.nanquantile(distances, coverage, axis=0)))
