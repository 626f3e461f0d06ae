"""Images in pages: tiles with their captions, charts with their words, intervals drawn where they are."""
import base64
import io
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from imgreg_fastai import plots
from imgreg_fastai.plots import pictures
from imgreg_fastai.plots.figures import BLUE, TitledFigure
from imgreg_fastai.plots.pictures import Tile
from imgreg_fastai.reports import images, intervals
from imgreg_fastai.tasks import ANGLE, HEADPOSE, Angle, Number, Point, Task

BAR = ANGLE.targets[0]
AGE = Task("faces", (Number("age", ("age",), "years", low=0, high=100),))
PIXELS = np.full((40, 60, 3), 255, np.uint8)


def opened(shown):
    form, _, data = shown["src"].removeprefix("data:image/").partition(";base64,")
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.format.lower() == form
    assert image.width / image.height == pytest.approx(shown["width"] / shown["height"], rel=0.01)
    return np.asarray(image.convert("RGB")).astype(int)


def row(**values):
    return pd.Series({"image": "a.png", "path": "a.png", **values})


def of_age(**more):
    return row(age=73.2, age_predicted=74.1, age_error=0.9, **more)


@pytest.mark.parametrize(("task", "values", "told"), [
    (AGE, of_age(age_within=0.8), "true 73.2 years, predicted 74.1 years ± 0.80"),
    (AGE, of_age(), "true 73.2 years, predicted 74.1 years, off by 0.90 years"),
    (AGE, of_age(age_within=np.nan), "true 73.2 years, predicted 74.1 years, off by 0.90 years"),
    (ANGLE, row(angle=73.24, angle_predicted=74.1, angle_error=0.86, angle_within=0.8),
     "true 73.2°, predicted 74.1° ± 0.80"),
    (replace(HEADPOSE, targets=HEADPOSE.targets[:1]), row(
        centre_x=10.0, centre_y=5.0, centre_x_predicted=13.0, centre_y_predicted=9.0, centre_error=5.0,
        centre_within=6.0), "true 10.00, 5.00 px, predicted 13.00, 9.00 px, expected within 6.0 px, off by 5.0 px"),
])
def test_a_caption_tells_truth_prediction_and_interval(task, values, told):
    assert images.caption(task, task.targets[0], values) == told


def test_many_points_are_told_by_their_mean():
    points = Point("face", tuple(f"p{i}_{a}" for i in range(3) for a in "xy"))
    values = dict.fromkeys(points.columns, 1.0) | {f"{c}_predicted": 2.0 for c in points.columns}
    shown = row(**values, face_error=1.41, **dict(zip(points.interval_columns, (1.0, 3.0, np.nan), strict=True)))
    assert images.caption(Task("t", (points,)), points, shown) == (
        "3 points, off by 1.4 px on average, expected within 1.0 to 3.0 px")


def test_a_tile_without_a_place_has_a_strip_with_truth_prediction_and_band():
    tile = images.example(AGE, AGE.targets, of_age(age_within=8.0), Tile(PIXELS, PIXELS.shape[:2]), (0, 100))
    strip = opened(tile)[-34:]
    blue, red, pale = ((np.abs(strip - colour).sum(axis=2) < far).any(axis=0) for far, colour in (
        (90, (0, 114, 178)), (90, (213, 94, 0)), (40, (244, 214, 191))))
    at = [np.flatnonzero(mask).mean() / strip.shape[1] for mask in (blue, red)]
    assert at == pytest.approx([0.03 + 0.94 * 0.732, 0.03 + 0.94 * 0.741], abs=0.02)
    assert pale.mean() == pytest.approx(0.94 * 0.16, abs=0.04)
    assert tile["caption"] == tile["alt"].partition(": ")[2] and tile["name"] == "a.png"


def test_a_place_needs_no_strip_and_a_missing_picture_is_a_tile_all_the_same():
    values = row(angle=10.0, angle_predicted=20.0, angle_error=10.0)
    assert BAR.has_mark and not replace(BAR, in_plane=False).has_mark
    there, gone = (images.example(ANGLE, [BAR], values, Tile(pixels, (40, 60)), (0, 180)) for pixels in (PIXELS, None))
    assert opened(there).shape == opened(gone).shape and (opened(gone)[20:60, 20:60] < 250).all()


def test_a_chart_has_its_finding_for_those_who_do_not_see_it():
    sheet = TitledFigure(4, 2, "angle: <b>best</b> $1", "The note\nof it")
    sheet.add_charts()
    shown = images.chart(sheet)
    assert shown["alt"] == "angle: <b>best</b> $1. The note of it" and shown["src"].startswith("data:image/png;base64,")
    assert opened(shown).shape[1] == pytest.approx(4 * images.CHART_DPI, abs=1)


def test_a_chart_of_several_panels_is_wide():
    assert not images.chart(plots.residuals(AGE, AGE.targets[0], judged(1.0, [1.0, 2.0])))["wide"]
    frame = pd.DataFrame({"image": "a", "path": "a", "centre_x": [1.0, 2.0], "centre_y": [1.0, 2.0],
                          "centre_x_predicted": 1.0, "centre_y_predicted": 2.0})
    assert images.chart(plots.residuals(HEADPOSE, HEADPOSE.targets[0], frame))["wide"]


