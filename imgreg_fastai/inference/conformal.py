"""Prediction intervals by split conformal prediction, and the flag for out-of-distribution images.

Calibration images are not trained on. Each of their errors is divided by the difficulty that is estimated for its
image (Papadopoulos et al. 2008). The half-width of a new interval is the difficulty of its own image times a quantile
of these scores (Vovk, Gammerman, Shafer 2005; Lei et al. 2018).

Shapes: n images, F features of the network, d inputs of the difficulty model, and m intervals for each image, one
for each of the interval_columns of all targets.
"""
from dataclasses import dataclass
from typing import NamedTuple
from warnings import catch_warnings, simplefilter

import numpy as np
import pandas as pd

from ..config import MANY_GROUPS, fewest_to_calibrate
from ..tasks import Array
from ..utils.messages import ImgregError
from .quantiles import conformal_quantile, highest_coverage, large_score

MAX_LOG_DIFFICULTY = 50.0
REFERENCE = 0.9  # the share of scores up to a large one, by which joint intervals compare the values of an image
OOD_SHARE = 0.01  # of the calibration images: so many lie beyond Calibration.max_distance
# The names that the arrays have in a model file: those of the FeatureSpace, the DifficultyModel and the Calibration.
ARRAYS = ("mean", "axes", "variance", "rest", "sized", "weights", "low", "high", "scores", "groups", "far")
SAMPLE_ARRAYS = ("predicted", "labels", "difficulty")  # those of a GroupSample, which only some models have


class FeatureSpace(NamedTuple):
    """The distribution of the training images' features, by probabilistic PCA (Tipping, Bishop 1999).

    Args:
        mean: Array [F].
        axes: Principal axes, array [k, F] of rows of length 1.
        variance: Variance along each axis, array [k].
        noise_variance: Variance along every other direction, array [1].
    """

    mean: Array
    axes: Array
    variance: Array
    noise_variance: Array

    def project(self, features: Array) -> tuple[Array, Array]:
        """Locate features among those of the training images.

        Args:
            features: Array [n, F].

        Returns:
            Coordinates along the axes in standard deviations, [n, k], and the squared Mahalanobis distance from the
            mean divided by F, [n]: about 1 for images like the training images.
        """
        centred = features.astype(np.float64) - self.mean
        along = centred @ self.axes.T
        beside = np.maximum(np.square(centred).sum(axis=1) - np.square(along).sum(axis=1), 0)
        coordinates = along / np.sqrt(self.variance)
        distance = np.square(coordinates).sum(axis=1) + beside / self.noise_variance
        return coordinates, distance / centred.shape[1]

    def difficulty_inputs(self, features: Array, outputs: Array, uncertainty: Array) -> tuple[Array, Array]:
        """Collect what difficulty is estimated from.

        Args:
            features: Array [n, F].
            outputs: Outputs of the network, array [n, n_out].
            uncertainty: Task.uncertainty_features of the outputs, array [n, any number].

        Returns:
            The inputs of a DifficultyModel, [n, d], and the distance of each image, [n], as `project` gives it.
        """
        coordinates, distance = self.project(features)
        return np.hstack([coordinates, np.log(distance + 1e-12)[:, None], outputs, uncertainty]), distance


class DifficultyModel(NamedTuple):
    """The expected size of each error of an image, up to a constant factor: exp of a clipped linear function.

    Args:
        scale_exponent: 1 where errors are proportional to Target.error_scale, else 0, array [m].
        weights: Of the inputs and of a constant, the last, for the logarithm of difficulty, array [d + 1, m].
        low: The least logarithm, array [m].
        high: The largest logarithm, array [m].
    """

    scale_exponent: Array
    weights: Array
    low: Array
    high: Array

    def predict(self, inputs: Array, error_scales: Array) -> Array:
        """Estimate difficulties in units, [n, m], from inputs [n, d] and Task.error_scales [n, m]."""
        logarithms = np.clip(linear(inputs, self.weights), self.low, self.high)
        return error_scales**self.scale_exponent * np.exp(logarithms)


def linear(inputs: Array, weights: Array) -> Array:
    """Apply weights [d + 1, m], the last a constant, to inputs [n, d]: -> [n, m]."""
    return inputs @ weights[:-1] + weights[-1]


class GroupSample(NamedTuple):
    """The calibration images where all images of a group have the same labels, for intervals of averages over them.

    Args:
        predicted: Predictions, array [n, columns of all targets] in units.
        labels: The labels of the group of each image, array [n, columns], NaN where it has none.
        difficulty: As Calibration.assess returns it, array [n, m].
    """

    predicted: Array
    labels: Array
    difficulty: Array


