"""Every fault that is planted into a clean table is found, with its rows; the clean one raises no alarm."""
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from imgreg_fastai.data import labels
from imgreg_fastai.tasks import Angle, Number, Point, Rotation, Task
from imgreg_fastai.utils.messages import ImgregError

N = 300
AGE = Task("faces", (Number("age", ("age",)),), group="who")
MANY = Task("faces", (Number("age", ("age",)), Point("eyes", ("lx", "ly", "rx", "ry")),
                      Rotation("pose", ("yaw", "pitch", "roll"))), box=("cx", "cy", "w", "h"), group="who")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which 000.png to 299.png lie; that they are images is asked later."""
    folder = tmp_path_factory.mktemp("faces")
    for i in range(N):
        (folder / f"{i:03}.png").write_bytes(b"x")
    return folder


def clean(seed=0) -> pd.DataFrame:
    """A table without fault: 30 people, each in one part."""
    rng, who = np.random.default_rng(seed), np.arange(N) % 30
    frame = pd.DataFrame({"image": [f"{i:03}.png" for i in range(N)], "who": [f"p{w}" for w in who],
                          "split": np.where(who < 24, "train", np.where(who < 27, "valid", "test"))})
    columns = [c for c in MANY.columns if c not in frame] + list(MANY.box)
    values = pd.DataFrame(rng.uniform(1, 50, (N, len(columns))).round(2), columns=columns)
    return pd.concat([frame, values], axis=1).astype(object)


def surveyed(folder, frame, task=AGE):
    frame.to_csv(folder / "t.csv", index=False)
    rows = labels.read_rows(folder / "t.csv", task)
    return rows, labels.label_issues(rows)


@pytest.mark.parametrize("task", [AGE, MANY])
@pytest.mark.parametrize("without", [[], ["split"]])
def test_no_false_alarm_on_a_clean_table(folder, task, without):
    seen, found = surveyed(folder, clean().drop(columns=without), task)
    assert not found and seen.frame["usable"].all() and (seen.frame["row"] == np.arange(2, N + 2)).all()
    assert len(seen.usable()) == N


# For each kind: the column, what is put there (of row i), and the level of its finding.
PLANTED = {
    "unnamed": ("image", lambda i: "", "leave out"), "absent": ("image", lambda i: f"gone{i}.png", "leave out"),
    "missing": ("age", lambda i: "", "leave out"),
    "word": ("age", lambda i: ("old", "<5", "12 years")[i % 3], "leave out"),
    "infinite": ("age", lambda i: ("inf", "-inf", "Infinity")[i % 3], "leave out"),
    "split": ("split", lambda i: ("part 1", "2", "")[i % 3], "stop"),
}


@pytest.mark.parametrize("seed", range(4))
def test_faults_planted_by_a_seed_are_all_found_and_nothing_else_is(folder, seed):
    frame, rng = clean(seed), np.random.default_rng(seed)
    places = dict(zip(PLANTED, np.split(rng.permutation(N)[: 12 * len(PLANTED)], len(PLANTED)), strict=True))
    for kind, (column, value, _) in PLANTED.items():
        frame.loc[places[kind], column] = [value(i) for i in places[kind]]
    seen, found = surveyed(folder, frame)
    assert {f.code: (f.level, set(f.rows)) for f in found} == {
        kind: (PLANTED[kind][2], set((at + 2).tolist())) for kind, at in places.items()}
    lost = np.concatenate([at for kind, at in places.items() if PLANTED[kind][2] == "leave out"])
    assert set(np.flatnonzero(~seen.frame["usable"])) == set(lost) and all(f.total == N for f in found)
    for line in (f.describe() for f in found):
        assert "\n" not in line and "12 of 300 rows (row " in line and "and 7 more" in line
    kept = seen.usable()
    assert len(kept) == N - len(lost) and np.isfinite(kept["age"]).all()


def test_a_value_that_is_lost_among_others_costs_no_row_and_is_noted(folder):
    frame = clean().drop(columns="split")
    frame.loc[[3, 4], "lx"], frame.loc[5, "roll"], frame.loc[6, "age"], frame.loc[7, "w"] = "", "inf", "old", 0
    frame.loc[8, ["age", "lx", "ly", "rx", "ry", "yaw"]] = ""
    rows, found = surveyed(folder, frame, MANY)
    seen = rows.frame
    assert [(f.code, f.level, f.rows) for f in found] == [
        ("word", "note", (8,)), ("missing", "leave out", (10,)), ("missing", "leave out", (10,)),
        ("missing", "note", (5, 6)), ("infinite", "note", (7,)), ("missing", "leave out", (10,)),
        ("flat", "leave out", (9,))]
    assert "'old'" in found[0].text and "no value in lx, ly" in found[3].text and "roll" in found[4].text
    assert seen.index[~seen["usable"]].tolist() == [7, 8]
    assert seen.loc[3, ["lx", "ly"]].isna().tolist() == [True, False]


def test_a_row_with_two_faults_is_told_by_both_and_left_out_once(folder, caplog):
    frame = clean().drop(columns="split")
    frame.loc[3, ["image", "age"]] = "gone.png", "old"
    seen, found = surveyed(folder, frame)
    assert [(f.code, f.rows) for f in found] == [("word", (5,)), ("absent", (5,))]
    assert "row 5 'gone.png'" in found[1].describe()
    assert len(seen.usable()) == N - 1 and len(caplog.records) == 1


@pytest.mark.filterwarnings("error")
def test_a_face_of_many_points_is_read_without_a_murmur(folder):
    face = Task("t", (Point("face", tuple(f"p{i}_{axis}" for i in range(68) for axis in "xy")),))
    values = pd.DataFrame(np.random.default_rng(0).uniform(0, 99, (N, 136)).round(1), columns=face.columns)
    values.iloc[7, 5] = np.nan
    seen, found = surveyed(folder, pd.concat([clean()[["image"]], values], axis=1), face)
    assert [(f.code, f.level, f.rows) for f in found] == [("missing", "note", (9,))] and "p2_y" in found[0].text
    assert seen.frame[face.columns].notna().sum().sum() == N * 136 - 1


def test_a_target_without_any_value_stops(folder):
    _, found = surveyed(folder, clean().assign(age=""), AGE)
    assert [(f.code, f.level) for f in found] == [("target", "stop"), ("few", "stop")]
    _, found = surveyed(folder, clean().assign(yaw="x"), MANY)
    assert [(f.code, f.level) for f in found] == [("target", "stop")] and "pose" in found[0].describe()


@pytest.mark.parametrize(("other", "kind"), [(None, "repeated"), (99, "contradicting")])
def test_a_picture_in_several_rows_whatever_way_it_is_named(folder, other, kind):
    frame = clean().drop(columns="split")
    again = frame.iloc[[4, 5, 5]].assign(image=["./004.png", str(folder / "005.png"), f"../{folder.name}/005.png"])
    again = again if other is None else again.assign(age=other)
    _, found = surveyed(folder, pd.concat([frame, again]))
    assert [(f.code, f.level, f.rows) for f in found] == [(kind, "note", (6, 7, 302, 303, 304))] and found[0].hint


def test_rows_of_one_picture_that_tell_of_its_parts_or_fill_each_other_are_no_contradiction(folder):
    frame = clean().drop(columns="split")
    _, found = surveyed(folder, pd.concat([frame, frame.iloc[[4]].assign(cx=3, age=9)]), MANY)
    assert not found  # another box of the same image
    frame.loc[4, "age"] = ""
    _, found = surveyed(folder, pd.concat([frame, frame.iloc[[4]].assign(age=9, yaw="")]), MANY)
    assert [f.code for f in found] == ["missing", "missing", "repeated"]


def test_pictures_and_groups_in_several_parts_of_the_split(folder):
    frame = clean()
    again = frame.iloc[[4, 5]].assign(split=["valid", "train"])
    _, found = surveyed(folder, pd.concat([frame, again]))
    assert [(f.code, f.level) for f in found] == [("repeated", "note"), ("leak", "note"), ("group", "stop")]
    assert found[1].rows == (6, 302) and "'004.png'" in found[1].describe()
    assert len(found[2].rows) == 11 and "'p4'" in found[2].describe() and all(f.hint for f in found)
    frame["who"] = ""  # nobody's images are not one body's
    assert not surveyed(folder, frame)[1]


def test_a_split_without_rows_to_train_on(folder):
    _, found = surveyed(folder, clean().assign(split=["valid", "test"] * (N // 2)))
    assert [(f.code, f.level, f.text) for f in found if f.code == "part"] == [
        ("part", "stop", f"0 rows whose split is train by 'split' ({N // 2} valid, {N // 2} test)")]
    _, found = surveyed(folder, clean().assign(split="train"))  # the validation part is drawn
    assert not found


def test_all_one_value_stops_and_one_target_of_several_is_noted(folder):
    _, found = surveyed(folder, clean().assign(age=30))
    assert [(f.code, f.level) for f in found] == [("constant", "stop")]
    assert "the same age in every row: 30" in found[0].describe()
    _, found = surveyed(folder, clean().assign(age=30), MANY)
    assert [(f.code, f.level) for f in found] == [("constant", "note")]
    constant = clean().assign(lx=1, ly=2, rx="", ry="")  # one eye is nowhere labelled, the other always there
    assert "constant" in [f.code for f in surveyed(folder, constant, MANY)[1]]


@pytest.mark.parametrize(("n", "few"), [(1, True), (9, True), (10, False)])
def test_fewer_than_ten_usable_rows_stop(folder, n, few):
    frame = clean().drop(columns="split").head(n + 3)
    frame.loc[frame.index[-3:], "age"] = "-"
    _, found = surveyed(folder, frame)
    assert [f.code for f in found] == ["missing"] + ["few"] * few
    assert not few or (found[1].level == "stop" and f"only {n} usable rows" in found[1].describe())


def test_what_is_no_table_or_lacks_a_column_is_refused_before_any_finding(folder):
    with pytest.raises(ImgregError, match=r"a column 'agee' in .*; try one of .*'age'"):
        surveyed(folder, clean(), replace(AGE, targets=(Number("agee", ("agee",)),)))
    with pytest.raises(ImgregError, match="rows; found none"):
        surveyed(folder, clean().head(0))
    with pytest.raises(ImgregError, match="not called row, usable, why; found 'why'"):
        surveyed(folder, clean().assign(why=1), replace(AGE, targets=(Number("why", ("why",)),)))


def test_reasons_of_others_to_leave_a_row_out_are_obeyed(folder, caplog):
    seen, _ = surveyed(folder, clean())
    seen.frame.loc[[2, 9], "why"] = "a broken image"
    assert len(seen.usable()) == N - 2
    assert caplog.messages == [f"left out 2 of 300 rows of {folder / 't.csv'}, a broken image: row 4, row 11"]


def test_findings_of_a_folder_name_its_pictures(tmp_path):
    for i in range(20):
        (tmp_path / f"age_{i}.png").write_bytes(b"x")
    for name in ("none.png", "age_old.png"):
        (tmp_path / name).write_bytes(b"x")
    task = Task("t", AGE.targets, name_pattern=r"age_(?P<age>\w+)")
    found = labels.label_issues(labels.read_rows(tmp_path, task))
    assert [(f.code, f.names) for f in found] == [("word", ("age_old.png",)), ("unlabelled", ("none.png",))]


def odd(target, values) -> list:
    """(kind, level, rows) of what is odd about a target's values [n, columns]."""
    return [(o.code, o.level, None if o.mask is None else np.flatnonzero(o.mask).tolist())
            for o in target.outliers(values)]


