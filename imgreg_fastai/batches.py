"""Labels and a Task -> DataBlock -> fastai DataLoaders, with the decoded pictures kept in memory when they fit."""
import os
import random
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from fastai.data.block import DataBlock, RegressionBlock
from fastai.data.core import DataLoaders, TfmdDL
from fastai.data.transforms import ColReader, IndexSplitter, Normalize
from fastai.torch_core import TensorImage
from fastai.vision.core import PILImage, TensorPoint
from fastai.vision.data import ImageBlock, PointBlock
from fastcore.basics import chunked
from fasttransform import ItemTransform, Transform
from PIL import Image

from . import augment
from .config import TrainConfig
from .errors import ImgregError
from .images import PictureError, fitted, look, open_picture, tell_broken, viewed
from .levels import tell_levels
from .losses import plain
from .messages import log, say, track, warn
from .network import Y_RANGE
from .targets import Point
from .tasks import Task
from .views import place, seen

MANY = 50_000  # pictures: more are not kept in memory unasked, as reading them first would take minutes


class Picture(PILImage):
    """A picture that Fit opens no larger than the network sees it, and all of which is read for whoever looks at it."""

    source = box = None  # what it is read from; the part of it to be seen, where the task has a box
    read = True

    @staticmethod  # a bound class method would be pickled by value, with the path of this file
    def create(source):
        """Name a path, bytes, an array or a Pillow picture, or Boxed; opening it is left to Fit, or to a first look."""
        picture = Picture(Image.new("RGB", (1, 1)))
        picture.source, picture.box = source if isinstance(source, Boxed) else (source, None)
        picture.read = False
        return picture

    def load(self):
        """Read all of it, as Pillow's stubs do; raises PictureError."""
        if not self.read:
            self.read = True
            vars(self).update(vars(open_picture(self.source)))
        return super().load()

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the whole upright picture."""
        self.load()
        return super().size


class Boxed(NamedTuple):
    """A picture's path and the box of the part to be seen; fastai maps over a plain tuple, not over a named one."""

    source: str
    box: tuple[float, ...]


class Source(Transform):
    """Reads from a row what Picture.create takes: the path, with the box where the task has one."""

    def __init__(self, task: Task):
        super().__init__()
        self.box = list(task.box)

    def encodes(self, row):
        """A row of the labels frame -> path, or Boxed."""
        return Boxed(row["path"], tuple(map(float, row[self.box]))) if self.box else row["path"]


class Fit(ItemTransform):
    """Bring a picture to the task's size by its policy, and points in its pixels along."""

    order = 0  # before PointBlock divides points by the size of the picture they lie in

    def __init__(self, task: Task):
        super().__init__()
        self.task = task

    def encodes(self, item):
        picture, *labels = item
        if not isinstance(picture, Picture):
            return item
        if self.task.box and picture.box is None:  # or it would see all of the picture, and be wrong without a word
            raise ImgregError("a picture with its box: batches.Boxed(path, (cx, cy, w, h))", "no box")
        view, spot, _ = look(picture if picture.source is None else picture.source, self.task, picture.box)
        edge = torch.tensor(self.task.size[::-1])
        moved = [TensorPoint((seen(y[None], spot.view[None])[0] + 1) / 2 * edge) if isinstance(y, TensorPoint) else y
                 for y in labels]
        return (Picture(view), *moved)


class Normalise(Normalize):
    """fastai's, in place: the floats were made a moment ago, and memory for two more copies costs a millisecond."""

    def encodes(self, x: TensorImage):
        return x.sub_(self.mean).div_(self.std)


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
        try:
            return super().do_item(index)
        except PictureError as e:
            warn(f"left out: {e}")
            return None


def block(task: Task, stats: tuple, held_out) -> DataBlock:
    """The DataBlock of a task: a picture, and a PointBlock or a RegressionBlock for each target.

    `stats`: the backbone's mean and standard deviation; `held_out`: the row numbers of the validation part. fastai adds
    no normalisation to a net without pretrained weights, so it is always added here.
    """
    readers = [ColReader(t.columns[0] if len(t.columns) == 1 else list(t.columns)) for t in task.targets]
    kinds = [PointBlock if isinstance(t, Point) else RegressionBlock(n_out=len(t.columns)) for t in task.targets]
    return DataBlock(
        blocks=(ImageBlock(cls=Picture), *kinds),
        n_inp=1,
        get_x=Source(task),
        get_y=readers,
        splitter=IndexSplitter(held_out),
        item_tfms=Fit(task),
        batch_tfms=[*augment.transforms(task), Normalise.from_stats(*stats, cuda=False)],
    )