@dataclass(frozen=True)
class Calibration:
    """All that turns the features and outputs of a network into intervals and OOD flags.

    Args:
        space: Where the training images lie.
        difficulty: The model of the size of errors.
        scores: Errors of the calibration images divided by their difficulty, array [n, m], NaN without a label.
        groups: Number of the group of each calibration image, array [n]; coverage holds for new groups. An image
            without a group has a number of its own.
        max_distance: The distance beyond which an image is flagged, array [1].
        sample: Of groups whose images have the same labels, see GroupSample.
    """

    space: FeatureSpace
    difficulty: DifficultyModel
    scores: Array
    groups: Array
    max_distance: Array
    sample: GroupSample | None = None

    def assess(self, features: Array, outputs: Array, uncertainty: Array, error_scales: Array) -> tuple[Array, Array]:
        """Estimate the difficulty of images, and flag those out of distribution.

        Args:
            features: Array [n, F].
            outputs: Outputs of the network, array [n, n_out].
            uncertainty: Task.uncertainty_features of the outputs.
            error_scales: Task.error_scales of the images, array [n, m].

        Returns:
            Difficulties in units, [n, m], and flags, [n] bool.
        """
        inputs, distance = self.space.difficulty_inputs(features, outputs, uncertainty)
        return self.difficulty.predict(inputs, error_scales), distance > self.max_distance

    def quantiles(self, coverage: float) -> Array:
        """Compute the factors that turn difficulties into half-widths.

        Args:
            coverage: The share of new images whose true values lie within their intervals.

        Returns:
            Array [m], NaN for an interval without a labelled calibration image.

        Raises:
            ImgregError: For a coverage out of (0, 1), or too high for so few calibration images or groups.
        """
        if not 0 < coverage < 1:
            raise ImgregError("--coverage between 0 and 1", f"{coverage:g}", "--coverage 0.9")
        quantiles = np.array([conformal_quantile(scores, self.groups, coverage) for scores in self.scores.T])
        if np.isinf(quantiles).any():
            n = self.n_units()
            noun = "images" if len(np.unique(self.groups)) == len(self.groups) else "groups"
            labelled = self.scores[:, np.isfinite(self.scores).any(axis=0)]
            highest = _rounded_down(min(highest_coverage(scores, self.groups) for scores in labelled.T))
            raise ImgregError(f"--coverage of at most {highest}: {n} {noun} calibrate this model", f"{coverage:g}")
        return quantiles

    def joint_quantiles(self, coverage: float) -> Array:
        """Compute the factors that turn difficulties into half-widths of intervals that hold all at once.

        Each score is divided by a large score of its value: that which REFERENCE of the scores do not exceed. The
        quantile, over the images, of the largest of their ratios is the factor of these large scores, whatever the
        coverage. Only images with a label of each value count.

        Few groups have quantiles that suit them better than new groups, and the more so the more values an image has.
        The scores of each group are therefore divided by how much smaller those of the other groups are.

        Args:
            coverage: The share of new images all of whose true values lie within their intervals.

        Returns:
            Array [m], as `quantiles` does; raises ImgregError as it does.
        """
        single = self.quantiles(coverage)
        if np.isfinite(single).sum() == 1:
            return single
        scales = np.array([large_score(scores, self.groups, REFERENCE) for scores in self.scores.T])
        ratios = self.scores / np.where(scales == 0, 1, scales) / self._scales_without_own_group()
        has_quantile = np.isfinite(single)
        complete = np.isfinite(ratios[:, has_quantile]).all(axis=1)
        largest = np.where(complete, ratios[:, has_quantile].max(axis=1), np.nan)
        if not complete.any():
            raise ImgregError("--joint with images that calibrate it by a label of each value", "none")
        factor = conformal_quantile(largest, self.groups, coverage)
        if np.isinf(factor):
            highest = _rounded_down(highest_coverage(largest, self.groups))
            raise ImgregError(f"--coverage of at most {highest} with --joint", f"{coverage:g}")
        return np.maximum(scales * factor, single)

    def _scales_without_own_group(self) -> Array:
        """Return the mean score of the other groups as a share of that of all, array [n, m]; all groups weigh the same.

        It is 1 where many groups or images calibrate a column.
        """
        names, group = np.unique(self.groups, return_inverse=True)
        scales = np.ones(self.scores.shape)
        if len(names) == len(group):
            return scales
        means = pd.DataFrame(self.scores).groupby(group).mean().to_numpy()  # of each group, [groups, m]
        n_labelled = np.isfinite(means).sum(axis=0)
        for column in np.flatnonzero((n_labelled > 1) & (n_labelled < MANY_GROUPS)):
            of_groups = means[:, column]
            total, n = np.nansum(of_groups), n_labelled[column]
            others = (total - of_groups) / (n - 1)
            scales[:, column] = np.nan_to_num((others / (total / n))[group], nan=1.0) if total else 1.0
        return np.where(scales > 0, scales, 1.0)

    def has_joint(self, coverage: float) -> bool:
        """Tell whether `joint_quantiles` exist for a coverage for which `quantiles` do."""
        try:
            self.joint_quantiles(coverage)
        except ImgregError:
            return False
        return True

    def left_out_coverage(self, coverage: float) -> Array:
        """Compute the share of scores of groups left out, one after another, that the quantile of the others covers.

        Returns:
            Array [m], all groups weighing the same; NaN for an interval without a label, or where the other groups
            are too few to have a quantile.
        """
        shares = np.full((len(np.unique(self.groups)), self.scores.shape[1]), np.nan)
        for i, group in enumerate(np.unique(self.groups)):
            own = self.groups == group
            for j, (scores, left_out) in enumerate(zip(self.scores[~own].T, self.scores[own].T, strict=True)):
                left_out = left_out[np.isfinite(left_out)]
                quantile = conformal_quantile(scores, self.groups[~own], coverage)
                if len(left_out) and np.isfinite(quantile):
                    shares[i, j] = (left_out <= quantile).mean()
        with catch_warnings():
            simplefilter("ignore", RuntimeWarning)  # of a column without a label all are NaN
            return np.nanmean(shares, axis=0)

    def n_units(self, size: int = 1) -> int:
        """Count the groups (or images without groups) with at least `size` images, for the target with the fewest."""
        columns = [self.groups[labelled] for labelled in np.isfinite(self.scores).T if labelled.any()]
        return min(int((np.unique(groups, return_counts=True)[1] >= size).sum()) for groups in columns)

    def block_size(self, n: int, coverage: float) -> int:
        """Choose of how many images the averages are whose errors calibrate an average of n images of one group.

        Returns:
            The largest number up to n that enough groups have for `coverage`; 1 without a GroupSample.
        """
        needed = fewest_to_calibrate(coverage)
        largest = int(np.unique(self.groups, return_counts=True)[1].max()) if self.sample else 1
        return next((size for size in range(min(n, largest), 1, -1) if self.n_units(size) >= needed), 1)

    def state(self) -> dict[str, Array]:
        """Return the arrays by the names that they have in a model file."""
        arrays = (*self.space, *self.difficulty, self.scores, self.groups, self.max_distance, *(self.sample or ()))
        names = ARRAYS + SAMPLE_ARRAYS if self.sample else ARRAYS
        return {name: np.ascontiguousarray(values) for name, values in zip(names, arrays, strict=True)}


