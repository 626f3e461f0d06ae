"""Techniques of training: what each changes in a training by imgreg_fastai, and nothing else.

A technique may change the plan (task and settings), constants of the package while it trains, and the Learner before
it trains, with callbacks. Averages of the weights are those of the baseline's own training, see training.py.
"""
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass, replace
from unittest.mock import patch

from fastai.callback.core import Callback
from fastai.learner import Learner
from timm.models import group_parameters

from imgreg_fastai.api.plan import TrainingPlan
from imgreg_fastai.config import TrainConfig
from imgreg_fastai.models import network
from imgreg_fastai.tasks import Task
from imgreg_fastai.tasks.augmentations import COLOURS
from imgreg_fastai.training import augment
from imgreg_fastai.training.random_numbers import Draws

from . import mixing, ridge_start

MOVES = ("shift", "zoom")


@dataclass(frozen=True)
class Technique:
    """What a technique changes.

    Args:
        about: What it is, with its source.
        change_plan: Changes the task and the settings.
        patch: Changes the package within a block.
        start: Changes a Learner, and returns callbacks for its training.
        applies: Whether it can be tried on a task, from pretrained weights (True) or random ones.
    """

    about: str
    change_plan: Callable[[TrainingPlan], TrainingPlan] = lambda plan: plan
    patch: Callable[[], AbstractContextManager] = nullcontext
    start: Callable[[Learner, Task, TrainConfig], list[Callback]] = lambda learn, task, config: []
    applies: Callable[[Task, bool], bool] = lambda task, pretrained: True


# ---- when a technique can be tried


def has_numbers(task: Task, pretrained: bool) -> bool:
    """Tell whether all targets are plain numbers on a linear scale."""
    return all(t.scalar and not t.log_scale for t in task.targets)


def has_histograms(task: Task, pretrained: bool) -> bool:
    """Tell whether all targets can be learnt as histograms."""
    return all(t.histogram for t in task.targets)


def is_pretrained(task: Task, pretrained: bool) -> bool:
    """Tell whether the training begins with pretrained weights."""
    return pretrained


def has_no_points(task: Task, pretrained: bool) -> bool:
    """Tell whether the head gets no positions as it is."""
    return not task.has_points


def has_moves(task: Task, pretrained: bool) -> bool:
    """Tell whether images are shifted and zoomed."""
    return bool(set(task.augment) & set(MOVES))


def can_move(task: Task, pretrained: bool) -> bool:
    """Tell whether images could be shifted and zoomed, but are not."""
    return all(t.scalar for t in task.targets) and not has_moves(task, pretrained)


def has_colour(task: Task, pretrained: bool) -> bool:
    """Tell whether the colours of images are changed."""
    return bool(set(task.augment) & set(COLOURS))


# ---- changes of augmentation


def constants(**values: float) -> Callable[[], AbstractContextManager]:
    """Return what sets constants of training/augment.py within a block."""
    return lambda: patch.multiple(augment, **values)


def move_all() -> AbstractContextManager:
    """Within the block all images are turned, zoomed and shifted, not half of them."""
    draw_motion, column = augment.draw_motion, Draws._fields.index("resampled")

    def draw(allowed, random, aspect=1.0):
        random = random.copy()
        random[:, column] = 0
        return draw_motion(allowed, random, aspect)

    return patch.object(augment, "draw_motion", draw)


def move_all_farther() -> AbstractContextManager:
    """Within the block all images are zoomed and shifted, and by more."""
    stack = ExitStack()
    stack.enter_context(move_all())
    stack.enter_context(constants(ZOOM=1.4, SHIFT=0.35)())
    return stack


def declare_moves(plan: TrainingPlan) -> TrainingPlan:
    """Shift and zoom images whose labels are plain numbers."""
    task = plan.task
    targets = tuple(replace(t, laws=tuple({*t.laws, *MOVES})) for t in task.targets)
    return replace(plan, task=replace(task, targets=targets, augment=(*task.augment, *MOVES)))


