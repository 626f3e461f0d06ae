"""The public functions: plain functions that return values. The command line calls them, too."""
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from .. import datasets
from ..data import labels
from ..evaluation import aggregation
from ..inference.tta import moves_for
from ..models.devices import select_device
from ..runs import Run, load_run
from ..runs import list_runs as list_runs  # a public function, too
from ..utils.console import warn
from ..utils.errors import ImgregError
from ..utils.files import atomic_folder, new_files, new_folder
from . import preparation
from .prediction import predict_images
from .preparation import prepare, resolve_options


def check(task="angle", *, fast: bool = False, plot=None, out="runs", **options):
    """Look for all issues of a task's labels and images before a network is trained on them.

    Args:
        task: As for `train`.
        fast: Open no image.
        plot (str | Path | None): A new file for the plot; None: OUT/check-<task>-NNN.png.
        out (str | Path): The folder for the plot.
        **options: As for `train`; with `strict` any issue would stop a training.

    Returns:
        tuple[checks.DataCheck, Path]: The issues, and where they are plotted.
    """
    from .. import plots
    from ..data import checks
    from ..plots import figures, overview

    if plot is not None:
        figures.plot_format(plot)
        if Path(plot).exists():
            raise ImgregError("a new file for --plot", f"'{plot}' in place", "another name")
    plan = resolve_options(task, **options)
    health = checks.check(plan.table, plan.task, plan.images, fast, plan.config)
    preparation.warn_unused_valid(plan, health.frame)
    figure = overview.draw_overview(health)
    if plot is not None:
        return health, plots.save(figure, Path(plot))
    with new_files(Path(out), f"check-{plan.task.name}", ".png") as (path,):
        return health, plots.save(figure, path)


def dataloaders(task="angle", **options):
    """Return fastai DataLoaders for a task: labels in units, images normalised. Options as for `train`."""
    from fastai.torch_core import set_seed

    from . import fitting

    plan = prepare(task, **options)
    set_seed(plan.config.seed)
    return fitting.build_dataloaders(plan)


def learner(task="angle", **options):
    """Return an untrained fastai Learner for a task. Options as for `train`."""
    from . import fitting

    return fitting.build_learner(prepare(task, **options))[0]


def train(task="angle", *, out="runs", dry_run: bool = False, command: str | None = None, **options):
    """Train a network, score it and write a run folder OUT/<task>-NNN.

    Interrupted by Ctrl-C, it leaves a run that can be evaluated.

    Args:
        task (str | Path | Task): A built-in task by name, the path of a labels table or of a folder whose names hold
            the labels, or a Task of your own with `data` its table.
        out (str | Path): The folder for run folders.
        dry_run: Send one batch through everything, scores and plots included, and keep nothing.
        command: What was typed, for run.json; None: this call.
        **options: Those of `preparation.resolve_options` and the fields of TrainConfig.

    Returns:
        runs.Run | runs.Folds | None: The run; with `folds` as many runs in OUT/<task>-NNN; None of a dry run.

    Raises:
        ImgregError: A mistake that the user can mend, in one line.
    """
    from . import fitting

    command = command or preparation.python_call("train", task, out=out, **options)
    if dry_run:
        with TemporaryDirectory(prefix="imgreg-") as folder:
            return fitting.dry_run(prepare(task, sample_folder=folder, **options))
    plan = preparation.read_rows(resolve_options(task, command=command, **options))
    if plan.config.folds and not plan.config.fold:
        return fitting.cross_validate(plan, out)
    return fitting.train(preparation.assign_split(plan), out)


