"""A training that is killed anywhere and resumed ends as if nothing had happened."""
from functools import partial
from pathlib import Path

import pandas as pd
import pytest

from benchmarks.resuming import differences
from imgreg_fastai import runs
from imgreg_fastai.api import functions, resumption
from imgreg_fastai.training import checkpoint
from imgreg_fastai.training.checkpoint import read_checkpoint
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import BOX, SMALL, TINY, skip_plots

OPTIONS = {**TINY, "epochs": 3, "lr": 5e-3, "loss": "l1", "deterministic": True, "save_minutes": 0, "workers": 0,
           "bs": 2,
           "targets": ["spots=rx,ry,bx,by:point", "pose:rotation", "n:number"]}


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


@pytest.fixture(scope="module")
def table(spotted):
    return Path(spotted["path"][0]).parent / "labels.csv"


@pytest.mark.parametrize("options", [
    {"accumulate": 2}, {"loss": "histogram"}, {"arch_args": {"drop_rate": 0.3, "drop_path_rate": 0.2}, "cache": "off"},
    *(pytest.param(options, marks=pytest.mark.slow) for options in (
        {}, {"lr": "auto"}, {"precision": "bf16"}, {"box": BOX, "augment": "turn,colour"},
        {"patience": 1, "lr": 1e-9, "epochs": 9})),
], ids=lambda o: "-".join(o) or "plain")
@pytest.mark.usefixtures("without_plots")
def test_a_killed_training_ends_in_the_same_weights(table, tmp_path, monkeypatch, options):
    options = {**OPTIONS, **options}
    whole = functions.train(table, out=tmp_path / "whole", **options)
    within, at_end, later = 3, 4, 6  # within the first epoch of 4 steps, at its end, and within the next one
    for step in (1, 3, 5) if "accumulate" in options else (at_end,) if "lr" in options else (within, at_end, later):
        killed = train_and_kill(monkeypatch, tmp_path, table, step, **options)
        run = functions.resume(killed)
        assert run.state == "trained" and run.about["epochs_done"] == whole.about["epochs_done"]
        assert not differences(whole.path, killed)
        killed.rename(tmp_path / f"killed at {step}")


# several runs


def kill_run(monkeypatch, number, step):
    """Kill the training of one of several runs after a step."""
    write = checkpoint.CheckpointWriter.write

    def killing_write(self, saved):
        write(self, saved)
        if self.folder.name.endswith(f"-{number:03}") and saved.progress.step == step:
            raise Killed

    monkeypatch.setattr(checkpoint.CheckpointWriter, "write", killing_write)
    monkeypatch.setattr(runs.Run, "note", lambda run, **to: to.get("state") == "failed" or NOTE(run, **to))


@pytest.mark.usefixtures("without_plots")
@pytest.mark.parametrize("command", ["folds", "curve"])
def test_a_folder_of_runs_is_completed_and_ended_runs_stay(drawn, tmp_path, monkeypatch, command):
    options = {"data": drawn, **SMALL, "arch": "test_resnet", "weights": "none", "epochs": 1,
               "deterministic": True, "save_minutes": 0}
    if command == "folds":
        start = partial(functions.train, "angle", folds=3, **options)
    else:
        start = partial(functions.curve, "angle", parts=(25, 50, 100), **options)
    whole = start(out=tmp_path / "whole")
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_run(patch, 2, 3)
        start(out=tmp_path / "killed")
    (folder,) = (tmp_path / "killed").iterdir()
    states = [runs.load_run(file.parent).state for file in sorted(folder.glob("*/run.json"))]
    assert states == ["trained", "interrupted", "planned"]
    first = (folder / "angle-001" / "last.ckpt").stat().st_mtime_ns
    resumed = functions.resume(folder)
    assert (folder / "angle-001" / "last.ckpt").stat().st_mtime_ns == first
    for mine, theirs in zip(sorted(whole.path.glob("*-00?")), sorted(folder.glob("*-00?")), strict=True):
        assert not differences(mine, theirs)
    name = "scores.json" if command == "folds" else "curve.json"
    assert (folder / name).read_text() == (whole.path / name).read_text()
    assert (resumed.scores == whole.scores) if command == "folds" else (resumed.points == whole.points)
    with pytest.raises(ImgregError, match=r"all 3 of .* trained to their end"):
        functions.resume(folder)
    (folder / name).unlink()  # as if it had broken off after the last training
    functions.resume(folder)
    assert (folder / name).read_text() == (whole.path / name).read_text()


