"""The report of a run: one page that shows where a model is good, where it fails, and what to do next."""
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

from .. import runs
from ..config import BY_RECIPE, TrainConfig, option_name
from ..data import checks
from ..data.images import open_picture
from ..evaluation.comparison import run_settings
from ..inference.predictor import Predictor
from ..plots.pictures import Tile, open_tiles
from ..plots.training_charts import curves
from ..tasks import Task, default_augmentations
from ..tasks.values import as_tuples
from ..utils.messages import first_few, muted, warn
from . import html, sections, verdict
from .images import chart, saved_chart
from .inputs import ReportInputs, read_inputs

FILE, FILE_WITHOUT_PICTURES = "report.html", "report-without-pictures.html"
MAX_TARGETS = 6  # that have images and charts
MAX_OCCLUDED, MAX_OCCLUDED_OF_MANY = 3, 1  # images of each kind for a target; the latter from three targets on


def write(run: runs.Run, model: Predictor | None = None, device: str = "cpu") -> Path:
    """Write RUN/report.html.

    Args:
        run: A scored run.
        model: Its model, if it is already open.
        device: Where to open it otherwise.

    Returns:
        The path of the page; without any images, RUN/report-without-pictures.html, so that no better page is lost.

    Raises:
        ImgregError: If the run is not trained to its end, or the file cannot be written.
    """
    inputs = read_inputs(run, model, device)
    name = FILE if inputs.has_pictures else FILE_WITHOUT_PICTURES
    n_missing = (~inputs.rows["present"]).sum()
    if n_missing:
        warn(f"{n_missing:,} of {len(inputs.rows):,} images are not in '{run.about['data']['root']}' any more, and "
             f"{name} does not show them")
    return runs.write_file(run.path / name, html.render("run.html", page_data(inputs)))


def n_occluded(n_targets: int) -> int:
    """The number of images of each kind in which a part is hidden, for each of so many targets."""
    return MAX_OCCLUDED if n_targets <= 2 else MAX_OCCLUDED_OF_MANY


def page_data(inputs: ReportInputs) -> dict:
    """Collect what the template run.html takes."""
    run, task, rows = inputs.run, inputs.task, inputs.rows
    if inputs.history is None:
        training = saved_chart(run.path / "plots" / "curves.png", "Losses and validation errors over the epochs.")
    else:
        training = [chart(curves(inputs.history, task.targets))]
    check, issues = None, []
    if inputs.has_pictures:
        saved_task = replace(task, image="", group="", name_pattern="", row_weight="", raters="", point_rows=(),
                             list_cols=(), coords="pixels", box_format="cxcywh")  # as the run wrote its labels
        with muted():
            check = checks.check(run.path / "labels.csv", saved_task, run.about["data"]["root"], fast=True)
        issues = [(issue.text, checks.LEVEL_TITLES[issue.level], f"{len(issue.rows):,}" if issue.rows else "",
                   first_few(issue.names or (f"row {row}" for row in issue.rows), 3), issue.hint)
                  for issue in check.issues]
    verdicts, weaknesses_of_all = verdict.verdicts(inputs, has_issues=bool(issues))
    shown = [target for target in task.targets if inputs.scores[inputs.part][target.name]["n"]][:MAX_TARGETS]
    sizes = sections.picture_sizes(rows, task.max_pixels)

    @cache  # several targets show the same images
    def open_tile(path: str) -> Tile:
        return open_tiles([path], partial(open_picture, value_range=task.value_range, max_pixels=task.max_pixels))[0]

    return {
        **inputs._asdict(), "name": run.path.resolve().name, "named_targets": task.targets[:MAX_TARGETS],
        "split": run.about["data"]["split"], "has_pictures": inputs.has_pictures, "verdicts": verdicts,
        "weaknesses_of_all": weaknesses_of_all, "training": training,
        "shown": [sections.target_section(inputs, target, sizes, n_occluded(len(shown)), open_tile)
                  for target in shown],
        "has_intervals": any("coverage" in numbers for scores in inputs.scores.values() for numbers in scores.values()),
        "n_ood": int((rows["ood"].astype(str) == "True").sum()) if "ood" in rows else None,
        "check": check, "issues": issues, **settings_tables(run),
    }


def settings_tables(run: runs.Run) -> dict:
    """Collect the settings of a run by who decided them.

    Returns:
        `by_user` and `other_settings`, (name, value, default) each, the latter those of a built-in task, of weights
        that bring their backbone, and all of an older run; `by_recipe`, (name, value, option) each; `dependencies`, the
        name and value of what is no setting.
    """
    task, decisions = run.task, run.about.get("recipe") or {}
    names = set(run.about.get("set_by_user", ()))
    default_task = Task("none", task.targets, augment=default_augmentations(task.targets, task.fit))
    defaults = {**default_task.to_dict(), **TrainConfig().to_dict()}
    tables: dict[str, list] = {"by_user": [], "by_recipe": [], "other_settings": [], "dependencies": []}
    for name, value in run_settings(run).items():
        if name not in defaults:
            tables["dependencies"].append((name, value))
        elif name in decisions and as_tuples(value) == as_tuples(decisions[name]):  # resume --epochs changes them
            tables["by_recipe"].append((name, value, "Python" if name == "body_lr" else option_name(name)))
        elif name in names:
            default = "by the recipe" if decisions and name in BY_RECIPE else defaults[name]
            tables["by_user"].append((name, value, default))
        elif name != "targets" and value != defaults[name]:
            tables["other_settings"].append((name, value, defaults[name]))
    return tables
