"""Draws the sample: 120 photograph-like pictures of twelve pressure gauges, and the table of what they show.

    python data/gauges/draw.py FOLDER      # a new folder; the sample beside this file was drawn so
    python data/gauges/draw.py FOLDER --seed 8      # other pictures of the same gauges

Places are told in three frames: the dial's own, its middle at (0, 0) and its rim at 1, y down; the dial drawn face on;
and the picture, in pixels from the outer corner of its first one. One homography leads from the first to the last, for
the pixels and for the labels alike.
"""
import argparse
import csv
import io
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SEED = 7  # of the sample
FACE, FINE = 400, 3  # pixels of a dial that is drawn face on; a picture is drawn so many times as large
SIZES = ((120, 120), (128, 112), (112, 128))  # width and height
HIDDEN, TURNED = (17, 44, 71, 98), (5, 29, 53, 83, 107)  # pictures whose tip is in glare; taken with the phone upright
COLUMNS = ("image", "pressure", "tip_x", "tip_y", "hub_x", "hub_y", "gauge")
UPRIGHT = 6  # the orientation tag of what must be turned by a quarter, clockwise, to be seen as it was


class Gauge(NamedTuple):
    """One of the twelve: its colours, the length and width of its needle, how it is marked, and what is behind it."""

    name: str
    n: int  # how often it was photographed
    dial: str
    rim: str
    ink: str
    needle: str
    length: float
    width: float
    step: int  # bar from one figure to the next
    zones: tuple  # (from, to, colour) in bar
    wall: str
    pattern: str


GAUGES = (
    Gauge("boiler", 10, "#f4f2ea", "#2b2b2e", "#1b1b1b", "#111111", .74, .075, 1, ((7, 10, "#c8372d"),), "#8f9a96",
          "plain"),
    Gauge("pump 1", 12, "#fbfbf8", "#9aa0a5", "#202020", "#b3151b", .78, .07, 2, (), "#6d7f8c", "plates"),
    Gauge("pump 2", 10, "#fbfbf8", "#9aa0a5", "#202020", "#111111", .72, .085, 2, (), "#6d7f8c", "plates"),
    Gauge("compressor", 10, "#e9e4d2", "#b0883c", "#3a2c12", "#1d1710", .76, .07, 2, ((0, 4, "#4d8f4a"),), "#7b4a3a",
          "bricks"),
    Gauge("filter in", 10, "#dfe7ec", "#3d5a80", "#16263a", "#c1121f", .7, .08, 1, (), "#c9c4b4", "plain"),
    Gauge("filter out", 8, "#dfe7ec", "#3d5a80", "#16263a", "#16263a", .75, .08, 5, ((8, 10, "#d98c1f"),), "#c9c4b4",
          "plain"),
    Gauge("fire main", 10, "#ffffff", "#b3151b", "#111111", "#111111", .78, .065, 2, ((0, 2, "#c8372d"),), "#9b8b7a",
          "bricks"),
    Gauge("autoclave", 10, "#f6efd9", "#6a6a6a", "#2a2a2a", "#8a1016", .72, .09, 1, (), "#4f6152", "plain"),
    Gauge("nitrogen", 10, "#eef3ea", "#3f3f42", "#22301f", "#0e3d73", .76, .08, 2, ((3, 6, "#4d8f4a"),), "#a7aeb3",
          "plates"),
    Gauge("garden pump", 9, "#f2f2f0", "#2f6b3c", "#222222", "#151515", .74, .09, 5, (), "#8a6b45", "boards"),
    Gauge("espresso", 11, "#faf6ee", "#c2c6c9", "#40362c", "#5a2413", .77, .075, 1, ((8, 9.5, "#4d8f4a"),), "#5b4636",
          "boards"),
    Gauge("cellar", 10, "#d9d2b8", "#55534c", "#2a2820", "#111111", .7, .085, 2, (), "#77776f", "plain"),
)


def at(reading: float, radius: float) -> tuple[float, float]:
    """Where the dial says so many bar: 0 lies lower left, 10 lower right, three quarters of a turn clockwise."""
    angle = math.radians(135 + 27 * reading)
    return radius * math.cos(angle), radius * math.sin(angle)


