"""Held-out groups and folds: whatever is held out, no group is on both sides."""
import logging
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgreg_fastai.api.preparation import make_config
from imgreg_fastai.data import labels
from imgreg_fastai.tasks import Number, Task
from imgreg_fastai.utils.messages import ImgregError

TASK = Task("t", (Number("n", ("n",)),))


def divided(frame, **of):
    return labels.assign_splits(frame, make_config(TASK, **of))


def people():
    """Images of five people in seven folders; ann and bob sat twice."""
    sat = {"01": "ann", "02": "bob", "03": "cyd", "04": "dan", "05": "eve", "11": "ann", "12": "bob"}
    rows = [(f"faces/{folder}/{i}.png", who) for folder, who in sat.items() for i in range(10)]
    return pd.DataFrame(rows, columns=["image", "group"])


def held(frame, **of):
    """The folders on either side."""
    done = divided(frame, **of)
    folders = done["image"].str.split("/").str[1]
    return {part: set(folders[done["split"] == part]) for part in ("train", "valid")}


# hold_out

def test_a_folder_held_out_takes_all_of_its_person_along_and_says_so(caplog):
    with caplog.at_level(logging.INFO, "imgreg"):
        sides = held(people(), hold_out=("02",))
    assert sides == {"train": {"01", "03", "04", "05", "11"}, "valid": {"02", "12"}}
    assert "held out as well: 10 other images of group bob" in caplog.text


@pytest.mark.parametrize(("names", "valid"), [
    (("bob",), {"02", "12"}), (("cyd",), {"03"}), (("cyd", "04"), {"03", "04"}), (("01", "eve"), {"01", "11", "05"}),
])
def test_groups_are_held_out_by_name_alone_or_with_folders(names, valid, caplog):
    with caplog.at_level(logging.INFO, "imgreg"):
        assert held(people(), hold_out=names)["valid"] == valid
    assert ("as well" in caplog.text) is ("01" in names)


def test_holding_out_goes_before_the_tables_own_split():
    frame = people().assign(split="train")
    done = divided(frame, hold_out=("cyd",))
    assert set(done.loc[done["split"] == "valid", "group"]) == {"cyd"}


def test_without_groups_a_folder_is_held_out_and_nothing_else():
    sides = held(people().drop(columns="group"), hold_out=("02",))
    assert sides["valid"] == {"02"} and len(sides["train"]) == 6


def test_folders_are_known_by_either_slash_at_any_depth_and_a_picture_is_no_folder():
    frame = pd.DataFrame({"image": ["a\\b\\1.png", "a/c/b/2.png", "a/c/3.png", "a/c/4.png", "b"]})
    assert divided(frame, hold_out=("b",))["split"].tolist() == ["valid", "valid", "train", "train", "train"]


def test_groups_that_are_numbers_are_held_out_by_their_digits():
    frame = pd.DataFrame({"image": [f"{i}.png" for i in range(6)], "group": [1, 1, 2, 2, 3, 3]})
    assert divided(frame, hold_out=("2",))["split"].tolist() == ["train"] * 2 + ["valid"] * 2 + ["train"] * 2


def test_a_name_that_is_neither_group_nor_folder_is_one_line():
    with pytest.raises(ImgregError, match=r"--hold-out with a group, or a folder of images; found 'bop'; try 'bob'"):
        divided(people(), hold_out=("cyd", "bop"))
    with pytest.raises(ImgregError, match="found 'row 3'"):  # our own name for an image without a group
        divided(people().drop(columns="group"), hold_out=("row 3",))


def test_holding_out_everything_leaves_nothing_to_train_on():
    with pytest.raises(ImgregError, match="2 images to train on and 1 to validate with; found 0 and 70"):
        divided(people(), hold_out=("faces",))


# folds

def folds(frame, n, **of):
    """For each fold the places of its validation part."""
    parts = [divided(frame, folds=n, fold=k, **of)["split"] for k in range(1, n + 1)]
    assert all(set(p) == {"train", "valid"} for p in parts)
    return [set(np.flatnonzero(p == "valid")) for p in parts]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([*"abcdefgh", None]), min_size=40, max_size=80), st.integers(2, 5), st.integers(0, 9))
def test_folds_are_disjoint_cover_everything_and_share_no_group(groups, n, seed):
    groups = list("abcdefgh") + groups  # all eight are there, so that five folds are possible
    frame = pd.DataFrame({"image": [f"{i}.png" for i in range(len(groups))], "group": groups})
    found = folds(frame, n, seed=seed)
    assert sum(map(len, found)) == len(frame) and set.union(*found) == set(range(len(frame)))
    for one in found:
        inside = {groups[i] for i in one} - {None}
        assert inside.isdisjoint({groups[i] for i in set(range(len(groups))) - one})
    largest = pd.Series(groups).value_counts().max()
    assert max(map(len, found)) - min(map(len, found)) <= largest


def test_folds_without_groups_differ_by_a_picture_at_most_and_are_drawn_at_random():
    frame = pd.DataFrame({"image": [f"{i}.png" for i in range(32)]})
    found = folds(frame, 3)
    assert sorted(map(len, found)) == [10, 11, 11]
    assert all(one & set(range(16)) and one & set(range(16, 32)) for one in found)
    assert found == folds(frame, 3, seed=0) != folds(frame, 3, seed=1)


def test_folds_of_unlike_groups_are_about_equally_large():
    sizes = {"a": 40, "b": 30, "c": 20, "d": 20, "e": 10, "f": 10, "g": 10, "h": 10}
    groups = [name for name, n in sizes.items() for _ in range(n)]
    frame = pd.DataFrame({"image": [f"{i}.png" for i in range(150)], "group": groups})
    for seed in range(5):
        assert [len(one) for one in folds(frame, 3, seed=seed)] == [50, 50, 50]


def test_a_fold_goes_before_the_tables_own_split():
    frame = people().assign(split="train")
    assert folds(frame, 5)[0] == folds(people(), 5)[0]


def test_more_folds_than_groups_is_one_line():
    with pytest.raises(ImgregError, match=re.escape("at least 6 groups of images for --folds 6; found 5")):
        divided(people(), folds=6, fold=1)


@pytest.mark.parametrize(("of", "told"), [
    ({"folds": 1}, "--folds of at least 2"), ({"folds": 2, "fold": 0}, "--fold of at least 1"),
    ({"folds": 2, "hold_out": ("a",)}, "--hold-out or --folds, not both"),
    ({"folds": 2.5}, "a whole number for --folds"),
    ({"folds": 3, "fold": 4}, "fold"), ({"fold": 1}, "fold"),
])
def test_folds_of_no_use_are_refused_in_one_line(of, told):
    with pytest.raises(ImgregError, match=told) as e:
        divided(people(), **of)
    assert "\n" not in str(e.value)


def test_a_group_keeps_its_name_though_another_has_none(tmp_path):
    """A column of whole numbers with a gap: pandas would make 1 into 1.0."""
    for i in range(5):
        (tmp_path / f"{i}.png").touch()
    (tmp_path / "t.csv").write_text("image,n,group\n0.png,1,007\n1.png,2,8\n2.png,3,8\n3.png,4,\n4.png,5,9\n")
    frame = labels.read_labels(tmp_path / "t.csv", TASK)
    assert divided(frame, hold_out=("8",))["split"].tolist() == ["train", "valid", "valid", "train", "train"]
