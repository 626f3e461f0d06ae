"""Small models on a run's own split, to show what its network is worth: two ridges, and a CNN from random weights.

Each is a Predictor with another network, so that images, decoding and errors are those of the run.
"""
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold
from torch import nn

from ..config import TrainConfig
from ..data import splits
from ..inference.predictor import Predictor
from ..models import backbones, network, weights
from ..runs import Run
from ..tasks import Task
from ..training.losses import TaskLoss, mean_encoded
from ..utils.format import format_value
from ..utils.messages import ImgregError, progress_bar, say, warn
from . import metrics

FILE = "baselines.json"
SCORES = ("unit", "mean", "median", "rmse")
MAX_PICTURES = 5000  # of the training part
MIN_SIDE = 8  # pixels: the CNN halves them three times
PIXEL_STATS = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))  # mean and standard deviation that leave pixels in [0, 1]

RIDGE_SIDE = 32  # the long side of the images of the ridge on pixels
MAX_AXES = 512  # principal components that a ridge is fitted to
RIDGE_ALPHAS = np.logspace(-1, 6, 8)  # to choose from, for features of variance 1
FOLDS = 5  # to choose by, where there are groups
MIN_LABELS = 5  # of an output, to fit a ridge
GRID = 3  # cells a side, by which a feature map is pooled for points

CNN_SIDE = 64  # the long side of the CNN's images
CNN_CHANNELS = (16, 32, 64)
CNN_PICTURES = 40_000  # shown in all: about a minute
CNN_EPOCHS = (8, 40)  # at least, and at most
CNN_LR, CNN_BS = 5e-3, 32


def load_or_measure(run: Run, device: str = "cpu") -> dict[str, dict]:
    """Return {baseline: {target: {unit, mean, median, rmse}}} on the validation part, measured once for a run.

    Raises:
        ImgregError: If baselines.json cannot be read, and as `measure` does.
    """
    if not (run.path / FILE).is_file():
        run.write(FILE, measure(run, device))
    return run.read_json(FILE)


def measure(run: Run, device: str = "cpu") -> dict[str, dict]:
    """Fit the baselines to the training part of a run and score them on its validation part, see load_or_measure.

    Raises:
        ImgregError: If no image of a part can be opened.
    """
    task, frame, cfg = run.task, run.labels, run.config
    train_rows, valid_rows = (frame[frame["split"] == part] for part in ("train", "valid"))
    if len(train_rows) > MAX_PICTURES:
        say(f"the baselines learn from {MAX_PICTURES:,} of {len(train_rows):,} training images")
    rows = train_rows.sample(min(MAX_PICTURES, len(train_rows)), random_state=cfg.seed)

    def score(model: Predictor) -> dict:
        predictions = metrics.predictions(model, valid_rows)
        if predictions.empty:
            raise ImgregError("images of the validation part", f"none that can be opened among {len(valid_rows)}")
        scores = metrics.score(model.task, predictions, train_rows)
        return {name: {key: s[key] for key in SCORES if key in s} for name, s in scores.items() if s["n"]}

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.seed)
        body, body_name = _initial_body(run)
        features, stats = Features(body, task.has_points), backbones.stats(cfg.arch)
        return {"ridge on pixels": score(ridge(_shrink(task, RIDGE_SIDE), nn.Flatten(), PIXEL_STATS, rows, device)),
                f"ridge on {body_name}": score(ridge(task, features, stats, rows, device)),
                "small CNN": score(cnn(_shrink(task, CNN_SIDE), cfg, rows, device))}


def format_baselines(baselines: dict[str, dict]) -> str:
    """Write a line for each baseline: "ridge on pixels: angle error 41.2°"."""
    lines = []
    for baseline, targets in baselines.items():
        errors = [f"{name} error {format_value(s.get('mean', np.nan), s['unit'])}" for name, s in targets.items()]
        lines.append(f"{baseline}: {', '.join(errors)}")
    return "\n".join(lines)


