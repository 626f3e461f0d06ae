"""From a table with one row a point, with lists in its cells, or with several raters, to scores and predictions."""
import json

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import imgreg_fastai
from imgreg_fastai.utils.messages import ImgregError

from ..conftest import TINY


@pytest.fixture(scope="module")
def dots(tmp_path_factory):
    """A folder of 24 images, and the point of each."""
    folder, rng = tmp_path_factory.mktemp("dots"), np.random.default_rng(0)
    places = rng.uniform(8, 40, (24, 2)).round(1)
    y, x = np.mgrid[:48, :48] + 0.5
    for i, (cx, cy) in enumerate(places):
        bell = np.exp(-((x - cx) ** 2 + (y - cy) ** 2) / 18)
        Image.fromarray((255 * bell).astype(np.uint8)).save(folder / f"{i:03}.png")
    return folder, places


def trained(table, tmp_path, **options):
    run = imgreg_fastai.train(table, out=tmp_path / "runs", **{**TINY, "device": "cpu"}, **options)
    return run, json.loads((run.path / "run.json").read_text())["task"]


def test_rows_of_points_are_trained_scored_and_predicted(dots, tmp_path, without_plots):
    folder, places = dots
    rows = [(word, x + 2 * k, y, f"{i:03}.png", i % 6)
            for i, (x, y) in enumerate(places) for k, word in enumerate(("eye", "nose"))]
    table = folder / "long.csv"
    pd.DataFrame(rows, columns=["part", "x", "y", "file", "group"]).to_csv(table, index=False)
    with pytest.raises(ImgregError, match="--point-rows part,x,y"):
        imgreg_fastai.train(table, targets="nose:point", out=tmp_path / "runs", **TINY)
    with pytest.raises(ImgregError, match="--point-rows part,x,y"):
        imgreg_fastai.check(table)
    assert not (tmp_path / "runs").exists()
    how = {"point_rows": ("part", "x", "y"), "targets": "nose:point"}
    assert imgreg_fastai.check(table, fast=True, **how)[0].facts["rows"] == 24
    run, task = trained(table, tmp_path, **how)
    assert task["point_rows"] == ["part", "x", "y"] and run.labels["nose_x"].tolist() == (places[:, 0] + 2).tolist()
    other = folder / "other"
    other.mkdir(exist_ok=True)
    for i in range(4):
        Image.open(folder / f"{i:03}.png").convert("L").point(lambda v: 255 - v).save(other / f"o{i}.png")
    new = pd.DataFrame([row for row in rows if row[3] < "004"], columns=["part", "x", "y", "file", "group"])
    new.assign(file="o" + new["file"].str[2:]).to_csv(other / "new.csv", index=False)
    assert imgreg_fastai.evaluate(run, other / "new.csv")["scores"]["nose"]["n"] == 4
    assert len(imgreg_fastai.predict(run.path, other / "new.csv")) == 4  # a row for an image, not for a point


def test_lists_in_cells_are_trained_and_scored_and_may_be_boxes(dots, tmp_path, without_plots):
    folder, places = dots
    table = folder / "lists.csv"
    frame = pd.DataFrame({"image": [f"{i:03}.png" for i in range(24)], "kp": [f"[{x}, {y}]" for x, y in places],
                          "box": ["(24 24 48 48)"] * 24})
    frame.to_csv(table, index=False)
    for options in ({"targets": "kp"}, {"targets": "kp:point"}, {"targets": "p=kp:point"}):
        with pytest.raises(ImgregError, match=r"2 numbers, such as \[.*--list-col kp=A,B"):
            imgreg_fastai.check(table, fast=True, **options)
    with pytest.raises(ImgregError, match=r"4 numbers, such as .* --list-col box=A,B,C,D"):
        imgreg_fastai.check(table, fast=True, targets="kp:point", list_cols="kp=kp_x,kp_y", box="box")
    run, task = trained(table, tmp_path, list_cols=["kp=kp_x,kp_y", "box=cx,cy,w,h"], targets="kp:point",
                        box=("cx", "cy", "w", "h"))
    assert task["list_cols"] == ["kp=kp_x,kp_y", "box=cx,cy,w,h"]
    assert run.labels["kp_x"].tolist() == places[:, 0].tolist()
    frame.drop(columns="kp").to_csv(folder / "boxes.csv", index=False)
    assert len(imgreg_fastai.predict(run.path, folder / "boxes.csv")) == 24


