"""Intervals: what a model said of its own errors, and how large these were; the section of the report, and its chart.

A chart is a Figure, as those of charts.py are; a `frame` is what charts.py says, with the columns `within` of its
targets.
"""
import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ..plots.sheets import (
    BLUE,
    INK,
    PALE,
    SKY,
    VERMILION,
    TitledFigure,
    empty_figure,
    labelled_rows,
    log_scale,
    with_unit_label,
)
from ..utils.format import format_amount
from . import html
from .images import chart
from .inputs import WORDS, ReportInputs
from .sections import target_heading
from .verdict import share

WORST = 10  # groups in a table
ALIKE = 1.01  # times the smallest radius, below which all are one


def section(e: ReportInputs, which) -> list[dict]:
    """How many of the true values lie within their intervals, overall, by group and over the range."""
    if not any("coverage" in of for scores in e.scores.values() for of in scores.values()):
        return [html.part(notes=["This model gives no intervals: no pictures were kept to calibrate them "
                                  "(imgreg train with --calibrate 0.15 keeps some)."])]
    return [*_flattered(e), *_unlike(e), *(_interval(e, t) for t in which)]


def _flattered(e: ReportInputs) -> list[dict]:
    """What to hold against intervals that only the validation part could judge."""
    return [] if e.judged != "valid" else [html.part(notes=[
        "The validation part tells whether they hold, and it also chose the epoch and taught which pictures are hard: "
        "of other pictures they may hold somewhat fewer. --test 0.1 keeps a part that judges alone."])]


def _unlike(e: ReportInputs) -> list[dict]:
    if "unlike" not in e.rows:
        return []
    odd = e.rows["unlike"].astype(str) == "True"
    if not odd.any():
        return [html.part(notes=[f"None of {len(odd):,} pictures is unlike those it was trained on."])]
    return [html.part(notes=[f"{int(odd.sum()):,} of {len(odd):,} pictures are unlike those it was trained on. There "
                              "an interval promises little; predictions.csv names them."])]


def _interval(e: ReportInputs, t) -> dict:
    held = {part: of[t.name]["coverage"] for part, of in e.scores.items() if "coverage" in of[t.name]}
    rows = [html.row(f"{WORDS.get(part, part)} part", [
        share(of["asked"]), share(of["reached"]),
        f"{share(of['low'])} to {share(of['high'])}" if of.get("low", 1) < of.get("high", 1) else "–",
        format_amount(of["width"], t.unit)]) for part, of in held.items()]
    heads = ["part", "asked", "reached", "95 % interval of that", "mean radius"]
    tables = [html.table(f"Intervals of {t.name}", heads, rows)]
    groups, over = (held.get(e.part, {}).get(name, {}) for name in ("groups", "range"))
    if groups:
        of = [(name, g) for name, g in list(groups.items())[:WORST]]
        tables.append(_held(f"By group, the worst of {len(groups)} first", "group", of, t))
    if over:
        ends = [(f"{format_amount(p['low'])} to {format_amount(p['high'], t.unit)}", p) for p in over]
        tables.append(_held("Over the range of the truth", "from, to", ends, t))
    drawn = [chart(errors_within(e.task, t, e.rows))] if set(t.interval_columns) <= {*e.rows} else []
    return html.part(target_heading(e, t), tables=tables, charts=drawn)


def _held(caption: str, head: str, of: list[tuple[str, dict]], t) -> dict:
    return html.table(caption, [head, _counted(t), "reached"],
                       [html.row(name, [f"{p['n']:,}", share(p["reached"])]) for name, p in of])


def _counted(t) -> str:
    """What has an interval: each picture, or each point in it."""
    return "points" if len(t.interval_columns) > 1 else "pictures"


def errors_within(task, target, frame) -> Figure:
    """Each error over the radius it was expected to keep within: below the diagonal it does."""
    rows, true, predicted, _ = labelled_rows(target, frame)
    error, radius = target.interval_errors(predicted, true), rows[list(target.interval_columns)].to_numpy(float)
    both = np.isfinite(error + radius)
    error, radius = error[both], radius[both]
    if not len(error):
        return empty_figure(target)
    held, what = error <= radius, _counted(target)
    title = f"{target.name}: {100 * held.mean():.3g} % of {len(error):,} {what} lie within their interval"
    if radius.max() <= ALIKE * radius.min():
        return _spread(target, error, radius[0], title, what)
    sheet = TitledFigure(6.2, 4.6, title, f"Above the line the error was larger than the interval. Task {task.name}.")
    (ax,) = sheet.charts()
    least = np.clip(np.quantile(error, 0.01), radius.min() / 100, radius.min())  # no dot may cross the line by this
    line = np.linspace(radius.min(), radius.max(), 200)  # bent where one scale is logarithmic
    ax.plot(line, line, color=INK, linewidth=1)
    for mask, colour in ((held, BLUE), (~held, VERMILION)):
        ax.scatter(radius[mask], np.maximum(error[mask], least), s=14, linewidth=0, color=colour, alpha=0.6)
    log_scale(ax.xaxis, radius)
    log_scale(ax.yaxis, np.array([least, error.max(), radius.max()]))
    ax.set_xlabel(with_unit_label("radius of the interval", target.unit), color=INK)
    ax.set_ylabel(with_unit_label("error", target.unit), color=INK)
    return sheet


def _spread(target, error, radius: float, title: str, what: str) -> Figure:
    """How errors are spread beside the one radius that all pictures have."""
    sheet = TitledFigure(6.2, 3.6, title, f"All {what} have the same interval, ±{format_amount(radius, target.unit)}: the line.")
    (ax,) = sheet.charts()
    top = max(1.05 * radius, np.quantile(error, 0.99))
    ax.hist(np.minimum(error, top), 40, range=(0, top), color=SKY, edgecolor=PALE, linewidth=0.4)
    ax.axvline(radius, color=INK, linewidth=1.6)
    more = ", the last bar: all beyond" if error.max() > top else ""
    ax.set_xlabel(with_unit_label("error", target.unit) + more, color=INK)
    ax.set_ylabel(what, color=INK)
    ax.yaxis.set_major_locator(MaxNLocator(integer=True))
    return sheet
