"""Batches as large as memory allows, and smaller ones where it is exhausted."""
from pathlib import Path

import pytest
import torch

from imgreg_fastai import runs
from imgreg_fastai.api import functions
from imgreg_fastai.config import TrainConfig
from imgreg_fastai.models import backbones
from imgreg_fastai.training import batch_size, checkpoint
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import SMALL, TINY

OPTIONS = {**TINY, "targets": ["n:number"], "loss": "l1", "epochs": 3, "deterministic": True, "workers": 0}
VIT = {**OPTIONS, "arch": "test_vit", "size": (64, 64)}  # without batch norm


@pytest.fixture
def exhaust(monkeypatch):
    """Let backbones run out of memory by the number of images in a batch, and of the call."""
    def with_limit(is_too_much):
        build, calls = backbones.build, []

        def check(body, inputs):
            calls.append(len(inputs[0]))
            if is_too_much(calls[-1], len(calls)):
                raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")

        def build_small(*args):
            body = build(*args)
            body.register_forward_pre_hook(check)
            return body

        monkeypatch.setattr(backbones, "build", build_small)
        return calls

    return with_limit


@pytest.fixture
def table(spotted):
    return Path(spotted["path"][0]).parent / "labels.csv"


def final(run):
    """The last weights, but for the biases of keys: attention does not depend on them, so that they follow rounding."""
    weights = checkpoint.read_checkpoint(run.path).weights
    return {name: tensor for name, tensor in weights.items() if not name.endswith("qkv.bias")}


def assert_close(a, b, tolerance):
    assert a.keys() == b.keys()
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=0, atol=tolerance, msg=name)


def test_the_largest_batch_that_fits_is_found_and_the_network_stays(drawn, exhaust, monkeypatch):
    calls = exhaust(lambda n, _: n > 32)
    learn = functions.learner("angle", **{**SMALL, "bs": 16}, data=drawn)
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    monkeypatch.setattr(batch_size, "EPOCH_STEPS", 1)
    assert batch_size.largest_batch(learn, "fp32") == 32 and calls == [8, 8, 16, 16, 32, 32, 64]
    assert all(torch.equal(before[k], v) for k, v in learn.model.state_dict().items())
    monkeypatch.setattr(batch_size, "EPOCH_STEPS", 4)
    assert batch_size.largest_batch(learn, "fp32") == 16  # more would leave an epoch too few steps
    monkeypatch.setattr(batch_size, "EPOCH_STEPS", 20)
    assert batch_size.largest_batch(learn, "fp32") == 8


def test_auto_is_the_largest_on_a_gpu_and_by_the_number_of_images_elsewhere(drawn, tmp_path, exhaust, monkeypatch,
                                                                          without_plots, caplog):
    exhaust(lambda n, _: n > 32)
    options = {**SMALL, "bs": "auto", "epochs": 1, "data": drawn}
    assert functions.train("angle", out=tmp_path, **options).config.bs == 8
    monkeypatch.setattr(batch_size, "EPOCH_STEPS", 1)
    monkeypatch.setattr(batch_size, "is_gpu", lambda _: True)
    with caplog.at_level("INFO"):
        run = functions.train("angle", out=tmp_path, **options)
    assert "--bs auto: batches of 32 images" in caplog.text
    assert runs.load_run(run.path).config.bs == 32 and run.about["bs"] == "auto"


@pytest.mark.parametrize("typed", [{}, {"accumulate": 2}], ids=str)
def test_accumulated_batches_make_the_step_of_a_large_one(table, tmp_path, without_plots, typed):
    large = functions.train(table, out=tmp_path, **{**VIT, "bs": 4})
    small = functions.train(table, out=tmp_path, **{**VIT, "bs": 2, **typed})
    a, b = final(large), final(small)
    if typed:
        assert_close(a, b, 1e-5)
    else:
        with pytest.raises(AssertionError):
            assert_close(a, b, 1e-5)


def test_exhausted_memory_halves_the_batch_and_repeats_the_step(table, tmp_path, exhaust, without_plots, caplog):
    whole = functions.train(table, out=tmp_path, **{**VIT, "bs": 8})
    exhaust(lambda n, call: n > 2 and call >= 3)  # in the second epoch: its step, then the halves of it
    with caplog.at_level("INFO"):
        run = functions.train(table, out=tmp_path, **{**VIT, "bs": "auto"})
    assert_close(final(whole), final(run), 1e-5)
    assert "going on with batches of 4 images, 2 of them in a step" in caplog.text
    config = runs.load_run(run.path).config
    assert (config.bs, config.accumulate, run.about["epochs_done"]) == (2, 4, 3)
    longer = functions.resume(run, epochs=4)
    assert (longer.config.bs, longer.config.accumulate, longer.about["bs"]) == (2, 4, "auto")


@pytest.mark.parametrize(("bs", "expected"), [
    ("auto", "expected memory for a batch of 2; found none left on cpu; try a smaller --size or --device cpu"),
    (4, "expected memory for a batch of 4; found none left on cpu; try --bs 2 --accumulate 2"),
])
def test_a_step_that_never_fits_ends_in_one_line(table, tmp_path, exhaust, bs, expected):
    exhaust(lambda *_: True)
    with pytest.raises(ImgregError) as e:
        functions.train(table, out=tmp_path, **{**OPTIONS, "bs": bs})
    assert str(e.value) == expected


@pytest.mark.parametrize("limit", [{"time": 1000}, {"epochs": None, "deterministic": False}])
def test_memory_that_is_exhausted_while_steps_are_measured_is_told_in_the_same_line(table, tmp_path, exhaust, limit):
    exhaust(lambda *_: True)
    options = {**OPTIONS, "epochs": None, "bs": 4, **limit}
    with pytest.raises(ImgregError, match="expected memory for a batch of 4; found none left on cpu"):
        functions.train(table, out=tmp_path, **options)


def test_measured_batches_are_halved_where_the_batch_size_is_free(table, exhaust):
    exhaust(lambda n, _: n > 2)
    learn = functions.learner(table, **{**OPTIONS, "bs": 8})
    config, step, valid = batch_size.measure_steps(learn, TrainConfig(bs=8), "fp32", 0.01, is_auto=True)
    assert (config.bs, config.accumulate, learn.dls.train.bs) == (2, 4, 2) and step > 0 and valid > 0


def test_other_errors_stay_what_they_are():
    def fail():
        raise RuntimeError("shapes differ")

    with pytest.raises(RuntimeError, match="shapes differ"):
        batch_size.fits_memory(fail)
