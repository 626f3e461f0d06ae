"""Columns that say who validates, whatever they are called; what is used, what only looks like one, what is asked."""
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgreg_fastai.config import TrainConfig
from imgreg_fastai.data import labels
from imgreg_fastai.data.labels.split_columns import dividing_columns, read_division
from imgreg_fastai.datasets.own_table import table_task
from imgreg_fastai.tasks import Number, Task
from imgreg_fastai.utils.messages import ImgregError

N = 60
Y = Task("t", (Number("y", ("y",)),))
PARTS = ["train"] * 40 + ["valid"] * 10 + ["test"] * 10


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i in range(N):
        (tmp_path / f"{i}.png").touch()
    return tmp_path


@pytest.fixture
def told(caplog):
    caplog.set_level("INFO", "imgreg")
    return lambda: [message for message in caplog.messages if "predicting" not in message]


def table_of(**columns):
    frame = pd.DataFrame({"image": [f"{i}.png" for i in range(N)], "y": np.arange(N) * 37 % N / 7})
    frame = frame.assign(**{name: values if isinstance(values, (list, int)) else list(values)
                            for name, values in columns.items()})
    frame.to_csv("t.csv", index=False)


def divide(cfg=None, task=None, **fields):
    """The parts and the inferred targets of t.csv, as a training has them."""
    cfg = cfg or TrainConfig(calibrate=0)
    task = task or replace(table_task("t.csv"), **fields)
    read = labels.read_rows("t.csv", task, cfg=cfg)
    stopping = [issue.describe() for issue in labels.label_issues(read, cfg) if issue.level == "stop"]
    if stopping:
        raise ImgregError(stopping[0])
    return labels.assign_splits(read.usable(), cfg, task)["split"].tolist(), [t.name for t in task.targets]


def counts_of(parts):
    return pd.Series(parts).value_counts().to_dict()


WORDS = {"train": ["train", "Training", "TRAIN ", "train set"], "valid": ["val", "Validation", "dev", "eval", "Valid"],
         "test": ["test", "Testing", "test-set"]}
NAMES = ["split", "Split", "SET", "subset", "Partition", "usage", "Phase", "part", "data split", "data-set", "imageSet"]


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(NAMES), st.tuples(*(st.sampled_from(WORDS[part]) for part in WORDS)))
def test_words_are_read_under_any_usual_name(name, words):
    word_of = dict(zip(WORDS, words, strict=True))
    frame = pd.DataFrame({"image": "a.png", "y": range(N), name: [word_of[part] for part in PARTS]})
    division = read_division(frame, Y, "image", Path("t.csv"), TrainConfig())
    assert division["split"].tolist() == PARTS and division.attrs["split_col"] == name
    assert dividing_columns(frame) == [name]


FLAGS = [("is_valid", True, False), ("isValid", 1, 0), ("Is Valid", "yes", "no"), ("is-val", "TRUE", "FALSE"),
         ("validation", "Y", "N"), ("valid", "true", "false"), ("in_valid_set", 1.0, 0.0), ("val", "x", "")]


@pytest.mark.parametrize(("name", "yes", "no"), FLAGS)
def test_a_column_of_yes_and_no_says_who_validates(folder, told, name, yes, no):
    table_of(**{name: [no] * 45 + [yes] * 15})
    assert divide() == (["train"] * 45 + ["valid"] * 15, ["y"])
    assert told() == [f"the split is the column '{name}' of t.csv: 45 train, 15 valid (--split-col NAME takes "
                      "another column, --split-col none draws it)"]
    parts, targets = divide(split_col="none")
    assert counts_of(parts) == {"train": 48, "valid": 12} and targets == ["y"] and len(told()) == 1


@pytest.mark.parametrize("name", ["is_train", "isTraining", "train", "use for training"])
def test_those_that_are_not_trained_on_validate(folder, name):
    table_of(**{name: [True] * 45 + [False] * 15})
    assert divide()[0] == ["train"] * 45 + ["valid"] * 15


def test_several_columns_of_yes_and_no_are_one_split(folder, told):
    table_of(train=[1] * 40 + [0] * 20, val=[0] * 40 + [1] * 10 + [0] * 10, test=[0] * 50 + [1] * 10)
    assert divide() == (PARTS, ["y"]) and "40 train, 10 valid, 10 test" in told()[0]
    table_of(is_valid=[0] * 40 + [1] * 10 + [0] * 10, is_test=[0] * 50 + [1] * 10)
    assert divide()[0] == PARTS
    table_of(is_valid=[0] * 40 + [1] * 20, is_test=[0] * 50 + [1] * 10)
    with pytest.raises(ImgregError, match=r"'is_valid' and 'is_test', which differ in 10 rows \(row 52: valid and"):
        divide()


def test_fer2013_has_two_test_parts_of_which_the_first_validates(folder, told):
    table_of(Usage=["Training"] * 40 + ["PublicTest"] * 10 + ["PrivateTest"] * 10)
    assert divide()[0] == PARTS
    assert "40 train (Training), 10 valid (PublicTest), 10 test (PrivateTest)" in told()[0]
    table_of(Usage=["Training"] * 50 + ["PrivateTest"] * 10)
    assert counts_of(divide()[0]) == {"train": 40, "valid": 10, "test": 10}


