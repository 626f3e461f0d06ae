"""Pictures of a run: what the network was shown, how it learned, where it errs.

Every function returns a matplotlib Figure, made without pyplot: no window, no global state, any thread. Truth is blue,
prediction vermilion (Okabe and Ito's palette, told apart by the colour-blind); a title says the finding, with its
number. `frame` is a DataFrame of one row a picture: `image` (the name to show), `path` (the file to open), the targets'
columns, and each column's prediction in `<column>_predicted`. Rows that lack either are left out.
"""
import math
import os
import tempfile
import textwrap
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patheffects import withStroke
from matplotlib.text import Text
from matplotlib.ticker import LogLocator, MaxNLocator, MultipleLocator, NullFormatter

from .errors import ImgregError

BLUE, VERMILION, GREEN, ORANGE, PURPLE, SKY = "#0072B2", "#D55E00", "#009E73", "#E69F00", "#CC79A7", "#56B4E9"
CYCLE = (BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY)
INK, GREY, PALE, SHADE = "#222222", "#6B6B6B", "#E6E6E6", "#F4F4F4"
DPI = 130
LEFT = 0.75  # inches from the sheet's edge to the axes, and to the title above a chart
TIGHT = ("°", "%")  # units that follow their number without a space
BAND_FROM = 30  # rows needed before a running median says anything


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
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, part = tempfile.mkstemp(prefix=f".{path.stem}-", suffix=".png", dir=path.parent)
        os.close(handle)
        try:
            fig.savefig(part, format="png")
            os.chmod(part, 0o644)  # mkstemp's files are for their owner alone
            os.replace(part, path)
        finally:
            Path(part).unlink(missing_ok=True)
    except OSError as e:
        raise ImgregError("a folder that can be written for the plots", f"'{path}': {e.strerror or e}") from e
    return path


def amount(value: float, unit: str = "", decimals: int | None = None, sign: str = "") -> str:
    """A number to be read, with its unit: "0.31°", "3.2 years"; two significant digits unless told `decimals`."""
    if decimals is None:
        decimals = 0 if not value else max(0, 1 - math.floor(math.log10(abs(value)) + 1e-9))
    text = f"{round(value, decimals) + 0.0:{sign}.{decimals}f}".replace("-", "−")  # + 0.0: no "−0"
    return text + (unit if unit in TIGHT else _word(unit))


def _row(values, unit: str, sign: str = "") -> list[str]:
    """Numbers of one precision, to be read in a row; a unit that is a word is left for the end of the row."""
    most = max(map(abs, values)) or 1.0
    decimals = max(int(most < 100), 1 - math.floor(math.log10(most) + 1e-9))
    return [amount(v, unit if unit in TIGHT else "", decimals, sign) for v in values]


def _word(unit: str) -> str:
    return "" if unit in ("", *TIGHT) else f" {unit}"


def _decimals(target, values) -> int:
    """How many decimals tell a thousandth of the target's range."""
    low, high = getattr(target, "low", None), getattr(target, "high", None)
    span = getattr(target, "period", None) or (high - low if None not in (low, high) else np.abs(values).max()) or 1.0
    return max(0, 3 - math.floor(math.log10(span)))


def _reading(target, values) -> str:
    return ", ".join(amount(float(v), target.unit, _decimals(target, values)) for v in values)


def _off(target, error: float) -> str:
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
    line = ax.plot(*ends.T, color=colour, linewidth=1.5, linestyle=(0, (3, 1.6)) if dashed else "-", zorder=3)[0]
    line.set_path_effects([withStroke(linewidth=2.7, foreground="white")])
    if not two_way:
        head = ax.plot(*ends[1], marker=(3, 0, phi - 90), markersize=9, color=colour, markeredgecolor="white", zorder=3)
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


