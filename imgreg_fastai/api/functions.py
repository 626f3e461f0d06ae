"""The public functions: plain functions that return values. The command line calls them, too."""
import time
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, NamedTuple

from ..data import checks
from ..evaluation import comparison
from ..models.devices import select_device
from ..runs import Folds, Run, list_runs  # noqa: F401  a public function, too
from ..utils.files import new_files
from ..utils.messages import ImgregError
from . import earlier_run, preparation
from .exporting import export  # noqa: F401  a public function, too
from .prediction import evaluate, load, open_run, predict  # noqa: F401  public functions, too
from .preparation import TaskSource, prepare, resolve_options

if TYPE_CHECKING:  # these load torch and matplotlib
    from fastai.data.core import DataLoaders
    from fastai.learner import Learner

    from ..training.rate_search import Sweep
    from .learning_curve import LearningCurve


def check(task: TaskSource = "angle", *, fast: bool = False, plot: str | Path | None = None,
          out: str | Path = "runs", **options: Any) -> tuple[checks.DataCheck, Path]:
    """Look for all issues of a task's labels and images before a network is trained on them.

    Args:
        task: As for `train`.
        fast: Open no image.
        plot: A new file for the plot; None: OUT/check-<task>-NNN.png.
        out: The folder for the plot.
        **options: As for `train`; with `strict` any issue would stop a training.

    Returns:
        The issues, and where they are plotted.
    """
    if plot is not None:
        from ..plots import figures

        figures.plot_format(plot)
        if Path(plot).exists():
            raise ImgregError("a new file for --plot", f"'{plot}' in place", "another name")
    plan = resolve_options(task, **options)
    from ..plots import figures, overview

    health = checks.check(plan.table, plan.task, plan.images, fast, plan.config,
                          lambda rows: earlier_run.recognise_images(rows, plan.config, plan.task).old_parts)
    preparation.warn_unused_valid(plan, health.frame)
    figure = overview.draw_overview(health)
    if plot is not None:
        return health, figures.save(figure, Path(plot))
    with new_files(Path(out), f"check-{plan.task.name}", ".png") as (path,):
        return health, figures.save(figure, path)


def dataloaders(task: TaskSource = "angle", **options: Any) -> "DataLoaders":
    """Return fastai DataLoaders for a task: labels in units, images normalised. Options as for `train`."""
    plan = prepare(task, **options)
    from fastai.torch_core import set_seed

    from . import automatic, fitting

    if plan.undecided & {"size", "arch", "bs"}:  # no other setting is theirs, nor a reason to look for weights
        plan = automatic.apply_recipe(plan)
    set_seed(plan.config.seed)
    return fitting.build_dataloaders(plan)


def learner(task: TaskSource = "angle", **options: Any) -> "Learner":
    """Return an untrained fastai Learner for a task. Options as for `train`."""
    plan = prepare(task, **options)
    from . import automatic, fitting

    return fitting.build_learner(automatic.apply_recipe(plan))[0]


def train(task: TaskSource = "angle", *, out: str | Path = "runs", dry_run: bool = False,
          command: str | None = None, **options: Any) -> Run | Folds | None:
    """Train a network, score it and write a run folder OUT/<task>-NNN.

    Interrupted by Ctrl-C, it leaves a run that can be evaluated.

    Args:
        task: A built-in task by name; the path of a labels table or of a folder whose names hold the labels; a
            DataFrame in place of a table, whose images are relative to the working directory (or to `images`), with
            `name` as the name of its runs; or a Task of your own with `data` its table.
        out: The folder for run folders.
        dry_run: Say what a training would do, send one batch through all of it, and keep nothing.
        command: What was typed, for run.json; None: this call.
        **options: Those of `preparation.resolve_options` and the fields of TrainConfig.

    Returns:
        The run; with `folds` as many runs in OUT/<task>-NNN; None of a dry run.

    Raises:
        ImgregError: A mistake that the user can mend, in one line.
    """
    started = time.perf_counter()
    command = command or preparation.python_call("train", task, out=out, **options)
    if dry_run:
        with TemporaryDirectory(prefix="imgreg-") as folder:
            plan = prepare(task, sample_folder=Path(folder, "data"), **options)
            from .dry_run import try_batch

            try_batch(plan, Path(folder, "runs"))
        return None
    plan = preparation.read_rows(replace(resolve_options(task, command=command, **options), started=started))
    from . import automatic, fitting, several_runs  # they load torch and fastai; wrong inputs have been refused by now

    if plan.config.folds and not plan.config.fold:
        return several_runs.cross_validate(plan, int(plan.config.folds), out)
    return fitting.train(automatic.apply_recipe(preparation.assign_split(plan)), out)


