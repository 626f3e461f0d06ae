"""The head of a network: one linear layer, and what turns its numbers into outputs."""
from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

import torch
from torch import nn

Y_RANGE = (-1.1, 1.1)  # targets lie in [-1, 1], and a sigmoid does not reach its bounds
# How many outputs each form has: a sigmoid; a sigmoid to whose logit a coordinate of a point's map is added; the mean
# of a histogram on a line; x and y of that on the unit circle.
N_OUTPUTS = {"sigmoid": 1, "position": 1, "line": 1, "circle": 2}
SIGMOIDS = ("sigmoid", "position")
# The bins of a histogram, and what they cover on a line, with room for the Gaussian around a label of -1 or 1.
N_BINS, BIN_RANGE = 64, (-1.4, 1.4)


class MapFeatures(NamedTuple):
    """How many features of each kind a BodyWithMaps has.

    Args:
        n_pooled: Features pooled over the image.
        n_maps: Maps, of which each has the features x, y and spread; those of the points come first.
    """

    n_pooled: int
    n_maps: int


class Float32(nn.Sequential):
    """Layers that compute in float32 even under autocast: bfloat16 in the last layers costs 0.07 degrees on average."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """A tensor of any float type -> the output of the layers in float32."""
        # Without autocast no context is entered, so that an exported graph has no trace of one.
        if not torch.is_autocast_enabled(x.device.type):
            return super().forward(x.float())
        with torch.autocast(x.device.type, enabled=False):
            return super().forward(x.float())


class SigmoidRange(nn.Module):
    """Squeeze numbers into Y_RANGE by a sigmoid, in float32; fastai's has no float32, and needs fastai."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Any shape -> the same shape, in Y_RANGE."""
        low, high = Y_RANGE
        return low + (high - low) * torch.sigmoid(x.float())


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
        self.n_sigmoids, self.with_logits, self.sigmoid = sum(form in SIGMOIDS for form in forms), False, SigmoidRange()
        histograms = [form for form in forms if form not in SIGMOIDS]
        centres = torch.zeros(len(histograms), N_BINS, max(N_OUTPUTS.values()))
        for i, form in enumerate(histograms):
            centres[i, :, : N_OUTPUTS[form]] = bin_centres(form)
        self.register_buffer("centres", centres, persistent=False)
        self.register_buffer("order", torch.tensor(self._order(forms)), persistent=False)

    def _order(self, forms: Sequence[str]) -> list[int]:
        """For each output, its position in: all sigmoids, then x and y of each histogram's mean."""
        sigmoid, mean, order = 0, self.n_sigmoids, []
        for form in forms:
            if form in SIGMOIDS:
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


class LinearWithPositions(nn.Linear):
    """A linear layer over features of a BodyWithMaps, to whose outputs the positions of points are added as logits.

    Where the layer adds 0, the sigmoid that follows gives the position as the map tells it.

    Args:
        features: Of the body.
        forms: What the outputs of the head are, see `build`.
    """

    coordinate_outputs: torch.Tensor

    def __init__(self, features: MapFeatures, forms: Sequence[str]):
        sigmoids = [form for form in forms if form in SIGMOIDS]
        n_histograms = len(forms) - len(sigmoids)
        super().__init__(features.n_pooled + 2 * features.n_maps, len(sigmoids) + N_BINS * n_histograms)
        columns = [i for i, form in enumerate(sigmoids) if form == "position"]
        self.points = slice(features.n_pooled, features.n_pooled + len(columns))
        outputs = torch.zeros(len(columns), self.out_features)
        outputs[range(len(columns)), columns] = 1  # the output that each coordinate belongs to
        self.register_buffer("coordinate_outputs", outputs, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[B, F + 3 n_maps] -> [B, outputs and bins], before the range."""
        low, high = Y_RANGE
        logits = torch.logit((x[:, self.points] - low) / (high - low))
        return super().forward(x[:, : self.in_features]) + logits @ self.coordinate_outputs


class Head(Float32):
    """A head, see `build`.

    Attributes:
        forms: What its outputs are, by names of N_OUTPUTS; [] where all are sigmoids.
    """

    def __init__(self, *layers: nn.Module, forms: Sequence[str] = ()):
        super().__init__(*layers)
        self.forms = list(forms)


def build(features: int | MapFeatures, n_out: int, start: torch.Tensor | None = None,
          forms: Sequence[str] = ()) -> Head:
    """Build a head: one linear layer, and a sigmoid or the means of histograms.

    Args:
        features: Number F of features of the body; of a BodyWithMaps how many there are of each kind.
        n_out: Number of outputs.
        start: The first outputs [n_out] of the sigmoids; the middle of the range if None. The weights begin small, and
            histograms flat.
        forms: What the outputs are, see HistogramRange; (): all are sigmoids.

    Returns:
        [B, F] -> [B, n_out] in Y_RANGE.
    """
    is_sigmoid = [form in SIGMOIDS for form in forms or ["sigmoid"] * n_out for _ in range(N_OUTPUTS[form])]
    n_sigmoids = sum(is_sigmoid)
    linear: nn.Linear
    if isinstance(features, MapFeatures):
        linear = LinearWithPositions(features, forms)
    else:
        linear = nn.Linear(features, n_sigmoids + N_BINS * sum(form not in SIGMOIDS for form in forms))
    nn.init.normal_(linear.weight, std=0.01)
    nn.init.zeros_(linear.bias)
    low, high = Y_RANGE
    start = torch.zeros(n_out) if start is None else start.float().cpu()
    # a start beyond the range is clipped
    linear.bias.data[:n_sigmoids] = torch.logit((start[is_sigmoid] - low) / (high - low), eps=0.01)
    if isinstance(linear, LinearWithPositions):
        linear.bias.data[linear.coordinate_outputs.any(dim=0)] = 0  # maps begin in the middle, and learn to leave it
    return Head(linear, SigmoidRange() if all(is_sigmoid) else HistogramRange(forms), forms=forms)
