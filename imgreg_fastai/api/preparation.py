"""From the options of a public function to a training plan: the task, its settings and its labels with their split."""
import re
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from .. import datasets
from ..config import BY_RECIPE, TrainConfig, is_set, names_set, option_name, time_option
from ..data import labels, tables
from ..data.kept_parts import split_name
from ..data.splits import uses_table_split
from ..data.tables import FrameTable, Table, as_table
from ..tasks import Bounds, Task, complete_task
from ..utils.messages import ImgregError, warn
from . import earlier_run
from .keywords import plain_keywords
from .plan import TrainingPlan
from .weights_backbone import brings_backbone, take_backbone

Words = str | Iterable[str]  # one or several
TaskSource = str | Path | Task | pd.DataFrame  # what a public function takes as its task
# Settings of a training by epochs, that --quick has no use for.
REFUSED_WITH_QUICK = ("epochs", "time", "freeze_epochs", "patience", "stop_at", "lr", "body_lr", "bs", "accumulate",
                      "loss", "wd", "fixed_norm", "balance", "target_weights", "augment", "precision", "workers",
                      "cache", "save_minutes")


def prepare(task: TaskSource = "angle", **options: Any) -> TrainingPlan:
    """Return the plan of a training, with its labels read and split.

    Args:
        task: As for `resolve_options`.
        **options: As for `resolve_options`.

    Raises:
        ImgregError: An option is wrong, or the labels cannot be trained on; see `read_rows`.
    """
    return assign_split(read_rows(resolve_options(task, **options)))


