"""The verbs as functions: what cuts across the rooms."""
import json
import logging
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from imgreg_fastai import evaluate, load, predict
from imgreg_fastai.api import functions
from imgreg_fastai.evaluation import evaluate as evaluation
from imgreg_fastai.models import network, timm_body
from imgreg_fastai.reports import run_page
from imgreg_fastai.runs import list_runs, load_run
from imgreg_fastai.tasks import ANGLE
from imgreg_fastai.training.losses import mean_encoded
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import BOX, SMALL, TINY


def test_evaluate_scores_the_validation_part_and_says_where(run, tmp_path, request):
    copy = tmp_path / "angle-001"
    shutil.copytree(run.path, copy)
    result = evaluate(copy)
    scores = result["scores"]
    assert scores["angle"]["mean"] == pytest.approx(run.scores["valid"]["angle"]["mean"], abs=1e-4)
    written = json.loads((copy / "evaluations/valid/scores.json").read_text())
    assert written == {"valid": scores} and result["folder"].endswith("evaluations/valid")
    assert {p.name for p in (copy / "evaluations/valid/plots").iterdir()} >= {"predicted.png", "worst.png"}
    request.getfixturevalue("without_plots")
    assert evaluate(copy)["folder"].endswith("evaluations/valid-002")


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_an_evaluation_that_fails_leaves_nothing_and_tells_its_own_error(run, tmp_path, monkeypatch, error):
    copy = tmp_path / "angle-001"
    shutil.copytree(run.path, copy)

    def fail(*_):
        raise error

    monkeypatch.setattr(evaluation.plots, "write_all", fail)
    with pytest.raises((ImgregError, KeyboardInterrupt)) as e:
        evaluate(copy)
    assert error in (e.value, e.value.__cause__) and str(error) in str(e.value)
    assert not list((copy / "evaluations").iterdir())


@pytest.mark.usefixtures("without_plots")
def test_targets_may_be_called_as_the_parts_of_the_result(spotted, tmp_path):
    names = ["folder", "baselines", "scores"]
    frame = spotted.assign(image=spotted["path"]).rename(columns={"n": "folder", "way": "baselines", "yaw": "scores"})
    frame[["image", "split", *names]].to_csv(tmp_path / "t.csv", index=False)
    run = functions.train(tmp_path / "t.csv", targets=[f"{name}:number" for name in names], out=tmp_path, **TINY)
    result = evaluate(run)
    assert set(result) == {"folder", "scores"} and set(result["scores"]) == set(names)
    assert Path(result["folder"]).is_dir() and all(s["n"] == 8 for s in result["scores"].values())


def test_a_run_is_trained_once_it_is_scored_and_evaluate_completes_it(drawn, tmp_path, monkeypatch, caplog):
    from imgreg_fastai.evaluation import calibrate

    def fail(*_):
        raise MemoryError

    path = tmp_path / "my runs" / "angle-001"
    for module, name in ((calibrate, "calibrate"), (evaluation.plots, "write_all"), (run_page, "write")):
        caplog.clear()
        with monkeypatch.context() as patch, pytest.raises(MemoryError) as error:
            if name == "write":
                patch.setattr(evaluation.plots, "write_all", lambda *_: None)
            patch.setattr(module, name, fail)
            if name == "calibrate":
                functions.train("angle", data=drawn, out=path.parent, calibrate=0.3, **SMALL)
            else:  # each time it gets one step further
                evaluate(path)
        assert f"next: imgreg resume '{path}'" in caplog.messages
        run = load_run(path)
        assert run.state == "scoring" and bool(run.scores) == (name != "calibrate")
        assert error.tb  # a notebook keeps it, with the run of that call
        assert list_runs(path.parent)[0]["state"] == "not scored"
    result = evaluate(run)
    assert load_run(path).state == run.state == "trained" and (path / "report.html").exists()
    assert run.scores == load_run(path).scores and load(path).calibration is not None
    assert result["scores"]["angle"]["mean"] == pytest.approx(run.scores["valid"]["angle"]["mean"], abs=1e-4)


