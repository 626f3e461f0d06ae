"""How labels are drawn on pictures: as lines, points, axes and words, on a tile or on a copy of the picture itself.

A picture of w by h pixels spans [0, w] x [0, h]; its axes span [-0.5, w - 0.5], so a point x is drawn at x - 0.5.
"""
import math

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Wedge
from matplotlib.patheffects import withStroke

from ..utils.format import format_amount
from .sheets import VERMILION

MANY = 12  # points from which on each is but a dot
WORDS = 7.5  # points, the height of words on a picture
DASHES = (0, (3, 1.6))
WHOLE = {"dash_offset": 0, "dash_list": None}  # the white below dashes has no gaps, so that they are one line
CORNERS = ((0, 1), (1, 0), (1, 1), (0, 0))  # of a picture, in the order in which texts take them


def _decimals(target, values) -> int:
    """How many decimals tell a thousandth of the target's range."""
    low, high = getattr(target, "low", None), getattr(target, "high", None)
    span = getattr(target, "period", None) or (high - low if None not in (low, high) else np.abs(values).max()) or 1.0
    return max(0, 3 - math.floor(math.log10(span)))


def label_text(target, values) -> str:
    """A label in words: "43.2 years", "213.9, 263.1 px", "yaw 12°, pitch −3°, roll 5°"; nothing for many points."""
    if target.kind == "rotation":
        return ", ".join(f"{c} {format_amount(float(v), target.unit, 0)}" for c, v in zip(target.columns, values, strict=True))
    if target.kind == "point" and target.n > 1:
        return ""
    units = [""] * (len(values) - 1) + [target.unit]
    return ", ".join(format_amount(float(v), u, _decimals(target, values)) for v, u in zip(values, units, strict=True))


def error_text(target, error: float) -> str:
    """How far a prediction is off: "off by 3.1°"."""
    decimals = {"point": None, "rotation": 1}.get(target.kind, _decimals(target, error) + (error < 1))
    return "off by " + format_amount(error, target.unit, decimals)


def _line(ax, ends, colour, width: float = 1.5, dashed: bool = False, **how) -> None:
    line = ax.plot(*np.asarray(ends).T, color=colour, linewidth=width, linestyle=DASHES if dashed else "-",
                   **{"zorder": 5, **how})[0]
    line.set_path_effects([withStroke(linewidth=width + 1.2, foreground="white", dashes=WHOLE)])


def _middle(shape) -> np.ndarray:
    return (np.array(shape[1::-1]) - 1) / 2


def _angle(ax, target, values, colour, shape, dashed, origin, slight):
    """A line through the picture's middle, or an arrow from it where the angle has a direction."""
    if not target.in_plane:
        return
    phi = target.zero + (-1 if target.clockwise else 1) * float(values[0])  # counterclockwise from the right, as seen
    middle, reach = _middle(shape), 0.36 * min(shape[:2])
    step = reach * np.array([np.cos(np.deg2rad(phi)), -np.sin(np.deg2rad(phi))])  # a picture's y grows downwards
    two_way = target.period == 180
    ends = np.array([middle - step if two_way else middle, middle + step])
    _line(ax, ends, colour, dashed=dashed)
    if not two_way:
        head = ax.plot(*ends[1], marker=(3, 0, phi - 90), markersize=9, color=colour, markeredgecolor="white", zorder=5)
        head[0].set_gid("arrowhead")


def _points(ax, target, values, colour, shape, dashed, origin, slight):
    """A cross at each point, upright or (a prediction beside the truth) slanting; of many points a dot each."""
    places = values.reshape(-1, 2) - 0.5
    if target.n > MANY:
        ax.plot(*places.T, "o", color=colour, markersize=2.6, markeredgecolor="white", markeredgewidth=0.35, zorder=5)
        return
    halo = [withStroke(linewidth=2.9, foreground="white")]
    cross, side = ("x", 5.5) if dashed else ("+", 8.5)
    ax.plot(*places.T, cross, color=colour, markersize=side, markeredgewidth=1.6, zorder=5.5, path_effects=halo)