def face(gauge: Gauge, reading: float, glare: tuple[float, float, float]) -> Image.Image:
    """The gauge face on, RGBA; `glare`: where on its glass a lamp is mirrored, and how brightly (0 to 1)."""
    picture = Image.new("RGBA", (FACE, FACE))
    draw = ImageDraw.Draw(picture)
    for radius, colour in ((1, gauge.rim), (0.93, "#00000060"), (0.9, gauge.dial)):
        draw.ellipse(_square((0, 0), radius), fill=colour)
    for start, end, colour in gauge.zones:
        draw.arc(_square((0, 0), 0.86), 135 + 27 * start, 135 + 27 * end, fill=colour, width=round(0.05 * FACE / 2))
    font, small = ImageFont.load_default(0.075 * FACE), ImageFont.load_default(0.06 * FACE)
    for tenth in range(0, 101, 5):
        bold = tenth % (10 * gauge.step) == 0
        ends = [_px(at(tenth / 10, radius)) for radius in (0.85, 0.74 if bold else 0.79)]
        draw.line(ends, gauge.ink, 7 if bold else 3)
        if bold:
            draw.text(_px(at(tenth / 10, 0.59)), str(tenth // 10), gauge.ink, font, "mm")
    draw.text(_px((0, 0.42)), "bar", gauge.ink, small, "mm")
    _needle(draw, gauge, reading)
    x, y, brightness = glare
    lamp = Image.new("L", picture.size)
    ImageDraw.Draw(lamp).ellipse(_square((x, y), 0.2), fill=round(255 * brightness))
    white = Image.new("RGBA", picture.size, "white")
    lit = Image.composite(white, picture, lamp.filter(ImageFilter.GaussianBlur(0.035 * FACE)))
    lit.putalpha(picture.getchannel("A"))
    return lit


def _needle(draw: ImageDraw.ImageDraw, gauge: Gauge, reading: float) -> None:
    """A needle that tapers to its tip, with a tail beyond the hub."""
    x, y = at(reading, 1)
    wide, tail, long = gauge.width, 0.24, gauge.length
    corners = ((-tail, wide), (long, 0.016), (long, -0.016), (-tail, -wide))
    draw.polygon([_px((along * x - aside * y, along * y + aside * x)) for along, aside in corners], gauge.needle)
    draw.ellipse(_square((0, 0), 0.13), fill=gauge.needle)
    draw.ellipse(_square((0, 0), 0.05), fill=gauge.rim)


def _px(place: tuple[float, float]) -> tuple[float, float]:
    return (place[0] + 1) * FACE / 2, (place[1] + 1) * FACE / 2


def _square(middle: tuple[float, float], radius: float) -> list:
    return [_px((middle[0] - radius, middle[1] - radius)), _px((middle[0] + radius, middle[1] + radius))]


def pose(size: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Where the camera stands: the homography [3, 3] from the dial's frame to pixels of a picture of `size`."""
    roll, aslant, above = np.radians(rng.uniform(-1, 1, 3) * (7, 24, 20))
    about_z = [[math.cos(roll), -math.sin(roll), 0], [math.sin(roll), math.cos(roll), 0], [0, 0, 1]]
    about_y = [[math.cos(aslant), 0, math.sin(aslant)], [0, 1, 0], [-math.sin(aslant), 0, math.cos(aslant)]]
    about_x = [[1, 0, 0], [0, math.cos(above), -math.sin(above)], [0, math.sin(above), math.cos(above)]]
    plane = np.array(about_x) @ about_y @ about_z
    plane[:, 2] = 0, 0, 4.0  # so many radii away
    radius = min(size) * rng.uniform(0.33, 0.43)
    free = np.array(size) / 2 - 1.05 * radius
    middle = np.array(size) / 2 + rng.uniform(-1, 1, 2) * free
    return np.array([[4 * radius, 0, middle[0]], [0, 4 * radius, middle[1]], [0, 0, 1]]) @ plane


def seen(homography: np.ndarray, place: tuple[float, float]) -> np.ndarray:
    """Where a place on the dial is in the picture, x and y in pixels."""
    x, y, w = homography @ (*place, 1)
    return np.array((x / w, y / w))


def background(gauge: Gauge, size: tuple[int, int], rng: np.random.Generator) -> Image.Image:
    """The wall behind, and the pipe that the gauge sits on."""
    picture = Image.new("RGB", size, gauge.wall)
    draw, (width, height) = ImageDraw.Draw(picture), size
    seam = tuple(int(v * 0.78) for v in picture.getpixel((0, 0)))
    step = {"bricks": 42, "plates": 150, "boards": 66}.get(gauge.pattern)
    for i, y in enumerate(range(int(rng.integers(-(step or 1), 1)), height, step or height)):
        if step:
            draw.line((0, y, width, y), seam, 4)
        if gauge.pattern == "bricks":
            for x in range((i % 2) * 45 - 20, width, 90):
                draw.line((x, y, x, y + step), seam, 4)
    return picture


def _pipe(picture: Image.Image, homography: np.ndarray, colour: tuple[int, int, int]) -> None:
    """A pipe from the gauge down, and the gauge's shadow on the wall."""
    (x, y), draw = seen(homography, (0, 0)), ImageDraw.Draw(picture)
    wide = 0.16 * float(abs(homography[0, 0] / homography[2, 2]))
    for part, light in ((1, 0.7), (0.7, 1.0), (0.3, 1.25)):
        fill = tuple(min(255, int(v * light)) for v in colour)
        draw.rectangle((x - part * wide, y, x + part * wide, picture.height), fill=fill)
    shadow = Image.new("L", picture.size)
    around = [tuple(seen(homography, (math.cos(a), math.sin(a))) + wide * 0.7) for a in np.arange(0, 6.3, 0.1)]
    ImageDraw.Draw(shadow).polygon(around, fill=120)
    picture.paste((0, 0, 0), mask=shadow.filter(ImageFilter.GaussianBlur(wide / 3)))


def photograph(gauge: Gauge, reading: float, hidden: bool, rng: np.random.Generator):
    """A photograph of a gauge at so many bar: (the picture, its tip, its hub), places in pixels."""
    size = SIZES[rng.choice(len(SIZES), p=(0.6, 0.2, 0.2))]
    homography = pose(size, rng)
    tip = at(reading, gauge.length)
    glare = (*tip, 1.0) if hidden else (*rng.uniform(-0.7, 0.7, 2), rng.choice((0, 0, 0.45)))
    fine = (size[0] * FINE, size[1] * FINE)
    larger = np.diag((FINE, FINE, 1)) @ homography
    picture = background(gauge, fine, rng)
    _pipe(picture, larger, tuple(int(v) for v in rng.uniform(90, 170) * np.array((1, 0.97, 0.92))))
    to_face = np.array([[FACE / 2, 0, FACE / 2], [0, FACE / 2, FACE / 2], [0, 0, 1]]) @ np.linalg.inv(larger)
    to_face = (to_face / to_face[2, 2]).ravel()[:8]
    dial = face(gauge, reading, glare).transform(fine, Image.Transform.PERSPECTIVE, to_face, Image.Resampling.BICUBIC)
    picture.paste(dial, mask=dial.getchannel("A"))
    return taken(picture.resize(size, Image.Resampling.LANCZOS), rng), seen(homography, tip), seen(homography, (0, 0))


def taken(picture: Image.Image, rng: np.random.Generator) -> Image.Image:
    """What a camera makes of a scene: light from one side, its colour, a little blur, grain."""
    seen_ = np.asarray(picture.filter(ImageFilter.GaussianBlur(rng.uniform(0.1, 0.7))), float)
    y, x = np.mgrid[-1 : 1 : seen_.shape[0] * 1j, -1 : 1 : seen_.shape[1] * 1j]
    side = rng.uniform(0, 2 * math.pi)
    light = rng.uniform(0.65, 1.1) * (1 + rng.uniform(0, 0.3) * (x * math.cos(side) + y * math.sin(side)))
    warm = rng.uniform(-0.07, 0.07)
    lit = seen_ * light[..., None] * (1 + warm, 1, 1 - warm)
    return Image.fromarray(np.clip(lit + rng.normal(0, rng.uniform(1.5, 6), lit.shape), 0, 255).astype(np.uint8))


def scenes(seed: int):
    """Yield (gauge, its reading in bar) of each picture, in the order in which they were taken; the same for a seed."""
    rng = np.random.default_rng(seed)
    rows = []
    for gauge in GAUGES:  # a reading of each part of the scale for each gauge
        rows += [(gauge, (k + rng.random()) * 10 / gauge.n) for k in range(gauge.n)]
    yield from (rows[i] for i in rng.permutation(len(rows)))


def draw(number: int, gauge: Gauge, reading: float, seed: int) -> tuple[bytes, dict]:
    """One picture as a JPEG file, and its row of the table; `number`: its place among all, from 1."""
    picture, tip, hub = photograph(gauge, reading, number in HIDDEN, np.random.default_rng((seed, number)))
    exif = Image.Exif()
    if number in TURNED:  # the sensor lay on its side: the file does, too, and a tag tells how to hold it
        picture = picture.transpose(Image.Transpose.ROTATE_90)
        exif[0x0112] = UPRIGHT
    picture.save(file := io.BytesIO(), "jpeg", quality=84, exif=exif)
    at_tip = ("", "") if number in HIDDEN else (f"{tip[0]:.1f}", f"{tip[1]:.1f}")
    values = (f"photos/IMG_{number + 200:04}.jpg", f"{reading:.1f}", *at_tip, f"{hub[0]:.1f}", f"{hub[1]:.1f}")
    return file.getvalue(), dict(zip(COLUMNS, (*values, gauge.name), strict=True))


def main(folder: Path, seed: int = SEED) -> None:
    """Draw all of them into a new folder, with their labels.csv."""
    (folder / "photos").mkdir(parents=True)
    with (folder / "labels.csv").open("x", newline="", encoding="utf-8") as table:
        rows = csv.DictWriter(table, COLUMNS, lineterminator="\n")
        rows.writeheader()
        for number, (gauge, reading) in enumerate(scenes(seed), 1):
            file, row = draw(number, gauge, reading, seed)
            (folder / row["image"]).write_bytes(file)
            rows.writerow(row)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Draw 120 pictures of twelve pressure gauges, and their labels.csv.")
    parser.add_argument("folder", type=Path, help="a new folder")
    parser.add_argument("--seed", type=int, default=SEED, help="another one draws other pictures (%(default)s)")
    options = parser.parse_args()
    main(options.folder, options.seed)
