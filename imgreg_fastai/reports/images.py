"""Pictures as pages hold them: inside the page, small, with words that say what they show."""
import base64
from io import BytesIO
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from ..plots import by_target, compare
from ..plots.sheets import BLUE, GREY, VERMILION, TitledFigure
from ..utils.format import format_amount
from . import html

DPI, CSS = 140, 96  # of a chart, and of a browser
WIDE = 860  # pixels in a browser, from which on a narrow screen would make a chart too small to read
COLOURS = 128  # of a chart, which has few
QUALITY = 78  # of a photograph
SIDE, SHARP = 2.6, 125  # a tile's width in inches, and its dots an inch
STRIP = 0.3  # inches below a picture


def chart(sheet: TitledFigure) -> dict:
    """A chart as a PNG; its title and its note are what is told to those who do not see it."""
    sheet.set_dpi(DPI)
    image = _drawn(sheet)
    few = image.quantize(COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    alt = ". ".join(" ".join(text.get_text().split()) for text in sheet.texts[:2] if text.get_text())
    size = tuple(round(side * CSS / DPI) for side in image.size)
    return html.image_item(_src(few, "PNG", optimize=True), alt, size, wide=size[0] > WIDE)


def photograph(image: Image.Image, alt: str, caption: str = "", name: str = "") -> dict:
    """A picture as WebP."""
    return html.image_item(_src(image.convert("RGB"), "WEBP", quality=QUALITY), alt, image.size, caption, name)


def saved_chart(file: Path, alt: str) -> dict | None:
    """A plot that a run kept, or None."""
    if not file.is_file():
        return None
    with Image.open(file) as image:
        return photograph(image, alt)


def _src(image: Image.Image, form: str, **how) -> str:
    image.save(written := BytesIO(), form, **how)
    return f"data:image/{form.lower()};base64,{base64.b64encode(written.getvalue()).decode()}"


def example(task, drawn, row, pixels, shape, span) -> dict:
    """A tile: a picture with truth, prediction and interval, and its caption; arguments as for plots.compare.

    What cannot be drawn on a picture stands on a strip below it, which reaches over `span` (low, high).
    """
    target, aspect = drawn[0], float(np.clip(shape[0] / shape[1], 0.5, 1.5))
    strip = STRIP * needs_caption_strip(target)
    high = SIDE * aspect + strip
    fig = Figure(figsize=(SIDE, high), dpi=SHARP, facecolor="white")
    FigureCanvasAgg(fig)
    ax = fig.add_axes((0.004, strip / high, 0.992, 1 - (strip + 0.01) / high))
    compare(ax, task, drawn, row, pixels, shape, words=False)
    if strip:
        _strip(fig.add_axes((0.03, 0.05 * strip / high, 0.94, 0.8 * strip / high)), task, target, row, span)
    told = caption(task, target, row)
    return photograph(_drawn(fig), f"{row['image']}: {told}", told, str(row["image"]))


def _drawn(fig: Figure) -> Image.Image:
    fig.canvas.draw()
    return Image.fromarray(np.asarray(fig.canvas.buffer_rgba())).convert("RGB")


def needs_caption_strip(target) -> bool:
    """Whether it cannot be drawn on a picture."""
    return not target.has_mark


def _strip(ax, task, target, row, span) -> None:
    """Truth and prediction as strokes on a line, the interval as a band behind them."""
    (true,), (predicted,) = (by_target(task, row, end)[target.name] for end in ("", "_predicted"))
    radius = row.get(target.interval_columns[0], np.nan)
    ax.axhline(0.5, color=GREY, linewidth=0.8)
    if np.isfinite(radius):
        ax.axvspan(predicted - radius, predicted + radius, color=VERMILION, alpha=0.25, linewidth=0)
    ax.axvline(true, color=BLUE, linewidth=2.4)
    ax.axvline(predicted, color=VERMILION, linewidth=2, linestyle=(0, (2, 1)))
    if getattr(target, "scale", "") == "log":
        ax.set_xscale("log")
    ax.set(xlim=span, ylim=(0, 1))
    ax.axis("off")


def caption(task, target, row) -> str:
    """Truth, prediction and interval in words: "true 73.2°, predicted 74.1° ± 0.8"."""
    true, predicted = (target.label_text(by_target(task, row, end)[target.name]) for end in ("", "_predicted"))
    radii = np.array([row.get(name, np.nan) for name in target.interval_columns], float)
    known = np.isfinite(radii).any()
    off = format_amount(row[f"{target.name}_error"], target.unit)
    if not true:  # many points
        told = f"{target.n} points, off by {off} on average"
        return f"{told}, expected within {_from_to(radii, target.unit)}" if known else told
    told = f"true {true}, predicted {predicted}"
    if not known:
        return f"{told}, off by {off}"
    if len(target.columns) > 1:
        return f"{told}, expected within {_from_to(radii, target.unit)}, off by {off}"
    return f"{told} ± {format_amount(radii[0])}"


def _from_to(radii: np.ndarray, unit: str) -> str:
    """The smallest and the largest radius: "40 to 180 px", "6.0 px"."""
    least, most = np.nanmin(radii), np.nanmax(radii)
    return format_amount(most, unit) if format_amount(least) == format_amount(most) else f"{format_amount(least)} to {format_amount(most, unit)}"
