"""Several models that answer as one."""
import io
import json
import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from imgreg_fastai.api import functions
from imgreg_fastai.inference import ensemble, model_file
from imgreg_fastai.inference.ensemble import Ensemble
from imgreg_fastai.inference.predictor import Predictor
from imgreg_fastai.tasks import Angle, Number, Point, Rotation, Task
from imgreg_fastai.utils.messages import ImgregError
from tests.cli.test_cli import mistake
from tests.conftest import BOX, said
from tests.inference.test_conformal import plain

WAY = Angle("way", ("way",))
AGE = Number("age", ("age",), "years", low=0.0, high=100.0)
PRICE = Number("price", ("price",), "EUR", low=1.0, high=1000.0, scale="log")
SPOT = Point("spot", ("x", "y"))
POSE = Rotation("pose", ("yaw", "pitch", "roll"))
BLACK = np.zeros((30, 60, 3), np.uint8)


def always(targets, outputs, size=(32, 32), odd=None, **of):
    """A model that gives the same outputs for every image; calibrated if `odd` tells whether all are unlike."""
    outputs = torch.tensor(np.array([outputs], float), dtype=torch.float32)
    network = lambda x: x[:, :, 0, 0] + 10.0 * bool(odd), lambda x: outputs.expand(len(x), -1)
    task = Task("t", tuple(targets), size=size, augment=(), **of)
    m = sum(len(t.interval_columns) for t in task.targets)
    calibration = None if odd is None else plain(np.ones((40, m)), n_out=task.n_out)
    about = {"mean": (0.0,) * 3, "std": (1.0,) * 3, "calibration": {"coverage": 0.9}}
    return Predictor(task, network, about, calibration=calibration)


def towards(degrees):
    return [np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))]


# the average

def test_answers_are_averaged_by_each_kinds_own_mean_whatever_the_views():
    """The way around zero, prices by their logarithms, places in pixels of the image, rotations as such."""
    kinds = (WAY, PRICE, SPOT, POSE, AGE)
    sides = [POSE.matrix(np.array([[0.0, pitch, 0.0]]))[0].ravel() for pitch in (10.0, 50.0)]
    cheap, dear = (PRICE.encode_labels(np.array(price)) for price in (4.0, 100.0))
    old = replace(AGE, high=200.0)
    one = always(kinds, [*towards(350), cheap, 0.0, 0.0, *sides[0], AGE.encode_labels(20.0)])
    other = always((old, *kinds[:4]),  # in another order, scaled and seen otherwise
                   [old.encode_labels(40.0), *towards(20), dear, 0.5, 0.0, *sides[1]], size=(48, 96), fit="squish")
    both = Ensemble((one, other))
    frame = both.predict(BLACK)
    assert list(frame) == ["image", *both.task.columns] and len(frame) == 1
    found = frame.iloc[0]
    assert [found[c] for c in ("way", "price", "age")] == pytest.approx([5, 20, 30], abs=1e-3)
    assert (found["x"], found["y"]) == pytest.approx((30 + 7.5, 15), abs=1e-3)
    assert [found[c] for c in POSE.columns] == pytest.approx([0, 30, 0], abs=1e-3)


def test_a_number_that_one_learnt_plainly_has_the_plain_mean():
    linear = replace(PRICE, scale="linear", low=-100.0)
    models = always([PRICE], [PRICE.encode_labels(np.array(4.0))]), always([linear], [linear.encode_labels(-2.0)])
    for order in (models, models[::-1]):
        assert Ensemble(order).predict(BLACK)["price"][0] == pytest.approx(1, abs=1e-3)


def test_one_model_twice_says_what_it_says_once(run, drawn):
    pictures, model = sorted((drawn / "images").glob("*.png"))[:5], functions.load(run.path)
    alone = model.predict(pictures, tta=True)
    both = functions.load([run.path, model]).predict(pictures, tta=True)
    assert list(both["image"]) == list(alone["image"])
    assert model.task.targets[0].error(both[["angle"]].to_numpy(), alone[["angle"]].to_numpy()).max() < 1e-6
    assert functions.load([run.path]).about == model.about and not isinstance(functions.load((run.path,)), Ensemble)
    by_path = functions.predict([run.path, run.path], pictures)
    pd.testing.assert_frame_equal(by_path, functions.predict([model, model], pictures))


# which images

