"""The command that repeats a run: typed again, it means the same task and the same settings."""
import shlex

import numpy as np
import pandas as pd
import pytest
from conftest import BOX, SMALL
from PIL import Image
from test_datasets_biwi import tiny

from imgreg_fastai import api, cli, options, runs
from imgreg_fastai.datasets import HOMES, headpose
from imgreg_fastai.reports import reruns


def made(tmp_path, task, **options):
    """A run folder as a training would begin it, and what it was asked."""
    asked = api.prepare(task, **options)
    chosen, cfg, frame, table = asked
    return runs.new(tmp_path / "runs", chosen, cfg, frame, table, options.get("images")), asked


def retyped(monkeypatch, run):
    """What `api.train` would be asked by the command of a run, prepared as it would be."""
    given = {}
    monkeypatch.setattr(api, "train", lambda task, **options: given.update(task=task, **options))
    program, *words = shlex.split(reruns.command(run))
    assert program == "imgreg"
    with pytest.raises(SystemExit) as e:
        cli.main(words)
    assert e.value.code == 0
    given.pop("out"), given.pop("dry_run")
    return api.prepare(**given)


def same(monkeypatch, run, asked):
    task, cfg, frame, table = retyped(monkeypatch, run)
    assert task == asked[0] and cfg == asked[1] and str(table) == str(asked[3])
    assert list(frame["image"]) == list(asked[2]["image"]) and list(frame["split"]) == list(asked[2]["split"])


@pytest.fixture
def table(tmp_path):
    """A table with several kinds of columns, in a folder of its own, its pictures in another."""
    rng, n = np.random.default_rng(0), 40
    photos = tmp_path / "my photos"
    photos.mkdir()
    frame = pd.DataFrame({
        "file name": [f"{i}.png" for i in range(n)], "age": rng.uniform(10, 90, n), "price": rng.lognormal(5, 1.5, n),
        "left_x": rng.uniform(1, 9, n), "left_y": rng.uniform(1, 9, n), "right_x": rng.uniform(1, 9, n),
        "right_y": rng.uniform(1, 9, n), "yaw": rng.uniform(-9, 9, n), "pitch": rng.uniform(-9, 9, n),
        "roll": rng.uniform(-9, 9, n), "way": rng.uniform(0, 360, n), "who": [f"w{i % 8}" for i in range(n)],
        **dict(zip(BOX, np.full((4, n), 5.0), strict=True))})
    for name in frame["file name"]:
        Image.new("RGB", (10, 10)).save(photos / name)
    frame.to_csv(tmp_path / "all labels.csv", index=False)
    return tmp_path / "all labels.csv"


@pytest.mark.parametrize(("value", "typed"), [
    ("same", "pad_type=same"), (16, "pad_type=16"), ("16", 'pad_type="16"'), (True, "pad_type=true"),
    ("true", 'pad_type="true"'), ([1, 2], "pad_type=[1, 2]"), (None, "pad_type=null"), ("None", "pad_type=None"),
])
def test_a_text_is_typed_without_quotes_where_it_reads_back_as_itself(value, typed):
    assert reruns._pair("pad_type", value) == typed and options.read_pairs([typed]) == {"pad_type": value}


OWN = {"image_col": "file name", "device": "cpu"}


