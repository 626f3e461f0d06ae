"""68 points on photographs of faces of people whom the network never saw, where the pictures are had.

    IMGREG_REAL_DATA=FOLDER python -m benchmarks --only keypoints

FOLDER holds data/facial_keypoints, with labels.csv and the pictures it names, and weights/mobilenetv2_100_imagenet.pth.
Our row is the command of a user's own table; the other is what a fastai notebook does, in the same time.
"""
import os
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

SIZE = 128
# iBUG's 68 points: what a mirror makes of each (jaw, brows, nose, eyes, mouth).
PAIRS = ([(i, 16 - i) for i in range(8)] + [(17 + i, 26 - i) for i in range(5)] + [(31, 35), (32, 34)]
         + [(36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46)]
         + [(48, 54), (49, 53), (50, 52), (59, 55), (58, 56), (60, 64), (61, 63), (67, 65)])
OUTER_EYES = 36, 45
COLUMNS = [f"p{i:02}_{axis}" for i in range(68) for axis in "xy"]
OURS = {"targets": ["face=p*_x,p*_y:point"], "flip_pairs": ",".join(f"p{a:02}:p{b:02}" for a, b in PAIRS),
        "arch": "mobilenetv2_100", "arch_args": {"pad_type": "same"}, "size": (SIZE, SIZE), "epochs": 60,
        "calibrate": 0}
BOOK_EPOCHS = 30  # of fine_tune, unless the time is up before


def measure(quick: bool = False) -> list[dict]:
    """A row a method: error in px, and as a part of the outer-eye distance, on people apart; seconds of training."""
    home = Path(os.environ.get("IMGREG_REAL_DATA", "nowhere"))
    table, file = home / "data" / "facial_keypoints" / "labels.csv", home / "weights" / "mobilenetv2_100_imagenet.pth"
    if not (table.is_file() and file.is_file()):
        return [{"skipped": f"IMGREG_REAL_DATA names no folder with {'/'.join(table.parts[-3:])} and the weights"}]
    frame = pd.read_csv(table)
    frame["image"] = [str(table.parent.resolve() / name) for name in frame["image"]]
    if quick:
        frame = frame.groupby("split").head(16).reset_index(drop=True)
    options = {**OURS, **({"arch": "test_resnet", "arch_args": {}, "weights": "none", "epochs": 1, "bs": 8} if quick
                          else {"weights": str(file)})}
    with tempfile.TemporaryDirectory() as folder:
        held, predicted, seconds = ours(frame, Path(folder), options)
    true = held[COLUMNS].to_numpy(float)
    trained = frame[frame["split"] == "train"]
    mean = (trained[COLUMNS].to_numpy(float).reshape(len(trained), -1, 2) / sizes(trained)).mean(axis=0)
    guess = (mean * sizes(held)).reshape(true.shape)
    book, spent = fastai_notebook(frame, options, seconds)
    return [row("guessing the mean shape", guess, true, 0.0), row("fastai notebook", book, true, spent),
            row("imgreg train", predicted, true, seconds)]


def row(method: str, predicted: np.ndarray, true: np.ndarray, seconds: float) -> dict:
    """The mean error of all points in px, and the mean over pictures of that error in outer-eye distances, in %."""
    predicted, true = (of.reshape(len(of), -1, 2) for of in (predicted, true))
    off = np.linalg.norm(predicted - true, axis=2).mean(axis=1)
    eyes = np.linalg.norm(true[:, OUTER_EYES[0]] - true[:, OUTER_EYES[1]], axis=1)
    return {"method": method, "px": off.mean(), "% of the outer-eye distance": 100 * (off / eyes).mean(),
            "median %": 100 * np.median(off / eyes), "seconds": seconds}


def ours(frame: pd.DataFrame, folder: Path, options: dict) -> tuple[pd.DataFrame, np.ndarray, float]:
    """The validation rows, what was predicted for them by the weights after the last epoch, and the training's seconds.

    A run keeps its best epoch by these people's own pictures, which would flatter it here.
    """
    frame.to_csv(folder / "faces.csv", index=False)
    start = time.perf_counter()
    run = imgreg_fastai.train(folder / "faces.csv", out=folder, **options)
    seconds = time.perf_counter() - start
    model = imgreg_fastai.load(run.path)
    model.network.load_state_dict(torch.load(run.path / "last.ckpt", weights_only=True)["model"])
    held = frame[frame["split"] == "valid"]
    return held, model.predict(list(held["image"]), expand=False)[COLUMNS].to_numpy(), seconds


class Deadline(Callback):
    """Ends a training when its time is up."""

    def __init__(self, end: float):
        self.end = end

    def after_batch(self):
        if time.perf_counter() > self.end:
            raise CancelFitException


def fastai_notebook(frame: pd.DataFrame, options: dict, seconds: float) -> tuple[np.ndarray, float]:
    """Points predicted by what a notebook does: PointBlock, Resize, aug_transforms, fine_tune, in so many seconds."""
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
        learn.fine_tune(1 if options["epochs"] == 1 else BOOK_EPOCHS, 5e-3, cbs=Deadline(start + seconds))
    spent = time.perf_counter() - start
    found = learn.get_preds(dl=learn.dls.valid)[0].view(-1, len(COLUMNS) // 2, 2).numpy()
    return ((found + 1) / 2 * sizes(frame[frame["is_valid"]])).reshape(len(found), -1), spent


def sizes(frame: pd.DataFrame) -> np.ndarray:
    """Width and height of each picture, upright, [n, 1, 2]."""
    found = [images.read_header(path) for path in frame["image"]]
    return np.array([(one.width, one.height) for one in found])[:, None]
