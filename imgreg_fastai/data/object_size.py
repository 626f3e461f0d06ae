"""Objects that have few pixels in what the network sees, where points or boxes tell how large they are."""
import math
from collections.abc import Iterator

import numpy as np
import pandas as pd

from ..tasks import Task
from ..tasks.geometry import to_view
from .images import known_views

FEWEST_PIXELS = 8  # of an object, on its longer side
SAMPLE = 200  # images that are looked at
STEP = 32  # pixels, that a proposed size is a multiple of


def describe_small_objects(rows: pd.DataFrame, task: Task) -> Iterator[str]:
    """Name the objects that have fewer than FEWEST_PIXELS in half of the images, and what to do.

    Args:
        rows: Labels with `path`; of more than SAMPLE rows some are looked at.
        task: Its points and box tell the size of objects: the extent of all points of a target, and the box.

    Yields:
        A sentence for each target, and one for the boxes.
    """
    targets = [t for t in task.targets if t.in_image and len(t.columns) > 2]
    rows = rows.sample(min(SAMPLE, len(rows)), random_state=0)
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
