"""Maps of the image whose mean positions are points: a body that takes them from all scales of a timm backbone."""
from typing import Any, NamedTuple

import torch
from torch import nn
from torch.nn import functional as F

from . import timm_body
from .output_head import Float32, MapFeatures

MOST_CHANNELS = 256  # of the features that maps are made of: as many as the backbone has in the end, up to these
STRIDE = 8  # pixels of the image for each position of a map, where the backbone has such features
STRIDES = (4, 32)  # the finest and the coarsest features that are used
MIN_VARIANCE = 1e-6  # added to the variance of a map, which may be 0


def cell_centres(n: int) -> torch.Tensor:
    """The middles of n equal parts of [-1, 1]."""
    return (torch.arange(n) + 0.5) / n * 2 - 1


class PointMaps(nn.Module):
    """The mean position of each map's softmax, from the logits of its columns and rows.

    A softmax over the map, summed over its rows, is a softmax over columns of the logarithm of their sums: so that the
    position is the mean of two histograms, one for x and one for y.

    Args:
        height, width: Size of the maps.
    """

    columns: torch.Tensor
    rows: torch.Tensor

    def __init__(self, height: int, width: int):
        super().__init__()
        for name, n in (("rows", height), ("columns", width)):
            self.register_buffer(name, cell_centres(n), persistent=False)

    def forward(self, maps: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Tell where maps are high.

        Args:
            maps: [B, n, height, width].

        Returns:
            Positions [B, 2 n], x and y of each map in [-1, 1]; the logarithm of the distance by which each map spreads
            about its position (standard deviation), [B, n]; and the logits of columns and rows, [B, n, width + height].
        """
        by_column, by_row = maps.logsumexp(dim=2), maps.logsumexp(dim=3)
        x, x_variance = _mean_and_variance(by_column, self.columns)
        y, y_variance = _mean_and_variance(by_row, self.rows)
        spread = 0.5 * torch.log(x_variance + y_variance + MIN_VARIANCE)
        return torch.stack([x, y], dim=2).flatten(1), spread, torch.cat([by_column, by_row], dim=2)


def _mean_and_variance(logits: torch.Tensor, centres: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The mean and the variance of histograms, [B, n] each, by their logits [B, n, bins] and the bins' centres."""
    shares = logits.softmax(dim=2)
    mean = (shares * centres).sum(dim=2)  # autocast would compute a product of matrices in bfloat16
    return mean, (shares * (centres - mean[..., None]) ** 2).sum(dim=2)


class BodyWithMaps(nn.Module):
    """A timm body with a map for each point: images -> [B, F + 3 n_maps].

    Features of all strides from 4 to 32 are brought to one grid and added (feature pyramid; Lin et al., CVPR 2017).
    Each map is a linear function of them, and where it is high on average is a position (Sun et al., ECCV 2018). The
    output is the body's pooled features, x and y of each map's position, and the logarithm of each map's spread.

    Args:
        body: timm model without its classifier.
        size: Height and width of the images in pixels.
        n_points: Number of maps that are the task's points; they come first.
        n_others: Number of further maps, whose positions other targets can use.

    Attributes:
        with_logits: Whether `logits` is kept of each forward pass, for the loss.
        logits: Logits of the points' columns and rows, [B, n_points, width + height].
    """

    def __init__(self, body: nn.Module, size: tuple[int, int], n_points: int, n_others: int = 0):
        super().__init__()
        info = find_scales(body, size)
        if info is None:
            raise ValueError("features that lie on no grid of the image")
        self.timm_body: Any = body  # called as in all bodies: 0.timm_body. in the tensors of saved models
        self.scale_info, self.grid = info, _choose_grid(info.grids, size)
        self.n_points, self.n_maps = n_points, n_points + n_others
        self.with_logits, self.logits = False, torch.empty(0)
        width = min(MOST_CHANNELS, max(info.channels))
        self.scales = nn.ModuleList(ToGrid(n, width, grid, self.grid)
                                    for n, grid in zip(info.channels, info.grids, strict=True))
        self.smooth = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
                                    nn.BatchNorm2d(width), nn.ReLU())
        self.maps = Float32(nn.Conv2d(width, self.n_maps, 1))
        self.positions = PointMaps(*self.grid)
        self.features = MapFeatures(timm_body.n_features(body), self.n_maps)
        self.head_hidden_size = self.features.n_pooled + 3 * self.n_maps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, 3, h, w] -> [B, F + 3 n_maps] in float32."""
        last, features = compute_features(self.timm_body, x, self.scale_info)
        pooled = self.timm_body.forward_head(last)
        maps = self.maps(self.smooth(sum(scale(f) for scale, f in zip(self.scales, features, strict=True))))
        positions, spread, logits = self.positions(maps)
        if self.with_logits:
            self.logits = logits[:, : self.n_points]
        return torch.cat([pooled.float(), positions, spread], dim=1)

    def point_spreads(self, features: Any) -> Any:
        """The logarithm of each point's spread, [n, n_points], out of features [n, F + 3 n_maps]."""
        start = self.features.n_pooled + 2 * self.n_maps
        return features[:, start : start + self.n_points]


