"""Views: where an image lies in what the network sees, against what is really drawn there."""
import numpy as np
import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from PIL import Image

from imgreg_fastai.data.images import GREY, fit
from imgreg_fastai.tasks.geometry import place_picture, region, to_pixels, to_view, upright_size

POLICIES = ("pad", "crop", "squish")
SIDES = st.integers(5, 300)
SIZES = st.tuples(st.integers(16, 96), st.integers(16, 96))
MARGINS = st.sampled_from([0.0, 0.1, 0.25, 1.0])
many = settings(max_examples=150, deadline=None)


@st.composite
def boxes(draw, width, height):
    """A box that covers a part of the image; it may reach beyond it."""
    x, y = draw(st.floats(0.05, 0.95)) * width, draw(st.floats(0.05, 0.95)) * height
    return x, y, draw(st.floats(0.2, 1.5)) * width, draw(st.floats(0.2, 1.5)) * height


@st.composite
def cases(draw):
    picture = draw(SIDES), draw(SIDES)
    box = draw(st.none() | boxes(*picture))
    return picture, draw(SIZES), draw(st.sampled_from(POLICIES)), box, draw(MARGINS)


def view_pixels(points, spot):
    """Where points [n, 2] of the image lie in the view, in its pixels from its upper left corner."""
    across = to_view(np.asarray(points, float)[None], spot.view[None])[0]
    return (across + 1) / 2 * spot.size[::-1]


# the map

@many
@given(cases(), st.lists(st.tuples(st.floats(-500, 500), st.floats(-500, 500)), min_size=1, max_size=5))
def test_pixels_undoes_seen(case, points):
    view = place_picture(*case).view[None]
    points = np.array(points)[None]
    np.testing.assert_allclose(to_pixels(to_view(points, view), view), points, atol=1e-6)


def test_every_picture_has_its_own_view_and_one_may_serve_all():
    views = np.stack([place_picture((w, 50), (32, 32), "squish").view for w in (50, 100, 200)])
    points = np.tile([[[25.0, 25.0], [50.0, 50.0]]], (3, 1, 1))
    expected = [[[0, 0], [1, 1]], [[-0.5, 0], [0, 1]], [[-0.75, 0], [-0.5, 1]]]
    np.testing.assert_allclose(to_view(points, views), expected, atol=1e-12)
    np.testing.assert_allclose(to_pixels(np.array(expected), views), points, atol=1e-9)
    np.testing.assert_allclose(to_view(points, views[:1])[2], expected[0], atol=1e-12)


@many
@given(cases())
def test_what_is_drawn_is_a_part_of_the_picture_in_whole_pixels_of_the_view(case):
    (width, height), size, *_ = case
    source, (x0, y0, x1, y1), kept = place_picture(*case)
    assert 0 <= source[0] < source[2] <= width and 0 <= source[1] < source[3] <= height
    assert 0 <= x0 < x1 <= size[1] and 0 <= y0 < y1 <= size[0] and kept == size
    corners = view_pixels([source[:2], source[2:]], place_picture(*case))
    np.testing.assert_allclose(corners, [(x0, y0), (x1, y1)], atol=1e-6)


@many
@given(st.tuples(SIDES, SIDES), SIZES)
def test_a_picture_that_is_padded_lies_in_the_middle(picture, size):
    _, (x0, y0, x1, y1), _ = place_picture(picture, size, "pad")
    assert abs(x0 - (size[1] - x1)) <= 1 and abs(y0 - (size[0] - y1)) <= 1


@pytest.mark.parametrize(("case", "source", "target"), [
    # the whole image
    (((80, 40), (60, 60), "pad"), (0, 0, 80, 40), (0, 15, 60, 45)),
    (((80, 40), (60, 60), "crop"), (20, 0, 60, 40), (0, 0, 60, 60)),
    (((80, 40), (60, 60), "squish"), (0, 0, 80, 40), (0, 0, 60, 60)),
    (((40, 80), (30, 60), "pad"), (0, 0, 40, 80), (22, 0, 37, 30)),
    (((40, 80), (30, 60), "crop"), (0, 30, 40, 50), (0, 0, 60, 30)),
    # a box of it
    (((80, 40), (60, 60), "squish", (30, 20, 40, 20)), (10, 10, 50, 30), (0, 0, 60, 60)),
    (((80, 40), (60, 60), "pad", (30, 20, 40, 20)), (10, 0, 50, 40), (0, 0, 60, 60)),  # with what lies around it
    (((80, 40), (60, 60), "crop", (30, 20, 40, 20)), (20, 10, 40, 30), (0, 0, 60, 60)),
    (((80, 40), (60, 60), "squish", (30, 20, 40, 20), 0.25), (0, 5, 60, 35), (0, 0, 60, 60)),
    # a box that reaches beyond the image: what is not there is padding
    (((80, 40), (60, 60), "pad", (0, 20, 40, 40)), (0, 0, 20, 40), (30, 0, 60, 60)),
    (((80, 40), (60, 60), "pad", (80, 40, 40, 40)), (60, 20, 80, 40), (0, 0, 30, 30)),
    (((80, 40), (60, 60), "squish", (40, 20, 160, 80)), (0, 0, 80, 40), (15, 15, 45, 45)),
])
def test_places_worked_out_by_hand(case, source, target):
    found = place_picture(*case)
    assert found.source == pytest.approx(source) and found.target == target


