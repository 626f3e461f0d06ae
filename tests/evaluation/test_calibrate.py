"""Intervals fitted to a model whose errors are known, and what is said where they cannot be."""
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import pytest

from imgreg_fastai import config
from imgreg_fastai.evaluation import calibrate, coverage, metrics
from imgreg_fastai.inference.predictor import NetworkOutput, Predictor
from imgreg_fastai.tasks import Number, Point, Task

AGE = Task("age", (Number("age", ("age",), "years", low=0.0, high=100.0),), (32, 32))
FACE = Task("face", (Point("face", ("a_x", "a_y", "b_x", "b_y")),), (32, 32))


@dataclass
class Known(Predictor):
    """A Predictor that "sees" arrays: the path of an image is its number in them. Its network is never used."""

    outputs_of: np.ndarray = field(default=None, repr=False)
    features_of: np.ndarray = field(default=None, repr=False)

    def predict_outputs(self, sources, boxes=None, bs=64, quiet=False, features=False, tta=False):
        rows = np.array(sources, int)
        outputs, seen = self.outputs_of[rows], self.features_of[rows]
        views, judged = np.tile([1 / 16, 1 / 16, -1, -1], (len(rows), 1)), (None, None)
        if self.calibration:
            uncertainty, scales = self.task.uncertainty_features(outputs), self.task.error_scales(views)
            judged = self.calibration.assess(seen, outputs, uncertainty, scales)
        return NetworkOutput(outputs, views, {}, seen if features else None, *judged)


