"""The runs of a cross-validation, side by side in a folder, and the summary of their scores."""
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from ..utils.format import round_numbers
from .run_folder import Run, write_file


@dataclass
class Folds:
    """A cross-validation.

    Args:
        path: Of its folder.
        runs: One for each fold.
        scores: {target: {unit, folds, mean, spread, baseline, columns}}, see collect_folds.
    """

    path: Path
    runs: list[Run]
    scores: dict


def collect_folds(folder: Path, runs: list[Run]) -> Folds:
    """Summarise the validation scores of folds, and write them to FOLDER/scores.json.

    `folds` are the mean errors, `mean` and `spread` their mean and standard deviation, `baseline` the mean of guessing,
    and `columns` the same for each column. Folds without a label of a target are left out of its scores.
    """
    valid, summary = [run.scores["valid"] for run in runs if run.scores], {}
    for name in valid[0] if valid else ():
        folds = [scores[name] for scores in valid if scores[name]["n"]]
        if folds:
            columns = [c for c in folds[0].get("columns", {}) if all(c in fold["columns"] for fold in folds)]
            summary[name] = {"unit": folds[0]["unit"], "folds": [fold["mean"] for fold in folds], **_spread(folds),
                             "columns": {c: _spread([fold["columns"][c] for fold in folds]) for c in columns}}
    write_file(folder / "scores.json", summary)
    return Folds(folder, runs, summary)


def _spread(folds: list[dict]) -> dict:
    table = pd.DataFrame(folds, columns=["mean", "baseline"], dtype=float)
    spread = table["mean"].std() if len(folds) > 1 else 0.0
    return round_numbers({"mean": table["mean"].mean(), "spread": spread, "baseline": table["baseline"].mean()})
