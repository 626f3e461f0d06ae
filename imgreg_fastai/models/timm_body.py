"""A timm model as the body of a network: how it is built, and where in the image its features lie."""
from typing import Any

import timm
import torch
from timm.models import get_pretrained_cfg
from torch import nn

from ..utils.messages import ImgregError, first_few

BARRED_ARGS = ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir")


def build(arch: str, size: tuple[int, int], arch_args: dict | None = None) -> nn.Module:
    """Build a timm model with random weights, without its classifier.

    Args:
        arch: Name of a timm model, with or without .tag.
        size: Height and width of the images in pixels; models of a fixed size (ViT, Swin) are built for it.
        arch_args: Further keywords for `timm.create_model`.

    Returns:
        The model: [B, 3, *size] -> [B, F]. Its own `forward` pools, so channels last (Swin, MambaOut) work too.

    Raises:
        ImgregError: The name is not timm's, or a keyword loads a file: a model file names its backbone, and opening
            one must fetch and open nothing else.
    """
    arch_args = arch_args or {}
    barred = first_few(name for name in arch_args if name in BARRED_ARGS)
    if barred:
        raise ImgregError("--arch-arg about the architecture", barred, "--weights for where weights come from")
    if not timm.is_model(arch.partition(".")[0]):
        raise ImgregError("the name of a timm backbone", f"'{arch}'")
    cfg = get_pretrained_cfg(arch)
    fixed = {"img_size": tuple(size)} if cfg is not None and cfg.fixed_input_size else {}
    return timm.create_model(arch, num_classes=0, **{**fixed, **arch_args})


def n_features(body: nn.Module) -> int:
    """The number F of features of a body; a few networks (MobileNetV3) widen `num_features` after pooling."""
    return getattr(body, "head_hidden_size", None) or body.num_features  # type: ignore[return-value]


def feature_grid(body: nn.Module, size: tuple[int, int]) -> tuple[int, int] | None:
    """The grid of positions in the image that a timm body's last features belong to.

    Args:
        body: timm model without its classifier.
        size: Height and width of the images in pixels.

    Returns:
        Its height and width; None if the features lie on no grid of the image. The body is left in eval mode.
    """
    model: Any = body.eval()
    try:
        with torch.no_grad():
            features = model.forward_features(torch.zeros(1, 3, *size, device=next(model.parameters()).device))
        shape = channels_last(body, features).shape[1:-1]
    except (AttributeError, TypeError):  # there is no such method, or it returns a list of several scales
        return None
    if len(shape) == 2:
        return shape[0], shape[1]
    (n,) = shape  # of tokens, which have the proportions of the image
    height = round((n * size[0] / size[1]) ** 0.5)
    return (height, n // height) if height and n % height == 0 else None


def channels_last(body: nn.Module, features: torch.Tensor) -> torch.Tensor:
    """A timm body's last features, a map or tokens, with the channels last.

    Args:
        body: timm model that made the features.
        features: Output of its `forward_features`: [B, C, h, w], [B, h, w, C] or [B, tokens, C].

    Returns:
        [B, h, w, C], or [B, positions, C] row by row for tokens, without the class token.
    """
    if features.ndim == 3:
        return features[:, getattr(body, "num_prefix_tokens", 0) :]
    return features if getattr(body, "output_fmt", None) == "NHWC" else features.permute(0, 2, 3, 1)
