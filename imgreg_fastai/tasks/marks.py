"""Words and marks: how labels and errors are written, and drawn on an image.

An image of w by h pixels spans [0, w] x [0, h]; its axes span [-0.5, w - 0.5], so a point x is drawn at x - 0.5.
"""
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from ..utils.format import format_amount, with_unit

if TYPE_CHECKING:
    from matplotlib.axes import Axes
else:  # only annotations name it, and do not load Matplotlib
    Axes = Any
Size = tuple[int, ...]  # height and width of an image, and what may follow
AXIS_LENGTH = 0.3  # of the mark of a rotation's front, as a part of the image's shorter side
MAX_CROSSES = 12  # with more points each is but a dot
DASHES = (0, (3, 1.6))
NO_DASHES = {"dash_offset": 0, "dash_list": None}  # the white below dashes has no gaps, so that they are one line
SHADE: dict[str, Any] = {"alpha": 0.25, "linewidth": 0, "zorder": 4.5, "gid": "within"}  # how an interval is filled


def draw_line(ax: Axes, ends: Any, colour: str, width: float = 1.5, dashed: bool = False) -> None:
    """Draw a line with a white halo between `ends`, [2, 2]."""
    from matplotlib.patheffects import withStroke

    line = ax.plot(*np.asarray(ends).T, color=colour, linewidth=width, linestyle=DASHES if dashed else "-", zorder=5)[0]
    line.set_path_effects([withStroke(linewidth=width + 1.2, foreground="white", dashes=NO_DASHES)])


def image_centre(shape: Size) -> np.ndarray:
    """The centre (x, y) of an image of `shape` (height, width), where axes draw it."""
    height, width = shape[:2]
    return np.array([width - 1, height - 1]) / 2


def draw_axes(ax: Axes, matrix: np.ndarray, colour: str, shape: Size, dashed: bool, origin: np.ndarray | None,
              thin: bool) -> None:
    """Draw the axes of a rotation, matrix [3, 3]; see Rotation.draw and, for the other arguments, Mark.draw."""
    from matplotlib.patheffects import withStroke

    length = AXIS_LENGTH * min(shape[:2])
    inside = origin is not None and 0 <= origin[0] <= shape[1] and 0 <= origin[1] <= shape[0]
    start = np.asarray(origin, float) - 0.5 if inside else image_centre(shape)
    for i, letter in enumerate("" if thin else "xy"):
        step = 0.7 * length * matrix[:2, i]
        draw_line(ax, (start, start + step), colour, 1.3, dashed)
        if not dashed:
            place = start + step + 0.1 * length * step / max(float(np.hypot(*step)), 1e-9)
            ax.plot(*place, marker=f"${letter}$", markersize=4.5, color=colour, markeredgewidth=0.3, zorder=5,
                    path_effects=[withStroke(linewidth=2, foreground="white")])
    tip, away = start - length * matrix[:2, 2], matrix[2, 2] <= 0
    draw_line(ax, (start, tip), colour, 1.1 if thin else 2.4, dashed)
    ax.plot(*tip, "o", markersize=4 if thin else 5, color="white" if away else colour, zorder=5.2,
            markeredgecolor=colour if away else "white", markeredgewidth=0.8)


class Mark:
    """How a target is written and drawn; each kind overrides what is its own. See Target for `unit`."""

    unit: str
    wraps: ClassVar[float | None] = None  # the period of each column, in units

    has_mark: ClassVar[bool] = False  # it can be drawn on an image
    has_interval_mark: ClassVar[bool] = False  # and so can its interval
    names_itself: ClassVar[bool] = False  # `label_text` names the columns, so that no target name need precede it
    mark_note: ClassVar[str] = "Blue: true. Vermilion: predicted."

    @property
    def label_unit(self) -> str:
        """The unit of its labels and predictions; that of its errors if a kind does not say otherwise."""
        return self.unit

    def decimals(self, values: np.ndarray | float) -> int:
        """How many decimals tell a thousandth of the range of its labels: of its period, or of their size."""
        span = self.wraps or float(np.abs(values).max()) or 1.0
        return max(0, 3 - int(np.floor(np.log10(span))))

    def label_text(self, values: np.ndarray) -> str:
        """A label [columns] in words: "43.2 years"; "" where there is too much of it."""
        decimals = self.decimals(values)
        return with_unit(", ".join(format_amount(float(v), decimals=decimals) for v in values), self.unit)

    def error_text(self, error: float) -> str:
        """An error in words: "off by 3.1°"."""
        decimals = self.decimals(error) + (1 if error < 1 else 0)
        return "off by " + format_amount(error, self.unit, decimals)

    def draw(self, ax: Axes, values: np.ndarray, colour: str, shape: Size, dashed: bool = False,
             origin: np.ndarray | None = None, thin: bool = False) -> None:
        """Draw a label on an image; nothing for kinds without a mark.

        Args:
            ax: Matplotlib Axes that show the image, pixel centres at whole numbers.
            values: [columns] in units.
            colour: Of the mark.
            shape: Height and width of the image.
            dashed: A prediction beside its label.
            origin: (x, y) where axes begin, in pixels; the image's centre if None.
            thin: The mark stands back behind one that matters more.
        """

    def draw_interval(self, ax: Axes, predicted: np.ndarray, half_widths: np.ndarray, shape: Size, colour: str) -> None:
        """Shade where the true value is expected about a prediction [columns]; nothing for kinds without a mark."""

    def draw_error(self, ax: Axes, true: np.ndarray, predicted: np.ndarray, colour: str) -> None:
        """Draw what lies between label and prediction, [columns] each; nothing unless the kind says so."""
