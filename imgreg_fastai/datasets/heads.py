"""Pictures like Biwi's, drawn: people of ellipsoids who look around, so that a head's pose can be learned anywhere.

An ellipsoid's outline and the distance to it are closed forms: a picture is a few hundred numpy calls on small boxes.
Poses are in the colour camera's frame, in mm. The middle of a picture's pixel (i, j) lies at (j + 0.5, i + 0.5).
"""
import os
import shutil
import tempfile
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.interpolate import PchipInterpolator
from scipy.spatial.transform import Rotation

from ..errors import ImgregError
from ..messages import track
from .biwi import PEOPLE, Camera, write_calibration, write_pose
from .people import HAIR, Person, landmarks, person, room

__all__ = ["Light", "Person", "draw", "landmarks", "person", "render", "room", "wander"]
FINE = 2  # FINE * FINE rays a pixel
NAPE, BASE = np.array([0.0, 64, 22]), np.array([0.0, 66, 12])  # where the head turns on the neck, the neck on the torso
RANGE = np.array([60, 75, 50])  # the furthest pitch, yaw and roll, in degrees
SEAMS = 5, 1, 1, 1, 2, 1, 16, 1  # mm over which one solid's surface passes into the next one's, for each group
CHUNK = 110  # frames drawn by one piece of work
SCENE = 10  # frames before the room changes
f4 = np.float32
_K = np.array([[517.679, 0, 320], [0, 517.679, 240.5], [0, 0, 1]])
_TURNS = np.array([
    [[0.999947, 0.00432361, 0.00929419], [-0.00446314, 0.999877, 0.0150443], [-0.009228, -0.015085, 0.999844]],
    [[0.99997, 0.00291, 0.00718], [-0.0029884, 0.999936, 0.01096], [-0.007148, -0.010981, 0.999914]]])
CAMERAS = [Camera(_K, turn, np.array(shift), (640, 480)) for turn, shift in
           zip(_TURNS, ((-24.0198, 5.8896, -13.2308), (-24.6, 4.1, -9.7)), strict=True)]  # both have the real K


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


