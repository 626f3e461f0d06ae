"""The head pose task from its data to predictions: both forms of Biwi, its download, drawn heads, the presets."""
import shutil
import tarfile
from functools import partial

import pandas as pd
import pytest

from imgreg_fastai import cli, datasets, load
from imgreg_fastai.api import functions
from imgreg_fastai.api.exporting import export
from imgreg_fastai.api.preparation import make_config
from imgreg_fastai.datasets import headpose
from tests.conftest import TINY
from tests.datasets.test_biwi import tiny


@pytest.mark.parametrize(("form", "inner"), [("jpg", ""), ("png", "hpdb")])
def test_a_copy_of_either_form_is_trained_scored_and_predicted(tmp_path, form, inner, request):
    if form == "png":  # the plots of both are the same
        request.getfixturevalue("without_plots")
    home = tiny(tmp_path / "biwi" / inner, sequences=("01", "02", "04", "06", "13"), form=form)
    run = functions.train("headpose", data=tmp_path / "biwi", out=tmp_path / "runs", **TINY)
    scores = run.scores["valid"]
    assert set(scores) == {"centre", "pose"} and scores["pose"]["n"] == 6
    assert set(scores["centre"]["groups"]) == {"F04", "M07"}
    assert list(scores["pose"]["columns"]) == ["yaw", "pitch", "roll"]
    assert run.scores["test"]["pose"]["n"] == 3
    if form == "jpg":
        named = {p.name for p in (run.path / "plots").iterdir()}
        assert {"worst_pose.png", "worst_centre.png", "error_over_yaw.png", "groups_pose.png"} <= named
    found = functions.predict(run.path, str(home / "13"), draw=tmp_path / "drawn")
    assert list(found) == ["image", "centre_x", "centre_y", "yaw", "pitch", "roll"] and len(found) == 3
    assert len(list((tmp_path / "drawn").iterdir())) == 3


@pytest.mark.usefixtures("without_plots")
@pytest.mark.parametrize("target", ["centre", "pose"])
def test_one_target_alone_by_one_person(tmp_path, target):
    tiny(tmp_path / "biwi", sequences=("01", "03", "13", "15"))
    options = {"data": tmp_path / "biwi", "out": tmp_path / "runs", "hold_out": ("03",), **TINY}
    run = functions.train("headpose", targets=[target], **options)
    labels = pd.read_csv(run.path / "labels.csv", dtype=str)
    assert set(labels.loc[labels["split"] == "valid", "image"].str[:2]) == {"03", "15"}  # the same person
    assert list(run.scores["valid"]) == [target]
    assert load(export(run, "bundle")).task == run.task


@pytest.mark.usefixtures("without_plots")
def test_the_books_preset_has_its_labels_its_person_and_its_mse(tmp_path):
    tiny(tmp_path / "biwi")
    quick = {**TINY, "size": (36, 48)}  # of Biwi's shape, as the book's 240x320 is
    run = functions.train("headpose", preset="fastbook", data=tmp_path / "biwi", out=tmp_path / "runs", **quick)
    assert [t.name for t in run.task.targets] == ["centre"] and run.config.loss == "mse"
    assert make_config(run.task).lr == 2e-2  # with the book's own backbone; the rate goes with it
    labels = pd.read_csv(run.path / "labels.csv", dtype=str)
    assert set(labels.loc[labels["split"] == "valid", "image"].str[:2]) == {"13"}
    exact = pd.read_csv(headpose.read(tmp_path / "biwi"))
    assert abs(float(labels["centre_x"][0]) - exact["centre_x"][0]) > 5
    columns = run.scores["valid"]["centre"]["columns"]
    mse = ((columns["centre_x"]["rmse"] * 2 / 640) ** 2 + (columns["centre_y"]["rmse"] * 2 / 480) ** 2) / 2
    assert mse == pytest.approx(pd.read_csv(run.path / "history.csv")["valid_loss"].min(), rel=1e-3)


def test_without_data_they_are_fetched_then_trained_on(tmp_path, monkeypatch, capsys):
    tiny(tmp_path / "made" / "biwi_head_pose")
    with tarfile.open(tmp_path / "stand_in.tgz", "w:gz") as tar:
        tar.add(tmp_path / "made" / "biwi_head_pose", "biwi_head_pose")
    monkeypatch.setattr(headpose, "obtain", partial(headpose.obtain, url=(tmp_path / "stand_in.tgz").as_uri()))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        cli.main(["data", "headpose"])
    assert "ready: data/headpose/labels.csv, the labels of 12 images" in capsys.readouterr().out
    shutil.rmtree("data")
    assert datasets.locate("headpose")[1].as_posix() == "data/headpose/labels.csv"


def test_drawn_heads_have_a_recipe_of_their_own(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit):
        cli.main(["data", "headpose", "--data", "drawn", "--n", "24"])
    assert "next: imgreg train headpose --data drawn" in capsys.readouterr().out
    task, table = datasets.locate("headpose", "drawn")
    assert dict(task.recipe)["weights"] == "none" and len(pd.read_csv(table)) == 24
    assert dict(datasets.locate("headpose", table.parent)[0].recipe)["arch"] == "resnet18"


@pytest.mark.parametrize(("command", "told"), [
    (["data", "headpose", "--size", "100"], "options for drawing headpose; found --size"),
    (["data", "headpose", "--data", "somewhere", "--n", "5"], "--n too"),
    (["data", "headpose", "--data", "somewhere"], "somewhere"),
    (["train", "headpose", "--preset", "book"], "fastbook"),
])
def test_a_mistake_about_data_is_one_line(command, told, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as e:
        cli.main(command)
    lines = capsys.readouterr().err.strip().splitlines()
    assert e.value.code == 1 and len(lines) == 1 and told in lines[0]
