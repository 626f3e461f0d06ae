"""The sections of a report that show pictures: charts of answers and errors, examples, and what the network looked at.

Each function takes the Evidence and gives the parts of its section, see html.part. `which` are the targets shown.
"""
from itertools import chain

import numpy as np
from PIL import Image

from .. import plots
from ..data import images
from ..plots import charts
from ..plots.sheets import labelled_rows, period
from ..utils.format import format_amount
from . import html, occlusion
from .images import chart, example, needs_caption_strip, photograph, saved_chart
from .inputs import ReportInputs
from .verdict import FAR, FEW_OF_PART

SHOWN = 12  # pictures of each kind
LOOKED = 3  # of them whose parts are hidden, one by one; one where there are many targets
FEW_SIZES, QUARTERS = 4, (0, 0.25, 0.5, 0.75, 1)
ASKED = 5000  # pictures whose headers are read
WIDE = 320  # pixels of a tile at least
MOVED = "The pictures are not where they were when the run was scored"


def target_heading(e: ReportInputs, target) -> str:
    """The title of a target's part: none where it is the only one."""
    return target.name if len(e.task.targets) > 1 else ""


def predictions_section(e: ReportInputs, which) -> list[dict]:
    """Predicted against true, and the residuals."""
    guesses = {name: of["baseline"] for name, of in e.scores[e.part].items() if "baseline" in of}
    return [html.part(target_heading(e, t), charts=[chart(charts.predicted_against_true(e.task, t, e.rows, guesses)),
                                            chart(charts.residuals(e.task, t, e.rows))]) for t in which]


# ---- where it errs


def errors(e: ReportInputs, which) -> list[dict]:
    """The errors over the true values, by group, and by the size of the picture."""
    sizes, parts = _sizes(e), []
    for t in which:
        true = labelled_rows(t, e.rows)[1]
        still, told = charts.still(t, true), charts.without(t, true).strip()
        over = [c for c in t.columns if c not in still] if len(t.columns) <= charts.MOST else []
        drawn = [chart(charts.errors_over(e.task, t, e.rows, column)) for column in over]
        drawn += [chart(charts.groups(e.task, t, e.rows))] if e.grouped else []
        note, tables = _by_size(e, t, sizes)
        parts += [html.part(target_heading(e, t), notes=[told] if told else [], charts=drawn),
                  html.part(notes=[note] if note else [], tables=tables)]
    return parts


def _sizes(e: ReportInputs) -> np.ndarray:
    """Width and height [n, 2] of the rows' pictures, by their headers; NaN where it is not known."""
    sizes = np.full((len(e.rows), 2), np.nan)
    there = np.flatnonzero(e.rows["present"].to_numpy(bool))
    asked = np.random.default_rng(0).permutation(there)[:ASKED]
    for i, found in zip(asked, images.map_ahead(images.read_header, None, e.rows["path"].iloc[asked]), strict=True):
        if not isinstance(found, images.PictureError):
            sizes[i] = found.width, found.height
    return sizes


def _by_size(e: ReportInputs, t, sizes: np.ndarray) -> tuple[str, list[dict]]:
    """A sentence, where all pictures have one size or none is known, or a table."""
    error = e.rows[f"{t.name}_error"].to_numpy(float)
    ok = np.isfinite(error) & np.isfinite(sizes).all(axis=1)
    sizes, error = sizes[ok], error[ok]
    if not len(error):
        return f"{MOVED}, so that errors by their size cannot be told.", []
    names, which = _quarters(sizes)
    if len(names) == 1:
        return f"All pictures are of one size, {names[0]} pixels.", []
    rows = []
    for i, name in enumerate(names):
        own = error[which == i]
        bad = bool(len(own) >= FEW_OF_PART and own.mean() > FAR * error.mean())
        rows.append(html.row(name + ": far worse" * bad, [f"{len(own):,}", *(format_amount(v, t.unit) for v in (
            own.mean(), np.median(own), np.quantile(own, 0.9)))], bad))
    heads = ["size of the picture, pixels", "pictures", "mean error", "median", "90 of 100 within"]
    return "", [html.table(f"Errors by the size of the picture ({t.name})", heads, rows)]


def _quarters(sizes: np.ndarray) -> tuple[list[str], np.ndarray]:
    """Names of at most four parts of the pictures by size [n, 2], and which of them each is in [n]."""
    each, which = np.unique(sizes, axis=0, return_inverse=True)
    if len(each) <= FEW_SIZES:
        return [f"{w:g} × {h:g}" for w, h in each], which.reshape(-1)
    area = sizes.prod(axis=1)
    edges = np.unique(np.quantile(area, QUARTERS))
    which = np.clip(np.searchsorted(edges, area, side="right") - 1, 0, max(len(edges) - 2, 0))
    spans = [area[which == i] for i in range(which.max() + 1)]
    return [f"{of.min():,.0f} to {of.max():,.0f} in all" for of in spans], which


# ---- examples


