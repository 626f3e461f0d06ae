"""The options of the command line, each written once, and how their texts are read."""
from pathlib import Path
from typing import Annotated

import typer

from .errors import ImgregError


def read_size(text: str | None) -> tuple[int, int] | None:
    """`128` or `240x320` as (height, width)."""
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(p.isascii() and p.isdigit() and int(p) >= 16 for p in parts):
        raise ImgregError("--size N or HxW in pixels, each at least 16", f"'{text}'", "--size 128 or --size 240x320")
    return int(parts[0]), int(parts[-1])


def read_number(text: str, option: str, kind: type = float):
    """A number of that kind, or None for auto."""
    try:
        return None if text == "auto" else kind(text)
    except ValueError:
        raise ImgregError(f"{option} with a{' whole' if kind is int else ''} number or auto", f"'{text}'") from None


def read_pairs(texts: list[str]) -> dict:
    """`k=v` options as a dict, each value read as JSON where it is JSON."""
    import json

    pairs = {}
    for text in texts:
        key, equals, value = text.partition("=")
        if not equals:
            raise ImgregError("--arch-arg k=v", f"'{text}'", "--arch-arg output_stride=16")
        try:
            pairs[key] = json.loads(value)
        except ValueError:
            pairs[key] = value
    return pairs


def read_names(text: str | None) -> tuple[str, ...] | None:
    """`a,b` as ("a", "b")."""
    return None if text is None else tuple(name.strip() for name in text.split(",") if name.strip())


def read_goal(text: str | None) -> tuple[str, float] | None:
    """`angle=0.5` as ("angle", 0.5)."""
    if text is None:
        return None
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise ImgregError("--stop-at TARGET=VALUE", f"'{text}'", "--stop-at angle=0.5") from None


TaskName = Annotated[str, typer.Argument(metavar="TASK", help="angle, headpose, or the path of a labels table.")]
BuiltIn = Annotated[str, typer.Argument(metavar="TASK", help="angle or headpose.")]
Targets = Annotated[list[str] | None, typer.Option("--target", metavar="NAME[=COL,..][:KIND]",
                    help="What to predict; KIND number, angle180, angle360, point or rotation. Repeatable.")]
Data = Annotated[Path | None, typer.Option("--data", metavar="DIR|drawn",
                 help="Folder of the task's pictures, or drawn for drawings.")]
Preset = Annotated[str | None, typer.Option("--preset",
                   help="headpose: fastbook, the fastai book's chapter 6; drawn, what suits drawings.")]
Labelling = Annotated[str | None, typer.Option("--labels", metavar="exact|fastbook",
                      help="headpose: by the whole calibration, or by the fastai book's formula.")]
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
ModelPath = Annotated[Path, typer.Argument(metavar="MODEL", help="A run folder or a model file.")]
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
Version = Annotated[bool, typer.Option("--version", help="Print the version and exit.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Send one batch through everything, write nothing.")]


def shared(targets, data, size, fit, augment, box, hold_out, arch, arch_arg, weights, lr, bs, **settings) -> dict:
    """The options that training verbs share, as keywords of api.prepare; what was not given stays out."""
    given = {"data": data, "fit": fit, "arch": arch, "weights": weights, "targets": targets, "size": read_size(size),
             "box": read_names(box), "hold_out": read_names(hold_out),
             "arch_args": read_pairs(arch_arg or []) or None, **settings}
    given = {k: v for k, v in given.items() if v is not None}
    if augment not in (None, "auto"):
        given["augment"] = () if augment == "none" else tuple(a.strip() for a in augment.split(",") if a.strip())
    if lr is not None:
        given["lr"] = read_number(lr, "--lr")
    if bs is not None:
        given["bs"] = read_number(bs, "--bs", int)
    return given
