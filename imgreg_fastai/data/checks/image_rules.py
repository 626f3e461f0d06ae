"""The issues of labelled rows that show when their images are opened."""
import numpy as np
import pandas as pd

from ...tasks.flip_pairs import point_names
from ...tasks.geometry import place_picture
from ...utils.errors import first_few
from ..images.files import SHRINKABLE
from ..images.levels import unusual_levels
from ..issues import Issue
from .image_stats import CheckedTable

TOLERANCE = 1.0  # pixels beyond the edge that rounding explains


def broken_image_issues(table: CheckedTable) -> list[Issue]:
    """Find images that cannot be opened. Code: broken."""
    whys = pd.Series(table.image).map(table.broken).dropna()
    names = table.labels.row_names(whys.index, "image") + " (" + whys + ")"
    return table.labels.issue("broken", "leave out", "a picture that cannot be opened", rows=whys.index, names=names)


def image_issues(table: CheckedTable) -> list[Issue]:
    """Find what is unusual about images that can be opened.

    Codes: outside, box, edge, blank, depth, turned, animated, levels.
    """
    if not table.opened.any():
        return []
    labels, deep, blank = table.labels, table.fact("deep").eq(True), table.fact("blank").eq(True)
    issues = [*_point_issues(table), *_box_issues(table)]
    issues += labels.issue("blank", "note", "a picture of one colour", rows=blank, column="image")
    shallow = ~deep & table.opened
    if shallow.any() and deep.any():
        rarer, text = deep, "of 16 or 32 bits among pictures of 8"
        if deep.sum() > shallow.sum():
            rarer, text = shallow, "of 8 bits among pictures of 16 or 32"
        issues += labels.issue("depth", "note", text,
                               "see that brightness means the same in both (--range BLACK,WHITE)", rarer, "image")
    if labels.task.box or any(t.in_image or not t.linear for t in labels.task.targets):
        issues += labels.issue("turned", "note", "an orientation tag, by which the picture is turned upright",
                               "labels must be those of the upright picture", table.fact("orientation") > 1, "image")
    animated = (table.fact("frames") > 1) & ~table.fact("format").isin(SHRINKABLE)  # phones put a preview into a JPEG
    issues += labels.issue("animated", "note", "a picture of several frames", "the first of them is seen", animated,
                           "image")
    for text, hint in unusual_levels(table.levels):
        issues += labels.issue("levels", "note", text, f"try {hint}")
    return issues


def _point_issues(table: CheckedTable) -> list[Issue]:
    """Find points outside their image."""
    issues, sizes = [], table.sizes()[:, None]
    for t in table.labels.task.targets:
        if not t.in_image:
            continue
        points = table.labels.frame[list(t.columns)].to_numpy(float).reshape(len(sizes), -1, 2)
        excess = np.nan_to_num(np.maximum(-points, points - sizes)).max(axis=2)  # NaN where a point or image is missing
        outside = excess > TOLERANCE
        hint = "mend them"
        if outside.any(axis=1).sum() > table.opened.sum() / 2:
            hint = "are they in pixels of the upright pictures, at their full size?"
        names = first_few(np.array(point_names(t.columns, t.name))[outside.any(axis=0)], 3)
        issues += table.labels.issue("outside", "note", f"outside the picture by up to {excess.max():,.0f} px: {names}",
                                     hint, outside.any(axis=1), "image")
    return issues


def _box_issues(table: CheckedTable) -> list[Issue]:
    """Find boxes that show nothing of their image, and those that reach over its edge."""
    task = table.labels.task
    if not task.box:
        return []
    boxes, sizes = table.labels.frame[list(task.box)].to_numpy(float), table.sizes()
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    outside = np.zeros(len(boxes), bool)
    for i in np.flatnonzero(table.opened):
        try:
            place_picture(tuple(sizes[i].astype(int)), task.size, task.fit, boxes[i], task.margin)
        except ValueError:
            outside[i] = True
    excess = np.maximum(half - centre, centre + half - sizes).max(axis=1)
    over_edge = (excess > TOLERANCE) & ~outside
    text = f"a box that reaches over the picture's edge, by up to {excess[over_edge].max(initial=0):,.0f} px"
    return [*table.labels.issue("box", "leave out", "a box outside the picture", rows=outside, column="image"),
            *table.labels.issue("edge", "note", text, "what lies beyond is seen as grey", over_edge, "image")]
