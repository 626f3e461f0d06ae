"""The plots: labels are drawn where they belong, titles tell the right number, small or broken data stops nothing."""
import io
import math
import re
import sys

import numpy as np
import pandas as pd
import pytest
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from imgreg_fastai import plots
from imgreg_fastai.datasets import angle as bars
from imgreg_fastai.plots import copies, figures, pictures
from imgreg_fastai.plots.axes import running_quantiles
from imgreg_fastai.plots.charts import labelled_rows
from imgreg_fastai.plots.figures import BLUE, VERMILION, TitledFigure
from imgreg_fastai.tasks import ANGLE, HEADPOSE, Angle, Number, Point, Task
from imgreg_fastai.utils.format import format_amount
from imgreg_fastai.utils.messages import ImgregError

BAR = ANGLE.targets[0]
CENTRE, POSE = HEADPOSE.targets
AGE = Task("faces", (Number("age", ("age",), "years", low=0, high=100),))


def axes():
    return TitledFigure(3, 3, "test").add_charts()[0]


def lines(ax):
    return [line for line in ax.lines if line.get_gid() not in ("arrowhead", "join")]


def draw_label(ax, target, values, *how, **style):
    task = Task("test", (target,))
    pictures.draw_label(ax, task, target, {target.name: np.asarray(values, float)}, *how, **style)


def table(true, predicted, column="angle"):
    names = [f"image{i}.png" for i in range(len(true))]
    return pd.DataFrame({"image": names, "path": names, column: true, f"{column}_predicted": predicted})


def some_rows(n=200, seed=0):
    rng = np.random.default_rng(seed)
    true = rng.uniform(0, 180, n)
    return table(true, (true + rng.normal(0, 2, n)) % 180)


def history(n=4, **errors):
    fall = 0.5 ** np.arange(n)
    return pd.DataFrame({"epoch": range(n), "train_loss": fall, "valid_loss": fall + 0.1, "angle_error": 20 * fall,
                         **errors})


def open_picture(path):
    return Image.new("RGB", (60, 40), "white")


def heads(n=60, seed=0):
    rng = np.random.default_rng(seed)
    names = [f"image{i}.png" for i in range(n)]
    truth = pd.DataFrame({"centre_x": rng.uniform(10, 50, n), "centre_y": rng.uniform(10, 30, n),
                          **{c: rng.uniform(-60, 60, n) for c in POSE.columns}})
    predicted = truth + rng.normal(0, 2, truth.shape)
    return pd.DataFrame({"image": names, "path": names, "group": np.array(["ann", "bob"])[np.arange(n) % 2], **truth,
                         **predicted.add_suffix("_predicted")})


def landmarks(n=40, points=20, seed=0):
    rng = np.random.default_rng(seed)
    columns = tuple(f"p{i:02}_{axis}" for i in range(points) for axis in "xy")
    truth = pd.DataFrame(rng.uniform(5, 55, (n, 2 * points)), columns=columns)
    predicted = truth + np.repeat(np.arange(1.0, points + 1), 2)
    frame = pd.concat([truth, predicted.add_suffix("_predicted")], axis=1)
    frame.insert(0, "image", [f"image{i}.png" for i in range(n)])
    return Task("marks", (Point("landmarks", columns),)), frame.assign(path=frame["image"])


def said(fig):
    return fig.get_suptitle() + " " + " ".join(t.get_text().replace("\n", " ") for t in fig.texts)


def darkest_near(picture, x, y, reach=3):
    x, y = round(x), round(y)
    return picture[y - reach:y + reach + 1, x - reach:x + reach + 1].min()


@pytest.mark.parametrize("angle", [0, 12, 30, 45, 75, 90, 120, 150, 170])
def test_a_bar_is_marked_along_itself(angle):
    picture = bars.canvas(100).draw([angle], np.zeros((1, 0, 2)), [False])[0]
    ax = axes()
    pictures.show_picture(ax, pictures.Tile(np.repeat(picture[..., None], 3, -1), picture.shape))
    draw_label(ax, BAR, [angle], BLUE, "true", picture.shape)
    (x, y), = [line.get_data() for line in lines(ax)]
    along = [(x[0] + t * (x[1] - x[0]), y[0] + t * (y[1] - y[0])) for t in np.linspace(0.05, 0.95, 19)]
    assert math.hypot(x[1] - x[0], y[1] - y[0]) > 60
    assert max(darkest_near(picture, *at) for at in along) < 60
    if angle % 90:  # a line the wrong way round must not pass
        assert max(darkest_near(picture, px, 99 - py) for px, py in along) > 200


