"""A part for the end, strata, rows of one image: each has its share and its side. test_folds has folds and names."""
import sys
import tracemalloc
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgreg_fastai.config import MANY_GROUPS, TrainConfig
from imgreg_fastai.data import labels, splits
from imgreg_fastai.tasks import Angle, Number, Task
from imgreg_fastai.utils.messages import ImgregError

PRICE = Task("t", (Number("price", ("price",)),))


def divided(frame, task=None, **of):
    cfg = SimpleNamespace(**{**vars(TrainConfig()), "calibrate": 0.0, **of})  # what TrainConfig would refuse, too
    return labels.assign_splits(frame, cfg, task)["split"]


def frame_of(n=200, **columns):
    return pd.DataFrame({"image": [f"{i}.png" for i in range(n)], **columns})


# a part for the end

def test_a_test_part_is_kept_beside_the_valid_part():
    counts = divided(frame_of(), test=0.1).value_counts()
    assert counts.to_dict() == {"train": 140, "valid": 40, "test": 20}


def test_no_group_is_in_two_parts_of_three():
    frame = frame_of(group=[f"g{i % 20}" for i in range(200)])
    for seed in range(5):
        parts = divided(frame, test=0.1, seed=seed)
        assert parts.groupby(frame["group"]).nunique().eq(1).all()
        assert parts.value_counts().to_dict() == {"train": 140, "valid": 40, "test": 20}


def test_the_test_part_is_the_same_for_every_fold_and_in_none_of_them():
    frame = frame_of(group=[f"g{i % 20}" for i in range(200)])
    parts = [divided(frame, test=0.1, folds=3, fold=k) for k in (1, 2, 3)]
    tested = parts[0] == "test"
    assert tested.sum() == 20 and all(((p == "test") == tested).all() for p in parts)
    assert (sum((p == "valid").astype(int) for p in parts)[~tested] == 1).all()
    with pytest.raises(ImgregError, match="at least 20 groups of images for --folds 20; found 18"):
        divided(frame, test=0.1, folds=20, fold=1)


def test_groups_held_out_by_name_are_never_in_the_test_part():
    frame = frame_of(group=[f"g{i % 20}" for i in range(200)])
    for seed in range(9):
        parts = divided(frame, test=0.3, hold_out=("g3", "g4"), seed=seed)
        assert set(frame["group"][parts == "valid"]) == {"g3", "g4"} and (parts == "test").sum() == 60


def test_a_test_part_of_a_table_with_its_own_split_is_refused():
    with pytest.raises(ImgregError, match="--test for a table that has no column 'split'"):
        divided(frame_of(split=["train", "valid"] * 100), test=0.1)


def test_too_large_a_test_part_leaves_nothing_to_train_on():
    with pytest.raises(ImgregError, match="2 images to train on and 1 to validate with; found 0 and 20"):
        divided(frame_of(), test=0.9)


# strata

@settings(max_examples=50, deadline=None)
@given(st.integers(12, 400), st.sampled_from([0.1, 0.2, 0.37]), st.sampled_from([0.0, 0.1]), st.integers(0, 99),
       st.sampled_from(["lognormal", "ties"]))
def test_each_tenth_of_a_number_has_its_share_of_each_part(n, valid, test, seed, shape):
    rng = np.random.default_rng(seed)
    price = rng.lognormal(10, 2, n) if shape == "lognormal" else rng.integers(0, 3, n).astype(float)
    parts = divided(frame_of(n, price=price), PRICE, valid=valid, test=test, seed=seed)
    assert (parts == "valid").sum() == max(1, round(n * valid))
    assert (parts == "test").sum() == (max(1, round(n * test)) if test else 0)
    if shape == "lognormal" and not test:
        tenth = pd.Series(price).rank().sub(1).mul(10).floordiv(n)
        sizes, held = tenth.value_counts().sort_index(), (parts == "valid").groupby(tenth).sum()
        assert ((held - sizes * round(n * valid) / n).abs() <= 1 + 1e-9).all()


def test_strata_are_drawn_by_the_seed_and_hold_small_and_large_numbers_alike():
    frame = frame_of(1000, price=np.random.default_rng(0).lognormal(10, 2, 1000))
    first, again, other = (divided(frame, PRICE, seed=seed) for seed in (1, 1, 2))
    assert first.equals(again) and not first.equals(other)

    def apart(task):  # how far the middle of the valid part is from all the middle, on the average over seeds
        log = np.log(frame["price"])
        return np.mean([abs(log[divided(frame, task, seed=s) == "valid"].mean() - log.mean()) for s in range(30)])

    assert apart(PRICE) < 0.3 * apart(None)


def test_every_rank_can_be_drawn_even_if_only_one_is():
    frame = frame_of(12, price=np.arange(12.0))
    drawn = {divided(frame, PRICE, valid=0.01, seed=s).eq("valid").argmax() for s in range(200)}
    assert drawn == set(range(12))


