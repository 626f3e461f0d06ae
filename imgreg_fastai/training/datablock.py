"""Labels and a Task -> DataBlock -> fastai DataLoaders, with the decoded images in memory where they fit."""
import os
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import Any

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
from ..data.images import PictureError, known_views
from ..data.splits import MIN_ROWS, check_split_sizes, too_few_images
from ..models.output_head import Y_RANGE
from ..tasks import ROW_WEIGHT, Task
from ..tasks.geometry import place_picture
from ..utils.messages import ImgregError, first_few, say, warn
from ..utils.processes import check_main_guard
from . import augment
from .losses import to_plain_tensor
from .random_numbers import Draws, random_table
from .transforms import Fit, OpenedPictures, Picture, Source, fit_in_memory, open_pictures

# Where a batch size is chosen: the fewest images of a batch, and the fewest steps of an epoch.
SMALLEST, EPOCH_STEPS = 8, 20


class InPlaceNormalize(Normalize):
    """fastai's, in place: memory for two more copies of a batch costs a millisecond."""

    def encodes(self, x: TensorImage) -> TensorImage:
        return x.sub_(self.mean).div_(self.std)


class DoubleRegressionSetup(RegressionSetup):
    """fastai's, in double precision."""

    def encodes(self, o: object) -> Any:
        return torch.tensor(o, dtype=torch.float64)


class PictureDL(TfmdDL):
    """A DataLoader that copes with broken images, and takes batches from memory where the images are kept there.

    fastai takes about a millisecond for each image, even for a decoded one; here a batch from memory is one indexing.
    `new` does not copy the attributes, so that no exported learner holds an image.

    The order of a training loader and the moves of its images are those of an epoch of random_numbers.random_table: the
    loader has no random state. The epochs follow one another, unless `epoch` is set.

    Attributes:
        labels: For each target the labels of this loader's images as a batch holds them; () if not known.
        row_weights: How much each image counts in the training loss, [n]; None: all the same.
        pixels: The images, uint8 [n, 3, h, w]; None where they are not kept.
        views: Their views [n, 4]; of the validation loader, or once `batch_views` was called.
        validates: Whether this is the validation loader. It leaves broken images out, and names them together, after
            the epoch in which they broke; in a training loader the next image takes the place of a broken one.
        broken: The rows of the images that the validation loader has named.
        levels: Of the training loader: what all images hold, see summarise_levels.
        batch_rows: The rows of the images in the newest batch.
        seed: Of the random numbers.
        epoch: The epoch that the next iteration is of, from 0.
        first_batch, end_batch: The next iteration begins with the batch `first_batch` of the epoch, and ends before
            `end_batch`, which may change meanwhile; None: with the last one.
    """

    labels: tuple[torch.Tensor, ...] = ()
    pixels: torch.Tensor | None = None
    row_weights: torch.Tensor | None = None
    views: np.ndarray | None = None
    validates = False
    broken: tuple[int, ...] = ()
    levels: dict[str, Any] | None = None
    seed = 0
    epoch = 0
    first_batch = 0
    end_batch: int | None = None

    @property
    def random_numbers(self) -> np.ndarray | None:
        """The random numbers of the epoch, [n, 13], of a loader of training images; else None."""
        is_training = getattr(self.dataset, "split_idx", None) == 0
        return random_table(self.seed, self.epoch, self.n) if is_training else None

    def get_idxs(self) -> list[int]:
        """The rows of the next iteration in their order."""
        random_numbers = self.random_numbers
        if not self.shuffle or random_numbers is None:
            return super().get_idxs()
        order = np.argsort(Draws(*random_numbers.T).order, kind="stable")
        return order[self.first_batch * self.bs :].tolist()

    def do_item(self, index: int | None) -> tuple | None:
        """One item, its row and its random numbers; fastai asks for None to learn the types.

        Where the image cannot be opened, a training loader returns the next that can, and others None.
        """
        random_numbers = self.random_numbers
        start, n_rows = (0, self.n) if index is None else (index, 1 if random_numbers is None else self.n)
        for row in (i % self.n for i in range(start, start + n_rows)):
            try:
                item = super().do_item(row)
            except PictureError as e:
                if len(self.dataset.tls) == self.dataset.n_inp:  # no labels: what is predicted must keep its place
                    raise
                if not self.validates:
                    warn(f"left out: {e}")
                continue
            if index is None:
                return item
            return (*item, row) if random_numbers is None else (*item, row, random_numbers[row].copy())
        if random_numbers is not None:
            raise ImgregError("an image to train on that can be opened", f"none of {self.n}", "imgreg check TABLE")
        return None

    def create_batches(self, samples: Iterable[int]) -> Iterator[tuple]:
        """Batches of (TensorImage uint8, labels..., rows), those for training with random numbers, too."""
        if self.pixels is None:
            yield from super().create_batches(samples)
            return
        random_numbers = self.random_numbers
        for rows in map(torch.tensor, chunked(samples, self.bs, self.drop_last)):
            numbers = [] if random_numbers is None else [torch.from_numpy(random_numbers[rows.numpy()])]
            yield TensorImage(self.pixels.index_select(0, rows)), *(y[rows] for y in self.labels), rows, *numbers

    def __iter__(self) -> Generator[tuple, None, None]:
        """Batches of (TensorImage, labels...); the validation loader names the images that broke, each once."""
        opened = set(self.broken)
        n_extra = 1 if self.random_numbers is None else 2
        for i, batch in enumerate(super().__iter__(), start=self.first_batch):
            if self.end_batch is not None and i >= self.end_batch:
                break
            self.batch_rows = rows = batch[-n_extra]
            if self.validates:  # a training step does not wait for a copy of the rows from a GPU
                opened.update(rows.tolist())
            yield tuple(batch[:-n_extra])
        self.epoch, self.first_batch, self.end_batch = self.epoch + 1, 0, None
        broken = sorted(set(range(self.n)) - opened) if self.validates else []
        if broken:
            self.broken += tuple(broken)
            names = first_few(f"'{path}'" for path in self.items["path"].iloc[broken])
            warn(f"left out {len(broken)} of {self.n} validation images that cannot be opened any more: {names}")

    def batch_views(self, task: Task) -> np.ndarray:
        """The views [n, 4] of the newest batch's images; the headers are read if the loader does not know them."""
        if self.views is None:
            self.views = known_views(self.items["path"], task, task.boxes(self.items))
        return self.views[self.batch_rows.cpu().numpy()]


