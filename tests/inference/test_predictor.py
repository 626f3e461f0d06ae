import json
import logging
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from imgreg_fastai import load
from imgreg_fastai.api import fitting, functions
from imgreg_fastai.config import TrainConfig
from imgreg_fastai.evaluation import metrics
from imgreg_fastai.inference import model_file, predictor
from imgreg_fastai.models import backbones, network
from imgreg_fastai.tasks import Angle, Number, Point, Rotation, Task
from imgreg_fastai.training import learner
from imgreg_fastai.training.losses import to_plain_tensor
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import BOX, SHAPES, TINY


@pytest.fixture
def pictures(drawn):
    return sorted((drawn / "images").glob("*.png"))[:9]


def test_paths_arrays_bytes_and_pillow_pictures_agree(run, pictures):
    model = load(run.path)
    by_path = model.predict(pictures)
    assert list(by_path.columns) == ["image", "angle"] and list(by_path["image"]) == [str(p) for p in pictures]
    for given in ([p.read_bytes() for p in pictures], [Image.open(p) for p in pictures],
                  [np.asarray(Image.open(p).convert("RGB")) for p in pictures]):
        np.testing.assert_allclose(model.predict(given)["angle"], by_path["angle"], atol=1e-3)
    one = model.predict(str(pictures[3]))
    np.testing.assert_allclose(one["angle"], by_path["angle"][3], atol=1e-3)
    np.testing.assert_allclose(model.predict(pictures, bs=2)["angle"], by_path["angle"], atol=1e-3)


def test_predictions_are_those_of_training(run, drawn):
    """The network through fastai's DataLoaders and Learner, and through the Predictor: the same to float32."""
    from imgreg_fastai.training import datablock

    model = load(run.path)
    frame = run.labels
    dls = datablock.build_dataloaders(frame, model.task, run.config, (model.about["mean"], model.about["std"]), "cpu")
    with torch.inference_mode():
        through_fastai = torch.cat([model.network(x.as_subclass(torch.Tensor)) for x, _ in dls.valid])
    seen = model.predict_outputs(list(frame.loc[frame["split"] == "valid", "path"]))
    assert not seen.broken and seen.views.shape == (12, 4)
    np.testing.assert_allclose(seen.outputs, through_fastai.numpy(), atol=1e-5)


def test_broken_pictures_are_named_and_left_out(run, pictures, tmp_path, caplog):
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"\x89PNG nothing")
    with caplog.at_level(logging.WARNING):
        frame = load(run.path).predict([pictures[0], bad, tmp_path / "gone.png", pictures[1]])
    assert list(frame["image"]) == [str(pictures[0]), str(pictures[1])]
    assert "left out 2 of 4" in caplog.text and "bad.png" in caplog.text and "gone.png" in caplog.text
    with pytest.raises(ImgregError, match=r"bad\.png"):
        load(run.path).predict(bad)


