import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from fastai.learner import load_learner
from fastai.vision.core import PILImage
from PIL import Image

from imgreg_fastai import export, load
from imgreg_fastai.api import fitting, functions
from imgreg_fastai.inference import model_file
from imgreg_fastai.models import backbones
from imgreg_fastai.runs import Run
from imgreg_fastai.tasks.geometry import place_picture, to_pixels
from imgreg_fastai.training.transforms import Boxed
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import BOX, TINY, plots_left_out


def test_the_learner_holds_no_picture_table_or_absolute_path(run, drawn, tmp_path):
    path = export(run, out=tmp_path / "export.pkl")
    with zipfile.ZipFile(path) as archive:
        pickled = next(archive.read(n) for n in archive.namelist() if n.endswith("data.pkl"))
    for word in (b"/tmp", b"/home", b"/root", b"site-packages", b"imgreg_fastai/", b"sample0", b"blank", b"labels.csv"):
        assert word not in pickled, word
    assert path.stat().st_size < (run.path / "model.safetensors").stat().st_size + 61_000


def test_the_bundle_holds_everything_and_no_pickle(run, drawn, tmp_path):
    path = export(run, "bundle", tmp_path / "model.imgreg")
    content = path.read_bytes()
    assert not zipfile.is_zipfile(path) and b"pickle" not in content and str(drawn).encode() not in content
    assert int.from_bytes(content[:8], "little") < len(content) and content[8:9] == b"{"  # safetensors' header
    pictures = list((drawn / "images").glob("*.png"))[:5]
    expected = load(run.path).predict(pictures)["angle"]
    np.testing.assert_array_equal(load(path).predict(pictures)["angle"], expected)


def test_defaults_lie_in_the_run_and_nothing_of_the_users_is_written_over(run, tmp_path):
    copy = tmp_path / "angle-001"
    shutil.copytree(run.path, copy)
    assert export(copy) == copy / "export.pkl" and export(copy, "bundle") == copy / "model.imgreg"
    mine = tmp_path / "mine.imgreg"
    mine.write_text("precious")
    with pytest.raises(ImgregError, match="new file"):
        export(copy, "bundle", mine)
    assert mine.read_text() == "precious"
    with pytest.raises(ImgregError, match="learner or bundle"):
        export(copy, "onnx")
    with pytest.raises(ImgregError, match="mkdir"):
        export(copy, "bundle", tmp_path / "no" / "m.imgreg")
    (copy / "model.safetensors").unlink()
    with pytest.raises(ImgregError):
        export(copy, "bundle", tmp_path / "other.imgreg")


def test_the_learner_takes_an_image_in_any_form_and_get_preds_has_units_beside_its_outputs(run, drawn, tmp_path):
    learn = load_learner(export(run.path, out=tmp_path / "export.pkl"))
    path = next((drawn / "images").glob("*.png"))
    picture, task = Image.open(path).convert("RGB"), run.task
    pixels = np.asarray(picture)
    degrees = load(run.path).predict(path)["angle"][0]
    for item in (str(path), path, picture, pixels, path.read_bytes(), PILImage.create(path), picture.convert("RGBA")):
        assert learn.predict(item)[0] == pytest.approx(degrees, abs=1e-3), type(item)
    outputs, _, units = learn.get_preds(dl=learn.dls.test_dl([path, pixels]), with_decoded=True)
    assert outputs.shape == (2, task.n_out) and outputs.abs().max() <= 1.1
    np.testing.assert_allclose(units.numpy().ravel(), degrees, atol=1e-3)
    np.testing.assert_allclose(task.targets[0].decode(outputs.numpy()).ravel(), degrees, atol=1e-3)


def test_the_learner_names_an_image_that_it_cannot_open_in_one_line(run, drawn, tmp_path):
    learn = load_learner(export(run.path, out=tmp_path / "export.pkl"))
    (tmp_path / "broken.png").write_bytes(b"no image")
    good = next((drawn / "images").glob("*.png"))
    with pytest.raises(ImgregError, match=r"broken\.png"):
        learn.predict(tmp_path / "broken.png")
    with pytest.raises(ImgregError, match=r"broken\.png"):  # and no prediction takes the place of another
        learn.get_preds(dl=learn.dls.test_dl([good, tmp_path / "broken.png", good]))
    with pytest.raises(ImgregError, match="floats"):
        learn.predict(np.full((32, 32, 3), 200.0, np.float32))


def test_the_learner_does_not_average_moved_images(run, tmp_path):
    learn = load_learner(export(run.path, out=tmp_path / "export.pkl"))
    assert "flip" in run.task.augment
    with pytest.raises(ImgregError, match=r"tta=True"):
        learn.tta(dl=learn.dls.test_dl([np.zeros((32, 32, 3), np.uint8)]))


# points and rotations

OPEN = """
import sys, json, warnings
warnings.filterwarnings("ignore")
from fastai.learner import load_learner
tell = lambda y: y.tolist() if hasattr(y, "tolist") else y if isinstance(y, float) else [tell(v) for v in y]
for path in sys.argv[1:]:
    learn = load_learner(path)
    decoded, raw, _ = learn.predict("bar.png" if path == "bars.pkl" else "photo.png")
    print(json.dumps([type(decoded).__name__, tell(decoded), len(learn.dls.train_ds)]))
"""


KINDS = {
    "number": {"targets": ["n:number"], "balance": True},
    "log": {"targets": ["n:number"], "scale": "log"},
    "angle": {"targets": ["way:angle360"]},
    "rotation": {"targets": ["pose:rotation"]},
    "points": {"targets": ["spots=rx,ry,bx,by:point"]},
    "pooled": {"targets": ["spots=rx,ry,bx,by:point"], "size": (16, 16), "arch": "test_vit"},  # points without maps
    "several": {"targets": ["spot=rx,ry:point", "pose:rotation", "n:number", "way:angle360"]},
}
HEADS = {"number": "positions", "log": "positions", "points": "maps", "several": "maps"}  # others: pooled


