"""The floor of a training: a ridge on frozen features, beside the network or in its place."""
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from imgreg_fastai import compare, evaluate, export, load, predict, report, resume, train
from imgreg_fastai.api import floor, functions, preparation
from imgreg_fastai.evaluation import comparison, frozen_ridge
from imgreg_fastai.inference import model_file
from imgreg_fastai.models import features
from imgreg_fastai.runs import format_runs, list_runs, load_run
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import plots_left_out, said

SMALL = {"size": (32, 48), "arch": "test_resnet", "weights": "none", "device": "cpu"}
TRAINED = {**SMALL, "precision": "fp32"}


@pytest.fixture(scope="module")
def table(drawn):
    """The table of drawn bars, with a test part."""
    frame = pd.read_csv(drawn / "labels.csv")
    frame["split"] = np.where(np.arange(len(frame)) % 6 == 0, "test", np.where(np.arange(len(frame)) % 6 == 1, "valid",
                                                                              "train"))
    frame.to_csv(drawn / "parts.csv", index=False)
    return drawn / "parts.csv"


@pytest.fixture(scope="module")
def quick(table, tmp_path_factory):
    """A run of --quick with intervals; do not write into it."""
    return train(table, quick=True, targets="angle:angle180", calibrate=0.3, out=tmp_path_factory.mktemp("quick"),
                 **SMALL)


@pytest.fixture(scope="module")
def trained(table, tmp_path_factory):
    """A run of one epoch, with what it said; do not write into it."""
    with plots_left_out():
        return train(table, targets="angle:angle180", epochs=1, bs=16, out=tmp_path_factory.mktemp("trained"),
                     **TRAINED)


# ---- beside a training


def test_its_errors_are_scored_beside_those_of_guessing(trained):
    table = pd.read_csv(trained.path / frozen_ridge.FILE)
    for part in ("valid", "test"):
        scores = trained.scores[part]["angle"]
        assert scores["ridge"] == pytest.approx(table.loc[table["split"] == part, "angle_error"].mean(), rel=1e-3)
        assert len(table[table["split"] == part]) == scores["n"]
    assert trained.about["ridge"] == {"name": "ridge on frozen random features", "images": 80}


def test_it_is_said_before_the_training_and_where_the_network_is_no_better(table, tmp_path, caplog, without_plots):
    caplog.set_level("INFO", "imgreg")
    run = train(table, targets="angle:angle180", epochs=1, bs=16, lr=1e-9, out=tmp_path, **TRAINED)
    said = [record.message for record in caplog.records]
    (first,) = (i for i, text in enumerate(said) if text.startswith("ridge on frozen random features: angle error "))
    assert "(guessing: " in said[first] and first < next(i for i, text in enumerate(said) if "epoch 1" in text)
    ridge, network = (run.scores["valid"]["angle"][name] for name in ("ridge", "mean"))
    assert ridge < network
    last = next(text for text in said if "as good as the trained network" in text)
    assert "--epochs 300" in last and "--quick" in last


def test_the_training_is_the_same_with_and_without_it(table, tmp_path, trained, monkeypatch, without_plots):
    monkeypatch.setattr(floor, "measure", lambda *_: None)
    plain = train(table, targets="angle:angle180", epochs=1, bs=16, out=tmp_path, **TRAINED)
    assert plain.scores["valid"]["angle"]["mean"] == pytest.approx(trained.scores["valid"]["angle"]["mean"], rel=1e-5)
    assert "ridge" not in plain.scores["valid"]["angle"]


