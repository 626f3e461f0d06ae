"""One figure of a labels table: how its labels are distributed, where its points lie, how large its images are."""
import math

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from matplotlib.ticker import EngFormatter

from ..data.checks import DataCheck
from ..data.issues import LEVELS
from ..data.splits import SPLITS
from ..tasks import Target
from ..utils.format import trailing_unit
from ..utils.messages import first_few
from . import axes
from .figures import BLUE, CYCLE, GREEN, GREY, INK, ORANGE, SKY, VERMILION, TitledFigure, empty_figure

ACROSS, WIDTH, HEIGHT = 3, 4.1, 2.9  # charts in a row, and their sides in inches with the axes' labels
MAX_HISTOGRAMS = 11
MAX_BARS = 60  # different values that have a bar each
MAX_DOTS = 20_000  # of more points a part is drawn, picked at random
MAX_NAMED_POINTS = 6  # with a colour and a name each
PART_COLOURS = dict(zip(SPLITS, (BLUE, ORANGE, GREEN, VERMILION), strict=True))


def draw_overview(check: DataCheck) -> TitledFigure:
    """Draw a histogram of each column, a chart of each target of points, and one of the images' sizes.

    Only rows that can be used are counted; there are sizes only if the images were opened.
    """
    title = f"{check.task.name}: {check.summary}"
    rows = check.frame[check.frame["usable"]]
    if not len(rows):
        return empty_figure(title, "No row can be used.")
    has_parts = "split" in rows and rows["split"].isin(SPLITS).any()  # a table may call its parts otherwise: an issue
    rows = rows.assign(split=rows["split"] if has_parts else SPLITS[0])
    points = [target for target in check.task.targets if target.in_image]
    columns = [(target, column) for target in check.task.targets if not target.in_image for column in target.columns]
    drawn_columns = columns[:MAX_HISTOGRAMS]
    issues = [f"{issue.text} ({len(issue.rows):,} of {issue.total:,} rows)" if issue.rows else issue.text
              for level in LEVELS for issue in check.issues_at(level)]
    note = f"Found: {first_few(issues, 6)}." if issues else ""
    if len(columns) > MAX_HISTOGRAMS:
        note += f" {len(columns) - MAX_HISTOGRAMS} more columns are not drawn."
    has_sizes = "width" in rows
    n = len(drawn_columns) + len(points) + int(has_sizes)
    across = min(ACROSS, n)
    figure = TitledFigure(max(6.5, WIDTH * across), max(3.6, HEIGHT * math.ceil(n / across)), title, note)
    charts = iter(figure.add_charts(n, across))
    for target, column in drawn_columns:
        _draw_histogram(next(charts), rows, target, column)
    for target in points:
        _draw_points(next(charts), rows, target)
    if has_sizes:
        _draw_sizes(next(charts), rows)
    if columns and has_parts:
        counts = rows["split"].value_counts()
        bars = [Patch(color=colour, label=f"{part} ({counts[part]:,})") for part, colour in PART_COLOURS.items()
                if part in counts]
        figure.legend(handles=bars, loc="outside right upper", frameon=False, fontsize=9, labelcolor=INK)
    return figure


def _draw_histogram(ax: Axes, rows: pd.DataFrame, target: Target, column: str) -> None:
    """Draw the distribution of a column, stacked by part of the split; values far from all others are counted."""
    values = rows[column].to_numpy(float)
    typical, log = target.typical(values)
    if log:
        typical &= values > 0
    ax.set(xlabel=axes.with_unit_label(column, target.label_unit), ylabel="rows")
    if not typical.any():
        return
    parts = [part for part in SPLITS if part in {*rows["split"]}]
    ax.hist([values[typical & (rows["split"] == part)] for part in parts], _bar_edges(values[typical], log),
            stacked=True, linewidth=0.4, edgecolor="white", color=[PART_COLOURS[part] for part in parts])
    ax.yaxis.set_major_formatter(lambda v, _: f"{v:,.0f}" if v % 1 == 0 else "")
    if log:
        axes.set_log_scale(ax.xaxis, values[typical])
    elif np.abs(values[typical]).max() >= axes.LARGE:
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    axes.set_circular_ticks(ax.xaxis, axes.axis_limits(target, values[typical]).period)
    far = values[np.isfinite(values) & ~typical]
    if len(far):
        largest = axes.number_text(float(f"{max(far, key=abs):.4g}"))
        axes.note_beyond(ax, f"▲ {len(far)} far beyond, up to {largest}{trailing_unit(target.label_unit)}")


