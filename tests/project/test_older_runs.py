"""A run and a bundle that version 0.1.0 wrote before the package was laid out anew are still read."""
import json
import shutil
from pathlib import Path

import pandas as pd
import pytest

import imgreg_fastai
from imgreg_fastai import runs
from imgreg_fastai.inference import conformal, quantiles

OLDER = Path(__file__).with_name("older_run")


@pytest.fixture
def run(tmp_path):
    """The run folder, copied beside its images, where run.json says that they lie."""
    shutil.copytree(OLDER, tmp_path / "data")
    path = tmp_path / "data" / "run"
    about = json.loads((path / "run.json").read_text())
    about["data"]["root"] = str(tmp_path / "data")
    (path / "run.json").write_text(json.dumps(about))
    return path


@pytest.mark.parametrize("model", ["run", "model.imgreg"])
def test_predictions_are_those_of_the_older_version(model, run, monkeypatch):
    """Its intervals, too, by the guaranteed quantile of its time; of its few groups they are narrower now."""
    expected = pd.read_csv(OLDER / "expected_predictions.csv")
    images = [str(run.parent / name) for name in expected["image"]]
    now = imgreg_fastai.predict(run.parent / model, images)
    monkeypatch.setattr(conformal, "conformal_quantile", lambda scores, groups, coverage: quantiles.guaranteed_quantile(
        quantiles.sort_scores(scores, groups), coverage))
    predictions = imgreg_fastai.predict(run.parent / model, images)
    assert list(predictions.columns) == [*expected.columns[:-1], "ood"]
    assert list(predictions["ood"]) == list(expected["unlike"])
    numbers = expected.columns[1:-1]
    pd.testing.assert_frame_equal(predictions[numbers], expected[numbers], rtol=1e-4, atol=1e-3)
    widths = [name for name in numbers if name.endswith("_within")]
    pd.testing.assert_frame_equal(now[numbers.drop(widths)], predictions[numbers.drop(widths)])
    assert (now[widths] <= predictions[widths]).all(axis=None) and (now[widths] > 0).all(axis=None)


def test_its_report_is_written_and_its_settings_are_read(run):
    older = runs.load_run(run)
    assert [t.kind for t in older.task.targets] == ["point", "angle", "number", "rotation"]
    assert older.config.arch == "resnet10t" and older.about["state"] == "trained"
    page = imgreg_fastai.report(run).read_text(encoding="utf-8")
    assert "Where it errs" in page and "not noted" in page  # it did not record its command


@pytest.mark.usefixtures("without_plots")
def test_its_evaluation_has_the_scores_that_it_wrote(run):
    expected = json.loads((OLDER / "run" / "scores.json").read_text())["valid"]
    scores = imgreg_fastai.evaluate(run)["scores"]
    for name in ("way", "n", "pose"):
        assert scores[name]["mean"] == pytest.approx(expected[name]["mean"], rel=1e-3)
        assert scores[name]["baseline"] == pytest.approx(expected[name]["baseline"], rel=1e-3)
    assert scores["spot"]["mean"] == pytest.approx(expected["spot"]["mean"], rel=1e-3)


def test_it_is_compared_with_itself_and_listed(run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(run, other)
    comparison, plot, page = imgreg_fastai.compare([run, other], out=tmp_path / "out")
    assert plot.is_file() and page.is_file()
    assert [target["name"] for target in comparison.targets] == ["spot", "way", "n", "pose"]
    listed = {Path(line["path"]).name: line["state"] for line in imgreg_fastai.list_runs(tmp_path)}
    assert listed["other"] == "trained"
