"""Exports of labelling tools: how each is recognised, what it holds, and what to do, since none is read as it is."""
import contextlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...utils.messages import ImgregError

POINT_TABLE = "a CSV table with a row for each image: image, NAME_x, NAME_y, in pixels"


class Export(NamedTuple):
    """An export of a labelling tool.

    Attributes:
        tool: What the file is.
        mark: What shows it: columns of a table, keys of JSON, or a regular expression that its text begins with.
        content: What stands where in it.
        hint: What to do.
    """

    tool: str
    mark: Any
    content: str
    hint: str = POINT_TABLE


TABLES = (
    Export("VIA's CSV", {"filename", "region_shape_attributes"},
           "its points stand as JSON in region_shape_attributes, cx and cy in pixels"),
    Export("napari's CSV of points", {"index", "axis-0", "axis-1", "axis-2"},
           "axis-2 is x, axis-1 is y, axis-0 the number of the image, and no image is named"),
    Export("napari's CSV of points", {"index", "axis-0", "axis-1"}, "axis-1 is x, axis-0 is y, and no image is named"),
)
JSON = (
    Export("COCO's JSON", {"images", "annotations"}, "annotations.keypoints are x, y, visibility in pixels"),
    Export("LabelMe's JSON", {"shapes", "imagePath"}, "it is of one image, and shapes.points are x, y in pixels"),
    Export("Label Studio's JSON", {"data", "annotations"}, "x and y are in per cent of the image",
           "its export as CSV or JSON-MIN, which are read"),
    Export("VIA's JSON", {"_via_img_metadata"}, "regions.shape_attributes have cx and cy in pixels"),
    Export("VIA's JSON", {"filename", "regions"}, "regions.shape_attributes have cx and cy in pixels"),
)
TEXTS = (
    Export("CVAT's XML", r"<annotations>|<annotations\s", "points of each <image> are x,y in pixels"),
    Export("Pascal VOC's XML", r"<annotation>|<annotation\s", "it has the boxes of one image"),
    Export("dlib's XML", r"<dataset>", "parts of each box are x, y in pixels"),
    Export("an iBUG file of points (.pts)", r"version:\s*\d+\s+n_points:",
           "it has the points of one image, x and y in pixels, the first pixel being 1"),
    Export("an Excel 2003 file in XML", r"<\?mso-application progid=\"Excel", "", "it saved as .xlsx or CSV"),
    Export("a web page (HTML)", r"<!doctype html|<html|<table|<head|<body|<meta", "programs save it as .xls, too",
           "it opened in a spreadsheet program, and saved as .xlsx or CSV"),
    Export("an XML file", r"<", ""),
)
YOLO = Export("a label file of YOLO", None, "it has boxes and points of one image, in parts of its width and height",
              "a CSV table with a row for each image: image, NAME_x, NAME_y, and --coords fraction")


def check_rows(rows: Sequence[Sequence[str]], names: Sequence[str], path: Path) -> None:
    """Raise ImgregError if a table is an export of a labelling tool that cannot be read as it is.

    Args:
        rows: The cells of its first rows, from the header on.
        names: The names of its columns.
        path: The file.
    """
    plain = {name.strip().lower() for name in names}
    _refuse(next((export for export in TABLES if export.mark <= plain), None), path)
    first_cells = [row[0].strip().lower() for row in rows[:4] if row]
    if first_cells[:1] == ["scorer"] and "coords" in first_cells:
        _refuse(_deeplabcut(rows, first_cells.index("coords"), path), path)
    rows = [row for row in rows if any(row)]
    if rows and all(len(row) > 4 and row[0].isdigit() and all(map(_is_part, row[1:5])) for row in rows):
        _refuse(YOLO, path)


def _deeplabcut(rows: Sequence[Sequence[str]], coords: int, path: Path) -> Export:
    """Describe a table of DeepLabCut, and the line that makes its rows of names one."""
    n_index = 1 + next((i for i, cell in enumerate(rows[0][1:]) if cell.strip()), 0)
    index = "0" if n_index == 1 else f"{list(range(n_index))}"
    joined = "" if n_index == 1 else "t.index = t.index.map('/'.join); "
    return Export("a table of DeepLabCut", None, f"{coords + 1} rows of names stand above its points",
                  "in its folder: python -c \"import pandas as pd; t = pd.read_csv("
                  f"'{path.name}', header={list(range(1, coords + 1))}, index_col={index}); {joined}"
                  "t.columns = t.columns.map('_'.join); t.to_csv('points.csv', index_label='image')\"")


def check_json(data: Any, path: Path) -> None:
    """Raise ImgregError if JSON is an export of a labelling tool.

    Args:
        data: Objects.
        path: The file.
    """
    first = next(iter(data), None) if isinstance(data, list) else data
    keys = set(first) if isinstance(first, dict) else set()
    if isinstance(data, dict) and data and all(isinstance(value, dict) for value in data.values()):
        keys |= set(next(iter(data.values())))  # VIA has an object for each image
    _refuse(next((export for export in JSON if export.mark <= keys), None), path)


def check_text(text: str, path: Path) -> None:
    """Raise ImgregError if a text is no table, but XML or another export of a labelling tool.

    Args:
        text: The beginning of the file.
        path: The file.
    """
    bare = re.sub(r"^\ufeff?\s*(<\?xml[^>]*\?>|<!--.*?-->|\s)*", "", text[:4096], flags=re.DOTALL)
    _refuse(next((export for export in TEXTS if re.match(export.mark, bare, re.IGNORECASE)), None), path)


def _is_part(cell: str) -> bool:
    return bool(re.fullmatch(r"0|1|[01]?\.\d+", cell)) and float(cell) <= 1


def note_on_columns(header: Sequence[str]) -> tuple[str, ...]:
    """Return what to know about a table that a tool has measured.

    Args:
        header: The cells of its header.
    """
    if header and header[0] == " " and {"X", "Y"} <= set(header):  # ImageJ has nothing but a blank above its numbers
        return ("it is ImageJ's table of results: X and Y are in the unit of Analyze > Set Scale, pixels without one; "
                "points of imgreg are in pixels",)
    return ()


def check_folder(folder: Path) -> None:
    """Raise ImgregError if a folder has label files of a tool, one for each image.

    Args:
        folder: The folder.
    """
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in (".json", ".xml", ".pts", ".txt") and path.is_file():
            text = path.read_bytes()[:1 << 20].decode("utf-8", errors="replace")
            check_text(text, path)
            check_rows([line.split() for line in text.splitlines()], [], path)
            with contextlib.suppress(ValueError):
                check_json(json.loads(text), path)
            return


def _refuse(export: Export | None, path: Path) -> None:
    if export:
        content = f": {export.content}" if export.content else ""
        raise ImgregError("a labels table", f"'{path}', which is {export.tool}{content}", export.hint)
