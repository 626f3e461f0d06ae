"""What more images would bring, by the errors with fewer of them."""
from dataclasses import dataclass
from typing import NamedTuple
from warnings import catch_warnings, simplefilter

import numpy as np
import pandas as pd

from ..utils.format import format_amount, round_numbers
from .metrics import HARDLY_BETTER

MAX_POWER = 2.0  # of n: no error is taken to fall faster
SMALL_GAIN = 0.05  # of the error: what is little for twice the images
MAX_DEVIATION = 0.1  # of the error: a law further off describes nothing, unless chance explains it


class PowerLaw(NamedTuple):
    """The error with n training images: a + b n^-c."""

    a: float
    b: float
    c: float


@dataclass(frozen=True)
class Forecast:
    """What a learning curve says of twice as many images for a target.

    Args:
        unit: Of the target.
        text: The forecast in a sentence.
        law: Of the errors; None, as all that follows, if there are too few points, or none better than guessing.
        deviation: The largest distance of the law from a point, as a share of its error, where chance does not
            explain it.
        error_at_twice: The error with twice the images, in units.
    """

    unit: str
    text: str
    law: PowerLaw | None = None
    deviation: float | None = None
    error_at_twice: float | None = None

    def to_dict(self) -> dict:
        """Return the forecast as curve.json holds it."""
        fields: dict[str, object] = {"unit": self.unit, "told": self.text}
        if self.law is not None:
            numbers = round_numbers({"off": self.deviation, "twice": self.error_at_twice})
            fields |= {"law": round_numbers(self.law._asdict()), **numbers}
        return fields


def forecast(name: str, unit: str, points: list[dict]) -> Forecast:
    """Forecast the error of a target with twice as many images.

    Args:
        name: Of the target.
        unit: Of the target.
        points: [{images, errors {target: {mean, ci, baseline}}}], the fewest images first.
    """
    curve = curve_table(points, name)
    is_better = curve["error"] < HARDLY_BETTER * curve["guess"]
    better = curve[is_better]
    n, errors = better["images"].to_numpy(), better["error"].to_numpy()
    law = fit_power_law(n, errors) if is_better[-1:].all() else None
    if law is None:
        n_points = f"{len(curve)} point{'' if len(curve) == 1 else 's'}"
        reason = f" from {n_points}"
        if not is_better.all():
            reason = f": {(~is_better).sum()} of {n_points} hardly better than guessing"
        return Forecast(unit, f"{name}: no estimate of what more images would bring{reason}")
    fitted = error_at(n, *law)
    by_chance = (better["low"] <= fitted) & (fitted <= better["high"])
    deviation = float(np.where(by_chance, 0, np.abs(fitted / errors - 1)).max())
    twice = float(errors[-1] * error_at(2 * n[-1], *law) / fitted[-1])
    text = _forecast_text(name, unit, errors[-1], twice, deviation)
    if not is_better.all():
        text += f" (by {len(better)} of {len(curve)} points: the others are hardly better than guessing)"
    return Forecast(unit, text, law, deviation, twice)


def curve_table(points: list[dict], name: str) -> pd.DataFrame:
    """Tabulate the errors of one target by the number of training images.

    Args:
        points: Of a learning curve, see `forecast`.
        name: Of the target.

    Returns:
        A row for each point whose error is above 0, which the relative errors of `fit_power_law` need: `images`,
        `error`, `low` and `high` (the 95 % confidence interval) and `guess` (the error of guessing, inf where it is
        not known).
    """
    rows = []
    for point in points:
        scores = point["errors"].get(name)
        if scores and scores["mean"] > 0:
            low, high = scores.get("ci", (scores["mean"], scores["mean"]))
            rows.append((point["images"], scores["mean"], low, high, scores.get("baseline", np.inf)))
    return pd.DataFrame(rows, columns=["images", "error", "low", "high", "guess"], dtype=float)


def _forecast_text(name: str, unit: str, error: float, twice: float, deviation: float) -> str:
    """Write what twice the images would bring, and how far that is to be trusted."""
    now, then = format_amount(error, unit), format_amount(twice, unit)
    text = f"twice the images would bring {name} error from {now} to about {then}"
    if twice > (1 - SMALL_GAIN) * error:
        if now == then:
            text = f"twice as many would leave {name} error at about {then}"
        text = f"more images would bring little: {text}"
    if deviation > MAX_DEVIATION:
        text += f"; a guess, for the points do not follow a law of growth (off by up to {100 * deviation:.0f} %)"
    return text


def error_at(n: np.ndarray, a: float, b: float, c: float) -> np.ndarray:
    """Return the error with n training images: a + b n^-c."""
    return a + b * n**-c


def fit_power_law(n: np.ndarray, errors: np.ndarray) -> PowerLaw | None:
    """Fit a power law to errors by the least squares of relative deviations (Hestness et al., "Deep Learning Scaling
    is Predictable, Empirically", 2017).

    Args:
        n: Numbers of training images, array [k].
        errors: Above 0, array [k].

    Returns:
        The law, with a >= 0 and 0 < c <= MAX_POWER; with a = 0 for fewer than four points, or where no other fits.
        None for fewer than two points.
    """
    from scipy.optimize import OptimizeWarning, curve_fit

    if len(n) < 2:
        return None

    def relative_error(n: np.ndarray, b: float, c: float, a: float = 0.0) -> np.ndarray:
        return error_at(n, a, b, c)

    relative = errors / errors[-1]
    limits_of_b_and_c = [(0.0, np.inf), (1e-6, MAX_POWER)]
    attempts = [limits_of_b_and_c]
    if len(n) >= 4:
        attempts.insert(0, [*limits_of_b_and_c, (0.0, np.inf)])  # a, too
    for limits in attempts:
        try:
            with catch_warnings():
                simplefilter("ignore", OptimizeWarning)  # of the covariance, which is not used
                parameters, _ = curve_fit(relative_error, n / n[-1], relative, [0.5] * len(limits), sigma=relative,
                                          bounds=np.transpose(limits), max_nfev=10_000)
        except RuntimeError:  # no optimum
            continue
        b, c, *rest = parameters.tolist()
        a = rest[0] if rest else 0.0
        return PowerLaw(float(a * errors[-1]), float(b * errors[-1] * n[-1] ** c), c)
    return None