def test_pictures_that_do_not_open_are_named_once_and_the_others_keep_their_places(caplog, tmp_path):
    both = Ensemble((always([AGE], [0.0]), always([AGE], [0.5])))
    with caplog.at_level(logging.WARNING):
        frame = both.predict([BLACK, b"nothing", BLACK])
    assert list(frame["image"]) == [0, 2] and frame["age"].tolist() == pytest.approx([62.5, 62.5])
    assert caplog.text.count("left out") == 1
    with pytest.raises(ImgregError, match="gone"):
        both.predict(tmp_path / "gone.png")
    for i in (1, 2):
        Image.fromarray(BLACK).save(tmp_path / f"{i}.png")
    listed = both.predict([str(tmp_path / f"{i}.png") for i in range(3)], expand=False)
    assert list(listed.index) == [1, 2] and listed["image"].tolist() == [str(tmp_path / f"{i}.png") for i in (1, 2)]


def test_a_box_that_only_some_models_can_see_is_left_out():
    boxes = [[30, 15, 10, 10], [66, 15, 10, 10], [20, 15, 10, 10]]  # the second lies beyond the image
    wide, near = (always([SPOT], [0.0, 0.0], box=BOX, margin=margin) for margin in (2.0, 0.0))
    for order in ((wide, near), (near, wide)):
        frame = Ensemble(order).predict([BLACK] * 3, boxes)
        assert list(frame["image"]) == [0, 2] and list(frame["x"]) == pytest.approx([30, 20], abs=1)
    with pytest.raises(ImgregError, match="a box for each of 3 images"):
        Ensemble((wide, near)).predict([BLACK] * 3, boxes[:2])


def test_a_table_may_stand_in_place_of_the_pictures(spotted, tmp_path):
    both = [always([SPOT], [0.0, x], box=BOX) for x in (0.0, 0.2)]
    spotted.assign(image=spotted["path"])[["image", *BOX]].to_csv(tmp_path / "t.csv", index=False)
    frame = functions.predict(both, tmp_path / "t.csv", draw=tmp_path / "drawn")
    assert list(frame["image"]) == list(spotted["path"])
    assert list(frame["x"]) == pytest.approx(list(spotted["cx"]), abs=1)
    assert len(list((tmp_path / "drawn").iterdir())) == 16


# what they must agree in

@pytest.mark.parametrize(("one", "other", "told"), [
    (WAY, replace(WAY, period=180.0), r"'way' of way in ° \(period 180\), angle 'way' of way in ° \(period 360\)"),
    (WAY, Number("way", ("way",), "°"), "number 'way' of way in °"), (AGE, replace(AGE, name="years"), "'years'"),
    (AGE, replace(AGE, unit="months"), "months"), (SPOT, replace(SPOT, columns=("x", "z")), "x, z"),
    (POSE, replace(POSE, sequence="zyx"), "sequence zyx"),
])
def test_models_that_answer_other_questions_are_refused_in_one_line(one, other, told):
    models = [always(t, np.zeros(sum(of.n_out for of in t))) for t in ((AGE, one), (AGE, other)) if one.name != "age"]
    models = models or [always([t], [0.0]) for t in (one, other)]
    with pytest.raises(ImgregError, match=f"models of the same targets; found some that are not in all: .*{told}") as e:
        Ensemble(tuple(models))
    assert "\n" not in str(e.value)


def test_other_boxes_one_target_less_and_no_models_are_refused():
    with pytest.raises(ImgregError, match="the same --box; found none and cx, cy, w, h"):
        Ensemble((always([AGE], [0.0]), always([AGE], [0.0], box=BOX)))
    with pytest.raises(ImgregError, match="not in all: angle 'way'"):
        Ensemble((always([AGE], [0.0]), always([AGE, WAY], [0.0, 1.0, 0.0])))
    with pytest.raises(ImgregError, match="a run or a model file"):
        functions.load([])


def test_two_models_have_an_interval_that_reaches_over_both_and_flag_what_one_flags(caplog):
    usual, odd, plain_one = (always([AGE], [0.0], odd=odd) for odd in (False, True, None))
    older = replace(usual, network=always([AGE], [0.5]).network)  # 75 years, not 50; all half-widths are 1
    for models, within, unlike in (((usual, usual), 1, False), ((usual, odd), 1, True), ((usual, older), 13.5, False)):
        with caplog.at_level(logging.INFO, "imgreg"):
            frame = Ensemble(models).predict([BLACK, BLACK])
        assert list(frame) == ["image", "age", "age_within", "ood"] and frame["ood"].tolist() == [unlike] * 2
        assert frame["age_within"].tolist() == pytest.approx([within] * 2)
    assert not caplog.text
    with caplog.at_level(logging.INFO, "imgreg"):
        assert list(Ensemble((plain_one, plain_one)).predict(BLACK)) == ["image", "age"]
    assert "intervals" not in caplog.text
    with pytest.raises(ImgregError, match="--coverage with a model that has intervals"):
        Ensemble((plain_one, plain_one)).predict(BLACK, coverage=0.8)


