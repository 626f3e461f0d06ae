"""Changes to a training batch that keep the labels true.

fastai's own flips and turns move the image and leave a number as it was, without an error. Here one transform draws
the moves of the whole batch, warps the images once, and asks each target what becomes of its labels.
"""
from typing import Any, TypeVar

import numpy as np
import torch
from fasttransform import ItemTransform, Transform

from ..tasks import MOVES, Motion, Task
from .losses import to_plain_tensor
from .random_numbers import Draws

TURN = 15.0  # degrees, the largest small turn
ZOOM = 1.2  # the largest zoom, in or out
BRIGHT = 0.1  # the largest change of brightness, of a range of 1
CONTRAST = 0.22  # the largest factor of the distance from middle grey is e to this
TINT = 0.3  # the largest factor of a channel is e to this
SHIFT = 0.2  # the largest shift, in half widths and half heights


class GeometricTransform(ItemTransform):
    """Mirror, turn, zoom and shift images and labels of training batches together.

    A batch is that of a training PictureDL: the images [n, 3, h, w], a tensor of labels for each target of the task
    (points in [-1, 1], others in units), the images' rows and their random numbers.
    """

    split_idx, order = 0, 5  # before the pixels become floats: a byte moves faster

    def __init__(self, task: Task):
        super().__init__()
        self.task = task

    def encodes(self, batch: Any) -> Any:
        pictures, *labels, rows, random = batch
        motion = draw_motion(self.task.augment, random.cpu().numpy(), pictures.shape[-1] / pictures.shape[-2])
        for i, target in enumerate(self.task.targets):
            y = labels[i]
            values = target.transform_labels(to_plain_tensor(y).detach().cpu().double().numpy(), motion)
            moved = torch.from_numpy(np.ascontiguousarray(values)).to(y.device, y.dtype)
            labels[i] = moved.reshape(y.shape).as_subclass(type(y))
        return warp(pictures, motion), *labels, rows, random


def draw_motion(allowed: tuple[str, ...], random: np.ndarray, aspect: float = 1.0) -> Motion:
    """Turn random numbers into moves. Half of the images get no small turn, zoom and shift: these resample, and blur.

    Args:
        allowed: The moves to draw, out of tasks.MOVES; other names are ignored.
        random: Rows of `random_numbers.random_table`, [n, 13].
        aspect: Width / height of the images.
    """
    draws = Draws(*random.astype(np.float64).T)
    resampled = draws.resampled < 0.5
    mirrored = np.floor(2 * draws.mirrored) * ("flip" in allowed)
    quarters = np.floor(4 * draws.quarters) * ("quarter" in allowed)
    turn = 90 * quarters + TURN * _spread(draws.turn) * resampled * ("turn" in allowed)
    zoom = ZOOM ** (_spread(draws.zoom) * resampled * ("zoom" in allowed))
    shift = np.stack([draws.shift_x, draws.shift_y], axis=1)
    shift = SHIFT * _spread(shift) * resampled[:, None] * ("shift" in allowed)
    return Motion(mirrored, turn, zoom, shift, aspect)


def warp(pictures: torch.Tensor, motion: Motion) -> torch.Tensor:
    """Move images.

    A flip and a quarter turn of a square image move whole pixels, a quarter of the work of sampling. Other moves
    interpolate, and repeat the border.

    Args:
        pictures: [n, c, h, w] of any type.
        motion: What is to be done to each.

    Returns:
        [n, c, h, w]; floats of the same range if anything was interpolated, else the type of `pictures`.
    """
    square = pictures.shape[-2] == pictures.shape[-1]
    step = 90 if square else 180
    exact_turn = step * np.round(motion.turn / step)
    small_turn = motion.turn - exact_turn
    quarters = (exact_turn / 90).astype(int).tolist()
    moved = torch.stack([(picture.flip(-1) if mirrored else picture).rot90(n, (-2, -1)) for picture, mirrored, n
                         in zip(pictures.as_subclass(torch.Tensor), motion.mirrored, quarters, strict=True)])
    rows = np.flatnonzero((small_turn != 0) | (motion.zoom != 1) | (motion.shift != 0).any(axis=1))
    if len(rows):
        moved = moved.float()
        moved[rows] = _sample(moved[rows], small_turn[rows], motion.zoom[rows], motion.shift[rows])
    return moved.as_subclass(type(pictures))


def _sample(pictures: torch.Tensor, turn: np.ndarray, zoom: np.ndarray, shift: np.ndarray) -> torch.Tensor:
    """Turn float images by any angle, zoom and shift them."""
    height, width = pictures.shape[-2:]
    cos, sin = np.cos(np.deg2rad(turn)) / zoom, np.sin(np.deg2rad(turn)) / zoom
    # From a position in the new image to that in the old: with y downwards, turning back counterclockwise is the
    # matrix of a turn forwards. Coordinates go from -1 to 1 along sides of different length.
    back = np.stack([np.stack([cos, -sin * height / width], 1), np.stack([sin * width / height, cos], 1)], 1)
    theta = np.concatenate([back, -back @ shift[:, :, None]], axis=2)
    grid = torch.nn.functional.affine_grid(torch.from_numpy(theta).to(pictures), [*pictures.shape], align_corners=False)
    return torch.nn.functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)


class ColourTransform(ItemTransform):
    """Change brightness, contrast and tint of training images, of a batch as GeometricTransform takes it.

    All of it is one factor and one sum a channel, in place: fastai's Brightness and Contrast go through a logit and
    back, each, which cost a fifth of a training step on two cores.

    Args:
        colour: Change brightness and contrast.
        tint: Change the colour of the light.
    """

    split_idx, order = 0, 40  # when pixels are floats, and not yet normalised

    def __init__(self, colour: bool = True, tint: bool = False):
        super().__init__()
        self.colour, self.tint = colour, tint

    def encodes(self, batch: Any) -> Any:
        pictures, *others, random = batch
        draws = Draws(*_spread(random.to(pictures.device).T[:, :, None, None, None]))  # each [n, 1, 1, 1]
        contrast = torch.exp(CONTRAST * self.colour * draws.contrast)
        bright = (1 - contrast) / 2 + BRIGHT * self.colour * draws.brightness
        tint = torch.exp(TINT * self.tint * torch.cat([draws.red, draws.green, draws.blue], dim=1))
        return pictures.mul_(contrast * tint).add_(bright * tint).clamp_(0, 1), *others, random


Numbers = TypeVar("Numbers", np.ndarray, torch.Tensor)


def _spread(random: Numbers) -> Numbers:
    """Return random numbers in [0, 1) as numbers in [-1, 1)."""
    return random * 2 - 1


def transforms(task: Task) -> list[Transform]:
    """The batch transforms of a task's augmentation."""
    colour, tint = "colour" in task.augment, "tint" in task.augment
    moves = [GeometricTransform(task)] if set(task.augment) & set(MOVES) else []
    return moves + ([ColourTransform(colour, tint)] if colour or tint else [])
