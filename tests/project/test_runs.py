import json

import numpy as np
import pandas as pd
import pytest

from imgreg_fastai import runs
from imgreg_fastai.utils.messages import ImgregError

FILES = {"run.json", "labels.csv", "model.safetensors", "last.ckpt", "previous.ckpt", "history.csv",
         "scores.json", "predictions.csv"}
PLOTS = {"batch.png", "curves.png", "predicted.png", "residuals.png", "worst.png", "grid.png"}


def test_a_run_folder_holds_what_the_readme_says(run):
    assert {p.name for p in run.path.iterdir() if p.is_file()} >= FILES
    assert {p.name for p in (run.path / "plots").iterdir()} == PLOTS
    about = json.loads((run.path / "run.json").read_text())
    assert about["state"] == "trained" and about["weights"]["kind"] == "none"
    assert about["data"]["split"] == {"train": 108, "valid": 12}
    assert {"torch", "fastai", "timm", "imgreg-fastai"} <= set(about["versions"])
    keys = {"unit", "n", "mean", "median", "p90", "p95", "max", "rmse", "bias", "baseline", "ridge", "ci"}
    assert set(run.scores["valid"]["angle"]) == keys and run.scores["valid"]["angle"]["n"] == 12


def test_an_opened_run_is_the_run(run):
    again = runs.load_run(run.path)
    assert again.task == run.task and again.config == run.config and again.scores == run.scores
    assert again.labels.equals(run.labels)
    written = pd.read_csv(run.path / "predictions.csv")
    assert list(written.columns[:4]) == ["image", "angle", "angle_true", "angle_error"]
    off = (written["angle"] - written["angle_true"] + 90) % 180 - 90
    assert np.allclose(off.abs(), written["angle_error"])


def test_writing_is_whole_or_not_at_all(tmp_path):
    path = tmp_path / "a.json"
    runs.write_file(path, "one")
    (tmp_path / "file").touch()
    with pytest.raises(ImgregError, match="written"):
        runs.write_file(tmp_path / "file" / "b.json", "two")
    assert path.read_text() == "one" and {p.name for p in tmp_path.iterdir()} == {"a.json", "file"}


@pytest.mark.parametrize("content", [None, "", "{}", "[]", '{"task": 1, "config": {}, "data": {"root": "."}}', "\x00"])
def test_what_is_no_run_is_one_line(tmp_path, content):
    if content is not None:
        (tmp_path / "run.json").write_text(content)
    with pytest.raises(ImgregError) as e:
        runs.load_run(tmp_path)
    assert "\n" not in str(e.value)


def test_the_fingerprint_is_of_labels_and_pictures_not_of_the_split(run):
    frame = run.labels
    assert runs.fingerprint(frame) == run.about["data"]["sha256"]
    assert runs.fingerprint(frame.assign(split="train")) == runs.fingerprint(frame)
    assert runs.fingerprint(frame.assign(angle=frame["angle"] + 1)) != runs.fingerprint(frame)
    assert runs.fingerprint(frame.assign(path=frame["path"].iloc[::-1].values)) != runs.fingerprint(frame)


# folds

class Done:
    """A run as `gather` needs it."""

    def __init__(self, **scores):
        self.scores = {"valid": scores} if scores else {}


def of(mean, baseline=10.0, unit="px", **columns):
    return {"unit": unit, "n": 3, "mean": mean, "baseline": baseline,
            **({"columns": {c: {"mean": m, "baseline": 1.0} for c, m in columns.items()}} if columns else {})}


def test_gathered_folds_tell_mean_and_spread(tmp_path):
    done = Done(p=of(1.0, x=1.0, y=2.0), n=of(5.0)), Done(p=of(3.0, 20.0, x=3.0, y=2.0), n=of(5.0))
    folds = runs.collect_folds(tmp_path, list(done))
    p = folds.scores["p"]
    assert p["folds"] == [1, 3] and p["mean"] == 2 and p["baseline"] == 15
    assert p["spread"] == pytest.approx(np.std([1, 3], ddof=1)) and folds.scores["n"]["spread"] == 0
    assert p["columns"]["x"]["mean"] == 2 and p["columns"]["y"]["spread"] == 0
    assert json.loads((tmp_path / "scores.json").read_text()) == folds.scores


def test_folds_that_did_not_finish_are_left_out_and_one_has_no_spread(tmp_path):
    folds = runs.collect_folds(tmp_path, [Done(p=of(2.0)), Done()])
    assert len(folds.runs) == 2 and folds.scores["p"]["folds"] == [2] and folds.scores["p"]["spread"] == 0
    assert runs.collect_folds(tmp_path, [Done()]).scores == {}


def test_a_fold_whose_validation_part_lacks_a_targets_labels_is_left_out_of_its_mean(tmp_path):
    folds = runs.collect_folds(tmp_path, [Done(p=of(2.0, x=2.0), n=of(1.0)), Done(p={"unit": "px", "n": 0}, n=of(3.0))])
    assert folds.scores["p"]["mean"] == 2 and folds.scores["n"]["mean"] == 2
