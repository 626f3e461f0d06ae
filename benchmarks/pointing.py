"""Heads of people in photographs, where these are available: Pointing'04 (Gourier, Hall, Crowley 2004).

    IMGREG_REAL_DATA=FOLDER python -m benchmarks --only pointing

FOLDER holds data/pointing04, with labels.csv and the images it names, and weights/mobilenetv2_100_imagenet.pth. The
network never saw the people that it is scored on.
"""
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
from imgreg_fastai.models import backbones, weights
from imgreg_fastai.tasks import Point, Rotation, Task
from imgreg_fastai.training import checkpoint

from .photographs import SMALL, find_photographs, skipped

FOLDS = 5
BOX = ("head_cx_px", "head_cy_px", "head_w_px", "head_h_px")
RECIPE = (("arch", "mobilenetv2_100"), ("arch_args", {"pad_type": "same"}), ("body_lr", 0.5))
# Each angle is a rotation about one axis of the camera, the other two are 0: so a mirrored head has a correct label.
# On fold 1 after 5 epochs, the error of tilt was 9.0 degrees, and 10.9 as a plain number without flips (pan 7.4, 6.8).
TURNS = (Rotation("pan", ("pan_deg", "pan_2", "pan_3"), sequence="YXZ", camera_frame=True),
         Rotation("tilt", ("tilt_1", "tilt_deg", "tilt_3"), camera_frame=True))
ZEROS = ("pan_2", "pan_3", "tilt_1", "tilt_3")
POSE = Task("pose", TURNS, (96, 96), box=BOX, margin=0.15, group="person", augment=("flip", "colour", "tint"),
            recipe=(*RECIPE, ("epochs", 6)))
CENTRE = Task("centre", (Point("centre", BOX[:2], follows=True),), (96, 128), group="person",
              augment=("flip", "zoom", "shift", "colour", "tint"), recipe=(*RECIPE, ("epochs", 4)))
SCORED = {"pose": {"pan": ["pan_deg"], "tilt": ["tilt_deg"]}, "centre": {"centre": list(BOX[:2])}}  # {task: columns}
STRENGTHS = tuple(np.logspace(2, 5, 7))  # of the ridge, to choose from within each training part


def measure(quick: bool = False) -> list[dict]:
    """Cross-validate transfer learning, training from scratch and the baselines, over folds of people.

    Args:
        quick (bool): train a tiny network for one epoch on a few images.

    Returns:
        list of dict: a row a method: the mean error over all images (degrees, px), its standard deviation between
        folds, and seconds. Then a row a target: how much the error of transfer learning is above that of the better
        ridge regression, as a share of it.
    """
    paths = find_photographs("pointing04")
    if paths is None:
        return skipped("pointing04")
    table, file = paths
    frame = read(table, 2 if quick else None)
    options = {"folds": 2, "weights": "none", "bs": 8, **SMALL} if quick else {"folds": FOLDS, "weights": str(file)}
    with tempfile.TemporaryDirectory() as folder:
        results = [measure_task(task, frame, Path(folder), options) for task in (POSE, CENTRE)]
    return rows(results, frame["person"].to_numpy())


def rows(results: list[dict], people: np.ndarray) -> list[dict]:
    """Compute the rows of `measure`.

    Args:
        results (list of dict): of `measure_task`, for each task.
        people (np.ndarray): the person of each image, [n].
    """
    seconds = {name: sum(result[name][1] for result in results) for name in results[0]}
    fold = results[0]["transfer"][0]["fold"]  # of the same people, whatever the task
    errors = {name: pd.concat([result[name][0].drop(columns="fold") for result in results], axis=1) for name in seconds}
    methods = [{"method": name, **summary(table, fold), "seconds": seconds[name]} for name, table in errors.items()]
    return methods + [compare_to_ridge(errors, name, people) for name in errors["transfer"]]


def read(table: Path, limit: int | None = None) -> pd.DataFrame:
    """Read the labels, `image` as a full path; of each person at most `limit` images."""
    frame = pd.read_csv(table).rename(columns={"file": "image"})
    frame = frame.assign(**dict.fromkeys(ZEROS, 0.0))
    frame["image"] = [str(table.parent.resolve() / name) for name in frame["image"]]
    return frame.groupby("person").head(limit or len(frame)).reset_index(drop=True)


