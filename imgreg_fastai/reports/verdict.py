"""The verdict on a run's scores in plain words: a sentence for each target, and weaknesses with what to do about them.

`numbers` are one target's scores of one part of the split, as evaluation.metrics.score and evaluation.coverage give
them.
"""
from collections.abc import Callable, Iterator
from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd

from ..evaluation.coverage import LARGE_SHORTFALL, MIN_VALUES, is_too_low
from ..evaluation.metrics import describe_guessing
from ..plots.training_charts import best_row
from ..tasks import Target
from ..training.recipe import longer_training
from ..utils.format import format_amount
from ..utils.messages import first_few
from .inputs import ReportInputs

FAR_WORSE = 2.0  # times the mean error of all images
MIN_PICTURES, MIN_PICTURES_OF_PART = 30, 5  # fewer make a mean unreliable: of all, of a group or a part of the range
MAX_BIAS = 0.5  # of the mean error
OVERFITTED = 2.0  # times the training loss at the best epoch
STILL_FALLING = 0.99  # of the lowest loss before: one cycle's last epoch is nearly always the best, by a hair


class Weakness(NamedTuple):
    """A weakness of a model.

    Args:
        kind: A word to know it by.
        text: What it is.
        hint: What to do about it.
    """

    kind: str
    text: str
    hint: str


def is_far_worse(n: int, mean: float, mean_of_all: float) -> bool:
    """Tell whether the mean error of n images is far above that of all, and n not too small to say so."""
    return bool(n >= MIN_PICTURES_OF_PART and mean > FAR_WORSE * mean_of_all)


def sentence(numbers: dict, part: str) -> str:
    """Write one target's scores in words, with the error of guessing and what nine in ten predictions keep within.

    Args:
        numbers: The target's scores.
        part: The name of their part in a sentence, such as "validation".
    """
    n, amount = numbers["n"], partial(format_amount, unit=numbers["unit"])
    if not n:
        return f"No image of the {part} part has a label: nothing can be said."
    pictures = f"{n:,} images it was not trained on" if n > 1 else "the only image it was not trained on"
    text = f"Off by {amount(numbers['mean'])} on average on {pictures}"
    if "baseline" in numbers:
        text += f"; guessing would be off by {amount(numbers['baseline'])}"
    return f"{text}. Nine in ten lie within {amount(numbers['p90'])}." if n >= 10 else f"{text}."


def weaknesses(target: Target, numbers: dict, has_issues: bool = False,
               is_quick: bool = False) -> Iterator[Weakness]:
    """Find the weaknesses in a target's scores of one part; none where it has no labels.

    Args:
        target: The target.
        numbers: Its scores.
        has_issues: Whether the page shows issues of the data.
        is_quick: Whether the model is a ridge of --quick, which can be trained.
    """
    n, amount = numbers["n"], partial(format_amount, unit=numbers["unit"])
    if not n:
        return
    mean, guess, bias = numbers["mean"], numbers.get("baseline", 0.0), numbers.get("bias", 0.0)
    if against_guessing := describe_guessing(mean, guess):
        hint = "Look at the issues of the data below; then train" if has_issues else "Train"
        hint += " a network, without --quick" if is_quick else " for more epochs"
        yield Weakness("guessing", f"{against_guessing.capitalize()}: {amount(mean)} against {amount(guess)}.",
                       f"{hint}, or with more images.")
    by_chance = 3 * numbers["rmse"] / n**0.5
    if n >= MIN_PICTURES and abs(bias) >= max(MAX_BIAS * mean, by_chance):
        direction = "too large" if bias > 0 else "too small"
        if len(target.columns) > 1:
            direction = "to one side"
        yield Weakness("bias", f"Predictions are {direction} by {amount(abs(bias))} on average, much of the mean error "
                       f"of {amount(mean)}.",
                       "Look at the residuals: the same offset everywhere often comes from how labels were read.")
    yield from _worse_parts(numbers, amount, is_quick)
    if "coverage" in numbers:
        yield from _narrow_intervals(target, numbers["coverage"], amount)
    if n < MIN_PICTURES:
        yield Weakness("few", f"Only {n} image{'s were' if n > 1 else ' was'} scored, so that all of this is rough.",
                       "Keep more images for it: a larger --valid or --test, or more rows of that part in the table.")


def _worse_parts(numbers: dict, amount: Callable[[float], str], is_quick: bool) -> Iterator[Weakness]:
    """Find groups and parts of the range whose errors are far above the mean; `amount` writes one with its unit."""
    mean = numbers["mean"]
    groups = [f"{name} ({amount(scores['mean'])})" for name, scores in numbers.get("groups", {}).items()
              if is_far_worse(scores["n"], scores["mean"], mean)]
    if groups:
        yield Weakness("groups", f"Far worse than the mean of {amount(mean)} on {first_few(groups, 3)}.",
                       "Look at their images and labels, and train on more like them.")
    parts = [part for part in numbers.get("range", []) if is_far_worse(part["n"], part["mean"], mean)]
    if parts:
        worst = max(parts, key=lambda part: part["mean"])
        yield Weakness("range", f"Far worse where the true value lies between {format_amount(worst['low'])} and "
                       f"{amount(worst['high'])}: off by {amount(worst['mean'])} on {worst['n']:,} images.",
                       f"Train on more images of that range{'' if is_quick else ', or with --balance'}.")


