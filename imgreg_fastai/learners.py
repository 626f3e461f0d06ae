"""DataLoaders and a backbone -> a fastai Learner over the one network of network.py."""
from functools import partial

import torch
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from fastai.torch_core import params
from fastai.vision.learner import vision_learner

from . import network
from .config import TrainConfig
from .losses import TargetError, TaskLoss, middle
from .messages import warn
from .tasks import Task


def build(dls: DataLoaders, task: Task, cfg: TrainConfig, body) -> Learner:
    """`vision_learner` on the timm backbone `cfg.arch`, with the `body` of it that weights.build_body made.

    fastai wraps a timm model so that it ends in a map of features, which it pools itself, along the wrong axes for
    Swin and MambaOut and without the layers that MobileNetV3 and ConvNeXt have after their pooling. So timm's own
    forward is put in the wrapper's place. The head has its y_range built in: fastai gives none to a custom head. It
    starts at the mean of the training part's labels, where `dls` knows them.
    """
    if task.places:
        body = network.placing(body, task.size)
        if not hasattr(body, "places"):
            warn(f"{cfg.arch} does not tell where its features lie: points will be less exact than with another --arch")
    labels, view = getattr(dls.train, "labels", None), getattr(dls.train, "view", None)
    start = None if labels is None else middle(task, labels)
    learn = vision_learner(
        dls, cfg.arch, pretrained=False, normalize=False, n_out=task.n_out, init=None, splitter=_split,
        custom_head=network.head(network.features(body), task.n_out, start),
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


def _split(model) -> list[list]:
    """Two groups of parameters: timm's, which may be pretrained, and what always begins anew."""
    body, head = model[0], model[1]
    timm_body = getattr(body, "timm_body", body)
    old = {id(p) for p in timm_body.parameters()}
    return [params(timm_body), [p for p in (*body.parameters(), *head.parameters()) if id(p) not in old]]
