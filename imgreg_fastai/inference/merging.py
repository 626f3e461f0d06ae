"""One prediction with one interval for several predictions of the same value: of images, of models, or of both.

Each part (an image by one model) has an interval that misses the true value with a probability of at most a. By
Markov's inequality the value lies outside j of K such intervals with a probability of at most a K / j, whatever their
dependence (Gasparin, Ramdas, "Merging uncertainty sets via majority vote", 2024). So all parts are given intervals for
1 - (1 - coverage) j / K, and the merged one reaches as far as a value in more than K - j of them can lie from the
merged prediction. Here j is more than half of K: a value is in at least half of the intervals. An exact majority is
narrower, but then two models that disagree have a narrow interval, or none.

Where the calibration knows the errors of averages over the images of a group (GroupSample), the parts are such
averages, and usually there is one.
"""
import math
from collections.abc import Sequence
from dataclasses import dataclass
from warnings import catch_warnings, simplefilter

import numpy as np

from ..tasks import Array, Target, Task
from ..tasks.target import mean
from .conformal import Calibration
from .quantiles import conformal_quantile

AGGREGATIONS = ("mean", "median")


@dataclass(frozen=True, eq=False)
class ModelPredictions:
    """What one model predicts for n images.

    Args:
        task: Of the model.
        values: {column: array [n] in units}.
        difficulty: Of a calibrated model, array [n, m] in units, see Calibration.assess.
        ood: Of a calibrated model, out-of-distribution flags, bool array [n].
        calibration: Of a calibrated model.
    """

    task: Task
    values: dict[str, Array]
    difficulty: Array = None
    ood: Array = None
    calibration: Calibration | None = None

    def take(self, rows: Array) -> "ModelPredictions":
        """Return those of some images, by their positions."""
        values = {column: array[rows] for column, array in self.values.items()}
        if self.calibration is None:
            return ModelPredictions(self.task, values)
        return ModelPredictions(self.task, values, self.difficulty[rows], self.ood[rows], self.calibration)

    def target_values(self, target: Target) -> Array:
        """Return the predictions of a target, [n, columns]."""
        return np.stack([self.values[column] for column in target.columns], axis=1)


def combine(target: Target, values: Array, how: str = "mean") -> Array:
    """Combine the values of k images of the same thing.

    Args:
        target: Of the values.
        values: Array [k, n, columns]; NaN is left out.
        how: One of AGGREGATIONS; a median of plain numbers, else the target's own average.

    Returns:
        Array [n, columns], NaN where all are. Numbers are averaged as they are, whatever scale they are learnt by.
    """
    if how == "median" and target.scalar:
        with catch_warnings():
            simplefilter("ignore", RuntimeWarning)  # all are NaN
            return np.nanmedian(values, axis=0)
    return mean(values) if target.linear else target.average(values)


def merge_intervals(task: Task, models: Sequence[ModelPredictions], rows: Array, values: dict[str, Array],
                    coverage: float, how: str = "mean", by_group: bool = False) -> dict[str, Array]:
    """Compute the half-widths of predictions for groups of images.

    Args:
        task: With the targets of all models.
        models: Their predictions for the same images; at least one is calibrated, and those that are not have no vote.
        rows: Positions of the k images of each of g groups, array [g, k].
        values: {column: array [g]}, the merged predictions. Intervals hold about any; about good ones they are narrow.
        coverage: Share of the true values that the intervals contain, at least.
        how: How the images of a group are combined, see `combine`.
        by_group: Whether these are groups like those that calibrated the models.

    Returns:
        {interval column: array [g] in units}; NaN where a target has no interval.
    """
    voters = [(model, model.calibration) for model in models if model.calibration is not None]
    size = min((calibration.block_size(rows.shape[1], coverage) for _, calibration in voters) if by_group else [1])
    n_blocks = rows.shape[1] // size
    blocks = rows[:, : n_blocks * size].reshape(-1, n_blocks, size).transpose(2, 1, 0)  # [size, n_blocks, g]
    n_units = min(calibration.n_units(size) for _, calibration in voters)
    level, rank = vote_level(coverage, len(voters) * n_blocks, n_units)
    factors = [block_quantiles(model.task, calibration, size, how, level) for model, calibration in voters]
    half_widths: dict[str, Array] = {}
    for t in task.targets:
        middles = [_combine_blocks(t, model.target_values(t)[blocks], how) for model, _ in voters]
        widths = []
        for (model, _), factor in zip(voters, factors, strict=True):
            columns = [model.task.interval_columns.index(column) for column in t.interval_columns]
            widths.append((model.difficulty[blocks].mean(axis=0) * factor)[..., columns])
        centre = np.stack([values[column] for column in t.columns], axis=1)
        merged = vote(t, np.concatenate(middles), np.concatenate(widths), centre, rank)
        half_widths.update(zip(t.interval_columns, merged.T, strict=True))
    return half_widths


