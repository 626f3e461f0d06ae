"""Runs beside one another: the same images, luck told from more, and what was set otherwise."""
import json
import re

import numpy as np
import pandas as pd
import pytest

from imgreg_fastai import runs
from imgreg_fastai.api.preparation import make_config
from imgreg_fastai.evaluation import comparison
from imgreg_fastai.reports import comparison_page
from imgreg_fastai.tasks import Angle, Number, Point, Rotation, Task
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import said

AGE = Number("n", ("n",), "years", low=0.0, high=9.0)


def fake(out, off=1.0, *, name="t", targets=(AGE,), n=40, first=0, split="valid", group=None, state="trained",
         scores=None, true=None, **settings):
    """A run as a training leaves it, its images called p0 and on: of each target every column is off by `off`."""
    task = Task(name, targets)
    out.mkdir(parents=True, exist_ok=True)
    (out / "x.png").write_bytes(b"x")
    rows = {"image": [f"p{i}.png" for i in range(first, first + n)], "split": split,
            **({} if group is None else {"group": group})}
    labels = {c: np.arange(n) % 7.0 if true is None else true for c in task.columns}
    run = runs.start_run(out, task, make_config(task, **settings),
                   pd.DataFrame({**rows, **labels, "path": str(out / "x.png")}), out / "labels.csv",
                   state="training")
    (out / "x.png").unlink()
    predicted = {c: of + off for c, of in labels.items()} | {f"{c}_true": of for c, of in labels.items()}
    errors = {f"{t.name}_error": np.broadcast_to(np.abs(off), n) * 1.0 for t in targets}
    run.write("predictions.csv", pd.DataFrame({**rows, **predicted, **errors}))
    own = {t.name: {"unit": t.unit, "n": n, "mean": float(np.mean(np.abs(off))), "baseline": 8.0} for t in targets}
    run.write("scores.json", {split: own} if scores is None else scores)
    course = {"epoch": [1, 2, 3], "train_loss": [3.0, 2, 1], "valid_loss": [3.0, 1.0, 2.0]}
    run.write("history.csv", pd.DataFrame(course | {f"{t.name}_error": [9.0, 3.0, 4.0] for t in targets}))
    run.note(state=state, epochs_done=3, weights={"kind": "none"}, precision="fp32", device="cpu")
    return run


def paths(*of):
    return [run.path for run in of]


def offs(n=40, mean=1.0, seed=0):
    return mean + 0.2 * np.random.default_rng(seed).random(n)


def test_a_difference_beyond_luck_is_told_with_its_interval(tmp_path):
    a, b = fake(tmp_path, offs()), fake(tmp_path, offs(seed=1) - 0.5)
    found = comparison.compare_runs(paths(a, b))
    (target,) = found.targets
    first, second = target["runs"]
    more = offs(seed=1) - 0.5 - offs()
    assert (target["n"], target["by"], target["units"]) == (40, "image", 40)
    assert "ci" not in first and second["difference"] == pytest.approx(more.mean(), abs=1e-6)
    low, high = second["ci"]
    assert low < more.mean() < high < 0 and high - low == pytest.approx(2 * 1.96 * more.std() / 40**0.5, rel=0.25)
    assert second["verdict"] == (f"{b.path} is better by {-more.mean():.3g} years "
                                 f"({-high:.3g} to {-low:.3g}, 95 %): more than the chance of these images")
    assert second["verdict"] in found.to_text()
    back = comparison.compare_runs(paths(b, a)).targets[0]["runs"][1]
    assert f"{a.path} is worse by {-more.mean():.3g} years" in back["verdict"]


def test_luck_is_called_luck(tmp_path):
    found = comparison.compare_runs(paths(fake(tmp_path, offs()), fake(tmp_path, offs(seed=1)), fake(tmp_path, offs())))
    for of in found.targets[0]["runs"][1:]:
        assert "no difference to be seen" in of["verdict"] and of["ci"][0] <= 0 <= of["ci"][1]
    assert "0 years better to 0 years worse" in found.targets[0]["runs"][2]["verdict"]


def test_only_pictures_that_all_runs_predicted_count(tmp_path):
    labels, off = np.arange(40) % 7.0, offs()
    a = fake(tmp_path, off)
    b = fake(tmp_path, 0.1, first=10, true=np.r_[labels[10:], labels[:10]])
    c = fake(tmp_path, 3.0, first=20, n=15, true=labels[20:35])
    found = comparison.compare_runs(paths(a, b, c))
    assert found.targets[0]["n"] == 15 and not any("left out" in note for note in found.notes)
    assert found.targets[0]["runs"][0]["mean"] == pytest.approx(off[20:35].mean(), abs=1e-6)
    assert [of["mean"] for of in found.targets[0]["runs"][1:]] == [0.1, 3.0]


def test_pictures_whose_labels_differ_are_left_out_and_told(tmp_path):
    true = np.arange(40) % 7.0
    other = true.copy()
    other[:6] += 1
    found = comparison.compare_runs(paths(fake(tmp_path, true=true), fake(tmp_path, 2.0, true=other)))
    assert found.targets[0]["n"] == 34 and any("6 images are left out" in note for note in found.notes)


