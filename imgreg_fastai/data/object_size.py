"""Sizes in pixels by some of the images: what is shown of them, and objects too small for the network to see."""
import math
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pandas as pd

from ..tasks import Task
from ..tasks.geometry import to_view
from .images import known_views

FEWEST_PIXELS = 8  # of an object, on its longer side
SAMPLE = 200  # images whose headers are read
STEP = 32  # pixels, that a proposed size is a multiple of


def shown_size(rows: pd.DataFrame, task: Task) -> tuple[float, float]:
    """Return the median height and width of what is shown of an image, the whole or its box, in its own pixels.

    Args:
        rows: Labels with `path`; of more than SAMPLE rows some are looked at.
        task: Its size is returned where no image can be opened, which is said later.
    """
    rows = _sample(rows)
    task = replace(task, fit="squish", augment=())  # whose view is the whole image or box, without padding
    views = known_views(rows["path"], task, task.boxes(rows))
    scales = views[np.isfinite(views).all(axis=1), :2]
    if not len(scales):
        return task.size
    width, height = np.median(2 / scales, axis=0)
    return float(height), float(width)


def _sample(rows: pd.DataFrame) -> pd.DataFrame:
    """At most SAMPLE of the rows, always the same ones."""
    return rows.sample(min(SAMPLE, len(rows)), random_state=0)


def describe_small_objects(rows: pd.DataFrame, task: Task) -> Iterator[str]:
    """Name the objects that have fewer than FEWEST_PIXELS in half of the images, and what to do.

    Args:
        rows: Labels with `path`; of more than SAMPLE rows some are looked at.
        task: Its points and box tell the size of objects: the extent of all points of a target, and the box.

    Yields:
        A sentence for each target, and one for the boxes.
    """
    targets = [t for t in task.targets if t.in_image and len(t.columns) > 2]
    rows = _sample(rows)
    boxes = task.boxes(rows)
    longer_side = FEWEST_PIXELS if boxes is None else float(np.median(boxes[:, 2:].max(axis=1)))
    if longer_side < FEWEST_PIXELS:
        yield (f"half of the boxes have at most {longer_side:.1f} pixels on their longer side, too few to see what "
               "they show: take images of more pixels")
    if not targets:
        return
    views, size = known_views(rows["path"], task, boxes), np.array(task.size[::-1])
    for target in targets:
        points = rows[list(target.columns)].to_numpy(float).reshape(len(rows), -1, 2)
        shown = to_view(points, views) * size / 2  # pixels of what the network sees
        with np.errstate(invalid="ignore"):
            extents = (np.fmax.reduce(shown, axis=1) - np.fmin.reduce(shown, axis=1)).max(axis=1)
        extents = extents[np.isfinite(extents)]
        median = float(np.median(extents)) if len(extents) else FEWEST_PIXELS
        if median < FEWEST_PIXELS:
            sides = [STEP * math.ceil(side * FEWEST_PIXELS / max(median, 0.5) / STEP) for side in task.size]
            yield (f"at {task.size[0]}x{task.size[1]} pixels {target.name} lies within {median:.1f} pixels "
                   f"in half of the images: --size {sides[0]}x{sides[1]}, or --box for the part that shows them")
