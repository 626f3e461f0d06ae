"""The steps that train with the running averages of batch normalisation."""
import pytest
import torch

from imgreg_fastai.api import functions
from imgreg_fastai.api.preparation import make_config
from imgreg_fastai.tasks import ANGLE
from imgreg_fastai.training import loop
from imgreg_fastai.training.norm import is_norm_fixed
from imgreg_fastai.training.progress import Progress
from tests.conftest import SMALL


@pytest.mark.parametrize("fixed_norm", [0.0, 0.4])
def test_the_last_part_trains_with_the_running_averages_and_leaves_them(drawn, fixed_norm):
    learn = functions.learner("angle", data=drawn, **{**SMALL, "arch": "test_resnet", "weights": "none"})
    norm = next(m for m in learn.model.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm))
    changes, weights = [], []

    class Look(loop.Callback):
        def before_batch(self):
            if self.training:
                self.old = norm.running_mean.clone()

        def after_batch(self):
            if self.training:
                changes.append(not torch.equal(norm.running_mean, self.old))
                weights.append(norm.weight.detach().clone())

    learn.add_cb(Look())
    cfg = make_config(ANGLE, **{k: v for k, v in SMALL.items() if k != "size"}, fixed_norm=fixed_norm)
    loop.fit(learn, cfg, loop.TrainingWatch(), False, "fp32")
    n = len(changes)
    n_fixed = sum(step / n >= 1 - fixed_norm for step in range(n))
    assert changes == [True] * (n - n_fixed) + [False] * n_fixed and bool(n_fixed) is bool(fixed_norm)
    assert not torch.equal(weights[-1], weights[-2]), "its factors go on learning"


def test_it_is_the_last_part_of_the_cycle_after_frozen_epochs():
    progress = Progress(10)
    progress.add_cycle(1, frozen=True)
    progress.add_cycle(2)
    fixed = []
    for step in range(30):
        progress.step = step
        progress.history = [{}] * (step // 10)
        fixed.append(is_norm_fixed(progress, 0.25))
    assert fixed == [False] * 25 + [True] * 5