@pytest.mark.usefixtures("without_plots")
def test_evaluate_leaves_out_what_the_run_was_trained_on(run, drawn, tmp_path, caplog):
    copy = tmp_path / "angle-001"
    shutil.copytree(run.path, copy)
    with caplog.at_level(logging.WARNING):
        scores = evaluate(copy, drawn)["scores"]
    assert scores["angle"]["n"] == 12 and "left out 108 of 120" in caplog.text
    table = pd.read_csv(drawn / "labels.csv")
    trained = pd.read_csv(run.path / "labels.csv").query("split == 'train'")["image"]
    table = table[table["image"].isin(trained)].assign(image=[str(drawn / name) for name in trained])
    table.to_csv(tmp_path / "seen.csv", index=False)
    with pytest.raises(ImgregError, match="not trained on"):
        evaluate(copy, tmp_path / "seen.csv")


def test_a_run_whose_pictures_are_gone_says_so(run, tmp_path):
    copy = tmp_path / "angle-001"
    shutil.copytree(run.path, copy)
    about = json.loads((copy / "run.json").read_text())
    about["data"]["root"] = str(tmp_path / "moved")
    (copy / "run.json").write_text(json.dumps(about))
    with pytest.raises(ImgregError, match="moved"):
        evaluate(copy)
    assert not list((copy / "evaluations").iterdir())


def test_a_run_that_lacks_its_labels_says_so(run, tmp_path):
    copy = tmp_path / "angle-001"
    shutil.copytree(run.path, copy)
    (copy / "labels.csv").unlink()
    with pytest.raises(ImgregError, match=r"labels\.csv"):
        evaluate(copy)


@pytest.mark.usefixtures("without_plots")
def test_a_run_can_be_evaluated_from_another_folder(run, tmp_path, monkeypatch):
    copy = tmp_path / "angle-001"
    shutil.copytree(run.path, copy)
    monkeypatch.chdir(tmp_path)
    assert evaluate("angle-001")["scores"]["angle"]["n"] == 12


def test_predict_takes_a_run_a_path_or_an_opened_model(run, drawn):
    picture = next((drawn / "images").glob("*.png"))
    answers = [predict(m, picture)["angle"][0] for m in (run.path, str(run.path), load(run.path))]
    assert answers[0] == answers[1] == answers[2]


def test_dataloaders_and_learner_are_fastais(drawn):
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner

    dls = functions.dataloaders("angle", data=drawn, **SMALL)
    x, y = dls.one_batch()
    assert isinstance(dls, DataLoaders) and x.shape == (16, 3, 48, 48) and 0 <= y.min() <= y.max() < 180
    learn = functions.learner("angle", data=drawn, **SMALL)
    assert isinstance(learn, Learner)
    out = learn.model.eval()(torch.rand(2, 3, 48, 48) * 50)
    assert out.shape == (2, 2) and out.abs().max() < 1.1


@pytest.mark.parametrize("verb", [functions.dataloaders, functions.learner, functions.train])
def test_a_backbone_that_timm_does_not_know_is_refused_everywhere(verb, drawn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImgregError, match=r"a timm backbone; found .resnet19.; try .*resnet18"):
        verb("angle", data=drawn, **{**SMALL, "arch": "resnet19"})
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("without_plots")
def test_plain_degrees_train_without_flips_and_turns(drawn, tmp_path):
    run = functions.train("angle", targets=["angle:number"], data=drawn, out=tmp_path, **SMALL)
    target = run.task.targets[0]
    assert (target.kind, target.low, target.high) == ("number", 0, 180) and run.task.augment == ()
    assert run.scores["valid"]["angle"]["baseline"] > 20


def test_a_squished_picture_is_not_turned(drawn):
    """A turn of a squished image is no turn of the original, whose angle the label tells."""
    assert ANGLE.with_options(fit="squish").augment == ("flip",)
    with pytest.raises(ImgregError, match="keeps angles"):
        ANGLE.with_options(fit="squish", augment=("quarter",))
    with pytest.raises(ImgregError, match="pad, squish, crop"):
        ANGLE.with_options(fit="bend")


