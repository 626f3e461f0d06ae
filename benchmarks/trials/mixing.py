"""C-Mixup (Yao et al., NeurIPS 2022): images whose labels are close are mixed, and so are their labels."""
import torch
from fastai.callback.core import Callback
from fastai.learner import Learner
from fastai.torch_core import TensorImage

from imgreg_fastai.config import TrainConfig
from imgreg_fastai.tasks import Task
from imgreg_fastai.training.losses import encode_labels

ALPHA = 2.0  # of the beta distribution that the share of an image is from: the paper's
BANDWIDTH = 0.2  # of the distance of encoded labels, whose range is 2: a tenth of it


class MixPairs(Callback):
    """Mixes each image of a training batch with another, by a probability that falls with the labels' distance."""

    order, run_valid = 70, False  # after the step is seeded

    def __init__(self, task: Task):
        self.task = task

    def before_batch(self):
        encoded = [encode_labels(t, y) for t, y in zip(self.task.targets, self.yb, strict=True)]
        labels = torch.cat(encoded, dim=1).nan_to_num()
        nearness = torch.exp(-torch.cdist(labels, labels) ** 2 / (2 * BANDWIDTH**2)) + 1e-8
        partner = torch.multinomial(nearness.fill_diagonal_(1e-8), 1)[:, 0]
        share = torch.distributions.Beta(ALPHA, ALPHA).sample((len(labels),))
        pictures = self.xb[0].as_subclass(torch.Tensor)
        self.learn.xb = (_mix(pictures, pictures[partner], share).as_subclass(TensorImage),)
        self.learn.yb = tuple(_mix(y, y[partner], share.to(y.dtype)) for y in self.yb)


def _mix(one: torch.Tensor, other: torch.Tensor, share: torch.Tensor) -> torch.Tensor:
    share = share.reshape(-1, *[1] * (one.ndim - 1))
    return share * one + (1 - share) * other


def mix(learn: Learner, task: Task, config: TrainConfig) -> list[Callback]:
    """Return the callback that mixes."""
    return [MixPairs(task)]
