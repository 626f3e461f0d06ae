"""Small models on a run's own split, to tell what its network is worth: two ridges, and a CNN from random weights.

Each is a Predictor with another network, so that its pictures, its decoding and its errors are the run's own.
"""
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import GroupKFold
from torch import nn

from ..config import TrainConfig
from ..data import splits
from ..data.images import PictureError, fit_images
from ..inference.predictor import Predictor
from ..models import backbones, loading, network, weights
from ..runs import Run
from ..tasks import Task
from ..training.losses import TaskLoss, encode_labels, mean_encoded
from ..utils.console import progress_bar, say, warn
from ..utils.errors import ImgregError
from . import metrics

FILE = "baselines.json"
MOST = 5000  # training pictures that they learn from
KEPT = ("unit", "mean", "median", "rmse")
PLAIN = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))  # pixels in [0, 1]
PIXELS, SEEN = 32, 64  # the long side of the pictures of the ridge, and of the CNN
SHORT = 8  # pixels at least of the short one: the CNN halves it three times
AXES = 512  # directions in which features differ most; a ridge learns from no more
STRENGTHS = np.logspace(-1, 6, 8)  # of a ridge on features that vary by 1, to choose from
PARTS = 5  # of the training part, to choose by where there are groups
FEWEST = 5  # labels that a ridge is worth
GRID = 3  # places a side of the last features' map, where places are wanted
WIDTHS = (16, 32, 64)  # channels of the CNN
SHOWN = 40_000  # pictures that the CNN is shown in all, about a minute,
EPOCHS = (8, 40)  # in no fewer and no more epochs than these
RATE, BATCH = 5e-3, 32


def load_or_measure(run: Run, device: str = "cpu") -> dict:
    """{name: {target: {unit, mean, median, rmse}}} on the run's validation part; measured once, see `measure`.

    They are kept in RUN/baselines.json. Raises ImgregError for a file of that name that is none.
    """
    if not (run.path / FILE).is_file():
        run.write(FILE, measure(run, device))
    return run.baselines


def measure(run: Run, device: str = "cpu") -> dict:
    """Fit each to the run's training part, of which at most MOST pictures are taken, and score it as the run is scored.

    Seeded by the run's seed. Raises ImgregError where no picture of a part can be opened.
    """
    frame, cfg = run.labels, run.config
    trained, judged = (frame[frame["split"] == part] for part in ("train", "valid"))
    if len(trained) > MOST:
        say(f"the baselines learn from {MOST:,} of {len(trained):,} training pictures")
    rows, found = trained.sample(min(MOST, len(trained)), random_state=cfg.seed), {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.seed)
        body, words = _body(run)
        pixels = _smaller(run.task, PIXELS)
        fits = {"ridge on pixels": lambda: ridge(pixels, nn.Flatten(), PLAIN, rows, device),
                f"ridge on {words}": lambda: ridge(run.task, Features(body, run.task.has_points),
                                                   backbones.stats(cfg.arch), rows, device),
                "small CNN": lambda: cnn(_smaller(run.task, SEEN), cfg, rows, device)}
        for name, fit in fits.items():
            found[name] = _scored(fit(), judged, trained)
    return found


def _scored(model: Predictor, judged: pd.DataFrame, trained: pd.DataFrame) -> dict:
    result = metrics.predictions(model, judged)
    if result.empty:
        raise ImgregError("pictures of the validation part", f"none that can be opened among {len(judged)}")
    scores = metrics.score(model.task, result, trained)
    return {name: {key: s[key] for key in KEPT if key in s} for name, s in scores.items() if s["n"]}


def as_lines(found: dict) -> list[str]:
    """A line for each: "ridge on pixels: angle error 41.2°"."""
    return [f"{name}: " + ", ".join(f"{t} error {metrics.format_value(s.get('mean', np.nan), s['unit'])}"
                                    for t, s in load_or_measure.items()) for name, load_or_measure in found.items()]


def _smaller(task: Task, side: int) -> Task:
    """The task on pictures whose long side has so many pixels, if that is fewer than it has."""
    scale = min(1.0, side / max(task.size))
    return replace(task, size=tuple(max(min(SHORT, n), round(scale * n)) for n in task.size))


