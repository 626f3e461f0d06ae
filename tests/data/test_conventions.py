"""Simulated tables: points and boxes in pixels raise no alarm, wherever they lie; those of each other convention do.

Seeds are fixed, so that nothing depends on chance; where a convention may be missed now and then its rate is asserted.
"""
from functools import wraps

import numpy as np
import pytest

from imgreg_fastai.data.labels.box_conventions import guess_boxes
from imgreg_fastai.data.labels.conventions import MIN_SIDE, guess_points
from imgreg_fastai.tasks.coordinates import FULL_SIDE


def over_seeds(n=200, misses=0.0):
    """Run a test for n seeds, of which a share may fail."""
    def decorate(test):
        @wraps(test)
        def run(**parameters):
            missed = []
            for seed in range(n):
                try:
                    test(seed, **parameters)
                except AssertionError as e:
                    missed.append((seed, e))
            assert len(missed) <= misses * n, f"{len(missed)} of {n}: {missed[:5]}"

        del run.__wrapped__  # or pytest takes the seed for a fixture
        return run
    return decorate


class Images:
    """Sizes of images: all the same, of both orientations, or each its own."""

    def __init__(self, seed, least=1, sides=(30, 4000)):
        self.rng = rng = np.random.default_rng(seed)
        self.n = int(np.exp(rng.uniform(np.log(least), np.log(200))))
        side = np.exp(rng.uniform(*np.log(sides), 2)).round()
        self.sizes = np.tile(side, (self.n, 1))
        kind = rng.integers(3)
        if kind == 1:
            upright = rng.random(self.n) < 0.5
            self.sizes[upright] = self.sizes[upright][:, ::-1]
        elif kind == 2:
            self.sizes = (self.sizes * rng.uniform(0.6, 1.4, (self.n, 1))).round().clip(sides[0])
        self.k = int(rng.choice([1, 1, 5]))  # points an image

    def uniform(self, margin=None):
        margin = self.rng.uniform(0, 0.15) if margin is None else margin
        return self.rng.uniform(margin, 1 - margin, (self.n, self.k, 2))

    def guess(self, points, orientation=None, **how):
        return guess_points(points, self.sizes, np.ones(self.n) if orientation is None else orientation, **how)

    def boxes(self):
        """Centre and size in pixels, within the images."""
        size = (self.rng.uniform(0.1, 0.4) * self.rng.uniform(0.5, 2, (self.n, 2))).clip(0.05, 0.9)
        centre = size / 2 + (1 - size) * self.rng.uniform(0, 1, (self.n, 2))
        return centre * self.sizes, size * self.sizes


@over_seeds()
def test_uniform_points_in_pixels_are_no_alarm(seed):
    images = Images(seed)
    assert images.guess(images.uniform() * images.sizes[:, None]) is None


@over_seeds()
def test_clusters_of_points_in_pixels_never_stop(seed):
    images = Images(seed)
    middle, spread = images.rng.uniform(0.15, 0.9, 2), images.rng.uniform(0.01, 0.08, 2)
    parts = (middle + spread * images.rng.standard_normal((images.n, images.k, 2))).clip(0.1, 1)
    guess = images.guess(parts * images.sizes[:, None])
    assert guess is None or not guess.certain


def lie_anywhere(rng, n, k):
    """Points [n, k, 2], as parts of the sides, as tables have them: uniform, or clustered in one of many ways."""
    places, noise = rng.uniform(0, 1, (4, 2)), rng.standard_normal((n, k, 2))
    corner = rng.uniform(0, 0.9, 2)
    shapes = [
        lambda: rng.uniform(0, 1, (n, k, 2)),
        lambda: places[0] + np.exp(rng.uniform(np.log(0.01), np.log(0.3), 2)) * noise,
        lambda: rng.uniform(0.2, 0.8, (1, k, 2)) + 0.05 * noise + 0.1 * rng.standard_normal((n, 1, 2)),  # landmarks
        lambda: rng.uniform(corner, corner + rng.uniform(0.05, 1, 2) * (1 - corner), (n, k, 2)),
        lambda: 0.5 + rng.uniform(0.02, 0.3) * noise,
        lambda: places[rng.integers(4, size=(n, k))] + rng.uniform(0, 0.05) * noise,
        lambda: places[0] + (places[1] - places[0]) * rng.uniform(0, 1, (n, k, 1)) + 0.02 * noise,  # a line
        lambda: rng.uniform(0, rng.uniform(0.3, 0.8), (n, k, 2)),  # upper left
    ]
    return shapes[rng.integers(len(shapes))]().clip(0, 1)


@over_seeds(600)
def test_ordinary_points_never_stop(seed):
    images = Images(seed)
    points = lie_anywhere(images.rng, images.n, images.k) * images.sizes[:, None]
    slips = images.rng.random(images.n) < images.rng.choice([0, 0.01])
    guess = images.guess(np.where(slips[:, None, None], 3 * points, points))
    assert guess is None or not guess.certain


