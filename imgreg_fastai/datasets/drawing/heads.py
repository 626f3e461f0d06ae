"""A data set like Biwi's, drawn: people who look around, so that a head's pose can be learned without photographs.

Poses are in the colour camera's frame, in mm.
"""
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from scipy.interpolate import PchipInterpolator

from ...utils.messages import ImgregError
from ..biwi import PEOPLE, ROTATION
from ..cameras import Camera, read_calibration, write_calibration, write_pose
from .backgrounds import draw_room
from .chunks import Chunk, drawing_folder
from .people import Person
from .rendering import Light, render

MAX_ANGLES = np.array([60, 75, 50])  # pitch, yaw and roll in degrees
# Biwi's 24 sequences, and with enough frames others, each of another person: the number of faces limits the error on
# new people (docs/benchmarks.md, "Drawn heads"). Folders have names of two or three digits.
MAX_SEQUENCES = 990
MIN_FRAMES = 5  # a sequence
SHORT_SEQUENCE = 20  # frames; up to so many are further apart, to show a person from as many sides
f4 = np.float32
CAMERAS = [read_calibration(Path(__file__).with_name(f"camera{i}.cal")) for i in (1, 2)]  # as they are in Biwi


def camera_of(name: str) -> Camera:
    """The camera of a sequence: Biwi's second one for 06 and 15 onwards."""
    return CAMERAS[1] if name == "06" or int(name) > 14 else CAMERAS[0]


class Frame(NamedTuple):
    """What a frame of a sequence shows; the head's pose is in mm in the camera's frame."""

    number: int
    rotation: np.ndarray  # [3, 3]
    centre: np.ndarray  # [3]
    light: Light
    room: tuple  # arguments of draw_room