def _combine_blocks(target: Target, values: Array, how: str) -> Array:
    """Combine the images of blocks: [size, n_blocks, g, columns] -> [n_blocks, g, columns]."""
    size, n_blocks, g, n_columns = values.shape
    return combine(target, values.reshape(size, -1, n_columns), how).reshape(n_blocks, g, n_columns)


def vote_level(coverage: float, n_parts: int, n_units: int) -> tuple[float, int]:
    """Choose for which coverage the intervals of the parts are, and the rank j of `vote`.

    Args:
        coverage: Of the merged interval.
        n_parts: K, how many intervals are merged.
        n_units: How many images or groups calibrate them. Where these are too few for the level of half of the
            intervals, j is larger; j = K takes the level `coverage` itself.

    Returns:
        The level, and j.
    """
    rank = max(n_parts // 2 + 1, math.ceil(n_parts / ((1 - coverage) * (n_units + 1)) - 1e-9))
    rank = min(rank, n_parts)
    return 1 - (1 - coverage) * rank / n_parts, rank


def vote(target: Target, values: Array, half_widths: Array, centre: Array, rank: int) -> Array:
    """Compute how far from a centre a value can lie that is outside fewer than `rank` of K intervals.

    Among the `rank` intervals that reach least far from the centre, on either side, one contains the value. How far an
    interval reaches is known for one column; for points and rotations it is at most, by the triangle inequality, the
    distance of its middle and its half-width.

    Args:
        target: Of the values.
        values: Middles of the intervals, array [K, n, columns].
        half_widths: Array [K, n, interval columns]; NaN where there is no interval.
        centre: Array [n, columns].
        rank: From 1 to K.

    Returns:
        Half-widths, array [n, interval columns], NaN where too few are known.
    """
    half_widths = np.where(np.isnan(half_widths), np.inf, half_widths)  # such an interval misses nothing
    if len(target.columns) == 1:
        offsets = np.stack([target.residual(part, centre) for part in values])
        above, below = half_widths + offsets, half_widths - offsets
        if target.wraps is not None:
            farthest = target.wraps / 2
            wraps = np.isfinite(half_widths) & (np.abs(offsets) + half_widths >= farthest)
            above, below = (np.where(wraps, farthest, reach) for reach in (above, below))
        reach = np.maximum(np.sort(above, axis=0)[rank - 1], np.sort(below, axis=0)[rank - 1])
    else:
        distances = np.stack([target.interval_errors(part, centre) for part in values])
        reach = np.sort(distances + half_widths, axis=0)[rank - 1]
    return np.where(np.isfinite(reach), reach, np.nan)


def block_quantiles(task: Task, calibration: Calibration, size: int, how: str, coverage: float) -> Array:
    """Compute the factors that turn the mean difficulty of images of a group into the half-width of their average.

    The images of each calibration group are divided, in their order, into blocks of `size`; their averages calibrate.

    Args:
        task: Of the model.
        calibration: With a GroupSample, unless `size` is 1.
        size: How many images are averaged.
        how: See `combine`.
        coverage: See Calibration.quantiles.

    Returns:
        Array [m], NaN for an interval without a label.
    """
    sample = calibration.sample
    if size == 1 or sample is None:
        return calibration.quantiles(coverage)
    order = np.argsort(calibration.groups, kind="stable")
    _, first, counts = np.unique(calibration.groups[order], return_index=True, return_counts=True)
    place = np.arange(len(order)) - np.repeat(first, counts)  # of each image in its group
    blocks = order[place < np.repeat(counts // size * size, counts)].reshape(-1, size)
    groups, difficulty = calibration.groups[blocks[:, 0]], sample.difficulty[blocks].mean(axis=1)
    errors = []
    for t in task.targets:
        columns = [task.columns.index(column) for column in t.columns]
        predicted = combine(t, sample.predicted[:, columns][blocks].swapaxes(0, 1), how)
        errors.append(t.interval_errors(predicted, sample.labels[:, columns][blocks[:, 0]]))
    scores = np.where(np.isfinite(calibration.scores).any(axis=0), np.hstack(errors) / difficulty, np.nan)
    return np.array([conformal_quantile(column, groups, coverage) for column in scores.T])