@pytest.mark.usefixtures("without_plots")
def test_none_stands_for_the_default_in_python_too(drawn, tmp_path):
    options = {"epochs": None, "valid": None, "wd": None, "targets": None, "augment": None, "units": None}
    assert functions.train("angle", data=drawn, out=tmp_path, dry_run=True, **{**SMALL, **options}) is None
    plan = functions.prepare("angle", data=drawn, **options)
    assert plan.config == functions.prepare("angle", data=drawn).config and not list(tmp_path.iterdir())


@pytest.mark.usefixtures("without_plots")
def test_weights_may_be_a_path(run, drawn, tmp_path):
    again = functions.train("angle", data=drawn, out=tmp_path, weights=run.path, **{**SMALL, "epochs": 1})
    assert again.about["weights"]["kind"] == "model"


SCRIPT = """
import multiprocessing
multiprocessing.set_start_method("spawn")
from imgreg_fastai import datasets
print(datasets.make("angle", "drawn", n=250))
"""


def test_drawing_in_a_script_without_a_main_guard_works_where_processes_are_spawned(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    ran = subprocess.run([sys.executable, "script.py"], cwd=tmp_path, capture_output=True, text=True, timeout=100)
    assert ran.returncode == 0, ran.stderr
    assert len(pd.read_csv(tmp_path / "drawn/labels.csv")) == 250 == len(list((tmp_path / "drawn/images").iterdir()))


def test_drawing_into_the_current_folder(tmp_path, monkeypatch):
    from imgreg_fastai import datasets

    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    datasets.make("angle", ".", n=5)
    assert len(pd.read_csv("labels.csv")) == 5 and [p.name for p in tmp_path.iterdir()] == ["here"]


# points, rotations, boxes, folds

POINTS = ["spots=rx,ry,bx,by:point", "n:number"]


def table_of(spotted) -> Path:
    return Path(spotted["path"][0]).parent / "labels.csv"


@pytest.mark.usefixtures("without_plots")
def test_folds_train_once_for_each_and_gather_their_scores(spotted, tmp_path, caplog):
    caplog.set_level(logging.INFO, "imgreg")
    folds = functions.train(table_of(spotted), targets=POINTS, folds=2, augment="zoom", out=tmp_path, **TINY)
    name = table_of(spotted).parent.name
    assert {p.name for p in folds.path.iterdir()} == {f"{name}-001", f"{name}-002", "scores.json"}
    assert folds.path == tmp_path / f"{name}-001" and [r.config.fold for r in folds.runs] == [1, 2]
    assert sum(told.startswith("--augment declares that") for told in caplog.messages) == 1
    held = [set(r.labels.loc[r.labels["split"] == "valid", "group"]) for r in folds.runs]
    assert not held[0] & held[1] and held[0] | held[1] == {"g0", "g1", "g2"}
    for name in ("spots", "n"):
        each = [r.scores["valid"][name]["mean"] for r in folds.runs]
        s = folds.scores[name]
        assert s["folds"] == each and s["mean"] == pytest.approx(np.mean(each), abs=1e-5)
        assert s["spread"] == pytest.approx(np.std(each, ddof=1), abs=1e-5) and s["baseline"] > 0
    assert set(folds.scores["spots"]["columns"]) == {"rx", "ry", "bx", "by"}
    assert json.loads((folds.path / "scores.json").read_text()) == folds.scores
    again = functions.evaluate(folds.runs[1])["scores"]
    assert again["spots"]["mean"] == pytest.approx(folds.scores["spots"]["folds"][1], abs=1e-3)


@pytest.mark.parametrize(("arch", "size", "says"), [
    ("test_vit", (16, 16), "at 16x16 pixels test_vit sees an image as one place.*--size 64 or more"),
    ("test_resnet", (48, 48), "test_resnet does not tell where its features lie.*another --arch"),
    ("test_vit", (16, 32), ""), ("test_resnet", (32, 32), "")])  # a grid of two positions; a finer one of more
def test_a_backbone_or_a_size_without_maps_of_points_is_said_and_its_features_are_pooled(spotted, caplog, monkeypatch,
                                                                                         arch, size, says):
    if "features lie" in says:  # no small backbone of timm is without a grid
        monkeypatch.setattr(network, "find_scales", lambda body, size: None)
        monkeypatch.setattr(timm_body, "feature_grid", lambda body, size: None)
    learn = functions.learner(table_of(spotted), targets=POINTS, **{**TINY, "size": size, "arch": arch})
    told = [line for line in caplog.messages if "less exact" in line]
    assert len(told) == 1 and re.search(says, told[0]) if says else not told
    body, head = learn.model.eval()
    assert (network.kind_of(body), "position" in head.forms) == (("pooled", False) if says else ("maps", True))
    assert learn.model(torch.zeros(1, 3, *size)).shape == (1, 5)


def test_too_many_folds_leave_nothing_behind(spotted, tmp_path):
    with pytest.raises(ImgregError, match="at least 4 groups of images for --folds 4; found 3"):
        functions.train(table_of(spotted), targets=POINTS, folds=4, out=tmp_path, **TINY)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("without_plots")
def test_a_person_held_out_is_scored_alone(spotted, tmp_path):
    run = functions.train(table_of(spotted), targets=POINTS, hold_out=("g2",), out=tmp_path, **TINY)
    assert set(run.labels.loc[run.labels["split"] == "valid", "group"]) == {"g2"}
    assert run.scores["valid"]["n"]["n"] == 5 and "groups" not in run.scores["valid"]["n"]


@pytest.fixture(scope="module")
def headlike(spotted, tmp_path_factory):
    """A run with a point, a rotation and a box, of one epoch; do not write into it."""
    return functions.train(table_of(spotted), targets=["spot=rx,ry:point", "pose:rotation"], box=BOX, margin=0.5,
                     fit="squish", out=tmp_path_factory.mktemp("headlike"), **TINY)


@pytest.mark.usefixtures("headlike", "without_plots")  # in this order: the run itself has them
def test_a_run_of_boxes_scores_evaluates_and_predicts(spotted, headlike, tmp_path):
    assert headlike.task.box == BOX and headlike.task.margin == 0.5 and headlike.task.fit == "squish"
    assert {"rx", "yaw", *BOX} <= set(headlike.labels)
    scores = headlike.scores["valid"]
    assert scores["spot"]["n"] == scores["pose"]["n"] == 8 and list(scores["pose"]["groups"])
    copy = tmp_path / "copy"
    shutil.copytree(headlike.path, copy)
    assert functions.evaluate(copy)["scores"]["pose"]["mean"] == pytest.approx(scores["pose"]["mean"], abs=1e-3)
    other = tmp_path / "other.csv"
    valid = spotted[spotted["split"] == "valid"]
    valid.assign(image=valid["path"]).drop(columns=["path", "split"]).to_csv(other, index=False)
    assert functions.evaluate(copy, other)["scores"]["spot"]["mean"] == pytest.approx(scores["spot"]["mean"], abs=1e-3)
    written = pd.read_csv(headlike.path / "predictions.csv").set_index("image")
    frame = functions.predict(headlike.path, other)
    assert list(frame.columns) == ["image", "rx", "ry", "yaw", "pitch", "roll"] and len(frame) == 8
    for row in frame.itertuples():
        assert row.rx == pytest.approx(written.loc[Path(row.image).name, "rx"], abs=1e-2)
        assert row.yaw == pytest.approx(written.loc[Path(row.image).name, "yaw"], abs=1e-2)
    with pytest.raises(ImgregError, match="a box for each of 1 images"):
        functions.predict(headlike.path, spotted["path"][0])


def test_the_history_has_an_error_for_each_target_in_its_unit(headlike):
    history = pd.read_csv(headlike.path / "history.csv")
    assert {"spot_error", "pose_error"} <= set(history.columns)
    scores = headlike.scores["valid"]
    assert history["pose_error"].iloc[-1] == pytest.approx(scores["pose"]["mean"], rel=1e-3)
    assert history["spot_error"].iloc[-1] == pytest.approx(scores["spot"]["mean"], rel=0.7)  # by the middle view


def test_an_untrained_learner_guesses_the_mean_of_the_training_part(spotted):
    learn = functions.learner(table_of(spotted), targets=[*POINTS, "pose:rotation"], **TINY)
    out = learn.model.eval()(torch.zeros(1, 3, 32, 48))[0]
    labels = learn.dls.train.labels
    assert out[:4].abs().max() < 0.1  # points begin where their maps are high: near the middle
    pose = mean_encoded(learn.loss_func.task, labels)[5:]
    assert (out[5:] - pose).abs().max() < 0.1 and (pose.abs() > 0.5).any()
    assert learn.loss_func.guess_costs != [1.0] * 3


@pytest.mark.parametrize("lacks", ["rx", "yaw", "n"])
def test_a_validation_part_without_a_targets_labels_still_ends_in_a_run(spotted, tmp_path, lacks, request, monkeypatch):
    if lacks != "rx":  # the report says the same of any target
        monkeypatch.setattr(run_page, "write", lambda *_: None)
    frame = spotted.assign(image=spotted["path"]).drop(columns="path")
    frame.loc[frame["split"] == "valid", lacks] = np.nan
    frame.to_csv(tmp_path / "t.csv", index=False)
    targets = ["spot=rx,ry:point", "pose:rotation", "n"]
    run = functions.train(tmp_path / "t.csv", targets=targets, out=tmp_path / "runs", **TINY)
    name = {"rx": "spot", "yaw": "pose", "n": "n"}[lacks]
    assert run.about["state"] == "trained"
    assert {t: s["n"] for t, s in run.scores["valid"].items()} == {"spot": 8, "pose": 8, "n": 8} | {name: 0}
    unit = run.task.targets[["spot", "pose", "n"].index(name)].unit
    request.getfixturevalue("without_plots")  # they were drawn above
    assert functions.evaluate(run)["scores"][name] == {"unit": unit, "n": 0}


@pytest.mark.usefixtures("without_plots")
def test_missing_labels_here_and_there_train_to_finite_numbers(spotted, tmp_path):
    frame = spotted.assign(image=spotted["path"]).drop(columns="path")
    for i, column in enumerate(["rx", "pitch", "n", "bx", "roll"]):
        frame.loc[frame.index % 5 == i, column] = np.nan
    frame.to_csv(tmp_path / "t.csv", index=False)
    run = functions.train(tmp_path / "t.csv", targets=[*POINTS, "pose:rotation"], out=tmp_path / "runs", **TINY)
    history = pd.read_csv(run.path / "history.csv")
    assert np.isfinite(history[["train_loss", "valid_loss", "spots_error", "n_error", "pose_error"]]).all(axis=None)
    assert all(np.isfinite(s["mean"]) and s["n"] > 0 for s in run.scores["valid"].values())
    assert run.labels[["rx", "n", "pitch"]].isna().any().all()  # what was missing is missing in what is kept


@pytest.mark.parametrize("lacks", [["rx", "ry"], ["yaw"], ["n"], ["way"]])
def test_a_training_part_without_a_targets_labels_is_one_line(spotted, tmp_path, lacks):
    """Nothing can be learnt of it, and there is no guess to compare with."""
    frame = spotted.assign(image=spotted["path"]).drop(columns="path")
    frame.loc[frame["split"] == "train", lacks] = np.nan
    frame.to_csv(tmp_path / "t.csv", index=False)
    targets = ["spot=rx,ry:point", "pose:rotation", "n", "way:angle360"]
    with pytest.raises(ImgregError) as e:
        functions.train(tmp_path / "t.csv", targets=targets, out=tmp_path / "runs", **TINY)
    name = {"rx": "spot", "yaw": "pose"}.get(lacks[0], lacks[0])
    assert name in str(e.value) and "train" in str(e.value) and "\n" not in str(e.value)
    assert not (tmp_path / "runs").exists()


@pytest.mark.usefixtures("without_plots")
def test_groups_called_007_are_called_so_in_scores_too(spotted, tmp_path):
    frame = spotted.assign(image=spotted["path"], group=[f"{i % 3:03}" for i in range(16)])
    frame.drop(columns=["path", "split"]).to_csv(tmp_path / "t.csv", index=False)
    run = functions.train(tmp_path / "t.csv", targets=["n"], hold_out=("000", "001"), out=tmp_path / "runs", **TINY)
    assert set(run.scores["valid"]["n"]["groups"]) == {"000", "001"}
    assert set(functions.evaluate(run)["scores"]["n"]["groups"]) == {"000", "001"}
