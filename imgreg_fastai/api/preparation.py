"""What was asked for: options as a person gives them -> a Task, its settings and the labels divided."""
from dataclasses import fields
from pathlib import Path

from .. import datasets
from ..config import TrainConfig
from ..data import labels
from ..data.splits import uses_table_split
from ..tasks import Task, complete_task
from ..utils.console import warn
from ..utils.errors import ImgregError, close_matches


def prepare(task="angle", *, images=None, **options):
    """What every training verb begins with: (completed Task, TrainConfig, labels frame with its split, table's path).

    Options as for `asked`; `strict` stops at any fault of the labels and pictures.
    """
    chosen, cfg, table = resolve_options(task, images=images, **options)
    done, frame = split_and_complete(chosen, cfg, read_labels(table, chosen, cfg, images, options.get("valid")))
    return done, cfg, frame, table


def python_call(function: str, task, **options) -> str:
    """A call of the public function as text: "imgreg_fastai.train('angle', epochs=3)"; defaults that were not changed stay out."""
    options = {name: value for name, value in options.items() if not (name == "out" and value == "runs")}
    arguments = [repr(str(task) if isinstance(task, Path) else task)]
    return f"imgreg_fastai.{function}({', '.join(arguments + [f'{k}={v!r}' for k, v in options.items()])})"


def split_and_complete(chosen: Task, cfg, rows) -> tuple:
    """(the completed Task, the rows with their split)."""
    frame = labels.assign_splits(rows, cfg, chosen)
    return complete_task(chosen, frame[frame["split"] == "train"]), frame


def resolve_options(task="angle", *, targets=(), data=None, preset=None, labels=None, images=None, image_col="",
          label_from_name="", flip_pairs=None, units=(), target_weights=(), scale=None, augment=None, size=None,
          fit=None, box=None, margin=None, group=None, value_range=None, sample_folder=None, **settings):
    """What was asked for: (Task, TrainConfig, path of the labels table), before the labels are read.

    `task`: the name of a built-in task, the path of a labels table or of a folder whose names hold the labels, or a
    Task of your own with `data` its table; `targets`: `NAME[=COL,...][:KIND]` each; `data`, `preset`, `labels`: see
    datasets.locate; `image_col`, `label_from_name`, `flip_pairs`, `units`, `target_weights`, `scale`: of a table, see
    datasets.own_table.task; `images`: the folder that its pictures' names are relative to; `size`: (height, width);
    `augment`: names out of tasks.AUGMENTATIONS; `box`: four columns; `value_range`: black and white of pictures of 16
    or 32 bits; `sample_folder`: of a dry run, see datasets.locate; the rest are TrainConfig's fields.
    """
    own = {"image_col": image_col, "label_from_name": label_from_name, "flip_pairs": flip_pairs, "units": units,
           "target_weights": target_weights, "scale": scale, "images": images}
    targets, augment, box = (one if one is None else _listed(one) for one in (targets, augment, box))
    used = (*(box or ()), *([group] if group else ()))
    chosen, table, specs = _chosen(task, list(targets), data, preset, labels, own, used, sample_folder)
    chosen = chosen.with_options(specs, augment, size=size, fit=fit, box=box, margin=margin, group=group,
                            value_range=value_range)
    if margin is not None and not chosen.box:
        raise ImgregError("--margin with a --box to be widened", "no box")
    if target_weights and len(chosen.targets) == 1:
        warn(f"--target-weight changes nothing: {chosen.targets[0].name} is the only target")
    cfg = make_config(chosen, **settings)
    _check_goal(chosen, cfg)
    return chosen, cfg, table


def _listed(words) -> tuple:
    """One word or several."""
    return (words,) if isinstance(words, str) else tuple(words)


def _chosen(task, specs, data, preset, labels, own, used, sample_folder) -> tuple[Task, Path, list]:
    """The Task, its labels table, and what `--target` says that is not yet in it."""
    if isinstance(task, Task) or not datasets.own_table.is_table(task):
        given = [name for name, value in own.items() if value and not (name == "images" and isinstance(task, Task))]
        if given:
            option = given[0].replace("_", "-").replace("units", "unit").replace("weights", "weight")
            raise ImgregError(f"--{option} with a labels table", f"the task '{getattr(task, 'name', task)}'")
        return *datasets.locate(task, data, preset, labels, sample_folder), specs
    if preset or labels or data:
        option = "--preset" if preset else "--labels" if labels else "--data"
        raise ImgregError(f"{option} with a built-in task", f"the table '{task}'",
                          "--images DIR, the folder that its pictures' names are relative to" if data else None)
    table = Path(task)
    if own["images"] and table.is_dir():
        raise ImgregError("--images with a table, to whose names it belongs", f"the folder '{task}'")
    made = datasets.own_table.table_task(table, specs, own["image_col"], own["label_from_name"], own["flip_pairs"], own["units"],
                             own["target_weights"], own["scale"], used)
    return made, table, []


def _check_goal(task: Task, cfg) -> None:
    if cfg.stop_at and not cfg.stop_at[1] > 0:
        raise ImgregError("--stop-at TARGET=VALUE with a value above 0", f"{cfg.stop_at[1]}")
    if cfg.stop_at and cfg.stop_at[0] not in [t.name for t in task.targets]:
        known = ", ".join(t.name for t in task.targets)
        raise ImgregError(f"--stop-at TARGET=VALUE with a target of the task: {known}", f"'{cfg.stop_at[0]}'")


def read_labels(table: Path, task: Task, cfg, images, valid):
    """The usable rows of a labels table; what would ruin the run raises ImgregError, what is left out is said."""
    frame, found = labels.check_rows(table, task, images, cfg)
    warn_unused_valid(valid, frame, cfg, table)
    stops = [f for f in found if f.level == "stop" or cfg.strict]
    kept = labels.usable_rows(frame, task, table) if not cfg.strict or not stops else None
    if stops:
        more = f" (and {len(stops) - 1} more)" if len(stops) > 1 else ""
        raise ImgregError(f"labels to learn from in '{table}'", stops[0].describe() + more, f"imgreg check {table}")
    for finding in found:
        if finding.level == "note" and finding.code != "missing":  # missing labels were counted by `keep`
            warn(f"{table}: {finding.describe()}")
    return kept


def warn_unused_valid(valid, frame, cfg, table: Path) -> None:
    """Warn where a part to validate with was asked for, and is not drawn."""
    own = f"the column 'split' of {table}" if uses_table_split(frame, cfg) else ""
    why = "--hold-out" if cfg.hold_out else "--folds" if cfg.folds else own
    if valid is not None and why:
        warn(f"--valid {valid:g} changes nothing: {why} says who validates")


def make_config(task: Task, **given) -> TrainConfig:
    """The settings for `task`: defaults, then its recipe, then what is `given`; raises ImgregError for others."""
    names = [f.name for f in fields(TrainConfig)]
    for name in given:
        if name not in names:
            raise ImgregError("a setting of TrainConfig", f"'{name}'", close_matches(name, names))
    given = {k: str(v) if k in ("weights", "device") else v for k, v in given.items()}
    if given.get("balance") and not any(t.kind == "number" for t in task.targets):
        raise ImgregError("--balance with a target that is a plain number", ", ".join(t.kind for t in task.targets))
    recipe = dict(task.recipe)
    if "arch" in given:
        for name in ("arch_args", "weights", "lr", "body_lr"):  # they belong to the recipe's own backbone
            recipe.pop(name, None)
    elif "arch_args" in given:
        given["arch_args"] = {**recipe.get("arch_args", {}), **given["arch_args"]}
    return TrainConfig(**{**recipe, **given})
