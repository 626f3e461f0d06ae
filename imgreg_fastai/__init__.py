"""imgreg: image regression, from images to numbers. The public functions are loaded when the first of them is used."""
from typing import Any

from . import api

__version__ = "0.1.0"
__all__ = api.__all__


def __getattr__(name: str) -> Any:
    return getattr(api, name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
