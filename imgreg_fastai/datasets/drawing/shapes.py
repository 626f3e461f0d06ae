"""Ellipsoids, and what people are made of: solids, and paint on solids.

Measures are in mm in the frame of the body part: x to the person's left, y down, z backwards.
"""
from typing import NamedTuple, TypeVar

HEAD, NECK, TORSO = range(3)  # frames: the neck follows half of the head's rotation, the torso a fifth
SKIN, LID, EYE, LIP, HAIR, THROAT, CLOTH, WIRE = range(8)  # groups of solids; a Paint colours one group


class Ball(NamedTuple):
    """An ellipsoid: centre and half axes in mm, tilt about x, y, z in degrees."""

    centre: tuple
    radii: tuple
    tilt: tuple = (0, 0, 0)


class Solid(NamedTuple):
    """A visible Ball, without what lies in the Balls `cuts`."""

    ball: Ball
    colour: tuple
    group: int = SKIN
    frame: int = HEAD
    cuts: tuple = ()
    gloss: float = 0.06


class Paint(NamedTuple):
    """A colour inside a Ball on the solids of a group: `share` at most, fading out over the outer part `soft`."""

    ball: Ball
    colour: tuple
    group: int = SKIN
    frame: int = HEAD
    soft: float = 0.4
    share: float = 1.0
    cuts: tuple = ()


Part = TypeVar("Part", Ball, Solid, Paint)


def mirror(part: Part) -> Part:
    """A Ball, Solid or Paint on the other side of the body."""
    if not isinstance(part, Ball):
        return part._replace(ball=mirror(part.ball), cuts=tuple(map(mirror, part.cuts)))
    x, y, z = part.centre
    tilt_x, tilt_y, tilt_z = part.tilt
    return Ball((-x, y, z), part.radii, (tilt_x, -tilt_y, -tilt_z))


def both_sides(*parts) -> list:
    """Parts of the left side, and their mirror images."""
    return [*parts, *map(mirror, parts)]
