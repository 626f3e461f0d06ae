"""The precision in which the body is trained: chosen by measuring, applied around its forward pass."""
import copy
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from fastai.callback.fp16 import MixedPrecision
from fastai.learner import Learner
from fastcore.basics import noop

from ..utils.messages import ImgregError

DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class LossScaling(MixedPrecision):
    """fastai's scaling of the loss for fp16, without its autocast.

    The body has an autocast of its own. fastai's stays on after Ctrl-C, and from then on torch would take the weights
    that it once rounded in place of the trained ones.
    """

    before_batch = after_loss = noop  # in which fastai begins and ends its autocast


@contextmanager
def in_precision(learn: Learner, precision: str) -> Iterator[None]:
    """Within the block, the body, and only the body, trains under autocast; the head and the loss stay in float32.

    The images become a plain tensor in channels-last order: fastai's subclass makes every operation slower.

    Args:
        learn: The Learner.
        precision: fp32, bf16 or fp16.
    """
    body, dtype = learn.model[0], DTYPES[precision]
    body_forward = body.forward
    body.forward = lambda pictures: body_features(body_forward, pictures, dtype if body.training else None)
    try:
        with learn.added_cbs([LossScaling()] if precision == "fp16" else []):
            yield
    finally:
        del body.forward


def body_features(body: Callable, pictures: torch.Tensor, dtype: torch.dtype | None) -> torch.Tensor:
    """A body's features of images, in float32; computed in `dtype`, or without autocast where that is None."""
    pictures = pictures.as_subclass(torch.Tensor).contiguous(memory_format=torch.channels_last)
    with torch.autocast(pictures.device.type, dtype or torch.bfloat16, enabled=dtype is not None):
        return body(pictures).float()


def has_bfloat16() -> bool:
    """Whether this processor computes in bfloat16; builds of torch without oneDNN lack the operation that tells."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


@contextmanager
def deterministic(n_threads: int | None) -> Iterator[None]:
    """Within the block, torch computes the same numbers from the same ones, on the same device.

    Args:
        n_threads: Threads of the processor that share a sum, and so decide how it is rounded; None: nothing is changed.
    """
    if n_threads is None:
        yield
        return
    n_threads_before, enabled = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # without it cuBLAS refuses to be deterministic
    torch.set_num_threads(n_threads)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads_before)
        torch.use_deterministic_algorithms(enabled, warn_only=warn_only)


def choose_precision(learn: Learner, precision: str, timed: bool = True) -> str:
    """The precision of the body's training.

    Args:
        learn: Learner of `build_learner`; its weights and the random numbers stay as they are.
        precision: fp32, bf16, fp16, or auto: the one that is faster on this machine.
        timed: Whether auto may measure which is faster on a processor; otherwise it is fp32 there.

    Returns:
        fp32, bf16 or fp16.

    Raises:
        ImgregError: fp16 without a CUDA GPU; it needs loss scaling, which only helps there.
    """
    device = learn.dls.device.type
    if precision == "fp16" and device != "cuda":
        raise ImgregError("--precision fp16 on a CUDA GPU", f"the device {device}", "--precision auto, bf16 or fp32")
    if precision != "auto":
        return precision
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    return _faster(learn) if timed and device == "cpu" and has_bfloat16() else "fp32"


def _faster(learn: Learner) -> str:
    """bf16, unless float32's step is the faster one in every round, by a tenth in the median.

    bfloat16 doubles the speed of wide convolutions, and slows narrow depthwise ones by as much. Steps are compared
    within rounds, because another process on the same cores can slow any single step fivefold.
    """
    body, head = copy.deepcopy(learn.model).train()
    pictures, *labels = learn.dls.train.one_batch()
    ratios = []
    for _ in range(5):
        seconds = []
        for dtype in (None, torch.bfloat16):
            start = time.perf_counter()
            learn.loss_func(head(body_features(body, pictures, dtype)), *labels).backward()
            seconds.append(time.perf_counter() - start)
        ratios.append(seconds[0] / seconds[1])
    ratios = sorted(ratios[1:])  # the first round pays for setting up
    return "fp32" if ratios[-1] < 1 and ratios[len(ratios) // 2] < 0.9 else "bf16"
