"""Images of people made of ellipsoids, by casting rays.

An ellipsoid's outline and the distance to it have closed forms: an image takes a few hundred numpy calls on small
boxes.
Poses are in the camera's frame, in mm. The middle of the pixel in row i and column j lies at (j + 0.5, i + 0.5).
"""
from typing import NamedTuple

import numpy as np
from scipy.spatial.transform import Rotation

from ..cameras import Camera
from .people import Person
from .shapes import HAIR, HEAD, Solid

RAYS = 2  # RAYS * RAYS rays a pixel
NECK_TOP, NECK_BASE = np.array([0.0, 64, 22]), np.array([0.0, 66, 12])  # where they turn: in the head's, neck's frame
SEAMS = 5, 1, 1, 1, 2, 1, 16, 1  # mm over which one solid's surface passes into the next one's, for each group
f4 = np.float32


class Light(NamedTuple):
    """A light.

    Args:
        towards (tuple): the direction to it, [3].
        strength (float): its brightness.
        ambient (float): the brightness of the light from everywhere.
        tint (tuple): factors of red, green and blue.
    """

    towards: tuple = (-0.45, -0.6, -0.66)
    strength: float = 0.75
    ambient: float = 0.42
    tint: tuple = (1.0, 1.0, 1.0)


def _interpolate(first, second, share):
    """The rotation `share` of the way from the first to the second; [3, 3]."""
    return first @ Rotation.from_rotvec(share * Rotation.from_matrix(first.T @ second).as_rotvec()).as_matrix()


def _apply(matrix, points):
    """A matrix times points [3, n]; without BLAS, whose last digit may depend on its threads."""
    m = matrix.astype(f4)
    return m[:, :1] * points[0] + m[:, 1:2] * points[1] + m[:, 2:] * points[2]


class _Figure:
    """A person's ellipsoids as arrays: solids first, then their cuts, then the paints."""

    def __init__(self, who: Person):
        parts = who.parts()
        self.solids = [part for part in parts if isinstance(part, Solid)]
        self.paints = [part for part in parts if not isinstance(part, Solid)]
        cuts = [(s.frame, cut) for s in self.solids for cut in s.cuts]
        balls = [*((s.frame, s.ball) for s in self.solids), *cuts, *((p.frame, p.ball) for p in self.paints)]
        self.frames = np.array([frame for frame, _ in balls])
        scale = np.where(self.frames[:, None] == HEAD, who.scale, 1)
        self.centres = scale * np.array([ball.centre for _, ball in balls], float)
        turns = Rotation.from_euler("XYZ", [ball.tilt for _, ball in balls], degrees=True).as_matrix()
        radii = scale * np.array([ball.radii for _, ball in balls], float)
        self.spreads = np.einsum("kij,kj,klj->kil", turns, radii**2, turns)
        self.metrics = np.einsum("kij,kj,klj->kil", turns, radii**-2, turns)
        ends = len(self.solids) + np.cumsum([len(s.cuts) for s in self.solids])
        self.cuts = [range(end - len(s.cuts), end) for s, end in zip(self.solids, ends, strict=True)]
        self.colours = np.array([*(s.colour for s in self.solids), (0, 0, 0)], f4).T  # the last: the ray meets nothing
        self.gloss = np.array([*(s.gloss for s in self.solids), 0], f4)
        self.groups = np.array([*(s.group for s in self.solids), -1], np.int8)


