"""A table of one's own from the first command to the last: names, folders, deep images, answers by group."""
import io
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from imgreg_fastai import load
from imgreg_fastai.api import functions
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import TINY, said

QUICK = {**TINY, "size": (32, 32), "arch": "test_resnet", "epochs": 1}


@pytest.fixture
def houses(tmp_path):
    """Twelve houses, three grey images each, whose brightness is the price; a table apart from the images."""
    rng, rows = np.random.default_rng(0), []
    (tmp_path / "photos" / "more").mkdir(parents=True)
    for house in range(12):
        for view in range(3):
            name = f"more\\haus {house}_{view}.png"
            grey = np.clip(20 * house + rng.normal(0, 4, (24, 24)), 0, 255).astype(np.uint8)
            Image.fromarray(grey).save(tmp_path / "photos" / name.replace("\\", "/"))
            rows.append((name, f"{1000 * 1.5**house:.2f}".replace(".", ","), f"H{house:02}"))
    lines = ["Bild;Preis;Haus", *(";".join(row) for row in rows)]
    (tmp_path / "preise.csv").write_bytes("\r\n".join(lines).encode("utf-8-sig"))
    return tmp_path


def test_a_spreadsheets_table_with_pictures_elsewhere_is_trained_scored_and_predicted(houses, caplog, monkeypatch):
    caplog.set_level("INFO", "imgreg")
    run = functions.train(houses / "preise.csv", images=houses / "photos", group="Haus", units={"Preis": "€"},
                    out=houses / "runs", test=0.25, **{**QUICK, "epochs": 2})
    told = " ".join(caplog.messages)
    assert "Preis" in told and "logarithm" in told and "column 'Bild'" in told
    labels = run.labels
    assert run.task.image == "Bild" and run.task.targets[0].scale == "log" and run.task.targets[0].unit == "€"
    assert all(Path(path).is_file() for path in labels["path"])
    parts = labels.groupby("group")["split"].nunique()
    assert (parts == 1).all() and set(labels["split"]) == {"train", "valid", "test"}
    assert set(run.scores) == {"valid", "test"} and run.scores["test"]["Preis"]["n"] == 9
    monkeypatch.chdir(houses)  # where nothing of it lies beside
    again = functions.evaluate(run.path, houses / "preise.csv", images=houses / "photos", by="Haus", how="median")
    assert again["scores"]["Preis"]["n"] == 5  # houses that were not trained on
    groups = pd.read_csv(Path(again["folder"]) / "groups.csv")
    assert (groups["images"] == 3).all() and {"Haus", "Preis", "Preis_true", "Preis_error"} <= set(groups)


@pytest.mark.usefixtures("without_plots")
def test_one_answer_for_several_pictures(houses):
    run = functions.train(houses / "preise.csv", images=houses / "photos", group="Haus", out=houses / "runs", **QUICK)
    model = load(run.path)
    each = functions.predict(model, houses / "preise.csv", images=houses / "photos")
    one = functions.predict(model, houses / "preise.csv", images=houses / "photos", by="Haus")
    assert list(one) == ["Haus", "images", "Preis"] and len(one) == 12 and (one["images"] == 3).all()
    assert one["Preis"][0] == pytest.approx(each["Preis"][:3].mean())
    middle = functions.predict(model, houses / "preise.csv", images=houses / "photos", by="Haus", how="median")
    assert middle["Preis"][0] == pytest.approx(each["Preis"][:3].median())
    folders = functions.predict(model, str(houses / "photos" / "more"), by="folder")
    assert len(folders) == 1 and folders["images"][0] == 36
    for how, says in (({"by": "Hous"}, "a column .Hous."), ({"by": "Haus", "how": "mode"}, "--how mean, median")):
        with pytest.raises(ImgregError, match=says):
            functions.predict(model, houses / "preise.csv", images=houses / "photos", **how)


