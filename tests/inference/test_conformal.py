"""Radii that cover what they promise, by what was drawn to be known."""
from dataclasses import replace

import numpy as np
import pytest

from imgreg_fastai.inference import conformal
from imgreg_fastai.inference.conformal import Calibration, DifficultyModel, FeatureSpace
from imgreg_fastai.inference.quantiles import conformal_quantile
from imgreg_fastai.utils.messages import ImgregError


def plain(scores, groups=None, k=1, features=3, n_out=1):
    """A Calibration whose difficulty is 1 everywhere."""
    scores = np.asarray(scores, float).reshape(len(scores), -1)
    m = scores.shape[1]
    space = FeatureSpace(np.zeros(features), np.eye(features)[:k], np.ones(k), np.ones(1))
    units = np.arange(len(scores)) if groups is None else np.asarray(groups)
    difficulty = DifficultyModel(np.ones(m), np.zeros((k + 2 + n_out, m)), np.zeros(m), np.zeros(m))
    return Calibration(space, difficulty, scores, units, np.array([2.0]))


def assess(calibration, features, scale=1.0):
    """What it says by features alone."""
    n = len(features)
    return calibration.assess(features, np.zeros((n, 1)), np.empty((n, 0)), np.full((n, 1), scale))


@pytest.mark.parametrize("n, coverage", [(9, 0.9), (10, 0.9), (99, 0.9), (100, 0.95), (7, 0.5)])
def test_of_pictures_by_themselves_it_is_the_score_of_the_rank_of_split_conformal(n, coverage):
    scores = np.random.default_rng(n).permutation(np.arange(n, dtype=float))
    assert conformal_quantile(scores, np.arange(n), coverage) == np.ceil((n + 1) * coverage - 1e-9) - 1


def test_too_few_promise_nothing():
    assert conformal_quantile(np.ones(8), np.arange(8), 0.9) == np.inf
    with pytest.raises(ImgregError, match=r"at most 0\.888.*8 images"):
        plain(np.ones(8)).quantiles(0.9)
    with pytest.raises(ImgregError, match=r"at most 0\.666: 2 groups"):
        plain(np.ones(18), np.repeat(np.arange(2), 9)).quantiles(0.7)
    few = plain(np.arange(20.0), np.r_[np.arange(18) % 5, 4, 4])  # two of a group's five lie above all other groups
    with pytest.raises(ImgregError, match=r"at most 0\.92: 5 groups"):
        few.quantiles(0.93)
    assert few.quantiles(0.9) < 20


@pytest.mark.parametrize("coverage", [0, 1, -1, 1.5, float("nan")])
def test_a_coverage_that_is_none_is_one_line(coverage):
    with pytest.raises(ImgregError, match="between 0 and 1"):
        plain(np.ones(99)).quantiles(coverage)


def test_groups_weigh_the_same_however_many_pictures_they_have():
    scores = np.r_[np.full(1000, 1.0), np.arange(2.0, 41.0)]  # a group of 1,000, and 39 of one each
    groups = np.r_[np.zeros(1000, int), np.arange(1, 40)]
    assert conformal_quantile(scores, groups, 0.9) == 37.0  # the 37th of 40 groups


def test_new_groups_are_covered_where_pooled_pictures_would_fall_short():
    rng, held, pooled = np.random.default_rng(0), [], []
    for _ in range(400):
        hard = rng.lognormal(0, 1, 21)  # a group's own difficulty; the last is new
        scores = np.abs(rng.normal(size=(21, 30))) * hard[:, None]
        seen, groups = scores[:20].ravel(), np.repeat(np.arange(20), 30)
        held.append(np.mean(scores[20] <= conformal_quantile(seen, groups, 0.9)))
        pooled.append(np.mean(scores[20] <= conformal_quantile(seen, np.arange(600), 0.9)))
    assert 0.9 <= np.mean(held) < 0.97
    assert np.mean(pooled) < np.mean(held) - 0.01


