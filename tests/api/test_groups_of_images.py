"""One answer for several images, by several models or one, with its interval: from the command to the files."""
import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from imgreg_fastai import load
from imgreg_fastai.api import functions
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import TINY, plots_left_out, said

QUICK = {**TINY, "size": (32, 32), "arch": "test_resnet", "epochs": 1}


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    """Sixty houses, two or three grey images each in a folder of its own, whose brightness is the price."""
    folder, rng, rows = tmp_path_factory.mktemp("houses"), np.random.default_rng(0), []
    for house in range(60):
        (folder / "photos" / f"h{house}").mkdir(parents=True)
        for view in range(2 + house % 2):
            grey = np.clip(4 * house + rng.normal(0, 9, (24, 24)), 0, 255).astype(np.uint8)
            name = f"photos/h{house}/{view}.png"
            Image.fromarray(grey).save(folder / name)
            rows.append({"image": name, "price": 10.0 * house, "house": f"h{house}", "street": f"s{house // 9}"})
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def trained(houses):
    """Two runs on the houses, with intervals by house."""
    with plots_left_out():
        return [functions.train(houses / "labels.csv", targets=["price"], group="house", out=houses / "runs",
                                calibrate=0.4, seed=seed, **QUICK) for seed in (1, 2)]


@pytest.mark.parametrize("by", ["house", "street", "folder"])
def test_predictions_for_groups_have_intervals(houses, trained, by):
    pictures = houses / "photos" if by == "folder" else houses / "labels.csv"
    runs = [run.path for run in trained]
    for models in (runs[0], runs):
        frames = [functions.predict(models, pictures, by=by, coverage=c) for c in (None, 0.9, 0.6)]
        assert list(frames[0]) == [by, "images", "price", "price_within", "ood"]
        pd.testing.assert_frame_equal(frames[0], frames[1])
        assert (frames[2]["price_within"] < frames[0]["price_within"]).mean() > 0.9
        assert (frames[0]["price_within"] > 0).all()


def test_one_image_in_each_group_has_its_own_interval(houses, trained):
    for models in (trained[0].path, [run.path for run in trained]):
        first = [str(path) for path in sorted((houses / "photos").glob("*/0.png"))]
        each, groups = functions.predict(models, first), functions.predict(models, first, by="folder")
        assert groups["price_within"].to_numpy() == pytest.approx(each["price_within"].to_numpy())
        assert list(groups["ood"]) == list(each["ood"])


def test_the_interval_of_two_models_reaches_over_both(houses, trained):
    photos = str(houses / "photos" / "h1")
    one, other = (functions.predict(run.path, photos) for run in trained)
    both = functions.predict([run.path for run in trained], photos)
    ends = [np.stack([f["price"] + sign * f["price_within"] for f in (one, other)]) for sign in (-1, 1)]
    reach = np.maximum(ends[1].max(axis=0) - both["price"], both["price"] - ends[0].min(axis=0))
    assert both["price_within"].to_numpy() == pytest.approx(reach.to_numpy())


@pytest.mark.usefixtures("without_plots")
def test_coverage_is_measured_by_group_and_told_as_for_images(houses, trained, capsys):
    run = trained[0]
    for arguments in (["--by", "house"], [houses / "labels.csv", "--by", "street", "--coverage", "0.8"]):
        text = said(capsys, "evaluate", run.path, *arguments)
        share = "80 %" if "--coverage" in arguments else "90 %"
        assert re.search(rf"{share} intervals contain \d+\.\d % of the true values", text), text
        folder = Path(text.split("written: ")[1].strip())
        scores = json.loads((folder / "scores.json").read_text())
        assert next(iter(scores.values()))["price"]["coverage"]["asked"] == float(share[:2]) / 100
        groups = pd.read_csv(folder / "groups.csv")
        assert (groups["price_within"] > 0).all() and groups["ood"].isin([True, False]).all()


@pytest.mark.usefixtures("without_plots")
def test_different_labels_in_a_group_are_told(houses, trained, caplog):
    functions.evaluate(trained[0].path, houses / "labels.csv", by="street")
    assert caplog.text.count("labels of price differ within") == 1
    caplog.clear()
    functions.evaluate(trained[0].path, by="house")
    assert "differ" not in caplog.text


def test_the_table_in_the_terminal_joins_them(houses, trained, capsys):
    runs = [run.path for run in trained]
    lines = said(capsys, "predict", *runs, houses / "photos" / "h1", "--by", "folder").splitlines()
    assert re.search(r"h1 +3 +-?\d+ ± \d+", lines[1])


def test_what_no_model_can_promise_is_refused(houses, trained):
    model = load(trained[0].path)
    n = model.about["calibration"]["units"]
    assert n < 50 and model.calibration.sample is not None
    for models in (model, [model, model]):
        with pytest.raises(ImgregError, match=f"--coverage of at most .*: {n} groups"):
            functions.predict(models, houses / "photos", by="folder", coverage=0.999)
