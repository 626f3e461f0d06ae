"""Keywords are taken as people type them, where they can be meant in one way only; anything else is one line."""
import inspect
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgreg_fastai import check, train
from imgreg_fastai.api.keywords import plain_keywords, plain_value
from imgreg_fastai.api.preparation import resolve_options
from imgreg_fastai.config import LOWEST, MINIMUM
from imgreg_fastai.utils.messages import ImgregError


@pytest.mark.parametrize(("name", "typed", "value"), [
    ("size", 48, (48, 48)), ("size", "48", (48, 48)), ("size", "240x320", (240, 320)), ("size", [240, 320], (240, 320)),
    ("size", np.array([240.0, 320]), (240, 320)), ("size", np.int64(48), (48, 48)), ("epochs", "5", 5),
    ("epochs", 5.0, 5), ("bs", "32", 32), ("bs", "auto", "auto"), ("folds", np.int32(5), 5), ("lr", "1e-3", 1e-3),
    ("lr", np.float32(0.5), 0.5), ("margin", "0.5", 0.5), ("value_range", "0,4095", (0, 4095)),
    ("value_range", [0, 4095.5], (0, 4095.5)), ("units", "age=years", {"age": "years"}),
    ("units", {"age": "10"}, {"age": "10"}), ("units", ["age=years", ("mass", "kg")], {"age": "years", "mass": "kg"}),
    ("target_weights", "a=2,b=0.5", {"a": 2, "b": 0.5}), ("target_weights", ("a", "2"), {"a": 2}),
    ("stop_at", "angle=0.5", ("angle", 0.5)), ("stop_at", ("angle", 0.5), ("angle", 0.5)),
    ("minimum", "0", 0), ("maximum", "age=99", {"age": 99}), ("max_pixels", "1e9", 10**9), ("hold_out", "a,b", "a,b"),
    ("units", '"T, mean"=mm', {"T, mean": "mm"}), ("flip_negates", "steering", ("steering",)),
    ("box", "x, y,w,h", ("x", "y", "w", "h")), ("augment", "none", ()), ("augment", "auto", None),
    ("augment", "flip,colour", ("flip", "colour")), ("size", "a x b", "a x b"), ("epochs", 2.5, 2.5), ("bs", "x", "x"),
    ("epochs", True, True), ("size", None, None),
])
def test_a_value_is_what_can_only_be_meant(name, typed, value):
    plain = plain_value(name, typed)
    assert plain == value and isinstance(plain, type(value))


@pytest.mark.parametrize(("options", "words"), [
    ({"targt": "angle"}, "'targt'; try 'targets'"), ({"epoch": 3}, "'epochs'"),
    ({"target": "a", "targets": "b"}, "targets= once; found it under two names"), ({"box": [1, 2]}, "box= with names"),
    ({"epochs": 0}, "--epochs of at least 1; found 0"), ({"epochs": "many"}, "a whole number for --epochs"),
    ({"epochs": True}, "a whole number for --epochs; found True"), ({"bs": [32]}, "--bs"), ({"lr": "fast"}, "--lr"),
    ({"size": 48.5}, "a size (height, width)"), ({"size": "big"}, "a size"), ({"size": (1, 2, 3)}, "a size"),
    ({"size": ["a", "b"]}, "a size"), ({"valid": 20}, "--valid 0.2"), ({"test": 1.13}, "--test 0.0113"),
    ({"balance": "no"}, "balance=True or balance=False"), ({"units": "age"}, "units={'NAME': VALUE}"),
    ({"units": 5}, "units={'NAME': VALUE}"), ({"stop_at": ("angle", "low")}, "--stop-at"), ({"loss": "mae"}, "mse"),
    ({"value_range": 5}, "--range"), ({"margin": "wide"}, "--margin"), ({"seed": float("nan")}, "--seed"),
])
def test_a_wrong_keyword_is_one_line(drawn, options, words):
    with pytest.raises(ImgregError) as error:
        resolve_options("angle", data=drawn, **options)
    assert words in str(error.value), error.value


def test_names_of_the_terminal_are_taken(drawn):
    plan = resolve_options("angle", data=drawn, target="angle", size=48, bs="8")
    assert plan.task.size == (48, 48) and plan.config.bs == 8


@given(st.sampled_from([*MINIMUM, *LOWEST, "size", "margin", "units", "stop_at", "value_range", "hold_out", "box"]),
       st.one_of(st.text(max_size=9), st.floats(), st.integers(), st.lists(st.text(max_size=3), max_size=3),
                 st.booleans(), st.binary(max_size=3), st.dictionaries(st.text(max_size=3), st.integers(), max_size=2)))
def test_no_value_is_a_traceback(name, value):
    try:
        resolve_options(Path("nosuch.csv"), **{name: value})
    except ImgregError as e:
        assert "\n" not in str(e)


def test_functions_show_their_keywords():
    assert "targets" in inspect.signature(resolve_options).parameters
    assert plain_keywords(resolve_options).__doc__ == resolve_options.__doc__
    for function in (train, check):
        with pytest.raises(ImgregError, match="'strict'"):
            function("angle", strickt=True)
