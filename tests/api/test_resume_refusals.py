"""What `imgreg resume` refuses, and what it goes on with all the same: each says so in a line."""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import torch
from PIL import Image

from imgreg_fastai import cli, runs
from imgreg_fastai.api import functions
from imgreg_fastai.training.checkpoint import read_checkpoint
from imgreg_fastai.utils.messages import ImgregError
from tests.api.test_resuming import OPTIONS, train_and_kill
from tests.conftest import skip_plots

LOCKED = """
import sys, time
from imgreg_fastai import runs
run = runs.claim_run(sys.argv[1])
print("claimed", flush=True)
time.sleep(60)
"""


@pytest.fixture(scope="module")
def original(spotted, tmp_path_factory):
    """A folder with images, and the run killed/images-001 that was killed in its second epoch."""
    folder = tmp_path_factory.mktemp("original")
    shutil.copytree(Path(spotted["path"][0]).parent, folder / "images")
    with pytest.MonkeyPatch.context() as patch:
        skip_plots(patch)
        train_and_kill(patch, folder, folder / "images" / "labels.csv", 6, **OPTIONS)
    return folder


@pytest.fixture
def killed(original, tmp_path):
    """A copy of that run; its images are a copy, too."""
    shutil.copytree(original, tmp_path, dirs_exist_ok=True)
    run = tmp_path / "killed" / "images-001"
    about = run.joinpath("run.json").read_text().replace(str(original), str(tmp_path))
    run.joinpath("run.json").write_text(about)
    return run


@pytest.fixture(autouse=True)
def plain(without_plots):
    """No test here is about plots."""


