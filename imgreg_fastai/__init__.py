"""imgreg: image regression, pictures into numbers. The verbs load what they need when they are called."""
__version__ = "0.1.0"
__all__ = ["check", "compare", "curve", "dataloaders", "evaluate", "export", "learner", "list_runs", "load", "lr_find",
           "predict", "report", "train"]


def __getattr__(name: str):
    if name in __all__:
        from . import api

        return getattr(api, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted([*globals(), *__all__])
