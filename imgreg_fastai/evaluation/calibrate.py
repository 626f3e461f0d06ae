"""Calibration of a trained network's intervals, on labelled images that it was not trained on."""
from dataclasses import replace
from typing import NamedTuple
from warnings import catch_warnings, simplefilter

import numpy as np
import pandas as pd

from ..config import FEW_GROUPS, MANY_GROUPS, TrainConfig, fewest_to_calibrate
from ..data import splits
from ..inference.conformal import OOD_SHARE, Calibration, DifficultyModel, FeatureSpace, GroupSample, linear
from ..inference.predictor import Predictor
from ..inference.quantiles import highest_coverage
from ..tasks import Array, Task
from ..utils.messages import first_few, warn
from . import metrics

MAX_PICTURES = 2000  # of the training and of the validation part that are sent through the network
MAX_AXES = 64  # of the FeatureSpace
MIN_PICTURES = 30  # of the validation part with a label, to estimate difficulty from
SHRINKAGES = (0.25, 0.5, 0.75, 1.0)  # of the predicted logarithm of difficulty, to choose from
MAX_WIDTH = 0.99  # difficulty is used where it makes intervals narrower than this share of constant ones
ERROR_FLOOR = 0.5  # of the median error: smaller errors are chance, and do not say that an image is easy
RIDGE_ALPHAS = np.logspace(-1, 5, 13)  # to choose from
FOLDS = 5
GROUP_NUMBER = "group number"  # the column of it, in the rows of parts


class ScoredPart(NamedTuple):
    """What is known of n labelled images.

    Args:
        inputs: Of a DifficultyModel, array [n, d].
        distance: From the mean of the training images, array [n], see FeatureSpace.project.
        errors: Errors that have an interval, array [n, m], NaN without a label.
        error_scales: Task.error_scales, array [n, m].
        groups: Number of the group of each image, or of the image, array [n], see splits.split_units; a group has the
            same number in all parts.
        predicted: Predictions, array [n, columns of all targets] in units.
        labels: Of the same shape, NaN without a label.
    """

    inputs: np.ndarray
    distance: np.ndarray
    errors: np.ndarray
    error_scales: np.ndarray
    groups: np.ndarray
    predicted: Array = None
    labels: Array = None

    def labelled(self, columns: slice) -> "ScoredPart":
        """Select columns of errors, and the images with a label of one of them."""
        rows = np.isfinite(self.errors[:, columns]).any(axis=1)
        return ScoredPart(self.inputs[rows], self.distance[rows], self.errors[rows, columns],
                          self.error_scales[rows, columns], self.groups[rows])


def calibrate(model: Predictor, frame: pd.DataFrame, cfg: TrainConfig) -> Predictor:
    """Calibrate the intervals of a model.

    Args:
        model: The model.
        frame: Labels with `path` and `split`. The training part shows which images the network knows, the validation
            part which images are difficult, and the parts of splits.calibrating_parts how wide intervals are.
        cfg: The settings of the training, for its coverage and seed.

    Returns:
        The model with a Calibration; without, after a warning, if no target has enough labels.
    """
    parts = splits.calibrating_parts(frame, cfg)
    space, (train, valid, held) = score_parts(model, frame, frame[frame["split"] == "calibrate"], cfg.seed)
    fit = fit_difficulty(model.task, train, valid, cfg.coverage)
    held_difficulty = fit.model.predict(held.inputs, held.error_scales)
    if "valid" in parts:
        held = ScoredPart(*(np.concatenate(arrays) for arrays in zip(held, valid, strict=True)))
        held_difficulty = np.vstack([held_difficulty, fit.left_out_difficulty])
    scores = held.errors / held_difficulty
    scores[:, _has_too_few(scores, model.task, cfg.coverage)] = np.nan
    if not np.isfinite(scores).any():
        return model
    groups = calibrating_groups(scores, held.groups, cfg.coverage)
    by_group = np.array_equal(groups, held.groups)
    sample = group_sample(model.task, held, held_difficulty) if "group" in frame and by_group else None
    max_distance = np.quantile(held.distance, [1 - OOD_SHARE], method="higher")
    about = {"coverage": cfg.coverage, "pictures": len(scores), "units": len(np.unique(groups)), "parts": list(parts),
             "narrower": {name: round(width, 4) for name, width in fit.widths.items()}}
    calibration = Calibration(space, fit.model, scores, groups, max_distance, sample)
    if "valid" in parts and by_group and len(np.unique(groups)) < MANY_GROUPS:
        about["left_out"] = _by_target(model.task, calibration.left_out_coverage(cfg.coverage))
    return replace(model, calibration=calibration, about={**model.about, "calibration": about})


