"""Colours of people and things: RGB from 0 to 255."""
from colorsys import hsv_to_rgb

WHITE, DARK = (236, 234, 228), (24, 18, 18)
SKINS = ((250, 218, 198), (238, 194, 166), (224, 172, 136), (200, 144, 106), (164, 110, 76), (112, 74, 52))
HAIRS = ((44, 32, 28), (74, 46, 30), (120, 72, 36), (206, 164, 96), (160, 72, 34), (140, 138, 136), (222, 218, 210))
IRISES = ((70, 110, 160), (84, 124, 74), (92, 60, 34), (48, 32, 24), (108, 128, 138))


def mix(first: tuple, second: tuple, share: float) -> tuple:
    """The colour at `share` of the way from the first to the second."""
    return tuple(a * (1 - share) + b * share for a, b in zip(first, second, strict=True))


def from_hsv(hue: float, saturation: float, value: float) -> tuple:
    """A colour by its hue in turns, and its saturation and value from 0 to 1."""
    return tuple(round(255 * v) for v in hsv_to_rgb(hue % 1, saturation, value))
