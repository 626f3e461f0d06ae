"""The options of the command line, each written once."""
import inspect
import shlex
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Annotated

import typer

from .parsers import read_augment, read_goal, read_names, read_number, read_pairs, read_range, read_size, read_values

TaskName = Annotated[str, typer.Argument(
    metavar="TASK", help="angle, headpose, or the path of a labels table, or of a folder whose names hold the labels.")]
BuiltIn = Annotated[str, typer.Argument(metavar="TASK", help="angle or headpose.")]
Targets = Annotated[list[str] | None, typer.Option("--target", metavar="NAME[=COL,..][:KIND]",
                    help="What to predict; KIND number, angle180, angle360, point or rotation. Repeatable.")]
Data = Annotated[Path | None, typer.Option("--data", metavar="DIR|drawn",
                 help="Folder of the task's pictures, or drawn for drawings.")]
Preset = Annotated[str | None, typer.Option("--preset",
                   help="headpose: fastbook, the fastai book's chapter 6; drawn, what suits drawings.")]
Labelling = Annotated[str | None, typer.Option("--labels", metavar="exact|fastbook",
                      help="headpose: by the whole calibration, or by the fastai book's formula.")]
ImageCol = Annotated[str | None, typer.Option("--image-col", metavar="COLUMN", help="Column that names the pictures.")]
Images = Annotated[Path | None, typer.Option("--images", metavar="DIR",
                   help="Folder that the pictures' names are relative to; the table's own if left out.")]
LabelFromName = Annotated[str | None, typer.Option("--label-from-name", metavar="REGEX",
                          help=r"Labels of a folder's names: 'age_(?P<age>\d+)'.")]
FlipPairs = Annotated[str | None, typer.Option("--flip-pairs", metavar="LEFT:RIGHT,..",
                      help="Points that a mirror makes one another; a file of them; none: a mirror changes no names.")]
Unit = Annotated[list[str] | None, typer.Option("--unit", metavar="NAME=WORD", help="A target's unit. Repeatable.")]
TargetWeight = Annotated[list[str] | None, typer.Option("--target-weight", metavar="NAME=NUMBER",
                         help="How much a target counts beside the others. Repeatable.")]
Scale = Annotated[str | None, typer.Option("--scale", metavar="linear|log", help="Of plain numbers; by their spread.")]
ValueRange = Annotated[str | None, typer.Option("--range", metavar="BLACK,WHITE",
                       help="Of pictures of 16 or 32 bits; else by their type.")]
Valid = Annotated[float | None, typer.Option("--valid", help="Part to validate with, where no column says.")]
Test = Annotated[float | None, typer.Option("--test", help="Part that is scored once, at the end.")]
Calibrate = Annotated[float | None, typer.Option("--calibrate",
                      help="Part of the training part kept for intervals, 0 for none; else where there are enough.")]
Coverage = Annotated[float | None, typer.Option("--coverage",
                     help="Part of all pictures that intervals hold for; 0.9.")]
Balance = Annotated[bool, typer.Option("--balance", help="Count rare numbers more while training.")]
Strict = Annotated[bool, typer.Option("--strict", help="Stop at any fault of the labels.")]
By = Annotated[str | None, typer.Option("--by", metavar="COLUMN",
               help="One answer for all pictures of one value: a house, a patient.")]
How = Annotated[str, typer.Option("--how", metavar="mean|median", help="What --by makes of several answers.")]
Box = Annotated[str | None, typer.Option("--box", metavar="CX,CY,W,H",
                help="Columns of the part of the picture to be seen, in pixels.")]
Margin = Annotated[float | None, typer.Option("--margin", help="Widens the box, by a part of its sides on each side.")]
Group = Annotated[str | None, typer.Option("--group", metavar="COLUMN",
                  help="Column of persons, sequences, ...: no group is on both sides of a split.")]
HoldOut = Annotated[str | None, typer.Option("--hold-out", metavar="NAME[,NAME..]",
                    help="Groups, or folders of pictures, to validate on.")]
Folds = Annotated[int | None, typer.Option("--folds", help="Train so many times, other groups held out each time.")]
Out = Annotated[Path, typer.Option("--out", help="Folder that run folders go into.")]
Size = Annotated[str | None, typer.Option("--size", metavar="N|HxW", help="Pixels the network sees.")]
FitTo = Annotated[str | None, typer.Option("--fit", metavar="pad|squish|crop", help="How pictures get to that size.")]
Augment = Annotated[str | None, typer.Option("--augment", metavar="auto|none|LIST",
                    help="Of flip, quarter, turn, zoom, shift, colour, tint, with commas.")]