def _by_target(task: Task, values: np.ndarray) -> dict[str, float]:
    """Return the mean of the values [m] of each target that has some."""
    own = {t.name: values[columns] for t, columns in zip(task.targets, task.interval_slices, strict=True)}
    return {name: round(float(np.nanmean(of_target)), 4) for name, of_target in own.items()
            if np.isfinite(of_target).any()}


def _has_too_few(scores: np.ndarray, task: Task, coverage: float) -> np.ndarray:
    """Tell for each column of scores [n, m] whether too few images are labelled, mask [m], and warn."""
    needed = fewest_to_calibrate(coverage)
    too_few = np.isfinite(scores).sum(axis=0) < needed
    if too_few.any():
        names = first_few(np.array(task.interval_columns)[too_few])
        warn(f"no intervals for {names}: fewer than {needed} of the {len(scores)} images that calibrate are labelled")
    return too_few


def calibrating_groups(scores: np.ndarray, groups: np.ndarray, coverage: float) -> np.ndarray:
    """Return the groups [n] that scores [n, m] calibrate intervals by, and warn if they are few.

    Where they are too few for intervals of new groups, each image is a group of its own.
    """
    columns = scores[:, np.isfinite(scores).any(axis=0)].T
    n_groups = min(len(np.unique(groups[np.isfinite(column)])) for column in columns)
    noun = "group" if n_groups == 1 else "groups"
    if min(highest_coverage(column, groups) for column in columns) < coverage:
        warn(f"intervals rest on {n_groups} {noun}, too few to tell how much groups differ: images are counted "
             f"instead, and of new groups fewer than {coverage:.0%} may lie within them".replace("%", " %"))
        return np.arange(len(groups))
    if n_groups < FEW_GROUPS:
        warn(f"intervals rest on {n_groups} {noun}: they hold for new groups on average, but for a single one the "
             f"coverage may be far from {coverage:.0%}".replace("%", " %"))
    return groups


def group_sample(task: Task, held: ScoredPart, difficulty: np.ndarray) -> GroupSample | None:
    """Keep what the errors of averages over a group's images come from; None where a group's labels differ.

    Args:
        task: The task.
        held: The images that calibrate.
        difficulty: Of these images, array [n, m].
    """
    by_group = pd.DataFrame(held.labels).groupby(held.groups)
    differ = (by_group.max() > by_group.min()).any(axis=None)
    if task.has_points or differ or by_group.size().max() == 1:
        return None
    return GroupSample(held.predicted, by_group.transform("max").to_numpy(float, copy=True), difficulty)


# ---- the images


def score_parts(model: Predictor, frame: pd.DataFrame, held: pd.DataFrame,
                seed: int) -> tuple[FeatureSpace, list[ScoredPart]]:
    """Send labelled images through the network.

    Args:
        model: The model.
        frame: Labels with `path` and `split`. Of train and valid at most MAX_PICTURES are drawn.
        held: Labels of other images.
        seed: Of what is drawn.

    Returns:
        The FeatureSpace of the training images, and the ScoredPart of train, valid and `held`.
    """
    parts = [frame[frame["split"] == name] for name in ("train", "valid")]
    parts = [part.sample(min(MAX_PICTURES, len(part)), random_state=seed) for part in parts]
    results = [metrics.network_outputs(model, rows, features=True) for rows in _number_groups([*parts, held])]
    _, train_output = results[0]
    space, task = fit_feature_space(train_output.features), model.task
    scored: list[ScoredPart] = []
    for rows, output in results:
        if rows.empty:
            scored.append(ScoredPart(*(values[:0] for values in scored[-1])))
            continue
        inputs, distance = space.difficulty_inputs(output.features, output.outputs,
                                                   model.uncertainty(output.outputs, output.features))
        predicted = task.decode(output.outputs, output.views)
        errors = [t.interval_errors(predicted[t.name], rows[list(t.columns)].to_numpy(float)) for t in task.targets]
        scored.append(ScoredPart(inputs, distance, np.hstack(errors), task.error_scales(output.views),
                                 rows[GROUP_NUMBER].to_numpy(),
                                 np.hstack([predicted[t.name] for t in task.targets]),
                                 rows[task.columns].to_numpy(float)))
    return space, scored


