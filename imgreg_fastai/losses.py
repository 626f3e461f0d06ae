"""What training minimises: labels in units are encoded to what the network sees, and compared there, in torch."""
from math import pi

import torch
from torch import nn
from torch.nn import functional as F

from .targets import Angle, Target
from .tasks import Task

# auto is l1: its gradient does not fade as the error gets small, where mse's does.
PENALTIES = {"auto": F.l1_loss, "l1": F.l1_loss, "mse": F.mse_loss, "huber": lambda p, t: F.huber_loss(p, t, delta=0.1)}


def encode(target: Target, values: torch.Tensor) -> torch.Tensor:
    """Labels in units, [n, columns], to what the network should put out, [n, n_out] in [-1, 1]."""
    if isinstance(target, Angle):
        theta = values * (2 * pi / target.period)
        return torch.cat([theta.cos(), theta.sin()], dim=1)
    return target.encode(values)


def plain(y: torch.Tensor) -> torch.Tensor:
    """A label of any fastai type as a plain float tensor [n, columns].

    One column arrives as [n]: against an output of [n, 1] it would silently broadcast to [n, n].
    """
    return y.as_subclass(torch.Tensor).float().reshape(len(y), -1)


class TaskLoss(nn.Module):
    """The loss of a Task, each target weighing the same: the mean penalty over its outputs, averaged over targets."""

    def __init__(self, task: Task, penalty: str = "auto"):
        super().__init__()
        self.task, self.penalty = task, penalty

    def forward(self, predicted: torch.Tensor, *labels: torch.Tensor) -> torch.Tensor:
        """`predicted`: [n, n_out]; `labels`: a tensor in units for each target."""
        outputs = predicted.as_subclass(torch.Tensor).float().split([t.n_out for t in self.task.targets], dim=1)
        pairs = zip(self.task.targets, outputs, labels, strict=True)
        losses = [PENALTIES[self.penalty](out, encode(target, plain(y))) for target, out, y in pairs]
        return torch.stack(losses).mean()

    def decodes(self, predicted: torch.Tensor):
        """Outputs [n, n_out] to labels in units, one tensor a target, as the data's own blocks hold them."""
        decoded = self.task.decode(predicted.detach().cpu().numpy())
        labels = [torch.as_tensor(values, dtype=torch.float32) for values in decoded.values()]
        labels = [y[:, 0] if y.shape[1] == 1 else y for y in labels]
        return labels[0] if len(labels) == 1 else tuple(labels)


class TargetError:
    """The mean error of one target in its unit, as a fastai metric; `index` is its place in the task."""

    def __init__(self, task: Task, index: int):
        self.task, self.index = task, index
        self.__name__ = f"{task.targets[index].name}_error"  # fastai minimises what is called an error

    def __call__(self, predicted: torch.Tensor, *labels: torch.Tensor) -> torch.Tensor:
        """`predicted` and `labels` as the loss gets them; a scalar in units."""
        target = self.task.targets[self.index]
        decoded = self.task.decode(predicted.detach().float().cpu().numpy())[target.name]
        error = target.error(decoded, plain(labels[self.index]).cpu().numpy())
        return torch.tensor(error.mean(), dtype=torch.float32)
