"""The chart of intervals: how wide a model's intervals are, and how many true values they contain."""
import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator

from ..plots.axes import set_log_scale, with_unit_label
from ..plots.charts import labelled_rows, no_rows_figure
from ..plots.figures import BLUE, INK, PALE, SKY, VERMILION, TitledFigure, chart_figure
from ..tasks import Target, Task
from ..utils.format import format_amount

SAME_WIDTH = 1.01  # times the smallest half-width, below which all are the same


def errors_over_half_widths(task: Task, target: Target, frame: pd.DataFrame) -> TitledFigure:
    """Draw each error over the half-width of its interval: below the diagonal it lies within.

    Args:
        task: The Task.
        target: One of its targets.
        frame: See plots/__init__.py, with the target's interval columns.

    Returns:
        A figure; a histogram of the errors where all intervals have the same width.
    """
    rows, true, predicted, _ = labelled_rows(target, frame)
    error, half_width = target.interval_errors(predicted, true), rows[list(target.interval_columns)].to_numpy(float)
    finite = np.isfinite(error + half_width)
    error, half_width = error[finite], half_width[finite]
    if not len(error):
        return no_rows_figure(target)
    within, counted = error <= half_width, "points" if len(target.interval_columns) > 1 else "images"
    title = f"{target.name}: {100 * within.mean():.3g} % of {len(error):,} {counted} lie within their interval"
    if half_width.max() <= SAME_WIDTH * half_width.min():
        return _error_histogram(target, error, half_width[0], counted, title)
    figure, ax = chart_figure(6.2, 4.6, title, "Above the line the error is larger than the interval.")
    lowest = np.clip(np.quantile(error, 0.01), half_width.min() / 100, half_width.min())  # no dot may cross the line
    line = np.linspace(half_width.min(), half_width.max(), 200)  # bent where one scale is logarithmic
    ax.plot(line, line, color=INK, linewidth=1)
    for mask, colour in ((within, BLUE), (~within, VERMILION)):
        ax.scatter(half_width[mask], np.maximum(error[mask], lowest), s=14, linewidth=0, color=colour, alpha=0.6)
    set_log_scale(ax.xaxis, half_width)
    set_log_scale(ax.yaxis, np.array([lowest, error.max(), half_width.max()]))
    ax.set(xlabel=with_unit_label("half-width of the interval", target.unit),
           ylabel=with_unit_label("error", target.unit))
    return figure


def _error_histogram(target: Target, error: np.ndarray, half_width: float, counted: str, title: str) -> TitledFigure:
    """Draw the distribution of the errors, and a line at the half-width that all intervals have."""
    note = f"All {counted} have the same interval, ±{format_amount(half_width, target.unit)}: the line."
    figure, ax = chart_figure(6.2, 3.6, title, note)
    top = max(1.05 * half_width, np.quantile(error, 0.99))
    ax.hist(np.minimum(error, top), 40, range=(0, top), color=SKY, edgecolor=PALE, linewidth=0.4)
    ax.axvline(half_width, color=INK, linewidth=1.6)
    beyond = ", the last bar: all beyond" if error.max() > top else ""
    ax.set(xlabel=with_unit_label("error", target.unit) + beyond, ylabel=counted)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
