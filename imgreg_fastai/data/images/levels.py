"""Levels: the numbers that images of 16 and 32 bits hold, and whether those that are shown suit them."""
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from ...utils.messages import first_few, warn

MIN_USE = 1 / 8  # of the range that is shown; images that use less are reported
TOLERANCE = 1 / 100  # of the range that is shown; numbers further beyond it are reported
TAIL = 1 / 1000  # of an image's numbers, at either end: hot pixels and dust set no range
OUTLIERS = 1 / 100  # of the images, at either end, where there are at least as many
SAMPLE = 1 << 14  # numbers of an image by which its tails are found
FILLS = (-9999.0, -32768.0, -32767.0, -99999.0, 1e20)  # what stands for "no data" where a file does not say
LARGEST = 1e30  # numbers beyond it are fills too: 3.4e38, 9.97e36
FAR = 1 / 2  # of the range of training; an image whose numbers end further outside is reported at prediction


class Levels(NamedTuple):
    """What an image of more than 8 bits holds; NaN, infinities and pixels without data count nowhere.

    Attributes:
        low, high: All but the TAIL of its numbers at either end; NaN where it has none.
        black, white: The numbers that are shown black and white.
        lowest, highest: The ends of all its numbers.
        nodata: What stands for "no data", as text; "" where all pixels have data.
    """

    low: float
    high: float
    black: float
    white: float
    lowest: float
    highest: float
    nodata: str = ""

    @property
    def flat(self) -> bool:
        """Whether it has one number alone, or none."""
        return not self.lowest < self.highest


def measure_levels(numbers: np.ndarray, black: float, white: float,
                   nodata: float | None = None) -> tuple[Levels, np.ndarray | None]:
    """Measure the levels of an image.

    Args:
        numbers: Of any type, [h, w] or [h, w, bands].
        black, white: The numbers that are shown black and white.
        nodata: What stands for "no data", if the file says so.

    Returns:
        The levels, and which numbers are data, bool of the shape of `numbers`; None if all are.
    """
    valid, fills = _find_data(numbers, nodata)
    if valid is not None and not valid.any():
        return Levels(math.nan, math.nan, black, white, math.nan, math.nan, fills), valid
    lowest, highest = _ends(numbers, valid)
    picks = np.random.default_rng(0).integers(0, numbers.size, SAMPLE) if numbers.size > SAMPLE else slice(None)
    sample = numbers.reshape(-1)[picks]
    sample = sample if valid is None else sample[valid.reshape(-1)[picks]]
    low, high = np.quantile(sample, (TAIL, 1 - TAIL), method="inverted_cdf") if sample.size else (lowest, highest)
    return Levels(float(low), float(high), black, white, lowest, highest, fills), valid


def _ends(numbers: np.ndarray, valid: np.ndarray | None) -> tuple[float, float]:
    """Return the lowest and the highest number, without copying those that are valid."""
    limits = np.iinfo(numbers.dtype) if np.issubdtype(numbers.dtype, np.integer) else np.finfo(numbers.dtype)
    where = True if valid is None else valid
    return (float(np.min(numbers, where=where, initial=limits.max)),
            float(np.max(numbers, where=where, initial=limits.min)))


def _find_data(numbers: np.ndarray, nodata: float | None) -> tuple[np.ndarray | None, str]:
    """Return which numbers are data, None if all are; and what stands for "no data", as text."""
    valid, fills = None, []
    if np.issubdtype(numbers.dtype, np.floating):
        valid = (numbers < LARGEST) & (numbers > -LARGEST)  # not NaN either
        if not valid.all():
            other = numbers[~valid]
            fills += ["NaN"] * bool(np.isnan(other).any()) + [f"{n:g}" for n in np.unique(other[~np.isnan(other)])[:2]]
    for fill in [*([] if nodata is None else [nodata]), _usual_fill(numbers, valid)]:
        if fill is not None and math.isfinite(fill):
            is_fill = numbers == np.asarray(fill, numbers.dtype if valid is not None else None)
            if is_fill.any():
                valid = ~is_fill if valid is None else valid & ~is_fill
                fills.append(f"{fill:g}")
    return (valid if fills else None), ", ".join(dict.fromkeys(fills))


def _usual_fill(numbers: np.ndarray, valid: np.ndarray | None) -> float | None:
    """Return an end of the numbers that is one of FILLS and lies far from all others; None if there is none."""
    for end in _ends(numbers, valid):
        if any(math.isclose(end, fill, rel_tol=1e-6) for fill in FILLS):  # float32 has seven digits
            rest = (numbers != end) if valid is None else valid & (numbers != end)
            lowest, highest = _ends(numbers, rest)
            if not rest.any() or max(lowest - end, end - highest) >= (highest - lowest) / 2:
                return end
    return None


def warn_levels(levels: Iterable[Levels | None]) -> None:
    """Warn of `unusual_levels`."""
    for text, hint in unusual_levels(levels):
        warn(f"{text}: try {hint}")