@pytest.mark.parametrize("options", [
    {"targets": ["age"]},
    {"targets": ["age=age:number", "price"], "target_weights": {"age": 2.5},
     "units": {"age": "years", "price": "€ net"}},
    {"targets": ["price"], "scale": "linear", "lr": None, "bs": None, "epochs": 3, "stop_at": ("price", 0.25)},
    {"targets": ["age"], "group": "who", "hold_out": ("w1", "w2"), "balance": True},
    {"targets": ["age"], "group": "who", "folds": 3, "wd": 0.05, "patience": 2, "freeze_epochs": 1},
    {"targets": ["eyes=left_x,left_y,right_x,right_y:point"], "size": (48, 64), "fit": "crop"},
    {"targets": ["eyes=left_x,left_y,right_x,right_y:point"], "flip_pairs": "none"},
    {"targets": ["eyes=left_x,right_y,right_x,left_y:point"], "flip_pairs": [("left_x", "right_x")]},
    {"targets": ["head=yaw,pitch,roll:rotation"], "augment": ("flip", "colour")},
    {"targets": ["head=yaw,pitch,roll:rotation=ZYX", "way:angle360"], "augment": ()},
    {"targets": ["age"], "augment": ("flip", "turn"), "box": BOX, "margin": 0.5, "value_range": (0.0, 4095.0)},
    {"targets": ["age"], "arch": "resnet10t", "arch_args": {"output_stride": 16}, "weights": "none", "loss": "mse",
     "precision": "fp32", "cache": "off", "seed": 7, "valid": 0.3, "test": 0.1, "workers": 0, "strict": False},
    {"targets": ["age"], "calibrate": 0.2, "coverage": 0.8},
])
def test_the_command_of_a_table_means_the_same_run(tmp_path, monkeypatch, table, options):
    run, asked = made(tmp_path, table, images=tmp_path / "my photos", **OWN, **options)
    same(monkeypatch, run, asked)
    assert reruns.unsaid(run) == []


def test_labels_of_names_are_read_by_the_same_pattern(tmp_path, monkeypatch):
    folder = tmp_path / "faces"
    folder.mkdir()
    for i in range(20):
        Image.new("RGB", (8, 8)).save(folder / f"age_{20 + i}.png")
    run, asked = made(tmp_path, folder, label_from_name=r"age_(?P<age>\d+)", device="cpu")
    assert asked[0].columns == ["age"]
    same(monkeypatch, run, asked)


@pytest.mark.parametrize("options", [
    {}, SMALL, {"arch": "resnet18", "epochs": 5}, {"arch_args": {"stem_width": 8}}, {"targets": ["angle:number"]},
    {"augment": ("colour",), "arch": "resnet10t"}, {"arch": "resnet10t", "weights": "none", "lr": 2e-3},
])
def test_the_command_of_a_built_in_task_means_the_same_run(tmp_path, monkeypatch, drawn, options):
    run, asked = made(tmp_path, "angle", data=drawn, **options)
    same(monkeypatch, run, asked)


@pytest.mark.parametrize("options", [
    {}, {"preset": "fastbook"}, {"preset": "drawn", "epochs": 2}, {"targets": ["pose"], "hold_out": ("03",)},
    {"labels": "fastbook", "size": (60, 80)},
])
def test_the_command_of_a_preset_means_the_same_run(tmp_path, monkeypatch, options):
    tiny(tmp_path / "biwi", sequences=("01", "03", "13", "15"))
    run, asked = made(tmp_path, "headpose", data=tmp_path / "biwi", **options)
    same(monkeypatch, run, asked)


def test_drawings_are_called_so(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    headpose.draw(n=24, jobs=1)
    run, asked = made(tmp_path, "headpose", data="drawn", epochs=2)
    assert reruns.command(run) == "imgreg train headpose --data drawn --epochs 2"
    same(monkeypatch, run, asked)


def test_what_is_usual_is_not_said(tmp_path, monkeypatch, drawn):
    monkeypatch.setattr(HOMES["angle"], "HOME", str(drawn))
    run, _ = made(tmp_path, "angle", data=drawn)
    assert reruns.command(run) == "imgreg train angle"


def test_settings_of_python_alone_are_named(tmp_path, table):
    run, _ = made(tmp_path, table, images=tmp_path / "my photos", targets=["age"], body_lr=0.5, folds=3, fold=2, **OWN)
    assert reruns.unsaid(run) == ["body_lr=0.5", "fold=2"] and "--folds 3" in reruns.command(run)


def test_settings_are_told_beside_the_defaults(tmp_path, drawn):
    run, _ = made(tmp_path, "angle", data=drawn, epochs=3)
    found = {name: (here, default) for name, here, default in reruns.settings(run)}
    assert found["epochs"] == ("3", "10") and found["arch"] == ("resnet10t", "resnet18")
    assert found["size"] == ("100, 100", "224, 224") and "wd" not in found
