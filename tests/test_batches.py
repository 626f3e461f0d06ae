import logging
import pickle
import random

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from imgreg_fastai import backbones, batches, config, labels
from imgreg_fastai.errors import ImgregError
from imgreg_fastai.targets import Number
from imgreg_fastai.tasks import ANGLE, Task

STATS = backbones.stats("resnet10t")
PLAIN = Task("angle", ANGLE.targets, size=(48, 48), augment=())


def table(drawn, task=PLAIN, **of):
    cfg = config.make(task, bs=16, workers=0, **of)
    return labels.divide(labels.read(drawn / "labels.csv", task), 0, 0.2), cfg


def everything(dl):
    return [torch.cat(parts).as_subclass(torch.Tensor) for parts in zip(*dl, strict=True)]


def test_from_memory_and_from_files_give_the_same_batches(drawn):
    frame, cfg = table(drawn, cache="on")
    kept = batches.build(frame, PLAIN, cfg, STATS, "cpu")
    read = batches.build(frame, PLAIN, table(drawn, cache="off")[1], STATS, "cpu")
    assert kept.train.kept is not None and read.train.kept is None
    for a, b in zip(everything(kept.valid), everything(read.valid), strict=True):
        torch.testing.assert_close(a, b)
    assert len(kept.train) == len(read.train) == 96 // 16


def test_pictures_are_normalised_by_the_backbone_and_labels_stay_in_units(drawn):
    frame, cfg = table(drawn)
    x, y = everything(batches.build(frame, PLAIN, cfg, STATS, "cpu").valid)
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
        (tmp_path / f"{i}.png").write_bytes(b"no picture")
    cfg = config.make(PLAIN, bs=4, workers=0, cache=cache)
    with caplog.at_level(logging.WARNING):
        dls = batches.build(pd.DataFrame(rows), PLAIN, cfg, STATS, "cpu")
        _, valid = everything(dls.valid)
        train = [y for _, y in (dls.train.one_batch() for _ in range(8))]
    assert sorted(valid.tolist()) == [15, 17, 18, 19]
    assert {0, 1, 7}.isdisjoint(torch.cat(train).tolist())
    assert "0.png" in caplog.text and "left out 4 of 20" in caplog.text


def test_a_batch_larger_than_the_data_is_made_smaller_and_said(caplog):
    with caplog.at_level(logging.INFO):
        assert batches.batch_size(64, 10) == 10
    assert "batches of 10, not 64" in caplog.text
    assert batches.batch_size(8, 10) == 8 and batches.batch_size(None, 5) == 5
    assert [batches.batch_size(None, n) for n in (40, 400, 800, 100_000)] == [8, 20, 40, 64]


def test_no_whole_picture_is_one_line(tmp_path):
    (tmp_path / "a.png").write_bytes(b"")
    rows = [{"image": "a.png", "path": str(tmp_path / "a.png"), "angle": 1.0, "split": s} for s in ("train", "valid")]
    for cache in ("on", "off"):
        with pytest.raises(ImgregError, match=r"a\.png|none among"):
            batches.build(pd.DataFrame(rows), PLAIN, config.make(PLAIN, cache=cache, workers=0), STATS, "cpu")


def test_nothing_kept_travels_with_an_empty_copy(drawn):
    frame, cfg = table(drawn)
    dls = batches.build(frame, PLAIN, cfg, STATS, "cpu")
    empty = pickle.dumps(dls.new_empty())
    assert len(empty) < 40_000 and b".png" not in empty and str(drawn).encode() not in empty


def test_two_targets_are_two_blocks_in_the_tasks_order(drawn):
    task = Task("two", (*PLAIN.targets, Number("twice", ("twice",), low=0.0, high=360.0)), size=(48, 48), augment=())
    frame, cfg = table(drawn)
    frame = frame.assign(twice=2 * frame["angle"])
    _, angle, twice = everything(batches.build(frame, task, cfg, STATS, "cpu").valid)
    torch.testing.assert_close(twice, 2 * angle)


def test_shown_pictures_are_uint8_and_looking_changes_no_random_number(drawn):
    frame, cfg = table(drawn, ANGLE)
    dls = batches.build(frame, ANGLE, cfg, STATS, "cpu")
    state = torch.random.get_rng_state()
    pictures, truths = batches.shown(dls, ANGLE, n=9)
    assert torch.equal(state, torch.random.get_rng_state())
    assert pictures.shape == (9, 100, 100, 3) and pictures.dtype == np.uint8 and pictures.max() == 255
    assert truths["angle"].shape == (9, 1)


def test_looking_at_a_batch_changes_nothing_of_what_follows(drawn):
    frame, cfg = table(drawn, ANGLE)

    def labels_after(look):
        torch.manual_seed(0)
        random.seed(0)
        dl = batches.build(frame, ANGLE, cfg, STATS, "cpu").train
        if look:
            batches.peek(dl)
        return everything(dl)[1]

    torch.testing.assert_close(labels_after(True), labels_after(False))


def test_one_broken_picture_among_few_still_leaves_a_batch(drawn, tmp_path):
    frame, cfg = table(drawn, cache="off")
    few = frame.groupby("split").head(6).reset_index(drop=True)
    (tmp_path / "x.png").write_bytes(b"")
    few.loc[few.index[few["split"] == "train"][0], "path"] = str(tmp_path / "x.png")
    dls = batches.build(few, PLAIN, cfg, STATS, "cpu")
    assert [len(y) for _, y in dls.train] == [5]
