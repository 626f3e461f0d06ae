"""The public functions. They stand in functions.py, which is loaded when the first of them is used."""
from typing import Any

__all__ = ["check", "compare", "curve", "dataloaders", "evaluate", "export", "learner", "list_runs", "load", "lr_find",
           "predict", "report", "resume", "train"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from . import functions

        return getattr(functions, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