def test_a_rebuilt_model_is_the_same_to_the_bit(run, tmp_path):
    model = load(run.path)
    again = load(model_file.save_model(tmp_path / "copy.imgreg", model.network, model.about))
    assert again.about == model.about
    for a, b in zip(model.network.state_dict().values(), again.network.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    about = json.dumps(model.about)
    assert str(run.path) not in about and "/tmp" not in about


def test_a_calibrated_model_comes_back_with_its_intervals(calibrated, pictures, tmp_path):
    model = load(calibrated.path)
    about = model.about["calibration"]
    assert about["coverage"] == 0.9 and about["pictures"] == about["units"] == 32
    path = model_file.save_model(tmp_path / "copy.imgreg", model.network, model.about, model.calibration)
    mine, again = model.predict(pictures), load(path).predict(pictures)
    pd.testing.assert_frame_equal(mine, again)
    assert list(mine.columns) == ["image", "angle", "angle_within", "ood"] and (mine["angle_within"] > 0).all()
    assert (load(path).predict(pictures, coverage=0.5)["angle_within"] < mine["angle_within"]).all()
    pd.testing.assert_frame_equal(model.predict(pictures, bs=2), mine, atol=1e-3)


def test_a_coverage_that_cannot_be_promised_is_one_line_before_the_work(calibrated, run, pictures):
    with pytest.raises(ImgregError, match=r"at most 0\.969: 32 images calibrate this model; found 0\.99"):
        load(calibrated.path).predict(["gone.png"], coverage=0.99)
    with pytest.raises(ImgregError, match="--coverage with a model that has intervals"):
        load(run.path).predict(pictures, coverage=0.9)


def test_where_no_picture_opens_a_calibrated_model_says_so(calibrated, tmp_path):
    (tmp_path / "bad.png").write_bytes(b"nothing")
    with pytest.raises(ImgregError, match=r"bad\.png"):
        load(calibrated.path).predict(tmp_path / "bad.png")


@pytest.mark.parametrize("name, value", [
    ("calibration.weights", torch.zeros(2, 2)), ("calibration.scores", torch.zeros(0, 1)), ("calibration.more", None),
    ("calibration.scores", torch.full((32, 1), float("inf"))), ("calibration.mean", torch.zeros(3)),
    ("calibration.variance", torch.zeros(9))])
def test_a_changed_calibration_is_refused_in_one_line(calibrated, tmp_path, name, value):
    state = load_file(calibrated.path / model_file.MODEL)
    state[name] = torch.zeros(1) if value is None else value.double()
    save_file(state, tmp_path / "m.imgreg", metadata={"imgreg": json.dumps(load(calibrated.path).about)})
    with pytest.raises(ImgregError, match="whose parts do not agree"):
        load(tmp_path / "m.imgreg")


class Evil:
    def __reduce__(self):
        return print, ("opened a pickle",)


def test_what_is_no_model_is_refused_in_one_line_and_no_pickle_is_opened(run, tmp_path, capsys):
    files = {"evil.pkl": pickle.dumps(Evil()), "evil.imgreg": pickle.dumps(Evil()), "text.imgreg": b"hello",
             "empty.imgreg": b"", "huge.imgreg": b"\xff" * 64}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    torch.save({"a": Evil()}, tmp_path / "zip.pth")
    save_file({"a": torch.zeros(1)}, tmp_path / "foreign.safetensors")
    for path in [*tmp_path.iterdir(), tmp_path / "gone", tmp_path]:
        with pytest.raises(ImgregError) as e:
            load(path)
        assert "\n" not in str(e.value)
    assert "opened" not in capsys.readouterr().out


@pytest.mark.parametrize("change", [
    {"format": 99}, {"task": {}}, {"task": 5}, {"arch": "resnet999"}, {"arch_args": {"channels": [1]}}, {"mean": [1]},

    {"arch": "hf-hub:evil/x"}, {"arch_args": {"checkpoint_path": "/etc/passwd"}},
    {"mean": ["a", "b", "c"]}, {"arch": None}, {"arch_args": 5}, {"std": None}])
def test_a_changed_model_file_is_refused_in_one_line(run, tmp_path, change):
    state = load_file(run.path / model_file.MODEL)
    about = {**load(run.path).about, **change}
    save_file(state, tmp_path / "m.imgreg", metadata={"imgreg": json.dumps(about)})
    with pytest.raises(ImgregError):
        load(tmp_path / "m.imgreg")


def test_a_model_file_is_written_whole_or_not_at_all(run, tmp_path):
    model = load(run.path)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ImgregError, match="written"):
        model_file.save_model(tmp_path / "file" / "m.imgreg", model.network, model.about)
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_predicting_needs_no_fastai(run, pictures):
    code = (f"import sys; from imgreg_fastai import load; load({str(run.path)!r}).predict({str(pictures[0])!r});"
            "assert 'fastai' not in sys.modules")
    subprocess.run([sys.executable, "-c", code], check=True)


def test_outputs_are_columns_of_the_labels_table(run):
    model = load(run.path)
    outputs = np.array([[0.0, 1.0], [-1.0, 0.0]], np.float32)
    columns = model.decode(predictor.NetworkOutput(outputs, np.ones((2, 4)), {}))
    assert {k: list(v) for k, v in columns.items()} == {"angle": [45.0, 90.0]}
    assert isinstance(pd.DataFrame(columns), pd.DataFrame)


# points, rotations, boxes

VIEWS = [("pad", ()), ("crop", ()), ("squish", ()), ("pad", BOX), ("squish", BOX)]


def four(fit="pad", box=()):
    """A task of all four kinds."""
    targets = (Point("spots", ("rx", "ry", "bx", "by"), follows=True), Number("n", ("n",)),
               Rotation("pose", ("yaw", "pitch", "roll")), Angle("way", ("way",)))
    return Task("four", targets, size=(32, 48), fit=fit, box=box, augment=())


