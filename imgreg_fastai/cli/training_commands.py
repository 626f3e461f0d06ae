"""The commands that train, or sweep the learning rate."""
import shlex
from pathlib import Path

import typer

from .. import api
from . import options as o
from .application import PanelCommand, app, print_scores, retyped, tell


@app.command(cls=PanelCommand)
@o.with_training_options
def train(
    context: typer.Context, task: o.TaskName, epochs: o.Epochs = None, freeze_epochs: o.FreezeEpochs = None,
    patience: o.Patience = None, stop_at: o.StopAt = None, folds: o.Folds = None, dry_run: o.DryRun = False,
    out: o.Out = Path("runs"), **options,
):
    """Train a network, score it beside guessing, and leave a run folder.

    The defaults of a training are the task's recipe; run.json records them.
    """
    run = api.train(task, out=out, dry_run=dry_run, command=context.obj, epochs=epochs, patience=patience,
                    freeze_epochs=freeze_epochs, stop_at=stop_at, folds=folds, **options)
    if run is None:
        return
    if hasattr(run, "runs"):
        _print_folds(run)
        return
    if run.about["state"] == "interrupted":
        tell(f"stopped; what was learnt is kept\nnext: imgreg evaluate {shlex.quote(str(run.path))}")
        raise typer.Exit(130)
    for part, scores_by_target in run.scores.items():
        for name, scores in scores_by_target.items():
            print_scores(name, scores, f" ({part})")
    print(f"run: {run.path}   report: {run.path / 'report.html'}")
    words = ["imgreg", "predict", str(run.path), "photo.png"]
    if run.task.box:  # the boxes stand in the table
        folder = ["--images", str(options["images"])] if "images" in options else []
        words[-1:] = [run.about["data"]["table"], *folder]
    print(f"next: {shlex.join(words)}")


def _print_folds(folds) -> None:
    """Print the scores of a cross-validation: their mean and spread over its folds."""
    from ..utils.format import format_value

    for name, scores in folds.scores.items():
        unit = scores["unit"]
        mean, spread = format_value(scores["mean"], unit), format_value(scores["spread"], unit)
        guessing = format_value(scores.get("baseline", float("nan")), unit)
        errors = ", ".join(f"{error:.3g}" for error in scores["folds"])
        print(f"{name} error {mean} ± {spread} over {len(scores['folds'])} folds ({errors}; guessing: {guessing})")
        if len(scores["columns"]) <= 4:
            for column, numbers in scores["columns"].items():
                print(f"  {column} {format_value(numbers['mean'], unit)} ± {format_value(numbers['spread'], unit)}")
    print(f"runs: {folds.path}")
    if any(run.about["state"] == "interrupted" for run in folds.runs):
        raise typer.Exit(130)


@app.command("lr_find", cls=PanelCommand)
@o.with_training_options
def lr_find(context: typer.Context, task: o.TaskName, out: o.Out = Path("runs"), **options):
    """Sweep the learning rate, print a suggestion and draw the curve."""
    sweep, plot = api.lr_find(task, out=out, **options)
    if sweep.trusted:
        print(f"suggested learning rate: {sweep.suggestion:.2g}   plot: {plot}")
        print(f"next: {retyped(context, 'train')} --lr {sweep.suggestion:.2g}")
    else:
        print(f"no suggestion: the sweep means nothing here ({sweep.why})   plot: {plot}")


@app.command(cls=PanelCommand)
@o.with_training_options
def curve(
    context: typer.Context, task: o.TaskName, parts: o.Parts = "10,25,50,100", epochs: o.Epochs = None,
    out: o.Out = Path("runs"), **options,
):
    """Train on growing parts of the images, and estimate what more of them would bring."""
    result = api.curve(task, parts=parts, out=out, command=context.obj, epochs=epochs, **options)
    if result.points:
        print(f"{result.summary()}\nruns: {result.path}   plot: {result.path / 'curve.png'}")
    if result.state == "interrupted":
        raise typer.Exit(130)