def _narrow_intervals(target: Target, coverage: dict, amount: Callable[[float], str]) -> Iterator[Weakness]:
    """Find intervals that are too narrow: for all images, or for parts of the range and groups, the worst first."""
    if is_too_low(coverage):
        yield Weakness("intervals", f"The intervals are too narrow here: they hold for {share(coverage['reached'])} of "
                       f"the images, and {share(coverage['asked'])} were asked.",
                       "Trust them only on images like those of the calibration; calibrate on images like these.")
    parts = list(coverage.get("groups", {}).items())
    for part in coverage.get("range", []):
        parts.append((f"{target.name} {format_amount(part['low'])} to {amount(part['high'])}", part))
    too_low = [(part["reached"], name) for name, part in parts if part["n"] >= MIN_VALUES * len(target.interval_columns)
               and part["reached"] < coverage["asked"] - LARGE_SHORTFALL]
    if too_low:
        names = first_few((f"of {name} only {share(reached)}" for reached, name in sorted(too_low)), 3)
        yield Weakness("uneven", f"The intervals promise {share(coverage['asked'])}, and {names} lie within theirs.",
                       "Do not rely on them there; train and calibrate on more images like those.")


def training_weaknesses(history: pd.DataFrame, longer: str, stopped: str = "") -> Iterator[Weakness]:
    """Tell whether the training was too long or too short.

    Args:
        history: See plots/training_charts.py.
        longer: The option of a longer training, see training.recipe.longer_training.
        stopped: Why it ended early; empty if it did not.
    """
    best = best_row(history)
    if best is None:
        return
    loss, train = history["valid_loss"].to_numpy(float), float(history["train_loss"].iloc[best])
    if loss[best] > OVERFITTED * train > 0:
        yield Weakness("overfitted", f"Overfitted: the training loss of {train:.2g} lies far below the validation loss "
                       f"of {loss[best]:.2g}.", "Train on more images, with more --augment or --wd.")
    if best == len(loss) - 1 > 0 and not stopped and loss[best] < STILL_FALLING * np.nanmin(loss[:-1]):
        yield Weakness("short", f"The last of {len(loss)} epochs was the best, and the validation loss was still "
                       "falling.", f"Train for longer: {longer}.")


def verdicts(inputs: ReportInputs, has_issues: bool) -> tuple[list[dict], list[Weakness]]:
    """Judge a run on its verdict_part.

    Args:
        inputs: The run.
        has_issues: See weaknesses.

    Returns:
        {target, sentence, bad, weaknesses} of each target; and the weaknesses of the run as a whole, which are those
        of all of several targets, and of the training.
    """
    scores, targets = inputs.scores[inputs.verdict_part], inputs.task.targets
    is_quick = inputs.run.config.quick
    by_name = {t.name: [*weaknesses(t, scores[t.name], has_issues, is_quick), *_small_model(inputs, t)]
               for t in targets}
    of_all = []
    if len(targets) > 1:
        of_all = [w for w in by_name[targets[0].name] if all(w in others for others in by_name.values())]
    by_target = [{"target": t, "sentence": sentence(scores[t.name], part_name(inputs.verdict_part)),
                  "bad": not scores[t.name]["n"] or any(w.kind in ("guessing", "small") for w in by_name[t.name]),
                  "weaknesses": [w for w in by_name[t.name] if w not in of_all]} for t in targets]
    if inputs.history is not None:
        of_all += training_weaknesses(inputs.history, _longer(inputs), inputs.run.about.get("stopped") or "")
    return by_target, of_all


def _small_model(inputs: ReportInputs, target: Target) -> Iterator[Weakness]:
    """Find the best small model, or the ridge on frozen features, if it does better."""
    errors = {name: scores[target.name]["mean"] for name, scores in inputs.baselines.items()
              if "mean" in scores.get(target.name, {})}
    numbers = inputs.scores.get("valid", {}).get(target.name, {})
    mean = numbers.get("mean", 0.0)
    if "ridge" in numbers:
        errors[inputs.ridge] = numbers["ridge"]
    best = min(errors, key=lambda name: errors[name], default="")
    if errors and errors[best] < mean:
        hint = f"This model is not at its end: train for longer ({_longer(inputs)}), or from other weights."
        if inputs.run.config.quick:
            hint = "Train a network, without --quick, or take other weights."
        small, own = (format_amount(error, target.unit) for error in (errors[best], mean))
        yield Weakness("small", f"A small model does better: {best} is off by {small}, this one by {own}.", hint)


def _longer(inputs: ReportInputs) -> str:
    """The option of a longer training."""
    return longer_training(inputs.run.config, inputs.run.about.get("recipe") or {})


def part_name(part: str) -> str:
    """Return a part of the split as a sentence calls it: "validation"."""
    return {"valid": "validation", "calibrate": "calibration"}.get(part, part)


def share(part: float) -> str:
    """Write a part in per cent: "90 %", "92.5 %"."""
    return f"{round(100 * part, 1):g} %"
