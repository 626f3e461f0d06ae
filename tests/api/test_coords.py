"""Tables in other conventions than pixels, up to a training and predictions: read rightly, or stopped by one line."""
import numpy as np
import pandas as pd
import pytest
from PIL import Image

import imgreg_fastai
from imgreg_fastai.api import functions
from imgreg_fastai.utils.messages import ImgregError

from ..conftest import TINY

N, SIZE = 40, np.array([160, 120])
BOX = ("xmin", "ymin", "xmax", "ymax")
POINT = {"targets": "p=p_x,p_y:point"}
BOXED = {"targets": "age", "box": BOX}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder of 40 images, every second of which an EXIF tag turns if its name ends with t."""
    folder = tmp_path_factory.mktemp("coords")
    rng, turned = np.random.default_rng(0), Image.Exif()
    turned[274] = 6
    for i in range(N):
        picture = Image.fromarray(rng.integers(0, 255, (SIZE[1], SIZE[0], 3)).astype(np.uint8))
        picture.save(folder / f"{i}.jpg")
        picture.save(folder / f"{i}t.jpg", exif=turned if i % 2 else Image.Exif())
    return folder


@pytest.fixture(autouse=True)
def quiet(caplog):
    """No more than warnings are logged, whatever other tests have set."""
    caplog.set_level("WARNING", "imgreg")


@pytest.fixture
def parts():
    return np.random.default_rng(1).uniform(0.08, 0.92, (N, 2))


def table(folder, values, columns=("p_x", "p_y"), ending="", **more):
    frame = pd.DataFrame(values, columns=list(columns)).assign(**more)
    frame.insert(0, "image", [f"{i}{ending}.jpg" for i in range(len(frame))])
    path = folder / "t.csv"
    frame.to_csv(path, index=False)
    return path


def test_points_in_pixels_are_read_without_a_word(folder, parts, caplog):
    rows = functions.prepare(table(folder, parts * SIZE), **POINT).rows
    assert np.allclose(rows[["p_x", "p_y"]], parts * SIZE) and not caplog.records


@pytest.mark.parametrize(("unit", "coords", "words"), [
    (1, "fraction", "fractions"), (100, "percent", "per cent"),
])
def test_other_units_stop_with_an_example_and_an_option_that_reads_them(folder, parts, unit, coords, words, caplog):
    path = table(folder, parts * unit)
    with pytest.raises(ImgregError) as e:
        functions.prepare(path, **POINT)
    x, y = parts[0] * unit
    expected = (f"expected points in pixels in '{path}'; found p looks like {words}", f"such as {x:.5g}, {y:.5g} in an",
                f"image of 160 x 120 px (row 2); try --coords {coords}, or --coords pixels if they are right as they")
    assert all(part in str(e.value) for part in expected)
    rows = functions.prepare(path, coords=coords, **POINT).rows
    assert np.allclose(rows[["p_x", "p_y"]], parts * SIZE) and not caplog.records
    assert len(functions.prepare(path, coords="pixels", **POINT).rows) == N  # the user knows better
    assert "looks like" in caplog.text
    for fast in (True, False):
        health = functions.check(path, fast=fast, out=folder / "plots", **POINT)[0]
        assert [issue.code for issue in health.issues_at("stop")] == ["convention"]


def test_a_unit_that_is_named_wrongly_stops(folder, parts):
    for values, coords, hint in ((parts * SIZE, "fraction", "the same without --coords"),
                                 (parts * SIZE, "percent", "the same without --coords"),
                                 (parts, "percent", "--coords fraction")):
        with pytest.raises(ImgregError, match=f"try {hint}$"):
            functions.prepare(table(folder, values), coords=coords, **POINT)


def test_exchanged_columns_stop_and_the_target_that_is_proposed_reads_them(folder, parts):
    path = table(folder, (parts * SIZE)[:, ::-1])
    with pytest.raises(ImgregError, match="try --target p=p_y,p_x:point, or"):
        functions.prepare(path, **POINT)
    assert len(functions.prepare(path, targets="p=p_y,p_x:point").rows) == N


def test_clicks_on_images_before_their_turn_stop_and_few_are_a_note(folder, parts, caplog):
    with pytest.raises(ImgregError, match=r"before their EXIF tag turns them \(\d+ of 20 such images\)"):
        functions.prepare(table(folder, parts * SIZE, ending="t"), **POINT)
    points = parts * SIZE * np.array([0.7, 0.95])  # inside both
    points[1] = 150, 20
    functions.prepare(table(folder, points, ending="t"), **POINT)
    assert "may be clicks on images before" in caplog.text and "turned upright by an EXIF tag: 20 of 40" in caplog.text
    assert "outside the image by up to 30 px: p: 1 of 40 rows" in caplog.text


def test_a_training_tells_points_outside(folder, parts, caplog):
    points = parts * SIZE
    points[4] = 165, 20
    functions.prepare(table(folder, points), **POINT)
    assert "outside the image by up to 5 px: p: 1 of 40 rows (row 6 '4.jpg')" in caplog.text


@pytest.mark.parametrize(("box_format", "coords"), [("xyxy", None), ("xywh", None), ("xyxy", "percent"),
                                                    ("xywh", "fraction")])
def test_boxes_of_other_formats_stop_and_the_options_read_them(folder, parts, box_format, coords, caplog):
    size = np.random.default_rng(2).uniform(0.1, 0.3, (N, 2))
    centre = size / 2 + parts * (1 - size)
    values = np.hstack([centre - size / 2, size if box_format == "xywh" else centre + size / 2])
    values *= {None: np.tile(SIZE, 2), "percent": 100, "fraction": 1}[coords]
    columns = BOX if box_format == "xyxy" else ("left", "top", "width", "height")
    path, how = table(folder, values, columns, age=np.arange(N) % 7), {"targets": "age", "box": columns}
    with pytest.raises(ImgregError, match=f"--box-format {box_format}, or "):
        functions.prepare(path, **how)
    rows = functions.prepare(path, coords=coords, box_format=box_format, **how).rows
    assert np.allclose(rows[list(columns)], np.hstack([centre, size]) * np.tile(SIZE, 2)) and not caplog.records


def test_wrong_boxes_are_told_by_their_rows(folder, parts, caplog):
    corners = np.hstack([parts * SIZE * 0.8, parts * SIZE * 0.8 + 20])
    corners[3, 2], corners[7, 3] = corners[3, 0] - 5, corners[7, 1]
    functions.prepare(table(folder, corners, BOX, age=np.arange(N) % 7), box_format="xyxy", **BOXED)
    assert "a box without width or height: row 5, row 9" in caplog.text


def test_options_without_points_or_boxes_are_refused(folder, parts):
    path = table(folder, parts, age=np.arange(N) % 7)
    for options, match in (({"coords": "percent"}, "--coords with points"), ({"box_format": "xyxy"}, "with a --box")):
        with pytest.raises(ImgregError, match=match):
            functions.prepare(path, targets="age", **options)


def test_points_and_box_in_two_units_are_told_so(folder, parts):
    values = np.hstack([parts * SIZE, parts, np.full((N, 2), 0.1)])
    path = table(folder, values, ("p_x", "p_y", "cx", "cy", "w", "h"))
    with pytest.raises(ImgregError, match="try all points and boxes in one unit"):
        functions.prepare(path, box=("cx", "cy", "w", "h"), **POINT)


def test_an_image_that_cannot_be_measured_is_left_out(folder, parts, caplog):
    (folder / "0.jpg").rename(folder / "0.old")
    (folder / "0.jpg").write_bytes(b"no image")
    try:
        rows = functions.prepare(table(folder, parts), coords="fraction", **POINT).rows
    finally:
        (folder / "0.old").replace(folder / "0.jpg")
    assert len(rows) == N - 1 and "whose size cannot be read: row 2" in caplog.text


def test_a_run_reads_other_tables_as_its_own_and_predicts_in_pixels(folder, parts, tmp_path, without_plots):
    options = {**TINY, "epochs": 1, "out": tmp_path}
    run = imgreg_fastai.train(table(folder, parts * 100), coords="percent", **POINT, **options)
    assert imgreg_fastai.evaluate(run, folder / "t.csv")["scores"]["p"]["n"] == 8
    with pytest.raises(ImgregError, match="as in the table that the run was trained on; found p looks like pixels"):
        imgreg_fastai.evaluate(run, table(folder, parts * SIZE))
    assert run.labels[["p_x", "p_y"]].max().gt(100).all()
    corners = np.hstack([parts * 0.5, parts * 0.5 + 0.4])
    boxed = imgreg_fastai.train(table(folder, corners * np.tile(SIZE, 2), BOX, age=np.arange(N) % 7), box_format="xyxy",
                                **BOXED, **options)
    from_table = imgreg_fastai.predict(boxed.path, str(folder / "t.csv"))
    centred = np.hstack([parts * 0.5 + 0.2, np.full((N, 2), 0.4)]) * np.tile(SIZE, 2)
    images = [str(folder / f"{i}.jpg") for i in range(N)]
    assert np.allclose(from_table["age"], imgreg_fastai.predict(boxed.path, images, boxes=centred)["age"], atol=1e-4)
    with pytest.raises(ImgregError, match=r"boxes in pixels \(xyxy\) in .* found the box .* in fractions"):
        imgreg_fastai.predict(boxed.path, str(table(folder, corners, BOX)))
