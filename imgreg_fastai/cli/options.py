"""The options and arguments of the command line, each written once."""
import inspect
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated, Literal

import typer

from ..config import MINIMUM, OPTION_NAMES, Cache, Loss, Precision, TrainConfig
from . import parsers

PANELS = PREDICT, IMAGES, SPLIT, TRAINING, OUTPUT = ("What to predict", "Images", "Split", "Training", "Output")
TableFormat = Literal["table", "csv", "json", "jsonl"]
RECIPE = "default: the task's recipe, else"


def option(kind, panel: str, help: str, *names: str, **settings):
    """An option that is None unless it is typed. Typer names it after its parameter where no names are given."""
    settings = {"help": help, "rich_help_panel": panel, "show_default": False, **settings}
    return Annotated[kind | None, typer.Option(*names, **settings)]


def flag(name: str, help: str, panel: str | None = None):
    """An option without a value."""
    return Annotated[bool, typer.Option(name, help=help, rich_help_panel=panel)]


def argument(kind, metavar: str, help: str):
    """An argument, by its place."""
    return Annotated[kind, typer.Argument(metavar=metavar, help=help)]


# Of several commands
TaskName = argument(str, "TASK", "angle, headpose, a labels table, or a folder whose file names hold the labels.")
RunPath = argument(Path, "RUN", "A run folder, such as runs/angle-001.")
Images = option(Path, IMAGES, "Folder that the names in a table are relative to (default: its own).", metavar="DIR")
Size = option(str, IMAGES, "Pixels that the network sees (default: the task's, else 224).", metavar="N|HxW",
              parser=parsers.parse_size)
Coverage = option(float, SPLIT, "Share of all images that intervals hold for (default: 0.9, or as calibrated).")
Device = option(str, TRAINING, "cpu, cuda, mps, or auto, which is a GPU where there is one (default: auto).")
Epochs = option(int, TRAINING, f"Passes over the training images ({RECIPE} {TrainConfig.epochs}).",
                min=MINIMUM["epochs"])
Out = Annotated[Path, typer.Option(help="Folder for new runs and plots.", rich_help_panel=OUTPUT)]
By = option(str, OUTPUT, "Column, such as house: one prediction for all images of a value (default: one per image).",
            metavar="COLUMN")
How = Annotated[str, typer.Option(metavar="mean|median", help="How --by combines predictions.")]
Tta = flag("--tta", "Average over flipped and turned copies of an image, as far as the targets allow.")
AsJson = flag("--json", "Print one JSON object.", OUTPUT)

# Of train, besides TRAINING_OPTIONS
FreezeEpochs = option(int, TRAINING, "Epochs before these that train the head only (default: 0).",
                      min=MINIMUM["freeze_epochs"])
Patience = option(int, TRAINING, "Stop after this many epochs without a lower validation loss (default: never).",
                  min=MINIMUM["patience"])
StopAt = option(str, TRAINING, "Stop when a target's validation error is this small (default: never).",
                metavar="TARGET=VALUE", parser=parsers.parse_goal)
Folds = option(int, SPLIT, "Train this many times, with other groups held out (default: once).", min=MINIMUM["folds"])
DryRun = flag("--dry-run", "Send one batch through everything and write nothing.", OUTPUT)

# Of check, curve and data
Fast = flag("--fast", "Open no image.", IMAGES)
PlotFile = option(Path, OUTPUT, "New file for the plot (default: OUT/check-TASK-NNN.png).", metavar="FILE")
Parts = Annotated[str, typer.Option(metavar="N,N,..", parser=parsers.parse_parts, rich_help_panel=OUTPUT,
                                    help="Parts of the training images, in per cent.")]
BuiltIn = argument(str, "TASK", "angle or headpose.")
Data = option(Path, PREDICT, "Folder of a built-in task's images, or drawn (default: data/TASK, filled if need be).",
              metavar="DIR|drawn")
