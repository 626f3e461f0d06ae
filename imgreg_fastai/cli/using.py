"""The verbs of what was trained, and those that tell what is here."""
import sys
from pathlib import Path

from .. import __version__
from ..utils.errors import ImgregError
from . import options as o
from .app import app, print_scores
from .parsers import read_size


@app.command()
def evaluate(
    run: o.RunPath, table: o.TableName = None, images: o.Images = None, by: o.By = None, how: o.How = "mean",
    coverage: o.Coverage = None, baselines: o.Baselines = False, tta: o.Tta = False,
    device: o.Device = None,
):
    """Score a run on its validation part or on another labelled set."""
    from .. import api
    from ..evaluation import metrics

    result = api.evaluate(run, table, device or "auto", images, by, how, coverage, baselines, tta)
    for name, s in result["scores"].items():
        print_scores(name, s, f" (by {by})" if by else "", "groups" if by else "pictures")
        print(f"  {metrics.format_details(s)}")
    if baselines:
        from ..evaluation.baselines import format_baselines

        print(format_baselines(result["baselines"]))
    print(f"written: {result['folder']}")


@app.command()
def predict(
    model: o.ModelPath, pictures: o.Pictures, format: o.TableFormat = None, out: o.NewFile = None,
    draw: o.Drawings = None, images: o.Images = None, by: o.By = None, how: o.How = "mean",
    coverage: o.Coverage = None, tta: o.Tta = False, device: o.Device = None,
):
    """Predict numbers for pictures, or for the pictures of a table; of several models the average."""
    from .. import api
    from ..inference import ensemble, output

    ending = out.suffix.lstrip(".") if out else ""
    format = format or (ending if ending in output.FORMATS else "table")
    if format not in output.FORMATS:
        raise ImgregError(f"--format {', '.join(output.FORMATS)}", f"'{format}'")
    if out and out.exists():
        raise ImgregError("a new file for --out", f"'{out}' in place", "another name")
    places = [str(model), *pictures]
    n = ensemble.count_models(places)
    if n == len(places):
        raise ImgregError("pictures after the models", f"{n} models alone")
    listed = [line for p in places[n:] for line in (sys.stdin.read().splitlines() if p == "-" else [p]) if line.strip()]
    opened = api.load(places[:n], device or "auto")
    frame = api.predict(opened, listed, draw=draw, images=images, by=by, how=how, coverage=coverage, tta=tta)
    text = output.format_predictions(frame, format, opened.task)
    if out:
        from ..runs import write_file

        write_file(out, text + "\n")
    else:
        print(text)


@app.command()
def compare(runs: o.RunPaths, part: o.Part = "valid", out: o.Out = Path("runs"), json: o.AsJson = False):
    """Compare runs on the pictures that all of them predicted; no model is opened."""
    from .. import api

    found, plot, page = api.compare(runs, part=part, out=out)
    if json:
        from json import dumps

        print(dumps({**found.to_dict(), "plot": str(plot), "page": str(page)}, ensure_ascii=False, allow_nan=False))
    else:
        print(f"{found.to_text()}\nplot: {plot}   page: {page}")


@app.command()
def runs(folder: o.Folder = Path("runs"), json: o.AsJson = False):
    """List the runs of a folder, the newest last, with their errors on the validation part."""
    from .. import api
    from ..runs import format_runs

    found = api.list_runs(folder)
    if json:
        from json import dumps

        print(dumps({"runs": found}, ensure_ascii=False, allow_nan=False))
    else:
        print(format_runs(found) if found else f"no runs in '{folder}'")


@app.command()
def export(run: o.RunPath, format: o.ModelFormat = None, out: o.ModelOut = None):
    """Write a run as one file that needs nothing else."""
    from .. import api

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
    from .. import api

    print(f"written: {api.report(run, device or 'auto')}")


@app.command()
def backbones(pattern: o.Pattern = "", size: o.Size = None):
    """List timm backbones: parameters in millions, input size, weights, and whether they are here and work."""
    from ..models import backbones as rooms

    table = rooms.table(pattern, read_size(size))
    if table.empty:
        raise ImgregError("a pattern that a timm backbone matches", f"'{pattern}'", "imgreg backbones resnet")
    print(table.to_string(index=False, na_rep="", float_format="{:.1f}".format))


@app.command()
def info():
    """Tell versions and the machine, for a bug report."""
    import torch

    from .. import runs
    from ..training.precision import has_bfloat16

    for name, value in {**runs.versions(), "imgreg": __version__, "cores": torch.get_num_threads(),
                        "cuda": torch.version.cuda if torch.cuda.is_available() else "none",
                        "bfloat16": has_bfloat16()}.items():
        print(f"{name}: {value}")
