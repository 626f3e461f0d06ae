"""The verbs as plain functions that return values. cli.py says the same in the terminal."""
from pathlib import Path

from . import config, datasets, jobs, scoring, tables
from . import labels as _labels
from .errors import ImgregError
from .faults import OF_SPLIT
from .messages import warn
from .tasks import Task, complete


def prepare(task="angle", *, images=None, **options):
    """What every training verb begins with: (completed Task, TrainConfig, labels frame with its split, table's path).

    Options as for `asked`; `strict` stops at any fault of the labels and pictures.
    """
    chosen, cfg, table = asked(task, images=images, **options)
    frame = _labels.divide(_read(table, chosen, cfg, images), cfg, chosen)
    return complete(chosen, frame[frame["split"] == "train"]), cfg, frame, table


def asked(task="angle", *, targets=(), data=None, preset=None, labels=None, images=None, image_col="",
          label_from_name="", flip_pairs=None, units=(), target_weights=(), scale=None, augment=None, size=None,
          fit=None, box=None, margin=None, group=None, value_range=None, **settings):
    """What was asked for: (Task, TrainConfig, path of the labels table), before the labels are read.

    `task`: the name of a built-in task, the path of a labels table or of a folder whose names hold the labels, or a
    Task of your own with `data` its table; `targets`: `NAME[=COL,...][:KIND]` each; `data`, `preset`, `labels`: see
    datasets.locate; `image_col`, `label_from_name`, `flip_pairs`, `units`, `target_weights`, `scale`: of a table, see
    datasets.own.task; `images`: the folder that its pictures' names are relative to; `size`: (height, width);
    `augment`: names out of tasks.AUGMENTATIONS; `box`: four columns; `value_range`: black and white of pictures of 16
    or 32 bits; the rest are TrainConfig's fields.
    """
    own = {"image_col": image_col, "label_from_name": label_from_name, "flip_pairs": flip_pairs, "units": units,
           "target_weights": target_weights, "scale": scale, "images": images}
    targets, augment, box = (one if one is None else _listed(one) for one in (targets, augment, box))
    chosen, table, specs = _chosen(task, list(targets), data, preset, labels, own)
    chosen = chosen.changed(specs, augment, size=size, fit=fit, box=box, margin=margin, group=group,
                            value_range=value_range)
    if margin is not None and not chosen.box:
        raise ImgregError("--margin with a --box to be widened", "no box")
    cfg = config.make(chosen, **settings)
    _check_goal(chosen, cfg)
    return chosen, cfg, table


def _listed(words) -> tuple:
    """One word or several."""
    return (words,) if isinstance(words, str) else tuple(words)


def _chosen(task, specs, data, preset, labels, own) -> tuple[Task, Path, list]:
    """The Task, its labels table, and what `--target` says that is not yet in it."""
    if isinstance(task, Task) or not datasets.own.is_own(task):
        given = [name for name, value in own.items() if value and not (name == "images" and isinstance(task, Task))]
        if given:
            option = given[0].replace("_", "-").replace("units", "unit").replace("weights", "weight")
            raise ImgregError(f"--{option} with a labels table", f"the task '{getattr(task, 'name', task)}'")
        return *datasets.locate(task, data, preset, labels), specs
    if preset or labels or data:
        option = "--preset" if preset else "--labels" if labels else "--data"
        raise ImgregError(f"{option} with a built-in task", f"the table '{task}'",
                          "--images DIR, the folder that its pictures' names are relative to" if data else None)
    table = Path(task)
    if own["images"] and table.is_dir():
        raise ImgregError("--images with a table, to whose names it belongs", f"the folder '{task}'")
    made = datasets.own.task(table, specs, own["image_col"], own["label_from_name"], own["flip_pairs"], own["units"],
                             own["target_weights"], own["scale"])
    return made, table, []


def _check_goal(task: Task, cfg) -> None:
    if cfg.stop_at and not cfg.stop_at[1] > 0:
        raise ImgregError("--stop-at TARGET=VALUE with a value above 0", f"{cfg.stop_at[1]}")
    if cfg.stop_at and cfg.stop_at[0] not in [t.name for t in task.targets]:
        known = ", ".join(t.name for t in task.targets)
        raise ImgregError(f"--stop-at TARGET=VALUE with a target of the task: {known}", f"'{cfg.stop_at[0]}'")