def test_too_little_time_and_too_few_images(table, tmp_path, monkeypatch, caplog, without_plots):
    caplog.set_level("INFO", "imgreg")
    few = pd.read_csv(table)
    few["image"] = [str(table.parent / name) for name in few["image"]]
    run = train(few[:60], targets="angle:angle180", epochs=1, bs=8, out=tmp_path, calibrate=0, **TRAINED)
    assert "40 images are few for training test_resnet from random weights" in caplog.text
    assert "--quick gives angle error" in caplog.text and "ridge" in run.scores["valid"]["angle"]
    monkeypatch.setitem(floor.SECONDS, "random", -1.0)
    monkeypatch.setenv("IMGREG_CACHE", str(tmp_path / "cache"))  # what another test left would take no time
    caplog.clear()
    run = train(table, targets="angle:angle180", epochs=1, bs=16, out=tmp_path, **{**TRAINED, "size": (48, 48)})
    expected = "expected features of the validation images and 10 training images within"
    assert f"no ridge on frozen random features: {expected}" in caplog.text
    assert "ridge" not in run.scores["valid"]["angle"] and "ridge" not in run.about


def test_fewer_images_than_a_ridge_takes_are_warned_of(table, tmp_path, caplog, without_plots):
    few = pd.read_csv(table)
    few["image"] = [str(table.parent / name) for name in few["image"]]
    few = few[few["split"] != "test"][:12]
    few["split"] = ["train"] * 8 + ["valid"] * 4
    run = train(few, targets="angle:angle180", epochs=1, bs=4, out=tmp_path, calibrate=0, **TRAINED)
    assert "8 images are few for training test_resnet from random weights, which takes 50 or more" in caplog.text
    assert "--quick gives" not in caplog.text and "ridge" not in run.about
    train(few, targets="angle:angle180", quick=True, out=tmp_path, calibrate=0, **SMALL)
    assert "8 images are few to fit a ridge to, which takes 10 or more" in caplog.text


def test_what_is_held_out_comes_first_and_is_compared_on_the_same_images(table, tmp_path, monkeypatch, caplog,
                                                                         without_plots):
    caplog.set_level("INFO", "imgreg")
    order, features_of = [], floor.frozen_features

    def frozen_features(model, rows, seconds):
        order.extend(rows["split"])
        return features_of(model, rows, seconds)

    monkeypatch.setattr(floor, "frozen_features", frozen_features)
    monkeypatch.setattr(frozen_ridge, "HELD_OUT_IMAGES", 7)
    run = train(table, targets="angle:angle180", epochs=1, bs=16, calibrate=0, out=tmp_path, **TRAINED)
    assert order == ["valid"] * 7 + ["train"] * 80 + ["test"] * 7
    assert ", on 7 of 20 validation images: angle error" in caplog.text
    assert not any("ridge" in scores["angle"] for scores in run.scores.values())
    assert "as good as the trained network" not in caplog.text


def test_the_report_shows_it(trained, tmp_path):
    copy = load_run(shutil.copytree(trained.path, tmp_path / "run"))
    scores = copy.scores
    for part in scores.values():
        part["angle"]["ridge"] = 0.125
    copy.write("scores.json", scores)
    page = report(copy).read_text()
    assert "ridge on frozen random features, validation part" in page
    assert "does better: ridge on frozen random features is off by 0.1" in page


# ---- in place of a training


def test_a_quick_run_is_a_run(quick, table, tmp_path):
    assert quick.state == "trained" and quick.config.quick and not (quick.path / "history.csv").exists()
    scores = quick.scores["valid"]["angle"]
    assert 0 < scores["mean"] < 60 and "ridge" not in scores and "coverage" in scores and "test" in quick.scores
    page = (quick.path / "report.html").read_text()
    assert "nothing was trained by epochs" in page and "A ridge on the frozen features of test_resnet" in page
    images = sorted((table.parent / "images").glob("*.png"))[:3] or sorted(table.parent.glob("*.png"))[:3]
    model = load(quick)
    assert model.calibration is not None and model.about["frozen_grid"] in (1, features.GRID)
    answers = predict(quick, images)
    assert len(answers) == 3 and np.isfinite(answers["angle"]).all()
    bundle = export(quick, out=tmp_path / "model.imgreg")
    assert np.allclose(load(bundle).predict(images, quiet=True)["angle"], answers["angle"])
    assert "angle" in format_runs(list_runs(quick.path.parent))
    again = evaluate(quick, device="cpu")
    assert again["scores"]["angle"]["mean"] == pytest.approx(scores["mean"])


