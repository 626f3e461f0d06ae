"""Classical methods without learning, on the question's images as matplotlib draws them.

    python -m benchmarks.classical --n 200

The template knows the bar's exact geometry. Its error is the least that the dots allow.
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


def crop(picture):
    """Return the darkness inside the frame, in [0, 1], and the (row, column) of its top left corner."""
    left, top, right, bottom = canvas(len(picture)).box.round().astype(int) + np.array([2, 2, -2, -2])
    return 1 - picture[top:bottom, left:right] / 255.0, (top, left)


def axis(xx, yy, xy):
    """Return the direction of the largest second moment, in degrees counterclockwise in [0, 180); y is downwards."""
    return np.rad2deg(0.5 * np.arctan2(-2 * xy, xx - yy)) % 180


def from_moments(picture):
    """Estimate the angle from the second moments of the darkness about the image's middle."""
    dark, (top, left) = crop(picture)
    y, x = np.mgrid[: dark.shape[0], : dark.shape[1]]
    middle = canvas(len(picture)).middle
    x, y = x + left + 0.5 - middle[0], y + top + 0.5 - middle[1]
    dark = dark * (np.hypot(x, y) < LIMIT * canvas(len(picture)).unit)  # a disc: the square's corners favour diagonals
    return axis((dark * x * x).sum(), (dark * y * y).sum(), (dark * x * y).sum())


def from_hough(picture):
    """Estimate the angle by the Hough transform of the edges (Canny)."""
    edges = canny(1 - crop(picture)[0], sigma=1)
    space, normals, _ = hough_line(edges, np.deg2rad(np.arange(-90, 90, 0.5)))
    normal = normals[np.unravel_index(space.argmax(), space.shape)[1]]
    return (90 - np.rad2deg(normal)) % 180


def from_tensor(picture):
    """Estimate the angle from the structure tensor: most gradients are at right angles to the bar.

    Dots have gradients of all directions, the bar's edges of one: gradients count more where their neighbours agree.
    The image is smoothed first, as Sobel's gradients alone are biased by half a degree towards the image's sides. The
    three constants were chosen on 150 other images.
    """
    rr, rc, cc = structure_tensor(gaussian_filter(crop(picture)[0], 1.5), sigma=2, order="rc")
    weight = (np.hypot(rr - cc, 2 * rc) / (rr + cc + 1e-6)) ** 16
    return (axis((weight * cc).sum(), (weight * rr).sum(), (weight * rc).sum()) + 90) % 180


def from_template(picture):
    """Find the angle at which the bar's exact image correlates best: a coarse search, then Brent's method."""
    dark = picture.astype(np.float32)
    best = (templates(len(picture)) @ dark.ravel()).argmax() * STEP

    def negative_correlation(angle):
        return -float(standardize(draw_bars(np.array([angle]), len(picture)))[0] @ dark.ravel())

    return minimize_scalar(negative_correlation, bounds=(best - STEP, best + STEP), method="bounded",
                           options={"xatol": 1e-3}).x % 180


def draw_bars(angles, size):
    """Draw bars without dots, [n, size * size]."""
    no_dots = np.empty((len(angles), 0, 2))
    return canvas(size).draw(angles % 180, no_dots, np.zeros(len(angles), bool)).reshape(len(angles), -1)


def standardize(pictures):
    """Give each image mean 0 and length 1, so that a dot product is a correlation."""
    pictures = pictures - pictures.mean(axis=1, keepdims=True, dtype=np.float32)
    return pictures / np.linalg.norm(pictures, axis=1, keepdims=True)


@lru_cache(maxsize=2)
def templates(size):
    """Draw the templates of the coarse search, once."""
    return standardize(draw_bars(np.arange(0, 180, STEP), size))


METHODS = {
    "second moments": from_moments,
    "Hough": from_hough,
    "structure tensor": from_tensor,
    "template with the exact geometry": from_template,
}


def measure(pictures, angles):
    """Measure the errors of each method.

    Args:
        pictures (np.ndarray): images, uint8 [n, h, w].
        angles (np.ndarray): true angles in degrees, [n].

    Returns:
        list of dict: a row a method: circular errors in degrees, and `ms`, the processor time an image.
    """
    rows = []
    for name, method in METHODS.items():
        method(pictures[0])  # fills caches
        start = time.process_time()
        predictions = np.array([method(p) for p in pictures])
        ms = (time.process_time() - start) / len(pictures) * 1000
        error = TARGET.error(predictions[:, None], np.asarray(angles)[:, None])
        rows.append({"name": name, "mean": error.mean(), "median": np.median(error), "max": error.max(), "ms": ms})
    return rows


def main():
    parser = argparse.ArgumentParser(description="Measure angle errors of classical methods on the question's images.")
    parser.add_argument("--n", type=int, default=200)
    parser.add_argument("--seed", type=int, default=12345)
    args = parser.parse_args()
    print(f"{'error in degrees':28} {'mean':>6} {'median':>6} {'max':>6} {'ms':>6}")
    print(f"{'guessing':28} {45:6.2f} {45:6.2f} {90:6.2f} {'':>6}")
    for row in measure(*question.pictures(args.n, args.seed)):
        print(f"{row['name']:28} {row['mean']:6.2f} {row['median']:6.2f} {row['max']:6.2f} {row['ms']:6.1f}")


if __name__ == "__main__":
    main()