def build(frame: pd.DataFrame, task: Task, cfg: TrainConfig, stats: tuple, device=None) -> DataLoaders:
    """DataLoaders over the train and valid rows of `frame` (labels.read, labels.divide).

    A batch larger than the training part is made smaller, and said. Raises ImgregError if no picture can be opened.
    """
    frame = frame[frame["split"].isin(("train", "valid"))].reset_index(drop=True)
    keep = len(frame) <= MANY and _fits(len(frame), task) if cfg.cache == "auto" else cfg.cache == "on"
    frame, pictures, views = _opened(frame, task, keep, cfg.strict)
    held_out = np.flatnonzero(frame["split"] == "valid")
    trained = np.flatnonzero(frame["split"] == "train")
    if len(trained) < 2 or not len(held_out):
        raise ImgregError("at least 2 whole pictures to train on and 1 to validate with",
                          f"{len(trained)} and {len(held_out)}")
    workers = 0 if keep else min(os.cpu_count() or 1, 8)
    dls = block(task, stats, held_out).dataloaders(
        frame, bs=batch_size(cfg.bs, len(trained)), dl_type=PictureDL, device=device,
        num_workers=workers if cfg.workers is None else cfg.workers,
    )
    labels = _labels(frame, task, views)
    for dl, rows in ((dls.train, trained), (dls.valid, held_out)):
        dl.labels, dl.view = tuple(y[rows] for y in labels), np.median(views[rows], axis=0)
        if keep:
            dl.keep(torch.from_numpy(rows), pictures, labels)
    return dls


def _labels(frame: pd.DataFrame, task: Task, views: np.ndarray) -> tuple[torch.Tensor, ...]:
    """For each target all rows' labels as a batch holds them: [n], [n, columns], or TensorPoint [n, points, 2]."""
    labels = []
    for t in task.targets:
        values = frame[list(t.columns)].to_numpy(np.float64)
        if isinstance(t, Point):
            values = t.encode(values, views).reshape(len(values), -1, 2)
            if beyond := int((np.abs(values) > Y_RANGE[1]).any(axis=2).sum()):
                known = np.isfinite(values).all(axis=2).sum()
                more = "--fit pad, " * (task.fit == "crop") + "a larger --margin, " * bool(task.box)
                warn(f"{beyond} of {known} points of {t.name} lie outside what the network sees: "
                     f"try {more}empty cells for unknown points")
        y = torch.tensor(values, dtype=torch.float32)
        labels.append(TensorPoint(y) if isinstance(t, Point) else y.squeeze(1))
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


def shown(dls: DataLoaders, task: Task, n: int = 16) -> tuple[np.ndarray, dict]:
    """Augmented training pictures as a person sees them: uint8 [n, h, w, 3], and {target: labels [n, columns]}.

    Points are in these pictures' pixels. Looking changes no random number.
    """
    pictures, *labels = peek(dls.train)
    normalise = next(t for t in dls.train.after_batch.fs if isinstance(t, Normalize))
    pixels = (normalise.decode(pictures[:n]).clamp(0, 1) * 255).round().permute(0, 2, 3, 1)
    whole = place(task.size[::-1], task.size, "squish").view[None]  # the view of a picture that has the size already
    truths = {t.name: plain(y[:n]).cpu().numpy() for t, y in zip(task.targets, labels, strict=True)}
    truths |= {t.name: t.decode(truths[t.name], whole) for t in task.targets if isinstance(t, Point)}
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


def _fits(n: int, task: Task) -> bool:
    """Whether n decoded pictures fit into a quarter of the memory that this machine, or this container, has."""
    limits = [4 << 30]
    try:
        limits = [os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")]
        limits.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    except (AttributeError, ValueError, OSError) as e:  # not every system tells; without a limit the file says "max"
        log.debug("memory limit not known: %s", e)
    return n * task.size[0] * task.size[1] * 3 <= min(limits) / 4


def _opened(frame: pd.DataFrame, task: Task, keep: bool,
            strict: bool = False) -> tuple[pd.DataFrame, torch.Tensor | None, np.ndarray]:
    """The rows whose pictures can be opened, their views [n, 4], and with `keep` their pixels as uint8 [n, 3, h, w].

    The others are named. Without `keep` only the headers are read, and what is broken further on is left out later.
    """
    try:
        pictures = torch.empty((len(frame) if keep else 0, 3, *task.size), dtype=torch.uint8)
    except RuntimeError as e:
        raise ImgregError("memory for the decoded pictures", str(e).splitlines()[0][:120], "--cache off") from e
    broken, views, levels = {}, [], set()
    boxes = frame[list(task.box)].to_numpy() if task.box else None
    opened = (fitted if keep else viewed)(frame["path"], task, boxes)
    for i, found in enumerate(track(opened, len(frame), f"reading {len(frame)} pictures")):
        if isinstance(found, PictureError):
            broken[i] = found
            continue
        views.append(found.view if keep else found)
        if keep:
            levels.add(found.levels)
            pictures[i - len(broken)] = torch.from_numpy(found.pixels.copy()).permute(2, 0, 1)
    if broken and (strict or len(broken) == len(frame)):
        raise next(iter(broken.values()))
    tell_broken(list(broken.values()), len(frame))
    tell_levels(levels)
    whole = frame.drop(index=list(broken)).reset_index(drop=True)
    return whole, pictures[: len(whole)] if keep else None, np.stack(views)
