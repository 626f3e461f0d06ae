"""How much each row counts in the training loss: the column `row_weight` of a labels frame, 1 on average."""
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from ...tasks import ROW_WEIGHT
from ...utils.messages import ImgregError, first_few, say, warn
from .issue_rules import LabelTable


def read_row_weights(column: pd.Series) -> np.ndarray:
    """Read the weights of the rows of a table.

    Args:
        column: Its cells, their index + 2 the numbers of the rows.

    Returns:
        [n], at least 0; NaN where the cell is empty.

    Raises:
        ImgregError: A cell is no weight, or none is above 0.
    """
    weights = pd.to_numeric(column, errors="coerce").to_numpy(float, na_value=np.nan)
    empty = column.isna().to_numpy() | (column.astype(str).str.strip() == "").to_numpy()
    wrong = ~empty & ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        cells = [f"'{cell}' in row {i + 2}" for i, cell in column[wrong].items()]
        raise ImgregError(f"--row-weight {column.name}: finite weights of at least 0", first_few(cells, 3))
    if not (weights > 0).any():
        raise ImgregError(f"--row-weight {column.name}: a weight above 0", "none")
    return weights


def multiply_row_weights(table: LabelTable, join: Callable[[LabelTable], LabelTable]) -> LabelTable:
    """Join rows that have weights of their own to rows that may get others: both count.

    Args:
        table: The labels table, with the column `row_weight` where the user named one.
        join: Joins rows; it refuses those of an image that differ in a column.

    Returns:
        What `join` returns; its rows have the product of both weights.
    """
    if ROW_WEIGHT not in table.frame:
        return join(table)
    name = f"--row-weight {table.task.row_weight}"
    joined = join(replace(table, frame=table.frame.rename(columns={ROW_WEIGHT: name})))
    others = joined.frame.get(ROW_WEIGHT, 1.0)
    weighed = joined.frame.drop(columns=name).assign(**{ROW_WEIGHT: others * joined.frame[name]})
    return replace(joined, frame=weighed)


def apply_row_weights(rows: pd.DataFrame) -> pd.DataFrame:
    """Make the weights of the training part 1 on average, and leave out its rows of weight 0, which teach nothing.

    Args:
        rows: Labels frame with its split, and `row_weight` where it has weights. A row without one has weight 1 then.

    Returns:
        The frame with a new index where rows are left out.

    Raises:
        ImgregError: No row of the training part has a weight above 0.
    """
    if ROW_WEIGHT not in rows:
        return rows
    weights, train = rows[ROW_WEIGHT].to_numpy(float), (rows["split"] == "train").to_numpy()
    empty = np.isnan(weights)
    if empty[train].any():
        warn(f"{empty[train].sum()} of {train.sum()} rows to train on have no weight: they count like the average row")
    positive = train & (weights > 0)
    if not positive.any():
        raise ImgregError("a weight above 0 among the images to train on", "none")
    zero = train & (weights == 0)
    if zero.any():
        say(f"{zero.sum()} rows of weight 0 are not trained on")
    weights = np.where(empty, 1.0, weights / weights[positive].mean())
    return rows.assign(**{ROW_WEIGHT: weights})[~zero].reset_index(drop=True)
