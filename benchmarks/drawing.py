"""How fast datasets.angle draws beside matplotlib, a picture and a process.

    python -m benchmarks.drawing
"""
import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from imgreg_fastai.datasets import angle

from . import question

CHUNK = angle.CHUNK_SIZE  # drawn at once by ours; matplotlib draws one by one, a new figure each, as the question did


def ours(folder, n, seed):
    """Draw `n` pictures, as PNG into `folder` if there is one."""
    for first in range(0, n, CHUNK):
        size = min(CHUNK, n - first)
        if folder is None:
            angle.sample(size, 100, np.random.default_rng([seed, first]))
        else:
            angle._write(folder, first, size, 4, 100, seed)


def matplotlibs(folder, n, seed):
    """The same with matplotlib."""
    if folder is None:
        question.pictures(n, seed)
    else:
        question.write(folder, n, seed)


def per_picture(draw, folder, n, seed):
    """Milliseconds of this process's time a picture (`time.process_time`: others on the machine do not count)."""
    start = time.process_time()
    draw(folder, n, seed)
    return (time.process_time() - start) / n * 1000


def measure(rounds=5, n=500, peers=30):
    """Medians of interleaved `rounds` of `n` pictures of ours and `peers` of matplotlib's.

    Returns a list of dict(name, ours_ms, matplotlib_ms, ratio).
    """
    rows = []
    for name, saved in (("drawn", False), ("drawn and written as PNG", True)):
        times = []
        for seed in range(rounds + 1):
            with tempfile.TemporaryDirectory() as folder:
                into = Path(folder) if saved else None
                times.append((per_picture(ours, into, n, seed), per_picture(matplotlibs, into, peers, seed)))
        mine, theirs = np.median(times[1:], axis=0)  # the first round imports and fills caches
        rows.append({"name": name, "ours_ms": mine, "matplotlib_ms": theirs, "ratio": theirs / mine})
    return rows


def main():
    parser = argparse.ArgumentParser(description="Time the drawing of the angle pictures beside matplotlib.")
    parser.add_argument("--rounds", type=int, default=5)
    for row in measure(parser.parse_args().rounds):
        print(f"{row['name']:26} {row['ours_ms']:.3f} ms, matplotlib {row['matplotlib_ms']:.2f} ms: "
              f"{row['ratio']:.0f} times as fast")


if __name__ == "__main__":
    main()
