"""The charts and images of a report's sections: predictions, errors, examples, intervals and occlusion.

Images are the dicts of images.py; `targets` are those that are shown.
"""
import math
from collections.abc import Callable
from itertools import repeat
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from ..data import images
from ..inference.predictor import Predictor
from ..plots import charts, file_name
from ..plots.charts import labelled_rows
from ..plots.pictures import Tile, comparison_note, targets_together
from ..tasks import Target, period_start
from ..utils.format import format_amount
from . import occlusion
from .images import chart, example, photograph, saved_chart
from .inputs import ReportInputs
from .intervals import errors_over_half_widths
from .verdict import is_far_worse

MAX_EXAMPLES = 12  # images of each kind
MAX_SIZES = 4  # different sizes of images that have a row each
MAX_HEADERS = 5000  # images whose headers are read
MIN_TILE_WIDTH = 320  # pixels


def target_section(inputs: ReportInputs, target: Target, sizes: pd.DataFrame, n_occluded: int,
                   open_tile: Callable[[str], Tile]) -> dict:
    """Draw all charts and images of a target.

    Args:
        inputs: The run.
        target: One of its targets.
        sizes: See picture_sizes.
        n_occluded: How many typical images have a part hidden, and how many of the worst.
        open_tile: path -> the image to be shown small.
    """
    task, rows = inputs.task, inputs.rows
    guessing = {name: scores["baseline"] for name, scores in inputs.scores[inputs.part].items() if "baseline" in scores}
    half_widths = []
    if set(target.interval_columns) <= {*rows}:
        half_widths = [chart(errors_over_half_widths(task, target, rows))]
    return {
        "target": target,
        "predictions": [chart(charts.predicted_against_true(task, target, rows, guessing)),
                        chart(charts.residuals(task, target, rows))],
        "errors": error_charts(inputs, target), "sizes": errors_by_size(rows[f"{target.name}_error"], sizes),
        "examples": examples(inputs, target, open_tile), "half_widths": half_widths,
        "occlusion": occluded_tiles(inputs.model, target, rows, n_occluded) if inputs.model else [],
    }


# ---- errors


def error_charts(inputs: ReportInputs, target: Target) -> dict:
    """Draw the errors of a target over the true values and by group.

    Returns:
        `charts`, and a `note` on columns that have none.
    """
    true = labelled_rows(target, inputs.rows).true
    series, note = charts.chart_series(target.charted, true, true)
    figures = [charts.errors_over(inputs.task, target, inputs.rows, column) for column, *_ in series
               if column in target.charted.columns]  # the points of many are pooled
    note = note if figures else ""
    if "group" in inputs.rows and inputs.rows["group"].nunique() > 1:
        figures.append(charts.groups(inputs.task, target, inputs.rows))
    return {"charts": [chart(figure) for figure in figures], "note": note}


def picture_sizes(rows: pd.DataFrame, max_pixels: int | None = None) -> pd.DataFrame:
    """Read `width` and `height` of the images of rows that are present; of very many, some at random."""
    rows = rows[rows["present"]]
    rows = rows.sample(min(MAX_HEADERS, len(rows)), random_state=0)
    headers = images.map_ahead(images.read_header, rows["path"], repeat(max_pixels))
    sizes = [(np.nan, np.nan) if isinstance(header, images.PictureError) else (header.width, header.height)
             for header in headers]
    return pd.DataFrame(sizes, rows.index, ["width", "height"], float).dropna()


def errors_by_size(error: pd.Series, sizes: pd.DataFrame) -> list[dict]:
    """Summarise errors by the size of the image.

    Args:
        error: Errors, some NaN, with the index of the rows.
        sizes: See picture_sizes.

    Returns:
        {name, n, mean, median, p90, far_worse} of each of the `size_names`, the smallest first.
    """
    error = error.loc[sizes.index].dropna()
    groups = error.groupby(size_names(sizes.loc[error.index]), observed=True)
    table = groups.agg(n="size", mean="mean", median="median", p90=lambda part: part.quantile(0.9))
    table["far_worse"] = [is_far_worse(n, mean, error.mean()) for n, mean in table[["n", "mean"]].to_numpy()]
    return table.rename_axis("name").reset_index().to_dict("records")


