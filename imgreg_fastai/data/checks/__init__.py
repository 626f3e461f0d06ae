"""Everything that can be found wrong with a table of labelled pictures before a network is trained on it."""
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ...config import TrainConfig
from ...tasks import Point, Task
from ...utils.errors import ImgregError, first_few
from ...utils.format import with_unit
from .. import labels, splits
from ..images import levels
from ..issues import LEVELS, Issue
from ..labels.filtering import OURS
from ..splits import MIN_ROWS, uses_table_split
from ..tables import real_paths
from . import duplicates, image_stats, pictures
from .image_stats import CheckedTable, ImageStats

WORDS = {"stop": "would stop a training", "leave out": "rows that are left out", "note": "worth knowing"}
COUNTED = {"stop": "to be mended first", "leave out": "that cost rows", "note": "worth knowing"}
MOST = 20  # of the sizes of pictures, the most frequent first, that are counted one by one


@dataclass(frozen=True)
class DataCheck:
    """What a check found.

    `facts`: plain data about rows, labels and pictures; `frame`: all rows, see labels.survey, with the `width` and
    `height` of their pictures where these were opened; `strict`: whether any finding stops a training.
    """

    table: str
    task: Task
    findings: list[Issue]
    facts: dict
    frame: pd.DataFrame = field(repr=False)
    strict: bool = False

    @property
    def fine(self) -> bool:
        """Whether nothing would stop a training."""
        return not self.findings if self.strict else all(f.level != "stop" for f in self.findings)

    def at(self, level: str) -> list[Issue]:
        """The findings of one level."""
        return [f for f in self.findings if f.level == level]

    def told(self) -> str:
        """All of it, to be read: what there is, the findings by level, and how many."""
        lines = _about(self.facts, self.task)
        for level in LEVELS:
            found = self.at(level)
            lines += [f"{WORDS[level]}:", *(f"  {f.told()}" for f in found)] if found else []
        return "\n".join([*lines, self.summary])

    @property
    def summary(self) -> str:
        """One line: how many rows and pictures, and how many findings of each level."""
        n = {level: len(self.at(level)) for level in LEVELS}
        what = [f"{n[level]} {word}" for level, word in COUNTED.items() if n[level]]
        opened = "" if "opened" in self.facts else " (not opened)"
        fine = f", of which {self.facts['usable']:,} can be used" if n["leave out"] else ""
        return (f"{self.facts['rows']:,} rows{fine}, {self.facts['pictures']:,} pictures{opened}: "
                f"{', '.join(what) or 'nothing found'}")

    def to_dict(self) -> dict:
        """What was found, as JSON can hold it."""
        return {"table": self.table, "task": self.task.name, "fine": self.fine,
                "counts": {level: len(self.at(level)) for level in LEVELS},
                "findings": [f.to_dict() for f in self.findings], "facts": self.facts}


def check(table: str | Path, task: Task, images: str | Path | None = None, fast: bool = False,
          cfg: TrainConfig | None = None) -> DataCheck:
    """Look for all faults of a labels table, or of a folder whose names hold the labels, and of its pictures.

    `fast` opens no picture; `images`: the folder that names are relative to; `cfg`: the settings that the split is
    drawn with, and whether any finding would stop. Raises ImgregError for what is no table, and for a missing column.
    """
    cfg = cfg or TrainConfig()
    frame, found = labels.check_rows(table, task, images, cfg)
    drawn = not uses_table_split(frame, cfg)
    parts, more = _parts(frame, task, cfg, drawn)
    found, seen = [*found, *more], {}
    if not fast:
        frame, more, seen = _opened(frame, task, parts, drawn, labels.source(table, task).is_dir())
        found += more
    return DataCheck(str(table), task, found, _facts(frame, parts, task) | {"drawn": drawn} | seen, frame, cfg.strict)


def _opened(frame: pd.DataFrame, task: Task, parts: np.ndarray, drawn: bool, folder: bool):
    """(the frame with its pictures' sizes, findings, facts), of pictures that are opened once each."""
    usable = frame["usable"].to_numpy()
    of = np.full(len(frame), -1)
    of[usable], paths = pd.factorize(real_paths(frame["path"][usable]))
    album = image_stats.collect_stats(paths, task.value_range)
    frame, found = pictures.broken_picture_issues(frame, album, of, folder)
    of[~frame["usable"].to_numpy()] = -1
    shown = CheckedTable(task, frame, album, of, parts, drawn, folder)
    same, groups = duplicates.duplicate_issues(shown)
    sizes = {name: np.where(of >= 0, shown.fact(name), np.nan) for name in ("width", "height")}
    found += [*same, *pictures.picture_issues(shown)]
    found += [Issue("levels", "note", (), len(frame), text, f"try {then}") for text, then in levels.unusual_levels(album.levels)]
    lost = frame["row"].isin([row for f in found if f.level == "leave out" for row in f.rows])
    left = frame["usable"] & ~lost
    if left.sum() < MIN_ROWS <= usable.sum():
        text = f"only {left.sum()} rows whose picture can be used, fewer than {MIN_ROWS}"
        found.append(Issue("few", "stop", (), len(frame), text, "mend the pictures"))
    return frame.assign(usable=left, **sizes), found, {"opened": album.n, **_seen(album), "duplicates": groups}


