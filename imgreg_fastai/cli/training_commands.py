"""The commands that get data, look for issues of it, train, and sweep the learning rate."""
import shlex
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from .. import api
from . import options as o
from .application import PanelCommand, app, print_json, print_scores


@app.command()
@o.with_options("data.data", "data.n", "data.size", "data.seed", "data.out")
def data(task: Annotated[str, o.argument("data.TASK")], **options: Any) -> None:
    """Get or draw a task's images, and write their labels table."""
    from .. import datasets
    from ..tasks import PRESETS

    table = datasets.make(task, **options)
    folder, content = str(table), ""
    if table.is_file():
        n_images = len(table.read_text(encoding="utf-8").splitlines()) - 1
        folder, content = str(table.parent), f", the labels of {n_images} images"
    print(f"ready: {table}{content}")
    words = ["imgreg", "train", task]
    drawn = str(options.get("data")) == "drawn" or any(name in options for name in ("n", "size", "seed"))
    if "out" in options or ("data" in options and not drawn):
        words += ["--data", f"./{folder}" if folder == "drawn" else folder]  # `drawn` has a meaning of its own
        if drawn and "drawn" in PRESETS.get(task, {}):
            words += ["--preset", "drawn"]
    elif drawn:
        words += ["--data", "drawn"]
    print(f"next: {shlex.join(words)}")


@app.command(cls=PanelCommand)
@o.with_options(*o.TRAINING, "fast", "check.plot", "out")
def check(context: typer.Context, task: o.TaskName, json: o.AsJson = False, **options: Any) -> None:
    """Check a table of labels and its images before a training.

    Exit 1 if anything would stop a training.
    """
    health, plot = api.check(task, **options)
    if json:
        print_json({**health.to_dict(), "plot": str(plot)})
    else:
        print(f"{health.describe()}\nplot: {plot}")
        print(f"next: {retyped(context, 'train')}" if health.fine else f"next: mend these, then {context.obj}")
    if not health.fine:
        raise typer.Exit(1)


@app.command(cls=PanelCommand)
@o.with_options("quick", "epochs", "time", "freeze_epochs", "patience", "stop_at", "folds", *o.TRAINING, "save_minutes",
                "dry_run", "out")
def train(context: typer.Context, task: o.TaskName, **options: Any) -> None:
    """Train a network, score it beside guessing, and leave a run folder.

    The defaults of a training are the task's recipe; run.json records them.
    """
    run = api.train(task, command=context.obj, **options)
    if run is not None:
        _print_result(run, options)
        if options.get("quick"):
            words = [word for word in shlex.split(context.obj) if word != "--quick"]
            print(f"next, to train a network: {shlex.join(words)}")


@app.command()
@o.with_options("resume.epochs", "force", "resume.device")
def resume(run: Annotated[Path, o.argument("resume.RUN")], **options: Any) -> None:
    """Go on with a run that was stopped, or train it longer, in the same folder."""
    _print_result(api.resume(run, **options), {})


def _print_result(run: Any, options: dict[str, Any]) -> None:
    """Print the scores of a training, and what to type next; exit 130 if it was interrupted."""
    if hasattr(run, "points"):
        _print_curve(run)
        return
    if hasattr(run, "runs"):
        _print_folds(run)
        return
    if run.state == "interrupted":
        has_model = (run.path / "model.safetensors").exists()
        _exit_interrupted(run.path, f", or imgreg evaluate {shlex.quote(str(run.path))}" if has_model else "",
                          is_saved=(run.path / "last.ckpt").exists())
    for part, scores_by_target in run.scores.items():
        for name, scores in scores_by_target.items():
            print_scores(name, scores, f" ({part})")
    print(f"run: {run.path}   report: {run.path / 'report.html'}")
    pictures = ["photo.png"]
    if run.task.box:  # the boxes stand in the table
        pictures = [run.about["data"]["table"]]
        if "images" in options:
            pictures += ["--images", str(options["images"])]
    print(f"next: {shlex.join(['imgreg', 'predict', str(run.path), *pictures])}")


