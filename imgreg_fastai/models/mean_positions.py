"""Positions of maps of the last features, beside the pooled ones: for numbers, and of older models for points."""
from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from .output_head import Float32
from .point_maps import cell_centres
from .timm_body import channels_last, feature_grid, n_features

N_MAPS = 32  # maps of the last features whose mean positions go to the head, see needs_positions


def needs_positions(has_points: bool, forms: Sequence[str]) -> bool:
    """Whether the head gets positions of maps: for points, and for numbers that are learnt as histograms."""
    return has_points or "line" in forms


class SpatialSoftmax(nn.Module):
    """The mean position of each map's softmax.

    Args:
        height, width: Size of the maps.
    """

    grid: torch.Tensor

    def __init__(self, height: int, width: int):
        super().__init__()
        y, x = cell_centres(height), cell_centres(width)
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
