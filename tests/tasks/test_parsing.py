"""Targets as people write them, against the columns of a table."""
import random
from dataclasses import replace

import pytest

from imgreg_fastai.tasks import Angle, Number, Point, Rotation, parse_for_table, with_options
from imgreg_fastai.utils.messages import ImgregError

FACE = [f"p{i}_{axis}" for i in range(68) for axis in "xy"]


def test_a_pattern_takes_all_points_in_natural_order_however_the_columns_lie():
    mixed = [*FACE, "image", "person", "p_z", "q1_x"]
    random.Random(0).shuffle(mixed)
    assert parse_for_table("face=p*_x,p*_y:point", mixed) == Point("face", tuple(FACE))


@pytest.mark.parametrize(("spec", "columns", "taken"), [
    ("e=x*,y*:point", ["y1", "y2", "x2", "x1"], ("x1", "y1", "x2", "y2")),
    ("e=*_x,*_y:point", ["left_x", "left_y", "right_x", "right_y"], ("left_x", "left_y", "right_x", "right_y")),
    ("e=*_x,*_y,top,side:point", ["a_y", "a_x", "side", "top"], ("a_x", "a_y", "top", "side")),
    ("e=h*_p*_x,h*_p*_y:point", ["h10_p1_x", "h10_p1_y", "h2_p1_x", "h2_p1_y"],
     ("h2_p1_x", "h2_p1_y", "h10_p1_x", "h10_p1_y")),
    ("e=a*,b*:point", ["a*", "b*", "a1", "b1"], ("a*", "b*")),  # columns that are called so
    ("e=鼻*x,鼻*y:point", ["鼻²x", "鼻²y", "鼻1x", "鼻1y"], ("鼻1x", "鼻1y", "鼻²x", "鼻²y")),
    ("e=*.x,*.y:point", ["a.x", "a.y", "bxx", "byy"], ("a.x", "a.y")),
])
def test_what_stands_for_the_star_puts_x_beside_y(spec, columns, taken):
    found = parse_for_table(spec, columns)
    assert isinstance(found, Point) and sorted(found.columns) == sorted(taken)
    assert spec.startswith("e=鼻") or found.columns == taken


@pytest.mark.parametrize(("spec", "told"), [
    ("face=q*_x,q*_y:point", r"columns like 'q\*_x'; found none; try a pattern of such as 'p_x'"),
    ("face=p*_x,p*_z:point", r"columns like 'p\*_z'; found none"),
    ("face=p*_x,o*_y:point", r"a column 'o\*_y' for each 'p\*_x'; found p1_x, p2_x, p_x without it"),
    ("face=o*_x,p*_y:point", r"a column 'p\*_y' for each 'o\*_x'; found o3_x without it"),
    ("face=p1*_x,p*_y:point", r"a column 'p1\*_x' for each 'p\*_y'; found p1_y, p2_y without it"),
    ("face=p*_x:point", r"stars in pairs of columns of points; found 'face=p\*_x:point'"),
    ("ages=a*:number", "stars in pairs"), ("ages=a*", "stars in pairs"), ("r=*:rotation", "stars in pairs"),
    ("agee", r"a column 'agee' for the target 'agee'.*try one of 'age'"), ("a=aeg", "try one of 'age'"),
    ("p:point=x", "KIND"), ("nose", "try --target nose:point"), ("noes:point", "try one of 'nose_x'"),
    ("head:rotation", "a column 'yaw' for the target 'head'"), ("z" * 9, "found columns age, p1_x"),
])
def test_what_is_not_there_is_one_line_with_what_may_have_been_meant(spec, told):
    columns = ["age", "p1_x", "p1_y", "p2_x", "p2_y", "p_x", "p_y", "o3_y", "o3_x", "nose_x", "nose_y"]
    with pytest.raises(ImgregError, match=told) as e:
        parse_for_table(spec, columns)
    assert "\n" not in str(e.value)


def test_without_a_star_it_is_what_parse_reads():
    columns = ["age", "years old", "a_x", "a_y", "yaw", "pitch", "roll", "way"]
    assert parse_for_table(" age ", columns) == Number("age", ("age",))
    assert parse_for_table("age=years old", columns) == Number("age", ("years old",))
    assert parse_for_table("a:point", columns) == Point("a", ("a_x", "a_y"))
    assert parse_for_table("way:angle360", columns) == Angle("way", ("way",))
    assert parse_for_table("head:rotation=XYZ", columns) == Rotation("head", ("yaw", "pitch", "roll"), sequence="XYZ")


def test_units_weights_and_the_scale_of_numbers():
    age, way, tip = Number("age", ("age",)), Angle("way", ("way",)), Point("tip", ("x", "y"))
    done = with_options((age, way, tip), [("age", "years")], [("tip", 3.0)], "log")
    assert done == (replace(age, unit="years", scale="log"), way, replace(tip, weight=3.0))
    assert with_options((age,)) == (age,)


@pytest.mark.parametrize(("given", "told"), [
    ({"units": [("aeg", "years")]}, "--unit NAME=UNIT for a target: age, way; found 'aeg'; try 'age'"),
    ({"weights": [("wya", 2.0)]}, "--target-weight NAME=NUMBER for a target: age, way; found 'wya'; try 'way'"),
    ({"weights": [("age", -1.0)]}, "a weight of 'age'"), ({"scale": "ln"}, "--scale auto, linear, log"),
    ({"units": [("age", 3)]}, "the unit of 'age'"),
])
def test_other_names_and_values_are_one_line(given, told):
    with pytest.raises(ImgregError, match=told):
        with_options((Number("age", ("age",)), Angle("way", ("way",))), **given)
    with pytest.raises(ImgregError, match="--scale with a target that is a plain number; found angle 'way'"):
        with_options((Angle("way", ("way",)),), scale="log")
