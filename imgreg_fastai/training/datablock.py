"""Labels and a Task -> DataBlock -> fastai DataLoaders, with the decoded pictures kept in memory when they fit."""
import os
import random

import numpy as np
import pandas as pd
import torch
from fastai.data.block import DataBlock, TransformBlock
from fastai.data.core import DataLoaders, TfmdDL
from fastai.data.transforms import ColReader, IndexSplitter, Normalize, RegressionSetup
from fastai.torch_core import TensorImage, default_device
from fastai.vision.data import ImageBlock
from fastcore.basics import chunked

from ..config import TrainConfig
from ..data.images import PictureError
from ..data.labels.issue_rules import LEAST
from ..models.network import Y_RANGE
from ..tasks import Task
from ..tasks.geometry import place_picture
from ..utils.console import say, warn
from ..utils.errors import ImgregError, first_few
from . import augment, cache
from .losses import label_type, to_plain_tensor
from .transforms import Fit, Picture, Source


class Normalise(Normalize):
    """fastai's, in place: the floats were made a moment ago, and memory for two more copies costs a millisecond."""

    def encodes(self, x: TensorImage):
        return x.sub_(self.mean).div_(self.std)


class Exact(RegressionSetup):
    """fastai's, in double precision."""

    def encodes(self, o):
        return torch.tensor(o, dtype=torch.float64)


class PictureDL(TfmdDL):
    """A DataLoader that leaves broken pictures out, and deals batches from memory once `keep` gave it the pictures.

    fastai's own path costs about a millisecond a picture even for one that is decoded; from memory it is an index.
    What is kept belongs to this object alone: `new` does not copy it, so that no exported learner carries a picture.
    """

    kept = None
    labels = view = None  # of this loader's pictures: for each target, as a batch holds them; their middle view [4]

    def keep(self, rows: torch.Tensor, pictures: torch.Tensor, labels: tuple[torch.Tensor, ...]):
        """Hold uint8 pictures [n, 3, h, w] and, for each target, labels as a batch has them.

        `rows`: those that are this loader's. The pictures are shared with the other part's loader, not copied.
        """
        self.kept = (rows, pictures, labels)
        return self

    def create_batches(self, samples):
        """Batches of (TensorImage uint8, labels...) by index, as `after_batch` wants them."""
        if self.kept is None:
            return super().create_batches(samples)
        return (self._deal(torch.tensor(chosen)) for chosen in chunked(samples, self.bs, self.drop_last))

    def _deal(self, chosen: torch.Tensor):
        rows, pictures, labels = self.kept
        chosen = rows[chosen]
        return (TensorImage(pictures.index_select(0, chosen)), *(y[chosen] for y in labels))

    def do_item(self, index):
        """One item, or None for a picture that cannot be opened."""
        for at in [index] if index is not None else [None, *range(1, self.n)]:  # None: any, to learn the types
            try:
                return super().do_item(at)
            except PictureError as e:
                warn(f"left out: {e}")
        return None


def label_types(task: Task, device=None) -> list[torch.dtype]:
    """The type of each target's labels in a batch on `device`; what is rounded there is said."""
    types = [label_type(t) for t in task.targets]
    if torch.float64 in types and torch.device(device or default_device()).type == "mps":  # which has no float64
        named = first_few(t.name for t, of in zip(task.targets, types, strict=True) if of == torch.float64)
        warn(f"labels of {named} are rounded to 7 digits, all that an mps device has (--device cpu keeps more)")
        return [torch.float32] * len(types)
    return types


def build_datablock(task: Task, stats: tuple, held_out, types: list[torch.dtype] | None = None) -> DataBlock:
    """The DataBlock of a task: a picture, and a PointBlock or a RegressionBlock for each target.

    `stats`: the backbone's mean and standard deviation; `held_out`: the row numbers of the validation part; `types`:
    see label_types. fastai adds no normalisation to a net without pretrained weights, so it is always added here.
    """
    readers = [ColReader(t.columns[0] if len(t.columns) == 1 else list(t.columns)) for t in task.targets]
    kinds = [TransformBlock(type_tfms=Exact(c=1)) if of == torch.float64 else t.block()
             for t, of in zip(task.targets, types or label_types(task, "cpu"), strict=True)]
    return DataBlock(
        blocks=(ImageBlock(cls=Picture), *kinds),
        n_inp=1,
        get_x=Source(task),
        get_y=readers,
        splitter=IndexSplitter(held_out),
        item_tfms=Fit(task),
        batch_tfms=[*augment.transforms(task), Normalise.from_stats(*stats, cuda=False)],
    )