@pytest.mark.parametrize("normalised", [False, True])
def test_coverage_is_as_promised_and_hard_pictures_get_wider_intervals(normalised):
    rng, reached, widths = np.random.default_rng(1), [], []
    weights = np.zeros((3 + 1, 1))
    weights[0] = normalised  # log difficulty is the first coordinate
    for _ in range(200):
        x = rng.normal(size=(300, 3)) * (1, 0.1, 0.1)
        errors = np.abs(rng.normal(size=300)) * np.exp(x[:, 0])
        of = plain(np.ones(200))
        of = replace(of, difficulty=DifficultyModel(np.ones(1), weights, np.full(1, -9.0), np.full(1, 9.0)))
        hard, _ = assess(of, x)
        of = replace(of, scores=errors[:200, None] / hard[:200])
        radii = hard[200:] * of.quantiles(0.9)
        reached.append(np.mean(errors[200:] <= radii[:, 0]))
        widths.append(np.quantile(radii, 0.95) / np.quantile(radii, 0.05))
    assert np.mean(reached) == pytest.approx(0.9, abs=0.01)
    assert (np.mean(widths) > 10) == normalised


# several intervals at once

def correlated(n, rng, m=5):
    """Scores [n, m] of images that are hard or easy for all m values, and of different size."""
    return np.abs(rng.normal(size=(n, m))) * np.exp(0.5 * rng.normal(size=(n, 1))) * np.arange(1, m + 1)


def test_joint_intervals_contain_all_values_at_once_and_single_ones_do_not():
    rng, joint, single = np.random.default_rng(0), [], []
    for _ in range(200):
        scores = correlated(300, rng)
        calibration = plain(scores[:100])
        joint.append((scores[100:] <= calibration.joint_quantiles(0.9)).all(axis=1).mean())
        single.append((scores[100:] <= calibration.quantiles(0.9)).all(axis=1).mean())
    assert np.mean(joint) == pytest.approx(0.9, abs=0.015) and np.mean(single) < 0.8


@pytest.mark.parametrize("n_groups", [6, 9, 17, 40])
def test_joint_intervals_of_many_values_hold_for_new_groups(n_groups):
    rng, covered = np.random.default_rng(0), []
    for _ in range(40):
        shape = n_groups + 20, 20
        own = np.exp(0.3 * rng.normal(size=(shape[0], 1, 20)) + 0.35 * rng.normal(size=(shape[0], 1, 1)))
        scores = own * np.abs(rng.normal(size=(*shape, 20)))  # of groups that differ, and in each value in another way
        calibration = plain(scores[:n_groups].reshape(-1, 20), np.repeat(np.arange(n_groups), 20))
        if calibration.has_joint(0.9):
            covered.append((scores[n_groups:] <= calibration.joint_quantiles(0.9)).all(axis=2).mean())
    assert len(covered) > 30 and 0.88 < np.mean(covered) < 0.95


def test_joint_intervals_are_all_wider_by_about_the_same_factor_and_calibrated_by_images_with_all_labels():
    rng = np.random.default_rng(1)
    scores = correlated(400, rng)
    scores[rng.random(scores.shape) < 0.3] = np.nan
    scores[:5] = np.nan  # images without any label
    scores[:, 3] = np.nan  # a column without any
    calibration = plain(scores)
    ratios = calibration.joint_quantiles(0.9) / calibration.quantiles(0.9)
    assert np.isnan(ratios[3]) and np.ptp(ratios[[0, 1, 2, 4]]) < 0.1 and ratios[0] > 1.2
    widths = [calibration.joint_quantiles(asked)[:3] for asked in (0.5, 0.7, 0.9, 0.95)]
    assert (np.diff(widths, axis=0) > 0).all(), "wider for a higher coverage"
    complete = scores[np.isfinite(np.delete(scores, 3, axis=1)).all(axis=1)]
    inside = np.isnan(complete) | (complete <= calibration.joint_quantiles(0.9))
    assert 50 < len(complete) < 150 and inside.all(axis=1).mean() == pytest.approx(0.9, abs=0.02)
    assert (replace(calibration, scores=scores[5:], groups=calibration.groups[5:]).joint_quantiles(0.9)[0]
            == calibration.joint_quantiles(0.9)[0])


