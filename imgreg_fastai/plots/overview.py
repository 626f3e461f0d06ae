"""One picture of a labels table: how its labels are spread, where its points lie, and how large its pictures are."""
import math

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter

from ..data.checks import DataCheck
from ..data.issues import LEVELS
from ..data.splits import SPLITS
from ..tasks import Point, Target
from ..utils.format import trailing_unit
from .sheets import (
    BLUE,
    CYCLE,
    GREEN,
    GREY,
    INK,
    ORANGE,
    SKY,
    VERMILION,
    TitledFigure,
    axis_limits,
    circular_ticks,
    log_scale,
    note_beyond,
    with_unit_label,
)

ACROSS, WIDE, HIGH = 3, 4.1, 2.9  # charts in a row, and their sides in inches with what is written about them
MOST = 11  # histograms
FEW = 60  # different values that have a bar each
DOTS = 20_000  # points that are drawn, of more a part at random
NAMED = 6  # points that have a colour and a name each
COLOURS = dict(zip(SPLITS, (BLUE, ORANGE, GREEN, VERMILION), strict=True))


def draw_overview(health: DataCheck) -> Figure:
    """Histograms of all columns, a chart of all points of a target, and one of the pictures' sizes if they were opened.

    Only rows that can be used are counted.
    """
    rows = health.frame[health.frame["usable"]]
    columns = [(t, i) for t in health.task.targets if t.kind != Point.kind for i in range(len(t.columns))]
    charts = [lambda ax, t=t, i=i: _histogram(ax, t, i, rows) for t, i in columns[:MOST]]
    charts += [lambda ax, t=t: _points(ax, t, rows) for t in health.task.targets if t.kind == Point.kind]
    charts += [lambda ax: _sizes(ax, rows)] if "width" in rows else []
    note = f"{len(columns) - MOST} more columns are not drawn." if len(columns) > MOST else ""
    note = " ".join(text for text in (_told(health), columns and _parts_told(rows), note) if text)
    if not len(rows):
        return TitledFigure(6, 0.3, f"{health.task.name}: {health.summary}", "No row can be used.")
    across = min(ACROSS, len(charts))
    high = HIGH + 0.7 * (len(charts) == 1)
    sheet = TitledFigure(max(6.5, WIDE * across), high * math.ceil(len(charts) / across),
                  f"{health.task.name}: {health.summary}", note)
    for i, chart in enumerate(charts):
        chart(_axes(sheet, i, across, high))
    return sheet


def _told(health: DataCheck) -> str:
    """What was found, without the rows."""
    found = [f.text + (f" ({len(f.rows):,} row{'s' * (len(f.rows) > 1)})" if f.rows else "")
             for level in LEVELS for f in health.at(level)]
    return f"Found: {'; '.join(found[:6])}{f' and {len(found) - 6} more' if len(found) > 6 else ''}." if found else ""


def _parts_told(rows) -> str:
    """Which colour is which part of the split."""
    if "split" not in rows:
        return ""
    counts = rows["split"].value_counts()
    names = {BLUE: "blue", ORANGE: "orange", GREEN: "green", VERMILION: "vermilion"}
    told = ", ".join(f"{names[COLOURS[part]]} {part} ({counts[part]:,})" for part in SPLITS if part in counts)
    return f"Bars: {told}."


def _axes(sheet: TitledFigure, i: int, across: int, high: float):
    """The axes of the `i`-th chart, counted from the top left."""
    (ax,) = sheet.charts()
    width, height = sheet.get_size_inches()
    wide, (row, column) = width / across, divmod(i, across)
    left, bottom = column * wide + 0.75, height - sheet.head - (row + 1) * high + 0.65
    ax.set_position((left / width, bottom / height, (wide - 1.0) / width, (high - 0.85) / height))
    return ax


def _histogram(ax, t: Target, i: int, rows) -> None:
    """How often which values of a column stand in the rows of each part."""
    values = rows[t.columns[i]].to_numpy(float)
    usual, log = t.typical(values)
    usual &= (values > 0) | (not log)
    ax.set_xlabel(with_unit_label(t.columns[i], t.unit), color=INK)
    ax.set_ylabel("rows", color=INK)
    if not usual.any():
        return
    edges, parts = _edges(values[usual], log), rows["split"].to_numpy(object) if "split" in rows else None
    chosen = [part for part in SPLITS if (parts == part).any()] if parts is not None else []
    of = [usual & (parts == part) for part in chosen] or [usual]
    ax.hist([values[mask] for mask in of], edges, stacked=True, linewidth=0.4, edgecolor="white",
            color=[COLOURS[part] for part in chosen] or BLUE)
    _readable(ax, values[usual], log)
    if t.wraps and axis_limits(t, values[usual])[2]:
        circular_ticks(ax.xaxis, t)
    if (n := int((np.isfinite(values) & ~usual).sum())):
        most = max(values[np.isfinite(values) & ~usual], key=abs)
        note_beyond(ax, f"▲ {n} far beyond, up to {most:.4g}{trailing_unit(t.unit)}")