def test_several_rows_of_a_picture_are_told_apart_by_their_order(tmp_path):
    a, b = fake(tmp_path, offs()), fake(tmp_path, offs(seed=3))
    for run in (a, b):
        frame = pd.read_csv(run.path / "predictions.csv").assign(image=[f"p{i // 2}.png" for i in range(40)])
        run.write("predictions.csv", frame.iloc[::-1] if run is b else frame)
    b.write("predictions.csv", pd.read_csv(b.path / "predictions.csv").iloc[::-1])
    (target,) = comparison.compare_runs(paths(a, b)).targets
    assert target["n"] == 40 and target["units"] == 20  # two rows of one image are drawn together
    assert target["runs"][1]["difference"] == pytest.approx((offs(seed=3) - offs()).mean(), abs=1e-6)


def test_groups_are_drawn_whole(tmp_path):
    group = np.repeat(list("abcdefgh"), 5)
    off = 1 + np.repeat(np.linspace(-0.3, 0.5, 8), 5)
    found = comparison.compare_runs(paths(fake(tmp_path, group=group), fake(tmp_path, off, group=group)))
    alone = comparison.compare_runs(paths(fake(tmp_path / "x"), fake(tmp_path / "x", off)))
    (target,), (by_picture,) = found.targets, alone.targets
    assert (target["by"], target["units"]) == ("group", 8) and "drawn by group (8)" in found.to_text()
    assert np.ptp(target["runs"][1]["ci"]) > 1.5 * np.ptp(by_picture["runs"][1]["ci"])
    few = np.repeat(list("abcd"), 10)
    found = comparison.compare_runs(paths(fake(tmp_path, group=few), fake(tmp_path, off, group=few)))
    assert "too few groups to tell a difference from chance (4)" in found.to_text()
    assert "ci" not in found.targets[0]["runs"][1]


def test_runs_that_share_no_picture_are_scored_side_by_side(tmp_path):
    found = comparison.compare_runs(paths(fake(tmp_path), fake(tmp_path, 2.0, first=100)))
    (target,) = found.targets
    assert target["n"] == 0 and [of["mean"] for of in target["runs"]] == [1.0, 2.0]
    assert "without a test" in found.to_text() and "luck" not in found.to_text()


def test_targets_are_shared_by_name_kind_and_unit(tmp_path):
    more = (AGE, Point("p", ("x", "y")), Angle("a", ("a",)))
    a = fake(tmp_path, targets=more)
    b = fake(tmp_path, 2.0, targets=(Number("p", ("p",), "px"), AGE, Angle("a", ("a",), period=180.0)))
    assert [t["name"] for t in comparison.compare_runs(paths(a, b)).targets] == ["n"]
    years = fake(tmp_path, targets=(Number("n", ("n",), "months"),))
    with pytest.raises(ImgregError, match=r"a target in common.*number 'n' of n in years.*number 'n' of n in months"):
        comparison.compare_runs(paths(a, years))


@pytest.mark.parametrize("targets", [
    [Point("p", tuple(f"{c}{i}" for i in range(n) for c in "xy")) for n in (1, 2)],
    [Number("n", (column,)) for column in ("a", "b")],
    [Rotation("r", ("a", "b", "c"), sequence=sequence) for sequence in ("XYZ", "ZYX")],  # one name, other rotations
])
def test_targets_of_one_name_whose_labels_mean_something_else_are_refused(tmp_path, targets):
    with pytest.raises(ImgregError, match="a target in common: one name, kind and unit, of the same columns") as e:
        comparison.compare_runs(paths(*(fake(tmp_path, targets=(target,)) for target in targets)))
    assert all(target.describe() in str(e.value) for target in targets)


def test_intervals_are_explained_only_where_there_are_any(tmp_path, capsys):
    a, b = fake(tmp_path), fake(tmp_path, offs())
    few, others = fake(tmp_path, n=4), fake(tmp_path, first=100)
    for run, has_intervals in ((b, True), (few, False), (others, False)):
        text = said(capsys, "compare", a.path, run.path, "--out", tmp_path)
        assert ("the intervals show how much other images" in text) is has_intervals is ("ci" in json.dumps(
            comparison.compare_runs(paths(a, run)).targets))
        page = (tmp_path / text.rpartition("/")[2].strip()).read_text(encoding="utf-8")
        assert ("bootstrap interval" in page) is has_intervals


def test_settings_that_differ_and_only_those(tmp_path):
    a, b = fake(tmp_path), fake(tmp_path, lr=1e-3, arch="resnet34", arch_args={"output_stride": 16})
    b.note(weights={"kind": "cache", "tag": "a1_in1k", "sha256": "ab" * 32}, versions={**a.about["versions"],
                                                                                       "timm": "0.1"})
    assert comparison.compare_runs(paths(a, b)).settings == {
        "arch": ["resnet18", "resnet34"], "arch_args": ["–", '{"output_stride": 16}'], "lr": ["0.002", "0.001"],
        "weights used": ["none", "cache a1_in1k"], "weights' hash": ["–", "abababababab"],
        "version of timm": [a.about["versions"]["timm"], "0.1"]}


