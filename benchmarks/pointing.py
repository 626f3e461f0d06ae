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
from imgreg_fastai import backbones, config, images, scoring, weights
from imgreg_fastai.targets import Number, Point
from imgreg_fastai.tasks import Task

FOLDS = 5
BOX = ("head_cx_px", "head_cy_px", "head_w_px", "head_h_px")
RECIPE = (("arch", "mobilenetv2_100"), ("arch_args", {"pad_type": "same"}), ("epochs", 6), ("body_lr", 0.5))
ANGLES = (Number("pan", ("pan_deg",), unit="°"), Number("tilt", ("tilt_deg",), unit="°"))
POSE = Task("pose", ANGLES, (96, 96), box=BOX, margin=0.15, group="person", augment=("colour", "tint"), recipe=RECIPE)
CENTRE = Task("centre", (Point("centre", BOX[:2], follows=True),), (96, 128), group="person",
              augment=("flip", "zoom", "shift", "colour", "tint"), recipe=RECIPE)
STRENGTHS = tuple(np.logspace(1, 6, 11))  # of the ridge, to choose from within each training part
SMALL = {"arch": "test_resnet", "arch_args": {}, "epochs": 1, "bs": 8}


def measure(quick: bool = False) -> list[dict]:
    """A row a method: mean error over all pictures (degrees, px), its spread between folds of people, seconds.

    Then a row a target: what transfer's error is above (or, below 0, under) that of the better ridge, as a part of it.
    """
    home = Path(os.environ.get("IMGREG_REAL_DATA", "nowhere"))
    table, file = home / "data" / "pointing04" / "labels.csv", home / "weights" / "mobilenetv2_100_imagenet.pth"
    if not (table.is_file() and file.is_file()):
        return [{"skipped": f"IMGREG_REAL_DATA names no folder with {'/'.join(table.parts[-3:])} and the weights"}]
    frame = read(table, every=200 if quick else 1)
    options = {"folds": 2, "weights": "none", **SMALL} if quick else {"folds": FOLDS, "weights": str(file)}
    with tempfile.TemporaryDirectory() as folder:
        found = [of_task(task, frame, Path(folder), options) for task in (POSE, CENTRE)]
    errors = {name: pd.concat([one[name][0] for one in found], axis=1) for name in found[0]}
    seconds = {name: sum(one[name][1] for one in found) for name in found[0]}
    fold, people = errors["transfer"].pop("fold"), frame["person"].to_numpy()
    rows = [{"method": name, **summary(of, fold), "seconds": seconds[name]} for name, of in errors.items()]
    return rows + [beside(errors, name, people) for name in errors["transfer"]]