def _read(table: Path, task: Task, cfg, images):
    """The usable rows of a labels table; what would ruin the run raises ImgregError, what is left out is said."""
    frame, found = _labels.survey(table, task, images)
    if cfg.hold_out or cfg.folds:  # the table's own split is not used
        found = [f for f in found if f.kind not in OF_SPLIT]
    stops = [f for f in found if f.level == "stop" or cfg.strict]
    kept = _labels.keep(frame, task, table) if not cfg.strict or not stops else None
    if stops:
        more = f" (and {len(stops) - 1} more)" if len(stops) > 1 else ""
        raise ImgregError(f"labels to learn from in '{table}'", stops[0].told() + more, f"imgreg check {table}")
    for finding in found:
        if finding.level == "note" and finding.kind != "missing":  # missing labels were counted by `keep`
            warn(f"{table}: {finding.told()}")
    return kept


def check(task="angle", *, fast=False, plot=None, out="runs", images=None, **options):
    """Look for all faults of a task's labels and pictures; returns doctor.Health and the path of a plot of them.

    `fast` opens no picture; `plot`: a new file, else OUT/check-<task>-NNN.png; other options as for `train`, of which
    `strict` lets any finding stop.
    """
    from . import doctor, overview, plots, runs

    if plot is not None and Path(plot).exists():
        raise ImgregError("a new file for --plot", f"'{plot}' in place", "another name")
    chosen, cfg, table = asked(task, images=images, **options)
    health = doctor.check(table, chosen, images, fast, cfg)
    path = Path(plot or Path(out) / runs.fresh(Path(out), f"check-{chosen.name}", ".png", always=True))
    return health, plots.save(overview.draw(health), path)


def dataloaders(task="angle", **options):
    """fastai DataLoaders for a task; options as for `train`. Labels are in units, pictures normalised."""
    task, cfg, frame, _ = prepare(task, **options)
    return jobs.loaders(task, cfg, frame)


def learner(task="angle", **options):
    """A fastai Learner for a task, untrained; options as for `train`."""
    task, cfg, frame, _ = prepare(task, **options)
    return jobs.learner(jobs.loaders(task, cfg, frame), task, cfg)[0]


def train(task="angle", *, out="runs", dry_run=False, **options):
    """Train, score and write a run folder OUT/<task>-NNN; returns the Run (None for a dry run).

    Options: those of `prepare` and the fields of TrainConfig. `dry_run` sends one batch through everything, scores and
    plots included, and leaves nothing. With `folds` it trains as many runs within OUT/<task>-NNN, and returns Folds.
    Interrupted, it leaves a run that can be evaluated. Raises ImgregError for what the user can mend.
    """
    task_, cfg, frame, table = prepare(task, **options)
    if cfg.folds and not cfg.fold and not dry_run:
        return jobs.cross_validate(task_.name, cfg.folds, Path(out),
                                   lambda fold, folder: train(task, out=folder, **{**options, "fold": fold}))
    if dry_run:
        return jobs.rehearse(task_, cfg, frame, table, options.get("images"))
    return jobs.train(task_, cfg, frame, table, out, options.get("images"))


def evaluate(run, table=None, device: str = "auto", images=None, by=None, how: str = "mean") -> dict:
    """Score a run on its validation part, or on another labelled set; returns {target: {unit, n, mean, ...}}.

    `table`: a labels table, or a folder whose file names hold the labels; pictures the run was trained on are left out.
    `images`: the folder that its names are relative to. `by`: a column; its pictures of one value are judged by one
    answer, their `how` mean or median.
    Scores, predictions and plots are written to RUN/evaluations/NAME, under a new name if that exists; the returned
    dict says where under "folder".
    """
    from . import evaluation, predictor, runs

    run = run if isinstance(run, runs.Run) else runs.load(run)
    by = "group" if table is None and by == run.task.group else by
    if images is not None and (table is None or Path(table).is_dir()):
        raise ImgregError("--images with a table, to whose names it belongs", str(table or "the run's own pictures"))
    scoring.check_by(run.task, by, how)
    model = predictor.load(run.path, jobs.device(device))
    if run.about.get("state") != "trained":
        warn(f"the training of {run.path} did not come to its end: {run.about.get('state')}")
    known = run.labels
    trained, frame, name = known[known["split"] == "train"], known[known["split"] == "valid"], "valid"
    if table is not None:
        place = Path(table).resolve()
        read = _labels.read(table, model.task, to_divide=False, images=images, also=(by,) if by else ())
        frame, name = _labels.unseen(read, trained), place.stem
        name = place.parent.name if name == "labels" else name
    folder = runs.claim(run.path / "evaluations", name).relative_to(run.path)
    try:
        scores = evaluation.write(run, folder, model, frame.assign(split=name), trained, by=by, how=how)
    except ImgregError:
        (run.path / folder).rmdir()
        raise
    return {"folder": str(run.path / folder), **scores[name]}


