"""Occlusion: how far a prediction changes when a part of the image is hidden (Zeiler and Fergus, 2014).

Ours, though captum has it: captum pins numpy below 2, and this takes no gradients, so that any model file will do.
"""
from itertools import product

import numpy as np
from PIL import Image

from ..data.images import FittedImage
from ..inference.predictor import Predictor

POSITIONS = 8  # of the patch, across and down
PATCH = 1 / 6  # of the image's sides
MAX_TINT = 0.8  # of the colour where the prediction changes most
COLOUR = (213, 94, 0)  # the vermilion of predictions
ROWS, COLUMNS = ("upper", "middle", "lower"), ("left", "middle", "right")


def changes(model: Predictor, picture: FittedImage, bs: int = 16) -> dict[str, np.ndarray]:
    """Measure how far each prediction changes when a grey patch hides a part of an image.

    Args:
        model: The model.
        picture: An image of the model's input size.
        bs: Images in a batch.

    Returns:
        {target name: [POSITIONS, POSITIONS] in the units of its error, down and across}. The grey is the mean that
        images are normalised by, so that the network gets zeros.
    """
    pixels = np.repeat(picture.pixels[None], POSITIONS**2 + 1, axis=0)  # the first stays as it is
    for copy, box in zip(pixels[1:], product(*(_slices(side) for side in pixels.shape[1:3])), strict=True):
        copy[box] = np.round(255 * np.asarray(model.about["mean"]))
    outputs = [model.forward(pixels[start : start + bs])[0] for start in range(0, len(pixels), bs)]
    predictions = model.task.decode(np.concatenate(outputs), np.broadcast_to(picture.view, (len(pixels), 4)))
    errors = {}
    for target in model.task.targets:
        original, occluded = np.split(predictions[target.name], [1])
        error = target.error(occluded, np.broadcast_to(original, occluded.shape))
        errors[target.name] = error.reshape(POSITIONS, POSITIONS)
    return errors


def _slices(side: int) -> list[slice]:
    """Return the positions of the patch along one side, from edge to edge."""
    patch = max(1, round(side * PATCH))
    return [slice(start, start + patch) for start in np.round(np.linspace(0, side - patch, POSITIONS)).astype(int)]


def heat(change: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Interpolate the changes [POSITIONS, POSITIONS] over an image of (height, width)."""
    image = Image.fromarray(change.astype(np.float32)).resize((shape[1], shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(image)


def overlay(pixels: np.ndarray, change: np.ndarray) -> Image.Image:
    """Draw the image in grey, the redder the further the prediction changed; without colour where it never did."""
    warmth, grey = heat(change, pixels.shape), Image.fromarray(pixels).convert("L").convert("RGB")
    tint = Image.fromarray(np.uint8(255 * MAX_TINT * warmth / (warmth.max() or 1.0)))
    return Image.composite(Image.new("RGB", grey.size, COLOUR), grey, tint)


def strongest_position(change: np.ndarray) -> str:
    """Tell where hiding changes the prediction most, in words: "the upper left", "the middle"."""
    down, across = (3 * i // len(change) for i in np.unravel_index(np.argmax(change), change.shape))
    return f"the {ROWS[down]} {COLUMNS[across]}".replace("middle middle", "middle")
