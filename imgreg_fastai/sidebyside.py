"""A comparison to look at: the courses of its trainings over one another, and a page that holds all of it."""
import base64
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from . import pages, runs
from .comparison import Comparison, headline
from .plots import save
from .scoring import quantity
from .sheets import CYCLE, INK, Sheet, amount, log_scale

STYLES = ("-", "--", ":", "-.")  # where there are more runs than colours
CSS = 96  # pixels an inch, in a browser
NAME = "compare"


def write(found: Comparison, out: Path) -> tuple[Path, Path]:
    """Write OUT/compare-NNN.png and OUT/compare-NNN.html, a number that neither had yet; returns both paths."""
    stem = max(Path(runs.fresh(out, NAME, ending, always=True)).stem for ending in (".png", ".html"))
    fig = curves(found)
    plot = save(fig, out / f"{stem}.png")
    text = pages.render("compare.html", contents(found, fig, plot.read_bytes()))
    return plot, runs.write(out / f"{stem}.html", text)


def curves(found: Comparison) -> Figure:
    """Validation loss, and the validation error of each target, over the epochs; a line for each run.

    A ring marks the epoch of a run's lowest validation loss. The title says which run's error there is the lowest.
    """
    best = [_best(history) for history in found.histories]
    titles = [_lowest(found, target, best) for target in found.targets]
    sheet = Sheet(4.6 * (1 + len(found.targets)), 3.7, "; ".join(filter(None, titles)) or f"{len(best)} trainings",
                  "Validation, epoch by epoch. Rings: the epochs of the lowest validation loss.")
    charts = sheet.charts(1 + len(found.targets))
    columns = ["valid_loss", *(f"{t['name']}_error" for t in found.targets)]
    units = ["", *(t["unit"] for t in found.targets)]
    for ax, column, unit in zip(charts, columns, units, strict=True):
        _lines(ax, found, column, best)
        name = "validation loss" if column == "valid_loss" else column.replace("_error", " error")
        ax.set_ylabel(name + (f" ({unit})" if unit else ""), color=INK)
    charts[0].legend(frameon=False, fontsize=8.5, labelcolor=INK)
    return sheet


def _best(history: pd.DataFrame) -> int | None:
    """The row of the lowest validation loss, if there is any."""
    loss = history["valid_loss"].to_numpy(float)
    return int(np.nanargmin(loss)) if np.isfinite(loss).any() else None


def _lowest(found: Comparison, target: dict, best: list) -> str:
    """Which run's error is the lowest at its ring: "lowest angle error: runs/b, 0.15°"."""
    column = f"{target['name']}_error"
    errors = {name: h[column].iloc[i] for name, h, i in zip(found.names, found.histories, best, strict=True)
              if i is not None and column in h and np.isfinite(h[column].iloc[i])}
    if not errors:
        return ""
    name = min(errors, key=errors.get)
    return f"lowest {target['name']} error: {name}, {amount(errors[name], target['unit'])}"


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


def contents(found: Comparison, fig: Figure, png: bytes) -> dict:
    """What the template compare.html wants, as plain data; `png`: the bytes of the figure."""
    width, height = fig.get_size_inches()
    sections = [{"id": "errors", "title": "Errors on the same pictures"},
                {"id": "curves", "title": "The trainings over one another"},
                {"id": "settings", "title": "Settings that differ"}, {"id": "notes", "title": "What to mind"}]
    return {
        "title": f"{len(found.names)} runs beside one another", "lead": ", ".join(found.names), "contents": sections,
        "targets": [_target(target, found.part) for target in found.targets],
        "plot": {"src": f"data:image/png;base64,{base64.b64encode(png).decode()}", "alt": _alt(found, fig),
                 "width": round(width * CSS), "height": round(height * CSS), "caption": ""},
        "settings": {"caption": "One column a run", "columns": ["setting", *found.names], "words": True,
                     "rows": [{"name": name, "cells": of, "bad": False} for name, of in found.settings.items()]},
        "notes": [*found.notes, "Each difference is that to the first run, on the pictures that all of them predicted; "
                  "its interval is the bootstrap's: the pictures, or the groups they belong to, are drawn anew."],
    }


def _target(target: dict, part: str) -> dict:
    """A target's sentences and its table."""
    rows = [{"name": of["run"], "bad": False, "cells": [
        quantity(of["mean"], target["unit"]) if "mean" in of else "no labels", str(of["n"]),
        quantity(of["difference"], target["unit"]) if "difference" in of else "",
        f"{quantity(of['ci'][0], target['unit'])} to {quantity(of['ci'][1], target['unit'])}" if "ci" in of else "",
    ]} for of in target["runs"]]
    return {"name": target["name"], "headline": headline(target, part),
            "verdicts": [{"text": of["verdict"], "bad": min(of.get("ci", [0])) > 0} for of in target["runs"]
                         if "verdict" in of],
            "table": {"caption": f"Mean error of {target['name']}, {part}", "words": False, "rows": rows,
                      "columns": ["run", "mean error", "pictures", "more than the first", "95 % interval"]}}


def _alt(found: Comparison, fig: Figure) -> str:
    """The finding of the plot, in words."""
    each = (f"{name}: {len(history)} epochs" for name, history in zip(found.names, found.histories, strict=True))
    return f"Line charts of validation loss and errors over the epochs. {fig.get_suptitle()}. {'; '.join(each)}."
