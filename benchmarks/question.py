"""The images of datascience.stackexchange.com/questions/106600, drawn by matplotlib itself from the description.

Nothing here is shared with imgreg_fastai.datasets.angle: each is independent, so that it can test the other.

    python -m benchmarks.question OUT --n 500 --seed 12345
"""
import argparse
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

DOTS, LIMIT = 50, 10
DPI = 20  # of a figure of 5 inches: 100 pixels


def plot(angle, dots, outlined):
    """Plot one image.

    Args:
        angle (float): of the bar, in degrees counterclockwise.
        dots (np.ndarray): the middles of the dots, [DOTS, 2] in data units.
        outlined (bool): draw the bar with `color=`, else with `facecolor=`.

    Returns:
        Figure: a new figure.
    """
    with matplotlib.rc_context(matplotlib.rcParamsDefault):  # whatever style the caller has set
        return _plot(angle, dots, outlined)


def _plot(angle, dots, outlined):
    figure = Figure(figsize=(5, 5), dpi=DPI)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    black = {"color": "black"} if outlined else {"facecolor": "black"}
    for length in (9, -9):
        axes.add_patch(Rectangle((0, 0), length, 1, angle=angle, **black))
    axes.scatter(*np.transpose(dots), s=100, color="black")
    axes.set(xlim=(-LIMIT, LIMIT), ylim=(-LIMIT, LIMIT), aspect="equal")
    axes.get_xaxis().set_visible(False)
    axes.get_yaxis().set_visible(False)
    return figure


def picture(angle, dots, outlined=False):
    """Draw one image, uint8 [100, 100, 3]; arguments as for `plot`."""
    figure = plot(angle, dots, outlined)
    figure.canvas.draw()
    return np.asarray(figure.canvas.buffer_rgba())[..., :3].copy()


def sample(n, seed=0):
    """Choose random arguments of `plot` for `n` images.

    The question does not show whether its bar is outlined. Half of these are.

    Returns:
        tuple: angles in degrees, in whole hundredths, [n]; dots [n, DOTS, 2]; outlined [n].
    """
    rng = np.random.default_rng(seed)
    return rng.integers(0, 18000, n) / 100, rng.uniform(-LIMIT, LIMIT, (n, DOTS, 2)), rng.random(n) < 0.5


def pictures(n, seed=0):
    """Draw `n` images without files; return them, grey uint8 [n, 100, 100], and their angles in degrees, [n]."""
    angles, dots, outlined = sample(n, seed)
    return np.stack([picture(*bar)[..., 0] for bar in zip(angles, dots, outlined, strict=True)]), angles


def write(folder, n, seed=0):
    """Write `n` images into `folder` as PNG, named as in the question; return their angles in degrees, [n]."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    angles, dots, outlined = sample(n, seed)
    for i, angle in enumerate(angles):
        figure = plot(angle, dots[i], outlined[i])
        figure.savefig(folder / f"sample{i:04}_angle_{round(angle * 100):05}.png")
    return angles


def main():
    parser = argparse.ArgumentParser(description="Draw the question's images with matplotlib.")
    parser.add_argument("out", help="the folder to write into")
    parser.add_argument("--n", type=int, default=500)
    parser.add_argument("--seed", type=int, default=12345)
    args = parser.parse_args()
    write(args.out, args.n, args.seed)
    print(f"{args.n} images in {args.out}")


if __name__ == "__main__":
    main()