@pytest.mark.parametrize(("fit", "box"), VIEWS)
def test_all_kinds_at_once_are_seen_alike_by_training_and_predicting(spotted, fit, box, tmp_path):
    """The batches of a Learner through its model and loss, and the files through a Predictor: one set of numbers."""
    table = Path(spotted["path"][0]).parent / "labels.csv"
    learn = functions.learner(four(fit, box), data=table, **{**TINY, "cache": "off", "workers": 0})
    task = learn.loss_func.task
    about = model_file.model_metadata(task, "test_resnet", {}, backbones.stats("test_resnet"), {},
                                      **fitting.network_fields(learn))
    model = load(model_file.save_model(tmp_path / "m.imgreg", learn.model, about))
    valid = spotted[spotted["split"] == "valid"].reset_index(drop=True)
    boxes = valid[list(box)].to_numpy() if box else None
    ours, views, broken, *_ = model.predict_outputs(list(valid["path"]), boxes)
    learn.model.eval()
    with torch.inference_mode():
        parts = [(learn.model(x), *y) for x, *y in learn.dls.valid]
    theirs, *labels = (torch.cat([p.as_subclass(torch.Tensor) for p in part]) for part in zip(*parts, strict=True))
    np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)
    assert not broken and np.ptp(ours, axis=0).min() > 0  # the images differ, and so do the numbers
    known = learn.loss_func.decodes(theirs)
    result = model.predict(list(valid["path"]), boxes)
    for t, decoded, label in zip(task.targets, known, labels, strict=True):
        mine, true = result[list(t.columns)].to_numpy(), valid[list(t.columns)].to_numpy()
        decoded, label = (to_plain_tensor(y).numpy().astype(float) for y in (decoded, label))
        if isinstance(t, Point):
            decoded, label = t.decode(decoded, views), t.decode(label, views)
        np.testing.assert_allclose(mine, decoded, atol=2e-3)
        np.testing.assert_allclose(label, true, atol=1e-3)


class Redness(torch.nn.Module):
    """A network that looks: across the view, the centroids of what is red and of what is blue, by its brightness."""

    def __init__(self, stats):
        super().__init__()
        self.mean, self.std = (torch.tensor(s).view(3, 1, 1) for s in stats)

    def forward(self, x):
        bright = x * self.std + self.mean
        grey = torch.tensor([124.0, 116, 104]).view(3, 1, 1) / 255  # the padding
        bright = torch.where(((bright - grey).abs() < 0.004).all(dim=1, keepdim=True), 0.0, bright)
        bright = torch.where(bright > 0.05, bright, 0.0)
        y, x = (torch.arange(n) + 0.5 for n in bright.shape[-2:])
        across = [(bright.sum(dim=2) * x).sum(dim=2) / bright.sum(dim=(2, 3)) / len(x) * 2 - 1,
                  (bright.sum(dim=3) * y).sum(dim=2) / bright.sum(dim=(2, 3)) / len(y) * 2 - 1]
        return torch.stack([across[0][:, 0], across[1][:, 0], across[0][:, 2], across[1][:, 2]], dim=1)


@pytest.mark.parametrize(("fit", "box"), VIEWS)
def test_points_come_in_pixels_of_each_original_picture(spotted, fit, box):
    """A network that finds the blobs by their colour gives the table's own numbers, whatever the image's shape."""
    stats = backbones.stats("test_resnet")
    task = Task("spots", (four().targets[0],), size=(64, 96), fit=fit, box=box, margin=1.0, augment=())
    net = torch.nn.Sequential(Redness(stats), torch.nn.Identity())
    model = predictor.Predictor(task, net, {"mean": stats[0], "std": stats[1]})
    result = metrics.predictions(model, spotted)
    assert len(result) == 16 and len({tuple(s) for s in SHAPES}) == 4
    inside = result["spots_error"].to_numpy()
    if fit == "crop":  # only where the crop cuts nothing off
        x, y = result["rx"].to_numpy(), result["ry"].to_numpy()
        middle = [(w / 2, h / 2, min(w, h * 1.5) / 2 - 7, min(h, w / 1.5) / 2 - 7) for w, h in SHAPES * 4]
        kept = [abs(a - m) < r and abs(b - n) < s for a, b, (m, n, r, s) in zip(x, y, middle, strict=True)]
        off = np.hypot(result["rx_predicted"] - x, result["ry_predicted"] - y)[kept]
        assert len(off) >= 4
    else:
        off = inside
    assert off.max() < 0.7, off


