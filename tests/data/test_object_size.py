"""Objects of few pixels are named, with what helps."""
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from imgreg_fastai.data.object_size import describe_small_objects
from imgreg_fastai.tasks import Number, Point, Task

EYES = Point("eyes", ("lx", "ly", "rx", "ry"))
BOX = ("cx", "cy", "w", "h")


@pytest.fixture
def rows(tmp_path):
    """Ten images of 400 x 300 pixels, with two points that are 40 pixels apart, and a box of 60 by 30."""
    Image.new("RGB", (400, 300)).save(tmp_path / "a.png")
    row = {"path": str(tmp_path / "a.png"), "lx": 180.0, "ly": 150.0, "rx": 220.0, "ry": 155.0, "n": 1.0,
           "cx": 200.0, "cy": 150.0, "w": 60.0, "h": 30.0}
    return pd.DataFrame([row] * 10)


def task(size, **fields):
    return Task("t", (EYES, Number("n", ("n",), low=0.0, high=1.0)), size=size, augment=(), **fields)


def test_points_close_together_are_named_with_a_size_that_does(rows):
    sentence, = describe_small_objects(rows, task((64, 64)))  # 40 of 400 pixels are 6.4 of 64
    assert "eyes" in sentence and "6.4 pixels" in sentence and "--size 96x96" in sentence
    assert not list(describe_small_objects(rows, task((96, 96))))


def test_a_box_shows_them_larger(rows):
    assert not list(describe_small_objects(rows, task((64, 64), box=BOX, margin=0.2)))


def test_boxes_of_few_pixels_are_named(rows):
    sentence, = describe_small_objects(rows.assign(w=7.0, h=3.0, lx=199.0, rx=202.0), task((64, 64), box=BOX))
    assert "7.0 pixels" in sentence and "more pixels" in sentence


def test_missing_points_and_single_points_are_no_objects(rows):
    single = Task("t", (Point("tip", ("lx", "ly")), Point("hub", ("rx", "ry"))), size=(16, 16), augment=())
    assert not list(describe_small_objects(rows, single))
    assert not list(describe_small_objects(rows.assign(lx=np.nan, ly=np.nan, rx=np.nan, ry=np.nan), task((64, 64))))