def measure_task(task: Task, frame: pd.DataFrame, folder: Path, options: dict) -> dict:
    """Measure all methods on the same folds; return {method: (errors an image with their fold, seconds)}."""
    table = folder / f"{task.name}.csv"
    frame.to_csv(table, index=False)
    results = {"transfer": timed(train, task, table, folder, options),
               "from scratch": timed(train, task, table, folder, {**options, "weights": "none"})}
    # A training's errors come fold by fold.
    results = {name: (errors.loc[frame["image"]].reset_index(drop=True), seconds)
               for name, (errors, seconds) in results.items()}
    fold = results["transfer"][0]["fold"].to_numpy()
    results |= baselines(task, frame, fold, options)
    return {name: (errors.assign(fold=fold), seconds) for name, (errors, seconds) in results.items()}


def timed(function, *args):
    """Call a function; return its value and the seconds."""
    start = time.perf_counter()
    return function(*args), time.perf_counter() - start


def train(task: Task, table: Path, folder: Path, options: dict) -> pd.DataFrame:
    """Cross-validate with imgreg; return the errors by image, and the `fold` that held it out."""
    runs = imgreg_fastai.train(task, data=table, out=folder, **options).runs
    parts = [last_predictions(run).assign(fold=fold) for fold, run in enumerate(runs, start=1)]
    predictions = pd.concat(parts)
    true = {column: predictions[f"{column}_true"] for column in task.columns}
    errors = image_errors(task, predictions, pd.DataFrame(true))
    return errors.assign(fold=predictions["fold"].to_numpy()).set_axis(pd.Index(predictions["image"]), axis=0)


def last_predictions(run) -> pd.DataFrame:
    """Return the run's predictions for its validation part, by the weights after the last epoch.

    A run keeps its best epoch by the validation part, which would flatter it.
    """
    if pd.read_csv(run.path / "history.csv")["valid_loss"].argmin() + 1 == run.about["epochs_done"]:
        return pd.read_csv(run.path / "predictions.csv")
    model = imgreg_fastai.load(run.path)
    model.network.load_state_dict(checkpoint.read_checkpoint(run.path).weights)
    labels = run.labels
    return metrics.predictions_table(run.task, metrics.predictions(model, labels[labels["split"] == "valid"]))


def baselines(task: Task, frame: pd.DataFrame, fold: np.ndarray, options: dict) -> dict:
    """Measure guessing, and ridge regressions on the features of the frozen network.

    Returns:
        dict: {method: (errors an image, seconds)}.
    """
    columns = [column for target_columns in SCORED[task.name].values() for column in target_columns]
    true, people = frame[columns].astype(float), frame["person"].to_numpy()
    maps, feature_seconds = timed(features, task, frame, make_config(task, **options))
    predictions = {"guessing the mean": (guess(true.to_numpy(), fold), 0.0)}
    for name, x in (("pooled features", maps.mean(axis=(2, 3))), ("feature map", maps.reshape(len(maps), -1))):
        values, seconds = timed(ridge, x, true.to_numpy(), people, fold)
        predictions[f"ridge, {name}"] = values, seconds + feature_seconds
    return {name: (image_errors(task, pd.DataFrame(values, columns=columns), true), seconds)
            for name, (values, seconds) in predictions.items()}


def guess(y: np.ndarray, fold: np.ndarray) -> np.ndarray:
    """Return for each image the mean of the other folds, [n, columns]."""
    return np.stack([y[fold != own_fold].mean(axis=0) for own_fold in fold])


