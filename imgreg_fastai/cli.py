"""The verbs for the terminal: results go to stdout, everything else to stderr; exit 0, 1 (a mistake) or 2 (usage)."""
import logging
import math
import shlex
import sys
import warnings
from pathlib import Path

import typer

from . import __version__
from . import options as o
from .errors import ImgregError

FORMATS = ("table", "csv", "json", "jsonl")  # of predictions
app = typer.Typer(
    name="imgreg", no_args_is_help=True, add_completion=True, rich_markup_mode=None, pretty_exceptions_enable=False,
    help="Turn pictures into numbers: train, evaluate, predict and export image regression.",
    epilog="Begin with: imgreg train angle",
)


@app.callback(invoke_without_command=True)
def version(show: o.Version = False):
    """Turn pictures into numbers: train, evaluate, predict and export image regression."""
    if show:
        print(f"imgreg {__version__}")
        raise typer.Exit


@app.command()
@o.training
def train(
    task, given, out: o.Out = Path("runs"), epochs: o.Epochs = None, freeze_epochs: o.FreezeEpochs = None,
    patience: o.Patience = None, stop_at: o.StopAt = None, folds: o.Folds = None, dry_run: o.DryRun = False,
):
    """Train a network, score it beside guessing, and leave a run folder.

    What is not given is the task's own choice, and stands in run.json.
    """
    from . import api

    given |= o.settings({"epochs": epochs, "freeze_epochs": freeze_epochs, "patience": patience, "stop_at": stop_at,
                         "folds": folds})
    run = api.train(task, out=out, dry_run=dry_run, **given)
    if run is None:
        return
    if hasattr(run, "runs"):
        return _tell_folds(run)
    if run.about["state"] == "interrupted":
        _tell(f"stopped; what was learnt is kept\nnext: imgreg evaluate {run.path}")
        raise typer.Exit(130)
    for part, scores in run.scores.items():
        for name, numbers in scores.items():
            _print_scores(name, numbers, f" ({part})")
    print(f"run: {run.path}   plots: {run.path / 'plots'}")
    print(f"next: imgreg predict {run.path} photo.png")


def _print_scores(name: str, numbers: dict, where: str = "") -> None:
    from . import scoring

    print(f"{scoring.sentence(name, numbers)} on {numbers['n']} pictures{where}")
    if columns := scoring.by_column(numbers):
        print(f"  {columns}")
    if groups := numbers.get("groups"):
        worst = ", ".join(f"{g} {scoring.quantity(s['mean'], numbers['unit'])}" for g, s in list(groups.items())[:5])
        print(f"  by group, worst first: {worst}" + (f" and {len(groups) - 5} more" if len(groups) > 5 else ""))


def _tell_folds(folds) -> None:
    """The scores of a cross-validation: mean and spread over its folds."""
    from . import scoring

    for name, s in folds.scores.items():
        told = {k: scoring.quantity(s.get(k, float("nan")), s["unit"]) for k in ("mean", "spread", "baseline")}
        each = ", ".join(f"{v:.3g}" for v in s["folds"])
        print(f"{name} error {told['mean']} ± {told['spread']} over {len(s['folds'])} folds ({each}; "
              f"guessing: {told['baseline']})")
        for column, c in s["columns"].items() if len(s["columns"]) <= 4 else ():
            print(f"  {column} {scoring.quantity(c['mean'], s['unit'])} ± {scoring.quantity(c['spread'], s['unit'])}")
    print(f"runs: {folds.path}")
    if any(run.about["state"] == "interrupted" for run in folds.runs):
        raise typer.Exit(130)


@app.command()
@o.training
def check(
    task, given, typed, fast: o.Fast = False, json: o.AsJson = False, plot: o.PlotFile = None,
    out: o.Out = Path("runs"),
):
    """Look for all that is wrong with labelled pictures, before a network is trained on them.

    Exit 1 if anything would stop a training.
    """
    from . import api

    health, drawn = api.check(task, fast=fast, plot=plot, out=out, **given)
    if json:
        from json import dumps

        print(dumps({**health.to_dict(), "plot": str(drawn)}, ensure_ascii=False, allow_nan=False))
    else:
        again = f"{shlex.quote(task)}{typed}"
        print(f"{health.told()}\nplot: {drawn}")
        print(f"next: imgreg train {again}" if health.fine else f"next: mend these, then imgreg check {again}")
    if not health.fine:
        raise typer.Exit(1)


@app.command("lr_find")
@o.training
def lr_find(task, given, out: o.Out = Path("runs")):
    """Sweep the learning rate, print a suggestion and draw the curve."""
    from . import api

    given.pop("lr", None)
    sweep, plot = api.lr_find(task, out=out, **given)
    if sweep.trusted:
        print(f"suggested learning rate: {sweep.suggestion:.2g}   plot: {plot}")
        print(f"next: imgreg train {task} --lr {sweep.suggestion:.2g}, with the same other options")
    else:
        print(f"no suggestion: the sweep means nothing here ({sweep.why})   plot: {plot}")


