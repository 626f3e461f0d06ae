"""Tasks: pure data, JSON there and back, completed by the training part, refused where labels would become false."""
import json
import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings

from imgreg_fastai import tasks
from imgreg_fastai.tasks import ANGLE, FASTBOOK, HEADPOSE, MOVES, Number, Task, complete_task
from imgreg_fastai.utils.messages import ImgregError
from tests.tasks.test_target import AGE, BAR, EYES, HEAD, JSON, angle, some_rubbish


def two():
    return Task("two", (BAR, replace(AGE, low=0.0, high=50.0)), size=(60, 80), fit="crop",
                recipe=(("lr", 0.1), ("arch_args", {"a": [1, 2]})), name_pattern=r"(?P<angle>\d+)", name_scale=0.5)


def three():
    return Task("three", (EYES, replace(HEAD, sequence="zyx"), AGE), size=(48, 64), box=("x", "y", "w", "h"),
                margin=0.5, group="person", labelling="exact", augment=(), image="file name",
                value_range=(-5.0, 4095.0))


@pytest.mark.parametrize("task", [ANGLE, HEADPOSE, FASTBOOK, two(), three(),
                                  Task("t", (angle(zero=90.0, clockwise=True, in_plane=True),))])
def test_a_task_goes_to_json_and_back(task):
    assert tasks.task_from_dict(json.loads(json.dumps(task.to_dict()))) == task


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


def test_outputs_are_divided_by_target_arrays_and_tensors_alike():
    torch = pytest.importorskip("torch")
    task, outputs = three(), np.arange(28.0, dtype=np.float32).reshape(2, 14)
    parts = task.split(outputs)
    assert [p.shape for p in parts] == [(2, 4), (2, 9), (2, 1)] and np.array_equal(np.hstack(parts), outputs)
    for part, of_tensor in zip(parts, task.split(torch.from_numpy(outputs)), strict=True):
        assert isinstance(of_tensor, torch.Tensor) and np.array_equal(of_tensor.numpy(), part)
    assert [p.shape for p in task.split(outputs[0])] == [(4,), (9,), (1,)]


def test_complete_takes_the_range_from_the_training_part():
    task = Task("t", (BAR, AGE))
    done = complete_task(task, pd.DataFrame({"age": [3, 9], "other": ["x", "y"], "angle": [1.0, 2.0]}))
    assert done.targets == (BAR, replace(AGE, low=1.5, high=10.5, scale="linear")) and task.targets[1].low is None


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
    """Points lie in the image that is turned; a turn of the squished one is no turn of a head."""
    assert Task("t", (EYES,), fit="squish", augment=MOVES).augment == MOVES
    for target in (BAR, HEAD):
        assert Task("t", (EYES, target), fit="squish", augment=("flip",)).augment == ("flip",)
        with pytest.raises(ImgregError, match="a fit that keeps angles"):
            Task("t", (EYES, target), fit="squish", augment=("turn",))
    assert HEADPOSE.with_options(fit="squish").augment == tuple(a for a in HEADPOSE.augment if a != "turn")
    assert HEADPOSE.with_options(["centre"]).targets == HEADPOSE.targets[:1]


# what asking for a move declares

@pytest.fixture
def said(monkeypatch):
    lines = []
    for module in ("task", "augmentations"):
        monkeypatch.setattr(f"imgreg_fastai.tasks.{module}.say", lines.append)
    return lines


def test_asking_for_a_move_declares_that_a_number_stays_and_says_so_once(said):
    task = Task("t", (AGE, Number("height", ("height",))))
    done = task.with_options(augment=("flip", "turn", "colour"))
    assert [t.laws for t in done.targets] == [("flip", "turn")] * 2 and done.augment == ("flip", "turn", "colour")
    assert len(said) == 1
    assert said[0].startswith("--augment declares that a mirrored or turned image has the same age and height (")
    assert "\n" not in said[0] and "leave flip, turn out" in said[0]
    assert done.with_options(augment=("turn",)).targets == done.targets and len(said) == 1  # declared already
    more = done.with_options(augment=("shift",))
    assert more.targets[0].laws == ("flip", "turn", "shift")
    assert said[1].startswith("--augment declares that a shifted image has the same")
    assert done.with_options(size=(10, 10)).augment == done.augment  # and it stays declared
    assert task.with_options(augment=("colour",)).targets == task.targets == task.with_options(augment=()).targets
    assert task.with_options().augment == ("colour",) and len(said) == 2


def test_asking_for_a_move_declares_a_rotation_to_be_of_what_is_seen(said):
    head = replace(HEAD, camera_frame=False)
    done = Task("t", (head,)).with_options(augment=("flip",))
    assert done.targets == (HEAD,) and len(said) == 1
    assert said[0].startswith("head is taken for the rotation of what is seen, in the camera's frame")
    assert done.with_options(augment=("turn",)).targets == (HEAD,) and len(said) == 1
    with pytest.raises(ImgregError, match="found zoom: they change the angle of view, which head does not know of"):
        done.with_options(augment=("zoom",))


