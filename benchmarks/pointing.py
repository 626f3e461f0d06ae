"""Heads of people whom the network never saw: Pointing'04 (Gourier, Hall, Crowley 2004), where its pictures are had.

    IMGREG_REAL_DATA=FOLDER python -m benchmarks --only pointing

FOLDER holds data/pointing04, with labels.csv and the pictures it names, and weights/mobilenetv2_100_imagenet.pth.
"""
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV, GroupKFold

import imgreg_fastai
from imgreg_fastai.api.preparation import make_config
from imgreg_fastai.data import images
from imgreg_fastai.evaluation import metrics
from imgreg_fastai.models import backbones, loading, weights
from imgreg_fastai.tasks import Point, Rotation, Task

FOLDS = 5
BOX = ("head_cx_px", "head_cy_px", "head_w_px", "head_h_px")
RECIPE = (("arch", "mobilenetv2_100"), ("arch_args", {"pad_type": "same"}), ("body_lr", 0.5))
# Each angle is a turn about one axis of the camera's, so that a mirrored head has a true label; the others are 0. On
# fold 1, 5 epochs, tilt was at 9.0 degrees so, and at 10.9 as a plain number without mirroring (pan 7.4 and 6.8).
TURNS = (Rotation("pan", ("pan_deg", "pan_2", "pan_3"), sequence="YXZ", camera_frame=True),
         Rotation("tilt", ("tilt_1", "tilt_deg", "tilt_3"), camera_frame=True))
ZEROS = ("pan_2", "pan_3", "tilt_1", "tilt_3")
POSE = Task("pose", TURNS, (96, 96), box=BOX, margin=0.15, group="person", augment=("flip", "colour", "tint"),
            recipe=(*RECIPE, ("epochs", 6)))
CENTRE = Task("centre", (Point("centre", BOX[:2], follows=True),), (96, 128), group="person",
              augment=("flip", "zoom", "shift", "colour", "tint"), recipe=(*RECIPE, ("epochs", 4)))
JUDGED = {"pose": {"pan": ["pan_deg"], "tilt": ["tilt_deg"]}, "centre": {"centre": list(BOX[:2])}}  # columns of each
STRENGTHS = tuple(np.logspace(2, 5, 7))  # of the ridge, to choose from within each training part
SMALL = {"arch": "test_resnet", "arch_args": {}, "epochs": 1, "bs": 8}


def measure(quick: bool = False) -> list[dict]:
    """A row a method: mean error over all pictures (degrees, px), its spread between folds of people, seconds.

    Then a row a target: what transfer's error is above (or, below 0, under) that of the better ridge, as a part of it.
    """
    home = Path(os.environ.get("IMGREG_REAL_DATA", "nowhere"))
    table, file = home / "data" / "pointing04" / "labels.csv", home / "weights" / "mobilenetv2_100_imagenet.pth"
    if not (table.is_file() and file.is_file()):
        return [{"skipped": f"IMGREG_REAL_DATA names no folder with {'/'.join(table.parts[-3:])} and the weights"}]
    frame = read(table, 2 if quick else None)
    options = {"folds": 2, "weights": "none", **SMALL} if quick else {"folds": FOLDS, "weights": str(file)}
    with tempfile.TemporaryDirectory() as folder:
        found = [of_task(task, frame, Path(folder), options) for task in (POSE, CENTRE)]
    return rows(found, frame["person"].to_numpy())


def rows(found: list[dict], people: np.ndarray) -> list[dict]:
    """The rows of `measure` from the tasks' {method: (errors a picture with their fold, seconds)}."""
    seconds = {name: sum(of[name][1] for of in found) for name in found[0]}
    fold = found[0]["transfer"][0]["fold"]  # of the same people, whatever the task
    errors = {name: pd.concat([of[name][0].drop(columns="fold") for of in found], axis=1) for name in seconds}
    made = [{"method": name, **summary(of, fold), "seconds": seconds[name]} for name, of in errors.items()]
    return made + [beside(errors, name, people) for name in errors["transfer"]]


