"""Points and boxes as tables have them become pixels, and back; what columns are called says what they are."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgreg_fastai.tasks import Number, Point, Task, task_from_dict
from imgreg_fastai.tasks.coordinates import box_format_by_names, coords_by_names, to_centre, to_pixels
from imgreg_fastai.utils.messages import ImgregError

SIZES = np.array([[320.0, 240.0], [100.0, 50.0]])


@given(st.sampled_from([("fraction", 1.0), ("percent", 100.0)]), st.integers(0, 99))
def test_parts_of_the_sides_become_pixels(unit, seed):
    points = np.random.default_rng(seed).uniform(0, 1, (2, 6))
    in_pixels = to_pixels(points * unit[1], SIZES, unit[0])
    assert np.allclose(in_pixels, points * np.tile(SIZES, 3)) and to_pixels(points, SIZES, "") is points


@given(st.integers(0, 99))
def test_every_format_of_a_box_becomes_its_centre_and_size(seed):
    rng = np.random.default_rng(seed)
    centre, size = rng.uniform(0, 90, (5, 2)), rng.uniform(1, 9, (5, 2))
    expected = np.hstack([centre, size])
    assert np.allclose(to_centre(np.hstack([centre - size / 2, size]), "xywh"), expected)
    assert np.allclose(to_centre(np.hstack([centre - size / 2, centre + size / 2]), "xyxy"), expected)
    assert to_centre(expected, "") is expected


@pytest.mark.parametrize(("columns", "expected"), [
    (("xmin", "ymin", "xmax", "ymax"), "xyxy"), (("bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"), "xyxy"),
    (("Left", "Top", "Right", "Bottom"), "xyxy"), (("x_min_norm", "y_min_norm", "x_max_norm", "y_max_norm"), "xyxy"),
    (("left", "top", "width", "height"), "xywh"), (("cx", "cy", "w", "h"), "cxcywh"),
    (("head x center", "head y center", "head width", "head height"), "cxcywh"), (("x", "y", "w", "h"), ""),
    (("bbox_x", "bbox_y", "bbox_width", "bbox_height"), ""), (("a", "b", "c", "d"), None),
    (("face_x1", "eye_y1", "face_x2", "eye_y2"), None), (("xmin", "xmax", "ymin", "ymax"), None),
])
def test_names_of_columns_say_the_format(columns, expected):
    assert box_format_by_names(columns) == expected


def test_names_of_columns_say_the_unit():
    assert coords_by_names(("nose_x_pct", "nose_y_pct")) == "percent"
    assert coords_by_names(("xNorm", "yNorm")) == "fraction"
    assert not coords_by_names(("nose_x", "nose_y")) and not coords_by_names(("x_pct", "y")) and not coords_by_names(())


def test_a_task_refuses_other_words_and_keeps_its_own():
    targets, box = (Point("p", ("x", "y")),), ("x1", "y1", "x2", "y2")
    task = Task("t", targets, box=box, coords="percent", box_format="xyxy")
    assert task_from_dict(task.to_dict()) == task
    old = {name: value for name, value in task.to_dict().items() if name not in ("coords", "box_format")}
    assert (task_from_dict(old).coords, task_from_dict(old).box_format) == ("", "")
    with pytest.raises(ImgregError, match="--coords pixels, fraction, percent; found 'per cent'"):
        Task("t", targets, coords="per cent")
    with pytest.raises(ImgregError, match="--box-format cxcywh, xywh, xyxy; found 'yolo'"):
        Task("t", targets, box=box, box_format="yolo")
    with pytest.raises(ImgregError, match=r"a box in columns that are no target.*found x2"):
        Task("t", (Number("n", ("x2",)),), box=box, box_format="xyxy")
    with pytest.raises(ImgregError, match="the description of a task"):
        task_from_dict({**task.to_dict(), "coords": 5})
