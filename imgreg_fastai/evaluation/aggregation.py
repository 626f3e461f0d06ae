"""One prediction for several images of the same thing."""
import numpy as np
import pandas as pd

from ..tasks import Task
from ..utils.messages import ImgregError, first_few
from .metrics import add_errors

AGGREGATIONS = ("mean", "median")


def aggregate_by(task: Task, frame: pd.DataFrame, by: str, how: str = "mean") -> pd.DataFrame:
    """Reduce images of the same thing to one row.

    Args:
        task: The task, without points.
        frame: Of Predictor.predict, or of metrics.predictions, whose labels are reduced as the predictions are.
        by: The column that tells which images belong together. An image without a value stands for itself.
        how: "mean", each target's own average, or "median", of plain numbers.

    Returns:
        The column `by`, `images` (their number), a value for each column, and errors where `frame` has labels.

    Raises:
        ImgregError: If there is no such column, or see check_aggregation.
    """
    check_aggregation(task, by, how)
    if by not in frame:
        raise ImgregError(f"--by with a column of the table: {first_few(frame.columns, 8)}", f"'{by}'")
    has_labels = f"{task.columns[0]}_predicted" in frame
    endings = ("", "_predicted") if has_labels else ("",)
    names = frame[by].astype(object).where(frame[by].notna(), [f"image {i}" for i in range(len(frame))])
    rows = []
    for name, part in frame.groupby(names, sort=False):
        row = {by: name, "images": len(part)}
        for t in task.targets:
            for end in endings:
                columns = [f"{c}{end}" for c in t.columns]
                values = part[columns].to_numpy(float)
                if how == "median" and t.scalar and np.isfinite(values).any():
                    average = np.nanmedian(values, axis=0)
                else:
                    average = t.constant_guess(values)  # NaN if all are missing
                row.update(zip(columns, average, strict=True))
        rows.append(row)
    return add_errors(task, pd.DataFrame(rows)) if has_labels else pd.DataFrame(rows)


def check_aggregation(task: Task, by: str | None, how: str = "mean", coverage: float | None = None) -> None:
    """Check what is asked of `aggregate_by` before any image is opened.

    Args:
        task: The task.
        by: A column, or None for no aggregation.
        how: One of AGGREGATIONS.
        coverage: Of intervals, which aggregated predictions do not have.

    Raises:
        ImgregError: If these do not go together.
    """
    if how not in AGGREGATIONS:
        raise ImgregError(f"--how {', '.join(AGGREGATIONS)}", f"'{how}'")
    if by is None:
        if how != AGGREGATIONS[0]:
            raise ImgregError(f"--by COLUMN for --how {how}", "no --by")
        return
    if coverage is not None:
        raise ImgregError("--coverage without --by: one answer for several images has no interval", f"--by {by}")
    reserved = {"image", "path", "split", "images", "ood"}
    for t in task.targets:
        endings = ("", "_predicted", "_true", "_error")
        reserved.update(t.interval_columns, (name + end for name in (t.name, *t.columns) for end in endings))
    if by in reserved:
        raise ImgregError("--by with a column that tells whose images they are", f"'{by}'")
    if task.has_points:
        names = first_few(t.name for t in task.targets if t.in_image)
        raise ImgregError("--by with targets that are the same in several images", f"points: {names}")
