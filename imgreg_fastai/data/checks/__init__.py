"""Checking a table of labelled images before a network is trained on it."""
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pandas as pd

from ...config import TrainConfig
from ...tasks import Target, Task
from ...utils.format import with_unit
from ...utils.messages import ImgregError, first_few
from .. import labels, splits
from ..issues import LEVELS, Issue
from ..tables import Table
from . import duplicates, opened_images
from .opened_images import CheckedTable

LEVEL_TITLES = {"stop": "would stop a training", "leave out": "rows that are left out", "note": "worth knowing"}
LEVEL_COUNTS = {"stop": "to be corrected first", "leave out": "that leave rows out", "note": "worth knowing"}
MAX_SIZES = 20  # sizes of images that are counted one by one, the most frequent first
MAX_SHOWN = 4  # different values that are shown
QUANTILES = {"least": 0.0, "quarter": 0.25, "median": 0.5, "three_quarters": 0.75, "greatest": 1.0}


@dataclass(frozen=True)
class DataCheck:
    """The result of a check.

    Attributes:
        table: The path of the table.
        task: What its columns mean.
        issues: All issues.
        facts: Plain data about rows, labels and images.
        frame: All rows; see LabelTable. With `width` and `height` of their images where these were opened.
        strict: Whether any issue stops a training.
    """

    table: str
    task: Task
    issues: list[Issue]
    facts: dict
    frame: pd.DataFrame = field(repr=False)
    strict: bool = False

    @property
    def fine(self) -> bool:
        """Whether nothing would stop a training."""
        return not (self.issues if self.strict else self.issues_at("stop"))

    def issues_at(self, level: str) -> list[Issue]:
        """Return the issues of one level."""
        return [issue for issue in self.issues if issue.level == level]

    def describe(self) -> str:
        """Describe the table, the issues by level, and how many they are."""
        lines = _describe_facts(self.facts, self.task)
        for level in LEVELS:
            issues = self.issues_at(level)
            if issues:
                lines += [f"{LEVEL_TITLES[level]}:", *(f"  {issue.describe()}" for issue in issues)]
        return "\n".join([*lines, self.summary])

    @property
    def summary(self) -> str:
        """One line: how many rows and images there are, and how many issues of each level."""
        counts = {words: len(self.issues_at(level)) for level, words in LEVEL_COUNTS.items()}
        shown = [f"{n} {words}" for words, n in counts.items() if n]
        opened = "" if "opened" in self.facts else " (not opened)"
        some_unusable = self.facts["usable"] < self.facts["rows"]
        usable = f", of which {self.facts['usable']:,} can be used" if some_unusable else ""
        return (f"{self.facts['rows']:,} rows{usable}, {self.facts['pictures']:,} images{opened}: "
                f"{', '.join(shown) or 'nothing found'}")

    def to_dict(self) -> dict:
        """Return the result as JSON can hold it."""
        return {"table": self.table, "task": self.task.name, "fine": self.fine,
                "counts": {level: len(self.issues_at(level)) for level in LEVELS},
                "issues": [issue.to_dict() for issue in self.issues], "facts": self.facts}


def check(table: str | Table, task: Task, images: str | Path | None = None, fast: bool = False,
          cfg: TrainConfig | None = None,
          recognise: Callable[[pd.DataFrame], pd.Series | None] | None = None) -> DataCheck:
    """Check a labels table, or a folder whose names hold the labels, and its images.

    Args:
        table: The table or folder.
        task: What its columns mean.
        images: The folder that names of images are relative to, else the table's own.
        fast: Open no image; where points, boxes and angles need it, read headers as a training does.
        cfg: The training's settings: how the split is drawn, and whether any issue stops.
        recognise: Takes the rows, and returns in which part a run had them that the training goes on from.

    Raises:
        ImgregError: It is not a table, has no rows, or lacks a column.
    """
    cfg = cfg or TrainConfig()
    # 1. Read the table, and find the part of each row: "" for a row in none.
    rows = labels.read_rows(table, task, images=images, cfg=cfg)
    frame, issues = rows.frame, labels.label_issues(rows, cfg)
    usable, parts = frame["usable"].to_numpy(), np.full(len(frame), "", object)
    drawn = not splits.uses_table_split(frame, cfg)
    try:
        if not drawn:
            parts = frame["split"].where(usable & frame["split"].isin(splits.SPLITS), "").to_numpy(object)
        # Fewer rows, and a split that cannot be used, are issues already.
        if usable.sum() >= splits.MIN_ROWS and not any(issue.code in ("split", "part", "fold") for issue in issues):
            to_divide = frame[usable].drop(columns=list(labels.ADDED_COLUMNS)).reset_index(drop=True)
            old_parts = recognise(to_divide) if recognise else None
            parts[usable] = splits.assign_splits(to_divide, cfg, task, old_parts)["split"]
    except ImgregError as e:
        issues += rows.issue("part", "stop", str(e))
    facts: dict = {"drawn": drawn}
    # 2. Open the images.
    if fast:
        issues += labels.header_issues(rows)
    else:
        checked = opened_images.open_images(rows, parts, drawn)
        copies, rows_of_copies = duplicates.find_duplicates(checked)
        issues += [*opened_images.broken_image_issues(checked), *copies, *opened_images.image_issues(checked)]
        left_out = {row for issue in issues if issue.level == "leave out" for row in issue.rows}
        usable_now = checked.labels.frame["usable"] & ~frame["row"].isin(left_out)
        if usable_now.sum() < splits.MIN_ROWS <= usable.sum():
            issues += rows.issue("few", "stop", splits.too_few_images(usable_now.sum()), "mend the images")
        sides = {side: checked.fact(side) for side in ("width", "height")}
        frame = checked.labels.frame.assign(usable=usable_now, **sides)
        facts |= _image_facts(checked) | {"duplicates": rows_of_copies}
    return DataCheck(str(table), task, issues, _label_facts(frame, parts, task) | facts, frame, cfg.strict)


