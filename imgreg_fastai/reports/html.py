"""Pages that people open in a browser: one HTML file each, out of the templates beside this file and plain data."""
from datetime import date
from pathlib import Path

from .. import __version__

TEMPLATES = Path(__file__).parent / "templates"


def render(template: str, data: dict) -> str:
    """The page of that `template`, which extends base.html, as text.

    `data`: plain values; base.html wants `title` and `contents`, a list of {id, title} of the page's sections. All that
    comes from files, such as the names of pictures, is escaped. Raises jinja2.UndefinedError for what the template asks
    and the data lack.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    house = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, undefined=StrictUndefined,
                        trim_blocks=True, lstrip_blocks=True)
    made = {"version": __version__, "day": date.today().isoformat()}
    return house.get_template(template).render({"made": made, **data})


# What the macros of parts.html take.

def table(caption: str, columns: list[str], rows: list[dict], words: bool = False) -> dict:
    """A table; `columns`: the heads, that of the rows' names first; `words`: its cells are text, not numbers."""
    return {"caption": caption, "columns": columns, "rows": rows, "words": words}


def row(name: str, cells: list[str], bad: bool = False) -> dict:
    """A row of a table; `bad` sets it off."""
    return {"name": name, "cells": cells, "bad": bad}


def image_item(src: str, alt: str, size: tuple[int, int], caption: str = "", name: str = "", wide: bool = False) -> dict:
    """A picture of (width, height), embedded as `src`; `name` stands below a tile's caption.

    One that is `wide` is not made smaller on a narrow screen, but moved sideways.
    """
    return {"src": src, "alt": alt, "width": size[0], "height": size[1], "caption": caption, "name": name, "wide": wide}


# What report.html is made of.

def section(name: str, title: str, parts: list[dict]) -> dict:
    """A section, found by `name` in the table of contents."""
    return {"id": name, "title": title, "parts": parts}


def part(title: str = "", **what) -> dict:
    """A part of a section: any of `verdict` (`bad` if it is none to be glad of), `warnings`, `notes`, `tables`,
    `charts`, `groups` of tiles (see `group`) and `code`, shown in this order below the `title`.
    """
    empty = {"verdict": "", "bad": False, "warnings": [], "notes": [], "tables": [], "charts": [], "groups": [],
             "code": ""}
    if unknown := what.keys() - empty.keys():
        raise TypeError(f"no such parts: {', '.join(sorted(unknown))}")
    return {"title": title, **empty, **what}


def group(title: str, tiles: list[dict], note: str = "") -> dict:
    """Tiles under a title of their own."""
    return {"title": title, "tiles": tiles, "note": note}
