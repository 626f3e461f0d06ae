"""Several raters of an image: their labels joined to one, how far they differ, and what that makes a label worth."""
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from ...tasks import ROW_WEIGHT as WEIGHT
from ...tasks import Target
from ...utils.format import with_unit
from ...utils.messages import ImgregError, first_few, say, shorten, warn
from ..tables import real_paths, refuse_differences
from .filtering import ADDED_COLUMNS, REASONS
from .issue_rules import INFINITE, WORD, LabelTable

LEAST_VARIANCE = 0.01  # of the pooled one: raters who agree to the digit are not infinitely sure


def join_raters(table: LabelTable, training: bool = True) -> LabelTable:
    """Join the rows of each image, and of each box of it, by the average or median of their labels.

    Args:
        table: The labels table, with a row for each rating. Ratings that are missing are left out.
        training: Whether several rows of an image are expected; a table to score by may have one.

    Returns:
        One row an image, the first of each, with the joined labels and a column `row_weight`; see `rating_weights`.

    Raises:
        ImgregError: Rows of an image differ in another column, such as the split.
    """
    frame, task = table.frame, table.task
    if WEIGHT in frame:
        raise ImgregError(f"no column that is called {WEIGHT}, with --raters", f"'{WEIGHT}' in {table.path}")
    # 1. Which rows show the same. A row whose image or box is not there stays by itself.
    judged = (frame["usable"] | (frame["why"] == REASONS["number"])).to_numpy()
    keys = frame.loc[judged, list(task.box)].assign(path=real_paths(frame.loc[judged, "path"]))
    codes = np.arange(len(frame)) + len(frame)
    codes[judged] = keys.groupby(list(keys.columns), sort=False).ngroup()
    codes, _ = pd.factorize(codes)  # groups in the order of their first rows
    first = np.unique(codes, return_index=True)[1]
    if len(first) == len(frame):
        if training:
            say(f"--raters {task.raters} changes nothing: no image stands in several rows of {table.path}")
        return table
    _check_other_columns(table, codes)
    _warn_words(table, codes)
    # 2. The label of each image, and its weight.
    labels, weights = frame[task.columns].to_numpy(float)[first], []
    for target in task.targets:
        places = [task.columns.index(column) for column in target.columns]
        values = np.where(judged[:, None], frame[list(target.columns)].to_numpy(float), np.nan)
        ratings = _Ratings(target, values, codes, task.raters)
        labels[:, places] = np.where(judged[first, None], ratings.joined, labels[:, places])
        weights.append(ratings.weights())
        _say_spread(ratings)
    counts = np.bincount(codes)[:len(first)]
    say(f"{len(frame):,} rows of {table.path} are joined to {len(first):,} by the {task.raters} of up to "
        f"{counts.max()} raters; the surer the label of an image is, the more it counts")
    # 3. The rows of the images, with what is known of each.
    states = np.where(np.isfinite(labels), 0, table.states[first]).astype(np.int8)
    joined = frame.iloc[first].reset_index(drop=True)
    joined[task.columns] = labels
    usable = np.bincount(codes, frame["usable"].to_numpy(float)) > 0
    reasons = {reason: mask[first] & ~usable for reason, mask in table.reasons.items()}
    why, weight = joined["why"].where(~usable, ""), _mean_weights(weights, usable)
    joined = joined.assign(why=why, usable=usable, **{WEIGHT: weight})
    raw = np.where((counts == 1)[:, None], table.raw.iloc[first].astype(object), labels)
    return replace(_first_positions(table, first), frame=joined, reasons=reasons, states=states,
                   raw=pd.DataFrame(raw, columns=task.columns))


def _first_positions(table: LabelTable, first: np.ndarray) -> LabelTable:
    """Keep the positions of the first rater of each image, whose convention is that of all; `first`: their rows."""
    headers = table.headers if table.headers is None else table.headers.iloc[first].reset_index(drop=True)
    return replace(table, positions=table.positions.iloc[first].reset_index(drop=True), headers=headers)


class _Ratings:
    """The ratings of a target.

    Args:
        target: The target.
        values: Labels of all rows, [n, columns] in units.
        codes: The image of each row, int [n], from 0.
        how: mean or median.
    """

    def __init__(self, target: Target, values: np.ndarray, codes: np.ndarray, how: str) -> None:
        n = codes.max() + 1
        self.target = target
        self.joined = np.full((n, values.shape[1]), np.nan)
        self.counts = np.zeros(n, int)  # ratings of each image
        self.variances = np.full(n, np.nan)  # of these, in squared units; NaN where there is only one
        use_median = how == "median" and target.linear
        for images, ratings in _by_count(values, codes, target.is_labelled(np.isfinite(values))):
            k = len(ratings)
            averages = target.average(ratings)
            with np.errstate(all="ignore"):
                self.joined[images] = _median(ratings) if use_median else averages
            self.counts[images] = k
            if k > 1:
                errors = np.stack([target.error(one, averages) for one in ratings])
                self.variances[images] = np.nansum(errors**2, axis=0) / (k - 1)

    @property
    def pooled(self) -> float:
        """The variance of the ratings of one image, over all images; NaN where none has two."""
        degrees = np.maximum(self.counts - 1, 0)
        return float(np.nansum(degrees * self.variances) / degrees.sum()) if degrees.any() else np.nan

    def weights(self) -> np.ndarray:
        """The weight of each image, [n]; NaN where it has no rating."""
        return rating_weights(self.variances, self.counts)


