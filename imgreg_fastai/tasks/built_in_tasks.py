"""The built-in tasks: values of Task, with the training settings that were measured to suit them."""
from dataclasses import replace

from .angle import Angle
from .point import Point
from .rotation import Rotation
from .task import Task

# The rectangle of datascience.stackexchange.com/questions/106600: a bar's orientation, counterclockwise from the right.
# Its network is narrow and keeps places finely (output_stride). On two cores resnet10t as it comes, with that stride,
# saw 25,000 images in 2 minutes and was at 0.56 degrees; these widths saw 100,000 in less than 3 and were at 0.17.
# No weights exist for such widths.
ANGLE = Task(
    name="angle",
    targets=(Angle("angle", ("angle",), period=180.0, in_plane=True),),
    size=(100, 100),
    augment=("flip", "quarter"),
    recipe=(
        ("arch", "resnet10t"),
        ("arch_args", {"channels": [32, 48, 48, 96], "stem_width": 16, "output_stride": 16}),
        ("weights", "none"),
        ("epochs", 18),
        ("bs", 32),
        ("lr", 4e-3),
        ("fixed_norm", 0.3),
        ("valid", 0.1),
    ),
    name_pattern=r"angle_(?P<angle>\d{5})(?!\d)",
    name_scale=0.01,
)
# Biwi's heads: the place of the head in the image and its rotation, by one network. The backbone is the fastai
# book's; its rate and augmentation are those that suited photographs of other people's heads (benchmarks/pointing.py).
HEADPOSE = Task(
    name="headpose",
    targets=(
        Point("centre", ("centre_x", "centre_y"), follows=True),
        Rotation("pose", ("yaw", "pitch", "roll"), camera_frame=True),
    ),
    size=(240, 320),
    augment=("flip", "turn", "colour", "tint"),
    recipe=(("arch", "resnet18"), ("epochs", 8), ("body_lr", 0.5)),
    labelling="exact",
)
# Drawn heads, from random weights: narrow layers, as drawings need little, places kept finely, and so many epochs and
# pixels as two cores do in nine minutes. The rotation's error on new people after 6 epochs was 12.1 degrees; with
# layers of 32 to 256 channels and a last stride of 32 it was 17.0 in the same time (one seed). 26 epochs in batches of
# 16 are as good as 31 in batches of 32. The weight decay keeps faces from being learnt by heart.
DRAWN_HEADS = replace(
    HEADPOSE,
    size=(120, 160),
    recipe=(
        ("arch", "resnet10t"),
        ("arch_args", {"channels": [32, 64, 96, 128], "stem_width": 16, "output_stride": 16}),
        ("weights", "none"),
        ("epochs", 26),
        ("bs", 16),
        ("lr", 6e-3),
        ("wd", 0.1),
    ),
)
# The fastai book's chapter 6: its target, labels, size and training; the person of folder 13 validates.
FASTBOOK = replace(
    HEADPOSE,
    targets=HEADPOSE.targets[:1],
    augment=("flip", "turn", "zoom", "colour"),
    recipe=(("arch", "resnet18"), ("epochs", 5), ("lr", 2e-2), ("body_lr", 1.0), ("loss", "mse"), ("bs", 64),
            ("calibrate", 0)),
    labelling="fastbook",
)
BUILT_IN = {task.name: task for task in (ANGLE, HEADPOSE)}
PRESETS = {"headpose": {"fastbook": FASTBOOK, "drawn": DRAWN_HEADS}}  # other values of a built-in task, by name