def _tiles(shapes, across: int, side: float, caption: float, title: str, note: str):
    """A Sheet and its axes, one for each of the pictures' `shapes` (height, width), in rows of `across`.

    `side`: a tile's width in inches; `caption`: inches free below each.
    """
    n, edge, gap = len(shapes), 0.3, 0.1
    across = max(3, min(across, n))  # three at least, so that the title has room
    tall = side * float(np.clip(np.median([shape[0] / shape[1] for shape in shapes]), 0.5, 1.5))
    sheet = Sheet(across * side + 2 * edge, math.ceil(n / across) * (tall + caption) + gap, title, note, edge + gap / 2)
    width, high = sheet.get_size_inches()
    axes = []
    for i in range(n):
        x, y = edge + i % across * side + gap / 2, high - sheet.head - i // across * (tall + caption) - tall + gap / 2
        axes.append(sheet.add_axes((x / width, y / high, (side - gap) / width, (tall - gap) / high)))
    return sheet, axes


def _open(paths, open_picture) -> list[tuple]:
    """(pixels, (height, width)) of each picture; the pixels are None where it cannot be opened."""
    opened = []
    for path in paths:
        try:
            image = open_picture(path).convert("RGB")  # a copy, whatever it was
            shape = (image.height, image.width)
            image.thumbnail((400, 400))  # no tile has more pixels, and a grid of photographs does
            opened.append((np.asarray(image), shape))
        except Exception:  # noqa: BLE001 - whatever is wrong with a picture, it must not cost the other plots
            opened.append((None, (100, 100)))
    return opened


def _picture(ax, pixels, shape, frame: str = PALE, thick: float = 0.8) -> None:
    """Show `pixels` in the coordinates of a picture of `shape`, which may be larger; without pixels, a grey tile."""
    if pixels is None:
        pixels = np.full((1, 1, 3), 228, np.uint8)
        ax.text(0.5, 0.5, "cannot be opened", transform=ax.transAxes, ha="center", va="center", size=8, color=GREY)
    ax.imshow(pixels, extent=(-0.5, shape[1] - 0.5, shape[0] - 0.5, -0.5), interpolation="antialiased")
    ax.set(xticks=[], yticks=[], autoscale_on=False)
    ax.spines[:].set(color=frame, linewidth=thick)


def _known(target, frame):
    """The rows with label and prediction, and what they hold: (frame, true [n, columns], predicted, error [n])."""
    columns = list(target.columns)
    true, predicted = (frame[c].to_numpy(float) for c in (columns, [f"{c}_predicted" for c in columns]))
    whole = np.isfinite(true).all(axis=1) & np.isfinite(predicted).all(axis=1)
    true, predicted = true[whole], predicted[whole]
    return frame[whole], true, predicted, target.error(predicted, true) if len(true) else np.empty(0)


def batch(task, pictures, labels) -> Figure:
    """16 training pictures as the network sees them, with their labels.

    `pictures`: uint8 [n, height, width, 3]; `labels`: {target name: [n, columns] in units}, moved with the pictures.
    """
    n = min(16, len(pictures))
    title = f"{n} training pictures as the network sees them"
    sheet, axes = _tiles([p.shape for p in pictures[:n]], 4, 1.9, 0.0, title,
                         "Moved and coloured at random, and each label with its picture: do they still agree?")
    for i, ax in enumerate(axes):
        _picture(ax, pictures[i], pictures[i].shape)
        for target, colour in zip(task.targets, CYCLE * len(task.targets), strict=False):
            label = target.name if len(task.targets) > 1 else ""
            mark(ax, target, labels[target.name][i], colour, label, pictures[i].shape)
    return sheet


def _scale(axis, values) -> None:
    """Set a log scale where `values` span more than a factor of ten, with ticks a person can read."""
    values = values[np.isfinite(values)]
    if len(values) and values.min() > 0 and values.max() > 10 * values.min():
        axis.axes.set(**{f"{axis.axis_name}scale": "log"})
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.set_major_formatter(lambda v, _: f"{v:g}")
        axis.set_minor_formatter(NullFormatter())


