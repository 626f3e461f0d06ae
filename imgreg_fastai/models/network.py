"""The network: a timm body and a small head, in plain torch layers; training and prediction build the same one."""
from collections.abc import Sequence
from functools import cache
from typing import Any

import timm
import torch
from timm.models import get_pretrained_cfg
from torch import nn

from ..utils.messages import ImgregError, first_few

BARRED_ARGS = ("pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "checkpoint_path", "cache_dir")
N_MAPS = 32  # maps of the last features whose mean positions go to the head, see needs_positions
Y_RANGE = (-1.1, 1.1)  # targets lie in [-1, 1], and a sigmoid does not reach its bounds
# How many outputs each form has: a sigmoid; the mean of a histogram on a line; x and y of that on the unit circle.
N_OUTPUTS = {"sigmoid": 1, "line": 1, "circle": 2}
# The bins of a histogram, and what they cover on a line, with room for the Gaussian around a label of -1 or 1.
N_BINS, BIN_RANGE = 64, (-1.4, 1.4)


class SigmoidRange(nn.Module):
    """Squeeze numbers into Y_RANGE by a sigmoid, in float32; fastai's has no float32, and needs fastai."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape -> the same shape, in Y_RANGE."""
        low, high = Y_RANGE
        return low + (high - low) * torch.sigmoid(x.float())


def needs_positions(has_points: bool, forms: Sequence[str]) -> bool:
    """Whether the head gets positions of maps: for points, and for numbers that are learnt as histograms."""
    return has_points or "line" in forms


@cache
def bin_centres(form: str) -> torch.Tensor:
    """The middles of a histogram's bins, [N_BINS, outputs]; `form` is line or circle. All callers share the tensor."""
    if form == "line":
        edges = torch.linspace(*BIN_RANGE, N_BINS + 1)
        return ((edges[1:] + edges[:-1]) / 2)[:, None]
    theta = torch.arange(N_BINS) * (2 * torch.pi / N_BINS)
    return torch.stack([theta.cos(), theta.sin()], dim=1)


class HistogramRange(nn.Module):
    """Numbers of a linear layer -> outputs in Y_RANGE, of which some are the mean of a histogram.

    What is learnt as a histogram (Imani and White, Improving Regression Performance with Distributional Losses, ICML
    2018) has a smaller error than what is learnt directly: docs/benchmarks.md.

    Args:
        forms: What the outputs are, one after another, by names of N_OUTPUTS.

    Attributes:
        with_logits: Whether the logits of the histograms are returned, too, after the outputs, for the loss.
    """

    centres: torch.Tensor
    order: torch.Tensor

    def __init__(self, forms: Sequence[str]):
        super().__init__()
        self.n_sigmoids, self.with_logits, self.sigmoid = list(forms).count("sigmoid"), False, SigmoidRange()
        histograms = [form for form in forms if form != "sigmoid"]
        centres = torch.zeros(len(histograms), N_BINS, max(N_OUTPUTS.values()))
        for i, form in enumerate(histograms):
            centres[i, :, : N_OUTPUTS[form]] = bin_centres(form)
        self.register_buffer("centres", centres, persistent=False)
        self.register_buffer("order", torch.tensor(self._order(forms)), persistent=False)

    def _order(self, forms: Sequence[str]) -> list[int]:
        """For each output, its position in: all sigmoids, then x and y of each histogram's mean."""
        sigmoid, mean, order = 0, self.n_sigmoids, []
        for form in forms:
            if form == "sigmoid":
                order.append(sigmoid)
                sigmoid += 1
            else:
                order += range(mean, mean + N_OUTPUTS[form])
                mean += max(N_OUTPUTS.values())
        return order

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, sigmoids + N_BINS histograms] -> [B, outputs], with logits [B, outputs + N_BINS histograms]."""
        logits = x[:, self.n_sigmoids :]
        shares = logits.unflatten(1, (-1, N_BINS)).softmax(dim=2)
        means = torch.einsum("bhn,hnd->bhd", shares, self.centres).clamp(*Y_RANGE).flatten(1)
        outputs = torch.cat([self.sigmoid(x[:, : self.n_sigmoids]), means], dim=1)[:, self.order]
        return torch.cat([outputs, logits], dim=1) if self.with_logits else outputs


class Float32(nn.Sequential):
    """Layers that compute in float32 even under autocast: bfloat16 in the last layers costs 0.07 degrees on average."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A tensor of any float type -> the output of the layers in float32."""
        # Without autocast no context is entered, so that an exported graph has no trace of one.
        if not torch.is_autocast_enabled(x.device.type):
            return super().forward(x.float())
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