def _body(run: Run) -> tuple[nn.Module, str]:
    """The backbone with the weights that the run began with, and what its features are called.

    Random weights where it began with none, or with some that are not to be had again, which is said.
    """
    cfg, began, given = run.config, run.about.get("weights") or {}, weights.Weights("none")
    if began.get("kind", "none") != "none":
        try:
            given = weights.find_weights(cfg.arch, "hub" if began["kind"] in ("hub", "cache") else cfg.weights)
            if given.sha256 != began.get("sha256"):
                raise ImgregError("the same weights", f"others in {given.source}")
        except ImgregError as e:
            given = weights.Weights("none")
            warn(f"the weights that {run.path} began with are not to be had again ({e.actual}): "
                 "its baseline has random ones")
    body = backbones.build(cfg.arch, run.task.size, cfg.arch_args)
    given = loading.load_body(body, cfg.arch, given)
    source = given.tag or given.source
    return body, f"the features of {cfg.arch} ({source if given.pretrained else 'random weights'})"


class Features(nn.Module):
    """A timm body that learns nothing: pictures -> its pooled features [n, F]; with `places` a coarse map of them.

    Pooling over the picture forgets places: where the body's last features are a map, each of GRID x GRID parts of it
    is pooled by itself.
    """

    def __init__(self, body: nn.Module, places: bool):
        super().__init__()
        self.body, self.places = body, places

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """[n, 3, h, w] -> [n, F]."""
        if self.places:
            seen = network.channels_last(self.body, self.body.forward_features(x))
            if seen.ndim == 4:
                return nn.functional.adaptive_avg_pool2d(seen.permute(0, 3, 1, 2).float(), GRID).flatten(1)
        return self.body(x).float()


def _labels(task: Task, rows: pd.DataFrame, views: np.ndarray) -> tuple[torch.Tensor, ...]:
    """For each target the labels as a batch holds them, [n, columns]: points in [-1, 1], all else in units."""
    values = [(t, rows[list(t.columns)].to_numpy(float)) for t in task.targets]
    return tuple(torch.tensor(t.to_batch(y, views), dtype=t.label_dtype) for t, y in values)


# ---- ridges


def ridge(task: Task, trunk: nn.Module, stats: tuple, rows: pd.DataFrame, device: str = "cpu") -> Predictor:
    """A ridge from what `trunk` makes of the pictures to the encoded labels of `rows`.

    `stats`: the mean and standard deviation that its pixels are normalised by. Raises ImgregError if none opens.
    """
    about = {"mean": list(stats[0]), "std": list(stats[1])}
    model = Predictor(task, nn.Sequential(trunk, nn.Identity()).eval().to(device), about, device)
    rows, made = metrics.network_outputs(model, rows, features=True)
    if rows.empty:
        raise ImgregError("pictures of the training part", "none that can be opened")
    wanted = [encode_labels(t, y) for t, y in zip(task.targets, _labels(task, rows, made.views), strict=True)]
    slopes, start = fit_ridge(task, made.features, torch.cat(wanted, dim=1).numpy(), pd.factorize(splits.split_units(rows))[0])
    linear = nn.Linear(*slopes.shape)
    linear.weight.data, linear.bias.data = (torch.from_numpy(v).float() for v in (slopes.T.copy(), start))
    head = nn.Sequential(linear, nn.Hardtanh(*network.Y_RANGE))  # no further off than the network can be
    return replace(model, network=nn.Sequential(trunk, head).eval().to(device))


