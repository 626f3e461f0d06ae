"""How a run could be had again: the command that was given, and which of its settings are not the usual ones."""
import json
import shlex
from dataclasses import fields, replace
from pathlib import Path

from .. import config, datasets, options, readers, tables
from ..config import TrainConfig
from ..runs import Run
from ..targets import Number, Point, Rotation, Target, following
from ..tasks import BUILT_IN, PRESETS, Task, permitted, usual


def command(run: Run) -> str:
    """The command that repeats a run: its task or table, and the options that differ from the task's usual ones.

    What was set in Python alone is not in it, see `unsaid`.
    """
    name, typed, base = _of_task(run)
    typed |= _of_settings(run.config, base)
    return f"imgreg train {shlex.quote(name)}{options.typed(typed)}"


def unsaid(run: Run) -> list[str]:
    """The settings that no option tells, as "body_lr=0.5": of a run that was started in Python, or is one of folds."""
    *_, base = _of_task(run)
    usual_, known = config.make(base, **_given(run.config, base)), {**options.SHARED, **options.TRAINING}
    return [f"{f.name}={getattr(run.config, f.name)}" for f in fields(TrainConfig)
            if f.name not in known and getattr(run.config, f.name) != getattr(usual_, f.name)]


def settings(run: Run) -> list[tuple[str, str, str]]:
    """(setting, its value, the default) of all that differ from the defaults of TrainConfig and Task."""
    own, plain = run.config.to_dict(), TrainConfig().to_dict()
    view, bare = run.task.to_dict(), Task("none", run.task.targets, augment=()).to_dict()
    bare["augment"] = list(usual(run.task.targets, run.task.fit))
    names = ("size", "fit", "box", "margin", "group", "augment", "name_pattern", "labelling", "value_range")
    found = [(name, view[name], bare[name]) for name in names] + [(name, own[name], plain[name]) for name in own]
    return [(name, told(value), told(default)) for name, value, default in found if told(value) != told(default)]


def told(value) -> str:
    """A setting in words."""
    if value is None or value in ("", (), [], {}):
        return "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value))
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value)


# ---- the task


def _of_task(run: Run) -> tuple[str, dict, Task]:
    """What follows `imgreg train`, the options that make its task, and the task that they change."""
    task, table = run.task, Path(run.about["data"]["table"])
    if task.name not in datasets.HOMES:
        base = Task(task.name, task.targets, augment=())
        return str(table), _of_own(run, task, table) | _of_view(task, base, usual(task.targets)), base
    home = datasets.HOMES[task.name]
    folder = str(table.parent if table.suffix.lower() in tables.SUFFIXES else table)
    data = {} if folder == home.HOME else {"data": "drawn" if folder == home.DRAWN else folder}
    presets = {None: BUILT_IN[task.name], **PRESETS.get(task.name, {})}
    if data.get("data") == "drawn" and "drawn" in presets:
        presets[None] = presets["drawn"]  # which is what drawings are trained with
    choices = []
    for preset, base in presets.items():
        said = {**data, "preset": preset, "targets": _of_known(task, base), **_of_view(task, base, base.augment),
                "labels": task.labelling if task.labelling != base.labelling else None}
        choices.append((task.name, {name: value for name, value in said.items() if value}, base))
    return min(choices, key=lambda choice: len({**choice[1], **_of_settings(run.config, choice[2])}))


def _of_known(task: Task, base: Task) -> list[str] | None:
    """`--target` of a built-in task, none where they are its own."""
    own = {t.name: _bare(t) for t in base.targets}
    if [_bare(t) for t in task.targets] == list(own.values()):
        return None
    return [t.name if _bare(t) == own.get(t.name) else _spec(t) for t in task.targets]


def _of_own(run: Run, task: Task, table: Path) -> dict:
    """The options of a table's task, as datasets.own.task takes them."""
    folder = table.parent if table.suffix.lower() in tables.SUFFIXES else table
    root = run.about["data"]["root"]
    said = {
        "targets": [_spec(t) for t in task.targets],
        "image_col": task.image if task.image != "image" else "",
        "images": root if Path(root) != folder.resolve() else "",
        "label_from_name": task.name_pattern, "flip_pairs": _flip_pairs(task),
        "units": [f"{t.name}={t.unit}" for t in task.targets if t.unit != type(t)("x", t.columns).unit],
        "target_weights": [f"{t.name}={t.weight!r}" for t in task.targets if t.weight != 1],
        "scale": _scale(run, task),
    }
    return {name: value for name, value in said.items() if value}


