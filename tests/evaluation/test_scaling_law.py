"""The law that errors follow as images grow in number, and what is said of twice as many."""
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imgreg_fastai.evaluation import scaling_law

N = np.array([100.0, 250, 500, 1000])


@settings(max_examples=100, deadline=None)
@given(st.floats(0, 0.9), st.floats(0.1, 1.8), st.floats(1e-3, 1e4), st.sampled_from([N, N[[0, 1, 3]], N[2:]]))
def test_points_on_a_law_are_foretold(floor, power, scale, n):
    """With three points or two there is no floor: they are on a power law."""
    a = scale * floor * (len(n) > 3)
    b = scale * (1 - floor) * 1000**power
    found = scaling_law.fit_power_law(n, scaling_law.error_at(n, a, b, power))
    beyond = scaling_law.error_at(2000.0, a, b, power)
    assert scaling_law.error_at(2000.0, *found) == pytest.approx(beyond, rel=0.02)
    assert found[0] >= 0 and found[1] >= 0 and 0 < found[2] <= scaling_law.MAX_POWER


def test_without_a_floor_unless_four_points_show_one():
    errors = scaling_law.error_at(N, 1.0, 300.0, 1.0)
    assert scaling_law.fit_power_law(N, errors) == pytest.approx((1, 300, 1), rel=0.01)
    assert scaling_law.fit_power_law(N[1:], errors[1:])[0] == 0
    assert scaling_law.fit_power_law(N[:1], errors[:1]) is None


def test_a_law_that_is_not_found_gives_way_to_a_power_law(monkeypatch):
    import scipy.optimize

    fit = scipy.optimize.curve_fit

    def stubborn(form, n, errors, start, **how):
        if len(start) == 3:
            raise RuntimeError("Optimal parameters not found")
        return fit(form, n, errors, start, **how)

    monkeypatch.setattr(scipy.optimize, "curve_fit", stubborn)
    assert scaling_law.fit_power_law(N, 5 * N**-0.5) == pytest.approx((0, 5, 0.5), rel=0.01)


def points(errors, n=N, width=0.02, name="way"):
    return [{"part": 100 * k / n[-1], "images": int(k), "run": f"t-{i}",
             "errors": {name: {"mean": e, "ci": [e * (1 - width), e * (1 + width)], "baseline": 45.0}}}
            for i, (k, e) in enumerate(zip(n, errors, strict=True))]


@pytest.mark.parametrize(("errors", "told"), [
    (17 * N**-0.5, "twice the images would bring way error from 0.54° to about 0.38°"),
    (5 + 0 * N, "more images would bring little: twice as many would leave way error at about 5.0°"),
    (np.array([2.0, 1.03, 1.001, 1.0]), "more images would bring little: twice"),
    (np.array([1.0, 2, 3, 4]), "more images would bring little: twice as many would leave way error at about 4.0°; "
                               "a guess, for the points do not follow a law of growth (off by up to "),
    (np.array([10.0, 2, 8, 1]), "a guess, for the points do not follow a law of growth (off by up to "),
    (np.zeros(4), "way: no estimate of what more images would bring from 0 points"),
])
def test_what_is_said(errors, told):
    found = scaling_law.forecast("way", "°", points(errors))
    assert told in found.text and ("a guess" in found.text) == ("a guess" in told)
    kept = json.loads(json.dumps(found.to_dict(), allow_nan=False))
    assert set(kept) in ({"unit", "told"}, {"unit", "told", "law", "off", "twice"}) and kept["told"] == found.text


def test_what_chance_explains_does_not_make_it_a_guess():
    errors = np.array([5.0, 3.1, 2.6, 1.5])
    assert "a guess" in scaling_law.forecast("way", "°", points(errors, width=0.001)).text
    assert "a guess" not in scaling_law.forecast("way", "°", points(errors, width=0.3)).text


def test_parts_that_are_hardly_better_than_guessing_are_on_no_law():
    """Too few images teach nothing: the law begins behind them."""
    errors = np.array([44.0, *17 * N[1:] ** -0.5])
    found = scaling_law.forecast("way", "°", points(errors))
    assert found.law == pytest.approx((0, 17, 0.5), rel=0.01) and found.deviation < 0.01
    assert found.text.endswith("to about 0.38° (by 3 of 4 points: the others are hardly better than guessing)")
    told = scaling_law.forecast("way", "°", points([44.0, 44, 41, 40])).text
    assert told == ("way: no estimate of what more images would bring: "
                    "4 of 4 points hardly better than guessing")
    assert "no estimate of what more" in scaling_law.forecast("way", "°", points([20.0, 10, 8, 41])).text


def test_one_point_says_nothing():
    assert "no estimate of what more" in scaling_law.forecast("way", "°", points([3.0], N[:1])).text
    assert "no estimate of what more" in scaling_law.forecast("age", "years", points([3.0, 2.0], N[:2])).text