def label_dtypes(task: Task, device: torch.device | str) -> list[torch.dtype]:
    """The dtype of each target's labels in a batch on `device`; a warning names those that are rounded there."""
    dtypes = [t.label_dtype for t in task.targets]
    if torch.float64 in dtypes and torch.device(device).type == "mps":  # which has no float64
        names = first_few(t.name for t in task.targets if t.label_dtype == torch.float64)
        warn(f"labels of {names} are rounded to 7 digits, all that an mps device has (--device cpu keeps more)")
        return [torch.float32] * len(dtypes)
    return dtypes


def build_datablock(task: Task, stats: tuple, valid_rows: Sequence[int], dtypes: list[torch.dtype]) -> DataBlock:
    """Build the DataBlock of a task: an ImageBlock, and for each target its own block, or one of float64 numbers.

    fastai adds no normalisation to a network without pretrained weights, so it is always added here.

    Args:
        task: The task.
        stats: Mean and standard deviation of the pixels that the backbone expects.
        valid_rows: Row numbers of the validation part.
        dtypes: dtype of each target's labels, see `label_dtypes`.

    Returns:
        The DataBlock of a labels frame.
    """
    blocks = [TransformBlock(type_tfms=DoubleRegressionSetup(c=1)) if dtype == torch.float64 else t.block()
              for t, dtype in zip(task.targets, dtypes, strict=True)]  # float64 only for a plain number: one column
    return DataBlock(
        blocks=(ImageBlock(cls=Picture), *blocks),
        n_inp=1,
        get_x=Source(task),
        get_y=[ColReader(t.columns[0] if len(t.columns) == 1 else list(t.columns)) for t in task.targets],
        splitter=IndexSplitter(valid_rows),
        item_tfms=Fit(task),
        batch_tfms=[*augment.transforms(task), InPlaceNormalize.from_stats(*stats, cuda=False)],
    )