def features(task: Task, frame: pd.DataFrame, cfg) -> np.ndarray:
    """Compute the last features [n, channels, h, w] of the frozen backbone, on the pixels that the training uses."""
    body = backbones.build(cfg.arch, task.size, cfg.arch_args)
    weights.load_body(body, cfg.arch, weights.find_weights(cfg.arch, cfg.weights))
    boxes = task.boxes(frame)
    pictures = torch.from_numpy(np.stack([p.pixels for p in images.fit_images(frame["image"], task, boxes)]))
    mean, std = (torch.tensor(v) for v in backbones.stats(cfg.arch))
    body.eval()
    with torch.inference_mode():
        parts = (((part / 255 - mean) / std).permute(0, 3, 1, 2) for part in pictures.split(64))
        return torch.cat([body.forward_features(part) for part in parts]).numpy()


def ridge(x: np.ndarray, y: np.ndarray, people: np.ndarray, folds: np.ndarray) -> np.ndarray:
    """Predict by ridge regression, fold by fold.

    Its strength is chosen within the training part, by people. All features share one scale: with a scale for each the
    errors were larger, as features that are rarely active become huge where they are. It is computed from the products
    of images, as there are more features than images.

    Args:
        x (np.ndarray): features, [n, features].
        y (np.ndarray): labels, [n, columns].
        people (np.ndarray): the person of each image, [n].
        folds (np.ndarray): the fold of each image, [n].

    Returns:
        np.ndarray: predictions, [n, columns].
    """
    predictions = np.empty_like(y)
    for fold in np.unique(folds):
        test, train = folds == fold, folds != fold
        z = (x - x[train].mean(axis=0)) / x[train].std()
        products, middle = (z @ z[train].T).astype(float), y[train].mean(axis=0)
        search = GridSearchCV(KernelRidge(kernel="precomputed"), {"alpha": STRENGTHS}, cv=GroupKFold(4),
                              scoring="neg_mean_absolute_error")
        search.fit(products[train], y[train] - middle, groups=people[train])
        predictions[test] = search.predict(products[test]) + middle
    return predictions


def image_errors(task: Task, predictions: pd.DataFrame, true: pd.DataFrame) -> pd.DataFrame:
    """Return the errors of each image: of an angle in degrees (all are within 90 of 0), of a point in pixels."""
    return pd.DataFrame({name: np.linalg.norm(predictions[columns].to_numpy() - true[columns].to_numpy(), axis=1)
                         for name, columns in SCORED[task.name].items()})


def summary(errors: pd.DataFrame, fold: pd.Series) -> dict:
    """Return each target's mean over images, and the standard deviation between folds."""
    numbers = {}
    for name in errors:
        numbers[name] = errors[name].mean()
        numbers[f"{name} spread"] = errors[name].groupby(fold).mean().std()
    return numbers


def compare_to_ridge(errors: dict, name: str, people: np.ndarray) -> dict:
    """Return a row: how the error of transfer learning differs from the better ridge's, as a share of that."""
    better = min((method for method in errors if method.startswith("ridge")), key=lambda m: errors[m][name].mean())
    ours, theirs = errors["transfer"][name].to_numpy(), errors[better][name].to_numpy()
    low, high = interval(ours, theirs, np.arange(len(ours)))
    people_low, people_high = interval(ours, theirs, people)
    return {"method": f"transfer beside {better}: {name}", "difference": ours.mean() / theirs.mean() - 1,
            "from": low, "to": high, "people from": people_low, "people to": people_high}


def interval(ours, theirs, units, resamples: int = 10_000, seed: int = 0) -> tuple[float, float]:
    """Compute the 95 % interval of mean(ours) / mean(theirs) - 1 by the paired bootstrap (Efron, 1979).

    Args:
        ours (np.ndarray): errors, [n].
        theirs (np.ndarray): errors on the same images, [n].
        units (np.ndarray): images of the same unit are drawn together, [n].
        resamples (int): the number of resamples.
        seed (int): of the resampling.

    Returns:
        tuple: the ends of the interval.
    """
    _, unit = np.unique(units, return_inverse=True)
    sums = np.stack([np.bincount(unit, values) for values in (ours, theirs)], axis=1)
    rng, n = np.random.default_rng(seed), len(sums)
    resampled = [rng.multinomial(n, np.full(n, 1 / n)) @ sums for _ in range(resamples)]
    first, second = np.transpose(resampled)
    return tuple(np.quantile(first / second - 1, (0.025, 0.975)))