def unusual_levels(levels: Iterable[Levels | None]) -> Iterator[tuple[str, str]]:
    """Find images of 16 or 32 bits that reach beyond what is shown, or use little of it.

    Args:
        levels: Levels of images; None for those of 8 bits.

    Yields:
        What is unusual, and what to do about it.
    """
    groups: dict[tuple, list[Levels]] = {}
    for image in levels:
        if image and not math.isnan(image.low):
            groups.setdefault((image.black, image.white), []).append(image)
    for ends, group in groups.items():
        black, white = sorted(ends)
        low, high = robust_ends(group)
        slack, use = TOLERANCE * (white - black), high - low
        if low < black - slack or high > white + slack or 0 < use < MIN_USE * (white - black):
            proposal = proposed_range(low, high)
            lowest, highest = min(image.lowest for image in group), max(image.highest for image in group)
            beyond = lowest < proposal[0] or highest > proposal[1]
            single = f" (single pixels {_number(lowest)} to {_number(highest)})" if beyond else ""
            yield (f"images of 16 or 32 bits hold {_number(low)} to {_number(high)}{single}, where {_number(black)} to "
                   f"{_number(white)} is shown", f"--range {','.join(map(_number, proposal))}, or what your camera can "
                   "give")


def summarise_levels(levels: Sequence[Levels | None]) -> dict[str, Any]:
    """Summarise the levels of the images of a training, as JSON can hold it.

    Args:
        levels: Of the images; None for those of 8 bits.

    Returns:
        `deep`, the share of images of more than 8 bits; and if there are any `low` and `high`, the range over the
        images of where their numbers begin and end, [2] each, and `shown`, the numbers that are black and white.
    """
    images = [image for image in levels if image and not math.isnan(image.low)]
    summary: dict[str, Any] = {"deep": sum(image is not None for image in levels) / max(1, len(levels))}
    if images:
        summary |= {"low": _robust_span([image.low for image in images]), "shown": [images[0].black, images[0].white],
                    "high": _robust_span([image.high for image in images])}
    return summary


def compare_levels(names: Sequence[str], levels: Sequence[Levels | None], trained: dict) -> Iterator[str]:
    """Find images whose levels are far from those of the training.

    Args:
        names: Of the images.
        levels: Of each; None for those of 8 bits.
        trained: See summarise_levels; {} of older models, for which nothing is known.

    Yields:
        A line for each kind of difference.
    """
    if not trained:
        return
    deep = [(name, image) for name, image in zip(names, levels, strict=True) if image and not math.isnan(image.low)]
    shallow = [name for name, image in zip(names, levels, strict=True) if not image]
    if "low" not in trained:
        if trained["deep"] == 0:
            for text, _ in unusual_levels(image for _, image in deep):
                yield f"{text}; the model was trained on images of 8 bits"
        return
    (low, most_low), (least_high, high) = trained["low"], trained["high"]
    trained_on = f"the model was trained on images of 16 or 32 bits that hold {_number(low)} to {_number(high)}"
    if shallow and trained["deep"] == 1:
        yield f"images of 8 bits: {len(shallow)} of {len(names)} images ({first_few(shallow, 3)}); {trained_on}"
    slack = FAR * (high - low)
    far = [(name, image) for name, image in deep if not (low - slack <= image.low <= most_low + slack
                                                         and least_high - slack <= image.high <= high + slack)]
    if far and high > low:
        name, image = far[0]
        yield (f"other brightness than in training: {len(far)} of {len(names)} images ({name} holds "
               f"{_number(image.low)} to {_number(image.high)}); {trained_on}")


def _robust_span(values: list[float]) -> list[float]:
    return np.quantile(values, (OUTLIERS, 1 - OUTLIERS), method="inverted_cdf").tolist()


def robust_ends(images: list[Levels]) -> tuple[float, float]:
    """Return the ends of what images hold: of their `low` and `high`, without OUTLIERS."""
    return _robust_span([image.low for image in images])[0], _robust_span([image.high for image in images])[1]


def proposed_range(low: float, high: float) -> tuple[float, float]:
    """Round the ends of what images hold outward: to whole bits from 0 on, where that is near, else to two digits."""
    bits = int(high).bit_length() if high >= 0 else 0
    are_integers = low == int(low) and high == int(high)
    if bits >= 8 and 0 <= low <= high / 4 and (are_integers or bits == 8) and high <= 2**bits - 1:
        return 0.0, 2.0**bits - 1
    step = 10.0 ** (math.floor(math.log10(high - low or abs(high) or 1)) - 1)
    if are_integers:
        step = max(step, 1.0)
    black, white = math.floor(low / step + 1e-9) * step, math.ceil(high / step - 1e-9) * step
    return float(f"{black:.10g}"), float(f"{white if white > black else black + step:.10g}")


def _number(value: float) -> str:
    return f"{value:.0f}" if value == int(value) and abs(value) < 1e15 else f"{value:.6g}"