def predict(model, pictures, boxes=None, draw=None, images=None, by=None, how: str = "mean"):
    """Predict for pictures with a run or model file (or an opened Predictor); returns Predictor.predict's DataFrame.

    `pictures` may be the path of a table of pictures, with the columns of the box where the model needs them; `images`
    is the folder that its names are relative to. `draw`: a folder for copies of the pictures with the predictions drawn
    on them. `by`: a column of the table, or "folder": one row for all pictures of one value, their `how` mean or
    median.
    """
    model = model if hasattr(model, "predict") else load(model)
    scoring.check_by(model.task, by, how)
    if draw is not None:  # known before the work, not after it
        from . import copies

        copies.writable(draw)
    place = pictures[0] if isinstance(pictures, list) and len(pictures) == 1 else pictures
    if isinstance(place, (str, Path)) and Path(place).suffix.lower() in tables.SUFFIXES:
        result = _predict_table(model, place, boxes, draw, images, by)
    elif images is not None:
        raise ImgregError("--images with a table of pictures", f"'{place}'")
    else:
        result = model.predict(pictures, boxes)
        _draw(draw, model, result)
        if by == "folder":
            result = result.assign(folder=[str(Path(str(name)).parent) for name in result["image"]])
    return scoring.by_group(model.task, result, by, how) if by else result


def _predict_table(model, table, boxes, draw, images, by):
    """As `predict`, the pictures and their boxes being those of a table; `image` is what the table says."""
    frame = _labels.to_predict(table, model.task, images, (by,) if by else ())
    if boxes is not None:
        raise ImgregError("the boxes in the table, or pictures with boxes=", f"both a table '{table}' and boxes")
    boxes = frame[list(model.task.box)].to_numpy() if model.task.box else None
    result = model.predict(list(frame["path"]), boxes, listed=True)
    _draw(draw, model, result)
    rows = frame.iloc[result.index]  # by place: a picture may stand in several rows, for several boxes of it
    found = {column: rows[column].to_numpy() for column in ("image", *([by] if by else []))}
    return result.assign(**found).reset_index(drop=True)


def _draw(folder, model, result) -> None:
    if folder is not None:
        from . import copies

        copies.draw(folder, model.task, result)


def load(path, device: str = "cpu"):
    """Open a run folder or a model file (model.imgreg) as a Predictor; a pickle is refused."""
    from . import predictor

    return predictor.load(path, jobs.device(device))


def export(run, format: str | None = None, out=None) -> Path:
    """Write a run as a file that needs nothing else: `learner` (fastai's export.pkl) or `bundle` (model.imgreg).

    Without a format the ending of `out` decides; learner if there is none.
    """
    from . import exports, runs

    return exports.export(run if isinstance(run, runs.Run) else runs.load(run), format, out)


def lr_find(task="angle", *, out="runs", **options):
    """Sweep the learning rate for a task; returns training.Sweep and the path of its plot, OUT/lr_find-<task>-NNN.png.

    Options as for `train`.
    """
    from . import plots, precision, runs, training

    task, cfg, frame, _ = prepare(task, **options)
    learn, _ = jobs.learner(jobs.loaders(task, cfg, frame), task, cfg)
    sweep = training.find_lr(learn, precision.choose(learn, cfg.precision))
    path = Path(out) / runs.fresh(Path(out), f"lr_find-{task.name}", ".png", always=True)
    plots.save(plots.lr_find(sweep.lrs, sweep.losses, sweep.suggestion, sweep.trusted), path)
    return sweep, path
