"""Whatever a program hands over to predict for gives what the file gives, or one line that says what to do."""
import io
import json
import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

import imgreg_fastai
from imgreg_fastai import load
from imgreg_fastai.data.images import PictureError
from imgreg_fastai.inference.inputs import list_pictures
from imgreg_fastai.utils.messages import ImgregError


@pytest.fixture(scope="module")
def model(run):
    return load(run.path)


@pytest.fixture(scope="module")
def path(drawn):
    return sorted((drawn / "images").glob("*.png"))[0]


FORMS = {  # one image, in every form that says the same as its file
    "text": str, "numpy text": lambda p: np.str_(p), "bytes": Path.read_bytes, "file": lambda p: p.open("rb"),
    "buffer": lambda p: io.BytesIO(p.read_bytes()), "view of bytes": lambda p: memoryview(p.read_bytes()),
    "pillow": Image.open, "list": lambda p: [p], "generator": lambda p: (x for x in [p]), "set": lambda p: {p},
    "series": lambda p: pd.Series([str(p)]), "paths": lambda p: np.array([str(p)]),
}
ARRAYS = {
    "uint8": lambda a: a, "floats": lambda a: a / 255, "float32 colours first": lambda a: (a / 255).transpose(2, 0, 1),
    "int64": lambda a: a.astype(np.int64), "uint16": lambda a: a.astype(np.uint16) * 257, "batch": lambda a: a[None],
    "list": lambda a: [a], "view": memoryview, "tensor": lambda a: torch.tensor(a / 255).permute(2, 0, 1),
    "batch of tensors": lambda a: torch.tensor(a).permute(2, 0, 1)[None], "gradient": lambda a: torch.tensor(
        a / 255, requires_grad=True), "opaque": lambda a: np.dstack([a, np.full(a.shape[:2], 255, np.uint8)]),
    "half": lambda a: (torch.tensor(a) / 255).bfloat16(),
}


@pytest.mark.parametrize("form", FORMS)
def test_one_image_in_any_form_gives_the_same(model, path, form):
    expected = model.predict(path, quiet=True)["angle"]
    np.testing.assert_allclose(model.predict(FORMS[form](path), quiet=True)["angle"], expected, atol=1e-3)
    np.testing.assert_allclose(imgreg_fastai.predict(model, FORMS[form](path))["angle"], expected, atol=1e-3)


@pytest.mark.parametrize("form", ARRAYS)
def test_arrays_of_any_layout_and_type_give_the_same(model, path, form):
    array = np.asarray(Image.open(path).convert("RGB")).copy()
    atol = 0.5 if form == "half" else 1e-3  # which has three digits
    np.testing.assert_allclose(model.predict(ARRAYS[form](array), quiet=True)["angle"],
                               model.predict(path, quiet=True)["angle"], atol=atol)


@pytest.mark.parametrize(("change", "told"), [
    (lambda a: a.astype(np.float32), r"found 'image 0': float32 from [\d.]+ to [\d.]+; try array / 255, or"),
    (lambda a: (a / 255 - 0.485) / 0.229, "try the array as it was before it was normalised"),
    (lambda a: a.astype(np.int64) * 300, "int64 from .* try array.astype"), (lambda a: a[..., :2], "shape"),
    (lambda a: [a] * 2 + [None], None), (lambda a: {"image": a}, r"found a dict; try list\(images.values\(\)\)"),
    (lambda a: np.stack([a[..., 0]] * 9), r"several grey images"), (lambda a: [], "found none"),
    (lambda a: None, "not a path, bytes, an array or a Pillow image"), (lambda a: io.StringIO("x"), "open.PATH, 'rb'"),
])
def test_what_would_give_another_number_is_one_line(model, path, change, told, caplog):
    given = change(np.asarray(Image.open(path).convert("RGB")))
    if told:
        with pytest.raises(ImgregError, match=told) as error:
            model.predict(given, quiet=True)
        assert "\n" not in str(error.value)
    else:  # one that is wrong among many is named, counted and left out
        with caplog.at_level(logging.WARNING):
            assert list(model.predict(given, quiet=True)["image"]) == [0, 1]
        assert "left out 1 of 3 images that cannot be used: 'image 2': not a path" in caplog.text


