"""The verbs for the terminal: results go to stdout, everything else to stderr; exit 0, 1 (a mistake) or 2 (usage)."""
import logging
import sys
import warnings
from pathlib import Path
from typing import Annotated

import typer

from . import __version__
from .errors import ImgregError

app = typer.Typer(
    name="imgreg", no_args_is_help=True, add_completion=True, rich_markup_mode=None, pretty_exceptions_enable=False,
    help="Turn pictures into numbers: train, evaluate, predict and export image regression.",
    epilog="Begin with: imgreg train angle",
)


def _size(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(p.isdigit() and int(p) >= 16 for p in parts):
        raise ImgregError("--size N or HxW in pixels, each at least 16", f"'{text}'", "--size 128 or --size 240x320")
    return int(parts[0]), int(parts[-1])


def _number(text: str | None, option: str) -> float | None:
    try:
        return None if text in (None, "auto") else float(text)
    except ValueError:
        raise ImgregError(f"{option} with a number or auto", f"'{text}'") from None


def _pairs(texts: list[str]) -> dict:
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


def _goal(text: str | None) -> tuple[str, float] | None:
    if text is None:
        return None
    name, _, value = text.partition("=")
    try:
        return name, float(value)
    except ValueError:
        raise ImgregError("--stop-at TARGET=VALUE", f"'{text}'", "--stop-at angle=0.5") from None


# Each option is written once; the commands below name them.
TaskName = Annotated[str, typer.Argument(metavar="TASK", help="angle")]
Targets = Annotated[list[str], typer.Option("--target", metavar="NAME[=COL,..][:KIND]",
                    help="What to predict; KIND number, angle180 or angle360. Repeatable.")]
Data = Annotated[Path | None, typer.Option("--data", help="Folder of the pictures; drawn there if it is new.")]
Out = Annotated[Path, typer.Option("--out", help="Folder that run folders go into.")]
Size = Annotated[str | None, typer.Option("--size", metavar="N|HxW", help="Pixels the network sees.")]
FitTo = Annotated[str | None, typer.Option("--fit", metavar="pad|squish|crop", help="How pictures get to that size.")]
Augment = Annotated[str | None, typer.Option("--augment", metavar="auto|none|LIST",
                    help="Of flip, quarter, turn, colour, with commas.")]
Arch = Annotated[str | None, typer.Option("--arch", help="A timm backbone; see imgreg backbones.")]
ArchArg = Annotated[list[str], typer.Option("--arch-arg", metavar="K=V", help="A keyword for timm. Repeatable.")]
WeightsFrom = Annotated[str | None, typer.Option("--weights", metavar="auto|hub|none|FILE|RUN|MODEL",
                        help="Where the backbone's weights come from.")]
Epochs = Annotated[int | None, typer.Option("--epochs", help="Times through the training pictures.")]
FreezeEpochs = Annotated[int | None, typer.Option("--freeze-epochs", help="Epochs before, training the head only.")]
Rate = Annotated[str | None, typer.Option("--lr", metavar="NUMBER|auto", help="Peak learning rate; auto finds one.")]
Loss = Annotated[str | None, typer.Option("--loss", metavar="auto|mse|l1|huber", help="What training minimises.")]
Decay = Annotated[float | None, typer.Option("--wd", help="Weight decay.")]
BatchSize = Annotated[str | None, typer.Option("--bs", metavar="N|auto", help="Pictures a batch.")]
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


def _options(targets, data, size, fit, augment, arch, arch_arg, weights, lr, bs, **settings) -> dict:
    """The options that training verbs share, as keywords of api.prepare; what was not given stays out."""
    given = {"data": data, "fit": fit, "arch": arch, "weights": weights, "targets": targets, "size": _size(size),
             "arch_args": _pairs(arch_arg) or None, **settings}
    given = {k: v for k, v in given.items() if v is not None}
    if augment not in (None, "auto"):
        given["augment"] = () if augment == "none" else tuple(a.strip() for a in augment.split(",") if a.strip())
    if lr is not None:
        given["lr"] = _number(lr, "--lr")
    if bs is not None:
        count = _number(bs, "--bs")
        given["bs"] = None if count is None else int(count)
    return given


@app.command()
def train(
    task: TaskName, targets: Targets = [], data: Data = None, out: Out = Path("runs"), size: Size = None,  # noqa: B006
    fit: FitTo = None, augment: Augment = None, arch: Arch = None, arch_arg: ArchArg = [], weights: WeightsFrom = None,  # noqa: B006
    epochs: Epochs = None, freeze_epochs: FreezeEpochs = None, lr: Rate = None, loss: Loss = None, wd: Decay = None,
    bs: BatchSize = None, workers: Workers = None, precision: PrecisionOf = None, patience: Patience = None,
    stop_at: StopAt = None, cache: CacheIn = None, seed: Seed = None, device: Device = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Send one batch through everything, write nothing.")] = False,
):
    """Train a network, score it beside guessing, and leave a run folder."""
    from . import api, scoring

    options = _options(targets, data, size, fit, augment, arch, arch_arg, weights, lr, bs, epochs=epochs,
                       freeze_epochs=freeze_epochs, loss=loss, wd=wd, workers=workers, precision=precision,
                       patience=patience, stop_at=_goal(stop_at), cache=cache, seed=seed, device=device)
    run = api.train(task, out=out, dry_run=dry_run, **options)
    if run is None:
        return
    if run.about["state"] == "interrupted":
        _tell(f"stopped; what was learnt is kept\nnext: imgreg evaluate {run.path}")
        raise typer.Exit(130)
    for part, scores in run.scores.items():
        for name, numbers in scores.items():
            print(f"{scoring.sentence(name, numbers)} on {numbers['n']} pictures ({part})")
    print(f"run: {run.path}   plots: {run.path / 'plots'}")
    print(f"next: imgreg predict {run.path} photo.png")


@app.command("lr_find")
def lr_find(
    task: TaskName, targets: Targets = [], data: Data = None, out: Out = Path("runs"), size: Size = None,  # noqa: B006
    fit: FitTo = None, augment: Augment = None, arch: Arch = None, arch_arg: ArchArg = [], weights: WeightsFrom = None,  # noqa: B006
    loss: Loss = None, wd: Decay = None, bs: BatchSize = None, workers: Workers = None, precision: PrecisionOf = None,
    cache: CacheIn = None, seed: Seed = None, device: Device = None,
):
    """Sweep the learning rate, print a suggestion and draw the curve."""
    from . import api

    options = _options(targets, data, size, fit, augment, arch, arch_arg, weights, None, bs, loss=loss, wd=wd,
                       workers=workers, precision=precision, cache=cache, seed=seed, device=device)
    sweep, plot = api.lr_find(task, out=out, **options)
    if sweep.trusted:
        print(f"suggested learning rate: {sweep.suggestion:.2g}   plot: {plot}")
        print(f"next: imgreg train {task} --lr {sweep.suggestion:.2g}")
    else:
        print(f"no suggestion: the sweep means nothing here ({sweep.why})   plot: {plot}")


@app.command()
def evaluate(
    run: RunPath,
    table: Annotated[Path | None, typer.Argument(metavar="[TABLE]", help="A labels table, or a folder whose file names "
                                                 "hold the labels; the validation part if left out.")] = None,
):
    """Score a run on its validation part or on another labelled set."""
    from . import api, scoring

    scores = api.evaluate(run, table)
    folder = scores.pop("folder")
    for name, s in scores.items():
        print(f"{scoring.sentence(name, s)} on {s['n']} pictures")
        print("  " + "  ".join(f"{k} {s[k]:.3g}{s['unit']}" for k in ("median", "p90", "p95", "max", "rmse", "bias")))
    print(f"written: {folder}")


@app.command()
def predict(
    model: Annotated[Path, typer.Argument(metavar="MODEL", help="A run folder or a model file.")],
    pictures: Annotated[list[str], typer.Argument(metavar="PICTURES...",
                        help="Files, folders, globs, or - for a list on stdin.")],
    format: Annotated[str, typer.Option("--format", metavar="table|csv|json|jsonl")] = "table",
    out: Annotated[Path | None, typer.Option("--out", help="A new file for the result, instead of stdout.")] = None,
    device: Device = None,
):
    """Predict numbers for pictures."""
    from . import api

    if format not in ("table", "csv", "json", "jsonl"):
        raise ImgregError("--format table, csv, json or jsonl", f"'{format}'")
    if out and out.exists():
        raise ImgregError("a new file for --out", f"'{out}' in place", "another name")
    listed = [line for p in pictures for line in (sys.stdin.read().splitlines() if p == "-" else [p]) if line.strip()]
    frame = api.predict(api.load(model, device or "auto"), listed)
    text = _formatted(frame, format)
    if out:
        from .runs import write

        write(out, text + "\n")
    else:
        print(text)


def _formatted(frame, format: str) -> str:
    frame = frame.round({c: 4 for c in frame.columns if c != "image"})
    if format == "csv":
        return frame.to_csv(index=False).rstrip("\n")
    if format == "table":
        return frame.to_string(index=False, float_format="{:.2f}".format)
    text = frame.to_json(orient="records", lines=format == "jsonl", force_ascii=False)
    return text.strip()


@app.command()
def export(
    run: RunPath,
    format: Annotated[str, typer.Option("--format", metavar="learner|bundle",
                      help="learner: for fastai's load_learner. bundle: safetensors and JSON, no pickle.")] = "learner",
    out: Annotated[Path | None, typer.Option("--out", help="A new file; RUN/export.pkl or RUN/model.imgreg if left out.")] = None,
):
    """Write a run as one file that needs nothing else."""
    from . import api

    path = api.export(run, format, out)
    print(f"written: {path}")
    if format == "learner":
        print(f"next: python -c \"from fastai.learner import load_learner; print(load_learner('{path}').predict('photo.png')[0])\"")
    else:
        print(f"next: imgreg predict {path} photo.png")


@app.command()
def data(
    task: TaskName,
    n: Annotated[int, typer.Option("--n", help="How many pictures.")] = 10_000,
    size: Annotated[int, typer.Option("--size", help="Height and width in pixels.")] = 100,
    seed: Annotated[int, typer.Option("--seed")] = 0,
    out: Annotated[Path | None, typer.Option("--out", help="A new folder; data/TASK if left out.")] = None,
):
    """Draw a task's pictures and their labels table."""
    from . import datasets

    table = datasets.make(task, out, n=n, size=size, seed=seed)
    print(f"written: {n} pictures and {table}")
    print(f"next: imgreg train {task} --data {table.parent}" if out else f"next: imgreg train {task}")


@app.command()
def backbones(
    pattern: Annotated[str, typer.Argument(metavar="[PATTERN]", help="Part of a name, or a glob such as 'resnet*'.")] = "",
    size: Size = None,
):
    """List timm backbones: parameters in millions, input size, weights, and whether they are here and work."""
    from . import backbones as rooms

    table = rooms.table(pattern, _size(size))
    if table.empty:
        raise ImgregError("a pattern that a timm backbone matches", f"'{pattern}'", "imgreg backbones resnet")
    print(table.to_string(index=False, na_rep="", float_format="{:.1f}".format))


@app.command()
def info():
    """Tell versions and the machine, for a bug report."""
    import torch

    from . import runs

    for name, value in {**runs.versions(), "imgreg": __version__, "cores": torch.get_num_threads(),
                        "cuda": torch.version.cuda if torch.cuda.is_available() else "none",
                        "bfloat16": str(torch.ops.mkldnn._is_mkldnn_bf16_supported())}.items():
        print(f"{name}: {value}")


def _tell(text: str) -> None:
    print(text, file=sys.stderr)


def _quieten() -> None:
    """Plain lines on stderr for what we say; fastai's two import-time warnings, and those alone, are not shown."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)
    logging.getLogger("imgreg").setLevel(logging.INFO)
    warnings.filterwarnings("ignore", category=FutureWarning, message=r".*torch\.jit\.script.*")
    warnings.filterwarnings("ignore", message=r".*(Pandas4|copy_on_write|copy keyword).*")


def main(args: list[str] | None = None) -> None:
    """Run the command line; a mistake becomes one line on stderr and exit 1."""
    args = sys.argv[1:] if args is None else args
    if args and args[0] == "lr-find":  # a name with an underscore also answers to a dash
        args = ["lr_find", *args[1:]]
    _quieten()
    try:
        app(args)
    except ImgregError as e:
        _tell(f"imgreg: {e}")
        sys.exit(1)
    except KeyboardInterrupt:
        _tell("stopped")
        sys.exit(130)
    except BrokenPipeError:  # the reader of our output has gone
        sys.stderr.close()
        sys.exit(0)


if __name__ == "__main__":
    main()
