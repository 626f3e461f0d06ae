"""What training minimises: labels are encoded to what the network sees, and compared there, in torch."""
from functools import partial

import numpy as np
import torch
from fastai.learner import Metric
from torch import nn
from torch.nn import functional as F

from ..tasks import Target, Task

# auto is l1: its gradient does not fade as the error gets small, where mse's does.
PENALTIES = {"auto": F.l1_loss, "l1": F.l1_loss, "mse": F.mse_loss,
             "huber": lambda p, t, reduction: F.huber_loss(p, t, delta=0.1, reduction=reduction)}
FEW = 10_000  # labels are enough to know their mean by
NOTHING = 1e-5  # a cost too small for anything to be learnt


def label_type(target: Target) -> torch.dtype:
    """The torch dtype of a target's labels in units."""
    return target.label_dtype


def to_plain_tensor(y: torch.Tensor) -> torch.Tensor:
    """A label of any fastai type as a plain tensor of floats [n, columns], of double precision where it had that.

    One column arrives as [n]: against an output of [n, 1] it would silently broadcast to [n, n].
    """
    y = y.as_subclass(torch.Tensor).reshape(len(y), -1)
    return y if y.dtype == torch.float64 else y.float()


def encode_labels(target: Target, y: torch.Tensor) -> torch.Tensor:
    """A batch's labels of one target, of any fastai type, encoded in their own precision: float32 [n, n_out]."""
    return target.encode_labels(to_plain_tensor(y)).float()


def penalty(target: Target, predicted: torch.Tensor, encoded: torch.Tensor, kind: str = "auto",
            rarity: "RarityWeights | None" = None) -> torch.Tensor:
    """The mean penalty of `kind` over what is labelled: outputs [n, n_out] against encoded labels [n, n_out]."""
    return target.penalty(predicted, encoded, partial(PENALTIES[kind], reduction="none"), rarity)


class RarityWeights:
    """How much a Number's label counts: more where labels are rare, 1 on the mean over the training part.

    The weight is one over the root of the labels' density, smoothed by a Gaussian (label distribution smoothing; Yang
    et al., Delving into Deep Imbalanced Regression, ICML 2021, there "SQINV" with LDS).
    """

    bins, sigma = 100, 2.0  # over [-1, 1], and the kernel's width in bins: the paper's

    def __init__(self, aims: torch.Tensor):
        """`aims`: the training part's encoded labels [n, 1]."""
        counts = torch.bincount(self._bin(aims), minlength=self.bins).float()
        reach = torch.arange(self.bins)
        kernel = torch.exp(-0.5 * ((reach[:, None] - reach) / self.sigma) ** 2)
        alone = 1 / kernel.sum(dim=1).max()  # the density of one label: where there is none, none counts more
        weights = ((kernel @ counts) / kernel.sum(dim=1)).clamp(min=alone).rsqrt()
        self.weights = weights * counts.sum() / (weights * counts).sum()

    def _bin(self, aims: torch.Tensor) -> torch.Tensor:
        return ((aims.flatten().nan_to_num() + 1) / 2 * self.bins).long().clamp(0, self.bins - 1)

    def __call__(self, aims: torch.Tensor) -> torch.Tensor:
        """The weights of encoded labels, [n, 1]."""
        return self.weights.to(aims.device)[self._bin(aims)].unsqueeze(1)