def test_a_table_may_stand_in_place_of_the_images_of_a_predictor_as_of_predict(model, path, tmp_path):
    (tmp_path / "t.csv").write_text(f"image,more\n{path},1\n{path},2\n")
    whole = imgreg_fastai.predict(model, tmp_path / "t.csv")
    pd.testing.assert_frame_equal(model.predict(tmp_path / "t.csv", quiet=True), whole, check_like=True)
    ensemble = load([model, model])
    np.testing.assert_allclose(ensemble.predict(str(tmp_path / "t.csv"), quiet=True)["angle"], whole["angle"])
    assert list(whole["image"]) == [str(path)] * 2


def test_several_images_keep_their_order_and_sets_are_sorted(path):
    assert list_pictures({"b.png", "a.png"}) == ["a.png", "b.png"]
    assert len(list_pictures(np.zeros((5, 8, 8, 3), np.uint8))) == 5 and len(list_pictures([b"a", b"b"])) == 2


def test_what_is_not_used_of_an_image_is_told_and_by_an_ensemble_once(model, path, tmp_path, caplog):
    Image.open(path).save(tmp_path / "a.gif", save_all=True, append_images=[Image.open(path).rotate(90)])
    for one in (model, load([model, model])):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            one.predict([tmp_path / "a.gif", path], quiet=True)
        told = "several frames or pages (1 more): 1 of 2 images (a.gif); the first of them is seen"
        assert caplog.text.count(told) == 1
    caplog.clear()
    model.predict(path, quiet=True)
    assert not caplog.records


def test_levels_of_training_are_in_the_model_file_and_checked_at_prediction(run, tmp_path, caplog):
    from dataclasses import replace

    model = load(run.path)
    assert model.about["levels"] == {"deep": 0.0}
    deep = replace(model, about={**model.about, "levels": {"deep": 1.0, "low": [0, 9], "high": [4000, 4091],
                                                           "shown": [0, 65535]}})
    with caplog.at_level(logging.WARNING):
        deep.predict([np.full((9, 9), 200, np.uint8), np.linspace(0, 60000, 81).reshape(9, 9).astype(np.uint16)],
                     quiet=True)
    assert "images of 8 bits: 1 of 2 images (image 0); the model was trained on images of 16 or 32 bits" in caplog.text
    assert "other brightness than in training: 1 of 2 images (image 1 holds 0 to 60000)" in caplog.text
    caplog.clear()
    older = replace(model, about={name: value for name, value in model.about.items() if name != "levels"})
    older.predict(np.full((9, 9), 200, np.uint16), quiet=True)
    assert not caplog.records


@pytest.mark.parametrize("levels", [{"deep": 1, "low": [1], "high": [2, 3]}, {"deep": 1, "low": "ab"}, 5,
                                    {"deep": 1, "low": [0, float("nan")], "high": [1, 2]}, {"low": [0, 1]}])
def test_levels_that_are_none_are_refused_when_a_model_file_is_opened(run, tmp_path, levels):
    from imgreg_fastai.inference import model_file

    model = load(run.path)
    about = json.loads(json.dumps({**model.about, "levels": levels}))
    path = model_file.save_model(tmp_path / "m.imgreg", model.network, about)
    with pytest.raises(ImgregError, match="do not agree"):
        load(path)


def test_max_pixels_of_a_prediction_opens_a_scan(model, path, tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(PictureError, match="--max-pixels"):
        imgreg_fastai.predict(model, path)
    expected = imgreg_fastai.predict(model, path, max_pixels=10**8)
    assert len(imgreg_fastai.predict([model, model], path, max_pixels=10**8, draw=tmp_path / "d")) == len(expected) == 1
    assert len(list((tmp_path / "d").iterdir())) == 1 and model.task.max_pixels is None


def test_images_of_one_name_in_two_folders_are_two_in_what_is_told(model, tmp_path, caplog):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        Image.new("RGBA", (40, 40), (200, 0, 0, 90)).save(tmp_path / folder / "0.png")
    model.predict([tmp_path / "a" / "0.png", tmp_path / "b" / "0.png"], quiet=True)
    assert any("a transparent image: 2 of 2 images (0.png, 0.png)" in message for message in caplog.messages)
