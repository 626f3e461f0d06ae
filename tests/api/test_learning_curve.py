"""How the error falls with more images: the parts, the runs of them, and what these say together."""
import json
import logging
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from imgreg_fastai import config, runs
from imgreg_fastai.api import functions, learning_curve, several_runs
from imgreg_fastai.api.plan import TrainingPlan
from imgreg_fastai.evaluation import scaling_law
from imgreg_fastai.runs import run_folder
from imgreg_fastai.tasks import Angle, Number, Task
from imgreg_fastai.utils.messages import ImgregError
from tests.cli.test_cli import mistake
from tests.conftest import said
from tests.evaluation.test_scaling_law import points

PARTS = (10, 25, 50, 100)
TASK = Task("t", (Angle("way", ("way",)), Number("age", ("age",), "years", low=0.0, high=9.0)))


def labels(n=200, people=0, **parts):
    """Labels of n images to train on and 20 to validate with, and of other parts as many as are named."""
    split = ["train"] * n + ["valid"] * 20 + [name for name, k in parts.items() for _ in range(k)]
    frame = pd.DataFrame({"image": [f"{i}.png" for i in range(len(split))], "split": split})
    frame["path"] = "/nowhere/" + frame["image"]
    if people:  # of unlike sizes
        frame["group"] = [f"p{int(people * (i / n) ** 2)}" if i < n else "q" for i in range(len(split))]
    return frame.sample(frac=1, random_state=0)


def trained(rows):
    return set(rows.loc[rows["split"] == "train", "image"])


# the parts

def test_parts_lie_within_one_another_beside_the_same_validation_part():
    frame = labels(calibrate=30, test=30)
    found = learning_curve.nested_subsets(frame, (50, 10, 100, 25, 50), seed=0)
    assert list(found) == [10, 25, 50, 100]
    drawn = [trained(rows) for rows in found.values()]
    assert [len(of) for of in drawn] == [20, 50, 100, 200]
    assert all(few < more for few, more in pairwise(drawn))
    for rows in found.values():
        assert set(rows["split"]) == {"train", "valid"}  # what is kept for other ends is not touched
        assert set(rows.loc[rows["split"] == "valid", "image"]) == {f"{i}.png" for i in range(200, 220)}
    again, other = (learning_curve.nested_subsets(frame, PARTS, seed)[10] for seed in (0, 1))
    assert trained(again) == drawn[0] != trained(other)


def test_groups_are_taken_whole_as_near_to_the_part_as_they_come():
    frame = labels(people=25)
    for part, rows in learning_curve.nested_subsets(frame, PARTS, seed=3).items():
        groups = set(rows.loc[rows["split"] == "train", "group"])
        whole = frame[(frame["split"] == "train") & frame["group"].isin(groups)]
        assert trained(rows) == set(whole["image"]) and abs(len(whole) / 2 - part) < 10


def test_parts_that_are_too_small_or_the_same_are_left_out_and_said(caplog):
    with caplog.at_level(logging.INFO, "imgreg"):
        found = learning_curve.nested_subsets(labels(60), PARTS, seed=0)
    assert list(found) == [25, 50, 100]
    assert "10 % is left out: 6 of 60 images to train on, fewer than 10" in caplog.text
    frame = labels(60).assign(group=lambda of: np.where(of["split"] == "valid", "v", (of.index < 40).astype(str)))
    with caplog.at_level(logging.INFO, "imgreg"):
        found = learning_curve.nested_subsets(frame, (40, 45, 100), seed=0)
    assert len(found) == 2 and "45 % is left out: whole groups make it the same" in caplog.text


@pytest.mark.parametrize(("n", "parts", "told"), [
    (15, PARTS, "two parts of at least 10 images"), (200, (100,), "two parts"), (200, (), "two parts"),
    (200, (0, 100), "--parts above 0"), (200, (50, 101), "--parts above 0"), (200, ("50", 100), "--parts above 0"),
])
def test_parts_of_no_use_are_one_line(n, parts, told):
    with pytest.raises(ImgregError, match=told) as e:
        learning_curve.nested_subsets(labels(n), parts, seed=0)
    assert "\n" not in str(e.value)


# the whole