def test_values_that_no_image_has_labels_of_together_have_no_joint_intervals():
    scores = correlated(400, np.random.default_rng(2), 2)
    scores[:200, 0] = scores[200:, 1] = np.nan
    calibration = plain(scores)
    assert np.isfinite(calibration.quantiles(0.9)).all() and not calibration.has_joint(0.9)
    with pytest.raises(ImgregError, match="by a label of each value"):
        calibration.joint_quantiles(0.9)


@pytest.mark.parametrize("groups", [None, np.repeat(np.arange(10), 12)])
def test_one_column_alone_has_the_same_interval_jointly(groups):
    scores = correlated(120, np.random.default_rng(2), m=1)
    calibration = plain(scores, groups)
    assert calibration.joint_quantiles(0.8) == pytest.approx(calibration.quantiles(0.8))
    exact = plain(np.r_[np.zeros(110), np.ones(10)])
    assert exact.quantiles(0.9) == exact.joint_quantiles(0.9) == 0


def test_a_column_that_is_nearly_always_exact_does_not_break_the_others():
    rng = np.random.default_rng(3)
    scores = correlated(400, rng, m=3)
    scores[:, 1] = np.where(rng.random(400) < 0.04, scores[:, 1], 0)
    scores[:, 2] = 0
    calibration = plain(scores)
    assert (calibration.quantiles(0.9) == (calibration.quantiles(0.9)[0], 0, 0)).all()
    joint = calibration.joint_quantiles(0.9)
    assert np.isfinite(joint).all() and joint[2] == 0 and joint[1] > 0
    assert (scores <= joint).all(axis=1).mean() >= 0.9


def test_joint_intervals_that_do_not_exist_are_refused():
    calibration = plain(np.repeat(np.arange(10.0)[:, None], 2, axis=1))
    assert calibration.has_joint(0.9)
    with pytest.raises(ImgregError, match=r"--coverage of at most 0\.909: 10 images"):
        calibration.joint_quantiles(0.95)
    scores = np.repeat(1 + np.arange(60.0)[:, None] % 20, 2, axis=1)  # of three groups of 20
    scores[56:58, 0] = scores[58:, 1] = 100  # all others lie below: two images of one group, and other ones
    calibration = plain(scores, np.repeat(np.arange(3), 20))
    assert np.isfinite(calibration.quantiles(0.95)).all() and not calibration.has_joint(0.95)
    with pytest.raises(ImgregError, match=r"--coverage of at most 0\.9 with --joint; found 0\.95"):
        calibration.joint_quantiles(0.95)


# groups left out

def test_groups_left_out_are_covered_as_new_ones_would_be():
    rng, told, reached = np.random.default_rng(4), [], []
    for _ in range(40):
        scores = np.abs(rng.normal(size=(40, 50))) * np.exp(0.4 * rng.normal(size=(40, 1)))
        calibration = plain(scores[:10].ravel(), np.repeat(np.arange(10), 50))
        told.append(calibration.left_out_coverage(0.9)[0])
        reached.append((scores[10:] <= calibration.quantiles(0.9)).mean())
    assert np.mean(told) == pytest.approx(np.mean(reached), abs=0.03)


def test_groups_left_out_tell_nothing_where_the_others_have_no_quantile():
    scores = np.random.default_rng(5).random((60, 2))
    scores[:, 1] = np.nan
    assert np.isnan(plain(scores, np.repeat(np.arange(3), 20)).left_out_coverage(0.9)).all()
    four = plain(scores, np.repeat(np.arange(4), 15)).left_out_coverage(0.9)
    assert 0.7 < four[0] <= 1 and np.isnan(four[1])