@plain_keywords
def resolve_options(
    task: TaskSource = "angle", *, targets: Words | None = None, data: str | Path | None = None,
    preset: str | None = None, labels: str | None = None, images: str | Path | None = None,
    image_col: str | None = None, point_rows: Words | None = None, list_cols: Words | None = None,
    raters: str | None = None, label_from_name: str | None = None,
    flip_pairs: str | Path | Iterable[tuple[str, str]] | None = None, units: datasets.own_table.Pairs | None = None,
    target_weights: datasets.own_table.Pairs | None = None, scale: str | None = None,
    minimum: Bounds | None = None, maximum: Bounds | None = None, flip_negates: Words | None = None,
    row_weight: str | None = None, augment: Words | None = None,
    size: tuple[int, int] | None = None, fit: str | None = None, box: Words | None = None,
    margin: float | None = None, coords: str | None = None, box_format: str | None = None, group: str | None = None,
    split_col: str | None = None, value_range: tuple[float, ...] | None = None, max_pixels: int | None = None,
    command: str = "", sample_folder: str | Path | None = None, name: str | None = None, **settings: Any,
) -> TrainingPlan:
    """Return the plan of a training before its labels are read.

    None stands for an option's default; for settings see `make_config`.

    Args:
        task: A built-in task by name; the path of a labels table, or of a folder whose names hold the labels; a
            DataFrame in place of a table, its images relative to the working directory; or a Task of your own, with
            `data` its table.
        targets: `NAME[=COL,...][:KIND]` each.
        data: A folder with the images of a built-in task, or "drawn"; see `datasets.locate`.
        preset: Another version of a built-in task; see `datasets.locate`.
        labels: Which of a dataset's labels to read; see `datasets.locate`.
        images: The folder that the names in a table are relative to.
        image_col: The column of a table that names the images.
        point_rows: The columns LABEL, X and Y of a table with a row for each point.
        list_cols: `COLUMN[=NAME,..]` each: columns whose cells hold several numbers, and what these are called.
        raters: mean or median, of the labels that several raters gave an image.
        label_from_name: A regular expression with a named group per column that a folder's names hold.
        flip_pairs: Points that change places in a mirror image.
        units: Units by target.
        target_weights: Weights of the losses by target.
        scale: linear or log, for all plain numbers.
        minimum: What all plain numbers, or {name: number}, cannot be below, and are not predicted below.
        maximum: What they cannot be above.
        flip_negates: Plain numbers whose sign a mirror changes.
        row_weight: The column of weights by which rows count in the training loss.
        augment: Names out of `tasks.AUGMENTATIONS`.
        size: Height and width in pixels that the network sees.
        fit: pad, squish or crop.
        box: Columns for centre x, centre y, width and height of the part to be seen, in pixels.
        margin: Widens the box on each side, as a share of its width or height.
        coords: What points and boxes of the table are in: pixels, fraction (0 to 1) or percent of the image's sides.
        box_format: What its four columns are: cxcywh, xywh or xyxy.
        group: The column of people, sequences, ...: each group is in one part of the split.
        split_col: The column that says which part each row is in; "none" draws the parts.
        value_range: Black and white of images of 16 or 32 bits.
        max_pixels: The most pixels of an image that is decoded.
        command: What was typed, for run.json.
        sample_folder: Of a dry run; see `datasets.locate`.
        name: What the task of a table and its run folders are called; None: as the file, or "table".
        **settings: Fields of TrainConfig.

    Raises:
        ImgregError: An option is wrong, or does not go with the task.
    """
    refuse_with_quick({**settings, "target_weights": target_weights, "augment": augment})
    specs, box, undecided = as_tuple(targets) or (), as_tuple(box), frozenset[str]()
    table_options = {"image_col": image_col, "point_rows": point_rows, "list_cols": list_cols, "raters": raters,
                     "label_from_name": label_from_name, "flip_pairs": flip_pairs, "units": units, "scale": scale,
                     "target_weights": target_weights, "flip_negates": flip_negates, "row_weight": row_weight,
                     "minimum": minimum is not None, "maximum": maximum is not None, "name": name,
                     "images": None if isinstance(task, Task) else images}
    set_by_user = names_set(**settings, size=size, fit=fit, box=box, margin=margin, group=group, augment=augment,
                            value_range=value_range, labelling=labels)
    source = task if isinstance(task, (Task, str)) else as_table(task)
    table: Table
    if isinstance(source, Task) or not datasets.own_table.is_table(source):
        refuse(table_options, "with a labels table", f"the task '{getattr(source, 'name', source)}'")
        named = source if isinstance(source, Task) else str(source)
        task, table = datasets.locate(named, data, preset, labels, sample_folder)
    else:
        table = as_table(source)
        hint = "--images DIR, the folder that its images' names are relative to" if data and not images else None
        refuse({"preset": preset, "labels": labels, "data": data}, "with a built-in task", f"the table '{table}'", hint)
        if table.is_dir():
            refuse({"images": images}, "with a table, to whose names it belongs", f"the folder '{table}'")
        named_columns = (*(box or ()), group, split_col, row_weight, settings.get("folds"))
        columns_in_use = tuple(str(column) for column in named_columns if column)
        rows = tables.RowOptions(as_tuple(list_cols) or (), as_tuple(point_rows) or (), raters or "")
        task = datasets.own_table.table_task(
            table, specs, image_col or "", label_from_name or "", flip_pairs, units or (), target_weights or (), scale,
            columns_in_use, images, rows, bool(box), bool(group), minimum=() if minimum is None else minimum,
            maximum=() if maximum is None else maximum, flip_negates=as_tuple(flip_negates) or ())
        task, specs = replace(task, name=check_name(name) if name else task.name), ()  # the specs are the task's own
        undecided = undecided_settings(settings, set_by_user)
    # A ridge is fitted to images as they are: no augmentation is declared, so that --tta has no moves to average.
    task = task.with_options(specs, () if settings.get("quick") else as_tuple(augment), size=size, fit=fit, box=box,
                             margin=margin, group=group, split_col=split_col, value_range=value_range, coords=coords,
                             max_pixels=max_pixels, box_format=box_format, row_weight=row_weight)
    _check_position_options(task, margin, box_format, coords)
    if target_weights and len(task.targets) == 1:
        warn(f"--target-weight changes nothing: {task.targets[0].name} is the only target")
    return TrainingPlan(task, make_config(task, **settings), table, images, command, settings.get("valid") is not None,
                        set_by_user=set_by_user, undecided=undecided)


