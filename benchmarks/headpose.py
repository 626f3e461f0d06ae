"""The errors and the time of `imgreg train headpose --data drawn`, from an empty folder.

    python -m benchmarks --only headpose
"""
import json
import sys
import tempfile
from pathlib import Path

from imgreg_fastai.datasets import headpose

from .accuracy import run_and_watch

TRAIN = ("-c", "from imgreg_fastai.cli import main; main()", "train", "headpose", "--data", "drawn")
QUICK = ("--arch", "test_resnet", "--size", "48x64", "--epochs", "1")


def measure(quick: bool = False) -> list[dict]:
    """Train on drawn heads and measure the errors on people who are not in the training part.

    Args:
        quick (bool): train a tiny network for one epoch on 48 images.

    Returns:
        list of dict: a row a part and target. The first has the seconds, drawing included, and the memory.
    """
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        if quick:
            headpose.draw(folder / headpose.DRAWN_FOLDER, 48, jobs=1)
        cost = run_and_watch([sys.executable, *TRAIN, *(QUICK if quick else ())], folder)
        scores = json.loads((folder / "runs" / "headpose-001" / "scores.json").read_text(encoding="utf-8"))
    rows = [_row(part, name, score) for part, targets in scores.items() for name, score in targets.items()]
    rows[0] |= cost
    return rows


def _row(part: str, name: str, score: dict) -> dict:
    columns = ", ".join(f"{column} {s['mean']:.3g}" for column, s in score["columns"].items())
    return {"part": part, "target": name, "unit": score["unit"], "pictures": score["n"], "people": len(score["groups"]),
            "mean": score["mean"], "median": score["median"], "p95": score["p95"], "guessing": score["baseline"],
            "by column": columns}
