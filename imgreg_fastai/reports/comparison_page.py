"""The plot and the page of a comparison of runs."""
from pathlib import Path

import numpy as np

from .. import runs
from ..evaluation.comparison import Comparison, headline
from ..plots.axes import add_legend, with_unit_label
from ..plots.figures import TitledFigure, save
from ..plots.training_charts import Course, best_row, draw_courses
from ..utils.files import new_files
from ..utils.format import format_amount, format_value
from . import html
from .images import chart

NAME, LOSS = "compare", "valid_loss"
METHOD = ("Each difference is that to the first run, on the pictures that all of them predicted. Its interval is a "
          "bootstrap interval over pictures, or over the groups they belong to.")


def write(comparison: Comparison, out: Path) -> tuple[Path, Path]:
    """Write OUT/compare-NNN.png and OUT/compare-NNN.html under a number that is still free.

    Args:
        comparison: what to show.
        out: a folder.

    Returns:
        The paths of the plot and of the page.
    """
    with new_files(out, NAME, ".png", ".html") as (plot, page):
        save(curves(comparison), plot)
        runs.write_file(page, html.render(page_data(comparison)))
    return plot, page


def curves(comparison: Comparison, columns: list[str] | None = None) -> TitledFigure:
    """Validation loss and validation errors over the epochs, a line for each run.

    A ring marks the epoch of a run's lowest validation loss; the title says which run's error is lowest there.

    Args:
        comparison: the runs.
        columns: of their histories, one chart each; by default the loss and each target's error.

    Returns:
        A figure.
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
    """The targets by the columns of their errors in a history."""
    return {f"{target['name']}_error": target for target in comparison.targets}


def _lowest_error(histories: dict, target: dict) -> str:
    """The run whose error is the lowest at its best epoch: "Lowest angle error: runs/b, 0.15°"."""
    column, errors = f"{target['name']}_error", {}
    for name, history in histories.items():
        best = best_row(history)
        if best is not None and column in history:
            errors[name] = history[column].iloc[best]
    errors = {name: error for name, error in errors.items() if np.isfinite(error)}
    if not errors:
        return ""
    name = min(errors, key=errors.get)
    return f"Lowest {target['name']} error: {name}, {format_amount(errors[name], target['unit'])}"


def page_data(comparison: Comparison) -> dict:
    """The page as plain data, see html.render."""
    charts = [chart(curves(comparison, [column])) for column in (LOSS, *_targets_by_column(comparison))]
    rows = [(name, *values) for name, values in comparison.settings.items()]
    settings = html.table("One column a run", ["setting", *comparison.names], rows, words=True)
    errors = [part for target in comparison.targets for part in _target_parts(target, comparison.part)]
    sections = [
        html.section("errors", "Errors on the same pictures", errors),
        html.section("curves", "The trainings over one another", [html.part(charts=charts)]),
        html.section("settings", "Settings that differ", [
            html.part(notes=[] if rows else ["None: these runs have the same settings."], tables=[settings])]),
        html.section("notes", "What to keep in mind", [html.note(*comparison.notes, METHOD)]),
    ]
    names = comparison.names
    return {"title": f"{len(names)} runs compared", "lead": ", ".join(names), "sections": sections}


def _target_parts(target: dict, part: str) -> list[dict]:
    """A target's verdicts, and its table below them."""
    unit, rows, verdicts = target["unit"], [], []
    for run in target["runs"]:
        mean = format_value(run["mean"], unit) if "mean" in run else "no labels"
        difference = format_value(run["difference"], unit) if "difference" in run else ""
        interval = " to ".join(format_value(end, unit) for end in run.get("ci", ()))
        rows.append((run["run"], mean, f"{run['n']:,}", difference, interval))
        if "verdict" in run:
            title = "" if verdicts else target["name"]
            verdicts.append(html.part(title, verdict=run["verdict"], bad=min(run.get("ci", [0])) > 0))
    heads = ["run", "mean error", "pictures", "more than the first", "95 % interval"]
    table = html.table(f"Mean error of {target['name']}", heads, rows)
    title = "" if verdicts else target["name"]
    return [*verdicts, html.part(title, notes=[headline(target, part)], tables=[table])]