def size_names(sizes: pd.DataFrame) -> pd.Series:
    """Write the sizes of images in words, as ordered categories.

    Args:
        sizes: `width` and `height`.

    Returns:
        With the same index, "60 × 40" where there are few sizes, else the image's quarter by area.
    """
    area = sizes["width"] * sizes["height"]
    if len(sizes.drop_duplicates()) <= MAX_SIZES:
        names = sizes["width"].map("{:g} × ".format) + sizes["height"].map("{:g}".format)
    else:
        quarters = area.groupby(np.ceil(4 * area.rank(pct=True)))
        smallest, largest = quarters.transform("min"), quarters.transform("max")
        names = smallest.map("{:,.0f} to ".format) + largest.map("{:,.0f} in all".format)
    return names.astype(pd.CategoricalDtype(names.loc[area.sort_values().index].unique().tolist(), ordered=True))


# ---- examples


class ExampleRows(NamedTuple):
    """The rows with the largest errors, and those whose errors are nearest to the median."""

    worst: pd.DataFrame
    typical: pd.DataFrame


def example_rows(target: Target, rows: pd.DataFrame) -> ExampleRows:
    """Pick the examples of a target; no row is in both parts, and of few rows each part is a third, rounded up."""
    result = labelled_rows(target, rows)
    order = np.argsort(-result.error, kind="stable")
    n_examples = min(MAX_EXAMPLES, math.ceil(len(order) / 3))
    worst, rest = np.split(order, [n_examples])
    distance = np.abs(result.error[rest] - np.median(result.error))
    rest = rest[np.argsort(distance, kind="stable")][:n_examples]
    return ExampleRows(result.frame.iloc[worst], result.frame.iloc[rest])


def examples(inputs: ReportInputs, target: Target, open_tile: Callable[[str], Tile]) -> dict:
    """Draw the worst and the typical images of a target, see target_section.

    Returns:
        `worst` and `typical`, tiles, and a `note` on what their marks mean; where the images are gone, `saved`, the
        plot of the worst that was drawn when the run was scored, if any.
    """
    if not inputs.has_pictures:
        plot = inputs.run.path / "plots" / file_name("worst", inputs.task, target)
        return {"saved": saved_chart(plot, f"The worst images by {target.name} with truth and prediction, drawn when "
                                           "the run was scored.")}
    picked = example_rows(target, inputs.rows)
    together, span = targets_together(inputs.task, target, inputs.rows), _strip_span(target, inputs.rows)
    note = comparison_note(together, inputs.rows)
    if not target.has_mark:
        note += (f" The strip below an image reaches from {format_amount(span[0])} to "
                 f"{format_amount(span[1], target.unit)}; the interval, if any, is shaded.")
    result: dict = {"note": note}
    for name, rows in picked._asdict().items():
        result[name] = [example(inputs.task, together, row, open_tile(row["path"]), span) for _, row in rows.iterrows()]
    return result


def _strip_span(target: Target, rows: pd.DataFrame) -> tuple[float, float]:
    """Return the lowest and the highest value on the strips below images."""
    values = rows[[*target.columns, *(f"{column}_predicted" for column in target.columns)]].to_numpy(float)
    if target.wraps:
        start = period_start(values, target.wraps)
        return start, start + target.wraps
    low, high = np.nanmin(values), np.nanmax(values)
    return (low / 1.05, high * 1.05) if target.log_scale and low > 0 else (low, high)


# ---- occlusion


def occluded_tiles(model: Predictor, target: Target, rows: pd.DataFrame, n: int) -> list[dict]:
    """Show what hiding a part of an image changes, for `n` typical images and `n` of the worst of rows.

    Returns:
        Tiles of the images that can be opened, as the network gets them, red where they matter.
    """
    worst, typical = example_rows(target, rows)
    shown = pd.concat([typical[:n].assign(kind="typical"), worst[:n].assign(kind="among the worst")])
    tiles, pictures = [], images.fit_images(list(shown["path"]), model.task, model.task.boxes(shown))
    for name, kind, picture in zip(shown["image"].astype(str), shown["kind"], pictures, strict=True):
        if isinstance(picture, images.PictureError):
            continue
        change = occlusion.changes(model, picture)[target.name]
        image = occlusion.overlay(picture.pixels, change)
        scale = max(1, -(-MIN_TILE_WIDTH // image.width))
        image = image.resize((scale * image.width, scale * image.height), Image.Resampling.BICUBIC)
        text = (f"{kind}: hiding {occlusion.strongest_position(change)} changes the prediction by up to "
                f"{format_amount(change.max(), target.unit)}")
        tiles.append(photograph(image, f"{name}, {text}", text, name))
    return tiles
