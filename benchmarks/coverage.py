"""The coverage of intervals on images that no part of a model was trained on; and which images are called OOD.

    python -m benchmarks --only coverage
    IMGREG_REAL_DATA=FOLDER python -m benchmarks --only coverage

Each row is a trained model, with fewer epochs than the task's own: the coverage does not depend on the errors. Its
held-out images are split DIVISIONS times at random: one half calibrates, the coverage is measured on the other. FOLDER
adds photographs: data/facial_keypoints, data/pointing04 and weights/mobilenetv2_100_imagenet.pth.
"""
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageFilter

import imgreg_fastai
from imgreg_fastai.data import images, labels
from imgreg_fastai.datasets import angle, headpose
from imgreg_fastai.datasets.drawing import heads
from imgreg_fastai.evaluation import calibrate
from imgreg_fastai.inference import conformal, quantiles
from imgreg_fastai.tasks import ANGLE, DRAWN_HEADS, Number, Task
from imgreg_fastai.utils.messages import muted

from . import keypoints, photographs, pointing

DIVISIONS = 20
COVERAGE = 0.9
POSE = Task("pose", (Number("pan", ("pan_deg",), "°"), Number("tilt", ("tilt_deg",), "°")), (96, 96), box=pointing.BOX,
            margin=0.15, group="person", augment=("colour", "tint"), recipe=pointing.RECIPE)
SMALL = {**photographs.SMALL, "weights": "none", "bs": 16}


def measure(quick: bool = False) -> list[dict]:
    """Measure drawn angles and heads; with photographs also faces and poses.

    Args:
        quick (bool): train tiny networks for one epoch on a few images.

    Returns:
        list of dict: the rows of `score` for each data set.
    """
    parts = [measure_angles, measure_heads]
    if photographs.find_photographs("facial_keypoints"):
        parts.append(measure_faces)
    if photographs.find_photographs("pointing04"):
        parts.append(measure_poses)
    with tempfile.TemporaryDirectory() as folder:
        return [row for part in parts for row in part(Path(folder), quick)]


def measure_angles(folder: Path, quick: bool) -> list[dict]:
    """Train on 4,000 drawn bars; hold out 2,000 of another seed."""
    angle.draw(folder / "angle", 120 if quick else 4000, seed=0)
    angle.draw(folder / "more", 60 if quick else 2000, seed=1)
    options = SMALL if quick else {"epochs": 6}
    run = imgreg_fastai.train("angle", data=folder / "angle", out=folder, calibrate=0.0, valid=0.25, **options)
    return score("drawn angles", run, labels.read_labels(angle.read(folder / "more"), ANGLE, to_divide=False))


def measure_heads(folder: Path, quick: bool) -> list[dict]:
    """Train on drawn heads; hold out 150 sequences of another seed, with ten images each."""
    heads.draw(folder / "heads", 48 if quick else 3000, seed=0)
    heads.draw(folder / "others", 48 if quick else 1500, seed=1)
    options = SMALL if quick else {"epochs": 12}
    run = imgreg_fastai.train(DRAWN_HEADS, data=headpose.read(folder / "heads"), out=folder, calibrate=0.0, **options)
    held_out = labels.read_labels(headpose.read(folder / "others"), DRAWN_HEADS, to_divide=False)
    return score("drawn heads", run, held_out)


def measure_faces(folder: Path, quick: bool) -> list[dict]:
    """Train on facial keypoints of 6 in 16 people; 2 validate, 8 are held out."""
    table, weights = photographs.find_photographs("facial_keypoints")
    frame = pd.read_csv(table)
    frame["image"] = [str((table.parent / name).resolve()) for name in frame["image"]]
    frame = frame.assign(split=assign_parts(frame["person"], {"train": 6, "valid": 2, "test": 8}))
    frame = frame.groupby("split").head(24) if quick else frame
    frame.to_csv(folder / "faces.csv", index=False)
    options = {**keypoints.OPTIONS, "epochs": 15, "size": (128, 128), "weights": str(weights), "calibrate": 0.0}
    run = imgreg_fastai.train(folder / "faces.csv", out=folder, **{**options, **(SMALL if quick else {})})
    return score("facial keypoints", run, run.labels[run.labels["split"] == "test"])


def measure_poses(folder: Path, quick: bool) -> list[dict]:
    """Train on pan and tilt of Pointing'04 as plain numbers: 7 people train, 2 validate, 6 are held out."""
    table, weights = photographs.find_photographs("pointing04")
    frame = pointing.read(table, 4 if quick else None)
    frame = frame.assign(split=assign_parts(frame["person"], {"train": 7, "valid": 2, "test": 6}))
    frame.to_csv(folder / "poses.csv", index=False)
    options = SMALL if quick else {"epochs": 4, "weights": str(weights)}
    run = imgreg_fastai.train(POSE, data=folder / "poses.csv", out=folder, calibrate=0.0, **options)
    return score("Pointing'04", run, run.labels[run.labels["split"] == "test"])