def test_fastai_opens_what_a_quick_run_exports(quick, table, tmp_path):
    from fastai.learner import load_learner

    learn = load_learner(export(quick, out=tmp_path / "export.pkl"))
    image = next(iter(pd.read_csv(table)["image"]))
    expected = predict(quick, [table.parent / image])["angle"][0]
    assert float(np.ravel(learn.predict(table.parent / image)[0])[0]) == pytest.approx(expected, abs=1e-3)


def test_it_is_compared_to_a_trained_run(quick, trained, tmp_path):
    files = compare([trained.path, quick.path], out=tmp_path)
    assert files.page.is_file() and files.plot.is_file()
    copy = shutil.copytree(quick.path, tmp_path / "copy")
    assert len(comparison.compare_runs([quick.path, copy]).histories[0]) == 1
    compare([quick.path, copy], out=tmp_path)


def test_points_and_folds_and_growing_parts(spotted, tmp_path, without_plots):
    frame = spotted.drop(columns="split").assign(image=spotted["path"]).drop(columns="path")
    options = {"targets": ("red=rx,ry:point", "n"), "group": "group", "quick": True, "calibrate": 0, **SMALL}
    folds = train(frame, folds=3, out=tmp_path / "folds", **options)
    assert [run.state for run in folds.runs] == ["trained"] * 3 and set(folds.scores) == {"red", "n"}
    assert load(folds.runs[0]).about["frozen_grid"] > 1
    bigger = pd.concat([frame] * 3)
    curve = functions.curve(bigger, parts=(50, 100), out=tmp_path / "curve", **{**options, "group": None})
    assert len(curve.points) == 2 and "nothing was trained by epochs" in curve.summary()


def test_a_training_goes_on_from_it(quick, table, tmp_path, caplog, without_plots):
    caplog.set_level("INFO", "imgreg")
    train(table, targets="angle:angle180", epochs=1, bs=16, calibrate=0, out=tmp_path,
          **{**TRAINED, "weights": str(quick.path)})
    grid = load(quick).about["frozen_grid"]
    assert ("its head too" if grid == 1 else "with a new head") in caplog.text


def test_it_is_not_resumed_but_begun_anew(quick, tmp_path, without_plots):
    for options in ({}, {"epochs": 3}):
        with pytest.raises(ImgregError, match="the ridge of --quick"):
            resume(quick, **options)
    copy = load_run(shutil.copytree(quick.path, tmp_path / "killed"))
    copy.about.update(state="training")
    copy.write("run.json", copy.about)
    for name in ("model.safetensors", "scores.json"):
        (copy.path / name).unlink()
    resumed = resume(copy.path)
    assert resumed.state == "trained"
    assert resumed.scores["valid"]["angle"]["mean"] == pytest.approx(quick.scores["valid"]["angle"]["mean"])


def test_images_of_16_bits_are_remembered_and_a_broken_one_is_left_out_or_refused(tmp_path, caplog, without_plots):
    rng = np.random.default_rng(0)
    for i in range(30):
        Image.fromarray((1000 * i + rng.integers(0, 20, (16, 16))).astype(np.uint16)).save(tmp_path / f"{i}.png")
    (tmp_path / "3.png").write_bytes((tmp_path / "3.png").read_bytes()[:-40])
    pd.DataFrame({"image": [f"{i}.png" for i in range(30)], "n": range(30)}).to_csv(tmp_path / "t.csv", index=False)
    options = {**SMALL, "targets": "n", "quick": True, "calibrate": 0, "out": tmp_path / "runs",
               "value_range": (0, 30000)}
    run = train(tmp_path / "t.csv", **options)
    assert run.about["levels"]["shown"] == [0, 30000] and load(run).about["levels"] == run.about["levels"]
    assert "1 of 30 images" in caplog.text
    with pytest.raises(ImgregError, match=r"3\.png"):
        train(tmp_path / "t.csv", strict=True, **options)


