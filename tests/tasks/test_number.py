"""Numbers of any scale: which scale is chosen, how far a prediction may go, and that units come back exactly."""
import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgreg_fastai import tasks
from imgreg_fastai.tasks import MOVES, Angle, Motion, Number, Point, prefers_log
from imgreg_fastai.utils.messages import ImgregError

PRICE = Number("price", ("price",), "€")
REACH = 1.1  # the network's range is (-1.1, 1.1)
few = settings(max_examples=100, deadline=None)


def drawn(kind, n=2000, seed=0):
    r = np.random.default_rng(seed)
    return {
        "uniform": lambda: r.uniform(1, 100, n), "of 0 to 1": lambda: r.uniform(0, 1, n),
        "normal": lambda: r.normal(50, 10, n), "exponential": lambda: r.exponential(3, n) + 1e-9,
        "years": lambda: r.integers(1900, 2021, n).astype(float), "ages": lambda: np.clip(r.normal(33, 20, n), 1, 99),
        "lognormal": lambda: r.lognormal(0, 1, n), "prices": lambda: np.exp(r.uniform(*np.log([5e3, 5e6]), n)),
        "prices around 300,000": lambda: r.lognormal(12.6, 0.8, n).round(-3), "pareto": lambda: r.pareto(1, n) + 1,
        "tiny": lambda: r.lognormal(-200, 2, n), "huge": lambda: r.lognormal(600, 2, n),
    }[kind]()


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("kind", "log"), [
    ("uniform", False), ("of 0 to 1", False), ("normal", False), ("exponential", False), ("years", False),
    ("ages", False), ("lognormal", True), ("prices", True), ("prices around 300,000", True), ("pareto", True),
    ("tiny", True), ("huge", True),
])
def test_a_logarithm_is_taken_when_the_spread_asks_for_it(kind, log, seed):
    values = drawn(kind, seed=seed)
    assert prefers_log(values) is log
    assert PRICE.complete(values[:, None]).scale == ("log" if log else "linear")


@pytest.mark.parametrize("values", [np.append(drawn("prices"), 0), np.append(drawn("prices"), -1), -drawn("prices")])
def test_what_is_not_above_0_has_no_logarithm(values):
    assert not prefers_log(values) and PRICE.complete(values[:, None]).scale == "linear"
    with pytest.raises(ImgregError, match=r"labels of 'price' above 0.*try --scale linear"):
        replace(PRICE, scale="log").complete(values[:, None])


def test_a_few_values_tell_no_spread():
    assert not prefers_log(np.append(np.linspace(1, 1000, 500), 1e9))  # nor does one wild value ask for it
    assert not prefers_log(np.array([1.0, 10, 100, 1000])) and not prefers_log(np.array([]))
    assert prefers_log(10.0 ** np.arange(10))


def test_a_scale_that_is_asked_for_is_kept():
    assert replace(PRICE, scale="linear").complete(drawn("prices")[:, None]).scale == "linear"
    assert replace(PRICE, scale="log").complete(drawn("years")[:, None]).scale == "log"
    assert replace(PRICE, low=0.0).complete(drawn("prices")[:, None]).scale == "linear"  # 0 has no logarithm
    for scale in ("ln", 3, None, ["log"]):
        with pytest.raises(ImgregError, match="--scale auto, linear, log"):
            replace(PRICE, scale=scale)
    with pytest.raises(ImgregError, match=r"above 0, for their logarithm; found 0\.0"):
        replace(PRICE, scale="log", low=0.0)


# how far

@few
@given(st.floats(-1e9, 1e9), st.floats(1, 1e15))
def test_predictions_can_pass_every_label_seen_by_nearly_a_third_of_their_range(low, span):
    values = np.array([[low], [low + span]])
    number = replace(PRICE, scale="linear").complete(values)
    lowest, highest = number.decode(np.array([[-REACH], [REACH]])).ravel()
    assert highest > low + span and lowest < low
    if low < 0 < low + span:
        assert highest == pytest.approx(low + 1.325 * span, abs=1e-9 * (abs(low) + span))
        assert lowest == pytest.approx(low - 0.325 * span, abs=1e-9 * (abs(low) + span))
    assert np.abs(number.encode_labels(values)).max() <= 1 + 1e-12


def test_what_is_never_below_0_does_not_begin_there():
    assert PRICE.complete(np.array([[1.0], [81]])) == replace(PRICE, low=0.0, high=101.0, scale="linear")
    assert PRICE.complete(np.array([[0.0], [80]])).low == 0
    assert PRICE.complete(np.array([[-81.0], [-1]])) == replace(PRICE, low=-101.0, high=0.0, scale="linear")


def test_of_a_logarithm_the_margin_is_a_factor():
    number = replace(PRICE, scale="log").complete(np.array([[5e3], [5e6]]))
    factor = 1000 ** 0.25
    assert (number.low, number.high) == pytest.approx((5e3 / factor, 5e6 * factor))
    lowest, highest = number.decode(np.array([[-REACH], [REACH]])).ravel()
    assert (lowest, highest) == pytest.approx((5e3 / 1000**0.325, 5e6 * 1000**0.325))
    assert number.decode(np.zeros((1, 1)))[0, 0] == pytest.approx(math.sqrt(5e3 * 5e6))


