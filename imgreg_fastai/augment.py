"""Changes to a training batch that keep the labels true.

fastai's own flips and turns move the picture and leave a number as it was, without an error. Here one transform sees
the whole batch, draws the moves, warps the pictures once, and asks each target's law where its label went.
"""

import torch
from fastai.vision.augment import Brightness, Contrast
from fasttransform import ItemTransform

from .tasks import Task

TURN = 10.0  # degrees, the largest small turn


class Moves(ItemTransform):
    """Mirror, turn by quarters and turn a little, pictures and labels together; training batches only.

    The batch is (pictures [n, 3, h, w], a tensor of labels in units for each target of the task).
    """

    split_idx, order = 0, 5  # before the pixels become floats: a byte moves faster

    def __init__(self, task: Task):
        super().__init__()
        self.task = task

    def encodes(self, batch):
        pictures, *labels = batch
        mirrored, turn = draw_moves(self.task.augment, len(pictures), pictures.device)
        moved = [_move_label(t, y, mirrored, turn) for t, y in zip(self.task.targets, labels, strict=True)]
        return (warp(pictures, mirrored, turn), *moved)


def draw_moves(allowed: tuple[str, ...], n: int, device=None) -> tuple[torch.Tensor, torch.Tensor]:
    """Moves for n pictures: mirrored [n] 0 or 1, and the turn after it [n] in degrees counterclockwise.

    Half of the pictures get a small turn: turning resamples, and the network is to see sharp pictures as well.
    """
    zero = torch.zeros(n)  # drawn on the CPU, so that a seed means the same on every device
    mirrored = torch.randint_like(zero, 0, 2) if "flip" in allowed else zero
    turn = 90.0 * torch.randint_like(zero, 0, 4) if "quarter" in allowed else zero
    if "turn" in allowed:
        small = (torch.rand_like(zero) * 2 - 1) * TURN
        turn = turn + small * torch.randint_like(zero, 0, 2)
    return mirrored.to(device), turn.to(device)


def warp(pictures: torch.Tensor, mirrored: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Mirror pictures [n, c, h, w] left to right, then turn them counterclockwise by `turn` degrees.

    A flip or a quarter turn of a square picture moves whole pixels of any type, a quarter of the work of sampling; what
    remains of a turn interpolates, repeats the border, and gives floats of the same range.
    """
    square = pictures.shape[-2] == pictures.shape[-1]
    whole = 90 * torch.round(turn / 90) if square else 180 * torch.round(turn / 180)
    moved, rest = _swap(pictures.as_subclass(torch.Tensor), mirrored, whole), turn - whole
    crooked = rest.nonzero()[:, 0]
    if len(crooked):
        moved = moved.float()
        moved[crooked] = _sample(moved[crooked], rest[crooked])
    return moved.as_subclass(type(pictures))


def _swap(pictures: torch.Tensor, mirrored: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Mirror, then turn by whole quarters: pixels change places and nothing else. Of eight moves each at once."""
    moved = torch.empty_like(pictures)
    moves = 4 * mirrored.long() + (turn / 90).long() % 4
    for move in moves.unique().tolist():
        chosen = (moves == move).nonzero()[:, 0]
        part = pictures.index_select(0, chosen)
        part = part.flip(-1) if move >= 4 else part
        moved.index_copy_(0, chosen, part.rot90(move % 4, (-2, -1)))
    return moved


def _sample(pictures: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """Turn float pictures by any angle."""
    height, width = pictures.shape[-2:]
    theta = torch.deg2rad(turn)
    cos, sin, zero = theta.cos(), theta.sin(), torch.zeros_like(theta)
    # From a place in the new picture to its place in the old: with y downwards, turning back counterclockwise is the
    # matrix of a turn forwards. Coordinates go from -1 to 1 along sides of unlike length.
    rows = [torch.stack([cos, -sin * (height / width), zero], dim=1),
            torch.stack([sin * (width / height), cos, zero], dim=1)]
    grid = torch.nn.functional.affine_grid(torch.stack(rows, dim=1), pictures.shape, align_corners=False)
    return torch.nn.functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


def _move_label(target, labels: torch.Tensor, mirrored: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    shape = (-1,) + (1,) * (labels.ndim - 1)
    return target.moved(labels, mirrored.reshape(shape), turn.reshape(shape))


def transforms(task: Task) -> list:
    """The batch transforms a task's augmentation stands for."""
    moves = any(a != "colour" for a in task.augment)
    colour = [Brightness(max_lighting=0.2, p=0.75), Contrast(max_lighting=0.2, p=0.75)]
    return ([Moves(task)] if moves else []) + (colour if "colour" in task.augment else [])


