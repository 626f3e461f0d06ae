"""Labels drawn on a picture: the mark of their target, and words in the picture's corners."""
import numpy as np

from .figures import VERMILION

FONT_SIZE = 7.5  # points
CORNERS = ((0, 1), (1, 0), (1, 1), (0, 0))  # of a picture, in the order in which texts take them


def draw_label(ax, target, values, colour: str, label: str | None, shape, **style) -> None:
    """Draw a label on a picture, if it is known.

    Args:
        ax: axes that show the picture.
        target: the Target.
        values: [columns] in units.
        colour: of the mark and the words.
        label: what precedes the value in the next corner; None for no words. A point never has words.
        shape: (height, width) of the picture.
        **style: `dashed`, `origin` and `thin`, see Target.draw.
    """
    values = np.asarray(values, float).reshape(-1)
    if not target.is_labelled(np.isfinite(values)[None]).any():
        return
    target.draw(ax, values, colour, shape, **style)
    if label is not None and not target.in_image:
        write_in_corner(ax, f"{label} {target.label_text(values)}".strip(), colour)


def write_in_corner(ax, text: str, colour: str):
    """Write `text` into the next corner of a picture; if it is too wide, smaller, or broken at its commas."""
    x, y = CORNERS[len(ax.texts) % 4]
    inward = (5 - 10 * x, (5 + 12.5 * (len(ax.texts) // 4)) * (1 - 2 * y))
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.88}
    words = ax.annotate(text, (x, y), inward, xycoords="axes fraction", textcoords="offset points",
                        ha=("left", "right")[x], va=("bottom", "top")[y], size=FONT_SIZE, weight="bold", color=colour,
                        bbox=box, zorder=4, parse_math=False)
    ax.apply_aspect()
    fitting = (ax.get_window_extent().width - ax.figure.dpi * 10 / 72) / words.get_window_extent().width
    if fitting < 0.82:
        words.set_text(text.replace(", ", "\n"))
    elif fitting < 1:
        words.set_size(FONT_SIZE * fitting)
    return words


def draw_interval(ax, target, predicted, half_widths, shape) -> None:
    """Shade where the true value is expected, if the prediction and its interval are known and can be drawn."""
    if target.has_interval_mark and np.isfinite(half_widths).all() and np.isfinite(predicted).all():
        target.draw_interval(ax, np.asarray(predicted), half_widths, shape, VERMILION)


def origin_target(task):
    """The target where axes begin: the only single point of a task; None if there is none or several."""
    points = [target for target in task.targets if target.in_image and len(target.columns) == 2]
    return points[0] if len(points) == 1 else None


def axes_origin(task, values: dict) -> np.ndarray | None:
    """Where axes begin, [2] in pixels; None if the point is not known. `values`: {target name: [columns]}."""
    point = origin_target(task)
    origin = np.asarray(values.get(point.name, ()) if point else (), float)
    return origin if len(origin) and np.isfinite(origin).all() else None
