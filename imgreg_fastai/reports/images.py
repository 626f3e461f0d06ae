"""Images that are embedded in a page: charts, photographs, and tiles with an image's truth and prediction.

They are dicts of `src` (a data URL), `alt`, `width` and `height` in CSS pixels, and `wide` (whether a chart scrolls
sideways on a narrow screen instead of being made smaller). Tiles also have a `caption` and, below it, a `name`.
"""
import base64
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from PIL import Image

from ..plots.figures import BLUE, GREY, VERMILION, TitledFigure, bare_figure, to_image
from ..plots.pictures import Tile, draw_comparison, row_values, show_picture
from ..tasks import Target, Task
from ..utils.format import format_amount, with_unit

CHART_DPI, CSS_DPI = 140, 96
WIDE = 860  # CSS pixels, from which on a narrow screen would make a chart too small to read
CHART_COLOURS = 128
WEBP_QUALITY = 78
TILE_WIDTH, TILE_DPI = 2.6, 125  # inches; dots an inch
STRIP_HEIGHT = 0.3  # inches


def chart(figure: TitledFigure) -> dict:
    """Embed a chart as a PNG; its title and its note are the text for those who do not see it."""
    figure.set_dpi(CHART_DPI)
    image = to_image(figure).convert("RGB")
    small = image.quantize(CHART_COLOURS, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    alt = ". ".join(" ".join(text.get_text().split()) for text in figure.texts[:2] if text.get_text())
    width, height = (round(side * CSS_DPI / CHART_DPI) for side in image.size)
    return {"src": _data_url(small, "PNG", optimize=True), "alt": alt, "width": width, "height": height,
            "wide": width > WIDE}


def photograph(image: Image.Image, alt: str, caption: str = "", name: str = "") -> dict:
    """Embed an image as WebP."""
    return {"src": _data_url(image.convert("RGB"), "WEBP", quality=WEBP_QUALITY), "alt": alt, "width": image.width,
            "height": image.height, "wide": False, "caption": caption, "name": name}


def saved_chart(file: Path, alt: str) -> list[dict]:
    """Embed a plot that was saved with a run, if it is still there: a list of one, or of none."""
    if not file.is_file():
        return []
    with Image.open(file) as image:
        return [photograph(image, alt)]


def _data_url(image: Image.Image, image_format: str, **options) -> str:
    buffer = BytesIO()
    image.save(buffer, image_format, **options)
    return f"data:image/{image_format.lower()};base64,{base64.b64encode(buffer.getvalue()).decode()}"


def example(task: Task, targets: Sequence[Target], row: pd.Series, tile: Tile,
            span: tuple[float, float]) -> dict:
    """Draw a tile: an image with truth, prediction and interval, and its caption.

    Args:
        task: The task.
        targets: What is drawn; the first is in the caption and, if it has no mark, on a strip below the image.
        row: A row of a frame, see plots/__init__.py, with the target's error.
        tile: The image.
        span: The lowest and the highest value on the strip.
    """
    target = targets[0]
    strip = 0 if target.has_mark else STRIP_HEIGHT
    height = TILE_WIDTH * float(np.clip(tile.shape[0] / tile.shape[1], 0.5, 1.5)) + strip
    figure, ax = bare_figure(TILE_WIDTH, height, TILE_DPI)
    ax.set_position((0.004, strip / height, 0.992, 1 - (strip + 0.01) / height))
    show_picture(ax, tile)
    draw_comparison(ax, task, targets, row, tile, words=False)
    if strip:
        _draw_strip(figure.add_axes((0.03, 0.05 * strip / height, 0.94, 0.8 * strip / height)), task, target, row, span)
    text = caption(task, target, row)
    return photograph(to_image(figure), f"{row['image']}: {text}", text, str(row["image"]))


def _draw_strip(ax: Axes, task: Task, target: Target, row: pd.Series, span: tuple[float, float]) -> None:
    """Draw truth and prediction as strokes on a line, and the interval as a band."""
    (true,), (predicted,) = row_values(task, row)[target.name], row_values(task, row, "_predicted")[target.name]
    half_width = row.get(target.interval_columns[0], np.nan)
    ax.axhline(0.5, color=GREY, linewidth=0.8)
    if np.isfinite(half_width):
        ax.axvspan(predicted - half_width, predicted + half_width, color=VERMILION, alpha=0.25, linewidth=0)
    ax.axvline(true, color=BLUE, linewidth=2.4)
    ax.axvline(predicted, color=VERMILION, linewidth=2, linestyle=(0, (2, 1)))
    ax.set(xlim=span, ylim=(0, 1), xscale="log" if target.log_scale else "linear")
    ax.axis("off")


def caption(task: Task, target: Target, row: pd.Series) -> str:
    """Write truth, prediction and interval: "true 73.2°, predicted 74.1° ± 0.80"; arguments as for `example`."""
    true = target.label_text(row_values(task, row)[target.name])
    predicted = target.label_text(row_values(task, row, "_predicted")[target.name])
    half_widths = np.array([row.get(name, np.nan) for name in target.interval_columns], float)
    half_widths = half_widths[np.isfinite(half_widths)]
    error = format_amount(row[f"{target.name}_error"], target.unit)
    expected = ""
    if len(half_widths):
        ends = dict.fromkeys(format_amount(end) for end in (half_widths.min(), half_widths.max()))
        expected = f", expected within {with_unit(' to '.join(ends), target.unit)}"
    if not true:
        return f"{len(target.columns) // 2} points, off by {error} on average{expected}"
    if len(half_widths) and len(target.columns) == 1:
        return f"true {true}, predicted {predicted} ± {format_amount(half_widths[0])}"
    return f"true {true}, predicted {predicted}{expected}, off by {error}"
