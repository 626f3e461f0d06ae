"""How exact `imgreg train headpose --data drawn` gets, and how long it takes, from an empty folder.

    python -m benchmarks --only headpose
"""
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from imgreg_fastai.datasets import headpose

from .accuracy import watch

TRAIN = ("-c", "from imgreg_fastai.cli import main; main()", "train", "headpose", "--data", "drawn")
QUICK = ("--arch", "test_resnet", "--size", "48x64", "--epochs", "1")


def measure(quick: bool = False) -> list[dict]:
    """A row a target and part: mean, median and 95th percentile of its error over people never seen, beside guessing.

    The first row has the seconds, drawing included, and the memory.
    """
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        if quick:
            headpose.draw(home / headpose.DRAWN_FOLDER, 48, jobs=1)
        start = time.perf_counter()
        command = [sys.executable, *TRAIN, *(QUICK if quick else ())]
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=home)
        memory, how = watch(child)
        if child.returncode:
            raise RuntimeError(f"imgreg train headpose ended with {child.returncode}")
        cost = {"seconds": time.perf_counter() - start, "peak GB": memory, "memory": how}
        scores = json.loads((home / "runs" / "headpose-001" / "scores.json").read_text(encoding="utf-8"))
    made = [_row(part, name, of) for part, targets in scores.items() for name, of in targets.items()]
    made[0] |= cost
    return made


def _row(part: str, name: str, of: dict) -> dict:
    columns = {c: s["mean"] for c, s in of["columns"].items()}
    return {"part": part, "target": name, "unit": of["unit"], "pictures": of["n"], "people": len(of["groups"]),
            "mean": of["mean"], "median": of["median"], "p95": of["p95"], "guessing": of["baseline"],
            "by column": ", ".join(f"{c} {v:.3g}" for c, v in columns.items())}