@pytest.mark.parametrize(("zero", "clockwise", "value", "step"), [
    (0, False, 0, (1, 0)), (0, False, 90, (0, -1)), (90, True, 0, (0, -1)), (90, True, 90, (1, 0)),
    (90, True, 180, (0, 1)), (0, True, 90, (0, 1)),
])
def test_a_direction_is_an_arrow_from_the_middle(zero, clockwise, value, step):
    target = Angle("hand", ("hand",), period=360.0, in_plane=True, zero=zero, clockwise=clockwise)
    ax = axes()
    draw_label(ax, target, [value], BLUE, "", (80, 120))
    (line,), head = lines(ax), next(li for li in ax.lines if li.get_gid() == "arrowhead")
    start, tip = line.get_xydata()
    assert start == pytest.approx([59.5, 39.5])
    assert (tip - start) / np.linalg.norm(tip - start) == pytest.approx(step, abs=1e-9)
    assert head.get_xydata()[0] == pytest.approx(tip)
    point = head.get_marker()[2]  # matplotlib's triangle points up, and is turned counterclockwise
    assert (-math.sin(math.radians(point)), -math.cos(math.radians(point))) == pytest.approx(step, abs=1e-9)


@pytest.mark.parametrize(("target", "text"), [
    (AGE.targets[0], "true 43.2 years"), (Angle("yaw", ("yaw",)), "true 43.2°"), (Number("p", ("p",)), "true 43.21"),
])
def test_what_is_not_in_the_plane_is_told_in_words(target, text):
    ax = axes()
    draw_label(ax, target, [43.21], BLUE, "true", (100, 100))
    assert not ax.lines and [t.get_text() for t in ax.texts] == [text]


def test_marks_take_different_corners_and_an_unknown_label_is_not_drawn():
    ax = axes()
    for value in (10, 20, math.nan, 30, 40, 50):
        draw_label(ax, BAR, [value], BLUE, "", (100, 100))
    assert len({(t.xy, t.get_position()) for t in ax.texts}) == len(ax.texts) == 5


@pytest.mark.parametrize(("value", "unit", "text"), [
    (0.314, "°", "0.31°"), (45.2, "°", "45°"), (3.21, "years", "3.2 years"), (1234.5, "", "1234"), (0, "%", "0%"),
    (-0.0123, "px", "−0.012 px"), (10, "", "10"), (0.001, "", "0.0010"),
])
def test_amount(value, unit, text):
    assert format_amount(value, unit) == text


def test_a_point_is_marked_at_its_pixel_and_told_in_no_words():
    ax = axes()
    draw_label(ax, CENTRE, [20.5, 10.5], BLUE, None, (40, 60))
    (cross,) = lines(ax)
    assert cross.get_xydata().tolist() == [[20, 10]] and not ax.texts


def test_many_points_are_dots_and_a_missing_one_is_left_out():
    task, frame = landmarks(1)
    ax, values = axes(), frame[list(task.columns)].to_numpy(float, copy=True)[0]
    values[4:6] = np.nan
    draw_label(ax, task.targets[0], values, BLUE, "true", (60, 60))
    (dots,) = lines(ax)
    assert dots.get_marker() == "o" and np.isfinite(dots.get_xydata()).all(axis=1).sum() == 19 and not ax.texts
    draw_label(ax, task.targets[0], values * np.nan, BLUE, "true", (60, 60))
    assert len(lines(ax)) == 1


def axes_of(values, centre=(np.nan, np.nan)):
    """The ends of x, y and the front, from their beginning, as they are drawn."""
    ax = axes()
    labels = {"centre": np.array(centre, float), "pose": np.array(values, float)}
    pictures.draw_label(ax, HEADPOSE, POSE, labels, BLUE, None, (100, 100))
    drawn = [line.get_xydata() for line in ax.lines if len(line.get_xydata()) == 2]
    return drawn[0][0], [(d[1] - d[0]) / 30 for d in drawn]


