"""The charts of a training: the epoch that is kept, axes that suit, and a rate suggested only where it counts."""
import numpy as np
import pytest

from imgreg_fastai.plots.training_charts import curves, lr_find
from imgreg_fastai.tasks import ANGLE, Number
from tests.plots.test_plots import history, said


def test_curves_mark_the_kept_epoch_and_use_a_log_scale_only_for_a_wide_range():
    run = history(8)
    run.loc[5, "valid_loss"] = 0.01
    fig = curves(run, ANGLE.targets)
    assert fig.get_suptitle() == "Best at epoch 5: angle error 0.62°"
    assert [ax.get_yscale() for ax in fig.axes] == ["log", "log"]
    assert curves(history(3), ANGLE.targets).axes[0].get_yscale() == "linear"
    assert fig.axes[1].get_ylabel() == "mean validation error (°)"


def test_errors_in_different_units_have_different_axes():
    fig = curves(history(4, age_error=[9, 8, 7, 6.0]), [*ANGLE.targets, Number("age", ("age",), "years")])
    assert [ax.get_ylabel() for ax in fig.axes[1:]] == ["mean validation error (°)", "mean validation error (years)"]
    assert fig.get_suptitle() == "Best at epoch 3: angle error 2.5°, age error 6.0 years"


def test_lr_find_marks_a_suggestion_only_if_it_is_trusted():
    lrs, losses = np.logspace(-6, 0, 50), np.linspace(1, 0.2, 50)
    losses[[7, 49]] = np.nan, np.inf
    good, bad = (lr_find(lrs, losses, 2.1e-3, trusted) for trusted in (True, False))
    assert good.get_suptitle() == "Suggested learning rate: 0.0021" and "2.1" not in said(bad)
    marked = [[li for li in fig.axes[0].lines if list(li.get_xdata()) == [2.1e-3, 2.1e-3]] for fig in (good, bad)]
    assert [len(m) for m in marked] == [1, 0]
    assert "means nothing" in said(bad) and good.axes[0].get_xscale() == "log"


def test_the_smoothed_losses_keep_their_ends():
    for losses, ends in ((np.full(30, 2.0), (2, 2)), (np.r_[np.full(15, 1.0), np.full(15, 3.0)], (1, 3))):
        smooth = lr_find(np.logspace(-6, 0, 30), losses, None, False).axes[0].lines[1].get_ydata()
        assert smooth[[0, -1]] == pytest.approx(ends) and (np.diff(smooth) >= -1e-9).all()
