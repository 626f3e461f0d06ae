"""Small models beside a run: what they can learn they learn, and they are scored as the run is."""
import json
import shutil

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import nn

from imgreg_fastai import runs
from imgreg_fastai.api import functions
from imgreg_fastai.api.preparation import make_config
from imgreg_fastai.evaluation import baselines, frozen_ridge, metrics, ridge
from imgreg_fastai.models import timm_body
from imgreg_fastai.tasks import Angle, Number, Point, Rotation, Task
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import BOX, said


@pytest.fixture
def quick(monkeypatch):
    monkeypatch.setattr(baselines, "CNN_PICTURES", 300)
    monkeypatch.setattr(baselines, "CNN_EPOCHS", (2, 4))


@pytest.fixture
def copied(run, tmp_path):
    """The shared run where it may be written into."""
    return runs.load_run(shutil.copytree(run.path, tmp_path / "run"))


def test_they_are_measured_once_and_told(copied, quick, capsys, monkeypatch):
    told = said(capsys, "evaluate", copied.path, "--baselines", "--device", "cpu").splitlines()
    found = json.loads((copied.path / "baselines.json").read_text())
    assert list(found) == ["ridge on pixels", "ridge on frozen random features", "small CNN"]
    for name, of in found.items():
        assert set(of) == {"angle"} and set(of["angle"]) == {"unit", "mean", "median", "rmse"}
        assert of["angle"]["unit"] == "°" and 0 < of["angle"]["mean"] < 90
        assert f"{name}: angle error {of['angle']['mean']:.3g}°" in told
    monkeypatch.setattr(baselines, "measure", None)
    assert functions.evaluate(copied, device="cpu", baselines=True)["baselines"] == found
    (copied.path / "baselines.json").write_text("{")
    with pytest.raises(ImgregError, match=r"baselines\.json"):
        baselines.load_or_measure(copied)


def test_the_ridge_on_features_is_the_one_of_the_run(copied, quick, monkeypatch):
    name = "ridge on frozen random features"
    own = copied.scores["valid"]["angle"]["ridge"]
    assert baselines.measure(copied)[name]["angle"]["mean"] == pytest.approx(own, rel=1e-3)
    scores = copied.scores
    for part in scores.values():
        del part["angle"]["ridge"]
    copied.write("scores.json", scores)
    monkeypatch.setattr(frozen_ridge, "read_predictions", lambda run: None)
    assert baselines.measure(copied)[name]["angle"]["mean"] == pytest.approx(own, rel=0.02)  # fitted once more
    copied.about["config"]["quick"] = True
    assert name not in baselines.measure(runs.Run(copied.path, copied.about))


def test_what_is_scored_is_the_runs_own_validation_part(run):
    for asked in ({"table": "x.csv"}, {"by": "group"}):
        with pytest.raises(ImgregError, match="--baselines with the run's own validation part"):
            functions.evaluate(run, baselines=True, **asked)


def greys(folder, n=60, seed=0):
    """Grey images of 24 x 16 pixels and the labels that their greys tell; some labels are missing."""
    rng = np.random.default_rng(seed)
    grey = rng.integers(20, 235, n)
    for i, value in enumerate(grey):
        Image.new("RGB", (24, 16), (int(value),) * 3).save(folder / f"{i}.png")
    turn = (grey - 20) * 170 / 215
    frame = pd.DataFrame({"path": [str(folder / f"{i}.png") for i in range(n)], "n": grey * 2.0, "way": turn,
                          "x": grey / 10, "y": 5.0, "far_x": np.nan, "far_y": np.nan, "yaw": turn / 3, "pitch": 0.0,
                          "roll": 0.0})
    frame.loc[::3, "n"], frame.loc[1::3, "x"] = np.nan, np.nan
    return frame.assign(image=frame["path"])


MANY = (Number("n", ("n",), low=0.0, high=600.0), Angle("way", ("way",)), Point("p", ("x", "y", "far_x", "far_y")),
        Rotation("r", ("yaw", "pitch", "roll")))


