"""The random numbers of a training, a pure function of (seed, epoch, image).

No loader and no transform holds a generator: however many workers there are, whether images are kept in memory, and
wherever a training is resumed, an image has the same place in an epoch and the same moves.
"""
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch

STREAM = 7  # apart from the random numbers of splits and drawings, which have the same seeds


class Draws(NamedTuple):
    """What is drawn for an image in an epoch: numbers in [0, 1), or an array or tensor of them for many images.

    Attributes:
        order: The images of an epoch come in the ascending order of this number.
        resampled: Below 0.5, the image is also turned, zoomed and shifted by small amounts.
        mirrored, quarters, turn, zoom, shift_x, shift_y: How far it is moved, see augment.draw_motion.
        contrast, brightness, red, green, blue: How its colours change, see augment.ColourTransform.
    """

    order: Any
    resampled: Any
    mirrored: Any
    quarters: Any
    turn: Any
    zoom: Any
    shift_x: Any
    shift_y: Any
    contrast: Any
    brightness: Any
    red: Any
    green: Any
    blue: Any


@lru_cache(maxsize=2)
def random_table(seed: int, epoch: int, n: int) -> np.ndarray:
    """Draw the random numbers of an epoch.

    Args:
        seed: The seed of the training.
        epoch: The number of the epoch, from 0.
        n: Number of images. The numbers of an image do not depend on it.

    Returns:
        float32 [n, 13] in [0, 1), read-only: the fields of Draws for each image.
    """
    shape = (n, len(Draws._fields))
    table = np.random.default_rng([STREAM, seed, epoch]).random(shape, dtype=np.float32)
    table.flags.writeable = False
    return table


def seed_step(seed: int, epoch: int, step: int) -> None:
    """Seed torch's own random numbers, such as those of dropout, by the place of a training step."""
    state = np.random.SeedSequence([STREAM, seed, epoch, step]).generate_state(2)
    torch.manual_seed(int(state[0]) << 32 | int(state[1]))