def _by_count(values: np.ndarray, codes: np.ndarray, labelled: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the images with k ratings each, and these: int [m], [k, m, columns]."""
    rows = np.flatnonzero(labelled)
    rows = rows[np.argsort(codes[rows], kind="stable")]
    images, starts, counts = np.unique(codes[rows], return_index=True, return_counts=True)
    for k in np.unique(counts):
        with_k_ratings = counts == k
        yield images[with_k_ratings], values[rows[starts[with_k_ratings][None] + np.arange(k)[:, None]]]


def _median(ratings: np.ndarray) -> np.ndarray:
    """[k, m, columns] -> [m, columns], leaving NaN out; NaN where nothing is left."""
    some = np.isfinite(ratings).any(axis=0)
    return np.where(some, np.nanmedian(np.where(some, ratings, 0), axis=0), np.nan)


def rating_weights(variances: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Weigh images by how sure the average of their ratings is.

    The weight is 1 / (mean variance + variance of the image's average). The first stands for what a network leaves
    unexplained, so that no image counts without bounds. An image's own variance is known badly by few ratings; it is
    drawn to the usual one as limma does: (d0 s0² + d s²) / (d0 + d), with the prior of d0 degrees of freedom from the
    spread of all log variances (Smyth, Statistical Applications in Genetics and Molecular Biology 3, 2004, 6.2).

    Args:
        variances: Of each image's ratings, [n]; NaN where it has fewer than two.
        counts: Ratings of each image, int [n].

    Returns:
        Weights [n], 1 on average; NaN where an image has no rating.
    """
    degrees = np.maximum(counts - 1, 0)
    several, rated = degrees > 0, counts > 0
    weights = np.where(rated, 1.0, np.nan)
    pooled = (degrees * np.where(several, variances, 0)).sum() / max(degrees.sum(), 1)
    if not np.isfinite(pooled) or pooled <= 0:
        return weights
    own_variances = np.where(several, np.maximum(variances, LEAST_VARIANCE * pooled), pooled)
    prior_degrees, prior = _prior(own_variances[several], degrees[several])
    if np.isfinite(prior_degrees):
        shrunken = (prior_degrees * prior + degrees * own_variances) / (prior_degrees + degrees)
    else:
        shrunken = np.full(len(own_variances), pooled)
    weights[rated] = 1 / (pooled + shrunken[rated] / counts[rated])
    return weights / weights[rated].mean()


def _prior(variances: np.ndarray, degrees: np.ndarray) -> tuple[float, float]:
    """Fit the prior of variances as limma's fitFDist does: its degrees of freedom, which may be infinite, and mean."""
    from scipy.optimize import brentq
    from scipy.special import digamma, polygamma

    logs = np.log(variances) - digamma(degrees / 2) + np.log(degrees / 2)
    if len(logs) < 2:
        return np.inf, np.nan
    spread = logs.var(ddof=1) - polygamma(1, degrees / 2).mean()  # beyond what chance makes of equal variances
    if spread <= 0:
        return np.inf, np.nan
    half = brentq(lambda d: polygamma(1, d) - spread, 1 / spread, 1 / spread + 0.5)  # 1/d < trigamma(d) < 1/(d - 1/2)
    return 2 * half, float(np.exp(logs.mean() + digamma(half) - np.log(half)))


def _mean_weights(weights: list[np.ndarray], usable: np.ndarray) -> np.ndarray:
    """The weight of each image by those for its targets, 1 on average over the usable ones."""
    by_target = np.stack(weights)
    has_label = np.isfinite(by_target)
    mean = np.where(has_label, by_target, 0).sum(axis=0) / np.maximum(has_label.sum(axis=0), 1)
    mean = np.where(has_label.any(axis=0), mean, 1.0)
    return mean / mean[usable].mean() if usable.any() else mean


def _say_spread(ratings: _Ratings) -> None:
    """Say how far the raters of an image differ, and that no model can be measured to be better than their average."""
    pooled, rated, t = ratings.pooled, ratings.counts > 0, ratings.target
    if not np.isfinite(pooled) or pooled == 0:
        return
    floor = np.sqrt(pooled * (1 / ratings.counts[rated]).mean())
    spread, floor = (with_unit(f"{value:.3g}", t.unit) for value in (np.sqrt(pooled), floor))
    say(f"{t.name}: raters of the same image differ by a standard deviation of {spread}, so that their average is "
        f"uncertain by {floor}, and on these labels no model can be measured to err less")


def _check_other_columns(table: LabelTable, codes: np.ndarray) -> None:
    """Raise ImgregError if rows of an image differ in a column that is neither a label nor its box."""
    frame, task = table.frame, table.task
    must_agree = frame.columns.difference(["image", "path", *task.columns, *task.box, *ADDED_COLUMNS])
    refuse_differences(frame, codes, "image", must_agree, frame["row"], f"{table.path}, with --raters")


def _warn_words(table: LabelTable, codes: np.ndarray) -> None:
    """Warn of ratings that are no finite numbers and are left out, where others of the image remain."""
    some = (np.bincount(codes, table.frame["usable"].to_numpy(float)) > 0)[codes]
    cells = np.isin(table.states, (WORD, INFINITE)) & some[:, None]
    if cells.any():
        names = [f"row {table.frame['row'].iloc[row]} '{shorten(table.raw.iloc[row, column])}'"
                 for row, column in np.argwhere(cells)[:3]]
        warn(f"{int(cells.sum()):,} ratings of {table.path} are no finite numbers and are left out: {first_few(names)}")
