"""What holds of every Learner and DataBlock: for each kind of target and each head."""
import pytest
import torch
from fastai.data.transforms import RegressionSetup
from fastai.learner import Learner
from fastai.vision.core import PointScaler
from fastai.vision.data import PointBlock

from imgreg_fastai.api import functions
from imgreg_fastai.models import network, point_maps, timm_body
from imgreg_fastai.training import datablock, learner
from tests.conftest import TINY

TARGETS = {
    "number": ["n:number"], "log number": ["n:number"], "double number": ["t:number"], "angle": ["way:angle360"],
    "rotation": ["pose:rotation"], "points": ["spots=rx,ry,bx,by:point"],
    "several": ["spot=rx,ry:point", "pose:rotation", "n:number", "way:angle360"],
}
CASES = [(kind, size) for kind in TARGETS for size in ((32, 48), (32, 32))]  # a grid of 1 x 2 features, and of one


@pytest.fixture(scope="module")
def table(spotted, tmp_path_factory):
    """The spotted images with numbers above 0, and with seconds since 1970, which float32 rounds."""
    path = tmp_path_factory.mktemp("contract") / "labels.csv"
    spotted.assign(image=spotted["path"], n=spotted["n"] + 1, t=1.7e9 + spotted["n"]).drop(columns="path").to_csv(path)
    return path


def options(kind, size):
    scale = {"scale": "log"} if kind == "log number" else {}
    return {**TINY, "size": size, "targets": TARGETS[kind], **scale}


@pytest.mark.parametrize(("kind", "size"), CASES)
def test_the_learner_is_vision_learners_with_one_body_and_outputs_in_y_range(table, monkeypatch, kind, size):
    calls, bodies = [], []
    real, create = learner.vision_learner, timm_body.timm.create_model
    monkeypatch.setattr(learner, "vision_learner", lambda *a, **of: calls.append(of) or real(*a, **of))
    monkeypatch.setattr(timm_body.timm, "create_model", lambda *a, **of: bodies.append(create(*a, **of)) or bodies[-1])
    learn = functions.learner(table, **options(kind, size), loss="l1")
    (of,), (timm_model,) = calls, bodies
    assert isinstance(learn, Learner) and of["y_range"] == (-1.1, 1.1)
    body, head = learn.model
    assert getattr(body, "timm_body", body) is timm_model
    has_maps = kind in ("points", "several")  # the finest features lie on a grid at both sizes
    assert isinstance(body, point_maps.BodyWithMaps) is has_maps
    assert ("position" in head.forms) is has_maps
    expected = network.network("test_resnet", size, of["n_out"], kind=network.kind_of(body), forms=head.forms)
    assert list(learn.model.state_dict()) == list(expected.state_dict())  # those of model files
    x = 100 * torch.randn(64, 3, *size)
    with torch.no_grad():
        head[0].weight.mul_(1000)
        y = learn.model.eval()(x)
    assert y.shape == (64, of["n_out"]) and y.min() >= -1.1 and y.max() <= 1.1
    assert y.abs().max() == pytest.approx(1.1)  # as far as it goes


@pytest.mark.parametrize("kind", TARGETS)
def test_the_data_block_has_an_image_block_and_a_point_or_regression_block_for_each_target(table, monkeypatch, kind):
    calls = []
    real = datablock.DataBlock
    monkeypatch.setattr(datablock, "DataBlock", lambda blocks, **of: calls.append(blocks) or real(blocks=blocks, **of))
    dls = functions.dataloaders(table, **options(kind, (32, 48)), cache="off", workers=0)
    image, *labels = calls[0]
    assert image.type_tfms == [datablock.Picture.create] and dls.n_inp == 1
    for spec, block in zip(TARGETS[kind], labels, strict=True):
        if "point" in spec:
            assert block is PointBlock
            assert any(isinstance(t, PointScaler) for t in dls.valid.after_item.fs)
        else:
            assert [isinstance(t, RegressionSetup) for t in block.type_tfms] == [True]
