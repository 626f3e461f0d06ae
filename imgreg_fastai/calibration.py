"""Fitting the intervals of a trained network on labelled pictures that it has not learnt from."""
from dataclasses import replace
from typing import NamedTuple
from warnings import catch_warnings, simplefilter

import numpy as np
import pandas as pd

from . import scoring, splits
from .config import TrainConfig
from .intervals import UNLIKE, Calibration, Space, hardness, inputs_of, quantile, weighed
from .messages import warn
from .predictor import Predictor, Seen

MOST = 2000  # pictures of the training and of the validation part that are looked at
AXES = 64  # directions in which the training pictures differ most
FEWEST = 30  # validation pictures to learn difficulty from
SHARES = (0.25, 0.5, 0.75, 1.0)  # of the logarithm of the expected error that are believed, to choose from
WORTH = 0.99  # of the plain radii's mean: difficulty is kept where it makes them smaller than this
FLOOR = 0.5  # of the median error: a smaller one was good luck, and does not say that its picture is easy
STRENGTHS = np.logspace(-1, 5, 13)  # of the ridge, to choose from
PARTS = 5  # of the validation part, to choose by


def fit(model: Predictor, frame: pd.DataFrame, cfg: TrainConfig) -> Predictor:
    """The model with the Calibration that the rows of `frame` give it; as it is, and said, where they are too few.

    Training pictures tell what the model knows, those of the validation part which pictures are hard, and those of the
    part `calibrate`, which nothing else has seen, how large the radii must be.
    """
    parts = dict(list(frame.groupby("split")))
    trained = parts["train"].sample(min(MOST, len(parts["train"])), random_state=cfg.seed)
    trained = scoring.seen(model, trained, features=True)
    space = space_of(trained[1].features)
    valid = scoring.seen(model, parts["valid"][:MOST], features=True)
    weights, low, high, gains = difficulty(model.task, judged(model.task, space, *trained),
                                           judged(model.task, space, *valid), cfg.coverage)
    kept = scoring.seen(model, parts["calibrate"], features=True)
    inputs, far, distances, extents, units = judged(model.task, space, *kept)
    units = _exchangeable(units, cfg.coverage)
    scores = distances / (extents * hardness(inputs, weights, low, high))
    if not all(np.isfinite(quantile(s[np.isfinite(s)], units[np.isfinite(s)], cfg.coverage)) for s in scores.T
               if np.isfinite(s).any()):
        warn(f"no intervals: too few of the {len(scores)} pictures kept to calibrate them have labels")
        return model
    found = Calibration(space, weights, low, high, scores, units,
                        np.quantile(far, [1 - UNLIKE], method="higher"))
    about = {"coverage": cfg.coverage, "pictures": len(scores), "units": len(np.unique(units)),
             "narrower": {name: round(float(gain), 4) for name, gain in gains.items()}}
    return replace(model, calibration=found, about={**model.about, "calibration": about})


def space_of(features: np.ndarray) -> Space:
    """The Space of the training pictures' features [n, F]."""
    from sklearn.decomposition import PCA

    features = features.astype(np.float64)
    n, width = features.shape
    found = PCA(max(1, min(AXES, n // 10, width - 1)), random_state=0).fit(features)
    least = 1e-6 * features.var(axis=0).mean() + 1e-12  # features that are 0 in every picture tell nothing
    return Space(found.mean_, found.components_.astype(np.float32), np.maximum(found.explained_variance_, least),
                 np.maximum([found.noise_variance_], least))


class Judged(NamedTuple):
    """Labelled pictures: what difficulty is judged by [n, d], how far they lie [n], their distances and extents [n, m].

    `units` [n]: what they have in common, see splits.units.
    """

    inputs: np.ndarray
    far: np.ndarray
    distances: np.ndarray
    extents: np.ndarray
    units: np.ndarray


def judged(task, space: Space, rows: pd.DataFrame, seen: Seen) -> Judged:
    """What is known of labelled rows that a model has seen, features included: see scoring.seen."""
    inputs, far = inputs_of(space, seen.features, seen.outputs, task.doubts(seen.outputs))
    decoded = task.decode(seen.outputs, seen.views)
    distances = [t.distances(decoded[t.name], rows[list(t.columns)].to_numpy(float)) for t in task.targets]
    return Judged(inputs, far, np.hstack(distances), task.extents(seen.views), pd.factorize(splits.units(rows))[0])


def _exchangeable(units: np.ndarray, coverage: float) -> np.ndarray:
    """The units that the promise is made for: groups, or said, each picture for itself where groups are too few."""
    groups, needed = len(np.unique(units)), int(np.ceil(coverage / (1 - coverage) - 1e-9))
    if groups == len(units) or groups >= needed:
        return units
    warn(f"intervals rest on {groups} groups, and at least {needed} would make them hold for new ones: "
         "of pictures of new groups they may hold fewer than they say")
    return np.arange(len(units))


def difficulty(task, trained: Judged, valid: Judged, coverage: float):
    """Weights [d + 1, m] and limits [m], [m] of the logarithm of the difficulty, see Calibration; and what it gains.

    A ridge on the logarithm of the errors over their extent. Training pictures, which are many, tell too which ones are
    hard, though not how hard: each part's mean is left out. On validation pictures of units apart it is measured how
    much of what the ridge expects is to be believed: as much as makes the mean radius smallest. Where that gains
    nothing, all pictures have their extent as difficulty. Gains: {target: that mean radius as a part of the constant
    one} of the targets for which it is less than 1.
    """
    m = valid.distances.shape[1]
    weights, low, high, gains, end = np.zeros((valid.inputs.shape[1] + 1, m)), np.zeros(m), np.zeros(m), {}, 0
    for t in task.targets:
        start, end = end, end + len(t.within)
        old, new = (_of(part, slice(start, end)) for part in (trained, valid))
        if len(new.units) < FEWEST or len(np.unique(new.units)) < PARTS:
            continue
        x = np.vstack([old.inputs, new.inputs])
        y = np.vstack([_logs(part.distances / part.extents) for part in (old, new)])
        found, apart = _ridge(x, y, np.concatenate([old.units, -1 - new.units]))
        apart = apart[len(old.units) :]
        radii = {share: _narrower(new.distances, new.extents * np.exp(share * apart), coverage) for share in SHARES}
        best, plain = min(radii, key=radii.get), _narrower(new.distances, new.extents, coverage)
        gains[t.name] = radii[best] if radii[best] < WORTH * plain else plain
        if radii[best] < WORTH * plain:
            weights[:, start:end] = best * found
            low[start:end], high[start:end] = np.quantile(weighed(x, best * found), (0.01, 0.99), axis=0)
    return weights, low, high, {name: gain for name, gain in gains.items() if gain < 1}


def _of(part: Judged, columns: slice) -> Judged:
    """The pictures of a part that have a label of a target, and that target's columns."""
    known = np.isfinite(part.distances[:, columns]).any(axis=1)
    return Judged(part.inputs[known], part.far[known], part.distances[known, columns], part.extents[known, columns],
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