def _shrink(task: Task, side: int) -> Task:
    """Return the task with images whose long side has `side` pixels, unless it has fewer."""
    scale = min(1.0, side / max(task.size))
    height, width = (max(min(MIN_SIDE, n), round(scale * n)) for n in task.size)
    return replace(task, size=(height, width))


# ---- images and labels


def _labels(task: Task, rows: pd.DataFrame, views: np.ndarray) -> tuple[torch.Tensor, ...]:
    """Return the labels of each target as a batch holds them, tensors [n, columns]."""
    return tuple(torch.tensor(t.to_batch(rows[list(t.columns)].to_numpy(float), views), dtype=t.label_dtype)
                 for t in task.targets)


def _predictor(task: Task, body: nn.Module, head: nn.Module, stats: tuple, device: str) -> Predictor:
    about = {"mean": list(stats[0]), "std": list(stats[1])}
    return Predictor(task, nn.Sequential(body, head).eval().to(device), about, device)


# ---- ridges


def ridge(task: Task, body: nn.Module, stats: tuple, rows: pd.DataFrame, device: str = "cpu") -> Predictor:
    """Fit a ridge from the features of a network to encoded labels.

    Args:
        task: The task.
        body: Images [n, 3, h, w] -> features [n, F].
        stats: Mean and standard deviation that pixels are normalised by.
        rows: Labels with `path`.
        device: Where the network is.

    Returns:
        The model: `body`, and the ridge for its head.

    Raises:
        ImgregError: If no image can be opened.
    """
    rows, output = metrics.network_outputs(_predictor(task, body, nn.Identity(), stats, device), rows, features=True)
    if rows.empty:
        raise ImgregError("images of the training part", "none that can be opened")
    labels = zip(task.targets, _labels(task, rows, output.views), strict=True)
    encoded = torch.cat([t.encode_labels(y).float() for t, y in labels], dim=1).numpy()
    groups = pd.factorize(splits.split_units(rows))[0]
    slopes, intercepts = fit_ridge(task, output.features, encoded, groups)
    linear = nn.Linear(*slopes.shape)
    linear.weight.data, linear.bias.data = (torch.tensor(v, dtype=torch.float32) for v in (slopes.T, intercepts))
    head = nn.Sequential(linear, nn.Hardtanh(*network.Y_RANGE))  # the network's outputs have the same range
    return _predictor(task, body, head, stats, device)