def _rounded_down(coverage: float) -> str:
    """Write a coverage that can be asked for: "0.888"."""
    return f"{np.floor(1000 * coverage + 1e-6) / 1000:g}"


def calibration_from_arrays(arrays: dict[str, Array], n_features: int, n_outputs: int, m: int,
                            n_columns: int) -> Calibration:
    """Rebuild the Calibration of a network from the arrays of a model file.

    Args:
        arrays: As `Calibration.state` returns them.
        n_features: F.
        n_outputs: How many outputs and uncertainty features there are together.
        m: How many intervals an image has.
        n_columns: How many columns the targets have together.

    Raises:
        ValueError: If the arrays do not fit together or to the network.
        KeyError: If one is missing.
    """
    k, n = len(arrays["axes"]), len(arrays["scores"])
    shapes = {"mean": (n_features,), "axes": (k, n_features), "variance": (k,), "rest": (1,), "sized": (m,),
              "weights": (k + 2 + n_outputs, m), "low": (m,), "high": (m,), "scores": (n, m), "groups": (n,),
              "far": (1,)}
    has_sample = SAMPLE_ARRAYS[0] in arrays
    if has_sample:
        shapes |= dict(zip(SAMPLE_ARRAYS, ((n, n_columns), (n, n_columns), (n, m)), strict=True))
    if set(arrays) != set(shapes):
        raise ValueError(f"calibration of {', '.join(sorted(arrays))}")
    for name, shape in shapes.items():
        values = arrays[name]
        finite = name in ("scores", "labels") or np.isfinite(values).all()
        if values.shape != shape or values.dtype.kind not in "fi" or not finite:
            raise ValueError(f"calibration {name} {values.shape} for {shape}")
    low, high, scores = arrays["low"], arrays["high"], arrays["scores"]
    if (low > high).any() or max(*np.abs(high), *np.abs(low)) > MAX_LOG_DIFFICULTY:
        raise ValueError("calibration without limits of difficulty")
    if not n or np.isinf(scores).any() or (scores < 0).any() or min(*arrays["variance"], *arrays["rest"]) <= 0:
        raise ValueError("calibration without scores, or with variances of 0")
    values = [arrays[name] for name in ARRAYS[:8]]
    space, difficulty = FeatureSpace(*values[:4]), DifficultyModel(*values[4:])
    sample = GroupSample(*(arrays[name] for name in SAMPLE_ARRAYS)) if has_sample else None
    return Calibration(space, difficulty, scores, arrays["groups"], arrays["far"], sample)