@pytest.mark.parametrize(("target", "augment", "told"), [
    (angle(), ("flip",), "found flip: nothing says that a is an angle in the image's plane"),
    (replace(EYES, mirror=False), ("flip",), "change places in a mirror is not known; try --flip-pairs LEFT:RIGHT"),
    (replace(EYES, follows=False), ("flip",), "effect on 'eyes' is declared; found flip"),
    (AGE, ("flp",), "found flp"),
])
def test_what_asking_cannot_declare_is_refused_in_one_line_that_says_why(target, augment, told):
    with pytest.raises(ImgregError, match=told) as e:
        Task("t", (target,)).with_options(augment=augment)
    assert "\n" not in str(e.value)


def test_points_without_sides_may_be_turned_and_an_angle_written_as_a_number_is_no_plain_one(said):
    assert Task("t", (replace(EYES, mirror=False),)).with_options(augment=("turn", "zoom")).augment == ("turn", "zoom")
    with pytest.raises(ImgregError, match="effect on 'angle' is declared; found flip"):
        ANGLE.with_options(["angle:number"], augment=("flip",))
    assert not said


@pytest.mark.parametrize(("of", "usual"), [
    ((AGE,), ("colour",)), ((EYES,), ("flip", "turn", "zoom", "shift", "colour", "tint")), ((EYES, AGE), ("colour",)),
    ((replace(EYES, mirror=False),), ("turn", "zoom", "shift", "colour", "tint")), ((HEAD,), ("colour",)),
])
def test_what_is_usually_done_to_pictures_of_a_table(of, usual):
    assert tasks.default_augmentations(of) == usual and Task("t", of, augment=usual).augment == usual


def test_a_logarithm_is_said_and_kept_in_the_task(said):
    prices = pd.DataFrame({"price": np.geomspace(5e3, 5e6, 50), "age": np.linspace(1, 90, 50)})
    done = complete_task(Task("t", (Number("price", ("price",)), AGE)), prices)
    assert [t.scale for t in done.targets] == ["log", "linear"]
    assert said == ["price is learnt by its logarithm, since its labels run from 5000 to 5e+06 "
                    "(--scale linear changes it)"]
    complete_task(done, prices)
    complete_task(Task("t", (Number("price", ("price",), scale="log"),)), prices)
    assert len(said) == 1  # asked for, or known already
    assert tasks.task_from_dict(json.loads(json.dumps(done.to_dict()))) == done


def test_older_descriptions_are_read():
    fields = ANGLE.to_dict()
    targets = [{k: v for k, v in target.items() if k != "weight"} for target in fields["targets"]]
    older = {k: v for k, v in fields.items() if k not in ("image", "value_range")}
    assert tasks.task_from_dict({**older, "targets": targets}) == ANGLE


def test_a_group_column_that_was_named_stays_named():
    """By default it is the column "group" where there is one; a column that was typed must be there."""
    for group in ("", "group", "person"):
        fields = json.loads(json.dumps(replace(ANGLE, group=group).to_dict()))
        assert tasks.task_from_dict(fields).group == group
        assert tasks.task_from_dict(tasks.task_from_dict(fields).to_dict()).group == group
    older = {k: v for k, v in ANGLE.to_dict().items() if k != "group_named"}
    assert tasks.task_from_dict({**older, "group": "group"}) == ANGLE  # as files said it where none was named
    assert tasks.task_from_dict({**older, "group": "person"}).group == "person"


def test_forgetting_the_period_forgets_the_flips():
    task = ANGLE.with_options(["angle:number"])
    assert task.targets == (Number("angle", ("angle",), "°", low=0.0, high=180.0),)
    assert "flip" in ANGLE.augment and not set(task.augment) & set(MOVES)
    coloured = replace(ANGLE, augment=("flip", "colour"))
    assert coloured.with_options(["angle:number"]).augment == ("colour",)
    assert coloured.with_options(["angle"]).augment == ("flip", "colour")
    assert ANGLE.with_options([]) == ANGLE


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
    ({"targets": (AGE,), "image": "age"}, r"not image, path, split, group, row_weight, age\); found age"),
    ({"value_range": (0, 0)}, "--range BLACK,WHITE: two numbers that differ"), ({"value_range": (0,)}, "--range"),
    ({"value_range": (0, math.inf)}, "--range"), ({"value_range": "01"}, "--range"), ({"value_range": 255}, "--range"),
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
        task = tasks.task_from_dict(fields)
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
        tasks.task_from_dict({**ANGLE.to_dict(), **change})
