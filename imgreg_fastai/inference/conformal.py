"""How far off a prediction may be, and whether a picture is like those that were trained on.

Split conformal prediction (Vovk, Gammerman, Shafer 2005; Lei et al. 2018): on pictures that neither the training nor
the choice of the best epoch has seen, each error is divided by how hard the picture looks (Papadopoulos et al. 2008).
The radius of a new prediction is its own difficulty times the quantile of these scores that covers as many as is asked.
"""
from dataclasses import dataclass, fields

import numpy as np

from ..tasks import Array
from ..utils.errors import ImgregError

LARGEST = 50.0  # logarithm of a difficulty
UNLIKE = 0.01  # the part of the calibration's own pictures that is called unlike those trained on


@dataclass(frozen=True)
class FeatureSpace:
    """Where the training pictures lie among features [F], as probabilistic principal components (Tipping, Bishop 1999).

    `mean` [F]; `axes` [k, F], of length 1; `variance` [k] along them; `rest` [1]: along any other direction.
    """

    mean: Array
    axes: Array
    variance: Array
    rest: Array

    def places(self, features: Array) -> tuple[Array, Array]:
        """Features [n, F] -> coordinates [n, k] in standard deviations, and the distance [n] from the mean.

        The distance is Mahalanobis's, squared, over the number of features: about 1 for pictures like those trained on.
        """
        away = features.astype(np.float64) - self.mean
        along = away @ self.axes.T
        outside = np.maximum(np.square(away).sum(axis=1) - np.square(along).sum(axis=1), 0)
        distance = np.square(along / np.sqrt(self.variance)).sum(axis=1) + outside / self.rest
        return along / np.sqrt(self.variance), distance / away.shape[1]


@dataclass(frozen=True)
class Calibration:
    """What turns features and outputs of the network into radii, for m distances a picture (Target.distances).

    `space`: where the training pictures lie; `sized` [m]: 1 where difficulty grows with Target.extent, else 0;
    `weights` [d + 1, m]: of `inputs_of` and a constant, for the logarithm of what is left of it, which is kept within
    `low` and `high` [m]; `scores` [n, m]: the errors of the
    calibration pictures over their difficulty, NaN without a label; `groups` [n]: numbers of what must be exchangeable,
    of pictures or of groups of them; `far` [1]: the distance beyond which a picture is unlike those trained on.
    """

    space: FeatureSpace
    sized: Array
    weights: Array
    low: Array
    high: Array
    scores: Array
    groups: Array
    far: Array

    def judge(self, features: Array, outputs: Array, doubts: Array, extents: Array) -> tuple[Array, Array]:
        """Difficulty [n, m] in units, and whether a picture is unlike any that was trained on, [n].

        `features` [n, F] and `outputs` [n, n_out] of the network; `doubts` and `extents` [n, m]: see Task.
        """
        inputs, distance = difficulty_inputs(self.space, features, outputs, doubts)
        return extents**self.sized * difficulty(inputs, self.weights, self.low, self.high), distance > self.far

    def factors(self, coverage: float) -> Array:
        """What difficulties [n, m] are multiplied by to be radii that cover so large a part, [m]; NaN without a label.

        Raises ImgregError for a coverage that so few pictures or groups cannot promise.
        """
        if not 0 < coverage < 1:
            raise ImgregError("--coverage between 0 and 1", f"{coverage:g}", "--coverage 0.9")
        labelled = np.isfinite(self.scores)
        found = [conformal_quantile(self.scores[ok, i], self.groups[ok], coverage) if ok.any() else np.nan
                 for i, ok in enumerate(labelled.T)]
        if np.isinf(found).any():
            few = min(len(np.unique(self.groups[ok])) for ok in labelled.T if ok.any())
            raise ImgregError(f"--coverage of at most {np.floor(1000 * few / (few + 1)) / 1000:g}: "
                              f"{few} {'pictures' if len(np.unique(self.groups)) == len(self.groups) else 'groups'} "
                              "calibrate this model", f"{coverage:g}")
        return np.array(found)

    def state(self) -> dict[str, Array]:
        """Its arrays by name, as a model file holds them."""
        parts = {**vars(self), **vars(self.space)}
        return {name: np.ascontiguousarray(of) for name, of in parts.items() if name != "space"}


def difficulty_inputs(space: FeatureSpace, features: Array, outputs: Array, doubts: Array) -> tuple[Array, Array]:
    """What difficulty is judged by, [n, d], and the distance [n]: see Space.places."""
    places, distance = space.places(features)
    return np.hstack([places, np.log(distance + 1e-12)[:, None], outputs, doubts]), distance


def linear(inputs: Array, weights: Array) -> Array:
    """[n, d] and [d + 1, m], the last a constant -> [n, m]."""
    return inputs @ weights[:-1] + weights[-1]


def difficulty(inputs: Array, weights: Array, low: Array, high: Array) -> Array:
    """The difficulty [n, m], but for the extent, of what `inputs_of` gives."""
    return np.exp(np.clip(linear(inputs, weights), low, high))


def conformal_quantile(scores: Array, groups: Array, coverage: float) -> float:
    """The least score that covers a new picture of a new group with a chance of at least `coverage`; inf if none does.

    Groups weigh the same, and one more stands for the new one, beyond all (Lee, Barber, Willett, "Distribution-free
    inference with hierarchical data", 2023). Where each picture is a group of its own this is the score of rank
    ceil((n + 1) coverage), split conformal prediction.
    """
    _, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(1 / sizes[group[order]]) / (len(sizes) + 1)
    enough = np.flatnonzero(reached >= coverage - 1e-9)
    return float(scores[order[enough[0]]]) if len(enough) else np.inf


def calibration_from_arrays(state: dict[str, Array], features: int, judged: int, m: int) -> Calibration:
    """The calibration of a network with so many features and distances; raises ValueError if it is not.

    `judged`: how many outputs and doubts there are.
    """
    names = [f.name for f in fields(FeatureSpace)]
    space = FeatureSpace(*(state[name] for name in names))
    found = Calibration(space, **{name: of for name, of in state.items() if name not in names})
    k, n = len(space.axes), len(found.scores)
    shapes = {"mean": (features,), "axes": (k, features), "variance": (k,), "rest": (1,), "far": (1,), "low": (m,),
              "high": (m,), "sized": (m,), "weights": (k + 2 + judged, m), "scores": (n, m), "groups": (n,)}
    for name, shape in shapes.items():
        values = state[name]
        finite = name == "scores" or np.isfinite(values).all()
        if values.shape != shape or values.dtype.kind not in "fi" or not finite:
            raise ValueError(f"calibration {name} {values.shape} for {shape}")
    if (found.low > found.high).any() or max(*np.abs(found.high), *np.abs(found.low)) > LARGEST:
        raise ValueError("calibration without limits of difficulty")
    if not n or np.isinf(found.scores).any() or (found.scores < 0).any() or min(*space.variance, *space.rest) <= 0:
        raise ValueError("calibration without scores, or with variances of 0")
    return found