@pytest.mark.usefixtures("without_plots")
def test_several_trainings_of_which_not_one_can_begin_leave_no_folder(drawn, tmp_path):
    with pytest.raises(ImgregError):
        functions.train("angle", folds=3, out=tmp_path, data=drawn, **{**SMALL, "weights": str(tmp_path / "none.pth")})
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("without_plots")
def test_a_longer_training_that_is_killed_before_its_first_checkpoint_is_still_the_longer_one(table, tmp_path,
                                                                                              monkeypatch):
    run = functions.train(table, out=tmp_path, **{**OPTIONS, "epochs": 1})
    with monkeypatch.context() as patch, pytest.raises(Killed):
        kill_at(patch, 5, "before write")
        patch.setattr(runs.Run, "note", lambda run, **to: to.get("state") == "failed" or NOTE(run, **to))
        functions.resume(run.path, epochs=3)
    assert checkpoint.read_checkpoint(run.path).progress.step == 4
    resumed = functions.resume(run.path)
    assert resumed.about["epochs_done"] == 3 and list(pd.read_csv(run.path / "history.csv")["epoch"]) == [1, 2, 3]


@pytest.mark.usefixtures("without_plots")
def test_more_epochs_before_the_end_stretch_the_cycle_and_after_it_begin_another(table, tmp_path, monkeypatch):
    killed = train_and_kill(monkeypatch, tmp_path, table, 6, **OPTIONS)
    functions.resume(killed, epochs=4)
    rates = pd.read_csv(killed / "history.csv")["lr"]
    assert len(rates) == 4 and rates.is_monotonic_decreasing and rates.iloc[-1] < OPTIONS["lr"] / 20
    functions.resume(killed, epochs=7)
    rates = pd.read_csv(killed / "history.csv")["lr"]
    assert len(rates) == 7 and rates[4] > 10 * rates[3] and rates.iloc[-1] < OPTIONS["lr"] / 20
    with pytest.raises(ImgregError, match="--epochs above 7"):
        functions.resume(killed, epochs=5)


@pytest.mark.usefixtures("without_plots")
def test_a_training_that_patience_ended_goes_on_to_the_epochs_that_it_was_to_have(table, tmp_path):
    run = functions.train(table, out=tmp_path, **{**OPTIONS, "patience": 1, "lr": 1e-9, "epochs": 9})
    n_done = run.about["epochs_done"]
    assert n_done < 9 and "no better" in run.about["stopped"]
    assert functions.resume(run.path, epochs=9).about["epochs_done"] > n_done


# ---- a resume that goes wrong is seen by the same comparison


def lose_a_batch(saved):
    saved.progress.step += 1
    saved.progress.step_in_epoch += 1


def lose_the_optimizer(saved):
    saved.optimizer.clear()


def lose_the_best_weights(saved):
    saved.best.clear()
    saved.progress.best_loss, saved.progress.best_epoch = float("inf"), 0


def lose_an_epoch_of_the_history(saved):
    del saved.progress.history[0]


def lose_the_mean_loss(saved):
    saved.progress.n_losses = 0


@pytest.fixture(scope="module")
def whole(table, tmp_path_factory):
    """A run that was not interrupted; do not write into it."""
    with pytest.MonkeyPatch.context() as patch:
        skip_plots(patch)
        return functions.train(table, out=tmp_path_factory.mktemp("whole"), **OPTIONS).path


@pytest.mark.parametrize(("lose", "parts"), [
    (lose_a_batch, {"weights", "optimizer"}), (lose_the_optimizer, {"weights", "optimizer"}),
    (lose_the_best_weights, {"best weights", "progress", "model"}),
    (lose_an_epoch_of_the_history, {"history"}), (lose_the_mean_loss, {"history"}),
], ids=lambda x: getattr(x, "__name__", ""))
@pytest.mark.usefixtures("without_plots")
def test_a_resume_that_loses_anything_is_seen(table, whole, tmp_path, monkeypatch, lose, parts):
    killed = train_and_kill(monkeypatch, tmp_path, table, 6, **OPTIONS)

    def losing(folder):
        saved = read_checkpoint(folder)
        lose(saved)
        return saved

    with monkeypatch.context() as patch:
        patch.setattr(resumption.checkpoint, "read_checkpoint", losing)
        functions.resume(killed)
    assert parts <= set(differences(whole, killed))
