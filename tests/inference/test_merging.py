"""One interval for several predictions: what it covers whatever the dependence, and how far it reaches."""
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgreg_fastai.inference import merging
from imgreg_fastai.inference.conformal import GroupSample
from imgreg_fastai.inference.merging import ModelPredictions, merge_intervals, vote, vote_level
from imgreg_fastai.tasks import Angle, Number, Point, Rotation, Task
from tests.inference.test_conformal import plain

AGE = Task("age", (Number("age", ("age",), "years", low=0.0, high=100.0),), (32, 32), group="person")
KINDS = (AGE.targets[0], Angle("way", ("way",)), Angle("bar", ("bar",), period=180.0),
         Rotation("pose", ("yaw", "pitch", "roll")), Point("nose", ("x", "y")))


def predictions(values, calibration=None):
    """Of a model for images with these ages; difficulty is 1 everywhere."""
    ages = np.asarray(values, float)
    return ModelPredictions(AGE, {"age": ages}, np.ones((len(ages), 1)), np.zeros(len(ages), bool), calibration)


# the vote

@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from(KINDS), st.integers(1, 9))
def test_a_value_outside_fewer_intervals_than_the_rank_is_within_the_merged_one(seed, target, k):
    rng, n = np.random.default_rng(seed), 40
    values = rng.uniform(-180, 180, (k, n, len(target.columns)))
    true, centre = (rng.uniform(-180, 180, (n, len(target.columns))) for _ in range(2))
    half_widths = rng.uniform(0, 250, (k, n, len(target.interval_columns)))
    for rank in range(k // 2 + 1, k + 1):
        reach = vote(target, values, half_widths, centre, rank)
        outside = [target.interval_errors(part, true) > width for part, width in zip(values, half_widths, strict=True)]
        missed = np.sum(outside, axis=0)
        within = target.interval_errors(centre, true) <= reach + 1e-4
        assert within[missed < rank].all() and (reach >= 0).all()


def test_how_far_it_reaches():
    def of(values, widths, rank):
        values, widths = (np.reshape(array, (-1, 1, 1)) for array in (values, widths))
        return vote(KINDS[0], values, widths, values.mean(axis=0), rank)[0, 0]

    assert of([3.0], [2.0], 1) == 2
    assert of([0.0, 10.0], [1.0, 1.0], 2) == 6  # both
    assert of([0.0, 0, 0], [1.0, 2, 9], 2) == 2
    assert of([-1.0, 0, 1], [1.0, 1, 1], 2) == 1  # about the middle one
    assert of([0.0, 0, 0], [1.0, 2, np.nan], 2) == 2 and np.isnan(of([0.0, 0], [1.0, np.nan], 2))


def test_an_arc_round_the_whole_circle_reaches_half_of_it():
    for width, reach in ((5.0, 175), (30.0, 180)):
        merged = vote(KINDS[1], np.full((2, 1, 1), 170.0), np.full((2, 1, 1), width), np.zeros((1, 1)), 2)
        assert merged[0, 0] == reach


@pytest.mark.parametrize(("k", "n_units", "rank"), [(1, 9, 1), (2, 9, 2), (3, 9, 3), (3, 14, 2), (4, 99, 3), (8, 9, 8),
                                                    (8, 11, 7), (8, 99, 5)])
def test_the_level_is_one_that_the_calibration_has(k, n_units, rank):
    level, found = vote_level(0.9, k, n_units)
    assert found == rank and level == pytest.approx(1 - 0.1 * rank / k)
    assert np.isfinite(plain(np.ones(n_units)).quantiles(level)).all()


# images and groups

@pytest.mark.parametrize("kind", ["independent", "shared", "mixed", "outliers", "opposed"])
@pytest.mark.parametrize("k", [1, 2, 3, 4, 8])
def test_intervals_cover_whatever_the_dependence(kind, k):
    rng, covered = np.random.default_rng(k), []
    for _ in range(30):
        own, shared = rng.standard_normal((300, k)), rng.standard_normal((300, 1))
        errors = {"independent": own, "shared": np.repeat(shared, k, 1), "mixed": (own + shared) / 2**0.5,
                  "outliers": own * np.where(rng.random((300, k)) < 0.1, 20, 1),
                  "opposed": shared * (-1.0) ** np.arange(k)}[kind]
        calibration = plain(np.abs(errors[:60, 0]))
        tested = errors[60:]
        half = merge_intervals(AGE, [predictions(tested.ravel(), calibration)], np.arange(tested.size).reshape(-1, k),
                               {"age": tested.mean(axis=1)}, 0.9)["age_within"]
        covered.append(np.mean(np.abs(tested.mean(axis=1)) <= half))
    assert np.mean(covered) > 0.88


def group_calibration(errors):
    """A calibration by people [g, k] whose ages are their numbers."""
    g, k = errors.shape
    ages, who = np.repeat(np.arange(float(g)), k), np.repeat(np.arange(g), k)
    sample = GroupSample((ages + errors.ravel())[:, None], ages[:, None], np.ones((g * k, 1)))
    return replace(plain(np.abs(errors.ravel()), who), sample=sample)


@pytest.mark.parametrize("how", ["mean", "median"])
def test_averages_of_a_group_are_calibrated_by_averages_of_groups(how):
    rng, covered, width = np.random.default_rng(0), [], []
    for _ in range(60):
        errors = 10 * rng.standard_normal((340, 4))
        calibration, tested = group_calibration(errors[:40]), errors[40:]
        average = getattr(np, how)(tested, axis=1)
        half = merge_intervals(AGE, [predictions(tested.ravel(), calibration)], np.arange(1200).reshape(-1, 4),
                               {"age": average}, 0.9, how, by_group=True)["age_within"]
        covered.append(np.mean(np.abs(average) <= half))
        width.append(half.mean())
    assert 0.88 < np.mean(covered) < 0.93
    assert np.mean(width) < 0.65 * 16.4  # of one image's interval


def test_groups_larger_than_those_of_the_calibration_vote_by_blocks():
    calibration = group_calibration(np.full((20, 2), 3.0))
    assert [calibration.block_size(n, 0.9) for n in (1, 2, 7)] == [1, 2, 2]
    assert group_calibration(np.ones((8, 5))).block_size(5, 0.9) == 1  # too few groups
    assert replace(calibration, sample=None).block_size(2, 0.9) == 1
    values = np.array([1.0, 3, 2, 2, 2, 2, 9])  # three blocks whose average is 2, and one image that is left
    half = merge_intervals(AGE, [predictions(values, calibration)], np.arange(7)[None], {"age": np.array([3.0])}, 0.9,
                           by_group=True)["age_within"]
    assert half == pytest.approx([1 + 3])


def test_blocks_are_of_one_group_each():
    rng = np.random.default_rng(0)
    who = np.r_[np.repeat(np.arange(15), 3), np.arange(15, 40)]  # 15 of three images, and 25 of one
    order = rng.permutation(len(who))
    sample = GroupSample(who[:, None] + 1.0, who[:, None].astype(float), np.full((len(who), 1), 2.0))
    calibration = replace(plain(np.full(len(who), 0.5), who[order]), sample=GroupSample(*(a[order] for a in sample)))
    assert merging.block_quantiles(AGE, calibration, 2, "mean", 0.9) == pytest.approx([0.5])
    assert calibration.n_units(2) == 15 and calibration.n_units() == 40


def test_models_and_images_vote_together():
    one, other = predictions([0.0, 10.0], plain(np.ones(99))), predictions([0.0, 10.0], plain(np.full(99, 2.0)))
    half = merge_intervals(AGE, [one, other], np.array([[0, 1]]), {"age": np.array([5.0])}, 0.9)["age_within"]
    assert half == pytest.approx([6.0])  # 0 or 10, of which three in four intervals reach 6 or less on a side


def test_combining_leaves_missing_labels_out():
    ages = np.array([[[1.0], [np.nan]], [[2.0], [np.nan]], [[9.0], [np.nan]]])
    for how, expected in (("mean", 4.0), ("median", 2.0)):
        combined = merging.combine(AGE.targets[0], ages, how)
        assert combined[0, 0] == expected and np.isnan(combined[1, 0])
    log = Number("price", ("price",), low=1.0, high=1e4, scale="log")
    assert merging.combine(log, np.array([[[1.0]], [[100.0]]]))[0, 0] == 50.5