def test_raters_are_joined_for_training_and_evaluation(dots, tmp_path, without_plots):
    folder, places = dots
    rng = np.random.default_rng(1)
    table = folder / "ratings.csv"
    rows = [(f"{i:03}.png", rater, x + rng.normal(0, (0.01, 5)[i % 2]))  # they are unsure of every second image
            for i, (x, _) in enumerate(places) for rater in ("ann", "bob", "eve")]
    frame = pd.DataFrame(rows, columns=["image", "rater", "score"])
    frame.to_csv(table, index=False)
    run, task = trained(table, tmp_path, raters="median")
    assert task["raters"] == "median" and [t["name"] for t in task["targets"]] == ["score"]
    expected = frame.groupby("image")["score"].median()
    assert run.labels.set_index("image")["score"].sort_index().tolist() == pytest.approx(expected.tolist())
    weights = run.labels.set_index("image").sort_index()["row_weight"]
    assert weights.iloc[::2].mean() > 1.05 * weights.iloc[1::2].mean()
    assert run.labels.query("split == 'train'")["row_weight"].mean() == pytest.approx(1)
    with pytest.raises(ImgregError, match="--raters mean, median; found 'max'"):
        imgreg_fastai.check(table, fast=True, raters="max")


@pytest.mark.parametrize("options", [{"raters": "mean"}, {"point_rows": ("a", "b", "c")}, {"list_cols": "a"}])
def test_options_of_a_table_are_refused_elsewhere(options, dots):
    with pytest.raises(ImgregError, match="with a labels table; found the task 'angle'"):
        imgreg_fastai.check("angle", **options)
    with pytest.raises(ImgregError, match="with a table"):
        imgreg_fastai.check(dots[0], label_from_name=r"(?P<n>\d+)", **options)


@pytest.mark.parametrize("columns", [("a", "b"), ("a", "b", "b"), ("image", "x", "y")])
def test_point_rows_are_three_columns_beside_the_images(columns, dots):
    folder, _ = dots
    (folder / "p.csv").write_text("image,a,b,x,y\n000.png,1,2,3,4\n001.png,1,2,3,5\n")
    with pytest.raises(ImgregError, match="--point-rows LABEL,X,Y"):
        imgreg_fastai.check(folder / "p.csv", fast=True, point_rows=columns)


def test_several_columns_of_images_are_named_and_the_chosen_one_is_read(dots, tmp_path, capsys, caplog):
    folder, places = dots
    caplog.set_level("INFO", "imgreg")
    logs = folder / "driving"
    (logs / "IMG").mkdir(parents=True, exist_ok=True)
    path = "C:\\Users\\me\\IMG\\"
    rows = []
    for i, (x, _) in enumerate(places):
        for side in ("center", "left"):
            Image.open(folder / f"{i:03}.png").save(logs / f"IMG/{side}_{i}.png")
        rows.append((f"{path}center_{i}.png", f" {path}left_{i}.png", x / 48 - 0.5))
    pd.DataFrame(rows, columns=["center", "left", "steering"]).to_csv(logs / "log.csv", index=False)
    with pytest.raises(ImgregError, match="--image-col with one of 'center', 'left'"):
        imgreg_fastai.check(logs / "log.csv", fast=True)
    for column in ("center", "left"):
        found = imgreg_fastai.check(logs / "log.csv", fast=True, image_col=column)[0]
        assert found.fine and found.frame["usable"].all() and [t.name for t in found.task.targets] == ["steering"]
        assert found.frame["path"].str.contains(f"{column}_").all()
    assert "left out left: names of other images (--image-col left takes them)" in caplog.text
