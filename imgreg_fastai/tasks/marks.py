"""What the marks of several kinds of target share: lines with a white halo, and the centre of an image.

An image of w by h pixels spans [0, w] x [0, h]; its axes span [-0.5, w - 0.5], so a point x is drawn at x - 0.5.
"""
import numpy as np

MAX_CROSSES = 12  # with more points each is but a dot
DASHES = (0, (3, 1.6))
NO_DASHES = {"dash_offset": 0, "dash_list": None}  # the white below dashes has no gaps, so that they are one line
SHADE = {"alpha": 0.25, "linewidth": 0, "zorder": 4.5, "gid": "within"}  # how an interval is filled


def draw_line(ax, ends, colour: str, width: float = 1.5, dashed: bool = False) -> None:
    """Draw a line with a white halo between `ends`, [2, 2]."""
    from matplotlib.patheffects import withStroke

    line = ax.plot(*np.asarray(ends).T, color=colour, linewidth=width, linestyle=DASHES if dashed else "-", zorder=5)[0]
    line.set_path_effects([withStroke(linewidth=width + 1.2, foreground="white", dashes=NO_DASHES)])


def image_centre(shape: tuple[int, ...]) -> np.ndarray:
    """The centre (x, y) of an image of `shape` (height, width), where axes draw it."""
    return (np.array(shape[1::-1]) - 1) / 2
