"""A head that begins as a ridge regression on the features of the frozen body."""
import pandas as pd
import torch
from fastai.callback.core import Callback
from fastai.data.transforms import Normalize
from fastai.learner import Learner

from imgreg_fastai.config import TrainConfig
from imgreg_fastai.data import splits
from imgreg_fastai.evaluation import ridge
from imgreg_fastai.tasks import Task
from imgreg_fastai.training.losses import encode_labels


def start_head(learn: Learner, task: Task, config: TrainConfig) -> list[Callback]:
    """Fit a ridge to the training images as they are, and put it into the head, in front of its sigmoid."""
    loader = learn.dls.train
    features = frozen_features(learn).numpy()
    encoded = torch.cat([encode_labels(t, y) for t, y in zip(task.targets, loader.labels, strict=True)], dim=1)
    groups = pd.factorize(splits.split_units(loader.items))[0]
    fit = ridge.fit_ridge(task, features, ridge.to_logits(encoded.numpy()), groups)
    linear = learn.model[1][0]
    linear.weight.data.copy_(torch.from_numpy(fit.slopes.T))
    linear.bias.data.copy_(torch.from_numpy(fit.intercepts))
    return []


@torch.inference_mode()
def frozen_features(learn: Learner) -> torch.Tensor:
    """The features of all training images as they are, [n, F]."""
    loader, body = learn.dls.train, learn.model[0].eval()
    normalize = next(t for t in loader.after_batch.fs if isinstance(t, Normalize))
    parts = (((part / 255 - normalize.mean.cpu()) / normalize.std.cpu()) for part in loader.pixels.split(64))
    return torch.cat([body(part.as_subclass(torch.Tensor)).float() for part in parts])