@over_seeds(600)
def test_ordinary_boxes_never_stop(seed):
    images = Images(seed)
    half = images.rng.uniform(0.02, 0.35) * np.exp(0.3 * images.rng.standard_normal((images.n, 2)))
    half, centre = half.clip(0.01, 0.49), lie_anywhere(images.rng, images.n, 1)[:, 0]
    centre = centre.clip(half, 1 - half)
    over_edge = images.rng.random((images.n, 1)) < images.rng.uniform(0, 0.3)
    centre = centre + over_edge * 2 * half * images.rng.uniform(-0.3, 0.3, half.shape)
    boxes = np.hstack([centre * images.sizes, 2 * half * images.sizes])
    guess = guess_boxes(boxes, images.sizes, ("cx", "cy", "w", "h"))
    assert guess is None or not guess.certain


def test_a_cluster_in_the_corner_and_a_table_of_one_slip_do_not_stop():
    sizes = np.tile([354.0, 2128.0], (72, 1))
    points = np.random.default_rng(0).normal(0.03, 0.002, (72, 1, 2)) * sizes[:, None]
    guess = guess_points(points, sizes, np.ones(72))
    assert guess is None or not guess.certain
    assert guess_points(np.array([[[900.0, 30.0]]]), sizes[:1], np.ones(1)) is None


@pytest.mark.parametrize(("width", "height"), [(320, 240), (200, 150), (640, 480), (100, 100), (64, 64), (4000, 3000)])
def test_the_upper_left_quarter_never_stops(width, height):
    rng = np.random.default_rng(0)
    for n in (1, 5, 12, 40, 500):
        sizes = np.tile([float(width), float(height)], (n, 1))
        guess = guess_points(rng.uniform(0, 0.5, (n, 1, 2)) * sizes[:, None], sizes, np.ones(n))
        assert guess is None or not guess.certain


@over_seeds()
def test_fractions_are_told_from_a_few_rows_on(seed):
    images = Images(seed, least=3)
    guess = images.guess(images.uniform())
    assert guess.certain and guess.coords == "fraction" and guess.hint == "--coords fraction"
    assert images.guess(images.uniform(), coords="fraction") is None
    assert "-1 to 1" in images.guess(images.uniform(0.05) * 2 - 1).looks or images.n < 10


@over_seeds(misses=0.01)
def test_per_cent_are_told(seed):
    images = Images(seed, least=40, sides=(250, 4000))
    guess = images.guess(images.uniform(0.08) * 100)
    assert guess.certain and guess.coords == "percent" and guess.rows.all()
    assert images.guess(images.uniform() * 100, coords="percent") is None


@pytest.mark.parametrize(("width", "height"), [(160, 120), (200, 150), (320, 240), (240, 240), (1920, 1080)])
@pytest.mark.parametrize("n", [40, 80])
def test_per_cent_of_images_of_usual_sizes_are_told(width, height, n):
    for seed in range(5):
        sizes, rng = np.tile([float(width), float(height)], (n, 1)), np.random.default_rng(seed)
        guess = guess_points(rng.uniform(10, 90, (n, 1, 2)), sizes, np.ones(n))
        assert guess.coords == "percent" and (guess.certain or n < 80 or min(width, height) < MIN_SIDE)


@over_seeds()
def test_small_images_in_per_cent_have_points_outside(seed):
    images = Images(seed, least=40, sides=(20, 75))
    assert images.guess(images.uniform() * 100).certain


def test_images_of_100_pixels_have_no_other_unit_than_per_cent():
    rng = np.random.default_rng(0)
    assert guess_points(rng.uniform(0, 100, (200, 1, 2)), np.full((200, 2), 100.0), np.ones(200)) is None


def test_a_name_that_says_per_cent_needs_no_other_evidence():
    points, sizes = np.random.default_rng(0).uniform(40, 60, (12, 1, 2)), np.tile([320.0, 240.0], (12, 1))
    assert guess_points(points, sizes, np.ones(12), ("x_pct", "y_pct")).certain
    guess = guess_points(points, sizes, np.ones(12), ("x", "y"))  # in the middle of 100: possible
    assert guess.coords == "percent" and not guess.certain


@over_seeds(misses=0.01)
def test_exchanged_and_unturned_points_are_told(seed):
    images = Images(seed, least=40)
    longest, shortest = images.sizes.max(axis=1), images.sizes.min(axis=1)
    images.sizes = np.stack([longest * 1.3, shortest], axis=1).round()  # all of landscape
    points = images.uniform() * images.sizes[:, None]
    guess = images.guess(points[..., ::-1])
    assert guess.certain and "exchanged" in guess.looks
    upright = images.rng.random(images.n) < 0.5
    if upright.sum() < 10:
        return
    stored = images.sizes.copy()
    images.sizes[upright] = images.sizes[upright][:, ::-1]
    guess = images.guess(images.uniform(0.02) * stored[:, None], np.where(upright, 6.0, 1.0))
    assert guess.certain and "EXIF" in guess.looks and (guess.rows <= upright).all()


