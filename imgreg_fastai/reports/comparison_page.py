"""The plot and the page of a comparison of runs."""
from pathlib import Path

import numpy as np
import pandas as pd

from .. import runs
from ..evaluation.comparison import Comparison, headline
from ..plots.axes import add_legend, with_unit_label
from ..plots.figures import TitledFigure, save
from ..plots.training_charts import Course, best_row, draw_courses
from ..utils.files import new_files
from ..utils.format import format_amount
from . import html
from .images import chart

NAME, LOSS = "compare", "valid_loss"


def write(comparison: Comparison, out: Path) -> tuple[Path, Path]:
    """Write OUT/compare-NNN.png and OUT/compare-NNN.html under a number that is still free.

    Returns:
        The paths of the plot and of the page.
    """
    with new_files(out, NAME, ".png", ".html") as (plot, page):
        save(curves(comparison), plot)
        runs.write_file(page, html.render("comparison.html", page_data(comparison)))
    return plot, page


def curves(comparison: Comparison, columns: list[str] | None = None) -> TitledFigure:
    """Validation loss and validation errors over the epochs, a line for each run.

    A ring marks the epoch of a run's lowest validation loss; the title says which run's error is lowest there.

    Args:
        comparison: The runs.
        columns: Of their histories, one chart each; by default the loss and each target's error.
    """
    targets = _targets_by_column(comparison)
    columns = columns or [LOSS, *targets]
    histories = dict(zip(comparison.names, comparison.histories, strict=True))
    titles = [_lowest_error(histories, targets[column]) for column in columns if column in targets]
    title = "; ".join(filter(None, titles)) or f"Validation loss of {len(comparison.names)} runs"
    figure = TitledFigure(4.5 * len(columns), 3.5, title,
                          "Validation, epoch by epoch. Rings: the epochs of the lowest validation loss.")
    charts = figure.add_charts(len(columns))
    for ax, column in zip(charts, columns, strict=True):
        label = "validation loss"
        if column in targets:
            label = with_unit_label(f"{targets[column]['name']} error", targets[column]["unit"])
        courses = [Course(history, column, name) for name, history in histories.items() if column in history]
        draw_courses(ax, courses, label)
    add_legend(charts[0])
    return figure


def _targets_by_column(comparison: Comparison) -> dict[str, dict]:
    """Return the targets by the columns of their errors in a history."""
    return {f"{target['name']}_error": target for target in comparison.targets}


def _lowest_error(histories: dict[str, pd.DataFrame], target: dict) -> str:
    """Name the run whose error is the lowest at its best epoch: "Lowest angle error: runs/b, 0.15°"."""
    column, errors = f"{target['name']}_error", {}
    for name, history in histories.items():
        best = best_row(history)
        if best is not None and column in history and np.isfinite(history[column].iloc[best]):
            errors[name] = history[column].iloc[best]
    if not errors:
        return ""
    name = min(errors, key=lambda name: errors[name])
    return f"Lowest {target['name']} error: {name}, {format_amount(errors[name], target['unit'])}"


def page_data(comparison: Comparison) -> dict:
    """Collect what the template comparison.html takes."""
    targets = [{**target, "headline": headline(target, comparison.part)} for target in comparison.targets]
    return {"names": comparison.names, "targets": targets, "settings": comparison.settings, "notes": comparison.notes,
            "has_intervals": any("ci" in run for target in comparison.targets for run in target["runs"]),
            "curves": [chart(curves(comparison, [column])) for column in (LOSS, *_targets_by_column(comparison))]}
