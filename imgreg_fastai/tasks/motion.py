"""Moves of an image whose effect on a label a target may know."""
from dataclasses import dataclass

import numpy as np

# mirror left and right, turn by 90 degrees, turn by a few degrees, zoom in or out, shift
MOVES = ("flip", "quarter", "turn", "zoom", "shift")


@dataclass(frozen=True)
class Motion:
    """What was done to n images, in this order: mirrored, turned, zoomed and shifted, all about their centre.

    Args:
        mirrored: [n], 1 where left and right changed places, else 0.
        turn: [n], degrees counterclockwise as seen.
        zoom: [n], 2 makes things twice as large.
        shift: [n, 2], to the right and down, in half widths and half heights.
        aspect: width / height of the images.
    """

    mirrored: np.ndarray
    turn: np.ndarray
    zoom: np.ndarray
    shift: np.ndarray
    aspect: float = 1.0
