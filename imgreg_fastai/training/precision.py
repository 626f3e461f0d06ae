"""In which precision the body is trained: chosen by measuring, carried out by a callback."""
import copy
import time

import torch
from fastai.callback.core import Callback
from fastai.callback.fp16 import MixedPrecision
from fastai.learner import Learner

from ..utils.errors import ImgregError
from .datablock import peek


class Precision(Callback):
    """Runs the body, and it alone, under autocast while training; the head and the loss stay in float32.

    The picture tensor becomes a plain one in channels-last order: fastai's subclass costs every operation a detour.
    """

    order = 10  # after the data are on the device

    def __init__(self, dtype: torch.dtype | None):
        self.dtype, self.handles, self.context = dtype, [], None

    def before_fit(self):
        self.close()
        body = self.learn.model[0]
        self.handles = [body.register_forward_pre_hook(self._enter), body.register_forward_hook(self._leave)]

    def _enter(self, body, _):
        device = next(body.parameters()).device.type
        on = self.dtype is not None and body.training
        self.context = torch.autocast(device, self.dtype or torch.bfloat16, enabled=on)
        self.context.__enter__()

    def _leave(self, _, __, features):
        self._exit()
        return features.float()

    def _exit(self):
        if self.context is not None:
            self.context.__exit__(None, None, None)
            self.context = None

    def before_batch(self):
        pictures = self.learn.xb[0].as_subclass(torch.Tensor)
        self.learn.xb = (pictures.contiguous(memory_format=torch.channels_last),)

    def after_fit(self):
        self.close()

    def close(self):
        """Take the hooks off the body, and end autocast should Ctrl-C have come within the body.

        fastai calls no `after_fit` when a fit ends in an error or Ctrl-C.
        """
        while self.handles:
            self.handles.pop().remove()
        self._exit()


def without_precision(cbs: list[Callback]) -> None:
    """Leave nothing of these callbacks behind, however the fit ended: no hook on the body, no autocast."""
    for cb in cbs:
        if isinstance(cb, Precision):
            cb.close()
        elif torch.is_autocast_enabled("cuda"):
            torch.set_autocast_enabled("cuda", False)


def has_bfloat16() -> bool:
    """Whether this processor computes in bfloat16; builds of torch without oneDNN do not even have the question."""
    return torch.backends.mkldnn.is_available() and bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())


def choose_precision(learn: Learner, asked: str) -> str:
    """The precision of the body's training: as asked, or what is faster on this machine.

    Raises ImgregError for fp16 without a GPU: it needs loss scaling, which only helps there.
    """
    device = learn.dls.device.type
    if asked == "fp16" and device != "cuda":
        raise ImgregError("--precision fp16 on a CUDA GPU", f"the device {device}", "--precision auto, bf16 or fp32")
    if asked != "auto":
        return asked
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    if device != "cpu" or not has_bfloat16():
        return "fp32"
    return _faster(learn)


def _faster(learn: Learner, rounds: int = 5) -> str:
    """bf16, unless float32's step is the faster one in every round, by a tenth in the middle one.

    bfloat16 doubles the speed of wide convolutions, and slows narrow depthwise ones by as much. Rounds are compared
    within themselves, because another process on the same cores can slow any single step fivefold. A copy of the model
    does it; the model and the random state stay as they are.
    """
    model, batch = copy.deepcopy(learn.model).train(), peek(learn.dls.train)
    ratios = []
    for _ in range(rounds):
        fp32, bf16 = (_step_seconds(model, learn.loss_func, batch, dtype) for dtype in (None, torch.bfloat16))
        ratios.append(fp32 / bf16)
    ratios = sorted(ratios[1:])  # the first round pays for setting up
    return "fp32" if ratios[-1] < 1 and ratios[len(ratios) // 2] < 0.9 else "bf16"


def _step_seconds(model, loss_func, batch, dtype) -> float:
    x = batch[0].as_subclass(torch.Tensor).contiguous(memory_format=torch.channels_last)
    start = time.perf_counter()
    with torch.autocast("cpu", dtype or torch.bfloat16, enabled=dtype is not None):
        features = model[0](x)
    loss_func(model[1](features.float()), *batch[1:]).backward()
    return time.perf_counter() - start


def speed(chosen: str) -> list[Callback]:
    """The callbacks that train the body in the precision `chosen`: fp32, bf16 or fp16."""
    dtypes = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}
    return [Precision(dtypes[chosen])] + ([MixedPrecision()] if chosen == "fp16" else [])
