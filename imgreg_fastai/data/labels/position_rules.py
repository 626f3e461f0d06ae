"""The issues of points and boxes that show once the sizes of the images are known: their convention, and the edge."""
import shlex
from dataclasses import replace

import numpy as np
import pandas as pd

from ...tasks import Target, Task
from ...tasks.coordinates import FULL_SIDE
from ...tasks.flip_pairs import point_names
from ...tasks.geometry import place_picture
from ...utils.messages import ImgregError, first_few
from ..issues import Issue
from .box_conventions import guess_boxes, inside_share
from .conventions import EXCHANGED, TOLERANCE, WORDS, Guess, guess_points, outside
from .headers import position_columns, read_headers, sample_rows
from .issue_rules import LabelTable


def header_issues(table: LabelTable) -> list[Issue]:
    """Find the issues of `position_issues` by the headers of the images, of at most MAX_HEADERS of them."""
    task = table.task
    if not (position_columns(task) or any(not target.linear for target in task.targets)):
        return []
    return position_issues(*_sample(table))


def _sample(table: LabelTable) -> tuple[LabelTable, pd.DataFrame]:
    """Choose at most MAX_HEADERS rows of a table, evenly spaced, and read the headers of their images."""
    absent = table.reasons.get("absent", np.zeros(len(table.frame), bool))
    rows = sample_rows(~table.reasons["unnamed"] & ~absent)
    headers = read_headers(table.frame, rows, table.task.max_pixels) if table.headers is None else table.headers
    return replace(table, frame=table.frame[rows], positions=table.positions[rows]), headers[rows]


def position_issues(table: LabelTable, headers: pd.DataFrame) -> list[Issue]:
    """Find what the sizes of images show about points and boxes.

    Codes: convention, outside, box, edge, turned.

    Args:
        table: The labels table.
        headers: Width, height and orientation of each row's upright image, [rows]; NaN where they are not known.
    """
    issues = convention_issues(table, headers)
    if not any(issue.level == "stop" for issue in issues):  # it explains the others
        issues += [*_points_outside(table, headers), *_boxes_outside(table, headers)]
    if table.task.box or any(t.in_image or not t.linear for t in table.task.targets):
        issues += table.issue("turned", "note", "turned upright by an EXIF tag",
                              "labels must be those of the upright image", headers["orientation"] > 1, "image")
    return issues


def convention_issues(table: LabelTable, headers: pd.DataFrame) -> list[Issue]:
    """Find points and boxes that look like those of another convention than is named, or than pixels. Code: convention.

    A training stops where it is certain and the user has named nothing; see `conventions`.
    """
    task, sizes = table.task, headers[["width", "height"]].to_numpy(float)
    guesses: list[tuple[str, tuple[str, ...], Guess]] = []
    for target in task.targets:
        guess = _guess_target(table, target, sizes, headers["orientation"].to_numpy(float))
        if guess:
            guesses.append((target.name, target.columns, guess))
    if task.box:
        boxes = table.positions[list(task.box)].to_numpy(float)
        guess = guess_boxes(boxes, sizes, task.box, task.coords, task.box_format)
        if guess:
            guesses.append((f"the box {','.join(task.box)}", task.box, guess))
    n_positions = sum(target.in_image for target in task.targets) + bool(task.box)
    units = [guess.coords for _, _, guess in guesses if guess.coords]
    agree = not units or (len(units) == n_positions and len(set(units)) == 1)
    return [issue for name, columns, guess in guesses
            for issue in _convention_issue(table, headers, name, columns, guess, agree or not guess.coords)]


def _guess_target(table: LabelTable, target: Target, sizes: np.ndarray, orientation: np.ndarray) -> Guess | None:
    """Guess the convention of a target's points; None for a target that is none."""
    if not target.in_image or not set(target.columns) <= set(table.positions):  # only boxes were read
        return None
    points = table.positions[list(target.columns)].to_numpy(float).reshape(len(sizes), -1, 2)
    return guess_points(points, sizes, orientation, target.columns, table.task.coords)