@pytest.mark.parametrize(("values", "x", "y", "front"), [
    ([0, 0, 0], (0.7, 0), (0, 0.7), (0, 0)), ([90, 0, 0], (0, 0), (0, 0.7), (-1, 0)),
    ([0, 90, 0], (0.7, 0), (0, 0), (0, -1)), ([0, 0, 90], (0, 0.7), (-0.7, 0), (0, 0)),
])
def test_axes_follow_yaw_to_the_left_pitch_up_and_roll_clockwise(values, x, y, front):
    start, ends = axes_of(values)
    assert start == pytest.approx([49.5, 49.5])
    assert np.array(ends) == pytest.approx(np.array([x, y, front]), abs=1e-9)


def test_axes_begin_at_the_point_if_there_is_one_in_the_picture():
    assert axes_of([0, 0, 0], (20.5, 30.5))[0] == pytest.approx([20, 30])
    assert axes_of([0, 0, 0], (-400, 30))[0] == pytest.approx([49.5, 49.5])
    assert pictures.axes_origin(HEADPOSE, {"centre": [20, 30]}) == pytest.approx([20, 30])
    assert pictures.axes_origin(HEADPOSE, {"centre": [np.nan, 30]}) is None
    assert pictures.axes_origin(HEADPOSE, {}) is None
    both = Task("two", (*HEADPOSE.targets, Point("hand", ("hand_x", "hand_y"))))
    assert pictures.axes_origin(both, {"centre": [20, 30], "hand": [1, 2]}) is None
    assert pictures.axes_origin(landmarks(1)[0], {"landmarks": np.ones(40)}) is None


def test_a_front_that_is_turned_away_has_a_hollow_dot():
    for yaw, colour in ((30, BLUE), (150, "white")):
        ax = axes()
        draw_label(ax, POSE, [yaw, 0, 0], BLUE, None, (100, 100))
        assert ax.lines[-1].get_markerfacecolor() == colour


def test_readings():
    assert POSE.label_text(np.array([12.3, -3.4, 0.0])) == "yaw 12°, pitch −3°, roll 0°"
    assert CENTRE.label_text(np.array([213.94, 63.06])) == "213.9, 63.1 px"
    task, frame = landmarks(1)
    assert task.targets[0].label_text(frame[list(task.columns)].to_numpy(float)[0]) == ""
    assert POSE.error_text(12.34) == "off by 12.3°" and CENTRE.error_text(3.14) == "off by 3.1 px"


def test_words_that_are_too_wide_are_broken_at_their_commas():
    ax = TitledFigure(1.8, 3, "test").add_charts()[0]
    draw_label(ax, POSE, [-120, -30, -20], BLUE, "predicted", (100, 100))
    assert ax.texts[0].get_text() == "predicted yaw −120°\npitch −30°\nroll −20°"


def test_predictions_across_the_seam_stand_beside_their_truth():
    true = np.array([1.0, 179.0, 60.0, 90.0, 120.0])
    fig = plots.predicted_against_true(ANGLE, BAR, table(true, [179.0, 2.0, 61.0, 90.0, 119.0]))
    dots = np.asarray(fig.axes[0].collections[0].get_offsets())
    assert dots[:, 1] - dots[:, 0] == pytest.approx([-2, 3, 1, 0, -1])
    assert "across 0° = 180° are drawn next to their true value (2)" in said(fig)
    ticks = fig.axes[0].yaxis.get_major_formatter()
    assert (ticks(-30, 0), ticks(30, 0), ticks(210, 0), ticks(180, 0)) == ("150", "30", "30", "180")


def test_labels_from_minus_180_have_no_false_seam():
    target = Angle("yaw", ("yaw",))
    true = np.linspace(-60, 60, 50)
    fig = plots.predicted_against_true(Task("head", (target,)), target, table(true, (true + 1) % 360, "yaw"))
    assert "seam" not in said(fig) and "short way round" in said(fig)
    assert fig.axes[0].get_xlim()[0] > -90