def test_mistakes_are_one_line_each(tmp_path):
    a, b = fake(tmp_path), fake(tmp_path, 2.0)
    cut, unread = fake(tmp_path, state="interrupted"), fake(tmp_path)
    (unread.path / "predictions.csv").unlink()
    odd = fake(tmp_path)
    odd.write("predictions.csv", "image,split\na,valid\n")
    for given, part, says in (
        ([a.path], "valid", "two different runs"), ([a.path, f"{a.path}/"], "valid", "two different runs"),
        ([a.path, b.path, a.path], "valid", "two different runs"), ([], "valid", "two different runs"),
        ([a.path, tmp_path / "no"], "valid", "a run folder"), ([a.path, cut.path], "valid", "interrupted"),
        ([a.path, unread.path], "valid", "predictions.csv"), ([a.path, odd.path], "valid", "no column"),
        ([a.path, b.path], "test", "--part valid"),
    ):
        with pytest.raises(ImgregError, match=says) as e:
            comparison.compare_runs(given, part)
        assert "\n" not in str(e.value)


def test_the_test_part_has_chosen_nothing(tmp_path):
    a, b = (fake(tmp_path, off, split="test") for off in (1.0, offs()))
    assert not any("--part test" in note for note in comparison.compare_runs(paths(a, b), "test").notes)
    a, b = fake(tmp_path), fake(tmp_path, offs())
    assert "--part test" in comparison.compare_runs(paths(a, b)).notes[0]


def test_curves_over_one_another(tmp_path):
    a, b = fake(tmp_path, targets=(AGE, Angle("a", ("a",)))), fake(tmp_path, targets=(Angle("a", ("a",)), AGE), seed=1)
    pd.read_csv(b.path / "history.csv").assign(n_error=[8.0, 2.0, 1.0]).to_csv(b.path / "history.csv", index=False)
    fig = comparison_page.curves(comparison.compare_runs(paths(a, b)))
    assert [ax.get_ylabel() for ax in fig.axes] == ["validation loss", "n error (years)", "a error (°)"]
    assert f"Lowest n error: {b.path}, 2.0 years" in fig.get_suptitle().replace("\n", " ")
    courses = [line for line in fig.axes[1].lines if len(line.get_xdata()) == 3]
    assert [list(line.get_ydata()) for line in courses] == [[9, 3, 4], [8, 2, 1]]
    rings = [line for line in fig.axes[1].lines if len(line.get_xdata()) == 1]
    assert [(r.get_xdata()[0], r.get_ydata()[0]) for r in rings] == [(2, 3), (2, 2)]


def test_plot_and_page_have_a_number_that_neither_had(tmp_path, capsys):
    a, b = fake(tmp_path, name="a<b>&c"), fake(tmp_path, offs())
    out = tmp_path / "out"
    out.mkdir()
    (out / "compare-004.html").write_text("mine")
    told = said(capsys, "compare", a.path, b.path, "--out", out)
    assert told.endswith(f"plot: {out / 'compare-005.png'}   page: {out / 'compare-005.html'}\n")
    assert (out / "compare-004.html").read_text() == "mine" and {p.name for p in out.iterdir()} == {
        "compare-004.html", "compare-005.png", "compare-005.html"}
    page = (out / "compare-005.html").read_text(encoding="utf-8")
    assert "a&lt;b&gt;&amp;c" in page and "<b>" not in page and "data:image/png;base64," in page
    page = re.sub(r"base64,[\w+/=]*", "", page)  # images, which may spell anything
    for lost in ("nan", "None", "undefined", "<script"):
        assert lost not in page.split("base64,")[0] + page.split('" alt=')[1], lost


def test_one_json_object(tmp_path, capsys):
    a, b = fake(tmp_path), fake(tmp_path, offs(), epochs=7)
    found = json.loads(said(capsys, "compare", a.path, b.path, "--out", tmp_path, "--json"))
    assert found["runs"] == [str(a.path), str(b.path)] and found["settings"] == {"epochs": ["10", "7"]}
    assert found["targets"][0]["runs"][1]["verdict"] and found["plot"].endswith("compare-001.png")


@pytest.mark.parametrize(("value", "name", "text"), [
    ([96, 128], "size", "96x128"), ("--size", "size", "--size"), ("by the recipe", "time", "by the recipe"),
    (120.0, "time", "2m"), (["flip", "colour"], "augment", "flip,colour"), (["age", 1.0], "stop_at", '["age", 1.0]'),
    ([], "augment", comparison.NOT_SET), (0.01, "wd", "0.01")])
def test_settings_are_written_as_their_options(value, name, text):
    assert comparison.setting_text(value, name) == text
