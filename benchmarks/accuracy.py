"""The errors of `imgreg train angle`, from an empty folder, on images that matplotlib itself draws.

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
from .throughput import backbone

try:
    import psutil
except ImportError:
    psutil = None

SEED = 20611  # used nowhere else: no number in this repository was chosen on these images
TRAIN = ("-c", "from imgreg_fastai.cli import main; main()", "train", "angle", "--calibrate", "0")


def measure(run=None, n: int = 500, seed: int = SEED, epochs: int | None = None, quick: bool = False) -> list[dict]:
    """Measure circular errors in degrees on the question's images: of a run, guessing and the classical methods.

    Args:
        run (str, Path or None): a trained run. None: one is trained in a child process, which also draws its images;
            the row then has its seconds and memory.
        n (int): the number of images.
        seed (int): of the images.
        epochs (int or None): of the training; None: the task's own.
        quick (bool): train on 100 images.

    Returns:
        list of dict: a row a method.
    """
    with tempfile.TemporaryDirectory() as folder:
        cost = {}
        if run is None:
            run, cost = train(Path(folder), epochs, quick)
        pictures, angles = question.pictures(n, seed)
        model = imgreg_fastai.load(run)
        name = f"imgreg, {backbone(model.about['arch'], model.about['arch_args'])}"
        predictions = {name: model.predict(list(pictures), quiet=True)["angle"].to_numpy()}
    predictions["guessing"] = np.full(n, 90.0)
    for name, method in classical.METHODS.items():
        predictions[name] = np.array([method(p) for p in pictures])
    rows = [{"method": name, "pictures": n, **errors(values, angles)} for name, values in predictions.items()]
    rows[0] |= cost
    return rows


def errors(predictions, angles) -> dict:
    """Return mean, median, 95th percentile and maximum of the circular errors in degrees."""
    error = classical.TARGET.error(np.asarray(predictions)[:, None], np.asarray(angles)[:, None])
    return {"mean": error.mean(), "median": np.median(error), "p95": np.quantile(error, 0.95), "max": error.max()}


def train(folder: Path, epochs: int | None = None, quick: bool = False) -> tuple[Path, dict]:
    """Run `imgreg train angle` in a child process.

    Args:
        folder (Path): an empty folder, the child's current folder.
        epochs (int or None): of the training; None: the task's own.
        quick (bool): train on 100 images.

    Returns:
        tuple: the run's folder, and the seconds and memory of the process.
    """
    command = [sys.executable, *TRAIN] + (["--epochs", str(epochs)] if epochs else [])
    if quick:
        angle.draw(folder / angle.FOLDER, 100)
    return folder / "runs" / "angle-001", run_and_watch(command, folder)


def run_and_watch(command: list[str], folder: Path) -> dict:
    """Run a command in a folder; return its seconds, the peak memory of its processes, and how that is measured."""
    start = time.perf_counter()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, cwd=folder)
    if psutil is None:
        import resource  # not on Windows

        child.wait()
        unit = 1 if sys.platform == "darwin" else 1024
        peak, how = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit, "largest single process"
    else:
        peak, how = _watch(child), "sum of the tree's resident memory, measured five times a second"
    if child.returncode:
        raise RuntimeError(f"{' '.join(command[2:])} ended with {child.returncode}")
    return {"seconds": time.perf_counter() - start, "peak GB": peak / 1e9, "memory": how}


def _watch(child: subprocess.Popen) -> int:
    """Wait for a process; return the peak of its tree's memory in bytes."""
    peak, ended = 0, threading.Event()
    threading.Thread(target=lambda: (child.wait(), ended.set())).start()
    while not ended.wait(0.2):
        peak = max(peak, _resident(child.pid))
    return peak


def _resident(pid: int) -> int:
    """The resident memory of a process and its children, in bytes."""
    total = 0
    try:
        top = psutil.Process(pid)
        for process in [top, *top.children(recursive=True)]:
            total += process.memory_info().rss
    except psutil.Error:  # a process ended meanwhile
        pass
    return total