Count = option(int, OUTPUT, "Number of images to draw (default: the task's).")
Pixels = option(int, OUTPUT, "Height and width of drawn images of angle, in pixels (default: 100).")
DrawSeed = option(int, OUTPUT, "Seed of the drawing (default: 0).")
DataOut = option(Path, OUTPUT, "New folder (default: data/TASK).")

# Of commands on runs
TableName = argument(Path | None, "TABLE", "A labels table, or a folder whose file names hold the labels (default: the "
                     "validation part).")
ModelPath = argument(Path, "MODEL", "A run folder or a model file; further ones are averaged with it.")
Pictures = argument(list[str], "PICTURES", "Files, folders, globs, or - for a list on stdin.")
Pattern = argument(str, "PATTERN", "Part of a name, or a glob such as 'resnet*'.")
RunPaths = argument(list[Path], "RUN", "Run folders; differences are to the first.")
Folder = argument(Path, "FOLDER", "A folder of runs.")
Format = option(TableFormat, OUTPUT, "Format (default: by the ending of --out, else table).")
NewFile = option(Path, OUTPUT, "New file for the predictions (default: stdout).")
ModelFormat = option(str, OUTPUT, "learner is for fastai's load_learner, bundle is without pickle (default: learner).",
                     metavar="learner|bundle")
ModelOut = option(Path, OUTPUT, "New file, whose ending decides the format (default: in the run folder).")
Drawings = option(Path, OUTPUT, "Folder for copies of the images with predictions drawn on them (default: none).",
                  metavar="DIR")
Baselines = flag("--baselines", "Score small models on the same parts, too.")
Part = Annotated[str, typer.Option(metavar="valid|test", help="The part that is compared.")]
Version = flag("--version", "Print the version and exit.")

