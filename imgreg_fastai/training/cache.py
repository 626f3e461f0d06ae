"""Opening the pictures of a labels frame before training, and keeping them decoded in memory where they fit."""
import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from ..data.images import FittedImage, PictureError, fit_images, image_views, warn_broken
from ..data.images.levels import warn_levels
from ..tasks import Task
from ..tasks.geometry import place_picture
from ..utils.console import progress_bar, say
from ..utils.errors import ImgregError

MAX_OPENED = 50_000  # pictures: opening more of them before training would take minutes


class OpenedPictures(NamedTuple):
    """The pictures of a labels frame that can be opened.

    Attributes:
        frame: Their rows, numbered anew.
        views: Their views [n, 4], see tasks/geometry.py.
        pixels: uint8 [n, 3, h, w]; None where they are not kept in memory.
    """

    frame: pd.DataFrame
    views: np.ndarray
    pixels: torch.Tensor | None


def fit_in_memory(n: int, task: Task) -> bool:
    """Whether n decoded pictures are at most MAX_OPENED, and take at most a quarter of the usable memory."""
    memory = 4 << 30
    with suppress(AttributeError, ValueError, OSError):  # some systems have no such value or file; "max" is no limit
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        memory = min(memory, int(Path("/sys/fs/cgroup/memory.max").read_text()))
    height, width = task.size
    return n <= MAX_OPENED and n * height * width * 3 <= memory / 4


def open_pictures(frame: pd.DataFrame, task: Task, keep: bool, strict: bool = False) -> OpenedPictures:
    """Open the pictures of a labels frame; a warning names those that cannot be opened.

    Args:
        frame: Labels frame with column `path`.
        task: The task.
        keep: Whether to decode the pictures and keep their pixels. Otherwise only headers are read, and pictures that
            are broken further on are left out in training. Of more than MAX_OPENED pictures of a task without points
            not even headers are read; their views are those of a picture that has the network's size.
        strict: Whether a broken picture is an error.

    Returns:
        The pictures that can be opened.

    Raises:
        PictureError: No picture can be opened, or with `strict` any cannot.
        ImgregError: The pixels do not fit into memory.
    """
    if not keep and len(frame) > MAX_OPENED and not task.has_points and not strict:
        say(f"{len(frame):,} pictures are opened as they come; what is broken is named and left out then")
        view = place_picture(task.size[::-1], task.size, "squish").view
        return OpenedPictures(frame, np.tile(view, (len(frame), 1)), None)
    try:
        pixels = torch.empty((len(frame) if keep else 0, 3, *task.size), dtype=torch.uint8)
    except RuntimeError as e:
        raise ImgregError("memory for the decoded pictures", str(e).splitlines()[0][:120], "--cache off") from e
    boxes = frame[list(task.box)].to_numpy() if task.box else None
    pictures = (fit_images if keep else image_views)(frame["path"], task, boxes)
    views: list[np.ndarray] = []
    broken, levels = {}, set()
    for i, picture in enumerate(progress_bar(pictures, len(frame), f"reading {len(frame)} pictures")):
        if isinstance(picture, PictureError):
            broken[i] = picture
        elif isinstance(picture, FittedImage):
            pixels[len(views)] = torch.from_numpy(picture.pixels.copy()).permute(2, 0, 1)
            views.append(picture.view)
            levels.add(picture.levels)
        else:
            views.append(picture)
    warn_levels(levels)
    if broken and (strict or not views):
        raise next(iter(broken.values()))
    warn_broken(list(broken.values()), len(frame))
    frame = frame.drop(index=list(broken)).reset_index(drop=True)
    return OpenedPictures(frame, np.stack(views), pixels[: len(views)] if keep else None)


def read_views(frame: pd.DataFrame, task: Task) -> np.ndarray:
    """The views [n, 4] of the pictures of a labels frame, by their headers; NaN for those that cannot be opened."""
    boxes = frame[list(task.box)].to_numpy() if task.box else None
    views = image_views(frame["path"], task, boxes)
    return np.array([np.full(4, np.nan) if isinstance(view, PictureError) else view for view in views])
