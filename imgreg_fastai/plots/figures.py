"""Figures with a title and a note, their palette, and how they are written to files.

Figures are made without pyplot: no window, no global state, any thread. Truth is blue, predictions are vermilion. The
palette is that of Okabe and Ito, whose colours the colour-blind can tell apart.
"""
import math
import textwrap
from io import BytesIO
from pathlib import Path

import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from PIL import Image

from ..utils.files import atomic_file
from ..utils.messages import ImgregError

BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9"
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
STYLES = ("-", "--", ":", "-.")  # of lines, where there are more than colours
INK, GREY, PALE, SHADE = "#222222", "#6B6B6B", "#E6E6E6", "#F4F4F4"
DPI, PADDING = 130, 0.1  # dots an inch; inches around axes
FORMATS = ("png", "jpg", "jpeg", "webp", "tif", "tiff", "pdf", "svg", "eps", "ps")


class TitledFigure(Figure):
    """A figure with a title above its axes and a note below them; a notebook shows it by itself.

    Args:
        width: inches.
        height: inches of the axes; those of the title and the note are added.
        title: the finding, with its number; broken into lines.
        note: a sentence in small print.
    """

    def __init__(self, width: float, height: float, title: str, note: str = ""):
        title, note = textwrap.fill(title, int(9.4 * width)), textwrap.fill(note, int(14 * width))
        height += 0.5 + 0.23 * title.count("\n") + (0.25 + 0.17 * note.count("\n") if note else 0)
        super().__init__(figsize=(width, height), dpi=DPI, facecolor="white")
        # Not given to Figure: to save a figure that has a layout engine, matplotlib draws it twice, each with a layout.
        self._layout = ConstrainedLayoutEngine(w_pad=PADDING, h_pad=PADDING)
        FigureCanvasAgg(self)
        self.suptitle(title, x=PADDING / width, ha="left", size=12.5, weight="bold", color=INK)
        self.supxlabel(note, x=PADDING / width, ha="left", size=9, color=GREY)

    def add_axes_grid(self, n: int, across: int) -> list[Axes]:
        """Add `n` axes in rows of `across`, from the top left."""
        return [self.add_subplot(math.ceil(n / across), across, i + 1) for i in range(n)]

    def add_charts(self, n: int = 1, across: int | None = None) -> list[Axes]:
        """Add axes for charts: a pale grid, labels in ink, no frame at the top and the right.

        Args:
            n: how many charts.
            across: how many of them stand in a row; all by default.

        Returns:
            The axes, row by row.
        """
        charts = self.add_axes_grid(n, across or n)
        for ax in charts:
            ax.spines[["top", "right"]].set_visible(False)
            ax.spines[["left", "bottom"]].set_color(GREY)
            ax.tick_params(colors=GREY, labelsize=9, which="both")
            ax.xaxis.label.set_color(INK)
            ax.yaxis.label.set_color(INK)
            ax.grid(color=PALE, linewidth=0.8)
            ax.set_axisbelow(True)
            ax.ticklabel_format(useOffset=False)  # 2.4751 is a tick itself, not "+2.475" beside the axis and 0.0001
            ax.set_prop_cycle(cycler(linestyle=STYLES) * cycler(color=CYCLE))
        return charts

    def lay_out(self) -> None:
        """Place the axes; a `$` in a name or a unit is a dollar, not the beginning of a formula."""
        for text in self.findobj(Text):
            text.set_parse_math(False)
        self._layout.execute(self)

    def draw(self, renderer: RendererBase) -> None:
        """Place the axes and draw; matplotlib calls this."""
        self.lay_out()
        super().draw(renderer)

    def _repr_png_(self) -> bytes:
        buffer = BytesIO()
        self.savefig(buffer, format="png")
        return buffer.getvalue()


def bare_figure(width: float, height: float, dpi: float) -> tuple[Figure, Axes]:
    """A figure of `width` by `height` inches without a title, and axes without ticks that fill it."""
    figure = Figure(figsize=(width, height), dpi=dpi, facecolor="white")
    FigureCanvasAgg(figure)
    return figure, figure.add_axes((0, 0, 1, 1))


def to_image(figure: Figure) -> Image.Image:
    """A figure as an RGBA Pillow image."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return Image.fromarray(np.array(canvas.buffer_rgba()))


def chart_figure(width: float, height: float, title: str, note: str = "") -> tuple[TitledFigure, Axes]:
    """A figure with one chart; arguments as for TitledFigure."""
    figure = TitledFigure(width, height, title, note)
    return figure, figure.add_charts()[0]


def empty_figure(title: str, note: str) -> TitledFigure:
    """A figure without charts."""
    figure, ax = chart_figure(6, 0.3, title, note)
    ax.axis("off")
    return figure


def short_name(name: str) -> str:
    """A name of at most 24 characters: its beginning and its end."""
    return name if len(name) <= 24 else f"{name[:9]}…{name[-14:]}"


def plot_format(path: str | Path) -> str:
    """The format that a file name's ending asks for, such as "png".

    Raises:
        ImgregError: no figure can be written in such a format.
    """
    ending = Path(path).suffix.lower().lstrip(".")
    if ending not in FORMATS:
        raise ImgregError(f"a file for a plot, ending in {', '.join(f'.{name}' for name in FORMATS)}", f"'{path}'")
    return ending


def save(figure: Figure, path: str | Path) -> Path:
    """Write a figure in the format of the file name's ending; a failure leaves the file as it was.

    Returns:
        The path.

    Raises:
        ImgregError: the file cannot be written.
    """
    with atomic_file(path) as file:
        figure.savefig(file, format=plot_format(path))
    return Path(path)