def fake_training(run, mean, state="trained"):
    """Leave a planned run as fitting.train would."""
    run.note(state=state)
    if state == "trained":
        of = {"unit": "°", "n": 20, "mean": mean, "ci": [0.9 * mean, 1.1 * mean], "baseline": 45.0, "p90": 2 * mean}
        ages = {"unit": "years", "n": 0} if mean > 2 else {"unit": "years", "n": 20, "mean": 2 * mean}
        run.write("scores.json", {"valid": {"way": of, "age": ages}})
    return run


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Measure a curve without a training; whose run number `stops` is interrupted."""
    def measure(stops=None, error=None):
        seen = []

        def train(plan, out, run):
            seen.append(plan.config)
            if error:
                raise error
            n = len(trained(plan.rows))
            state = "interrupted" if len(seen) == stops else "trained"
            return fake_training(run, 30 * n**-0.6, state)

        monkeypatch.setattr(several_runs, "train", train)
        monkeypatch.setattr(run_folder, "fingerprint", lambda _: "")  # there are no images
        cfg = config.TrainConfig(epochs=7, calibrate=0)
        plan = TrainingPlan(TASK, cfg, tmp_path / "t.csv", rows=labels())
        curve = learning_curve.measure(plan, PARTS, tmp_path / "out")
        assert all(of == cfg for of in seen)
        return curve

    return measure


def test_each_part_is_a_run_of_the_same_epochs_beside_a_plot_and_the_numbers(measured, tmp_path):
    curve = measured()
    assert curve.path == tmp_path / "out" / "curve-t-001" and measured().path.name == "curve-t-002"
    kept = json.loads((curve.path / "curve.json").read_text())
    assert [point["images"] for point in kept["points"]] == [20, 50, 100, 200]
    assert [point["run"] for point in kept["points"]] == [f"t-00{i}" for i in range(1, 5)]
    assert kept["targets"]["way"]["law"] == pytest.approx({"a": 0, "b": 30, "c": 0.6}, rel=0.01, abs=0.01)
    assert kept["targets"]["way"]["twice"] == pytest.approx(30 * 400**-0.6, rel=0.01) and kept["epochs"] == 7
    assert (curve.path / "curve.png").stat().st_size > 5000
    told = curve.summary().splitlines()
    assert told[0].split() == ["part", "images", "way", "error", "age", "error"]
    assert told[1].split("  ")[0] == "10 %" and "no labels" in told[1] and "5.74" not in told[1]
    assert "all trained for 7 epochs, so that smaller parts had fewer training steps" in told
    assert "twice the images would bring way error from 1.2° to about 0.82°" in told


def test_an_interrupted_curve_keeps_what_was_measured(measured):
    curve = measured(stops=3)
    assert curve.state == "interrupted" and len(curve.points) == 2
    assert json.loads((curve.path / "curve.json").read_text())["state"] == "interrupted"
    assert (curve.path / "curve.png").exists()
    nothing = measured(stops=1)
    assert nothing.points == [] and not (nothing.path / "curve.png").exists()


def test_a_training_that_cannot_begin_leaves_no_folder(measured, tmp_path):
    with pytest.raises(ImgregError, match="a reason"):
        measured(error=ImgregError("a reason"))
    assert not list((tmp_path / "out").iterdir())


def test_the_chart_has_plain_numbers_on_logarithmic_axes_and_is_dashed_beyond_the_data(measured):
    fig = learning_curve.draw(measured())
    assert fig.get_suptitle().startswith("Twice the images would bring way error from")
    fig.canvas.draw()
    assert [ax.get_ylabel() for ax in fig.axes] == ["mean validation error (°)", "mean validation error (years)"]
    for ax in fig.axes:
        assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
        shown = [label.get_text() for axis in (ax.xaxis, ax.yaxis) for label in axis.get_ticklabels()]
        assert not any("$" in text or "10^" in text for text in shown)
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()][::-1] == ["20", "50", "100", "200", "400"]
    ring = next(line for line in fig.axes[0].lines if line.get_markerfacecolor() == "white")
    assert (ring.get_xdata()[0], ring.get_ydata()[0]) == pytest.approx((400, 30 * 400**-0.6), rel=0.01)
    ends = [(line.get_linestyle(), tuple(np.round(line.get_xdata()[[0, -1]]))) for line in fig.axes[0].lines
            if len(line.get_xdata()) == 50]
    assert [(style, of) for style, of in ends] == [("-", (20, 200)), ("--", (200, 400))]


def test_a_narrow_range_has_ticks_and_many_targets_fit_a_title():
    targets = {name: scaling_law.forecast(name, "", points([5.0, 4.9, 4.8, 4.75], name=name))
               for name in ("t0", "t1", "t2", "t3")}
    all_points = points([5.0, 4.9, 4.8, 4.75], name="t0")
    for point in all_points:
        point["errors"] = dict.fromkeys(targets, point["errors"]["t0"])
    fig = learning_curve.draw(learning_curve.LearningCurve(None, 3, all_points, targets))
    fig.canvas.draw()
    low, high = fig.axes[0].get_ylim()
    assert sum(low <= v <= high for v in fig.axes[0].get_yticks()) >= 3
    assert "and 2 more targets" in fig.get_suptitle().replace("\n", " ") and len(fig.axes) == 1


@pytest.mark.usefixtures("without_plots")
def test_a_curve_from_the_terminal(drawn, tmp_path, capsys):
    how = ["--data", drawn, "--size", 48, "--arch", "test_resnet", "--weights", "none", "--bs", 16, "--precision",
           "fp32", "--device", "cpu", "--out", tmp_path]
    told = said(capsys, "curve", "angle", *how, "--parts", "5,50,100", "--epochs", 1)
    folder = tmp_path / "curve-angle-001"
    assert f"runs: {folder}   plot: {folder / 'curve.png'}" in told and (folder / "curve.png").exists()
    assert [line.split()[:3] for line in told.splitlines()[1:3]] == [["50", "%", "54"], ["100", "%", "108"]]
    first, second = (runs.load_run(folder / f"angle-00{i}") for i in (1, 2))
    assert first.about["data"]["split"] == {"train": 54, "valid": 12}
    assert second.about["data"]["split"] == {"train": 108, "valid": 12}
    assert first.config == second.config and (first.config.epochs, first.config.calibrate) == (1, 0)
    assert "--parts N,N" in mistake(capsys, "curve", "angle", *how, "--parts", "a,b")
    assert "two parts" in mistake(capsys, "curve", "angle", *how, "--parts", "1,100")
    for option in ("--calibrate", "--coverage", "--test"):
        line = mistake(capsys, "curve", "angle", *how, option, 0.2)
        assert f"expected {option} with imgreg train; found imgreg curve" in line
    with pytest.raises(ImgregError, match="--folds with imgreg train; found imgreg curve"):
        functions.curve("angle", data=drawn, folds=2)
