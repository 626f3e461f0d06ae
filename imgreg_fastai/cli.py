"""The verbs for the terminal: results go to stdout, everything else to stderr; exit 0, 1 (a mistake) or 2 (usage)."""
import logging
import shlex
import sys
import warnings
from pathlib import Path

import typer

from . import __version__
from . import options as o
from .errors import ImgregError

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
    print(f"run: {run.path}   report: {run.path / 'report.html'}")
    shown = shlex.quote(run.about["data"]["table"]) if run.task.box else "photo.png"  # a box stands in a table
    print(f"next: imgreg predict {run.path} {shown}")


def _print_scores(name: str, numbers: dict, where: str = "", judged: str = "pictures") -> None:
    from . import coverage, scoring

    print(f"{scoring.sentence(name, numbers)} on {numbers['n']} {judged}{where}")
    if columns := scoring.by_column(numbers):
        print(f"  {columns}")
    if "coverage" in numbers:
        print(f"  {coverage.sentence(numbers['coverage'], numbers['unit'])}")
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
@o.training
def curve(task, given, parts: o.Parts = "10,25,50,100", epochs: o.Epochs = None, out: o.Out = Path("runs")):
    """Train on growing parts of the pictures, and tell what more of them would bring."""
    from . import api

    given |= o.settings({"epochs": epochs})
    found = api.curve(task, parts=o.read_parts(parts), out=out, **given)
    if found.points:
        print(f"{found.told()}\nruns: {found.path}   plot: {found.path / 'curve.png'}")
    if found.state == "interrupted":
        raise typer.Exit(130)


@app.command()
def evaluate(
    run: o.RunPath, table: o.TableName = None, images: o.Images = None, by: o.By = None, how: o.How = "mean",
    coverage: o.Coverage = None, baselines: o.Baselines = False, tta: o.Tta = False,
    device: o.Device = None,
):
    """Score a run on its validation part or on another labelled set."""
    from . import api, scoring

    scores = api.evaluate(run, table, device or "auto", images, by, how, coverage, baselines, tta)
    folder, small = scores.pop("folder"), scores.pop("baselines", {})
    for name, s in scores.items():
        _print_scores(name, s, f" (by {by})" if by else "", "groups" if by else "pictures")
        print(f"  {scoring.details(s)}")
    if small:
        from .baselines import told

        print("\n".join(told(small)))
    print(f"written: {folder}")


@app.command()
def predict(
    model: o.ModelPath, pictures: o.Pictures, format: o.TableFormat = None, out: o.NewFile = None,
    draw: o.Drawings = None, images: o.Images = None, by: o.By = None, how: o.How = "mean",
    coverage: o.Coverage = None, tta: o.Tta = False, device: o.Device = None,
):
    """Predict numbers for pictures, or for the pictures of a table; of several models the average."""
    from . import answers, api, ensembles

    ending = out.suffix.lstrip(".") if out else ""
    format = format or (ending if ending in answers.FORMATS else "table")
    if format not in answers.FORMATS:
        raise ImgregError(f"--format {', '.join(answers.FORMATS)}", f"'{format}'")
    if out and out.exists():
        raise ImgregError("a new file for --out", f"'{out}' in place", "another name")
    places = [str(model), *pictures]
    n = ensembles.leading(places)
    if n == len(places):
        raise ImgregError("pictures after the models", f"{n} models alone")
    listed = [line for p in places[n:] for line in (sys.stdin.read().splitlines() if p == "-" else [p]) if line.strip()]
    opened = api.load(places[:n], device or "auto")
    frame = api.predict(opened, listed, draw=draw, images=images, by=by, how=how, coverage=coverage, tta=tta)
    text = answers.written(frame, format, opened.task)
    if out:
        from .runs import write

        write(out, text + "\n")
    else:
        print(text)


@app.command()
def compare(runs: o.RunPaths, part: o.Part = "valid", out: o.Out = Path("runs"), json: o.AsJson = False):
    """Compare runs on the pictures that all of them predicted; no model is opened."""
    from . import api

    found, plot, page = api.compare(runs, part=part, out=out)
    if json:
        from json import dumps

        print(dumps({**found.to_dict(), "plot": str(plot), "page": str(page)}, ensure_ascii=False, allow_nan=False))
    else:
        print(f"{found.told()}\nplot: {plot}   page: {page}")


@app.command()
def runs(folder: o.Folder = Path("runs"), json: o.AsJson = False):
    """List the runs of a folder, the newest last, with their errors on the validation part."""
    from . import api, ledger

    found = api.list_runs(folder)
    if json:
        from json import dumps

        print(dumps({"runs": found}, ensure_ascii=False, allow_nan=False))
    else:
        print(ledger.told(found) if found else f"no runs in '{folder}'")


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
def report(run: o.RunPath, device: o.Device = None):
    """Write a page on what a run is worth: where it is good, where it fails, and what to do next."""
    from . import api

    print(f"written: {api.report(run, device or 'auto')}")


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
