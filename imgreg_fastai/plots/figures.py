"""Figures with a title and a note, their palette, and how they are written to files.

Figures are made without pyplot: no window, no global state, any thread. Truth is blue, predictions are vermilion. The
palette is that of Okabe and Ito, whose colours the colour-blind can tell apart.
"""
import math
import textwrap
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from ..utils.errors import ImgregError
from ..utils.files import atomic_file

BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9"
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
INK, GREY, PALE, SHADE = "#222222", "#6B6B6B", "#E6E6E6", "#F4F4F4"
DPI = 130
FORMATS = ("png", "jpg", "jpeg", "webp", "tif", "tiff", "pdf", "svg", "eps", "ps")
LEFT = 0.75  # inches from the figure's edge to the axes, and to the title above a chart


class TitledFigure(Figure):
    """A figure with a title and a note above its axes; a notebook shows it by itself.

    Args:
        width: inches.
        height: inches below the title and the note, which are added to it.
        title: the finding, with its number; broken into lines.
        note: a sentence in small print below the title.
        left: inches from the figure's edge to the title.
    """

    def __init__(self, width: float, height: float, title: str, note: str = "", left: float = LEFT):
        title = textwrap.fill(title, int((width - left) * 9.6))
        note = textwrap.fill(note, int((width - left) * 14.5))
        title_height = 0.2 + 0.23 * (title.count("\n") + 1)
        note_height = 0.17 * (note.count("\n") + 1) if note else 0
        self.head = title_height + note_height + 0.22  # inches above the axes
        height += self.head
        super().__init__(figsize=(width, height), dpi=DPI, facecolor="white")
        FigureCanvasAgg(self)
        place = {"x": left / width, "ha": "left", "va": "top"}
        self.suptitle(title, y=1 - 0.2 / height, size=12.5, weight="bold", color=INK, **place)
        self.text(y=1 - (title_height + 0.02) / height, s=note, size=9, color=GREY, **place)

    def add_grid(self, n: int, across: int, margins: tuple[float, float, float], gaps: tuple[float, float]) -> list[Axes]:
        """Add axes of one size in rows, from the top left.

        Args:
            n: how many axes.
            across: how many of them a row has.
            margins: inches to the figure's edge at the left, the right and the bottom.
            gaps: inches between axes, horizontally and vertically.

        Returns:
            The axes, row by row.
        """
        width, height = self.get_size_inches()
        (left, right, bottom), (gap_x, gap_y) = margins, gaps
        axes_width = (width - left - right + gap_x) / across - gap_x
        axes_height = (height - self.head - bottom + gap_y) / math.ceil(n / across) - gap_y
        axes = []
        for i in range(n):
            row, column = divmod(i, across)
            x = left + column * (axes_width + gap_x)
            y = height - self.head - axes_height - row * (axes_height + gap_y)
            axes.append(self.add_axes((x / width, y / height, axes_width / width, axes_height / height)))
        return axes

    def add_charts(self, n: int = 1, across: int | None = None, left: float = LEFT) -> list[Axes]:
        """Add axes for charts: a pale grid, labels in ink, no frame at the top and the right.

        Args:
            n: how many charts.
            across: how many of them stand in a row; all by default.
            left: inches from the figure's edge to the axes.

        Returns:
            The axes, row by row.
        """
        charts = self.add_grid(n, across or n, (left, 0.3, 0.6), (0.95, 0.85))
        for ax in charts:
            ax.spines[["top", "right"]].set_visible(False)
            ax.spines[["left", "bottom"]].set_color(GREY)
            ax.tick_params(colors=GREY, labelsize=9, which="both")
            ax.xaxis.label.set_color(INK)
            ax.yaxis.label.set_color(INK)
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


def chart_figure(width: float, height: float, title: str, note: str = "", left: float = LEFT) -> tuple[TitledFigure, Axes]:
    """A figure with one chart; arguments as for TitledFigure, `left` being that of the axes."""
    figure = TitledFigure(width, height, title, note)
    (ax,) = figure.add_charts(left=left)
    return figure, ax


def empty_figure(target) -> TitledFigure:
    """The figure for a table without a row to show."""
    return TitledFigure(6, 0.3, f"{target.name}: nothing to show", "No row has both a label and a prediction.")


def tiled_figure(shapes, across: int, side: float, caption: float, title: str, note: str) -> tuple[TitledFigure, list[Axes]]:
    """A figure of pictures in rows.

    Args:
        shapes: (height, width) of each picture, in pixels.
        across: the most tiles in a row.
        side: width of a tile, in inches.
        caption: inches free below each tile.
        title: see TitledFigure.
        note: see TitledFigure.

    Returns:
        The figure and its axes, one for each picture.
    """
    edge, gap = 0.35, 0.1
    across = max(3, min(across, len(shapes)))  # three at least, so that the title has room
    tile_height = side * float(np.clip(np.median([height / width for height, width in shapes]), 0.5, 1.5))
    height = math.ceil(len(shapes) / across) * (tile_height + caption) + gap
    figure = TitledFigure(across * side + 2 * edge - gap, height, title, note, edge)
    return figure, figure.add_grid(len(shapes), across, (edge, edge, caption + 2 * gap), (gap, caption + gap))


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
