"""Opening all pictures of a labels frame, and keeping them decoded in memory where they fit."""
import os
from pathlib import Path

import numpy as np
import pandas as pd
import torch

from ..data.images import PictureError, fit_images, image_views, warn_broken
from ..data.images.levels import warn_levels
from ..tasks import Task
from ..tasks.geometry import place_picture
from ..utils.console import log, progress_bar, say
from ..utils.errors import ImgregError

MANY = 50_000  # pictures: more are not kept in memory unasked, as reading them first would take minutes


def fits(n: int, task: Task) -> bool:
    """Whether n decoded pictures are few enough, and fit into a quarter of the memory that there is to use."""
    limits = [4 << 30]
    try:
        limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (AttributeError, ValueError, OSError) as e:  # not every system tells; without a limit the file says "max"
        log.debug("memory limit not known: %s", e)
    return n <= MANY and n * task.size[0] * task.size[1] * 3 <= min(limits) / 4


def cache_pictures(frame: pd.DataFrame, task: Task, keep: bool,
           strict: bool = False) -> tuple[pd.DataFrame, torch.Tensor | None, np.ndarray]:
    """The rows whose pictures can be opened, their views [n, 4], and with `keep` their pixels as uint8 [n, 3, h, w].

    The others are named. Without `keep` only the headers are read, and what is broken further on is left out later. Of
    more than MANY pictures, where no target lies in them, not even these: their views are those of any square.
    """
    if not keep and len(frame) > MANY and not task.has_points and not strict:
        say(f"{len(frame):,} pictures are opened as they come; what is broken is named and left out then")
        return frame, None, np.tile(place_picture(task.size[::-1], task.size, "squish").view, (len(frame), 1))
    try:
        pictures = torch.empty((len(frame) if keep else 0, 3, *task.size), dtype=torch.uint8)
    except RuntimeError as e:
        raise ImgregError("memory for the decoded pictures", str(e).splitlines()[0][:120], "--cache off") from e
    broken, views, levels = {}, [], set()
    boxes = frame[list(task.box)].to_numpy() if task.box else None
    found_all = (fit_images if keep else image_views)(frame["path"], task, boxes)
    for i, found in enumerate(progress_bar(found_all, len(frame), f"reading {len(frame)} pictures")):
        if isinstance(found, PictureError):
            broken[i] = found
            continue
        views.append(found.view if keep else found)
        if keep:
            levels.add(found.levels)
            pictures[i - len(broken)] = torch.from_numpy(found.pixels.copy()).permute(2, 0, 1)
    if broken and (strict or len(broken) == len(frame)):
        raise next(iter(broken.values()))
    warn_broken(list(broken.values()), len(frame))
    warn_levels(levels)
    whole = frame.drop(index=list(broken)).reset_index(drop=True)
    return whole, pictures[: len(whole)] if keep else None, np.stack(views)
