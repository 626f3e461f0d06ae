"""HTML pages: one file each, from the templates beside this file and plain data.

The functions other than `render` build the data that the templates take.
"""
from datetime import date
from pathlib import Path

from .. import __version__

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, data: dict) -> str:
    """Fill a template; all text from `data`, such as names of pictures, is escaped.

    Args:
        template: file name of a template that extends base.html.
        data: plain values; base.html takes `title` and `contents`, a list of {id, title} of the page's sections.

    Returns:
        The page.

    Raises:
        jinja2.UndefinedError: the data lack what the template takes.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
                              trim_blocks=True, lstrip_blocks=True)
    return environment.get_template(template).render(version=__version__, day=date.today().isoformat(), **data)


def table(caption: str, columns: list[str], rows: list[dict], words: bool = False) -> dict:
    """A table.

    Args:
        caption: its title.
        columns: their heads, that of the rows' names first.
        rows: see `row`.
        words: whether the cells are text, not numbers.
    """
    return {"caption": caption, "columns": columns, "rows": rows, "words": words}


def row(name: str, cells: list[str], bad: bool = False) -> dict:
    """A row of a table; `bad` highlights it."""
    return {"name": name, "cells": cells, "bad": bad}


def image_item(src: str, alt: str, size: tuple[int, int], caption: str = "", name: str = "", wide: bool = False) -> dict:
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
    """A section of a page; `name` is its id."""
    return {"id": name, "title": title, "parts": parts}


def part(title: str = "", *, verdict: str = "", bad: bool = False, warnings=(), notes=(), tables=(), charts=(), groups=(),
         code: str = "") -> dict:
    """A part of a section. What it has is shown in the order of the arguments.

    Args:
        title: its heading.
        verdict: a sentence that is set off.
        bad: whether the verdict is bad.
        warnings: dicts of `text` and `hint`.
        notes: paragraphs.
        tables: see `table`.
        charts: see `image_item`.
        groups: see `group`.
        code: text in a fixed-width font.
    """
    return {"title": title, "verdict": verdict, "bad": bad, "warnings": list(warnings), "notes": list(notes),
            "tables": list(tables), "charts": list(charts), "groups": list(groups), "code": code}


def note(*sentences: str) -> dict:
    """A part of paragraphs alone."""
    return part(notes=sentences)


def group(title: str, tiles: list[dict], note: str = "") -> dict:
    """Tiles (see `image_item`) under a heading and a note."""
    return {"title": title, "tiles": tiles, "note": note}