def _check_position_options(task: Task, margin: float | None, box_format: str | None, coords: str | None) -> None:
    """Raise ImgregError for options about boxes and points where the task has none."""
    if margin is not None and not task.box:
        raise ImgregError("--margin with a --box to be widened", "no box")
    if box_format is not None and not task.box:
        raise ImgregError("--box-format with a --box to be read", "no box")
    if coords is not None and not (task.has_points or task.box):
        raise ImgregError("--coords with points or a --box to be read", ", ".join(t.describe() for t in task.targets))


def undecided_settings(settings: dict[str, Any], set_by_user: frozenset[str]) -> frozenset[str]:
    """Return those of BY_RECIPE that the user leaves open: a time decides on the epochs, a weights file on the arch.

    With --quick they are those that apply where nothing is trained.
    """
    decided = set_by_user | ({"arch"} if brings_backbone(settings) else set())
    names = ("size", "arch") if settings.get("quick") else BY_RECIPE
    return frozenset(names) - decided - ({"epochs"} if settings.get("time") is not None else set())


def check_name(name: str) -> str:
    """Return the name of a task, which its run folders bear; raise ImgregError where no folder can be called so."""
    if not name.isprintable() or re.search(r'[/\\:*?"<>|]|^[. ]|[. ]$', name):
        raise ImgregError("a name that a folder can have", f"'{name}'", "letters, digits, - and _")
    return name


def as_tuple(words: Words | None) -> tuple[str, ...] | None:
    """Return one word or several as a tuple; None stays None."""
    if words is None:
        return None
    return (words,) if isinstance(words, str) else tuple(words)


def refuse_with_quick(options: dict) -> None:
    """Raise ImgregError for settings that --quick has no use for; `auto` and 0 change nothing and are allowed."""
    if options.get("quick"):
        given = {name: options.get(name) for name in REFUSED_WITH_QUICK if options.get(name) != "auto"}
        refuse(given, "without --quick, which trains nothing by steps", "--quick")


def refuse(options: dict, expected: str, actual: str, hint: str | None = None) -> None:
    """Raise ImgregError for the first option that has a value: "expected --scale with a labels table"."""
    for keyword, value in options.items():
        if value:
            raise ImgregError(f"{option_name(keyword)} {expected}", actual, hint)


def make_config(task: Task, **settings: Any) -> TrainConfig:
    """Return the settings of a task's training: the defaults, then its recipe, then the user's.

    The recipe's weights, rates and arguments of the backbone belong to its own backbone, and go with it. Weights out of
    a file bring their backbone along, see `take_backbone`.

    Args:
        task: The task.
        **settings: Fields of TrainConfig. None is the default, but where TrainConfig gives None a meaning of its own;
            "auto" is another word for it for lr and bs.

    Raises:
        ImgregError: A setting is wrong.
    """
    settings = {name: value for name, value in settings.items() if is_set(name, value)}
    for name, convert in (("weights", str), ("device", str), ("hold_out", as_tuple), ("arch_args", dict)):
        if name in settings:
            settings[name] = convert(settings[name])
    settings |= {name: None for name in ("lr", "bs") if settings.get(name) == "auto"}
    if settings.get("time") is not None and settings.get("epochs") is not None:
        raise ImgregError("--time or --epochs, not both",
                          f"--time {time_option(settings['time'])} --epochs {settings['epochs']}")
    if settings.get("balance") and not any(t.scalar for t in task.targets):
        raise ImgregError("--balance with a target that is a plain number", ", ".join(t.kind for t in task.targets))
    settings, recipe = take_backbone(settings, dict(task.recipe))
    if settings.get("arch") not in (None, recipe.get("arch")):
        recipe = {name: recipe[name] for name in recipe if name not in ("arch_args", "weights", "lr", "body_lr")}
    if "arch_args" in settings:
        settings["arch_args"] = {**recipe.get("arch_args", {}), **settings["arch_args"]}
    config = TrainConfig(**{**recipe, **settings})
    has_histograms = any(t.histogram for t in task.targets)
    if config.loss == "histogram" and not has_histograms:
        kinds = ", ".join(t.kind for t in task.targets)
        raise ImgregError("--loss histogram with a target that is a plain number, an angle or a point", kinds)
    if config.quick:
        config = replace(config, loss="mse")  # of a ridge, whatever the task's recipe trains with
    if config.loss == "auto":
        config = replace(config, loss="histogram" if has_histograms else "l1")
    targets = [t.name for t in task.targets]
    if config.stop_at and config.stop_at[0] not in targets:
        raise ImgregError(f"--stop-at TARGET=VALUE with a target of the task: {', '.join(targets)}",
                          f"'{config.stop_at[0]}'")
    return config