def ages(n=1200, hard=0.8, seed=0, people=0):
    """A model of ages, and its labels: errors grow by exp(hard) with each step of the second feature."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(n, 12)) * np.linspace(2, 0.1, 12)
    age = rng.uniform(10, 90, n)
    error = rng.normal(size=n) * np.exp(hard * features[:, 1] / 2)
    outputs = AGE.targets[0].encode_labels(age + error)[:, None]
    frame = pd.DataFrame({"path": np.arange(n).astype(str), "image": np.arange(n).astype(str), "age": age})
    frame["split"] = np.repeat(["train", "valid", "calibrate", "test"], n // 4)
    if people:
        frame["group"] = (np.arange(n) // (n // 4 // people)).astype(str)
    return Known(AGE, [None], {}, outputs_of=outputs, features_of=features.astype(np.float32)), frame


def held(model, frame, asked=0.9):
    """The coverage on the part test, and its rows."""
    rows = metrics.predictions(model, frame[frame["split"] == "test"])
    return coverage.measure_coverage(model.task, rows, asked, 300)[model.task.targets[0].name], rows


def test_fitted_intervals_hold_what_they_promise_and_are_narrower_for_easy_pictures():
    covered, wide, gains = [], [], []
    for seed in range(8):
        model, frame = ages(3200, seed=seed)
        model = calibrate.calibrate(model, frame, config.TrainConfig())
        of, rows = held(model, frame)
        covered.append(of["reached"])
        easy = rows["age_within"] < rows["age_within"].median()
        error = (rows["age"] - rows["age_predicted"]).abs()
        wide.append(error[~easy].mean() / error[easy].mean())
        gains.append(model.about["calibration"]["narrower"]["age"])
    assert np.mean(covered) == pytest.approx(0.9, abs=0.02)
    assert np.mean(wide) > 1.8 and np.mean(gains) < 0.92


def test_where_no_picture_is_harder_all_radii_are_alike():
    model, frame = ages(hard=0.0)
    model = calibrate.calibrate(model, frame, config.TrainConfig())
    of, rows = held(model, frame)
    assert rows["age_within"].nunique() == 1 and model.about["calibration"]["narrower"] == {"age": 1.0}
    assert of["reached"] == pytest.approx(0.9, abs=0.05) and of["width"] == pytest.approx(1.645, rel=0.15)


def test_one_in_a_hundred_pictures_like_those_trained_on_is_flagged_and_far_ones_all_are():
    model, frame = ages(4000)
    model = calibrate.calibrate(model, frame, config.TrainConfig())
    assert held(model, frame)[1]["ood"].mean() < 0.03
    model.features_of = model.features_of + 10
    assert held(model, frame)[1]["ood"].all()


def test_another_coverage_is_had_without_fitting_anew():
    model, frame = ages()
    model = calibrate.calibrate(model, frame, config.TrainConfig())
    widths = [model.intervals(model.predict_outputs(["1100"]), c)["age_within"][0] for c in (0.5, None, 0.95)]
    assert widths == sorted(widths) and len(set(widths)) == 3


@pytest.mark.parametrize(("people", "units", "told"), [
    (1, 600, "rest on 2 groups, too few to tell how much groups differ"),
    (2, 4, "rest on 4 groups: they hold for new groups on average"), (5, 10, ""), (30, 30, "")])
def test_few_groups_are_joined_by_those_of_the_validation_part_and_very_few_are_pooled_and_said(caplog, people, units,
                                                                                                 told):
    model, frame = ages(people=people)
    about = calibrate.calibrate(model, frame, config.TrainConfig()).about["calibration"]
    assert about["units"] == units and (told in caplog.text if told else "rest on" not in caplog.text)
    assert about["parts"] == (["calibrate", "valid"] if people < 30 else ["calibrate"])
    assert about["pictures"] == (600 if people < 30 else 300)
    assert ("left_out" in about) == (units in (4, 10))


def without_own_part(n=1200, people=10, seed=0):
    """A model of ages, and labels none of which are kept for intervals."""
    model, frame = ages(n, people=people, seed=seed)
    return model, frame[frame["split"] != "calibrate"]


def test_the_validation_part_calibrates_by_difficulties_that_were_fitted_without_its_groups(monkeypatch):
    model, frame = without_own_part()
    fit_difficulty, fits = calibrate.fit_difficulty, []
    monkeypatch.setattr(calibrate, "fit_difficulty", lambda *args: fits.append((args, fit_difficulty(*args)))
                        or fits[-1][1])
    calibration = calibrate.calibrate(model, frame, config.TrainConfig()).calibration
    ((_, _, valid, _), fit), = fits
    assert np.ptp(fit.left_out_difficulty) > 0.5
    assert np.array_equal(calibration.scores, valid.errors / fit.left_out_difficulty)
    assert not np.allclose(fit.left_out_difficulty, fit.model.predict(valid.inputs, valid.error_scales))
    assert len(np.unique(calibration.groups)) == 10


def test_an_image_without_a_label_has_the_difficulty_of_the_model():
    model, frame = without_own_part()
    some = frame.index[frame["split"] == "valid"][::7]
    frame.loc[some, "age"] = np.nan
    _, (train, valid, _) = calibrate.score_parts(model, frame, frame[:0], 0)
    fit = calibrate.fit_difficulty(AGE, train, valid, 0.9)
    missing = np.isnan(valid.errors[:, 0])
    expected = fit.model.predict(valid.inputs, valid.error_scales)
    assert missing.sum() == len(some) and np.array_equal(fit.left_out_difficulty[missing], expected[missing])


def test_a_group_that_a_table_divides_has_one_number_in_all_parts():
    model, frame = ages(people=4)
    frame["group"] = frame["group"].where(frame["split"] == "train", "the same")
    _, (train, valid, held) = calibrate.score_parts(model, frame, frame[frame["split"] == "calibrate"], 0)
    assert set(valid.groups) == set(held.groups) and len(set(valid.groups)) == 1
    assert not set(train.groups) & set(valid.groups)


def test_difficulties_without_the_own_group_are_like_those_of_the_model():
    model, frame = without_own_part(4000)
    _, (train, valid, _) = calibrate.score_parts(model, frame, frame[:0], 0)
    fit = calibrate.fit_difficulty(AGE, train, valid, 0.9)
    ratios = fit.left_out_difficulty / fit.model.predict(valid.inputs, valid.error_scales)
    assert np.median(ratios) == pytest.approx(1, abs=0.05) and np.std(np.log(ratios)) < 0.2


def test_intervals_that_only_the_validation_part_calibrated_hold_for_new_groups():
    covered, told = [], []
    for seed in range(8):
        model, frame = without_own_part(2400, people=8, seed=seed)
        model = calibrate.calibrate(model, frame, config.TrainConfig())
        covered.append(held(model, frame)[0]["reached"])
        told.append(model.about["calibration"]["left_out"]["age"])
    assert np.mean(covered) == pytest.approx(0.91, abs=0.03) and np.mean(told) == pytest.approx(0.91, abs=0.03)


def test_too_few_labels_leave_a_model_without_intervals_and_say_so(caplog):
    model, frame = ages()
    frame.loc[frame["split"] == "calibrate", "age"] = np.where(np.arange(300) < 6, 40.0, np.nan)
    assert calibrate.calibrate(model, frame, config.TrainConfig()).calibration is None
    assert "no intervals for age_within" in caplog.text


def test_few_validation_pictures_teach_no_difficulty():
    model, frame = ages()
    frame = pd.concat([frame[frame["split"] != "valid"], frame[frame["split"] == "valid"][:20]])
    assert calibrate.calibrate(model, frame, config.TrainConfig()).about["calibration"]["narrower"] == {}


def test_each_point_has_its_own_radius_and_missing_ones_cost_nothing():
    rng, n = np.random.default_rng(3), 800
    true = rng.uniform(8, 24, (n, 4))
    off = rng.normal(size=(n, 4)) * (0.2, 0.2, 2, 2)
    outputs = (true + off) / 16 - 1
    true[::3, :2] = np.nan
    frame = pd.DataFrame(true, columns=FACE.columns)
    frame["path"] = frame["image"] = np.arange(n).astype(str)
    frame["split"] = np.repeat(["train", "valid", "calibrate", "test"], n // 4)
    model = Known(FACE, [None], {}, outputs_of=outputs, features_of=rng.normal(size=(n, 6)).astype(np.float32))
    model = calibrate.calibrate(model, frame, config.TrainConfig())
    of, rows = held(model, frame)
    assert rows["face_b_within"].mean() == pytest.approx(10 * rows["face_a_within"].mean(), rel=0.25)
    assert of["reached"] == pytest.approx(0.9, abs=0.05)


def test_a_column_that_hardly_any_picture_labels_costs_the_others_nothing(caplog):
    rng, n = np.random.default_rng(3), 800
    true = rng.uniform(8, 24, (n, 4))
    outputs = (true + rng.normal(size=(n, 4))) / 16 - 1
    true[np.arange(n) % 40 > 0, 2:] = np.nan
    frame = pd.DataFrame(true, columns=FACE.columns)
    frame["path"] = frame["image"] = np.arange(n).astype(str)
    frame["split"] = np.repeat(["train", "valid", "calibrate", "test"], n // 4)
    model = Known(FACE, [None], {}, outputs_of=outputs, features_of=rng.normal(size=(n, 6)).astype(np.float32))
    _, rows = held(calibrate.calibrate(model, frame, config.TrainConfig()), frame)
    assert rows["face_a_within"].notna().all() and rows["face_b_within"].isna().all()
    assert "no intervals for face_b_within: fewer than 9 of the 200 images" in caplog.text


@pytest.mark.parametrize("grows", [0.0, 1.0])
def test_radii_grow_with_what_a_picture_shows_where_errors_do(grows):
    rng, n = np.random.default_rng(4), 1600
    true, extents = rng.uniform(8, 24, (n, 4)), np.where(rng.random(n) < 0.5, 1.0, 16.0)
    outputs = (true + rng.normal(size=(n, 4)) * (extents**grows)[:, None]) / 16 - 1
    frame = pd.DataFrame(true, columns=FACE.columns)
    frame["path"] = frame["image"] = np.arange(n).astype(str)
    frame["split"] = np.repeat(["train", "valid", "calibrate", "test"], n // 4)
    features = rng.normal(size=(n, 6)).astype(np.float32)

    def of(part):
        rows = frame[frame["split"] == part]
        i = rows.index.to_numpy()
        space = calibrate.fit_feature_space(features[:400])
        inputs, far = space.difficulty_inputs(features[i], outputs[i], np.empty((len(i), 0)))
        off = FACE.targets[0].interval_errors((outputs[i] + 1) * 16, true[i])
        return calibrate.ScoredPart(inputs, far, off, np.repeat(extents[i][:, None], 2, axis=1), i)

    fit = calibrate.fit_difficulty(FACE, of("train"), of("valid"), 0.9)
    assert (fit.model.scale_exponent == grows).all() and (fit.widths["face"] < 0.9) == bool(grows)
    assert np.allclose(np.log(fit.left_out_difficulty), grows * np.log(of("valid").error_scales), atol=0.5)


def test_features_that_are_all_alike_do_no_harm():
    model, frame = ages()
    model.features_of = np.zeros_like(model.features_of)
    model = calibrate.calibrate(model, frame, config.TrainConfig())
    assert np.isfinite(held(model, frame)[1]["age_within"]).all()
