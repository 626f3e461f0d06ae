"""Checkpoints: all of a training to the bit, never read when anything of them has changed."""
import shutil
from pathlib import Path

import pytest
import torch

from imgreg_fastai.api import functions
from imgreg_fastai.api.preparation import make_config
from imgreg_fastai.tasks import ANGLE
from imgreg_fastai.training import checkpoint, loop
from imgreg_fastai.training.progress import Progress
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import TINY

CONFIG = make_config(ANGLE, **{**{k: v for k, v in TINY.items() if k != "size"}, "epochs": 2, "workers": 0})


def learner(spotted):
    table = Path(spotted["path"][0]).parent / "labels.csv"
    return functions.learner(table, targets=["spots=rx,ry,bx,by:point", "n:number"], **TINY, workers=0)


@pytest.fixture(scope="module")
def saved(spotted, tmp_path_factory):
    """A Learner that was trained, and the folder of its two checkpoints, of step 3, and of step 4, where it ended."""
    folder, learn = tmp_path_factory.mktemp("saved"), learner(spotted)
    writer = checkpoint.CheckpointWriter(folder, minutes=0)

    def save(moment):
        if moment != "step" or watch.progress.step == 3:
            writer.write(checkpoint.take_checkpoint(learn, watch.progress, watch.best))

    watch = loop.TrainingWatch(save=save)
    loop.fit(learn, CONFIG, watch, pretrained=True, precision="fp32")
    return learn, watch, folder


@pytest.fixture
def copied(saved, tmp_path):
    for name in (checkpoint.LAST, checkpoint.PREVIOUS):
        shutil.copy(saved[2] / name, tmp_path)
    return tmp_path


def assert_equal(tensors, others):
    assert tensors.keys() == others.keys() and len(tensors) > 0
    for name, tensor in tensors.items():
        assert tensor.dtype == others[name].dtype and torch.equal(tensor, others[name]), name


def test_a_checkpoint_is_read_to_the_bit(saved):
    learn, watch, folder = saved
    read, expected = checkpoint.read_checkpoint(folder), checkpoint.take_checkpoint(learn, watch.progress, watch.best)
    assert read.progress == watch.progress and read.progress.step == 4 and len(read.progress.history) == 2
    for part in ("weights", "optimizer", "best"):
        assert_equal(getattr(read, part), getattr(expected, part))
    assert not list(folder.glob("*.tmp*")) and {f.name for f in folder.iterdir() if f.is_file()} == {
        checkpoint.LAST, checkpoint.PREVIOUS}


def test_a_learner_that_is_restored_has_the_averages_of_the_optimizer_as_they_lie_in_memory(saved, spotted):
    learn, _, folder = saved
    other = learner(spotted)
    checkpoint.restore(other, checkpoint.read_checkpoint(folder))
    assert_equal(dict(other.model.state_dict()), dict(learn.model.state_dict()))
    assert len(other.opt.opt.state) == len(learn.opt.opt.state) > 10
    for parameter, same in zip(learn.model.parameters(), other.model.parameters(), strict=True):
        values, restored = learn.opt.opt.state[parameter], other.opt.opt.state[same]
        assert_equal(values, restored)
        assert all(value.stride() == restored[name].stride() for name, value in values.items())


def test_the_next_step_of_a_learner_that_is_restored_is_that_of_the_other(saved, spotted):
    learn, _, folder = saved
    ends = []
    for source in (learn, None):
        other = learner(spotted)
        state = checkpoint.read_checkpoint(folder)
        if source:
            state = checkpoint.take_checkpoint(source, state.progress, state.best)
        checkpoint.restore(other, state)
        state.progress.replan_epochs(3)
        loop.fit(other, CONFIG, loop.TrainingWatch(state.progress), pretrained=True, precision="fp32")
        ends.append((dict(other.model.state_dict()), state.progress))
    assert_equal(ends[0][0], ends[1][0])
    assert ends[0][1].history[-1]["train_loss"] == ends[1][1].history[-1]["train_loss"]
    assert ends[0][1].step == 6


def test_the_best_weights_are_in_the_file_only_where_they_are_not_those_of_the_network():
    weights, best = {"a": torch.ones(2)}, {"a": torch.zeros(2)}
    row = {"epoch": 1}
    newest = checkpoint.Checkpoint(Progress(best_epoch=1, history=[row]), weights, {}, weights)
    older = checkpoint.Checkpoint(Progress(best_epoch=1, history=[row, row]), weights, {}, best)
    within = checkpoint.Checkpoint(Progress(best_epoch=1, history=[row], step_in_epoch=1), weights, {}, best)
    names = [{name.partition(".")[0] for name in c.tensors()} for c in (newest, older, within)]
    assert names == [{"weights"}, {"weights", "best"}, {"weights", "best"}]


