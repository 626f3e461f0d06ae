"""The verdict on a run's scores in plain words: a sentence for each target, and weaknesses with what to do about them.

`numbers` are one target's scores of one part of the split, as evaluation.metrics.score and evaluation.coverage give
them.
"""
from collections.abc import Iterator
from functools import partial
from typing import NamedTuple

import numpy as np

from ..evaluation.coverage import LARGE_SHORTFALL as MUCH_LESS
from ..evaluation.coverage import MIN_VALUES, is_too_low
from ..evaluation.metrics import HARDLY_BETTER
from ..plots.training_charts import best_row
from ..utils.errors import first_few
from ..utils.format import format_amount

FAR_WORSE = 2.0  # times the mean error of all pictures
MIN_PICTURES, MIN_PICTURES_OF_PART = 30, 5  # fewer make a mean unreliable: of all, of a group or a part of the range
MAX_BIAS = 0.5  # of the mean error
OVERFITTED = 2.0  # times the training loss at the best epoch
STILL_FALLING = 0.99  # of the lowest loss before: one cycle's last epoch is nearly always the best, by a hair


class Weakness(NamedTuple):
    """A weakness of a model.

    Args:
        kind: a word to know it by.
        text: what it is.
        hint: what to do about it.
    """

    kind: str
    text: str
    hint: str


def is_far_worse(n: int, mean: float, mean_of_all: float) -> bool:
    """Whether the mean error of n pictures is far above that of all, and n not too small to say so."""
    return bool(n >= MIN_PICTURES_OF_PART and mean > FAR_WORSE * mean_of_all)


def sentence(numbers: dict, part: str) -> str:
    """One target's scores in words, with the error of guessing and what nine in ten predictions keep within.

    Args:
        numbers: the target's scores.
        part: the name of their part in a sentence, such as "validation".
    """
    n, amount = numbers["n"], partial(format_amount, unit=numbers["unit"])
    if not n:
        return f"No picture of the {part} part has a label: nothing can be said."
    pictures = f"{n:,} pictures it was not trained on" if n > 1 else "the only picture it was not trained on"
    text = f"Off by {amount(numbers['mean'])} on average on {pictures}"
    if "baseline" in numbers:
        text += f"; guessing would be off by {amount(numbers['baseline'])}"
    return f"{text}. Nine in ten lie within {amount(numbers['p90'])}." if n >= 10 else f"{text}."


def weaknesses(target, numbers: dict) -> list[Weakness]:
    """The weaknesses in a target's scores of one part; none where it has no labels."""
    if not numbers["n"]:
        return []
    amount = partial(format_amount, unit=numbers["unit"])
    return [*_against_guessing(numbers, amount), *_bias(target, numbers, amount), *_worse_parts(numbers, amount),
            *_intervals(target, numbers, amount), *_few_pictures(numbers["n"])]


def _against_guessing(numbers: dict, amount) -> Iterator[Weakness]:
    mean, guess = numbers["mean"], numbers.get("baseline", 0.0)
    if mean > HARDLY_BETTER * guess > 0:
        word = "No" if mean >= guess else "Hardly"
        yield Weakness("guessing", f"{word} better than guessing: {amount(mean)} against {amount(guess)}.",
                       "Look at the faults of the data below; then train for more epochs, or with more pictures.")


def _bias(target, numbers: dict, amount) -> Iterator[Weakness]:
    bias, n = numbers.get("bias", 0.0), numbers["n"]
    by_chance = 3 * numbers["rmse"] / n**0.5
    if n >= MIN_PICTURES and abs(bias) >= max(MAX_BIAS * numbers["mean"], by_chance):
        direction = "to one side"
        if len(target.columns) == 1:
            direction = "too large" if bias > 0 else "too small"
        yield Weakness("bias", f"Predictions are {direction} by {amount(abs(bias))} on average, much of the mean error "
                       f"of {amount(numbers['mean'])}.",
                       "Look at the residuals: the same offset everywhere often comes from how labels were read.")


def _worse_parts(numbers: dict, amount) -> Iterator[Weakness]:
    """Groups and parts of the range whose errors are far above the mean."""
    mean = numbers["mean"]
    groups = [f"{name} ({amount(part['mean'])})" for name, part in numbers.get("groups", {}).items()
              if is_far_worse(part["n"], part["mean"], mean)]
    if groups:
        yield Weakness("groups", f"Far worse than the mean of {amount(mean)} on {first_few(groups, 3)}.",
                       "Look at their pictures and labels, and train on more like them.")
    parts = [part for part in numbers.get("range", []) if is_far_worse(part["n"], part["mean"], mean)]
    if parts:
        worst = max(parts, key=lambda part: part["mean"])
        yield Weakness("range", f"Far worse where the true value lies between {format_amount(worst['low'])} and "
                       f"{amount(worst['high'])}: off by {amount(worst['mean'])} on {worst['n']:,} pictures.",
                       "Train on more pictures of that range, or with --balance.")


def _intervals(target, numbers: dict, amount) -> Iterator[Weakness]:
    """Intervals that are too narrow: for all pictures, or for parts of the range and groups, the worst first."""
    coverage = numbers.get("coverage")
    if not coverage:
        return
    if is_too_low(coverage):
        yield Weakness("intervals", f"The intervals are too narrow here: they hold for {share(coverage['reached'])} of "
                       f"the pictures, and {share(coverage['asked'])} were asked.",
                       "Trust them only on pictures like those of the calibration; calibrate on pictures like these.")
    parts = list(coverage.get("groups", {}).items())
    for part in coverage.get("range", []):
        parts.append((f"{target.name} {format_amount(part['low'])} to {amount(part['high'])}", part))
    too_low = [(part["reached"], name) for name, part in parts if part["n"] >= MIN_VALUES * len(target.interval_columns)
               and part["reached"] < coverage["asked"] - MUCH_LESS]
    if too_low:
        names = first_few((f"of {name} only {share(reached)}" for reached, name in sorted(too_low)), 3)
        yield Weakness("uneven", f"The intervals promise {share(coverage['asked'])}, and {names} lie within theirs.",
                       "Do not rely on them there; train and calibrate on more pictures like those.")


def _few_pictures(n: int) -> Iterator[Weakness]:
    if n < MIN_PICTURES:
        yield Weakness("few", f"Only {n} picture{'s were' if n > 1 else ' was'} scored, so that all of this is rough.",
                       "Keep more pictures for validation: --valid 0.3.")


def training_weaknesses(history, stopped: str = "") -> Iterator[Weakness]:
    """Whether the training was too long or too short.

    Args:
        history: see plots/training_charts.py.
        stopped: why it ended early; empty if it did not.
    """
    best = best_row(history)
    if best is None:
        return
    loss, train = history["valid_loss"].to_numpy(float), float(history["train_loss"].iloc[best])
    if loss[best] > OVERFITTED * train > 0:
        yield Weakness("overfitted", f"Overfitted: the training loss of {train:.2g} lies far below the validation loss "
                       f"of {loss[best]:.2g}.", "Train on more pictures, with more --augment or --wd.")
    if best == len(loss) - 1 > 0 and not stopped and loss[best] < STILL_FALLING * np.nanmin(loss[:-1]):
        yield Weakness("short", f"The last of {len(loss)} epochs was the best, and the validation loss was still "
                       "falling.", f"Train for longer: --epochs {2 * len(loss)}.")


def share(part: float) -> str:
    """A part in per cent: "90 %", "92.5 %"."""
    return f"{round(100 * part, 1):g} %"
