"""The commands on runs and models, and those that tell what is here."""
import shlex
import sys
from pathlib import Path
from typing import Annotated, Any, get_args

import typer

from .. import __version__, api
from ..utils.messages import ImgregError
from . import options as o
from .application import app, print_json, print_scores


@app.command()
@o.with_options("evaluate.targets", "images", "by", "how", "coverage", "evaluate.baselines", "tta", "max_pixels",
                "device")
def evaluate(run: o.RunPath, table: Annotated[Path | None, o.argument("TABLE")] = None, **options: Any) -> None:
    """Score a run on its validation part or on another labelled set."""
    from ..evaluation import metrics

    result = api.evaluate(run, table, **options)
    by = options.get("by")
    for name, scores in result["scores"].items():
        print_scores(name, scores, f" (by {by})" if by else "", "groups" if by else "images")
        print(f"  {metrics.format_details(scores)}")
    if "baselines" in result:
        from ..evaluation.baselines import format_baselines

        print(format_baselines(result["baselines"]))
    print(f"written: {result['folder']}")


@app.command()
@o.with_options("predict.draw", "images", "by", "how", "coverage", "predict.joint", "tta", "max_pixels")
def predict(
    model: Annotated[Path, o.argument("MODEL")],
    pictures: Annotated[list[str], o.argument("IMAGES")],
    format: Annotated[o.TableFormat | None, o.option("predict.format")] = None,
    out: Annotated[Path | None, o.option("predict.out")] = None,
    device: Annotated[str, o.option("device")] = "auto",
    **options: Any,
) -> None:
    """Predict numbers for images, or for the images of a table; several models are averaged.

    Exit 1 if an image had to be left out.
    """
    from ..inference import ensemble, prediction_table
    from ..runs import write_file

    if out and out.exists():
        raise ImgregError("a new file for --out", f"'{out}' in place", "another name")
    paths = [str(model), *pictures]
    n_models = ensemble.count_models(paths)
    if n_models == len(paths):
        raise ImgregError("images after the models", f"{n_models} models alone")
    sources: list[str] = []
    for path in paths[n_models:]:
        sources += sys.stdin.read().splitlines() if path == "-" else [path]
    predictor = api.load(paths[:n_models], device)
    predictions = api.predict(predictor, [path for path in sources if path.strip()], **options)
    ending = out.suffix.lstrip(".") if out else ""
    chosen_format = format or (ending if ending in get_args(o.TableFormat) else "table")
    text = prediction_table.format_predictions(predictions, chosen_format, predictor.task)
    if out:
        write_file(out, text + "\n")
        print(f"written: {out}")
    else:
        print(text)
    n_left_out = predictions.attrs["left_out"]
    if n_left_out:
        typer.echo(f"left out: {n_left_out} of the images", err=True)
        raise typer.Exit(1)


@app.command()
@o.with_options("compare.part", "out")
def compare(
    runs: Annotated[list[Path], o.argument("compare.RUN")], json: o.AsJson = False, **options: Any,
) -> None:
    """Compare runs on the images that all of them predicted; no model is opened."""
    comparison, plot, page = api.compare(runs, **options)
    if json:
        print_json({**comparison.to_dict(), "plot": str(plot), "page": str(page)})
    else:
        print(f"{comparison.to_text()}\nplot: {plot}   page: {page}")


@app.command()
def runs(folder: Annotated[Path, o.argument("FOLDER")] = Path("runs"), json: o.AsJson = False) -> None:
    """List the runs of a folder, the newest last, with their errors on the validation part."""
    from ..runs import format_runs

    lines = api.list_runs(folder)
    if json:
        print_json({"runs": lines})
    else:
        print(format_runs(lines) if lines else f"no runs in '{folder}'")


@app.command()
@o.with_options("export.format", "export.out")
def export(run: o.RunPath, **options: Any) -> None:
    """Write a run as one file that needs nothing else."""
    path = api.export(run, **options)
    print(f"written: {path}")
    if path.suffix != ".imgreg" and options.get("format") != "bundle":
        print("next: python -c \"from fastai.learner import load_learner; "
              f"print(load_learner('{path}').predict('photo.png')[0])\"")
    else:
        print(f"next: {shlex.join(['imgreg', 'predict', str(path), 'photo.png'])}")


@app.command()
@o.with_options("device")
def report(run: o.RunPath, **options: Any) -> None:
    """Write a page on what a run is worth: where it is good, where it fails, and what to do next."""
    print(f"written: {api.report(run, **options)}")


@app.command()
def backbones(
    pattern: Annotated[str, o.argument("PATTERN")] = "", size: Annotated[Any, o.option("backbones.size")] = None,
) -> None:
    """List timm backbones: parameters in millions, input size, weights, and whether they are here and work."""
    from ..models.backbones import table

    rows = table(pattern, size)
    if rows.empty:
        raise ImgregError("a pattern that a timm backbone matches", f"'{pattern}'", "imgreg backbones resnet")
    print(rows.to_string(index=False, na_rep="", float_format="{:.1f}".format))


@app.command()
def info() -> None:
    """Print versions and facts about the machine, for a bug report."""
    import torch

    from .. import runs
    from ..training.precision import has_bfloat16

    cuda = torch.version.cuda if torch.cuda.is_available() else "none"
    facts = {**runs.versions(), "imgreg": __version__, "cores": torch.get_num_threads(), "cuda": cuda,
             "bfloat16": has_bfloat16()}
    for name, value in facts.items():
        print(f"{name}: {value}")
