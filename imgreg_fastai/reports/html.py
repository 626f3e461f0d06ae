"""HTML pages: one file each, from the templates beside this file and plain data.

The functions other than `render` build the data that the templates take.
"""
from datetime import date
from pathlib import Path

from .. import __version__

TEMPLATES = Path(__file__).parent / "templates"


def render(page: dict) -> str:
    """Fill the template of a page; all text, such as names of pictures, is escaped.

    Args:
        page: `title`, `lead` and `sections`, see `section`.

    Returns:
        The HTML.

    Raises:
        jinja2.UndefinedError: the data lack what the template takes.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    return environment.get_template("page.html").render(version=__version__, day=date.today().isoformat(), **page)


def table(caption: str, columns: list[str], rows, words: bool = False, bad=()) -> dict:
    """A table.

    Args:
        caption: its title.
        columns: their heads, that of the rows' names first.
        rows: (name, *cells) each, texts; an empty cell is shown as a dash.
        words: whether the cells are text, not numbers.
        bad: names of rows to highlight.
    """
    rows = [{"name": name, "cells": [cell or "–" for cell in cells], "bad": name in bad} for name, *cells in rows]
    return {"caption": caption, "columns": columns, "rows": rows, "words": words}


def image_item(src: str, alt: str, size: tuple[int, int], caption: str = "", name: str = "",
               wide: bool = False) -> dict:
    """An image.

    Args:
        src: a data URL.
        alt: what it shows, in words.
        size: (width, height) in CSS pixels.
        caption: text below a tile.
        name: text below the caption.
        wide: whether it scrolls sideways on a narrow screen instead of being made smaller.
    """
    return {"src": src, "alt": alt, "width": size[0], "height": size[1], "caption": caption, "name": name, "wide": wide}


def section(name: str, title: str, parts: list[dict]) -> dict:
    """A section of a page; `name` is its id, `parts` see `part`."""
    return {"id": name, "title": title, "parts": parts}


def part(title: str = "", *, verdict: str = "", bad: bool = False, warnings=(), notes=(), tables=(), charts=(),
         groups=(), code: str = "") -> dict:
    """A part of a section. What it has is shown in the order of the arguments.

    Args:
        title: its heading.
        verdict: a sentence that is set off.
        bad: whether the verdict is bad.
        warnings: dicts of `text` and `hint`.
        notes: paragraphs; empty ones are left out.
        tables: see `table`; those without rows are left out.
        charts: see `image_item`.
        groups: see `group`; those without tiles are left out.
        code: text in a fixed-width font.
    """
    return {"title": title, "verdict": verdict, "bad": bad, "warnings": list(warnings),
            "notes": [note for note in notes if note], "tables": [table for table in tables if table["rows"]],
            "charts": list(charts), "groups": [group for group in groups if group["tiles"]], "code": code}


def note(*sentences: str) -> dict:
    """A part of paragraphs alone."""
    return part(notes=sentences)


def group(title: str, tiles: list[dict], note: str = "") -> dict:
    """Tiles (see `image_item`) under a heading and a note."""
    return {"title": title, "tiles": tiles, "note": note}
