"""Several raters of an image: one label, what it is worth, and how far the raters differ."""
import logging

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgreg_fastai.data.labels import label_issues, read_rows
from imgreg_fastai.data.labels.raters import rating_weights
from imgreg_fastai.tasks import Task, parse_target
from imgreg_fastai.utils.messages import ImgregError


@pytest.fixture
def said(caplog):
    caplog.set_level(logging.INFO, "imgreg")
    return lambda: [record.getMessage() for record in caplog.records]


def read(folder, frame, *specs, raters="mean", **fields):
    """The labels table of a frame whose images exist."""
    for name in frame["image"].dropna().unique():
        (folder / name).write_bytes(b"x")
    frame.to_csv(folder / "t.csv", index=False)
    task = Task("t", tuple(map(parse_target, specs)), raters=raters, **fields)
    return read_rows(folder / "t.csv", task)


def ratings(values, **columns):
    """A frame of images 0.png, 1.png, .. with these ratings each."""
    rows = [(f"{i}.png", value) for i, ratings in enumerate(values) for value in ratings]
    return pd.DataFrame(rows, columns=["image", "score"]).assign(**columns)


def test_each_image_has_the_average_of_its_ratings_and_the_number_of_its_first_row(tmp_path, said):
    frame = ratings([[1, 2, 6]] * 12 + [[5], [4, None]])
    for how, expected in (("mean", 3), ("median", 2)):
        table = read(tmp_path, frame, "score", raters=how)
        assert table.frame["score"].tolist() == [expected] * 12 + [5, 4]
        assert table.frame["row"].tolist() == [*range(2, 38, 3), 38, 39] and table.frame["usable"].all()
        assert table.usable()["row_weight"].mean() == pytest.approx(1)
        assert not label_issues(table)
    spread = np.sqrt(7)
    assert said()[0] == (f"score: raters of the same image differ by a standard deviation of {spread:.3g}, so that "
                         "their average is uncertain by "
                         f"{spread * np.sqrt((12 / 3 + 2) / 14):.3g}, and on these labels no "
                         "model can be measured to err less")
    assert "39 rows of" in said()[1] and "joined to 14 by the mean of up to 3" in said()[1]


def test_angles_and_rotations_are_averaged_as_such_and_points_by_their_coordinates(tmp_path):
    frame = pd.DataFrame({"image": [f"{i // 2}.png" for i in range(20)], "way": [350.0, 20.0] * 10,
                          "yaw": [170.0, -170.0] * 10, "pitch": 10.0, "roll": 0.0, "a_x": [1.0, 3.0] * 10,
                          "a_y": [4.0, None] * 10})
    for how in ("mean", "median"):
        table = read(tmp_path, frame, "way:angle360", "pose=yaw,pitch,roll:rotation", "a:point", raters=how)
        row = table.frame.iloc[3]
        assert (row["way"], row["a_x"], row["a_y"]) == pytest.approx((5, 2, 4))
        pose = row[["yaw", "pitch", "roll"]].to_numpy(float)
        assert table.task.targets[1].error(pose[None], np.array([[180.0, 10, 0]])) == pytest.approx(0, abs=1e-4)


def test_a_box_of_an_image_is_judged_by_itself_and_links_lead_to_the_same_image(tmp_path):
    frame = pd.DataFrame({"image": ["a.png", "./a.png"] * 10, "score": range(20), "cx": [5, 5, 9, 9] * 5, "cy": 5,
                          "w": 4, "h": 4})
    table = read(tmp_path, frame, "score", box=("cx", "cy", "w", "h"))
    assert table.frame["score"].tolist() == pytest.approx([8.5, 10.5])


def test_rows_that_cannot_be_used_stay_as_they_are(tmp_path, said):
    frame = ratings([[1, 2], [3, 5], ["good", 4], [None, "bad"]])
    frame.loc[len(frame)] = [None, 3]
    table = read(tmp_path, frame, "score")
    assert table.frame["score"].tolist() == pytest.approx([1.5, 4, 4, np.nan, 3], nan_ok=True)
    assert any(f"differ by a standard deviation of {np.sqrt(1.25):.3g}" in line for line in said())
    assert table.frame["why"].tolist() == ["", "", "", "no finite number", "no image named"]
    assert table.states[:3, 0].tolist() == [0, 0, 0]
    assert table.reasons["number"].tolist() == [False] * 3 + [True, False]
    assert any("1 ratings of" in line and "row 6 'good'" in line for line in said())
    assert len(table.usable()) == 3


