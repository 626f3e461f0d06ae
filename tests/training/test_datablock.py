"""Batches: images and labels as the network gets them, from memory and from files alike."""
import logging
import pickle
import random

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.vision.core import PointScaler, TensorPoint
from fastai.vision.data import PointBlock
from PIL import Image

from imgreg_fastai.api.preparation import make_config
from imgreg_fastai.data import labels
from imgreg_fastai.models import backbones
from imgreg_fastai.tasks import ANGLE, Angle, Number, Point, Rotation, Task
from imgreg_fastai.tasks.geometry import place_picture, to_pixels
from imgreg_fastai.training import datablock, transforms
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import BOX, SHAPES

STATS = backbones.stats("resnet10t")
PLAIN = Task("angle", ANGLE.targets, size=(48, 48), augment=())


def table(drawn, task=PLAIN, **of):
    cfg = make_config(task, bs=16, workers=0, **of)
    return labels.assign_splits(labels.read_labels(drawn / "labels.csv", task), cfg), cfg


def everything(dl):
    return [torch.cat(parts).as_subclass(torch.Tensor) for parts in zip(*dl, strict=True)]


def test_from_memory_and_from_files_give_the_same_batches(drawn):
    frame, cfg = table(drawn, cache="on")
    kept = datablock.build_dataloaders(frame, PLAIN, cfg, STATS, "cpu")
    read = datablock.build_dataloaders(frame, PLAIN, table(drawn, cache="off")[1], STATS, "cpu")
    assert kept.train.pixels is not None and read.train.pixels is None
    for a, b in zip(everything(kept.valid), everything(read.valid), strict=True):
        torch.testing.assert_close(a, b)
    assert len(kept.train) == len(read.train) == 96 // 16


def test_pictures_are_normalised_by_the_backbone_and_labels_stay_in_units(drawn):
    frame, cfg = table(drawn)
    x, y = everything(datablock.build_dataloaders(frame, PLAIN, cfg, STATS, "cpu").valid)
    white = (1 - torch.tensor(STATS[0])) / torch.tensor(STATS[1])
    torch.testing.assert_close(x.amax(dim=(0, 2, 3)), white)
    np.testing.assert_allclose(np.sort(y), np.sort(frame.loc[frame["split"] == "valid", "angle"]), atol=1e-4)


@pytest.mark.parametrize("cache", ["on", "off"])
def test_a_broken_picture_is_named_counted_and_left_out(tmp_path, caplog, cache):
    rows = []
    for i in range(20):
        Image.new("RGB", (48, 48), (10 * i, 0, 0)).save(tmp_path / f"{i}.png")
        rows.append({"image": f"{i}.png", "path": str(tmp_path / f"{i}.png"), "angle": float(i),
                     "split": "valid" if i >= 15 else "train"})
    for i in (0, 1, 7, 16):
        (tmp_path / f"{i}.png").write_bytes(b"no image")
    cfg = make_config(PLAIN, bs=4, workers=0, cache=cache)
    with caplog.at_level(logging.WARNING):
        dls = datablock.build_dataloaders(pd.DataFrame(rows), PLAIN, cfg, STATS, "cpu")
        _, valid = everything(dls.valid)
        train = [y for _ in range(2) for _, y in dls.train]
    assert sorted(valid.tolist()) == [15, 17, 18, 19]
    assert {0, 1, 7}.isdisjoint(torch.cat(train).tolist())
    assert "0.png" in caplog.text and "left out 4 of 20" in caplog.text


def test_a_batch_larger_than_the_data_is_made_smaller_and_said(caplog):
    with caplog.at_level(logging.INFO):
        assert datablock.batch_size(64, 10) == 10
    assert "batches of 10, not 64" in caplog.text
    assert datablock.batch_size(8, 10) == 8 and datablock.batch_size(None, 5) == 5
    assert [datablock.batch_size(None, n) for n in (40, 400, 800, 100_000)] == [8, 20, 40, 64]


