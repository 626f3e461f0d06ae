"""The trials of benchmarks/trials: they go on where they stopped, and each technique changes a training."""
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from benchmarks.trials import __main__ as command
from benchmarks.trials import data_sets, table, techniques
from benchmarks.trials.averages import CheckpointAverage
from imgreg_fastai.models import timm_body

NET = {"arch": "test_resnet", "size": (64, 64), "bs": 2, "lr": 1e-2, "augment": ("colour",), "targets": "grey"}


def draw(folder):
    """Sixteen grey images whose label is their grey value, in eight groups."""
    rng, rows = np.random.default_rng(0), []
    folder.mkdir()
    for i in range(16):
        pixels = rng.integers(0, 60, (32, 32, 3)) + 12 * i
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"{i}.png")
        rows.append((str(folder / f"{i}.png"), 12.0 * i, i // 2))
    return pd.DataFrame(rows, columns=["image", "grey", "group"])


@pytest.fixture
def tiny(monkeypatch, tmp_path):
    """Three data sets of a few images: from random weights, from given ones, and with images that are moved."""
    torch.manual_seed(0)
    torch.save(timm_body.build("test_resnet", (32, 32)).state_dict(), tmp_path / "weights.pth")
    scratch, moved = {**NET, "weights": "none"}, {**NET, "augment": ("shift", "zoom", "colour")}
    sets = {"scratch": data_sets.DataSet(draw, scratch, 4, (1, 2)),
            "weights": data_sets.DataSet(draw, {**NET, "weights": str(tmp_path / "weights.pth")}, 1),
            "moved": data_sets.DataSet(draw, {**moved, "weights": "none"}, 1)}
    monkeypatch.setattr(data_sets, "DATA_SETS", sets)
    return tmp_path / "trials.csv"


def run(file, *args):
    parsed = command.parse([*args, "--file", str(file)])
    command.run(command.trainings(parsed), file, parsed.minutes)
    return table.read(file)


def test_a_second_call_does_what_is_missing_and_no_more(tiny):
    options = ("--data", "scratch", "--seeds", "0", "--epochs", "1", "--techniques")
    first = run(tiny, *options, "baseline,histogram")
    assert list(first["technique"]) == ["baseline", "ema", "checkpoints", "histogram"] * 2  # averages cost no training
    assert list(first["fold"]) == [1] * 4 + [2] * 4 and first["score"].gt(0).all()
    before = tiny.read_text()
    tiny.write_text(before[:-7])  # a kill within the last line
    again = run(tiny, *options, "baseline,ema,histogram,no-colour")
    rows = list(zip(again["technique"], again["fold"], strict=True))
    assert rows[:7] == list(zip(first["technique"], first["fold"], strict=True))[:7]
    assert rows[7:] == [("no-colour", 1), ("histogram", 2), ("no-colour", 2)]
    assert tiny.read_text().startswith(before[: before[:-7].rfind("\n") + 1])
    repeated = again[(again["technique"] == "histogram") & (again["fold"] == 2)]["score"].item()
    assert repeated == pytest.approx(first["score"].iloc[-1], rel=1e-3)


def test_each_technique_differs_from_the_baseline_where_it_applies(tiny):
    results = run(tiny, "--seeds", "3", "--epochs", "4", "--data", "weights,moved")
    scores = results.pivot(index="technique", columns="data", values="score")
    assert set(scores.index) == set(techniques.TECHNIQUES)
    assert set(scores.index[scores["weights"].isna()]) == {"move-all", "move-all-farther"}
    assert set(scores.index[scores["moved"].isna()]) == {"move", "stages", "body-1", "ridge-start"}
    for data in scores:
        others = scores[data].drop("baseline").dropna()
        assert (others != scores[data]["baseline"]).all(), others


def test_without_the_photographs_a_data_set_is_left_out(tmp_path, monkeypatch, capsys):
    monkeypatch.delenv("IMGREG_REAL_DATA", raising=False)
    assert run(tmp_path / "trials.csv", "--data", "pointing", "--seeds", "0").empty
    assert "left out: pointing, without IMGREG_REAL_DATA" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        command.parse(["--techniques", "magic"])


def test_a_comparison_pairs_folds_and_seeds():
    rows = [("baseline", "d", 1, 0, 4, 0.5), ("baseline", "d", 2, 0, 4, 1.0), ("baseline", "d", 1, 1, 4, 9.0),
            ("better", "d", 1, 0, 4, 0.4), ("better", "d", 2, 0, 4, 0.95), ("better", "d", 1, 0, 8, 0.1)]
    results = pd.DataFrame([(*row[:5], "", "", row[5], 1.0, "", "") for row in rows], columns=table.COLUMNS)
    row = table.compare(results).set_index("technique").loc["better"]
    assert row["n"] == 2 and row["change"] == pytest.approx(-0.1)
    assert (row["lowest"], row["highest"]) == pytest.approx((-0.2, -0.05))
    lines = table.markdown(results, {"baseline": "as it is", "better": "than that", "untried": ""}).splitlines()
    assert lines[0] == "| technique | | d, 4 epochs |" and len(lines) == 4
    assert lines[2:] == ["| `baseline` | as it is | 3.500 of guessing (3) |",
                         "| `better` | than that | -10.0% (-20% to -5%; 2) |"]


def test_the_average_of_checkpoints_is_that_of_the_last_ones():
    class Loader(list):
        train = range(100)

    learn = type("Learn", (), {"n_epoch": 1, "dls": Loader()})()
    learn.model = torch.nn.Linear(1, 1)
    callback = CheckpointAverage()
    callback.learn = learn
    callback.before_fit()
    for step in range(1, 101):
        learn.model.weight.data.fill_(float(step))
        callback.after_batch()
    assert callback.average["weight"].item() == pytest.approx(np.mean([84, 88, 92, 96, 100]))


def test_the_documentation_shows_all_trials():
    about = {name: technique.about for name, technique in techniques.TECHNIQUES.items()}
    page = Path(__file__).resolve().parents[2] / "docs" / "benchmarks.md"
    assert table.markdown(table.read(), about) in page.read_text(encoding="utf-8")
