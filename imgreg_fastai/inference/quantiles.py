"""The quantiles of scores that make intervals hold for new images, or for images of new groups.

Scores are errors over difficulty of images that calibrate. Images of one group (person, house) resemble each other, so
that a new image of a new group is not like them. All groups weigh the same.
"""
from typing import NamedTuple

import numpy as np

from ..config import MANY_GROUPS
from ..tasks import Array

FEWEST_GROUPS = 3  # that say how much groups differ
ROUNDING = 1e-9  # of sums of shares


class GroupedScores(NamedTuple):
    """Scores in rising order.

    Args:
        scores: Array [n].
        group: Number of the group of each, from 0, array [n].
        share: Of each, in the scores of its group, array [n].
        n_groups: How many groups there are.
    """

    scores: Array
    group: Array
    share: Array
    n_groups: int


def sort_scores(scores: Array, groups: Array) -> GroupedScores:
    """Return scores [n] of groups [n] in rising order; NaN is left out."""
    labelled = np.isfinite(scores)
    scores = scores[labelled]
    _, group, sizes = np.unique(groups[labelled], return_inverse=True, return_counts=True)
    order = np.argsort(scores, kind="stable")
    return GroupedScores(scores[order], group[order], 1 / sizes[group[order]], len(sizes))


def conformal_quantile(scores: Array, groups: Array, coverage: float) -> float:
    """Return the score below which a score of a new image of a new group lies with a probability of `coverage`.

    It is that of `guaranteed_quantile`. With fewer than MANY_GROUPS groups of several images this is much too large,
    and that of `left_out_quantile` takes its place where it is smaller.

    Args:
        scores: Array [n]; NaN is left out.
        groups: Array [n]. Where each image is a group of its own, this is split conformal prediction.
        coverage: Between 0 and 1.

    Returns:
        The score; inf if there are too few groups, NaN if there is no score.
    """
    sorted_scores = sort_scores(scores, groups)
    if not sorted_scores.n_groups:
        return np.nan
    quantile = guaranteed_quantile(sorted_scores, coverage)
    if _are_few(sorted_scores):
        quantile = min(quantile, left_out_quantile(sorted_scores, coverage))
    return quantile


def large_score(scores: Array, groups: Array, share: float) -> float:
    """Return the score that a share of scores [n] does not exceed, all groups [n] weighing the same; NaN without one.

    Where that is 0, because so many predictions are exact, it is the mean of the scores.
    """
    sorted_scores = sort_scores(scores, groups)
    if not sorted_scores.n_groups:
        return np.nan
    reached = np.cumsum(sorted_scores.share) / sorted_scores.n_groups
    return float(sorted_scores.scores[(reached >= share - ROUNDING).argmax()] or sorted_scores.scores.mean())


def highest_coverage(scores: Array, groups: Array) -> float:
    """Return the largest coverage for which `conformal_quantile` is finite; 0 without a score."""
    sorted_scores = sort_scores(scores, groups)
    n = sorted_scores.n_groups
    highest = n / (n + 1)
    if _are_few(sorted_scores):
        highest = max(highest, (sorted_scores.share * (_levels(sorted_scores) < 1 - ROUNDING)).sum() / n)
    return float(highest)


def _are_few(scores: GroupedScores) -> bool:
    """Whether these are few groups of several images, enough to leave one out."""
    return FEWEST_GROUPS <= scores.n_groups < min(MANY_GROUPS, len(scores.scores))


def guaranteed_quantile(scores: GroupedScores, coverage: float) -> float:
    """Return the least score that covers an image of a new group with a probability of at least `coverage`.

    The new group counts as one more, whose scores lie beyond all others (Lee, Barber, Willett, "Distribution-free
    inference with hierarchical data", 2023). Where each image is a group of its own this is split conformal prediction:
    the score of rank ceil((n + 1) coverage).
    """
    reached = np.cumsum(scores.share) / (scores.n_groups + 1)
    sufficient = np.flatnonzero(reached >= coverage - ROUNDING)
    return float(scores.scores[sufficient[0]]) if len(sufficient) else np.inf


def left_out_quantile(scores: GroupedScores, coverage: float) -> float:
    """Return the score that covers `coverage` of groups that are left out, one after another.

    The quantile of the scores of all other groups is taken at the least level at which it covers `coverage` of the
    scores left out, all groups weighing the same. Of all n groups, the quantile leaves (1 - level) (n - 1) groups'
    worth of scores above it. There is no proof for few groups, but measurements: docs/intervals.md. With one image in
    each group, it is the score of rank ceil(n coverage) + 1.
    """
    n, levels = scores.n_groups, _levels(scores)
    order = np.argsort(levels, kind="stable")
    covered = np.cumsum(scores.share[order]) / n
    level = levels[order[np.flatnonzero(covered >= coverage - ROUNDING)[0]]]
    reached = np.cumsum(scores.share) / n
    sufficient = np.flatnonzero(reached > 1 - (1 - level) * (n - 1) / n + ROUNDING)
    return float(scores.scores[sufficient[0]]) if len(sufficient) else np.inf


def _levels(scores: GroupedScores) -> Array:
    """Return for each score the share of the other groups' scores that lie below it, array [n]."""
    below = np.cumsum(scores.share) - scores.share
    own = np.zeros(len(below))
    for group in range(scores.n_groups):
        rows = scores.group == group
        own[rows] = np.cumsum(scores.share[rows]) - scores.share[rows]
    return (below - own) / (scores.n_groups - 1)
