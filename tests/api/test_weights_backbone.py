"""The backbone of `--weights FILE` where no --arch is given: in the settings, and in the train command."""
import logging

import pytest
import timm
import torch

from imgreg_fastai import cli
from imgreg_fastai.api.preparation import make_config, undecided_settings
from imgreg_fastai.models import backbones
from imgreg_fastai.runs import load_run
from imgreg_fastai.tasks import ANGLE
from imgreg_fastai.utils.messages import ImgregError


@pytest.fixture
def file(tmp_path):
    """Weights of a test_resnet with a classifier, in a file that names it."""
    path = tmp_path / "mine-test_resnet.pth"
    torch.save(timm.create_model("test_resnet", num_classes=3).state_dict(), path)
    return path


def test_the_backbone_of_a_file_takes_the_place_of_the_recipe_s(file, caplog):
    caplog.set_level(logging.INFO, "imgreg")
    config, recipe = make_config(ANGLE, weights=file), dict(ANGLE.recipe)
    chosen = make_config(ANGLE, weights=file, arch="test_resnet")
    assert config == chosen and config.arch == "test_resnet" and config.arch_args == {}
    assert recipe["arch_args"] and config.epochs == recipe["epochs"]
    assert [r.getMessage() for r in caplog.records] == [
        "weights mine-test_resnet.pth: the backbone is test_resnet (--arch NAME for another)"]
    assert make_config(ANGLE, weights=file, arch_args={"output_stride": 16}).arch_args == {"output_stride": 16}
    assert make_config(ANGLE, weights=file, arch="test_vit").arch == "test_vit"


def test_the_automatic_recipe_leaves_the_backbone_of_the_weights_alone(file):
    assert "arch" in undecided_settings({"weights": "none"}, frozenset({"weights"}))
    assert "arch" in undecided_settings({}, frozenset())
    assert undecided_settings({"weights": file}, frozenset({"weights"})) == undecided_settings({}, frozenset({"arch"}))


def test_a_run_brings_its_backbone_with_its_arguments(run):
    task = ANGLE.with_options((), None)
    config = make_config(task, weights=run.path)
    assert (config.arch, config.arch_args) == (run.config.arch, run.config.arch_args) and config.arch_args
    plain = make_config(ANGLE, weights=run.path, arch="test_resnet")
    assert plain.arch_args == {}


def test_weights_that_are_no_backbone_s_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(timm, "list_models", lambda *_: ["test_resnet", "test_vit"])
    torch.save({"encoder": torch.zeros(3)}, tmp_path / "w.pth")
    with pytest.raises(ImgregError, match=r"expected weights of a timm backbone; found 'w\.pth' with encoder"):
        make_config(ANGLE, weights=tmp_path / "w.pth")


def test_a_backbone_with_weights_for_several_normalisations_says_for_which(monkeypatch):
    assert backbones.normalisation_note("resnet18") == ""
    note = backbones.normalisation_note("vit_base_patch16_224")
    assert "as for timm's vit_base_patch16_224." in note and "mean 0.5, std 0.5" in note


@pytest.mark.usefixtures("without_plots")
def test_the_train_command_needs_no_arch_for_a_weights_file(file, drawn, tmp_path, capsys, caplog):
    caplog.set_level(logging.INFO, "imgreg")
    with pytest.raises(SystemExit) as e:
        cli.main(["train", "angle", "--data", str(drawn), "--weights", str(file), "--epochs", "1", "--size", "48",
                  "--bs", "16", "--workers", "0", "--device", "cpu", "--precision", "fp32", "--out", str(tmp_path)])
    assert e.value.code == 0, capsys.readouterr().err
    assert "weights mine-test_resnet.pth: the backbone is test_resnet (--arch NAME for another)" in caplog.messages
    run = load_run(tmp_path / "angle-001")
    assert run.config.arch == "test_resnet" and run.about["weights"]["kind"] == "file"
