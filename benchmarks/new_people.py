"""What intervals of new people contain where few people calibrate: those of the validation part, as in `imgreg train`.

    IMGREG_REAL_DATA=FOLDER python -m benchmarks --only new_people

One training for each data set; FOLDER holds data/facial_keypoints, data/pointing04 and
weights/mobilenetv2_100_imagenet.pth. People that it does not train on are divided DIVISIONS times into two halves. One
half is the validation part: it chooses the epoch, shows which images are difficult, and calibrates. The other half are
new people, all of whom weigh the same.
"""
import tempfile
from functools import cache, partial
from pathlib import Path

import numpy as np
import pandas as pd
from fastai.callback.core import Callback

from imgreg_fastai.api import automatic, fitting, preparation
from imgreg_fastai.api.plan import TrainingPlan
from imgreg_fastai.config import fewest_to_calibrate
from imgreg_fastai.evaluation import calibrate
from imgreg_fastai.inference import model_file
from imgreg_fastai.inference.conformal import Calibration
from imgreg_fastai.inference.predictor import Predictor
from imgreg_fastai.inference.quantiles import guaranteed_quantile, sort_scores
from imgreg_fastai.models import backbones
from imgreg_fastai.training import loop
from imgreg_fastai.training.precision import choose_precision
from imgreg_fastai.utils.messages import muted

from . import keypoints, photographs, pointing
from .coverage import COVERAGE, DIVISIONS, POSE, SMALL

TRAINED_POSES = 0.6  # of the people of Pointing'04, the first ones


def measure(quick: bool = False) -> list[dict]:
    """Measure intervals of new people for faces and for poses.

    Args:
        quick (bool): train tiny networks for one epoch on a few images, and divide twice.

    Returns:
        list of dict: rows of `score`.
    """
    def part(name, make_plan, *paths):
        with tempfile.TemporaryDirectory() as folder, muted():
            plan = automatic.apply_recipe(make_plan(*paths, Path(folder), quick))
            return score(name, plan, Epochs(plan), 2 if quick else DIVISIONS)

    plans = {"facial_keypoints": plan_faces, "pointing04": plan_poses}
    return photographs.measure_each({name: partial(part, name, make_plan) for name, make_plan in plans.items()})


def plan_faces(table: Path, weights: Path, folder: Path, quick: bool) -> TrainingPlan:
    """Plan a training on the training people of the table."""
    frame = pd.read_csv(table)
    frame["image"] = [str((table.parent / name).resolve()) for name in frame["image"]]
    people = frame.groupby("split")["person"].transform(lambda names: pd.factorize(names)[0])
    frame = frame[people < 6].groupby("person").head(8) if quick else frame
    frame.to_csv(folder / "faces.csv", index=False)
    options = {**keypoints.OPTIONS, "epochs": 20, "calibrate": 0, "weights": str(weights), **(SMALL if quick else {})}
    return preparation.prepare(folder / "faces.csv", **options)


def plan_poses(table: Path, weights: Path, folder: Path, quick: bool) -> TrainingPlan:
    """Plan a training on the pan and tilt of the first people."""
    frame = pointing.read(table, 8 if quick else None)
    names = np.sort(frame["person"].unique())
    frame["split"] = np.where(frame["person"].isin(names[: round(TRAINED_POSES * len(names))]), "train", "valid")
    frame.to_csv(folder / "poses.csv", index=False)
    options = SMALL if quick else {"epochs": 6, "weights": str(weights)}
    return preparation.prepare(POSE, data=folder / "poses.csv", calibrate=0, **options)


class KeepEpochs(Callback):
    """Keeps the weights after each epoch, and the loss of each image of its validation, in their order."""

    def __init__(self):
        self.losses, self.weights = [], []

    def before_validate(self):
        self.losses.append([])

    def after_loss(self):
        if not self.training:
            self.losses[-1] += [float(self.learn.loss_func(self.pred[i : i + 1], *(y[i : i + 1] for y in self.yb)))
                                for i in range(len(self.pred))]

    def after_validate(self):
        self.weights.append({name: tensor.detach().clone() for name, tensor in self.learn.model.state_dict().items()})


