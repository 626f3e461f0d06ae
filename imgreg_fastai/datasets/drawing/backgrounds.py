"""Twenty rooms, the backgrounds of drawn people."""
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .colours import DARK, from_hsv


@lru_cache(maxsize=4)  # a sequence shows the same part for some frames
def draw_room(k: int, seed: int = 0, scale: float = 0.9, shift: tuple[float, float] = (0.5, 0.5)) -> np.ndarray:
    """Draw a part of a room: a wall, and some furniture.

    Args:
        k (int): the number of the room, 0 to 19.
        seed (int): another seed gives other rooms.
        scale (float): the size of the part, as a factor of 640 x 480 of the room's 800 x 600 pixels.
        shift (tuple): where the part lies, across and down, from 0 to 1.

    Returns:
        np.ndarray: the image, uint8 [480, 640, 3].
    """
    image, grain = _room(k, seed)
    x, y = (800 - 640 * scale) * shift[0], (600 - 480 * scale) * shift[1]
    box = (x, y, x + 640 * scale, y + 480 * scale)
    part = np.asarray(image.resize((640, 480), Image.Resampling.BILINEAR, box))
    return np.clip(part + grain, 0, 255).astype(np.uint8)


@lru_cache(maxsize=20)
def _room(k: int, seed: int) -> tuple[Image.Image, np.ndarray]:
    """A room, 800 x 600, and the grain of its walls, [480, 640, 1]."""
    rng, w, h = np.random.default_rng([seed, 3, k]), 800, 600
    hue, (down, across) = k * 0.618, rng.uniform(-0.15, 0.15, 2)
    light = 1 + np.linspace(-down, down, h)[:, None] + np.linspace(-across, across, w)
    wall = light[..., None] * from_hsv(hue, rng.uniform(0.06, 0.3), rng.uniform(0.5, 0.82))
    if k % 3 == 1:  # stripes of a wallpaper
        wall[:, np.arange(w) % (40 + 3 * k) < 20 + k] *= 0.9
    image = Image.fromarray(np.clip(wall, 0, 255).astype(np.uint8))
    for kind in rng.permutation(["window", "shelf", "poster", "poster", "plant", "door"])[: 2 + k % 3]:
        _draw_furniture(ImageDraw.Draw(image), kind, rng, hue)
    grain = Image.fromarray(rng.integers(0, 256, (96, 128), np.uint8)).resize((640, 480), Image.Resampling.BICUBIC)
    return image.filter(ImageFilter.GaussianBlur(1.6)), 0.05 * (np.asarray(grain, np.float32)[..., None] - 128)


def _draw_furniture(pen, kind, rng, hue):
    """Draw one piece of furniture at a random place."""
    x, y, width, height = rng.uniform(0, 600), rng.uniform(20, 240), rng.uniform(110, 260), rng.uniform(150, 300)
    box, frame = (x, y, x + width, y + height), from_hsv(hue, 0.08, 0.92)
    if kind == "window":
        pen.rectangle(box, from_hsv(0.57, rng.uniform(0.1, 0.35), rng.uniform(0.8, 1)), frame, 10)
        pen.line((x + width / 2, y, x + width / 2, y + height), frame, 8)
        pen.line((x, y + height / 2, x + width, y + height / 2), frame, 8)
    elif kind == "shelf":
        pen.rectangle(box, from_hsv(0.08, 0.5, rng.uniform(0.2, 0.4)))
        for bottom in np.arange(y + 84, y + height, 90):
            for left in np.arange(x + 8, x + width - 20, 15):
                book = (left, bottom - rng.uniform(50, 74), left + rng.uniform(9, 14), bottom)
                pen.rectangle(book, from_hsv(rng.random(), 0.45, rng.uniform(0.3, 0.85)))
    elif kind == "poster":
        pen.rectangle(box, from_hsv(rng.random(), 0.35, 0.8), from_hsv(hue, 0.3, 0.2), 5)
        for u, v, r in rng.uniform((x + 30, y + 30, 8), (x + width - 30, y + height - 30, 26), (6, 3)):
            pen.ellipse((u - r, v - r, u + r, v + r), from_hsv(rng.random(), 0.5, 0.8))
    elif kind == "plant":
        for turn in rng.uniform(-1.2, 1.2, 16):
            tip = np.array([np.sin(turn), -np.cos(turn)]) * rng.uniform(80, 190)
            bend = tip[::-1] * (0.08, -0.08)
            leaf = np.add([0 * tip, tip / 2 + bend, tip, tip / 2 - bend], (x, 440))
            pen.polygon([*leaf.ravel()], from_hsv(rng.uniform(0.25, 0.4), 0.55, rng.uniform(0.25, 0.6)))
        pen.polygon((x - 42, 440, x + 42, 440, x + 30, 600, x - 30, 600), from_hsv(0.05, 0.6, 0.6))
    else:
        pen.rectangle((x, 60, x + 200, 700), from_hsv(hue + 0.4, 0.15, rng.uniform(0.4, 0.75)), frame, 12)
        pen.ellipse((x + 24, 340, x + 40, 356), DARK)
