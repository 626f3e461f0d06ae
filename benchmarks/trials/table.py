"""The results of trials: a CSV file with a row for each, and what it says as Markdown."""
import csv
from pathlib import Path
from typing import NamedTuple

import pandas as pd

FILE = Path(__file__).resolve().parents[1] / "trials.csv"
BASELINE = "baseline"  # the technique that others are compared with


class Trial(NamedTuple):
    """A training to be done: its technique and data set by name, the fold held out, its seed and its epochs."""

    technique: str
    data: str
    fold: int
    seed: int
    epochs: int


class Result(NamedTuple):
    """What a trial came to.

    Attributes:
        errors: Mean error of each target in its unit, "pan 8.1; tilt 7.3", by the weights after the last epoch.
        guessing: The same of guessing.
        score: Error over that of guessing, mean over the targets: what techniques are compared by.
        seconds: Of the training, without reading the images.
        date, version: When it was done, and by which imgreg.
    """

    errors: str
    guessing: str
    score: float
    seconds: float
    date: str
    version: str


COLUMNS = (*Trial._fields, *Result._fields)


def read(file: Path = FILE) -> pd.DataFrame:
    """Read the results, a row a trial; a last line that a kill cut short is left out, and cut off the file."""
    if not file.is_file():
        return pd.DataFrame(columns=COLUMNS)
    text = file.read_bytes()
    if not text.endswith(b"\n"):
        file.write_bytes(text[: text.rfind(b"\n") + 1])
    return pd.read_csv(file) if file.stat().st_size else pd.DataFrame(columns=COLUMNS)


def done(results: pd.DataFrame) -> set[Trial]:
    """The trials that have a result."""
    return {Trial(*row) for row in results[list(Trial._fields)].itertuples(index=False)}


def append(trial: Trial, result: Result, file: Path = FILE) -> None:
    """Add a row, by one write, so that several processes may add theirs."""
    is_new = not file.is_file() or not file.stat().st_size
    with file.open("a", newline="", encoding="utf-8") as f:
        writer = csv.writer(f, lineterminator="\n")
        if is_new:
            writer.writerow(COLUMNS)
        writer.writerow([*trial, *result])


def compare(results: pd.DataFrame) -> pd.DataFrame:
    """Compare each technique with the baseline on the same folds and seeds.

    Args:
        results: Of `read`.

    Returns:
        A row for each technique, data set and length: trainings, `change` of the score as a share of the baseline's
        (negative is better), the lowest and highest change of single trainings, and the change of time.
    """
    keys = ["data", "epochs", "fold", "seed"]
    baseline = results[results["technique"] == BASELINE].set_index(keys)[["score", "seconds"]]
    paired = results.join(baseline, on=keys, rsuffix="_baseline", how="inner")
    rows = []
    for (data, epochs, technique), part in paired.groupby(["data", "epochs", "technique"], sort=False):
        single = part["score"] / part["score_baseline"] - 1
        rows.append({"data": data, "epochs": epochs, "technique": technique, "n": len(part),
                     "score": part["score"].mean(), "change": part["score"].sum() / part["score_baseline"].sum() - 1,
                     "lowest": single.min(), "highest": single.max(),
                     "time": part["seconds"].sum() / part["seconds_baseline"].sum() - 1})
    return pd.DataFrame(rows)


def markdown(results: pd.DataFrame, about: dict[str, str]) -> str:
    """The comparison as a table for docs/benchmarks.md: a row a technique, a column a data set and length.

    Args:
        results: Of `read`.
        about: {technique: what it is}, in the order of the rows.
    """
    compared = compare(results)
    columns = list(dict.fromkeys(zip(compared["data"], compared["epochs"], strict=True)))
    cells = {(row.technique, row.data, row.epochs): _cell(row) for row in compared.itertuples()}
    lines = [f"| technique | | {' | '.join(f'{data}, {epochs} epochs' for data, epochs in columns)} |",
             "|---|---|" + "---|" * len(columns)]
    for name in dict.fromkeys([*about, *compared["technique"]]):
        row = [cells.get((name, *column), "") for column in columns]
        if any(row):
            lines.append(f"| `{name}` | {about.get(name, '')} | {' | '.join(row)} |")
    return "\n".join(lines)


def _cell(row) -> str:
    """The change of one technique on one data set, with that of each training if there are several."""
    if row.technique == BASELINE:
        return f"{row.score:.3f} of guessing ({row.n})"
    single = f" ({row.lowest:+.0%} to {row.highest:+.0%}; {row.n})" if row.n > 1 else ""
    return f"{row.change:+.1%}{single}"