def sample_encoded(target: Target, y: torch.Tensor) -> torch.Tensor:
    """About FEW encoded labels of one target [n, n_out], spread over all of its labelled rows, however sorted."""
    y = to_plain_tensor(y)
    y = y[y.isfinite().any(dim=1)]
    return target.encode_labels(y[:: max(1, len(y) // FEW)]).float()


def mean_encoded(task: Task, labels: tuple[torch.Tensor, ...]) -> torch.Tensor:
    """The mean of the encoded labels, [n_out]: what to put out before anything has been learnt."""
    return torch.cat([sample_encoded(t, y).nanmean(dim=0) for t, y in zip(task.targets, labels, strict=True)]).nan_to_num()


class TaskLoss(nn.Module):
    """The loss of a Task: the mean penalty over a target's outputs, averaged over its targets.

    Among several targets each one's is divided by what `guess` costs, over the training part's `labels`: so each
    begins at 1 whatever its unit and kind, and falls to the part of guessing that is left; a target's own `weight`
    then says how much it counts. `guess` [n_out]: `mean_encoded` of these labels, for whoever has it already. `balance`:
    rare labels of plain numbers count more.
    """

    def __init__(self, task: Task, kind: str = "auto", labels: tuple[torch.Tensor, ...] | None = None,
                 guess: torch.Tensor | None = None, balance: bool = False):
        super().__init__()
        self.task, self.kind, self.guessing = task, kind, [1.0] * len(task.targets)
        if labels is not None and len(task.targets) > 1:
            guesses = task.split(mean_encoded(task, labels) if guess is None else guess)
            self.guessing = [_guess_cost(*of, kind) for of in zip(task.targets, guesses, labels, strict=True)]
        self.rarities = [RarityWeights(sample_encoded(t, y)) if balance and t.can_balance else None
                         for t, y in zip(task.targets, labels or [None] * len(task.targets), strict=True)]
        total = sum(t.weight for t in task.targets)
        self.shares = [t.weight / total / g for t, g in zip(task.targets, self.guessing, strict=True)]

    def forward(self, predicted: torch.Tensor, *labels: torch.Tensor) -> torch.Tensor:
        """`predicted`: [n, n_out]; `labels`: a tensor for each target, as a batch holds them."""
        outputs = self.task.split(predicted.as_subclass(torch.Tensor).float())
        costs = [penalty(t, out, encode_labels(t, y), self.kind, rarity)
                 for t, out, y, rarity in zip(self.task.targets, outputs, labels, self.rarities, strict=True)]
        return sum(cost * share for cost, share in zip(costs, self.shares, strict=True))

    def decodes(self, predicted: torch.Tensor):
        """Outputs [n, n_out] to labels as a batch holds them, one tensor a target."""
        outputs = self.task.split(predicted.detach().cpu())
        labels = [_decoded(t, out) for t, out in zip(self.task.targets, outputs, strict=True)]
        return labels[0] if len(labels) == 1 else tuple(labels)


def _guess_cost(target: Target, guess: torch.Tensor, y: torch.Tensor, kind: str) -> float:
    """What guessing costs; 1 where that is nothing, as for labels that are all alike."""
    wanted = sample_encoded(target, y)
    cost = float(penalty(target, guess.expand(len(wanted), -1), wanted, kind))
    return cost if cost > NOTHING else 1.0


def _decoded(target: Target, out: torch.Tensor) -> torch.Tensor:
    values = out.numpy() if target.in_image else target.decode(out.numpy())
    return target.batch_tensor(torch.as_tensor(values, dtype=label_type(target)))


class TargetError(Metric):
    """The mean error of one target in its unit, over what is labelled; `index` is its place in the task.

    `view` [4] turns points into pixels: that of the training part's middle picture, since a batch does not tell.
    """

    def __init__(self, task: Task, index: int, view=(1.0, 1.0, 0.0, 0.0)):
        self.task, self.index, self.view = task, index, np.array([view])
        self.reset()

    @property
    def name(self) -> str:
        """fastai minimises what is called an error."""
        return f"{self.task.targets[self.index].name}_error"

    def reset(self):
        """Begin an epoch."""
        self.total, self.count = 0.0, 0

    def accumulate(self, learn):
        """Add a batch."""
        error = self.errors(learn.pred, *learn.yb)
        labelled = np.isfinite(error)
        self.total, self.count = self.total + error[labelled].sum(), self.count + labelled.sum()

    @property
    def value(self) -> float:
        """The mean so far; NaN before anything labelled was seen."""
        return self.total / self.count if self.count else float("nan")

    def errors(self, predicted: torch.Tensor, *labels: torch.Tensor) -> np.ndarray:
        """`predicted` and `labels` as the loss gets them; the error of each picture in units [n]."""
        target = self.task.targets[self.index]
        own = self.task.split(predicted.detach().float().cpu().numpy())[self.index]
        true = to_plain_tensor(labels[self.index]).cpu().numpy().astype(np.float64)
        return target.error(target.decode(own, self.view), target.from_batch(true, self.view))