Arch = Annotated[str | None, typer.Option("--arch", help="A timm backbone; see imgreg backbones.")]
ArchArg = Annotated[list[str] | None, typer.Option("--arch-arg", metavar="K=V", help="A keyword for timm. Repeatable.")]
WeightsFrom = Annotated[str | None, typer.Option("--weights", metavar="auto|hub|none|FILE|RUN|MODEL",
                        help="Where the backbone's weights come from.")]
Epochs = Annotated[int | None, typer.Option("--epochs", help="Times through the training pictures.")]
FreezeEpochs = Annotated[int | None, typer.Option("--freeze-epochs", help="Epochs before, training the head only.")]
Rate = Annotated[str | None, typer.Option("--lr", metavar="NUMBER|auto", help="Peak learning rate; auto finds one.")]
Loss = Annotated[str | None, typer.Option("--loss", metavar="auto|mse|l1|huber", help="What training minimises.")]
Decay = Annotated[float | None, typer.Option("--wd", help="Weight decay.")]
BatchSize = Annotated[str | None, typer.Option("--bs", metavar="N|auto",
                      help="Pictures a batch; auto: by how many there are.")]
Workers = Annotated[int | None, typer.Option("--workers", help="Processes that decode pictures.")]
PrecisionOf = Annotated[str | None, typer.Option("--precision", metavar="auto|fp32|bf16|fp16",
                        help="Of the backbone while training; auto takes the faster.")]
Patience = Annotated[int | None, typer.Option("--patience", help="Stop after so many epochs without a better one.")]
StopAt = Annotated[str | None, typer.Option("--stop-at", metavar="TARGET=VALUE",
                   help="Stop when the validation error is as small.")]
CacheIn = Annotated[str | None, typer.Option("--cache", metavar="auto|on|off", help="Keep decoded pictures in memory.")]
Seed = Annotated[int | None, typer.Option("--seed", help="Of the split, the first weights and the order.")]
Device = Annotated[str | None, typer.Option("--device", help="auto, cpu, cuda, mps.")]
RunPath = Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, such as runs/angle-001.")]
TableName = Annotated[Path | None, typer.Argument(
    metavar="[TABLE]", help="A labels table, or a folder whose file names hold the labels; else the validation part.")]
ModelPath = Annotated[Path, typer.Argument(
    metavar="MODEL", help="A run folder or a model file; more that follow answer with it.")]
Pictures = Annotated[list[str], typer.Argument(
    metavar="PICTURES...", help="Files, folders, globs, or - for a list on stdin.")]
TableFormat = Annotated[str | None, typer.Option(
    "--format", metavar="table|csv|json|jsonl", help="By the ending of --out if left out, else table.")]
NewFile = Annotated[Path | None, typer.Option("--out", help="A new file for the result, instead of stdout.")]
ModelFormat = Annotated[str | None, typer.Option(
    "--format", metavar="learner|bundle",
    help="learner: for fastai's load_learner. bundle: safetensors and JSON, no pickle.")]
ModelOut = Annotated[Path | None, typer.Option("--out", help="A new file; else RUN/export.pkl or RUN/model.imgreg.")]
Drawings = Annotated[Path | None, typer.Option("--draw", metavar="DIR",
                     help="A new folder for copies of the pictures with the predictions drawn on them.")]
Count = Annotated[int | None, typer.Option("--n", help="How many pictures to draw.")]
Pixels = Annotated[int | None, typer.Option("--size", help="angle: height and width in pixels.")]
DrawSeed = Annotated[int | None, typer.Option("--seed", help="Another seed draws other pictures.")]
DataOut = Annotated[Path | None, typer.Option("--out", help="A new folder; data/TASK if left out.")]
Pattern = Annotated[str, typer.Argument(metavar="[PATTERN]", help="Part of a name, or a glob such as 'resnet*'.")]
Baselines = Annotated[bool, typer.Option("--baselines", help="Score small models on the same parts, too.")]
RunPaths = Annotated[list[Path], typer.Argument(metavar="RUN...", help="Run folders; differences are to the first.")]
Part = Annotated[str, typer.Option("--part", metavar="valid|test", help="Whose pictures are compared.")]
Folder = Annotated[Path, typer.Argument(metavar="[FOLDER]", help="A folder of runs.")]
Tta = Annotated[bool, typer.Option("--tta",
                 help="Average over the picture mirrored and turned, as far as the task's laws allow.")]