def _number_groups(parts: list[pd.DataFrame]) -> list[pd.DataFrame]:
    """Number the groups of rows, or the images without one, across parts; a table's own split may divide a group."""
    numbers = pd.factorize(splits.split_units(pd.concat(parts, ignore_index=True)))[0]
    ends = np.cumsum([len(part) for part in parts])
    return [part.assign(**{GROUP_NUMBER: own}) for part, own in zip(parts, np.split(numbers, ends[:-1]), strict=True)]


def fit_feature_space(features: np.ndarray) -> FeatureSpace:
    """Fit the FeatureSpace to the features [n, F] of the training images."""
    from sklearn.decomposition import PCA

    features = features.astype(np.float64)
    n, width = features.shape
    pca = PCA(max(1, min(MAX_AXES, n // 10, width - 1)), random_state=0).fit(features)
    floor = 1e-6 * features.var(axis=0).mean() + 1e-12  # there are features that are 0 in every image
    return FeatureSpace(pca.mean_, pca.components_.astype(np.float32), np.maximum(pca.explained_variance_, floor),
                        np.maximum([pca.noise_variance_], floor))


# ---- difficulty


class DifficultyFit(NamedTuple):
    """A DifficultyModel, and how it was fitted.

    Args:
        model: The model.
        left_out_difficulty: Difficulties of the validation images in units, by models that were fitted without their
            group, array [n, m].
        widths: {target: the mean half-width as a share of that of constant intervals}, of the targets that have one.
    """

    model: DifficultyModel
    left_out_difficulty: np.ndarray
    widths: dict[str, float]


def fit_difficulty(task: Task, train: ScoredPart, valid: ScoredPart, coverage: float) -> DifficultyFit:
    """Fit the model of how large errors are.

    It is a ridge regression of the logarithm of errors. Errors on training images, of which there are many, show
    which ones are difficult, though not how large errors on new images are: the mean of each part is left out.

    Args:
        task: The task.
        train: The training part.
        valid: The validation part.
        coverage: At which widths are compared.

    Returns:
        The fit; the model is constant for targets with few labels, or where it makes intervals hardly narrower.
    """
    models, fitted, widths = [], [], {}
    for t, columns in zip(task.targets, task.interval_slices, strict=True):
        rows = np.isfinite(valid.errors[:, columns]).any(axis=1)
        target_train, target_valid = train.labelled(columns), valid.labelled(columns)
        if len(target_valid.groups) >= MIN_PICTURES and len(np.unique(target_valid.groups)) >= FOLDS:
            model, difficulty, widths[t.name] = _fit_target(target_train, target_valid, coverage)
            fitted.append((rows, columns, difficulty))
        else:
            zeros = np.zeros(len(t.interval_columns))
            model = DifficultyModel(zeros, np.zeros((valid.inputs.shape[1] + 1, len(zeros))), zeros, zeros)
        models.append(model)
    whole = DifficultyModel(*(np.hstack(arrays) for arrays in zip(*models, strict=True)))
    left_out_difficulty = whole.predict(valid.inputs, valid.error_scales)  # of images without a label
    for rows, columns, difficulty in fitted:
        left_out_difficulty[rows, columns] = difficulty
    return DifficultyFit(whole, left_out_difficulty, widths)


def _fit_target(train: ScoredPart, valid: ScoredPart,
                coverage: float) -> tuple[DifficultyModel, np.ndarray, float]:
    """Fit the model of one target; returns it, the left_out_difficulty, and the width relative to constant intervals.

    It is chosen on validation images, whose difficulty is predicted by ridges fitted to other groups: whether errors
    are proportional to their scale, and how far the ridge is shrunk. Either must make intervals narrower than MAX_WIDTH
    of what they were.
    """
    inputs = np.vstack([train.inputs, valid.inputs])
    groups = np.concatenate([train.groups, valid.groups])
    m, best_width, best_exponent = valid.errors.shape[1], 1.0, 0.0
    best_weights, best_predicted = np.zeros((inputs.shape[1] + 1, m)), np.zeros(valid.errors.shape)
    if np.ptp(valid.error_scales) > 1e-6 * valid.error_scales.max():
        width = _relative_width(valid.errors, valid.error_scales, coverage)
        if width < MAX_WIDTH:
            best_width, best_exponent = width, 1.0
    limit = MAX_WIDTH * best_width
    for exponent in sorted({0.0, best_exponent}):
        logs = [_centred_logs(part.errors / part.error_scales**exponent) for part in (train, valid)]
        weights, predicted = _fit_ridge(inputs, np.vstack(logs), groups)
        for shrinkage in SHRINKAGES:
            shrunk = shrinkage * predicted[len(train.groups) :]
            width = _relative_width(valid.errors, valid.error_scales**exponent * np.exp(shrunk), coverage)
            if width < limit:
                limit = best_width = width
                best_exponent, best_weights, best_predicted = exponent, shrinkage * weights, shrunk
    low, high = np.quantile(linear(inputs, best_weights), (0.01, 0.99), axis=0)
    left_out = valid.error_scales**best_exponent * np.exp(np.clip(best_predicted, low, high))
    return DifficultyModel(np.full(m, best_exponent), best_weights, low, high), left_out, best_width


def _relative_width(errors: np.ndarray, difficulty: np.ndarray, coverage: float) -> float:
    """Return the mean half-width of intervals by difficulty [n, m] as a share of that of constant ones."""
    with catch_warnings():
        simplefilter("ignore", RuntimeWarning)  # a point that is labelled nowhere is all NaN
        half_widths = np.nanquantile(errors / difficulty, coverage, axis=0) * difficulty.mean(axis=0)
        return float(np.nanmean(half_widths / np.nanquantile(errors, coverage, axis=0)))


def _centred_logs(errors: np.ndarray) -> np.ndarray:
    """Return the logarithms of errors [n, m], from ERROR_FLOOR on, less their mean; 0 in place of missing ones."""
    with np.errstate(invalid="ignore"), catch_warnings():
        simplefilter("ignore", RuntimeWarning)  # a point that is labelled nowhere is all NaN
        floor = np.maximum(ERROR_FLOOR * np.nanmedian(errors, axis=0), 1e-9)
        logs = np.log(np.maximum(errors, floor))
        return np.nan_to_num(logs - np.nanmean(logs, axis=0))


def _fit_ridge(x: np.ndarray, y: np.ndarray, groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit a ridge; returns its weights [d + 1, m], and predictions for each group by ridges without that group.

    The predictions are less the mean of what their ridge was fitted to, because that would tell the folds apart.
    """
    from sklearn.linear_model import Ridge
    from sklearn.model_selection import GridSearchCV, GroupKFold, cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    folds = list(GroupKFold(FOLDS).split(x, groups=groups))
    search = GridSearchCV(make_pipeline(StandardScaler(), Ridge()), {"ridge__alpha": RIDGE_ALPHAS}, cv=folds,
                          scoring="neg_mean_squared_error").fit(x, y)
    scaler, ridge = search.best_estimator_
    slopes = (ridge.coef_.reshape(y.shape[1], -1) / scaler.scale_).T
    predicted = cross_val_predict(search.best_estimator_, x, y, cv=folds).reshape(y.shape)
    for fitted_rows, other_rows in folds:
        predicted[other_rows] -= y[fitted_rows].mean(axis=0)
    return np.vstack([slopes, ridge.intercept_ - scaler.mean_ @ slopes]), predicted
