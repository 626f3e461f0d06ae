"""How a figure looks: the palette, sheets, numbers, axes, and the rows there are to show.

Figures are made without pyplot: no window, no global state, any thread. Truth is blue, prediction vermilion (Okabe and
Ito's palette, told apart by the colour-blind).
"""
import math
import textwrap
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, MultipleLocator, NullFormatter

from ..utils.errors import ImgregError
from ..utils.files import atomic_file
from ..utils.format import format_amount

BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9"
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
INK, GREY, PALE, SHADE = "#222222", "#6B6B6B", "#E6E6E6", "#F4F4F4"
DPI = 130
ENDINGS = ("png", "jpg", "jpeg", "webp", "tif", "tiff", "pdf", "svg", "eps", "ps")  # that Sheets can be written in
BAND_FROM = 30  # rows needed before a running median says anything
LEFT = 0.75  # inches from the sheet's edge to the axes, and to the title above a chart


class TitledFigure(Figure):
    """A Figure of `width` by `height` inches under a title and a note; a notebook shows it by itself."""

    def __init__(self, width: float, height: float, title: str, note: str = "", left: float = LEFT):
        title, note = (textwrap.fill(t, int((width - left) * n)) for t, n in ((title, 9.6), (note, 14.5)))
        top = 0.2 + 0.23 * (title.count("\n") + 1)
        self.head = top + (0.17 * (note.count("\n") + 1) if note else 0) + 0.22  # inches taken from the body
        super().__init__(figsize=(width, height + self.head), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self)
        high = height + self.head
        self.suptitle(title, x=left / width, y=1 - 0.2 / high, ha="left", va="top", size=12.5, weight="bold", color=INK)
        self.text(left / width, 1 - top / high - 0.02 / high, note, ha="left", va="top", size=9, color=GREY)

    def charts(self, n: int = 1, left: float = LEFT) -> list:
        """`n` axes side by side, styled, `left` inches from the sheet's edge."""
        width, high = self.get_size_inches()
        edges = {"left": left / width, "right": 1 - 0.3 / width, "bottom": 0.6 / high, "top": 1 - self.head / high}
        charts = list(self.subplots(1, n, squeeze=False, gridspec_kw={**edges, "wspace": 0.24}).flat)
        for ax in charts:
            ax.spines[["top", "right"]].set_visible(False)
            ax.spines[["left", "bottom"]].set_color(GREY)
            ax.tick_params(colors=GREY, labelsize=9, which="both")
            ax.grid(color=PALE, linewidth=0.8)
            ax.set_axisbelow(True)
        return charts

    def draw(self, renderer) -> None:
        """Draw; a `$` in a name or a unit is a dollar, not the beginning of a formula."""
        for text in self.findobj(Text):
            text.set_parse_math(False)
        super().draw(renderer)

    def _repr_png_(self) -> bytes:
        from io import BytesIO

        self.savefig(out := BytesIO(), format="png")
        return out.getvalue()


def tiled_figure(shapes, across: int, side: float, caption: float, title: str, note: str):
    """A Sheet and its axes, one for each of the pictures' `shapes` (height, width), in rows of `across`.

    `side`: a tile's width in inches; `caption`: inches free below each.
    """
    n, edge, gap = len(shapes), 0.3, 0.1
    across = max(3, min(across, n))  # three at least, so that the title has room
    tall = side * float(np.clip(np.median([shape[0] / shape[1] for shape in shapes]), 0.5, 1.5))
    sheet = TitledFigure(across * side + 2 * edge, math.ceil(n / across) * (tall + caption) + gap, title, note, edge + gap / 2)
    width, high = sheet.get_size_inches()
    axes = []
    for i in range(n):
        x, y = edge + i % across * side + gap / 2, high - sheet.head - i // across * (tall + caption) - tall + gap / 2
        axes.append(sheet.add_axes((x / width, y / high, (side - gap) / width, (tall - gap) / high)))
    return sheet, axes


def plot_format(path: str | Path) -> str:
    """The format that a figure is written in by a file's ending; raises ImgregError for one that none can have."""
    found = Path(path).suffix.lower().lstrip(".")
    if found not in ENDINGS:
        raise ImgregError(f"a file for a plot, ending in {', '.join(f'.{known}' for known in ENDINGS)}", f"'{path}'")
    return found


def save(fig: Figure, path: str | Path) -> Path:
    """Write `fig` whole or not at all, in the format of its `ending`; raises ImgregError if it cannot be written."""
    with atomic_file(path) as file:
        fig.savefig(file, format=plot_format(path))
    return Path(path)


def dots(ax, x, y, colour=BLUE) -> None:
    """Dots that stay visible alone and show their density together."""
    n = int(np.isfinite(x + y).sum())
    ax.scatter(x, y, s=18 if n <= 300 else 9 if n <= 5000 else 3, linewidth=0, color=colour,
               alpha=float(np.clip(900 / max(1, n), 0.35 if n <= 5000 else 0.12, 0.75)))


def axis_label(target, column: str, word: str) -> str:
    """What stands at an axis: "true yaw (°)"."""
    name = target.name if len(target.columns) == 1 else column
    return with_unit_label(f"{word} {name}", target.unit)