SPREADS = {
    "lognormal": lambda rng, n: np.exp(rng.normal(size=n)), "wide": lambda rng, n: np.exp(2 * rng.normal(size=n)),
    "narrow": lambda rng, n: np.exp(0.5 * rng.normal(size=n)), "exponential": lambda rng, n: rng.exponential(size=n),
    "uniform": lambda rng, n: rng.uniform(5, 9, n), "normal": lambda rng, n: rng.normal(50, 5, n),
    "about 0": lambda rng, n: rng.normal(size=n), "below 0": lambda rng, n: -rng.exponential(size=n),
    "counts": lambda rng, n: rng.poisson(0.2, n), "laplace": lambda rng, n: rng.laplace(size=n),
}


@pytest.mark.parametrize("spread", SPREADS)
def test_no_value_of_a_clean_column_is_far(spread):
    for n, seeds in ((100, 40), (1000, 10), (100_000, 2)):
        for seed in range(seeds):
            assert not odd(AGE.targets[0], SPREADS[spread](np.random.default_rng(seed), n)[:, None]), (n, seed)


@pytest.mark.parametrize(("spread", "values"), [
    ("uniform", (200, -200, 1e300)), ("normal", (500, -400)), ("about 0", (30, -30)), ("lognormal", (1e9, 1e-9)),
    ("wide", (1e20,)), ("counts", (900,)), ("exponential", (1e6,)),
])
def test_far_values_are_found_on_the_scale_that_is_learnt(spread, values):
    column = SPREADS[spread](np.random.default_rng(0), 300).astype(float)
    for n, value in enumerate(values):
        of = column.copy()
        of[[7, 90, 250][: 1 + n % 3]] = value
        assert odd(AGE.targets[0], of[:, None]) == [("outlier", "note", [7, 90, 250][: 1 + n % 3])], value
    linear, log = (Number("age", ("age",), scale=scale) for scale in ("linear", "log"))
    prices = np.exp(np.random.default_rng(0).normal(12, 0.2, 300))
    prices[5] = prices.max() * 1.3
    assert not odd(log, prices[:, None]) and not odd(linear, prices[:, None])
    prices[5] = prices.max() * 40
    assert odd(log, prices[:, None]) == odd(linear, prices[:, None]) == [("outlier", "note", [5])]


