"""Plots of labels, of a training and of predictions.

Every function returns a matplotlib figure, which `save` writes. What a `frame` holds is described in frames.py.
"""
from .charts import errors_over, groups, predicted_against_true, residuals
from .figures import save
from .grids import batch, grid, tolerance, worst
from .run_plots import write_all
from .training_charts import curves, lr_find

__all__ = ["batch", "curves", "errors_over", "grid", "groups", "lr_find", "predicted_against_true", "residuals", "save",
           "tolerance", "worst", "write_all"]