@many
@given(cases())
def test_pad_and_crop_keep_shapes_and_squish_shows_just_the_box(case):
    (width, height), size, policy, box, margin = case
    spot = place_picture(*case)
    across, down = spot.view[:2] * (size[1], size[0])  # view pixels for a pixel, twice
    whole = min(spot.target[2] - spot.target[0], spot.target[3] - spot.target[1])
    assume(whole >= 8)  # the sides of what is drawn are rounded to whole pixels
    if policy != "squish":
        assert across / down == pytest.approx(1, abs=1 / whole)
        return
    x, y, w, h = box or (width / 2, height / 2, width, height)
    w, h = (w * (1 + 2 * margin), h * (1 + 2 * margin)) if box else (w, h)
    corners = view_pixels([(x - w / 2, y - h / 2), (x + w / 2, y + h / 2)], spot)
    drawn = np.array([spot.target[2] - spot.target[0], spot.target[3] - spot.target[1]])
    stretch = np.array(size[::-1]) / drawn  # half a pixel of rounding, by how much larger the box is than what is drawn
    assert (np.abs(corners - [(0, 0), size[::-1]]) <= stretch + 0.5).all()


@many
@given(cases())
def test_pad_shows_the_whole_box_and_crop_nothing_else(case):
    (width, height), _, policy, box, margin = case
    assume(policy != "squish")
    x, y, w, h = box or (width / 2, height / 2, width, height)
    w, h = (w * (1 + 2 * margin), h * (1 + 2 * margin)) if box else (w, h)
    left, top, right, bottom = place_picture(*case).source
    inside = max(x - w / 2, 0), max(y - h / 2, 0), min(x + w / 2, width), min(y + h / 2, height)
    if policy == "pad":
        assert left <= inside[0] + 1e-6 and top <= inside[1] + 1e-6
        assert right >= inside[2] - 1e-6 and bottom >= inside[3] - 1e-6
    else:
        assert left >= inside[0] - 1e-6 and top >= inside[1] - 1e-6
        assert right <= inside[2] + 1e-6 and bottom <= inside[3] + 1e-6


# smaller copies

@many
@given(cases())
def test_what_is_spare_leaves_two_pixels_for_each_that_is_seen_and_not_more(case):
    spot = place_picture(*case)
    left, top, right, bottom = spot.source
    each = (right - left) / (spot.target[2] - spot.target[0]), (bottom - top) / (spot.target[3] - spot.target[1])
    assert min(each) / spot.spare == pytest.approx(2) and max(each) / spot.spare >= 2 - 1e-9


@many
@given(cases(), st.sampled_from([2, 4, 8]), st.integers(1, 8), st.tuples(st.floats(0, 1), st.floats(0, 1)))
def test_a_smaller_copy_shows_each_point_at_the_same_place(case, times, orientation, part):
    """Whichever way up the copy was stored, the point of it that was the image's is seen where the image's is."""
    (width, height), spot = case[0], place_picture(*case)
    stored = np.array(upright_size((width, height), orientation))
    exact, whole = stored / times, np.ceil(stored / times).astype(int)
    upright = upright_size(tuple(whole), orientation)
    lies = region(tuple(exact), upright, orientation)
    inner = spot.within((width, height), lies)
    assert inner.target == spot.target and inner.size == spot.size
    at = np.array(part) * (width, height)
    there = turn(turn_back(at, (width, height), orientation) / times, whole, orientation)
    one, other = (to_view(point[None, None], s.view[None])[0, 0] for point, s in ((at, spot), (there, inner)))
    np.testing.assert_allclose(one, other, atol=1e-9)
    edges = np.array(inner.source).reshape(2, 2)
    assert (edges >= 0).all() and (edges <= upright).all()  # or Pillow could not cut it out


TURNS = {  # EXIF's: where (x, y) of a stored image of (w, h) comes to lie in the upright one
    1: lambda x, y, w, h: (x, y), 2: lambda x, y, w, h: (w - x, y), 3: lambda x, y, w, h: (w - x, h - y),
    4: lambda x, y, w, h: (x, h - y), 5: lambda x, y, w, h: (y, x), 6: lambda x, y, w, h: (h - y, x),
    7: lambda x, y, w, h: (h - y, w - x), 8: lambda x, y, w, h: (y, w - x),
}