def test_a_ridge_on_pixels_finds_what_pixels_tell_with_labels_missing(tmp_path):
    frame, task = greys(tmp_path), Task("t", MANY, (16, 24))
    model = baselines.fit(task, nn.Flatten(), baselines.PIXEL_STATS, frame[:40])
    scores = metrics.score(task, metrics.predictions(model, frame[40:]), frame[:40])
    assert scores["n"]["n"] < 20 and scores["n"]["mean"] < 15 < 50 < scores["n"]["baseline"]
    assert scores["p"]["columns"]["x"]["mean"] < 1 and scores["p"]["columns"]["y"]["mean"] < 0.1
    assert 3 * scores["way"]["mean"] < scores["way"]["baseline"] and 4 * scores["r"]["mean"] < scores["r"]["baseline"]
    answers = model.predict(list(frame["path"][:3]), quiet=True)
    assert np.isfinite(answers[task.columns].to_numpy(float)).all()  # a place never labelled is guessed somewhere


def test_a_small_cnn_learns_and_is_the_same_again(tmp_path, monkeypatch):
    monkeypatch.setattr(baselines, "CNN_PICTURES", 4000)
    frame, task = greys(tmp_path), Task("t", MANY[:1], (16, 24))
    made = []
    for _ in range(2):
        torch.manual_seed(3)
        made.append(baselines.cnn(task, make_config(task), frame[:40]))
    score = metrics.score(task, metrics.predictions(made[0], frame[40:]), frame[:40])["n"]
    assert score["mean"] < 0.5 * score["baseline"]
    first, second = (model.predict(list(frame["path"][:4]), quiet=True)["n"] for model in made)
    assert first.tolist() == second.tolist()


def test_boxes_places_and_missing_points_in_their_own_pixels(spotted, tmp_path, quick):
    task = Task("t", (Point("p", ("rx", "ry", "bx", "by")),), (32, 48), box=BOX)
    run = runs.start_run(tmp_path, task, make_config(task, arch="test_resnet"), spotted, tmp_path / "labels.csv",
                   tmp_path, weights={"kind": "none"})
    run.about["data"]["root"] = str(spotted["path"].iloc[0])[: -len("/0.png")]
    found = baselines.measure(run)
    assert len(found) == 3 and all(of["p"]["unit"] == "px" and 0 < of["p"]["mean"] < 60 for of in found.values())


def began(copied, file, **more):
    """The run as if it had begun with these weights."""
    weights = baselines.weights.find_weights("test_resnet", str(file)).to_dict()
    copied.about["config"] |= {"arch": "test_resnet", "arch_args": {}, "weights": str(file)}
    copied.about["weights"] = {**weights, **more}
    return runs.Run(copied.path, copied.about)


def test_the_features_are_those_of_the_weights_that_the_run_began_with(copied, tmp_path, caplog):
    body = timm_body.build("test_resnet", copied.task.size)
    file = tmp_path / "mine.pth"
    torch.save(body.state_dict(), file)
    found, source = baselines._initial_body(began(copied, file))
    assert source.source == "mine.pth" and source.pretrained
    assert all(torch.equal(v, found.state_dict()[k]) for k, v in body.state_dict().items())
    assert not baselines._initial_body(began(copied, file, sha256="0"))[1].pretrained
    assert "cannot be loaded again" in caplog.text
    gone = began(copied, file)
    file.unlink()
    assert not baselines._initial_body(gone)[1].pretrained


def test_many_pictures_are_sampled_and_said(copied, quick, monkeypatch, caplog):
    caplog.set_level("INFO", "imgreg")
    monkeypatch.setattr(ridge, "MAX_PICTURES", 30)
    seen = []
    monkeypatch.setattr(baselines, "fit", lambda task, trunk, stats, rows, device: seen.append(rows) or 1 / 0)
    with pytest.raises(ZeroDivisionError):
        baselines.measure(copied)
    assert "the baselines learn from 30 of 108 training images" in caplog.text
    assert len(seen[0]) == 30 and set(seen[0]["split"]) == {"train"}