@app.command()
def evaluate(
    run: o.RunPath, table: o.TableName = None, images: o.Images = None, by: o.By = None, how: o.How = "mean",
    device: o.Device = None,
):
    """Score a run on its validation part or on another labelled set."""
    from . import api, scoring

    scores = api.evaluate(run, table, device or "auto", images, by, how)
    folder = scores.pop("folder")
    for name, s in scores.items():
        _print_scores(name, s)
        told = (k for k in ("median", "p90", "p95", "max", "rmse", "bias") if k in s)
        print("  " + "  ".join(f"{k} {scoring.quantity(s[k], s['unit'])}" for k in told))
    print(f"written: {folder}")


@app.command()
def predict(
    model: o.ModelPath, pictures: o.Pictures, format: o.TableFormat = None, out: o.NewFile = None,
    draw: o.Drawings = None, images: o.Images = None, by: o.By = None, how: o.How = "mean", device: o.Device = None,
):
    """Predict numbers for pictures, or for the pictures of a table."""
    from . import api

    ending = out.suffix.lstrip(".") if out else ""
    format = format or (ending if ending in FORMATS else "table")
    if format not in FORMATS:
        raise ImgregError("--format table, csv, json or jsonl", f"'{format}'")
    if out and out.exists():
        raise ImgregError("a new file for --out", f"'{out}' in place", "another name")
    listed = [line for p in pictures for line in (sys.stdin.read().splitlines() if p == "-" else [p]) if line.strip()]
    frame = api.predict(api.load(model, device or "auto"), listed, draw=draw, images=images, by=by, how=how)
    text = _formatted(frame, format)
    if out:
        from .runs import write

        write(out, text + "\n")
    else:
        print(text)


def _formatted(frame, format: str) -> str:
    numbers = frame.select_dtypes("number").columns
    finer = {c: _decimals(frame[c].abs().max()) for c in numbers}  # small numbers are to be seen, too
    frame = frame.round({c: 4 + more for c, more in finer.items()})
    if format == "csv":
        return frame.to_csv(index=False).rstrip("\n")
    if format == "table":
        shown = {c: (f"{{:.{2 + finer[c]}f}}" if frame[c].dtype.kind == "f" else "{}").format for c in numbers}
        return frame.to_string(index=False, formatters=shown)
    text = frame.to_json(orient="records", lines=format == "jsonl", force_ascii=False)
    return text.strip()


def _decimals(largest: float) -> int:
    """How many decimals more than usual numbers of up to `largest` take: none from 1 on."""
    return max(0, -math.floor(math.log10(largest))) if 0 < largest < 1 else 0


@app.command()
def export(run: o.RunPath, format: o.ModelFormat = None, out: o.ModelOut = None):
    """Write a run as one file that needs nothing else."""
    from . import api

    path = api.export(run, format, out)
    print(f"written: {path}")
    if path.suffix != ".imgreg" and format != "bundle":
        print("next: python -c \"from fastai.learner import load_learner; "
              f"print(load_learner('{path}').predict('photo.png')[0])\"")
    else:
        print(f"next: imgreg predict {path} photo.png")


@app.command()
def data(
    task: o.BuiltIn, data: o.Data = None,
    n: o.Count = None, size: o.Pixels = None, seed: o.DrawSeed = None, out: o.DataOut = None,
):
    """Get or draw a task's pictures, and write their labels table."""
    from . import datasets

    how = {k: v for k, v in (("n", n), ("size", size), ("seed", seed)) if v is not None}
    try:
        table = datasets.make(task, out, data, **how)
    except KeyboardInterrupt:
        _tell("stopped; what was begun is not kept, but for a download, which goes on where it was")
        raise typer.Exit(130) from None
    told = f"{table}, the labels of {table.read_text(encoding='utf-8').count(chr(10)) - 1} pictures"
    print(f"ready: {told if table.is_file() else table}")
    drawn = data == Path("drawn") or bool(how)
    print(f"next: imgreg train {task}{_where(task, table, data, drawn, elsewhere=bool(out))}")


def _where(task: str, table: Path, data: Path | None, drawn: bool, elsewhere: bool) -> str:
    """The options that lead a training to the data just made ready."""
    from .tasks import PRESETS

    if elsewhere or (data and not drawn):
        preset = " --preset drawn" if drawn and "drawn" in PRESETS.get(task, {}) else ""
        return f" --data {table.parent if table.is_file() else table}{preset}"
    return " --data drawn" if drawn else ""


@app.command()
def backbones(pattern: o.Pattern = "", size: o.Size = None):
    """List timm backbones: parameters in millions, input size, weights, and whether they are here and work."""
    from . import backbones as rooms

    table = rooms.table(pattern, o.read_size(size))
    if table.empty:
        raise ImgregError("a pattern that a timm backbone matches", f"'{pattern}'", "imgreg backbones resnet")
    print(table.to_string(index=False, na_rep="", float_format="{:.1f}".format))


@app.command()
def info():
    """Tell versions and the machine, for a bug report."""
    import torch

    from . import runs
    from .precision import has_bfloat16

    for name, value in {**runs.versions(), "imgreg": __version__, "cores": torch.get_num_threads(),
                        "cuda": torch.version.cuda if torch.cuda.is_available() else "none",
                        "bfloat16": has_bfloat16()}.items():
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


if __name__ == "__main__":
    main()