def test_no_whole_picture_is_one_line(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    rows = [{"image": "a.png", "path": str(tmp_path / "a.png"), "angle": 1.0, "split": s} for s in ("train", "valid")]
    for cache in ("on", "off"):
        with pytest.raises(ImgregError, match=r"a\.png|none among"):
            cfg = make_config(PLAIN, cache=cache, workers=0)
            datablock.build_dataloaders(pd.DataFrame(rows), PLAIN, cfg, STATS, "cpu")


def test_nothing_kept_travels_with_an_empty_copy(drawn):
    frame, cfg = table(drawn)
    dls = datablock.build_dataloaders(frame, PLAIN, cfg, STATS, "cpu")
    empty = pickle.dumps(dls.new_empty())
    assert len(empty) < 40_000 and b".png" not in empty and str(drawn).encode() not in empty


def test_two_targets_are_two_blocks_in_the_tasks_order(drawn):
    task = Task("two", (*PLAIN.targets, Number("twice", ("twice",), low=0.0, high=360.0)), size=(48, 48), augment=())
    frame, cfg = table(drawn)
    frame = frame.assign(twice=2 * frame["angle"])
    _, angle, twice = everything(datablock.build_dataloaders(frame, task, cfg, STATS, "cpu").valid)
    torch.testing.assert_close(twice, 2 * angle)


def test_shown_pictures_are_uint8(drawn):
    frame, cfg = table(drawn, ANGLE)
    dls = datablock.build_dataloaders(frame, ANGLE, cfg, STATS, "cpu")
    pictures, truths = datablock.first_batch(dls, ANGLE, n=9)
    assert pictures.shape == (9, 100, 100, 3) and pictures.dtype == np.uint8 and pictures.max() == 255
    assert truths["angle"].shape == (9, 1)


def test_looking_at_a_batch_changes_nothing_of_what_follows(drawn):
    frame, cfg = table(drawn, ANGLE)
    looked, other = (datablock.build_dataloaders(frame, ANGLE, cfg, STATS, "cpu") for _ in range(2))
    (pictures, _), (again, _) = (datablock.first_batch(looked, ANGLE) for _ in range(2))
    assert np.array_equal(pictures, again)
    for part, again in zip(everything(looked.train), everything(other.train), strict=True):
        assert torch.equal(part, again)


def batches_of_two_epochs(frame, task, seed=0, **of):
    """Images and labels of all training batches of two epochs, whatever torch's own random numbers are."""
    torch.manual_seed(seed)
    random.seed(seed)
    cfg = make_config(task, **{"bs": 3, "workers": 0, "cache": "on", **of})
    train = datablock.build_dataloaders(frame, task, cfg, STATS, "cpu").train
    return [everything(train) for _ in range(2)]


def test_epochs_are_the_same_for_any_number_of_workers_any_cache_and_any_state_of_torch(spotted):
    task = spots(augment=("flip", "turn", "zoom", "shift", "colour", "tint"), size=(40, 40))
    first = batches_of_two_epochs(spotted, task)
    for i, of in enumerate(({"cache": "off"}, {"cache": "off", "workers": 2}, {"workers": 2}), 1):
        for epoch, other in zip(first, batches_of_two_epochs(spotted, task, i, **of), strict=True):
            for part, same in zip(epoch, other, strict=True):
                torch.testing.assert_close(part, same, atol=1e-5, rtol=0, equal_nan=True)


@pytest.mark.parametrize("cache", ["on", "off"])
def test_each_epoch_and_each_seed_has_its_own_order_and_moves(spotted, cache):
    """For whoever uses the DataLoaders with plain fastai."""
    frame = spotted.assign(split=["valid", *["train"] * 15])
    order = Task("n", (Number("n", ("n",), low=0.0, high=16.0),), size=(32, 48), augment=())
    epochs = batches_of_two_epochs(frame, order, cache=cache) + batches_of_two_epochs(frame, order, cache=cache, seed=0)
    labels = [y.tolist() for _, y in epochs]
    assert labels[:2] == labels[2:] and labels[0] != labels[1]
    assert all(sorted(epoch) == list(range(1, 16)) for epoch in labels)  # each image once an epoch
    dls = datablock.build_dataloaders(frame, order, make_config(order, bs=3, workers=0, seed=1), STATS, "cpu")
    assert everything(dls.train)[1].tolist() not in labels
    moved = Task("n", order.targets, size=(32, 48), augment=("colour",))
    (x, y), (again, others) = batches_of_two_epochs(frame, moved, cache=cache)
    assert not torch.allclose(x[y.argsort()], again[others.argsort()])


def test_a_part_of_an_epoch_has_the_batches_that_it_has_in_the_whole(spotted):
    task = spots(augment=("flip", "turn"), size=(40, 40))
    whole, _ = batches_of_two_epochs(spotted, task, bs=2)
    for cache in ("on", "off"):
        train = built(spotted, task, bs=2, cache=cache).train
        train.first_batch, train.end_batch = 1, 3
        for part, all_of_it in zip(everything(train), whole, strict=True):
            torch.testing.assert_close(part, all_of_it[2:6], atol=1e-5, rtol=0, equal_nan=True)
        assert train.epoch == 1 and len(everything(train)[0]) == 8  # then the next epoch, whole


@pytest.mark.parametrize("workers", [0, 2])
def test_the_next_image_takes_the_place_of_one_that_breaks_while_training(spotted, tmp_path, caplog, workers):
    frame = spotted.assign(split=["train"] * 12 + ["valid"] * 4)
    for row in (3, 11):  # of the last, the next is the first
        (tmp_path / f"{row}.png").write_bytes((tmp_path / frame.loc[row, "path"]).read_bytes()[:-300])
        frame.loc[row, "path"] = str(tmp_path / f"{row}.png")
    task = Task("n", (Number("n", ("n",), low=0.0, high=16.0),), size=(32, 48), augment=())
    labels = [y.tolist() for _, y in batches_of_two_epochs(frame, task, cache="off", workers=workers)]
    assert [sorted(epoch) for epoch in labels] == [[0, 0, 1, 2, 4, 4, 5, 6, 7, 8, 9, 10]] * 2
    assert workers or "left out: " in caplog.text  # a worker process says it on stderr


def test_a_training_part_of_which_every_image_broke_is_one_line(spotted, tmp_path):
    frame = spotted.assign(split=["train"] * 12 + ["valid"] * 4)
    for row in range(12):
        (tmp_path / f"{row}.png").write_bytes((tmp_path / frame.loc[row, "path"]).read_bytes()[:-300])
        frame.loc[row, "path"] = str(tmp_path / f"{row}.png")
    task = Task("n", (Number("n", ("n",), low=0.0, high=16.0),), size=(32, 48), augment=())
    with pytest.raises(ImgregError, match="an image to train on that can be opened; found none of 12"):
        built(frame, task, cache="off").train.one_batch()


def test_of_very_many_pictures_not_even_the_headers_are_read_first(spotted, tmp_path, caplog, monkeypatch):
    (tmp_path / "x.png").write_bytes(b"no image")
    frame = spotted.assign(angle=spotted["n"])
    frame.loc[0, "path"] = str(tmp_path / "x.png")
    monkeypatch.setattr(transforms, "MAX_OPENED", 10)
    monkeypatch.setattr(transforms, "image_views", None)
    with caplog.at_level(logging.INFO):
        dls = datablock.build_dataloaders(frame, PLAIN, make_config(PLAIN, bs=4, workers=0, cache="auto"), STATS, "cpu")
        _, train = everything(dls.train.new(shuffle=False, drop_last=False))
    assert "16 images are opened as they come" in caplog.text and "left out" in caplog.text
    assert len(dls.train_ds) == 8 and train.tolist() == [2, 2, 4, 6, 8, 10, 12, 14]  # the next one in place of row 0


def test_one_broken_picture_among_few_still_leaves_a_batch(drawn, tmp_path):
    frame, cfg = table(drawn, cache="off")
    few = frame.groupby("split").head(6).reset_index(drop=True)
    (tmp_path / "x.png").write_bytes(b"")
    few.loc[few.index[few["split"] == "train"][0], "path"] = str(tmp_path / "x.png")
    dls = datablock.build_dataloaders(few, PLAIN, cfg, STATS, "cpu")
    assert [len(y) for _, y in dls.train] == [5]


def test_broken_pictures_that_leave_too_few_to_learn_from_stop(spotted, tmp_path):
    (tmp_path / "x.png").write_bytes(b"")
    frame, task = spotted.copy(), Task("t", (Number("n", ("n",), low=0.0, high=16.0),), size=(32, 48))
    frame.loc[:5, "path"] = str(tmp_path / "x.png")
    assert len(built(frame, task).train_ds) + len(built(frame, task).valid_ds) == 10
    frame.loc[6, "path"] = str(tmp_path / "x.png")
    for cache in ("on", "off"):
        with pytest.raises(ImgregError, match="only 9 rows whose image can be used, fewer than 10"):
            built(frame, task, cache=cache)


def test_labels_keep_the_digits_that_float32_would_round_off(spotted, caplog):
    task = Task("t", (Number("n", ("n",), low=1.7e9 - 20, high=1.7e9 + 20),), size=(32, 48), augment=("colour",))
    frame = spotted.assign(n=1.7e9 + spotted["n"])
    for cache in ("on", "off"):
        dls = built(frame, task, cache=cache)
        _, y = everything(dls.valid)
        assert y.tolist() == frame.loc[frame["split"] == "valid", "n"].tolist()
        assert set(everything(dls.train)[1].tolist()) <= set(frame["n"])
    assert "rounded" not in caplog.text
    assert datablock.label_dtypes(task, "mps") == [torch.float32] and "labels of n are rounded" in caplog.text


# points, boxes, missing labels

POSE = Rotation("pose", ("yaw", "pitch", "roll"), camera_frame=True)


def spots(fit="pad", box=(), size=(32, 48), **of):
    return Task("spots", (Point("spots", ("rx", "ry", "bx", "by"), follows=True),), size=size, fit=fit, box=box,
                **{"augment": (), **of})


VIEWS = [("pad", ()), ("crop", ()), ("squish", ()), ("pad", BOX), ("crop", BOX), ("squish", BOX)]


def built(frame, task, **of):
    cfg = make_config(task, **{"bs": 4, "workers": 0, "cache": "on", **of})
    return datablock.build_dataloaders(frame, task, cfg, STATS, "cpu")


@pytest.mark.parametrize(("fit", "box"), VIEWS)
def test_points_from_memory_and_from_files_are_the_same_batches(spotted, fit, box):
    task = spots(fit, box)
    kept, read = (built(spotted, task, cache=c) for c in ("on", "off"))
    assert kept.valid.pixels is not None and read.valid.pixels is None
    for a, b in zip(kept.valid, read.valid, strict=True):
        assert type(a[1]) is type(b[1]) is TensorPoint and a[1].shape == (4, 2, 2)
        for mine, theirs in zip(a, b, strict=True):
            torch.testing.assert_close(mine.as_subclass(torch.Tensor), theirs.as_subclass(torch.Tensor), atol=1e-4,
                                       rtol=0, equal_nan=True)
    assert torch.equal(torch.isnan(kept.valid.labels[0]), torch.isnan(read.valid.labels[0]))


@pytest.mark.parametrize("cache", ["on", "off"])
@pytest.mark.parametrize(("fit", "box"), VIEWS)
def test_points_lie_on_what_they_name(spotted, fit, box, cache):
    """Where a batch says the blobs are, its images are red and blue, in training and in validation."""
    task, checked = spots(fit, box), 0
    dls = built(spotted, task, cache=cache)
    for x, y in [*dls.valid, *dls.train]:
        mean, std = (torch.tensor(s).view(3, 1, 1) for s in STATS)
        bright = x.as_subclass(torch.Tensor) * std + mean
        for picture, points in zip(bright.numpy(), y.as_subclass(torch.Tensor).numpy(), strict=True):
            at = (points + 1) / 2 * (task.size[1], task.size[0])
            for (px, py), channel, other in zip(at, (0, 2), (2, 0), strict=True):
                if np.isnan(px) or not (1 <= px < task.size[1] - 1 and 1 <= py < task.size[0] - 1):
                    continue  # not labelled, or cut off by the crop
                assert picture[channel, int(py), int(px)] > 0.6, (px, py)
                assert picture[channel, int(py), int(px)] >= picture[other, int(py), int(px)] - 0.3
                checked += 1
    assert checked > (14 if fit == "crop" else 28)


def test_the_data_block_is_fastais_with_its_point_block(spotted, monkeypatch):
    asked = []
    real = datablock.DataBlock
    monkeypatch.setattr(datablock, "DataBlock", lambda blocks, **of: asked.append(blocks) or real(blocks=blocks, **of))
    task = Task("two", (spots().targets[0], Number("n", ("n",), low=0.0, high=16.0)), size=(32, 48), augment=())
    dls = built(spotted, task, cache="off")
    assert asked[0][1] is PointBlock
    assert any(isinstance(t, PointScaler) for t in dls.valid.after_item.fs)
    assert [type(y) for y in dls.valid.one_batch()[1:]] == [TensorPoint, torch.Tensor]


def test_a_points_box_does_not_show_in_what_is_decoded(spotted):
    """Points of a batch, taken back through the views, are the table's own pixels."""
    for fit, box in VIEWS:
        task = spots(fit, box)
        valid = spotted[spotted["split"] == "valid"].reset_index(drop=True)
        boxes = valid[list(box)].to_numpy() if box else [None] * len(valid)
        views = np.stack([place_picture(Image.open(path).size, task.size, fit, of, task.margin).view
                          for path, of in zip(valid["path"], boxes, strict=True)])
        _, y = everything(built(spotted, task).valid)
        found = to_pixels(y.numpy().astype(float), views).reshape(8, 4)
        np.testing.assert_allclose(found, valid[["rx", "ry", "bx", "by"]], atol=1e-3)


def test_missing_labels_survive_as_nan_beside_those_that_are_there(spotted):
    frame = spotted.copy()
    frame.loc[[1, 3], "n"] = np.nan
    frame.loc[5, "pitch"] = np.nan
    targets = (spots().targets[0], Number("n", ("n",), low=0.0, high=16.0), POSE, Angle("way", ("way",)))
    task = Task("all", targets, size=(32, 48), augment=())
    for cache in ("on", "off"):
        dls = built(frame, task, cache=cache)
        x, points, n, pose, way = everything(dls.valid)  # rows 1, 3, 5, ...
        assert x.isfinite().all() and way.tolist() == (20.0 * np.arange(1, 16, 2)).tolist()
        np.testing.assert_equal(n.numpy(), [np.nan, np.nan, 5, 7, 9, 11, 13, 15])
        assert np.argwhere(points.isnan().numpy()).tolist() == [[5, 1, 0], [5, 1, 1]]
        assert np.argwhere(pose.isnan().numpy()).tolist() == [[2, 1]] and pose.shape == (8, 3)
        assert [torch.isnan(y).any().item() for y in dls.train.labels] == [True, False, False, False]


def test_missing_labels_stay_missing_when_pictures_are_moved_with_a_mirrors_pairs(spotted):
    points = Point("spots", ("rx", "ry", "bx", "by"), follows=True, flip_pairs=((0, 1),))
    task = Task("spots", (points, POSE), size=(40, 40), augment=("flip", "turn"))
    frame = spotted.assign(split=["valid", *["train"] * 15])
    frame.loc[4, "yaw"] = np.nan
    sides, lacking = set(), 0
    train = built(frame, task, bs=5).train
    for _ in range(6):
        for _, points, pose in train:
            for p, r in zip(points, pose, strict=True):
                assert p.isnan().all(dim=1).sum() == p.isnan().any(dim=1).sum() <= 1
                assert r.isnan().all() or r.isfinite().all()
                lacking += int(r.isnan().all())
                sides |= {tuple(p.isnan().any(dim=1).tolist())}
    assert sides == {(False, False), (False, True), (True, False)} and lacking == 6


def test_shown_points_are_in_the_shown_pictures_pixels(spotted):
    for augment in ((), ("flip", "turn", "zoom", "shift")):
        task = spots(augment=augment, size=(48, 64))
        pictures, truths = datablock.first_batch(built(spotted, task, bs=8), task, n=8)
        assert pictures.shape == (8, 48, 64, 3) and truths["spots"].shape == (8, 4)
        for picture, (x, y, *_) in zip(pictures, truths["spots"], strict=True):
            assert 0 <= x <= 64 and 0 <= y <= 48
            assert picture[int(y), int(x), 0] > 130


def test_the_loaders_know_their_labels_and_that_for_validation_its_views(spotted):
    dls = built(spotted, spots())
    assert dls.train.labels[0].shape == (8, 2, 2) and isinstance(dls.train.labels[0], TensorPoint)
    _, y = everything(dls.valid)
    torch.testing.assert_close(dls.valid.labels[0].as_subclass(torch.Tensor), y, equal_nan=True)
    shapes = [SHAPES[i % 4] for i in range(1, 16, 2)]
    expected = [place_picture(shape, (32, 48), "pad").view for shape in shapes]
    np.testing.assert_allclose(dls.valid.views, expected)
    assert dls.train.views is None


def test_a_box_outside_its_picture_is_named_counted_and_left_out(spotted, caplog):
    frame = spotted.copy()
    frame.loc[1, "cx"] = 1000.0
    for cache in ("on", "off"):
        caplog.clear()
        with caplog.at_level(logging.WARNING):
            dls = built(frame, spots(box=BOX), cache=cache)
        assert "left out 1 of 16" in caplog.text and "1.png" in caplog.text and "outside" in caplog.text
        assert sum(len(y) for _, y in dls.valid) == 7