def build_dataloaders(frame: pd.DataFrame, task: Task, cfg: TrainConfig, stats: tuple,
                      device: torch.device | str | None = None) -> DataLoaders:
    """Build the DataLoaders of a training.

    Args:
        frame: Labels frame with its split; the train and valid rows are used.
        task: The task.
        cfg: How the network is trained. A batch size above the number of training images is lowered, with a message.
        stats: Mean and standard deviation of the pixels that the backbone expects.
        device: torch device of the batches; fastai's default if None.

    Returns:
        fastai DataLoaders of PictureDL.

    Raises:
        ImgregError: Too few images can be opened, or a script that starts workers has no guard.
    """
    rows = pd.concat([frame[frame["split"] == part] for part in ("train", "valid")], ignore_index=True)
    keep = fit_in_memory(len(rows), task) if cfg.cache == "auto" else cfg.cache == "on"
    automatic = 0 if keep else min(os.cpu_count() or 1, 8)
    workers = automatic if cfg.workers is None else cfg.workers
    check_main_guard(workers)
    opened = open_pictures(rows, task, keep, cfg.strict)
    n_left = len(frame) - len(rows) + len(opened.frame)
    if n_left < MIN_ROWS <= len(frame):  # a table that is small from the start passes
        hint = "imgreg check TABLE, and mending the images"
        raise ImgregError("labels to learn from", too_few_images(n_left), hint)
    n, n_train = len(opened.frame), int((opened.frame["split"] == "train").sum())
    check_split_sizes(n_train, n - n_train)

    device = torch.device(device or default_device())
    dtypes = label_dtypes(task, device)
    dls = build_datablock(task, stats, range(n_train, n), dtypes).dataloaders(
        opened.frame, bs=batch_size(cfg.bs, n_train), dl_type=PictureDL, device=device,
        num_workers=workers,
    )
    labels = _batch_labels(opened, task, dtypes)
    for dl, part in ((dls.train, slice(n_train)), (dls.valid, slice(n_train, n))):
        dl.labels = tuple(y[part] for y in labels)
        dl.pixels = None if opened.pixels is None else opened.pixels[part]
    dls.train.levels, dls.train.seed = opened.levels, cfg.seed
    if ROW_WEIGHT in opened.frame:
        dls.train.row_weights = torch.tensor(opened.frame[ROW_WEIGHT].to_numpy(np.float32)[:n_train], device=device)
    dls.valid.views, dls.valid.validates = opened.views[n_train:], True
    return dls


def _batch_labels(opened: OpenedPictures, task: Task, dtypes: list[torch.dtype]) -> list[torch.Tensor]:
    """For each target the labels of all rows as a batch holds them; warns of points out of the network's reach."""
    labels = []
    for target, dtype in zip(task.targets, dtypes, strict=True):
        values = target.to_batch(opened.frame[list(target.columns)].to_numpy(np.float64), opened.views)
        if target.in_image:
            _warn_unreachable(target.name, values.reshape(len(values), -1, 2), task)
        labels.append(target.batch_tensor(torch.tensor(values, dtype=dtype)))
    return labels


def _warn_unreachable(name: str, points: np.ndarray, task: Task) -> None:
    """Warn of a target's points [n, points, 2], -1 and 1 at the edges of the view, that lie beyond all outputs."""
    n_outside = (np.abs(points) > Y_RANGE[1]).any(axis=2).sum()
    if n_outside:
        hints = ["--fit pad"] if task.fit == "crop" else []
        hints += ["a larger --margin"] if task.box else []
        hint = ", ".join([*hints, "empty cells for unknown points"])
        n_labelled = np.isfinite(points).all(axis=2).sum()
        warn(f"{n_outside} of {n_labelled} points of {name} lie outside what the network sees: try {hint}")


def first_batch(dls: DataLoaders, task: Task, n: int = 16) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The first augmented training images, for people.

    Args:
        dls: DataLoaders of the task.
        task: The task.
        n: Number of images, at most a batch.

    Returns:
        The images, uint8 [n, h, w, 3], and {target: labels [n, columns] in units}; points are in pixels of these
        images.
    """
    pictures, *labels = dls.train.one_batch()
    normalize = next(t for t in dls.train.after_batch.fs if isinstance(t, Normalize))
    pixels = (normalize.decode(pictures[:n]).clamp(0, 1) * 255).round().permute(0, 2, 3, 1)
    view = place_picture(task.size[::-1], task.size, "squish").view[None]  # of an image that has the size already
    values = {t.name: t.from_batch(to_plain_tensor(y[:n]).cpu().numpy(), view)
              for t, y in zip(task.targets, labels, strict=True)}
    return pixels.as_subclass(torch.Tensor).cpu().numpy().astype(np.uint8), values


def batch_size(bs: int | None, n: int) -> int:
    """The batch size for n training images: at most n, so that an epoch has a batch.

    Args:
        bs: Batch size of the config; a lower one is taken with a message. None: 64, or what gives an epoch 20 batches
            if that is less, but at least 8.
        n: Number of training images.
    """
    if bs is None:
        return min(max(SMALLEST, min(64, n // EPOCH_STEPS)), n)
    if bs > n:
        say(f"batches of {n}, not {bs}: there are {n} images to train on")
    return min(bs, n)
