"""The performance harness runs and says what it should; how fast anything is, no test asks."""
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

PARTS = ["throughput", "time_to_1", "help", "drawing", "classical", "headpose"]  # accuracy trains twice as long


@pytest.mark.slow
def test_quick_run_measures_every_part(tmp_path):
    out = tmp_path / "results.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--only", ",".join(PARTS), "--out", str(out)],
        cwd=Path(__file__).resolve().parents[2], capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())
    assert results["quick"] and {"cores", "processor", "torch"} <= set(results["machine"])
    assert all(results[part] for part in PARTS)
    assert all(f"\n{part}\n\n| " in done.stdout for part in PARTS)
    beside = [(row["backbone"].split()[0], row["beside"].split(",")[0]) for row in results["throughput"]]
    assert beside == [("resnet18", "plain fastai"), ("resnet18", "bare step"), ("resnet10t", "bare step")]
    for row in results["throughput"]:
        assert row["pictures/s"] > 0 and row["lowest"] <= row["ratio"] <= row["highest"]
    assert results["time_to_1"][0]["images seen"] > 0 and not results["time_to_1"][0]["reached"]
    assert [row["command"] for row in results["help"]] == ["imgreg --help", "python -c pass"]


def test_an_unknown_part_is_refused():
    pytest.importorskip("skimage")
    from benchmarks.__main__ import parse

    with pytest.raises(SystemExit):
        parse(["--only", "speed"])
    assert parse(["--only", "help, drawing"]).only == ["help", "drawing"]


# pointing

@pytest.fixture
def pointing(monkeypatch):
    pytest.importorskip("sklearn")
    from benchmarks import pointing

    monkeypatch.delenv("IMGREG_REAL_DATA", raising=False)
    return pointing


def likeness(folder, n_images=3):
    """A folder as IMGREG_REAL_DATA names one: eight people, n grey images each, and a file for the weights."""
    rng, rows = np.random.default_rng(0), []
    for person in range(1, 9):
        for i in range(n_images):
            name = f"Person{person:02}/{i}.jpg"
            rows.append((name, person, *rng.integers(-6, 7, 2) * 15, *rng.integers(20, 44, 2), 20, 24))
            path = folder / "data" / "pointing04" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (64, 48), int(rng.integers(256))).save(path)
    columns = ["file", "person", "tilt_deg", "pan_deg", "head_cx_px", "head_cy_px", "head_w_px", "head_h_px"]
    pd.DataFrame(rows, columns=columns).to_csv(folder / "data" / "pointing04" / "labels.csv", index=False)
    (folder / "weights").mkdir()
    (folder / "weights" / "mobilenetv2_100_imagenet.pth").touch()


def test_without_the_photographs_pointing_says_that_it_is_skipped(pointing, tmp_path, monkeypatch):
    assert "IMGREG_REAL_DATA" in pointing.measure()[0]["skipped"]
    monkeypatch.setenv("IMGREG_REAL_DATA", str(tmp_path))
    assert list(pointing.measure()[0]) == ["skipped"]


@pytest.mark.slow
def test_pointing_measures_all_methods_on_the_same_pictures(pointing, tmp_path, monkeypatch):
    likeness(tmp_path)
    monkeypatch.setenv("IMGREG_REAL_DATA", str(tmp_path))
    rows = pointing.measure(quick=True)
    methods, compared = rows[:-3], rows[-3:]
    assert [row["method"].split(",")[0] for row in methods] == ["transfer", "from scratch", "guessing the mean",
                                                                "ridge", "ridge"]
    for row in methods:
        assert all(row[name] > 0 and row[f"{name} spread"] >= 0 for name in ("pan", "tilt", "centre"))
    for row, name in zip(compared, ("pan", "tilt", "centre"), strict=True):
        better = min(row[name] for row in methods if row["method"].startswith("ridge"))
        assert row["method"].endswith(name) and row["difference"] == pytest.approx(methods[0][name] / better - 1)
        assert row["from"] <= row["difference"] <= row["to"]


