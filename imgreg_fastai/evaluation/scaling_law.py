"""What more pictures would bring, by the errors that fewer of them brought."""
from warnings import catch_warnings, simplefilter

import numpy as np

from ..utils.format import format_amount, round_numbers
from .metrics import HARDLY

STEEPEST = 2.0  # the power of n beyond which no error is thought to fall
LITTLE = 0.05  # of the error: less than that is little for twice the pictures
OFF = 0.1  # of an error: further from its point a law does not describe it, unless chance may have done that


def forecast(name: str, unit: str, points: list[dict]) -> dict:
    """What a target's points say of twice the pictures that were trained on: {unit, law, off, twice, told}.

    `points`: a list of {pictures, errors {target: {mean, ci, baseline}}}, the fewest pictures first. `law`: {a, b, c},
    see `error_at`, of the points better than guessing; `off`: how far it is from them at most, as a part of the error,
    where chance does not explain it; `twice`: the error with twice the pictures, in units; `told`: all that in a line.
    Only unit and told where there is no law, or the most pictures are no better than guessing.
    """
    n, errors, ends, guess = curve_arrays(points, name)
    learnt = errors < HARDLY * guess
    left = f", without {(~learnt).sum()} hardly better than guessing" * (not learnt.all())
    found = fit_power_law(n[learnt], errors[learnt]) if learnt[-1:].all() else None
    if found is None:
        return {"unit": unit, "told": f"{name}: nothing to be said of more pictures from {len(n)} points{left}"}
    n, errors, ends = n[learnt], errors[learnt], ends[learnt]
    along, beyond = error_at(n, *found), error_at(2 * n[-1:], *found)[0]
    chance = (ends[:, 0] <= along) & (along <= ends[:, 1])
    off = float(np.where(chance, 0, np.abs(along / errors - 1)).max())
    twice = float(errors[-1] * beyond / along[-1])
    numbers = round_numbers({"off": off, "twice": twice})
    told = _sentence(name, unit, errors, twice, off) + (f" (told by {len(n)} points{left})" if left else "")
    return {"unit": unit, "law": round_numbers(dict(zip("abc", found, strict=True))), **numbers, "told": told}


def curve_arrays(points: list[dict], name: str) -> tuple[np.ndarray, ...]:
    """Pictures [n], a target's errors [n], their intervals [n, 2] and the errors of guessing [n]; of errors above 0."""
    here = [(point["pictures"], point["errors"][name]) for point in points if name in point["errors"]]
    rows = [(n, of["mean"], *of.get("ci", (of["mean"],) * 2), of.get("baseline", np.inf))
            for n, of in here if of["mean"] > 0]
    n, errors, *ends, guess = np.array(rows, float).reshape(-1, 5).T
    return n, errors, np.transpose(ends), guess


def _sentence(name: str, unit: str, errors: np.ndarray, twice: float, off: float) -> str:
    """What twice the pictures would bring, and how far that is to be trusted."""
    now, then = format_amount(errors[-1], unit), format_amount(twice, unit)
    told = f"twice the pictures would bring {name} error from {now} to about {then}"
    if twice > (1 - LITTLE) * errors[-1]:
        change = f"twice as many would leave {name} error at about {then}" if now == then else told
        told = f"more pictures would bring little: {change}"
    doubt = f"; a guess, for the points do not follow a law of growth (off by up to {off:.0%})".replace("%", " %")
    return told + doubt * (off > OFF)


def error_at(n: np.ndarray, a: float, b: float, c: float) -> np.ndarray:
    """The error with n training pictures: a + b n^-c."""
    return a + b * n**-c


def fit_power_law(n: np.ndarray, errors: np.ndarray) -> tuple[float, float, float] | None:
    """(a, b, c) of `error_at`, a >= 0 and 0 < c <= STEEPEST, by the least squares of relative deviations.

    Of fewer than four points, or where none is found, a power law, a = 0 (Hestness et al., "Deep Learning Scaling is
    Predictable, Empirically", 2017); None for fewer than two. Errors are above 0.
    """
    from scipy.optimize import OptimizeWarning, curve_fit

    if len(n) < 2:
        return None
    x, y = n / n[-1], errors / errors[-1]
    for form, free in ((error_at, 3), (_power, 2))[len(n) < 4 :]:
        bounds = (0, 0, 1e-6)[-free:], (np.inf, np.inf, STEEPEST)[-free:]
        try:
            with catch_warnings():
                simplefilter("ignore", OptimizeWarning)  # of the numbers' own uncertainty, which is not used
                *a, b, c = curve_fit(form, x, y, (0.5,) * free, sigma=y, bounds=bounds, max_nfev=10_000)[0]
        except RuntimeError:
            continue
        return float(sum(a) * errors[-1]), float(b * errors[-1] * n[-1] ** c), float(c)
    return None


def _power(n: np.ndarray, b: float, c: float) -> np.ndarray:
    return error_at(n, 0.0, b, c)
