"""Features on disk: computed once, for the same images and the same network only, whatever happens to the files."""
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from imgreg_fastai.data.images import PictureError
from imgreg_fastai.evaluation import feature_cache
from imgreg_fastai.evaluation.feature_cache import cache_folder, frozen_features
from imgreg_fastai.inference.predictor import Predictor
from imgreg_fastai.models import features, timm_body
from imgreg_fastai.tasks import Number, Task
from tests.conftest import BOX

TASK = Task("t", (Number("n", ("n",)),), (32, 48))
ABOUT = {"arch": "test_resnet", "arch_args": {}, "mean": [0.5] * 3, "std": [0.25] * 3}


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("IMGREG_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "features"


@pytest.fixture
def sent(monkeypatch):
    """How many images went through a network, each time."""
    counts, forward = [], Predictor.forward
    monkeypatch.setattr(Predictor, "forward", lambda self, x: counts.append(len(x)) or forward(self, x))
    return counts


def model_of(seed=0, task=TASK, **about):
    torch.manual_seed(seed)
    body = features.FrozenFeatures(timm_body.build("test_resnet", task.size), task.size)
    return Predictor(task, nn.Sequential(body, nn.Identity()).eval(), {**ABOUT, **about})


def test_each_image_is_sent_once(spotted, sent):
    _, output = frozen_features(model_of(), spotted[:10])
    again_rows, again = frozen_features(model_of(), spotted[::-1])
    assert sent == [10, 6] and list(again_rows["image"]) == list(spotted["image"][::-1])
    assert np.array_equal(again.features[::-1][:10], output.features)
    assert np.array_equal(again.views[::-1][:10], output.views)
    direct = model_of().predict_outputs(list(spotted["path"][:10]), features=True, quiet=True)
    assert np.allclose(output.features, direct.features, rtol=1e-3, atol=1e-4)
    assert np.array_equal(output.views, direct.views)


def test_other_weights_sizes_and_boxes_are_another_matter(spotted, sent):
    box_task = replace(TASK, box=BOX)
    models = [model_of(), model_of(seed=1), model_of(task=replace(TASK, size=(48, 48))), model_of(mean=[0.4] * 3),
              model_of(task=replace(TASK, fit="squish")), model_of(task=box_task)]
    outputs = [frozen_features(model, spotted)[1].features for model in models]
    frozen_features(model_of(task=box_task), spotted.assign(w=spotted["w"] + 1))
    assert sent == [16] * 7
    assert not any(np.array_equal(outputs[0], other) for other in outputs[1:])


def test_files_that_are_damaged_are_computed_again(spotted, sent, folder):
    expected = frozen_features(model_of(), spotted)[1].features
    (file,) = folder.glob("*/*.safetensors")
    content = file.read_bytes()
    for damaged in (b"", b"x" * 100, content[: len(content) // 2], content.replace(b"keys", b"kkkk")):
        file.write_bytes(damaged)
        assert np.array_equal(frozen_features(model_of(), spotted)[1].features, expected)
    assert sent == [16] * 5 and file.read_bytes() == content


def test_a_folder_that_cannot_be_used_is_none(spotted, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("IMGREG_CACHE", str(tmp_path / "file"))
    assert len(frozen_features(model_of(), spotted)[0]) == 16


def test_the_oldest_files_are_removed(spotted, sent, monkeypatch, folder):
    monkeypatch.setattr(feature_cache, "CHUNK", 4)
    frozen_features(model_of(), spotted[:12])
    sizes = [file.stat().st_size for file in folder.glob("*/*.safetensors")]
    monkeypatch.setattr(feature_cache, "MAX_BYTES", 2 * max(sizes))
    frozen_features(model_of(), spotted[12:])
    assert len(sizes) == 3 and len(list(folder.glob("*/*.safetensors"))) == 2
    assert frozen_features(model_of(), spotted)[1].features.shape[0] == 16


def test_broken_images_and_late_ones_are_left_out(spotted, tmp_path, monkeypatch, caplog):
    (tmp_path / "broken.png").write_bytes(b"no image")
    frame = spotted.copy()
    frame.loc[3, "path"] = str(tmp_path / "broken.png")
    frame.loc[5, "path"] = str(tmp_path / "gone.png")
    rows, output = frozen_features(model_of(), frame)
    assert [*output.broken] == [3, 5] and all(isinstance(e, PictureError) for e in output.broken.values())
    assert list(rows["image"]) == [f"{i}.png" for i in range(16) if i not in (3, 5)] and not caplog.text
    assert output.features.shape[0] == output.views.shape[0] == 14
    monkeypatch.setattr(feature_cache, "CHUNK", 4)
    clock = iter(range(0, 1000, 10))
    monkeypatch.setattr(feature_cache.time, "perf_counter", lambda: next(clock))
    assert len(frozen_features(model_of(seed=5), spotted, seconds=25.0)[0]) == 8


def test_where_the_folder_is(monkeypatch, tmp_path):
    assert cache_folder() == tmp_path / "cache" / "features"
    monkeypatch.delenv("IMGREG_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "imgreg" / "features"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert cache_folder() == tmp_path / "home" / ".cache" / "imgreg" / "features"
