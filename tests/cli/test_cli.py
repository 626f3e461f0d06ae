"""The command line as a person meets it: in a process of its own, results on stdout, one line for a mistake."""
import inspect
import io
import json
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pandas as pd
import pytest
import typer

from imgreg_fastai import cli
from imgreg_fastai.api import functions
from imgreg_fastai.api.learning_curve import LearningCurve
from imgreg_fastai.cli import options
from imgreg_fastai.config import TrainConfig
from imgreg_fastai.datasets import headpose
from imgreg_fastai.training.rate_search import Sweep
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import interrupted, said

IMGREG = [sys.executable, "-m", "imgreg_fastai"]
QUICK = ["--arch", "test_resnet", "--weights", "none", "--workers", "0"]
TRAIN = ["--size", "48", "--bs", "16", "--precision", "fp32", "--device", "cpu"]


def imgreg(*args, cwd=None, code=0, **of):
    ran = subprocess.run([*IMGREG, *map(str, args)], cwd=cwd, capture_output=True, text=True, timeout=120, **of)
    assert ran.returncode == code, ran.stderr
    return ran


def mistake(capsys, *args) -> str:
    """Run in this process what must end in one line on stderr and exit 1; returns the line."""
    with pytest.raises(SystemExit) as e:
        cli.main([str(a) for a in args])
    out = capsys.readouterr()
    lines = [line for line in out.err.splitlines() if line.startswith("imgreg: ")]
    assert e.value.code == 1 and out.out == "" and len(lines) == 1, out
    return lines[0]


def test_a_walk_through_all_verbs(tmp_path, monkeypatch, capsys, request):
    monkeypatch.chdir(tmp_path)
    drawn = said(capsys, "data", "angle", "--n", 60, "--size", 48)
    assert "data/angle/labels.csv" in drawn and "next: imgreg train angle" in drawn
    trained = imgreg("train", "angle", *TRAIN, "--epochs", 1, cwd=tmp_path)
    assert "guessing" in trained.stdout and "next: imgreg predict runs/angle-001" in trained.stdout
    assert "\x1b" not in trained.stdout + trained.stderr and "Warning" not in trained.stderr
    assert "epoch 1" in trained.stderr
    request.getfixturevalue("without_plots")  # the run itself has them
    assert "angle error" in said(capsys, "evaluate", "runs/angle-001")
    assert "angle error" in said(capsys, "evaluate", "runs/angle-001", "data/angle/images")
    assert (tmp_path / "runs/angle-001/evaluations/images/scores.json").is_file()
    assert "export.pkl" in said(capsys, "export", "runs/angle-001")
    assert "model.imgreg" in said(capsys, "export", "runs/angle-001", "--format", "bundle")
    table = said(capsys, "predict", "runs/angle-001/model.imgreg", "data/angle/images", "--format", "csv")
    assert len(pd.read_csv(io.StringIO(table))) == 60
    assert "plot: runs/lr_find-angle-001.png" in said(capsys, "lr-find", "angle", *TRAIN, *QUICK)
    assert (tmp_path / "runs/lr_find-angle-001.png").stat().st_size > 5000


def test_predict_in_every_format(run, drawn, capsys, monkeypatch, tmp_path):
    pictures = sorted(str(p) for p in (drawn / "images").glob("*.png"))[:3]
    outputs = {}
    for form in ("table", "csv", "json", "jsonl"):
        with pytest.raises(SystemExit) as e:
            cli.main(["predict", str(run.path), *pictures, "--format", form])
        assert e.value.code == 0
        outputs[form] = capsys.readouterr().out
    csv = pd.read_csv(io.StringIO(outputs["csv"]))
    assert list(csv["image"]) == pictures and csv["angle"].between(0, 180).all()
    assert [r["angle"] for r in json.loads(outputs["json"])] == list(csv["angle"])
    assert [json.loads(line)["image"] for line in outputs["jsonl"].splitlines()] == pictures
    assert len(outputs["table"].splitlines()) == 4
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(pictures[:2]) + "\n"))
    with pytest.raises(SystemExit):
        cli.main(["predict", str(run.path), "-", "--format", "jsonl", "--out", str(tmp_path / "o.jsonl")])
    assert capsys.readouterr().out == f"written: {tmp_path / 'o.jsonl'}\n"
    assert len((tmp_path / "o.jsonl").read_text().splitlines()) == 2
    assert "new file" in mistake(capsys, "predict", run.path, pictures[0], "--out", tmp_path / "o.jsonl")