def _readable(ax, values: np.ndarray, log: bool) -> None:
    """Ticks of large numbers in thousands and millions, of logarithms at powers of ten."""
    ax.yaxis.set_major_formatter(lambda v, _: f"{v:,.0f}" if v % 1 == 0 else "")
    if log:
        ax.set_xscale("log")
        decades = np.log10(values.max() / values.min())
        ax.xaxis.set_major_locator(LogLocator(subs=(1,) if decades > 3 else (1, 3) if decades > 1.5 else (1, 2, 5)))
        ax.xaxis.set_minor_formatter(NullFormatter())
    if log or np.abs(values).max() >= 1e5:
        ax.xaxis.set_major_formatter(EngFormatter(sep=""))


def _edges(values: np.ndarray, log: bool) -> np.ndarray:
    """The edges of a histogram's bars: one bar a value where there are few."""
    each, (low, high) = np.unique(values), (values.min(), values.max())
    if len(each) <= FEW and len(each) < len(values) / 2:
        wide = 0.4 * np.diff(each).min() if len(each) > 1 else 0.4
        return np.stack([each - wide, each + wide], axis=1).ravel()
    n = int(np.clip(len(values) ** 0.5, 10, 50)) + 1
    return np.geomspace(low, high, n) if log else np.linspace(low, high, n)


def _points(ax, t: Point, rows) -> None:
    """All points of all rows, laid over each other across the picture where its size is known, else in pixels."""
    points = rows[list(t.columns)].to_numpy(float).reshape(len(rows), -1, 2)
    some = np.random.default_rng(0).permutation(len(points))[: max(1, DOTS // t.n)]
    if known := "width" in rows:
        size = rows[["width", "height"]].to_numpy(float)
        points = points / size[:, None]
        ax.set_box_aspect(float(np.clip(np.nanmedian(size[:, 1] / size[:, 0]), 0.5, 1.2)))
        ax.set(xlim=(-0.05, 1.05), ylim=(1.05, -0.05))
        ax.plot((0, 1, 1, 0, 0), (0, 0, 1, 1, 0), color=GREY, linewidth=1)
    else:
        ax.set_aspect("equal", adjustable="datalim")
    for k in range(t.n):
        ax.scatter(*points[some, k].T, s=4, linewidth=0, color=CYCLE[k % len(CYCLE)] if t.n <= NAMED else SKY,
                   alpha=float(np.clip(6000 / len(some) / t.n, 0.08, 0.7)))
        ax.plot(*np.nanmedian(points[:, k], axis=0), "o", markersize=5 if t.n <= NAMED else 2.5, markeredgewidth=0.4,
                markeredgecolor="white", color=CYCLE[k % len(CYCLE)] if t.n <= NAMED else BLUE, label=t.names[k])
    if 1 < t.n <= NAMED:
        ax.legend(fontsize=8, framealpha=0.7, edgecolor="none", loc="upper right", labelcolor=INK)
    if not known:
        ax.invert_yaxis()
    ax.set_xlabel(f"{t.name}: {t.n} point{'s' * (t.n > 1)}, {'across the picture' if known else 'px'}", color=INK)


def _sizes(ax, rows) -> None:
    """Each size of picture as a disc, as large as there are many of it."""
    counts = rows.drop_duplicates("path").groupby(["width", "height"]).size()
    width, height = (counts.index.get_level_values(i).to_numpy(float) for i in (0, 1))
    ax.set_xlabel("width of the picture (px)", color=INK)
    ax.set_ylabel("height (px)", color=INK)
    if counts.empty:
        return
    area = 200 * counts.to_numpy() / counts.max()
    ax.scatter(width, height, s=np.maximum(area / len(counts) ** 0.5, 8), color=BLUE, alpha=0.5, linewidth=0)
    ax.set(xlim=(0, 1.12 * width.max()), ylim=(0, 1.12 * height.max()))
    i = int(np.argmax(counts.to_numpy()))
    text = f"{'all' if len(counts) == 1 else 'most'} {width[i]:g}x{height[i]:g} ({counts.iloc[i]:,})"
    if len(counts) == 1 or counts.iloc[i] > len(rows) / 5:
        ax.annotate(text, (width[i], height[i]), (0, -18), textcoords="offset points", ha="right", size=9, color=INK)
    if width.max() > 10 * width.min() or height.max() > 10 * height.min():
        log_scale(ax.xaxis, width)
        log_scale(ax.yaxis, height)