def test_a_few_points_outside_turned_images_are_a_note():
    images = Images(0, least=150)
    images.sizes[:] = 60, 80
    points, orientation = images.uniform() * images.sizes[:, None], np.full(images.n, 6.0)
    points[3, 0] = 70, 20
    guess = images.guess(points, orientation)
    assert not guess.certain and guess.rows.nonzero()[0].tolist() == [3]


@over_seeds(misses=0.01)
def test_points_of_copies_of_another_size_are_told(seed):
    images = Images(seed, least=100, sides=(150, 4000))
    points = images.uniform(0.03) * images.sizes[:, None]
    larger, smaller, tiny = (images.guess(points * factor) for factor in (2.0, 0.4, 0.1))
    assert larger.certain and "larger copies" in larger.looks
    assert smaller and tiny.certain


@over_seeds()
def test_a_unit_that_is_named_wrongly_is_told(seed):
    coords = ("fraction", "percent")[seed % 2]
    images = Images(seed, least=12, sides=(150, 4000))
    guess = images.guess(images.uniform() * images.sizes[:, None], coords=coords)
    assert guess.certain and guess.coords == "pixels" and guess.hint == "the same without --coords"


def test_markers_of_missing_points_are_no_evidence():
    points, sizes = np.random.default_rng(0).uniform(20, 200, (30, 2, 2)), np.tile([320.0, 240.0], (30, 1))
    points[::2, 0], points[1::2, 1] = 0, -1
    assert guess_points(points, sizes, np.ones(30)) is None
    points[:] = 0
    assert guess_points(points, sizes, np.ones(30)) is None
    assert guess_points(points * np.nan, sizes, np.ones(30)) is None


# ---- boxes

FORMATS = {"cxcywh": lambda c, s: (c, s),
           "xywh": lambda c, s: (c - s / 2, s), "xyxy": lambda c, s: (c - s / 2, c + s / 2)}
UNITS = ("pixels", *FULL_SIDE)


@over_seeds(misses=0.01)  # a note, of 1 in 2,000
def test_boxes_in_pixels_are_no_alarm_even_where_some_reach_over_the_edge(seed):
    images = Images(seed)
    centre, size = images.boxes()
    centre = centre + (images.rng.random((images.n, 1)) < 0.1) * size * 0.3
    assert guess_boxes(np.hstack([centre, size]), images.sizes, ("cx", "cy", "w", "h")) is None


@over_seeds(270)
def test_each_format_and_unit_of_boxes_is_told_and_its_hint_reads_it(seed):
    box_format, unit = list(FORMATS)[seed % 3], UNITS[seed // 3 % 3]
    images = Images(seed, least=60, sides=(200, 2000))
    boxes = np.hstack(FORMATS[box_format](*images.boxes()))
    boxes = boxes / np.tile(images.sizes, 2) * FULL_SIDE[unit] if unit != "pixels" else boxes
    guess = guess_boxes(boxes, images.sizes, ("a", "b", "c", "d"))
    expected = [f"--coords {unit}"] * (unit != "pixels") + [f"--box-format {box_format}"] * (box_format != "cxcywh")
    assert (guess.hint if guess else "") == " ".join(expected)
    assert guess_boxes(boxes, images.sizes, ("a", "b", "c", "d"), unit, box_format) is None


def test_names_of_columns_decide_where_boxes_do_not():
    sizes, boxes = np.full((20, 2), 300.0), np.tile([100.0, 100, 20, 20], (20, 1))
    assert guess_boxes(boxes, sizes, ("left", "top", "width", "height")).hint == "--box-format xywh"
    guess = guess_boxes(boxes, sizes, ("x", "y", "w", "h"))
    assert not guess.certain and "--box-format xywh if" in guess.hint
    assert guess_boxes(boxes, sizes, ("x", "y", "w", "h"), box_format="cxcywh") is None
    unknown = np.full((20, 2), np.nan)
    assert guess_boxes(boxes, unknown, ("xmin", "ymin", "xmax", "ymax")).hint == "--box-format xyxy"
    assert guess_boxes(boxes * np.nan, sizes, ("xmin", "ymin", "xmax", "ymax")) is None


def test_boxes_that_fit_in_no_format_are_told():
    sizes, boxes = np.full((20, 2), 300.0), np.tile([5000.0, 5000, 20, 20], (20, 1))
    assert "no boxes inside" in guess_boxes(boxes, sizes, ("cx", "cy", "w", "h")).looks
    over_edge = np.array([[295.0, 295, 60, 60]])  # a single image may be cut by its photographer
    assert guess_boxes(over_edge, sizes[:1], ("cx", "cy", "w", "h")) is None
    pixels = np.tile([100.0, 100, 20, 20], (20, 1))
    assert guess_boxes(pixels, sizes, ("cx", "cy", "w", "h"), "fraction").hint == "the same without --coords"