def test_what_does_not_apply_is_not_recorded(drawn, tmp_path, caplog, without_plots):
    caplog.set_level("INFO", "imgreg")
    run = train(drawn / "labels.csv", targets="angle", quick=True, weights="none", device="cpu", out=tmp_path)
    assert set(run.about["recipe"]) == {"arch", "arch_args", "size", "reason"}
    assert run.config.loss == "mse" and run.task.augment == ()
    height, width = run.task.size
    assert height == width and f"--size {height}\n" in caplog.text and "epochs" not in caplog.text
    assert f"of resnet10t at {height}x{width} pixels to " in caplog.text


def test_the_report_of_a_poor_ridge_sends_to_a_training(quick, tmp_path):
    copy = load_run(shutil.copytree(quick.path, tmp_path / "run"))
    scores = copy.scores
    for part in scores.values():
        part["angle"] |= {"mean": 44.0, "baseline": 45.0}
    copy.write("scores.json", scores)
    page = report(copy).read_text()
    assert "Train a network, without --quick, or with more images" in page
    assert "fitted to 56 images" in page
    assert not any(words in page for words in ("more epochs", "--epochs", "--balance", "chose the epoch"))


def test_the_terminal_says_how_to_train(table, tmp_path, capsys, without_plots):
    words = ["train", str(table), "--target", "angle:angle180", "--size", "32x48", "--arch", "test_resnet", "--weights",
             "none", "--out", str(tmp_path), "--calibrate", "0"]
    last = said(capsys, *words, "--quick").strip().splitlines()[-2:]
    assert last[0].startswith("next: imgreg predict")
    assert last[1] == f"next, to train a network: imgreg {' '.join(words)}"


def test_a_dry_run_keeps_nothing(table, tmp_path, without_plots):
    assert train(table, targets="angle:angle180", quick=True, dry_run=True, out=tmp_path / "runs", **SMALL) is None
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("options", [{"epochs": 3}, {"time": 60.0}, {"lr": 0.1}, {"patience": 2}, {"loss": "mse"},
                                     {"augment": "flip"}, {"precision": "bf16"}, {"bs": 8}, {"workers": 2},
                                     {"cache": "on"}, {"accumulate": 2}])
def test_settings_of_a_training_are_refused(table, options):
    with pytest.raises(ImgregError, match=f"--{next(iter(options))} without --quick"):
        train(table, quick=True, **options, **SMALL)


def test_settings_that_ask_for_nothing_are_not_refused():
    preparation.refuse_with_quick({"quick": True, "precision": "auto", "bs": "auto", "workers": 0, "augment": ()})
    preparation.refuse_with_quick({"epochs": 3})


@pytest.mark.parametrize("grid", [0, -3, 10**9, "1", [1], {"a": 1}])
def test_a_hostile_grid_is_refused_in_a_line(quick, tmp_path, grid):
    model = model_file.load_model(quick.path)
    file = model_file.save_model(tmp_path / "x.imgreg", model.network, {**model.about, "frozen_grid": grid})
    with pytest.raises(ImgregError, match="parts do not agree"):
        model_file.load_model(file)


def test_nothing_to_fit_is_said(tmp_path, without_plots):
    for i in range(12):
        (tmp_path / f"{i}.png").write_bytes(b"no image")
    pd.DataFrame({"image": [f"{i}.png" for i in range(12)], "n": range(12)}).to_csv(tmp_path / "t.csv", index=False)
    with pytest.raises(ImgregError, match="expected"):
        train(tmp_path / "t.csv", quick=True, calibrate=0, out=tmp_path / "runs", **SMALL)


def test_the_licence_of_the_weights_is_recorded(trained):
    assert json.loads((trained.path / "run.json").read_text())["weights"]["licence"] is None
