"""Whether intervals hold what they promise, on pictures that no part of a model has seen; and what is called unlike.

    python -m benchmarks --only coverage
    IMGREG_REAL_DATA=FOLDER python -m benchmarks --only coverage

Each row is one trained model, made with fewer epochs than the task's own: what intervals promise does not depend on how
good it is. Its held-out pictures are divided DIVISIONS times at random, one half to calibrate and one to be covered.
FOLDER adds photographs: data/facial_keypoints, data/pointing04 and weights/mobilenetv2_100_imagenet.pth.
"""
import os
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image, ImageFilter

import imgreg_fastai
from imgreg_fastai.config import fewest_to_calibrate
from imgreg_fastai.data import images, labels
from imgreg_fastai.datasets import angle, headpose
from imgreg_fastai.datasets.drawing import heads
from imgreg_fastai.evaluation import calibrate
from imgreg_fastai.inference import conformal
from imgreg_fastai.tasks import ANGLE, DRAWN_HEADS, Number, Task

from . import keypoints, pointing

DIVISIONS = 20
COVERAGE = 0.9
POSE = Task("pose", (Number("pan", ("pan_deg",), "°"), Number("tilt", ("tilt_deg",), "°")), (96, 96), box=pointing.BOX,
            margin=0.15, group="person", augment=("colour", "tint"), recipe=pointing.RECIPE)
SMALL = {"arch": "test_resnet", "arch_args": {}, "weights": "none", "epochs": 1, "bs": 16}


def measure(quick: bool = False) -> list[dict]:
    """Rows of `judge`, of drawn angles and heads and where they are had of faces and real heads."""
    with tempfile.TemporaryDirectory() as folder:
        parts = [of_angles, of_heads] + [of_faces, of_poses] * (keypoints_here() is not None)
        return [row for part in parts for row in part(Path(folder), quick)]


def keypoints_here() -> Path | None:
    """The folder of photographs, if there is one."""
    home = Path(os.environ.get("IMGREG_REAL_DATA", "nowhere"))
    return home if (home / "weights" / "mobilenetv2_100_imagenet.pth").is_file() else None


def of_angles(folder: Path, quick: bool) -> list[dict]:
    """Drawn bars: trained on 4,000, held out 2,000 drawn with another seed."""
    angle.draw(folder / "angle", 120 if quick else 4000, seed=0)
    angle.draw(folder / "more", 60 if quick else 2000, seed=1)
    how = SMALL if quick else {"epochs": 6}
    run = imgreg_fastai.train("angle", data=folder / "angle", out=folder, calibrate=0.0, valid=0.25, **how)
    return judge("drawn angles", run, labels.read_labels(angle.read(folder / "more"), ANGLE, to_divide=False))


def of_heads(folder: Path, quick: bool) -> list[dict]:
    """Drawn heads: held out are 150 sequences of another seed, ten pictures each."""
    heads.draw(folder / "heads", 48 if quick else 3000, seed=0)
    heads.draw(folder / "others", 48 if quick else 1500, seed=1)
    how = SMALL if quick else {"epochs": 12}
    run = imgreg_fastai.train(DRAWN_HEADS, data=headpose.read(folder / "heads"), out=folder, calibrate=0.0, **how)
    held = labels.read_labels(headpose.read(folder / "others"), DRAWN_HEADS, to_divide=False)
    return judge("drawn heads", run, held)


def of_faces(folder: Path, quick: bool) -> list[dict]:
    """Facial keypoints: a third of the people trains, a sixth validates, half are held out."""
    home = keypoints_here()
    frame = pd.read_csv(home / "data" / "facial_keypoints" / "labels.csv")
    frame["image"] = [str((home / "data" / "facial_keypoints" / name).resolve()) for name in frame["image"]]
    frame = frame.assign(split=parts(frame["person"], (("train", 6), ("valid", 2), ("test", 8))))
    frame = frame.groupby("split").head(24) if quick else frame
    frame.to_csv(folder / "faces.csv", index=False)
    how = {**keypoints.OURS, "epochs": 15, "weights": str(home / "weights" / "mobilenetv2_100_imagenet.pth")}
    run = imgreg_fastai.train(folder / "faces.csv", out=folder, group="person", calibrate=0.0,
                              **(how | SMALL if quick else how))
    return judge("facial keypoints", run, run.labels[run.labels["split"] == "test"])


def of_poses(folder: Path, quick: bool) -> list[dict]:
    """Pointing'04, pan and tilt as plain numbers: seven people train, two validate, six are held out."""
    home = keypoints_here()
    frame = pointing.read(home / "data" / "pointing04" / "labels.csv", 4 if quick else None)
    frame = frame.assign(split=parts(frame["person"], (("train", 7), ("valid", 2), ("test", 6))))
    frame.to_csv(folder / "poses.csv", index=False)
    how = SMALL if quick else {"epochs": 4, "weights": str(home / "weights" / "mobilenetv2_100_imagenet.pth")}
    run = imgreg_fastai.train(POSE, data=folder / "poses.csv", out=folder, calibrate=0.0, **how)
    return judge("Pointing'04", run, run.labels[run.labels["split"] == "test"])


