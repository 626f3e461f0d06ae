"""The precision in which the body is trained: chosen by measuring, applied by a callback."""
import copy
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from fastai.callback.core import Callback
from fastai.callback.fp16 import MixedPrecision
from fastai.learner import Learner
from torch import nn

from ..utils.errors import ImgregError
from .datablock import peek

DTYPES = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


class Precision(Callback):
    """Run the body, and only the body, under autocast while training; the head and the loss stay in float32.

    The pictures become a plain tensor in channels-last order: fastai's subclass makes every operation slower.

    Args:
        dtype: Of the body's operations; None: float32, without autocast.
    """

    order = 10  # after the data are on the device

    def __init__(self, dtype: torch.dtype | None):
        self.dtype = dtype

    def before_fit(self):
        body, device = self.learn.model[0], self.learn.dls.device.type
        body_forward = body.forward

        def forward(pictures):
            with _autocast(device, self.dtype if body.training else None):
                return body_forward(pictures).float()

        body.forward = forward

    def before_batch(self):
        pictures = self.learn.xb[0].as_subclass(torch.Tensor)
        self.learn.xb = (pictures.contiguous(memory_format=torch.channels_last),)

    def after_fit(self):
        vars(self.learn.model[0]).pop("forward", None)


def _autocast(device: str, dtype: torch.dtype | None) -> torch.autocast:
    """Autocast to a dtype; None: a context that does nothing."""
    return torch.autocast(device, dtype or torch.bfloat16, enabled=dtype is not None)


@contextmanager
def in_precision(learn: Learner, precision: str) -> Iterator[None]:
    """Within the block, fits train the body in a precision.

    fastai calls no `after_fit` when a fit ends in an error or Ctrl-C, so that is made up for here.

    Args:
        learn: The Learner.
        precision: fp32, bf16 or fp16.
    """
    callback = Precision(DTYPES[precision])
    scaling = [MixedPrecision()] if precision == "fp16" else []
    with learn.added_cbs([callback, *scaling]):
        try:
            yield
        finally:
            callback.after_fit()
            if scaling and torch.is_autocast_enabled("cuda"):
                torch.set_autocast_enabled("cuda", False)


def has_bfloat16() -> bool:
    """Whether this processor computes in bfloat16; builds of torch without oneDNN lack the operation that tells."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def choose_precision(learn: Learner, precision: str) -> str:
    """The precision of the body's training.

    Args:
        learn: Learner of `build_learner`; its weights and the random numbers stay as they are.
        precision: fp32, bf16, fp16, or auto: the one that is faster on this machine.

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
    return _faster(learn) if device == "cpu" and has_bfloat16() else "fp32"


def _faster(learn: Learner, rounds: int = 5) -> str:
    """bf16, unless float32's step is the faster one in every round, by a tenth in the median.

    bfloat16 doubles the speed of wide convolutions, and slows narrow depthwise ones by as much. Steps are compared
    within rounds, because another process on the same cores can slow any single step fivefold.
    """
    model, batch = copy.deepcopy(learn.model).train(), peek(learn.dls.train)
    ratios = []
    for _ in range(rounds):
        fp32, bf16 = (_step_seconds(model, learn.loss_func, batch, dtype) for dtype in (None, torch.bfloat16))
        ratios.append(fp32 / bf16)
    ratios = sorted(ratios[1:])  # the first round pays for setting up
    return "fp32" if ratios[-1] < 1 and ratios[len(ratios) // 2] < 0.9 else "bf16"


def _step_seconds(model: nn.Module, loss_func: nn.Module, batch: tuple, dtype: torch.dtype | None) -> float:
    """Seconds that a forward and backward pass takes."""
    x = batch[0].as_subclass(torch.Tensor).contiguous(memory_format=torch.channels_last)
    start = time.perf_counter()
    with _autocast("cpu", dtype):
        features = model[0](x)
    loss_func(model[1](features.float()), *batch[1:]).backward()
    return time.perf_counter() - start