def read(table: Path, most: int | None = None) -> pd.DataFrame:
    """The labels with `image` as a whole path, of each person `most` pictures at most."""
    frame = pd.read_csv(table).rename(columns={"file": "image"})
    frame = frame.assign(**dict.fromkeys(ZEROS, 0.0))
    frame["image"] = [str(table.parent.resolve() / name) for name in frame["image"]]
    return frame.groupby("person").head(most or len(frame)).reset_index(drop=True)


def of_task(task: Task, frame: pd.DataFrame, folder: Path, options: dict) -> dict:
    """{method: (errors a picture, seconds)} of transfer, scratch and the peers, all on the same folds."""
    table = folder / f"{task.name}.csv"
    frame.to_csv(table, index=False)
    done = {"transfer": timed(train, task, table, folder, options),
            "from scratch": timed(train, task, table, folder, {**options, "weights": "none"})}
    fold = done["transfer"][0].loc[frame["image"], "fold"].to_numpy()  # a training's errors come fold by fold
    done = {name: (errors.loc[frame["image"]].reset_index(drop=True), spent) for name, (errors, spent) in done.items()}
    done |= peers(task, frame, fold, options)
    return {name: (errors.assign(fold=fold), spent) for name, (errors, spent) in done.items()}


def timed(work, *args):
    """(what it returns, seconds)."""
    start = time.perf_counter()
    return work(*args), time.perf_counter() - start


def train(task: Task, table: Path, folder: Path, options: dict) -> pd.DataFrame:
    """The errors of imgreg's own cross-validation by picture, and the `fold` that held it out."""
    done = imgreg_fastai.train(task, data=table, out=folder, **options)
    parts = [judged(run) for run in done.runs]
    folds = np.repeat(np.arange(1, len(parts) + 1), [len(part) for part in parts])
    result = pd.concat(parts)
    known = {column: f"{column}_true" for column in task.columns}
    errors = wrong(task, result, result[list(known.values())].set_axis(list(known), axis=1))
    return errors.assign(fold=folds).set_axis(pd.Index(result["image"]), axis=0)


def judged(run) -> pd.DataFrame:
    """The run's predictions for the people held out, by the weights after the last epoch.

    A run keeps its best epoch by these people's own pictures, which would flatter it here.
    """
    if pd.read_csv(run.path / "history.csv")["valid_loss"].argmin() + 1 == run.about["epochs_done"]:
        return pd.read_csv(run.path / "predictions.csv")
    model = imgreg_fastai.load(run.path)
    model.network.load_state_dict(torch.load(run.path / "last.ckpt", weights_only=True)["model"])
    labels = run.labels
    return metrics.predictions_table(run.task, metrics.predictions(model, labels[labels["split"] == "valid"]))


def peers(task: Task, frame: pd.DataFrame, fold: np.ndarray, options: dict) -> dict:
    """{method: (errors a picture, seconds)} of guessing and of ridges on what the frozen weights see."""
    columns = [column for own in JUDGED[task.name].values() for column in own]
    true, people = frame[columns].astype(float), frame["person"].to_numpy()
    maps, spent = timed(features, task, frame, make_config(task, **options))
    made = {"guessing the mean": (guess(true.to_numpy(), fold), 0.0)}
    for name, x in (("pooled features", maps.mean(axis=(2, 3))), ("feature map", maps.reshape(len(maps), -1))):
        found, seconds = timed(ridge, x, true.to_numpy(), people, fold)
        made[f"ridge, {name}"] = found, seconds + spent
    return {name: (wrong(task, pd.DataFrame(found, columns=columns), true), seconds)
            for name, (found, seconds) in made.items()}


