"""Small models on a run's own split, to show what its network is worth: ridges, and a CNN from random weights.

Each is a Predictor with another network, so that images, decoding and errors are those of the run. The ridge on frozen
features is the floor of the run, see frozen_ridge.
"""
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from torch import nn

from ..config import TrainConfig
from ..inference.predictor import Predictor
from ..models import backbones, output_head, weights
from ..runs import Run
from ..tasks import Task
from ..training.losses import TaskLoss, mean_encoded
from ..utils.format import format_value
from ..utils.messages import ImgregError, progress_bar, say, warn
from . import frozen_ridge, metrics, ridge
from .feature_cache import frozen_features

FILE = "baselines.json"
SCORES = ("unit", "mean", "median", "rmse")
MIN_SIDE = 8  # pixels: the CNN halves them three times
PIXEL_STATS = ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0))  # mean and standard deviation that leave pixels in [0, 1]

RIDGE_SIDE = 32  # the long side of the images of the ridge on pixels

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

    A run of --quick is the ridge on frozen features itself, which is left out.

    Raises:
        ImgregError: If no image of a part can be opened.
    """
    task, frame, cfg = run.task, run.labels, run.config
    train_rows, valid_rows = (frame[frame["split"] == part] for part in ("train", "valid"))
    if len(train_rows) > ridge.MAX_PICTURES:
        say(f"the baselines learn from {ridge.MAX_PICTURES:,} of {len(train_rows):,} training images")
    rows = train_rows.sample(min(ridge.MAX_PICTURES, len(train_rows)), random_state=cfg.seed)

    def score(predictions: pd.DataFrame) -> dict:
        if predictions.empty:
            raise ImgregError("images of the validation part", f"none that can be opened among {len(valid_rows)}")
        scores = metrics.score(task, predictions, train_rows)
        return {name: {key: s[key] for key in SCORES if key in s} for name, s in scores.items() if s["n"]}

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(cfg.seed)
        on_pixels = fit(_shrink(task, RIDGE_SIDE), nn.Flatten(), PIXEL_STATS, rows, device)
        baselines = {"ridge on pixels": score(metrics.predictions(on_pixels, valid_rows))}
        if not cfg.quick:
            name, predictions = _frozen_ridge(run, device)
            baselines[name] = score(predictions)
        small = cnn(_shrink(task, CNN_SIDE), cfg, rows, device)
        return {**baselines, "small CNN": score(metrics.predictions(small, valid_rows))}


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


def _predictor(task: Task, body: nn.Module, head: nn.Module, stats: tuple, device: str) -> Predictor:
    about = {"mean": list(stats[0]), "std": list(stats[1])}
    return Predictor(task, nn.Sequential(body, head).eval().to(device), about, device)


# ---- ridges


def fit(task: Task, body: nn.Module, stats: tuple, rows: pd.DataFrame, device: str = "cpu") -> Predictor:
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
    return _predictor(task, body, ridge.fit_head(task, rows, output.features, output.views), stats, device)


def _frozen_ridge(run: Run, device: str) -> tuple[str, pd.DataFrame]:
    """The name of the ridge on frozen features, and its predictions for the validation part of a run.

    They are those of the run, if it has them for all images that it is scored on.
    """
    task = run.task
    saved = frozen_ridge.read_predictions(run)
    if saved is not None and all("ridge" in s for s in run.scores.get("valid", {}).values() if s["n"]):
        names = {c: f"{c}_predicted" for c in task.columns} | {f"{c}_true": c for c in task.columns}
        return run.about["ridge"]["name"], saved[saved["split"] == "valid"].rename(columns=names)
    body, source = _initial_body(run)
    rows = frozen_ridge.sample_rows(run.labels, run.config.seed)
    model = frozen_ridge.build_model(task, run.config, body, {"weights": source.to_dict()}, len(rows), device)
    fitted = frozen_ridge.fit(model, *frozen_features(model, rows))
    return frozen_ridge.name_of(source.to_dict()), fitted.predictions


def _initial_body(run: Run) -> tuple[nn.Module, weights.Weights]:
    """Build the backbone with the weights that a run began with, and return these, too.

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
    torch.manual_seed(cfg.seed)  # random weights are those of the run
    body = backbones.build(cfg.arch, run.task.size, cfg.arch_args)
    return body, weights.load_body(body, cfg.arch, source)


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
    pixels = torch.from_numpy(output.features).reshape(-1, 3, *task.size)
    labels = ridge.batch_labels(task, rows, output.views)
    layers: list[nn.Module] = []
    for n_in, n_out in pairwise((3, *CNN_CHANNELS)):
        layers += [nn.Conv2d(n_in, n_out, 3, padding=1, bias=False), nn.BatchNorm2d(n_out), nn.ReLU(), nn.MaxPool2d(2)]
    body = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())
    head = output_head.build(CNN_CHANNELS[-1], task.n_out, mean_encoded(task, labels))
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
