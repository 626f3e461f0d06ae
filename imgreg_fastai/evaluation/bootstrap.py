"""Confidence intervals of a mean by the bootstrap."""
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

MIN_UNITS = 5  # fewer do not show how much they differ
MAX_DRAWS = 50_000_000  # of units in all resamples together: about a second
MIN_RESAMPLES, MAX_RESAMPLES = 200, 2000
MAX_DRAWS_HELD = 2_000_000  # in memory at once


def interval(values: np.ndarray, units: ArrayLike) -> tuple[float, float] | None:
    """Compute the 95 % percentile interval of a mean by the bootstrap (Efron, 1979).

    The interval is widened as Student's distribution is wider than the normal one, because that of few units would
    cover the mean too rarely. The random numbers are seeded: the same values have the same interval.

    Args:
        values: Array [n].
        units: Name of the unit of each value, such as a person, [n]. Values of one unit are drawn together; the mean
            remains that over values.

    Returns:
        Both ends, to seven digits, or None for fewer than MIN_UNITS units.
    """
    from scipy.stats import bootstrap, t

    unit, names = pd.factorize(np.asarray(units))
    n = len(names)
    if n < MIN_UNITS:
        return None
    sums, counts = np.bincount(unit, values), np.bincount(unit).astype(float)
    result = bootstrap((sums, counts), lambda s, c, axis: s.sum(axis) / c.sum(axis), paired=True, vectorized=True,
                       method="percentile", confidence_level=0.95,
                       n_resamples=int(np.clip(MAX_DRAWS // n, MIN_RESAMPLES, MAX_RESAMPLES)),
                       batch=max(1, MAX_DRAWS_HELD // n), rng=np.random.default_rng(0))
    mean = sums.sum() / counts.sum()
    widening = t.ppf(0.975, n - 1) / t.ppf(0.975, np.inf) * np.sqrt(n / (n - 1))
    low, high = (mean + widening * (end - mean) for end in result.confidence_interval)
    return float(f"{low:.7g}"), float(f"{high:.7g}")
