"""What training minimises, and the errors in units that it reports: labels are encoded and compared in torch."""
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeAlias

import numpy as np
import torch
from fastai.callback.core import Callback
from fastai.learner import Learner, Metric
from torch import nn
from torch.nn import functional as F

from ..models.output_head import HistogramRange
from ..models.point_maps import BodyWithMaps
from ..tasks import Target, Task
from .histograms import Histogram, NumberHistogram, PointHistograms

# Of outputs that are no histograms.
LOSSES: dict[str, Callable] = {
    "auto": F.l1_loss, "histogram": F.l1_loss, "l1": F.l1_loss, "mse": F.mse_loss,
    "huber": partial(F.huber_loss, delta=0.1),
}
Weights: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
SAMPLE_SIZE = 10_000  # labels are enough to know their mean by
MIN_COST = 1e-5  # a smaller cost of guessing counts as 1: such labels are all alike


def to_plain_tensor(y: torch.Tensor) -> torch.Tensor:
    """A batch's labels of one target, of any fastai type, as a plain tensor of floats.

    Args:
        y: [n], [n, columns] or [n, points, 2].

    Returns:
        [n, columns], float64 if `y` is, else float32. A column [n] would broadcast to [n, n] against outputs [n, 1].
    """
    y = y.as_subclass(torch.Tensor)[:, None].flatten(1)
    return y if y.dtype == torch.float64 else y.float()


def encode_labels(target: Target, y: torch.Tensor) -> torch.Tensor:
    """A batch's labels of one target, encoded in their own precision: float32 [n, n_out]."""
    return target.encode_labels(to_plain_tensor(y)).float()


def penalty(target: Target, predicted: torch.Tensor, encoded: torch.Tensor, loss: str = "auto",
            weights: Weights | None = None) -> torch.Tensor:
    """The mean loss of one target over what is labelled.

    Args:
        target: The target.
        predicted: Outputs, [n, n_out].
        encoded: Encoded labels, [n, n_out].
        loss: auto, histogram, l1, mse or huber; of histograms see histograms.py.
        weights: How much each label counts, [n, any] -> [n, 1]; None: all count the same.

    Returns:
        Scalar tensor.
    """
    return target.penalty(predicted, encoded, partial(LOSSES[loss], reduction="none"), weights)