def test_titles_tell_the_error_and_that_of_guessing():
    frame = table([10.0, 20.0, 90.0, np.nan], [13.0, 21.0, 88.0, 5.0], "age")
    title = plots.predicted_against_true(AGE, AGE.targets[0], frame).get_suptitle()
    assert title == "age: mean error 2.0 years, guessing 33 years"  # 3, 1 and -2; 30, 20 and 50 from 40
    rest = plots.residuals(AGE, AGE.targets[0], frame).get_suptitle()
    assert rest == "age: all residuals from −2.0 to +3.0 years, median +1.0"
    worst = plots.worst(AGE, AGE.targets[0], frame, open_picture, n=2)
    assert worst.get_suptitle() == "The 2 worst of 3: age off by 2.0 to 3.0 years"
    grid = plots.grid(AGE, AGE.targets[0], frame, open_picture, 2)
    assert grid.get_suptitle() == "66.6 % of 3 predictions of age within 2 years"
    circle = table([1.0, 179.0], [179.0, 1.0])
    assert plots.predicted_against_true(ANGLE, BAR, circle).get_suptitle() == "angle: mean error 2.0°, guessing 1.0°"


def test_the_baseline_that_is_given_is_the_one_that_is_told(tmp_path, monkeypatch):
    two = Task("two", (BAR, *AGE.targets))
    frame = table([1.0, 179.0], [179.0, 1.0]).assign(age=50.0, age_predicted=51.0)
    title = plots.predicted_against_true(two, BAR, frame, {"angle": 45.0, "age": 20.0}).get_suptitle()
    assert title == "angle: mean error 2.0°, guessing 45°"
    assert plots.predicted_against_true(two, BAR, frame, {"age": 20.0}).get_suptitle().endswith("guessing 1.0°")
    titles = []
    monkeypatch.setattr(plots, "save", lambda fig, path: titles.append(fig.get_suptitle()) or path)
    plots.write_all(tmp_path, two, None, frame, open_picture, {"angle": 45.0, "age": 20.0})
    assert [t for t in titles if "guessing" in t] == ["angle: mean error 2.0°, guessing 45°",
                                                      "age: mean error 1.0 years, guessing 20 years"]


def test_the_running_median_goes_round_the_circle():
    rng = np.random.default_rng(3)
    true = rng.uniform(0, 180, 3000)
    bias = 4 * np.cos(np.deg2rad(2 * true - 40))  # steep at the seam, where a median that ends there would be off
    x, low, median, high = running_quantiles(true, bias + rng.normal(0, 0.5, 3000), 180.0)
    assert x.min() < 2 and x.max() > 178
    assert median[[0, -1]] == pytest.approx(4 * np.cos(np.deg2rad([40, 40])), abs=0.35)
    assert median[np.abs(x - 110).argmin()] == pytest.approx(-4, abs=0.35)
    assert ((low < median) & (median < high)).all()


@pytest.mark.parametrize("around", [None, 180.0])
def test_where_many_have_the_same_x_the_running_median_has_one_y_for_it(around):
    rng, steps = np.random.default_rng(0), np.arange(0, 180, 15.0)
    x = rng.permutation(np.repeat(steps, 40))
    y = 10 * (x == 45) + rng.uniform(0, 1, len(x))
    found, _, median, _ = running_quantiles(x, y, around)
    assert (np.diff(found) > 0).all() and set(found) <= {*steps, 180.0} and set(found) >= set(steps)
    assert dict(zip(found, median, strict=True)) == pytest.approx(
        {at: np.median(y[x == at % 180]) for at in found})


def test_errors_are_told_at_values_that_there_are():
    rng = np.random.default_rng(0)
    true = np.repeat([10.0, 20.0, 30.0, 40.0], 50)
    frame = table(true, true + np.where(true == 30, 9, 1) + rng.normal(0, 0.01, 200), "age")
    title = plots.errors_over(AGE, AGE.targets[0], frame, "age").get_suptitle().replace("\n", " ")
    assert title.endswith("to 9.0 years at age 30 years")


def test_a_column_that_never_varies_has_no_chart_and_is_named():
    frame = heads(50).assign(roll=0.0)
    for draw in (plots.predicted_against_true, plots.residuals):
        fig = draw(HEADPOSE, POSE, frame)
        assert len(fig.axes) == 2 and "No chart over roll: the same in all images." in said(fig)
    fig = plots.residuals(AGE, AGE.targets[0], table([5.0] * 3, [4.0, 5.0, 6.0], "age"))
    assert len(fig.axes) == 1 and "No chart" not in said(fig)  # there is no other