# Of all commands that prepare a training, by the keywords of api.preparation.resolve_options and TrainConfig
TRAINING_OPTIONS = {
    "targets": option(list[str], PREDICT, "Target; KIND is number, angle180, angle360, point or rotation. Repeatable "
                      "(default: the task's, or what a table seems to hold).", OPTION_NAMES["targets"],
                      metavar="NAME[=COL,..][:KIND]"),
    "units": option(list[str], PREDICT, "Unit of a target. Repeatable (default: none).", OPTION_NAMES["units"],
                    metavar="NAME=WORD", parser=parsers.parse_unit),
    "target_weights": option(list[str], PREDICT, "Weight of a target's loss. Repeatable (default: 1).",
                             OPTION_NAMES["target_weights"], metavar="NAME=NUMBER", parser=parsers.parse_weight),
    "scale": option(str, PREDICT, "Scale of plain numbers (default: by their spread).", metavar="linear|log"),
    "flip_pairs": option(str, PREDICT, "Points that change places in a mirror image, a file of them, or none "
                         "(default: by their names).", metavar="LEFT:RIGHT,.."),
    "data": Data,
    "preset": option(str, PREDICT, "Version of headpose: that of the fastai book's chapter 6, or the one for drawings "
                     "(default: drawn with --data drawn, else neither).", metavar="fastbook|drawn"),
    "labels": option(str, PREDICT, "Labels of headpose: by the whole calibration, or by the fastai book's formula "
                     "(default: the preset's, else exact).", metavar="exact|fastbook"),
    "label_from_name": option(str, PREDICT, r"Pattern of file names with labels, such as 'age_(?P<age>\d+)' (default: "
                              "none).", metavar="REGEX"),
    "image_col": option(str, IMAGES, "Column that names the images (default: by its content).", metavar="COLUMN"),
    "images": Images,
    "value_range": option(str, IMAGES, "Black and white of images of 16 or 32 bits (default: by their type).",
                          OPTION_NAMES["value_range"], metavar="BLACK,WHITE", parser=parsers.parse_value_range),
    "size": Size,
    "fit": option(str, IMAGES, "How images get to that size (default: the task's, else pad).",
                  metavar="pad|squish|crop"),
    "box": option(str, IMAGES, "Columns of the part to be seen, in pixels (default: all of the image).",
                  metavar="CX,CY,W,H", parser=parsers.parse_names),
    "margin": option(float, IMAGES, "Widens the box on each side, as a share of it (default: 0.25)."),
    "augment": option(str, IMAGES, "Random changes of training images: flip, quarter, turn, zoom, shift, colour, tint "
                      "(default: auto).", metavar="auto|none|LIST", parser=parsers.parse_augmentations),
    "group": option(str, SPLIT, "Column of people, sequences, ..., none of which is on two sides of the split "
                    "(default: group, where there is one).", metavar="COLUMN"),
    "valid": option(float, SPLIT, f"Share to validate on, without a column split ({RECIPE} {TrainConfig.valid})."),
    "test": option(float, SPLIT, "Share that is scored once, at the end (default: 0)."),
    "calibrate": option(float, SPLIT, "Share of the training part that is kept for intervals, 0 for none "
                        "(default: 0.15, where that is enough)."),
    "coverage": Coverage,
    "hold_out": option(str, SPLIT, "Groups, or folders of images, to validate on (default: drawn at random).",
                       metavar="NAME[,NAME..]", parser=parsers.parse_names),
    "arch": option(str, TRAINING, f"A timm backbone; see imgreg backbones ({RECIPE} {TrainConfig.arch})."),
    "arch_args": option(list[str], TRAINING, "Keyword for timm.create_model. Repeatable (default: the task's recipe).",
                        OPTION_NAMES["arch_args"], metavar="K=V", parser=parsers.parse_arch_arg),
    "weights": option(str, TRAINING, f"The backbone's first weights ({RECIPE} {TrainConfig.weights}).",
                      metavar="auto|hub|none|FILE|RUN|MODEL"),
    "lr": option(str, TRAINING, f"Peak learning rate; auto searches for it ({RECIPE} {TrainConfig.lr}).",
                 metavar="NUMBER|auto", parser=parsers.parse_learning_rate),
    "bs": option(str, TRAINING, f"Images per batch; auto: by how many there are ({RECIPE} {TrainConfig.bs}).",
                 metavar="N|auto", parser=parsers.parse_batch_size),
    "loss": option(Loss, TRAINING, f"Loss ({RECIPE} {TrainConfig.loss}, which is l1)."),
    "wd": option(float, TRAINING, f"Weight decay ({RECIPE} {TrainConfig.wd}).", min=0),
    "balance": option(bool, TRAINING, "Count rare plain numbers more (default: no).", "--balance"),
    "precision": option(Precision, TRAINING, "Precision of the backbone in training (default: auto, the faster one)."),
    "workers": option(int, TRAINING, "Processes that decode images (default: 0 with the cache, else up to 8).",
                      min=MINIMUM["workers"]),
    "cache": option(Cache, TRAINING, "Keep decoded images in memory (default: auto, where they fit)."),
    "seed": option(int, TRAINING, "Seed of split, first weights and order (default: 0).", min=MINIMUM["seed"]),
    "device": Device,
    "strict": option(bool, OUTPUT, "Stop at any issue of the labels and images (default: no).", "--strict"),
}


def with_training_options(command: Callable) -> Callable:
    """Let typer see TRAINING_OPTIONS in place of the `**options` of a command, which receives those that were typed."""
    parameters = inspect.signature(command).parameters.values()
    parameters = [p for p in parameters if p.kind != inspect.Parameter.VAR_KEYWORD]
    parameters += [inspect.Parameter(keyword, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
                   for keyword, annotation in TRAINING_OPTIONS.items()]

    @wraps(command)
    def with_typed_options(**values):
        return command(**{name: value for name, value in values.items()
                          if value is not None or name not in TRAINING_OPTIONS})

    with_typed_options.__signature__ = inspect.Signature(parameters)
    return with_typed_options
