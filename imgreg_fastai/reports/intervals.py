"""The section on intervals, and its chart: how wide a model's intervals are, and how many true values they contain."""
import numpy as np
from matplotlib.ticker import MaxNLocator

from ..plots.axes import set_log_scale, with_unit_label
from ..plots.charts import labelled_rows, no_rows_figure
from ..plots.figures import BLUE, INK, PALE, SKY, VERMILION, TitledFigure, chart_figure
from ..utils.format import format_amount
from . import html
from .images import chart
from .inputs import ReportInputs, part_name
from .verdict import share

MAX_GROUPS = 10
SAME_WIDTH = 1.01  # times the smallest half-width, below which all are the same


def interval_parts(inputs: ReportInputs, targets) -> list[dict]:
    """How many of the true values lie within their intervals: overall, by group and over the range of the labels."""
    if not any("coverage" in numbers for scores in inputs.scores.values() for numbers in scores.values()):
        return [html.note("This model gives no intervals: no pictures were kept to calibrate them "
                          "(--calibrate SHARE of imgreg train keeps some).")]
    selection_note, ood_note = "", ""
    if inputs.verdict_part == "valid":
        selection_note = ("The coverage below may be a little too good: the validation part also chose the epoch and "
                          "taught which pictures are hard. --test 0.1 keeps pictures that are only scored.")
    if "unlike" in inputs.rows:
        n = (inputs.rows["unlike"].astype(str) == "True").sum()
        ood_note = (f"{n:,} of {len(inputs.rows):,} pictures are unlike those it was trained on (column unlike of "
                    "predictions.csv). Intervals of such pictures are not reliable.")
    return [html.note(selection_note, ood_note), *(_target_part(inputs, target) for target in targets)]


def _target_part(inputs: ReportInputs, target) -> dict:
    """The tables and the chart of a target."""
    coverage = {part: scores[target.name]["coverage"] for part, scores in inputs.scores.items()
                if "coverage" in scores[target.name]}
    rows = []
    for part, numbers in coverage.items():
        ends = ""
        if numbers.get("low", 1) < numbers.get("high", 1):
            ends = f"{share(numbers['low'])} to {share(numbers['high'])}"
        rows.append((f"{part_name(part)} part", share(numbers["asked"]), share(numbers["reached"]), ends,
                     format_amount(numbers["width"], target.unit)))
    heads = ["part", "asked", "reached", "95 % interval of that", "mean half-width"]
    tables = [html.table(f"Intervals of {target.name}", heads, rows)]
    details = coverage.get(inputs.part, {})
    groups = list(details.get("groups", {}).items())
    ranges = [(f"{format_amount(part['low'])} to {format_amount(part['high'], target.unit)}", part)
              for part in details.get("range", [])]
    for caption, head, parts in ((f"By group, the worst of {len(groups)} first", "group", groups[:MAX_GROUPS]),
                                 ("Over the range of the true values", "from, to", ranges)):
        rows = [(name, f"{part['n']:,}", share(part["reached"])) for name, part in parts]
        tables.append(html.table(caption, [head, _counted(target), "reached"], rows))
    charts = []
    if set(target.interval_columns) <= {*inputs.rows}:
        charts.append(chart(errors_over_half_widths(inputs.task, target, inputs.rows)))
    return html.part(inputs.heading(target), tables=tables, charts=charts)


def _counted(target) -> str:
    """What has an interval: each picture, or each point in it."""
    return "points" if len(target.interval_columns) > 1 else "pictures"


def errors_over_half_widths(task, target, frame) -> TitledFigure:
    """Each error over the half-width of its interval: below the diagonal it lies within.

    Args:
        task: the Task.
        target: one of its targets.
        frame: see plots/__init__.py, with the target's interval columns.

    Returns:
        A figure; a histogram of the errors where all intervals have the same width.
    """
    rows, true, predicted, _ = labelled_rows(target, frame)
    error, half_width = target.interval_errors(predicted, true), rows[list(target.interval_columns)].to_numpy(float)
    finite = np.isfinite(error + half_width)
    error, half_width = error[finite], half_width[finite]
    if not len(error):
        return no_rows_figure(target)
    within, counted = error <= half_width, _counted(target)
    title = f"{target.name}: {100 * within.mean():.3g} % of {len(error):,} {counted} lie within their interval"
    if half_width.max() <= SAME_WIDTH * half_width.min():
        return _error_histogram(target, error, half_width[0], title)
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


def _error_histogram(target, error, half_width: float, title: str) -> TitledFigure:
    """The distribution of the errors, and a line at the half-width that all intervals have."""
    counted = _counted(target)
    note = f"All {counted} have the same interval, ±{format_amount(half_width, target.unit)}: the line."
    figure, ax = chart_figure(6.2, 3.6, title, note)
    top = max(1.05 * half_width, np.quantile(error, 0.99))
    ax.hist(np.minimum(error, top), 40, range=(0, top), color=SKY, edgecolor=PALE, linewidth=0.4)
    ax.axvline(half_width, color=INK, linewidth=1.6)
    beyond = ", the last bar: all beyond" if error.max() > top else ""
    ax.set(xlabel=with_unit_label("error", target.unit) + beyond, ylabel=counted)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    return figure