@pytest.mark.usefixtures("without_plots")
def test_labels_of_names_and_of_folders(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i in range(20):
        for folder, name in (("aged", f"p{i}_age_{3 * i}.png"), (f"kinds/{i % 4}", f"{i}.png")):
            Path(folder).mkdir(parents=True, exist_ok=True)
            Image.new("L", (16, 16), 12 * i).save(Path(folder, name))
    how = ["--arch", "test_resnet", "--weights", "none", "--size", 32, "--bs", 4, "--epochs", 1, "--device", "cpu"]
    assert "age error" in said(capsys, "train", "aged", "--label-from-name", r"age_(?P<age>\d+)", *how)
    assert "floors error" in said(capsys, "train", "kinds", "--target", "floors", *how)
    about = json.loads(Path("runs/aged-001/run.json").read_text(encoding="utf-8"))
    assert about["task"]["name_pattern"] == r"age_(?P<age>\d+)"
    assert "age error" in said(capsys, "evaluate", "runs/aged-001", "aged")


@pytest.mark.usefixtures("without_plots")
def test_absolute_brightness_of_deep_pictures_survives_and_the_model_keeps_their_range(tmp_path, caplog):
    rng, rows = np.random.default_rng(0), []
    for i in range(24):
        deep = (100 + 150 * i + rng.integers(0, 20, (16, 16))).astype(np.uint16)
        Image.fromarray(deep).save(tmp_path / f"{i}.tiff")
        rows.append((f"{i}.tiff", 100 + 150 * i))
    pd.DataFrame(rows, columns=["image", "counts"]).to_csv(tmp_path / "t.csv", index=False)
    functions.train(tmp_path / "t.csv", out=tmp_path / "runs", **QUICK)
    assert "--range" in " ".join(caplog.messages)  # a 12-bit camera in files of 16 bits uses little of their range
    run = functions.train(tmp_path / "t.csv", value_range=(0, 4095), out=tmp_path / "runs", **QUICK)
    model = load(functions.export(run, "bundle"))
    assert model.task.value_range == (0.0, 4095.0)


def test_strict_stops_at_what_would_be_left_out_and_a_run_is_not_begun(houses, capsys):
    table = houses / "preise.csv"
    text = table.read_text(encoding="utf-8-sig").replace("1500,00;H01", "teuer;H01")
    table.write_text(text, encoding="utf-8")
    with pytest.raises(ImgregError, match=r"no number in Preis, such as 'teuer': 3 of 36 rows \(row 5"):
        functions.train(table, images=houses / "photos", strict=True, out=houses / "runs", **QUICK)
    assert not (houses / "runs").exists()
    frame = functions.prepare(table, images=houses / "photos").rows
    assert len(frame) == 33


@pytest.mark.parametrize(("how", "says"), [
    ({"image_col": "Foto"}, "--image-col with one of 'Bild'|column 'Foto'"), ({"targets": ["Pries"]}, "'Preis'"),
    ({"test": 0.6, "valid": 0.6}, "--valid and --test of less than 1"),
    ({"value_range": (5.0, 5.0)}, "--range BLACK,WHITE"),
    ({"units": {"prize": "€"}}, "--unit NAME=UNIT"), ({"preset": "drawn"}, "--preset with a built-in task"),
    ({"data": "x"}, "--data with a built-in task"),
    ({"label_from_name": "x"}, "a folder in place of the table"), ({"scale": "loud"}, "linear, log"),
])
def test_a_mistake_is_one_line(houses, how, says):
    with pytest.raises(ImgregError, match=says) as e:
        functions.train(houses / "preise.csv", **{"images": houses / "photos", "out": houses / "runs", **QUICK, **how})
    assert "\n" not in str(e.value) and not (houses / "runs").exists()


def test_options_of_a_table_are_refused_for_a_built_in_task():
    for how, says in (({"scale": "log"}, "--scale with a labels table"), ({"units": {"angle": "x"}}, "--unit with"),
                      ({"images": "x"}, "--images with")):
        with pytest.raises(ImgregError, match=says):
            functions.prepare("angle", **how)


def test_a_folder_called_like_a_task_is_not_taken_for_a_table(drawn, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("angle").mkdir()
    assert functions.prepare("angle", data=drawn).task.name == "angle"


def test_pictures_that_are_not_kept_are_known_by_their_headers(houses):
    table = houses / "preise.csv"
    how = {"images": houses / "photos", "device": "cpu", "bs": 4, "size": (32, 32), "arch": "test_resnet"}
    (houses / "photos" / "more" / "haus 0_0.png").write_bytes(b"no image")
    kept, not_kept = (functions.dataloaders(table, cache=cache, workers=0, **how) for cache in ("on", "off"))
    assert [len(dls.train_ds) + len(dls.valid_ds) for dls in (kept, not_kept)] == [35, 35]
    np.testing.assert_array_equal(kept.valid.views, not_kept.valid.views)
    assert kept.train.pixels is not None and not_kept.train.pixels is None


@pytest.mark.usefixtures("without_plots")
def test_predict_reads_json_lines_by_house(houses, capsys):
    run = functions.train(houses / "preise.csv", images=houses / "photos", group="Haus", out=houses / "runs", **QUICK)
    out = said(capsys, "predict", run.path, houses / "preise.csv", "--images", houses / "photos", "--by", "Haus",
               "--format", "jsonl")
    frame = pd.read_json(io.StringIO(out), lines=True)
    assert len(frame) == 12 and set(frame) == {"Haus", "images", "Preis"}


@pytest.mark.usefixtures("without_plots")
def test_two_boxes_of_one_picture_belong_to_two_people(tmp_path):
    rng = np.random.default_rng(0)
    for name in "abcd":
        Image.fromarray(rng.integers(0, 255, (40, 80, 3), dtype=np.uint8)).save(tmp_path / f"{name}.png")
    rows = [(f"{'abcd'[i // 2 % 4]}.png", 20 + 40 * (i % 2), 20, 30, 30, float(i), f"{'BA'[i % 2]}{i // 2 % 4}")
            for i in range(16)]
    pd.DataFrame(rows, columns=["image", "cx", "cy", "w", "h", "n", "who"]).to_csv(tmp_path / "t.csv", index=False)
    model = load(functions.train(tmp_path / "t.csv", targets="n", box=("cx", "cy", "w", "h"), out=tmp_path / "runs",
                           valid=0.5, group="who", **QUICK).path)
    each = functions.predict(model, tmp_path / "t.csv")
    assert len(each) == 16 and abs(each["n"][0] - each["n"][1]) > 1e-6 and each["n"][0] == pytest.approx(each["n"][8])
    people = functions.predict(model, tmp_path / "t.csv", by="who")
    assert list(people["who"][:3]) == ["B0", "A0", "B1"] and (people["images"] == 2).all() and len(people) == 8
    assert people["n"][1] == pytest.approx(each["n"][1])


@pytest.mark.usefixtures("without_plots")
def test_pictures_that_moved_are_still_known_to_have_been_trained_on(houses):
    run = functions.train(houses / "preise.csv", images=houses / "photos", group="Haus", out=houses / "runs", **QUICK)
    trained = (run.labels["split"] == "train").sum()
    (houses / "photos").rename(houses / "elsewhere")
    elsewhere = functions.evaluate(run.path, houses / "preise.csv", images=houses / "elsewhere")
    assert elsewhere["scores"]["Preis"]["n"] == 36 - trained


@pytest.mark.usefixtures("without_plots")
def test_small_numbers_are_told_as_they_are(tmp_path, capsys):
    for i in range(20):
        Image.new("L", (8, 8), 10 * i).save(tmp_path / f"{i}.png")
    table = pd.DataFrame({"image": [f"{i}.png" for i in range(20)], "mass": [1e-9 * (i + 1) for i in range(20)]})
    table.to_csv(tmp_path / "t.csv", index=False)
    run = functions.train(tmp_path / "t.csv", targets="mass", out=tmp_path / "runs", **QUICK)
    scores = run.scores["valid"]["mass"]
    assert 0 < scores["mean"] < 1e-7 and scores["range"][0]["high"] > 0
    assert float(said(capsys, "predict", run.path, tmp_path / "3.png", "--format", "csv").split(",")[-1]) != 0
    assert said(capsys, "predict", run.path, tmp_path / "3.png").split()[-1] not in ("0.00", "-0.00")


def test_what_an_option_does_not_change_is_said(houses, caplog, capsys):
    table, how = houses / "preise.csv", {"images": houses / "photos", "device": "cpu"}
    functions.prepare(table, valid=0.3, target_weights={"Preis": 2.0}, **how)
    assert "changes nothing: Preis is the only target" in caplog.text and "--valid" not in caplog.text
    lines = table.read_text(encoding="utf-8-sig").splitlines()
    parts = [f"{line};{'valid' if i % 3 else 'train'}" for i, line in enumerate(lines[1:])]
    table.write_text("\n".join([lines[0] + ";split", *parts]), encoding="utf-8")
    for more, who in (({}, f"the column 'split' of {table}"), ({"hold_out": ("more",)}, ""), ({"folds": 2}, "--folds")):
        caplog.clear()
        if who:
            functions.prepare(table, valid=0.3, **more, **how)
            assert f"--valid 0.3 changes nothing: {who} decides what is validated on" in caplog.text
        functions.check(table, valid=0.3, fast=True, out=houses / "runs", **more, **how)
        assert "--valid 0.3 changes nothing" in caplog.text
    caplog.clear()
    for nothing in ({}, {"valid": None}):
        functions.prepare(table, **how, **nothing)
    assert "--valid" not in caplog.text
    functions.prepare(table, valid=0.2, **how)  # the default, and typed all the same
    assert caplog.text.count("--valid 0.2 changes nothing: the column 'split'") == 1
    said(capsys, "check", table, "--images", houses / "photos", "--fast", "--valid", 0.2, "--out", houses / "runs")
    assert caplog.text.count("--valid 0.2 changes nothing: the column 'split'") == 2


def test_what_was_made_of_a_table_is_said_once(houses, caplog):
    caplog.set_level("INFO", "imgreg")
    text = (houses / "preise.csv").read_text(encoding="utf-8-sig").replace("Haus", "Häuser")
    (houses / "preise.csv").write_bytes(text.encode("cp1252"))
    for verb in (functions.prepare, lambda *a, **of: functions.check(*a, fast=True, out=houses / "runs", **of)):
        caplog.clear()
        verb(houses / "preise.csv", images=houses / "photos", group="Häuser")
        for line in ("read as Windows-1252", "the column 'Bild'", "predicting Preis"):
            assert sum(line in told for told in caplog.messages) == 1, line


def test_a_column_that_has_a_use_is_neither_a_target_nor_advised(houses, caplog):
    caplog.set_level("INFO", "imgreg")
    lines = (houses / "preise.csv").read_text(encoding="utf-8-sig").splitlines()
    rows = [f"{line};{5 * i + 1.5};9;8;8;7" for i, line in enumerate(lines[1:])]
    (houses / "preise.csv").write_text("\n".join([lines[0] + ";number;cx;cy;w;h", *rows]), encoding="utf-8")
    task = functions.resolve_options(houses / "preise.csv", group="Haus", box=("cx", "cy", "w", "h")).task
    assert [t.name for t in task.targets] == ["Preis", "number"] and "left out" not in caplog.text
    task = functions.resolve_options(houses / "preise.csv", group="number").task
    assert [t.name for t in task.targets] == ["Preis"] and "left out Haus: it looks like a class" in caplog.text


@pytest.mark.usefixtures("without_plots")
def test_a_table_of_a_usual_name_goes_by_its_folders_and_groups_are_counted_as_groups(houses, capsys):
    run = functions.train(houses / "preise.csv", images=houses / "photos", group="Haus", out=houses / "runs", **QUICK)
    (houses / "autumn").mkdir()
    (houses / "preise.csv").rename(houses / "autumn" / "Table.csv")
    out = said(capsys, "evaluate", run.path, houses / "autumn" / "Table.csv", "--images", houses / "photos", "--by",
               "Haus")
    assert "on 2 groups (by Haus)" in out and f"written: {run.path / 'evaluations' / 'autumn'}" in out


@pytest.mark.usefixtures("without_plots")
def test_a_folder_without_labels_is_no_table_to_judge_by(houses):
    run = functions.train(houses / "preise.csv", images=houses / "photos", out=houses / "runs", **QUICK)
    with pytest.raises(ImgregError, match=r"a labels table; found .*; try a table that names these images") as e:
        functions.evaluate(run.path, houses / "photos")
    assert "--label-from-name" not in str(e.value)


def test_how_many_names_hold_a_label_is_said(tmp_path, caplog):
    caplog.set_level("INFO", "imgreg")
    for i in range(12):
        Image.new("L", (8, 8), 20 * i).save(tmp_path / (f"ann_age_{i}.png" if i else "note.png"))
    how = {"label_from_name": r"(?P<who>[a-z]+)_age_(?P<age>\d+)", "group": "who", "valid": 0.5}
    with pytest.raises(ImgregError, match="at least 2 images to train on"):  # there is nobody but ann
        functions.prepare(tmp_path, **how)
    assert caplog.messages.count("reading age from names: 11 of 12 match") == 1