@pytest.mark.parametrize("task", [Task("t", (Angle("price", ("price",)),)),
                                  Task("t", (*PRICE.targets, Number("b", ("b",))))])
def test_only_one_plain_number_makes_strata(task):
    frame = frame_of(price=np.random.default_rng(0).random(200), b=1.0)
    assert divided(frame, task).equals(divided(frame))
    assert not divided(frame, PRICE).equals(divided(frame))
    grouped = frame.assign(group=[f"g{i % 20}" for i in range(200)])
    assert divided(grouped, PRICE).equals(divided(grouped))


# one image in several rows

@pytest.mark.parametrize("of", [{}, {"test": 0.2}, {"folds": 4, "fold": 2}])
def test_rows_of_one_picture_are_in_one_part(of):
    frame = frame_of(200, path=[f"d/{i // 4}.png" for i in range(200)], price=np.arange(200.0))
    for seed in range(5):
        parts = divided(frame, PRICE, seed=seed, **of)
        assert parts.groupby(frame["path"]).nunique().eq(1).all() and (parts == "valid").any()


def test_groups_that_share_a_picture_are_in_one_part():
    """Each image shows two people of six: a with b, b with c, d with e; f is alone in many."""
    pairs = [(f"{who}{i}.png", person) for who in ("ab", "bc", "de") for i in range(10) for person in who]
    frame = pd.DataFrame([*pairs, *((f"f{i}.png", who) for i in range(20) for who in (None, "f")[: 1 + i % 2])],
                         columns=["path", "group"])
    frame["image"] = frame["path"]
    for seed in range(20):
        parts = divided(frame, seed=seed, valid=0.3)
        assert parts[frame["group"].isin(list("abc"))].nunique() == 1
        assert parts.groupby(frame["path"]).nunique().eq(1).all()