def _spec(t: Target) -> str:
    """A target as `--target` takes it."""
    kind = f"angle{t.period:g}" if t.kind == "angle" else t.kind
    if isinstance(t, Rotation) and t.sequence:
        kind = f"rotation={t.sequence}"
    return f"{t.name}={','.join(t.columns)}:{kind}"


def _bare(t: Target) -> Target:
    """A target without what comes from data, and without what --augment declares."""
    return replace(t, low=None, high=None, scale="auto", laws=()) if isinstance(t, Number) else t


def _flip_pairs(task: Task) -> str:
    """`--flip-pairs`, nothing where the points' names tell as much."""
    points = [t for t in task.targets if isinstance(t, Point)]
    plain, _ = following([replace(t, follows=False, mirror=True, flip_pairs=()) for t in points])
    odd = [t for t, by_name in zip(points, plain, strict=True) if t != by_name]
    pairs = [f"{t.names[a]}:{t.names[b]}" for t in odd for a, b in t.flip_pairs]
    return ",".join(pairs) if pairs else "none" if odd and all(t.mirror for t in odd) else ""


def _scale(run: Run, task: Task) -> str:
    """`--scale`, nothing where it is what the labels lead to."""
    numbers = [t for t in task.targets if isinstance(t, Number)]
    if not numbers:
        return ""
    labels = run.table("labels.csv")
    trained = labels[labels["split"] == "train"]
    led = [_bare(t).complete(trained[list(t.columns)].to_numpy(float)).scale for t in numbers]
    return "" if led == [t.scale for t in numbers] else numbers[0].scale


def _of_view(task: Task, base: Task, augment) -> dict:
    """The options of how pictures are seen and changed, where they differ from those of `base`."""
    kept = tuple(a for a in augment if a in permitted(task.targets, task.fit))
    said = {
        "size": "x".join(map(str, task.size)) if task.size != base.size else "",
        "fit": task.fit if task.fit != base.fit else "",
        "box": ",".join(task.box) if task.box != base.box else "",
        "margin": f"{task.margin!r}" if task.margin != base.margin else "",
        "group": task.group if task.group != base.group else "",
        "value_range": ",".join(f"{end!r}" for end in task.value_range or ()),
        "augment": (",".join(task.augment) or "none") if task.augment != kept else "",
    }
    return {name: value for name, value in said.items() if value}


# ---- the training


def _given(cfg: TrainConfig, base: Task) -> dict:
    """The settings, of those with an option, that differ from the task's usual ones."""
    plain, given = config.make(base), {}
    if cfg.arch != plain.arch or not plain.arch_args.keys() <= cfg.arch_args.keys():
        given["arch"] = cfg.arch  # which does without what the task's recipe says of its own backbone
        plain = config.make(base, arch=cfg.arch)
    for name in {**options.SHARED, **options.TRAINING}:
        if hasattr(plain, name) and name != "arch" and getattr(cfg, name) != getattr(plain, name):
            given[name] = getattr(cfg, name)
    return given


def _pair(key: str, value) -> str:
    """`--arch-arg` as it is typed: a text without quotes, unless it would be read as something else."""
    plain = f"{key}={value}"
    return plain if readers.read_pairs([plain]) == {key: value} else f"{key}={json.dumps(value)}"


def _of_settings(cfg: TrainConfig, base: Task) -> dict:
    """The same as texts, as they are typed."""
    said, given = {}, _given(cfg, base)
    for name, value in given.items():
        if name == "arch_args":
            said[name] = [_pair(key, of) for key, of in value.items()]
        elif name == "stop_at":
            said[name] = f"{value[0]}={value[1]!r}"
        elif isinstance(value, tuple):
            said[name] = ",".join(value)
        else:
            said[name] = "auto" if value is None else value
    return said