def guess(y: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """For each picture the mean of the other folds, [n, columns]."""
    return np.stack([y[fold != one].mean(axis=0) for one in fold])


def features(task: Task, frame: pd.DataFrame, cfg) -> np.ndarray:
    """The last features [n, channels, h, w] of the backbone, frozen, on the very pixels that training sees."""
    body = backbones.build(cfg.arch, task.size, cfg.arch_args)
    loading.load_body(body, cfg.arch, weights.find_weights(cfg.arch, cfg.weights))
    boxes = frame[list(task.box)].to_numpy(float) if task.box else None
    pictures = torch.from_numpy(np.stack([p.pixels for p in images.fit_images(frame["image"], task, boxes)]))
    mean, std = (torch.tensor(v) for v in backbones.stats(cfg.arch))
    body.eval()
    with torch.inference_mode():
        parts = (((part / 255 - mean) / std).permute(0, 3, 1, 2) for part in pictures.split(64))
        return torch.cat([body.forward_features(part) for part in parts]).numpy()


def ridge(x: np.ndarray, y: np.ndarray, people: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """What ridge regression on `x` [n, features] predicts for `y` [n, columns], fold by fold.

    Its strength is chosen within the training part, whose people are divided once more. All features share one scale:
    a scale for each did worse, as features that hardly ever fire become huge where they do. By the pictures' products,
    as there are more features than pictures.
    """
    found = np.empty_like(y)
    for one in np.unique(fold):
        out, kept = fold == one, fold != one
        z = (x - x[kept].mean(axis=0)) / x[kept].std()
        products, middle = (z @ z[kept].T).astype(float), y[kept].mean(axis=0)
        search = GridSearchCV(KernelRidge(kernel="precomputed"), {"alpha": STRENGTHS}, cv=GroupKFold(4),
                              scoring="neg_mean_absolute_error")
        search.fit(products[kept], y[kept] - middle, groups=people[kept])
        found[out] = search.predict(products[out]) + middle
    return found


def wrong(task: Task, predicted: pd.DataFrame, true: pd.DataFrame) -> pd.DataFrame:
    """The errors a picture: of an angle the degrees between (all lie within 90 of 0), of a place the pixels."""
    return pd.DataFrame({name: np.linalg.norm(predicted[columns].to_numpy() - true[columns].to_numpy(), axis=1)
                         for name, columns in JUDGED[task.name].items()})


def summary(errors: pd.DataFrame, fold: pd.Series) -> dict:
    """Each target's mean over pictures, and the standard deviation between folds."""
    made = {}
    for name in errors:
        made |= {name: errors[name].mean(), f"{name} spread": errors[name].groupby(fold).mean().std()}
    return made


def beside(errors: dict, name: str, people: np.ndarray) -> dict:
    """A row: by which part transfer's error of target `name` differs from the better ridge's."""
    better = min((method for method in errors if method.startswith("ridge")), key=lambda m: errors[m][name].mean())
    ours, theirs = errors["transfer"][name].to_numpy(), errors[better][name].to_numpy()
    low, high = interval(ours, theirs, np.arange(len(ours)))
    wide = interval(ours, theirs, people)
    return {"method": f"transfer beside {better}: {name}", "difference": ours.mean() / theirs.mean() - 1,
            "from": low, "to": high, "people from": wide[0], "people to": wide[1]}


def interval(ours, theirs, units, resamples: int = 10_000, seed: int = 0) -> tuple[float, float]:
    """95 % of mean(ours) / mean(theirs) - 1 lie within, by the paired bootstrap over `units` (Efron, 1979).

    `ours`, `theirs`: errors [n] on the same pictures; `units` [n]: pictures with the same one are drawn together.
    """
    _, unit = np.unique(units, return_inverse=True)
    sums = np.stack([np.bincount(unit, values) for values in (ours, theirs)], axis=1)
    rng, n = np.random.default_rng(seed), len(sums)
    drawn = [rng.multinomial(n, np.full(n, 1 / n)) @ sums for _ in range(resamples)]
    first, second = np.transpose(drawn)
    return tuple(np.quantile(first / second - 1, (0.025, 0.975)))
