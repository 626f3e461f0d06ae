"""--time: a training is planned by measured steps, and what is planned is kept."""
from pathlib import Path

import pandas as pd
import pytest
import torch

from imgreg_fastai import runs
from imgreg_fastai.api import functions, time_estimate
from imgreg_fastai.training import checkpoint, trial
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import TINY

OPTIONS = {**{k: v for k, v in TINY.items() if k != "epochs"}, "targets": ["n:number"], "bs": 2, "workers": 0}


@pytest.fixture
def table(spotted, monkeypatch, without_plots):
    """A table of 8 images to train on, 4 steps, whose epochs are taken to last 100 s each."""
    for name in ("CALIBRATION", "CHARTS", "CHARTS_OF_TARGET"):
        monkeypatch.setattr(time_estimate, name, 0.0)
    monkeypatch.setattr("imgreg_fastai.training.loop.measure_training", lambda *_: (24.0, 4.0))
    return Path(spotted["path"][0]).parent / "labels.csv"


def weights(run):
    return checkpoint.read_checkpoint(run.path).weights


def test_a_training_within_a_time_is_that_of_its_number_of_epochs(table, tmp_path, caplog):
    """What was measured before has changed neither weights nor random numbers."""
    with caplog.at_level("INFO"):
        run = functions.train(table, out=tmp_path, time=1000, deterministic=True, **OPTIONS)
    n = run.config.epochs
    assert f"--time 16m40s: {n} epochs, about " in caplog.text
    assert n == run.about["epochs_done"] and 7 <= n <= 9 and run.config.time == 1000
    same = functions.train(table, out=tmp_path, epochs=n, deterministic=True, **OPTIONS)
    assert all(torch.equal(a, b) for a, b in zip(weights(run).values(), weights(same).values(), strict=True))


def test_a_resumed_training_keeps_its_plan_and_the_time_that_it_used(table, tmp_path, monkeypatch):
    class Killed(BaseException):
        pass

    def kill(self, saved):
        write(self, saved)
        if saved.progress.step == 6:
            raise Killed

    write = checkpoint.CheckpointWriter.write
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(checkpoint.CheckpointWriter, "write", kill)
        functions.train(table, out=tmp_path, time="1000s", deterministic=True, save_minutes=0, **OPTIONS)
    folder = next(tmp_path.iterdir())
    plan = checkpoint.read_checkpoint(folder).progress
    assert plan.time.used > 0 and plan.time.budget == 1000 and plan.time.step > 0
    run = functions.resume(folder)
    end = checkpoint.read_checkpoint(folder).progress
    assert end.n_steps == end.step == plan.n_steps and run.about["epochs_done"] == run.config.epochs
    assert end.time.used > plan.time.used
    assert list(pd.read_csv(folder / "history.csv")["epoch"]) == list(range(1, run.config.epochs + 1))
    longer = functions.resume(folder, epochs=run.config.epochs + 1)
    assert longer.config.time is None and longer.about["epochs_done"] == end.epoch + 1


@pytest.mark.slow  # it takes the time that it has
def test_a_training_that_is_late_is_cut_short_and_records_it(table, tmp_path, monkeypatch):
    measured = trial.measure_training(functions.learner(table, **OPTIONS), "fp32", 1, 0.5)
    monkeypatch.setattr("imgreg_fastai.training.loop.measure_training", lambda *_: (measured[0] / 9, measured[1] / 9))
    run = functions.train(table, out=tmp_path, time=4, **OPTIONS)
    saved = checkpoint.read_checkpoint(run.path).progress
    assert saved.step == saved.n_steps
    assert runs.load_run(run.path).config.epochs == run.about["epochs_done"] == saved.epoch


def test_folds_share_the_time(table, tmp_path):
    folds = functions.train(table, out=tmp_path, time=1000, folds=2, deterministic=True, **OPTIONS)
    assert all(400 < run.config.time <= 500 and run.about["epochs_done"] >= 1 for run in folds.runs)


def test_a_time_too_short_for_folds_names_that_of_all(table, tmp_path):
    with pytest.raises(ImgregError, match=r"--time in which .* for each of 2, .*; try --time (1m.0s|[2-9]m)"):
        functions.train(table, out=tmp_path, time=4, folds=2, **OPTIONS)


@pytest.mark.parametrize(("options", "message"), [
    ({"time": "5m", "epochs": 3}, "expected --time or --epochs, not both; found --time 5m --epochs 3"),
    ({"time": "soon"}, "expected time= with seconds, or a text such as '90s', '30m' or '1h30m'; found 'soon'"),
    ({"time": -1}, "expected --time above 0"),
    ({"time": 0.001}, "a --time in which"),
])
def test_a_time_that_cannot_be_is_refused_in_one_line(table, tmp_path, options, message):
    with pytest.raises(ImgregError) as e:
        functions.train(table, out=tmp_path, **OPTIONS, **options)
    assert message in str(e.value) and "\n" not in str(e.value)
    assert not list(tmp_path.glob("*/run.json"))
