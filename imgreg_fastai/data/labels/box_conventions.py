"""Which unit and which format the boxes of a table look like, by the sizes of their images and by their columns."""
import numpy as np

from ...tasks.coordinates import (
    BOX_FORMATS,
    FULL_SIDE,
    box_format_by_names,
    coords_by_names,
    to_centre,
    to_pixels,
)
from .conventions import WORDS, Guess, are_fractions, guess_percent

SLACK = 0.05  # of the sides: by so much do boxes reach over the edge that were drawn with a generous hand
FITS, MISFITS = 0.95, 0.9  # share of boxes inside their images, with slack: another format fits, the one named does not
MOST = 0.75  # share of boxes inside their images, with slack: these may be pixels
EXACT, MIN_MISFITS = 0.995, 3  # without slack: another fits exactly, and so many, and a fiftieth, do not as it is named
MIN_SIDE = 240  # boxes that fill 100 px of smaller images are not surely per cent: those in a corner reach as far
# Misfits that stop a training: so many, such a share, and one of them so far over the edge, as a part of its own side.
SURE_MISFITS, SURE_SHARE, SURE_DEPTH = 5, 0.2, 0.35


def guess_boxes(boxes: np.ndarray, sizes: np.ndarray, columns: tuple[str, ...], coords: str = "",
                box_format: str = "") -> Guess | None:
    """Say which other unit or format boxes look like.

    Args:
        boxes: As the table has them, [n, 4]; NaN where a number is missing.
        sizes: Width and height of the upright images, [n, 2]; NaN where they are not known.
        columns: Their columns, which may say the format and the unit.
        coords: The unit that the user has named, or "".
        box_format: The format that the user has named, or "".

    Returns:
        The guess, or None where nothing speaks against what is named, or the centre and size in pixels.
    """
    rows = np.isfinite(boxes).all(axis=1)
    boxes = np.where(rows[:, None], boxes, np.nan)
    if not rows.any():
        return None
    named, current, old_unit = box_format_by_names(columns), box_format or "cxcywh", coords or "pixels"
    unit, certain = old_unit, True
    if old_unit not in FULL_SIDE:
        unit, certain = _unit(boxes, sizes, columns, named or current)
        unit = unit or old_unit
    fitting = _fitting_format(to_pixels(boxes, sizes, unit), sizes, named, current)
    if not fitting:
        return _no_format(boxes, sizes, coords, rows)
    if (unit, fitting) != (old_unit, current):
        by_names = fitting == named != current  # then it is another format, whatever the unit
        certain = by_names or (certain and (
            fitting == current or unit != "pixels" or _surely_misfits(boxes, sizes, current)))
        options = [f"--coords {unit}"] * (unit != old_unit) + [f"--box-format {fitting}"] * (fitting != current)
        looks = WORDS[fitting] + (f", in {WORDS[unit]}" if unit != old_unit else "")
        return Guess(looks, unit if unit != old_unit else "", ' '.join(options), certain, rows)
    if named == "" and not box_format and inside_share(boxes, sizes, "xywh", unit) >= FITS:
        hint = "--box-format xywh if x and y are the left top corner, --box-format cxcywh if they are the centre"
        return Guess("either centre or left top corner, and are read as centre", "", hint, False, rows)
    return None


def inside_share(boxes: np.ndarray, sizes: np.ndarray, box_format: str, unit: str = "pixels",
                 slack: float = SLACK) -> float:
    """Compute the share of boxes [n, 4] that lie in their images, if they have a format and a unit; NaN for no box."""
    centred = to_centre(to_pixels(boxes, sizes, unit), box_format)
    has_box = np.isfinite(centred).all(axis=1) & np.isfinite(sizes).all(axis=1)
    centre, half, sizes = centred[has_box, :2], centred[has_box, 2:] / 2, sizes[has_box]
    beyond = slack * sizes + 1
    inside = (half > 0) & (centre - half >= -beyond) & (centre + half <= sizes + beyond)
    return float(inside.all(axis=1).mean()) if has_box.any() else float("nan")


