"""The faults of labelled rows that show when their pictures are opened."""
import numpy as np
import pandas as pd

from ...tasks import Angle, Point, Rotation
from ...tasks.geometry import place_picture
from ...utils.errors import first_few
from ..images.headers import SHRINKS
from ..issues import Issue
from ..labels.issue_rules import issue_on_rows
from .image_stats import CheckedTable, ImageStats

OUTSIDE = 1.0  # pixels beyond the edge that are put down to rounding


def broken_picture_issues(frame: pd.DataFrame, album: ImageStats, of: np.ndarray, folder: bool) -> tuple[pd.DataFrame, list[Issue]]:
    """The frame, in which rows with broken pictures are no longer usable, and which these are. Kind: broken."""
    whys = np.array([album.broken.get(i, "") for i in of.tolist()], object)
    mask = whys != ""
    if not mask.any():
        return frame, []
    told = [f"({why})" if folder else f"'{name}' ({why})"
            for name, why in zip(frame["image"][mask], whys[mask], strict=True)]
    found = issue_on_rows(frame, mask, "broken", "leave out", "a picture that cannot be opened", "", told, folder)
    return frame.assign(usable=frame["usable"] & ~mask, why=frame["why"].mask(mask, "a broken picture")), found


def picture_issues(s: CheckedTable) -> list[Issue]:
    """What is odd about pictures that can be opened. Kinds: outside, box, edge, blank, depth, turned, animated."""
    return [*_points(s), *_boxes(s), *_looks(s)] if (s.of >= 0).any() else []


def _points(s: CheckedTable) -> list[Issue]:
    """Points outside their picture."""
    out, size = [], np.stack([s.fact("width"), s.fact("height")], axis=1)[:, None]
    for t in s.task.targets:
        if t.kind != Point.kind:
            continue
        points = s.frame[list(t.columns)].to_numpy(float).reshape(len(s.frame), -1, 2)
        beyond = np.maximum(-points, points - size)
        beyond = np.where(np.isfinite(beyond) & (s.of >= 0)[:, None, None], beyond, 0).max(axis=2)
        mask = (beyond > OUTSIDE).any(axis=1)
        most = mask.sum() > (s.of >= 0).sum() / 2
        then = "mend them" if not most else "are they in pixels of the upright pictures, at their full size?"
        names = first_few(np.array(t.names)[(beyond > OUTSIDE).any(axis=0)], 3)
        out += s.finding(mask, "outside", f"outside the picture by up to {beyond.max():,.0f} px: {names}", then)
    return out


def _boxes(s: CheckedTable) -> list[Issue]:
    """Boxes that show nothing of their picture, and those that reach over its edge."""
    if not s.task.box:
        return []
    boxes = s.frame[list(s.task.box)].to_numpy(float)
    size, middle, half = np.stack([s.fact("width"), s.fact("height")], axis=1), boxes[:, :2], boxes[:, 2:] / 2
    outside = np.zeros(len(boxes), bool)
    for i in np.flatnonzero(s.of >= 0):
        try:
            place_picture(tuple(size[i]), s.task.size, s.task.fit, boxes[i], s.task.margin)
        except ValueError:
            outside[i] = True
    beyond = np.maximum(half - middle, middle + half - size).max(axis=1)
    over = (beyond > OUTSIDE) & (s.of >= 0) & ~outside
    by = beyond[over].max(initial=0)
    return [*s.finding(outside, "box", "a box outside the picture", level="leave out"),
            *s.finding(over, "edge", f"a box that reaches over the picture's edge, by up to {by:,.0f} px",
                       "what lies beyond is seen as grey")]


def _looks(s: CheckedTable) -> list[Issue]:
    """Pictures unlike the others in what they are."""
    known, (deep, blank) = s.of >= 0, (of[s.of] & (s.of >= 0) for of in (s.album.deep, s.album.blank))
    out = s.finding(blank, "blank", "a picture of one colour")
    if (shallow := known & ~deep).any() and deep.any():
        fewer, text = (deep, "of 16 or 32 bits among pictures of 8") if deep.sum() <= shallow.sum() else (
            shallow, "of 8 bits among pictures of 16 or 32")
        out += s.finding(fewer, "depth", text, "see that brightness means the same in both (--range BLACK,WHITE)")
    turned = known & (s.fact("orientation") > 1)
    if s.task.box or any(t.kind in (Point.kind, Angle.kind, Rotation.kind) for t in s.task.targets):
        out += s.finding(turned, "turned", "an orientation tag, by which the picture is turned upright",
                         "labels must be those of the upright picture")
    still = np.isin(s.album.format[s.of].astype(str), list(SHRINKS))  # a telephone's JPEG with a preview behind it
    return out + s.finding(known & (s.fact("frames") > 1) & ~still, "animated", "a picture of several frames",
                           "the first of them is seen")