@few
@given(st.floats(-1e6, 1e6), st.sampled_from([1e-300, 1e-6, 1.0, 1e6, 1e300]))
def test_decoding_a_logarithm_never_overflows(encoded, size):
    number = replace(PRICE, scale="log").complete(np.array([[size], [3 * size]]))
    assert 0 < number.decode(np.array([[encoded]]))[0, 0] < math.inf


# there and back

@pytest.mark.parametrize("torch_too", [False, True])
@pytest.mark.parametrize(("values", "scale"), [
    ([1e9, 1e9 + 1], "linear"), ([-1e9 - 1, -1e9], "linear"), ([1e-300, 3e-300], "linear"), ([-3e-7, 5e-7], "linear"),
    ([-1e308, 1e308], "linear"), ([1e300, 1.7e308], "linear"), ([1900, 2020], "linear"), ([5e3, 5e6], "log"),
    ([1e-300, 1e300], "log"), ([1e9, 1e9 + 1], "log"),
])
def test_units_come_back_in_double_precision_whatever_their_size(values, scale, torch_too):
    torch = pytest.importorskip("torch") if torch_too else None
    values = np.array(values, float)[:, None]
    number = replace(PRICE, scale=scale).complete(values)
    seen = number.encode_labels(torch.from_numpy(values) if torch_too else values)
    assert isinstance(seen, torch.Tensor if torch_too else np.ndarray) and np.abs(np.asarray(seen)).max() <= 1
    again = number.decode(np.asarray(seen))
    within = {"rel": 1e-12} if scale == "log" else {"abs": 1e-11 * np.ptp(values / 2)}
    assert isinstance(again, np.ndarray) and again.dtype == np.float64 and again == pytest.approx(values, **within)
    assert abs(np.diff(np.asarray(seen).ravel())[0]) > 0.5  # and the network can tell them apart


@few
@given(st.lists(st.floats(-REACH, REACH), min_size=1, max_size=5), st.sampled_from(["linear", "log"]))
def test_labels_are_encoded_in_their_own_precision_and_outputs_decoded_in_double(encoded, scale):
    torch = pytest.importorskip("torch")
    number, encoded = Number("n", ("n",), low=2.0, high=300.0, scale=scale), np.array(encoded)[:, None]
    units = number.decode(encoded)
    np.testing.assert_allclose(number.encode_labels(units), encoded, atol=1e-9)
    np.testing.assert_allclose(number.encode_labels(torch.from_numpy(units)).numpy(), encoded, atol=1e-9)
    again = number.decode(encoded.astype(np.float32))
    assert again.dtype == units.dtype == np.float64
    np.testing.assert_allclose(again, units, rtol=1e-5, atol=1e-4)
    single = number.encode_labels(torch.tensor(units, dtype=torch.float32))
    assert single.dtype == torch.float32
    np.testing.assert_allclose(single.numpy(), encoded, atol=1e-5)


@pytest.mark.parametrize("torch_too", [False, True])
def test_what_has_no_logarithm_lies_where_the_network_ends_and_what_is_missing_stays_so(torch_too):
    torch = pytest.importorskip("torch") if torch_too else None
    values = np.array([[-3.0], [0], [1e-30], [np.nan], [100]])
    number = Number("n", ("n",), low=10.0, high=1000.0, scale="log")
    seen = np.asarray(number.encode_labels(torch.from_numpy(values) if torch_too else values)).ravel()
    assert seen == pytest.approx([-REACH, -REACH, -REACH, np.nan, 0], nan_ok=True)


# data

def test_a_number_goes_to_json_and_back_and_older_ones_were_linear():
    number = Number("n", ("n",), "kg", 1.0, 5.0, "log", ("flip", "turn"), weight=2.0)
    fields = json.loads(json.dumps(number.to_dict()))
    assert tasks.target_from_dict(fields) == number and hash(tasks.target_from_dict(fields)) == hash(number)
    old = {"kind": "number", "name": "n", "columns": ["n"], "unit": "", "low": 1.0, "high": 1000.0}
    assert tasks.target_from_dict(old) == Number("n", ("n",), low=1.0, high=1000.0, scale="linear")
    unscaled = tasks.target_from_dict({**old, "low": None, "high": None})
    assert unscaled.complete(drawn("prices")[:, None]).scale == "linear"


def test_laws_are_moves_under_which_it_stays():
    number = replace(PRICE, laws=("flip", "zoom"))
    assert number.moves == ("flip", "zoom") and PRICE.moves == ()
    how = Motion(np.ones(2), np.zeros(2), np.ones(2), np.zeros((2, 2)))
    values = np.array([[3.0], [np.nan]])
    assert number.transform_labels(values, how) == pytest.approx(values, nan_ok=True)
    for laws in (("flp",), ["flip"], "flip", ("colour",)):
        with pytest.raises(ImgregError, match=f"laws of 'price' out of {', '.join(MOVES)}"):
            replace(PRICE, laws=laws)


@pytest.mark.parametrize("weight", [0, -1, math.inf, math.nan, "2", None, True])
def test_a_weight_is_a_number_above_0(weight):
    for target in (PRICE, Angle("way", ("way",)), Point("p", ("x", "y"))):
        assert replace(target, weight=0.5).to_dict()["weight"] == 0.5 and target.weight == 1
        with pytest.raises(ImgregError, match=f"a weight of '{target.name}': a number above 0"):
            replace(target, weight=weight)