def turn(point, stored, orientation):
    return np.array(TURNS[orientation](*point, *stored))


def turn_back(point, upright, orientation):
    """The way back, which is the way of the opposite turn."""
    return np.array(TURNS[{6: 8, 8: 6}.get(orientation, orientation)](*point, *upright))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_sizes_and_regions_without_rounding(orientation):
    assert upright_size((40, 24), orientation) == ((24, 40) if orientation >= 5 else (40, 24))
    size = upright_size((40, 24), orientation)
    assert region((40, 24), size, orientation) == (0, 0, *size)


# what is drawn

def blob(picture, at, radius):
    """A bright blob of a bell's shape on black, its centroid at the point `at`."""
    width, height = picture
    y, x = np.mgrid[:height, :width] + 0.5
    bell = np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2) / (2 * radius**2))
    return Image.fromarray(np.repeat((255 * bell + 0.5).astype(np.uint8)[..., None], 3, axis=2))


def centroid(view, spot):
    """The middle of what is bright in the part that is drawn, in pixels of the view."""
    x0, y0, x1, y1 = spot.target
    bright = np.zeros(view.shape[:2])
    bright[y0:y1, x0:x1] = view[y0:y1, x0:x1, 0].astype(float)
    y, x = np.mgrid[:view.shape[0], :view.shape[1]] + 0.5
    return np.array([(bright * x).sum(), (bright * y).sum()]) / bright.sum()


@st.composite
def blobs(draw):
    """A case, and a place for a blob that lies wholly within what is shown, large enough to be seen there."""
    picture = draw(st.integers(40, 200)), draw(st.integers(40, 200))
    case = picture, draw(SIZES), draw(st.sampled_from(POLICIES)), draw(st.none() | boxes(*picture)), draw(MARGINS)
    left, top, right, bottom = (float(edge) for edge in place_picture(*case).source)
    radius = min(right - left, bottom - top) / 12
    assume(radius >= 1.5)
    at = tuple(draw(st.floats(a + 4 * radius, b - 4 * radius)) for a, b in ((left, right), (top, bottom)))
    return case, at, radius


@settings(max_examples=200, deadline=None)
@given(blobs())
def test_a_blob_is_seen_where_the_view_says(given_blob):
    case, at, radius = given_blob
    spot = place_picture(*case)
    view = np.asarray(fit(blob(case[0], at, radius), spot))
    assert view.shape == (*case[1], 3)
    np.testing.assert_allclose(centroid(view, spot), view_pixels([at], spot)[0], atol=0.5)


@many
@given(cases())
@example(((16, 16), (16, 16), "pad", (8.0, 8.0, 16.0, 24.0), 0.0))  # of the size of the view, and yet not all of it
def test_what_lies_beyond_the_picture_is_grey_and_nothing_else(case):
    spot = place_picture(*case)
    view = np.asarray(fit(Image.new("RGB", case[0], "white"), spot))
    x0, y0, x1, y1 = spot.target
    shown = np.zeros(case[1], bool)
    shown[y0:y1, x0:x1] = True
    assert (view[shown] == 255).all() and (view[~shown] == GREY).all()


# boxes of no use

@pytest.mark.parametrize("box", [(-50, 20, 20, 20), (130, 20, 20, 20), (40, -40, 30, 30), (40, 90, 30, 30)])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_box_outside_the_picture_is_refused(box, policy):
    with pytest.raises(ValueError, match=r"a box that lies outside: .* in 80 x 40"):
        place_picture((80, 40), (32, 32), policy, box)


@pytest.mark.parametrize("box", [(40, 20, 0, 9), (40, 20, 9, -1), (np.nan, 20, 9, 9), (40, 20, np.inf, 9)])
@pytest.mark.parametrize("policy", POLICIES)
def test_a_box_that_is_none_is_refused(box, policy):
    with pytest.raises(ValueError, match="no box"):
        place_picture((80, 40), (32, 32), policy, box)


@pytest.mark.parametrize("policy", ["pad", "squish"])
def test_a_box_whose_margin_makes_it_infinite_is_refused(policy):
    with pytest.raises(ValueError, match="no box"):
        place_picture((80, 40), (32, 32), policy, (40, 20, 1e308, 1e308), margin=1)


def test_a_very_thin_picture_is_still_seen():
    for policy in POLICIES:
        for picture in ((1000, 1), (1, 1000)):
            spot = place_picture(picture, (20, 30), policy)
            assert np.isfinite(spot.view).all() and (spot.view[:2] > 0).all()
            assert np.asarray(fit(Image.new("RGB", picture, "white"), spot)).max() == 255
