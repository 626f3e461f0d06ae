"""The one definition of the net: a timm body and a small head, in plain torch layers."""
from math import prod

import torch
from torch import nn

from ..utils.errors import ImgregError, first_few

BARRED = ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir")
MAPS = 32  # whose mean places are told to the head, where a task has points
Y_RANGE = (-1.1, 1.1)  # the targets lie in [-1, 1], and a sigmoid cannot reach its ends


class SigmoidRange(nn.Module):
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


class Float32(nn.Sequential):
    """Layers that compute in float32 even under autocast: bfloat16 at the end costs 0.07 degrees on average."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A tensor of any float type -> what the layers make of it in float32."""
        # Asked first, so that an exported graph has no trace of autocast.
        if not torch.is_autocast_enabled(x.device.type):
            return super().forward(x.float())
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


class SpatialSoftmax(nn.Module):
    """Maps [B, n, places] over a grid -> the mean place of each one's softmax, [B, 2 n], x and y in [-1, 1]."""

    def __init__(self, grid: tuple[int, int]):
        super().__init__()
        height, width = grid
        y, x = ((torch.arange(n) + 0.5) / n * 2 - 1 for n in (height, width))
        grid = torch.stack([x.repeat(height), y.repeat_interleave(width)], dim=1)
        self.register_buffer("grid", grid, persistent=False)  # [places, 2]

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Any real numbers in; the places are within the grid."""
        return (maps.softmax(dim=2) @ self.grid).flatten(1)


class BodyWithPlaces(nn.Module):
    """A timm body that also tells where things are: pictures -> [B, F + 2 MAPS].

    Pooling over the picture forgets places. One linear layer makes maps of the last features, and each map's mean place
    is given beside the pooled features (spatial softmax; Levine et al., JMLR 2016; Sun et al., ECCV 2018).
    """

    def __init__(self, body: nn.Module, grid: tuple[int, int], channels: int):
        super().__init__()
        self.timm_body = body
        self.places = Float32(nn.Linear(channels, MAPS), Transpose(), SpatialSoftmax(grid))
        self.head_hidden_size = n_features(body) + 2 * MAPS

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, 3, h, w] -> [B, F + 2 MAPS] in float32."""
        seen = self.timm_body.forward_features(x)
        pooled = self.timm_body.forward_head(seen)
        return torch.cat([pooled.float(), self.places(feature_list(self.timm_body, seen))], dim=1)


class Transpose(nn.Module):
    """[B, places, n] -> [B, n, places]."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """The last two sides change places."""
        return x.transpose(1, 2)


def feature_list(body: nn.Module, seen: torch.Tensor) -> torch.Tensor:
    """A timm body's last features of any form as [B, places, C], row by row."""
    return channels_last(body, seen).flatten(1, -2)


def channels_last(body: nn.Module, seen: torch.Tensor) -> torch.Tensor:
    """A timm body's last features, a map of either order or tokens, as [B, h, w, C] or [B, places, C]."""
    if seen.ndim == 3:
        return seen[:, getattr(body, "num_prefix_tokens", 0) :]
    return seen if getattr(body, "output_fmt", None) == "NHWC" else seen.permute(0, 2, 3, 1)


def add_places(body: nn.Module, size: tuple[int, int]) -> nn.Module:
    """`body` with places beside its pooled features; as it is where its `lattice` tells none."""
    if isinstance(body, BodyWithPlaces):
        return body
    found = feature_grid(body, size)
    return BodyWithPlaces(body, *found) if found and prod(found[0]) > 1 else body  # one place tells nothing


def feature_grid(body: nn.Module, size: tuple[int, int]) -> tuple[tuple[int, int], int] | None:
    """The grid (height, width) of a body's last features over a picture of `size`, and how many features there are.

    None where they lie on no grid of the picture.
    """
    training = body.training
    try:
        with torch.no_grad():
            seen = body.eval().forward_features(torch.zeros(1, 3, *size, device=next(body.parameters()).device))
        *grid, channels = channels_last(body, seen).shape[1:]
    except (AttributeError, TypeError):  # no such method, or several scales in a list
        return None
    finally:
        body.train(training)
    n = prod(grid)
    height = grid[0] if len(grid) == 2 else round((n * size[0] / size[1]) ** 0.5)  # tokens do not tell theirs
    return None if height < 1 or n % height else ((height, n // height), channels)


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
        raise ImgregError("--arch-arg about the architecture", first_few(barred), "--weights for where weights come from")
    if not is_model(arch.partition(".")[0]):
        raise ImgregError("the name of a timm backbone", f"'{arch}'")
    cfg = get_pretrained_cfg(arch)
    fixed = {"img_size": tuple(size)} if cfg is not None and cfg.fixed_input_size else {}
    return {**fixed, **(arch_args or {})}


def n_features(body: nn.Module) -> int:
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
    return Float32(linear, SigmoidRange(*Y_RANGE))


def network(arch: str, size: tuple[int, int], n_out: int, arch_args: dict | None = None,
            places: bool = False) -> nn.Sequential:
    """The whole net with random weights, [B, 3, *size] -> [B, n_out]; body and head are its items 0 and 1."""
    trunk = body(arch, size, arch_args)
    trunk = add_places(trunk, size) if places else trunk
    return nn.Sequential(trunk, head(n_features(trunk), n_out))
