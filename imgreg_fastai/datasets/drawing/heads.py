"""Pictures like Biwi's, drawn: people of ellipsoids who look around, so that a head's pose can be learned anywhere.

Poses are in the colour camera's frame, in mm.
"""
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.interpolate import PchipInterpolator

from ...utils.console import progress_bar
from ...utils.errors import ImgregError
from ..biwi import PEOPLE, ROTATION
from ..cameras import Camera, write_calibration, write_pose
from .backgrounds import room
from .output import atomic_drawing, draw_in_pieces
from .people import Person, landmarks, person
from .rendering import Light, render

__all__ = ["Light", "Person", "draw", "landmarks", "person", "render", "room", "wander"]
RANGE = np.array([60, 75, 50])  # the furthest pitch, yaw and roll, in degrees
CHUNK = 110  # frames drawn by one piece of work
# Sequences: Biwi's 24, and where there are frames enough others of people of their own. Of 5,000 frames, 38 epochs:
# with 60 people the rotation of people apart was off by 7.7 degrees, with 240 by 6.0. Faces must be many.
MOST = 500
LEAST = 10  # frames a sequence
SHORT = 20  # frames; fewer are further apart, to show somebody from as many sides
f4 = np.float32
_K = np.array([[517.679, 0, 320], [0, 517.679, 240.5], [0, 0, 1]])
_TURNS = np.array([
    [[0.999947, 0.00432361, 0.00929419], [-0.00446314, 0.999877, 0.0150443], [-0.009228, -0.015085, 0.999844]],
    [[0.99997, 0.00291, 0.00718], [-0.0029884, 0.999936, 0.01096], [-0.007148, -0.010981, 0.999914]]])
CAMERAS = [Camera(_K, turn, np.array(shift), (640, 480)) for turn, shift in
           zip(_TURNS, ((-24.0198, 5.8896, -13.2308), (-24.6, 4.1, -9.7)), strict=True)]  # both have the real K


