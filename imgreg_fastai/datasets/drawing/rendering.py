"""Pictures of people made of ellipsoids, by casting rays.

An ellipsoid's outline and the distance to it are closed forms: a picture is a few hundred numpy calls on small boxes.
Poses are in the camera's frame, in mm. The middle of a picture's pixel (i, j) lies at (j + 0.5, i + 0.5).
"""
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.spatial.transform import Rotation

from ..cameras import Camera
from .people import Person
from .shapes import HAIR

FINE = 2  # FINE * FINE rays a pixel
NAPE, BASE = np.array([0.0, 64, 22]), np.array([0.0, 66, 12])  # where the head turns on the neck, the neck on the torso
SEAMS = 5, 1, 1, 1, 2, 1, 16, 1  # mm over which one solid's surface passes into the next one's, for each group
f4 = np.float32


@dataclass(frozen=True)
class Light:
    """Where the light comes from: `towards` [3]; how bright that is, and the `ambient`; the `tint`, RGB factors."""

    towards: tuple = (-0.45, -0.6, -0.66)
    strength: float = 0.75
    ambient: float = 0.42
    tint: tuple = (1.0, 1.0, 1.0)


def _between(one, other, share):
    """The rotation `share` of the way from one to the other; [3, 3]."""
    return one @ Rotation.from_rotvec(share * Rotation.from_matrix(one.T @ other).as_rotvec()).as_matrix()


def _apply(matrix, points):
    m = matrix.astype(f4)  # M p for points [3, n]; not by BLAS, whose last digit may depend on its threads
    return m[:, :1] * points[0] + m[:, 1:2] * points[1] + m[:, 2:] * points[2]


@lru_cache(maxsize=32)
class _Shape:
    """A person's ellipsoids as arrays: solids first, then their cuts, then the paints."""

    def __init__(self, who: Person):
        self.solids, self.paints = who.figure()
        cuts = [(s.frame, c) for s in self.solids for c in s.cuts]
        balls = [*((s.frame, s.ball) for s in self.solids), *cuts, *((p.frame, p.ball) for p in self.paints)]
        self.frames, self.centres = np.array([f for f, _ in balls]), np.array([b.centre for _, b in balls], float)
        turn = Rotation.from_euler("XYZ", [b.tilt for _, b in balls], degrees=True).as_matrix()
        radii = np.array([b.radii for _, b in balls], float)
        self.spreads = np.einsum("kij,kj,klj->kil", turn, radii**2, turn)
        self.metrics = np.einsum("kij,kj,klj->kil", turn, radii**-2, turn)
        ends = len(self.solids) + np.cumsum([len(s.cuts) for s in self.solids])
        self.cuts = [range(end - len(s.cuts), end) for s, end in zip(self.solids, ends, strict=True)]
        self.colours = np.array([*(s.colour for s in self.solids), (0, 0, 0)], f4).T  # the last: nothing is seen
        self.gloss = np.array([*(s.gloss for s in self.solids), 0], f4)
        self.groups = np.array([*(s.group for s in self.solids), -1], np.int8)


def _conic(matrix, ray, x, y):
    """d' M d for d = ray + (x, y, 0) on a grid, [rows, columns] float32; x and y are small, lest digits be lost."""
    side = matrix @ ray
    across, down = (ray @ side + (2 * side[0] + matrix[0, 0] * x) * x), (2 * side[1] + matrix[1, 1] * y) * y
    return down.astype(f4)[:, None] + across.astype(f4) + y.astype(f4)[:, None] * (2 * matrix[0, 1] * x).astype(f4)


