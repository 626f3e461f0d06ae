"""DataLoaders and a backbone -> a fastai Learner over the network of models/network.py."""
from functools import partial

import torch
from fastai.callback.core import Callback
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from fastai.torch_core import params
from fastai.vision.learner import vision_learner
from torch import nn

from ..config import TrainConfig
from ..models import network
from ..models.features import FrozenFeatures
from ..tasks import Task
from ..utils.messages import warn
from .losses import ReturnLogits, TargetError, TaskLoss, WeighRows, mean_encoded


def build_learner(dls: DataLoaders, task: Task, cfg: TrainConfig, body: nn.Module,
                  forms: list[str] | None = None) -> Learner:
    """Build `vision_learner` on a backbone that is already built.

    The head starts at the mean of the labels of `dls.train`, where it has some (see PictureDL).

    Args:
        dls: DataLoaders of the task.
        task: What is to be predicted.
        cfg: How the network is trained.
        body: Backbone of `backbones.build`, or body of a trained network.
        forms: What the outputs are, of a network that is trained; None: see `output_forms`.

    Returns:
        The Learner, with all parameters unfrozen. Its model is that of `network.network`: body and head.
    """
    is_trained = not isinstance(body, FrozenFeatures)
    if forms is None:
        forms = output_forms(task, cfg) if is_trained else []
    if is_trained and network.needs_positions(task.has_points, forms):
        body = network.add_positions(body, task.size)
        if task.has_points and not isinstance(body, network.BodyWithPositions):
            warn(_no_positions_reason(body, task, cfg))
    labels = getattr(dls.train, "labels", ())  # there are none if it is built to be exported
    start = mean_encoded(task, labels) if labels else None
    callbacks: list[Callback] = [ReturnLogits()] if forms else []
    callbacks += [WeighRows()] if getattr(dls.train, "row_weights", None) is not None else []
    learn = vision_learner(
        # fastai cuts a network before its last pooling layer, and leaves a Sequential of what comes before it
        dls, lambda pretrained: nn.Sequential(body, nn.AdaptiveAvgPool2d(1)), pretrained=False, normalize=False,
        n_out=task.n_out, init=None, splitter=_split, y_range=network.Y_RANGE,
        custom_head=network.head(network.n_features(body), task.n_out, start, forms),  # with y_range built in
        loss_func=TaskLoss(task, cfg.loss, labels, cfg.balance), wd=cfg.wd,
        cbs=callbacks,
        metrics=[TargetError(task, i) for i in range(len(task.targets))],
        # fused: one call for all weights, where fastai's own Adam makes several for each
        opt_func=partial(OptimWrapper, opt=torch.optim.AdamW, fused=dls.device.type in ("cpu", "cuda")),
    )
    learn.model[0] = body  # out of the Sequential, so that tensors are called as in network.network
    learn.arch = cfg.arch  # in place of the lambda, which cannot be pickled
    learn.model.to(dls.device, memory_format=torch.channels_last)
    learn.unfreeze()
    return learn


def output_forms(task: Task, cfg: TrainConfig) -> list[str]:
    """What the outputs of the network are, by names of network.N_OUTPUTS; [] where all are sigmoids."""
    if cfg.loss != "histogram" or not any(target.histogram for target in task.targets):
        return []
    forms = []
    for target in task.targets:
        forms += [target.histogram] if target.histogram else ["sigmoid"] * target.n_out
    return forms


def _no_positions_reason(body: nn.Module, task: Task, cfg: TrainConfig) -> str:
    """Why the network does not tell where things are, and what to do."""
    grid, (height, width) = network.feature_grid(body, task.size), task.size
    if grid == (1, 1):
        return (f"at {height}x{width} pixels {cfg.arch} sees an image as one place: points will be less exact than "
                f"with --size {max(64, 2 * height, 2 * width)} or more")
    return f"{cfg.arch} does not tell where its features lie: points will be less exact than with another --arch"


def _split(model: nn.Sequential) -> list[list[nn.Parameter]]:
    """Two groups of parameters: timm's, which may be pretrained, and those that always start from scratch."""
    body, head = model
    if isinstance(body, network.BodyWithPositions):
        return [params(body.timm_body), params(body.places) + params(head)]
    return [params(body), params(head)]
