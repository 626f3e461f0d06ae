"""The commands on runs and models, and those that tell what is here."""
import shlex
import sys
from pathlib import Path
from typing import Annotated, Literal, get_args

import typer

from .. import __version__, api
from ..utils.errors import ImgregError
from . import options as o
from .application import app, print_json, print_scores, tell

TableFormat = Literal["table", "csv", "json", "jsonl"]


@app.command()
def evaluate(
    run: o.RunPath,
    table: Annotated[Path | None, o.argument("TABLE", "A labels table, or a folder whose file names hold the labels "
                                                      "(default: the validation part).")] = None,
    images: o.Images = None,
    by: o.By = None,
    how: o.How = "mean",
    coverage: o.Coverage = None,
    baselines: Annotated[bool, o.option("evaluate.baselines")] = False,
    tta: o.Tta = False,
    device: o.Device = "auto",
) -> None:
    """Score a run on its validation part or on another labelled set."""
    from ..evaluation import metrics

    result = api.evaluate(run, table, device, images, by, how, coverage, baselines, tta)
    for name, scores in result["scores"].items():
        print_scores(name, scores, f" (by {by})" if by else "", "groups" if by else "pictures")
        print(f"  {metrics.format_details(scores)}")
    if baselines:
        from ..evaluation.baselines import format_baselines

        print(format_baselines(result["baselines"]))
    print(f"written: {result['folder']}")


@app.command()
def predict(
    model: Annotated[Path, o.argument("MODEL", "A run folder or a model file; further ones are averaged with it.")],
    pictures: Annotated[list[str], o.argument("PICTURES", "Files, folders, globs, or - for a list on stdin.")],
    format: Annotated[TableFormat | None, o.option("predict.format")] = None,
    out: Annotated[Path | None, o.option("predict.out")] = None,
    draw: Annotated[Path | None, o.option("predict.draw")] = None,
    images: o.Images = None,
    by: o.By = None,
    how: o.How = "mean",
    coverage: o.Coverage = None,
    tta: o.Tta = False,
    device: o.Device = "auto",
) -> None:
    """Predict numbers for images, or for the images of a table; of several models the average.

    Exit 1 if an image had to be left out.
    """
    from ..inference import ensemble, prediction_table
    from ..runs import write_file

    if out and out.exists():
        raise ImgregError("a new file for --out", f"'{out}' in place", "another name")
    paths = [str(model), *pictures]
    n_models = ensemble.count_models(paths)
    if n_models == len(paths):
        raise ImgregError("pictures after the models", f"{n_models} models alone")
    sources: list[str] = []
    for path in paths[n_models:]:
        sources += sys.stdin.read().splitlines() if path == "-" else [path]
    predictor = api.load(paths[:n_models], device)
    predictions = api.predict(predictor, [path for path in sources if path.strip()], draw=draw, images=images,
                              by=by, how=how, coverage=coverage, tta=tta)
    ending = out.suffix.lstrip(".") if out else ""
    chosen_format = format or (ending if ending in get_args(TableFormat) else "table")
    text = prediction_table.format_predictions(predictions, chosen_format, predictor.task)
    if out:
        write_file(out, text + "\n")
    else:
        print(text)
    n_left_out = predictions.attrs["left_out"]
    if n_left_out:
        tell(f"left out: {n_left_out} of the pictures")
        raise typer.Exit(1)


@app.command()
def compare(
    runs: Annotated[list[Path], o.argument("RUN", "Run folders; differences are to the first.")],
    part: Annotated[str, o.option("compare.part")] = "valid",
    out: o.Out = Path("runs"),
    json: o.AsJson = False,
) -> None:
    """Compare runs on the images that all of them predicted; no model is opened."""
    comparison, plot, page = api.compare(runs, part=part, out=out)
    if json:
        print_json({**comparison.to_dict(), "plot": str(plot), "page": str(page)})
    else:
        print(f"{comparison.to_text()}\nplot: {plot}   page: {page}")


@app.command()
def runs(
    folder: Annotated[Path, o.argument("FOLDER", "A folder of runs.")] = Path("runs"), json: o.AsJson = False,
) -> None:
    """List the runs of a folder, the newest last, with their errors on the validation part."""
    from ..runs import format_runs

    lines = api.list_runs(folder)
    if json:
        print_json({"runs": lines})
    else:
        print(format_runs(lines) if lines else f"no runs in '{folder}'")


@app.command()
def export(
    run: o.RunPath,
    format: Annotated[str | None, o.option("export.format")] = None,
    out: Annotated[Path | None, o.option("export.out")] = None,
) -> None:
    """Write a run as one file that needs nothing else."""
    path = api.export(run, format, out)
    print(f"written: {path}")
    if path.suffix != ".imgreg" and format != "bundle":
        print("next: python -c \"from fastai.learner import load_learner; "
              f"print(load_learner('{path}').predict('photo.png')[0])\"")
    else:
        print(f"next: {shlex.join(['imgreg', 'predict', str(path), 'photo.png'])}")


@app.command()
def report(run: o.RunPath, device: o.Device = "auto") -> None:
    """Write a page on what a run is worth: where it is good, where it fails, and what to do next."""
    print(f"written: {api.report(run, device)}")


@app.command()
def backbones(
    pattern: Annotated[str, o.argument("PATTERN", "Part of a name, or a glob such as 'resnet*'.")] = "",
    size: o.Size = None,
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