def evaluate(run, table=None, device: str = "auto", images=None, by: str | None = None, how: str = "mean",
             coverage: float | None = None, baselines: bool = False, tta: bool = False) -> dict:
    """Score a run on its validation part, or on another labelled set.

    Scores, predictions and plots are written to RUN/evaluations/NAME, under a new name if that exists. A run whose
    scoring failed after its training is completed first.

    Args:
        run (Run | str | Path): The run, or its folder.
        table (str | Path | None): A labels table, or a folder whose file names hold the labels; images that the run was
            trained on are left out. None: the run's own validation part.
        device: auto, cpu, cuda or mps.
        images (str | Path | None): The folder that the names in the table are relative to.
        by: A column; its images of one value are scored by one prediction.
        how: mean or median, of the predictions for one value of `by`.
        coverage: Share of all images that the intervals hold for; None: as calibrated.
        baselines: Score small models on the same parts, too; see `baselines.load_or_measure`.
        tta: Score the average prediction for an image and its flipped and turned copies; see `Predictor.predict`.

    Returns:
        dict: "folder", where they are written; "scores", {target: {unit, n, mean, ...}}, see metrics.score; and
            "baselines" if asked for.
    """
    from ..evaluation import evaluate

    run = _open_run(run)
    by = "group" if table is None and by == run.task.group else by
    if images is not None and (table is None or Path(table).is_dir()):
        raise ImgregError("--images with a table, to whose names it belongs", str(table or "the run's own pictures"))
    if baselines and (table is not None or by is not None):
        raise ImgregError("--baselines with the run's own validation part, picture by picture",
                          f"--by {by}" if by else f"'{table}'")
    aggregation.check_aggregation(run.task, by, how, coverage)
    model = _load_scored_model(run, device)
    model.resolve_coverage(coverage)  # what cannot be promised is refused before the work
    if tta:
        moves_for(model.task)
    name, rows = _rows_to_score(run, table, images, by)
    train_rows = run.labels[run.labels["split"] == "train"]
    folder = new_folder(run.path / "evaluations", f"{name}-tta" if tta else name)
    try:
        with atomic_folder(folder, "evaluate into") as work:
            scores = evaluate.write_evaluation(work, model, rows.assign(split=name), train_rows, by=by, how=how,
                                               coverage=coverage, tta=tta)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    result = {"folder": str(folder), "scores": scores[name]}
    if baselines:
        from ..evaluation.baselines import load_or_measure

        result["baselines"] = load_or_measure(run, model.device)
    return result


def _load_scored_model(run: Run, device: str):
    """The model of a run, which is scored first if its scoring failed after the training."""
    if run.state == "scoring":
        from . import fitting

        fitting.finish(run, run.labels, device)
    elif run.state != "trained":
        warn(f"the training of {run.path} did not come to its end: {run.state}")
    return load(run.path, device)


def _rows_to_score(run, table, images, by: str | None):
    """What an evaluation is called, and its rows: the validation part, or what a table has beside the trained rows."""
    labelled = run.labels
    if table is None:
        return "valid", labelled[labelled["split"] == "valid"]
    rows = labels.read_labels(table, run.task, to_divide=False, images=images, also=(by,) if by else ())
    rows = labels.exclude_trained(rows, labelled[labelled["split"].isin(("train", "calibrate"))])
    return datasets.own_table.table_name(table), rows


def predict(model, pictures, boxes=None, draw=None, images=None, by: str | None = None, how: str = "mean",
            coverage: float | None = None, tta: bool = False):
    """Predict for images.

    Args:
        model: A run folder or a model file, or an opened Predictor or Ensemble; a list of them predicts as one.
        pictures: Paths of files or folders, globs, bytes, arrays [h, w, 3] or Pillow images, one or many; or the path
            of a table of images, with the columns of the box where the model needs them.
        boxes (np.ndarray | None): [n, 4] or [4] in pixels: centre x, centre y, width, height.
        draw (str | Path | None): A folder for copies of the images with the predictions drawn on them.
        images (str | Path | None): The folder that the names in a table are relative to.
        by: A column of the table, or "folder": one row for all images of one value.
        how: mean or median, of the predictions for one value of `by`.
        coverage: Share of all images that the intervals of a calibrated model hold for; None: as calibrated.
        tta: Average over each image and its flipped and turned copies; see `Predictor.predict`.

    Returns:
        pd.DataFrame: As `Predictor.predict` returns it; `attrs["left_out"]` counts the images that could not be used.
    """
    model = model if hasattr(model, "predict") else load(model)
    return predict_images(model, pictures, boxes, draw, images, by, how, coverage=coverage, tta=tta)


