"""The data sets that techniques are chosen on: redrawn ones, and of the photographs only the training people.

What docs/benchmarks.md is judged by stays out: the gauges of data/gauges, people 13 to 15 of Pointing'04, and the
people of the validation part of facial_keypoints.
"""
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pandas as pd

from imgreg_fastai.api import preparation
from imgreg_fastai.datasets import angle, headpose
from imgreg_fastai.tasks.built_in_tasks import ANGLE, DRAWN_HEADS

from .. import keypoints, pointing
from ..photographs import find_photographs

FOLDS = 4
DRAWN_SEED = 1501  # data/gauges has another, and so have the images that the documentation reports errors of
SMALL_NET = {"arch": "resnet10t", "weights": "none", "size": (96, 96), "bs": 16, "lr": 8e-3,
             "arch_args": {"channels": [32, 64, 96, 128], "stem_width": 16, "output_stride": 16}}
PRETRAINED = {"arch": "mobilenetv2_100", "arch_args": {"pad_type": "same"}, "size": (96, 96), "bs": 32, "lr": 2e-3,
              "body_lr": 0.5}
GAUGES = {"targets": "pressure", "group": "gauge"}
DRAW_GAUGES = Path(__file__).resolve().parents[2] / "data" / "gauges" / "draw.py"


@dataclass(frozen=True)
class DataSet:
    """Labelled images, and how a network is trained on them.

    Args:
        read: A new folder -> labels, with `image` as full paths, and `group`, of which each is in one of FOLDS folds.
        options: Of imgreg_fastai.train.
        epochs: Of a training at full length.
        folds: The folds that are held out one after another, from 1.
        photographs: The folder of data that it needs; "": none.
        task: A built-in task; None: the table's own.
    """

    read: Callable[[Path], pd.DataFrame]
    options: dict[str, Any]
    epochs: int
    folds: tuple[int, ...] = (1,)
    photographs: str = ""
    task: Any = None


def draw_gauges(folder: Path) -> pd.DataFrame:
    """Draw data/gauges with another seed; the groups are the twelve gauges."""
    spec = importlib.util.spec_from_file_location("draw_gauges", DRAW_GAUGES)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(folder, DRAWN_SEED)
    frame = _read_table(folder / "labels.csv")
    return frame.assign(group=frame["gauge"])


def draw_heads(folder: Path, n: int = 800) -> pd.DataFrame:
    """Draw heads; the groups are people."""
    frame = _read_table(headpose.draw(folder, n, seed=DRAWN_SEED, jobs=1))
    return frame.assign(group=frame[DRAWN_HEADS.group or "sequence"])


def draw_angles(folder: Path, n: int = 2000) -> pd.DataFrame:
    """Draw bars; each image is a group."""
    frame = _read_table(angle.draw(folder, n, seed=DRAWN_SEED, jobs=1))
    return frame.assign(group=frame.index)


def read_people(folder: Path) -> pd.DataFrame:
    """Read Pointing'04, people 1 to 12, each pose once: half of the images take half of the time."""
    frame = pointing.read(find_photographs("pointing04")[0])
    return frame[(frame["person"] <= 12) & (frame["series"] == 1)].assign(group=frame["person"])


def read_faces(folder: Path) -> pd.DataFrame:
    """Read the people of the training part of facial_keypoints."""
    frame = _read_table(find_photographs("facial_keypoints")[0])
    return frame[frame["split"] == "train"].assign(group=frame["person"])


DATA_SETS = {
    "gauges": DataSet(draw_gauges, GAUGES | SMALL_NET, 120, (1, 2)),
    "gauges-moved": DataSet(draw_gauges, GAUGES | SMALL_NET | {"augment": ("shift", "zoom", "colour")}, 120, (1, 2)),
    "gauges-pretrained": DataSet(draw_gauges, GAUGES | PRETRAINED | {"bs": 16}, 40, (1, 2), "pointing04"),
    "pointing": DataSet(read_people, {
        "targets": ("pan=pan_deg:number", "tilt=tilt_deg:number"), "flip_negates": "pan", "box": pointing.BOX,
        "margin": 0.15, "augment": ("flip", "colour", "tint"), **PRETRAINED}, 8, photographs="pointing04"),
    "faces": DataSet(read_faces, {
        "targets": keypoints.OPTIONS["targets"], "flip_pairs": keypoints.OPTIONS["flip_pairs"],
        **PRETRAINED, "size": (128, 128)}, 16, photographs="facial_keypoints"),
    "heads": DataSet(draw_heads, {}, 24, task=DRAWN_HEADS),
    "angle": DataSet(draw_angles, {}, 16, task=ANGLE),
}


def is_available(data: DataSet) -> bool:
    """Tell whether the photographs of a data set are there, if it needs some."""
    return not data.photographs or find_photographs(data.photographs) is not None


def labels(name: str, folder: Path) -> pd.DataFrame:
    """Draw or read a data set, once for a folder; its labels with the column `fold`, from 1."""
    frame = DATA_SETS[name].read(folder / name).reset_index(drop=True)
    frame["fold"] = pd.factorize(frame["group"], sort=True)[0] % FOLDS + 1
    return frame


def plan(data: DataSet, frame: pd.DataFrame, fold: int, **settings: Any) -> preparation.TrainingPlan:
    """Return the plan of a training that holds out one fold.

    Args:
        data: The data set.
        frame: Of `labels`.
        fold: The fold to validate on.
        **settings: Fields of TrainConfig.
    """
    split = (frame["fold"] == fold).map({True: "valid", False: "train"})
    frame = frame.drop(columns=["fold", "group"]).assign(split=split)
    options = {"calibrate": 0, "workers": 0, "loss": "l1", **data.options, **settings}
    if data.photographs:
        options["weights"] = str(find_photographs(data.photographs)[1])
    if data.task is None:
        return preparation.prepare(frame, **options)
    table = Path(frame["image"][0]).parent / "trial.csv"
    frame.to_csv(table, index=False)
    return preparation.prepare(replace(data.task, split_col="split"), data=table, **options)


def _read_table(table: Path) -> pd.DataFrame:
    """Read a labels table, `image` as full paths."""
    frame = pd.read_csv(table)
    frame["image"] = [str(table.parent.resolve() / name) for name in frame["image"]]
    return frame