def refusal(run, **options):
    with pytest.raises(ImgregError) as error:
        functions.resume(run, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_run_that_has_ended_is_trained_further_only_with_epochs(killed):
    functions.resume(killed)
    assert refusal(killed) == (
        "expected an unfinished run, or --epochs N to train it further; "
        f"found '{killed}', finished after 3 epochs; try --epochs 6")
    assert "expected --epochs above 3" in refusal(killed, epochs=3)
    history = (killed / "history.csv").read_text()
    run = functions.resume(killed, epochs=4)
    assert run.state == "trained" and run.about["epochs_done"] == 4
    longer = (killed / "history.csv").read_text()
    assert longer.startswith(history) and longer.count("epoch") == 1


@pytest.mark.parametrize("epochs", [0, -1, 1.5])
def test_epochs_are_a_number_above_what_is_trained(killed, epochs):
    assert "epochs" in refusal(killed, epochs=epochs)
    assert "expected --epochs above 1" in refusal(killed, epochs=1)
    assert runs.load_run(killed).state == "interrupted"


def test_a_folder_that_is_no_run_is_named(tmp_path, capsys):
    assert f"expected a run folder; found no run.json to be read in '{tmp_path}'" in refusal(tmp_path)
    assert "no run.json" in refusal(tmp_path / "none")
    with pytest.raises(SystemExit) as error:
        cli.main(["resume", str(tmp_path)])
    assert error.value.code == 1 and len(capsys.readouterr().err.splitlines()) == 1


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"task": 3', '{"task": {}, "config": {}, "data": {}}'])
def test_a_damaged_run_json_is_no_traceback(killed, content):
    (killed / "run.json").write_text(content)
    assert refusal(killed).startswith("expected ")


def test_a_run_that_another_process_writes_is_left_alone_and_a_dead_process_keeps_no_lock(killed):
    process = subprocess.Popen([sys.executable, "-c", LOCKED, str(killed)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "claimed\n"
        assert f"no other process uses; found another one training or scoring '{killed}'" in refusal(killed)
    finally:
        process.kill()
        process.wait()
    assert functions.resume(killed).state == "trained"


def cut_short(file):
    os.truncate(file, file.stat().st_size // 2)


def change_a_byte(file):
    data = bytearray(file.read_bytes())
    data[-100] ^= 1
    file.write_bytes(data)


def change_the_metadata(file):
    data = file.read_bytes()
    assert data.count(b'best_loss') == 1
    file.write_bytes(data.replace(b'best_loss', b'best_lass'))


def replace_by_a_pickle(file):
    torch.save({"model": {}, "opt": {}}, file)


def empty(file):
    file.write_bytes(b"")


DAMAGES = [cut_short, change_a_byte, change_the_metadata, replace_by_a_pickle, empty]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_falls_back_to_the_one_before(killed, caplog, damage):
    step = read_checkpoint(killed).progress.step
    damage(killed / "last.ckpt")
    assert functions.resume(killed).state == "trained"
    line, = (m for m in caplog.messages if "previous.ckpt" in m)
    assert line.startswith("last.ckpt: ") and "going on from the checkpoint before it, previous.ckpt" in line
    assert f"step {step - 5} of" in caplog.text or f"step {step - 1}" in caplog.text


@pytest.mark.parametrize("damage", DAMAGES)
def test_two_damaged_checkpoints_are_refused(killed, damage):
    for name in ("last.ckpt", "previous.ckpt"):
        damage(killed / name)
    line = refusal(killed)
    assert "last.ckpt" in line and "previous.ckpt" in line and "imgreg evaluate" in line
    assert not runs.load_run(killed).lock and runs.load_run(killed).state == "interrupted"
    if damage is replace_by_a_pickle:
        assert "an older version of imgreg wrote it" in line


def test_a_missing_last_checkpoint_is_replaced_by_the_one_before(killed):
    (killed / "last.ckpt").unlink()
    assert functions.resume(killed).state == "trained"


def test_a_run_without_any_checkpoint_begins_anew(killed, caplog):
    for name in ("last.ckpt", "previous.ckpt", "model.safetensors"):
        (killed / name).unlink()
    run = functions.resume(killed)
    assert run.state == "trained" and run.path == killed and len(pd.read_csv(killed / "history.csv")) == 3
    assert f"{killed} has no checkpoint yet: its training begins anew" in caplog.messages


def test_a_model_whose_checkpoints_are_gone_is_not_overwritten(killed):
    functions.resume(killed)
    for name in ("last.ckpt", "previous.ckpt"):
        (killed / name).unlink()
    model = (killed / "model.safetensors").read_bytes()
    assert refusal(killed, epochs=9) == (
        f"expected a checkpoint to go on from in '{killed}'; found its model.safetensors only; "
        f"try imgreg evaluate {killed}, or imgreg train --weights {killed}")
    assert (killed / "model.safetensors").read_bytes() == model and runs.load_run(killed).state == "trained"


def test_temporary_files_of_a_kill_are_removed(killed):
    names = [".last.ckpt.123", ".history.csv.4567", ".tmpA1b2C3", "plots/.grid.png.99"]
    (killed / "plots").mkdir(exist_ok=True)
    for name in [*names, ".notes.txt", "notes.7"]:
        (killed / name).write_text("x")
    functions.resume(killed)
    assert not any((killed / name).exists() for name in names)
    assert (killed / ".notes.txt").exists() and (killed / "notes.7").exists()


# ---- changes


def change_an_image(run):
    Image.new("RGB", (60, 40), "green").save(run.parents[1] / "images" / "4.png")


def remove_an_image(run):
    (run.parents[1] / "images" / "4.png").unlink()


def edit_the_labels(run):
    file = run / "labels.csv"
    file.write_text(file.read_text() + "\n")


def edit_the_table(run):
    file = run.parents[1] / "images" / "labels.csv"
    file.write_text(file.read_text() + "\n")


def change_a_version(run):
    about = json.loads((run / "run.json").read_text())
    about["versions"]["timm"] = "0.1"
    (run / "run.json").write_text(json.dumps(about))


@pytest.mark.parametrize(("change", "text"), [
    (change_an_image, "1 of 16 images changed: 4.png"), (remove_an_image, "1 of 16 images gone: 4.png"),
    (edit_the_labels, "labels.csv was edited"),
    (edit_the_table, "labels.csv was edited (the run keeps the labels that it began with)"),
    (change_a_version, "timm 0.1, now "),
])
def test_a_change_is_said_and_force_goes_on(killed, caplog, change, text):
    change(killed)
    line = refusal(killed)
    assert text in line and line.endswith(f"; try imgreg resume {killed} --force, which goes on with what is here now")
    with pytest.raises(ImgregError, match="--epochs above"):
        functions.resume(killed, force=True, epochs=1)
    assert text in refusal(killed)  # a resume that is refused has accepted nothing
    run = functions.resume(killed, force=True)
    assert run.state == "trained" and text in run.about["resumed"][-1]
    assert any(m.startswith("going on although this has changed: ") and text in m for m in caplog.messages)


def test_changed_images_are_counted_together_with_other_changes(killed):
    for change in (change_an_image, edit_the_table, change_a_version):
        change(killed)
    line = refusal(killed)
    assert all(text in line for text in ("timm 0.1", "was edited", "images changed"))
