"""How labels are drawn on pictures: as lines, points, axes and words, on a tile or on a copy of the picture itself.

A picture of w by h pixels spans [0, w] x [0, h]; its axes span [-0.5, w - 0.5], so a point x is drawn at x - 0.5.
"""
import math

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from .sheets import VERMILION

WORDS = 7.5  # points, the height of words on a picture
CORNERS = ((0, 1), (1, 0), (1, 1), (0, 0))  # of a picture, in the order in which texts take them


def draw_label(ax, target, values, colour: str, label: str | None, shape: tuple[int, ...], dashed: bool = False,
         origin=None, slight: bool = False) -> None:
    """Draw a label on the picture in `ax`: `values` [columns] in units, `shape` the picture's (height, width).

    Its number stands in a corner after `label`, the next mark's in the opposite corner; None: no words. `dashed`: a
    prediction beside the truth. `origin`: where axes begin (x, y), else in the picture's middle. `slight`: axes stand
    back behind what matters more.
    """
    values = np.asarray(values, float).reshape(-1)
    found = np.isfinite(values)
    if not (found.any() if target.partial else found.all()):
        return
    target.draw(ax, values, colour, shape, dashed, origin, slight)
    text = "" if label is None else target.label_text(values)
    if text:
        write_in_corner(ax, f"{label} {text}".strip(), colour)


def write_in_corner(ax, text: str, colour: str):
    """Write `text` into the next corner of the picture in `ax`; too wide, it is smaller, or broken at its commas."""
    x, y = CORNERS[len(ax.texts) % 4]
    inward = (5 - 10 * x, (5 + 12.5 * (len(ax.texts) // 4)) * (1 - 2 * y))
    box = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.88}
    words = ax.annotate(text, (x, y), inward, xycoords="axes fraction", textcoords="offset points",
                        ha=("left", "right")[x], va=("bottom", "top")[y], size=WORDS, weight="bold", color=colour,
                        bbox=box, zorder=4, parse_math=False)
    ax.apply_aspect()
    room = (ax.get_window_extent().width - ax.figure.dpi * 10 / 72) / words.get_window_extent().width
    if room < 0.82:
        words.set_text(text.replace(", ", "\n"))
    elif room < 1:
        words.set_size(WORDS * room)
    return words


def draw_interval(ax, target, predicted, radii, shape) -> None:
    """Shade where the truth is expected: about predicted points [columns], or beside an angle; radii [len(within)]."""
    if target.has_interval_mark and np.isfinite(radii).all() and np.isfinite(predicted).all():
        target.draw_interval(ax, np.asarray(predicted), radii, shape, VERMILION)


def axes_origin(task, values: dict):
    """Where axes begin: at the only single point that the task has, if it is known, else None; `values`: by target."""
    points = [t for t in task.targets if t.in_image and len(t.columns) == 2]
    place = np.asarray(values.get(points[0].name, ()) if len(points) == 1 else (), float).reshape(-1)
    return place if len(place) == 2 and np.isfinite(place).all() else None


def annotated(picture, task, values: dict):
    """A copy of an RGB Pillow picture with what was predicted drawn on it; `values`: {target name: [columns]}.

    The marks grow with the picture, so that they are readable on 100 pixels and on 6000.
    """
    from PIL import Image

    width, height = picture.size
    dpi = max(86.0, math.sqrt(width * height) / 4.6)
    fig = Figure(figsize=((width + 0.01) / dpi, (height + 0.01) / dpi), dpi=dpi)  # 0.01: rounded down to whole pixels
    FigureCanvasAgg(fig)
    fig.patch.set_alpha(0)
    ax = fig.add_axes((0, 0, 1, 1))
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), autoscale_on=False)
    ax.axis("off")
    lines, begin = [], axes_origin(task, values)
    for target in task.targets:
        draw_label(ax, target, values[target.name], VERMILION, None, (height, width), origin=begin)
        lines += _words(target, values[target.name], len(task.targets) > 1, width / dpi)
    if lines:
        _block(ax, lines)
    fig.canvas.draw()
    return Image.alpha_composite(picture.convert("RGBA"), Image.fromarray(np.array(fig.canvas.buffer_rgba())))


def _words(target, values, several: bool, inches: float) -> list[str]:
    """A target's line of words on a copy; a place that is marked needs none where there is little room."""
    text = target.label_text(values) if np.isfinite(values).all() else ""
    if not text or (target.in_image and inches < 3):
        return []
    return [f"{target.name} {text}" if several and not target.names_itself else text]


def _block(ax, lines: list[str]) -> None:
    """Write lines into the corner where they hide least of the marks, smaller if they would cover half the picture."""
    marked = _marked(ax)
    words = [write_in_corner(ax, "\n".join(lines), VERMILION) for _ in CORNERS]
    boxes = [w.get_window_extent().padded(ax.figure.dpi * 3 / 72) for w in words]
    hidden = [((marked > box.min) & (marked < box.max)).all(axis=1).sum() for box in boxes]
    best = int(np.argmin(hidden))
    for w in words[:best] + words[best + 1:]:
        w.remove()
    words[best].set_size(words[best].get_size() * float(np.clip(0.5 * ax.bbox.height / boxes[best].height, 0.75, 1)))


def _marked(ax) -> np.ndarray:
    """Places [n, 2] along all lines and markers, in pixels of the figure."""
    places = [np.empty((0, 2))]
    for line in ax.lines:
        ends = line.get_xydata()
        if line.get_linestyle() != "None" and len(ends) > 1:
            ends = np.linspace(ends[0], ends[-1], 25)
        places.append(ends)
    return ax.transData.transform(np.concatenate(places))