def sample_encoded(target: Target, y: torch.Tensor) -> torch.Tensor:
    """About SAMPLE_SIZE encoded labels of one target, [n, n_out], evenly spread over its labelled rows."""
    y = to_plain_tensor(y)
    y = y[y.isfinite().any(dim=1)]
    return encode_labels(target, y[:: max(1, len(y) // SAMPLE_SIZE)])


def mean_encoded(task: Task, labels: Sequence[torch.Tensor]) -> torch.Tensor:
    """The mean of the encoded labels, [n_out]: the best constant output, 0 where nothing is labelled."""
    means = [sample_encoded(t, y).nanmean(dim=0) for t, y in zip(task.targets, labels, strict=True)]
    return torch.cat(means).nan_to_num()


class RarityWeights:
    """How much a number's label counts: more where labels are rare, 1 on average over the training part.

    The weight is one over the root of the labels' density, smoothed by a Gaussian (label distribution smoothing; Yang
    et al., Delving into Deep Imbalanced Regression, ICML 2021, there "SQINV" with LDS).

    Args:
        encoded: Encoded labels of the training part, [n, 1].
    """

    bins, sigma = 100, 2.0  # over [-1, 1], and the kernel's width in bins: the paper's

    def __init__(self, encoded: torch.Tensor):
        counts = torch.bincount(self._bin(encoded), minlength=self.bins).float()
        positions = torch.arange(self.bins)
        kernel = torch.exp(-0.5 * ((positions[:, None] - positions) / self.sigma) ** 2)
        single = 1 / kernel.sum(dim=1).max()  # the density of one label: empty bins count no more than it does
        weights = ((kernel @ counts) / kernel.sum(dim=1)).clamp(min=single).rsqrt()
        self.weights = weights * counts.sum() / (weights * counts).sum()

    def _bin(self, encoded: torch.Tensor) -> torch.Tensor:
        """The bins [n] of encoded labels."""
        return ((encoded.flatten().nan_to_num() + 1) / 2 * self.bins).long().clamp(0, self.bins - 1)

    def __call__(self, encoded: torch.Tensor) -> torch.Tensor:
        """The weights [n, 1] of encoded labels [n, 1]."""
        return self.weights.to(encoded.device)[self._bin(encoded)].unsqueeze(1)


class TaskLoss(nn.Module):
    """The loss of a task: the mean penalty of each target, averaged over its targets.

    What is learnt by histograms is compared with those of its labels; points by their positions, too. With several
    targets, the penalty of each is divided by that of guessing: its mean, or the histogram of all its
    labels. So all of them begin at about 1, whatever their units and kinds, and a target's `weight` alone decides how
    much it counts.

    Args:
        task: The task.
        loss: auto, histogram, l1, mse or huber.
        labels: Labels of the training part, a tensor for each target as a batch holds them; () if they are not known,
            in which case nothing is divided or balanced.
        balance: Rare labels of plain numbers count more.
        grid: Height and width of the maps of points; None if the network has none.

    Attributes:
        row_weights: How much each image of the next batch counts, [n], 1 on average over the training part; None: all
            the same.
    """

    def __init__(self, task: Task, loss: str = "auto", labels: Sequence[torch.Tensor] = (), balance: bool = False,
                 grid: tuple[int, int] | None = None):
        super().__init__()
        n = len(task.targets)
        self.row_weights: torch.Tensor | None = None
        self.task, self.loss, self.guess_costs = task, loss, [1.0] * n
        self.rarity_weights: list[RarityWeights | None] = [None] * n
        self.histograms = [_histogram(target, grid) if loss == "histogram" else None for target in task.targets]
        for i, (target, y) in enumerate(zip(task.targets, labels, strict=bool(labels))):  # no labels, no targets
            encoded = sample_encoded(target, y)
            cost = self._guess_cost(i, encoded)
            if n > 1 and cost > MIN_COST:
                self.guess_costs[i] = cost
            if balance and target.scalar:
                self.rarity_weights[i] = RarityWeights(encoded)
        total = sum(t.weight for t in task.targets)
        self.shares = [t.weight / total / cost for t, cost in zip(task.targets, self.guess_costs, strict=True)]

    def _guess_cost(self, i: int, encoded: torch.Tensor) -> float:
        """The penalty of the best constant output of a target for its encoded labels [n, n_out]."""
        mean = encoded.nanmean(dim=0).nan_to_num().expand_as(encoded)
        logits, histogram = None, self.histograms[i]
        if histogram and len(encoded):
            shares = histogram.of_labels(encoded).nanmean(dim=0).nan_to_num()
            # bins that no label is near to are not quite empty: 0 times the logarithm of 0 is no number
            logits = shares.clamp(min=1e-12).log().expand(len(encoded), -1)
        return float(self._penalty(i, mean, encoded, logits))

    def forward(self, predicted: torch.Tensor, *labels: torch.Tensor) -> torch.Tensor:
        """The loss of a batch.

        Args:
            predicted: Outputs, [n, n_out], and the logits of those that are histograms, if the network returns them. A
                histogram without its logits is judged by its mean.
            *labels: A tensor for each target, as a batch holds them.

        Returns:
            Scalar tensor.
        """
        predicted = predicted.as_subclass(torch.Tensor).float()
        costs, outputs = [], self.task.split(predicted)
        logits = self._split_logits(predicted[:, self.task.n_out :])
        for i, (target, output, y) in enumerate(zip(self.task.targets, outputs, labels, strict=True)):
            weights = self._weights(self.rarity_weights[i])
            costs.append(self.shares[i] * self._penalty(i, output, encode_labels(target, y), logits[i], weights))
        return torch.stack(costs).sum()

    def _split_logits(self, logits: torch.Tensor) -> list[torch.Tensor | None]:
        """The logits of each target; of numbers they come first, then those of points, see ReturnLogits."""
        parts: list[torch.Tensor | None] = [None] * len(self.histograms)
        if not logits.shape[1]:
            return parts
        order = sorted((isinstance(h, PointHistograms), i, h.n_logits) for i, h in enumerate(self.histograms) if h)
        sizes = [n for _, _, n in order]
        if logits.shape[1] != sum(sizes):
            raise ValueError(f"{logits.shape[1]} logits for histograms of {sum(sizes)}")
        for (_, i, _), part in zip(order, logits.split(sizes, dim=1), strict=True):
            parts[i] = part
        return parts

    def _penalty(self, i: int, output: torch.Tensor, encoded: torch.Tensor, logits: torch.Tensor | None,
                 weights: Weights | None = None) -> torch.Tensor:
        """The mean loss of one target, of its histograms where their logits are given; see `penalty`."""
        target, histogram = self.task.targets[i], self.histograms[i]
        if logits is None or histogram is None:
            return penalty(target, output, encoded, self.loss, weights)
        cost = target.penalty(output, encoded, lambda _, y: histogram.divergence(logits, y), weights)
        if histogram.output_weight:
            cost = cost + histogram.output_weight * penalty(target, output, encoded, self.loss, weights)
        return cost

    def _weights(self, rarity: RarityWeights | None) -> Weights | None:
        """What weighs the labels of the next batch: the weights of its rows times those of rare labels."""
        row_weights = self.row_weights
        if row_weights is None:
            return rarity
        return lambda encoded: row_weights[:, None] * (1.0 if rarity is None else rarity(encoded))

    def decodes(self, predicted: torch.Tensor) -> torch.Tensor | tuple[torch.Tensor, ...]:
        """Outputs [n, n_out] -> labels as a batch holds them, a tensor for each target; fastai calls it."""
        labels = []
        for target, output in zip(self.task.targets, self.task.split(predicted.detach().cpu()), strict=True):
            values = output.numpy() if target.in_image else target.decode(output.numpy())
            # float32 could round a number beyond its bounds
            dtype = target.label_dtype if target.in_image else torch.float64
            labels.append(target.batch_tensor(torch.as_tensor(values, dtype=dtype)))
        return labels[0] if len(labels) == 1 else tuple(labels)


def _histogram(target: Target, grid: tuple[int, int] | None) -> Histogram | None:
    """The histograms that a target is learnt by; None if it is learnt by its outputs."""
    if target.histogram == "map":
        return PointHistograms(grid, target.n_out // 2) if grid else None
    return NumberHistogram(target.histogram) if target.histogram else None


class ReturnLogits(Callback):
    """Lets the network return the logits of its histograms for the loss, and not for `get_preds`.

    Those of numbers and angles come after the outputs, then those of points.
    """

    @property
    def _layers(self) -> list[HistogramRange | BodyWithMaps]:
        body, head = self.learn.model
        return [layer for layer in (head[-1], body) if isinstance(layer, (HistogramRange, BodyWithMaps))]

    def before_batch(self) -> None:
        for layer in self._layers:
            layer.with_logits = not hasattr(self.learn, "gather_preds")  # fastai's callback of get_preds

    def after_pred(self) -> None:
        for layer in self._layers:
            if isinstance(layer, BodyWithMaps) and layer.with_logits:
                self.learn.pred = torch.cat([self.learn.pred, layer.logits.flatten(1)], dim=1)
                layer.logits = torch.empty(0)  # or the graph of the batch would stay in memory
            layer.with_logits = False


class WeighRows(Callback):
    """Tells the TaskLoss how much the rows of a training batch count; the validation loss weighs all the same."""

    def before_batch(self) -> None:
        weights = getattr(self.dl, "row_weights", None) if self.training else None
        if weights is not None:
            rows = self.dl.batch_rows
            weights = weights.to(rows.device)[rows]
        self.learn.loss_func.row_weights = weights


class TargetError(Metric):
    """The mean error of one target in its unit, over what is labelled in the validation part.

    Points need the views of the images, which a PictureDL has; with another loader their error is NaN.

    Args:
        task: The task.
        index: Position of the target among the task's.
    """

    def __init__(self, task: Task, index: int):
        self.task, self.index, self.target = task, index, task.targets[index]
        self.reset()

    @property
    def name(self) -> str:
        """A name with "error" in it, which fastai knows to minimise."""
        return f"{self.target.name}_error"

    def reset(self) -> None:
        """Begin an epoch."""
        self.total, self.count = 0.0, 0

    def accumulate(self, learn: Learner) -> None:
        """Add the newest batch."""
        has_views = self.target.in_image and hasattr(learn.dl, "batch_views")
        errors = self.errors(learn.pred, *learn.yb, views=learn.dl.batch_views(self.task) if has_views else None)
        self.total += np.nansum(errors)
        self.count += np.isfinite(errors).sum()

    @property
    def value(self) -> float:
        """The mean so far; NaN before anything labelled was seen."""
        return self.total / self.count if self.count else float("nan")

    def errors(self, predicted: torch.Tensor, *labels: torch.Tensor, views: np.ndarray | None = None) -> np.ndarray:
        """The error of each image.

        Args:
            predicted: Outputs, [n, n_out].
            *labels: A tensor for each target, as a batch holds them.
            views: [n, 4] of the images, or [1, 4]; without them the error of points is NaN.

        Returns:
            [n] in units; NaN where there is no label.
        """
        views = np.full((1, 4), np.nan) if views is None else views
        outputs = self.task.split(predicted.detach().float().cpu().numpy())[self.index]
        true = self.target.from_batch(to_plain_tensor(labels[self.index]).cpu().numpy().astype(np.float64), views)
        return self.target.error(self.target.decode(outputs, views), true)