class Epochs:
    """A training, and what each of its epochs predicts.

    Args:
        plan (TrainingPlan): its part valid holds the people that are not trained on.

    Attributes:
        losses (np.ndarray): of each epoch, the loss of each image of the part valid, [epochs, n].
    """

    def __init__(self, plan: TrainingPlan):
        self.plan, kept = plan, KeepEpochs()
        self.learn, source = fitting.build_learner(plan)
        with self.learn.added_cbs(kept):
            loop.fit(self.learn, plan.config, loop.TrainingWatch(), source.pretrained,
                     choose_precision(self.learn, "auto"))
        self.losses, self.weights = np.array(kept.losses), kept.weights
        self.metadata = model_file.model_metadata(
            plan.task, plan.config.arch, plan.config.arch_args, backbones.stats(plan.config.arch), source.to_dict(),
            self.learn.dls.train.levels, **fitting.network_fields(self.learn))
        self.parts = cache(self.parts)

    def parts(self, epoch: int) -> tuple[calibrate.ScoredPart, calibrate.ScoredPart]:
        """Send images through the network of an epoch, from 0: those trained on, and all others in their order."""
        self.learn.model.load_state_dict(self.weights[epoch])
        model = Predictor(self.plan.task, self.learn.model.eval(), self.metadata)
        rows = self.plan.rows
        others = rows[rows["split"] == "valid"]
        _, (trained, _, scored) = calibrate.score_parts(model, rows[rows["split"] == "train"], others, 0)
        return trained, scored


def score(name: str, plan: TrainingPlan, epochs: Epochs, divisions: int) -> list[dict]:
    """Measure intervals of new people over random divisions of all people that are not trained on.

    Args:
        name (str): the name of the data.
        plan (TrainingPlan): of the training.
        epochs (Epochs): the training.
        divisions (int): how many.

    Returns:
        list of dict: a row a target, and one for the joint intervals of all. How many people calibrate, and the mean
        over divisions of what `cover` returns, with the standard deviation of the coverage (`spread`); `before`: the
        coverage of the guaranteed quantile, or where people are too few for it, of that of images.
    """
    groups = epochs.parts(0)[1].groups
    people, rng, results = np.unique(groups), np.random.default_rng(0), []
    n_calibrate = (len(people) + 1) // 2
    for _ in range(divisions):
        results.append(divide(plan, epochs, np.isin(groups, rng.permutation(people)[:n_calibrate])))
    rows = []
    for target in dict.fromkeys(target for result in results for target in result):
        measured = pd.DataFrame([result[target] for result in results if target in result])
        rows.append({"data": name, "target": target, "people that calibrate": n_calibrate,
                     "new people": len(people) - n_calibrate, **measured.mean(),
                     "spread": measured["coverage"].std(ddof=0)})
    return rows


def divide(plan: TrainingPlan, epochs: Epochs, is_valid: np.ndarray) -> dict[str, dict]:
    """Calibrate by some of the people [n]; return what `cover` measures on the others, for each target and jointly."""
    epoch = int(epochs.losses[:, is_valid].mean(axis=1).argmin())
    trained, others = epochs.parts(epoch)
    valid, new = (calibrate.ScoredPart(*(values[rows] for values in others)) for rows in (is_valid, ~is_valid))
    fit = calibrate.fit_difficulty(plan.task, trained, valid, COVERAGE)
    calibrating = valid.errors / fit.left_out_difficulty
    groups = calibrate.calibrating_groups(calibrating, valid.groups, COVERAGE)
    calibration = Calibration(None, fit.model, calibrating, groups, None)
    scores = new.errors / fit.model.predict(new.inputs, new.error_scales)
    single, results = calibration.quantiles(COVERAGE), {}
    before = [earlier_quantile(column, valid.groups) for column in calibration.scores.T]
    for t, own in zip(plan.task.targets, plan.task.interval_slices, strict=True):
        columns = range(own.start, own.stop)
        found = [{**cover(scores[:, [i]] / single[i], new.groups),
                  "before": cover(scores[:, [i]] / before[i], new.groups)["coverage"]} for i in columns]
        results[t.name] = pd.DataFrame(found).mean().to_dict()
    if calibration.has_joint(COVERAGE):
        results["all, jointly"] = cover(scores / calibration.joint_quantiles(COVERAGE), new.groups)
    return results


def earlier_quantile(scores: np.ndarray, groups: np.ndarray) -> float:
    """Return the quantile of earlier versions: by groups [n] where there are enough of them, else by images."""
    is_enough = len(np.unique(groups)) >= fewest_to_calibrate(COVERAGE)
    return guaranteed_quantile(sort_scores(scores, groups if is_enough else np.arange(len(groups))), COVERAGE)


def cover(ratios: np.ndarray, groups: np.ndarray) -> dict:
    """Measure intervals.

    Args:
        ratios (np.ndarray): errors over half-widths, [n, columns] that are to lie within their intervals at once.
        groups (np.ndarray): the person of each image, [n].

    Returns:
        dict: `coverage`, the mean over people of the share of their images; `lowest person`, the least of these shares;
        `width / exact`, the width over that which would contain COVERAGE of these images.
    """
    labelled = np.isfinite(ratios).all(axis=1)
    largest, groups = ratios[labelled].max(axis=1), groups[labelled]
    shares = pd.Series(largest <= 1).groupby(groups).mean()
    return {"coverage": shares.mean(), "lowest person": shares.min(),
            "width / exact": 1 / np.quantile(largest, COVERAGE)}