def _label_facts(frame: pd.DataFrame, parts: np.ndarray, task: Task) -> dict:
    """Count rows, parts and groups, and summarise each label."""
    usable, counts = frame[frame["usable"]], pd.Series(parts).value_counts()
    facts = {"rows": len(frame), "usable": len(usable), "pictures": int(usable["path"].nunique()),
             "split": {part: int(counts[part]) for part in splits.SPLITS if part in counts}}
    if "group" in usable:
        facts["groups"] = int(usable["group"].nunique())
    facts["targets"] = {t.name: {"kind": t.kind, "unit": t.unit, "columns": {c: _span(usable[c]) for c in t.columns}}
                        for t in task.targets}
    return facts


def _span(values: pd.Series) -> dict:
    """Count the values, and compute QUANTILES of them."""
    values = values.dropna()
    quantiles = {name: float(values.quantile(q)) for name, q in QUANTILES.items()} if len(values) else {}
    return {"n": len(values), **quantiles}


def _image_facts(table: CheckedTable) -> dict:
    """Count what the images are, the most frequent first."""
    facts, n_broken = table.facts, len(table.broken)
    sizes = (facts["width"].astype(str) + "x" + facts["height"].astype(str)).value_counts()
    formats, modes = facts["format"].value_counts(), facts["mode"].value_counts()
    orientations = facts["orientation"].astype(str).value_counts()
    return {"opened": len(facts) + n_broken, "broken": n_broken, "width": _span(facts["width"]),
            "height": _span(facts["height"]), "different_sizes": len(sizes), "sizes": sizes.head(MAX_SIZES).to_dict(),
            "formats": formats.to_dict(), "modes": modes.to_dict(), "orientations": orientations.to_dict()}


def _describe_facts(facts: dict, task: Task) -> list[str]:
    """Describe the labels of each target, the parts and the images, a line each."""
    lines = [_describe_target(t, facts["targets"][t.name]["columns"]) for t in task.targets]
    if facts["split"]:
        whole_groups = "whole groups, " if "groups" in facts else ""
        drawn = f" ({whole_groups}drawn at random)" if facts["drawn"] else ""
        lines.append("split: " + ", ".join(f"{n:,} {part}" for part, n in facts["split"].items()) + drawn)
    if "groups" in facts:
        lines.append(f"groups: {facts['groups']:,}")
    if "opened" in facts:
        sizes = _most_frequent(facts["sizes"])
        if facts["different_sizes"] > MAX_SHOWN:
            sizes = ("{width[least]:g} to {width[greatest]:g} by {height[least]:g} to {height[greatest]:g} px in "
                     "{different_sizes:,} sizes").format(**facts)
        parts = [sizes, _most_frequent(facts["formats"]), _most_frequent(facts["modes"])]
        turned = sum(n for tag, n in facts["orientations"].items() if tag != "1")
        if turned:
            parts.append(f"{turned:,} turned upright by their EXIF tag")
        lines.append(f"images: {'; '.join(parts)}")
    return lines


def _most_frequent(counts: dict[str, int]) -> str:
    """List the most frequent values with their counts: "JPEG (90), PNG (2)"."""
    return first_few([f"{value} ({n:,})" for value, n in counts.items()], MAX_SHOWN) or "none"


def _describe_target(t: Target, columns: dict) -> str:
    """Describe a target's labels in one line."""
    spans = {name: span for name, span in columns.items() if span["n"]}
    if not spans:
        return f"{t.name}: no labels"
    if t.in_image:
        n = len(t.columns) // 2
        labelled = sum(span["n"] for span in spans.values()) // 2
        return f"{t.name}: {n} point{'s' if n > 1 else ''} an image, {labelled:,} labelled in all"
    texts = []
    for name, span in spans.items():
        # Four digits, and no power of ten unless a number is very large or small.
        plain = {q: f"{float(f'{value:.4g}'):,.10g}" for q, value in span.items()}
        text = (f"{plain['least']} to {with_unit(plain['greatest'], t.label_unit)}, "
                f"half of them {plain['quarter']} to {plain['three_quarters']}")
        texts.append(f"{name} {text}" if len(columns) > 1 else text)
    return f"{t.name}: {'; '.join(texts)}"
