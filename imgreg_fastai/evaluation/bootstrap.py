"""How far a mean may be off by the chance of which pictures there were."""
import numpy as np
import pandas as pd

FEWEST = 5  # units: fewer do not tell how much they differ
DRAWS = 50_000_000  # of units, in all resamples together: about a second
MOST, LEAST = 2000, 200  # resamples
AT_ONCE = 2_000_000  # draws held in memory


def interval(values: np.ndarray, units) -> tuple[float, float] | None:
    """The 95 % percentile interval of the mean of `values` [n] by the bootstrap (Efron, 1979); None for too few units.

    `units` [n]: values of one unit, as of one person, are drawn together; all draws of a unit bring its sum and its
    count, so that the mean stays that over values. It is stretched as Student's distribution is wider than the normal
    one, or that of few units would hold too rarely. Seeded: the same values have the same interval. There are 2,000
    resamples, of more than 25,000 units fewer, as many as take about a second.
    """
    from scipy.stats import bootstrap, t

    unit, names = pd.factorize(np.asarray(units))
    n = len(names)
    if n < FEWEST:
        return None
    sums, counts = np.bincount(unit, values), np.bincount(unit).astype(float)
    found = bootstrap((sums, counts), _mean, paired=True, vectorized=True, method="percentile", confidence_level=0.95,
                      n_resamples=int(np.clip(DRAWS // n, LEAST, MOST)), batch=max(1, AT_ONCE // n),
                      rng=np.random.default_rng(0))
    mean = sums.sum() / counts.sum()
    wider = t.ppf(0.975, n - 1) / t.ppf(0.975, np.inf) * np.sqrt(n / (n - 1))
    return tuple(float(mean + wider * (end - mean)) for end in found.confidence_interval)


def _mean(sums: np.ndarray, counts: np.ndarray, axis: int) -> np.ndarray:
    return sums.sum(axis=axis) / counts.sum(axis=axis)
