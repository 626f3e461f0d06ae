"""The public functions."""
from .functions import (
    check,
    compare,
    curve,
    dataloaders,
    evaluate,
    export,
    learner,
    list_runs,
    load,
    lr_find,
    predict,
    report,
    train,
)

__all__ = ["check", "compare", "curve", "dataloaders", "evaluate", "export", "learner", "list_runs", "load", "lr_find",
           "predict", "report", "train"]