@pytest.mark.parametrize("args, says", [
    (["train", "angel"], "try 'angle'"),
    (["train", "angle", "--arch", "resnet19"], "'resnet18'"),
    (["train", "angle", "--arch", "resnet50_clip", "--size", "100"], "a size that resnet50_clip works at"),
    (["train", "angle", "--size", "big"], "--size N or HxW"),
    (["train", "angle", "--lr", "fast"], "--lr"),
    (["train", "angle", "--bs", "1"], "--bs of at least 2"),
    (["train", "angle", "--augment", "spin"], "flip, quarter, turn, zoom, shift, colour"),
    (["train", "angle", "--target", "angle:number", "--augment", "flip"], "declared"),
    (["train", "angle", "--target", "edge"], "'angle'"),
    (["train", "angle", "--stop-at", "angle"], "TARGET=VALUE"),
    (["train", "angle", "--stop-at", "age=3"], "target of the task"),
    (["train", "angle", "--stop-at", "angle=-3"], "above 0"),
    (["train", "angle", "--arch", "qqqq"], "imgreg backbones"),
    (["train", "angle", "--arch-arg", "stride"], "k=v"),
    (["train", "angle", "--weights", "none.pth"], "none.pth"),
    (["train", "angle", "--precision", "fp16"], "CUDA"),
    (["predict", "nowhere", "a.png"], "no 'nowhere'"),
    (["evaluate", "nowhere"], "a run folder"),
    (["export", "nowhere"], "a run folder"),
    (["backbones", "nosuchnet"], "a pattern"),
])
def test_a_mistake_is_one_line(args, says, capsys, drawn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    more = ["--data", str(drawn), "--device", "cpu"] if args[0] == "train" else []
    assert says in mistake(capsys, *args, *more)
    assert not list(tmp_path.iterdir())


def test_places_that_cannot_be_written(capsys, drawn, run, tmp_path):
    (tmp_path / "file").write_text("mine")
    for args in (["train", "angle", "--data", drawn, "--out", tmp_path / "file", *TRAIN],
                 ["data", "angle", "--n", 10, "--out", tmp_path / "file" / "x"],
                 ["predict", run.path, next((drawn / "images").iterdir()), "--out", tmp_path / "file" / "y"]):
        assert "file" in mistake(capsys, *args)
    assert (tmp_path / "file").read_text() == "mine"


def test_drawn_pictures_are_never_drawn_over(capsys, tmp_path):
    (tmp_path / "angle").mkdir()
    (tmp_path / "angle" / "holiday.png").write_text("precious")
    assert "new or empty" in mistake(capsys, "data", "angle", "--n", 10, "--out", tmp_path / "angle")
    assert [p.name for p in tmp_path.rglob("*")] == ["angle", "holiday.png"]


def test_the_ending_of_a_file_decides_its_format(run, drawn, capsys, tmp_path):
    assert "imgreg predict" in said(capsys, "export", run.path, "--out", tmp_path / "m.imgreg")
    picture = next((drawn / "images").glob("*.png"))
    said(capsys, "predict", tmp_path / "m.imgreg", picture, "--out", tmp_path / "a.json")
    assert json.loads((tmp_path / "a.json").read_text())[0]["image"] == str(picture)
    line = mistake(capsys, "export", run.path, "--format", "learner", "--out", tmp_path / "n.imgreg")
    assert ".pkl" in line and not (tmp_path / "n.imgreg").exists()
    assert "a folder for --data" in mistake(capsys, "train", "angle", "--data", tmp_path / "nosuch.csv")
    for folds in ("1", "2.5", "", "-3"):
        assert f"of at least 2, or a column whose values are the folds; found '{folds}'" in mistake(
            capsys, "train", "angle", "--folds", folds)


@pytest.mark.parametrize(("args", "says"), [
    (["train"], "TASK"), (["nonsense"], "nonsense"), (["train", "angle", "--epoch", "3"], "--epochs"),
    (["train", "angle", "bars"], "bars"), (["predict", "run"], "IMAGES"),
])
def test_wrong_usage_is_one_line_and_exits_with_2(args, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as e:
        cli.main(args)
    out = capsys.readouterr()
    assert e.value.code == 2 and not out.out and not list(tmp_path.iterdir())
    assert says in out.err and out.err.startswith("imgreg: ") and out.err.count("\n") == 1
    assert out.err.endswith(f"try imgreg{' ' + args[0] if args[0] != 'nonsense' else ''} --help\n")


@pytest.mark.parametrize(("args", "says"), [
    (["train", "angle", "--epochs", "many"], "a whole number for --epochs; found 'many'"),
    (["train", "angle", "--epochs", "0"], "--epochs"), (["train", "angle", "--folds", "1"], "--folds"),
    (["train", "angle", "--freeze-epochs", "-1"], "--freeze-epochs"), (["train", "angle", "--wd", "-1"], "--wd"),
    (["train", "angle", "--loss", "l3"], "--loss auto, histogram, mse, l1, huber; found 'l3'"),
    (["train", "angle", "--cache", "maybe"], "--cache auto, on, off"),
    (["predict", "run", "photo.png", "--format", "xml"], "--format table, csv, json, jsonl; found 'xml'"),
    (["train", "angle", "--valid", "20"], "found 20; try --valid 0.2"),
])
def test_a_wrong_value_is_a_mistake_before_anything_is_drawn(args, says, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert says in mistake(capsys, *args) and not list(tmp_path.iterdir())


def test_help_and_info_and_backbones(capsys):
    assert "train" in said(capsys, "--help") and "--weights" in said(capsys, "train", "--help")
    assert "torch: " in said(capsys, "info") and said(capsys, "--version").startswith("imgreg 0.")
    assert "test_resnet" in said(capsys, "backbones", "test_res*", "--size", 64)


@pytest.mark.parametrize("command", ["train", "check", "lr_find", "curve"])
def test_help_shows_each_option_in_a_panel_with_its_default(command):
    context = typer.main.get_command(cli.app).commands[command].make_context(command, ["angle"])
    text = context.get_help()
    positions = [text.index(f"\n{panel}:\n") for panel in ("Arguments", *options.PANELS, "Options")]
    assert positions == sorted(positions)
    assert " ".join(text[positions[-1] :].split()) == "Options: --help Show this message and exit."
    for option in context.command.params:
        if option.param_type_name == "option" and not option.is_flag:
            assert "(default: " in option.help or option.default is not None, option.name
    width = max(map(len, text.splitlines()))
    assert width <= 120


def test_the_options_of_a_training_are_the_keywords_of_the_public_functions():
    of_the_task = set(inspect.signature(functions.resolve_options).parameters) - {"task", "settings"}
    keywords = of_the_task | {field.name for field in fields(TrainConfig)}
    not_typed = {"command", "sample_folder", "body_lr", "fold"}
    of_some = {"quick", "epochs", "time", "freeze_epochs", "patience", "stop_at", "folds", "save_minutes"}
    assert set(options.TRAINING) == keywords - not_typed - of_some and of_some < options.OPTIONS.keys()
    assert {o["panel"] for o in options.OPTIONS.values()} == set(options.PANELS)
    with_errors = {key for key, o in options.OPTIONS.items() if "expected" in o}
    any_names = {"box", "hold_out", "augment", "point_rows", "flip_negates"}
    assert with_errors == options.PARSERS.keys() - any_names


@pytest.mark.usefixtures("without_plots")  # of the evaluation
def test_ctrl_c_ends_cleanly(drawn, tmp_path, capsys):
    """SIGINT in the midst of training: no traceback, the next command said, a run that can be evaluated."""
    history = tmp_path / "runs/angle-001/history.csv"
    args = ["train", "angle", "--data", str(drawn), "--epochs", "500", *TRAIN, *QUICK]
    code, err = interrupted([*IMGREG, *args], tmp_path, history.exists)
    assert code == 130 and "Traceback" not in err, err
    assert "next: imgreg resume runs/angle-001, or imgreg evaluate runs/angle-001" in err
    assert "angle error" in said(capsys, "evaluate", tmp_path / "runs/angle-001")


@pytest.mark.usefixtures("without_plots")
def test_ctrl_c_while_a_finished_training_is_scored_names_the_command_that_completes_it(drawn, tmp_path, capsys):
    about = tmp_path / "runs/angle-001/run.json"
    args = ["train", "angle", "--data", str(drawn), "--epochs", "1", *TRAIN, *QUICK]
    code, err = interrupted([*IMGREG, *args], tmp_path, lambda: about.exists() and '"scoring"' in about.read_text())
    assert code == 130 and "Traceback" not in err, err
    assert err.splitlines()[-3:] == ["the network is trained, but not scored", "next: imgreg resume runs/angle-001",
                                     "stopped"]
    assert "angle error" in said(capsys, "evaluate", tmp_path / "runs/angle-001")
    assert json.loads(about.read_text())["state"] == "trained"


@pytest.mark.parametrize("command", ["train", "data"])
def test_ctrl_c_while_images_are_drawn_says_that_the_same_command_goes_on(command, tmp_path):
    code, err = interrupted([*IMGREG, command, "angle"], tmp_path,
                            lambda: len(list(tmp_path.glob("data/.angle-part/chunks/*.json"))) > 2)
    *first, kept, last = err.splitlines()
    n = 100 * len(list(tmp_path.glob("data/.angle-part/chunks/*.json")))
    part = (tmp_path / "data" / ".angle-part").resolve()
    assert kept == f"{n:,} of 10,000 images are drawn, in '{part}': the same command goes on from there", err
    assert code == 130 and last == "stopped" and len(first) == (command == "train"), err
    assert [path.name for path in part.parent.iterdir()] == [".angle-part"] and not (tmp_path / "runs").exists()


def test_ctrl_c_while_data_are_fetched_is_one_line(monkeypatch, tmp_path, capsys):
    def fetch(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(headpose.download, "fetch", fetch)
    with pytest.raises(SystemExit) as e:
        cli.main(["train", "headpose"])
    assert e.value.code == 130 and capsys.readouterr().err.splitlines()[-1].startswith("stopped")


def test_a_reader_that_goes_away_is_no_traceback(run, drawn):
    pipe = subprocess.Popen([*IMGREG, "predict", str(run.path), str(drawn / "images"), "--format", "csv"],
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    pipe.stdout.close()
    assert "Traceback" not in pipe.stderr.read()
    pipe.wait(60)


@pytest.mark.usefixtures("without_plots")
def test_a_table_of_ones_own_with_points_and_numbers(spotted, capsys, tmp_path, monkeypatch):
    """Train, evaluate, predict and export a task that stands in a table, folds and boxes included."""
    monkeypatch.chdir(tmp_path)
    table = Path(spotted["path"][0]).parent / "labels.csv"
    name = table.parent.name
    how = ["--target", "spots=rx,ry,bx,by:point", "--target", "n:number", "--size", "32x48", "--arch", "test_resnet",
           "--weights", "none", "--bs", 4, "--epochs", 1, "--precision", "fp32", "--device", "cpu"]
    trained = said(capsys, "train", table, *how, "--fit", "squish", "--augment", "colour", "--hold-out", "g1")
    told = r"spots error [\d.]+ px \(guessing: [\d.]+ px\) on 5 images \(valid\)\n  rx [\d.]+ px, ry"
    assert re.search(told, trained)
    assert "n error" in trained and f"next: imgreg predict runs/{name}-001 photo.png" in trained
    told = said(capsys, "evaluate", f"runs/{name}-001")
    assert "spots error" in told and f"written: runs/{name}-001/evaluations/valid" in told
    predicted = said(capsys, "predict", f"runs/{name}-001", *spotted["path"][:2], "--format", "csv")
    frame = pd.read_csv(io.StringIO(predicted))
    assert list(frame.columns) == ["image", "rx", "ry", "bx", "by", "n"] and len(frame) == 2
    assert "export.pkl" in said(capsys, "export", f"runs/{name}-001")
    boxed = said(capsys, "train", table, *how, "--box", "cx,cy,w,h", "--margin", 0.1, "--folds", 2, "--out", "folds")
    assert re.search(r"spots error [\d.]+ px ± [\d.]+ px over 2 folds", boxed) and f"runs: folds/{name}-001" in boxed
    by_table = said(capsys, "predict", f"folds/{name}-001/{name}-002", table, "--format", "csv")
    assert len(pd.read_csv(io.StringIO(by_table))) == 16
    line = mistake(capsys, "predict", f"folds/{name}-001/{name}-002", spotted["path"][0])
    assert "a box for each of 1 images" in line and "a table with these columns" in line


def test_predict_that_left_an_image_out_predicts_the_others_and_exits_with_1(run, drawn, tmp_path, capsys):
    pictures = sorted((drawn / "images").glob("*.png"))[:2]
    broken = tmp_path / "broken.png"
    broken.write_text("no image")
    frame = pd.DataFrame({"image": [*map(str, pictures), "broken.png", None, "gone.png"], "house": list("aabbc")})
    frame.to_csv(tmp_path / "t.csv", index=False)
    for sources, n, n_lines in ([pictures[0], broken, pictures[1]], 1, 3), ([tmp_path / "t.csv"], 3, 3), (
            [tmp_path / "t.csv", "--by", "house"], 3, 2), ([pictures[0], broken, "--by", "folder"], 1, 2):
        with pytest.raises(SystemExit) as e:
            cli.main(["predict", str(run.path), *map(str, sources), "--format", "csv"])
        out = capsys.readouterr()
        assert e.value.code == 1 and len(out.out.splitlines()) == n_lines, out
        assert out.err.splitlines()[-1] == f"left out: {n} of the images"
    said(capsys, "predict", run.path, *pictures)


def test_lr_find_refuses_what_it_does_not_use_and_names_the_next_command(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for option in ("--lr", "--coverage"):
        line = mistake(capsys, "lr_find", "angle", option, 0.5)
        assert f"expected {option} with imgreg train; found imgreg lr_find" in line
    sweep = Sweep([1e-3, 1e-2], [1.0, 0.5], 0.004, "")
    monkeypatch.setattr(functions, "lr_find", lambda *_, **__: (sweep, "plot.png"))
    (tmp_path / "my photos").mkdir()
    for out in (["--out", "else where"], ["--out=else where"]):
        text = said(capsys, "lr_find", "angle", "--data", "my photos", *out, "--size", 48)
        assert text.splitlines()[-1] == "next: imgreg train angle --data 'my photos' --size 48 --lr 0.004"
    sweep = sweep._replace(default=0.008, by_recipe=True)
    text = said(capsys, "lr_find", "angle")
    assert "the recipe's 0.008" in text
    assert "--lr 0.004" in text and text.splitlines()[-1] == "next: imgreg train angle"


def test_curve_has_four_parts_unless_told_and_records_what_was_typed(capsys, monkeypatch):
    calls = []
    default = inspect.signature(functions.curve).parameters["parts"].default
    monkeypatch.setattr(functions, "curve", lambda *_, parts=default, **options: calls.append((parts, options)) or
                        LearningCurve(Path("runs/curve-angle-001"), 3, [], {}))
    assert said(capsys, "curve", "angle", "--lr", "auto") == said(capsys, "curve", "angle", "--parts", "5,50.5") == ""
    (parts, options), (other_parts, _) = calls
    assert parts == (10, 25, 50, 100) and other_parts == (5, 50.5)
    assert options == {"command": "imgreg curve angle --lr auto", "lr": "auto"}  # nothing that was not typed


@pytest.mark.parametrize(("args", "says"), [
    (["--target", "n", "--scale", "loud"], "linear, log"),
    (["--target", "spots=rx,ry,bx:point"], "columns for x and y of each point"),
    (["--target", "pose:rotation=XXX"], "a sequence of axes"), (["--target", "eye:point"], "a column 'eye_x'"),
    (["--target", "n", "--box", "cx,cy,w"], "--box CX,CY,W,H"),
    (["--target", "n", "--box", "cx,cy,w,hh"], "a column 'hh'"),
    (["--target", "n", "--margin", -1], "--margin between 0 and 10"),
    (["--target", "n", "--folds", 2, "--hold-out", "g1"], "--hold-out or --folds"),
    (["--target", "n", "--hold-out", "g7"], "--hold-out with a group"),
    (["--target", "n", "--group", "person"], "a column 'person'"),
    (["--target", "n:angle180", "--augment", "flip"], "declared"),
    (["--target", "n", "--folds", 4], "at least 4 groups"),
])
def test_a_mistake_about_a_table_is_one_line(args, says, spotted, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    table = Path(spotted["path"][0]).parent / "labels.csv"
    assert says in mistake(capsys, "train", table, *args, "--arch", "test_resnet", "--weights", "none", "--size", 32,
                           "--device", "cpu")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("hint", "args", "typed"), [
    ("--images DIR, the folder that the names are relative to", "train t.csv --images x", True),
    ("--images DIR, the folder that the names are relative to", "train t.csv --images=x", True),
    ("--images DIR, the folder that the names are relative to", "train t.csv", False),
    ("--calibrate 0 for none", "train t.csv --calibrate 0", True),
    ("--calibrate 0", "train t.csv --calibrate 0.2", False),
    ("--valid 0.2", "train t.csv --valid 20", False), ("--cache off", "train t.csv --cache=off", True),
    ("--image-col with one of 'a', 'b'", "train t.csv --image-col c", False),
    ("another --out", "export r --out x", False),
    ("imgreg check t.csv", "check t.csv", True), ("imgreg check t.csv", "train t.csv", False),
    (None, "train t.csv", False),
])
def test_a_hint_does_not_name_what_was_typed(hint, args, typed, monkeypatch, capsys):
    assert cli.was_typed(hint, args.split()) == typed

    def refuse(*_, **__):
        raise ImgregError("a", "b", hint)

    monkeypatch.setattr(cli, "app", refuse)
    assert ("; try" in mistake(capsys, *args.split())) == (not typed and hint is not None)