def test_many_rows_are_divided_without_a_loop_over_pairs_of_them():
    """With ten times the rows hardly more functions are called, C's among them, and ten times the memory is taken."""
    calls, peaks = [], []
    for n in (2_000, 20_000):
        groups, paths = pd.Series(np.arange(n) % (n // 8)).astype(str), [f"{i % (n - 99)}" for i in range(n)]
        frame = frame_of(n, group=groups, path=paths)
        events = []
        tracemalloc.start()
        sys.setprofile(lambda _, event, __, events=events: events.append(event))
        try:
            divided(frame, test=0.1)
        finally:
            sys.setprofile(None)
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.stop()
        calls.append(len(events))
    assert calls[1] < 2 * calls[0] and peaks[1] < 11 * peaks[0]


# a part for intervals

def test_a_part_of_the_training_part_is_kept_for_intervals_unasked():
    without, parts = divided(frame_of(1000)), divided(frame_of(1000), calibrate=None)
    assert parts.value_counts().to_dict() == {"train": 680, "valid": 200, "calibrate": 120}
    assert (without[parts != "calibrate"] == parts[parts != "calibrate"]).all()  # the others stay what they were
    assert set(without[parts == "calibrate"]) == {"train"}


def test_of_many_pictures_no_more_are_kept_than_are_of_use_unless_asked():
    assert (divided(frame_of(20_000), calibrate=None) == "calibrate").sum() == splits.MAX_CALIBRATE
    assert (divided(frame_of(20_000), calibrate=0.25) == "calibrate").sum() == 4000


def test_whole_groups_are_kept_for_intervals():
    frame = frame_of(3000, group=[f"g{i % 300}" for i in range(3000)])
    parts = divided(frame, calibrate=None, seed=3)
    assert parts.groupby(frame["group"]).nunique().eq(1).all()
    assert frame["group"][parts == "calibrate"].nunique() == 36
    large = frame_of(60_000, group=[f"g{i % 300}" for i in range(60_000)])
    assert large["group"][divided(large, calibrate=None) == "calibrate"].nunique() == MANY_GROUPS


def people(n):
    """Ten images each of so many people."""
    return frame_of(10 * n, group=[f"g{i % n}" for i in range(10 * n)])


@pytest.mark.parametrize("frame, told", [
    (frame_of(300), "no intervals: they need 50 images kept from training, and 15 % of the 240 training images are "
                    "only 36; --calibrate 0.21 keeps 50"),
    (frame_of(60), "15 % of the 48 training images are only 7; --calibrate 0.19 keeps 9, for less"),
    (frame_of(125), "15 % of the 100 training images are only 15; --calibrate 0.5 keeps 50"),
    (frame_of(75), "15 % of the 60 training images are only 9; --calibrate 0.17 keeps 10, for less")])
def test_too_few_keep_none_and_it_is_said_what_to_type(frame, told):
    cfg = TrainConfig()
    done = labels.assign_splits(frame, cfg)
    assert not (done["split"] == "calibrate").any()
    reason = splits.calibration_size(done, cfg)[1]
    assert told in reason
    share = float(reason.split("--calibrate ")[1].split()[0])  # it can be typed, and does what is said of it
    assert f"keeps {splits.calibration_size(done, TrainConfig(calibrate=share))[0]}" in reason


@pytest.mark.parametrize("frame", [frame_of(11), frame_of(13)])
def test_no_share_is_named_that_leaves_nothing_to_train_on(frame):
    reason = splits.calibration_size(labels.assign_splits(frame, TrainConfig()), TrainConfig())[1]
    assert reason.startswith("no intervals: they need 50") and "--calibrate" not in reason


@pytest.mark.parametrize(("n", "calibrate", "kept", "parts"), [
    (15, None, 0, ("valid",)), (240, None, 0, ("valid",)), (250, None, 30, ("calibrate",)),
    (40, 0.2, 6, ("calibrate", "valid")), (80, 0.5, 32, ("calibrate",)), (250, 0, 0, ()), (15, 0, 0, ())])
def test_few_groups_are_all_trained_on_and_those_of_the_validation_part_calibrate(n, calibrate, kept, parts):
    cfg = TrainConfig(calibrate=calibrate)
    frame = labels.assign_splits(people(n), cfg)
    assert frame["group"][frame["split"] == "calibrate"].nunique() == kept
    assert frame["group"][frame["split"] == "valid"].nunique() == round(0.2 * n)
    assert splits.calibrating_parts(frame, cfg) == parts
    assert splits.calibration_size(frame, cfg)[1] == ""  # nothing is missing


@pytest.mark.parametrize(("n", "held", "kept"), [(150, 1, 22), (150, 8, 21), (150, 9, 0), (50, 1, 0)])
def test_few_groups_are_kept_all_the_same_where_the_validation_part_has_hardly_any(n, held, kept):
    frame = labels.assign_splits(people(n), TrainConfig(hold_out=tuple(f"g{i}" for i in range(held))))
    assert frame["group"][frame["split"] == "calibrate"].nunique() == kept
    assert splits.calibrating_parts(frame, TrainConfig())[-1] == "valid"


@pytest.mark.parametrize(("frame", "parts"), [
    (frame_of(1000), ("calibrate",)), (frame_of(60), ()), (frame_of(1000, group=range(1000)), ("calibrate",)),
    (frame_of(60, group=range(60)), ())])
def test_the_validation_part_never_calibrates_where_there_are_no_groups_of_several_images(frame, parts):
    frame = labels.assign_splits(frame, TrainConfig())
    assert splits.calibrating_parts(frame, TrainConfig()) == parts


@pytest.mark.parametrize(("n", "parts"), [(5, ("calibrate", "valid")), (29, ("calibrate", "valid")),
                                          (30, ("calibrate",)), (0, ("valid",))])
def test_few_groups_of_a_tables_own_part_for_intervals_are_joined_by_those_of_the_validation_part(n, parts):
    group = np.repeat(np.arange(100), 4)
    split = np.select([group < n, group >= 80], ["calibrate", "valid"], "train")
    frame = labels.assign_splits(frame_of(400, group=group, split=split), TrainConfig())
    assert (frame["split"] == split).all() and splits.calibrating_parts(frame, TrainConfig()) == parts
    assert splits.calibrating_parts(frame, TrainConfig(calibrate=0)) == ()
    ungrouped = frame.drop(columns="group")
    assert splits.calibrating_parts(ungrouped, TrainConfig()) == (("calibrate",) if n else ())
    assert splits.calibrating_parts(frame[frame["split"] != "valid"], TrainConfig()) == (("calibrate",) if n else ())


def test_a_tables_own_part_for_intervals_is_taken_and_no_other_beside_it():
    frame = frame_of(1000, split=["train"] * 700 + ["valid"] * 200 + ["calibrate"] * 100)
    assert (divided(frame, calibrate=None) == frame["split"]).all()
    with pytest.raises(ImgregError, match="--calibrate for a table that keeps no rows for it"):
        divided(frame, calibrate=0.1)


def test_a_table_with_its_own_split_gives_some_of_its_training_rows_for_intervals():
    frame = frame_of(1000, split=["train"] * 800 + ["valid"] * 200)
    assert divided(frame, calibrate=None).value_counts().to_dict() == {"train": 680, "valid": 200, "calibrate": 120}


def test_fewer_than_the_promise_takes_are_refused_where_they_were_asked_for():
    with pytest.raises(ImgregError, match=r"keeps at least 9 images, for intervals of 90%; found 0\.05 of 80"):
        divided(frame_of(100), calibrate=0.05)
    assert (divided(frame_of(100), calibrate=0.05, coverage=0.75) == "calibrate").sum() == 4
    with pytest.raises(ImgregError, match="at least 2 images to train on"):
        divided(frame_of(100), calibrate=0.99)


@pytest.mark.parametrize("wrong", [{"calibrate": 1.0}, {"calibrate": -0.1}, {"coverage": 0}, {"coverage": 1},
                                   {"calibrate": "much"}, {"coverage": None}])
def test_shares_that_are_none_are_refused(wrong):
    with pytest.raises(ImgregError):
        TrainConfig(**wrong)