def read(table: Path, every: int = 1) -> pd.DataFrame:
    """The labels with `image` as a whole path; every so many of them, or fewer where a person would be left out."""
    frame = pd.read_csv(table).rename(columns={"file": "image"})
    frame["image"] = [str(table.parent.resolve() / name) for name in frame["image"]]
    return frame.groupby("person").head(max(2, 186 // every)).reset_index(drop=True) if every > 1 else frame


def of_task(task: Task, frame: pd.DataFrame, folder: Path, options: dict) -> dict:
    """{method: (errors a picture, seconds)} of transfer, scratch and the peers, all on the same folds."""
    table = folder / f"{task.name}.csv"
    frame.to_csv(table, index=False)
    done = {"transfer": timed(train, task, table, folder, options),
            "from scratch": timed(train, task, table, folder, {**options, "weights": "none"})}
    done = {name: (errors.loc[frame["image"]].reset_index(drop=True), spent) for name, (errors, spent) in done.items()}
    fold = done["transfer"][0]["fold"].to_numpy()
    done["from scratch"][0].pop("fold")
    if task is not POSE:
        done["transfer"][0].pop("fold")
    return {**done, **peers(task, frame, fold, options)}


def timed(work, *args):
    """(what it returns, seconds)."""
    start = time.perf_counter()
    return work(*args), time.perf_counter() - start


def train(task: Task, table: Path, folder: Path, options: dict) -> pd.DataFrame:
    """The errors of imgreg's own cross-validation by picture, a column a target, and the `fold` that held it out."""
    done = imgreg_fastai.train(task, data=table, out=folder, **options)
    parts = [judged(run).assign(fold=number) for number, run in enumerate(done.runs, 1)]
    return pd.concat(parts).rename(columns={f"{t.name}_error": t.name for t in task.targets}).set_index("image")


def judged(run) -> pd.DataFrame:
    """The errors on the people held out, of the weights after the last epoch.

    A run keeps its best epoch by these people's own pictures, which would flatter it here.
    """
    columns = ["image", *(f"{t.name}_error" for t in run.task.targets)]
    if pd.read_csv(run.path / "history.csv")["valid_loss"].argmin() + 1 == run.about["epochs_done"]:
        return pd.read_csv(run.path / "predictions.csv")[columns]
    model = imgreg_fastai.load(run.path)
    model.network.load_state_dict(torch.load(run.path / "last.ckpt", weights_only=True)["model"])
    labels = run.labels
    return scoring.predictions(model, labels[labels["split"] == "valid"])[columns]


def peers(task: Task, frame: pd.DataFrame, fold: np.ndarray, options: dict) -> dict:
    """{method: (errors a picture, seconds)} of guessing and of ridges on what the frozen weights see."""
    cfg, true = config.make(task, **options), frame[task.columns].to_numpy(float)
    maps, spent = timed(features, task, frame, cfg)
    people = frame["person"].to_numpy()
    pooled = timed(ridge, maps.mean(axis=(2, 3)), true, people, fold)
    whole = timed(ridge, maps.reshape(len(maps), -1), true, people, fold)
    guess = np.empty_like(true)
    for one in np.unique(fold):
        guess[fold == one] = np.concatenate([t.centre(frame.loc[fold != one, list(t.columns)]) for t in task.targets])
    return {"guessing the mean": (wrong(task, guess, true), 0.0),
            "ridge, pooled features": (wrong(task, pooled[0], true), pooled[1] + spent),
            "ridge, feature map": (wrong(task, whole[0], true), whole[1] + spent)}


def features(task: Task, frame: pd.DataFrame, cfg) -> np.ndarray:
    """The last features [n, channels, h, w] of the backbone, frozen, on the very pixels that training sees."""
    body, _ = weights.build_body(cfg.arch, task.size, cfg.arch_args, weights.find(cfg.arch, cfg.weights))
    boxes = frame[list(task.box)].to_numpy(float) if task.box else None
    pictures = torch.from_numpy(np.stack([p.pixels for p in images.fitted(frame["image"], task, boxes)]))
    mean, std = (torch.tensor(v) for v in backbones.stats(cfg.arch))
    body.eval()
    with torch.inference_mode():
        parts = (((part / 255 - mean) / std).permute(0, 3, 1, 2) for part in pictures.split(64))
        return torch.cat([body.forward_features(part) for part in parts]).numpy()


def ridge(x: np.ndarray, y: np.ndarray, people: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """What ridge regression on standardised `x` [n, features] predicts for `y` [n, columns], fold by fold.

    Its strength is chosen within the training part, whose people are divided once more. By the pictures' products, as
    there are more features than pictures.
    """
    found = np.empty_like(y)
    for one in np.unique(fold):
        out, kept = fold == one, fold != one
        z = (x - x[kept].mean(axis=0)) / np.maximum(x[kept].std(axis=0), 1e-6)
        products, middle = (z @ z[kept].T).astype(float), y[kept].mean(axis=0)
        search = GridSearchCV(KernelRidge(kernel="precomputed"), {"alpha": STRENGTHS}, cv=GroupKFold(4),
                              scoring="neg_mean_absolute_error")
        search.fit(products[kept], y[kept] - middle, groups=people[kept])
        found[out] = search.predict(products[out]) + middle
    return found


def wrong(task: Task, predicted: np.ndarray, true: np.ndarray) -> pd.DataFrame:
    """The errors a picture, a column a target."""
    made, at = {}, 0
    for t in task.targets:
        own = slice(at, at + len(t.columns))
        made[t.name], at = t.error(predicted[:, own], true[:, own]), own.stop
    return pd.DataFrame(made)


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