class SpatialSoftmax(nn.Module):
    """The mean position of each map's softmax.

    Args:
        height, width: Size of the maps.
    """

    grid: torch.Tensor

    def __init__(self, height: int, width: int):
        super().__init__()
        y, x = ((torch.arange(n) + 0.5) / n * 2 - 1 for n in (height, width))
        grid = torch.stack([x.repeat(height), y.repeat_interleave(width)], dim=1)
        self.register_buffer("grid", grid, persistent=False)  # [positions, 2]

    def forward(self, maps: torch.Tensor) -> torch.Tensor:
        """Maps [B, height * width, n] -> [B, 2 n], x and y of each in [-1, 1]."""
        return (maps.softmax(dim=1).transpose(1, 2) @ self.grid).flatten(1)


class BodyWithPositions(nn.Module):
    """A timm body that also tells where things are: images -> [B, F + 2 N_MAPS].

    Pooling over the image loses positions. One linear layer makes maps of the last features; the mean position of
    each map stands beside the pooled features (spatial softmax; Levine et al., JMLR 2016; Sun et al., ECCV 2018).

    Args:
        body: timm model without its classifier.
        grid: Height and width of its last features.
    """

    def __init__(self, body: nn.Module, grid: tuple[int, int]):
        super().__init__()
        # The two attributes are called as the tensors of saved models are: 0.timm_body., 0.places.
        self.timm_body: Any = body
        n_channels: int = body.num_features  # type: ignore[assignment]
        self.places = Float32(nn.Linear(n_channels, N_MAPS), SpatialSoftmax(*grid))
        self.head_hidden_size = n_features(body) + 2 * N_MAPS

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, 3, h, w] -> [B, F + 2 N_MAPS] in float32."""
        features = self.timm_body.forward_features(x)
        pooled = self.timm_body.forward_head(features)
        by_position = channels_last(self.timm_body, features).flatten(1, -2)  # [B, h, w, C] -> [B, h * w, C]
        return torch.cat([pooled.float(), self.places(by_position)], dim=1)


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


def add_positions(body: nn.Module, size: tuple[int, int]) -> nn.Module:
    """Add the positions of N_MAPS maps to a body's pooled features.

    Args:
        body: timm model without its classifier.
        size: Height and width of the images in pixels.

    Returns:
        A BodyWithPositions; `body` itself if it is one, or if its last features lie on no grid or at one position.
    """
    grid = None if isinstance(body, BodyWithPositions) else feature_grid(body, size)
    return BodyWithPositions(body, grid) if grid and grid != (1, 1) else body


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


def body(arch: str, size: tuple[int, int], arch_args: dict | None = None) -> nn.Module:
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


def head(features: int, n_out: int, start: torch.Tensor | None = None, forms: Sequence[str] = ()) -> Float32:
    """Build a head: one linear layer, and a sigmoid or the means of histograms.

    Args:
        features: Number F of features of the body.
        n_out: Number of outputs.
        start: The first outputs [n_out] of the sigmoids; the middle of the range if None. The weights begin small, and
            histograms flat.
        forms: What the outputs are, see HistogramRange; (): all are sigmoids.

    Returns:
        [B, F] -> [B, n_out] in Y_RANGE.
    """
    forms = forms or ["sigmoid"] * n_out
    is_sigmoid = [form == "sigmoid" for form in forms for _ in range(N_OUTPUTS[form])]
    n_sigmoids = sum(is_sigmoid)
    linear = nn.Linear(features, n_sigmoids + N_BINS * (len(forms) - n_sigmoids))
    nn.init.normal_(linear.weight, std=0.01)
    nn.init.zeros_(linear.bias)
    low, high = Y_RANGE
    start = torch.zeros(n_out) if start is None else start.float().cpu()
    # a start beyond the range is clipped
    linear.bias.data[:n_sigmoids] = torch.logit((start[is_sigmoid] - low) / (high - low), eps=0.01)
    return Float32(linear, SigmoidRange() if all(is_sigmoid) else HistogramRange(forms))


def network(arch: str, size: tuple[int, int], n_out: int, arch_args: dict | None = None,
            positions: bool = False, forms: Sequence[str] = ()) -> nn.Sequential:
    """Build the network with random weights.

    Args:
        arch: Name of a timm model.
        size: Height and width of the images in pixels.
        n_out: Number of outputs.
        arch_args: Further keywords for `timm.create_model`.
        positions: Whether the head gets the positions of maps beside the pooled features, see `add_positions`.
        forms: As for `head`.

    Returns:
        [B, 3, *size] -> [B, n_out]; item 0 is the body, item 1 the head.
    """
    trunk = body(arch, size, arch_args)
    trunk = add_positions(trunk, size) if positions else trunk
    return nn.Sequential(trunk, head(n_features(trunk), n_out, forms=forms))
