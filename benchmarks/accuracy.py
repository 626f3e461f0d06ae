"""How exact `imgreg train angle` gets, from an empty folder, judged on pictures that matplotlib itself draws.

    python -m benchmarks --only accuracy [--run runs/angle-001] [--epochs 60]
"""
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

import imgreg_fastai
from imgreg_fastai.datasets import angle

from . import classical, question

try:
    import psutil
except ImportError:
    psutil = None

SEED = 20611  # used nowhere else: no number in this repository was chosen on these pictures
TRAIN = ("-c", "from imgreg_fastai.cli import main; main()", "train", "angle", "--calibrate", "0")


def measure(run=None, n: int = 500, seed: int = SEED, epochs: int | None = None, quick: bool = False) -> list[dict]:
    """Circular errors in degrees on `n` of the question's pictures: the run's, guessing's and the classical peers'.

    Without a `run` one is trained in a child process, its pictures drawn too; its row then has seconds and memory.
    """
    with tempfile.TemporaryDirectory() as folder:
        cost = {}
        if run is None:
            run, cost = train(Path(folder), epochs, quick)
        pictures, angles = question.pictures(n, seed)
        model = imgreg_fastai.load(run)
        found = {f"imgreg, {_named(model)}": model.predict(list(pictures), quiet=True)["angle"].to_numpy()}
    found["guessing"] = np.full(n, 90.0)
    for name, method in classical.METHODS.items():
        found[name] = np.array([method(p) for p in pictures])
    made = [{"method": name, "pictures": n, **errors(values, angles)} for name, values in found.items()]
    made[0] |= cost
    return made


def _named(model) -> str:
    args = ", ".join(f"{k} {v}" for k, v in model.about["arch_args"].items())
    return f"{model.about['arch']} ({args})" if args else model.about["arch"]


def errors(found, angles) -> dict:
    """Mean, median, 95th percentile and largest error, degrees round the circle."""
    error = classical.TARGET.error(np.asarray(found)[:, None], np.asarray(angles)[:, None])
    return {"mean": error.mean(), "median": np.median(error), "p95": np.quantile(error, 0.95), "max": error.max()}


def train(folder: Path, epochs: int | None = None, quick: bool = False):
    """`imgreg train angle` in a child process; returns (the run's folder, what it cost). `quick`: of 100 pictures."""
    command = [sys.executable, *TRAIN, "--data", str(folder / "data"), "--out", str(folder / "runs")]
    command += ["--epochs", str(epochs)] if epochs else []
    if quick:
        angle.draw(folder / "data", 100)
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    memory, how = watch(child)
    if child.returncode:
        raise RuntimeError(f"imgreg train angle ended with {child.returncode}")
    return folder / "runs" / "angle-001", {"seconds": time.perf_counter() - start, "peak GB": memory, "memory": how}


def watch(child: subprocess.Popen) -> tuple[float, str]:
    """Wait for a process; (peak GB of it and all below it, how that was found)."""
    if psutil is None:
        import resource  # not on Windows

        child.wait()
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit / 1e9, "largest single process"
    peak, ended = 0, threading.Event()
    threading.Thread(target=lambda: (child.wait(), ended.set())).start()
    while not ended.wait(0.2):
        peak = max(peak, _resident(child.pid))
    return peak / 1e9, "sum of the tree's resident memory, five looks a second"


def _resident(pid: int) -> int:
    total = 0
    try:
        top = psutil.Process(pid)
        for process in [top, *top.children(recursive=True)]:
            total += process.memory_info().rss
    except psutil.Error:  # it ended while we looked
        pass
    return total
