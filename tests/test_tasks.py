"""Tasks: pure data, JSON there and back, completed by the training part, refused where labels would become false."""
import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from test_targets import AGE, BAR, EYES, HEAD, JSON, angle, some_rubbish

from imgreg_fastai import tasks
from imgreg_fastai.errors import ImgregError
from imgreg_fastai.targets import MOVES, Number
from imgreg_fastai.tasks import ANGLE, FASTBOOK, HEADPOSE, Task, complete


def two():
    return Task("two", (BAR, replace(AGE, low=0.0, high=50.0)), size=(60, 80), fit="crop",
                recipe=(("lr", 0.1), ("arch_args", {"a": [1, 2]})), name_pattern=r"(?P<angle>\d+)", name_scale=0.5)


def three():
    return Task("three", (EYES, replace(HEAD, sequence="zyx"), AGE), size=(48, 64), box=("x", "y", "w", "h"),
                margin=0.5, group="person", labelling="exact", augment=())


@pytest.mark.parametrize("task", [ANGLE, HEADPOSE, FASTBOOK, two(), three(),
                                  Task("t", (angle(zero=90.0, clockwise=True, in_plane=True),))])
def test_a_task_goes_to_json_and_back(task):
    assert tasks.from_dict(json.loads(json.dumps(task.to_dict()))) == task


def test_columns_outputs_and_decoding_follow_the_order_of_the_targets():
    task = two()
    assert task.columns == ["angle", "age"] and task.n_out == 3
    decoded = task.decode(np.array([[0.0, 1, -1], [-1, 0, 0]]))
    assert decoded["angle"] == pytest.approx(np.array([[45], [90]])) and decoded["age"].tolist() == [[0], [25]]
    task = replace(three(), targets=(*three().targets[:2], replace(AGE, low=0.0, high=50.0)))
    assert task.columns == ["lx", "ly", "rx", "ry", "yaw", "pitch", "roll", "age"] and task.n_out == 4 + 9 + 1
    outputs = np.array([[-1, -1, 0, 1, *np.eye(3).ravel(), 1]])
    decoded = task.decode(outputs, np.array([[2 / 64, 2 / 48, -1, -1]]))
    assert decoded["eyes"] == pytest.approx(np.array([[0, 0, 32, 48]])) and decoded["age"].tolist() == [[50]]
    assert decoded["head"] == pytest.approx(np.zeros((1, 3)))


def test_complete_takes_the_range_from_the_training_part():
    task = Task("t", (BAR, AGE))
    done = complete(task, pd.DataFrame({"age": [3, 9], "other": ["x", "y"], "angle": [1.0, 2.0]}))
    assert done.targets == (BAR, replace(AGE, low=3.0, high=9.0)) and task.targets[1].low is None


def test_a_move_without_a_law_is_refused():
    for move in MOVES:
        with pytest.raises(ImgregError, match=rf"effect on 'age' is declared; found {move}; try --augment colour"):
            Task("t", (BAR, AGE), augment=("colour", move))
        assert Task("t", (BAR,), augment=(move,)).augment == (move,)
    for target, known in ((EYES, MOVES), (HEAD, ("flip", "quarter", "turn")), (replace(EYES, follows=False), ()),
                          (replace(HEAD, camera_frame=False), ())):
        assert target.moves == known
        for move in set(MOVES) - set(known):
            with pytest.raises(ImgregError, match=rf"effect on '{target.name}' is declared; found {move}"):
                Task("t", (EYES, target) if target.name != "eyes" else (target,), augment=(move,))
        assert Task("t", (target,), augment=(*known, "colour")).augment == (*known, "colour")
    with pytest.raises(ImgregError, match="flip, quarter, turn, zoom, shift, colour, tint; found colr"):
        Task("t", (BAR,), augment=("colr",))


def test_a_squished_picture_is_turned_with_its_points_but_not_with_angles():
    """Points lie in the picture that is turned; a turn of the squished one is no turn of a head."""
    assert Task("t", (EYES,), fit="squish", augment=MOVES).augment == MOVES
    for target in (BAR, HEAD):
        assert Task("t", (EYES, target), fit="squish", augment=("flip",)).augment == ("flip",)
        with pytest.raises(ImgregError, match="a fit that keeps angles"):
            Task("t", (EYES, target), fit="squish", augment=("turn",))
    assert HEADPOSE.changed(fit="squish").augment == tuple(a for a in HEADPOSE.augment if a != "turn")
    assert HEADPOSE.changed(["centre"]).targets == HEADPOSE.targets[:1]


def test_forgetting_the_period_forgets_the_flips():
    task = ANGLE.changed(["angle:number"])
    assert task.targets == (Number("angle", ("angle",), "°", low=0.0, high=180.0),)
    assert "flip" in ANGLE.augment and not set(task.augment) & set(MOVES)
    coloured = replace(ANGLE, augment=("flip", "colour"))
    assert coloured.changed(["angle:number"]).augment == ("colour",)
    assert coloured.changed(["angle"]).augment == ("flip", "colour")
    assert ANGLE.changed([]) == ANGLE


@pytest.mark.parametrize(("change", "told"), [
    ({"fit": "stretch"}, "pad, squish, crop; found 'stretch'"), ({"size": (100,)}, "size"), ({"size": (0, 5)}, "size"),
    ({"size": 100}, "size"), ({"size": (10.5, 10)}, "size"), ({"targets": ()}, "found none"),
    ({"targets": (BAR, BAR)}, "of its own.*found angle"), ({"targets": (AGE, Number("age", ("b",)))}, "found age"),
    ({"targets": (AGE, Number("b", ("age",)))}, "found age"),
    ({"targets": (Number("n", ("split",)),)}, "found split"),
    ({"box": ("a", "b", "c")}, "--box CX,CY,W,H: four columns"), ({"box": ("a", "b", "c", "c")}, "four columns"),
    ({"box": ("a", "b", "c", " ")}, "four columns"), ({"box": (1, 2, 3, 4)}, "four columns"),
    ({"margin": -0.1}, "--margin between 0 and 10"), ({"margin": "wide"}, "--margin"),
    ({"margin": math.nan}, "--margin"), ({"margin": True}, "--margin"),
])
def test_a_task_of_no_use_is_refused(change, told):
    with pytest.raises(ImgregError, match=told):
        replace(ANGLE, **{"augment": (), **change})


# rubbish

@settings(max_examples=400, deadline=None)
@given(JSON | some_rubbish(ANGLE.to_dict()) | some_rubbish(BAR.to_dict()).map(
    lambda target: {**ANGLE.to_dict(), "targets": [target]}))
def test_a_task_out_of_rubbish_is_a_task_or_one_error(fields):
    try:
        task = tasks.from_dict(fields)
    except ImgregError as e:
        assert "\n" not in str(e)
    else:
        assert isinstance(task, Task) and task.n_out > 0


@pytest.mark.parametrize(("change", "told"), [
    ({"size": [math.inf, 3]}, "description of a task"), ({"name": None, "colour": 3}, "description of a task"),
    ({"targets": [{"kind": "depth"}]}, "kind of number, angle, point, rotation; found 'depth'; try a newer imgreg"),
    ({"targets": [{"kind": ["angle"]}]}, "kind of number, angle, point, rotation"),
    ({"targets": 3}, "description of a task"),
    ({"targets": [{"kind": "angle", "name": "a"}]}, "fields of a target of kind angle; found 'columns'"),
    ({"recipe": []}, "description of a task"),
])
def test_what_is_wrong_with_a_description_is_told(change, told):
    with pytest.raises(ImgregError, match=told):
        tasks.from_dict({**ANGLE.to_dict(), **change})
