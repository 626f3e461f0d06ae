"""A training that is killed anywhere and resumed ends as if nothing had happened."""
from pathlib import Path

import pandas as pd
import pytest
import torch

from imgreg_fastai import runs
from imgreg_fastai.api import functions
from imgreg_fastai.inference import model_file
from imgreg_fastai.training import checkpoint
from tests.conftest import BOX, TINY

EXACT = {**TINY, "epochs": 3, "deterministic": True, "save_minutes": 0, "workers": 0}
SPOTS = {"targets": ["spots=rx,ry,bx,by:point", "pose:rotation", "n:number"], "bs": 2}


NOTE = runs.Run.note


class Killed(BaseException):
    """Ends a training as kill -9 does: nothing of it is written."""


def kill_at(monkeypatch, step, when="step"):
    """Kill the training after a step, or before or after the checkpoint of that step is written."""
    write = checkpoint.CheckpointWriter.write

    def killing_write(self, saved):
        if saved.progress.step == step and when == "before write":
            raise Killed
        write(self, saved)
        if saved.progress.step >= step and when in ("step", "after write"):
            raise Killed

    monkeypatch.setattr(checkpoint.CheckpointWriter, "write", killing_write)


def train_and_kill(monkeypatch, tmp_path, table, step, when="step", **options):
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, step, when)
        patch.setattr(runs.Run, "note", lambda run, **to: to.get("state") == "failed" or NOTE(run, **to))
        functions.train(table, out=tmp_path / "killed", **options)
    return next((tmp_path / "killed").iterdir())


def end_of(folder):
    """What a training ends in: the last and the best weights, the optimizer's state, and the history but for seconds."""
    saved = checkpoint.read_checkpoint(folder)
    history = pd.read_csv(folder / "history.csv").drop(columns="seconds")
    return saved, history


def assert_same_end(a, b):
    (one, history), (other, other_history) = end_of(a), end_of(b)
    pd.testing.assert_frame_equal(history, other_history, check_exact=True)
    for part in ("weights", "optimizer", "best"):
        mine, theirs = getattr(one, part), getattr(other, part)
        assert mine.keys() == theirs.keys() and all(torch.equal(mine[k], theirs[k]) for k in mine), part
    assert one.progress.best_epoch == other.progress.best_epoch
    model, same = (model_file.load_model(folder).network.state_dict() for folder in (a, b))
    assert all(torch.equal(model[k], same[k]) for k in model)


@pytest.fixture(scope="module")
def table(spotted):
    return Path(spotted["path"][0]).parent / "labels.csv"


@pytest.mark.parametrize("options", [
    {}, {"cache": "off"}, {"accumulate": 2}, {"lr": "auto"}, {"precision": "bf16"},
    {"box": BOX, "augment": "turn,colour"},
    {"arch_args": {"drop_rate": 0.3, "drop_path_rate": 0.2}}, {"patience": 1, "lr": 1e-9, "epochs": 9},
], ids=lambda o: "-".join(o) or "plain")
@pytest.mark.usefixtures("without_plots")
def test_a_killed_training_ends_in_the_same_weights(table, tmp_path, monkeypatch, options):
    options = {**EXACT, **SPOTS, **options}
    whole = functions.train(table, out=tmp_path / "whole", **options)
    for step in (1, 2) if "accumulate" in options else (3, 4, 6):  # within an epoch, at its end, in the next one
        killed = train_and_kill(monkeypatch, tmp_path, table, step, **options)
        run = functions.resume(killed)
        assert run.state == "trained" and run.about["epochs_done"] == whole.about["epochs_done"]
        assert_same_end(whole.path, killed)
        assert run.scores == whole.scores
        killed.rename(tmp_path / f"killed at {step}")
