"""A ridge on the frozen features of a backbone, as a model: the floor of a training, what --quick fits, and a baseline.

It is the same ridge in all of these, so that a run has one of them.
"""
from typing import Any, NamedTuple

import pandas as pd
import torch
from torch import nn

from ..config import TrainConfig
from ..inference import model_file
from ..inference.predictor import NetworkOutput, Predictor
from ..models import backbones
from ..models.features import FrozenFeatures, choose_grid
from ..runs import Run
from ..tasks import Array, Task
from ..utils.messages import ImgregError
from . import metrics, ridge

FILE = "ridge_predictions.csv"  # of a run
NAME, RANDOM_NAME = "ridge on frozen features", "ridge on frozen random features"
HELD_OUT_IMAGES = 20_000  # at most, of a part that is held out: what is in memory of them has an end


class FrozenRidge(NamedTuple):
    """A ridge, and what it predicts for the images that it was not fitted to.

    Args:
        model: The network: frozen features, and the ridge as its head.
        predictions: Of the parts valid and test, see metrics.predictions.
        n_images: That it was fitted to.
    """

    model: Predictor
    predictions: pd.DataFrame
    n_images: int


def name_of(weights: dict) -> str:
    """What the ridge on features of these weights is called; `weights` as in run.json."""
    return NAME if weights.get("kind", "none") != "none" else RANDOM_NAME


def sample_rows(rows: pd.DataFrame, seed: int, parts: tuple[str, ...] = ("valid", "train"),
                n_train: int = ridge.MAX_PICTURES) -> pd.DataFrame:
    """Draw the rows of a ridge, of each part in random order; the calibration part is never among them.

    Args:
        rows: Labels with their split.
        seed: Of the draw.
        parts: In the order in which features are to be computed. Where the time may end, what is held out comes
            first: the ridge is then compared to a network on the same images.
        n_train: At most so many rows of the training part; of each other part HELD_OUT_IMAGES.
    """
    most = {part: n_train if part == "train" else HELD_OUT_IMAGES for part in parts}
    of_parts = [rows[rows["split"] == part] for part in parts]
    return pd.concat([part_rows.sample(min(most[part], len(part_rows)), random_state=seed)
                      for part, part_rows in zip(parts, of_parts, strict=True)])


def build_model(task: Task, config: TrainConfig, body: nn.Module, about: dict, n_images: int,
                device: str) -> Predictor:
    """Return the frozen features of a backbone, without a head, as a model.

    Args:
        task: The completed task.
        config: Of the run: its backbone.
        body: The backbone, which is left in eval mode.
        about: Of the run, see run.json: its `weights`, and `levels`.
        n_images: Whose features are held in memory, which decides how fine the grid of features is.
        device: Where to work.
    """
    body = body.to(device)
    frozen = FrozenFeatures(body, task.size, choose_grid(body, task.size, n_images))
    metadata = model_file.model_metadata(task, config.arch, config.arch_args, backbones.stats(config.arch),
                                         about.get("weights") or {}, about.get("levels"), frozen_grid=frozen.grid)
    return Predictor(task, nn.Sequential(frozen, nn.Identity()), metadata, device)


def fit(model: Predictor, rows: pd.DataFrame, output: NetworkOutput) -> FrozenRidge:
    """Fit the ridge to the training part.

    Args:
        model: Of `build_model`; it gets its head.
        rows: Labels with their split, of images that can be opened.
        output: Their features, see feature_cache.frozen_features.

    Raises:
        ImgregError: There is no image of the training part.
    """
    is_train = (rows["split"] == "train").to_numpy()
    if not is_train.any():
        raise ImgregError("images of the training part", "none that can be opened")
    outputs = _fit_head(model, rows, output, is_train)
    held_out = rows[~is_train].reset_index(drop=True)
    predictions = metrics.compare_to_labels(model, held_out, NetworkOutput(outputs, output.views[~is_train], {}))
    return FrozenRidge(model, predictions, int(is_train.sum()))


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


def read_predictions(run: Run) -> pd.DataFrame | None:
    """Read the ridge's predictions of a run, as predictions.csv has them; None if it has none."""
    if "ridge" not in run.about or not (run.path / FILE).is_file():
        return None
    return run.read_table(FILE, ["split", *(f"{t.name}_error" for t in run.task.targets)])