def read_rows(plan: TrainingPlan) -> TrainingPlan:
    """Return the plan with the usable rows of its table; rows that are left out are named in warnings.

    Raises:
        ImgregError: An issue of the labels would ruin the training; with `strict`, any issue.
    """
    table, strict = plan.table, plan.config.strict
    read = labels.read_rows(table, plan.task, images=plan.images, cfg=plan.config)
    issues = [*labels.header_issues(read), *labels.label_issues(read, plan.config)]
    warn_unused_valid(plan, read.frame)
    stopping = issues if strict else [issue for issue in issues if issue.level == "stop"]
    rows = read.frame if strict and issues else read.usable()  # names what is left out
    if stopping:
        n_others = len(stopping) - 1
        more = f", and {n_others} other issue{'s' if n_others > 1 else ''}" if n_others else ""
        if stopping[0].code == "convention":
            expected = f"{labels.named_convention(plan.task)} in '{table}'"
            raise ImgregError(expected, stopping[0].text + more, stopping[0].hint)
        raise ImgregError(f"labels to learn from in '{table}'", stopping[0].describe() + more,
                          "imgreg_fastai.check" if isinstance(table, FrameTable) else f"imgreg check {table}")
    for issue in issues:
        if issue.level == "note" and issue.code != "missing":  # usable() has counted the missing labels
            warn(f"{table}: {issue.describe()}")
    if "fold" in rows:
        plan = replace(plan, config=replace(plan.config, folds=rows["fold"].nunique()))
    earlier, old_parts = earlier_run.recognise_images(rows, plan.config, plan.task)
    return replace(plan, rows=rows, earlier=earlier, old_parts=old_parts)


def warn_unused_valid(plan: TrainingPlan, frame: pd.DataFrame) -> None:
    """Warn where the user has set the share to validate on, but something else decides the validation part."""
    config = plan.config
    decider = ""
    if config.hold_out:
        decider = "--hold-out"
    elif config.folds:
        decider = "--folds"
    elif uses_table_split(frame, config):
        if not frame["split"].eq("valid").any():
            return  # it is drawn, by that share
        decider = f"the column '{split_name(frame)}' of {plan.table}"
    if decider and plan.valid_is_set:
        warn(f"--valid {config.valid:g} changes nothing: {decider} decides what is validated on")


def assign_split(plan: TrainingPlan) -> TrainingPlan:
    """Return the plan with the split of its rows, and its task completed by those of the training part."""
    rows = labels.apply_row_weights(labels.assign_splits(plan.rows, plan.config, plan.task, plan.old_parts))
    return replace(plan, task=complete_task(plan.task, rows[rows["split"] == "train"]), rows=rows)


def python_call(function: str, task: TaskSource, **options: Any) -> str:
    """Return a call of a public function as text, for run.json: "imgreg_fastai.train('angle', epochs=3)"."""
    source = f"<DataFrame of {len(task)} rows>" if isinstance(task, pd.DataFrame) else repr(task)
    source = repr(str(task)) if isinstance(task, Path) else source
    arguments = [source, *(f"{name}={value!r}" for name, value in options.items())]
    return f"imgreg_fastai.{function}({', '.join(arguments)})"
