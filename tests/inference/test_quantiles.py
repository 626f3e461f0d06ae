"""Quantiles that hold for new groups: what is guaranteed with many, and what leaving groups out tells of few."""
import numpy as np
import pytest

from imgreg_fastai.config import MANY_GROUPS
from imgreg_fastai.inference.quantiles import (
    conformal_quantile,
    guaranteed_quantile,
    highest_coverage,
    left_out_quantile,
    sort_scores,
)


def grouped(n_groups, size=60, spread=0.4, seed=0):
    """Scores and groups; errors of a group are larger or smaller than others by exp of a normal number x `spread`."""
    rng = np.random.default_rng(seed)
    scores = np.abs(rng.normal(size=(n_groups, size))) * np.exp(spread * rng.normal(size=(n_groups, 1)))
    return scores.ravel(), np.repeat(np.arange(n_groups), size)


@pytest.mark.parametrize(("n", "coverage"), [(9, 0.9), (20, 0.9), (29, 0.8), (100, 0.95)])
def test_with_one_image_a_group_it_is_split_conformal_and_left_out_is_one_rank_higher_than_of_all(n, coverage):
    scores = np.random.default_rng(n).permutation(np.arange(1.0, n + 1))
    of = sort_scores(scores, np.arange(n))
    assert guaranteed_quantile(of, coverage) == conformal_quantile(scores, np.arange(n), coverage)
    assert guaranteed_quantile(of, coverage) == np.ceil((n + 1) * coverage - 1e-9)
    rank = np.ceil(n * coverage - 1e-9) + 1
    assert left_out_quantile(of, coverage) == (rank if rank <= n else np.inf)


def test_groups_that_are_alike_need_no_more_than_the_plain_quantile():
    scores, groups = grouped(12, size=400, spread=0.0)
    found, plain = conformal_quantile(scores, groups, 0.9), np.quantile(scores, 0.9)
    assert found == pytest.approx(plain, rel=0.06)
    of = sort_scores(scores, groups)
    assert found == left_out_quantile(of, 0.9) < 0.85 * guaranteed_quantile(of, 0.9)


@pytest.mark.parametrize("n_groups", [3, 6, 12])
def test_few_groups_that_differ_cover_new_ones_as_asked_on_average(n_groups):
    covered = []
    for seed in range(200):
        scores, groups = grouped(n_groups + 20, seed=seed)
        quantile = conformal_quantile(scores[groups < n_groups], groups[groups < n_groups], 0.9)
        covered.append((scores[groups >= n_groups] <= quantile).mean())
    assert 0.88 < np.mean(covered) < 0.96


@pytest.mark.parametrize(("n_groups", "takes"), [(2, guaranteed_quantile), (3, left_out_quantile),
                                                 (MANY_GROUPS - 1, left_out_quantile),
                                                 (MANY_GROUPS, guaranteed_quantile), (40, guaranteed_quantile)])
def test_how_many_groups_there_are_decides_which_it_is(n_groups, takes):
    scores, groups = grouped(n_groups)
    of = sort_scores(scores, groups)
    assert guaranteed_quantile(of, 0.9) != left_out_quantile(of, 0.9)
    assert conformal_quantile(scores, groups, 0.9) == takes(of, 0.9)


def test_large_groups_weigh_as_much_as_small_ones():
    scores, groups = grouped(8, size=30)
    large = groups == 0
    repeated = np.r_[scores, np.repeat(scores[large], 50)], np.r_[groups, np.repeat(groups[large], 50)]
    assert conformal_quantile(*repeated, 0.8) == conformal_quantile(scores, groups, 0.8)


def test_a_score_without_a_label_does_not_count():
    scores, groups = grouped(10)
    with_missing = np.r_[scores, np.full(70, np.nan)], np.r_[groups, np.arange(70)]
    assert conformal_quantile(*with_missing, 0.9) == conformal_quantile(scores, groups, 0.9)
    assert np.isnan(conformal_quantile(np.full(5, np.nan), np.arange(5), 0.9))
    assert highest_coverage(np.full(5, np.nan), np.arange(5)) == 0


@pytest.mark.parametrize(("n_groups", "size"), [(2, 50), (3, 50), (9, 1), (9, 7), (12, 40), (35, 4)])
def test_the_highest_coverage_has_a_quantile_and_more_than_it_has_none(n_groups, size):
    scores, groups = grouped(n_groups, size=size)
    highest = highest_coverage(scores, groups)
    assert np.isfinite(conformal_quantile(scores, groups, highest))
    assert np.isinf(conformal_quantile(scores, groups, highest + 1e-6))


def test_a_higher_coverage_never_has_a_smaller_quantile():
    scores, groups = grouped(7, size=20)
    quantiles = [conformal_quantile(scores, groups, coverage) for coverage in np.linspace(0.05, 0.99, 60)]
    assert np.all(np.diff(quantiles[: np.isfinite(quantiles).sum()]) >= 0) and len(set(quantiles)) > 30
