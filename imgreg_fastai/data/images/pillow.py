"""Pillow's warnings, and its limit of pixels: both belong to the user's whole process, and are left as they were."""
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Lock

from PIL import Image

# Pillow warns of bombs, which refuse_bomb refuses, and of metadata that are broken, which changes no pixel.
WARNINGS = ("ignore", None, Warning, re.compile(r"(PIL|pillow_heif)\b"), 0)
_lock, _n_quiet, _n_lifted = Lock(), 0, 0
_limit: int | None = None  # Pillow's, while it is lifted


@contextmanager
def without_warnings() -> Iterator[None]:
    """Within this context Pillow warns of nothing, on any thread: `warnings.catch_warnings` is for one thread only."""
    global _n_quiet
    with _lock:
        if _n_quiet == 0:
            warnings.filters.insert(0, WARNINGS)  # type: ignore[attr-defined]
        _n_quiet += 1
    try:
        yield
    finally:
        with _lock:
            _n_quiet -= 1
            if _n_quiet == 0:
                with suppress(ValueError):  # someone has put other filters in place of all
                    warnings.filters.remove(WARNINGS)  # type: ignore[attr-defined]


def pixel_limit() -> int | None:
    """Return Pillow's limit of pixels, None where the user has lifted it."""
    with _lock:
        return _limit if _n_lifted else Image.MAX_IMAGE_PIXELS


@contextmanager
def without_limit(size: tuple[int, int] | None = None) -> Iterator[None]:
    """Within this context Pillow opens and decodes images of any size.

    Args:
        size: Width and height, if known: the limit is left alone where Pillow would only warn.
    """
    global _n_lifted, _limit
    limit = pixel_limit()
    if not limit or (size and size[0] * size[1] <= 2 * limit):
        yield
        return
    with _lock:
        if _n_lifted == 0:
            _limit, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        _n_lifted += 1
    try:
        yield
    finally:
        with _lock:
            _n_lifted -= 1
            if _n_lifted == 0:
                Image.MAX_IMAGE_PIXELS = _limit


def refuse_bomb(size: tuple[int, int], max_pixels: int | None = None) -> None:
    """Raise ValueError for too many pixels, before they are decoded.

    Pillow only warns of what may be a decompression bomb, and warnings cannot be made errors within one thread.

    Args:
        size: Width and height.
        max_pixels: The most pixels; None: Pillow's limit.
    """
    n, limit = size[0] * size[1], max_pixels or pixel_limit()
    if limit and n > limit:
        raise ValueError(f"{size[0]} x {size[1]} pixels, more than {limit}; --max-pixels {n} opens it")
