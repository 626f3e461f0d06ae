"""Ellipsoids, and what is made of them: solids, and paint on solids.

Measures are in mm in the frame of whatever they are part of: x to the person's left, y down, z backwards.
"""
from typing import NamedTuple

HEAD, NECK, TORSO = range(3)  # frames: the neck follows the head halfway, the torso hardly
SKIN, LID, EYE, LIP, HAIR, THROAT, CLOTH, WIRE = range(8)  # groups: what a Paint is meant for


class Ball(NamedTuple):
    """An ellipsoid: centre and radii in mm, tilt about x, y, z in degrees."""

    centre: tuple
    radii: tuple
    tilt: tuple = (0, 0, 0)

    def mirrored(self):
        """The same on the other side of the head."""
        (x, y, z), (ax, ay, az) = self.centre, self.tilt
        return Ball((-x, y, z), self.radii, (ax, -ay, -az))


class Solid(NamedTuple):
    """A Ball that is seen, less what lies in the Balls `cuts`."""

    ball: Ball
    colour: tuple
    group: int = SKIN
    frame: int = HEAD
    cuts: tuple = ()
    gloss: float = 0.06


class Paint(NamedTuple):
    """Colours what lies in a Ball on the solids of a group: `share` at most, fading over the outer part `soft`."""

    ball: Ball
    colour: tuple
    group: int = SKIN
    frame: int = HEAD
    soft: float = 0.4
    share: float = 1.0
    cuts: tuple = ()


def both(*things):
    """Things of the left side, and their mirror images."""
    return [*things, *(t.mirrored() if isinstance(t, Ball) else
                       t._replace(ball=t.ball.mirrored(), cuts=tuple(c.mirrored() for c in t.cuts)) for t in things)]