def test_each_angle_of_a_rotation_goes_the_short_way_round():
    frame = heads(50).assign(yaw=np.linspace(-175, 175, 50))
    frame["yaw_predicted"] = (frame["yaw"] + 10 + 180) % 360 - 180
    fig = plots.predicted_against_true(HEADPOSE, POSE, frame)
    dots = [np.asarray(ax.collections[0].get_offsets()) for ax in fig.axes]
    assert dots[0][:, 1] - dots[0][:, 0] == pytest.approx(10) and len(dots) == 3
    assert "across −180° = 180° are drawn next to their true value (1)" in said(fig)
    assert len(plots.residuals(HEADPOSE, POSE, frame).axes) == 3


def test_many_points_are_pooled_and_their_errors_named():
    task, frame = landmarks()
    frame.loc[:, ["p03_x", "p03_y"]] = np.nan
    frame.loc[3, "p05_x"] = np.nan
    fig = plots.predicted_against_true(task, task.targets[0], frame)
    assert [ax.get_xlabel() for ax in fig.axes] == ["true x (px)", "true y (px)"] and "Angles" not in said(fig)
    fig = plots.residuals(task, task.targets[0], frame)
    assert fig.get_suptitle() == "landmarks: worst p19, 28 px; best p00, 1.4 px"
    assert [t.get_text() for t in fig.axes[0].get_xticklabels()] == [f"p{i:02}" for i in range(20) if i != 3]


def test_a_picture_with_some_points_missing_still_counts():
    task, frame = landmarks(5)
    frame.loc[0, task.columns[:6]] = np.nan
    frame.loc[1, task.columns] = np.nan
    rows, true, _, error = labelled_rows(task.targets[0], frame)
    assert list(rows.index) == [0, 2, 3, 4] and np.isnan(true).sum() == 6 and np.isfinite(error).all()


def test_errors_over_a_column_tell_where_they_are_least_and_largest():
    frame = heads(600)
    for c in POSE.columns:
        frame[f"{c}_predicted"] = frame[c]
    frame["yaw_predicted"] = frame["yaw"] + 1 + np.abs(frame["yaw"]) / 10
    found = re.fullmatch(r"pose: median error from (\S+)° at yaw (\S+)° to (\S+)° at yaw (\S+)°",
                         plots.errors_over(HEADPOSE, POSE, frame, "yaw").get_suptitle())
    least, at, most, where = (float(g.replace("−", "-")) for g in found.groups())
    assert least < 2 and abs(at) < 5 and most > 6 and abs(where) > 50
    assert plots.errors_over(AGE, AGE.targets[0], table([1.0], [2.0], "age"), "age").get_suptitle().startswith("age")


def test_groups_come_worst_first_with_their_number_of_pictures():
    frame = table(np.zeros(6), [1, 1, 5, 5, 3, 9], "age").assign(group=["a", "a", "b", "b", "c", None])
    fig = plots.groups(AGE, AGE.targets[0], frame)
    assert [t.get_text() for t in fig.axes[0].get_yticklabels()] == ["b  (2)", "c  (1)", "a  (2)"]
    assert fig.get_suptitle() == "age: worst b, 5.0 years; best a, 1.0 years"
    assert [bar.get_width() for bar in fig.axes[0].patches] == [5, 3, 1]
    many = table(np.zeros(50), np.arange(50.0), "age").assign(group=np.arange(50))
    assert "The 30 worst of 50 groups" in said(plots.groups(AGE, AGE.targets[0], many))
    assert "nothing" in plots.groups(AGE, AGE.targets[0], frame[5:]).get_suptitle()


def test_residuals_far_out_are_counted_on_the_edge():
    frame = some_rows()
    frame.loc[[3, 9], "angle_predicted"] = (frame["angle"][[3, 9]] + [70, -80]) % 180
    fig = plots.residuals(ANGLE, BAR, frame)
    assert fig.axes[0].get_ylim()[1] < 20
    assert "▲▼ 2 beyond this chart, up to ±80°" in [t.get_text() for t in fig.axes[0].texts]


