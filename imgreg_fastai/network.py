"""The one definition of the net: a timm body and a small head, in plain torch layers."""
import torch
from torch import nn

from .errors import ImgregError, some

BARRED = ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir")
Y_RANGE = (-1.1, 1.1)  # the targets lie in [-1, 1], and a sigmoid cannot reach its ends


class Range(nn.Module):
    """Squeeze any number into (low, high) by a sigmoid, in float32; the bounds are scalars, not part of the weights."""

    def __init__(self, low: float, high: float):
        super().__init__()
        self.low, self.high = low, high

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape -> the same shape, in (low, high)."""
        return self.low + (self.high - self.low) * torch.sigmoid(x.float())

    def extra_repr(self) -> str:
        """What print shows between the brackets."""
        return f"{self.low}, {self.high}"


class Head(nn.Sequential):
    """Layers that compute in float32 even under autocast: bfloat16 here costs 0.07 degrees on average."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, F] of any float type -> [B, n_out] in float32."""
        # Asked first, so that an exported graph has no trace of autocast.
        if not torch.is_autocast_enabled(x.device.type):
            return super().forward(x.float())
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


def body(
    arch: str, size: tuple[int, int], arch_args: dict | None = None, pretrained: bool = False, **kwargs
) -> nn.Module:
    """The timm model `arch` without its classifier: [B, 3, *size] -> pooled [B, F].

    `size`: height and width; `arch_args`: the user's keywords for timm.create_model; `kwargs`: ours. The model's own
    forward pools, so Swin and MambaOut (channels last) work too.
    """
    import timm

    return timm.create_model(arch, pretrained=pretrained, num_classes=0, **create_args(arch, size, arch_args), **kwargs)


def create_args(arch: str, size: tuple[int, int], arch_args: dict | None = None) -> dict:
    """The keywords for timm.create_model: the user's, and the picture's size for models of a fixed one (ViT, Swin).

    Raises ImgregError for a name that is not timm's own or keywords that load files: a model file names its backbone,
    and opening one must fetch and open nothing else.
    """
    from timm import is_model
    from timm.models import get_pretrained_cfg

    barred = [name for name in arch_args or {} if name in BARRED]
    if barred:
        raise ImgregError("--arch-arg about the architecture", some(barred), "--weights for where weights come from")
    if not is_model(arch.partition(".")[0]):
        raise ImgregError("the name of a timm backbone", f"'{arch}'")
    cfg = get_pretrained_cfg(arch)
    fixed = {"img_size": tuple(size)} if cfg is not None and cfg.fixed_input_size else {}
    return {**fixed, **(arch_args or {})}


def features(body: nn.Module) -> int:
    """How many numbers F the body gives for a picture; a few nets (MobileNetV3) widen `num_features` after pooling."""
    return int(getattr(body, "head_hidden_size", None) or body.num_features)


def head(features: int, n_out: int, start: torch.Tensor | None = None) -> nn.Sequential:
    """[B, features] -> [B, n_out] in Y_RANGE; its weights are small, so that it puts out `start` [n_out] at first.

    Without a `start`, the middle of the range.
    """
    linear = nn.Linear(features, n_out)
    nn.init.normal_(linear.weight, std=0.01)
    low, high = Y_RANGE
    share = ((torch.zeros(n_out) if start is None else start.float().cpu()) - low) / (high - low)
    linear.bias.data = torch.logit(share, eps=0.01)  # a mean beyond the range is not to be had
    return Head(linear, Range(*Y_RANGE))


def network(arch: str, size: tuple[int, int], n_out: int, arch_args: dict | None = None) -> nn.Sequential:
    """The whole net with random weights, [B, 3, *size] -> [B, n_out]; body and head are its items 0 and 1."""
    trunk = body(arch, size, arch_args)
    return nn.Sequential(trunk, head(features(trunk), n_out))
