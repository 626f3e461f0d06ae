"""Images that a run knows: by content they keep their part, and nothing it used is held out as fresh."""
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgreg_fastai import runs
from imgreg_fastai.api import preparation
from imgreg_fastai.config import TrainConfig
from imgreg_fastai.data import known_images, labels
from imgreg_fastai.data.kept_parts import FRESHNESS
from imgreg_fastai.utils.messages import ImgregError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for i in range(60):
        (tmp_path / f"{i}.png").write_bytes(b"image %d" % i)
    return tmp_path


@pytest.fixture
def told(caplog):
    caplog.set_level("INFO", "imgreg")
    return lambda: caplog.messages


def table_of(numbers, name="{}.png", **columns):
    """Write t.csv; a column is a function of the image's number."""
    frame = pd.DataFrame({"image": [name.format(i) for i in numbers], "y": [i * 37 % 60 / 7 for i in numbers]})
    frame.assign(**{column: [f(i) for i in numbers] for column, f in columns.items()}).to_csv("t.csv", index=False)


def plan_of(**options):
    return preparation.prepare("t.csv", targets="y", **{"calibrate": 0, **options})


def run_of(plan):
    """A run as far as a later training looks at it."""
    run = runs.start_run("runs", plan.task, plan.config, plan.rows, plan.table, None, plan.earlier, state="trained")
    return str(run.path)


def parts_of(plan):
    return plan.rows.set_index("image")["split"].astype(object)


@pytest.fixture
def first(folder):
    """The run of the first 40 images, and their parts."""
    table_of(range(40))
    plan = plan_of()
    return run_of(plan), parts_of(plan)


def test_known_images_keep_their_part_whatever_the_seed_the_rows_and_the_names(first, told):
    run, parts = first
    for seed in (0, 1, 2):
        table_of(range(60))
        grown = parts_of(plan_of(weights=run, seed=seed))
        assert grown[parts.index].equals(parts) and grown.value_counts().to_dict() == {"train": 48, "valid": 12}
    assert told()[-1] == f"40 of 60 images keep the part that they had in {run}: 32 train, 8 valid"
    Path("copies").mkdir()
    for i in range(40):
        shutil.copy(f"{i}.png", f"copies/n{i}.png")
    table_of(range(40)[::-1], "copies/n{}.png")
    Path(run, "model.safetensors").touch()
    copied = parts_of(plan_of(weights=f"{run}/model.safetensors", arch="resnet18"))
    assert all(copied[f"copies/n{i}.png"] == parts[f"{i}.png"] for i in range(40))


def test_a_chain_of_runs_knows_all_their_images(first):
    run, parts = first
    table_of(range(40, 60))
    second = plan_of(weights=run)
    third_weights = run_of(second)
    table_of(range(60))
    third = parts_of(plan_of(weights=third_weights, seed=5))
    assert third[parts.index].equals(parts) and third[parts_of(second).index].equals(parts_of(second))


def test_new_images_of_a_known_group_go_where_it_is(folder, told):
    table_of(range(40), who=lambda i: f"p{i // 5}")
    plan = plan_of(group="who")
    table_of(range(60), who=lambda i: f"p{i // 5 % 9}")
    grown = plan_of(group="who", weights=run_of(plan), seed=3)
    assert grown.rows.groupby("group")["split"].nunique().eq(1).all()
    assert parts_of(grown)[parts_of(plan).index].equals(parts_of(plan))
    assert "and 15 new images go to the part of their group" in told()[-1]


STOPS = [({"folds": 3}, {}, "--folds puts into valid; try no --folds, or other --weights"),
         ({"hold_out": ("p1",), "group": "who"}, {"who": lambda i: f"p{i // 5}"}, "--hold-out puts into valid"),
         ({"group": "who"}, {"who": lambda i: f"p{i // 5}"}, "in one part each; found 'p0', which it had in train and"),
         ({}, {"is_valid": lambda i: i % 2}, "the column 'is_valid' puts into valid; try --split-col none")]