def random_motion(n: int, rng: np.random.Generator, speed: float = 3.5) -> tuple[np.ndarray, np.ndarray]:
    """Simulate a head that looks around.

    The poses lie in the ellipsoid with the half axes MAX_ANGLES, as a head that is turned far about one axis is not
    turned far about another; more of them lie near its middle, as people look ahead more than aside. The centres lie
    around the middle of the image.

    Args:
        n (int): the number of frames.
        rng (np.random.Generator): the random numbers.
        speed (float): degrees from one frame to the next, about.

    Returns:
        tuple: rotations [n, 3, 3] and centres [n, 3] in mm, in the colour camera's frame.
    """
    knots = rng.normal(size=(n // 4 + 4, 3))
    knots *= MAX_ANGLES / np.linalg.norm(knots, axis=1, keepdims=True) * rng.uniform(0.4, 1, (len(knots), 1))
    times = np.cumsum([0, *np.maximum(np.linalg.norm(np.diff(knots, axis=0), axis=1), 15)]) / speed
    angles = PchipInterpolator(times, knots[:, [1, 0, 2]])(np.arange(n))  # yaw first; it stays between its knots
    x, y, z = _random_curves(n, 30, [210, 150, 750], [430, 300, 1100], rng).T
    k = CAMERAS[0].matrix  # of the second one, too
    centres = np.stack([(x - k[0, 2]) / k[0, 0] * z, (y - k[1, 2]) / k[1, 1] * z, z], 1)
    return ROTATION.matrix(angles), centres


def _random_curves(n, step, low, high, rng):
    """Smooth curves [n, k] through random points between `low` and `high`, a point every `step` frames."""
    knots = rng.uniform(low, high, (n // step + 3, len(low)))
    return PchipInterpolator(np.arange(len(knots)) * step, knots)(np.arange(n))


def plan_frames(name: str, n: int, seed: int) -> list[Frame]:
    """The n frames of a sequence, which depend on its name and the seed alone.

    In Biwi all people sit in one room. Here each is seen in several of the same twenty: a network would recognise the
    people of its training by their rooms.
    """
    rng = np.random.default_rng([seed, 4, int(name)])
    steps = np.cumsum(np.where(rng.random(n) < 0.95, 1, rng.integers(2, 8, n)))
    steps -= steps[0]
    speed, room_frames = (3.5, 10) if n > SHORT_SEQUENCE else (7.0, max(1, min(5, n // 2)))
    rotations, centres = random_motion(steps[-1] + 1, rng, speed)
    low, high = [-0.9, -0.9, 0.5, 0.35, 0.88, 0.82], [0.9, -0.1, 0.85, 0.55, 1.08, 1.1]
    lights = [Light((x, y, -0.8), strength, ambient, (red, 1.0, blue)) for x, y, strength, ambient, red, blue
              in _random_curves(steps[-1] + 1, 50, low, high, rng)]
    order = np.concatenate([rng.permutation(20) for _ in range(n // (20 * room_frames) + 1)])
    rooms = [(int(k), seed, rng.uniform(0.8, 1), tuple(rng.uniform(0, 1, 2))) for k in order]
    first = 3 if camera_of(name) is CAMERAS[0] else 0
    return [Frame(first + step, rotations[step], centres[step], lights[step], rooms[i // room_frames])
            for i, step in enumerate(steps)]


@lru_cache(maxsize=1)
def _grain(seed: int) -> np.ndarray:
    """The camera's noise, larger than an image, so that each frame takes another part of it."""
    return np.random.default_rng([seed, 5]).normal(0, 2.5, (544, 704, 3)).astype(f4)


def _write(folder: Path, name: str, n: int, seed: int) -> None:
    """Write a sequence of n frames."""
    who, camera = Person(PEOPLE.get(name, name), seed), camera_of(name)
    (folder / name).mkdir(exist_ok=True)
    write_calibration(folder / name / "rgb.cal", camera)
    write_calibration(folder / name / "depth.cal", camera)
    grain = np.roll(_grain(seed), 97 * int(name), axis=(0, 1))
    for i, (number, rotation, centre, light, room) in enumerate(plan_frames(name, n, seed)):
        tint = np.array(light.tint, f4) * f4(0.6 * (light.strength + light.ambient) + 0.3)
        noise = grain[41 * i % 64 :, 29 * i % 64 :][:480, :640]
        image = render(who, rotation, centre, camera, light, draw_room(*room).astype(f4) * tint, noise=noise)
        jpeg = BytesIO()  # writing to a file, Pillow's encoder does not say that the disk is full
        Image.fromarray(image).save(jpeg, "JPEG", quality=90)
        (folder / name / f"frame_{number:05}_rgb.jpg").write_bytes(jpeg.getvalue())
        write_pose(folder / name / f"frame_{number:05}_pose.txt", *camera.to_depth_frame(rotation, centre))


def draw(out: str | Path, n: int = 5000, seed: int = 0, jobs: int | None = None, sequences: int | None = None) -> Path:
    """Draw a data set in Biwi's own form.

    Args:
        out (str or Path): a new or empty folder. It is filled completely or not at all; the same call goes on with a
            drawing that broke off.
        n (int): the number of images, at least 24.
        seed (int): another seed draws other images. The same seed draws the same for any number of `jobs`.
        jobs (int or None): the number of processes; None: one for each core.
        sequences (int or None): 24 are Biwi's, of 20 people; more are of other people. None: it depends on `n`.

    Returns:
        Path: `out`.

    Raises:
        ImgregError: if `out` is in use or cannot be written.
    """
    if n < 24 or seed < 0:
        raise ImgregError("--n of at least 24 and --seed of at least 0", f"{n}, {seed}")
    if sequences is None:
        sequences = min(MAX_SEQUENCES, max(len(PEOPLE), n // MIN_FRAMES))
    if not 24 <= sequences <= min(n, MAX_SEQUENCES):
        raise ImgregError(f"24 to {min(n, MAX_SEQUENCES)} sequences of {n} frames", str(sequences))
    frames = np.diff(n * np.arange(sequences + 1) // sequences).tolist()
    chunks = [Chunk(count, (f"{i:02}", count, seed)) for i, count in enumerate(frames, start=1)]
    with drawing_folder(out, chunks, task="headpose", n=n, sequences=sequences, seed=seed) as drawing:
        drawing.draw(_write, jobs, f"drawing {n} images of people")
    return Path(out)
