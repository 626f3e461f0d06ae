"""Frozen features: what a backbone tells about an image as it comes, for a linear head that is fitted, not trained."""
from typing import Any

import torch
from torch import nn

from ..utils.messages import say
from . import output_head, timm_body

GRID = 4  # cells a side, by which a feature map is pooled for points
MAX_GRID = 32  # of a model file
# Numbers on the grid, of all images whose features are in memory at once: a ridge takes about 20 bytes for each, so
# that this is a gigabyte. 1280 channels of 8,000 images have a grid of 2 then, 512 channels one of 4.
MAX_NUMBERS = 2**26


class FrozenFeatures(nn.Module):
    """A timm body whose features are taken as they are: images -> [B, head_hidden_size].

    The features are the body's own pooled ones; of a body with tokens also the class token and the mean of the patch
    tokens, where the pooled ones are something else.

    Args:
        body: timm model without its classifier.
        size: Height and width of the images in pixels.
        grid: Where things are is lost by pooling over the whole image: with more than 1, each of grid x grid cells of
            the last feature map is pooled by itself, too, if the features lie on a grid.
    """

    def __init__(self, body: nn.Module, size: tuple[int, int], grid: int = 1):
        super().__init__()
        self.timm_body: Any = body  # called as in BodyWithPositions, so that other trainings find its weights
        self.positions = timm_body.feature_grid(body, size) if grid > 1 else None
        self.grid = grid if self.positions and self.positions != (1, 1) else 1
        with torch.no_grad():
            output = self.eval()(torch.zeros(1, 3, *size, device=next(body.parameters()).device))
        self.head_hidden_size = output.shape[1]
        n_cells = self.grid**2 if self.grid > 1 else 0
        self.n_pooled: int = output.shape[1] - n_cells * body.num_features  # type: ignore[operator]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, 3, h, w] -> [B, head_hidden_size] in float32."""
        if self.grid == 1 and not hasattr(self.timm_body, "num_prefix_tokens"):
            return self.timm_body(x).float()
        features = self.timm_body.forward_features(x)
        parts = [self.timm_body.forward_head(features)]
        if features.ndim == 3:
            parts += self._tokens(features)
        if self.positions and self.grid > 1:
            by_position = timm_body.channels_last(self.timm_body, features)
            maps = by_position.reshape(len(x), *self.positions, by_position.shape[-1]).permute(0, 3, 1, 2)
            parts.append(nn.functional.adaptive_avg_pool2d(maps.float(), self.grid).flatten(1))
        return torch.cat([part.float() for part in parts], dim=1)

    def _tokens(self, features: torch.Tensor) -> list[torch.Tensor]:
        """The class token and the mean patch token of [B, tokens, C], without the one that the body pools by."""
        body = self.timm_body
        parts = {"token": features[:, 0]} if getattr(body, "cls_token", None) is not None else {}
        parts["avg"] = timm_body.channels_last(body, features).mean(dim=1)
        return [part for pool, part in parts.items() if pool != getattr(body, "global_pool", "")]


def choose_grid(body: nn.Module, size: tuple[int, int], n_images: int) -> int:
    """Return the finest grid, up to GRID, on which the features of so many images take no more than MAX_NUMBERS.

    Args:
        body: timm model without its classifier.
        size: Height and width of the images in pixels.
        n_images: Whose features are in memory at once.

    Returns:
        Cells a side; 1 where there is no such grid, which is said, or where the features lie on none.
    """
    if timm_body.feature_grid(body, size) is None:
        return 1
    most_cells = MAX_NUMBERS / (n_images * body.num_features)  # type: ignore[operator]
    grid = next((grid for grid in range(GRID, 1, -1) if grid**2 <= most_cells), 1)
    if grid < GRID:
        cells = f"on a grid of {grid} x {grid}" if grid > 1 else "of whole images"
        say(f"features {cells}: on a grid of {GRID} x {GRID}, those of {n_images:,} images would take too much memory")
    return grid


def frozen_network(arch: str, size: tuple[int, int], n_out: int, arch_args: dict | None = None,
                   grid: int = 1) -> nn.Sequential:
    """Build a network of frozen features and a head, with random weights; arguments as those of `network.network`.

    Raises:
        ValueError: The grid is none.
    """
    if not isinstance(grid, int) or not 1 <= grid <= MAX_GRID:
        raise ValueError(f"features of a grid of {grid}")
    body = FrozenFeatures(timm_body.build(arch, size, arch_args), size, grid)
    return nn.Sequential(body, output_head.build(timm_body.n_features(body), n_out))
