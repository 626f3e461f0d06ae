"""Twenty rooms for people to sit in."""
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .colours import DARK, from_hsv


def room(k: int, seed: int = 0, scale: float = 0.9, shift=(0.5, 0.5)) -> np.ndarray:
    """The k-th of 20 rooms, uint8 [480, 640, 3]: a wall, and some of what stands before walls.

    Of a larger picture the part is taken that is `scale` of 640 x 480 in size and lies at `shift`, of 0 to 1.
    """
    picture, grain = _furnished(k, seed)
    x, y = (800 - 640 * scale) * shift[0], (600 - 480 * scale) * shift[1]
    box = (x, y, x + 640 * scale, y + 480 * scale)
    part = np.asarray(picture.resize((640, 480), Image.Resampling.BILINEAR, box))
    return np.clip(part + grain, 0, 255).astype(np.uint8)


@lru_cache(maxsize=20)
def _furnished(k: int, seed: int) -> tuple[Image.Image, np.ndarray]:
    """All of a room, 800 x 600, and the grain of its walls, [480, 640, 1]."""
    rng, w, h = np.random.default_rng([seed, 3, k]), 800, 600
    hue, (down, across) = k * 0.618, rng.uniform(-0.15, 0.15, 2)
    light = 1 + np.linspace(-down, down, h)[:, None] + np.linspace(-across, across, w)
    wall = light[..., None] * from_hsv(hue, rng.uniform(0.06, 0.3), rng.uniform(0.5, 0.82))
    if k % 3 == 1:  # papered
        wall[:, np.arange(w) % (40 + 3 * k) < 20 + k] *= 0.9
    picture = Image.fromarray(np.clip(wall, 0, 255).astype(np.uint8))
    for kind in rng.permutation(["window", "shelf", "poster", "poster", "plant", "door"])[: 2 + k % 3]:
        _furnish(ImageDraw.Draw(picture), kind, rng, hue)
    grain = Image.fromarray(rng.integers(0, 256, (96, 128), np.uint8)).resize((640, 480), Image.Resampling.BICUBIC)
    return picture.filter(ImageFilter.GaussianBlur(1.6)), 0.05 * (np.asarray(grain, np.float32)[..., None] - 128)


def _furnish(pen, kind, rng, hue):
    """Put a piece of furniture somewhere."""
    x, y, wide, high = rng.uniform(0, 600), rng.uniform(20, 240), rng.uniform(110, 260), rng.uniform(150, 300)
    box, frame = (x, y, x + wide, y + high), from_hsv(hue, 0.08, 0.92)
    if kind == "window":
        pen.rectangle(box, from_hsv(0.57, rng.uniform(0.1, 0.35), rng.uniform(0.8, 1)), frame, 10)
        pen.line((x + wide / 2, y, x + wide / 2, y + high), frame, 8)
        pen.line((x, y + high / 2, x + wide, y + high / 2), frame, 8)
    elif kind == "shelf":
        pen.rectangle(box, from_hsv(0.08, 0.5, rng.uniform(0.2, 0.4)))
        for foot in np.arange(y + 84, y + high, 90):
            for left in np.arange(x + 8, x + wide - 20, 15):
                book = (left, foot - rng.uniform(50, 74), left + rng.uniform(9, 14), foot)
                pen.rectangle(book, from_hsv(rng.random(), 0.45, rng.uniform(0.3, 0.85)))
    elif kind == "poster":
        pen.rectangle(box, from_hsv(rng.random(), 0.35, 0.8), from_hsv(hue, 0.3, 0.2), 5)
        for u, v, r in rng.uniform((x + 30, y + 30, 8), (x + wide - 30, y + high - 30, 26), (6, 3)):
            pen.ellipse((u - r, v - r, u + r, v + r), from_hsv(rng.random(), 0.5, 0.8))
    elif kind == "plant":
        for turn in rng.uniform(-1.2, 1.2, 16):
            tip = np.array([np.sin(turn), -np.cos(turn)]) * rng.uniform(80, 190)
            leaf = np.array([0 * tip, tip / 2 + tip[::-1] * (0.08, -0.08), tip, tip / 2 - tip[::-1] * (0.08, -0.08)])
            pen.polygon([*np.add(leaf, (x, 440)).ravel()], from_hsv(rng.uniform(0.25, 0.4), 0.55, rng.uniform(0.25, 0.6)))
        pen.polygon((x - 42, 440, x + 42, 440, x + 30, 600, x - 30, 600), from_hsv(0.05, 0.6, 0.6))
    else:
        pen.rectangle((x, 60, x + 200, 700), from_hsv(hue + 0.4, 0.15, rng.uniform(0.4, 0.75)), frame, 12)
        pen.ellipse((x + 24, 340, x + 40, 356), DARK)
