import json
import math
import signal
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from fastai.vision.core import TensorImage, TensorPoint

from imgreg_fastai import load
from imgreg_fastai.api import functions, run_stages
from imgreg_fastai.api.preparation import make_config
from imgreg_fastai.models import network, output_head
from imgreg_fastai.tasks import ANGLE
from imgreg_fastai.training import checkpoint, loop, precision, rate_search
from imgreg_fastai.training.learner import output_forms
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import BOX, SMALL, TINY

QUICK = {"arch": "test_resnet", "weights": "none", "workers": 0}


def small(drawn, **more):
    return {"data": drawn, **SMALL, **more}


def test_training_learns_and_keeps_the_best_weights(run):
    history = pd.read_csv(run.path / "history.csv")
    assert history["train_loss"][1] < history["train_loss"][0]
    assert list(history["epoch"]) == [1, 2] and np.isfinite(history[["train_loss", "valid_loss"]]).all(axis=None)
    assert {"angle_error", "lr", "seconds"} <= set(history.columns)
    saved = checkpoint.read_checkpoint(run.path)
    assert saved.progress.epoch == 2 and saved.progress.cycle is None
    pd.testing.assert_frame_equal(pd.DataFrame(saved.progress.history), history)
    best = load(run.path).network.state_dict()
    last_is_best = bool(history["valid_loss"].idxmin() == 1)
    assert all(torch.equal(best[k], v) for k, v in saved.weights.items()) is last_is_best
    assert all(torch.equal(best[k], v) for k, v in saved.best.items())


def test_the_learners_network_is_the_one_definition(drawn):
    for arch in ("resnet10t", "test_vit", "test_mambaout"):
        learn = functions.learner("angle", **small(drawn, arch=arch, size=(64, 64), weights="none"))
        config = make_config(ANGLE, arch=arch)
        net = network.network(arch, (64, 64), 2, config.arch_args, forms=output_forms(ANGLE, config))
        net.load_state_dict(learn.model.state_dict())
        x = torch.rand(2, 3, 64, 64)
        torch.testing.assert_close(net.eval()(x), learn.model.eval()(x))


@pytest.mark.usefixtures("without_plots")
def test_the_same_seed_gives_the_same_run_and_another_does_not(drawn, tmp_path):
    runs = [functions.train("angle", out=tmp_path, **small(drawn, epochs=1, seed=s)) for s in (3, 3, 4)]
    a, b, c = (load(r.path).network.state_dict()["1.0.weight"] for r in runs)
    assert torch.equal(a, b) and not torch.equal(a, c)


@pytest.mark.usefixtures("without_plots")
def test_stop_at_and_patience_end_the_fit(drawn, tmp_path):
    run = functions.train("angle", out=tmp_path, **small(drawn, epochs=5, stop_at=("angle", 90.0)))
    assert run.about["epochs_done"] == 1 and "reached 90" in run.about["stopped"]
    run = functions.train("angle", out=tmp_path, **small(drawn, epochs=30, patience=1, lr=1e-9))
    assert run.about["epochs_done"] < 30 and "no better" in run.about["stopped"]


@pytest.mark.parametrize("options", [{"fit": "pad"}, {"fit": "crop", "cache": "off"}, {"fit": "squish", "box": BOX}],
                         ids=lambda o: o["fit"])
@pytest.mark.usefixtures("without_plots")
def test_the_error_of_an_epoch_is_that_of_the_scores_in_pixels_of_pictures_of_many_sizes(spotted, tmp_path, options):
    table = Path(spotted["path"][0]).parent / "labels.csv"
    targets = ["spots=rx,ry,bx,by:point", "pose:rotation", "n:number"]
    run = functions.train(table, targets=targets, out=tmp_path, workers=0, **{**TINY, "epochs": 2, **options})
    history = pd.read_csv(run.path / "history.csv")
    best = history.loc[history["valid_loss"].idxmin()]
    for name, scores in run.scores["valid"].items():
        assert best[f"{name}_error"] == pytest.approx(scores["mean"], rel=1e-4), name


