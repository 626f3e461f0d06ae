"""The sample of gauges: its labels are what its images show; and the page on labels of one's own says what is so."""
import csv
import io
import re
import runpy
import shlex
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import typer
from PIL import Image, ImageOps

from imgreg_fastai import cli
from imgreg_fastai.data import checks, labels
from imgreg_fastai.data.tables import RowOptions
from imgreg_fastai.datasets import own_table

REPO = Path(__file__).resolve().parents[2]
SAMPLE = REPO / "data" / "gauges"
PAGE = (REPO / "docs" / "your_own_labels.md").read_text(encoding="utf-8")
DEGREES = np.arange(0, 360, 2)


@pytest.fixture(scope="module")
def table():
    return pd.read_csv(SAMPLE / "labels.csv")


@pytest.fixture(scope="module")
def drawing():
    return runpy.run_path(str(SAMPLE / "draw.py"))


def upright(name):
    return ImageOps.exif_transpose(Image.open(SAMPLE / name))


def needle(row):
    """Where a needle points that is fixed at the hub, by the image alone: degrees clockwise from the right.

    Seen from the hub it is what differs most from all else that is as far away, on most of its length.
    """
    grey = np.asarray(upright(row.image).convert("L"), float)
    far = 25 if np.isnan(row.tip_x) else np.hypot(row.tip_x - row.hub_x, row.tip_y - row.hub_y)
    radii, turn = np.linspace(0.45, 0.8, 12)[:, None] * far, np.radians(DEGREES)
    x, y = row.hub_x + radii * np.cos(turn), row.hub_y + radii * np.sin(turn)
    rings = grey[y.astype(int).clip(0, grey.shape[0] - 1), x.astype(int).clip(0, grey.shape[1] - 1)]
    return DEGREES[np.abs(rings - np.median(rings, axis=1, keepdims=True)).mean(axis=0).argmax()]


def apart(a, b):
    return np.abs((np.asarray(a) - b + 180) % 360 - 180)


def test_the_needle_is_where_the_labels_say_and_shows_the_pressure(table):
    found = np.array([needle(row) for row in table.itertuples()])
    true = np.degrees(np.arctan2(table["tip_y"] - table["hub_y"], table["tip_x"] - table["hub_x"]))
    off = apart(found, true)[table["tip_x"].notna()]
    assert np.median(off) <= 2 and np.mean(off < 6) > 0.97
    scale = 135 + 27 * table["pressure"]  # of a gauge that hangs straight and is seen from before
    assert np.mean(apart(found, scale) < 15) > 0.9
    assert np.mean(apart(found, scale.sample(frac=1, random_state=0).to_numpy()) < 15) < 0.2  # of other images


def test_the_sample_is_a_bit_messy_as_real_ones_are(table):
    assert len(table) == 120 and table["gauge"].nunique() == 12 and table["gauge"].value_counts().nunique() > 1
    assert table["tip_x"].isna().sum() == 4 and table["pressure"].between(0, 10).all()
    stored = [Image.open(SAMPLE / name) for name in table["image"]]
    assert sum(picture.getexif().get(0x0112) == 6 for picture in stored) == 5
    assert len({picture.size for picture in stored}) == 3
    spread = table.groupby("gauge")["pressure"].agg(["min", "max"])
    assert spread["min"].max() < 2 and spread["max"].min() > 8  # or the dial would tell the pressure
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 700_000


def test_the_program_beside_it_draws_it(drawing):
    scenes = list(drawing["scenes"](drawing["SEED"]))
    with (SAMPLE / "labels.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(scenes) == len(rows)
    for number in (1, 5, 17, 120):  # the fifth is turned by its tag, the tip of the 17th is hidden
        file, row = drawing["draw"](number, *scenes[number - 1], drawing["SEED"])
        assert row == rows[number - 1]
        again = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(file))), float)
        assert np.abs(again - np.asarray(upright(row["image"]), float)).mean() < 3


@pytest.mark.parametrize("specs", [(), ("pressure",), ("needle=tip_x,tip_y,hub_x,hub_y:point",)])
def test_the_doctor_has_nothing_above_a_note(specs):
    task = own_table.table_task(SAMPLE / "labels.csv", list(specs)).with_options(group="gauge")
    health = checks.check(SAMPLE / "labels.csv", task)
    assert {f.level for f in health.issues} <= {"note"} and health.fine
    assert {f.code for f in health.issues} <= {"missing", "turned"}
    assert health.facts["usable"] == 120 and health.facts["groups"] == 12


