"""Many pictures, each opened once, and what was seen of them."""
import os
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from . import likeness
from .faults import on_rows
from .findings import Finding
from .images import PictureError
from .levels import Levels
from .messages import track
from .tasks import Task

FACTS = ("width", "height", "orientation", "frames")


@dataclass
class Album:
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

    def put(self, i: int, seen: likeness.Seen) -> None:
        """Keep what was seen of one picture."""
        for name in FACTS:
            self.facts[name][i] = getattr(seen.facts, name)
        self.mode[i], self.format[i] = seen.facts.mode, seen.facts.format
        self.deep[i], self.blank[i] = seen.levels is not None, seen.blank
        self.content[i], self.hash[i], self.tiny[i] = seen.content, seen.hash, seen.tiny.ravel()
        self.levels |= {seen.levels} - {None}


def opened(paths, value_range=None, jobs: int | None = None) -> Album:
    """Open each of the pictures once, on threads; of 100,000 about 60 MB are kept."""
    album = Album(len(paths))
    for i, seen in enumerate(track(_seen(paths, value_range, jobs), len(paths), "opening pictures")):
        if isinstance(seen, str):
            album.broken[i] = seen
        else:
            album.put(i, seen)
    return album


def _seen(paths, value_range, jobs: int | None) -> Iterator[likeness.Seen | str]:
    def one(path):
        try:
            return likeness.see(path, value_range)
        except PictureError as e:
            return likeness.why(e, path)

    jobs, ahead = jobs or min(os.cpu_count() or 1, 8), deque()
    with ThreadPoolExecutor(jobs) as pool:
        for path in paths:
            ahead.append(pool.submit(one, path))
            if len(ahead) >= 8 * jobs:
                yield ahead.popleft().result()
        while ahead:
            yield ahead.popleft().result()


@dataclass(frozen=True)
class Shown:
    """The rows of a table with their pictures.

    `frame`: see labels.survey, rows with broken pictures no longer usable; `of` [rows]: the place of each row's picture
    in the `album`, -1 where it is not usable; `parts` [rows]: of the split, "" where it is in none; `drawn`: whether
    the table has no split of its own; `folder`: whether it is a folder, whose pictures have names and no rows.
    """

    task: Task
    frame: pd.DataFrame
    album: Album
    of: np.ndarray
    parts: np.ndarray
    drawn: bool = False
    folder: bool = False

    def finding(self, mask, kind: str, text: str, then: str = "", told="image", level: str = "note") -> list[Finding]:
        """A Finding on the rows of `mask`, see faults.on_rows."""
        return on_rows(self.frame, mask, kind, level, text, then, told, self.folder)

    def fact(self, name: str) -> np.ndarray:
        """A fact of each row's picture, [rows]; 0 where there is none."""
        if not self.album.n:
            return np.zeros(len(self.of), np.int32)
        return np.where(self.of >= 0, self.album.facts[name][self.of], 0)
