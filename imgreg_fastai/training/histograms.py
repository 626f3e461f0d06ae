"""How far the histograms that a network puts out are from those of the labels: of numbers, angles and points."""
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

import torch

from ..models.output_head import N_BINS, Y_RANGE, bin_centres
from ..models.point_maps import cell_centres

# Standard deviation of the Gaussian around an encoded label. On four folds of redrawn gauges, 60 epochs from random
# weights, the error was 0.86 bar with 0.026, 0.42 with 0.1, and 0.46 with 0.2; on the circle see docs/benchmarks.md.
SPREAD = 0.1
POINT_SPREAD = 0.06  # the same around a point; of faces see docs/benchmarks.md


@dataclass(frozen=True)
class NumberHistogram:
    """The histogram of a number, or of an angle on the circle.

    Args:
        form: line or circle.
    """

    form: str
    output_weight: ClassVar[float] = 0.0  # how much the loss of the output counts beside the divergence

    @property
    def n_logits(self) -> int:
        """Number of logits of an image."""
        return N_BINS

    def of_labels(self, encoded: torch.Tensor) -> torch.Tensor:
        """The histograms of encoded labels: a Gaussian around each.

        On the circle, where the distance is that of the chord, it is von Mises' distribution.

        Args:
            encoded: [n, outputs] as output_head.N_OUTPUTS has them.

        Returns:
            [n, N_BINS], which add up to 1.
        """
        within = encoded.clamp(*Y_RANGE)  # farther out a part of it would be cut off
        centres = bin_centres(self.form).to(within.device)
        distances = torch.cdist(within, centres, compute_mode="donot_use_mm_for_euclid_dist")
        return torch.softmax(-0.5 * (distances / SPREAD) ** 2, dim=1)

    def divergence(self, logits: torch.Tensor, encoded: torch.Tensor) -> torch.Tensor:
        """The Kullback-Leibler divergence of histograms from those of encoded labels.

        Args:
            logits: [n, N_BINS].
            encoded: [n, outputs].

        Returns:
            [n, 1]; 0 where the two are the same.
        """
        return _divergence(self.of_labels(encoded), logits)[:, None]


@dataclass(frozen=True)
class PointHistograms:
    """The histograms of points: of each the columns and the rows of its map, see point_maps.PointMaps.

    Args:
        grid: Height and width of the maps.
        n_points: Number of points.
    """

    grid: tuple[int, int]
    n_points: int
    # The loss of the position counts, too: the head can move it from where the map has it. In the table of
    # docs/benchmarks.md, where the position weighs 1 and x and y are added up, this is a weight of 0.25.
    output_weight: ClassVar[float] = 2.0

    @property
    def n_logits(self) -> int:
        """Number of logits of an image."""
        return self.n_points * sum(self.grid)

    def of_labels(self, encoded: torch.Tensor) -> torch.Tensor:
        """The histograms of encoded labels, a Gaussian around each: [n, 2 n_points] -> [n, n_logits]."""
        height, width = self.grid
        points = encoded.clamp(*Y_RANGE).unflatten(1, (-1, 2))
        shares = []
        for axis, n in enumerate((width, height)):
            distances = points[..., axis, None] - cell_centres(n).to(encoded.device)
            shares.append(torch.softmax(-0.5 * (distances / POINT_SPREAD) ** 2, dim=2))
        return torch.cat(shares, dim=2).flatten(1)

    def divergence(self, logits: torch.Tensor, encoded: torch.Tensor) -> torch.Tensor:
        """As that of a number: logits [n, n_logits], labels [n, 2 n_points] -> [n, 2 n_points], x and y of each."""
        height, width = self.grid
        axes = zip(*(t.unflatten(1, (self.n_points, -1)).split([width, height], dim=2)
                     for t in (self.of_labels(encoded), logits)), strict=True)
        return torch.stack([_divergence(shares, axis_logits) for shares, axis_logits in axes], dim=2).flatten(1)


Histogram: TypeAlias = NumberHistogram | PointHistograms


def _divergence(shares: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """The Kullback-Leibler divergence of softmaxes from shares, over the last of the dimensions."""
    return (torch.special.xlogy(shares, shares) - shares * logits.log_softmax(dim=-1)).sum(dim=-1)