class _View:
    """One person in one pose before the camera: the nearest solid along each ray, its distance and colour."""

    def __init__(self, figure: _Figure, frames, camera: Camera):
        self.figure, self.head = figure, frames[0]
        turns, shifts = (np.array(v)[figure.frames] for v in zip(*frames, strict=True))
        self.centres = np.einsum("kij,kj->ki", turns, figure.centres) + shifts
        self.metrics = turns @ figure.metrics @ turns.transpose(0, 2, 1)
        self.slopes = np.einsum("kij,kj->ki", self.metrics, self.centres)
        self.constants = [centre @ slope - 1 for centre, slope in zip(self.centres, self.slopes, strict=True)]
        self.rays = self.centres / self.centres[:, 2:]
        # The part of the image that the person fills, its rays, and each ellipsoid's rows and columns among these. A
        # line l touches the outline where l' (S - c c') l = 0: a quadratic for upright and for level lines.
        dual = turns @ figure.spreads @ turns.transpose(0, 2, 1) - self.centres[:, :, None] * self.centres[:, None]
        dual /= dual[:, 2:, 2:]
        middle, focal, principal = dual[:, :2, 2], camera.matrix[[0, 1], [0, 1]], camera.matrix[:2, 2]
        reach = np.sqrt(np.maximum(middle**2 - dual[:, [0, 1], [0, 1]], 0))
        ends = np.stack([np.floor(RAYS * (focal * (middle - reach) + principal)),
                         np.ceil(RAYS * (focal * (middle + reach) + principal))]).astype(int)
        solids, size = ends[:, : len(figure.solids)], np.array(camera.size)
        self.low = np.clip(solids[0].min(0) // RAYS, 0, size - 1)
        self.high = np.clip(-(-solids[1].max(0) // RAYS), self.low + 1, size)
        ends = np.clip(ends - RAYS * self.low, 0, RAYS * (self.high - self.low))
        self.boxes = [(slice(a[1], b[1]), slice(a[0], b[0])) for a, b in zip(*ends, strict=True)]
        self.u, self.v = (((np.arange(RAYS * a, RAYS * b) + 0.5) / RAYS - p) / f for a, b, f, p in
                          zip(self.low, self.high, focal, principal, strict=True))
        self.depth = np.full((len(self.v), len(self.u)), np.inf, f4)
        self.nearest = np.full(self.depth.shape, len(figure.solids), np.int16)
        with np.errstate(invalid="ignore"):
            for k in range(len(figure.solids)):
                self._trace(k)
        self._find_samples()

    # An ellipsoid's surface along the rays d of a box: (d' M d) t² - 2 (d' s) t + c = 0. M, s and c are in `metrics`,
    # `slopes` and `constants`.

    def _offsets(self, k, box):
        """x and y of the rays relative to the ray through the centre of ellipsoid k: small enough for float32."""
        return self.u[box[1]] - self.rays[k, 0], self.v[box[0]] - self.rays[k, 1]

    def _quadratic(self, matrix, k, box):
        """d' M d for the rays d of a box, [rows, columns]."""
        x, y = self._offsets(k, box)
        ray, side = self.rays[k], matrix @ self.rays[k]
        across, down = (ray @ side + (2 * side[0] + matrix[0, 0] * x) * x), (2 * side[1] + matrix[1, 1] * y) * y
        return down.astype(f4)[:, None] + across.astype(f4) + y.astype(f4)[:, None] * (2 * matrix[0, 1] * x).astype(f4)

    def _linear(self, k, box):
        """d' s for the rays d of a box, [rows, columns]."""
        (x, y), slope = self._offsets(k, box), self.slopes[k]
        return (slope[1] * y).astype(f4)[:, None] + (slope @ self.rays[k] + slope[0] * x).astype(f4)

    def _trace(self, k):
        """Enter solid k where it is the nearest; rays that miss it have NaN as their distance."""
        box, metric, slope = self.boxes[k], self.metrics[k], self.slopes[k]
        a, b = self._quadratic(metric, k, box), self._linear(k, box)
        root = np.sqrt(self._quadratic(np.outer(slope, slope) - self.constants[k] * metric, k, box))
        t = (b - root) / a
        if self.figure.cuts[k]:
            far = (root + b) / a
            far[self._is_cut(k, far)] = np.nan
            t = np.where(self._is_cut(k, t), far, t)
        nearer = t < self.depth[box]
        np.copyto(self.depth[box], t, where=nearer)
        np.copyto(self.nearest[box], np.int16(k), where=nearer)

    def _is_cut(self, k, t):
        """Where points at distances `t` lie in one of the cuts of solid k: in its ellipsoid the equation is below 0."""
        cut = np.zeros(t.shape, bool)
        for c in self.figure.cuts[k]:
            a, b = self._quadratic(self.metrics[c], c, self.boxes[k]), self._linear(c, self.boxes[k])
            cut |= (a * t - 2 * b) * t + f4(self.constants[c]) < 0
        return cut

    def _find_samples(self):
        """Find the points [3, n] of which colours are computed, and their solids [n].

        A pixel whose rays all meet the same solid is an inner pixel with one sample in its middle. After these come the
        RAYS * RAYS samples of each edge pixel.
        """
        i, j = np.divmod(np.arange(RAYS**2), RAYS)
        first, depth = self.nearest[::RAYS, ::RAYS], self.depth
        same = np.logical_and.reduce([self.nearest[a::RAYS, b::RAYS] == first for a, b in zip(i, j, strict=True)])
        self.inner, self.edge = np.nonzero(same & (first < len(self.figure.solids))), np.nonzero(~same)
        rows, columns = RAYS * self.edge[0] + i[:, None], RAYS * self.edge[1] + j[:, None]
        z = (depth[::RAYS, ::RAYS][self.inner] + depth[RAYS - 1 :: RAYS, RAYS - 1 :: RAYS][self.inner]) / 2
        z = np.concatenate([z, depth[rows, columns].ravel()])
        z[~np.isfinite(z)] = 1
        u, v = (np.concatenate([rays.reshape(-1, RAYS).mean(1)[pixels], rays[lines].ravel()]).astype(f4)
                for rays, pixels, lines in ((self.u, self.inner[1], columns), (self.v, self.inner[0], rows)))
        self.solids = np.concatenate([first[self.inner], self.nearest[rows, columns].ravel()])
        self.points = np.stack([u * z, v * z, z])

    def _inside(self, k, points):
        """Ellipsoid k's equation at points [3, n], less than 1 inside, and half its gradient there, [3, n]."""
        offset = points - self.centres[k].astype(f4)[:, None]
        slope = _apply(self.metrics[k], offset)
        return (offset * slope).sum(0), slope

    def _colours(self):
        """The colours of the solids with the paints over them, and streaks in hair; [3, n]."""
        colours, paints = self.figure.colours[:, self.solids], self.figure.paints
        members = [np.flatnonzero(self.figure.groups[self.solids] == group) for group in range(len(SEAMS))]
        for k, paint in enumerate(paints, len(self.centres) - len(paints)):
            at = members[paint.group]
            share = (1 - self._inside(k, self.points[:, at])[0]) / f4(paint.soft)
            at, share = at[share > 0], np.minimum(share[share > 0], 1) * f4(paint.share)
            colours[:, at] += share * (np.array(paint.colour, f4)[:, None] - colours[:, at])
        hair, (turn, middle) = members[HAIR], self.head
        x, y, z = _apply(turn.T, self.points[:, hair] - np.array(middle, f4)[:, None])
        beside = np.abs(np.arctan2(x, -z))  # the same on both sides
        colours[:, hair] *= 1 + f4(0.07) * np.sin(31 * beside + y / 23) + f4(0.06) * np.sin(67 * beside - y / 11)
        return colours

    def _normals(self):
        """Unit normals towards the camera, [3, n]: means over near solids of the same group, so that no seam shows."""
        normals, groups = np.zeros_like(self.points), self.figure.groups
        for group, seam in enumerate(SEAMS):
            at = np.flatnonzero(groups[self.solids] == group)
            for k in np.flatnonzero(groups == group) if len(at) else ():
                value, slope = self._inside(k, self.points[:, at])
                size = np.sqrt((slope * slope).sum(0))
                normals[:, at] += slope * (np.exp(np.clip((1 - value) / (size * f4(2 * seam)), -60, 0)) / size)
        return normals * (-np.sign((normals * self.points).sum(0)) / np.sqrt((normals * normals).sum(0) + f4(1e-30)))

    def shade(self, light: Light):
        """The samples' colours in a light, [3, n] from 0 to 255."""
        rays = self.points / np.sqrt((self.points * self.points).sum(0))
        normals, towards = self._normals(), np.array(light.towards, f4)[:, None] / f4(np.linalg.norm(light.towards))
        key = np.maximum(((towards * normals).sum(0) + f4(0.25)) / f4(1.25), 0)
        bright = (f4(light.ambient) + f4(light.strength) * key) * (f4(0.7) - f4(0.3) * (normals * rays).sum(0))
        half = towards - rays
        shine = np.clip((normals * half).sum(0) / np.sqrt((half * half).sum(0)), 0, 1) ** 32
        colours = self._colours() * bright + self.figure.gloss[self.solids] * shine * f4(255 * light.strength)
        return colours * (np.array(light.tint, f4)[:, None] * (self.solids < len(self.figure.solids)))


def render(who: Person, rotation: np.ndarray, centre: np.ndarray, camera: Camera, light: Light | None = None,
           background: np.ndarray | float = 128, body: np.ndarray | None = None,
           noise: np.ndarray | float = 0) -> np.ndarray:
    """Draw a person.

    Args:
        who (Person): the person.
        rotation (np.ndarray): the head's rotation in the camera's frame, [3, 3].
        centre (np.ndarray): the head's centre in mm in the camera's frame, [3].
        camera (Camera): the camera; its size is (640, 480).
        light (Light or None): the light; None for the default one.
        background (np.ndarray or float): what is behind the person, [480, 640, 3] or one grey.
        body (np.ndarray or None): the torso's rotation, [3, 3]; None: it follows the head a little.
        noise (np.ndarray or float): is added to the image.

    Returns:
        np.ndarray: the image, uint8 [480, 640, 3].
    """
    body = _interpolate(np.eye(3), rotation, 0.2) if body is None else body
    neck, neck_top = _interpolate(body, rotation, 0.45), np.add(centre, rotation @ NECK_TOP)
    view = _View(_Figure(who), [(rotation, centre), (neck, neck_top), (body, neck_top + neck @ NECK_BASE)], camera)
    colours, n = view.shade(light or Light()), len(view.inner[0])
    image = np.zeros((*camera.size[::-1], 3), f4) + background
    part = image[view.low[1] : view.high[1], view.low[0] : view.high[0]]
    part[view.inner] = colours[:, :n].T
    share = (view.solids[n:] < len(view.figure.solids)).reshape(RAYS**2, -1).mean(0, dtype=f4)
    part[view.edge] = part[view.edge] * (1 - share)[:, None] + colours[:, n:].reshape(3, RAYS**2, -1).mean(1).T
    return np.clip(image + (noise + f4(0.5)), 0, 255).astype(np.uint8)
