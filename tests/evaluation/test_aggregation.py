"""One prediction and one interval for the images of a group, and what is said of labels that differ within one."""
import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from imgreg_fastai import config
from imgreg_fastai.evaluation import aggregation, calibrate, evaluate
from imgreg_fastai.inference.merging import ModelPredictions
from imgreg_fastai.tasks import ANGLE, Number, Point, Rotation, Task
from imgreg_fastai.utils.messages import ImgregError
from tests.evaluation.test_calibrate import ages
from tests.inference.test_conformal import plain

AGE = Task("age", (Number("age", ("age",), "years", low=0.0, high=100.0),), (32, 32), augment=())


def test_one_answer_for_the_pictures_of_a_group():
    task = Task("t", (Number("n", ("n",), low=0.0, high=9.0), *ANGLE.targets))
    frame = pd.DataFrame({"house": ["a", "b", "a", None], "n": [1.0, 5.0, 3.0, 7.0], "angle": [1.0, 9.0, 179.0, 3.0]})
    one = aggregation.aggregate_by(task, frame, "house")
    assert list(one["house"]) == ["a", "b", "image 3"] and list(one["images"]) == [2, 1, 1]
    assert list(one["n"]) == [2.0, 5.0, 7.0] and min(one["angle"][0], 180 - one["angle"][0]) < 1e-6
    judged = frame.assign(n_predicted=frame["n"] + [1, 0, 3, 0], angle_predicted=frame["angle"], n_error=99.0)
    errors = aggregation.aggregate_by(task, judged, "house", "median")
    assert list(errors["n_error"]) == [2.0, 0.0, 0.0] and errors["angle_error"].max() < 1e-6
    points = Task("p", (Point("p", ("n", "angle")),))
    with pytest.raises(ImgregError, match="--by with targets that are the same in several images"):
        aggregation.aggregate_by(points, frame, "house")


def test_a_group_that_is_called_as_an_image_without_one_stays_apart():
    frame = pd.DataFrame({"who": ["image 1", None, "image 1", 3], "age": [1.0, 5.0, 3.0, 7.0]})
    groups = aggregation.aggregate_by(AGE, frame, "who")
    assert list(groups["who"]) == ["image 1", "image 1", 3] and list(groups["age"]) == [2.0, 5.0, 7.0]


def of_ages(frame, within=2.0, ood=False):
    """What a model with intervals of one width predicts for the rows of a frame."""
    n = len(frame)
    return ModelPredictions(AGE, {"age": frame["age"].to_numpy(float)}, np.full((n, 1), within), np.full(n, ood),
                            plain(np.ones(99)))


def test_groups_have_intervals_and_an_image_alone_its_own():
    frame = pd.DataFrame({"who": ["a", "b", "a", None, "a"], "age": [10.0, 50.0, 12.0, 30.0, 17.0]})
    groups = aggregation.aggregate_by(AGE, frame, "who", models=[of_ages(frame)], coverage=0.9)
    assert list(groups) == ["who", "images", "age", "age_within", "ood"] and not groups["ood"].any()
    assert list(groups["age_within"]) == [3.0, 2.0, 2.0]  # about 13: 12 - 2 is as far as two of three reach
    medians = aggregation.aggregate_by(AGE, frame, "who", "median", [of_ages(frame)], 0.9)
    assert list(medians["age"]) == [12.0, 50.0, 30.0] and list(medians["age_within"]) == [2.0, 2.0, 2.0]


def test_a_group_is_flagged_where_half_of_its_images_are():
    frame = pd.DataFrame({"who": list("aaabb"), "age": 1.0})
    predictions = replace(of_ages(frame), ood=np.array([True, False, False, True, False]))
    assert list(aggregation.aggregate_by(AGE, frame, "who", models=[predictions], coverage=0.9)["ood"]) == [False, True]


@pytest.mark.parametrize("target", [Number("t", ("t",), "bar", low=0.0, high=9.0), *ANGLE.targets,
                                    Rotation("t", ("t", "u", "v"))])
def test_labels_that_differ_within_a_group_are_told_with_an_example(caplog, target):
    task = Task("t", (target,), (32, 32), augment=())
    labels = np.array([1.0, 1.0, 5.0, 8.0, np.nan, 8.0])
    columns = dict.fromkeys(target.columns, labels)
    frame = pd.DataFrame({**columns, **{f"{c}_predicted": 1.0 for c in target.columns}, "visit": list("aabbcc")})
    aggregation.aggregate_by(task, frame, "visit")
    assert caplog.text.count("differ within 1 of 3 groups") == 1 and "in visit 'b'" in caplog.text
    caplog.clear()
    aggregation.aggregate_by(task, frame.assign(visit=list("aabdcd")), "visit")
    assert not caplog.text


def people(n_images=4, seed=0):
    """A calibrated model of ages, whose labels are those of people with `n_images` each; the part test is left."""
    model, frame = ages(2400, hard=0.0, seed=seed)
    who = np.arange(len(frame)) // n_images
    frame = frame.assign(age=frame["age"].groupby(who).transform("first"), group=[f"p{i}" for i in who])
    rng = np.random.default_rng(seed)
    predicted = frame["age"].to_numpy() + 4 * rng.standard_normal(len(frame))
    model = replace(model, task=replace(model.task, group="who"),
                    outputs_of=model.task.targets[0].encode_labels(predicted)[:, None])
    return calibrate.calibrate(model, frame, config.TrainConfig()), frame[frame["split"] == "test"]


def test_groups_of_the_calibration_make_intervals_narrower(tmp_path, monkeypatch):
    monkeypatch.setattr(evaluate.plots, "write_all", lambda *_: None)
    model, frame = people()
    assert model.calibration.sample is not None and model.calibration.block_size(4, 0.9) == 4
    frame = frame.assign(visit=frame["group"])
    measured = {}
    for by in ("group", "visit", None):
        folder = tmp_path / str(by)
        folder.mkdir()
        measured[by] = evaluate.write_evaluation(folder, model, frame, frame, by=by)["test"]["age"]["coverage"]
        assert json.loads((folder / "scores.json").read_text())["test"]["age"]["coverage"] == measured[by]
    assert measured["group"]["width"] < 0.65 * measured[None]["width"] < measured["visit"]["width"]
    assert all(scores["reached"] > 0.8 and scores["asked"] == 0.9 for scores in measured.values())
    groups = pd.read_csv(tmp_path / "group" / "groups.csv")
    assert len(groups) == 150 and {"age_within", "ood", "images"} <= set(groups)


def test_labels_that_differ_within_groups_or_few_groups_leave_no_sample():
    model, frame = ages(people=10)
    model = replace(model, task=replace(model.task, group="who"))
    assert calibrate.calibrate(model, frame, config.TrainConfig()).calibration.sample is None
    alike = frame.assign(age=frame["age"].groupby(frame["group"]).transform("first"))
    assert calibrate.calibrate(model, alike, config.TrainConfig()).calibration.sample is not None
    unnamed = replace(model, task=replace(model.task, group=""))  # a column that is called group needs no --group
    assert calibrate.calibrate(unnamed, alike, config.TrainConfig()).calibration.sample is not None
    one = alike.assign(group=alike["split"], age=alike["age"].groupby(alike["split"]).transform("first"))
    assert calibrate.calibrate(model, one, config.TrainConfig()).calibration.sample is None
