"""What model files tell of the heads of their networks: of this version, of older ones, and what does not fit."""
import numpy as np
import pytest
import torch

from imgreg_fastai import load
from imgreg_fastai.inference import model_file
from imgreg_fastai.models import backbones, mean_positions, network, weights
from imgreg_fastai.models.point_maps import BodyWithMaps
from imgreg_fastai.tasks import Number, Point, Rotation, Task
from imgreg_fastai.utils.messages import ImgregError

TIP, NUMBER = Point("tip", ("x", "y")), Number("n", ("n",), low=0.0, high=1.0)
POSE = Rotation("pose", ("yaw", "pitch", "roll"))
SIZE = (64, 48)
POINTS = Task("points", (Point("spots", ("rx", "ry", "bx", "by")),), size=SIZE, augment=())
BOTH = Task("both", (TIP, NUMBER), size=SIZE, augment=())


def build_net(task, kind, forms, seed=0):
    torch.manual_seed(seed)
    net = network.network("test_resnet", task.size, task.n_out, {}, kind, forms)
    torch.nn.init.normal_(net[1][0].weight, std=0.5)
    return net


def metadata(task, kind, forms):
    return model_file.model_metadata(task, "test_resnet", {}, backbones.stats("test_resnet"), {}, head=kind,
                                     forms=forms)


def images(n=3):
    return list(np.random.default_rng(0).integers(0, 255, (n, 48, 60, 3), np.uint8))


@pytest.mark.parametrize(("task", "kind", "forms"), [
    (POINTS, "maps", ["position"] * 4), (BOTH, "maps", ["position", "position", "line"]),
    (BOTH, "maps", ["position", "position", "sigmoid"]), (POINTS, "pooled", []), (POINTS, "positions", []),
])
def test_a_file_names_its_head_and_opens_as_the_network_that_it_was(tmp_path, task, kind, forms):
    net = build_net(task, kind, forms).eval()
    model = load(model_file.save_model(tmp_path / "m.imgreg", net, metadata(task, kind, forms)))
    assert model.about["format"] == 6 and model.about["head"] == kind == network.kind_of(model.network[0])
    assert model.about.get("forms", []) == forms == model.network[1].forms
    x = torch.randn(2, 3, *SIZE)
    with torch.no_grad():
        torch.testing.assert_close(model.network(x), net(x))
    assert np.ptp(model.predict(images())[task.columns].to_numpy(float), axis=0).min() > 0


@pytest.mark.parametrize(("task", "kind", "forms"), [
    (POINTS, "positions", []), (BOTH, "positions", ["sigmoid", "sigmoid", "line"]),
    (Task("n", (NUMBER,), size=SIZE, augment=()), "positions", ["line"]),
    (Task("pose", (POSE,), size=SIZE, augment=()), "pooled", [])])
def test_a_file_of_format_5_that_names_no_head_opens_and_predicts_what_it_did(tmp_path, task, kind, forms):
    """Points had 32 maps of the last features; so had numbers that were learnt as histograms."""
    net = build_net(task, kind, forms)
    about = metadata(task, kind, forms)
    new = load(model_file.save_model(tmp_path / "new.imgreg", net, about))
    del about["head"]
    old = load(model_file.save_model(tmp_path / "old.imgreg", net, {**about, "format": 5}))
    assert isinstance(old.network[0], mean_positions.BodyWithPositions) is (kind == "positions")
    assert not isinstance(old.network[0], BodyWithMaps)
    assert old.predict(images()).equals(new.predict(images()))


@pytest.mark.parametrize(("change", "reason"), [
    ({"head": "maps", "forms": None}, "a head of the kind maps"),
    ({"head": "maps", "forms": ["sigmoid", "sigmoid", "line"]}, "a head of the kind maps"),
    ({"head": "magic"}, "a head of the kind 'magic'"),
    ({"head": ["maps"]}, "a head of the kind"),
    ({"head": 7}, "a head of the kind 7"),
    ({"head": "pooled"}, "a head of the kind pooled"),
    ({"head": None}, "a head of the kind positions"),
    ({"forms": ["position"]}, "for 3 outputs"),
    ({"forms": ["position", "position", "position"]}, "for targets of the kinds point, number"),
    ({"forms": ["line", "position", "position"]}, "for targets of the kinds point, number"),
    ({"forms": ["position", "sigmoid", "line"]}, "for targets of the kinds point, number"),
    ({"forms": ["position", "position", "magic"]}, "magic"),
    ({"forms": "position"}, ""), ({"forms": 3}, ""),
    ({"arch": "test_vit"}, "parts do not agree"),
])
def test_a_head_that_does_not_fit_its_file_is_one_line(tmp_path, change, reason):
    forms = ["position", "position", "line"]
    about = {**metadata(BOTH, "maps", forms), **change}
    file = model_file.save_model(tmp_path / "odd.imgreg", build_net(BOTH, "maps", forms), about)
    with pytest.raises(ImgregError, match="parts do not agree") as error:
        load(file)
    assert reason in str(error.value) and "\n" not in str(error.value)


def test_maps_at_a_size_that_has_none_are_one_line(tmp_path):
    """A file whose task was edited: no features of the backbone lie on a grid at 4x4 pixels."""
    about = metadata(POINTS, "maps", ["position"] * 4)
    about["task"]["size"] = [4, 4]
    file = model_file.save_model(tmp_path / "odd.imgreg", build_net(POINTS, "maps", ["position"] * 4), about)
    with pytest.raises(ImgregError) as error:
        load(file)
    assert "\n" not in str(error.value)


def test_weights_of_a_model_bring_the_maps_and_the_head_where_the_targets_are_the_same(tmp_path, caplog):
    forms = ["position"] * 4
    source = build_net(POINTS, "maps", forms)
    file = model_file.save_model(tmp_path / "m.imgreg", source, metadata(POINTS, "maps", forms))
    found = weights.find_weights("test_resnet", str(file))
    new = build_net(POINTS, "maps", forms, seed=1)
    own_body = {name: v.clone() for name, v in new.state_dict().items() if name.startswith("0.timm_body.")}
    assert weights.load_head(new, found, POINTS)
    for name, tensor in new.state_dict().items():
        assert torch.equal(tensor, own_body.get(name, source.state_dict()[name])), name
    others = [build_net(POINTS, "positions", []), build_net(POINTS, "pooled", [])]
    for other in others:  # their heads are of other tensors: nothing is loaded by halves
        before = {name: v.clone() for name, v in other.state_dict().items()}
        assert not weights.load_head(other, found, POINTS)
        assert all(torch.equal(v, before[name]) for name, v in other.state_dict().items())
    renamed = Task("points", (Point("spots", ("ax", "ay", "cx", "cy")),), size=SIZE, augment=())
    assert not weights.load_head(build_net(renamed, "maps", forms), found, renamed)