def test_models_that_are_not_calibrated_have_no_vote_and_that_is_said(caplog):
    plain_one, older = always([AGE], [0.5]), always([AGE], [0.0], odd=False)
    with caplog.at_level(logging.INFO, "imgreg"):
        frame = Ensemble((plain_one, older)).predict(BLACK)
    assert frame["age_within"][0] == pytest.approx(12.5 + 1)  # the interval of the one, about the average of both
    assert caplog.text.count("intervals come from the 1 of 2 models that are calibrated") == 1


def test_targets_in_another_order_keep_their_own_intervals():
    one, other = always([AGE, SPOT], [0.0, 0, 0], odd=False), always([SPOT, AGE], [0.0, 0, 0], odd=False)
    scores = np.repeat([[1.0, 5.0]], 40, axis=0)
    one = replace(one, calibration=plain(scores, n_out=3))
    other = replace(other, calibration=plain(scores[:, ::-1], n_out=3))
    frame = Ensemble((one, other)).predict(BLACK)
    assert frame["age_within"][0] == 1 and frame["spot_within"][0] == one.predict(BLACK)["spot_within"][0] > 5


def test_a_coverage_that_is_too_high_for_one_model_stops_before_the_work():
    few, many = (replace(always([AGE], [0.0], odd=False), calibration=plain(np.ones((n, 1)))) for n in (9, 40))
    assert Ensemble((few, many)).predict(BLACK)["age_within"][0] == 1
    with pytest.raises(ImgregError, match=r"at most 0\.9: 9 images"):
        Ensemble((many, few)).predict("nosuch.png", coverage=0.95)


def test_moved_pictures_are_refused_before_the_work_where_one_model_allows_none():
    able = replace(AGE, laws=("flip",))
    both = Ensemble((always([able], [0.0]), always([AGE], [0.0])))
    with pytest.raises(ImgregError, match="--tta"):
        both.predict("nosuch.png", tta=True)


# the command line

def test_leading_arguments_are_models_and_a_folder_of_pictures_never_is(run, drawn, tmp_path):
    pictures, model = tmp_path / "photos", tmp_path / "m.imgreg"
    pictures.mkdir()
    model.touch()
    photo = pictures / "a.JPG"
    Image.fromarray(BLACK).save(photo, "JPEG")
    for name in ("run.json", model_file.MODEL):  # whatever lies among the photographs
        (pictures / name).write_text("{}")
    (tmp_path / "deep" / "run").mkdir(parents=True)
    (tmp_path / "deep" / "run" / "run.json").write_text("{}")
    a, b = str(run.path), str(model)
    for places, n in (([a, a, b, photo], 3), ([a, pictures], 1), ([a, b, pictures, a], 2), ([a, drawn / "images"], 1),
                      ([a, "-"], 1), ([a, tmp_path / "gone"], 1), ([a, tmp_path / "deep"], 1), ([a, a], 2),
                      (["gone", photo], 1), ([a, pictures / model_file.MODEL, photo], 2), ([a, "x" * 5000], 1)):
        assert ensemble.count_models([str(place) for place in places]) == n


def test_several_runs_predict_together_in_the_terminal(run, drawn, tmp_path, capsys, monkeypatch):
    pictures = sorted(str(p) for p in (drawn / "images").glob("*.png"))[:3]
    bundle = functions.export(run.path, "bundle", tmp_path / "other.imgreg")
    alone = said(capsys, "predict", run.path, *pictures, "--format", "json")
    both = json.loads(said(capsys, "predict", run.path, bundle, *pictures, "--format", "json"))
    assert [row["image"] for row in both] == pictures
    assert [row["angle"] for row in both] == pytest.approx([row["angle"] for row in json.loads(alone)], abs=2e-4)
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(pictures)))
    table = said(capsys, "predict", run.path, bundle, "-", "--tta").splitlines()
    assert len(table) == 4 and "angle" in table[0]
    assert "images after the models; found 2 models alone" in mistake(capsys, "predict", run.path, bundle)
    assert "none in" in mistake(capsys, "predict", run.path, tmp_path)