def _lines(ax, history, columns: dict[str, str], colours, best) -> None:
    """Columns of `history` over the epochs under the names given; a ring where `best` (a row's position) is."""
    epochs, dot = history["epoch"], "o" if len(history) <= 40 else ""
    for (column, name), colour in zip(columns.items(), colours, strict=False):
        ax.plot(epochs, history[column], color=colour, marker=dot, markersize=3.5, linewidth=1.8, label=name)
        if best is not None and column != "train_loss":
            ax.plot(epochs.iloc[best], history[column].iloc[best], "o", markersize=10, markerfacecolor="none",
                    markeredgecolor=INK, markeredgewidth=1.3)
    if best is not None:
        ax.axvline(epochs.iloc[best], color=GREY, linewidth=0.9, linestyle=(0, (2, 3)), zorder=1)
    _scale(ax.yaxis, history[list(columns)].to_numpy(float))
    ax.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1, steps=(1, 2, 5, 10)))
    ax.set_xlabel("epoch", color=INK)
    if len(columns) > 1:
        ax.legend(frameon=False, fontsize=9, labelcolor=INK)


def curves(history, unit: str | dict[str, str]) -> Figure:
    """Losses and validation errors over the epochs; the epoch of the lowest validation loss, which is kept, marked.

    `history`: a DataFrame of `epoch`, `train_loss`, `valid_loss` and a `<target>_error` for each target; `unit`: of
    the errors, or {target name: unit}, and then errors in other units get a chart of their own.
    """
    names = {c: c.removesuffix("_error") for c in history.columns if c.endswith("_error")}
    units = {c: unit if isinstance(unit, str) else unit.get(name, "") for c, name in names.items()}
    best = int(np.nanargmin(history["valid_loss"].to_numpy(float))) if history["valid_loss"].notna().any() else None
    title = f"{len(history)} epochs" if best is None else f"Best at epoch {history['epoch'].iloc[best]:g}"
    row = history.iloc[-1 if best is None else best] if len(history) else {}
    told = [f"{n} error {amount(row[c], units[c])}" for c, n in names.items() if np.isfinite(row.get(c, np.nan))]
    kinds = list(dict.fromkeys(units.values()))
    sheet = Sheet(4.6 * (1 + len(kinds)), 3.5, ": ".join([title, ", ".join(told)]) if told else title,
                  "The ring is the epoch with the lowest validation loss: its weights are kept." * (best is not None))
    left, *others = sheet.charts(1 + len(kinds))
    _lines(left, history, {"train_loss": "training", "valid_loss": "validation"}, (SKY, BLUE), best)
    left.set_ylabel("loss", color=INK)
    for ax, kind in zip(others, kinds, strict=True):
        _lines(ax, history, {c: n for c, n in names.items() if units[c] == kind}, (VERMILION, *CYCLE[2:]), best)
        ax.set_ylabel("mean validation error" + (f" ({kind})" if kind else ""), color=INK)
    return sheet


def _dots(ax, x, y, colour=BLUE) -> None:
    """Dots that stay visible alone and show their density together."""
    ax.scatter(x, y, s=18 if len(x) <= 300 else 9, alpha=float(np.clip(900 / max(1, len(x)), 0.35, 0.75)), color=colour,
               linewidth=0)


def _axis_name(target, column: str, word: str) -> str:
    name = target.name if len(target.columns) == 1 else column
    return f"{word} {name}" + (f" ({target.unit})" if target.unit else "")


def _ends(target, values) -> tuple[float, float, bool]:
    """Where an axis of true values begins and ends, and whether it is a full circle."""
    low, high = float(np.min(values)), float(np.max(values))
    period = getattr(target, "period", None)
    if period and high - low > period / 2:
        start = 0.0 if low >= 0 else -period / 2
        if low >= start and high <= start + period:
            return start, start + period, True
    pad = 0.05 * (high - low) or 1.0
    return low - pad, high + pad, False


def _circle(axis, target) -> None:
    axis.set_major_locator(MultipleLocator(target.period / 4 if target.period > 180 else 30))


def _empty(target) -> Figure:
    return Sheet(6, 0.3, f"{target.name}: nothing to show", "No row has both a label and a prediction.")