@pytest.mark.parametrize(("options", "columns", "line"), STOPS)
def test_what_would_hold_out_images_that_were_trained_on_stops(first, options, columns, line):
    run, parts = first
    table_of(range(40), **columns)
    with pytest.raises(ImgregError, match=line):
        plan_of(weights=run, **options)
    if "split-col" in line:
        assert parts_of(plan_of(weights=run, split_col="none")).equals(parts)
    table_of(range(40, 60), **columns)  # of images that the run does not know, all of this is done
    plan_of(weights=run, **{**options, **({"hold_out": ("p8",)} if "hold_out" in options else {})})


def test_images_that_were_all_trained_on_leave_none_to_validate_with(first):
    run, parts = first
    table_of([i for i in range(40) if parts[f"{i}.png"] == "train"])
    with pytest.raises(ImgregError, match=f"found 32 and 0; try images that {run} was not trained on"):
        plan_of(weights=run)


def test_the_tables_own_split_may_agree_and_its_missing_part_is_not_drawn_of_what_was_trained_on(first, told):
    run, parts = first
    table_of(range(40), split=lambda i: parts[f"{i}.png"])
    assert parts_of(plan_of(weights=run)).equals(parts)
    table_of(range(60), split=lambda i: "test" if i >= 50 else "train")
    grown = parts_of(plan_of(weights=run, seed=4))
    assert grown[parts.index].equals(parts)
    assert grown.value_counts().to_dict() == {"train": 40, "valid": 10, "test": 10}


def test_intervals_are_never_calibrated_on_images_that_were_trained_on(folder, told):
    table_of(range(40))
    plan = plan_of(calibrate=0.3)
    run, parts = run_of(plan), parts_of(plan)
    assert (parts == "calibrate").sum() == 10
    table_of(range(60))
    for calibrate in (None, 0.2):
        assert parts_of(plan_of(weights=run, calibrate=calibrate, seed=4))[parts.index].equals(parts)
    assert "10 calibrate (--calibrate 0.2 changes nothing)" in told()[-1]
    without = parts_of(plan_of(weights=run, seed=4))[parts.index]
    assert set(without[parts == "calibrate"]) == {"train"} and without[parts == "valid"].eq("valid").all()
    plain = run_of(plan_of(seed=9))
    Path("more").mkdir()
    for i in range(100):
        Path(f"more/{i}.png").write_bytes(b"more %d" % i)
    frame = pd.read_csv("t.csv")
    more = pd.DataFrame({"image": [f"more/{i}.png" for i in range(100)], "y": np.arange(100) / 7})
    pd.concat([frame, more]).to_csv("t.csv", index=False)
    drawn = parts_of(plan_of(weights=plain, calibrate=0.2))
    kept_for_intervals = drawn.index[drawn == "calibrate"]
    assert len(kept_for_intervals) == 16 and kept_for_intervals.str.startswith("more/").all()


def test_a_run_without_hashes_is_compared_by_its_files_while_they_lie_there(first, told):
    run, parts = first
    Path(run, known_images.FILE).unlink()
    table_of(range(60))
    assert parts_of(plan_of(weights=run, seed=5))[parts.index].equals(parts)
    Path("0.png").rename("elsewhere.png")
    table_of(range(1, 60))
    with pytest.raises(ImgregError, match=f"{run}, which an older version wrote, .* 1 of them gone: 0.png"):
        plan_of(weights=run)


def test_what_the_run_does_not_know_is_said_and_plain_weights_say_nothing(first, told):
    run, _ = first
    table_of(range(40, 60))
    plan_of(weights=run)
    assert told()[-1] == f"{run} knows none of these 20 images"
    n = len(told())
    plan_of(weights="none")
    plan_of(weights="resnet.pth")
    assert len(told()) == n


