"""The verbs as plain functions that return values. cli.py says the same in the terminal."""
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from .. import datasets
from ..data import labels
from ..evaluation import aggregation
from ..tasks import Task
from ..utils.console import warn
from ..utils.errors import ImgregError
from ..utils.files import atomic_folder
from ..utils.numbered import new_files, new_folder
from . import fitting, prediction, preparation
from .preparation import prepare, resolve_options


def check(task="angle", *, fast=False, plot=None, out="runs", images=None, **options):
    """Look for all faults of a task's labels and pictures; returns checks.Health and the path of a plot of them.

    `fast` opens no picture; `plot`: a new file, else OUT/check-<task>-NNN.png; other options as for `train`, of which
    `strict` lets any finding stop.
    """
    from .. import plots
    from ..data import checks
    from ..plots import figures, overview

    if plot is not None:
        figures.plot_format(plot)
        if Path(plot).exists():
            raise ImgregError("a new file for --plot", f"'{plot}' in place", "another name")
    chosen, cfg, table = resolve_options(task, images=images, **options)
    health = checks.check(table, chosen, images, fast, cfg)
    preparation.warn_unused_valid(options.get("valid"), health.frame, cfg, table)
    figure = overview.draw_overview(health)
    if plot is not None:
        return health, plots.save(figure, Path(plot))
    with new_files(Path(out), f"check-{chosen.name}", ".png") as (path,):
        return health, plots.save(figure, path)


def dataloaders(task="angle", **options):
    """fastai DataLoaders for a task; options as for `train`. Labels are in units, pictures normalised."""
    task, cfg, frame, _ = prepare(task, **options)
    return fitting.loaders(task, cfg, frame)


def learner(task="angle", **options):
    """A fastai Learner for a task, untrained; options as for `train`."""
    task, cfg, frame, _ = prepare(task, **options)
    return fitting.learner(task, cfg, frame)[0]


def train(task="angle", *, out="runs", dry_run=False, command=None, **options):
    """Train, score and write a run folder OUT/<task>-NNN; returns the Run (None for a dry run).

    Options: those of `prepare` and the fields of TrainConfig. `command`: what was typed, for run.json; the call by default.
    `dry_run` sends one batch through everything, scores and
    plots included, and leaves nothing. With `folds` it trains as many runs within OUT/<task>-NNN, and returns Folds.
    Interrupted, it leaves a run that can be evaluated. Raises ImgregError for what the user can mend.
    """
    command = command or preparation.python_call("train", task, out=out, **options)
    images = options.get("images")
    if dry_run:
        with TemporaryDirectory(prefix="imgreg-") as folder:
            chosen, cfg, table = resolve_options(task, sample_folder=folder, **options)
            rows = preparation.read_labels(table, chosen, cfg, images, options.get("valid"))
            done, frame = preparation.split_and_complete(chosen, cfg, rows)
            return fitting.dry_run(done, cfg, frame, table, images)
    chosen, cfg, table = resolve_options(task, **options)
    rows = preparation.read_labels(table, chosen, cfg, images, options.get("valid"))
    done, frame = preparation.split_and_complete(chosen, cfg, rows)
    if not cfg.folds or cfg.fold:
        return fitting.train(done, cfg, frame, table, out, images, command)
    rows = rows.drop(columns="split", errors="ignore")  # it is not used, as was said once

    def train_fold(fold, folder):
        own = replace(cfg, fold=fold)
        done, frame = preparation.split_and_complete(chosen, own, rows)
        return fitting.train(done, own, frame, table, folder, images, command)

    return fitting.cross_validate(done.name, cfg.folds, Path(out), train_fold)


def evaluate(run, table=None, device: str = "auto", images=None, by=None, how: str = "mean",
             coverage: float | None = None, baselines: bool = False, tta: bool = False) -> dict:
    """Score a run on its validation part, or on another labelled set; returns {folder, scores, baselines}.

    `folder`: where scores, predictions and plots are written, RUN/evaluations/NAME, under a new name if that exists;
    `scores`: {target: {unit, n, mean, ...}}, see metrics.score; `baselines`: only if asked for. A run whose scoring
    failed after its training is completed first.

    `table`: a labels table, or a folder whose file names hold the labels; pictures the run was trained on are left out.
    `images`: the folder that its names are relative to. `by`: a column; its pictures of one value are judged by one
    answer, their `how` mean or median. `coverage`: of the intervals, see Predictor.intervals. `baselines`: add
    the scores of small models on the same parts, see baselines.load_or_measure. `tta`: what is scored is the
    average answer for a picture and its moved copies, see Predictor.predict.
    """
    from .. import runs
    from ..evaluation import evaluate
    from ..inference import model_file
    from ..inference.tta import moves_for

    run = run if isinstance(run, runs.Run) else runs.load_run(run)
    by = "group" if table is None and by == run.task.group else by
    if images is not None and (table is None or Path(table).is_dir()):
        raise ImgregError("--images with a table, to whose names it belongs", str(table or "the run's own pictures"))
    if baselines and (table is not None or by is not None):
        raise ImgregError("--baselines with the run's own validation part, picture by picture",
                          f"--by {by}" if by else f"'{table}'")
    aggregation.check_aggregation(run.task, by, how, coverage)
    if run.state == "scoring":
        fitting.finish(run, run.labels, device)
    elif run.state != "trained":
        warn(f"the training of {run.path} did not come to its end: {run.state}")
    model = model_file.load_model(run.path, fitting.device(device))
    model.resolve_coverage(coverage)  # what cannot be promised is known before the work
    if tta:
        moves_for(model.task)
    train_rows, rows, name = _scored_rows(run, model.task, table, images, by)
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


