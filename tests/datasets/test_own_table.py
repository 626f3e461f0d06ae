"""The Task of a user's table: what its columns mean, and what is done to its images, which makes no label false."""
import logging

import pandas as pd
import pytest

from imgreg_fastai.data import labels
from imgreg_fastai.data.tables import image_names
from imgreg_fastai.datasets.own_table import table_name, table_task, task_from_columns
from imgreg_fastai.tasks import Angle, Number, Rotation
from imgreg_fastai.utils.messages import ImgregError

COLUMNS = ["image", "age", "price", "way", "yaw", "pitch", "roll", "left_eye_x", "left_eye_y", "right_eye_x",
           "right_eye_y", "nose_x", "nose_y", *(f"p{i:02}_{axis}" for i in range(68) for axis in "xy")]
POINTS = ("flip", "turn", "zoom", "shift", "colour", "tint")


def test_a_number_is_coloured_and_nothing_else():
    task = task_from_columns("my faces", ["age"], COLUMNS)
    assert task.name == "my faces" and task.targets == (Number("age", ("age",)),) and task.augment == ("colour",)
    for spec, target in (("way:angle360", Angle("way", ("way",))),
                         ("pose:rotation", Rotation("pose", ("yaw", "pitch", "roll")))):
        task = task_from_columns("t", [spec], COLUMNS)
        assert task.targets == (target,) and task.augment == ("colour",)


def test_68_points_are_moved_but_not_mirrored_until_their_pairs_are_known(caplog):
    caplog.set_level(logging.INFO, "imgreg")
    task = task_from_columns("t", ["face=p*_x,p*_y:point"], COLUMNS)
    assert task.n_out == 136 and task.targets[0].follows and task.augment == POINTS[1:]
    assert "--flip-pairs" in caplog.messages[-1] and len(caplog.messages) == 1
    with pytest.raises(ImgregError, match="try --flip-pairs LEFT:RIGHT"):
        task.with_options(augment=("flip",))
    task = task_from_columns("t", ["face=p*_x,p*_y:point"], COLUMNS, flip_pairs="p00:p16,p01:p15")
    assert task.targets[0].flip_pairs == ((0, 16), (1, 15)) and task.augment == POINTS
    assert task.with_options(augment=("flip",)).augment == ("flip",)
    assert task_from_columns("t", ["face=p*_x,p*_y:point"], COLUMNS, "none").augment == POINTS


def test_sides_are_found_by_name_and_said(caplog):
    caplog.set_level(logging.INFO, "imgreg")
    spec = "eyes=left_eye_x,left_eye_y,right_eye_x,right_eye_y:point"
    task = task_from_columns("t", [spec, "nose:point"], COLUMNS)
    assert task.augment == POINTS and task.targets[0].flip_pairs == ((0, 1),)
    assert caplog.messages[0].startswith("eyes: a mirror swaps left_eye and right_eye")
    assert caplog.messages[1].startswith("nose: images can be mirrored without swapping points")
    assert task_from_columns("t", ["left_eye:point", "right_eye:point"], COLUMNS).augment == POINTS[1:]


def test_a_mixed_task_does_what_all_its_targets_allow():
    for spec in ("age", "way:angle360", "pose:rotation"):
        task = task_from_columns("t", ["nose:point", spec], COLUMNS)
        assert task.augment == ("colour",) and task.targets[0].follows
    task = task_from_columns("t", ["nose:point", "age"], COLUMNS).with_options(augment=("flip", "shift"))
    assert task.augment == ("flip", "shift") and task.targets[1].laws == ("flip", "shift")


def test_units_weights_and_scale():
    task = task_from_columns("t", ["age", "price"], COLUMNS, units=[("price", "€")], weights=[("age", 2.0)],
                             scale="log")
    age, price = task.targets
    assert age == Number("age", ("age",), weight=2.0, scale="log")
    assert price == Number("price", ("price",), "€", scale="log")


@pytest.mark.parametrize(("specs", "of", "told"), [
    (["agee"], {}, "a column 'agee' for the target 'agee'.*try one of 'age'"),
    ([], {}, "targets, each with a name.*found none"),
    (["age"], {"flip_pairs": "a:b"}, "--flip-pairs with a target of points"),
    (["nose:point"], {"flip_pairs": "a:b"}, "names of points: nose; found 'a'; try 'nose'"),
    (["age"], {"units": [("aeg", "y")]}, "--unit NAME=UNIT for a target: age; found 'aeg'"),
    (["age"], {"weights": [("age", 0.0)]}, "a weight of 'age'"), (["age", "age"], {}, "found age"),
    (["way:angle360"], {"scale": "log"}, "--scale with a target that is a plain number"),
])
def test_what_cannot_be_is_one_line(specs, of, told):
    with pytest.raises(ImgregError, match=told) as e:
        task_from_columns("t", specs, COLUMNS, **of)
    assert "\n" not in str(e.value)


@pytest.mark.parametrize(("path", "name"), [
    ("gauges/labels.csv", "gauges"), ("gauges/Data.TSV", "gauges"), ("gauges/houses.csv", "houses"),
    ("gauges", "gauges"), ("labels/photos.1", "photos.1"), ("gauges/labels.final.csv", "labels.final"),
])
def test_a_table_that_is_called_as_any_goes_by_its_folder(tmp_path, path, name):
    for folder in ("gauges", "labels/photos.1"):
        (tmp_path / folder).mkdir(parents=True)
    assert table_name(tmp_path / path) == name


def test_the_image_column_is_chosen_once_and_the_complete_table_is_read_once(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "imgreg")
    table = tmp_path / "t.csv"
    table.write_text("photo;age\n" + "".join(f"{i}.png;{i / 2}\n" for i in range(20)), encoding="utf-8")
    rows_read, read_csv = [], pd.read_csv
    monkeypatch.setattr(pd, "read_csv", lambda *a, **how: rows_read.append(how["nrows"]) or read_csv(*a, **how))
    task = table_task(table)
    assert task.image == "photo" and caplog.text.count("the column 'photo'") == 1
    monkeypatch.setattr(image_names, "holds_image_names", lambda column: pytest.fail("it is chosen again"))
    assert len(labels.read_rows(table, task).frame) == 20
    assert rows_read.count(None) == 1 and caplog.text.count("the column 'photo'") == 1


@pytest.mark.parametrize(("kind", "unit", "shown"), [
    ("angle:24", "h", "h"), ("angle360", "deg", "°"), ("number", "bar", "bar"), ("angle:radians", "rad", "rad"),
    ("angle360", "rad", None), ("angle:radians", "°", None),
])
def test_units_in_cells_are_those_of_numbers_and_never_turn_degrees_into_radians(kind, unit, shown):
    def task():
        return task_from_columns("t", [f"a:{kind}"], ["a"], cell_units={"a": unit})

    if shown is None:
        with pytest.raises(ImgregError, match="as the unit of 'a'"):
            task()
    else:
        assert task().targets[0].unit == shown