def build_dataloaders(frame: pd.DataFrame, task: Task, cfg: TrainConfig, stats: tuple, device=None) -> DataLoaders:
    """DataLoaders over the train and valid rows of `frame` (labels.read, labels.divide).

    A batch larger than the training part is made smaller, and said. Raises ImgregError if too few pictures can be
    opened.
    """
    whole, n = frame[frame["split"].isin(("train", "valid"))].reset_index(drop=True), len(frame)
    keep = cache.fits(len(whole), task) if cfg.cache == "auto" else cfg.cache == "on"
    frame, pictures, views = cache.cache_pictures(whole, task, keep, cfg.strict)
    trained, held_out = (np.flatnonzero(frame["split"] == part) for part in ("train", "valid"))
    _check_enough(n, len(whole) - len(frame), len(trained), len(held_out))
    workers, types = 0 if keep else min(os.cpu_count() or 1, 8), label_types(task, device)
    dls = build_datablock(task, stats, held_out, types).dataloaders(
        frame, bs=batch_size(cfg.bs, len(trained)), dl_type=PictureDL, device=device,
        num_workers=workers if cfg.workers is None else cfg.workers,
    )
    labels = _labels(frame, task, views, types)
    for dl, rows in ((dls.train, trained), (dls.valid, held_out)):
        dl.labels, dl.view = tuple(y[rows] for y in labels), np.median(views[rows], axis=0)
        if keep:
            dl.keep(torch.from_numpy(rows), pictures, labels)
    return dls


def _check_enough(n: int, broken: int, trained: int, held_out: int) -> None:
    """Raise ImgregError if broken pictures leave too few of `n`; fewer from the start are the caller's own wish."""
    if n - broken < LEAST <= n:
        found = f"only {n - broken} rows whose picture can be used, fewer than {LEAST}"
        raise ImgregError("labels to learn from", found, "imgreg check TABLE, and mending the pictures")
    if trained < 2 or not held_out:
        raise ImgregError("at least 2 whole pictures to train on and 1 to validate with", f"{trained} and {held_out}")


def _labels(frame: pd.DataFrame, task: Task, views: np.ndarray, types: list[torch.dtype]) -> tuple[torch.Tensor, ...]:
    """For each target all rows' labels as a batch holds them: [n], [n, columns], or TensorPoint [n, points, 2]."""
    labels = []
    for t, of in zip(task.targets, types, strict=True):
        values = frame[list(t.columns)].to_numpy(np.float64)
        values = t.to_batch(values, views)
        if t.in_image:
            points = values.reshape(len(values), -1, 2)
            if beyond := int((np.abs(points) > Y_RANGE[1]).any(axis=2).sum()):
                known = np.isfinite(points).all(axis=2).sum()
                more = "--fit pad, " * (task.fit == "crop") + "a larger --margin, " * bool(task.box)
                warn(f"{beyond} of {known} points of {t.name} lie outside what the network sees: "
                     f"try {more}empty cells for unknown points")
        labels.append(t.batch_tensor(torch.tensor(values, dtype=of)))
    return tuple(labels)


def peek(dl: TfmdDL):
    """One batch of a DataLoader, with all random numbers afterwards as if nobody had looked."""
    torch_state, order = torch.random.get_rng_state(), dl.rng.getstate()
    python_state = random.getstate()
    batch = dl.one_batch()
    torch.random.set_rng_state(torch_state)
    dl.rng.setstate(order)
    random.setstate(python_state)
    return batch


def first_batch(dls: DataLoaders, task: Task, n: int = 16) -> tuple[np.ndarray, dict]:
    """Augmented training pictures as a person sees them: uint8 [n, h, w, 3], and {target: labels [n, columns]}.

    Points are in these pictures' pixels. Looking changes no random number.
    """
    pictures, *labels = peek(dls.train)
    normalise = next(t for t in dls.train.after_batch.fs if isinstance(t, Normalize))
    pixels = (normalise.decode(pictures[:n]).clamp(0, 1) * 255).round().permute(0, 2, 3, 1)
    whole = place_picture(task.size[::-1], task.size, "squish").view[None]  # the view of a picture that has the size already
    truths = {t.name: to_plain_tensor(y[:n]).cpu().numpy() for t, y in zip(task.targets, labels, strict=True)}
    truths = {t.name: t.from_batch(truths[t.name], whole) for t in task.targets}
    return pixels.as_subclass(torch.Tensor).cpu().numpy().astype(np.uint8), truths


def batch_size(asked: int | None, n: int) -> int:
    """The batch size for n training pictures: at most n, so that an epoch has a batch; a smaller one is said.

    None asks for 64, or what gives an epoch 20 batches if that is less, but 8 at least.
    """
    if asked is None:
        return min(max(8, min(64, n // 20)), n)
    if asked > n:
        say(f"batches of {n}, not {asked}: there are {n} pictures to train on")
    return min(asked, n)
