"""Intervals of a mean: as wide as chance makes them, by images or by groups."""
import numpy as np
import pytest

from imgreg_fastai.evaluation import bootstrap


def test_an_interval_is_that_of_the_normal_distribution_where_that_holds():
    values = np.random.default_rng(1).gamma(2.0, 1.0, 900)
    low, high = bootstrap.interval(values, np.arange(900))
    half = 1.96 * values.std(ddof=1) / 30
    assert low == pytest.approx(values.mean() - half, abs=0.15 * half)
    assert high == pytest.approx(values.mean() + half, abs=0.15 * half)
    assert bootstrap.interval(values, np.arange(900)) == (low, high)


def test_groups_are_drawn_whole_and_the_mean_stays_that_over_values():
    rng = np.random.default_rng(2)
    units = np.repeat([f"person {i}" for i in range(30)], rng.integers(1, 20, 30))
    values = rng.normal(size=30)[np.unique(units, return_inverse=True)[1]]  # of one person all alike
    low, high = bootstrap.interval(values, units)
    alone = bootstrap.interval(values, np.arange(len(values)))
    assert low < values.mean() < high and high - low > 2 * (alone[1] - alone[0])
    sums = np.array([[values[units == u].sum(), (units == u).sum()] for u in np.unique(units)])
    drawn = sums[rng.integers(0, 30, (4000, 30))].sum(axis=1)
    assert (low, high) == pytest.approx(np.quantile(drawn[:, 0] / drawn[:, 1], (0.025, 0.975)), abs=0.15 * (high - low))


def test_too_few_units_tell_nothing():
    values = np.arange(40.0)
    assert bootstrap.interval(values, np.arange(40) % 4) is None
    low, high = bootstrap.interval(values, np.arange(40) % 5)
    assert low <= 19.5 <= high
    assert bootstrap.interval(np.full(9, 0.5), np.arange(9)) == (0.5, 0.5)


def test_the_work_is_bounded_however_many_pictures_there_are(monkeypatch):
    asked = {}

    def counted(data, statistic, **how):
        asked.update(how, n=len(data[0]))
        raise StopIteration

    monkeypatch.setattr("scipy.stats.bootstrap", counted)
    for n in (1000, 100_000, 250_000):
        with pytest.raises(StopIteration):
            bootstrap.interval(np.ones(n), np.arange(n))
        assert asked["n"] == n and asked["n_resamples"] >= 200
        assert asked["n_resamples"] * n <= bootstrap.MAX_DRAWS and asked["batch"] * n <= bootstrap.MAX_DRAWS_HELD
