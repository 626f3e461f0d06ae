"""Many pictures, each opened once, and what was seen of them."""
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import pandas as pd

from ...tasks import Task
from ...utils.console import progress_bar
from ..images import PictureError, map_ahead
from ..images.levels import Levels
from ..issues import Issue
from ..labels.issue_rules import issue_on_rows
from . import likeness

FACTS = ("width", "height", "orientation", "frames")


@dataclass
class ImageStats:
    """What was seen of n pictures, in arrays of n; `broken` ones, by their place with the reason, hold nothing.

    `levels`: all those of pictures with more than 8 bits; see likeness.Seen for the rest.
    """

    n: int
    broken: dict[int, str] = field(default_factory=dict)
    levels: set[Levels] = field(default_factory=set)

    def __post_init__(self):
        self.facts = {name: np.zeros(self.n, np.int32) for name in FACTS}
        self.mode, self.format = np.full(self.n, "", object), np.full(self.n, "", object)
        self.deep, self.blank = np.zeros(self.n, bool), np.zeros(self.n, bool)
        self.content, self.hash = np.zeros(self.n, np.uint64), np.zeros(self.n, np.uint64)
        self.tiny = np.zeros((self.n, likeness.TINY**2 * 3), np.uint8)

    def put(self, i: int, seen: likeness.ImageFingerprint) -> None:
        """Keep what was seen of one picture."""
        for name in FACTS:
            self.facts[name][i] = getattr(seen.facts, name)
        self.mode[i], self.format[i] = seen.facts.mode, seen.facts.format
        self.deep[i], self.blank[i] = seen.levels is not None, seen.blank
        self.content[i], self.hash[i], self.tiny[i] = seen.content, seen.hash, seen.tiny.ravel()
        self.levels |= {seen.levels} - {None}


def collect_stats(paths, value_range=None, jobs: int | None = None) -> ImageStats:
    """Open each of the pictures once, on threads; of 100,000 about 60 MB are kept."""
    album = ImageStats(len(paths))
    all_seen = map_ahead(partial(likeness.fingerprint, value_range=value_range), jobs, paths)
    for i, seen in enumerate(progress_bar(all_seen, len(paths), "opening pictures")):
        if isinstance(seen, PictureError):
            album.broken[i] = likeness.error_reason(seen, paths[i])
        else:
            album.put(i, seen)
    return album


@dataclass(frozen=True)
class CheckedTable:
    """The rows of a table with their pictures.

    `frame`: see labels.survey, rows with broken pictures no longer usable; `of` [rows]: the place of each row's picture
    in the `album`, -1 where it is not usable; `parts` [rows]: of the split, "" where it is in none; `drawn`: whether
    the table has no split of its own; `folder`: whether it is a folder, whose pictures have names and no rows.
    """

    task: Task
    frame: pd.DataFrame
    album: ImageStats
    of: np.ndarray
    parts: np.ndarray
    drawn: bool = False
    folder: bool = False

    def finding(self, mask, kind: str, text: str, then: str = "", told="image", level: str = "note") -> list[Issue]:
        """A Issue on the rows of `mask`, see faults.on_rows."""
        return issue_on_rows(self.frame, mask, kind, level, text, then, told, self.folder)

    def fact(self, name: str) -> np.ndarray:
        """A fact of each row's picture, [rows]; 0 where there is none."""
        if not self.album.n:
            return np.zeros(len(self.of), np.int32)
        return np.where(self.of >= 0, self.album.facts[name][self.of], 0)
