"""The number of images in a batch: the largest that fits a GPU, and less where its memory is exhausted later on."""
import gc
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from fastai.learner import Learner

from ..config import TrainConfig
from ..utils.messages import ImgregError, say
from .datablock import EPOCH_STEPS, SMALLEST
from .trial import Trial, measure_training

EXHAUSTED = ("out of memory", "can't allocate memory", "not enough memory")  # how processors and others say it


def fits_memory(function: Callable[..., object], *args: object) -> bool:
    """Call a function; returns whether the memory of its device was enough."""
    try:
        function(*args)
    except RuntimeError as e:
        if not isinstance(e, torch.OutOfMemoryError) and not any(words in str(e) for words in EXHAUSTED):
            raise
        return False
    return True


def is_gpu(device: torch.device) -> bool:
    """Tell whether a device has a memory of its own that can be tried out."""
    return device.type == "cuda"


def choose_batch(learn: Learner, cfg: TrainConfig, precision: str) -> TrainConfig:
    """Return settings with a batch size, which the loaders of a Learner get: on a GPU the largest that fits."""
    if cfg.bs is None and is_gpu(learn.dls.device):
        bs = largest_batch(learn, precision)
        set_batch(learn, bs)
        say(f"--bs auto: batches of {bs} images")
    return cfg if cfg.bs else replace(cfg, bs=max(2, learn.dls.train.bs))


def largest_batch(learn: Learner, precision: str) -> int:
    """Find the largest batch whose training fits the memory of a Learner's device.

    Args:
        learn: Learner of `build_learner`; its network stays as it is.
        precision: Precision of the body: fp32, bf16 or fp16.

    Returns:
        A power of two from SMALLEST that leaves an epoch EPOCH_STEPS; the batch of the loader where that is SMALLEST
        or less.

    Raises:
        ImgregError: Not even the smallest fits.
    """
    n = learn.dls.train.n
    if n // EPOCH_STEPS < 2 * SMALLEST:
        return min(SMALLEST, n)
    batch = learn.dls.train.one_batch()
    largest = 0
    for bs in _powers_of_two(n // EPOCH_STEPS):
        if not _fits(learn, precision, batch, bs):
            break
        largest = bs
    free_memory()
    if not largest:
        raise _no_memory(learn, SMALLEST)
    return largest


def _powers_of_two(most: int) -> Iterator[int]:
    """The sizes to try."""
    bs = SMALLEST
    while bs <= most:
        yield bs
        bs *= 2


def _fits(learn: Learner, precision: str, batch: tuple, bs: int) -> bool:
    """Whether two steps with `bs` images fit; from the second on, the optimizer has its averages."""
    def train() -> None:
        images, *labels = (tensor[torch.arange(bs, device=tensor.device) % len(tensor)] for tensor in batch)
        trial = Trial(learn, precision)
        for _ in range(2):
            trial.train((images, *labels))

    return fits_memory(train)


def free_memory() -> None:
    """Return what nothing uses any more to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def set_batch(learn: Learner, bs: int) -> None:
    """Let the loaders of a Learner make batches of `bs` images."""
    learn.dls.train.bs = learn.dls.valid.bs = bs


def halve(learn: Learner, cfg: TrainConfig, is_auto: bool) -> TrainConfig:
    """Go on with half the images in a batch and twice the batches in a step after memory was exhausted.

    Args:
        learn: The Learner between two fits.
        cfg: Its settings.
        is_auto: Whether the batch size may change.

    Returns:
        The settings from now on. The images of a step stay the same, so that the step that failed can be repeated.

    Raises:
        ImgregError: The batch size may not change, or cannot be halved.
    """
    bs = learn.dls.train.bs
    if not is_auto or bs <= 2 or bs % 2:
        raise _no_memory(learn, bs, cfg.accumulate)
    learn._end_cleanup()  # fastai's, of the batch that failed
    if learn.opt:
        learn.opt.zero_grad()
    free_memory()
    set_batch(learn, bs // 2)
    return replace(cfg, bs=bs // 2, accumulate=2 * cfg.accumulate)


def measure_steps(learn: Learner, cfg: TrainConfig, precision: str, seconds: float,
                  is_auto: bool) -> tuple[TrainConfig, float, float]:
    """Measure a training step and a validation, see `measure_training`, by batches that fit the memory.

    Args:
        learn: Learner of `build_learner`, which stays as it is but for the size of its batches.
        cfg: Its settings.
        precision: Precision of the body: fp32, bf16 or fp16.
        seconds: How long each may be measured, beyond a few batches.
        is_auto: Whether the batch size may change.

    Returns:
        The settings, with smaller batches if others did not fit; the seconds of a step, and of a whole validation.

    Raises:
        ImgregError: The batch size may not change, or cannot be halved.
    """
    measured = []

    def measure(accumulate: int) -> None:
        measured.append(measure_training(learn, precision, accumulate, seconds))

    while not fits_memory(measure, cfg.accumulate):
        cfg = halve(learn, cfg, is_auto)
        say(f"--bs auto: batches of {cfg.bs} images, {cfg.accumulate} of them in a step")
    return cfg, *measured[0]


def _no_memory(learn: Learner, bs: int, accumulate: int = 1) -> ImgregError:
    """The error of a batch that does not fit."""
    hint = f"--bs {bs // 2} --accumulate {2 * accumulate}" if bs > 3 else "a smaller --size or --device cpu"
    return ImgregError(f"memory for a batch of {bs}", f"none left on {learn.dls.device}", hint)
