"""A ridge on frozen features, as the head of a network: what transfer learning reaches before anything is trained."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold

from ..data import splits
from ..models import output_head
from ..tasks import ROW_WEIGHT, Array, Task

MAX_PICTURES = 5000  # of the training part, that a ridge is fitted to
MAX_AXES = 512  # principal components that a ridge is fitted to
ALPHAS = np.logspace(-1, 6, 8)  # to choose from, for features of variance 1
FOLDS = 5  # to choose by, where there are groups
MIN_LABELS = 5  # of an output, to fit a ridge


class RidgeFit(NamedTuple):
    """Ridges that are fitted.

    Args:
        slopes: Array [F, n_out].
        intercepts: Array [n_out].
        error: The mean squared error on groups left out, each output by its variance.
    """

    slopes: np.ndarray
    intercepts: np.ndarray
    error: float


def fit_head(task: Task, rows: pd.DataFrame, features: np.ndarray, views: np.ndarray,
             widths: Sequence[int] = ()) -> output_head.Float32:
    """Fit the head of a network to features.

    Args:
        task: The completed task.
        rows: Labels of n images; `group` and `row_weight` count where they are there.
        features: Array [n, F].
        views: Array [n, 4], see NetworkOutput.
        widths: The first so many features are fitted to, whichever of these numbers has the smallest error on groups
            left out; all of them by default.

    Returns:
        [B, width] -> [B, n_out] in output_head.Y_RANGE: that of `output_head.build`.
    """
    groups = pd.factorize(splits.split_units(rows))[0]
    weights = rows[ROW_WEIGHT].to_numpy(float) if ROW_WEIGHT in rows else None
    logits = to_logits(encode_labels(task, rows, views))
    fits = [fit_ridge(task, features[:, :width], logits, groups, weights) for width in widths or features.shape[1:]]
    best = min(fits, key=lambda ridge: ridge.error)
    head = output_head.build(*best.slopes.shape)
    linear: Any = head[0]
    linear.weight.data = torch.tensor(best.slopes.T, dtype=torch.float32)
    linear.bias.data = torch.tensor(best.intercepts, dtype=torch.float32)
    return head


def batch_labels(task: Task, rows: pd.DataFrame, views: np.ndarray) -> tuple[torch.Tensor, ...]:
    """Return the labels of each target as a batch holds them, tensors [n, columns]."""
    return tuple(torch.tensor(t.to_batch(rows[list(t.columns)].to_numpy(float), views), dtype=t.label_dtype)
                 for t in task.targets)


def encode_labels(task: Task, rows: pd.DataFrame, views: np.ndarray) -> np.ndarray:
    """Return encoded labels, array [n, n_out] in [-1, 1], NaN without a label."""
    labels = zip(task.targets, batch_labels(task, rows, views), strict=True)
    return torch.cat([t.encode_labels(y).float() for t, y in labels], dim=1).numpy()


def to_logits(encoded: np.ndarray) -> np.ndarray:
    """Return the numbers that output_head.SigmoidRange turns into encoded labels."""
    low, high = output_head.Y_RANGE
    share = np.clip((encoded - low) / (high - low), 0.01, 0.99)
    return np.log(share / (1 - share))


def fit_ridge(task: Task, features: np.ndarray, outputs: np.ndarray, groups: np.ndarray,
              weights: Array | None = None) -> RidgeFit:
    """Fit a ridge for each target.

    It is fitted to the first principal components of the features, all on one scale: on a scale of their own,
    features that are hardly ever active become huge where they are.

    Args:
        task: The task.
        features: Array [n, F].
        outputs: What to put out, array [n, n_out], NaN without a label. Outputs of a target that are not labelled in
            the same rows have a ridge each; those with fewer than MIN_LABELS are constant.
        groups: Array [n]; the strength of the ridge is chosen on groups left out.
        weights: How much each row counts, array [n]; None: all the same.
    """
    scale = float(features.std()) or 1.0
    pca = PCA(min(*features.shape, MAX_AXES), random_state=0)
    z = pca.fit_transform(features / scale)
    slopes, errors = np.zeros((z.shape[1], task.n_out)), []
    intercepts = np.array(pd.DataFrame(outputs, dtype=float).mean().fillna(0.0))  # of outputs with too few labels
    for target_outputs in task.split(np.arange(task.n_out)):
        masks, mask_of = np.unique(np.isfinite(outputs[:, target_outputs]), axis=1, return_inverse=True)
        for i, labelled in enumerate(masks.T):
            labelled = labelled & (weights > 0) if weights is not None else labelled
            columns = target_outputs[mask_of.ravel() == i]
            if labelled.sum() >= MIN_LABELS:
                model = _ridge_model(groups[labelled])
                model.fit(z[labelled], outputs[np.ix_(labelled, columns)],
                          sample_weight=None if weights is None else weights[labelled])
                slopes[:, columns] = np.reshape(model.coef_, (len(columns), -1)).T
                intercepts[columns] = model.intercept_
                variance = outputs[np.ix_(labelled, columns)].var(axis=0).mean()
                errors.append(-model.best_score_ / max(variance, 1e-9) * len(columns))
    slopes = pca.components_.T.astype(float) @ slopes / scale
    return RidgeFit(slopes, intercepts - scale * pca.mean_ @ slopes, float(np.sum(errors)))


def _ridge_model(groups: np.ndarray) -> RidgeCV:
    """Return a ridge that chooses its strength on groups [n] left out, or on single rows if there are none."""
    n = len(np.unique(groups))
    if not 1 < n < len(groups):
        return RidgeCV(ALPHAS)
    folds = GroupKFold(min(FOLDS, n)).split(groups, groups=groups)
    return RidgeCV(ALPHAS, cv=list(folds), scoring="neg_mean_squared_error")
