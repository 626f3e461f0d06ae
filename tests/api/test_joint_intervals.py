"""Intervals of few groups, and joint ones: what a training, evaluate and predict say of them."""
import json
import re

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from imgreg_fastai import cli, evaluate, load
from imgreg_fastai.api import functions
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import TINY, plots_left_out, said

OPTIONS = {**TINY, "size": (32, 32), "group": "who", "targets": ["grey", "x"]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Fifteen people, eight images each, of a grey with a spot."""
    folder, rng, rows = tmp_path_factory.mktemp("people"), np.random.default_rng(0), []
    for i in range(120):
        grey, (x, y) = int(rng.integers(40, 200)), rng.integers(4, 28, 2)
        pixels = np.full((32, 32, 3), grey, np.uint8)
        pixels[y - 2 : y + 3, x - 2 : x + 3] = 255, 0, 0
        Image.fromarray(pixels).save(folder / f"{i}.png")
        rows.append({"image": f"{i}.png", "grey": float(grey), "x": float(x), "y": float(y), "who": f"p{i % 15}"})
    pd.DataFrame(rows).to_csv(folder / "labels.csv", index=False)
    return folder


@pytest.fixture(scope="module")
def run(folder):
    """A run whose six people of the validation part calibrate its intervals; do not write into it."""
    with plots_left_out():
        return functions.train(folder / "labels.csv", out=folder / "runs", valid=0.4, **OPTIONS)


def test_the_groups_of_the_validation_part_calibrate_and_no_image_is_given_up_for_it(run):
    assert set(run.labels["split"]) == {"train", "valid"} and (run.labels["split"] == "train").sum() == 72
    about = load(run.path).about["calibration"]
    assert about["units"] == 6 and about["parts"] == ["valid"] and set(about["left_out"]) == {"grey", "x"}


def test_scores_have_the_coverage_of_joint_intervals_and_of_groups_left_out(run):
    for numbers in run.scores["valid"].values():
        coverage = numbers["coverage"]
        assert coverage["calibrates"] and 0.6 < coverage["left_out"] <= 1
        assert coverage["joint"]["asked"] == 0.9 and coverage["joint"]["reached"] >= 0.85
        assert coverage["joint"]["width"] > coverage["width"]
    assert len({numbers["coverage"]["joint"]["reached"] for numbers in run.scores["valid"].values()}) == 1


@pytest.mark.usefixtures("without_plots")
def test_a_training_says_who_calibrates_and_its_lines_tell_both_coverages(folder, capsys, caplog):
    text = said(capsys, "train", folder / "labels.csv", "--target", "grey", "--target", "x", "--group", "who",
                "--out", folder / "told", "--valid", "0.4", "--epochs", "1", "--arch", "test_resnet", "--weights",
                "none", "--size", "32", "--bs", "8", "--workers", "0")
    assert "intervals are calibrated by 6 groups, those of the validation part" in caplog.text
    assert "no intervals" not in caplog.text
    for line in (r"these images calibrated them, and of groups left out in turn they contain \d+\.\d %",
                 r"joint 90 % intervals contain all values of \d+\.\d % of the images"):
        assert len(re.findall(line, text)) == 2


@pytest.mark.usefixtures("without_plots")
def test_evaluate_tells_left_out_groups_of_the_runs_own_images_only(run, folder, capsys):
    assert "groups left out" in said(capsys, "evaluate", run.path)
    assert "groups left out" not in said(capsys, "evaluate", run.path, "--coverage", "0.8")
    (folder / "valid.csv").write_text((folder / "labels.csv").read_text())
    text = said(capsys, "evaluate", run.path, folder / "valid.csv")
    assert "calibrated them" not in text and "joint 90 % intervals" in text
    by = said(capsys, "evaluate", run.path, "--by", "who")
    assert "joint" not in by and "calibrated them" not in by


def test_joint_intervals_of_predict_are_wider(run, folder):
    single, joint = (functions.predict(run.path, folder, joint=joint) for joint in (False, True))
    ratios = np.concatenate([joint[column] / single[column] for column in ("grey_within", "x_within")])
    assert ratios.min() >= 1 and ratios.max() > 1
    assert (functions.predict(run.path, folder, joint=True, coverage=0.7)["grey_within"] < joint["grey_within"]).all()
    model = load(run.path)
    assert (model.predict(folder, joint=True)["grey_within"] == joint["grey_within"]).all()


def test_the_commands_joint_intervals_are_those_of_python(run, folder, capsys):
    lines = json.loads(said(capsys, "predict", run.path, folder / "1.png", "--joint", "--format", "json"))
    row = functions.predict(run.path, folder / "1.png", joint=True).iloc[0]
    assert lines[0]["grey_within"] == pytest.approx(row["grey_within"], rel=1e-3)


@pytest.mark.parametrize(("options", "told"), [
    (["--by", "who"], "--joint image by image; found --by who"), (["--coverage", "0.999"], "--coverage of at most 0.")])
def test_joint_intervals_that_do_not_exist_are_refused_in_one_line(run, folder, capsys, options, told):
    assert told in refused(capsys, "predict", run.path, folder / "labels.csv", "--joint", *options)


def test_joint_intervals_of_several_models_or_of_one_without_intervals_are_refused(run, folder, capsys):
    assert "--joint with one model; found 2 models" in refused(capsys, "predict", run.path, run.path, folder / "1.png",
                                                               "--joint")
    with plots_left_out():
        plain = functions.train(folder / "labels.csv", out=folder / "plain", calibrate=0, **OPTIONS)
    told = refused(capsys, "predict", plain.path, folder / "1.png", "--joint")
    assert "--joint with a model that has intervals; found one that was not calibrated" in told
    assert "--calibrate" in told
    with pytest.raises(ImgregError, match="--joint with one model"):
        functions.predict([load(run.path)] * 2, folder, joint=True)


def refused(capsys, *args) -> str:
    """The one line on stderr of a command that is refused."""
    with pytest.raises(SystemExit) as error:
        cli.main([str(a) for a in args])
    assert error.value.code
    lines = capsys.readouterr().err.strip().splitlines()
    assert len(lines) == 1
    return lines[0]


@pytest.mark.usefixtures("without_plots")
def test_evaluating_the_whole_table_tells_what_its_validation_images_have_decided(run, folder, caplog):
    result = evaluate(run, folder / "labels.csv")
    assert result["scores"]["grey"]["n"] == 48, "those trained on are left out"
    assert ("48 of 48 images are of the run's validation part, which chose its epoch and calibrated its intervals"
            in caplog.text)