def test_worst_shows_the_largest_errors_first_with_truth_and_prediction():
    frame = table([10.0, 20.0, 30.0, 175.0], [11.0, 60.0, 33.0, 5.0])
    fig = plots.worst(ANGLE, BAR, frame, open_picture, n=3)
    texts = [[t.get_text() for t in ax.texts] for ax in fig.axes]
    assert texts[0] == ["true 20.0°", "predicted 60.0°", "off by 40.0°", "image1.png"]
    assert [t[-1] for t in texts] == ["image1.png", "image3.png", "image2.png"]
    blue, dashed = lines(fig.axes[0])
    assert blue.get_color() == BLUE and dashed.get_color() == VERMILION
    slope = [math.degrees(math.atan2(-np.diff(li.get_ydata())[0], np.diff(li.get_xdata())[0])) for li in (blue, dashed)]
    assert slope == pytest.approx([20, 60])


def test_a_picture_that_cannot_be_opened_is_a_grey_tile_with_its_name():
    def gone(path):
        raise FileNotFoundError(path)

    fig = plots.worst(ANGLE, BAR, some_rows(5), gone)
    assert [ax.texts[0].get_text() for ax in fig.axes] == ["cannot be opened"] * 5
    assert all(ax.texts[-1].get_text().startswith("image") and not ax.lines for ax in fig.axes)


def test_worst_leaves_the_callers_picture_alone_and_marks_in_its_own_pixels():
    picture = Image.new("RGB", (1200, 900))
    fig = plots.worst(ANGLE, BAR, table([90.0], [0.0]), lambda path: picture)
    assert picture.size == (1200, 900)
    assert fig.axes[0].lines[0].get_xdata() == pytest.approx([599.5, 599.5])
    assert fig.axes[0].get_xlim() == (-0.5, 1199.5)


def test_worst_poses_have_their_axes_at_the_true_and_the_predicted_centre():
    frame = heads(1).assign(centre_x=20.0, centre_y=10.0, centre_x_predicted=30.0, centre_y_predicted=20.0)
    (ax,) = plots.worst(HEADPOSE, POSE, frame, open_picture).axes
    starts = {tuple(line.get_xydata()[0]) for line in ax.lines if len(line.get_xydata()) == 2}
    assert starts == {(19.5, 9.5), (29.5, 19.5)}
    assert [t.get_text().split()[0] for t in ax.texts] == ["true", "predicted", "off", "image0.png"]


def test_worst_places_are_joined_to_their_truth():
    frame = heads(1).assign(centre_x=20.0, centre_y=10.0, centre_x_predicted=30.0, centre_y_predicted=20.0)
    (ax,) = plots.worst(HEADPOSE, CENTRE, frame, open_picture).axes
    (line,) = (line for line in ax.lines if line.get_gid() == "join")
    assert line.get_xydata().tolist() == [[19.5, 9.5], [29.5, 19.5]]
    assert [t.get_text() for t in ax.texts] == ["off by 14 px", "image0.png"]


def test_the_target_that_is_asked_for_orders_the_worst():
    task = Task("two", (*AGE.targets, Number("size", ("size",), "px", 0, 10)))
    frame = table([1.0, 2.0], [1.0, 9.0], "age").assign(size=[1.0, 2.0], size_predicted=[8.0, 2.0])
    assert plots.worst(task, task.targets[0], frame, open_picture).axes[0].texts[-1].get_text() == "image1.png"
    assert plots.worst(task, task.targets[1], frame, open_picture).axes[0].texts[-1].get_text() == "image0.png"


def test_grid_frames_tell_within_from_beyond_and_are_the_same_each_time():
    frame = table(np.full(50, 90.0), 90.0 + np.arange(50) / 10)
    within = [ax.spines["left"].get_edgecolor() for ax in plots.grid(ANGLE, BAR, frame, open_picture, 2.45).axes]
    again = plots.grid(ANGLE, BAR, frame, open_picture, 2.45)
    assert len(within) == 36 and within == [ax.spines["left"].get_edgecolor() for ax in again.axes]
    off = [float(ax.texts[-1].get_text()[len("off by "):-1]) for ax in again.axes]
    thick = [ax.spines["left"].get_linewidth() > 3 for ax in again.axes]
    assert thick == [o > 2.45 for o in off] and 0 < sum(thick) < 36
    assert again.get_suptitle().startswith("50 %")


