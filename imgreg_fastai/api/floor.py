"""The floor of a training: a ridge on the frozen features of its backbone, which is fitted before anything is trained.

With --quick it is the model of the run. In other runs its predictions are kept, to be scored beside the network's.
"""
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import nn

from ..data.images import warn_broken
from ..evaluation import metrics, ridge
from ..evaluation.feature_cache import frozen_features
from ..inference import model_file
from ..inference.predictor import NetworkOutput, Predictor
from ..models import backbones
from ..models.backbones import short_reason
from ..models.features import GRID, FrozenFeatures
from ..runs import Run
from ..tasks import Array
from ..utils.format import format_value
from ..utils.messages import ImgregError, say, warn
from .preparation import TrainingPlan, refuse

FILE = "ridge_predictions.csv"  # of a run
NAME, RANDOM_NAME = "ridge on frozen features", "ridge on frozen random features"
SECONDS = {"pretrained": 120.0, "random": 30.0}  # for the features, beside a training; at most SHARE of its --time
SHARE = 0.1
DETERMINISTIC_IMAGES = 500  # of each part, where nothing may depend on timing
MIN_IMAGES = 10  # to fit a ridge to, beside a training
# Fewer training images than these are named. A rule of thumb, not measured: an epoch of so few is a step or two.
TOO_FEW = {"pretrained": 20, "random": 50}
# Settings of a training by epochs, that --quick has no use for.
UNUSED = ("epochs", "time", "freeze_epochs", "patience", "stop_at", "lr", "body_lr", "loss", "wd", "accumulate",
          "balance", "save_minutes", "fixed_norm")


class Floor(NamedTuple):
    """A ridge, and what it predicts for the images that it was not fitted to.

    Args:
        model: The network: frozen features, and the ridge as its head.
        predictions: Of the parts valid and test, see metrics.predictions.
        n_images: That it was fitted to.
    """

    model: Predictor
    predictions: pd.DataFrame
    n_images: int


def refuse_unused(options: dict) -> None:
    """Raise ImgregError for settings that --quick has no use for."""
    if options.get("quick"):
        refuse({name: options.get(name) for name in UNUSED}, "without --quick, which trains nothing by steps",
               "--quick")


def build_model(plan: TrainingPlan, body: nn.Module, device: str, weights: dict) -> Predictor:
    """Return the frozen features of a backbone, without a head, as a model; the backbone is left in eval mode."""
    task, config = plan.task, plan.config
    frozen = FrozenFeatures(body.to(device), task.size, GRID)
    about = model_file.model_metadata(task, config.arch, config.arch_args, backbones.stats(config.arch), weights,
                                      frozen_grid=frozen.grid)
    return Predictor(task, nn.Sequential(frozen, nn.Identity()), about, device)


def fit(plan: TrainingPlan, model: Predictor, seconds: float | None = None,
        most_images: int = ridge.MAX_PICTURES) -> Floor:
    """Fit the ridge.

    Args:
        plan: With its rows split.
        model: Of `build_model`.
        seconds: The most time for the features; the parts are made smaller for it. None: all of them.
        most_images: Of each part.

    Returns:
        The ridge.

    Raises:
        ImgregError: No image of the training part can be opened, or there was time for fewer than MIN_IMAGES.
    """
    seed = plan.config.seed
    parts = [rows.sample(min(most_images, len(rows)), random_state=seed) for part, rows in plan.rows.groupby("split")
             if part != "calibrate"]
    rows = pd.concat(parts).sample(frac=1, random_state=seed)  # so that each part has its share of the time
    rows, output = frozen_features(model, rows, seconds)
    is_train = (rows["split"] == "train").to_numpy()
    n_train = int(is_train.sum())
    if seconds is None:
        warn_broken(list(output.broken.values()), len(rows) + len(output.broken))
    elif n_train < MIN_IMAGES:
        raise ImgregError(f"features of {MIN_IMAGES} training images within {seconds:.0f} s", str(n_train))
    if not n_train:
        raise ImgregError("images of the training part", "none that can be opened")
    outputs = _fit_head(model, rows, output, is_train)
    held_out = rows[~is_train].reset_index(drop=True)
    predictions = metrics.compare_to_labels(model, held_out, NetworkOutput(outputs, output.views[~is_train], {}))
    return Floor(model, predictions, n_train)