def with_unit_label(name: str, unit: str) -> str:
    """What an axis is called: "error (px)"."""
    return f"{name} ({unit})" if unit else name


def period(target) -> float | None:
    """The period of the target's columns, if they go round."""
    return 360.0 if target.kind == "rotation" else getattr(target, "period", None)


def axis_limits(target, values) -> tuple[float, float, bool]:
    """Where an axis of true values begins and ends, and whether it is a full circle."""
    low, high = float(np.nanmin(values)), float(np.nanmax(values))
    around = period(target)
    if around and high - low > around / 2:
        start = 0.0 if low >= 0 else -around / 2
        if low >= start and high <= start + around:
            return start, start + around, True
    pad = 0.05 * (high - low) or 1.0
    return low - pad, high + pad, False


def circular_ticks(axis, target) -> None:
    """Put the ticks of a circle."""
    axis.set_major_locator(MultipleLocator(period(target) / 4 if period(target) > 180 else 30))


def seam(ax, target, low, high, near) -> None:
    """Make room beyond the circle's ends, shaded, whose ticks still tell the angle that was predicted."""
    pad = 0.03 * (high - low)
    bottom, top = min(low, near.min()) - pad, max(high, near.max()) + pad
    ax.set_ylim(bottom, top)
    ax.axhspan(bottom, low, color=SHADE, zorder=0)
    ax.axhspan(high, top, color=SHADE, zorder=0)
    for axis in (ax.xaxis, ax.yaxis):
        circular_ticks(axis, target)
    ax.yaxis.set_major_formatter(lambda v, _: f"{v if low <= v <= high else (v - low) % (high - low) + low:g}")


def residual_dots(ax, target, x, y) -> None:
    """Dots, with the few that would flatten all others put as triangles on the edge, and counted."""
    size = np.abs(y)
    usual = float(np.quantile(size, 0.98)) if len(y) >= BAND_FROM else size.max()
    limit = 1.08 * size.max() if size.max() <= 4 * usual else 2 * usual
    limit = limit or 1.0
    far = size > limit
    dots(ax, x[~far], y[~far])
    ax.set_ylim(-limit, limit)
    for sign, shape in ((1, "^"), (-1, "v")):
        out = far & (np.sign(y) == sign)
        ax.plot(x[out], np.full(out.sum(), 0.96 * sign * limit), shape, color=PURPLE, markersize=6, linewidth=0)
    if far.any():
        note_beyond(ax, f"▲▼ {far.sum()} beyond this chart, up to ±{format_amount(size.max(), target.unit)}")


def note_beyond(ax, text: str) -> None:
    """Say above a chart what lies beyond it."""
    ax.text(1, 1.01, text, transform=ax.transAxes, ha="right", va="bottom", size=8.5, color=PURPLE)


def running_quantiles(x, y, around: float | None):
    """Running quantiles of y over x, [4, places]: x, the 5th, 50th and 95th per cent; `around`: the circle's period.

    Each x has one place: where many are the same, windows about it are pooled, or it stands for itself.
    """
    order = np.argsort(x, kind="stable")
    x, y, n = x[order], y[order], len(x)
    window = int(np.clip(n // 12, 15, 400))
    if around:
        x, y = np.concatenate([x - around, x, x + around]), np.tile(y, 3)
    first, last = (n - window // 2, 2 * n - window // 2) if around else (0, n - window)
    starts = np.unique(np.linspace(first, last, 80).astype(int))
    middles, places = x[starts + window // 2], []
    for x_here in np.unique(middles):
        own, (low, high) = starts[middles == x_here], (np.searchsorted(x, x_here, side) for side in ("left", "right"))
        if high - low < min(window, BAND_FROM):  # too few alike to do without their neighbours
            low, high = own[0], own[-1] + window
        places.append([x_here, *np.quantile(y[low:high], (0.05, 0.5, 0.95))])
    return np.array(places).T


def log_scale(axis, values) -> None:
    """Set a log scale where `values` span more than a factor of ten, with ticks a person can read."""
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > 10 * values.min():
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(lambda v, _: f"{v:g}")
        axis.set_minor_formatter(NullFormatter())


def smooth(values, width: float = 2.0):
    """A running mean under a bell of `width` points; at the ends over those there are."""
    bell = np.exp(-0.5 * (np.arange(-6, 7) / width) ** 2)
    return np.array([np.average(values[max(0, i - 6):i + 7], weights=bell[max(0, 6 - i):6 + len(values) - i])
                     for i in range(len(values))])


def labelled_rows(target, frame):
    """The rows with label and prediction, and what they hold: (frame, true [n, columns], predicted, error [n]).

    Of points some may be missing (NaN) in a row, as long as there is one.
    """
    columns = list(target.columns)
    true, predicted = (frame[c].to_numpy(float) for c in (columns, [f"{c}_predicted" for c in columns]))
    error = target.error(predicted, true) if len(true) else np.empty(0)
    whole = np.isfinite(error)
    return frame[whole], true[whole], predicted[whole], error[whole]


def empty_figure(target) -> Figure:
    """The figure for a frame without a row to show."""
    return TitledFigure(6, 0.3, f"{target.name}: nothing to show", "No row has both a label and a prediction.")