class ToGrid(nn.Module):
    """Features of one scale, brought to the channels and to the grid of the maps.

    It resamples by two matrices: torch's own functions have no deterministic gradient on a GPU.

    Args:
        n_channels: Of the features.
        width: Number of channels of the maps' features.
        grid: Their height and width.
        to_grid: Height and width of the maps.
    """

    rows: torch.Tensor
    columns: torch.Tensor

    def __init__(self, n_channels: int, width: int, grid: tuple[int, int], to_grid: tuple[int, int]):
        super().__init__()
        self.projection = nn.Conv2d(n_channels, width, 1, bias=False)
        self.is_finer, self.is_same = grid[0] * grid[1] > to_grid[0] * to_grid[1], grid == to_grid
        self.register_buffer("rows", resampling(grid[0], to_grid[0]).T.contiguous(), persistent=False)
        self.register_buffer("columns", resampling(grid[1], to_grid[1]), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, n_channels, *grid] -> [B, width, *to_grid]."""
        if self.is_same:
            return self.projection(x)
        # the order changes nothing but the work: fewer positions are multiplied
        return self.projection(self._resample(x)) if self.is_finer else self._resample(self.projection(x))

    def _resample(self, x: torch.Tensor) -> torch.Tensor:
        return self.rows.to(x.dtype) @ x @ self.columns.to(x.dtype)


def resampling(n: int, to_n: int) -> torch.Tensor:
    """The matrix [n, to_n] that brings n values of a line to to_n: by their means, or by linear interpolation."""
    unit = torch.eye(n)[None]
    if to_n < n:
        return F.adaptive_avg_pool1d(unit, to_n)[0]
    return F.interpolate(unit, size=to_n, mode="linear", align_corners=False)[0]


def _choose_grid(grids: list[tuple[int, int]], size: tuple[int, int]) -> tuple[int, int]:
    """The grid among those of the features that is nearest to one position for STRIDE pixels."""
    wanted = size[0] * size[1] / STRIDE**2
    return min(grids, key=lambda grid: max(grid[0] * grid[1] / wanted, wanted / (grid[0] * grid[1])))


# ---- features of several scales


class ScaleInfo(NamedTuple):
    """The features of a timm body that lie on a grid of the image.

    Args:
        indices: Of `forward_intermediates`; None: the last features alone, as a ViT has them.
        channels: Number of channels of each.
        grids: Height and width of each.
    """

    indices: list[int] | None
    channels: list[int]
    grids: list[tuple[int, int]]


def find_scales(body: nn.Module, size: tuple[int, int]) -> ScaleInfo | None:
    """Find the features of a timm body that lie on a grid of the image. The body is left in eval mode.

    Args:
        body: timm model without its classifier.
        size: Height and width of the images in pixels.

    Returns:
        Those of all strides from 4 to 32 where the body has several, else its last; None if these lie on no grid or at
        one position.
    """
    scales = _pyramid(body, size)
    if scales is None:
        grid = timm_body.feature_grid(body, size)
        scales = ScaleInfo(None, [int(body.num_features)], [grid]) if grid else None  # type: ignore[arg-type]
    return scales if scales and max(height * width for height, width in scales.grids) > 1 else None


def _pyramid(body: nn.Module, size: tuple[int, int]) -> ScaleInfo | None:
    """As `find_scales`, of a body with several scales; None for others."""
    model: Any = body.eval()
    try:
        strides = [info["reduction"] for info in model.feature_info]
        indices = [i for i, stride in enumerate(strides) if STRIDES[0] <= stride <= STRIDES[1]]
        if len(set(strides)) < 2 or not indices:
            return None
        x = torch.linspace(-1, 1, 3 * size[0] * size[1], device=next(model.parameters()).device).view(1, 3, *size)
        with torch.no_grad():
            last, features = model.forward_intermediates(x, indices=indices, output_fmt="NCHW")
            if model.forward_head(last).shape != (1, timm_body.n_features(body)):
                return None
    except (AttributeError, TypeError, KeyError, AssertionError, ValueError, RuntimeError):  # there is no such method
        return None
    if any(f.ndim != 4 for f in features):
        return None
    return ScaleInfo(indices, [f.shape[1] for f in features], [(f.shape[2], f.shape[3]) for f in features])


def compute_features(body: Any, x: torch.Tensor, scales: ScaleInfo) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """Return the last features of a timm body, for its own head, and those of its scales, [B, C, h, w] each."""
    if scales.indices is not None:
        return body.forward_intermediates(x, indices=scales.indices, output_fmt="NCHW")
    last = body.forward_features(x)
    by_position = timm_body.channels_last(body, last)
    if by_position.ndim == 3:  # tokens
        by_position = by_position.unflatten(1, scales.grids[0])
    return last, [by_position.permute(0, 3, 1, 2)]