def parts(people: pd.Series, wanted: tuple) -> np.ndarray:
    """The part of each row by its person: of each 15 or 16 people in random order so many of each part."""
    names = [name for name, n in wanted for _ in range(n)]
    order = np.random.default_rng(0).permutation(np.sort(people.unique()))
    part = {person: names[i * len(names) // len(order)] for i, person in enumerate(order)}
    return people.map(part).to_numpy()


def judge(name: str, run, held: pd.DataFrame) -> list[dict]:
    """A row a target for new pictures of the same groups, and for new groups; then what is called unlike."""
    model, known = imgreg_fastai.load(run.path), run.labels
    space, (trained, valid, other) = calibrate.score_parts(model, known, held, 0)
    difficulty, _ = calibrate.fit_difficulty(model.task, trained, valid, COVERAGE)
    inputs, far, distances, extents, units = other
    hard = difficulty.predict(inputs, extents)
    rows, end = [], 0
    for t in model.task.targets:
        start, end = end, end + len(t.interval_columns)
        groups = {"pictures": np.arange(len(units)), "people": units}
        for what, own in groups.items():
            if what == "pictures" or len(np.unique(units)) < len(units):
                rows.append({"data": name, "target": f"{t.name} ({t.kind})", "pictures": len(units),
                             "new": f"{what} ({len(np.unique(own))})",
                             **divided(distances[:, start:end], hard[:, start:end], own)})
    return [*rows, {"data": name, **caught(model, space, far, held)}]


def divided(distances: np.ndarray, hard: np.ndarray, units: np.ndarray) -> dict:
    """Over DIVISIONS random halves of the units: coverage, its spread, that of the hardest quarter, and the widths."""
    rng, made = np.random.default_rng(0), []
    for _ in range(DIVISIONS):
        names = rng.permutation(np.unique(units))
        first = np.isin(units, names[: len(names) // 2])
        most = hardest(hard[~first].mean(axis=1))
        made.append([*half(distances, hard, units, first, most),
                     *half(distances, np.ones_like(hard), units, first, most)])
    held, worst, width, plain, plain_worst, plain_width = np.mean(made, axis=0)
    return {"coverage": held, "spread": np.std(made, axis=0)[0], "hardest quarter": worst, "constant": plain,
            "constant, hardest quarter": plain_worst, "width": width, "width / constant": width / plain_width}


def hardest(difficulty: np.ndarray) -> np.ndarray:
    """Which quarter of the pictures [n] looks hardest; all of them where none does."""
    return difficulty >= np.quantile(difficulty, 0.75)


def half(distances, hard, units, first, most) -> tuple[float, float, float]:
    """Coverage, that of the pictures `most`, and mean width, of one half calibrated by the half `first`."""
    scores, n = distances[first] / hard[first], len(np.unique(units[first]))
    groups = units[first] if n >= fewest_to_calibrate(COVERAGE) else np.arange(first.sum())  # as calibration does
    factors = [conformal.conformal_quantile(s[np.isfinite(s)], groups[np.isfinite(s)], COVERAGE) for s in scores.T]
    radii, other = hard[~first] * factors, distances[~first]
    inside = np.where(np.isfinite(other), other <= radii, np.nan)
    return np.nanmean(inside), np.nanmean(inside[most]), radii.mean()


def caught(model, space, far: np.ndarray, held: pd.DataFrame) -> dict:
    """Which part of changed pictures is called unlike those trained on, where 1 % of the others is."""
    limit = np.quantile(far, 1 - conformal.OOD_SHARE, method="higher")
    rows = held.sample(min(200, len(held)), random_state=0)
    boxes = rows[list(model.task.box)].to_numpy(float) if model.task.box else None
    pixels = np.stack([p.pixels for p in images.fit_images(list(rows["path"]), model.task, boxes)])
    made = {**{name: np.stack(list(map(change, pixels))) for name, change in CHANGES.items()},
            "foreign": foreign(*model.task.size)}
    return {f"unlike: {name}": np.mean(space.project(features(model, of))[1] > limit) for name, of in made.items()}


def features(model, pixels: np.ndarray) -> np.ndarray:
    """The network's features [n, F] of fitted pictures."""
    return np.concatenate([model.forward(pixels[i : i + 64])[1] for i in range(0, len(pixels), 64)])


def blurred(pixels: np.ndarray) -> np.ndarray:
    """As out of focus: a Gaussian blur of a twentieth of the short side."""
    return np.asarray(Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(min(pixels.shape[:2]) / 20)))


def noisy(pixels: np.ndarray) -> np.ndarray:
    """Grain of a fifth of the range."""
    return np.clip(pixels + np.random.default_rng(0).normal(0, 51, pixels.shape), 0, 255).astype(np.uint8)


CHANGES = {"blurred": blurred, "inverted": lambda pixels: 255 - pixels, "noisy": noisy}


def foreign(height: int, width: int, n: int = 100) -> np.ndarray:
    """Random parts of scikit-image's own photographs, of nothing that any of these networks knows, [n, h, w, 3]."""
    from skimage import data

    shown, rng = [data.astronaut(), data.coffee(), data.chelsea(), data.rocket()], np.random.default_rng(0)
    made = []
    for i in range(n):
        picture = Image.fromarray(shown[i % len(shown)])
        side = int(rng.integers(80, 300))
        x, y = (int(rng.integers(0, end - side)) for end in picture.size)
        made.append(np.asarray(picture.resize((width, height), box=(x, y, x + side, y + side))))
    return np.stack(made)
