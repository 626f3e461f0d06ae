"""DataLoaders and a backbone -> a fastai Learner over the one network of network.py."""
from functools import partial

import torch
from fastai.data.core import DataLoaders
from fastai.learner import Learner
from fastai.optimizer import OptimWrapper
from fastai.vision.learner import default_split, vision_learner

from . import network
from .config import TrainConfig
from .losses import TargetError, TaskLoss, middle
from .tasks import Task


def build(dls: DataLoaders, task: Task, cfg: TrainConfig, body) -> Learner:
    """`vision_learner` on the timm backbone `cfg.arch`, with the `body` of it that weights.build_body made.

    fastai wraps a timm model so that it ends in a map of features, which it pools itself, along the wrong axes for
    Swin and MambaOut and without the layers that MobileNetV3 and ConvNeXt have after their pooling. So timm's own
    forward is put in the wrapper's place. The head has its y_range built in: fastai gives none to a custom head. It
    starts at the mean of the training part's labels, where `dls` knows them.
    """
    labels, view = getattr(dls.train, "labels", None), getattr(dls.train, "view", None)
    head = network.head(network.features(body), task.n_out, None if labels is None else middle(task, labels))
    learn = vision_learner(
        dls, cfg.arch, pretrained=False, normalize=False, n_out=task.n_out, init=None, splitter=default_split,
        custom_head=head, loss_func=TaskLoss(task, cfg.loss, labels), wd=cfg.wd,
        metrics=[TargetError(task, i, *(() if view is None else (view,))) for i in range(len(task.targets))],
        # fused: one call for all weights, where fastai's own Adam makes several for each
        opt_func=partial(OptimWrapper, opt=torch.optim.AdamW, fused=dls.device.type in ("cpu", "cuda")),
        **network.create_args(cfg.arch, task.size, cfg.arch_args),
    )
    learn.model[0] = body
    learn.model.to(dls.device, memory_format=torch.channels_last)
    learn.unfreeze()
    return learn