@pytest.mark.parametrize("start", [0, 1])
@pytest.mark.parametrize("name", ["partition", "eval_partition", "Split"])
def test_numbers_are_parts_where_the_first_is_the_most_frequent(folder, told, name, start):
    table_of(**{name: [start] * 40 + [start + 1] * 10 + [start + 2] * 10})
    assert divide() == (PARTS, ["y"]) and f"40 train ({start}), 10 valid ({start + 1})" in told()[0]
    table_of(**{name: [start] * 10 + [start + 1] * 50})
    assert counts_of(divide()[0]) == {"train": 48, "valid": 12}
    assert f"looks like a split and is not used: if {start} is train, only 10 of 60 rows" in told()[1]


NO_SPLITS = {"set": [i % 40 + 1 for i in range(N)], "part": ["gear", "axle", "lid"] * 20, "usage": np.arange(N) * 1.7,
             "phase": [i % 3 for i in range(N)], "test": np.arange(N) * 0.5, "val": [i % 7 for i in range(N)],
             "is_test_score": np.arange(N) * 2.5, "fold_change": np.arange(N) * 0.37, "purpose": ["a", "train"] * 30,
             "note": ["a test of words, all different, that are long " * 50 + str(i) for i in range(N)],
             "trains": [i % 2 for i in range(N)], "empty": [""] * N, "set_point": [20.5] * 30 + [21.5] * 30}


@pytest.mark.parametrize("name", NO_SPLITS)
def test_a_column_that_has_nothing_to_do_with_parts_is_left_alone_in_silence(folder, told, name):
    table_of(**{name: NO_SPLITS[name]})
    parts, _ = divide(task=Y)
    assert counts_of(parts) == {"train": 48, "valid": 12} and not told()


@pytest.mark.parametrize(("columns", "line"), [
    ({"set": ["train", "valid", "old", "new"] * 15}, "30 of 60 cells are no parts, such as 'old' (--split-col"),
    ({"Zweck": ["train"] * 45 + ["val"] * 15}, "may be something else; 45 train, 15 valid (val) (--split-col Zweck"),
    ({"valid": [True] * 57 + [False] * 3}, "only 3 of 60 rows would be trained on (--split-col valid uses it)"),
    ({"is_valid": [0] * N}, "it says no in every row"),
])
def test_what_only_looks_like_a_split_gets_one_line(folder, told, columns, line):
    table_of(**columns)
    parts, targets = divide()
    assert counts_of(parts) == {"train": 48, "valid": 12} and targets == ["y"]
    assert len(told()) == 1 and f"the column '{next(iter(columns))}' of t.csv looks like a split" in told()[0]
    assert line in told()[0]
    if "--split-col valid" in line:
        assert counts_of(divide(split_col="valid")[0]) == {"train": 3, "valid": 57}


def test_a_slip_or_an_empty_cell_stops_and_names_the_column(folder):
    for slip in ("vaild", ""):
        table_of(Set=["train"] * 40 + [slip] + ["val"] * 19)
        with pytest.raises(ImgregError, match=rf"none of train, valid, calibrate, test: 1 of 60 rows \(row 42 "
                                              rf"'{slip}'\); mend the column 'Set', or --split-col none"):
            divide()


def test_columns_that_agree_are_one_and_those_that_contradict_are_asked_about(folder, told):
    table_of(split=PARTS, is_valid=[part == "valid" for part in PARTS])
    assert divide() == (PARTS, ["y"]) and not told()  # the table's split in our own words is no news
    table_of(set=["train"] * 45 + ["val"] * 15, is_valid=[0] * 40 + [1] * 20)
    with pytest.raises(ImgregError, match=r"'set' and 'is_valid', which differ in 5 rows \(row 42: train and valid\); "
                                          "try --split-col 'set', --split-col 'is_valid' or --split-col none"):
        divide()
    assert counts_of(divide(split_col="is_valid")[0]) == {"train": 40, "valid": 20}
    assert counts_of(divide(split_col="none")[0]) == {"train": 48, "valid": 12}
    assert counts_of(divide(TrainConfig(folds=3, fold=1, calibrate=0))[0]) == {"train": 40, "valid": 20}


def test_a_column_that_is_named_must_be_there_and_hold_parts(folder):
    table_of(a=[i % 17 for i in range(N)])
    with pytest.raises(ImgregError, match=r"a column 'b' in t\.csv, for --split-col; found image, y, a"):
        divide(task=Task("t", Y.targets, split_col="b"))
    with pytest.raises(ImgregError, match="none of train, valid, calibrate, test: 60 of 60 rows"):
        divide(task=Task("t", Y.targets, split_col="a"))
    with pytest.raises(ImgregError, match="a column of its own"):
        Task("t", Y.targets, split_col="y")


# a validation part out of the training part

