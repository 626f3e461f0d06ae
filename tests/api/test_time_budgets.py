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
    for name in ("CALIBRATION", "CHARTS", "CHARTS_OF_TARGET"):
        monkeypatch.setattr(time_estimate, name, 0.0)
    return Path(spotted["path"][0]).parent / "labels.csv"


def weights(run):
    return checkpoint.read_checkpoint(run.path).weights


def test_a_training_within_a_time_is_that_of_its_number_of_epochs(table, tmp_path, caplog):
    """What was measured before has changed neither weights nor random numbers."""
    with caplog.at_level("INFO"):
        run = functions.train(table, out=tmp_path, time=6, deterministic=True, **OPTIONS)
    n = run.config.epochs
    assert f"--time 6s: {n} epochs, about " in caplog.text
    assert n == run.about["epochs_done"] >= 5 and run.config.time == 6
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
        functions.train(table, out=tmp_path, time="6s", deterministic=True, save_minutes=0, **OPTIONS)
    folder = next(tmp_path.iterdir())
    plan = checkpoint.read_checkpoint(folder).progress
    assert 0 < plan.time.used < 6 and plan.time.budget == 6 and plan.time.step > 0
    run = functions.resume(folder)
    end = checkpoint.read_checkpoint(folder).progress
    assert end.n_steps == end.step == plan.n_steps and run.about["epochs_done"] == run.config.epochs
    assert end.time.used > plan.time.used
    assert list(pd.read_csv(folder / "history.csv")["epoch"]) == list(range(1, run.config.epochs + 1))
    longer = functions.resume(folder, epochs=run.config.epochs + 1)
    assert longer.config.time is None and longer.about["epochs_done"] == end.epoch + 1


def test_a_training_that_is_late_is_cut_short_and_records_it(table, tmp_path, monkeypatch):
    measured = trial.measure_training(functions.learner(table, **OPTIONS), "fp32", 1, 0.5)
    monkeypatch.setattr("imgreg_fastai.training.loop.measure_training", lambda *_: (measured[0] / 9, measured[1] / 9))
    run = functions.train(table, out=tmp_path, time=4, **OPTIONS)
    saved = checkpoint.read_checkpoint(run.path).progress
    assert saved.step == saved.n_steps and saved.time.used < 5
    assert runs.load_run(run.path).config.epochs == run.about["epochs_done"] == saved.epoch


def test_folds_share_the_time(table, tmp_path):
    folds = functions.train(table, out=tmp_path, time=8, folds=2, deterministic=True, **OPTIONS)
    assert all(1 < run.config.time <= 4 and run.about["epochs_done"] >= 1 for run in folds.runs)


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
