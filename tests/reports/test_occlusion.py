"""What the network looked at: the map is warm where the network looks, in units, and cold elsewhere."""
import numpy as np
import pytest
import torch

from imgreg_fastai.data.images import FittedImage
from imgreg_fastai.inference.predictor import Predictor
from imgreg_fastai.reports import occlusion
from imgreg_fastai.tasks import Angle, Number, Point, Task

WHITE = FittedImage(np.full((48, 60, 3), 255, np.uint8), np.array([2 / 60, 2 / 48, -1.0, -1.0]))


def model(target, look, scale=1.0):
    """A Predictor whose answers are `scale` times the mean brightness, from 0 for the fill, of pixels [look]."""
    def body(x):
        return x[:, :, look[0], look[1]].mean((1, 2, 3))[:, None]

    def head(x):
        return scale * x.repeat(1, target.n_out)

    return Predictor(Task("test", (target,), size=(48, 60)), (body, head), {"mean": [0.5] * 3, "std": [0.5] * 3})


CORNER = (slice(0, 16), slice(40, 60))


def test_the_map_is_warm_where_the_network_looks_and_nowhere_else():
    target = Number("n", ("n",), low=0, high=20)  # the network's 1 is 20, its 0 is 10
    change = occlusion.changes(model(target, CORNER), WHITE)["n"]
    assert change.shape == (8, 8) and occlusion.strongest_position(change) == "the upper right"
    hidden = 8 * 10 / (16 * 20)  # of what it looks at, by a patch of 8 by 10 pixels that lies within it
    assert change.max() == pytest.approx(10 * hidden, rel=0.01)  # grey is not exactly the mean of 8 bits
    warm = occlusion.heat(change, WHITE.pixels.shape) > 1e-6
    assert warm[CORNER].all() and not warm[25:].any() and not warm[:, :29].any()


def test_changes_of_points_are_pixels_of_the_picture_and_angles_go_the_short_way():
    point = Point("p", ("x", "y"))
    change = occlusion.changes(model(point, (slice(0, 8), slice(0, 10))), WHITE)["p"]
    assert change[0, 0] == pytest.approx(np.hypot(60 / 2, 48 / 2), rel=0.01)  # from 1 to 0 of half a side each
    assert not change[2:, 2:].any()
    angle = Angle("a", ("a",), period=180.0)
    turned = occlusion.changes(model(angle, (slice(0, 8), slice(0, 10)), scale=-1), WHITE)["a"]
    assert turned.max() <= 90


def test_every_pixel_is_hidden_by_some_patch_and_what_never_moved_has_no_colour():
    for shape in ((48, 60, 3), (224, 224, 3), (33, 97, 3)):
        assert occlusion.heat(np.ones((8, 8)), shape) == pytest.approx(np.ones(shape[:2]))
    plain = np.asarray(occlusion.overlay(WHITE.pixels, np.zeros((8, 8))))
    assert (plain == 255).all()


def test_the_overlay_is_red_where_it_is_warm_and_grey_elsewhere():
    change = np.zeros((8, 8))
    change[0, 0] = 3.0
    shown = np.asarray(occlusion.overlay(WHITE.pixels, change)).astype(int)
    assert shown[2, 2, 0] > shown[2, 2, 2] + 100
    assert (shown[30:, 30:] == shown[30:, 30:, :1]).all()


@pytest.mark.parametrize(("place", "told"), [((0, 0), "the upper left"), ((4, 4), "the middle"),
                                             ((7, 3), "the lower middle"), ((3, 7), "the middle right")])
def test_places_have_names(place, told):
    change = np.zeros((8, 8))
    change[place] = 1
    assert occlusion.strongest_position(change) == told


def test_pictures_are_seen_in_batches_and_stay_as_they_were():
    seen = []

    def body(x):
        seen.append(len(x))
        return torch.zeros(len(x), 1)

    of = model(Number("n", ("n",), low=0, high=1), CORNER)
    of.network = (body, of.network[1])
    occlusion.changes(of, WHITE, bs=20)
    assert seen == [20, 20, 20, 5] and (WHITE.pixels == 255).all()