def _print_folds(folds: Any) -> None:
    """Print the scores of a cross-validation: their mean and spread over its folds."""
    from ..evaluation.metrics import describe_guessing
    from ..utils.format import format_value

    for name, scores in folds.scores.items():
        unit = scores["unit"]
        mean, spread = format_value(scores["mean"], unit), format_value(scores["spread"], unit)
        guessing = format_value(scores.get("baseline", float("nan")), unit)
        errors = ", ".join(f"{error:.3g}" for error in scores["folds"])
        print(f"{name} error {mean} ± {spread} over {len(scores['folds'])} folds ({errors}; guessing: {guessing})")
        if against_guessing := describe_guessing(scores["mean"], scores.get("baseline", 0.0)):
            print(f"  {against_guessing}")
        if len(scores["columns"]) <= 4:
            for column, numbers in scores["columns"].items():
                print(f"  {column} {format_value(numbers['mean'], unit)} ± {format_value(numbers['spread'], unit)}")
    print(f"runs: {folds.path}")
    if any(run.state == "interrupted" for run in folds.runs):
        _exit_interrupted(folds.path)


def _exit_interrupted(path: Path, alternative: str = "", is_saved: bool = True) -> NoReturn:
    """Say how to go on with what Ctrl-C has stopped, and exit."""
    state = "; what was learnt is kept" if is_saved else " before the first checkpoint: resume begins anew"
    typer.echo(f"stopped{state}\nnext: imgreg resume {shlex.quote(str(path))}{alternative}", err=True)
    raise typer.Exit(130)


@app.command("lr_find", cls=PanelCommand)
@o.with_options(*o.TRAINING, "out")
def lr_find(context: typer.Context, task: o.TaskName, **options: Any) -> None:
    """Sweep the learning rate, print a suggestion beside the recipe's rate, and draw the curve."""
    sweep, plot = api.lr_find(task, **options)
    train = retyped(context, "train")
    if not sweep.trusted:
        print(f"no suggestion: the sweep means nothing here ({sweep.why})   plot: {plot}")
        if sweep.default:
            print(f"a training takes {sweep.default:g} by itself")
    elif sweep.by_recipe:
        print(f"suggested learning rate: {sweep.suggestion:.2g}, by a sweep of the untrained network   plot: {plot}")
        print(f"the recipe's {sweep.default:g} was chosen by the errors of whole trainings: rather trust that, or "
              f"compare it with --lr {sweep.suggestion:.2g}")
        print(f"next: {train}")
    else:
        default = "" if sweep.default is None else f" (default: {sweep.default:g})"
        print(f"suggested learning rate: {sweep.suggestion:.2g}{default}   plot: {plot}")
        print(f"next: {train} --lr {sweep.suggestion:.2g}")


@app.command(cls=PanelCommand)
@o.with_options("quick", "epochs", *o.TRAINING, "save_minutes", "curve.parts", "out")
def curve(context: typer.Context, task: o.TaskName, **options: Any) -> None:
    """Train on growing parts of the images, and estimate what more of them would bring."""
    _print_curve(api.curve(task, command=context.obj, **options))


def _print_curve(curve: Any) -> None:
    """Print the errors of a learning curve, and what more images would bring."""
    if curve.points:
        print(f"{curve.summary()}\nruns: {curve.path}   plot: {curve.path / 'curve.png'}")
    if curve.state == "interrupted":
        _exit_interrupted(curve.path)


def retyped(context: typer.Context, command: str) -> str:
    """Return what was typed, for another command that has the same options, without --fast, --plot and --out."""
    words, kept_words = iter(shlex.split(context.obj)[2:]), []
    for word in words:
        name, equals, _ = word.partition("=")
        if name in ("--plot", "--out"):
            if not equals:
                next(words)  # the option's value
        elif name != "--fast":
            kept_words.append(word)
    return shlex.join(["imgreg", command, *kept_words])