def assign_parts(people: pd.Series, shares: dict[str, int]) -> np.ndarray:
    """Return the part of each row by its person; `shares` are the parts' shares of the people, who are shuffled."""
    names = [name for name, n in shares.items() for _ in range(n)]
    order = np.random.default_rng(0).permutation(np.sort(people.unique()))
    part = {person: names[i * len(names) // len(order)] for i, person in enumerate(order)}
    return people.map(part).to_numpy()


def score(name: str, run, held_out: pd.DataFrame) -> list[dict]:
    """Measure the intervals of a run.

    Args:
        name (str): the name of the data.
        run (Run): a trained run.
        held_out (pd.DataFrame): labels that the run did not use.

    Returns:
        list of dict: a row a target for new images of the same groups, and one for new groups; then one for images that
        are called OOD.
    """
    model = imgreg_fastai.load(run.path)
    space, (trained, valid, other) = calibrate.score_parts(model, run.labels, held_out, 0)
    fit = calibrate.fit_difficulty(model.task, trained, valid, COVERAGE)
    difficulty, units = fit.model.predict(other.inputs, other.error_scales), other.groups
    groups = {"pictures": np.arange(len(units)), "people": units}
    if len(np.unique(units)) == len(units):
        del groups["people"]
    rows = []
    for t, columns in zip(model.task.targets, model.task.interval_slices, strict=True):
        for kind, group in groups.items():
            rows.append({"data": name, "target": f"{t.name} ({t.kind})", "pictures": len(units),
                         "new": f"{kind} ({len(np.unique(group))})",
                         **measure_coverage(other.errors[:, columns], difficulty[:, columns], group)})
    return [*rows, {"data": name, **measure_ood(model, space, other.distance, held_out)}]


def measure_coverage(distances: np.ndarray, difficulty: np.ndarray, units: np.ndarray) -> dict:
    """Measure intervals over DIVISIONS random halves of the units, beside intervals of constant width.

    Args:
        distances (np.ndarray): the errors that intervals should cover, [n, columns].
        difficulty (np.ndarray): factors of the intervals' half-widths, [n, columns].
        units (np.ndarray): images of the same unit are in the same half, [n].

    Returns:
        dict: coverage, its standard deviation, that of the hardest quarter, and widths.
    """
    rng, results = np.random.default_rng(0), []
    constant = np.ones_like(difficulty)
    for _ in range(DIVISIONS):
        names = rng.permutation(np.unique(units))
        calibrates = np.isin(units, names[: len(names) // 2])
        hardest = hardest_quarter(difficulty[~calibrates].mean(axis=1))
        results.append([*cover_half(distances, difficulty, units, calibrates, hardest),
                        *cover_half(distances, constant, units, calibrates, hardest)])
    covered, hard, width, constant_covered, constant_hard, constant_width = np.mean(results, axis=0)
    return {"coverage": covered, "spread": np.std(results, axis=0)[0], "hardest quarter": hard,
            "constant": constant_covered, "constant, hardest quarter": constant_hard, "width": width,
            "width / constant": width / constant_width}


def hardest_quarter(difficulty: np.ndarray) -> np.ndarray:
    """Return which images [n] are the hardest quarter; all of them if they are equal."""
    return difficulty >= np.quantile(difficulty, 0.75)


def cover_half(distances, difficulty, units, calibrates, hardest) -> list[float]:
    """Calibrate on one half; return the other's coverage, that of its `hardest` images, and the mean half-width."""
    scores = distances[calibrates] / difficulty[calibrates]
    with muted():  # of few groups
        groups = calibrate.calibrating_groups(scores, units[calibrates], COVERAGE)
    factors = [quantiles.conformal_quantile(column, groups, COVERAGE) for column in scores.T]
    half_widths, other = difficulty[~calibrates] * factors, distances[~calibrates]
    covered = np.where(np.isfinite(other), other <= half_widths, np.nan)
    return [np.nanmean(covered), np.nanmean(covered[hardest]), half_widths.mean()]


def measure_ood(model, space, distance: np.ndarray, held_out: pd.DataFrame) -> dict:
    """Return the share of changed images that is called OOD, where 1 % of the held-out images is."""
    limit = np.quantile(distance, 1 - conformal.OOD_SHARE, method="higher")
    rows = held_out.sample(min(200, len(held_out)), random_state=0)
    boxes = model.task.boxes(rows)
    pixels = np.stack([p.pixels for p in images.fit_images(list(rows["path"]), model.task, boxes)])
    changed = {name: np.stack(list(map(change, pixels))) for name, change in CHANGES.items()}
    changed["foreign"] = foreign(*model.task.size)
    return {f"ood: {name}": np.mean(space.project(features(model, images))[1] > limit)
            for name, images in changed.items()}


def features(model, pixels: np.ndarray) -> np.ndarray:
    """Return the network's features [n, F] of fitted images."""
    return np.concatenate([model.forward(pixels[i : i + 64])[1] for i in range(0, len(pixels), 64)])


def blur(pixels: np.ndarray) -> np.ndarray:
    """Blur as out of focus: by a Gaussian of a twentieth of the short side."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(min(pixels.shape[:2]) / 20)))


def add_noise(pixels: np.ndarray) -> np.ndarray:
    """Add noise with a standard deviation of a fifth of the range."""
    return np.clip(pixels + np.random.default_rng(0).normal(0, 51, pixels.shape), 0, 255).astype(np.uint8)


CHANGES = {"blurred": blur, "inverted": lambda pixels: 255 - pixels, "noisy": add_noise}


def foreign(height: int, width: int, n: int = 100) -> np.ndarray:
    """Crop scikit-image's own photographs at random; they show nothing of any of these tasks. Return [n, h, w, 3]."""
    from skimage import data

    photos, rng = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()], np.random.default_rng(0)
    crops = []
    for i in range(n):
        picture = Image.fromarray(photos[i % len(photos)])
        side = int(rng.integers(80, 300))
        x, y = (int(rng.integers(0, end - side)) for end in picture.size)
        crops.append(np.asarray(picture.resize((width, height), box=(x, y, x + side, y + side))))
    return np.stack(crops)
