"""The floor of a training: a ridge on the frozen features of its backbone, which is fitted before anything is trained.

Its predictions are kept, to be scored beside the network's.
"""
from torch import nn

from ..evaluation import metrics, ridge
from ..evaluation.feature_cache import frozen_features
from ..evaluation.frozen_ridge import FILE, FrozenRidge, build_model, fit, name_of, sample_rows
from ..models.backbones import short_reason
from ..runs import Run
from ..training.recipe import longer_training
from ..utils.format import format_value
from ..utils.messages import ImgregError, say, warn
from .plan import TrainingPlan

SECONDS = {"pretrained": 120.0, "random": 30.0}  # for the features, beside a training; at most SHARE of its --time
SHARE = 0.1
DETERMINISTIC_IMAGES = 500  # of the training part, where nothing may depend on timing
MIN_IMAGES = 10  # to fit a ridge to
# Fewer training images than these are named. A rule of thumb, not measured: an epoch of so few is a step or two.
TOO_FEW = {"pretrained": 20, "random": 50}


def measure(run: Run, plan: TrainingPlan, body: nn.Module, device: str) -> None:
    """Fit the ridge before a training, say its validation error, and keep its predictions in the run folder.

    A training of few images is warned of, whether there is a ridge or not.

    Args:
        run: The run.
        plan: Its plan.
        body: Its body, before it is trained.
        device: Where the body is.
    """
    weights = run.about["weights"]
    kind = "pretrained" if weights["kind"] != "none" else "random"
    n_train, scores = int((plan.rows["split"] == "train").sum()), ""
    if n_train >= MIN_IMAGES:
        try:
            floor = _fit_in_time(run, plan, getattr(body, "timm_body", body), device, SECONDS[kind])
        except (ImgregError, RuntimeError, ValueError, ArithmeticError, MemoryError) as e:  # it needs no ridge
            warn(f"no {name_of(weights)}: {short_reason(e)}")
        else:
            run.write(FILE, metrics.predictions_table(plan.task, floor.predictions))
            run.note(ridge={"name": name_of(weights), "images": floor.n_images})
            scores = f"; --quick gives {say_scores(floor, plan, weights)}"
    if n_train < TOO_FEW[kind]:
        what = "random weights" if kind == "random" else "pretrained weights"
        warn(f"{n_train} images are few for training {plan.config.arch} from {what}, which takes {TOO_FEW[kind]} or "
             f"more{scores}")


def _fit_in_time(run: Run, plan: TrainingPlan, body: nn.Module, device: str, seconds: float) -> FrozenRidge:
    """Fit the ridge to as many images as the time allows; what is held out comes first."""
    config = plan.config
    n_train = DETERMINISTIC_IMAGES if config.deterministic else ridge.MAX_PICTURES
    rows = sample_rows(plan.rows, config.seed, ("valid", "train", "test"), n_train)
    model = build_model(plan.task, config, body, run.about, len(rows), device)
    limit = None if config.deterministic else min(seconds, SHARE * config.time) if config.time else seconds
    rows, output = frozen_features(model, rows, limit)
    n_reached = int((rows["split"] == "train").sum())
    if limit is not None and n_reached < MIN_IMAGES:
        raise ImgregError(f"features of the validation images and {MIN_IMAGES} training images within {limit:.0f} s",
                          f"those of {len(rows)} images, {n_reached} of them to train on")
    return fit(model, rows, output)


def say_scores(floor: FrozenRidge, plan: TrainingPlan, weights: dict) -> str:
    """Say the validation error of a ridge beside that of guessing, and return both."""
    train_rows, n_valid = plan.rows[plan.rows["split"] == "train"], int((plan.rows["split"] == "valid").sum())
    valid = floor.predictions[floor.predictions["split"] == "valid"]
    scores = metrics.score(plan.task, valid, metrics.add_views(plan.task, train_rows))
    text = ", ".join(metrics.format_score(name, numbers) for name, numbers in scores.items())
    of_all = "" if floor.n_images >= len(train_rows) else f" of {floor.n_images:,} of {len(train_rows):,} images"
    on_all = "" if len(valid) >= n_valid else f", on {len(valid):,} of {n_valid:,} validation images"
    say(f"{name_of(weights)}{of_all}{on_all}: {text}")
    return text


def warn_if_better(run: Run) -> None:
    """Say for which targets the ridge is at least as good as the network of a scored run, and what to do."""
    targets = []
    for name, scores in run.scores.get("valid", {}).items():
        if scores.get("ridge", float("inf")) <= scores.get("mean", 0.0):
            network, floor = (format_value(scores[key], scores["unit"]) for key in ("mean", "ridge"))
            targets.append(f"{name} error {floor} (the network: {network})")
    if targets:
        longer = longer_training(run.config, run.about.get("recipe") or {})
        warn(f"the {run.about['ridge']['name']} is as good as the trained network, or better: {', '.join(targets)}; "
             f"train longer ({longer}), or keep the ridge (--quick)")
