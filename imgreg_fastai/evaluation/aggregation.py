"""One prediction for several images of the same thing."""
from collections.abc import Sequence

import numpy as np
import pandas as pd

from ..inference.merging import AGGREGATIONS, ModelPredictions, combine, merge_intervals
from ..tasks import Task
from ..utils.format import format_value
from ..utils.messages import ImgregError, first_few, warn
from .metrics import add_errors

MIN_OOD_SHARE = 0.5  # of a group's images, for the group to be flagged
MAX_LABEL_ERROR = 1e-3  # of the spread of all labels: labels of one group that differ by more are told


def aggregate_by(task: Task, frame: pd.DataFrame, by: str, how: str = "mean",
                 models: Sequence[ModelPredictions] = (), coverage: float | None = None) -> pd.DataFrame:
    """Reduce images of the same thing to one row.

    Args:
        task: The task, without points.
        frame: Of Predictor.predict, or of metrics.predictions, whose labels are reduced as the predictions are.
        by: The column that tells which images belong together. An image without a value stands for itself.
        how: "mean", each target's own average, or "median", of plain numbers.
        models: What the intervals come from: the predictions of each model for the rows of `frame`, in their order.
        coverage: Of the intervals; None for none.

    Returns:
        The column `by`, `images` (their number), a value for each column, errors where `frame` has labels, and with a
        `coverage` half-widths and `ood`, whether MIN_OOD_SHARE of the images are flagged. Groups are in the order of
        their first images.

    Raises:
        ImgregError: If there is no such column, or see check_aggregation.
    """
    check_aggregation(task, by, how)
    if by not in frame:
        raise ImgregError(f"--by with a column of the table: {first_few(frame.columns, 8)}", f"'{by}'")
    has_labels = f"{task.columns[0]}_predicted" in frame
    codes, names = _number_groups(frame[by])
    if has_labels:
        warn_if_labels_differ(task, frame, codes, names, by)
    flags = np.any([model.ood for model in models if model.calibration], axis=0)
    # A labels frame calls the column of groups `group`, whatever the table does.
    by_group = all(by == (model.task.group or "group") or (has_labels and by == "group") for model in models)
    parts = []
    for rows in _rows_by_size(codes):
        first = codes[rows[:, 0]]
        columns = {by: names[first], "images": rows.shape[1]}
        for t in task.targets:
            for ending in ("", "_predicted") if has_labels else ("",):
                columns_in = [f"{column}{ending}" for column in t.columns]
                values = combine(t, frame[columns_in].to_numpy(float)[rows.T], how)
                columns.update(zip(columns_in, values.T, strict=True))
        if coverage is not None:
            values = {column: columns[f"{column}_predicted" if has_labels else column] for column in task.columns}
            columns |= merge_intervals(task, models, rows, values, coverage, how, by_group)
            columns["ood"] = flags[rows].mean(axis=1) >= MIN_OOD_SHARE
        parts.append(pd.DataFrame(columns, index=rows[:, 0]))
    groups = pd.concat(parts).sort_index().reset_index(drop=True)
    return add_errors(task, groups) if has_labels else groups


def _number_groups(values: pd.Series) -> tuple[np.ndarray, np.ndarray]:
    """Number the groups of images: -> the number of each image, [n], and the names of groups; no value is a group."""
    codes, group_names = pd.factorize(values)
    alone = np.flatnonzero(codes < 0)
    codes[alone] = len(group_names) + np.arange(len(alone))
    return codes, np.array([*group_names, *(f"image {i}" for i in alone)], object)


def _rows_by_size(codes: np.ndarray) -> list[np.ndarray]:
    """Return for each size k of groups the positions of their images, [groups, k], by the numbers of groups [n]."""
    positions, counts = np.argsort(codes, kind="stable"), np.bincount(codes)
    sizes = np.repeat(counts, counts)
    return [positions[sizes == k].reshape(-1, k) for k in np.unique(counts)]


def warn_if_labels_differ(task: Task, frame: pd.DataFrame, codes: np.ndarray, names: np.ndarray, by: str) -> None:
    """Warn, with an example, where images of one group have different labels, which are averaged.

    Args:
        task: The task.
        frame: With labels.
        codes: Number of the group of each row, [n].
        names: Of the groups.
        by: The column of groups.
    """
    for t in task.targets:
        labels = frame[list(t.columns)].to_numpy(float)
        first = pd.DataFrame(labels).groupby(codes).transform("first").to_numpy()
        differences = t.error(labels, first)
        spread = t.error(labels, np.broadcast_to(t.constant_guess(labels), labels.shape))
        differs = differences > MAX_LABEL_ERROR * np.nanmean(spread) if np.isfinite(spread).any() else []
        if np.any(differs):
            worst, n = int(np.nanargmax(differences)), len(np.unique(codes[differs]))
            example = " and ".join(format_value(float(row[worst, 0]), t.unit) for row in (first, labels))
            warn(f"labels of {t.name} differ within {n} of {len(names)} groups, such as {example} in {by} "
                 f"'{names[codes[worst]]}': their mean is scored, and intervals hold for groups with one true value")


def check_aggregation(task: Task, by: str | None, how: str = "mean") -> None:
    """Check what is asked of `aggregate_by` before any image is opened.

    Args:
        task: The task.
        by: A column, or None for no aggregation.
        how: One of AGGREGATIONS.

    Raises:
        ImgregError: If these do not go together.
    """
    if how not in AGGREGATIONS:
        raise ImgregError(f"--how {', '.join(AGGREGATIONS)}", f"'{how}'")
    if by is None:
        if how != AGGREGATIONS[0]:
            raise ImgregError(f"--by COLUMN for --how {how}", "no --by")
        return
    reserved = {"image", "path", "split", "images", "ood"}
    for t in task.targets:
        endings = ("", "_predicted", "_true", "_error")
        reserved.update(t.interval_columns, (name + end for name in (t.name, *t.columns) for end in endings))
    if by in reserved:
        raise ImgregError("--by with a column that tells whose images they are", f"'{by}'")
    if task.has_points:
        names = first_few(t.name for t in task.targets if t.in_image)
        raise ImgregError("--by with targets that are the same in several images", f"points: {names}")