def test_exported_learners_of_every_kind_and_head_predict_in_an_empty_folder_what_the_run_does(spotted, run, drawn,
                                                                                               tmp_path):
    folder, picture, table = tmp_path / "empty", spotted["path"][3], tmp_path / "labels.csv"
    folder.mkdir()
    bar = next((drawn / "images").glob("*.png"))
    for source, name in ((picture, "photo.png"), (bar, "bar.png")):
        shutil.copy(source, folder / name)
    spotted.assign(image=spotted["path"], n=spotted["n"] + 1).drop(columns="path").to_csv(table, index=False)
    assert export(run.path, out=folder / "bars.pkl") == folder / "bars.pkl"
    models = {"bars": load(run.path)}
    for name, options in KINDS.items():
        options = {**TINY, "fit": "squish", **options}
        plan = functions.prepare(table, **options)
        task, cfg = plan.task, plan.config
        learn = functions.learner(table, **options)  # a run without its training, plots and report
        torch.nn.init.normal_(learn.model[1][0].weight, std=0.5)
        about = model_file.model_metadata(task, cfg.arch, cfg.arch_args, backbones.stats(cfg.arch), {},
                                          **fitting.network_fields(learn))
        assert about["head"] == HEADS.get(name, "pooled")
        model_file.save_model(tmp_path / name / model_file.MODEL, learn.model, about)
        unscored = Run(tmp_path / name, {"config": cfg.to_dict()})
        export(unscored, out=folder / f"{name}.pkl")
        models[name] = load(tmp_path / name)
        bundle = load(export(unscored, "bundle", tmp_path / f"{name}.imgreg"))
        assert bundle.predict(picture).equals(models[name].predict(picture))
    command = [sys.executable, "-c", OPEN, *(f"{name}.pkl" for name in models)]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    for line, (name, model) in zip(ran.stdout.splitlines()[-len(models):], models.items(), strict=True):
        kind, labels, n_rows = json.loads(line)
        assert n_rows == 0
        if name in ("points", "pooled"):
            assert kind == "TensorPoint" and np.shape(labels) == (2, 2)
        labels = labels if name == "several" else [labels]
        source = bar if name == "bars" else picture
        width, height = Image.open(source).size
        scale = np.divide((width, height), model.task.size[::-1])  # fastai's points are pixels of the squished image
        values = [np.ravel(np.reshape(label, (-1, 2)) * scale if t.in_image else label)
                  for t, label in zip(model.task.targets, labels, strict=True)]
        expected = model.predict(source)[model.task.columns].to_numpy()[0]
        np.testing.assert_allclose(np.concatenate(values), expected.astype(float), atol=0.01, err_msg=name)


@pytest.mark.usefixtures("without_plots")
def test_a_run_that_was_balanced_is_exported_without_labels(spotted, tmp_path):
    table = Path(spotted["path"][0]).parent / "labels.csv"
    run = functions.train(table, targets=["n:number"], balance=True, out=tmp_path / "runs", **TINY)
    learn = load_learner(export(run, out=tmp_path / "export.pkl"))
    value = float(np.ravel(learn.predict(spotted["path"][4])[0])[0])
    assert value == pytest.approx(load(run.path).predict(spotted["path"][4])["n"][0], abs=1e-3)


@pytest.fixture(scope="module")
def boxed(spotted, tmp_path_factory):
    """A run with a point and a box, of one epoch; do not write into it."""
    table = Path(spotted["path"][0]).parent / "labels.csv"
    with plots_left_out():
        return functions.train(table, targets=["spot=rx,ry:point"], box=BOX, fit="squish", margin=0.0,
                               out=tmp_path_factory.mktemp("boxed"), **TINY)


def test_a_bundle_of_a_box_model_takes_its_boxes_along(spotted, boxed, tmp_path):
    model = load(export(boxed, "bundle", tmp_path / "m.imgreg"))
    boxes = spotted[list(BOX)].to_numpy()
    expected = load(boxed.path).predict(list(spotted["path"]), boxes)
    assert model.task == boxed.task and model.predict(list(spotted["path"]), boxes).equals(expected)


def test_a_learner_of_a_box_model_sees_the_box_and_refuses_a_picture_without_one(spotted, boxed, tmp_path):
    """Else it would see the whole image, and be wrong without a word."""
    learn = load_learner(export(boxed, out=tmp_path / "export.pkl"))
    path, box = spotted["path"][4], tuple(spotted.loc[4, list(BOX)].astype(float))
    spot = place_picture(Image.open(path).size, boxed.task.size, "squish", box)
    found, _, _ = learn.predict(Boxed(path, box))
    across = np.ravel(found) / (boxed.task.size[1], boxed.task.size[0]) * 2 - 1
    expected = load(boxed.path).predict(path, box)[["rx", "ry"]].to_numpy()
    np.testing.assert_allclose(to_pixels(across[None, None], spot.view[None])[0], expected, atol=0.01)
    with pytest.raises(ImgregError, match="Boxed"):
        learn.predict(path)


def test_an_ending_that_stands_for_no_format_is_refused(run, tmp_path):
    with pytest.raises(ImgregError, match=r"expected --out ending in \.pkl or \.imgreg, or --format; found .*foo\.zip"):
        export(run, out=tmp_path / "foo.zip")
    assert not (tmp_path / "foo.zip").exists()