def without_colour(plan: TrainingPlan) -> TrainingPlan:
    """Leave the colours of images as they are."""
    kept = tuple(a for a in plan.task.augment if a not in COLOURS)
    return replace(plan, task=replace(plan.task, augment=kept))


def with_tint(plan: TrainingPlan) -> TrainingPlan:
    """Change brightness, contrast and tint."""
    kept = tuple(a for a in plan.task.augment if a not in COLOURS)
    return replace(plan, task=replace(plan.task, augment=(*kept, *COLOURS)))


# ---- changes of the network and its rates


def positions_for_all() -> AbstractContextManager:
    """Within the block the head gets positions beside the pooled features, whatever the kinds of target."""
    choose = network.choose_kind
    return patch.object(network, "choose_kind", lambda body, size, n_points, _: choose(body, size, n_points, True))


def without_positions() -> AbstractContextManager:
    """Within the block the head gets the pooled features alone."""
    return patch.object(network, "choose_kind", lambda *_: "pooled")


def split_by_stage(learn: Learner, task: Task, config: TrainConfig) -> list[Callback]:
    """Give each stage of the body its own rate: fastai spreads them evenly on a log scale from body_lr to 1."""
    splitter = learn.splitter

    def split(model):
        (*_, head), body = splitter(model), getattr(model[0], "timm_body", model[0])
        stages = group_parameters(body, body.group_matcher(coarse=True))
        named = dict(body.named_parameters())
        groups = [[named[name] for name in names if name in named] for _, names in sorted(stages.items())]
        return [*(group for group in groups if group), head]

    learn.splitter = split
    learn.create_opt()
    return []


def body_rate(rate: float) -> Callable[[TrainingPlan], TrainingPlan]:
    """Return what sets the learning rate of a pretrained body, relative to the head's."""
    return lambda plan: replace(plan, config=replace(plan.config, body_lr=rate))


def learn_histograms(plan: TrainingPlan) -> TrainingPlan:
    """Learn plain numbers and angles as histograms."""
    return replace(plan, config=replace(plan.config, loss="histogram"))


TECHNIQUES = {
    "baseline": Technique("the package with its loss l1, the default until the histogram"),
    "ema": Technique("exponential moving average of the weights over the last 5 % of all steps"),
    "checkpoints": Technique("mean of 5 checkpoints within the last fifth of the steps (Izmailov et al., 2018)"),
    "stages": Technique("layer-wise rate decay: from 0.1 of the head's rate for the stem to all of it, by stages",
                        change_plan=body_rate(0.1), start=split_by_stage, applies=is_pretrained),
    "body-1": Technique("a pretrained body learns at the head's rate", change_plan=body_rate(1.0),
                        applies=is_pretrained),
    "c-mixup": Technique("C-Mixup: pairs with close labels are mixed (Yao et al., 2022)", start=mixing.mix,
                         applies=has_numbers),
    "histogram": Technique("HL-Gauss: cross-entropy over 64 bins (Imani and White, 2018)",
                           learn_histograms, without_positions, applies=has_histograms),
    "histogram-positions": Technique("a histogram, and positions beside the pooled features: in the package since",
                                     learn_histograms, applies=has_histograms),
    "positions": Technique("positions of 32 maps beside the pooled features, for all kinds", patch=positions_for_all,
                           applies=has_no_points),
    "ridge-start": Technique("the head begins as a ridge on the frozen features", start=ridge_start.start_head,
                             applies=is_pretrained),
    "move": Technique("shift and zoom half of the images", change_plan=declare_moves, applies=can_move),
    "move-all": Technique("shift and zoom all images", patch=move_all, applies=has_moves),
    "move-all-farther": Technique("shift and zoom all images, by up to 0.35 and 1.4", patch=move_all_farther,
                                  applies=has_moves),
    "no-colour": Technique("no change of colours", change_plan=without_colour, applies=has_colour),
    "more-colour": Technique("brightness, contrast and tint, twice as strong", change_plan=with_tint,
                             patch=constants(BRIGHT=0.2, CONTRAST=0.44, TINT=0.4), applies=has_colour),
}
