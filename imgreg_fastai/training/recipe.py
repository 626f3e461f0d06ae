"""The automatic recipe: the settings of a training that neither the task nor the user decides, and their reasons."""
import math
from typing import Any, NamedTuple

from ..config import TrainConfig, time_option

MINUTES = 10  # that a training is planned to take on this machine, without --epochs and --time
SIDES = (64, 96, 128, 160, 192, 224)  # of images in pixels
STEP = 16  # pixels: the sides of images that are no squares are multiples of it
SQUARE = 1.15  # images whose sides differ by less are shown as squares; also the most by which images are enlarged
FEWEST_EPOCHS, LEAST_SIDE = 5, 96  # images are made smaller for so many epochs in time, but not smaller than that
POINT_SIDE, POINT_EPOCHS = 192, 30  # the largest side for points, where there is time for so many epochs
PIXELS_PER_SECOND = 1.5e6  # that two cores train on, by resnet18 or mobilenetv2


class DataFacts(NamedTuple):
    """What the recipe goes by.

    Attributes:
        n_images: Training images.
        shown: Height and width of what the network sees of an image, in the image's own pixels.
        pretrained: Whether there are weights to begin with.
        on_gpu: Whether the training is on a GPU.
        minutes: That the training may take; None: as long as it needs.
        trained_size: Height and width of the images that the weights were trained with, if that is known.
        has_points: Whether points are predicted.
    """

    n_images: int
    shown: tuple[float, float]
    pretrained: bool
    on_gpu: bool = False
    minutes: float | None = MINUTES
    trained_size: tuple[int, int] | None = None
    has_points: bool = False


class Row(NamedTuple):
    """A row of the table of settings.

    Attributes:
        pretrained: Whether it is for a training that begins with weights.
        most_images: Training images, up to which it holds.
        side: The largest side of the images in pixels.
        most_epochs: The most epochs, whatever the time.
        settings: Fields of TrainConfig.
        reason: Why.
    """

    pretrained: bool
    most_images: float
    side: int
    most_epochs: int
    settings: dict[str, Any]
    reason: str


# Fewer channels than resnet10t has, and a finer grid of features in the end: the error of the gauges from random
# weights was a quarter less than with all channels at 64 pixels.
SMALL_NETWORK = {"arch": "resnet10t",
                 "arch_args": {"channels": [32, 64, 96, 128], "stem_width": 16, "output_stride": 16}}
# docs/benchmarks.md, "The automatic recipe", has the measurements. Those with weights were made with mobilenetv2_100.
TABLE = (
    Row(False, 1000, 96, 300, {**SMALL_NETWORK, "lr": 8e-3, "bs": 16}, "few images, no weights"),
    Row(False, math.inf, 128, 300, {**SMALL_NETWORK, "lr": 8e-3, "bs": 32}, "no weights"),
    Row(True, 1000, 128, 60, {"arch": "resnet18", "lr": 4e-3, "body_lr": 1.0, "bs": 16}, "few images, weights"),
    Row(True, math.inf, 128, 60, {"arch": "resnet18", "lr": 2e-3, "body_lr": 1.0, "bs": 32}, "weights"),
)


class Recipe(NamedTuple):
    """Settings that fit the data.

    Attributes:
        settings: Fields of TrainConfig. The epochs are those that two cores do in the time; on a GPU, `most_epochs`.
        size: Height and width of the images in pixels.
        most_epochs: The most epochs, whatever the time.
        reason: Why.
    """

    settings: dict[str, Any]
    size: tuple[int, int]
    most_epochs: int
    reason: str


def choose_recipe(facts: DataFacts) -> Recipe:
    """Return the settings that fit the data."""
    row = next(row for row in TABLE if row.pretrained == facts.pretrained and facts.n_images <= row.most_images)
    size, reason = choose_size(facts, row.side), row.reason
    if facts.trained_size:
        size, reason = facts.trained_size, f"{reason}, images as large as theirs"
    epochs = row.most_epochs
    if not facts.on_gpu:
        epochs = max(1, min(epochs, math.floor(epochs_in_time(facts, size[0] * size[1]))))
    settings = {**row.settings, "bs": max(2, min(row.settings["bs"], facts.n_images)), "epochs": epochs}
    return Recipe(settings, size, row.most_epochs, reason)


def epochs_in_time(facts: DataFacts, n_pixels: float) -> float:
    """Estimate how many epochs of images of so many pixels two cores do in the time."""
    minutes = MINUTES if facts.minutes is None else facts.minutes
    return 60 * minutes * PIXELS_PER_SECOND / (facts.n_images * n_pixels)


def choose_size(facts: DataFacts, most: int) -> tuple[int, int]:
    """Return the height and width of the images in pixels.

    They have the proportions of what is shown, and as many pixels as a square of one of SIDES: the largest that is not
    above `most`, enlarges images by SQUARE at most, and for which a processor has the time; else the smallest. Where
    there is much time, images of points are larger: how exact a point can be depends on the pixels.
    """
    height, width = facts.shown
    own_side = math.sqrt(height * width)
    side = max(side for side in SIDES if side <= max(own_side * SQUARE, SIDES[0]) and (
        (side <= most and _has_time(facts, side, FEWEST_EPOCHS))
        or (side <= POINT_SIDE and facts.has_points and facts.pretrained and _has_time(facts, side, POINT_EPOCHS))))
    aspect = width / height
    if max(aspect, 1 / aspect) < SQUARE:
        return side, side
    return _multiple(side / math.sqrt(aspect)), _multiple(side * math.sqrt(aspect))


def _has_time(facts: DataFacts, side: int, epochs: int) -> bool:
    """Whether there is the time for so many epochs of squares of a side; always for LEAST_SIDE."""
    is_free = facts.on_gpu or facts.minutes is None
    return is_free or side <= LEAST_SIDE or epochs_in_time(facts, side**2) >= epochs


def _multiple(n_pixels: float) -> int:
    """The nearest multiple of STEP, at least two of them."""
    return STEP * max(2, round(n_pixels / STEP))


def longer_training(config: TrainConfig, decisions: dict[str, Any]) -> str:
    """Return the option that trains twice as long as a run, or as long as the recipe does where the user cut it short.

    Args:
        config: Of the run.
        decisions: What the recipe decided, as run.json has it; {} if nothing.
    """
    if config.time:
        return f"--time {time_option(math.ceil(2 * config.n_trainings * config.time))}"
    most_epochs = 0 if "epochs" in decisions else decisions.get("most_epochs", 0)
    return f"--epochs {max(2 * config.epochs, most_epochs)}"
