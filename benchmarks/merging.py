"""One interval for several predictions of the same value: how many true values it contains, and how wide it is.

    python -m benchmarks --only merging
    IMGREG_REAL_DATA=FOLDER python -m benchmarks --only merging

Compared over DIVISIONS random divisions into a part that calibrates and one that is evaluated, all for 90 %:
the mean of the half-widths; the same divided by the square root of the number of parts, as if errors were independent;
a strict majority (Gasparin and Ramdas 2024); at least half, which imgreg takes; all, that is, what any of the intervals
contains; and an interval calibrated by averages over groups of the same size. Widths are relative to one prediction's.
"""
from collections.abc import Callable

import numpy as np
from sklearn.linear_model import RidgeCV

from imgreg_fastai.api.preparation import make_config
from imgreg_fastai.inference.merging import combine, vote, vote_level
from imgreg_fastai.inference.quantiles import conformal_quantile
from imgreg_fastai.tasks import Number, Point, Rotation, Target, Task

from . import photographs, pointing

DIVISIONS = 20
COVERAGE = 0.9
NUMBER = Number("value", ("value",), low=-100.0, high=100.0)
PAN = Number("pan", ("pan_deg",), "°", low=-112.5, high=112.5)
POSE = Rotation("pose", ("pan_deg", "tilt_deg", "roll"))
CENTRE = Point("centre", pointing.BOX[:2])
MODELS = 3
GROUPS = 400  # of simulated errors: a quarter calibrates


def measure(quick: bool = False) -> list[dict]:
    """Measure simulated errors, and photographs where they are available."""
    rows = [row for name, draw in ERRORS.items() for k in ((2, 4) if quick else (2, 3, 4, 8))
            for row in measure_errors(name, draw, k)]
    paths = photographs.find_photographs("pointing04")
    return rows + (photographs.skipped("pointing04") if paths is None else measure_poses(*paths, quick))


# ---- simulated errors

Draw = Callable[[np.random.Generator, int], np.ndarray]


def mixed(rng: np.random.Generator, k: int) -> np.ndarray:
    """Half of the variance is an error that the group shares."""
    return (rng.standard_normal((k, GROUPS)) + rng.standard_normal((1, GROUPS))) / 2**0.5


ERRORS: dict[str, Draw] = {
    "independent": lambda rng, k: rng.standard_normal((k, GROUPS)),
    "shared": lambda rng, k: np.repeat(rng.standard_normal((1, GROUPS)), k, axis=0),
    "half shared": mixed,
    "t, 2 degrees": lambda rng, k: rng.standard_t(2, (k, GROUPS)),
    "one in ten 20 x": lambda rng, k: rng.standard_normal((k, GROUPS)) * np.where(rng.random((k, GROUPS)) < 0.1, 20, 1),
}


def measure_errors(name: str, draw: Draw, k: int) -> list[dict]:
    """Compare the methods on errors, for the mean and the median of k predictions."""
    rows = []
    for how in ("mean", "median") if k > 2 else ("mean",):
        rng, results = np.random.default_rng(k), []
        for _ in range(DIVISIONS):
            values = draw(rng, k)[..., None]
            results.append(compare(NUMBER, values, np.zeros((GROUPS, 1)), rng.permutation(GROUPS), how))
        rows.append({"data": f"errors, {name}", "of": f"{how} of {k}", **summary(results)})
    return rows


# ---- photographs


