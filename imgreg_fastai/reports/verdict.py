"""What a run's scores come to, in plain words: a sentence for each target, and warnings with what to do about them."""
from typing import NamedTuple

import numpy as np

from ..evaluation.coverage import LARGE_SHORTFALL as LESS
from ..evaluation.coverage import MIN_VALUES, is_too_low
from ..evaluation.metrics import HARDLY_BETTER
from ..utils.errors import first_few
from ..utils.format import format_amount

FAR = 2.0  # times the mean error of all is far worse
FEW, FEW_OF_PART = 30, 5  # pictures below which a mean says little: of all, of a group or a part of the range
LEANING = 0.5  # of the mean error that a bias may have
OVER = 2.0  # times the training loss at the epoch that was kept
FALLING = 0.99  # of the lowest loss before: one cycle's last epoch is nearly always the best, by a hair


class Weakness(NamedTuple):
    """A weakness: a word to know it by, what it is, and what to do about it."""

    kind: str
    text: str
    hint: str


def sentence(numbers: dict, part: str) -> str:
    """One target's scores in words, with the error of guessing and what nine in ten keep within."""
    if not numbers["n"]:
        return f"No picture of the {part} part has a label: nothing can be said."
    unit, n = numbers["unit"], numbers["n"]
    of = f"{n:,} pictures it was not trained on" if n > 1 else "the only picture it was not trained on"
    told = f"Off by {format_amount(numbers['mean'], unit)} on average on {of}"
    told += f"; guessing would be off by {format_amount(numbers['baseline'], unit)}." if "baseline" in numbers else "."
    return f"{told} Nine in ten lie within {format_amount(numbers['p90'], unit)}." if n >= 10 else told


def of_scores(target, numbers: dict) -> list[Weakness]:
    """What is weak in a target's scores of one part; see scoring.score. Nothing where it has no labels."""
    if not numbers["n"]:
        return []
    found = [_against_guessing(numbers), _bias(target, numbers), _groups(numbers), _range(numbers),
             _intervals(numbers), _parts_held(target, numbers), _few(numbers)]
    return [warned for warned in found if warned]


def _against_guessing(numbers: dict) -> Weakness | None:
    guess = numbers.get("baseline", 0.0)
    if not numbers["mean"] > HARDLY_BETTER * guess > 0:
        return None
    word = "No" if numbers["mean"] >= guess else "Hardly"
    both = [format_amount(numbers[k], numbers["unit"]) for k in ("mean", "baseline")]
    return Weakness("guessing", f"{word} better than guessing: {both[0]} against {both[1]}.",
                  "Look at the faults of the data below; then train for more epochs, or with more pictures.")


def _bias(target, numbers: dict) -> Weakness | None:
    bias, n = numbers.get("bias", 0.0), numbers["n"]
    chance = 3 * numbers["rmse"] / n**0.5  # what is seen without any
    if n < FEW or abs(bias) < max(LEANING * numbers["mean"], chance):
        return None
    size = format_amount(abs(bias), numbers["unit"])
    way = ("too large" if bias > 0 else "too small") if len(target.columns) == 1 else "to one side"
    return Weakness("bias", f"Answers are {way} by {size} on average, much of the mean error of "
                  f"{format_amount(numbers['mean'], numbers['unit'])}.",
                  "Look at the residuals: an offset that is the same everywhere often comes from how labels were read.")


def _groups(numbers: dict) -> Weakness | None:
    worse = {name: g for name, g in numbers.get("groups", {}).items()
             if g["n"] >= FEW_OF_PART and g["mean"] > FAR * numbers["mean"]}
    if not worse:
        return None
    told = first_few((f"{name} ({format_amount(g['mean'], numbers['unit'])})" for name, g in worse.items()), 3)
    return Weakness("groups", f"Far worse than the mean of {format_amount(numbers['mean'], numbers['unit'])} on {told}.",
                  "Look at their pictures and labels, and train on more like them.")


def _range(numbers: dict) -> Weakness | None:
    parts = [p for p in numbers.get("range", []) if p["n"] >= FEW_OF_PART and p["mean"] > FAR * numbers["mean"]]
    if not parts:
        return None
    worst, unit = max(parts, key=lambda p: p["mean"]), numbers["unit"]
    return Weakness("range", f"Far worse where the truth lies between {format_amount(worst['low'])} and "
                  f"{format_amount(worst['high'], unit)}: off by {format_amount(worst['mean'], unit)} on {worst['n']:,} pictures.",
                  "Train on more pictures of that range, or with --balance.")


def _intervals(numbers: dict) -> Weakness | None:
    held = numbers.get("coverage")
    if not held or not is_too_low(held):
        return None
    return Weakness("intervals", f"The intervals are too narrow here: they hold for {share(held['reached'])} of the "
                  f"pictures, and {share(held['asked'])} were asked.",
                  "Trust them only on pictures like those of the calibration; calibrate on pictures like these.")


def _parts_held(target, numbers: dict) -> Weakness | None:
    """The parts of the range and the groups whose intervals hold far less than they promise, the worst first."""
    held, unit = numbers.get("coverage", {}), numbers["unit"]
    parts = [(f"{target.name} {format_amount(p['low'])} to {format_amount(p['high'], unit)}", p) for p in held.get("range", [])]
    short = [(of["reached"], name) for name, of in [*parts, *held.get("groups", {}).items()]
             if of["n"] >= MIN_VALUES * len(target.interval_columns) and of["reached"] < held["asked"] - LESS]
    if not short:
        return None
    told = first_few((f"of {name} only {share(reached)}" for reached, name in sorted(short)), 3)
    return Weakness("uneven", f"The intervals promise {share(held['asked'])}, and {told} lie within theirs.",
                  "Do not rely on them there; train and calibrate on more pictures like those.")


def _few(numbers: dict) -> Weakness | None:
    n = numbers["n"]
    return Weakness("few", f"Only {n} picture{'s were' if n > 1 else ' was'} scored, so that all of this is rough.",
                  "Keep more pictures for validation: --valid 0.3.") if n < FEW else None


def of_training(history, stopped: str = "") -> list[Weakness]:
    """What the epochs of history.csv say: learnt by heart, or not learnt to the end; `stopped`: why it ended early."""
    loss = history["valid_loss"].to_numpy(float)
    if not np.isfinite(loss).any():
        return []
    best, found = int(np.nanargmin(loss)), []
    train = float(history["train_loss"].iloc[best])
    if loss[best] > OVER * train > 0:
        found.append(Weakness("overfitted", f"Overfitted: the training loss of {train:.2g} lies far below the validation "
                            f"loss of {loss[best]:.2g}.", "Train on more pictures, with more --augment or --wd."))
    if best == len(loss) - 1 > 0 and not stopped and loss[best] < FALLING * np.nanmin(loss[:-1]):
        found.append(Weakness("short", f"The last of {len(loss)} epochs was the best, and the validation loss was still "
                            "falling.", f"Train for longer: --epochs {2 * len(loss)}."))
    return found


def share(part: float) -> str:
    """A part in per cent: "90 %", "92.5 %"."""
    return f"{round(100 * part, 1):g} %"
