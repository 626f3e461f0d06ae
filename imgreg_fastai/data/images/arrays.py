"""What programs hand over as an image: arrays of any layout and type, tensors, open files and buffers."""
from typing import Any, NoReturn

import numpy as np
from PIL import Image

from .bit_depth import array_to_8_bits
from .files import PictureError
from .levels import Levels

BANDS = (1, 3, 4)  # that an array may have: grey; red, green, blue; and opacity
OVERSHOOT = 0.2  # beyond 0 and 1 that resizing with a sharp filter leaves in floats; what lies further is no such float


def as_source(source: Any) -> Any:
    """Turn tensors, open files and buffers into arrays and bytes; paths, bytes, arrays and images stay as they are.

    Raises:
        PictureError: It is none of them.
    """
    if hasattr(source, "detach") and hasattr(source, "cpu"):  # a tensor of torch, wherever it is
        tensor = source.detach().cpu()
        return (tensor.float() if "bfloat16" in str(tensor.dtype) else tensor).numpy()
    if isinstance(source, memoryview):
        return np.asarray(source) if source.ndim > 1 else source.tobytes()
    if hasattr(source, "read") and not isinstance(source, Image.Image):
        if hasattr(source, "seekable") and source.seekable():
            source.seek(0)
        data = source.read()
        if isinstance(data, str):
            raise PictureError("a file that is opened to read bytes", "one opened to read text", "open(PATH, 'rb')")
        return data
    if hasattr(source, "__array__") and not isinstance(source, (Image.Image, np.ndarray)):
        return np.asarray(source)
    return source


def array_to_picture(array: np.ndarray, value_range: tuple[float, float] | None) -> tuple[Image.Image, Levels | None]:
    """Make a Pillow image of 8 bits of an array.

    Args:
        array: [h, w], [h, w, 1, 3 or 4] or [1, 3 or 4, h, w]: uint8, bool or whole numbers from 0 to 255; uint16; or
            floats from 0 to 1. With a `value_range` all numbers but uint8 are taken by it.
        value_range: The numbers that are black and white in images of 16 and 32 bits; by the type if None.

    Returns:
        The image, and its levels if it has more than 8 bits.

    Raises:
        PictureError: It has another shape or type, or numbers of another range.
    """
    array = _colours_last(np.asarray(array))
    kind = array.dtype.kind
    if kind == "b":
        array = array.astype(np.uint8) * np.uint8(255)
    elif kind == "f":
        array = array.astype(np.promote_types(array.dtype.newbyteorder("="), np.float32))
        if value_range is None:
            _refuse_other_floats(array)
    elif kind not in "iu":
        raise PictureError("an array of numbers", f"{array.dtype}")
    elif array.dtype.newbyteorder("=") not in (np.uint8, np.uint16) and value_range is None:
        lowest, highest = int(array.min()), int(array.max())
        if lowest < 0 or highest > 255:
            _refuse(array, f"from {lowest} to {highest}", "array.astype('uint16') if white is 65535")
        array = array.astype(np.uint8)
    shown, levels = array_to_8_bits(array, value_range)
    return Image.fromarray(shown), levels


def _colours_last(array: np.ndarray) -> np.ndarray:
    """Bring an array to [h, w] or [h, w, 3 or 4]."""
    if array.ndim == 4 and len(array) == 1:
        array = array[0]
    if array.ndim == 3 and array.shape[2] not in BANDS and array.shape[0] in BANDS:
        array = np.moveaxis(array, 0, 2)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[..., 0]
    if not (array.size and (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in BANDS))):
        hint = "list(array), if it is several grey images" if array.ndim == 3 and array.size else None
        raise PictureError("an array [h, w] or [h, w, 3]", f"shape {array.shape}", hint)
    return array


def _refuse_other_floats(array: np.ndarray) -> None:
    """Raise PictureError for floats that do not run from 0 to 1."""
    numbers = array[np.isfinite(array)]
    lowest, highest = (float(numbers.min()), float(numbers.max())) if numbers.size else (0.0, 1.0)
    if lowest < -OVERSHOOT:
        _refuse(array, f"from {lowest:.4g} to {highest:.4g}", "the array as it was before it was normalised")
    if highest > 1 + OVERSHOOT:
        hint = "array / 255, or array.astype('uint8')" if highest <= 256 else "array / 65535, if white is 65535"
        _refuse(array, f"from {lowest:.4g} to {highest:.4g}", hint)


def _refuse(array: np.ndarray, ends: str, hint: str) -> NoReturn:
    raise PictureError("uint8 from 0 to 255, uint16, or floats from 0 to 1", f"{array.dtype} {ends}", hint)