def _bar_edges(values: np.ndarray, log: bool) -> list[float]:
    """The edges of a histogram's bars: one bar for each value where there are few."""
    different = np.unique(values)
    if len(different) <= MAX_BARS and len(different) < len(values) / 2:
        half_width = 0.4 * (np.diff(different).min() if len(different) > 1 else 1.0)
        return np.stack([different - half_width, different + half_width], axis=1).ravel().tolist()
    n = int(np.clip(len(values) ** 0.5, 10, 50)) + 1
    spaced = np.geomspace if log else np.linspace
    return spaced(values.min(), values.max(), n).tolist()


def _draw_points(ax: Axes, rows: pd.DataFrame, target) -> None:
    """Draw all points of a Point over each other, across the image where its size is known, else in pixels."""
    points = rows[list(target.columns)].to_numpy(float).reshape(len(rows), -1, 2)
    sample = np.random.default_rng(0).permutation(len(points))[: max(1, MAX_DOTS // target.n)]
    across = "px"
    if "width" in rows:
        across, size = "across the image", rows[["width", "height"]].to_numpy(float)
        points = points / size[:, None]
        ax.set_box_aspect(float(np.clip(np.nanmedian(size[:, 1] / size[:, 0]), 0.5, 1.2)))
        ax.plot((0, 1, 1, 0, 0), (0, 0, 1, 1, 0), color=GREY, linewidth=1)
        ax.set(xlim=(-0.05, 1.05), ylim=(1.05, -0.05))
    else:
        ax.set_aspect("equal", adjustable="datalim")
        ax.invert_yaxis()
    named = target.n <= MAX_NAMED_POINTS
    alpha = float(np.clip(6000 / len(sample) / target.n, 0.08, 0.7))
    for k, name in enumerate(target.names):
        colour, median_colour, width = (CYCLE[k], CYCLE[k], 5) if named else (SKY, BLUE, 2.5)
        ax.scatter(points[sample, k, 0], points[sample, k, 1], s=4, linewidth=0, color=colour, alpha=alpha)
        ax.plot(*np.nanmedian(points[:, k], axis=0), "o", markersize=width, markeredgewidth=0.4,
                markeredgecolor="white", color=median_colour, label=name)
    if named and target.n > 1:
        ax.legend(fontsize=8, framealpha=0.7, edgecolor="none", loc="upper right", labelcolor=INK)
    ax.set_xlabel(f"{target.name}: {target.n} point{'s' if target.n > 1 else ''}, {across}")


def _draw_sizes(ax: Axes, rows: pd.DataFrame) -> None:
    """Draw each size of image as a disc whose area is that of its count."""
    counts = rows.drop_duplicates("path")[["width", "height"]].value_counts()
    ax.set(xlabel="width of the image (px)", ylabel="height (px)")
    if counts.empty:
        return
    width, height = np.array(list(counts.index), float).T
    area = 200 * counts.to_numpy() / counts.max()
    ax.scatter(width, height, s=np.maximum(area / len(counts) ** 0.5, 8), color=BLUE, alpha=0.5, linewidth=0)
    ax.set(xlim=(0, 1.12 * width.max()), ylim=(0, 1.12 * height.max()))
    if len(counts) == 1 or counts.iloc[0] > len(rows) / 5:
        text = f"{'all' if len(counts) == 1 else 'most'} {width[0]:g}x{height[0]:g} ({counts.iloc[0]:,})"
        ax.annotate(text, (width[0], height[0]), (0, -18), textcoords="offset points", ha="right", size=9, color=INK)
    axes.set_log_scale(ax.xaxis, width)
    axes.set_log_scale(ax.yaxis, height)
