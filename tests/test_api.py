"""The verbs as functions: what cuts across the rooms."""
import json
import logging
import shutil
import subprocess
import sys

import pandas as pd
import pytest
import torch
from conftest import SMALL

from imgreg_fastai import api, evaluate, load, predict
from imgreg_fastai.errors import ImgregError
from imgreg_fastai.tasks import ANGLE


def test_evaluate_scores_the_validation_part_and_says_where(run, tmp_path):
    copy = tmp_path / "angle-001"
    shutil.copytree(run.path, copy)
    scores = evaluate(copy)
    assert scores["angle"]["mean"] == pytest.approx(run.scores["valid"]["angle"]["mean"], abs=1e-4)
    written = json.loads((copy / "evaluations/valid/scores.json").read_text())
    assert written == {"valid": {"angle": scores["angle"]}} and scores["folder"].endswith("evaluations/valid")
    assert evaluate(copy)["folder"].endswith("evaluations/valid-002")
    assert {p.name for p in (copy / "evaluations/valid/plots").iterdir()} >= {"predicted.png", "worst.png"}


def test_evaluate_leaves_out_what_the_run_was_trained_on(run, drawn, tmp_path, caplog):
    copy = tmp_path / "angle-001"
    shutil.copytree(run.path, copy)
    with caplog.at_level(logging.WARNING):
        scores = evaluate(copy, drawn)
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


def test_a_run_can_be_evaluated_from_another_folder(run, tmp_path, monkeypatch):
    copy = tmp_path / "angle-001"
    shutil.copytree(run.path, copy)
    monkeypatch.chdir(tmp_path)
    assert evaluate("angle-001")["angle"]["n"] == 12


def test_predict_takes_a_run_a_path_or_an_opened_model(run, drawn):
    picture = next((drawn / "images").glob("*.png"))
    answers = [predict(m, picture)["angle"][0] for m in (run.path, str(run.path), load(run.path))]
    assert answers[0] == answers[1] == answers[2]


def test_dataloaders_and_learner_are_fastais(drawn):
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner

    dls = api.dataloaders("angle", data=drawn, **SMALL)
    x, y = dls.one_batch()
    assert isinstance(dls, DataLoaders) and x.shape == (16, 3, 48, 48) and 0 <= y.min() <= y.max() < 180
    learn = api.learner("angle", data=drawn, **SMALL)
    assert isinstance(learn, Learner)
    out = learn.model.eval()(torch.rand(2, 3, 48, 48) * 50)
    assert out.shape == (2, 2) and out.abs().max() < 1.1


def test_plain_degrees_train_without_flips_and_turns(drawn, tmp_path):
    run = api.train("angle", targets=["angle:number"], data=drawn, out=tmp_path, **SMALL)
    target = run.task.targets[0]
    assert (target.kind, target.low, target.high) == ("number", 0, 180) and run.task.augment == ()
    assert run.scores["valid"]["angle"]["baseline"] > 20


def test_a_squished_picture_is_not_turned(drawn):
    """A turn of a squished picture is no turn of the original, whose angle the label tells."""
    assert ANGLE.changed(fit="squish").augment == ("flip",)
    with pytest.raises(ImgregError, match="keeps angles"):
        ANGLE.changed(fit="squish", augment=("quarter",))
    with pytest.raises(ImgregError, match="pad, squish, crop"):
        ANGLE.changed(fit="bend")


def test_weights_may_be_a_path(run, drawn, tmp_path):
    again = api.train("angle", data=drawn, out=tmp_path, weights=run.path, **{**SMALL, "epochs": 1})
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
