"""Test-time augmentation (TTA): exact moves of an image in pixels, undone in what is predicted for it."""
from typing import NamedTuple

import numpy as np

from ..tasks import Motion, Task
from ..utils.messages import ImgregError


class Move(NamedTuple):
    """A move of images that changes the place of pixels and nothing else.

    Args:
        mirrored: Whether left and right change places, before the turn.
        quarters: Quarter turns counterclockwise, as seen.
    """

    mirrored: bool
    quarters: int

    def apply(self, pixels: np.ndarray) -> np.ndarray:
        """Move images [n, h, w, 3]."""
        flipped = pixels[:, :, ::-1] if self.mirrored else pixels
        return np.ascontiguousarray(np.rot90(flipped, self.quarters, axes=(1, 2)))

    def inverse(self, n: int, aspect: float) -> Motion:
        """Return the motion that undoes the move, for n images of width / height `aspect`."""
        turn = 90.0 * (self.quarters if self.mirrored else -self.quarters)  # mirrored and turned, it is its own inverse
        return Motion(np.full(n, float(self.mirrored)), np.full(n, turn), np.ones(n), np.zeros((n, 2)), aspect)


def moves_for(task: Task) -> list[Move]:
    """List the moves that test-time augmentation uses for a task.

    They are those that the task trains with, because a network may never have seen others. Images that are not
    square are turned by halves.

    Args:
        task: The task of the model.

    Returns:
        The moves; the first leaves images as they are.

    Raises:
        ImgregError: If there is no other.
    """
    flips = (False, True) if "flip" in task.augment else (False,)
    step = 1 if task.size[0] == task.size[1] else 2
    quarters = range(0, 4, step) if "quarter" in task.augment else (0,)
    moves = [Move(mirrored, n) for mirrored in flips for n in quarters]
    if len(moves) == 1:
        raise ImgregError("--tta with a task whose laws allow a flip or quarter turn",
                          f"'{task.name}', which has none", "it for points and rotations, or numbers trained with flip")
    return moves


def average_moves(task: Task, outputs: np.ndarray, views: np.ndarray) -> dict[str, np.ndarray]:
    """Average what is predicted for an image and its moved copies, by each target's own average.

    Args:
        task: The task of the model.
        outputs: Of n images after each of their k moves (see moves_for), array [n, k, n_out].
        views: Of the images as they are, array [n, 4].

    Returns:
        {target name: predictions [n, columns] in units}.
    """
    aspect = task.size[1] / task.size[0]
    back = [move.inverse(len(outputs), aspect) for move in moves_for(task)]
    averages = {}
    for target, part in zip(task.targets, task.split(outputs.astype(np.float64)), strict=True):
        predictions = [target.undo(part[:, i], views, motion) for i, motion in enumerate(back)]
        averages[target.name] = target.average(np.stack(predictions))
    return averages
