"""Bounds, signs, forms and names of targets from the table to what a model answers."""
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from scipy.spatial.transform import Rotation as R

from imgreg_fastai.api import functions, preparation
from imgreg_fastai.reports import run_page
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import TINY

QUICK = {**TINY, "size": (32, 32), "arch": "test_resnet", "epochs": 1, "cache": "on"}
N = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Forty images of noise, and labels of all kinds."""
    path, rng = tmp_path_factory.mktemp("kinds"), np.random.default_rng(0)
    for i in range(N):
        Image.fromarray(rng.integers(0, 255, (32, 32, 3), np.uint8)).save(path / f"{i}.png")
    turns = R.random(N, rng=rng)
    table = pd.DataFrame({"image": [f"{i}.png" for i in range(N)], "cells": rng.poisson(1, N),
                          "steering": rng.uniform(-1, 1, N), "T, mean: °C": rng.uniform(0, 30, N),
                          "heading": rng.uniform(-180, 180, N),
                          **dict(zip(("qx", "qy", "qz", "qw"), turns.as_quat().T, strict=True))})
    table.to_csv(path / "kinds.csv", index=False)
    return path


def train(folder, out, **options):
    return functions.train(folder / "kinds.csv", out=out, **QUICK, **options)


@pytest.mark.usefixtures("without_plots")
def test_bounds_hold_in_every_answer(folder, tmp_path):
    from fastai.learner import load_learner

    run = train(folder, tmp_path, targets="cells", minimum=0, maximum=cells_max(folder))
    models = [functions.load(path) for path in (run.path, functions.export(run, "bundle", tmp_path / "m.imgreg"))]
    for model in models:  # what a network can put out at most, on both sides
        model.forward = lambda pictures: (np.linspace(-1.1, 1.1, len(pictures))[:, None], np.zeros((len(pictures), 1)))
    for source in (*models, models):
        answers = functions.predict(source, str(folder))["cells"]
        assert answers.min() == 0 and answers.max() == cells_max(folder)
    learn = load_learner(functions.export(run))
    assert [learn.loss_func.decodes(torch.tensor([[end]])).item() for end in (-1.1, 1.1)] == [0, cells_max(folder)]
    assert 0 <= float(learn.predict(folder / "0.png")[0]) <= cells_max(folder)
    with pytest.raises(ImgregError, match=r"cells below --min 1: \d+ of 40 rows \(row \d+ '0'"):
        train(folder, tmp_path, targets="cells", minimum=1)


def cells_max(folder):
    return int(pd.read_csv(folder / "kinds.csv")["cells"].max())


@pytest.mark.usefixtures("without_plots")
def test_a_sign_that_a_mirror_changes_is_trained_with_flips_and_averaged_over_them(folder, tmp_path, caplog):
    caplog.set_level("INFO", "imgreg")
    run = train(folder, tmp_path, targets="steering", flip_negates="steering")
    assert run.task.augment == ("flip", "colour")
    assert sum("a mirrored image has the steering of the other sign" in line for line in caplog.messages) == 1
    picture = Image.open(folder / "0.png")
    mirrored = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    one, other = (functions.predict(run.path, [np.array(p)], tta=True)["steering"].item() for p in (picture, mirrored))
    assert one == pytest.approx(-other, abs=1e-5)
    with pytest.raises(ImgregError, match="cells is on one side of 0 only"):
        train(folder, tmp_path, targets="cells", flip_negates="cells")


def test_numbers_that_a_mirror_does_not_negate_are_the_same_in_it(folder, caplog):
    caplog.set_level("INFO", "imgreg")
    options = {"targets": ["steering", "cells"], "images": folder}
    plan = functions.resolve_options(folder / "kinds.csv", flip_negates="steering", **options)
    assert plan.task.augment == ("flip", "colour") and [t.moves for t in plan.task.targets] == [("flip",)] * 2
    assert any("the steering of the other sign, and the same cells (" in line for line in caplog.messages)
    assert functions.resolve_options(folder / "kinds.csv", **options).task.augment == ("colour",)
    heading = functions.resolve_options(folder / "kinds.csv", flip_negates="steering",
                                        **{**options, "targets": ["steering", "heading:angle360"]})
    assert "flip" not in heading.task.augment, "nothing says what a mirror does to it"


def test_quaternions_and_signed_headings_are_answered_as_they_were_labelled(folder, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(run_page, "write", lambda *_: None)  # the report is written below
        run = train(folder, tmp_path, targets=["pose=qx,qy,qz,qw:rotation=xyzw", "heading:angle360"])
    answers = functions.predict(run.path, str(folder))
    lengths = np.linalg.norm(answers[["qx", "qy", "qz", "qw"]].to_numpy(), axis=1)
    assert lengths == pytest.approx(1) and (answers["qw"] >= 0).all()
    assert run.task.targets[1].start == -180 and answers["heading"].between(-180, 180).all()
    scores = run.scores["valid"]["pose"]
    assert "columns" not in scores and scores["unit"] == "°" and scores["mean"] > 10
    assert (run.path / "plots" / "error_over_yaw.png").is_file() and functions.report(run).is_file()
    assert functions.check(folder / "kinds.csv", targets="pose:rotation=xyzw", out=tmp_path)[0].fine


@pytest.mark.usefixtures("without_plots")
def test_evaluate_reads_the_labels_of_other_columns_under_the_names_of_the_run(folder, tmp_path):
    run = train(folder, tmp_path, targets=["cells", "pose:rotation=xyzw"])
    table = pd.read_csv(folder / "kinds.csv").rename(columns={
        "cells": "truth", "qx": "x", "qy": "y, of q", "qz": "z", "qw": "w"})
    table.assign(cells=-5).to_csv(folder / "other.csv", index=False)
    maps = (["cells=truth", 'pose=x,"y, of q",z,w'], {"cells": "truth", "pose": ["x", "y, of q", "z", "w"]})
    plain, *mapped = (functions.evaluate(run, folder / name, targets=targets) for name, targets in
                      (("kinds.csv", None), *(("other.csv", m) for m in maps)))
    for result in mapped:
        assert result["scores"] == plain["scores"]
        predictions = pd.read_csv(Path(result["folder"]) / "predictions.csv")
        assert {"cells", "cells_true", "qw_true"} <= set(predictions) and (predictions["cells_true"] >= 0).all()
    with pytest.raises(ImgregError, match="try --target pose=COLUMN,COLUMN,COLUMN,COLUMN, with the columns that hold"):
        functions.evaluate(run, folder / "other.csv")
    for targets, told in ((["pose=x"], "as many columns as pose has"), (["m=x"], "for a target: cells, pose"),
                          (["cells=truth:number"], "no kind; found :number"), (["cells"], "found no column")):
        with pytest.raises(ImgregError, match=told):
            functions.evaluate(run, folder / "other.csv", targets=targets)
    with pytest.raises(ImgregError, match="--target NAME=COLUMN with a table"):
        functions.evaluate(run, targets="cells=truth")


def test_a_name_with_signs_is_a_target_with_a_unit(folder):
    task = preparation.resolve_options(folder / "kinds.csv", targets='"T, mean: °C":number',
                                       units={"T, mean: °C": "°C"}, minimum={"T, mean: °C": 0}).task
    assert task.targets[0].name == "T, mean: °C" and task.targets[0].unit == "°C" and task.targets[0].minimum == 0
    assert json.dumps(task.to_dict())