def _axes(ax, target, values, colour, shape, dashed, origin, slight):
    """The axes x and y, and boldest, with a dot at its end, the front (-z), as seen from far away.

    The dot is hollow where the front is turned away. `slight`: it alone, and thin.
    """
    matrix, reach = target.matrix(values[None])[0], 0.3 * min(shape[:2])
    inside = origin is not None and (0 <= origin[0] <= shape[1]) and (0 <= origin[1] <= shape[0])
    start = np.asarray(origin, float) - 0.5 if inside else _middle(shape)
    for i, name in enumerate("" if slight else "xy"):
        step = 0.7 * reach * matrix[:2, i]
        _line(ax, (start, start + step), colour, 1.3, dashed)
        if not dashed:  # beside the truth, a prediction's axes are known by their neighbours
            ax.plot(*(start + step + 0.1 * reach * _unit(step)), marker=f"${name}$", markersize=4.5, color=colour,
                    markeredgewidth=0.3, zorder=5, path_effects=[withStroke(linewidth=2, foreground="white")])
    tip = start - reach * matrix[:2, 2]
    _line(ax, (start, tip), colour, 1.1 if slight else 2.4, dashed)
    ax.plot(*tip, "o", markersize=4 if slight else 5, color=colour if matrix[2, 2] > 0 else "white", zorder=5.2,
            markeredgecolor="white" if matrix[2, 2] > 0 else colour, markeredgewidth=0.8)


def _unit(step) -> np.ndarray:
    return step / max(float(np.hypot(*step)), 1e-9)


MARKS = {"angle": _angle, "point": _points, "rotation": _axes}  # how a kind is drawn; the others are told in words


def draw_label(ax, target, values, colour: str, label: str | None, shape: tuple[int, ...], dashed: bool = False,
         origin=None, slight: bool = False) -> None:
    """Draw a label on the picture in `ax`: `values` [columns] in units, `shape` the picture's (height, width).

    Its number stands in a corner after `label`, the next mark's in the opposite corner; None: no words. `dashed`: a
    prediction beside the truth. `origin`: where axes begin (x, y), else in the picture's middle. `slight`: axes stand
    back behind what matters more.
    """
    values = np.asarray(values, float).reshape(-1)
    found = np.isfinite(values)
    if not (found.any() if target.kind == "point" else found.all()):
        return
    if target.kind in MARKS:
        MARKS[target.kind](ax, target, values, colour, shape, dashed, origin, slight)
    text = "" if label is None else label_text(target, values)
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


def has_interval_mark(target) -> bool:
    """Whether its interval can be drawn on a picture."""
    return target.n <= MANY if target.kind == "point" else target.kind == "angle" and target.in_plane


def draw_interval(ax, target, predicted, radii, shape) -> None:
    """Shade where the truth is expected: about predicted points [columns], or beside an angle; radii [len(within)]."""
    how = {"facecolor": VERMILION, "alpha": 0.25, "linewidth": 0, "zorder": 4.5, "gid": "within"}
    known = has_interval_mark(target) and np.isfinite(radii).all() and np.isfinite(predicted).all()
    if known and target.kind == "point":
        for place, radius in zip(np.reshape(predicted, (-1, 2)) - 0.5, radii, strict=True):
            ax.add_patch(Circle(place, radius, **how))
    elif known:
        phi = -target.zero - (-1 if target.clockwise else 1) * float(predicted[0])  # a picture's y grows downwards
        wide, reach = min(float(radii[0]), target.period / 2), 0.36 * min(shape[:2])
        for turn in (0, 180) if target.period == 180 else (0,):
            ax.add_patch(Wedge(_middle(shape), reach, phi + turn - wide, phi + turn + wide, **how))


def join_points(ax, target, true, predicted) -> None:
    """Thin lines from true points to those predicted for them, [columns] each; nothing for other kinds."""
    if target.kind == "point":
        ends = np.stack([np.reshape(true, (-1, 2)), np.reshape(predicted, (-1, 2))]) - 0.5
        halo = [withStroke(linewidth=1.8, foreground="white")] if target.n <= MANY else None
        ax.plot(ends[..., 0], ends[..., 1], color=VERMILION, linewidth=0.8, zorder=4.9, gid="join", path_effects=halo)


def axes_origin(task, values: dict):
    """Where axes begin: at the only single point that the task has, if it is known, else None; `values`: by target."""
    points = [t for t in task.targets if t.kind == "point" and t.n == 1]
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
    text = label_text(target, values) if np.isfinite(values).all() else ""
    if not text or (target.kind == "point" and inches < 3):
        return []
    return [f"{target.name} {text}" if several and target.kind != "rotation" else text]


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