def test_what_stands_for_an_unknown_number_or_point_is_noted():
    ages = np.random.default_rng(0).integers(18, 80, 300).astype(float)
    ages[[4, 9]] = -1
    assert odd(AGE.targets[0], ages[:, None]) == [("filler", "note", [4, 9])]
    ages[11] = -2
    assert not odd(AGE.targets[0], ages[:, None])
    assert not odd(AGE.targets[0], np.random.default_rng(0).integers(-1, 2, 300).astype(float)[:, None])
    eyes = np.random.default_rng(0).uniform(5, 200, (300, 4))
    eyes[3, :2], eyes[8, 2:], eyes[9, 0] = 0, -1, 0
    assert odd(MANY.targets[1], eyes) == [("corner", "note", [3]), ("corner", "note", [8])]


def test_points_far_from_all_others_are_noted():
    rng = np.random.default_rng(0)
    eyes = rng.uniform(0, 200, (300, 4))
    assert not odd(MANY.targets[1], eyes)
    eyes[4, 1], eyes[6, 2] = 1e6, -9000
    assert odd(MANY.targets[1], eyes) == [("outlier", "note", [4, 6])]


@pytest.mark.parametrize("period", [180.0, 360.0])
def test_angles_outside_their_period_and_those_in_radians(period):
    heading, rng = Angle("heading", ("heading",), period=period), np.random.default_rng(0)
    for low in (0, -period / 2):
        angles = rng.uniform(low, low + period, 300)
        angles[:2] = low, low + period
        assert not odd(heading, angles[:, None])
        angles[[3, 8]] = 3 * period, -2 * period
        assert odd(heading, angles[:, None]) == [("wrapped", "note", [3, 8])]
    whole = rng.uniform(0, np.deg2rad(period), (300, 1))
    assert odd(heading, whole) == [("radians", "note", None)] and not odd(heading, 0.3 * whole)
    assert odd(heading, whole - np.deg2rad(period) / 2) == [("radians", "note", None)]


def test_rotations_beyond_a_turn_and_those_in_radians():
    pose, rng = MANY.targets[2], np.random.default_rng(0)
    angles = rng.normal(0, 20, (300, 3))
    assert not odd(pose, angles)
    angles[5, 1] = 400
    assert odd(pose, angles) == [("turns", "note", [5])]
    assert odd(pose, np.deg2rad(rng.normal(0, 20, (300, 3)))) == [("radians", "note", None)]


def test_oddities_are_told_with_the_value_as_it_stands(folder):
    frame = clean().drop(columns="split")
    frame.loc[7, "age"], frame.loc[9, "age"] = 123456, ""
    _, found = surveyed(folder, frame)
    assert [f.code for f in found] == ["missing", "outlier"]
    assert "1 of 300 rows (row 9 '123456" in found[1].describe() and "half of which are" in found[1].text


def test_a_target_of_words_alone_is_told_with_one_of_them(folder):
    _, found = surveyed(folder, clean().assign(age=np.resize(["dog", "cat"], N)))
    assert found[0].code == "target" and found[0].level == "stop"
    assert "no number in 300 of 300 cells of age: row 2 'dog', row 3 'cat'; write" in found[0].describe()
