"""The verbs of data and training."""
import shlex
from pathlib import Path

import typer

from . import options as o
from .app import app, print_scores, tell
from .parsers import read_parts


@app.command()
@o.training
def train(
    task, given, command, out: o.Out = Path("runs"), epochs: o.Epochs = None, freeze_epochs: o.FreezeEpochs = None,
    patience: o.Patience = None, stop_at: o.StopAt = None, folds: o.Folds = None, dry_run: o.DryRun = False,
):
    """Train a network, score it beside guessing, and leave a run folder.

    What is not given is the task's own choice, and stands in run.json.
    """
    from .. import api

    given |= o.settings({"epochs": epochs, "freeze_epochs": freeze_epochs, "patience": patience, "stop_at": stop_at,
                         "folds": folds})
    run = api.train(task, out=out, dry_run=dry_run, command=command, **given)
    if run is None:
        return
    if hasattr(run, "runs"):
        return _print_folds(run)
    if run.about["state"] == "interrupted":
        tell(f"stopped; what was learnt is kept\nnext: imgreg evaluate {run.path}")
        raise typer.Exit(130)
    for part, scores in run.scores.items():
        for name, numbers in scores.items():
            print_scores(name, numbers, f" ({part})")
    print(f"run: {run.path}   report: {run.path / 'report.html'}")
    print(f"next: imgreg predict {run.path} {_to_predict(run, given.get('images'))}")


def _to_predict(run, images) -> str:
    """Pictures to try a run on; its own table, where a box stands in it."""
    if not run.task.box:
        return "photo.png"
    where = f" --images {shlex.quote(str(images))}" if images else ""
    return f"{shlex.quote(run.about['data']['table'])}{where}"


def _print_folds(folds) -> None:
    """The scores of a cross-validation: mean and spread over its folds."""
    from ..evaluation import metrics

    for name, s in folds.scores.items():
        told = {k: metrics.format_value(s.get(k, float("nan")), s["unit"]) for k in ("mean", "spread", "baseline")}
        each = ", ".join(f"{v:.3g}" for v in s["folds"])
        print(f"{name} error {told['mean']} ± {told['spread']} over {len(s['folds'])} folds ({each}; "
              f"guessing: {told['baseline']})")
        for column, c in s["columns"].items() if len(s["columns"]) <= 4 else ():
            print(f"  {column} {metrics.format_value(c['mean'], s['unit'])} ± {metrics.format_value(c['spread'], s['unit'])}")
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
    from .. import api

    health, drawn = api.check(task, fast=fast, plot=plot, out=out, **given)
    if json:
        from json import dumps

        print(dumps({**health.to_dict(), "plot": str(drawn)}, ensure_ascii=False, allow_nan=False))
    else:
        again = f"{shlex.quote(task)}{typed}"
        print(f"{health.describe()}\nplot: {drawn}")
        print(f"next: imgreg train {again}" if health.fine else f"next: mend these, then imgreg check {again}")
    if not health.fine:
        raise typer.Exit(1)


@app.command("lr_find")
@o.training
def lr_find(task, given, out: o.Out = Path("runs")):
    """Sweep the learning rate, print a suggestion and draw the curve."""
    from .. import api

    given.pop("lr", None)
    sweep, plot = api.lr_find(task, out=out, **given)
    if sweep.trusted:
        print(f"suggested learning rate: {sweep.suggestion:.2g}   plot: {plot}")
        print(f"next: imgreg train {task} --lr {sweep.suggestion:.2g}, with the same other options")
    else:
        print(f"no suggestion: the sweep means nothing here ({sweep.why})   plot: {plot}")


@app.command()
@o.training
def curve(task, given, command, parts: o.Parts = "10,25,50,100", epochs: o.Epochs = None, out: o.Out = Path("runs")):
    """Train on growing parts of the pictures, and tell what more of them would bring."""
    from .. import api

    given |= o.settings({"epochs": epochs})
    found = api.curve(task, parts=read_parts(parts), out=out, command=command, **given)
    if found.points:
        print(f"{found.told()}\nruns: {found.path}   plot: {found.path / 'curve.png'}")
    if found.state == "interrupted":
        raise typer.Exit(130)


@app.command()
def data(
    task: o.BuiltIn, data: o.Data = None,
    n: o.Count = None, size: o.Pixels = None, seed: o.DrawSeed = None, out: o.DataOut = None,
):
    """Get or draw a task's pictures, and write their labels table."""
    from .. import datasets

    how = {k: v for k, v in (("n", n), ("size", size), ("seed", seed)) if v is not None}
    try:
        table = datasets.make(task, out, data, **how)
    except KeyboardInterrupt:
        tell("stopped; what was begun is not kept, but for a download, which goes on where it was")
        raise typer.Exit(130) from None
    told = f"{table}, the labels of {table.read_text(encoding='utf-8').count(chr(10)) - 1} pictures"
    print(f"ready: {told if table.is_file() else table}")
    drawn = data == Path("drawn") or bool(how)
    print(f"next: imgreg train {task}{_where(task, table, data, drawn, elsewhere=bool(out))}")


def _where(task: str, table: Path, data: Path | None, drawn: bool, elsewhere: bool) -> str:
    """The options that lead a training to the data just made ready."""
    from ..tasks import PRESETS

    if elsewhere or (data and not drawn):
        preset = " --preset drawn" if drawn and "drawn" in PRESETS.get(task, {}) else ""
        return f" --data {table.parent if table.is_file() else table}{preset}"
    return " --data drawn" if drawn else ""
