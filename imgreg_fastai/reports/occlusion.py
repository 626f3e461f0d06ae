"""What the network looked at: how far its answer moves when a part of the picture is hidden (Zeiler, Fergus 2014)."""
from itertools import product

import numpy as np
from PIL import Image

from ..data.images import FittedImage
from ..inference.predictor import Predictor

# Ours, though captum has it: captum pins numpy below 2, and this takes no gradients, so that any model file will do.
PLACES = 8  # of the patch, across and down
PART = 1 / 6  # of the picture's sides that the patch has
STRONG = 0.8  # of the colour where the answer moves most
COLOUR = (213, 94, 0)  # the vermilion of predictions
NAMES = (("upper left", "upper middle", "upper right"), ("middle left", "middle", "middle right"),
         ("lower left", "lower middle", "lower right"))


def changes(model: Predictor, picture: FittedImage, places: int = PLACES, bs: int = 16) -> dict[str, np.ndarray]:
    """How far each answer moves when a grey patch hides a place of a fitted picture.

    {target name: [places, places] in the units of its error, down and across}. The grey is the normalisation's mean,
    which the network takes for nothing.
    """
    boxes, outputs = [None, *_boxes(picture.pixels.shape, places)], []
    for start in range(0, len(boxes), bs):
        hidden = [_hidden(picture.pixels, box, model.about["mean"]) for box in boxes[start : start + bs]]
        outputs.append(model.forward(np.stack(hidden))[0])
    answers = model.task.decode(np.concatenate(outputs), np.broadcast_to(picture.view, (len(boxes), 4)))
    return {t.name: _moved(t, answers[t.name]).reshape(places, places) for t in model.task.targets}


def _moved(target, answers: np.ndarray) -> np.ndarray:
    """How far all answers are from the first, which saw everything."""
    return target.error(answers[1:], np.broadcast_to(answers[0], answers[1:].shape))


def _boxes(shape, places: int) -> list[tuple[slice, slice]]:
    """The patches on a picture of (height, width), from edge to edge, row by row."""
    return list(product(*(_sides(n, places) for n in shape[:2])))


def _sides(n: int, places: int) -> list[slice]:
    patch = max(1, round(n * PART))
    return [slice(at, at + patch) for at in np.round(np.linspace(0, n - patch, places)).astype(int)]


def _hidden(pixels: np.ndarray, box, mean) -> np.ndarray:
    """A copy with `box` filled; as it is for None."""
    hidden = pixels.copy()
    if box is not None:
        hidden[box] = np.round(255 * np.asarray(mean))
    return hidden


def heat(change: np.ndarray, shape) -> np.ndarray:
    """The changes [places, places] over a picture of (height, width): each pixel has the mean of what hid it."""
    total, times = np.zeros(shape[:2]), np.zeros(shape[:2])
    for box, value in zip(_boxes(shape, len(change)), change.ravel(), strict=True):
        total[box] += value
        times[box] += 1
    return total / np.maximum(times, 1)  # very small patches leave gaps


def overlay(pixels: np.ndarray, change: np.ndarray) -> Image.Image:
    """The picture in grey, the redder the further the answer moved; without colour where it never did."""
    warmth = heat(change, pixels.shape)
    share = STRONG * warmth / (warmth.max() or 1.0)
    grey = np.repeat((pixels @ (0.299, 0.587, 0.114))[..., None], 3, axis=2)
    mixed = grey + share[..., None] * (np.array(COLOUR) - grey)
    return Image.fromarray(np.round(mixed).clip(0, 255).astype(np.uint8))


def where(change: np.ndarray) -> str:
    """The place whose hiding moves the answer most, in words: "the upper left", "the middle"."""
    down, across = (int(3 * at / len(change)) for at in np.unravel_index(np.argmax(change), change.shape))
    return f"the {NAMES[down][across]}"
