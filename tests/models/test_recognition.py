"""Files of weights as people have them, and the timm models that they are recognised as."""
import json
import os

import pytest
import timm
import torch
from safetensors.torch import save_file

from imgreg_fastai.inference import model_file
from imgreg_fastai.models import backbones, network, recognition, weights, weights_files
from imgreg_fastai.models.recognition import Backbone, recognise_backbone
from imgreg_fastai.tasks import ANGLE
from imgreg_fastai.utils.messages import ImgregError

MODELS = ["test_vit", "test_resnet", "resnet18", "resnet10t", "seresnet18", "resnetblur18", "test_convnext"]


@pytest.fixture(autouse=True)
def few_models(monkeypatch):
    """timm with a handful of models."""
    recognition._closest_model.cache_clear()
    monkeypatch.setattr(timm, "list_models", lambda *_: MODELS)


def state_of(arch, **options):
    with torch.device("meta"):
        shapes = timm.create_model(arch, **options).state_dict()
    return {name: torch.zeros(value.shape, dtype=value.dtype) for name, value in shapes.items()}


def saved(folder, state, name="w.pth"):
    (save_file if name.endswith("safetensors") else torch.save)(state, folder / name)
    return folder / name


@pytest.mark.parametrize("arch", ["test_resnet", "test_vit", "test_convnext"])
@pytest.mark.parametrize(("n_classes", "wrap"), [
    (1000, lambda state: state),
    (0, lambda state: {"epoch": 3, "state_dict": {f"module.{name}": value for name, value in state.items()}}),
    (7, lambda state: {"model": state}),
    (7, lambda state: {"state_dict": {f"model.backbone.{name}": value for name, value in state.items()}
                       | {"model.pose.weight": torch.zeros(3, 7), "loss.weight": torch.zeros(2)}}),
])
def test_a_backbone_is_recognised_under_people_s_wrappers_and_then_loaded(tmp_path, arch, n_classes, wrap):
    state = {name: torch.ones_like(value) for name, value in state_of(arch, num_classes=n_classes).items()}
    path = saved(tmp_path, wrap(state))
    assert recognise_backbone(path) == Backbone(arch)
    body = backbones.build(arch, (160, 160))
    loaded = weights.load_body(body, arch, weights.find_weights(arch, str(path)))
    assert loaded.note == "" and all((value == 1).all() for value in body.state_dict().values())


def test_the_name_of_a_file_helps_but_is_not_trusted(tmp_path, monkeypatch):
    compared, real = [], recognition._compare
    monkeypatch.setattr(recognition, "_compare", lambda arch, state: compared.append(arch) or real(arch, state))
    state = state_of("test_resnet")
    assert recognise_backbone(saved(tmp_path, state, "heads-test_resnet.best.pth")).arch == "test_resnet"
    assert compared == ["test_resnet"]
    assert recognise_backbone(saved(tmp_path, state, "test_vit.safetensors")).arch == "test_resnet"
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "config.json").write_text(json.dumps({"architecture": "test_resnet"}))
    compared.clear()
    assert recognise_backbone(saved(tmp_path / "hub", state, "model.safetensors")).arch == "test_resnet"
    assert compared == ["test_resnet"]


def test_of_models_with_the_same_tensors_it_is_the_plainest_or_the_named_one(tmp_path, monkeypatch):
    state = state_of("resnet18")
    assert recognise_backbone(saved(tmp_path, state)).arch == "resnet18"
    assert recognise_backbone(saved(tmp_path, state, "resnetblur18.pth")).arch == "resnetblur18"
    monkeypatch.setattr(recognition, "WELL_KNOWN", ())
    recognition._closest_model.cache_clear()
    assert recognise_backbone(tmp_path / "w.pth").arch == "resnet18"


def test_a_model_of_which_another_is_a_part_is_not_taken_for_that(tmp_path):
    assert recognise_backbone(saved(tmp_path, state_of("seresnet18"))).arch == "seresnet18"
    deeper = saved(tmp_path, state_of("resnet34"))  # which this timm does not have
    assert recognise_backbone(deeper) is None
    message = str(recognition.refusal(deeper))
    assert "the nearest is resnet18: 80 tensors more" in message and "--arch NAME" in message