def test_a_ridge_finds_what_is_linear_for_people_held_out(pointing):
    rng = np.random.default_rng(1)
    people = np.repeat(np.arange(10), 30)
    x = rng.normal(size=(300, 5))
    y = x @ rng.normal(size=(5, 2)) * 20 + 7
    found = pointing.ridge(x, y, people, people % 5 + 1)
    assert np.abs(found - y).mean() < 0.4 * np.abs(y - y.mean(axis=0)).mean()


def test_the_interval_is_of_the_ratio_of_paired_means(pointing):
    rng = np.random.default_rng(2)
    theirs, people = rng.exponential(size=400), np.repeat(np.arange(10), 40)
    assert pointing.interval(theirs / 2, theirs, np.arange(400), 200) == pytest.approx((-0.5, -0.5))
    ours = theirs * rng.uniform(0.4, 1, 400)
    low, high = pointing.interval(ours, theirs, np.arange(400), 500)
    assert low < ours.mean() / theirs.mean() - 1 < high and high - low < 0.1
    shared = pointing.interval(theirs * np.repeat(rng.uniform(0.5, 1.5, 10), 40), theirs, people, 500)
    assert shared[1] - shared[0] > 0.1


# intervals of new people

@pytest.mark.slow
def test_new_people_are_measured_where_their_photographs_are(tmp_path, monkeypatch):
    from benchmarks import new_people

    likeness(tmp_path, n_images=8)
    monkeypatch.setenv("IMGREG_REAL_DATA", str(tmp_path))
    skipped, *rows = new_people.measure(quick=True)
    assert list(skipped) == ["skipped"]
    assert {row["target"] for row in rows} >= {"pan", "tilt"}
    for row in rows:
        assert (row["people that calibrate"], row["new people"]) == (2, 1)
        assert 0 <= row["lowest person"] <= row["coverage"] <= 1 and row["width / exact"] > 0


def test_coverage_of_new_people_weighs_them_the_same():
    from benchmarks import new_people

    ratios = np.array([[0.5, 0.2], [0.5, 2.0], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]])
    found = new_people.cover(ratios, np.array([0, 0, 1, 1, 1, 1]))
    assert (found["coverage"], found["lowest person"]) == (0.75, 0.5)
    assert new_people.cover(np.linspace(0, 2, 101)[:, None], np.arange(101))["width / exact"] == pytest.approx(1 / 1.8)


@pytest.mark.slow
def test_the_epoch_is_chosen_by_the_losses_of_the_training(tmp_path, monkeypatch):
    from benchmarks import new_people
    from imgreg_fastai.training.loop import TrainingWatch

    likeness(tmp_path, n_images=8)
    weights = tmp_path / "weights" / "mobilenetv2_100_imagenet.pth"
    rows, history_row = [], TrainingWatch._history_row
    monkeypatch.setattr(TrainingWatch, "_history_row", lambda watch: rows.append(history_row(watch)) or rows[-1])
    plan = new_people.plan_poses(tmp_path / "data" / "pointing04" / "labels.csv", weights, tmp_path, quick=True)
    epochs = new_people.Epochs(plan)
    assert [losses.mean() for losses in epochs.losses] == pytest.approx([row["valid_loss"] for row in rows], rel=1e-2)
    assert len(epochs.losses[0]) == (plan.rows["split"] == "valid").sum() == len(epochs.parts(0)[1].groups)


@pytest.mark.slow
def test_people_that_calibrate_are_counted_and_so_is_what_giving_some_up_costs(tmp_path, monkeypatch):
    from benchmarks import few_groups

    likeness(tmp_path, n_images=8)
    monkeypatch.setenv("IMGREG_REAL_DATA", str(tmp_path))
    monkeypatch.setenv("IMGREG_CACHE", str(tmp_path / "cache"))
    *rows, cost, skipped = few_groups.measure(quick=True)
    assert list(skipped) == ["skipped"] and np.isfinite(cost["larger error"])
    assert rows and all(0 <= row["left out"] <= 1 for row in rows)
