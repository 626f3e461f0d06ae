"""Batch normalisation by its running averages, in the last part of a training.

While a network trains, batch normalisation takes mean and variance from each batch, which depend on the other images in
it. Predictions use averages over many batches. Weights that suit one do not quite suit the other: a part of what waves
with the angle in the errors of the angle task came from this (docs/benchmarks.md).
"""
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from .progress import Progress


def is_norm_fixed(progress: Progress, fixed_norm: float) -> bool:
    """Whether the next step is one of those that train with the running averages.

    It depends on the Progress alone, so a training that is resumed does the same.

    Args:
        progress: How far the training is.
        fixed_norm: The last part of the cycle in which it does, from 0 (never) to below 1.
    """
    cycle = progress.cycle
    return cycle is not None and not cycle.frozen and cycle.share_at(progress.step) >= 1 - fixed_norm


def fix_norm(network: nn.Module) -> None:
    """Let batch normalisation use its running averages, and leave them as they are, until `network.train()`."""
    for module in network.modules():
        if isinstance(module, _BatchNorm):
            module.eval()
