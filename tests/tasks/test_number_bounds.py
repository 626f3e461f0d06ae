"""Numbers with bounds, which no prediction exceeds, and numbers whose sign a mirror changes."""
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imgreg_fastai.tasks import Angle, Motion, Number, Point, default_augmentations, target_from_dict, with_options
from imgreg_fastai.tasks.augmentations import declare_invariance
from imgreg_fastai.utils.messages import ImgregError

LABELS = np.linspace(0, 9, 40)[:, None]
MIRROR = Motion(np.array([1.0, 0.0]), np.zeros(2), np.ones(2), np.zeros((2, 2)))


def steering(**of):
    return Number("steering", ("steering",), flip_negates=True, **of)


@given(st.lists(st.floats(-1.1, 1.1), min_size=1), st.sampled_from(["linear", "log"]))
def test_no_prediction_and_no_average_is_beyond_a_bound(outputs, scale):
    target = Number("n", ("n",), minimum=0.1, maximum=7.3, scale=scale).complete(LABELS[1:32])
    values = target.decode(np.array(outputs)[:, None])
    for found in (values, target.average(np.stack([values, values, values])), target.constant_guess(values)):
        assert (found >= 0.1).all() and (found <= 7.3).all()


def test_the_networks_range_begins_at_the_bound_and_an_older_file_has_none():
    bounded = Number("n", ("n",), minimum=0.0, maximum=10.0).complete(LABELS)
    assert (bounded.low, bounded.high) == (0, 10) and Number("n", ("n",)).complete(LABELS).high > 11
    far = Number("n", ("n",), minimum=-1000.0).complete(LABELS)
    assert far.low == 0  # a range of a thousand would leave nothing for the labels
    log = Number("n", ("n",), minimum=0.0, scale="log").complete(LABELS[1:])
    assert log.low > 0
    assert target_from_dict({"kind": "number", "name": "n", "columns": ["n"]}).minimum is None


def test_labels_beyond_a_bound_stop_with_their_rows():
    low, high = Number("n", ("n",), minimum=1.0, maximum=8.0).impossible(LABELS)
    assert (low.level, high.level) == ("stop", "stop") and low.mask[:3].all() and high.mask[-2:].all()
    assert low.text == "n below --min 1" and high.text == "n above --max 8"
    assert not list(Number("n", ("n",), minimum=0.0, maximum=9.0).impossible(np.append(LABELS, [[np.nan]], axis=0)))


@pytest.mark.parametrize(("given_", "told"), [
    ({"minimum": 5, "maximum": 1}, "--min below --max"), ({"minimum": float("nan")}, "--min and --max of 'n': numbers"),
    ({"minimum": {"m": 0}}, "--min NAME=NUMBER for a target: n, way; found 'm'"),
    ({"minimum": {"way": 0}}, "--min NAME=NUMBER for a target that is a plain number; found angle 'way'"),
    ({"minimum": [0, 1]}, "--min once"), ({"maximum": "x"}, "--min and --max of 'n': numbers"),
    ({"maximum": -1, "scale": "log"}, "--max of 'n' above 0"),
    ({"flip_negates": ["way"]}, "--flip-negates NAME for a target that is a plain number; found angle 'way'"),
    ({"flip_negates": ["m"]}, "found 'm'; try 'n'"), ({"flip_negates": ["n"], "scale": "log"}, "a linear scale of 'n'"),
    ({"flip_negates": ["n"], "minimum": 0}, "the same --min and --max, but for the sign, of 'n'.*found --min 0"),
])
def test_options_that_cannot_be_are_one_line(given_, told):
    with pytest.raises(ImgregError, match=told):
        with_options((Number("n", ("n",)), Angle("way", ("way",))), **given_)


def test_a_bound_is_for_all_numbers_or_for_one_by_name():
    numbers = (Number("a", ("a",)), Angle("way", ("way",)), Number("b", ("b",)))
    a, way, b = with_options(numbers, minimum=[0.0, ("b", 5.0)], maximum={"a": 9})
    assert (a.minimum, a.maximum, b.minimum, b.maximum, way) == (0, 9, 5, None, numbers[1])
    with pytest.raises(ImgregError, match="--max with a target that is a plain number"):
        with_options(numbers[1:2], maximum=3.0)


def test_a_mirror_changes_the_sign_and_nothing_else_does():
    target = steering().complete(np.linspace(-0.4, 1, 20)[:, None])
    assert target.moves == ("flip",) and target.low == -target.high and target.high > 1
    np.testing.assert_array_equal(target.transform_labels(np.array([[0.3], [0.4]]), MIRROR), [[-0.3], [0.4]])
    outputs = target.encode_labels(np.array([[0.3], [-0.3]]))
    np.testing.assert_allclose(target.undo(outputs, None, MIRROR), [[-0.3], [-0.3]])
    assert steering(minimum=-1.0, maximum=1.0).complete(np.array([[-0.9], [0.99]])).high == 1


def test_flips_are_a_default_where_all_targets_allow_them():
    nose = Point("nose", ("x", "y"), follows=True)
    assert default_augmentations((steering(),)) == ("flip", "colour")
    assert default_augmentations((steering(), nose)) == ("flip", "colour")
    assert default_augmentations((steering(), Number("speed", ("speed",)))) == ("colour",)
    assert default_augmentations((nose,)) == ("flip", "turn", "zoom", "shift", "colour", "tint")


def test_augment_flip_declares_the_same_number_of_the_others_alone(caplog):
    caplog.set_level("INFO", "imgreg")
    speed = Number("speed", ("speed",))
    one, other = declare_invariance((steering(), speed), ("flip", "shift"), (steering(), speed))
    assert one.laws == ("shift",) and other.laws == ("flip", "shift") and one.flip_negates
    assert caplog.messages == [
        "--augment declares that a mirrored or shifted image has the same speed "
        "(leave flip, shift out if that is false; --flip-negates speed if its sign changes)",
        "--augment declares that a shifted image has the same steering (leave shift out if that is false)"]


def test_labels_on_one_side_of_0_are_refused():
    [issue] = steering().impossible(LABELS)
    assert issue.level == "stop" and "on one side of 0 only, from 0 to 9" in issue.text
    assert not list(steering().impossible(LABELS - 3))
