"""HTML pages: one file each, from the templates beside this file."""
from datetime import date
from pathlib import Path

from .. import __version__
from ..evaluation.comparison import setting_text
from ..utils.format import format_amount, format_value, format_values, trailing_unit
from .verdict import part_name, share

FILTERS = {"amount": format_amount, "value": format_value, "values": format_values, "trailing_unit": trailing_unit,
           "count": "{:,}".format, "share": share, "part_name": part_name, "setting": setting_text}


def render(template: str, data: dict) -> str:
    """Fill the template of a page; all text, such as names of images, is escaped.

    Args:
        template: The name of a file in templates/.
        data: What it takes.

    Raises:
        jinja2.UndefinedError: If the data lack what the template takes.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True,
                              undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True,
                              extensions=["jinja2.ext.do"])
    environment.filters.update(FILTERS)
    return environment.get_template(template).render(data, version=__version__, day=date.today().isoformat())
