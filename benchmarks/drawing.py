"""The time that datasets.angle and matplotlib take to draw an image, in one process.

    python -m benchmarks.drawing
"""
import argparse
import tempfile
import time
from pathlib import Path

import numpy as np

from imgreg_fastai.datasets import angle

from . import question


def draw_ours(folder, n, seed):
    """Draw `n` images; write them as PNG into `folder` unless it is None."""
    if folder is not None:
        (folder / "images").mkdir()
    for first in range(0, n, angle.CHUNK_SIZE):
        size = min(angle.CHUNK_SIZE, n - first)
        if folder is None:
            angle.sample(size, 100, np.random.default_rng([seed, first]))
        else:
            angle._write(folder, first, size, 4, 100, seed)


def draw_with_matplotlib(folder, n, seed):
    """Draw `n` images with matplotlib, each in a new figure as in the question."""
    if folder is None:
        question.pictures(n, seed)
    else:
        question.write(folder, n, seed)


def milliseconds(draw, folder, n, seed):
    """Return this process's milliseconds an image (`time.process_time`: other processes do not count)."""
    start = time.process_time()
    draw(folder, n, seed)
    return (time.process_time() - start) / n * 1000


def measure(rounds=5, n=500, n_matplotlib=30):
    """Measure both in turns.

    Args:
        rounds (int): the number of turns that medians are taken of.
        n (int): the images that datasets.angle draws in a turn.
        n_matplotlib (int): the images that matplotlib draws in a turn.

    Returns:
        list of dict: a row for drawing, and one for drawing and writing, in milliseconds an image.
    """
    rows = []
    for name, writes in (("drawn", False), ("drawn and written as PNG", True)):
        times = []
        for seed in range(rounds + 1):
            with tempfile.TemporaryDirectory() as temporary:
                folder = Path(temporary) if writes else None
                times.append((milliseconds(draw_ours, folder, n, seed),
                              milliseconds(draw_with_matplotlib, folder, n_matplotlib, seed)))
        ours, matplotlib = np.median(times[1:], axis=0)  # the first round imports and fills caches
        rows.append({"name": name, "ours_ms": ours, "matplotlib_ms": matplotlib, "ratio": matplotlib / ours})
    return rows


def main():
    parser = argparse.ArgumentParser(description="Measure the time to draw an angle image, beside matplotlib.")
    parser.add_argument("--rounds", type=int, default=5)
    for row in measure(parser.parse_args().rounds):
        print(f"{row['name']:26} {row['ours_ms']:.3f} ms, matplotlib {row['matplotlib_ms']:.2f} ms: "
              f"{row['ratio']:.0f} times as fast")


if __name__ == "__main__":
    main()