def test_images_that_are_missing_are_left_out_as_ever(tmp_path):
    frame = ratings([[1, 2]] * 3)
    table = read(tmp_path, frame, "score")
    (tmp_path / "1.png").unlink()
    table = read_rows(tmp_path / "t.csv", table.task)
    assert table.frame["why"].tolist() == ["", "no such image", "no such image", ""]


@pytest.mark.parametrize(("column", "says"), [("split", "split"), ("group", "group")])
def test_rows_of_an_image_in_two_parts_are_one_line(tmp_path, column, says):
    frame = ratings([[1, 2]] * 4, **{column: ["train", "train", "valid", "train"] * 2})
    with pytest.raises(ImgregError, match=rf"the same {says} in all rows .*'valid' and 'train' of 1.png \(row 5\)"):
        read(tmp_path, frame, "score")


def test_a_table_in_which_no_image_returns_is_left_as_it_is_and_that_is_said(tmp_path, said):
    table = read(tmp_path, ratings([[1], [2]]), "score")
    assert len(table.frame) == 2 and "row_weight" not in table.frame and "changes nothing" in said()[0]


def test_contradictions_offer_the_option(tmp_path):
    issues = label_issues(read(tmp_path, ratings([[1, 2]] * 6), "score", raters=""))
    assert any("--raters mean or median" in issue.hint for issue in issues if issue.code == "contradicting")


# weights

def test_more_raters_and_raters_who_agree_count_more():
    variances = np.array([1.0, 1.0, 0.02, 20.0] + [0.02, 0.1, 1.0, 8.0, 20.0] * 4 + [np.nan])
    counts = np.array([5, 12, 5, 5] + [5] * 20 + [1])
    usual, many, sure, unsure, *_, single = rating_weights(variances, counts)
    assert unsure < usual < many and usual < sure and single < usual
    assert rating_weights(variances, counts).mean() == pytest.approx(1)


def test_variances_that_differ_by_chance_alone_are_drawn_to_the_usual_one():
    rng = np.random.default_rng(0)
    by_chance = rating_weights(rng.normal(0, 1, (3, 2000)).var(axis=0, ddof=1), np.full(2000, 3))
    truly = rating_weights((rng.normal(0, 1, (3, 2000)) * np.repeat([0.2, 2.0], 1000)).var(axis=0, ddof=1),
                           np.full(2000, 3))
    assert by_chance.std() < 0.02 < 0.1 < truly.std()
    assert truly[:1000].mean() > 1.2 * truly[1000:].mean()


def test_the_prior_is_that_of_limma():
    """Variances drawn from the model with 8 degrees of freedom about 4: what limma::squeezeVar finds of many."""
    from imgreg_fastai.data.labels.raters import _prior

    rng = np.random.default_rng(1)
    n, d0, s0, d = 200_000, 8, 4.0, 3
    sigma = d0 * s0 / rng.chisquare(d0, n)
    degrees, prior = _prior(sigma * rng.chisquare(d, n) / d, np.full(n, d))
    assert degrees == pytest.approx(d0, rel=0.05) and prior == pytest.approx(s0, rel=0.02)


@given(st.lists(st.tuples(st.one_of(st.just(0.0), st.floats(1e-12, 1e12)), st.integers(0, 9)), min_size=1, max_size=20))
def test_weights_are_finite_and_1_on_average(pairs):
    variances = np.array([v if k > 1 else np.nan for v, k in pairs])
    counts = np.array([k for _, k in pairs])
    weights = rating_weights(variances, counts)
    assert (np.isfinite(weights) == (counts > 0)).all() and (weights[counts > 0] > 0).all()
    if counts.any():
        assert weights[counts > 0].mean() == pytest.approx(1)


def test_of_raters_who_agree_no_spread_is_told(tmp_path, said):
    read(tmp_path, ratings([[i, i] for i in range(12)]), "score")
    assert [line for line in said() if "joined" in line] and not any("deviation" in line for line in said())