def test_vits_that_differ_in_the_size_of_their_images_are_told_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(timm, "list_models", lambda *_: ["vit_tiny_patch16_224", "vit_tiny_patch16_384"])
    state = state_of("vit_tiny_patch16_384")
    assert recognise_backbone(saved(tmp_path, state)).arch == "vit_tiny_patch16_384"


def test_a_vit_for_images_of_another_size_and_one_with_a_decoder(tmp_path):
    state = state_of("test_vit", img_size=96)
    decoder = {f"decoder_blocks.{n}.weight": torch.zeros(4, 4) for n in range(9)}
    assert recognise_backbone(saved(tmp_path, state)).arch == "test_vit"
    assert recognise_backbone(saved(tmp_path, {**state, **decoder}, "mae.pth")).arch == "test_vit"


@pytest.mark.parametrize("name", ["w.pth", "w.safetensors"])
def test_names_and_shapes_are_read_without_the_numbers(tmp_path, name):
    state = {"a": torch.zeros(2, 3), "b": torch.zeros(4, dtype=torch.int64), "c": torch.zeros(5).bfloat16()}
    shapes = weights_files.read_shapes(str(saved(tmp_path, state, name)))
    assert {key: (value.shape, value.is_floating_point()) for key, value in shapes.items()} == {
        key: (value.shape, value.is_floating_point()) for key, value in state.items()}
    assert all(value.is_meta for value in shapes.values())


@pytest.mark.parametrize("state", [
    {"features.0.0.weight": torch.zeros(8, 3, 3, 3), "features.0.0.bias": torch.zeros(8)},
    {"w": torch.zeros(1)}, {"conv1.weight": torch.zeros(8, 3, 3, 3), "fc.weight": torch.zeros(2, 8)}])
def test_a_net_that_is_none_of_timm_s_is_refused_in_one_line(tmp_path, state):
    path = saved(tmp_path, state)
    assert recognise_backbone(path) is None
    message = str(recognition.refusal(path))
    assert message.startswith(f"expected weights of a timm backbone; found 'w.pth' with {next(iter(state))}")
    assert "--arch NAME" in message and "\n" not in message


def test_a_model_of_ours_names_its_backbone_and_the_arguments(tmp_path):
    net = network.network("test_resnet", (32, 32), 2, {"output_stride": 16})
    about = model_file.model_metadata(ANGLE, "test_resnet", {"output_stride": 16}, ((0,) * 3, (1,) * 3), {})
    model_file.save_model(tmp_path / "model.safetensors", net, about)
    assert recognise_backbone(tmp_path) == Backbone("test_resnet", {"output_stride": 16})
    save_file(net.state_dict(), tmp_path / "bare.safetensors")
    assert recognise_backbone(tmp_path / "bare.safetensors") == Backbone("test_resnet")


def test_an_arch_that_does_not_fit_is_answered_with_the_weights_own(tmp_path):
    path = saved(tmp_path, state_of("test_resnet"))
    body = backbones.build("test_vit", (64, 64))
    with pytest.raises(ImgregError, match="try --arch test_resnet, the weights' own"):
        weights.load_body(body, "test_vit", weights.find_weights("test_vit", str(path)))


class Evil:
    def __reduce__(self):
        return os.mkdir, ("pwned",)


def test_recognising_runs_no_code_of_a_pickle(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ImgregError, match="state dict of tensors"):
        recognise_backbone(saved(tmp_path, {"conv1.weight": Evil()}))
    assert not (tmp_path / "pwned").exists()


@pytest.mark.slow
def test_models_from_all_of_timm_are_recognised(tmp_path, monkeypatch):
    monkeypatch.undo()
    for number, arch in enumerate(timm.list_models()[7::60]):
        with torch.device("meta"):
            state = dict(timm.create_model(arch, num_classes=5).state_dict())
        monkeypatch.setattr(recognition, "read_shapes", lambda _, state=state: state)
        path = tmp_path / f"w{number}.pth"
        path.touch()
        closest = recognition._closest_model(path, 0)
        assert closest is not None and closest.fits, arch
        with torch.device("meta"):
            body = timm.create_model(closest.arch, num_classes=0).state_dict()
        assert all(state[name].shape == value.shape for name, value in body.items()), arch