def test_any_byte_that_changed_is_seen_and_the_checkpoint_before_is_read(copied, caplog):
    last, previous = copied / checkpoint.LAST, copied / checkpoint.PREVIOUS
    whole, before = last.read_bytes(), previous.read_bytes()
    for i in [*range(0, 3000, 119), *range(3000, len(whole), len(whole) // 15), len(whole) - 1]:
        last.write_bytes(whole[:i] + bytes([whole[i] ^ 1]) + whole[i + 1 :])
        previous.write_bytes(before)
        caplog.clear()
        assert checkpoint.read_checkpoint(copied).progress.step == 3, i
        (message,) = caplog.messages
        assert message.startswith("last.ckpt: ") and "previous.ckpt, after step 3" in message
        assert "\n" not in message


@pytest.mark.parametrize("length", [0, 1, 7, 8, 2000, 0.5, -1])
def test_a_checkpoint_that_was_cut_off_is_not_read(copied, caplog, length):
    last = copied / checkpoint.LAST
    whole = last.read_bytes()
    last.write_bytes(whole[: int(length * len(whole)) if isinstance(length, float) else length])
    assert checkpoint.read_checkpoint(copied).progress.step == 3
    assert "going on from the checkpoint before it" in caplog.text


def test_without_an_intact_checkpoint_is_one_line_and_without_any_is_none(copied):
    (copied / checkpoint.LAST).write_bytes(b"PK\x03\x04")  # as torch.save writes
    with open(copied / checkpoint.PREVIOUS, "r+b") as file:
        file.seek(-5, 2)
        file.write(b"?")
    with pytest.raises(ImgregError, match=r"an older version of imgreg wrote it; previous\.ckpt: its checksum") as e:
        checkpoint.read_checkpoint(copied)
    assert "\n" not in str(e.value)
    (copied / checkpoint.LAST).unlink()
    (copied / checkpoint.PREVIOUS).unlink()
    assert checkpoint.read_checkpoint(copied) is None


def test_where_only_the_checkpoint_before_is_left_it_is_read_and_takes_the_place_of_the_last(copied, caplog):
    (copied / checkpoint.LAST).unlink()  # killed between the two replacements
    assert checkpoint.read_checkpoint(copied).progress.step == 3
    assert caplog.text.count("last.ckpt: missing; going on from the checkpoint before it") == 1
    assert checkpoint.read_checkpoint(copied).progress.step == 3 and not (copied / checkpoint.PREVIOUS).exists()
    assert caplog.text.count("missing") == 1


def test_a_damaged_checkpoint_never_takes_the_place_of_a_good_one(copied):
    (copied / checkpoint.LAST).write_bytes(b"damaged")
    saved = checkpoint.read_checkpoint(copied)
    checkpoint.write_checkpoint(copied, saved)
    (copied / checkpoint.LAST).unlink()
    assert checkpoint.read_checkpoint(copied).progress == saved.progress


def test_a_checkpoint_of_a_newer_version_is_not_taken_for_a_damaged_one(copied, monkeypatch):
    monkeypatch.setattr(checkpoint, "FORMAT", 0)
    with pytest.raises(ImgregError, match="pip install -U"):
        checkpoint.read_checkpoint(copied)


def test_a_checkpoint_of_another_network_is_one_line(saved, drawn):
    other = functions.learner("angle", data=drawn, **TINY, workers=0)
    with pytest.raises(ImgregError, match="a checkpoint of this network") as e:
        checkpoint.restore(other, checkpoint.read_checkpoint(saved[2]))
    assert "\n" not in str(e.value)


def test_writing_takes_at_most_a_hundredth_of_the_time_and_goes_by_the_clock_within_an_epoch(tmp_path, monkeypatch):
    now = 1000.0
    monkeypatch.setattr(checkpoint.time, "perf_counter", lambda: now)
    writer = checkpoint.CheckpointWriter(tmp_path, minutes=10)
    now += 30
    assert writer.is_due("epoch") and not writer.is_due("step")
    with writer.timed():
        now += 0.5
    assert writer.seconds == 0.5 and not writer.is_due("epoch") and writer.is_due("end")
    now += 20
    assert writer.is_due("epoch")
    now += 600
    assert writer.is_due("step")
    with writer.timed():
        pass
    assert not writer.is_due("step")
    now += 599
    assert not writer.is_due("step")
    now += 1
    assert writer.is_due("step")
    assert checkpoint.CheckpointWriter(tmp_path, minutes=0).is_due("step")