def resume(run: Run | str | Path, *, epochs: int | None = None, force: bool = False,
           device: str | None = None) -> "Run | Folds | LearningCurve":
    """Go on with a run that was stopped by Ctrl-C, a crash or a power cut, or train it longer, in the same folder.

    The split, the settings and the random numbers are those of the run. What it has scored is scored anew.

    Args:
        run: The run, its folder, or the folder of a cross-validation or of a learning curve: of these the runs that
            have not ended are trained.
        epochs: Number of epochs in all, without frozen ones; None: as planned. What is left of the cycle of the
            learning rate is stretched; after its end another cycle begins.
        force: Go on although images, labels or versions of packages have changed; each change is warned of.
        device: Where to train; None: as before.

    Returns:
        The run, the folds or the curve.

    Raises:
        ImgregError: The run has ended, another process works on it, or something has changed.
    """
    from . import resumption

    path = run.path if isinstance(run, Run) else Path(run)
    is_run = (path / "run.json").is_file() or not any(path.glob("*/run.json"))
    return (resumption.resume_run if is_run else resumption.resume_folder)(path, epochs, force, device)


def report(run: Run | str | Path, device: str = "auto") -> Path:
    """Write RUN/report.html anew, one page on what a run is worth; returns its path."""
    from ..reports import run_page

    return run_page.write(open_run(run), device=select_device(device))


class ComparisonFiles(NamedTuple):
    """A comparison of runs, and the files that show it."""

    comparison: comparison.Comparison
    plot: Path
    page: Path


def compare(paths: Iterable[str | Path], *, part: str = "valid", out: str | Path = "runs") -> ComparisonFiles:
    """Compare two runs or more on the images that all of them predicted; no model is opened.

    Args:
        paths: The run folders; differences are to the first.
        part: valid or test.
        out: The folder for the plot and the page, compare-NNN.png and compare-NNN.html.

    Returns:
        The comparison, its plot and its page.
    """
    from ..reports import comparison_page

    result = comparison.compare_runs(list(paths), part)
    return ComparisonFiles(result, *comparison_page.write(result, Path(out)))


def lr_find(task: TaskSource = "angle", *, out: str | Path = "runs", **options: Any) -> "tuple[Sweep, Path]":
    """Sweep the learning rate for a task.

    The sweep shows a hundred batches to a network that is not trained yet. The rate of a recipe was chosen by the
    errors of whole trainings: try the suggestion beside it, rather than in its place.

    Args:
        task: As for `train`.
        out: The folder for the plot, lr_find-<task>-NNN.png.
        **options: As for `train`.

    Returns:
        The sweep with its suggestion and the rate that a training takes by itself, and its plot.
    """
    unused = ("lr", "coverage", "quick")
    preparation.refuse({name: options.get(name) for name in unused}, "with imgreg train", "imgreg lr_find")
    plan = prepare(task, **options)
    from .. import plots
    from ..training import batch_size, precision, rate_search
    from . import automatic, fitting

    plan = automatic.apply_recipe(plan)
    automatic.say_recipe(plan)
    learn, _ = fitting.build_learner(plan)
    in_precision = precision.choose_precision(learn, plan.config.precision)
    batch_size.choose_batch(learn, plan.config, in_precision)
    is_recipe = "lr" in plan.recipe or ("lr", plan.config.lr) in plan.task.recipe
    sweep = rate_search.find_lr(learn, in_precision)._replace(default=plan.config.lr, by_recipe=is_recipe)
    with new_files(Path(out), f"lr_find-{plan.task.name}", ".png") as (path,):
        return sweep, plots.save(plots.lr_find(sweep.lrs, sweep.losses, sweep.suggestion, sweep.trusted), path)


def curve(task: TaskSource = "angle", *, parts: Sequence[float] = (10, 25, 50, 100), out: str | Path = "runs",
          command: str | None = None, **options: Any) -> "LearningCurve":
    """Train on growing parts of the training images, to estimate what more of them would bring.

    All runs have the same validation part and epochs; none keeps images for intervals or for a test. They are in
    OUT/curve-<task>-NNN, beside curve.png and curve.json.

    Args:
        task: As for `train`.
        parts: In per cent, each within the next; whole groups, where there are any.
        out: The folder that the folder of the runs is made in.
        command: What was typed, for run.json; None: this call.
        **options: As for `train`.

    Returns:
        The errors, and the law fitted to them.
    """
    unused = ("calibrate", "coverage", "folds", "test", "time")
    preparation.refuse({name: options.get(name) for name in unused}, "with imgreg train", "imgreg curve")
    command = command or preparation.python_call("curve", task, parts=parts, out=out, **options)
    plan = prepare(task, command=command, **{**options, "calibrate": 0})
    from . import automatic, learning_curve

    plan = automatic.apply_recipe(plan)
    if plan.old_parts is not None and (n := int((plan.old_parts == "train").sum())):
        raise ImgregError("weights that know none of the images: those of smaller parts would not be new to them",
                          f"{n} images that {plan.config.weights} was trained on", "--weights auto")
    return learning_curve.measure(plan, parts, Path(out))