def predicted_against_true(task, target, frame) -> Figure:
    """Prediction over truth with the diagonal, one chart a column; the title has the error and that of guessing."""
    _, true, predicted, error = _known(target, frame)
    if not len(true):
        return _empty(target)
    guess = target.error(np.broadcast_to(target.centre(true), true.shape), true).mean()
    near = true + target.residual(predicted, true)  # an angle across the seam is drawn beside its truth
    n, means = len(target.columns), [amount(e, target.unit) for e in (error.mean(), guess)]
    note = f"{len(true)} pictures, task {task.name}. {_crossing(target, true, near, predicted)}"
    sheet = Sheet(5.9 * n, 5.45, f"{target.name}: mean error {means[0]}, guessing {means[1]}", note)
    for i, (ax, column) in enumerate(zip(sheet.charts(n), target.columns, strict=True)):
        low, high, circle = _ends(target, true[:, i])
        if not circle:
            low, high, _ = _ends(target, np.stack([true[:, i], near[:, i]]))
        ax.plot((low, high), (low, high), color=INK, linewidth=1, zorder=1)
        _dots(ax, true[:, i], near[:, i])
        ax.set(xlim=(low, high), ylim=(low, high))
        if circle:
            _seam(ax, target, low, high, near[:, i])
        ax.set_xlabel(_axis_name(target, column, "true"), color=INK)
        ax.set_ylabel(_axis_name(target, column, "predicted"), color=INK)
    return sheet


def _crossing(target, true, near, predicted) -> str:
    """What to say of predictions that were drawn a period away from their number; nothing if there are none."""
    low, high, circle = _ends(target, true)
    beyond = ((near < low) | (near > high)).any(axis=1).sum()
    if circle and beyond:
        return f"{beyond} beyond the seam 0° = {target.period:g}° (shaded) stand beside their truth."
    return "" if np.allclose(near, predicted) else "Angles are drawn the short way round from their truth."


def _seam(ax, target, low, high, near) -> None:
    """Make room beyond the circle's ends, shaded, whose ticks still tell the angle that was predicted."""
    pad = 0.03 * (high - low)
    bottom, top = min(low, near.min()) - pad, max(high, near.max()) + pad
    ax.set_ylim(bottom, top)
    ax.axhspan(bottom, low, color=SHADE, zorder=0)
    ax.axhspan(high, top, color=SHADE, zorder=0)
    for axis in (ax.xaxis, ax.yaxis):
        _circle(axis, target)
    ax.yaxis.set_major_formatter(lambda v, _: f"{v if low <= v <= high else (v - low) % target.period + low:g}")


