"""A comparison to look at: the courses of its trainings over one another, and a page that holds all of it."""
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from .. import runs
from ..evaluation.comparison import Comparison, headline
from ..plots import save
from ..plots.sheets import CYCLE, INK, TitledFigure, log_scale, with_unit_label
from ..utils.format import format_amount, format_value
from . import html, images

NAME, LOSS = "compare", "valid_loss"
STYLES = ("-", "--", ":", "-.")  # where there are more runs than colours
HOW = ("Each difference is that to the first run, on the pictures that all of them predicted; its interval is the "
       "bootstrap's: the pictures, or the groups they belong to, are drawn anew.")


def write(found: Comparison, out: Path) -> tuple[Path, Path]:
    """Write OUT/compare-NNN.png and OUT/compare-NNN.html, a number that neither had yet; returns both paths."""
    with runs.new_files(out, NAME, ".png", ".html") as (plot, page):
        save(curves(found), plot)
        runs.write_file(page, html.render("report.html", contents(found)))
    return plot, page


def curves(found: Comparison, chosen: list[str] | None = None) -> Figure:
    """Validation loss, and the validation error of each target, over the epochs; a line for each run.

    A ring marks the epoch of a run's lowest validation loss; the title says which run's error there is the lowest.
    `chosen`: the columns of the histories that have a chart, else all.
    """
    best, own = [_best(history) for history in found.histories], _own(found)
    chosen = chosen or [LOSS, *own]
    titles = [_lowest(found, own[column], best) for column in chosen if column in own]
    sheet = TitledFigure(4.5 * len(chosen), 3.5,
                  "; ".join(filter(None, titles)) or f"Validation loss of {len(best)} runs",
                  "Validation, epoch by epoch. Rings: the epochs of the lowest validation loss.")
    charts = sheet.charts(len(chosen))
    for ax, column in zip(charts, chosen, strict=True):
        _lines(ax, found, column, best)
        unit = own[column]["unit"] if column in own else ""
        name = f"{own[column]['name']} error" if column in own else "validation loss"
        ax.set_ylabel(with_unit_label(name, unit), color=INK)
    charts[0].legend(frameon=False, fontsize=8.5, labelcolor=INK)
    return sheet


def _own(found: Comparison) -> dict[str, dict]:
    """The targets by the columns of their errors in a history."""
    return {f"{target['name']}_error": target for target in found.targets}


def _best(history: pd.DataFrame) -> int | None:
    """The row of the lowest validation loss, if there is any."""
    loss = history[LOSS].to_numpy(float)
    return int(np.nanargmin(loss)) if np.isfinite(loss).any() else None


def _lowest(found: Comparison, target: dict, best: list) -> str:
    """Which run's error is the lowest at its ring: "Lowest angle error: runs/b, 0.15°"."""
    column = f"{target['name']}_error"
    errors = {name: h[column].iloc[i] for name, h, i in zip(found.names, found.histories, best, strict=True)
              if i is not None and column in h and np.isfinite(h[column].iloc[i])}
    if not errors:
        return ""
    name = min(errors, key=errors.get)
    return f"Lowest {target['name']} error: {name}, {format_amount(errors[name], target['unit'])}"


def _lines(ax, found: Comparison, column: str, best: list) -> None:
    values = []
    for i, (name, history, row) in enumerate(zip(found.names, found.histories, best, strict=True)):
        if column not in history:
            continue
        colour, style = CYCLE[i % len(CYCLE)], STYLES[i // len(CYCLE) % len(STYLES)]
        ax.plot(history["epoch"], history[column], style, color=colour, linewidth=1.8, label=name,
                marker="o" if len(history) <= 40 else "", markersize=3.5)
        if row is not None:
            ax.plot(history["epoch"].iloc[row], history[column].iloc[row], "o", markersize=10, markerfacecolor="none",
                    markeredgecolor=colour, markeredgewidth=1.5)
        values.append(history[column].to_numpy(float))
    if values:
        log_scale(ax.yaxis, np.concatenate(values))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=(1, 2, 5, 10)))
    ax.set_xlabel("epoch", color=INK)


def contents(found: Comparison) -> dict:
    """The page, as the template wants it."""
    charts = [images.chart(curves(found, [column])) for column in (LOSS, *_own(found))]
    rows = [html.row(name, of) for name, of in found.settings.items()]
    settings = html.part(tables=[html.table("One column a run", ["setting", *found.names], rows, words=True)]
                          if rows else [], notes=[] if rows else ["None: these runs were made alike."])
    sections = [
        html.section("errors", "Errors on the same pictures",
                      [part for target in found.targets for part in _target(target, found.part)]),
        html.section("curves", "The trainings over one another", [html.part(charts=charts)]),
        html.section("settings", "Settings that differ", [settings]),
        html.section("notes", "What to mind", [html.part(notes=[*found.notes, HOW])]),
    ]
    return {"title": f"{len(found.names)} runs compared", "lead": ", ".join(found.names), "contents": sections,
            "sections": sections}


def _target(target: dict, part: str) -> list[dict]:
    """A target's verdicts, and its table below them."""
    unit, tested = target["unit"], [of for of in target["runs"] if "verdict" in of]
    rows = [html.row(of["run"], [
        format_value(of["mean"], unit) if "mean" in of else "no labels", f"{of['n']:,}",
        format_value(of["difference"], unit) if "difference" in of else "",
        f"{format_value(of['ci'][0], unit)} to {format_value(of['ci'][1], unit)}" if "ci" in of else "",
    ]) for of in target["runs"]]
    heads = ["run", "mean error", "pictures", "more than the first", "95 % interval"]
    verdicts = [html.part(target["name"] if i == 0 else "", verdict=of["verdict"], bad=min(of.get("ci", [0])) > 0)
                for i, of in enumerate(tested)]
    table = html.table(f"Mean error of {target['name']}", heads, rows)
    title = "" if verdicts else target["name"]
    return [*verdicts, html.part(title, notes=[headline(target, part)], tables=[table])]