def wander(n: int, rng: np.random.Generator, speed: float = 3.5) -> tuple[np.ndarray, np.ndarray]:
    """The way of a head that looks around: rotations [n, 3, 3] and centres [n, 3] in mm, to the colour camera.

    From one pose to the next, about `speed` degrees a frame. Far along one axis is not far along another: the poses lie
    in the ellipsoid with the half axes RANGE, more of them near its middle, as people look ahead more than aside. The
    centres lie around the picture's middle, as people do who sit before a camera.
    """
    aims = rng.normal(size=(n // 4 + 4, 3))
    aims *= RANGE / np.linalg.norm(aims, axis=1, keepdims=True) * rng.uniform(0.4, 1, (len(aims), 1))
    times = np.cumsum([0, *np.maximum(np.linalg.norm(np.diff(aims, axis=0), axis=1), 15)]) / speed
    angles = PchipInterpolator(times, aims[:, [1, 0, 2]])(np.arange(n))  # yaw first; it never swings beyond its knots
    x, y, z = _drift(n, 30, [210, 150, 750], [430, 300, 1100], rng).T
    centres = np.stack([(x - _K[0, 2]) / _K[0, 0] * z, (y - _K[1, 2]) / _K[1, 1] * z, z], 1)
    return ROTATION.matrix(angles), centres


def _drift(n, step, low, high, rng):
    """Curves [n, k] that come from one random point to the next, between `low` and `high`, in `step` frames."""
    knots = rng.uniform(low, high, (n // step + 3, len(low)))
    return PchipInterpolator(np.arange(len(knots)) * step, knots)(np.arange(n))


def _plan(name, n, seed):
    """A sequence's camera, frame numbers, rotations, centres, lights and scenes; all from the seed and its name.

    A scene is a room seen from somewhere, for a few frames. In Biwi all people sit in one room: here all visit the same
    twenty, or a network would know the people it was shown by their walls.
    """
    rng, far = np.random.default_rng([seed, 4, int(name)]), name == "06" or int(name) > 14
    at = np.cumsum(np.where(rng.random(n) < 0.95, 1, rng.integers(2, 8, n)))
    at -= at[0]
    turns, centres = wander(at[-1] + 1, rng, 3.5 if n > SHORT else 7.0)
    lights = _drift(at[-1] + 1, 50, [-0.9, -0.9, 0.5, 0.35, 0.88, 0.82], [0.9, -0.1, 0.85, 0.55, 1.08, 1.1], rng)
    rooms = [rng.permutation(20) for _ in range(n // (20 * _scene(n)) + 1)]
    scenes = [(int(k), seed, rng.uniform(0.8, 1), tuple(rng.uniform(0, 1, 2))) for k in np.concatenate(rooms)]
    return CAMERAS[far], at + 3 * (not far), turns[at], centres[at], lights[at], scenes


def _scene(n: int) -> int:
    """How many frames of a sequence of `n` are in one room."""
    return 10 if n > SHORT else 5


@lru_cache(maxsize=1)
def _grain(seed: int) -> np.ndarray:
    """A camera's noise, larger than a picture, so that each frame may take another part of it."""
    return np.random.default_rng([seed, 5]).normal(0, 2.5, (544, 704, 3)).astype(f4)


@lru_cache(maxsize=4)
def _walls(*scene):
    """A scene's room, [480, 640, 3], kept for its frames."""
    return room(*scene).astype(f4)


def _write(folder: Path, name: str, n: int, first: int, last: int, seed: int) -> int:
    """Write frames first..last of the n of the sequence `name`; with the first its calibration. Returns how many."""
    camera, numbers, turns, centres, lights, scenes = _plan(name, n, seed)
    home, back, who = folder / name, camera.rotation.T, person(PEOPLE.get(name, name), seed)
    for calibration in ("rgb.cal", "depth.cal") if first == 0 else ():
        write_calibration(home / calibration, camera)
    grain = np.roll(_grain(seed), 97 * int(name), axis=(0, 1))
    for i in range(first, last):
        x, y, strength, ambient, red, blue = lights[i]
        light, noise = Light((x, y, -0.8), strength, ambient, (red, 1.0, blue)), grain[41 * i % 64 :, 29 * i % 64 :]
        wall = _walls(*scenes[i // _scene(n)]) * (np.array(light.tint, f4) * f4(0.6 * (strength + ambient) + 0.3))
        picture = render(who, turns[i], centres[i], camera, light, wall, None, noise[:480, :640])
        Image.fromarray(picture).save(home / f"frame_{numbers[i]:05}_rgb.jpg", quality=90)
        place = back @ (centres[i] - camera.translation)
        write_pose(home / f"frame_{numbers[i]:05}_pose.txt", back @ turns[i], place)
    return last - first


def draw(out: str | Path, n: int = 5000, seed: int = 0, jobs: int | None = None, sequences: int | None = None) -> Path:
    """Draw a data set of `n` pictures shaped like Biwi's into the folder `out`, and return that.

    `sequences`: 24 are Biwi's, of 20 people; more are of other people; by `n` if left out. The folder appears whole or
    not at all. The same seed gives the same pictures whatever the number of `jobs`. Raises ImgregError if `out` holds
    anything, or cannot be written.
    """
    if n < 24 or seed < 0:
        raise ImgregError("--n of at least 24 and --seed of at least 0", f"{n}, {seed}")
    many = min(MOST, max(len(PEOPLE), n // LEAST)) if sequences is None else sequences
    if not 24 <= many <= min(n, 990):
        raise ImgregError(f"24 to {min(n, 990)} sequences of {n} frames", str(many))
    with atomic_drawing(out, n) as folder:
        _fill(folder, n, many, seed, jobs)
    return Path(out)


def _fill(folder: Path, n: int, many: int, seed: int, jobs: int | None) -> None:
    work = []
    for i in range(many):
        name, frames = f"{i + 1:02}", n * (i + 1) // many - n * i // many
        (folder / name).mkdir()
        work += [(folder, name, frames, first, min(first + CHUNK, frames), seed) for first in range(0, frames, CHUNK)]
    list(progress_bar(draw_in_pieces(_write, work, jobs), len(work), f"drawing {n} pictures of people"))