def _running(x, y, period: float | None):
    """Running quantiles of y over x, [4, places]: x, then the 5th, 50th and 95th per cent; round a circle or not."""
    order = np.argsort(x, kind="stable")
    x, y, n = x[order], y[order], len(x)
    window = int(np.clip(n // 12, 15, 400))
    if period:
        x, y = np.concatenate([x - period, x, x + period]), np.tile(y, 3)
    first, last = (n - window // 2, 2 * n - window // 2) if period else (0, n - window)
    starts = np.unique(np.linspace(first, last, 80).astype(int))
    return np.array([[np.median(x[s:s + window]), *np.quantile(y[s:s + window], (0.05, 0.5, 0.95))] for s in starts]).T


def residuals(task, target, frame) -> Figure:
    """Signed residuals over the truth with their running median and the band that holds 90 % of them."""
    _, true, predicted, _ = _known(target, frame)
    if not len(true):
        return _empty(target)
    rest = target.residual(predicted, true)
    many, note = len(true) >= BAND_FROM, f"Predicted less true, {len(true)} pictures, task {task.name}."
    low, middle, high = _row(np.quantile(rest, (0.05, 0.5, 0.95) if many else (0, 0.5, 1)), target.unit, "+")
    note += " Line: running median; band: 90 % of the residuals there." * many
    title = f"{target.name}: {'nine in ten' if many else 'all'} residuals from {low} to {high}{_word(target.unit)}"
    sheet = Sheet(8 * len(target.columns), 3.9, f"{title}, median {middle}", note)
    for i, (ax, column) in enumerate(zip(sheet.charts(len(target.columns)), target.columns, strict=True)):
        start, end, circle = _ends(target, true[:, i])
        _residual_dots(ax, target, true[:, i], rest[:, i])
        ax.axhline(0, color=INK, linewidth=1, zorder=1)
        if many:
            x, lower, median, upper = _running(true[:, i], rest[:, i], target.period if circle else None)
            ax.fill_between(x, lower, upper, color=ORANGE, alpha=0.3, linewidth=0, zorder=0.5)
            ax.plot(x, median, color=VERMILION, linewidth=2)
        if circle:
            _circle(ax.xaxis, target)
        ax.set_xlim(start, end)
        ax.set_xlabel(_axis_name(target, column, "true"), color=INK)
        ax.set_ylabel("residual" + (f" ({target.unit})" if target.unit else ""), color=INK)
    return sheet


def _residual_dots(ax, target, x, y) -> None:
    """Dots, with the few that would flatten all others put as triangles on the edge, and counted."""
    size = np.abs(y)
    usual = float(np.quantile(size, 0.98)) if len(y) >= BAND_FROM else size.max()
    limit = 1.08 * size.max() if size.max() <= 4 * usual else 2 * usual
    limit = limit or 1.0
    far = size > limit
    _dots(ax, x[~far], y[~far])
    ax.set_ylim(-limit, limit)
    for sign, shape in ((1, "^"), (-1, "v")):
        out = far & (np.sign(y) == sign)
        ax.plot(x[out], np.full(out.sum(), 0.96 * sign * limit), shape, color=PURPLE, markersize=6, linewidth=0)
    if far.any():
        text = f"▲▼ {far.sum()} beyond this chart, up to ±{amount(size.max(), target.unit)}"
        ax.text(1, 1.01, text, transform=ax.transAxes, ha="right", va="bottom", size=8.5, color=PURPLE)


def _pick(task, name: str | None):
    return next(t for t in task.targets if name in (None, t.name))


def _caption(ax, text: str, name: object = None, colour: str = INK) -> None:
    """Write `text` below a picture, and below that the end of its file name."""
    of = {"xycoords": "axes fraction", "textcoords": "offset points", "ha": "center", "va": "top"}
    ax.annotate(text, (0.5, 0), (0, -5), size=8.5, color=colour, **of)
    if name is not None:
        name = os.path.basename(str(name))
        short = name if len(name) <= 24 else f"{name[:9]}…{name[-14:]}"
        ax.annotate(short, (0.5, 0), (0, -18), size=7, color=GREY, **of)


def worst(task, frame, open_picture, n: int = 12, target: str | None = None) -> Figure:
    """The `n` pictures with the largest errors of a target (the first unless named), the truth beside the prediction.

    `open_picture`: path -> an upright RGB PIL image. A picture that cannot be opened is a grey tile.
    """
    target = _pick(task, target)
    rows, true, predicted, error = _known(target, frame)
    if not len(true):
        return _empty(target)
    order = np.argsort(-error, kind="stable")[:n]
    least, most = _row(error[order[[-1, 0]]], target.unit)
    title = f"The {len(order)} worst of {len(error)}: {target.name} off by {least} to {most}{_word(target.unit)}"
    opened = _open(rows["path"].iloc[order], open_picture)
    sheet, axes = _tiles([shape for _, shape in opened], 4, 1.95, 0.42, title,
                         "Blue: true. Vermilion, dashed: predicted.")
    for ax, i, (pixels, shape) in zip(axes, order, opened, strict=True):
        _picture(ax, pixels, shape)
        if pixels is not None:
            mark(ax, target, true[i], BLUE, "true", shape)
            mark(ax, target, predicted[i], VERMILION, "predicted", shape, dashed=True)
        _caption(ax, _off(target, error[i]), rows["image"].iloc[i])
    return sheet


def tolerance(task_target, frame) -> float:
    """A round error that nine in ten predictions keep within, and few more."""
    error = _known(task_target, frame)[-1]
    most = float(np.quantile(error, 0.9)) if len(error) else 0.0
    if most <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(most))
    return next(float(f"{step * power:g}") for step in (1, 1.5, 2, 3, 4, 5, 6, 8, 10, 15) if step * power >= most)


def grid(task, frame, open_picture, tolerance: float, n: int = 36, target: str | None = None) -> Figure:
    """`n` predictions picked at random (the same ones each time), framed by whether they lie within `tolerance`."""
    target = _pick(task, target)
    rows, true, predicted, error = _known(target, frame)
    if not len(true):
        return _empty(target)
    chosen = np.random.default_rng(0).permutation(len(true))[:n]
    share = math.floor(1000 * np.mean(error <= tolerance)) / 10  # down, so that 100 % means all
    title = f"{share:g} % of {len(true)} predictions of {target.name} within {tolerance:g}"
    title += target.unit if target.unit in TIGHT else _word(target.unit)
    opened = _open(rows["path"].iloc[chosen], open_picture)
    sheet, axes = _tiles([shape for _, shape in opened], 6, 1.5, 0.24, title,
                         f"{len(chosen)} picked at random. Blue frame: within; thick vermilion frame: beyond.")
    for ax, i, (pixels, shape) in zip(axes, chosen, opened, strict=True):
        colour, thick = (BLUE, 1.6) if error[i] <= tolerance else (VERMILION, 4.0)
        _picture(ax, pixels, shape, colour, thick)
        if pixels is not None:
            mark(ax, target, predicted[i], colour, "", shape)
        _caption(ax, _off(target, error[i]), colour=colour)
    return sheet


def _smooth(values, width: float = 2.0):
    """A running mean under a bell of `width` points; at the ends over those there are."""
    bell = np.exp(-0.5 * (np.arange(-6, 7) / width) ** 2)
    return np.array([np.average(values[max(0, i - 6):i + 7], weights=bell[max(0, 6 - i):6 + len(values) - i])
                     for i in range(len(values))])


def lr_find(lrs, losses, suggestion: float | None, trusted: bool) -> Figure:
    """The learning-rate sweep: losses, their smoothed course and the `suggestion`, which counts only if `trusted`."""
    lrs, losses = np.asarray(lrs, float), np.asarray(losses, float)
    whole = np.isfinite(lrs) & np.isfinite(losses)
    lrs, losses = lrs[whole], losses[whole]
    good = trusted and suggestion is not None
    title = f"Suggested learning rate: {suggestion:.2g}" if good else "No learning rate to suggest"
    note = ("Dots: the loss at each rate; line: its course, smoothed; dashed: the suggestion." if good else
            "This sweep means nothing: the loss did not fall clearly anywhere. Take the default rate.")
    sheet = Sheet(7.2, 3.7, title, note)
    (ax,) = sheet.charts()
    ax.plot(lrs, losses, ".", color=SKY, markersize=4, alpha=0.8)
    if len(lrs):
        smooth = _smooth(losses)
        ax.plot(lrs, smooth, color=BLUE if good else GREY, linewidth=2)
        low, start = losses.min(), losses[:(len(losses) + 1) // 2].max()
        top = start + 0.4 * (start - low) + 1e-9  # where it bursts, the loss would flatten all that matters
        ax.set_ylim(low - 0.1 * (top - low), top)
    if good:
        ax.axvline(suggestion, color=VERMILION, linewidth=1.5, linestyle=(0, (4, 2)))
    ax.set_xscale("log")
    ax.xaxis.set_major_formatter(lambda v, _: f"{v:g}")
    ax.set_xlabel("learning rate", color=INK)
    ax.set_ylabel("loss", color=INK)
    return sheet


def write_all(folder: str | Path, task, history, frame, open_picture) -> list[Path]:
    """Write curves, predicted, residuals, worst and grid as PNG into `folder`; the files' paths.

    predicted and residuals carry the target's name when there are several.
    """
    folder, first = Path(folder), task.targets[0]
    paths = [save(curves(history, {t.name: t.unit for t in task.targets}), folder / "curves.png")]
    for target in task.targets:
        tail = f"_{target.name}" if len(task.targets) > 1 else ""
        paths.append(save(predicted_against_true(task, target, frame), folder / f"predicted{tail}.png"))
        paths.append(save(residuals(task, target, frame), folder / f"residuals{tail}.png"))
    paths.append(save(worst(task, frame, open_picture), folder / "worst.png"))
    return [*paths, save(grid(task, frame, open_picture, tolerance(first, frame)), folder / "grid.png")]