Parts = Annotated[str, typer.Option("--parts", metavar="N,N,..", help="Of the pictures to train on, in per cent.")]
Version = Annotated[bool, typer.Option("--version", help="Print the version and exit.")]
Fast = Annotated[bool, typer.Option("--fast", help="Open no picture.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object.")]
PlotFile = Annotated[Path | None, typer.Option("--plot", metavar="FILE",
                     help="A new file for the plot; else OUT/check-TASK-NNN.png.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Send one batch through everything, write nothing.")]


# What training verbs share, by the keywords of api.prepare; what was not given is the task's own choice.
SHARED = {
    "task": TaskName, "targets": Targets, "data": Data, "preset": Preset, "labels": Labelling, "image_col": ImageCol,
    "images": Images, "label_from_name": LabelFromName, "flip_pairs": FlipPairs, "units": Unit,
    "target_weights": TargetWeight, "scale": Scale, "value_range": ValueRange, "size": Size, "fit": FitTo, "box": Box,
    "margin": Margin, "augment": Augment, "group": Group, "hold_out": HoldOut, "valid": Valid, "test": Test,
    "calibrate": Calibrate, "coverage": Coverage,
    "strict": Strict, "arch": Arch, "arch_args": ArchArg, "weights": WeightsFrom, "lr": Rate, "loss": Loss, "wd": Decay,
    "balance": Balance, "bs": BatchSize, "workers": Workers, "precision": PrecisionOf, "cache": CacheIn, "seed": Seed,
    "device": Device,
}
# What only `train` has, by the fields of TrainConfig.
TRAINING = {"epochs": Epochs, "freeze_epochs": FreezeEpochs, "patience": Patience, "stop_at": StopAt, "folds": Folds}
READERS = {
    "size": read_size, "box": read_names, "hold_out": read_names, "augment": read_augment, "value_range": read_range,
    "stop_at": read_goal, "arch_args": lambda texts: read_pairs(texts or []) or None,
    "units": lambda texts: read_values(texts, "--unit"),
    "target_weights": lambda texts: read_values(texts, "--target-weight", float),
}


def training(verb: Callable) -> Callable:
    """A command of `verb(task, given, ...)`: `given` holds what was typed out of SHARED, as api.prepare wants it.

    The verb's further parameters are options of its own, but for `typed`: that of SHARED which was, as text; and
    `command`: all that was.
    """
    wanted = inspect.signature(verb).parameters
    own = [p for name, p in wanted.items() if name not in ("task", "given", "typed", "command")]
    both = [inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=of, default=_default(name))
            for name, of in SHARED.items()] + [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]

    @wraps(verb)
    def command(context: typer.Context, **values):
        own_values = {p.name: values.pop(p.name) for p in own}
        own_values |= {"typed": typed(values)} if "typed" in wanted else {}
        own_values |= {"command": context.obj} if "command" in wanted else {}
        return verb(values.pop("task"), settings(values), **own_values)

    del command.__wrapped__  # typer is to see the signature below
    both.insert(0, inspect.Parameter("context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context))
    command.__signature__ = inspect.Signature(both)
    command.__annotations__ = {p.name: p.annotation for p in both}
    return command


def typed(values: dict) -> str:
    """Options of a training as they were typed, to be typed again: " --target age --strict"; "" if none was."""
    words = []
    for name, value in values.items():
        if name != "task" and value is not None and value is not False:
            info = {**SHARED, **TRAINING}[name].__metadata__[0]
            option = (info.param_decls or (info.default,))[0]  # typer takes it for a default at first
            each = value if isinstance(value, list) else [value]
            words += [word for one in each for word in ([option] if one is True else [option, str(one)])]
    return "".join(f" {shlex.quote(word)}" for word in words)


def _default(name: str):
    return inspect.Parameter.empty if name == "task" else False if name in ("strict", "balance") else None


def settings(values: dict) -> dict:
    """Options as they were typed to keywords of api.prepare; what was not given, and auto, stays out."""
    given = {name: READERS[name](value) if name in READERS else value for name, value in values.items()}
    given = {name: value for name, value in given.items() if value is not None and value is not False}
    if "lr" in given:
        given["lr"] = read_number(given["lr"], "--lr")
    if "bs" in given:
        given["bs"] = read_number(given["bs"], "--bs", int)
    return given
