"""The sections of a report that show pictures and charts: predictions, errors, examples, and occlusion.

Each function takes the ReportInputs and the targets to show, and returns the parts of its section, see html.part.
"""
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

from ..data import images
from ..plots import charts, file_name
from ..plots.charts import labelled_rows
from ..plots.pictures import comparison_note, open_tiles, targets_together
from ..utils.format import format_amount
from . import html, occlusion
from .images import chart, example, photograph, saved_chart
from .inputs import ReportInputs
from .verdict import is_far_worse

MAX_EXAMPLES = 12  # pictures of each kind
MAX_OCCLUDED, MAX_OCCLUDED_OF_MANY = 3, 1  # pictures of each kind for a target; the latter from three targets on
MAX_SIZES = 4  # different sizes of pictures that have a row each
MAX_HEADERS = 5000  # pictures whose headers are read
MIN_TILE_WIDTH = 320  # pixels
NO_PICTURES = "The pictures are not where they were when the run was scored"
EXPLANATION = ("A grey patch is moved over each picture. The redder a place, the more the prediction changes when the "
               "patch hides it. Red on the object itself is good; red on the background shows that the network relies "
               "on something else.")


def prediction_parts(inputs: ReportInputs, targets) -> list[dict]:
    """Predicted against true, and the residuals."""
    guessing = {name: scores["baseline"] for name, scores in inputs.scores[inputs.part].items() if "baseline" in scores}
    return [html.part(inputs.heading(target), charts=[
        chart(charts.predicted_against_true(inputs.task, target, inputs.rows, guessing)),
        chart(charts.residuals(inputs.task, target, inputs.rows))]) for target in targets]


# ---- errors


def error_parts(inputs: ReportInputs, targets) -> list[dict]:
    """The errors over the true values, by group, and by the size of the picture."""
    sizes, parts = _picture_sizes(inputs), []
    for target in targets:
        true = labelled_rows(target, inputs.rows).true
        series, note = charts.chart_series(target, true, true)
        figures = [charts.errors_over(inputs.task, target, inputs.rows, column) for column, *_ in series
                   if column in target.columns]  # the points of many are pooled
        note = note if figures else ""
        if inputs.has_groups:
            figures.append(charts.groups(inputs.task, target, inputs.rows))
        parts += [html.part(inputs.heading(target), notes=[note], charts=map(chart, figures)),
                  _size_part(inputs, target, sizes)]
    return parts


def _picture_sizes(inputs: ReportInputs) -> pd.DataFrame:
    """`width` and `height` of pictures by their headers, with the index of the rows; of very many, some at random."""
    rows = inputs.rows[inputs.rows["present"]]
    rows = rows.sample(min(MAX_HEADERS, len(rows)), random_state=0)
    headers = images.map_ahead(images.read_header, None, rows["path"])
    sizes = [(np.nan, np.nan) if isinstance(header, images.PictureError) else (header.width, header.height)
             for header in headers]
    return pd.DataFrame(sizes, rows.index, ["width", "height"], float).dropna()


def _size_part(inputs: ReportInputs, target, sizes: pd.DataFrame) -> dict:
    """A table of errors by the size of the picture; a sentence where there is one size or none."""
    error = inputs.rows.loc[sizes.index, f"{target.name}_error"].dropna()
    if error.empty:
        return html.note(f"{NO_PICTURES}, so that there are no errors by their size.")
    names = size_names(sizes.loc[error.index])
    if names.nunique() == 1:
        return html.note(f"All pictures are of one size, {names.iloc[0]} pixels.")
    rows, bad = [], []
    for name, part in error.groupby(names, observed=True):
        if is_far_worse(len(part), part.mean(), error.mean()):
            name += ": far worse"
            bad.append(name)
        values = (part.mean(), part.median(), part.quantile(0.9))
        rows.append((name, f"{len(part):,}", *(format_amount(value, target.unit) for value in values)))
    heads = ["size of the picture, pixels", "pictures", "mean error", "median", "90 of 100 within"]
    return html.part(tables=[html.table(f"Errors by the size of the picture ({target.name})", heads, rows, bad=bad)])


def size_names(sizes: pd.DataFrame) -> pd.Series:
    """The sizes of pictures in words, as ordered categories.

    Args:
        sizes: `width` and `height`.

    Returns:
        With the same index, "60 × 40" where there are few sizes, else the picture's quarter by area.
    """
    area = sizes["width"] * sizes["height"]
    if len(sizes.drop_duplicates()) <= MAX_SIZES:
        names = sizes["width"].map("{:g} × ".format) + sizes["height"].map("{:g}".format)
    else:
        quarters = area.groupby(np.ceil(4 * area.rank(pct=True)))
        smallest, largest = quarters.transform("min"), quarters.transform("max")
        names = smallest.map("{:,.0f} to ".format) + largest.map("{:,.0f} in all".format)
    return names.astype(pd.CategoricalDtype(names.loc[area.sort_values().index].unique(), ordered=True))


# ---- examples


