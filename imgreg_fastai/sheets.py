"""How a figure looks, and how a label is drawn on a picture: the palette, sheets, numbers, marks.

Figures are made without pyplot: no window, no global state, any thread. Truth is blue, prediction vermilion (Okabe and
Ito's palette, told apart by the colour-blind).
"""
import math
import textwrap
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Text

from .files import whole

BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9"
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
INK, GREY, PALE, SHADE = "#222222", "#6B6B6B", "#E6E6E6", "#F4F4F4"
DPI = 130
LEFT = 0.75  # inches from the sheet's edge to the axes, and to the title above a chart
TIGHT = ("°", "%")  # units that follow their number without a space


class Sheet(Figure):
    """A Figure of `width` by `height` inches under a title and a note; a notebook shows it by itself."""

    def __init__(self, width: float, height: float, title: str, note: str = "", left: float = LEFT):
        title, note = (textwrap.fill(t, int((width - left) * n)) for t, n in ((title, 10), (note, 15)))
        top = 0.2 + 0.23 * (title.count("\n") + 1)
        self.head = top + (0.17 * (note.count("\n") + 1) if note else 0) + 0.22  # inches taken from the body
        super().__init__(figsize=(width, height + self.head), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self)
        high = height + self.head
        self.suptitle(title, x=left / width, y=1 - 0.2 / high, ha="left", va="top", size=12.5, weight="bold", color=INK)
        self.text(left / width, 1 - top / high - 0.02 / high, note, ha="left", va="top", size=9, color=GREY)

    def charts(self, n: int = 1) -> list:
        """`n` axes side by side, styled."""
        width, high = self.get_size_inches()
        edges = {"left": LEFT / width, "right": 1 - 0.3 / width, "bottom": 0.6 / high, "top": 1 - self.head / high}
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


def save(fig: Figure, path: str | Path) -> Path:
    """Write `fig` as a PNG that appears whole or not at all; raises ImgregError if it cannot be written."""
    with whole(path) as file:
        fig.savefig(file, format="png")
    return Path(path)


def amount(value: float, unit: str = "", decimals: int | None = None, sign: str = "") -> str:
    """A number to be read, with its unit: "0.31°", "3.2 years"; two significant digits unless told `decimals`."""
    if decimals is None:
        decimals = 0 if not value else max(0, 1 - math.floor(math.log10(abs(value)) + 1e-9))
    text = f"{round(value, decimals) + 0.0:{sign}.{decimals}f}".replace("-", "−")  # + 0.0: no "−0"
    return text + (unit if unit in TIGHT else unit_word(unit))


def in_a_row(values, unit: str, sign: str = "") -> list[str]:
    """Numbers of one precision, to be read in a row; a unit that is a word is left for the end of the row."""
    most = max(map(abs, values)) or 1.0
    decimals = max(int(most < 100), 1 - math.floor(math.log10(most) + 1e-9))
    return [amount(v, unit if unit in TIGHT else "", decimals, sign) for v in values]


def unit_word(unit: str) -> str:
    """What stands for the unit at the end of a row: nothing for one that is no word."""
    return "" if unit in ("", *TIGHT) else f" {unit}"


def _decimals(target, values) -> int:
    """How many decimals tell a thousandth of the target's range."""
    low, high = getattr(target, "low", None), getattr(target, "high", None)
    span = getattr(target, "period", None) or (high - low if None not in (low, high) else np.abs(values).max()) or 1.0
    return max(0, 3 - math.floor(math.log10(span)))


def _reading(target, values) -> str:
    return ", ".join(amount(float(v), target.unit, _decimals(target, values)) for v in values)


def off_by(target, error: float) -> str:
    """How far a prediction is off: "off by 3.1°"."""
    return "off by " + amount(error, target.unit, _decimals(target, error) + (error < 1))


def _mark_angle(ax, target, values, colour, shape, dashed):
    """A line through the picture's middle, or an arrow from it where the angle has a direction."""
    if not target.in_plane:
        return
    phi = target.zero + (-1 if target.clockwise else 1) * float(values[0])  # counterclockwise from the right, as seen
    middle, reach = (np.array(shape[1::-1]) - 1) / 2, 0.36 * min(shape[:2])
    step = reach * np.array([np.cos(np.deg2rad(phi)), -np.sin(np.deg2rad(phi))])  # a picture's y grows downwards
    two_way = target.period == 180
    ends = np.array([middle - step if two_way else middle, middle + step])
    line = ax.plot(*ends.T, color=colour, linewidth=1.5, linestyle=(0, (3, 1.6)) if dashed else "-", zorder=5)[0]
    line.set_path_effects([withStroke(linewidth=2.7, foreground="white")])
    if not two_way:
        head = ax.plot(*ends[1], marker=(3, 0, phi - 90), markersize=9, color=colour, markeredgecolor="white", zorder=5)
        head[0].set_gid("arrowhead")


CORNERS = ((0, 1), (1, 0), (1, 1), (0, 0))  # of a picture, in the order in which texts take them
MARKS = {"angle": _mark_angle}  # how a kind is drawn on a picture; the others are told in words alone


def mark(ax, target, values, colour: str, label: str, shape: tuple[int, ...], dashed: bool = False) -> None:
    """Draw a label on the picture in `ax`: `values` [columns] in units, `shape` the picture's (height, width).

    Its number stands in a corner after `label`; the next mark's goes to the opposite corner.
    """
    values = np.asarray(values, float).reshape(-1)
    if not np.isfinite(values).all():
        return
    if target.kind in MARKS:
        MARKS[target.kind](ax, target, values, colour, shape, dashed)
    x, y = CORNERS[len(ax.texts) % 4]
    inward = (5 - 10 * x, (5 + 12.5 * (len(ax.texts) // 4)) * (1 - 2 * y))
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.88}
    ax.annotate(f"{label} {_reading(target, values)}".strip(), (x, y), inward, xycoords="axes fraction",
                textcoords="offset points", ha=("left", "right")[x], va=("bottom", "top")[y], size=7.5, weight="bold",
                color=colour, bbox=box, zorder=4)


def known(target, frame):
    """The rows with label and prediction, and what they hold: (frame, true [n, columns], predicted, error [n])."""
    columns = list(target.columns)
    true, predicted = (frame[c].to_numpy(float) for c in (columns, [f"{c}_predicted" for c in columns]))
    whole = np.isfinite(true).all(axis=1) & np.isfinite(predicted).all(axis=1)
    true, predicted = true[whole], predicted[whole]
    return frame[whole], true, predicted, target.error(predicted, true) if len(true) else np.empty(0)


def empty(target) -> Figure:
    """The figure for a frame without a row to show."""
    return Sheet(6, 0.3, f"{target.name}: nothing to show", "No row has both a label and a prediction.")