def example_rows(t, rows) -> tuple:
    """(the rows with an answer and a label, the worst of them, those whose errors are nearest to the median)."""
    found, _, _, error = labelled_rows(t, rows)
    order = np.argsort(-error, kind="stable")
    worst, rest = np.split(order, [min(SHOWN, (len(order) + 1) // 2)])
    near = np.argsort(np.abs(error[rest] - np.median(error)), kind="stable") if len(rest) else rest
    return found, worst, rest[near][:SHOWN]


def examples(e: ReportInputs, which) -> list[dict]:
    """The worst and the typical pictures; the plot that the run kept where the pictures are gone."""
    if not e.here:
        return [_kept_worst(e, t) for t in which]
    picked = {t.name: example_rows(t, e.rows) for t in which}
    paths = list(dict.fromkeys(chain(*(rows["path"].iloc[np.concatenate(both)] for rows, *both in picked.values()))))
    opened = dict(zip(paths, plots.open_tiles(paths, e.open_picture), strict=True))
    parts = []
    for t in which:
        rows, *both = picked[t.name]
        drawn, span, note = plots.drawn_together(e.task, t, rows), _span(t, rows), _told(t, rows)
        groups = [html.group(f"The {len(places)} {word}" if len(places) > 1 else f"The {word}", [
            example(e.task, drawn, row, *opened[row["path"]], span) for _, row in rows.iloc[places].iterrows()], note)
            for places, word in zip(both, ("worst", "typical, around the median error"), strict=True) if len(places)]
        parts.append(html.part(target_heading(e, t), groups=groups))
    return parts


def _kept_worst(e: ReportInputs, t) -> dict:
    plot = saved_chart(e.run.path / "plots" / plots.file_name("worst", e.task, t),
                f"The worst pictures by {t.name} with truth and prediction, drawn when the run was scored.")
    told = "; this is what was drawn then." if plot else ", and no plot of them was kept."
    return html.part(target_heading(e, t), notes=[MOVED + told], charts=[plot] if plot else [])


def _span(t, rows) -> tuple[float, float]:
    """What the strips below pictures reach over."""
    if period(t):
        return 0.0, period(t)
    values = rows[[c for column in t.columns for c in (column, f"{column}_predicted")]].to_numpy(float)
    low, high = np.nanmin(values), np.nanmax(values)
    return (low / 1.05, high * 1.05) if getattr(t, "scale", "") == "log" and low > 0 else (low, high)


def _told(t, rows) -> str:
    """What the marks mean."""
    note, strip = t.mark_note, needs_caption_strip(t)
    if strip:
        low, high = _span(t, rows)
        note += f" The strip below a picture reaches from {format_amount(low)} to {format_amount(high, t.unit)}."
    return note + " Shaded: the interval." * (t.interval_columns[0] in rows and (strip or t.has_interval_mark))


# ---- what the network looked at


def occlusion_section(e: ReportInputs, which) -> list[dict]:
    """How far the answer moves when a part of a picture is hidden, for a few typical and a few of the worst."""
    if not e.here or e.model is None:
        why = MOVED if not e.here else "The model file is not in the run"
        return [html.part(notes=[f"{why}, so that nothing can be hidden from the network."])]
    few = LOOKED if len(which) <= 2 else 1
    picked = {}
    for t in which:
        rows, worst, typical = example_rows(t, e.rows)
        picked[t.name] = ([("typical", i) for i in rows.index[typical[:few]]]
                          + [("among the worst", i) for i in rows.index[worst[:few]]])
    seen = _occluded(e, sorted({i for of in picked.values() for _, i in of}))
    return [html.part(target_heading(e, t), groups=[html.group("Where hiding a part moves the answer", [
        _warm(e, t, word, i, *seen[i]) for word, i in picked[t.name] if i in seen])]) for t in which]


def _occluded(e: ReportInputs, places: list[int]) -> dict:
    """{row: (pixels, {target: changes})} of the pictures of these rows that can be opened."""
    rows, box = e.rows.loc[places], list(e.task.box)
    opened = images.fit_images(list(rows["path"]), e.task, rows[box].to_numpy(float) if box else None)
    return {i: (picture.pixels, occlusion.changes(e.model, picture)) for i, picture in zip(places, opened, strict=True)
            if not isinstance(picture, images.PictureError)}


def _warm(e: ReportInputs, t, word: str, i: int, pixels, changes: dict) -> dict:
    """A tile: the picture as the network sees it, red where hiding it moves the answer."""
    image, change = occlusion.overlay(pixels, changes[t.name]), changes[t.name]
    times = max(1, -(-WIDE // image.width))
    image = image.resize((times * image.width, times * image.height), Image.Resampling.BICUBIC)
    most, name = format_amount(change.max(), t.unit), str(e.rows["image"].loc[i])
    told = f"{word}: hiding {occlusion.where(change)} moves the answer by up to {most}"
    return photograph(image, f"{name}, {told}", told, name)