class ExampleRows(NamedTuple):
    """The rows with the largest errors, and those whose errors are nearest to the median."""

    worst: pd.DataFrame
    typical: pd.DataFrame


def example_rows(target, rows) -> ExampleRows:
    """Pick the examples of a target; no row is in both parts."""
    result = labelled_rows(target, rows)
    order = np.argsort(-result.error, kind="stable")
    worst, rest = np.split(order, [min(MAX_EXAMPLES, (len(order) + 1) // 2)])
    if len(rest):
        distance = np.abs(result.error[rest] - np.median(result.error))
        rest = rest[np.argsort(distance, kind="stable")][:MAX_EXAMPLES]
    return ExampleRows(result.frame.iloc[worst], result.frame.iloc[rest])


def example_parts(inputs: ReportInputs, targets) -> list[dict]:
    """The worst and the typical pictures; the saved plot where the pictures are gone."""
    if not inputs.has_pictures:
        return [_saved_worst(inputs, target) for target in targets]
    examples = {target.name: example_rows(target, inputs.rows) for target in targets}
    paths = pd.concat([rows["path"] for both in examples.values() for rows in both]).unique()
    tiles = dict(zip(paths, open_tiles(paths, inputs.open_picture), strict=True))
    parts = []
    for target in targets:
        together, span = targets_together(inputs.task, target, inputs.rows), _strip_span(target, inputs.rows)
        note, groups = _marks_note(together, inputs.rows, span), []
        for name, rows in zip(("worst", "typical, around the median error"), examples[target.name], strict=True):
            items = [example(inputs.task, together, row, tiles[row["path"]], span) for _, row in rows.iterrows()]
            groups.append(html.group(f"The {len(rows)} {name}" if len(rows) > 1 else f"The {name}", items, note))
        parts.append(html.part(inputs.heading(target), groups=groups))
    return parts


def _saved_worst(inputs: ReportInputs, target) -> dict:
    plot = saved_chart(inputs.run.path / "plots" / file_name("worst", inputs.task, target),
                       f"The worst pictures by {target.name} with truth and prediction, drawn when the run was scored.")
    note = f"{NO_PICTURES}; this is what was drawn then." if plot else f"{NO_PICTURES}, and no plot of them was kept."
    return html.part(inputs.heading(target), notes=[note], charts=plot)


def _strip_span(target, rows) -> tuple[float, float]:
    """The lowest and the highest value on the strips below pictures."""
    if target.wraps:
        return 0.0, target.wraps
    values = rows[[*target.columns, *(f"{column}_predicted" for column in target.columns)]].to_numpy(float)
    low, high = np.nanmin(values), np.nanmax(values)
    return (low / 1.05, high * 1.05) if target.log_scale and low > 0 else (low, high)


def _marks_note(together, rows, span: tuple[float, float]) -> str:
    """What the marks and the strip mean."""
    target, note = together[0], comparison_note(together, rows)
    if target.has_mark:
        return note
    low, high = format_amount(span[0]), format_amount(span[1], target.unit)
    return f"{note} The strip below a picture reaches from {low} to {high}; the interval, if any, is shaded."


# ---- occlusion


def occlusion_parts(inputs: ReportInputs, targets) -> list[dict]:
    """How far the prediction changes when a part of a picture is hidden, for typical pictures and the worst."""
    if inputs.model is None:
        reason = "The model file is not in the run" if inputs.has_pictures else NO_PICTURES
        return [html.note(EXPLANATION), html.note(f"{reason}, so that nothing can be hidden from the network.")]
    n = MAX_OCCLUDED if len(targets) <= 2 else MAX_OCCLUDED_OF_MANY
    parts = [html.note(EXPLANATION)]
    for target in targets:
        worst, typical = example_rows(target, inputs.rows)
        tiles = _occluded(inputs, target, "typical", typical[:n])
        tiles += _occluded(inputs, target, "among the worst", worst[:n])
        group = html.group("Where hiding a part changes the prediction", tiles)
        parts.append(html.part(inputs.heading(target), groups=[group]))
    return parts


def _occluded(inputs: ReportInputs, target, kind: str, rows) -> list[dict]:
    """Tiles of the pictures of these rows that can be opened, as the network gets them, red where they matter."""
    boxes, tiles = list(inputs.task.box), []
    pictures = images.fit_images(list(rows["path"]), inputs.task, rows[boxes].to_numpy(float) if boxes else None)
    for name, picture in zip(rows["image"].astype(str), pictures, strict=True):
        if isinstance(picture, images.PictureError):
            continue
        change = occlusion.changes(inputs.model, picture)[target.name]
        image = occlusion.overlay(picture.pixels, change)
        scale = max(1, -(-MIN_TILE_WIDTH // image.width))
        image = image.resize((scale * image.width, scale * image.height), Image.Resampling.BICUBIC)
        text = (f"{kind}: hiding {occlusion.strongest_position(change)} changes the prediction by up to "
                f"{format_amount(change.max(), target.unit)}")
        tiles.append(photograph(image, f"{name}, {text}", text, name))
    return tiles