@pytest.mark.usefixtures("without_plots")
def test_a_picture_that_breaks_off_has_no_error_and_shifts_no_other(spotted, tmp_path, caplog):
    """Its header is whole, so that it only fails within the epoch; its place in the validation part stays."""
    frame = spotted.assign(image=spotted["path"]).drop(columns="path")
    whole = Path(frame.loc[1, "image"]).read_bytes()
    (tmp_path / "broken.png").write_bytes(whole[: len(whole) // 2])
    frame.loc[1, "image"] = str(tmp_path / "broken.png")
    frame.to_csv(tmp_path / "labels.csv", index=False)
    options = {"targets": ["spots=rx,ry,bx,by:point"], **TINY, "cache": "off", "workers": 0}
    run = functions.train(tmp_path / "labels.csv", out=tmp_path, **options)
    error = pd.read_csv(run.path / "history.csv")["spots_error"][0]
    scores = run.scores["valid"]["spots"]
    assert scores["n"] == 7 and error == pytest.approx(scores["mean"], rel=1e-4)
    assert "broken.png" in caplog.text


@pytest.mark.parametrize(("workers", "first"), [(0, 4), (2, 3)])  # each of two workers has four images
def test_a_validation_picture_that_breaks_counts_in_neither_loss_nor_error_and_is_named_once(spotted, tmp_path, caplog,
                                                                                             workers, first):
    """It opens when the table is checked, and is damaged afterwards; so is a training image."""
    frame = spotted.copy()
    for row, name in ((2, "train.png"), (3, "valid.png")):
        (tmp_path / name).write_bytes(Path(frame.loc[row, "path"]).read_bytes())
        frame.loc[row, "path"] = str(tmp_path / name)
    table = tmp_path / "labels.csv"
    frame.assign(image=frame["path"]).drop(columns="path").to_csv(table, index=False)
    options = {"targets": ["spots=rx,ry,bx,by:point"], **TINY, "cache": "off", "workers": workers}
    learn = functions.learner(table, **options)
    whole = functions.dataloaders(table, **{**options, "workers": 0}).valid
    for name in ("train.png", "valid.png"):
        (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-300])
    loop.quiet(learn)
    with caplog.at_level("WARNING"):
        learn.fit(2, lr=1e-6)
    named = [record.getMessage() for record in caplog.records if "valid.png" in record.getMessage()]
    assert len(named) == 1 and "left out 1 of 8 validation images" in named[0]
    if not workers:  # a worker process says it, on stderr
        assert any(record.getMessage().startswith("left out: ") and "train.png" in record.getMessage()
                   for record in caplog.records)
    loss, error = learn.validate()
    intact = [i for i in range(8) if i != 1]  # row 3 is the second of the validation part
    with torch.no_grad():
        parts = [whole.do_item(i)[:2] for i in intact]
        x, y = (torch.stack([part[k].as_subclass(torch.Tensor) for part in parts]) for k in (0, 1))
        x = whole.after_batch((TensorImage(x), TensorPoint(y)))[0]
        body, head = learn.model.eval()
        body.with_logits = True  # the loss compares maps, too
        pred = torch.cat([head(body(x.as_subclass(torch.Tensor))), body.logits.flatten(1)], dim=1)
        losses = [learn.loss_func(pred[rows], y[rows]).item() * len(rows) for rows in (range(first), range(first, 7))]
    assert loss == pytest.approx(sum(losses) / 7, rel=1e-4)
    assert error == pytest.approx(learn.metrics[0].errors(pred, y, views=whole.views[intact]).mean(), rel=1e-4)


@pytest.mark.parametrize("cache", ["on", "off"])
def test_the_error_of_points_is_true_for_any_loader(spotted, caplog, cache):
    table = Path(spotted["path"][0]).parent / "labels.csv"
    learn = functions.learner(table, targets=["spots=rx,ry,bx,by:point"], **TINY, cache=cache, workers=0, augment=())
    loop.quiet(learn)

    def validate(dl):
        return list(learn.validate(dl=dl))

    own = validate(None)
    valid = spotted[spotted["split"] == "valid"].reset_index(drop=True)
    other = learn.dls.test_dl(valid, with_labels=True)
    assert validate(other) == pytest.approx(own, rel=1e-4)
    assert validate(other.new(shuffle=True))[1] == pytest.approx(own[1], rel=1e-4)
    train = spotted[spotted["split"] == "train"].reset_index(drop=True)
    assert np.isfinite(validate(learn.dls.train.new(bs=5, drop_last=True)))[1]
    expected = validate(learn.dls.test_dl(train, with_labels=True))
    assert validate(learn.dls.train)[1] == pytest.approx(expected[1], rel=1e-4)
    assert np.isfinite(expected).all() and expected[1] != own[1]
    assert "left out" not in caplog.text
    assert len(learn.get_preds(dl=learn.dls.test_dl(valid["path"].tolist()))[0]) == 8  # without labels, by their paths


def test_an_epoch_without_a_picture_to_validate_on_has_no_loss_and_no_error(spotted, tmp_path):
    frame = spotted.copy()
    for row in frame.index[frame["split"] == "valid"]:
        (tmp_path / f"{row}.png").write_bytes(Path(frame.loc[row, "path"]).read_bytes()[:-300])  # the header is whole
        frame.loc[row, "path"] = str(tmp_path / f"{row}.png")
    frame.assign(image=frame["path"]).drop(columns="path").to_csv(tmp_path / "labels.csv", index=False)
    learn = functions.learner(tmp_path / "labels.csv", targets=["n:number"], **TINY, cache="off", workers=0)
    watch = loop.TrainingWatch()
    loop.fit(learn, make_config(ANGLE, **{k: v for k, v in TINY.items() if k != "size"}), watch, False, "fp32")
    (row,) = watch.progress.history
    assert np.isfinite(row["train_loss"]) and np.isnan(row["valid_loss"]) and np.isnan(row["n_error"])


def test_a_loss_that_is_no_number_is_one_line_and_leaves_a_trace(drawn, tmp_path):
    with pytest.raises(ImgregError, match="smaller --lr"):
        functions.train("angle", out=tmp_path, **small(drawn, epochs=3, lr=1e30))
    about = json.loads((tmp_path / "angle-001" / "run.json").read_text())
    assert about["state"] == "failed" and "finite" in about["stopped"]


@pytest.fixture
def lets_interrupts_through():
    """A script that was started with `&` ignores Ctrl-C, and with it the tests that it runs."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("after", [2, 9])  # within the first epoch of 6 steps, and in the second
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.usefixtures("without_plots", "lets_interrupts_through")
def test_ctrl_c_leaves_a_run_that_can_be_evaluated(drawn, tmp_path, monkeypatch, after, times):
    """The step ends, and its state is saved; pressed twice, the training ends at once."""
    real = loop.TrainingWatch

    def press(progress):
        if progress.step == after:
            for _ in range(times):
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(loop, "TrainingWatch", lambda progress, _, *others: real(progress, press, *others))
    run = functions.train("angle", out=tmp_path, **small(drawn, **QUICK))
    assert run.about["state"] == "interrupted" and run.about["epochs_done"] == after // 6
    saved = checkpoint.read_checkpoint(run.path)
    assert saved.progress.step == after if times == 1 else saved is None or saved.progress.step < after
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert math.isfinite(functions.evaluate(run)["scores"]["angle"]["mean"])


def test_precision_touches_the_body_only_while_training(drawn):
    learn = functions.learner("angle", **small(drawn))
    seen = []
    learn.model[0].register_forward_hook(lambda m, i, o: seen.append((m.training, o.dtype)))
    dtypes = []
    learn.model[0].conv1.register_forward_hook(lambda m, i, o: dtypes.append((m.training, o.dtype)))
    cfg = make_config(ANGLE, **{k: v for k, v in SMALL.items() if k != "size"})
    loop.fit(learn, cfg, loop.TrainingWatch(), False, "bf16")
    assert (True, torch.bfloat16) in dtypes and (False, torch.float32) in dtypes
    assert (True, torch.float32) not in dtypes and (False, torch.bfloat16) not in dtypes
    learn.model.train()(torch.rand(2, 3, 48, 48))
    assert dtypes[-1] == (True, torch.float32)  # no hook is left behind


def test_auto_precision_changes_neither_weights_nor_batches(drawn):
    learn, other = (functions.learner("angle", **small(drawn, **QUICK)) for _ in range(2))
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    assert precision.choose_precision(learn, "auto") in ("fp32", "bf16")
    assert all(torch.equal(before[k], v) for k, v in learn.model.state_dict().items())
    assert all(torch.equal(x, same) for (x, _), (same, _) in zip(learn.dls.train, other.dls.train, strict=True))
    assert precision.choose_precision(learn, "auto", timed=False) == "fp32"  # whatever the machine is busy with
    with pytest.raises(ImgregError, match="CUDA"):
        precision.choose_precision(learn, "fp16")


def test_lr_find_suggests_a_rate_and_leaves_the_model_alone(drawn):
    learn = functions.learner("angle", **small(drawn))
    before = {k: v.clone() for k, v in learn.model.state_dict().items()}
    sweep = rate_search.find_lr(learn, "fp32", steps=40)
    assert 1e-7 <= sweep.suggestion < 10 and len(sweep.lrs) == len(sweep.losses) > 10
    assert sweep.trusted == (not sweep.why)
    assert all(torch.equal(before[k], v) for k, v in learn.model.state_dict().items())


def test_a_sweep_is_trusted_only_if_two_agree_and_the_loss_fell(monkeypatch, drawn):
    learn = functions.learner("angle", **small(drawn))
    rates, falling, flat = list(np.geomspace(1e-7, 10, 50)), list(np.linspace(1, 0.2, 50)), [1.0] * 50
    cases = (falling, (1e-3, 2e-3), True), (falling, (1e-6, 1e-2), False), (flat, (1e-3, 1e-3), False)
    for losses, found, trusted in cases:
        passes = iter([rate_search.Sweep(rates, losses, s) for s in found])
        monkeypatch.setattr(rate_search, "_sweep", lambda *_, passes=passes: next(passes))
        sweep = rate_search.find_lr(learn, "fp32")
        assert sweep.trusted is trusted and bool(sweep.why) is not trusted


@pytest.mark.usefixtures("without_plots")
def test_a_dry_run_sends_a_batch_through_everything_and_writes_nothing(drawn, tmp_path, monkeypatch):
    trained = []
    finish = run_stages.finish

    def score(run, rows):
        finish(run, rows)
        trained.append(run.scores)

    monkeypatch.setattr(run_stages, "finish", score)
    assert functions.train("angle", out=tmp_path / "runs", dry_run=True, **small(drawn)) is None
    assert not (tmp_path / "runs").exists() and trained[0]["valid"]["angle"]["n"] == 12


@pytest.mark.usefixtures("without_plots")
def test_pretrained_bodies_learn_slower_and_may_be_frozen(drawn, run, tmp_path):
    """From our own run's weights, head and all; what is frozen does not learn, and the body learns at its own rate."""
    from imgreg_fastai.models import backbones, weights

    found = weights.find_weights("resnet10t", str(run.path))
    cfg = make_config(ANGLE, **{k: v for k, v in SMALL.items() if k != "size"})
    body = backbones.build(cfg.arch, (48, 48), cfg.arch_args)
    found = weights.load_body(body, cfg.arch, found)
    assert found.origin == "model" and torch.equal(body.conv1[0].weight, load(run.path).network[0].conv1[0].weight)
    again = functions.train("angle", out=tmp_path, **small(drawn, weights=str(run.path), freeze_epochs=1, epochs=1))
    assert again.about["weights"]["kind"] == "model" and again.about["epochs_done"] == 2
    assert again.about["weights"]["sha256"] and again.about["weights"]["source"] == run.path.name
    first = functions.learner("angle", **small(drawn, weights=str(run.path)))
    assert torch.equal(first.model[1][0].weight, load(run.path).network[1][0].weight)
    number = functions.learner("angle", targets=["angle:number"], **small(drawn, weights=str(run.path)))
    assert number.model[1][0].weight.shape[0] == output_head.N_BINS


def test_frozen_epochs_train_the_head_alone_and_the_body_has_its_own_rate(drawn):
    learn = functions.learner("angle", **small(drawn))
    conv, head = (p.detach().clone() for p in (learn.model[0].conv1[0].weight, learn.model[1][0].weight))
    rates = []

    class Look(loop.Callback):
        def after_step(self):
            rates.append([h["lr"] for h in self.opt.hypers])
            frozen = len(rates) <= 6
            assert torch.equal(learn.model[0].conv1[0].weight, conv) is frozen
            assert not torch.equal(learn.model[1][0].weight, head)

    learn.add_cb(Look())
    cfg = make_config(ANGLE, freeze_epochs=1, **{k: v for k, v in SMALL.items() if k != "size"})
    loop.fit(learn, cfg, loop.TrainingWatch(), True, "fp32")
    assert len(rates) == 18
    body_rate, head_rate = rates[-4]
    assert body_rate == pytest.approx(cfg.body_lr * head_rate, rel=0.01)


@pytest.mark.filterwarnings("ignore:.*CUDA is not available")
@pytest.mark.parametrize("name", ["bf16", "fp16"])
def test_nothing_is_left_behind_by_an_interrupt_inside_the_body(drawn, name):
    learn = functions.learner("angle", **small(drawn))

    def stop(*_):
        raise KeyboardInterrupt

    handle = learn.model[0].layer1.register_forward_hook(stop)
    cfg = make_config(ANGLE, **{k: v for k, v in SMALL.items() if k != "size"})
    watch = loop.TrainingWatch()
    loop.fit(learn, cfg, watch, False, name)
    handle.remove()
    assert watch.progress.stopped == "interrupted" and not torch.is_autocast_enabled("cpu")
    assert torch.autocast_increment_nesting() == 1  # or torch would keep the weights that it rounded
    torch.autocast_decrement_nesting()
    assert not learn.model[0]._forward_hooks and not learn.model[0]._forward_pre_hooks


# ---- the suggestion of a learning rate


def test_a_sweep_is_judged_up_to_where_its_loss_is_no_number():
    lrs = np.geomspace(1e-7, 10, 100).tolist()
    losses = [1 / (1 + 1e3 * lr) for lr in lrs]
    whole = rate_search.suggest(lrs, losses, 20)
    broken = rate_search.suggest(lrs, losses[:70] + [math.nan] * 30, 20)
    assert broken.trusted and len(broken.losses) == 70 and broken.suggestion <= lrs[69]
    assert whole.trusted and whole.suggestion > broken.suggestion / 2


@pytest.mark.parametrize("n", [0, 1, 27, 30])
def test_a_sweep_that_ends_at_once_suggests_nothing(n):
    lrs = np.geomspace(1e-7, 10, 100).tolist()
    found = rate_search.suggest(lrs, [1.0] * n + [math.nan] * (100 - n), 20)
    assert not found.trusted and "diverged" in found.why and found.suggestion == 2e-3