def measure_poses(table, weights, quick: bool) -> list[dict]:
    """Compare the methods on ridge regressions of a frozen network's features, of the heads of Pointing'04.

    Each person holds each pose twice. Images: these two. Models: ridges, each on a random half of the training part.
    """
    frame = pointing.read(table).assign(roll=0.0).sort_values(["person", "number", "series"])
    pairs = frame.groupby(["person", "number"]).filter(lambda part: len(part) == 2).reset_index(drop=True)
    pairs = pairs.head(200) if quick else pairs
    task = Task("pose", (PAN,), (96, 96), box=pointing.BOX, margin=0.15, recipe=pointing.RECIPE)
    x = pointing.features(task, pairs, make_config(task, weights=str(weights))).mean(axis=(2, 3))
    rows = []
    for t in (PAN, POSE, CENTRE):
        rng = np.random.default_rng(0)
        results: dict[str, list] = {"2 images": [], f"{MODELS} models": [], f"2 images x {MODELS} models": []}
        for _ in range(2 if quick else DIVISIONS):
            order = rng.permutation(len(pairs) // 2)
            train, rest = np.split(order, [len(order) // 2])
            y = pairs[list(t.columns)].to_numpy(float)
            models = np.stack([predict(t, x, y, images_of(rng.choice(train, len(train) // 2, replace=False)))
                               for _ in range(MODELS)])  # [models, images, columns]
            shown = models[:, images_of(rest)].reshape(MODELS, -1, 2, y.shape[1]).transpose(0, 2, 1, 3)
            true, division = y[2 * rest], rng.permutation(len(rest))
            parts = {f"{MODELS} models": shown[:, 0]}
            if not t.in_image:
                parts |= {"2 images": shown[0], f"2 images x {MODELS} models": shown.reshape(-1, *true.shape)}
            for name, values in parts.items():
                results[name].append(compare(t, values, true, division))
        rows += [{"data": f"Pointing'04, {t.name} ({t.kind})", "of": name, **summary(of)}
                 for name, of in results.items() if of]
    return rows


def images_of(pairs: np.ndarray) -> np.ndarray:
    """Return the positions of the two images of each pair."""
    return np.stack([2 * pairs, 2 * pairs + 1], axis=1).ravel()


def predict(t: Target, x: np.ndarray, y: np.ndarray, train: np.ndarray) -> np.ndarray:
    """Predict for all images by a ridge regression on the images `train`."""
    encoded = t.matrix(y).reshape(len(y), -1) if isinstance(t, Rotation) else y
    ridge = RidgeCV(np.logspace(-1, 4, 6)).fit(x[train], encoded[train])
    predicted = ridge.predict(x).reshape(len(y), -1)
    return t.decode(predicted) if isinstance(t, Rotation) else predicted


# ---- methods


def compare(t: Target, values: np.ndarray, true: np.ndarray, order: np.ndarray, how: str = "mean") -> dict:
    """Compare the methods in one division.

    Args:
        t (Target): what is predicted; it has one interval.
        values (np.ndarray): the predictions of K parts for n values, [K, n, columns].
        true (np.ndarray): [n, columns].
        order (np.ndarray): the first third of these numbers calibrates, each part by itself.
        how (str): mean or median.

    Returns:
        dict: {method: (coverage, mean half-width over that of one prediction)}.
    """
    n_parts, (calibrates, tested) = len(values), np.split(order, [len(order) // 3])
    centre = combine(t, values, how)
    scores = np.stack([t.interval_errors(part, true)[calibrates, 0] for part in values])
    error = t.interval_errors(centre, true)[:, 0]

    def half_widths(level: float) -> np.ndarray:
        quantiles = [quantile(part, level) for part in scores]
        return np.broadcast_to(np.reshape(quantiles, (-1, 1, 1)), (n_parts, len(tested), 1))

    def merged(rank: int) -> np.ndarray:
        widths = half_widths(1 - (1 - COVERAGE) * rank / n_parts)
        return vote(t, values[:, tested], widths, centre[tested], rank)[:, 0]

    single = half_widths(COVERAGE).mean()
    ours = vote_level(COVERAGE, n_parts, len(calibrates))[1]
    methods = {"mean": single, "mean / root": single / n_parts**0.5, "majority": merged((n_parts + 1) // 2),
               "half": merged(ours), "all": merged(n_parts), "calibrated": quantile(error[calibrates], COVERAGE)}
    return {name: (np.mean(error[tested] <= width), np.mean(width) / single) for name, width in methods.items()}


def quantile(scores: np.ndarray, level: float) -> float:
    """Return the conformal quantile of scores [n]."""
    return conformal_quantile(scores, np.arange(len(scores)), level)


def summary(results: list[dict]) -> dict[str, str]:
    """Average divisions; each cell is the coverage in per cent and the relative width."""
    means = {name: np.mean([result[name] for result in results], axis=0) for name in results[0]}
    return {name: f"{100 * covered:.1f} %, {width:.2f}" for name, (covered, width) in means.items()}
