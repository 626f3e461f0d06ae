"""The exact moves of a picture under which its labels' law is known: there in pixels, back in what was predicted."""
from typing import NamedTuple

import numpy as np

from ..tasks import Motion, Task
from ..utils.errors import ImgregError


class Move(NamedTuple):
    """Left and right `mirrored`, then so many `quarters` of a turn counterclockwise, as seen."""

    mirrored: bool
    quarters: int

    def there(self, pixels: np.ndarray) -> np.ndarray:
        """Pictures [n, h, w, 3], moved: pixels change places and nothing else."""
        moved = pixels[:, :, ::-1] if self.mirrored else pixels
        return np.ascontiguousarray(np.rot90(moved, self.quarters, axes=(1, 2)))

    def back(self, n: int, aspect: float) -> Motion:
        """What undoes it, for n pictures of width / height `aspect`; mirrored and then turned, it undoes itself."""
        turn = 90.0 * (self.quarters if self.mirrored else -self.quarters)
        return Motion(np.full(n, float(self.mirrored)), np.full(n, turn), np.ones(n), np.zeros((n, 2)), aspect)


def moves_for(task: Task) -> list[Move]:
    """The moves whose effect on all of a task's targets is known, the first of which leaves a picture as it is.

    Only such as the task trains with: to another's network a moved picture may be like none it knows. What is not
    square turns by halves. Raises ImgregError if nothing moves.
    """
    flips = (False, True) if "flip" in task.augment else (False,)
    turns = range(0, 4, 1 if task.size[0] == task.size[1] else 2) if "quarter" in task.augment else (0,)
    found = [Move(mirrored, quarters) for mirrored in flips for quarters in turns]
    if len(found) == 1:
        raise ImgregError("--tta with a task whose laws allow a flip or quarter turn",
                          f"'{task.name}', which has none", "it for points and rotations, or numbers trained with flip")
    return found


def average_moves(task: Task, outputs: np.ndarray, views: np.ndarray) -> dict[str, np.ndarray]:
    """One answer of all moves of a picture: {target name: [n, columns] in units}, each kind's own average.

    `outputs` [n, k, n_out] of n pictures after each of their k `moves_for`; `views` [n, 4] of the pictures as they are.
    """
    aspect, answers = task.size[1] / task.size[0], []
    for move, own in zip(moves_for(task), outputs.astype(np.float64).swapaxes(0, 1), strict=True):
        back = move.back(len(own), aspect)
        answers.append([t.undo(part, views, back) for t, part in zip(task.targets, task.split(own), strict=True)])
    return {t.name: t.average(np.stack(of)) for t, of in zip(task.targets, zip(*answers, strict=True), strict=True)}