def _parts(frame: pd.DataFrame, task: Task, cfg: TrainConfig, drawn: bool) -> tuple[np.ndarray, list[Issue]]:
    """The part of the split that each row is in, "" for one in none: the table's own, or the one to be drawn.

    And what keeps it from being drawn.
    """
    parts, usable = np.full(len(frame), "", object), frame["usable"].to_numpy()
    if not drawn:
        own = frame["split"].to_numpy(object)
        return np.where(usable & np.isin(own.astype(str), splits.SPLITS), own, ""), []
    if usable.sum() < MIN_ROWS:  # which is a finding already
        return parts, []
    try:
        kept = frame[usable].drop(columns=list(OURS)).reset_index(drop=True)
        parts[usable] = splits.assign_splits(kept, cfg, task)["split"].to_numpy()
    except ImgregError as e:
        return parts, [Issue("part", "stop", (), len(frame), str(e))]
    return parts, []


def _facts(frame: pd.DataFrame, parts: np.ndarray, task: Task) -> dict:
    """What the rows hold: how many there are, in which parts and groups, and the span of each label."""
    usable = frame[frame["usable"]]
    facts = {"rows": len(frame), "usable": len(usable), "pictures": int(usable["path"].nunique())}
    facts |= {"split": {part: int((parts == part).sum()) for part in splits.SPLITS if (parts == part).any()}}
    facts |= {"groups": int(usable["group"].nunique())} if "group" in usable else {}
    return facts | {"targets": {t.name: {"kind": t.kind, "unit": t.unit,
                                         "columns": {c: _span(usable[c]) for c in t.columns}} for t in task.targets}}


def _span(values: pd.Series) -> dict:
    """Count, least, quartiles and greatest of finite values."""
    values = values.dropna()
    if not len(values):
        return {"n": 0}
    names = ("least", "quarter", "median", "three_quarters", "greatest")
    return {"n": len(values)} | dict(zip(names, map(float, np.quantile(values, (0, 0.25, 0.5, 0.75, 1))), strict=True))


def _seen(album: ImageStats) -> dict:
    """Counts of what the pictures are, the most frequent first."""
    whole = np.setdiff1d(np.arange(album.n), list(album.broken))
    width, height, orientation = (album.facts[name][whole] for name in ("width", "height", "orientation"))
    sizes = _counts([f"{w}x{h}" for w, h in zip(width, height, strict=True)])
    return {"broken": len(album.broken), "width": _span(pd.Series(width)), "height": _span(pd.Series(height)),
            "different_sizes": len(sizes), "sizes": dict(list(sizes.items())[:MOST]),
            "formats": _counts(album.format[whole]), "modes": _counts(album.mode[whole]),
            "orientations": _counts(orientation)}


def _counts(values) -> dict[str, int]:
    return {str(value): int(n) for value, n in pd.Series(values).value_counts().items()}


def _about(facts: dict, task: Task) -> list[str]:
    """Lines on what there is: the span of each target, the parts, and the pictures."""
    lines = [_target_told(t, facts["targets"][t.name]["columns"]) for t in task.targets]
    if facts["split"]:
        told = ", ".join(f"{n:,} {part}" for part, n in facts["split"].items())
        lines.append(f"split: {told}" + " (drawn)" * facts["drawn"])
    if "groups" in facts:
        lines.append(f"groups: {facts['groups']:,}")
    if "opened" in facts:
        turned = sum(n for tag, n in facts["orientations"].items() if tag != "1")
        told = [_sizes(facts), _most(facts["formats"]), _most(facts["modes"])]
        lines.append("pictures: " + "; ".join(told + [f"{turned:,} turned by their tag"] * bool(turned)))
    return lines


def _most(counts: dict[str, int]) -> str:
    """The most frequent values with their counts: "JPEG (90), PNG (2)"."""
    return first_few([f"{value} ({n:,})" for value, n in counts.items()], 4) or "none"


def _sizes(facts: dict) -> str:
    """The sizes of pictures, width before height: each with its count, or the span of many."""
    if facts["different_sizes"] <= 4:
        return _most(facts["sizes"])
    ends = ("{least:g} to {greatest:g}".format(**facts[side]) for side in ("width", "height"))
    return f"{' by '.join(ends)} px in {facts['different_sizes']:,} sizes"


def _target_told(t, columns: dict) -> str:
    """One line on a target's labels."""
    spans = [c for c in columns.values() if c["n"]]
    if not spans:
        return f"{t.name}: no labels"
    if t.kind == Point.kind:
        n = sum(c["n"] for c in columns.values()) // 2
        return f"{t.name}: {t.n} point{'s' * (t.n > 1)} a picture, {n:,} labelled in all"
    each = []
    for name, span in columns.items():
        if not span["n"]:
            continue
        least, quarter, _, more, greatest = map(_plain, list(span.values())[1:])
        ends = f"{least} to {with_unit(greatest, t.unit)}"
        each.append(f"{name} " * (len(columns) > 1) + f"{ends}, half of them {quarter} to {more}")
    return f"{t.name}: {'; '.join(each)}"


def _plain(value: float) -> str:
    """A number to be read: four digits of it, and no power of ten unless it is very large or small."""
    return f"{float(f'{value:.4g}'):,.10g}"