def tables():
    """The tables that the page shows, by name, and the commands that train on each."""
    shown = dict(re.findall(r"```csv (\S+)\n(.*?)```", PAGE, re.DOTALL))
    lines = [line.split("  #")[0] for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
             for line in block.replace("\\\n", " ").splitlines()]
    commands = [shlex.split(line)[1:] for line in lines if line.startswith("imgreg train ")]
    return shown, [(args[1], args) for args in commands if args[1] in shown]


# What the page's commands predict, by table in their order: (name, kind, period) of each target, and points
KINDS = {
    "people.csv": [[("age", "number")], [("age", "number"), ("height", "number")]],
    "vanes.csv": [[("wind", "angle", 360)], [("crack", "angle", 180)]],
    "faces.csv": [[("left_eye", "point", 1)], [("eyes", "point", 2)], [("face", "point", 2)], [("face", "point", 2)],
                  [("face", "point", 2)]],
    "heads.csv": [[("pose", "rotation")]],
    "goods.csv": [[("weight", "number"), ("price", "number")]],
    "log.csv": [[("steering", "number")]],
    "clocks.csv": [[("hour", "angle", 12)], [("heading", "angle", 360)], [("phase", "angle", 2 * np.pi)]],
    "percent.csv": [[("nose", "point", 1)]],
    "quoted.csv": [[("T, mean: °C", "number")], [("tip", "point", 1)]],
    "fastai.csv": [[("label", "number")]],
    "corners.csv": [[("age", "number")]],
    "landmarks.csv": [[("tip", "point", 1)]],
    "long.csv": [[("nose", "point", 1)]],
    "lists.csv": [[("nose", "point", 1)], [("nose", "point", 1)]],
    "ratings.csv": [[("score", "number")]],
}


def described(t):
    return (t.name, t.kind, *([t.period] if t.kind == "angle" else [t.n] if t.kind == "point" else []))


def test_the_kinds_of_the_grammar_are_read_as_the_page_says(tmp_path):
    shown, commands = tables()
    app, found = typer.main.get_command(cli.app), {}
    for name, args in commands:
        (tmp_path / name).write_text(shown[name], encoding="utf-8")
        given = app.commands["train"].make_context("train", args[1:]).params
        rows = RowOptions(tuple(given["list_cols"] or ()), tuple(given["point_rows"] or ()), given["raters"] or "")
        task = own_table.table_task(tmp_path / name, given["targets"], image=given["image_col"] or "",
                                    flip_pairs=given["flip_pairs"], rows=rows)
        found.setdefault(name, []).append([described(t) for t in task.targets])
    assert found == KINDS


def test_the_sides_of_the_pages_faces(tmp_path):
    (tmp_path / "faces.csv").write_text(tables()[0]["faces.csv"], encoding="utf-8")
    for spec, pairs, expected in (("eyes=left_eye_x,left_eye_y,right_eye_x,right_eye_y:point", None, (((0, 1),), True)),
                                  ("face=p*_x,p*_y:point", None, ((), False)),
                                  ("face=p*_x,p*_y:point", "p00:p01", (((0, 1),), True)),
                                  ("face=p*_x,p*_y:point", "none", ((), True))):
        target = own_table.table_task(tmp_path / "faces.csv", [spec], flip_pairs=pairs).targets[0]
        assert (target.flip_pairs, target.mirror) == expected


@pytest.mark.parametrize(("how", "ending"), [
    ({"sep": ";", "decimal": ",", "encoding": "cp1252"}, "csv"), ({"sep": ";", "encoding": "utf-8-sig"}, "csv"),
    ({"sep": "\t", "encoding": "utf-16"}, "txt"), ({"encoding": "utf-8"}, "csv"),
])
def test_what_a_spreadsheet_makes_of_the_sample_is_read(table, tmp_path, how, ending):
    place = tmp_path / f"table.{ending}"
    other = table.assign(image=table["image"].str.replace("/", "\\"), gauge=table["gauge"].str.replace("p", "ü"))
    other.to_csv(place, index=False, **how)
    task = own_table.table_task(place, ["pressure", "tip:point"])
    rows = labels.read_rows(place, task, images=SAMPLE)
    frame = rows.frame
    assert frame["usable"].all() and [f.code for f in labels.label_issues(rows)] == ["missing"]
    np.testing.assert_allclose(frame[task.columns], table[task.columns])