def test_a_model_file_outside_a_run_cannot_tell(first, told):
    from safetensors.numpy import save_file

    table_of(range(60))
    save_file({"0.a": np.zeros(1, np.float32)}, "model.imgreg", metadata={"imgreg": "{}"})
    save_file({"conv1.weight": np.zeros(1, np.float32)}, "timm.safetensors")
    plan_of(weights="model.imgreg", arch="resnet18")
    assert [line for line in told() if "does not say which images it was trained on" in line] == told()[-1:]
    plan_of(weights="timm.safetensors", arch="resnet18")
    assert len([line for line in told() if "does not say" in line]) == 1


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([None, *FRESHNESS]), st.sampled_from([*FRESHNESS])), min_size=12))
def test_a_tables_split_never_holds_out_what_was_used_more(pairs):
    known, parts = zip(*pairs, strict=True)
    frame = pd.DataFrame({"image": [f"{i}.png" for i in range(len(pairs))], "split": parts})
    frame = pd.concat([frame, pd.DataFrame({"image": ["a", "b", "c"], "split": ["train", "train", "valid"]})],
                      ignore_index=True)
    fresher = [k is not None and FRESHNESS[p] > FRESHNESS[k] for k, p in pairs]
    series = pd.Series([*known, None, None, None], dtype=object)
    if any(fresher):
        with pytest.raises(ImgregError, match=f"found {sum(fresher)} that it knows"):
            labels.assign_splits(frame, TrainConfig(weights="runs/a"), old_parts=series)
    else:
        kept = labels.assign_splits(frame, TrainConfig(weights="runs/a", calibrate=0), old_parts=series)
        assert kept["split"].equals(frame["split"])


# hashes

def test_content_is_hashed_once_and_again_if_it_changes(tmp_path, monkeypatch):
    a, b, gone = (str(tmp_path / name) for name in ("a", "b", "gone"))
    Path(a).write_bytes(b"1" * 100)
    shutil.copy(a, b)
    hashes = known_images.content_hashes([a, b, gone, a])
    assert hashes[0] == hashes[1] == hashes[3] != "" and hashes[2] == ""
    hits = known_images._hash_of_version.cache_info().hits
    known_images.content_hashes(pd.Series([a]))
    assert known_images._hash_of_version.cache_info().hits == hits + 1
    Path(a).write_bytes(b"2" * 101)
    assert known_images.content_hashes([a])[0] != hashes[0]
    assert len(known_images.content_hashes([])) == 0


def test_of_a_huge_file_size_beginning_and_end_count(tmp_path, monkeypatch):
    monkeypatch.setattr(known_images, "MAX_READ", 1000)
    monkeypatch.setattr(known_images, "END", 100)
    contents = {"a": b"x" * 2000, "size": b"x" * 2001, "start": b"y" + b"x" * 1999, "end": b"x" * 1999 + b"y"}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    assert len(set(known_images.content_hashes([str(tmp_path / name) for name in contents]))) == 4


def test_the_part_that_used_an_image_most_counts(tmp_path):
    for name in "abc":
        (tmp_path / name).write_bytes(b"the same" if name != "c" else b"other")
    frame = pd.DataFrame({"path": [str(tmp_path / name) for name in "abc"], "split": ["test", "train", "valid"]})
    known = known_images.known_images(frame)
    assert known[["split", "bytes"]].to_numpy().tolist() == [["train", 8], ["valid", 5]]
    earlier = known.assign(split="calibrate")
    assert known_images.known_images(frame, earlier)["split"].tolist() == ["train", "calibrate"]


def test_an_evaluation_leaves_out_copies_of_what_was_trained_on(tmp_path, caplog):
    (tmp_path / "copies").mkdir()
    for i in range(9):
        (tmp_path / f"{i}.png").write_bytes(b"image %d" % i)
        (tmp_path / "copies" / f"n{i}.png").write_bytes(b"image %d" % i)
    frame = pd.DataFrame({"image": [f"{i}.png" for i in range(9)], "split": ["train"] * 3 + ["valid"] * 3 +
                          ["calibrate"] * 2 + ["test"], "path": [str(tmp_path / f"{i}.png") for i in range(9)]})
    known = known_images.known_images(frame)
    trained = frame[frame["split"].isin(("train", "calibrate"))]
    names = [f"n{i}.png" for i in range(9)]
    copies = frame.assign(image=names, path=[str(tmp_path / "copies" / name) for name in names])
    left = labels.exclude_trained(copies, trained, known)
    assert left["image"].tolist() == ["n3.png", "n4.png", "n5.png", "n8.png"]
    assert "left out 5 of 9 images" in caplog.text
    for i in range(9):
        (tmp_path / f"{i}.png").unlink()
    assert labels.exclude_trained(copies, trained, known).equals(left)  # the run's own files are gone
    with pytest.raises(ImgregError, match="images that the run was not trained on; found 3 that it was"):
        labels.exclude_trained(copies[:3], trained, known)