def test_a_model_of_boxes_tells_what_to_do_without_them(spotted):
    task = Task("spots", (four().targets[0],), size=(32, 48), box=BOX, augment=())
    about = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    model = predictor.Predictor(task, network.network("test_resnet", (32, 48), 4).eval(), about)
    paths = list(spotted["path"][:3])
    told = r"a box for each of 3 images: this model was trained on cx, cy, w, h; found none; try a table with these"
    with pytest.raises(ImgregError, match=told):
        model.predict(paths)
    for boxes in ([[1, 2, 3, 4]] * 2, [[1, 2, 3]] * 3, [1, 2, 3, 4], np.ones((3, 4, 1))):
        with pytest.raises(ImgregError, match="a box for each of 3 images") as e:
            model.predict(paths, boxes)
        assert "\n" not in str(e.value)
    assert len(model.predict(paths[0], spotted.loc[0, list(BOX)])) == 1
    with pytest.raises(ImgregError, match=r"a box within the image"):
        model.predict(paths[0], [900, 20, 10, 10])


def test_a_model_without_boxes_takes_no_notice_of_them(run, pictures):
    model = load(run.path)
    assert model.predict(pictures[0], [1, 2, 3, 4]).equals(model.predict(pictures[0]))


@pytest.mark.parametrize("box", [(), BOX])
def test_a_table_may_stand_in_place_of_the_pictures(spotted, tmp_path, box):
    """Its images, with its boxes; the labels need not be there, and rows without a box are named and left out."""
    task = Task("spots", (four().targets[0],), size=(32, 48), box=box, augment=())
    about = {"mean": (0.5,) * 3, "std": (0.5,) * 3}
    model = predictor.Predictor(task, network.network("test_resnet", (32, 48), 4).eval(), about)
    table = tmp_path / "t.csv"
    spotted.assign(image=spotted["path"])[["image", *BOX]].to_csv(table, index=False)
    by_table = functions.predict(model, table)
    by_hand = model.predict(list(spotted["path"]), spotted[list(BOX)].to_numpy() if box else None)
    pd.testing.assert_frame_equal(by_table, by_hand)
    pd.testing.assert_frame_equal(functions.predict(model, [str(table)]), by_hand)
    assert list(by_table.columns) == ["image", "rx", "ry", "bx", "by"]
    if box:
        spotted.assign(image=spotted["path"])[["image", "cx"]].to_csv(table, index=False)
        with pytest.raises(ImgregError, match="a column 'cy' in"):
            functions.predict(model, table)


@pytest.mark.parametrize("stats", [{"std": [0, 1, 1]}, {"mean": [float("nan")] * 3}, {"mean": [1, 2]}, {"std": None}])
def test_a_model_file_whose_statistics_are_none_is_refused(run, tmp_path, stats):
    model = load(run.path)
    model_file.save_model(tmp_path / "odd.imgreg", model.network, {**model.about, **stats})
    with pytest.raises(ImgregError, match="do not agree"):
        load(tmp_path / "odd.imgreg")


def test_a_model_file_that_tells_its_histograms_as_format_4_did_predicts_the_same(tmp_path):
    task = Task("t", (Point("tip", ("x", "y")), Number("n", ("n",), low=0.0, high=1.0)), size=(48, 48), augment=())
    forms = learner.output_forms(task, TrainConfig(loss="histogram"))
    net = network.network("test_resnet", task.size, task.n_out, {}, "positions", forms)
    about = model_file.model_metadata(task, "test_resnet", {}, backbones.stats("test_resnet"), {}, forms=forms,
                                      head="positions")
    new = load(model_file.save_model(tmp_path / "new.imgreg", net, about))
    assert about.pop("forms") == ["sigmoid", "sigmoid", "line"] and about.pop("head") == "positions"
    older = {**about, "format": 4, "histograms": [False, False, True]}
    old = load(model_file.save_model(tmp_path / "old.imgreg", net, older))
    images = [np.random.default_rng(0).integers(0, 255, (48, 48, 3), np.uint8)]
    assert new.predict(images).equals(old.predict(images))