def test_missing_labels_are_no_scores():
    scores = np.arange(40, dtype=float).reshape(20, 2)
    scores[::2, 0] = np.nan
    scores[:, 1] = np.nan
    few, none = plain(scores).quantiles(0.9)
    assert few == scores[1::2, 0].max() and np.isnan(none)


def test_difficulty_stays_within_its_limits():
    weights = np.array([[1.0], [0], [0], [0]])
    of = replace(plain(np.ones(99)), difficulty=DifficultyModel(np.ones(1), weights, np.array([-1.0]), np.array([2.0])))
    hard, _ = assess(of, np.array([[50.0, 0, 0], [-50, 0, 0], [0.5, 0, 0]]))
    assert np.log(hard[:, 0]) == pytest.approx([2, -1, 0.5])
    assert assess(of, np.zeros((1, 3)), scale=7.0)[0] == 7.0  # an image twice as large is off by twice as many pixels


def test_distance_is_mahalanobis_squared_over_the_number_of_features():
    space = FeatureSpace(np.array([1.0, 2, 3]), np.array([[0, 1.0, 0]]), np.array([4.0]), np.array([0.25]))
    places, distance = space.project(np.array([[1.0, 2, 3], [1, 4, 3], [1.5, 2, 3]]))
    assert places[:, 0] == pytest.approx([0, 1, 0]) and distance == pytest.approx([0, 1 / 3, 1 / 3])


def test_what_is_far_from_the_training_pictures_is_flagged():
    of = plain(np.ones(99))
    assert assess(of, np.array([[1.0, 1, 1], [3, 0, 0]]))[1].tolist() == [False, True]


def test_a_calibration_comes_back_from_its_arrays():
    of = plain(np.arange(20.0), np.repeat(np.arange(10), 2))
    back = conformal.calibration_from_arrays(of.state(), 3, 1, 1, 1)
    assert back.quantiles(0.8) == of.quantiles(0.8)
    assert all(np.array_equal(a, b) for a, b in zip(of.state().values(), back.state().values(), strict=True))
    labels = np.full((len(of.scores), 1), np.nan)
    grouped = replace(of, sample=conformal.GroupSample(np.ones_like(labels), labels, np.ones_like(labels)))
    back = conformal.calibration_from_arrays(grouped.state(), 3, 1, 1, 1)
    assert np.isnan(back.sample.labels).all() and back.sample.predicted.shape == labels.shape
    for name, value in (("predicted", np.ones((3, 1))), ("labels", np.ones((len(labels), 2))), ("difficulty", labels)):
        with pytest.raises(ValueError, match=f"calibration {name}"):
            conformal.calibration_from_arrays({**grouped.state(), name: value}, 3, 1, 1, 1)


@pytest.mark.parametrize("name, value", [
    ("weights", np.zeros((3, 1))), ("scores", np.zeros((0, 1))), ("scores", np.full((20, 1), np.inf)),
    ("scores", np.full((20, 1), -1.0)), ("variance", np.zeros(1)), ("rest", np.array([np.nan])),
    ("mean", np.zeros(4)), ("groups", np.zeros(3)), ("far", np.array([np.inf])), ("low", np.zeros(2)),
    ("low", np.ones(1)), ("high", np.full(1, 1e6)), ("sized", np.zeros(2)), ("scores", np.ones((20, 1), bool))])
def test_arrays_that_are_no_calibration_of_this_network_are_refused(name, value):
    with pytest.raises(ValueError):
        conformal.calibration_from_arrays({**plain(np.ones(20)).state(), name: value}, 3, 1, 1, 1)


def test_a_missing_or_unknown_array_is_refused():
    state = plain(np.ones(20)).state()
    for wrong in ({k: v for k, v in state.items() if k != "axes"}, {**state, "more": np.ones(1)},
                  {k: v for k, v in state.items() if k != "low"}):
        with pytest.raises((ValueError, KeyError, TypeError)):
            conformal.calibration_from_arrays(wrong, 3, 1, 1, 1)
