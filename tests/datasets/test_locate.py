"""Where the data of a built-in task are found; only its own folders are filled without being asked for."""
import os
import sys
from pathlib import Path

import pandas as pd
import pytest
from PIL import Image

from imgreg_fastai import cli, datasets, train
from imgreg_fastai.datasets import angle, headpose
from imgreg_fastai.tasks import ANGLE
from imgreg_fastai.utils.messages import ImgregError, say
from tests.conftest import TINY, interrupted

MODULES = {"angle": angle, "headpose": headpose}


@pytest.fixture
def nothing_drawn(monkeypatch, tmp_path):
    """The current folder is empty, and neither drawings nor downloads are allowed."""
    def refuse(*args, **_):
        pytest.fail(f"nothing is to be drawn or downloaded: {args}")

    for module in MODULES.values():
        monkeypatch.setattr(module, "draw", refuse)
        monkeypatch.setattr(module, "obtain", refuse)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", MODULES)
@pytest.mark.parametrize("content", ["nothing", "an empty folder", "a file"])
def test_a_folder_without_pictures_is_an_error_and_is_not_filled(nothing_drawn, tmp_path, name, content):
    folder = tmp_path / "typo"
    if content == "an empty folder":
        folder.mkdir()
    elif content == "a file":
        folder.touch()
    before = sorted(tmp_path.rglob("*"))
    for use in (lambda: datasets.locate(name, folder), lambda: datasets.make(name, data=folder)):
        with pytest.raises(ImgregError) as e:
            use()
        assert str(e.value) == (f"expected a folder for --data with images of the task {name}; found none in "
                                f"'{folder}'; try --data drawn, or imgreg data {name} --out DIR")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("use", [datasets.locate, lambda name, data: datasets.make(name, data=data)])
@pytest.mark.parametrize("parent", ["", "pictures/"])
def test_folders_of_a_similar_name_are_suggested_first(nothing_drawn, tmp_path, use, parent):
    for name in ("bars", "photographs"):
        (tmp_path / parent / name).mkdir(parents=True)
    (tmp_path / parent / "barzz").touch()  # a file is no folder of images
    with pytest.raises(ImgregError) as e:
        use("angle", f"{parent}barz")
    assert str(e.value).endswith(f"try --data {parent}bars, --data drawn, or imgreg data angle --out DIR")
    with pytest.raises(ImgregError) as e:
        use("angle", f"{parent}nothing-like-them")
    assert str(e.value).endswith("try --data drawn, or imgreg data angle --out DIR")


def test_the_command_says_so_in_one_line(nothing_drawn, tmp_path, capsys):
    with pytest.raises(SystemExit) as e:
        cli.main(["train", "angle", "--data", "typo"])
    lines = capsys.readouterr().err.strip().splitlines()
    assert e.value.code == 1 and len(lines) == 1 and "'typo'" in lines[0] and "--data drawn" in lines[0]
    assert not list(tmp_path.iterdir())


def test_a_folder_whose_file_names_hold_the_labels_needs_no_table(tmp_path):
    Image.new("L", (16, 16)).save(tmp_path / "sample0000_angle_04500.png")
    assert datasets.locate("angle", tmp_path) == (ANGLE, tmp_path)


@pytest.mark.parametrize(("name", "data", "folder", "function"), [
    ("angle", None, "data/angle", "obtain"), ("angle", "drawn", "data/angle", "draw"),
    ("headpose", None, "data/headpose", "obtain"), ("headpose", "drawn", "data/headpose-drawn", "draw"),
])
def test_the_tasks_own_folders_are_filled_once(nothing_drawn, tmp_path, monkeypatch, name, data, folder, function):
    calls = []

    def fill(out):
        calls.append(out.as_posix())
        out.mkdir(parents=True)
        (out / "labels.csv").touch()

    monkeypatch.setattr(MODULES[name], function, fill)
    for _ in range(2):
        assert datasets.locate(name, data)[1].as_posix() == f"{folder}/labels.csv"
    assert calls == [folder]


@pytest.mark.parametrize(("name", "data"), [("angle", None), ("headpose", None), ("headpose", "drawn")])
def test_a_dry_run_draws_a_few_pictures_elsewhere(tmp_path, monkeypatch, caplog, name, data):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(headpose, "obtain", lambda *_: pytest.fail("nothing is to be downloaded"))
    caplog.set_level("INFO", "imgreg")
    n = {"angle": 40, "headpose": 24}[name]
    monkeypatch.setattr(MODULES[name], "SAMPLE_SIZE", n)
    table = datasets.locate(name, data, sample_folder=tmp_path / "sample")[1]
    assert table == tmp_path / "sample" / "labels.csv" and len(pd.read_csv(table)) == n
    assert f"drawing {n} for the dry run" in caplog.text
    assert [p.name for p in tmp_path.iterdir()] == ["sample"]


def test_a_dry_run_uses_pictures_that_are_there(nothing_drawn, tmp_path):
    (tmp_path / "data" / "angle").mkdir(parents=True)
    (tmp_path / "data" / "angle" / "labels.csv").touch()
    assert datasets.locate("angle", sample_folder=tmp_path / "sample")[1].as_posix() == "data/angle/labels.csv"


@pytest.mark.parametrize("name", MODULES)
def test_a_dry_run_without_data_goes_through_everything_and_leaves_nothing(tmp_path, monkeypatch, caplog, name,
                                                                           request):
    if name == "headpose":  # whose plots tests/api/test_headpose_runs.py draws
        request.getfixturevalue("without_plots")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(headpose, "SAMPLE_SIZE", 48)
    caplog.set_level("INFO", "imgreg")
    assert train(name, dry_run=True, **TINY) is None
    assert "one batch went through everything; nothing was kept" in caplog.text
    assert not list(tmp_path.iterdir())


@pytest.mark.skipif(os.name == "nt", reason="Ctrl-C is sent otherwise there")
def test_ctrl_c_while_drawing_leaves_no_tracebacks_of_processes(tmp_path):
    code = "from imgreg_fastai.datasets import angle; angle.draw('drawn', n=1_000_000, jobs=2)"
    code, stderr = interrupted([sys.executable, "-c", code], tmp_path,
                               lambda: len(list(tmp_path.glob(".drawn-part/all/images/*.png"))) > 99)
    assert code != 0 and stderr.rstrip().endswith("KeyboardInterrupt")
    assert "Process " not in stderr and stderr.count("Traceback") <= 2
    assert [path.name for path in tmp_path.iterdir()] == [".drawn-part"]


@pytest.mark.parametrize("name", ["labels.csv", "angel"])
def test_only_built_in_tasks_have_data_to_get(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("labels.csv").write_text("image,age\n")
    with pytest.raises(ImgregError, match=f"expected a built-in task: angle, headpose; found '{name}'"):
        datasets.make(name)


def test_a_dry_run_that_is_interrupted_promises_nothing(tmp_path, monkeypatch, caplog):
    def interrupt(*_):
        say("the same command goes on from there")
        raise KeyboardInterrupt

    caplog.set_level("INFO", "imgreg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(angle, "draw", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train("angle", dry_run=True, **TINY)
    assert [line for line in caplog.messages if "goes on" in line] == [] and not list(tmp_path.iterdir())