def test_a_kept_plot_is_shown_and_a_lost_one_is_not(tmp_path):
    Image.new("RGB", (30, 20), "red").save(tmp_path / "worst.png")
    assert opened(images.saved_chart(tmp_path / "worst.png", "worst")[0]).shape == (20, 30, 3)
    assert images.saved_chart(tmp_path / "other.png", "worst") == []


# intervals on images


def patches(target, predicted, radii_, shape=(40, 60)):
    ax = TitledFigure(3, 3, "test").add_charts()[0]
    values = zip((*target.columns, *(f"{c}_predicted" for c in target.columns), *target.interval_columns),
                 (*np.full(len(predicted), np.nan), *predicted, *radii_), strict=True)
    tile = Tile(np.zeros((*shape, 3), np.uint8), shape)
    pictures.draw_comparison(ax, Task("test", (target,)), [target], pd.Series(dict(values)), tile, words=False)
    return ax.patches


def test_the_interval_of_a_point_is_a_disc_about_it():
    (disc,) = patches(HEADPOSE.targets[0], [20.5, 10.5], [4.0])
    assert disc.center == pytest.approx((20, 10)) and disc.radius == 4


@pytest.mark.parametrize(("zero", "clockwise", "value"), [(0, False, 30), (90, True, 30), (0, True, 200)])
def test_the_interval_of_a_direction_lies_about_its_arrow(zero, clockwise, value):
    target = Angle("hand", ("hand",), in_plane=True, zero=zero, clockwise=clockwise)
    (wedge,) = patches(target, [value], [10.0])
    ax = TitledFigure(3, 3, "test").add_charts()[0]
    target.draw(ax, np.array([float(value)]), BLUE, (40, 60))
    start, tip = next(line for line in ax.lines if line.get_gid() is None).get_xydata()
    middle = np.radians((wedge.theta1 + wedge.theta2) / 2)
    assert wedge.theta2 - wedge.theta1 == pytest.approx(20) and wedge.center == pytest.approx(start)
    assert (np.cos(middle), np.sin(middle)) == pytest.approx((tip - start) / np.linalg.norm(tip - start), abs=1e-6)


def test_an_orientation_has_two_ends_and_what_cannot_be_drawn_has_none():
    assert len(patches(BAR, [30], [10.0])) == 2
    assert not patches(BAR, [30], [np.nan]) and not patches(replace(BAR, in_plane=False), [30], [5.0])
    assert not patches(HEADPOSE.targets[1], [1, 2, 3], [5.0])


def test_the_worst_pictures_have_their_intervals_drawn():
    frame = pd.DataFrame([of_angle(i) for i in range(4)])
    sheet = plots.worst(ANGLE, BAR, frame, lambda path: Image.new("RGB", (60, 40)))
    assert "Shaded: the interval." in sheet.texts[1].get_text()
    assert all(len([p for p in ax.patches if p.get_gid() == "within"]) == 2 for ax in sheet.axes)


def of_angle(i):
    return {"image": f"{i}.png", "path": f"{i}.png", "angle": 10.0, "angle_predicted": 12.0 + i, "angle_within": 3.0,
            "angle_error": 2.0 + i}


# charts of intervals


def judged(radius, error):
    return pd.DataFrame({"image": "a", "path": "a", "age": 50.0, "age_predicted": 50 + np.asarray(error, float),
                         "age_within": radius})


def of_age_intervals(frame):
    return intervals.errors_over_half_widths(AGE, AGE.targets[0], frame)


def test_errors_over_their_radii_are_counted():
    sheet = of_age_intervals(judged([1.0, 2.0, 3.0, np.nan], [0.5, 2.5, 3.0, 1.0]))
    assert "66.7 % of 3 images lie within their interval" in sheet.get_suptitle()
    (ax,) = sheet.axes
    assert sorted(len(dots.get_offsets()) for dots in ax.collections) == [1, 2]


def test_misses_lie_above_the_line_and_hits_below_it_whatever_the_scales():
    rng = np.random.default_rng(0)
    for radius in (rng.uniform(5, 15, 300), rng.uniform(1, 50, 300), np.linspace(5, 6, 300)):
        error = np.r_[np.abs(rng.normal(0, 0.6, 299)) * radius[:299], 0.0]
        sheet = of_age_intervals(judged(radius, error))
        (ax,), mask = sheet.axes, error <= radius
        sheet.canvas.draw()
        line = ax.transData.transform(ax.lines[0].get_xydata())
        for dots, below in zip(ax.collections, (True, False), strict=True):
            x, y = ax.transData.transform(dots.get_offsets()).T
            assert len(x) == (mask.sum() if below else (~mask).sum()) > 0
            off = y - np.interp(x, *line.T)
            assert (off < 0.05).all() if below else (off > -0.05).all()  # pixels


def test_no_hit_is_drawn_as_a_miss_where_nearly_all_are_misses():
    sheet = of_age_intervals(judged([1.0, 2.0] + [1.5] * 300, [0.5, 1.0] + [9.0] * 300))
    x, y = sheet.axes[0].collections[0].get_offsets().T
    assert (y <= x).all()


def test_where_all_radii_are_one_their_errors_are_spread_beside_it():
    sheet = of_age_intervals(judged(2.0, np.linspace(0, 4, 50)))
    (ax,) = sheet.axes
    assert "±2.0 years" in sheet.texts[1].get_text() and sum(bar.get_height() for bar in ax.patches) == 50


def test_without_a_radius_there_is_nothing_to_show():
    assert "nothing to show" in of_age_intervals(judged(np.nan, [1.0])).get_suptitle()
