"""Fitting the intervals of a trained network on labelled pictures that it has not learnt from."""
from dataclasses import replace

import numpy as np
import pandas as pd

from . import scoring, splits
from .config import TrainConfig
from .intervals import UNLIKE, Calibration, Space, hardness, inputs_of, quantile, weighed
from .messages import warn
from .predictor import Predictor

MOST = 2000  # pictures of the training and of the validation part that are looked at
AXES = 64  # directions in which the training pictures differ most
FEWEST = 30  # validation pictures to learn difficulty from
WORTH = 0.98  # of the constant radii's mean: difficulty is kept where it makes them smaller than this
FLOOR = 0.1  # of the median error: a smaller one was good luck, and does not say that its picture is easy
STRENGTHS = np.logspace(-1, 5, 13)  # of the ridge, to choose from
PARTS = 5  # of the validation part, to choose by


def fit(model: Predictor, frame: pd.DataFrame, cfg: TrainConfig) -> Predictor:
    """The model with the Calibration that the rows of `frame` give it; as it is, and said, where they are too few.

    Training pictures tell what the model knows, those of the validation part which pictures are hard, and those of the
    part `calibrate`, which nothing else has seen, how large the radii must be.
    """
    parts = dict(list(frame.groupby("split")))
    trained = parts["train"].sample(min(MOST, len(parts["train"])), random_state=cfg.seed)
    space = space_of(scoring.seen(model, trained, features=True)[1].features)
    inputs, _, distances, units = judged(model, space, parts["valid"][:MOST])
    weights, low, high, gains = difficulty(model.task, inputs, distances, units, cfg.coverage)
    inputs, far, distances, units = judged(model, space, parts["calibrate"])
    units = _exchangeable(units, cfg.coverage)
    scores = distances / hardness(inputs, weights, low, high)
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


def judged(model: Predictor, space: Space, rows: pd.DataFrame):
    """Of labelled rows: what difficulty is judged by, [n, d], how far they lie [n], distances [n, m] and units [n]."""
    rows, seen = scoring.seen(model, rows, features=True)
    inputs, far = inputs_of(space, seen.features, seen.outputs)
    decoded = model.task.decode(seen.outputs, seen.views)
    distances = [t.distances(decoded[t.name], rows[list(t.columns)].to_numpy(float)) for t in model.task.targets]
    return inputs, far, np.hstack(distances), pd.factorize(splits.units(rows))[0]


def _exchangeable(units: np.ndarray, coverage: float) -> np.ndarray:
    """The units that the promise is made for: groups, or said, each picture for itself where groups are too few."""
    groups, needed = len(np.unique(units)), int(np.ceil(coverage / (1 - coverage) - 1e-9))
    if groups == len(units) or groups >= needed:
        return units
    warn(f"intervals rest on {groups} groups, and at least {needed} would make them hold for new ones: "
         "of pictures of new groups they may hold fewer than they say")
    return np.arange(len(units))


def difficulty(task, inputs: np.ndarray, distances: np.ndarray, units: np.ndarray, coverage: float):
    """Weights [d + 1, m] and limits [m], [m] of the logarithm of the difficulty, see Calibration; and what it gains.

    `inputs` [n, d], `distances` [n, m] and `units` [n] of validation pictures. A ridge on the logarithm of the errors,
    its strength chosen on units apart. Where that makes radii no smaller, all pictures have the difficulty 1. Gains:
    {target: the mean radius as a part of the constant one, on pictures apart} of the targets that keep it.
    """
    m = distances.shape[1]
    weights, low, high, gains, end = np.zeros((inputs.shape[1] + 1, m)), np.zeros(m), np.zeros(m), {}, 0
    for t in task.targets:
        start, end = end, end + len(t.within)
        known = np.isfinite(distances[:, start:end]).any(axis=1)
        if known.sum() < FEWEST or len(np.unique(units[known])) < PARTS:
            continue
        own, x = distances[known, start:end], inputs[known]
        found, apart = _ridge(x, _logs(own), units[known])
        gain = _narrower(own, apart, coverage)
        if gain < WORTH:
            weights[:, start:end], gains[t.name] = found, gain
            low[start:end], high[start:end] = np.quantile(weighed(x, found), (0.01, 0.99), axis=0)
    return weights, low, high, gains


def _logs(distances: np.ndarray) -> np.ndarray:
    """The logarithms of errors [n, m], from FLOOR on; the mean in place of missing ones."""
    least = np.maximum(FLOOR * np.nanmedian(distances, axis=0), 1e-9)
    logs = np.log(np.maximum(distances, least))
    return np.where(np.isfinite(logs), logs, np.nanmean(logs, axis=0))


def _ridge(x: np.ndarray, y: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weights [d + 1, m] of a ridge for `y` [n, m] by `x` [n, d], and its predictions [n, m] on units apart."""
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = list(GroupKFold(PARTS).split(x, groups=units))
    search = GridSearchCV(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": STRENGTHS}, cv=folds,
                          scoring="neg_mean_squared_error").fit(x, y)
    scaler, ridge = search.best_estimator_
    slopes = (ridge.coef_.reshape(y.shape[1], -1) / scaler.scale_).T
    apart = cross_val_predict(search.best_estimator_, x, y, cv=folds).reshape(y.shape)
    return np.vstack([slopes, ridge.intercept_ - scaler.mean_ @ slopes]), apart


def _narrower(distances: np.ndarray, logs: np.ndarray, coverage: float) -> float:
    """The mean radius by the difficulties of `logs` [n, m] as a part of the constant one, at the same coverage."""
    hard = np.exp(logs)
    radii = np.nanquantile(distances / hard, coverage, axis=0) * hard.mean(axis=0)
    return float(np.mean(radii / np.nanquantile(distances, coverage, axis=0)))
