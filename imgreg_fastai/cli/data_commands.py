"""The commands that get data and look for issues of it."""
import shlex
from pathlib import Path

import typer

from .. import api
from . import options as o
from .application import PanelCommand, app, print_json, retyped


@app.command(cls=PanelCommand)
@o.with_training_options
def check(
    context: typer.Context, task: o.TaskName, fast: o.Fast = False, json: o.AsJson = False, plot: o.PlotFile = None,
    out: o.Out = Path("runs"), **options,
):
    """Look for all issues of labelled images, before a network is trained on them.

    Exit 1 if anything would stop a training.
    """
    health, plot = api.check(task, fast=fast, plot=plot, out=out, **options)
    if json:
        print_json({**health.to_dict(), "plot": str(plot)})
    else:
        print(f"{health.describe()}\nplot: {plot}")
        print(f"next: {retyped(context, 'train')}" if health.fine else f"next: mend these, then {context.obj}")
    if not health.fine:
        raise typer.Exit(1)


@app.command()
def data(
    task: o.BuiltIn, data: o.Data = None,
    n: o.Count = None, size: o.Pixels = None, seed: o.DrawSeed = None, out: o.DataOut = None,
):
    """Get or draw a task's images, and write their labels table."""
    from .. import datasets
    from ..tasks import PRESETS

    drawing = {name: value for name, value in (("n", n), ("size", size), ("seed", seed)) if value is not None}
    table = datasets.make(task, out, data, **drawing)
    if table.is_file():
        n_images = table.read_text(encoding="utf-8").count("\n") - 1
        print(f"ready: {table}, the labels of {n_images} pictures")
    else:
        print(f"ready: {table}")
    drawn = str(data) == "drawn" or bool(drawing)
    words = ["imgreg", "train", task]
    if out or (data and not drawn):
        folder = table.parent if table.is_file() else table
        words += ["--data", f"./{folder}" if str(folder) == "drawn" else str(folder)]  # `drawn` has its own meaning
        if drawn and "drawn" in PRESETS.get(task, {}):
            words += ["--preset", "drawn"]
    elif drawn:
        words += ["--data", "drawn"]
    print(f"next: {shlex.join(words)}")
