"""Going on from a run and folds of a table, trained for real: images keep their part, and copies are recognised."""
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import imgreg_fastai
from imgreg_fastai.data import known_images
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import TINY

pytestmark = pytest.mark.usefixtures("without_plots")


@pytest.fixture
def noise(tmp_path):
    """A table of 30 images of noise with three folds."""
    rng, rows = np.random.default_rng(0), []
    for i in range(30):
        Image.fromarray(rng.integers(0, 256, (32, 32, 3)).astype(np.uint8)).save(tmp_path / f"{i}.png")
        rows.append((f"{i}.png", rng.uniform(0, 100), "abc"[i % 3]))
    table = tmp_path / "noise.csv"
    pd.DataFrame(rows, columns=["image", "y", "fold"]).to_csv(table, index=False)
    return table


def test_a_training_goes_on_with_the_parts_of_its_run_and_an_evaluation_knows_copies(noise, caplog):
    out = noise.parent / "runs"
    first = imgreg_fastai.train(noise, out=out, targets="y", **TINY)
    again = imgreg_fastai.train(noise, out=out, targets="y", **{**TINY, "weights": first.path}, seed=7)
    assert again.labels["split"].equals(first.labels["split"])
    assert again.known_images.equals(first.known_images) and (again.path / known_images.FILE).is_file()
    (noise.parent / "copies").mkdir()
    frame = pd.read_csv(noise)
    for name in frame["image"]:
        (noise.parent / "copies" / f"n{name}").write_bytes((noise.parent / name).read_bytes())
    frame.assign(image="n" + frame["image"]).to_csv(noise.parent / "copies" / "other.csv", index=False)
    scores = imgreg_fastai.evaluate(first, noise.parent / "copies" / "other.csv")["scores"]
    assert scores["y"]["n"] == (first.labels["split"] == "valid").sum() == 6
    assert "left out 24 of 30 images" in caplog.text
    with pytest.raises(ImgregError, match=r"weights that know none of the images.* 24 images that .* was trained on"):
        imgreg_fastai.curve(noise, out=out, targets="y", **{**TINY, "weights": first.path})
    with pytest.raises(ImgregError, match="--folds puts into valid; try no --folds, or other --weights"):
        imgreg_fastai.train(noise, out=out, targets="y", folds="fold", **{**TINY, "weights": first.path})
    with pytest.raises(ImgregError, match="--folds puts into valid"):
        health, _ = imgreg_fastai.check(noise, out=out, targets="y", weights=first.path, folds=3, fast=True)
        raise ImgregError(next(issue.text for issue in health.issues if issue.level == "stop"))


def test_the_folds_of_a_column_are_trained_one_by_one(noise, caplog):
    caplog.set_level("INFO", "imgreg")
    folds = imgreg_fastai.train(noise, out=noise.parent / "runs", targets="y", folds="fold", **TINY)
    assert [run.config.fold for run in folds.runs] == [1, 2, 3] and {run.config.folds for run in folds.runs} == {3}
    for run, name in zip(folds.runs, "abc", strict=True):
        assert set(run.labels.loc[run.labels["split"] == "valid", "fold"]) == {name}
    assert "fold 2 of 3 (b)" in caplog.messages and len(folds.scores["y"]["folds"]) == 3