def _unit(boxes: np.ndarray, sizes: np.ndarray, columns: tuple[str, ...], first: str) -> tuple[str, bool]:
    """Say which unit but pixels boxes look like ("": none), and whether that is certain."""
    if are_fractions(boxes):
        return "fraction", True
    candidates = list(dict.fromkeys([first, *BOX_FORMATS]))
    as_pixels = [box_format for box_format in candidates if inside_share(boxes, sizes, box_format, slack=0) >= EXACT]
    if not as_pixels and inside_share(boxes, sizes, first) >= MOST:
        as_pixels = [first]
    for box_format in as_pixels or candidates:
        centred = to_centre(boxes, box_format)
        corners = np.stack([centred[:, :2] - centred[:, 2:] / 2, centred[:, :2] + centred[:, 2:] / 2], axis=1)
        has_box = np.isfinite(sizes).all(axis=1)[:, None, None]
        guess = None
        if (np.isfinite(corners) & has_box).any() and inside_share(boxes, sizes, box_format, "percent") >= FITS:
            guess = guess_percent(np.where(has_box, corners, np.nan), sizes, coords_by_names(columns) == "percent")
        if guess:
            return "percent", guess.certain and bool((np.nanmedian(sizes, axis=0) >= MIN_SIDE).all())
    return "", True


def _fitting_format(boxes: np.ndarray, sizes: np.ndarray, named: str | None, current: str) -> str:
    """Say which format boxes [n, 4] in pixels have: by their columns, else as it is if that fits; "": none fits."""
    shares = {box_format: inside_share(boxes, sizes, box_format) for box_format in BOX_FORMATS}
    if np.isnan(shares[current]):
        return named or current
    fitting = [box_format for box_format in ("xyxy", "xywh", "cxcywh") if shares[box_format] >= FITS]
    if named and named in fitting:
        return named
    n = np.isfinite(boxes).all(axis=1).sum()
    if (1 - shares[current]) * n >= MIN_MISFITS - 0.5 and shares[current] < MISFITS:
        return fitting[0] if fitting else (current if shares[current] >= 0.5 else "")
    exact = {box_format: inside_share(boxes, sizes, box_format, slack=0) for box_format in fitting}
    better = [box_format for box_format in fitting if exact[box_format] >= EXACT]
    if better and (1 - exact.get(current, 0)) * n >= max(MIN_MISFITS, 0.02 * n):
        return better[0]
    return current


def _surely_misfits(boxes: np.ndarray, sizes: np.ndarray, box_format: str) -> bool:
    """Tell whether so many boxes [n, 4] in pixels reach so far over the edge that they have no such format."""
    centred = to_centre(boxes, box_format)
    side, has_box = centred[:, 2:], np.isfinite(centred).all(axis=1) & np.isfinite(sizes).all(axis=1)
    excess = np.maximum(side / 2 - centred[:, :2], centred[:, :2] + side / 2 - sizes)
    too_far = (excess >= SURE_DEPTH * side) & (excess > 1)
    misfits = ((excess > 1) | (side <= 0))[has_box].any(axis=1)
    return bool(misfits.sum() >= max(SURE_MISFITS, SURE_SHARE * len(misfits)) and too_far[has_box].any())


def _no_format(boxes: np.ndarray, sizes: np.ndarray, coords: str, rows: np.ndarray) -> Guess:
    """Make the guess of boxes that lie in their images in no format."""
    if coords in FULL_SIDE and max(inside_share(boxes, sizes, box_format) for box_format in BOX_FORMATS) >= FITS:
        return Guess(WORDS["pixels"], "pixels", "the same without --coords", True, rows)
    hint = "numbers that are scaled to the sizes of these files"
    return Guess("no boxes inside their images, in any format", "", hint, bool(rows.sum() >= MIN_MISFITS), rows)