def fit_ridge(task: Task, features: np.ndarray, encoded: np.ndarray,
              groups: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fit a ridge for each target.

    It is fitted to the first principal components of the features, all on one scale: on a scale of their own,
    features that are hardly ever active become huge where they are.

    Args:
        task: The task.
        features: Array [n, F].
        encoded: Encoded labels, array [n, n_out], NaN without a label. Outputs of a target that are not labelled in
            the same rows have a ridge each; those with fewer than MIN_LABELS are constant.
        groups: Array [n]; the strength of the ridge is chosen on groups left out.

    Returns:
        Slopes [F, n_out] and intercepts [n_out].
    """
    scale = float(features.std()) or 1.0
    pca = PCA(min(*features.shape, MAX_AXES), random_state=0)
    z = pca.fit_transform(features / scale)
    slopes = np.zeros((z.shape[1], task.n_out))
    intercepts = np.array(pd.DataFrame(encoded, dtype=float).mean().fillna(0.0))  # of outputs with too few labels
    for target_outputs in task.split(np.arange(task.n_out)):
        masks, mask_of = np.unique(np.isfinite(encoded[:, target_outputs]), axis=1, return_inverse=True)
        for i, labelled in enumerate(masks.T):
            outputs = target_outputs[mask_of.ravel() == i]
            if labelled.sum() >= MIN_LABELS:
                model = _ridge_model(groups[labelled]).fit(z[labelled], encoded[np.ix_(labelled, outputs)])
                slopes[:, outputs] = np.reshape(model.coef_, (len(outputs), -1)).T
                intercepts[outputs] = model.intercept_
    slopes = pca.components_.T.astype(float) @ slopes / scale
    return slopes, intercepts - scale * pca.mean_ @ slopes


def _ridge_model(groups: np.ndarray) -> RidgeCV:
    """Return a ridge that chooses its strength on groups [n] left out, or on single rows if there are none."""
    n = len(np.unique(groups))
    if not 1 < n < len(groups):
        return RidgeCV(RIDGE_ALPHAS)
    folds = GroupKFold(min(FOLDS, n)).split(groups, groups=groups)
    return RidgeCV(RIDGE_ALPHAS, cv=list(folds), scoring="neg_mean_squared_error")


class Features(nn.Module):
    """The pooled features of a timm body.

    Args:
        body: The timm body.
        has_points: Whether to pool each of GRID x GRID cells of its last feature map by itself, because pooling over
            the whole image loses where things are.
    """

    def __init__(self, body: nn.Module, has_points: bool):
        super().__init__()
        self.body, self.has_points = body, has_points

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Images [n, 3, h, w] -> [n, F]."""
        if self.has_points:
            features = network.channels_last(self.body, self.body.forward_features(x))  # type: ignore[operator]
            if features.ndim == 4:
                return nn.functional.adaptive_avg_pool2d(features.permute(0, 3, 1, 2).float(), GRID).flatten(1)
        return self.body(x).float()


def _initial_body(run: Run) -> tuple[nn.Module, str]:
    """Build the backbone with the weights that a run began with, and name its features.

    The weights are random if the run began with random ones, or if its own cannot be loaded again, after a warning.
    """
    cfg, initial, source = run.config, run.about.get("weights") or {}, weights.Weights("none")
    if initial.get("kind", "none") != "none":
        try:
            source = weights.find_weights(cfg.arch, "hub" if initial["kind"] in ("hub", "cache") else cfg.weights)
            if source.sha256 != initial.get("sha256"):
                raise ImgregError("the same weights", f"others in {source.source}")
        except ImgregError as e:
            source = weights.Weights("none")
            warn(f"the weights that {run.path} began with cannot be loaded again ({e.actual}): "
                 "its baseline has random ones")
    body = backbones.build(cfg.arch, run.task.size, cfg.arch_args)
    source = weights.load_body(body, cfg.arch, source)
    weights_name = source.tag or source.source if source.pretrained else "random weights"
    return body, f"the features of {cfg.arch} ({weights_name})"


# ---- a CNN


def cnn(task: Task, cfg: TrainConfig, rows: pd.DataFrame, device: str = "cpu") -> Predictor:
    """Train three blocks of convolution and a linear layer from random weights, by the loss of the run.

    It is one cycle of AdamW that shows about CNN_PICTURES.

    Args:
        task: The task.
        cfg: The settings of the run, for its loss.
        rows: Labels with `path`, of images of which some can be opened.
        device: Where to train.
    """
    reader = _predictor(task, nn.Flatten(), nn.Identity(), PIXEL_STATS, "cpu")
    rows, output = metrics.network_outputs(reader, rows, features=True)
    pixels, labels = torch.from_numpy(output.features).reshape(-1, 3, *task.size), _labels(task, rows, output.views)
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise((3, *CNN_CHANNELS)):
        layers += [nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(), nn.MaxPool2d(2)]
    body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    head = network.head(CNN_CHANNELS[-1], task.n_out, mean_encoded(task, labels))
    net = nn.Sequential(body, head).to(device)
    loss = TaskLoss(task, "l1" if cfg.loss == "histogram" else cfg.loss, labels, balance=cfg.balance)
    n, bs = len(pixels), min(CNN_BS, len(pixels))
    epochs = int(np.clip(CNN_PICTURES // n, *CNN_EPOCHS))
    optimiser = torch.optim.AdamW(net.parameters(), lr=CNN_LR)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, CNN_LR, total_steps=epochs * (n // bs))
    for _ in progress_bar(range(epochs), epochs, "training a small CNN"):
        for batch in torch.randperm(n)[: n // bs * bs].split(bs):  # an epoch leaves out less than a batch
            optimiser.zero_grad()
            loss(net(pixels[batch].to(device)), *(y[batch].to(device) for y in labels)).backward()
            optimiser.step()
            schedule.step()
    return _predictor(task, body, head, PIXEL_STATS, device)
