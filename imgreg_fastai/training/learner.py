"""DataLoaders and a backbone -> a fastai Learner over the one network of network.py."""
from functools import partial
from math import prod

import torch
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from fastai.torch_core import params
from fastai.vision.learner import vision_learner

from ..config import TrainConfig
from ..models import network
from ..tasks import Task
from ..utils.console import say, warn
from .losses import TargetError, TaskLoss, mean_encoded


def build_learner(dls: DataLoaders, task: Task, cfg: TrainConfig, body) -> Learner:
    """`vision_learner` on the timm backbone `cfg.arch`, with the `body` of it that weights.build_body made.

    fastai wraps a timm model so that it ends in a map of features, which it pools itself, along the wrong axes for
    Swin and MambaOut and without the layers that MobileNetV3 and ConvNeXt have after their pooling. So timm's own
    forward is put in the wrapper's place. The head has its y_range built in: fastai gives none to a custom head. It
    starts at the mean of the training part's labels, where `dls` knows them.
    """
    if task.has_points:
        body = network.add_places(body, task.size)
        if not hasattr(body, "places"):
            warn(_why_no_places(body, task, cfg))
    labels, view = getattr(dls.train, "labels", None), getattr(dls.train, "view", None)
    start = None if labels is None else mean_encoded(task, labels)
    if cfg.weights == "none" and labels is not None:  # without labels it is built to be exported
        say(f"training {cfg.arch} from scratch: {_who_wished(task, cfg)}")
    learn = vision_learner(
        dls, cfg.arch, pretrained=False, normalize=False, n_out=task.n_out, init=None, splitter=_split,
        custom_head=network.head(network.n_features(body), task.n_out, start),
        loss_func=TaskLoss(task, cfg.loss, labels, start, cfg.balance), wd=cfg.wd,
        metrics=[TargetError(task, i, *(() if view is None else (view,))) for i in range(len(task.targets))],
        # fused: one call for all weights, where fastai's own Adam makes several for each
        opt_func=partial(OptimWrapper, opt=torch.optim.AdamW, fused=dls.device.type in ("cpu", "cuda")),
        **network.create_args(cfg.arch, task.size, cfg.arch_args),
    )
    learn.model[0] = body
    learn.model.to(dls.device, memory_format=torch.channels_last)
    learn.unfreeze()
    return learn


def _who_wished(task: Task, cfg: TrainConfig) -> str:
    """Who said that the weights are to be none; a recipe's belong to its own backbone, see preparation.make_config."""
    recipe = dict(task.recipe)
    own = recipe.get("weights") == "none" and recipe.get("arch") == cfg.arch
    return "the task's recipe" if own else "--weights none"


def _why_no_places(body, task: Task, cfg: TrainConfig) -> str:
    """Why the network will not tell where things are, and what to do."""
    found, (height, width) = network.feature_grid(body, task.size), task.size
    if found and prod(found[0]) == 1:
        return (f"at {height}x{width} pixels {cfg.arch} sees a picture as one place: points will be less exact than "
                f"with --size {max(64, 2 * height, 2 * width)} or more")
    return f"{cfg.arch} does not tell where its features lie: points will be less exact than with another --arch"


def _split(model) -> list[list]:
    """Two groups of parameters: timm's, which may be pretrained, and what always begins anew."""
    body, head = model[0], model[1]
    timm_body = getattr(body, "timm_body", body)
    old = {id(p) for p in timm_body.parameters()}
    return [params(timm_body), [p for p in (*body.parameters(), *head.parameters()) if id(p) not in old]]
