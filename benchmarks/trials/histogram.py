"""HL-Gauss (Imani and White, ICML 2018): an output is a histogram, trained by cross-entropy; its mean is predicted.

For a point it is a histogram for x and one for y (SimCC; Li et al., ECCV 2022), for an angle those of cosine and sine.
"""
import torch
from fastai.callback.core import Callback
from fastai.learner import Learner
from torch import nn

from imgreg_fastai.config import TrainConfig
from imgreg_fastai.models import network
from imgreg_fastai.tasks import Task
from imgreg_fastai.training.losses import encode_labels

N_BINS = 64  # over the network's range
WIDTH = 1.5  # standard deviation of a label's histogram, in bins


class HistogramHead(nn.Module):
    """A linear layer to a histogram for each output; features [B, F] -> their means [B, n_out].

    Attributes:
        logits: Of the newest batch, [B, n_out, N_BINS].
    """

    def __init__(self, features: int, n_out: int):
        super().__init__()
        self.linear = nn.Linear(features, n_out * N_BINS)
        nn.init.normal_(self.linear.weight, std=0.01)
        nn.init.zeros_(self.linear.bias)
        low, high = network.Y_RANGE
        self.register_buffer("edges", torch.linspace(low, high, N_BINS + 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.logits = self.linear(x.float()).unflatten(1, (-1, N_BINS))
        return self.logits.softmax(dim=2) @ ((self.edges[1:] + self.edges[:-1]) / 2)


class HistogramLoss(nn.Module):
    """The cross-entropy between a Gaussian around each label and the head's histogram; missing labels count 0."""

    def __init__(self, task: Task, head: HistogramHead):
        super().__init__()
        self.task, self.head = task, head

    def forward(self, predicted: torch.Tensor, *labels: torch.Tensor) -> torch.Tensor:
        targets = zip(self.task.targets, labels, strict=True)
        encoded = torch.cat([encode_labels(t, y) for t, y in targets], dim=1)
        edges = self.head.edges
        sigma = WIDTH * (edges[1] - edges[0])
        within = encoded.nan_to_num().clamp(*network.Y_RANGE)  # farther out a histogram would be empty
        below = torch.special.ndtr((edges - within[:, :, None]) / sigma)
        shares = below.diff(dim=2) / (below[:, :, -1:] - below[:, :, :1])
        costs = -(shares * self.head.logits.log_softmax(dim=2)).sum(dim=2)
        labelled = encoded.isfinite()
        return torch.where(labelled, costs, 0).sum() / labelled.sum().clamp(min=1)


def replace_head(learn: Learner, task: Task, config: TrainConfig) -> list[Callback]:
    """Give a Learner a histogram head with its loss."""
    head = HistogramHead(network.n_features(learn.model[0]), task.n_out).to(learn.dls.device)
    learn.model[1] = head
    learn.loss_func = HistogramLoss(task, head)
    learn.create_opt()
    return []
