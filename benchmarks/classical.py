"""Peers that need no learning, on the question's pictures as matplotlib draws them.

    python -m benchmarks.classical --n 200

The template is told the bar's exact geometry; it shows how much of the angle the dots leave in a picture: the floor.
"""
import argparse
import time
from functools import lru_cache

import numpy as np
from scipy.ndimage import gaussian_filter
from scipy.optimize import minimize_scalar
from skimage.feature import canny, structure_tensor
from skimage.transform import hough_line

from imgreg_fastai.datasets.angle import LIMIT, canvas
from imgreg_fastai.tasks import ANGLE

from . import question

TARGET = ANGLE.targets[0]
STEP = 1.0  # degrees between the templates of the coarse search


def inside(picture):
    """The picture within the frame as darkness in [0, 1], the frame itself left out; and its top left corner."""
    left, top, right, bottom = canvas(len(picture)).box.round().astype(int) + np.array([2, 2, -2, -2])
    return 1 - picture[top:bottom, left:right] / 255.0, (top, left)


def axis(xx, yy, xy):
    """The direction of the largest second moment, y downwards -> degrees counterclockwise in [0, 180)."""
    return np.rad2deg(0.5 * np.arctan2(-2 * xy, xx - yy)) % 180


def moments(picture):
    """Second moments of the darkness about the picture's middle."""
    dark, (top, left) = inside(picture)
    y, x = np.mgrid[: dark.shape[0], : dark.shape[1]]
    middle = canvas(len(picture)).middle
    x, y = x + left + 0.5 - middle[0], y + top + 0.5 - middle[1]
    dark = dark * (np.hypot(x, y) < LIMIT * canvas(len(picture)).unit)  # a disc: the square's corners favour diagonals
    return axis((dark * x * x).sum(), (dark * y * y).sum(), (dark * x * y).sum())


def hough(picture):
    """The line with the most votes of the edges (Canny)."""
    edges = canny(1 - inside(picture)[0], sigma=1)
    space, normals, _ = hough_line(edges, np.deg2rad(np.arange(-90, 90, 0.5)))
    normal = normals[np.unravel_index(space.argmax(), space.shape)[1]]
    return (90 - np.rad2deg(normal)) % 180


def tensor(picture):
    """The structure tensor: the direction that most gradients are at right angles to.

    Dots have gradients of all directions, the bar's edges one: the vote is weighted by how far neighbours agree. The
    picture is smoothed first, as Sobel's gradients alone lean by half a degree towards the picture's sides. The three
    numbers were chosen on 150 other pictures.
    """
    rr, rc, cc = structure_tensor(gaussian_filter(inside(picture)[0], 1.5), sigma=2, order="rc")
    weight = (np.hypot(rr - cc, 2 * rc) / (rr + cc + 1e-6)) ** 16
    return (axis((weight * cc).sum(), (weight * rr).sum(), (weight * rc).sum()) + 90) % 180


def template(picture):
    """The bar's exact picture at the angle where it correlates best: all angles coarsely, then Brent's method."""
    dark = picture.astype(np.float32)
    coarse = bars(len(picture))
    best = (coarse @ dark.ravel()).argmax() * STEP

    def unlike(angle):
        return -float(standard(bare(np.array([angle]), len(picture)))[0] @ dark.ravel())

    return minimize_scalar(unlike, bounds=(best - STEP, best + STEP), method="bounded",
                           options={"xatol": 1e-3}).x % 180


def bare(angles, size):
    """Bars alone, without dots, [n, size * size]."""
    nothing = np.empty((len(angles), 0, 2))
    return canvas(size).draw(angles % 180, nothing, np.zeros(len(angles), bool)).reshape(len(angles), -1)


def standard(pictures):
    """Mean 0 and length 1, so that a dot product is a correlation."""
    pictures = pictures - pictures.mean(axis=1, keepdims=True, dtype=np.float32)
    return pictures / np.linalg.norm(pictures, axis=1, keepdims=True)


@lru_cache(maxsize=2)
def bars(size):
    """The templates of the coarse search, drawn once."""
    return standard(bare(np.arange(0, 180, STEP), size))


METHODS = {
    "second moments": moments,
    "Hough": hough,
    "structure tensor": tensor,
    "template, told the geometry": template,
}


def measure(pictures, angles):
    """What each method gets wrong on `pictures` uint8 [n, h, w] with true `angles` [n], in degrees round the circle.

    Returns a list of dict(name, mean, median, max, ms); ms is a picture's processor time.
    """
    rows = []
    for name, method in METHODS.items():
        method(pictures[0])  # fills caches
        start = time.process_time()
        found = np.array([method(p) for p in pictures])
        ms = (time.process_time() - start) / len(pictures) * 1000
        error = TARGET.error(found[:, None], np.asarray(angles)[:, None])
        rows.append({"name": name, "mean": error.mean(), "median": np.median(error), "max": error.max(), "ms": ms})
    return rows


def main():
    parser = argparse.ArgumentParser(description="Angle errors of what needs no learning, on the question's pictures.")
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--seed", type=int, default=12345)
    args = parser.parse_args()
    print(f"{'error in degrees':28} {'mean':>6} {'median':>6} {'max':>6} {'ms':>6}")
    print(f"{'guessing':28} {45:6.2f} {45:6.2f} {90:6.2f} {'':>6}")
    for row in measure(*question.pictures(args.n, args.seed)):
        print(f"{row['name']:28} {row['mean']:6.2f} {row['median']:6.2f} {row['max']:6.2f} {row['ms']:6.1f}")


if __name__ == "__main__":
    main()