class _View:
    """One person in one pose before the camera: distances along the rays, which solid is seen, what colour."""

    def __init__(self, shape: _Shape, frames, camera: Camera):
        self.shape, self.head = shape, frames[0]
        turns, places = (np.array(v)[shape.frames] for v in zip(*frames, strict=True))
        self.centres = np.einsum("kij,kj->ki", turns, shape.centres) + places
        self.metrics = turns @ shape.metrics @ turns.transpose(0, 2, 1)
        self.slopes = np.einsum("kij,kj->ki", self.metrics, self.centres)
        self._boxes(turns @ shape.spreads @ turns.transpose(0, 2, 1), camera)
        self.depth = np.full((len(self.v), len(self.u)), np.inf, f4)
        self.seen = np.full(self.depth.shape, len(shape.solids), np.int16)

    def _boxes(self, spreads, camera):
        """Which part of the picture is needed; each ellipsoid's rows and columns in it, in fine pixels."""
        # A line l touches the outline where l' (S - c c') l = 0: a quadratic for the upright and the level lines.
        dual = spreads - self.centres[:, :, None] * self.centres[:, None]
        dual /= dual[:, 2:, 2:]
        middle, focal, principal = dual[:, :2, 2], camera.matrix[[0, 1], [0, 1]], camera.matrix[:2, 2]
        reach = np.sqrt(np.maximum(middle**2 - dual[:, [0, 1], [0, 1]], 0))
        ends = np.stack([np.floor(FINE * (focal * (middle - reach) + principal)),
                         np.ceil(FINE * (focal * (middle + reach) + principal))]).astype(int)
        solids, size = ends[:, : len(self.shape.solids)], np.array(camera.size)
        self.low = np.clip(solids[0].min(0) // FINE, 0, size - 1)
        self.high = np.clip(-(-solids[1].max(0) // FINE), self.low + 1, size)
        ends = np.clip(ends - FINE * self.low, 0, FINE * (self.high - self.low))
        self.boxes = [(slice(a[1], b[1]), slice(a[0], b[0])) for a, b in zip(*ends, strict=True)]
        self.u, self.v = (((np.arange(FINE * a, FINE * b) + 0.5) / FINE - p) / f for a, b, f, p in
                          zip(self.low, self.high, focal, principal, strict=True))

    def _quadric(self, k, box):
        """a, b, e of an ellipsoid along the rays of a box: a t² - 2 b t + e = 0 on its surface; and the grid."""
        ray = self.centres[k] / self.centres[k, 2]
        x, y, slope = self.u[box[1]] - ray[0], self.v[box[0]] - ray[1], self.slopes[k]
        b = (slope[1] * y).astype(f4)[:, None] + (slope @ ray + slope[0] * x).astype(f4)
        return _conic(self.metrics[k], ray, x, y), b, self.centres[k] @ slope - 1, (ray, x, y)

    def trace(self, k):
        """Enter solid k where it is the nearest; rays that miss it have NaN as their distance."""
        box = self.boxes[k]
        a, b, e, (ray, x, y) = self._quadric(k, box)
        root = np.sqrt(_conic(np.outer(self.slopes[k], self.slopes[k]) - e * self.metrics[k], ray, x, y))
        t = (b - root) / a
        if self.shape.cuts[k]:
            root += b
            root /= a
            root[self._cut(k, box, root)] = np.nan
            t = np.where(self._cut(k, box, t), root, t)
        nearer = t < self.depth[box]
        np.copyto(self.depth[box], t, where=nearer)
        np.copyto(self.seen[box], np.int16(k), where=nearer)

    def _cut(self, k, box, t):
        """Where points at distances `t` lie in one of the cuts of solid k."""
        quadrics = (self._quadric(c, box)[:3] for c in self.shape.cuts[k])
        return np.logical_or.reduce([(a * t - (b + b)) * t < f4(-e) for a, b, e in quadrics])

    def samples(self):
        """Where to compute colours: (whole pixels, edge pixels, solids seen, points [3, n]).

        A pixel whose rays all meet the same solid has one sample, in its middle; then come all the others' rays.
        """
        (i, j), last, first = np.divmod(np.arange(FINE**2), FINE), FINE - 1, self.seen[::FINE, ::FINE]
        same = np.logical_and.reduce([self.seen[a::FINE, b::FINE] == first for a, b in zip(i, j, strict=True)])
        whole, edge = np.nonzero(same & (first < len(self.shape.solids))), np.nonzero(~same)
        rows, columns = FINE * edge[0] + i[:, None], FINE * edge[1] + j[:, None]
        z = (self.depth[::FINE, ::FINE][whole] + self.depth[last::FINE, last::FINE][whole]) / 2
        z = np.concatenate([z, self.depth[rows, columns].ravel()])
        z[~np.isfinite(z)] = 1
        u, v = (np.concatenate([g.reshape(-1, FINE).mean(1)[a], g[b].ravel()]).astype(f4) for g, a, b in
                ((self.u, whole[1], columns), (self.v, whole[0], rows)))
        solid = np.concatenate([first[whole], self.seen[rows, columns].ravel()])
        return whole, edge, solid, np.stack([u * z, v * z, z])

    def inside(self, k, points):
        """Ellipsoid k's equation at points [3, n], less than 1 inside, and half its gradient there, [3, n]."""
        apart = points - self.centres[k].astype(f4)[:, None]
        slope = _apply(self.metrics[k], apart)
        return (apart * slope).sum(0), slope

    def colours(self, solid, points):
        """What colour is seen, [3, n]: the solids', the paints over them, and streaks in hair."""
        colour, paints = self.shape.colours[:, solid], self.shape.paints
        members = [np.flatnonzero(self.shape.groups[solid] == group) for group in range(len(SEAMS))]
        for k, paint in enumerate(paints, len(self.centres) - len(paints)):
            there = members[paint.group]
            share = (1 - self.inside(k, points[:, there])[0]) / f4(paint.soft)
            there, share = there[share > 0], np.minimum(share[share > 0], 1) * f4(paint.share)
            colour[:, there] += share * (np.array(paint.colour, f4)[:, None] - colour[:, there])
        there, (turn, middle) = members[HAIR], self.head
        x, y, z = _apply(turn.T, points[:, there] - np.array(middle, f4)[:, None])
        beside = np.abs(np.arctan2(x, -z))  # of both sides alike
        colour[:, there] *= 1 + f4(0.07) * np.sin(31 * beside + y / 23) + f4(0.06) * np.sin(67 * beside - y / 11)
        return colour

    def normals(self, solid, points):
        """Unit normals towards the camera, [3, n]: means over near solids of the same group, so that no seam shows."""
        n, groups = np.zeros_like(points), self.shape.groups
        for group, seam in enumerate(SEAMS):
            there = np.flatnonzero(groups[solid] == group)
            mean, near = np.zeros((3, len(there)), f4), points[:, there]
            for k in np.flatnonzero(groups == group) if len(there) else ():
                value, slope = self.inside(k, near)
                size = np.sqrt((slope * slope).sum(0))
                mean += slope * (np.exp(np.clip((1 - value) / (size * f4(2 * seam)), -60, 0)) / size)
            n[:, there] = mean
        return n * (-np.sign((n * points).sum(0)) / np.sqrt((n * n).sum(0) + f4(1e-30)))

    def shade(self, solid, points, light: Light):
        """Colours [3, n] of 0 to 255."""
        d = points / np.sqrt((points * points).sum(0))
        n, colour = self.normals(solid, points), self.colours(solid, points)
        towards = np.array(light.towards, f4) / f4(np.linalg.norm(light.towards))
        key = np.maximum(((towards[:, None] * n).sum(0) + f4(0.25)) / f4(1.25), 0)
        bright = (f4(light.ambient) + f4(light.strength) * key) * (f4(0.7) - f4(0.3) * (n * d).sum(0))
        half = towards[:, None] - d
        shine = np.clip((n * half).sum(0) / np.sqrt((half * half).sum(0)), 0, 1) ** 32
        colour = colour * bright + self.shape.gloss[solid] * shine * f4(255 * light.strength)
        return colour * (np.array(light.tint, f4)[:, None] * (solid < len(self.shape.solids)))


def render(who: Person, rotation, centre, camera: Camera, light=None, background=128, body=None, noise=0) -> np.ndarray:
    """A picture of a person, uint8 [480, 640, 3]. `rotation` [3, 3] and `centre` [3] in mm: the head's, to the camera.

    `background`: [480, 640, 3]; `noise` is added. `body`: the torso's rotation, else it follows the head a little.
    """
    body = _between(np.eye(3), rotation, 0.2) if body is None else body
    neck, nape = _between(body, rotation, 0.45), np.add(centre, rotation @ NAPE)
    view = _View(_Shape(who), [(rotation, centre), (neck, nape), (body, nape + neck @ BASE)], camera)
    with np.errstate(invalid="ignore"):
        for k in range(len(view.shape.solids)):
            view.trace(k)
    whole, edge, solid, points = view.samples()
    colour, n = view.shade(solid, points, light or Light()), len(whole[0])
    picture = np.zeros((*camera.size[::-1], 3), f4) + background
    part = picture[view.low[1] : view.high[1], view.low[0] : view.high[0]]
    part[whole] = colour[:, :n].T
    there = (solid[n:] < len(view.shape.solids)).reshape(FINE**2, -1).mean(0, dtype=f4)
    part[edge] = part[edge] * (1 - there)[:, None] + colour[:, n:].reshape(3, FINE**2, -1).mean(1).T
    return np.clip(picture + (noise + f4(0.5)), 0, 255).astype(np.uint8)