def _fit_head(model: Predictor, rows: pd.DataFrame, output: NetworkOutput, is_train: Array) -> Array:
    """Give a model its head, fitted to the features of the rows that train; returns its outputs for the others."""
    task = model.task
    frozen: Any = model.network[0]
    # Pooled features cannot tell left from right, as ImageNet's flips have taught them; a few images are better off
    # with fewer features. Points always need to know where things are.
    widths = [frozen.head_hidden_size] if task.has_points else sorted({frozen.n_pooled, frozen.head_hidden_size})
    with torch.random.fork_rng(devices=[]):  # the training's random numbers stay as they are
        head = ridge.fit_head(task, rows[is_train], output.features[is_train], output.views[is_train], widths).eval()
    linear: Any = head[0]
    width = linear.in_features
    if width < frozen.head_hidden_size:
        frozen = FrozenFeatures(frozen.timm_body, task.size)
        model.about["frozen_grid"] = 1
    with torch.inference_mode():
        outputs = head(torch.from_numpy(output.features[~is_train, :width])).numpy()
    model.network = nn.Sequential(frozen, head.to(model.device))
    return outputs


def measure(run: Run, plan: TrainingPlan, body: nn.Module, device: str) -> None:
    """Fit the ridge before a training, say its validation error, and keep its predictions in the run folder.

    Args:
        run: The run.
        plan: Its plan.
        body: Its body, before it is trained.
        device: Where the body is.
    """
    weights, config = run.about["weights"], plan.config
    kind = "pretrained" if weights["kind"] != "none" else "random"
    seconds = min(SECONDS[kind], SHARE * config.time if config.time else SECONDS[kind])
    n_train = int((plan.rows["split"] == "train").sum())
    if n_train < MIN_IMAGES:
        return
    model = build_model(plan, getattr(body, "timm_body", body), device, weights)
    try:
        floor = fit(plan, model, None, DETERMINISTIC_IMAGES) if config.deterministic else fit(plan, model, seconds)
    except (ImgregError, RuntimeError, ValueError, ArithmeticError, MemoryError) as e:  # the training needs no ridge
        warn(f"no {name_of(weights)}: {short_reason(e)}")
        return
    run.write(FILE, metrics.predictions_table(plan.task, floor.predictions))
    run.note(ridge={"name": name_of(weights), "images": floor.n_images})
    scores = say_scores(floor, plan, weights)
    if n_train < TOO_FEW[kind]:
        what = "random weights" if kind == "random" else "pretrained weights"
        warn(f"{n_train} images are few for training {config.arch} from {what}, which takes {TOO_FEW[kind]} or more; "
             f"--quick gives {scores}")


def name_of(weights: dict) -> str:
    """What the ridge on features of these weights is called; `weights` as in run.json."""
    return NAME if weights["kind"] != "none" else RANDOM_NAME


def say_scores(floor: Floor, plan: TrainingPlan, weights: dict) -> str:
    """Say the validation error of a ridge beside that of guessing, and return both."""
    train_rows = plan.rows[plan.rows["split"] == "train"]
    valid = floor.predictions[floor.predictions["split"] == "valid"]
    scores = metrics.score(plan.task, valid, metrics.add_views(plan.task, train_rows))
    text = ", ".join(metrics.format_score(name, numbers) for name, numbers in scores.items())
    of_all = "" if floor.n_images >= len(train_rows) else f" of {floor.n_images:,} of {len(train_rows):,} images"
    say(f"{name_of(weights)}{of_all}: {text}")
    return text


# ---- after the training


def read_predictions(run: Run) -> pd.DataFrame | None:
    """Read the ridge's predictions of a run; None if it has none."""
    if "ridge" not in run.about or not (run.path / FILE).is_file():
        return None
    return run.read_table(FILE, ["split", *(f"{t.name}_error" for t in run.task.targets)])


def warn_if_better(run: Run) -> None:
    """Say for which targets the ridge is at least as good as the network of a scored run, and what to do."""
    targets = []
    for name, scores in run.scores.get("valid", {}).items():
        if scores.get("ridge", float("inf")) <= scores.get("mean", 0.0):
            network, floor = (format_value(scores[key], scores["unit"]) for key in ("mean", "ridge"))
            targets.append(f"{name} error {floor} (the network: {network})")
    if targets:
        warn(f"the {run.about['ridge']['name']} is as good as the trained network, or better: {', '.join(targets)}; "
             f"train longer (--epochs {2 * run.config.epochs}), or keep the ridge (--quick)")