def _convention_issue(table: LabelTable, headers: pd.DataFrame, name: str, columns: tuple[str, ...], guess: Guess,
                      agree: bool) -> list[Issue]:
    """Describe a guess, with a row as example; `agree`: whether one unit holds for all points and boxes of the task."""
    task, row, is_box = table.task, table.frame.index[guess.rows][0], columns == table.task.box
    options = [option for option in ("--coords", "--box-format") if option in guess.hint] or ["--coords"]
    values_of = {"--coords": task.coords, "--box-format": task.box_format}
    declared = all(values_of[option] for option in options)
    stops = guess.certain and (not declared or _impossible(table, headers, guess, is_box))
    hint = guess.hint if agree else "all points and boxes in one unit, since --coords holds for all of them"
    if hint == EXCHANGED and len(columns) == 2:
        hint = f"--target {shlex.quote(f'{name}={columns[1]},{columns[0]}:point')}"
    if stops and not declared:
        usual = {"--coords": "pixels", "--box-format": "cxcywh"}
        right = " ".join(f"{option} {values_of[option] or usual[option]}" for option in options)
        hint += f", or {right} if they are right as they are"
    values = table.positions.loc[row, list(columns)].dropna().to_numpy(float)[:4]
    width, height = headers.loc[row, ["width", "height"]]
    size = f" in an image of {width:g} x {height:g} px" if np.isfinite(width) else ""
    example = f"{', '.join(f'{value:.5g}' for value in values)}{size} ({table.row_names(pd.Index([row])).iloc[0]})"
    looks = "looks like" if guess.certain else "may be"
    return table.issue("convention", "stop" if stops else "note", f"{name} {looks} {guess.looks}, such as {example}",
                       hint)


def named_convention(task: Task) -> str:
    """Describe in which convention a task's tables have their points and boxes."""
    what = " and ".join(["points"] * task.has_points + ["boxes"] * bool(task.box))
    return f"{what} in {WORDS[task.coords or 'pixels']}" + (f" ({task.box_format or 'cxcywh'})" if task.box else "")


def _impossible(table: LabelTable, headers: pd.DataFrame, guess: Guess, is_box: bool) -> bool:
    """Tell whether the unit or the format that the user has named cannot be right."""
    task = table.task
    if task.coords in FULL_SIDE and guess.coords:
        return True
    if not is_box or task.box_format in ("", "cxcywh"):
        return False
    boxes, sizes = table.positions[list(task.box)].to_numpy(float), headers[["width", "height"]].to_numpy(float)
    return inside_share(boxes, sizes, task.box_format, task.coords) < 0.5


def refuse_other_convention(table: LabelTable) -> None:
    """Raise ImgregError where the points or boxes of a table look like those of another convention than the task's."""
    for issue in convention_issues(*_sample(table)) if len(table.positions.columns) else ():
        if issue.level == "stop":
            expected = f"{named_convention(table.task)} in '{table.path}', as in the table that the run was trained on"
            raise ImgregError(expected, issue.text, "a copy of the table in which they are written so")


def _points_outside(table: LabelTable, headers: pd.DataFrame) -> list[Issue]:
    """Find points outside their image."""
    issues, sizes = [], headers[["width", "height"]].to_numpy(float)
    for t in table.task.targets:
        if not t.in_image:
            continue
        points = table.frame[list(t.columns)].to_numpy(float).reshape(len(sizes), -1, 2)
        excess = outside(points, sizes)
        beyond = excess > TOLERANCE
        names = first_few(np.array(point_names(t.columns, t.name))[beyond.any(axis=0)], 3)
        issues += table.issue("outside", "note", f"outside the image by up to {excess.max(initial=0):,.0f} px: {names}",
                              "mend them", np.any(beyond, axis=1), "image")
    return issues


def _boxes_outside(table: LabelTable, headers: pd.DataFrame) -> list[Issue]:
    """Find boxes that show nothing of their image, and those that reach over its edge."""
    task = table.task
    if not task.box:
        return []
    boxes, sizes = table.frame[list(task.box)].to_numpy(float), headers[["width", "height"]].to_numpy(float)
    centre, half = boxes[:, :2], boxes[:, 2:] / 2
    beyond, usable = np.zeros(len(boxes), bool), table.frame["usable"].to_numpy() & np.isfinite(sizes).all(axis=1)
    for i in np.flatnonzero(usable):
        try:
            place_picture(tuple(sizes[i].astype(int)), task.size, task.fit, boxes[i], task.margin)
        except ValueError:
            beyond[i] = True
    excess = np.maximum(half - centre, centre + half - sizes).max(axis=1)
    over_edge = (excess > TOLERANCE) & usable & ~beyond
    text = f"a box that reaches over the image's edge, by up to {excess[over_edge].max(initial=0):,.0f} px"
    return [*table.issue("box", "leave out", "a box outside the image", rows=beyond, column="image"),
            *table.issue("edge", "note", text, "what lies beyond is seen as grey", over_edge, "image")]
