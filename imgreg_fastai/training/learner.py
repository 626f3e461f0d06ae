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
from ..models import network, output_head, timm_body
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
    if forms is None and not isinstance(body, FrozenFeatures):
        body, forms = _new_body(body, task, cfg)
    forms = forms or []
    labels = getattr(dls.train, "labels", ())  # there are none if it is built to be exported
    start = mean_encoded(task, labels) if labels else None
    callbacks: list[Callback] = [ReturnLogits()] if forms and cfg.loss == "histogram" else []
    callbacks += [WeighRows()] if getattr(dls.train, "row_weights", None) is not None else []
    learn = vision_learner(
        # fastai cuts a network before its last pooling layer, and leaves a Sequential of what comes before it
        dls, lambda pretrained: nn.Sequential(body, nn.AdaptiveAvgPool2d(1)), pretrained=False, normalize=False,
        n_out=task.n_out, init=None, splitter=_split, y_range=output_head.Y_RANGE,
        custom_head=output_head.build(network.head_features(body), task.n_out, start, forms),  # with y_range
        loss_func=TaskLoss(task, cfg.loss, labels, cfg.balance, network.map_grid(body)), wd=cfg.wd,
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


def _new_body(body: nn.Module, task: Task, cfg: TrainConfig) -> tuple[nn.Module, list[str]]:
    """A timm body with what the head of a new network gets, and the forms of the outputs."""
    n_points = sum(t.n_out for t in task.targets if t.histogram == "map") // 2
    has_lines = cfg.loss == "histogram" and any(t.histogram == "line" for t in task.targets)
    kind = network.choose_kind(body, task.size, n_points, has_lines)
    if n_points and kind != "maps":
        warn(_no_maps_reason(body, task, cfg))
    forms = output_forms(task, cfg, kind == "maps")
    return network.extend_body(body, task.size, kind, forms), forms


def output_forms(task: Task, cfg: TrainConfig, has_maps: bool = False) -> list[str]:
    """What the outputs of a new network are, by names of output_head.N_OUTPUTS; [] where all are sigmoids.

    Args:
        task: The task.
        cfg: How the network is trained: numbers and angles are histograms if its loss compares them.
        has_maps: Whether points have a map each.
    """
    forms = []
    for target in task.targets:
        if target.histogram == "map":
            forms += ["position" if has_maps else "sigmoid"] * target.n_out
        elif target.histogram and cfg.loss == "histogram":
            forms.append(target.histogram)
        else:
            forms += ["sigmoid"] * target.n_out
    return [] if set(forms) == {"sigmoid"} else forms


def _no_maps_reason(body: nn.Module, task: Task, cfg: TrainConfig) -> str:
    """Why points have no maps, and what to do."""
    grid, (height, width) = timm_body.feature_grid(body, task.size), task.size
    if grid == (1, 1):
        return (f"at {height}x{width} pixels {cfg.arch} sees an image as one place: points will be less exact than "
                f"with --size {max(64, 2 * height, 2 * width)} or more")
    return f"{cfg.arch} does not tell where its features lie: points will be less exact than with another --arch"


def _split(model: nn.Sequential) -> list[list[nn.Parameter]]:
    """Two groups of parameters: timm's, which may be pretrained, and those that always start from scratch."""
    timm_model = getattr(model[0], "timm_body", model[0])
    pretrained = set(timm_model.parameters())
    return [params(timm_model), [p for p in params(model) if p not in pretrained]]