def fit_ridge(task: Task, x: np.ndarray, y: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes [F, n_out] and intercepts [n_out] from features [n, F] to encoded labels [n, n_out], NaN where missing.

    One ridge for each target, or for those outputs of it that are labelled in the same rows; on the features' AXES
    first principal components, all on one scale: with a scale for each, features that hardly ever fire become huge
    where they do. What is hardly ever labelled gets its mean.
    """
    scale = float(x.std()) or 1.0
    found = PCA(min(*x.shape, AXES), random_state=0)
    z = found.fit_transform(x / scale)
    slopes, start = np.zeros((z.shape[1], task.n_out)), np.zeros(task.n_out)
    for own in task.split(np.arange(task.n_out)):
        masks, of = np.unique(np.isfinite(y[:, own]), axis=1, return_inverse=True)
        for i, known in enumerate(masks.T):
            outputs = own[of.ravel() == i]
            if known.sum() >= FEWEST:
                slopes[:, outputs], start[outputs] = _fitted(z[known], y[known][:, outputs], units[known])
            elif known.any():
                start[outputs] = y[known][:, outputs].mean(axis=0)
    slopes = found.components_.T.astype(float) @ slopes / scale
    return slopes, start - scale * found.mean_ @ slopes


def _fitted(z: np.ndarray, y: np.ndarray, units: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Slopes [k, m] and intercepts [m], the strength chosen by rows left out, of groups whole groups."""
    groups = len(np.unique(units))
    folds = list(GroupKFold(min(PARTS, groups)).split(z, groups=units)) if 1 < groups < len(units) else None
    found = RidgeCV(STRENGTHS, cv=folds, scoring="neg_mean_squared_error" if folds else None).fit(z, y)
    return np.reshape(found.coef_, (y.shape[1], -1)).T, np.broadcast_to(found.intercept_, y.shape[1])


# ---- a CNN


def cnn(task: Task, cfg: TrainConfig, rows: pd.DataFrame, device: str = "cpu") -> Predictor:
    """Three blocks of convolution and a linear layer, from random weights, by the loss that the run was trained with.

    Raises ImgregError if no picture opens.
    """
    rows, pixels, views = _opened(task, rows)
    labels = _labels(task, rows, views)
    blocks = [layer for of in zip((3, *WIDTHS), WIDTHS, strict=False) for layer in _block(*of)]
    trunk = nn.Sequential(*blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    net = nn.Sequential(trunk, network.head(WIDTHS[-1], task.n_out, mean_encoded(task, labels))).to(device)
    _train(net, pixels, labels, TaskLoss(task, cfg.loss, labels, balance=cfg.balance), device)
    return Predictor(task, net.eval(), {"mean": list(PLAIN[0]), "std": list(PLAIN[1])}, device)


def _block(before: int, after: int) -> tuple[nn.Module, ...]:
    convolution = nn.Conv2d(before, after, 3, padding=1, bias=False)
    return convolution, nn.BatchNorm2d(after), nn.ReLU(), nn.MaxPool2d(2)


def _opened(task: Task, rows: pd.DataFrame) -> tuple[pd.DataFrame, torch.Tensor, np.ndarray]:
    """The rows whose pictures open, their pixels, uint8 [n, 3, h, w], and their views [n, 4]."""
    boxes = rows[list(task.box)].to_numpy(float) if task.box else None
    opened = list(progress_bar(fit_images(list(rows["path"]), task, boxes), len(rows), f"reading {len(rows)} pictures"))
    whole = [not isinstance(one, PictureError) for one in opened]
    if not any(whole):
        raise ImgregError("pictures of the training part", "none that can be opened")
    pixels = torch.from_numpy(np.stack([one.pixels for one, ok in zip(opened, whole, strict=True) if ok]))
    views = np.stack([one.view for one, ok in zip(opened, whole, strict=True) if ok])
    return rows[whole].reset_index(drop=True), pixels.permute(0, 3, 1, 2).contiguous(), views


def _train(net: nn.Module, pixels: torch.Tensor, labels: tuple, loss: nn.Module, device: str) -> None:
    """One cycle of AdamW that shows about SHOWN pictures; the last of an epoch, fewer than a batch, wait their turn."""
    n = len(pixels)
    epochs, size = int(np.clip(SHOWN // n, *EPOCHS)), min(BATCH, n)
    optimiser = torch.optim.AdamW(net.parameters(), lr=RATE)
    plan = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=epochs * (n // size))
    net.train()
    for _ in progress_bar(range(epochs), epochs, "training a small CNN"):
        for chosen in torch.randperm(n)[: n // size * size].split(size):
            optimiser.zero_grad()
            outputs = net(pixels[chosen].to(device).float() / 255)
            loss(outputs, *(y[chosen].to(device) for y in labels)).backward()
            optimiser.step()
            plan.step()
