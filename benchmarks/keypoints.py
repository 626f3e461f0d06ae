"""68 points on photographs of faces, where the photographs are available. The network never saw these people.

    IMGREG_REAL_DATA=FOLDER python -m benchmarks --only keypoints

FOLDER holds data/facial_keypoints, with labels.csv and the images it names, and weights/mobilenetv2_100_imagenet.pth.
One method is `imgreg train` on a user's table, in MINUTES; the other is what a fastai notebook does, in the same time.
"""
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import timm
import torch
from fastai.callback.core import Callback, CancelFitException
from fastai.data.block import DataBlock
from fastai.data.transforms import ColReader, ColSplitter
from fastai.vision.augment import Resize, ResizeMethod, aug_transforms
from fastai.vision.data import ImageBlock, PointBlock
from fastai.vision.learner import vision_learner

import imgreg_fastai
from imgreg_fastai.data import images
from imgreg_fastai.evaluation import bootstrap
from imgreg_fastai.training import checkpoint

from .photographs import SMALL, find_photographs, skipped

SIZE = 128  # of the notebook's images
# iBUG's 68 points: what a mirror makes of each (jaw, brows, nose, eyes, mouth).
PAIRS = ([(i, 16 - i) for i in range(8)] + [(17 + i, 26 - i) for i in range(5)] + [(31, 35), (32, 34)]
         + [(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]
         + [(48, 54), (49, 53), (50, 52), (59, 55), (58, 56), (60, 64), (61, 63), (67, 65)])
OUTER_EYES = 36, 45
COLUMNS = [f"p{i:02}_{axis}" for i in range(68) for axis in "xy"]
OPTIONS = {"targets": ["face=p*_x,p*_y:point"], "flip_pairs": ",".join(f"p{a:02}:p{b:02}" for a, b in PAIRS),
           "group": "person", "arch": "mobilenetv2_100", "arch_args": {"pad_type": "same"}}
MINUTES = 15
NOTEBOOK_EPOCHS = 30  # of fine_tune, unless the time is up before


def measure(quick: bool = False) -> list[dict]:
    """Measure the errors of both methods on people who are not in the training part.

    Args:
        quick (bool): train a tiny network for one epoch on a few images.

    Returns:
        list of dict: a row a method: the error in px and in outer-eye distances, and the seconds of the training.
    """
    paths = find_photographs("facial_keypoints")
    if paths is None:
        return skipped("facial_keypoints")
    table, weights = paths
    frame = pd.read_csv(table)
    frame["image"] = [str(table.parent.resolve() / name) for name in frame["image"]]
    if quick:
        frame = frame.groupby("split").head(16).reset_index(drop=True)
    options = {**OPTIONS, "time": 60 * MINUTES, "weights": str(weights)}
    if quick:
        options = {**OPTIONS, **SMALL, "weights": "none", "bs": 8, "size": (SIZE, SIZE)}
    valid = frame[frame["split"] == "valid"]
    with tempfile.TemporaryDirectory() as folder:
        predictions, seconds = train(frame, Path(folder), options)
    notebook, notebook_seconds = run_notebook(frame, options, seconds)
    true = valid[COLUMNS].to_numpy(float)
    methods = {"guessing the mean shape": (guess(frame, valid), 0.0), "fastai notebook": (notebook, notebook_seconds),
               "imgreg train": (predictions, seconds)}
    rows = [row(name, points, true, spent) for name, (points, spent) in methods.items()]
    gain = relative_errors(notebook, true)[1] - relative_errors(predictions, true)[1]
    low, high = bootstrap.interval(100 * gain, valid["person"]) or (np.nan, np.nan)
    return [*rows, {"method": "fastai notebook less imgreg train, 95 % interval, people resampled",
                    "% of the outer-eye distance": 100 * gain.mean(), "low": low, "high": high}]


def guess(frame: pd.DataFrame, valid: pd.DataFrame) -> np.ndarray:
    """Return the mean shape of the training part, at each image's size, [n, columns]."""
    train = frame[frame["split"] == "train"]
    mean = (train[COLUMNS].to_numpy(float).reshape(len(train), -1, 2) / sizes(train)).mean(axis=0)
    return (mean * sizes(valid)).reshape(len(valid), -1)


def row(method: str, predictions: np.ndarray, true: np.ndarray, seconds: float) -> dict:
    """Compute a method's row.

    Args:
        method (str): its name.
        predictions (np.ndarray): points in px, [n, columns].
        true (np.ndarray): the labels, [n, columns].
        seconds (float): the time of its training.

    Returns:
        dict: the mean error of all points in px; mean and median over images of that error in % of the image's
        outer-eye distance.
    """
    errors, relative = relative_errors(predictions, true)
    return {"method": method, "px": errors.mean(), "% of the outer-eye distance": 100 * relative.mean(),
            "median %": 100 * np.median(relative), "seconds": seconds}


def relative_errors(predictions: np.ndarray, true: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean error of each image's points in px, and over the outer-eye distance, both [n]."""
    predictions, true = (points.reshape(len(points), -1, 2) for points in (predictions, true))
    errors = np.linalg.norm(predictions - true, axis=2).mean(axis=1)
    return errors, errors / np.linalg.norm(true[:, OUTER_EYES[0]] - true[:, OUTER_EYES[1]], axis=1)


def train(frame: pd.DataFrame, folder: Path, options: dict) -> tuple[np.ndarray, float]:
    """Run `imgreg train` on the table; return predictions for the validation part, and the seconds of the training.

    The weights after the last epoch predict. A run keeps its best epoch by the validation part, which would flatter it.
    """
    frame.to_csv(folder / "faces.csv", index=False)
    start = time.perf_counter()
    run = imgreg_fastai.train(folder / "faces.csv", out=folder, **options)
    seconds = time.perf_counter() - start
    model = imgreg_fastai.load(run.path)
    model.network.load_state_dict(checkpoint.read_checkpoint(run.path).weights)
    paths = list(frame["image"][frame["split"] == "valid"])
    return model.predict(paths, expand=False)[COLUMNS].to_numpy(), seconds


class Deadline(Callback):
    """Ends a training when its time is up."""

    def __init__(self, end: float):
        self.end = end

    def after_batch(self):
        if time.perf_counter() > self.end:
            raise CancelFitException


def run_notebook(frame: pd.DataFrame, options: dict, seconds: float) -> tuple[np.ndarray, float]:
    """Train as a fastai notebook does: PointBlock, Resize, aug_transforms, fine_tune.

    Args:
        frame (pd.DataFrame): the labels.
        options (dict): of our training; backbone and weights are taken.
        seconds (float): when to stop.

    Returns:
        tuple: predictions for the validation part, [n, columns], and the seconds of the training.
    """
    start = time.perf_counter()
    frame = frame.copy().assign(is_valid=frame["split"] == "valid")

    def points(row):
        return torch.tensor(row[COLUMNS].to_numpy(float)).view(-1, 2)

    block = DataBlock((ImageBlock, PointBlock), get_x=ColReader("image"), get_y=points, splitter=ColSplitter(),
                      item_tfms=Resize(SIZE, ResizeMethod.Squish), batch_tfms=aug_transforms())
    dls = block.dataloaders(frame, bs=min(64, len(frame) // 4), num_workers=2)
    learn = vision_learner(dls, options["arch"], pretrained=False, n_out=len(COLUMNS), y_range=(-1, 1),
                           **options["arch_args"])
    if options["weights"] != "none":
        body = timm.create_model(options["arch"], num_classes=0, pretrained=False, **options["arch_args"])
        body.load_state_dict(torch.load(options["weights"], weights_only=True), strict=False)
        learn.model[0].model.load_state_dict(body.state_dict(), strict=False)
    with learn.no_bar(), learn.no_logging():
        learn.fine_tune(1 if "epochs" in options else NOTEBOOK_EPOCHS, 5e-3, cbs=Deadline(start + seconds))
    spent = time.perf_counter() - start
    outputs = learn.get_preds(dl=learn.dls.valid)[0].view(-1, len(COLUMNS) // 2, 2).numpy()
    return ((outputs + 1) / 2 * sizes(frame[frame["is_valid"]])).reshape(len(outputs), -1), spent


def sizes(frame: pd.DataFrame) -> np.ndarray:
    """Return the width and height of each image, upright, [n, 1, 2]."""
    headers = [images.read_header(path) for path in frame["image"]]
    return np.array([(header.width, header.height) for header in headers])[:, None]
