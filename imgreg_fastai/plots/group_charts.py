"""Charts of errors by point and by group."""
import numpy as np
import pandas as pd

from ..utils.format import format_amount
from .axes import with_unit_label
from .figures import BLUE, INK, SKY, TitledFigure, chart_figure, short_name
from .frames import labelled_rows, no_rows_figure

MAX_GROUPS = 30


def errors_by_point(task, target, frame) -> TitledFigure:
    """The errors of each point of a target, under its name: their mean as a dot, 90 % of them as a line."""
    _, true, predicted, _ = labelled_rows(target, frame)
    if not len(true):
        return no_rows_figure(target)
    errors = pd.DataFrame(target.interval_errors(predicted, true), columns=target.names).dropna(axis=1, how="all")
    names, mean = errors.columns, errors.mean().to_numpy()
    figure, ax = chart_figure(float(np.clip(1.2 + 0.16 * len(names), 7, 16)), 3.9, _title(target, names, mean),
                              f"Dot: a point's mean error; line: 90 % of its errors. {len(true)} pictures, "
                              f"task {task.name}.")
    positions, step = np.arange(len(names)), 1 + len(names) // 90
    ax.vlines(positions, errors.quantile(0.05), errors.quantile(0.95), color=SKY, linewidth=2)
    ax.plot(positions, mean, "o", color=BLUE, markersize=4.5)
    ax.set_xticks(positions[::step], names[::step], rotation=90 if len(names) > 12 else 0, fontsize=7.5)
    ax.grid(visible=False, axis="x")
    ax.set(xlim=(-0.8, len(names) - 0.2), ylim=(0, None), ylabel=with_unit_label("error", target.unit))
    return figure


def groups(task, target, frame) -> TitledFigure:
    """The errors of each group (person, place), the worst first: their mean as a bar, 90 % of them as a line."""
    rows, _, _, error = labelled_rows(target, frame)
    errors = pd.Series(error).groupby(rows["group"].astype(str).where(rows["group"].notna()).to_numpy())
    table = errors.agg(["mean", "size", "median"]).assign(low=errors.quantile(0.05), high=errors.quantile(0.95))
    table = table.sort_values("mean", ascending=False, kind="stable")
    if table.empty:
        return no_rows_figure(target)
    title = _title(target, table.index, table["mean"].to_numpy())
    note = "Bar: mean; ring: median; line: 90 % of the errors; dashed: mean of all; in brackets: pictures."
    if len(table) > MAX_GROUPS:
        note += f" The {MAX_GROUPS} worst of {len(table)} groups are shown."
    table = table[:MAX_GROUPS]
    names = [f"{short_name(name)}  ({size})" for name, size in table["size"].items()]
    figure, ax = chart_figure(7.6, 1.0 + 0.24 * len(table), title, note)
    positions = np.arange(len(table))
    ax.barh(positions, table["mean"], height=0.66, color=SKY, zorder=2)
    ax.hlines(positions, table["low"], table["high"], color=BLUE, linewidth=1.6, zorder=3)
    ax.plot(table["median"], positions, "o", markersize=5, markerfacecolor="white", markeredgecolor=BLUE, zorder=4)
    ax.axvline(error.mean(), color=INK, linewidth=1, linestyle=(0, (2, 3)), zorder=4)
    ax.set_yticks(positions, names)
    ax.grid(visible=False, axis="y")
    ax.set(ylim=(len(table) - 0.4, -0.6), xlim=(0, None), xlabel=with_unit_label("error", target.unit))
    return figure


def _title(target, names, mean) -> str:
    """The worst and the best of the names [n] by their mean errors [n]."""
    worst, best = (f"{names[i]}, {format_amount(mean[i], target.unit)}" for i in (mean.argmax(), mean.argmin()))
    return f"{target.name}: worst {worst}; best {best}"