def test_100_per_cent_means_all():
    frame = table(np.zeros(3000), np.r_[90.0, np.zeros(2999)])
    assert plots.grid(ANGLE, BAR, frame, open_picture, 1, n=4).get_suptitle().startswith("99.9 %")


@pytest.mark.parametrize(("most", "round_"), [(0.7, 0.8), (0.05, 0.05), (10.2, 15.0), (97, 100.0), (0, 1.0)])
def test_tolerance_is_round_and_holds_nine_in_ten(most, round_):
    frame = table(np.zeros(101), most * np.arange(101) / 90, "age")
    assert plots.tolerance(AGE.targets[0], frame) == round_


def test_batch_is_a_grid_of_16_with_their_labels():
    pictures, hundredths = bars.sample(20, 50, np.random.default_rng(0))
    fig = plots.batch(ANGLE, np.repeat(pictures[..., None], 3, -1), {"angle": hundredths[:, None] / 100})
    assert len(fig.axes) == 16
    assert [ax.texts[0].get_text() for ax in fig.axes] == [f"{a / 100:.1f}°" for a in hundredths[:16]]
    assert len({round(ax.get_position().x0, 3) for ax in fig.axes}) == 4


def test_batch_shows_all_targets_each_in_its_colour():
    fig = plots.batch(HEADPOSE, np.zeros((3, 40, 60, 3), np.uint8),
                      {"centre": np.full((3, 2), 20.5), "pose": np.zeros((3, 3))})
    starts = {(line.get_color(), *line.get_xydata()[0]) for line in fig.axes[0].lines if len(line.get_xydata()) == 2}
    assert starts == {(VERMILION, 20, 20)}
    assert fig.axes[0].lines[0].get_color() == BLUE and fig.axes[0].lines[0].get_xydata().tolist() == [[20, 20]]
    assert [t.get_text() for t in fig.axes[0].texts] == ["yaw 0°, pitch 0°, roll 0°"]


@pytest.mark.parametrize("rows", [0, 1, 3, 40])
def test_write_all_survives_little_and_broken_data(tmp_path, rows):
    frame = some_rows(rows + 2)
    frame.loc[0, "angle"], frame.loc[1, "angle_predicted"] = np.nan, np.nan
    frame["path"] = frame["path"].where(frame.index != 2, np.nan)
    run = history(1 if rows else 0)
    paths = plots.write_all(tmp_path / "plots", ANGLE, run, frame, lambda path: open_picture(path + ""))
    assert [p.name for p in paths] == ["curves.png", "predicted.png", "residuals.png", "worst.png", "grid.png"]
    assert sorted(paths) == sorted((tmp_path / "plots").iterdir())
    for path in paths:
        with Image.open(path) as image:
            image.load()
            assert image.format == "PNG" and image.width > 300


def test_write_all_names_the_targets_where_there_are_several(tmp_path):
    task = Task("two", (BAR, *AGE.targets))
    frame = some_rows(40).assign(age=50.0, age_predicted=51.0)
    names = [p.name for p in plots.write_all(tmp_path, task, history(2, age_error=[2, 1.0]), frame, open_picture)]
    each = ("predicted", "residuals", "worst", "grid")
    assert names == ["curves.png", *(f"{name}_{target}.png" for target in ("angle", "age") for name in each)]


@pytest.mark.parametrize("rows", [0, 1, 40])
def test_write_all_draws_heads(tmp_path, rows):
    frame = heads(rows + 2)
    frame.loc[0, "centre_x"], frame.loc[1, "yaw"] = np.nan, np.nan
    names = [p.name for p in plots.write_all(tmp_path, HEADPOSE, None, frame, open_picture)]
    assert names == [f"{n}.png" for n in (
        "predicted_centre", "residuals_centre", "groups_centre", "worst_centre", "grid_centre", "predicted_pose",
        "residuals_pose", "error_over_yaw", "groups_pose", "worst_pose", "grid_pose")]
    assert sorted(names) == sorted(p.name for p in tmp_path.iterdir())


