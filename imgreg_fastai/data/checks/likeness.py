"""What is kept of a picture to tell which others are the same, or nearly the same: a few hundred bytes of it."""
from hashlib import blake2b
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ..images import ImageHeader, PictureError, load_image, read_header
from ..images.headers import naming_errors
from ..images.levels import Levels

TINY = 12  # the sides of the copy that is compared
LARGE = 1 << 20  # pixels of a picture above which a smaller copy is compared, of about
SMALLER = 1 << 18  # so many
APART = 6  # bits of 64 in which the hashes of one picture differ once it was saved again; nearly always 0 to 4
PARTS = APART + 1  # hashes that differ in no more bits agree in one of so many parts (the pigeonhole principle)
# How much tiny copies of one picture differ at most, as the root of the mean square and anywhere: in brightness, and in
# colour, of which JPEG keeps less. Of 200 faces that were saved again at quality 30 to 75, or at half to twice their
# size, 99.5 % were within; of 6,350 pairs of other photographs whose hashes were as close, 4.
BRIGHT, COLOUR = (2.0, 8), (4.0, 20)
OF_CONTRAST = 0.1  # of what little contrast a picture has, if that is less
BLOCK = 1 << 21  # pairs that are compared at once
ENOUGH = 10_000_000  # pairs that are looked at closely: half a minute


class ImageFingerprint(NamedTuple):
    """A picture that was opened: its header's `facts`; `content`, the same for the same pixels; `hash`, perceptual.

    `tiny`: uint8 [12, 12, 3], brightness and two of colour; `blank`: whether all of it has one colour; `levels` where
    it has more than 8 bits.
    """

    facts: ImageHeader
    content: int
    hash: int
    tiny: np.ndarray
    blank: bool
    levels: Levels | None


class _View(NamedTuple):
    """What images.look asks of a Task."""

    size: tuple[int, int]
    value_range: tuple[float, float] | None
    fit: str = "squish"
    margin: float = 0.0


def fingerprint(path, value_range=None) -> ImageFingerprint:
    """Read a file once and decode all of it; raises PictureError.

    `content` is of the pixels, of a large picture those of a smaller copy, and of one with more than 8 bits all bytes
    of the file, since its pixels are shown with less than they hold.
    """
    with naming_errors(path):
        data = Path(path).read_bytes()
        if not data:
            raise PictureError("a picture", f"'{path}': an empty file")
        about = read_header(data)
        picture, _, levels = load_image(data, _View(_size(about), value_range))
        pixels = f"{about.width}x{about.height}".encode() + picture.tobytes()
        content = blake2b(data if levels else pixels, digest_size=8).digest()
        blank = levels.lowest == levels.highest if levels else all(low == high for low, high in picture.getextrema())
        tiny = picture.resize((TINY, TINY), Image.Resampling.BILINEAR, reducing_gap=3.0).convert("YCbCr")
        return ImageFingerprint(about, int.from_bytes(content, "big"), _hash(picture), np.asarray(tiny), blank, levels)


def error_reason(error: PictureError, path) -> str:
    """What is wrong with the picture, without its name."""
    return (error.actual or "").removeprefix(f"'{path}': ").removeprefix("'bytes': ")


def _size(about: ImageHeader) -> tuple[int, int]:
    """Height and width in which a picture is compared."""
    times = 1.0 if about.width * about.height <= LARGE else (about.width * about.height / SMALLER) ** 0.5
    return max(1, round(about.height / times)), max(1, round(about.width / times))


def _hash(picture: Image.Image) -> int:
    """The 64 bits of the perceptual hash (the signs of the lowest waves in it)."""
    from imagehash import phash

    grey = picture.convert("L").resize((32, 32), Image.Resampling.LANCZOS, reducing_gap=3.0)
    return int.from_bytes(np.packbits(phash(grey).hash).tobytes(), "big")


def near_pairs(hashes: np.ndarray, tiny: np.ndarray) -> tuple[np.ndarray, bool]:
    """The pairs of pictures that look the same, [m, 2], and whether all were compared.

    `hashes`: uint64 [n]; `tiny`: uint8 [n, values], see Seen. Their hashes differ in 6 bits at most, and their tiny
    copies by little. Only hashes that agree in one of seven parts are compared: of 100,000, one pair in 70.
    """
    means, contrast = tiny[:, ::3].mean(axis=1), tiny[:, ::3].std(axis=1)
    pairs, left = [np.empty((0, 2), np.int64)], ENOUGH
    for close in _candidates(hashes):
        left -= len(close) // 50  # to look at the means costs as much less
        close = close[np.abs(means[close[:, 0]] - means[close[:, 1]]) <= BRIGHT[0]]  # no more than the root mean square
        for part in np.array_split(close, len(close) // 20_000 + 1):
            pairs.append(part[_alike(tiny, contrast, part)])
        left -= len(close)
        if left < 0:
            return np.concatenate(pairs), False
    return np.concatenate(pairs), True


def _candidates(hashes: np.ndarray):
    """Yield pairs [m, 2] whose hashes differ in few bits, each once: in the first part in which they agree."""
    edges = [64 * k // PARTS for k in range(PARTS + 1)]
    masks = [np.uint64((1 << b) - (1 << a)) for a, b in pairwise(edges)]
    for k, mask in enumerate(masks):
        order = np.argsort(hashes & mask, kind="stable")
        starts = np.flatnonzero(np.diff(hashes[order] & mask)) + 1
        for run in np.split(order, starts):
            for first in range(0, len(run) - 1, rows := max(1, BLOCK // max(1, len(run)))):
                a, b = run[first : first + rows], run[first + 1 :]
                differ = hashes[a, None] ^ hashes[b]
                close = (_ones(differ) <= APART) & (np.arange(len(b)) >= np.arange(len(a))[:, None])
                for earlier in masks[:k]:
                    close &= differ & earlier != 0
                i, j = np.nonzero(close)
                yield np.stack([a[i], b[j]], axis=1)


def _ones(numbers: np.ndarray) -> np.ndarray:
    """How many bits of each are set."""
    if hasattr(np, "bitwise_count"):  # from NumPy 2 on
        return np.bitwise_count(numbers)
    return np.unpackbits(numbers[..., None].view(np.uint8), axis=-1).sum(axis=-1)


def _alike(tiny: np.ndarray, contrast: np.ndarray, pairs: np.ndarray) -> np.ndarray:
    """Which pairs [m, 2] of tiny copies show the same."""
    i, j = pairs.T
    differ = tiny[i].astype(np.int16) - tiny[j]
    strict = np.minimum(1.0, OF_CONTRAST * np.minimum(contrast[i], contrast[j]) / BRIGHT[0])
    alike = np.ones(len(pairs), bool)
    for channel, (rms, most) in enumerate((BRIGHT, COLOUR, COLOUR)):
        of = differ[:, channel::3]
        alike &= np.square(of, dtype=np.int32).mean(axis=1) <= (rms * strict) ** 2
        alike &= np.abs(of).max(axis=1) <= most * strict
    return alike


def groups(pairs: np.ndarray, n: int) -> np.ndarray:
    """The number of each one's group among n, [n]: two are of one if pairs lead from one to the other."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    return connected_components(links, directed=False)[1]
