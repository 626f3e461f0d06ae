"""The runs of a folder in a table: newest last, folds in one line, what is broken by its name."""
import copy
import json
import os
import pickle
import signal
import subprocess
import sys
import time

import pytest

from imgreg_fastai import list_runs, runs
from imgreg_fastai.runs import run_folder
from imgreg_fastai.utils.files import new_folder
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import said
from tests.evaluation.test_comparison import fake


def aged(run, seconds):
    """The run as if it had begun so long ago."""
    os.utime(run.path / "labels.csv", (1e9 - seconds, 1e9 - seconds))
    return run


def test_the_newest_run_is_last_and_tells_what_it_was(tmp_path):
    aged(fake(tmp_path, name="b"), 0)
    aged(fake(tmp_path, name="a", state="interrupted", scores={}), 50)
    first, last = list_runs(tmp_path)
    assert [first["task"], last["task"]] == ["a", "b"] and first["state"] == "interrupted" and first["scores"] == {}
    assert last == {"path": str(tmp_path / "b-001"), "task": "b", "state": "trained", "arch": "resnet18", "epochs": 3,
                    "images": 40, "scores": {"n": {"unit": "years", "mean": 1.0, "baseline": 8.0}}}


@pytest.mark.slow
@pytest.mark.parametrize(("ending", "code"), [(signal.SIGKILL, -signal.SIGKILL), (signal.SIGTERM, 130)])
def test_a_training_that_was_killed_is_listed_as_interrupted(drawn, tmp_path, ending, code):
    command = [sys.executable, "-m", "imgreg_fastai", "train", "angle", "--data", str(drawn), "--epochs", "500",
               "--arch", "test_resnet", "--weights", "none", "--size", "32", "--device", "cpu", "--bs", "16",
               "--workers", "0", "--precision", "fp32"]
    history = tmp_path / "runs" / "angle-001" / "history.csv"
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        while not history.exists() and process.poll() is None:
            time.sleep(0.05)
        assert [line["state"] for line in list_runs(tmp_path / "runs")] == ["training"]
        process.send_signal(ending)
        assert "Traceback" not in process.communicate(timeout=60)[1]
    assert process.returncode == code
    deadline = time.monotonic() + 20  # workers that loaded images end some seconds after a process that was killed
    while list_runs(tmp_path / "runs")[0]["state"] == "training" and time.monotonic() < deadline:
        time.sleep(0.2)
    assert list_runs(tmp_path / "runs")[0]["state"] == "interrupted"


def test_several_processes_may_ask_at_once_whether_a_run_is_training(tmp_path):
    run = fake(tmp_path, state="training")
    with open(run.path / "labels.csv", "rb") as file:
        with pytest.raises(OSError, match="unavailable"):
            run_folder.lock_file(file)
        run.unlock()
        run_folder.lock_file(file)  # the other process asks
        assert list_runs(tmp_path)[0]["state"] == "interrupted"


@pytest.mark.parametrize("state", ["trained", "interrupted", "failed"])
def test_a_run_that_is_not_training_any_more_can_be_pickled(tmp_path, state):
    run = fake(tmp_path, state=state)
    assert pickle.loads(pickle.dumps(run)) == run and copy.deepcopy(run) == run


def test_a_run_whose_process_ended_while_it_was_scored_is_not_scored(tmp_path):
    run = fake(tmp_path, state="scoring")
    assert list_runs(tmp_path)[0]["state"] == "scoring"
    run.unlock()
    assert list_runs(tmp_path)[0]["state"] == "not scored"
    assert runs.load_run(run.path).state == "scoring"  # so that evaluate completes it


def test_folds_are_one_line_with_their_spread(tmp_path):
    home = new_folder(tmp_path, "t", always=True)
    done = [fake(home, off=off, fold=i + 1, folds=3) for i, off in enumerate((1.0, 3.0))]
    runs.collect_folds(home, done)
    (line,) = list_runs(tmp_path)
    assert line["state"] == "2 of 3 folds" and line["epochs"] == 6 and line["images"] == 40
    assert line["scores"]["n"] == {"unit": "years", "mean": 2.0, "spread": pytest.approx(2**0.5), "baseline": 8.0}
    assert "n 2 years ± 1.41 years (guessing: 8 years)" in runs.format_runs([line])
    assert [fold["state"] for fold in list_runs(home)] == ["trained", "trained"]


def test_broken_folders_are_named(tmp_path):
    fake(tmp_path)
    for name, text in (("empty", None), ("cut", "{"), ("other", "[]"), ("odd", '{"task": 1}')):
        (tmp_path / name).mkdir()
        if text:
            (tmp_path / name / "run.json").write_text(text)
    bad = fake(tmp_path, name="bad")
    (bad.path / "scores.json").write_text('{"valid": 3}')
    (tmp_path / "notes.txt").write_text("no folder")
    (tmp_path / ".hidden").mkdir()
    found = {line["path"].rpartition(os.sep)[2]: line for line in list_runs(tmp_path)}
    assert {name for name, line in found.items() if line["state"] == "broken"} == {"empty", "cut", "other", "odd",
                                                                                   "bad-001"}
    assert all("\n" not in line["why"] for line in found.values() if "why" in line)
    assert len(runs.format_runs(list(found.values())).splitlines()) == 7


def test_a_folder_of_other_runs_is_not_taken_for_folds(tmp_path):
    fake(tmp_path / "old")
    home = tmp_path / "old"
    assert list_runs(tmp_path) == [{"path": str(home), "state": "folder", "why": f"see imgreg runs {home}"}]


def test_no_folder_is_one_line(tmp_path):
    with pytest.raises(ImgregError, match="a folder of runs"):
        list_runs(tmp_path / "nowhere")


def test_in_the_terminal(tmp_path, capsys):
    assert said(capsys, "runs", tmp_path) == f"no runs in '{tmp_path}'\n"
    fake(tmp_path)
    header, line = said(capsys, "runs", tmp_path).splitlines()
    assert header.split()[:6] == list(runs.COLUMNS) and "n 1 years (guessing: 8 years)" in line
    assert json.loads(said(capsys, "runs", tmp_path, "--json"))["runs"] == list_runs(tmp_path)