def test_write_all_draws_points_some_missing(tmp_path):
    task, frame = landmarks(9)
    frame.loc[0, task.columns[:6]] = np.nan
    frame.loc[:, task.columns[8:10]] = np.nan
    names = [p.name for p in plots.write_all(tmp_path, task, None, frame.assign(group="one"), open_picture)]
    assert names == ["predicted.png", "residuals.png", "worst.png", "grid.png"]


def test_words_on_a_copy_keep_off_the_marks():
    values = {"centre": np.array([5.0, 5.0]), "pose": np.array([90.0, 0.0, 0.0])}
    drawn = np.asarray(copies.annotated(Image.new("RGB", (640, 480), "black"), HEADPOSE, values).convert("L"))
    words = np.argwhere(drawn > 200)  # the white behind them
    assert len(words) > 1000 and (words[:, 1] > 320).mean() > 0.9  # not in the corner of the point


def test_without_a_history_there_are_no_curves(tmp_path):
    paths = plots.write_all(tmp_path, ANGLE, None, some_rows(3), open_picture)
    assert [p.name for p in paths] == ["predicted.png", "residuals.png", "worst.png", "grid.png"]


def tick_texts(ax):
    ax.figure.draw_without_rendering()
    return [label.get_text() for axis in (ax.xaxis, ax.yaxis) for label in axis.get_ticklabels()]


def test_ticks_near_a_constant_are_whole_numbers_without_an_offset():
    true = 2.475 + np.linspace(0, 1e-4, 40)
    (ax,) = plots.predicted_against_true(AGE, AGE.targets[0], table(true, true, "age")).axes
    assert "2.47502" in tick_texts(ax)
    assert ax.xaxis.get_offset_text().get_text() == ax.yaxis.get_offset_text().get_text() == ""


def test_charts_have_one_minus_sign():
    frame = heads(50).assign(yaw=np.linspace(-175, 175, 50))
    frame["yaw_predicted"] = (frame["yaw"] + 10 + 180) % 360 - 180
    figs = [plots.predicted_against_true(HEADPOSE, POSE, frame), plots.residuals(HEADPOSE, POSE, frame),
            plots.lr_find(np.logspace(-6, 0, 50), np.linspace(1, 0.2, 50), 2.1e-5, True)]
    texts = [said(fig) for fig in figs] + [text for fig in figs for ax in fig.axes for text in tick_texts(ax)]
    assert "−90" in texts and "1e−05" in texts and "Suggested learning rate: 2.1e−05 " in texts[2]
    assert not any(re.search(r"-\d", text) for text in texts)


def test_a_figure_is_laid_out_once_where_it_is_saved(tmp_path, monkeypatch):
    layouts, execute = [], ConstrainedLayoutEngine.execute
    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", lambda *args: layouts.append(1) or execute(*args))
    fig = plots.residuals(ANGLE, BAR, some_rows())
    plots.save(fig, tmp_path / "a.png")
    assert len(layouts) == 1
    left = fig.axes[0].get_position().x0
    fig.axes[0].set_ylabel("a label\nof two lines")
    plots.save(fig, tmp_path / "b.pdf")  # what was changed meanwhile has its room
    assert len(layouts) == 2 and fig.axes[0].get_position().x0 > left


def test_a_dollar_is_a_dollar():
    target = Number("price", ("price",), "$", 0, 10)
    fig = plots.predicted_against_true(Task("$\\frac$", (target,)), target, table([1.0, 5.0], [2.0, 6.0], "price"))
    assert fig._repr_png_()[:8] == b"\x89PNG\r\n\x1a\n"


def test_save_replaces_the_file_or_leaves_it_alone(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")

    class Broken(TitledFigure):
        def savefig(self, *args, **kwargs):
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        plots.save(Broken(3, 2, "test"), path)
    assert path.read_bytes() == b"old" and list(tmp_path.iterdir()) == [path]
    plots.save(TitledFigure(3, 2, "test"), path)
    assert Image.open(io.BytesIO(path.read_bytes())).size[0] == 3 * figures.DPI
    assert path.stat().st_mode & 0o044 == 0o044


def test_save_tells_where_it_cannot_write(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ImgregError, match="place that can be written"):
        plots.save(TitledFigure(3, 2, "test"), tmp_path / "file" / "a.png")


def test_pyplot_is_not_needed():
    import subprocess

    code = "import sys, imgreg_fastai.plots; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