def test_a_table_of_train_and_test_gets_its_validation_part_out_of_train(folder, told):
    table_of(split=["train"] * 50 + ["test"] * 10, group=[f"g{i // 5}" for i in range(N)])
    parts, _ = divide()
    assert parts[50:] == ["test"] * 10 and counts_of(parts) == {"train": 40, "test": 10, "valid": 10}
    assert pd.Series(parts).groupby([i // 5 for i in range(N)]).nunique().eq(1).all()
    assert told() == ["the split 'split' has no validation part: 10 of its 50 training images are drawn for it, by "
                      "whole groups (--valid changes their share)"]
    table_of(split=["train"] * 50 + ["test"] * 10)
    parts = [pd.Series(divide(TrainConfig(calibrate=0, valid=0.4, seed=seed))[0]) for seed in (0, 0, 1)]
    assert (parts[0] == "valid").sum() == 20 and parts[0].equals(parts[1]) and not parts[0].equals(parts[2])
    y = np.arange(N) * 37 % N / 7  # small and large numbers have their share
    assert np.histogram(y[parts[0] == "valid"], 4)[0].min() >= 3


@pytest.mark.parametrize(("word", "found"), [("test", "60 test"), ("val", "60 valid")])
def test_a_table_without_rows_to_train_on_stops(folder, word, found):
    table_of(Set=[word] * N)
    with pytest.raises(ImgregError, match=rf"0 rows whose split is train by 'Set' \({found}\)"):
        divide()


# folds

def test_folds_of_the_table_are_used_where_they_are_named_or_as_many(folder, told):
    table_of(fold=[i % 5 for i in range(N)])
    divide()
    assert told() == ["the column 'fold' of t.csv looks like 5 folds and is not used "
                      "(imgreg train --folds fold uses it)"]
    for folds in ("fold", 5):
        parts, targets = divide(TrainConfig(folds=folds, calibrate=0))
        assert targets == ["y"] and parts == ["train" if i % 5 else "valid" for i in range(N)]
    assert told()[1] == "the folds are those of the column 'fold' of t.csv: 0, 1, 2, 3, 4"
    divide(TrainConfig(folds=4, calibrate=0))
    assert "5 folds and is not used for --folds 4" in told()[2] and len(told()) == 3


@pytest.mark.parametrize(("columns", "line"), [
    ({"house": [i % 30 for i in range(N)]}, "2 to 20 different values; found 30 in 'house'"),
    ({"house": ["a"] * N}, "2 to 20 different values; found 1 in 'house'"),
    ({"house": [""] + ["a", "b"] * 29 + ["a"]}, r"no fold: 1 of 60 rows \(row 2\)"),
    ({"hose": ["a", "b"] * 30}, "a column 'house' in t.csv, for --folds; found image, y, hose; try one of 'hose'"),
])
def test_a_column_that_cannot_be_folds_is_one_line(folder, columns, line):
    table_of(**columns)
    with pytest.raises(ImgregError, match=line):
        divide(TrainConfig(folds="house"), task=Y)


def test_a_group_in_two_folds_stops(folder):
    table_of(fold=[i % 2 for i in range(N)], who=[i // 3 for i in range(N)])
    task = Task("t", Y.targets, group="who")
    with pytest.raises(ImgregError, match="a group in several folds: 60 of 60 rows"):
        divide(TrainConfig(folds="fold"), task)


@pytest.mark.parametrize("name", ["set", "Usage", "phase"])
def test_numbers_of_parts_under_a_vague_name_are_told(folder, told, name):
    table_of(**{name: [0] * 40 + [1] * 10 + [2] * 10})
    assert counts_of(divide(task=Y)[0]) == {"train": 48, "valid": 12}
    assert told() == [f"the column '{name}' of t.csv looks like a split and is not used: by its name it may be "
                      f"something else; 40 train (0), 10 valid (1), 10 test (2) (--split-col {name} uses it)"]
    assert counts_of(divide(split_col=name)[0]) == {"train": 40, "valid": 10, "test": 10}


def test_a_holdout_is_a_test_part(folder):
    table_of(partition=["Training"] * 50 + ["Holdout"] * 10)
    assert counts_of(divide(task=Y)[0]) == {"train": 40, "valid": 10, "test": 10}
    table_of(is_holdout=[0] * 50 + [1] * 10)
    assert counts_of(divide(task=Y)[0]) == {"train": 40, "valid": 10, "test": 10}


def test_numbers_that_may_be_folds_are_told_with_the_option_that_reads_them(folder):
    table_of(split=[i % 5 for i in range(N)])
    with pytest.raises(ImgregError, match="--split-col none, or imgreg train --folds 'split' if these are folds"):
        divide(task=Y)
    table_of(split=["train"] * 30 + ["tarin"] * 30)
    with pytest.raises(ImgregError, match=r"--split-col none$"):
        divide(task=Y)


def test_a_split_is_obeyed_where_it_is_the_group_too(folder):
    table_of(split=["train"] * 40 + ["valid"] * 20)
    assert divide(group="split") == divide()