def wander(n: int, rng: np.random.Generator, speed: float = 3.5) -> tuple[np.ndarray, np.ndarray]:
    """The way of a head that looks around: rotations [n, 3, 3] and centres [n, 3] in mm, to the colour camera.

    From one pose to the next, about `speed` degrees a frame. A sphere's points are spread evenly along each axis, and
    far along one axis is not far along another: the poses lie in the ellipsoid with the half axes RANGE.
    """
    aims = rng.normal(size=(n // 4 + 4, 3))
    aims *= RANGE / np.linalg.norm(aims, axis=1, keepdims=True) * rng.uniform(0.85, 1, (len(aims), 1))
    times = np.cumsum([0, *np.maximum(np.linalg.norm(np.diff(aims, axis=0), axis=1), 15)]) / speed
    turns = PchipInterpolator(times, aims * [-1, 1, 1])(np.arange(n))  # it never swings beyond its knots
    x, y, z = _drift(n, 30, [120, 120, 750], [520, 310, 1200], rng).T
    centres = np.stack([(x - _K[0, 2]) / _K[0, 0] * z, (y - _K[1, 2]) / _K[1, 1] * z, z], 1)
    return Rotation.from_euler("XYZ", turns, degrees=True).as_matrix(), centres


def _drift(n, step, low, high, rng):
    """Curves [n, k] that come from one random point to the next, between `low` and `high`, in `step` frames."""
    knots = rng.uniform(low, high, (n // step + 3, len(low)))
    return PchipInterpolator(np.arange(len(knots)) * step, knots)(np.arange(n))


def _plan(name, n, seed):
    """A sequence's camera, frame numbers, rotations, centres, lights and scenes; all from the seed and its name.

    A scene is a room seen from somewhere, for SCENE frames. In Biwi all people sit in one room: here all visit the same
    twenty, or a network would know the people it was shown by their walls.
    """
    rng, far = np.random.default_rng([seed, 4, int(name)]), name == "06" or int(name) > 14
    at = np.cumsum(np.where(rng.random(n) < 0.95, 1, rng.integers(2, 8, n)))
    at -= at[0]
    turns, centres = wander(at[-1] + 1, rng)
    lights = _drift(at[-1] + 1, 50, [-0.9, -0.9, 0.5, 0.35, 0.88, 0.82], [0.9, -0.1, 0.85, 0.55, 1.08, 1.1], rng)
    rooms = [rng.permutation(20) for _ in range(n // (20 * SCENE) + 1)]
    scenes = [(int(k), seed, rng.uniform(0.8, 1), tuple(rng.uniform(0, 1, 2))) for k in np.concatenate(rooms)]
    return CAMERAS[far], at + 3 * (not far), turns[at], centres[at], lights[at], scenes


@lru_cache(maxsize=4)
def _walls(*scene):
    """A scene's room, [480, 640, 3], kept for its frames."""
    return room(*scene).astype(f4)


def _write(folder: Path, name: str, n: int, first: int, last: int, seed: int) -> int:
    """Write frames first..last of the n of the sequence `name`; with the first its calibration. Returns how many."""
    camera, numbers, turns, centres, lights, scenes = _plan(name, n, seed)
    home, back = folder / name, camera.rotation.T
    for calibration in ("rgb.cal", "depth.cal") if first == 0 else ():
        write_calibration(home / calibration, camera)
    grain = np.random.default_rng([seed, 5, int(name)]).normal(0, 2.5, (544, 704, 3)).astype(f4)
    for i in range(first, last):
        x, y, strength, ambient, red, blue = lights[i]
        light, noise = Light((x, y, -0.8), strength, ambient, (red, 1.0, blue)), grain[41 * i % 64 :, 29 * i % 64 :]
        wall = _walls(*scenes[i // SCENE]) * (np.array(light.tint, f4) * f4(0.6 * (strength + ambient) + 0.3))
        picture = render(person(PEOPLE[name], seed), turns[i], centres[i], camera, light, wall, None, noise[:480, :640])
        Image.fromarray(picture).save(home / f"frame_{numbers[i]:05}_rgb.jpg", quality=90)
        place = back @ (centres[i] - camera.translation)
        write_pose(home / f"frame_{numbers[i]:05}_pose.txt", back @ turns[i], place)
    return last - first


def draw(out: str | Path, n: int = 5000, seed: int = 0, jobs: int | None = None) -> Path:
    """Draw a data set of `n` pictures shaped like Biwi's into the folder `out`, and return that.

    The folder appears whole or not at all. The same seed gives the same pictures whatever the number of `jobs`. Raises
    ImgregError if `out` holds anything, or cannot be written.
    """
    given, out = Path(out), Path(out).resolve()
    if n < 24 or seed < 0:
        raise ImgregError("--n of at least 24 and --seed of at least 0", f"{n}, {seed}")
    try:
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise ImgregError("a new or empty folder to draw into, so that nothing is lost", f"'{out}' in use",
                              "--out with another name")
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}-", dir=out.parent))
        try:
            _fill(work, n, seed, jobs or os.cpu_count() or 1)
            work.chmod(0o755)
            for name in PEOPLE if out.is_dir() else ():  # perhaps the current folder: fill it
                (work / name).rename(out / name)
            if not out.is_dir():
                work.rename(out)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    except OSError as e:
        raise ImgregError(f"a folder that can be written for {n} pictures", f"'{out}': {e.strerror or e}",
                          "--out with another folder") from e
    return given


def _fill(folder: Path, n: int, seed: int, jobs: int) -> None:
    work = []
    for i, name in enumerate(PEOPLE):
        frames = n * (i + 1) // len(PEOPLE) - n * i // len(PEOPLE)
        (folder / name).mkdir()
        work += [(folder, name, frames, first, min(first + CHUNK, frames), seed) for first in range(0, frames, CHUNK)]
    list(track(_chunks(work, jobs), len(work), f"drawing {n} pictures of people"))


def _chunks(work: list[tuple], jobs: int):
    """`_write` for each piece of work, in processes; in this one where a script's missing main guard forbids them."""
    done = 0
    try:
        with ProcessPoolExecutor(min(jobs, len(work), 61)) as pool:  # Windows takes no more
            for written in pool.map(_write, *zip(*work, strict=True)):
                yield written
                done += 1
    except BrokenProcessPool:
        yield from (_write(*piece) for piece in work[done:])