def load(path, device: str = "cpu"):
    """Open a run folder or a model file as a Predictor, several as an Ensemble; a pickle is refused."""
    from ..inference import ensemble, model_file

    if not isinstance(path, (list, tuple)):
        return model_file.load_model(path, select_device(device))
    models = tuple(model if hasattr(model, "predict") else load(model, device) for model in path)
    return models[0] if len(models) == 1 else ensemble.Ensemble(models)


def export(run, format: str | None = None, out=None) -> Path:
    """Write a run as a file that needs nothing else.

    Args:
        run (Run | str | Path): The run, or its folder.
        format: "learner" (fastai's export.pkl) or "bundle" (model.imgreg); None: by the ending of `out`, else learner.
        out (str | Path | None): A new file; None: in the run folder.

    Returns:
        Path: The file.
    """
    from . import exporting

    return exporting.export(_open_run(run), format, out)


def report(run, device: str = "auto") -> Path:
    """Write RUN/report.html anew, one page on what a run is worth; returns its path."""
    from ..reports import run_page

    return run_page.write(_open_run(run), device=select_device(device))


def _open_run(run) -> Run:
    return run if isinstance(run, Run) else load_run(run)


class ComparisonFiles(NamedTuple):
    """A comparison.Comparison, and where it is plotted and told."""

    comparison: object
    plot: Path
    page: Path


def compare(paths, *, part: str = "valid", out="runs") -> ComparisonFiles:
    """Compare two runs or more on the images that all of them predicted; no model is opened.

    Args:
        paths (Iterable[str | Path]): The run folders; differences are to the first.
        part: valid or test.
        out (str | Path): The folder for the plot and the page, compare-NNN.png and compare-NNN.html.

    Returns:
        ComparisonFiles: The comparison, its plot and its page.
    """
    from ..evaluation import comparison
    from ..reports import comparison_page

    result = comparison.compare_runs(list(paths), part)
    return ComparisonFiles(result, *comparison_page.write(result, Path(out)))


def lr_find(task="angle", *, out="runs", **options):
    """Sweep the learning rate for a task.

    Args:
        task: As for `train`.
        out (str | Path): The folder for the plot, lr_find-<task>-NNN.png.
        **options: As for `train`.

    Returns:
        tuple[loop.Sweep, Path]: The sweep with its suggestion, and its plot.
    """
    from .. import plots
    from ..training import loop, precision
    from . import fitting

    _refuse(options, ("lr", "coverage"), "imgreg lr_find")
    plan = prepare(task, **options)
    learn, _ = fitting.build_learner(plan)
    sweep = loop.find_lr(learn, precision.choose_precision(learn, plan.config.precision))
    with new_files(Path(out), f"lr_find-{plan.task.name}", ".png") as (path,):
        return sweep, plots.save(plots.lr_find(sweep.lrs, sweep.losses, sweep.suggestion, sweep.trusted), path)


def curve(task="angle", *, parts=(10, 25, 50, 100), out="runs", command: str | None = None, **options):
    """Train on growing parts of the training images, to estimate what more of them would bring.

    All runs have the same validation part and epochs; none keeps images for intervals or for a test. They are in
    OUT/curve-<task>-NNN, beside curve.png and curve.json.

    Args:
        task: As for `train`.
        parts (Sequence[float]): In per cent, each within the next; whole groups, where there are any.
        out (str | Path): The folder that the folder of the runs is made in.
        command: What was typed, for run.json; None: this call.
        **options: As for `train`.

    Returns:
        learning_curve.LearningCurve: The errors, and the law fitted to them.
    """
    from . import learning_curve

    _refuse(options, ("calibrate", "coverage", "folds", "test"), "imgreg curve")
    command = command or preparation.python_call("curve", task, parts=parts, out=out, **options)
    plan = prepare(task, command=command, **{**options, "calibrate": 0})
    return learning_curve.measure(plan, parts, Path(out))


def _refuse(options: dict, names: tuple[str, ...], command: str) -> None:
    """Raise ImgregError for options that only a training has a use for."""
    preparation.refuse({name: options.get(name) for name in names}, "with imgreg train", command)
