"""Runs of points from before each point had a map: scored, used and started from, but not trained further."""
import json
from pathlib import Path

import pytest
import torch

from imgreg_fastai import load
from imgreg_fastai.api import functions
from imgreg_fastai.models import network
from imgreg_fastai.models.mean_positions import BodyWithPositions
from imgreg_fastai.models.point_maps import BodyWithMaps
from imgreg_fastai.utils.messages import ImgregError
from tests.api.test_resuming import OPTIONS, train_and_kill
from tests.conftest import TINY

POINTS = ["spots=rx,ry,bx,by:point", "n:number"]
OLDER = {**OPTIONS, "targets": POINTS, "epochs": 2, "loss": "histogram"}

pytestmark = pytest.mark.usefixtures("without_plots")


@pytest.fixture(scope="module")
def table(spotted):
    return Path(spotted["path"][0]).parent / "labels.csv"


def train_as_before(monkeypatch, train, *args, **options):
    """Train with the head of older versions, and let run.json tell what theirs did."""
    with monkeypatch.context() as patch:
        patch.setattr(network, "choose_kind", lambda *_: "positions")
        result = train(*args, **options)
    run = getattr(result, "path", result)
    change(run, network=None)
    return run


def change(run, **fields):
    """Change fields of run.json, or remove those that are None."""
    about = {**json.loads((run / "run.json").read_text()), **fields}
    (run / "run.json").write_text(json.dumps({name: value for name, value in about.items() if value is not None}))


def assert_refused(run, **options):
    files = {name: (run / name).read_bytes() for name in ("run.json", "last.ckpt")}
    with pytest.raises(ImgregError) as error:
        functions.resume(run, **options)
    assert str(error.value) == (
        f"expected a checkpoint whose points have a map each; found '{run}', whose head an older version of imgreg "
        f"made; try imgreg train with --weights {run}, which begins anew with its backbone")
    assert all((run / name).read_bytes() == content for name, content in files.items())


def test_a_killed_training_of_an_older_head_is_refused_in_one_line_and_left_as_it_is(table, tmp_path, monkeypatch):
    run = train_as_before(monkeypatch, train_and_kill, monkeypatch, tmp_path, table, 6, **OLDER)
    assert_refused(run)
    assert_refused(run, epochs=4)


def test_an_older_head_is_still_scored_used_and_started_from(table, spotted, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO", "imgreg")
    run = train_as_before(monkeypatch, functions.train, table, out=tmp_path, **OLDER)
    images = list(spotted["path"])
    expected = load(run).predict(images)
    assert isinstance(load(run).network[0], BodyWithPositions)
    assert_refused(run, epochs=4)
    (run / "model.safetensors").unlink()  # as if it had been killed before its scores
    (run / "scores.json").unlink()
    change(run, state="scoring")
    assert functions.resume(run).state == "trained" and (run / "scores.json").is_file()
    assert load(run).about["head"] == "positions" and load(run).predict(images).equals(expected)
    new = functions.learner(table, **{**OLDER, "weights": str(run)})
    assert isinstance(new.model[0], BodyWithMaps)
    assert caplog.messages[-1].endswith("with a new head: its targets, its loss or the form of its head are others")
    body = load(run).network[0].timm_body.state_dict()
    assert all(torch.equal(v, body[name]) for name, v in new.model[0].timm_body.state_dict().items())


def test_an_older_run_of_a_number_goes_on_with_the_head_that_it_has(table, tmp_path, monkeypatch):
    options = {**OLDER, "targets": ["n:number"]}
    whole = functions.train(table, out=tmp_path / "whole", **options)
    killed = train_and_kill(monkeypatch, tmp_path, table, 6, **options)
    change(killed, network=None)
    assert functions.resume(killed).state == "trained"
    ours, theirs = (load(path) for path in (killed, whole.path))
    assert ours.about["head"] == "positions" and ours.about["forms"] == ["line"]
    assert all(torch.equal(v, theirs.network.state_dict()[name]) for name, v in ours.network.state_dict().items())


def test_run_json_tells_the_head_and_weights_of_a_run_bring_its_maps(table, tmp_path, caplog):
    caplog.set_level("INFO", "imgreg")
    options = {**TINY, "targets": POINTS}
    run = functions.train(table, out=tmp_path, **options)
    assert json.loads((run.path / "run.json").read_text())["network"] == {
        "head": "maps", "forms": [*["position"] * 4, "line"]}
    source = load(run.path).network.state_dict()
    learn = functions.learner(table, **{**options, "weights": str(run.path)})
    assert "its head too" in caplog.text
    assert all(torch.equal(v, source[name]) for name, v in learn.model.state_dict().items())
    other = functions.learner(table, **{**options, "weights": str(run.path), "targets": POINTS[:1]})
    assert "with a new head" in caplog.text
    assert not torch.equal(other.model[0].maps[0].weight, source["0.maps.0.weight"][: other.model[0].n_maps])