def _scored_rows(run, task: Task, table, images, by) -> tuple:
    """What `evaluate` scores: (training rows, rows to be scored, what they are called)."""
    known = run.labels
    trained = known[known["split"] == "train"]
    if table is None:
        return trained, known[known["split"] == "valid"], "valid"
    read = labels.read_labels(table, task, to_divide=False, images=images, also=(by,) if by else ())
    frame = labels.exclude_trained(read, known[known["split"].isin(("train", "calibrate"))])
    return trained, frame, datasets.own_table.table_name(table)


def predict(model, pictures, boxes=None, draw=None, images=None, by=None, how: str = "mean",
            coverage: float | None = None, tta: bool = False):
    """Predict for pictures with a run or model file (or an opened Predictor); returns Predictor.predict's DataFrame.

    A list of models answers as one, see ensemble.Ensemble.
    `pictures` may be the path of a table of pictures, with the columns of the box where the model needs them; `images`
    is the folder that its names are relative to. `draw`: a folder for copies of the pictures with the predictions drawn
    on them. `by`: a column of the table, or "folder": one row for all pictures of one value, their `how` mean or
    median. `coverage`: of the intervals of a calibrated model; one answer for several pictures has none. `tta`: the
    average answer for a picture and its moved copies, see Predictor.predict.
    """
    model = model if hasattr(model, "predict") else load(model)
    return prediction.predict_pictures(model, pictures, boxes, draw, images, by, how, coverage=coverage, tta=tta)


def load(path, device: str = "cpu"):
    """Open a run folder or a model file (model.imgreg) as a Predictor, several as an Ensemble; a pickle is refused."""
    from ..inference import ensemble, model_file

    if not isinstance(path, (list, tuple)):
        return model_file.load_model(path, fitting.device(device))
    models = tuple(one if hasattr(one, "predict") else load(one, device) for one in path)
    return models[0] if len(models) == 1 else ensemble.Ensemble(models)


def export(run, format: str | None = None, out=None) -> Path:
    """Write a run as a file that needs nothing else: `learner` (fastai's export.pkl) or `bundle` (model.imgreg).

    Without a format the ending of `out` decides; learner if there is none.
    """
    from .. import runs
    from . import exporting

    return exporting.export(run if isinstance(run, runs.Run) else runs.load_run(run), format, out)


def report(run, device: str = "auto") -> Path:
    """Write RUN/report.html, one page on what a run is worth, anew; returns its path. See run_page.write."""
    from .. import runs
    from ..reports import run_page

    return run_page.write(run if isinstance(run, runs.Run) else runs.load_run(run), device=fitting.device(device))


def compare(paths, *, part: str = "valid", out="runs"):
    """Compare two runs or more on the pictures that all of them predicted; returns comparison.Comparison and two paths.

    Differences are to the first run. `part`: whose pictures, valid or test. The paths are those of the plot and of the
    page, OUT/compare-NNN.png and OUT/compare-NNN.html. No model is opened.
    """
    from ..evaluation import comparison
    from ..reports import comparison_page

    found = comparison.compare_runs(list(paths), part)
    return found, *comparison_page.write(found, Path(out))


def list_runs(folder="runs") -> list[dict]:
    """The runs of a folder, the newest last, as plain data; see runs.list_runs."""
    from .. import runs

    return runs.list_runs(folder)


def lr_find(task="angle", *, out="runs", **options):
    """Sweep the learning rate for a task; returns loop.Sweep and the path of its plot, OUT/lr_find-<task>-NNN.png.

    Options as for `train`.
    """
    from .. import plots
    from ..training import loop, precision

    task, cfg, frame, _ = prepare(task, **options)
    learn, _ = fitting.learner(task, cfg, frame)
    sweep = loop.find_lr(learn, precision.choose_precision(learn, cfg.precision))
    with new_files(Path(out), f"lr_find-{task.name}", ".png") as (path,):
        return sweep, plots.save(plots.lr_find(sweep.lrs, sweep.losses, sweep.suggestion, sweep.trusted), path)


def curve(task="angle", *, parts=(10, 25, 50, 100), out="runs", command=None, **options):
    """Train on growing parts of the training pictures, to tell what more of them would bring; returns learning_curve.Curve.

    `parts`: in per cent, each within the next; whole groups, where there are any. All have the same validation part and
    epochs, and none is kept for intervals. Each is a run in OUT/curve-<task>-NNN, beside curve.png and curve.json.
    Options as for `train`, but for folds.
    """
    from . import learning_curve

    for name in ("calibrate", "folds"):
        if options.get(name):
            raise ImgregError(f"a curve without --{name}", f"{options[name]}", f"imgreg train with --{name}")
    command = command or preparation.python_call("curve", task, parts=parts, out=out, **options)
    done, cfg, frame, table = prepare(task, **{**options, "calibrate": 0})
    return learning_curve.measure(done, cfg, frame, table, parts, Path(out), options.get("images"), command)
