"""What is done with trained models: they are opened, predict for images, and are scored on labelled ones."""
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
from numpy.typing import ArrayLike

from .. import datasets
from ..data import labels, tables
from ..evaluation import aggregation
from ..inference.ensemble import Ensemble
from ..inference.inputs import resolve_inputs
from ..inference.predictor import Predictor
from ..models.devices import select_device
from ..runs import Run, load_run
from ..utils.files import atomic_folder, new_folder
from ..utils.messages import ImgregError, say, warn

Model = str | Path | Predictor | Ensemble  # a run folder, a model file, or one that is open


def load(path: Model | Sequence[Model], device: str = "cpu") -> Predictor | Ensemble:
    """Open a run folder or a model file as a Predictor, several as an Ensemble; a pickle is refused."""
    from ..inference.model_file import load_model

    paths: Sequence[Any] = path if isinstance(path, (list, tuple)) else [path]
    models = tuple(model if hasattr(model, "predict") else load_model(getattr(model, "path", model),  # of a Run, too
                                                                      select_device(device)) for model in paths)
    return models[0] if len(models) == 1 else Ensemble(models)


def predict(model: Model | Sequence[Model], pictures: object, boxes: ArrayLike | None = None,
            draw: str | Path | None = None, images: str | Path | None = None, by: str | None = None, how: str = "mean",
            coverage: float | None = None, tta: bool = False, max_pixels: int | None = None,
            joint: bool = False) -> pd.DataFrame:
    """Predict for images.

    Args:
        model: A run folder or a model file, or an opened Predictor or Ensemble; a list of them predicts as one.
        pictures: One image or many, or a table of them, as for `Predictor.predict`.
        boxes: [n, 4] or [4] in pixels: centre x, centre y, width, height; whatever --coords and --box-format say of
            the tables that the model reads.
        draw: A folder for copies of the images with the predictions drawn on them.
        images: The folder that the names in a table are relative to.
        by: A column of the table, or "folder": one row for all images of one value.
        how: mean or median, of the predictions for one value of `by`.
        coverage: Share of all images that the intervals of a calibrated model hold for; None: as calibrated.
        tta: Average over each image and its flipped and turned copies; see `Predictor.predict`.
        max_pixels: The most pixels of an image that is decoded; None: as the model was trained.
        joint: Intervals hold for all values of an image at once; of one model, without `by`.

    Returns:
        As `Predictor.predict` returns it; `attrs["left_out"]` counts the images that could not be used.
    """
    # 1. What cannot be done is refused before the work
    model = load(model)
    parts = model.models if isinstance(model, Ensemble) else (model,)
    model = load([_with_max_pixels(part, max_pixels) for part in parts])
    aggregation.check_aggregation(model.task, by, how)
    if joint and by:
        raise ImgregError("--joint image by image", f"--by {by}", "imgreg predict without --by")
    coverage = model.check_options(coverage, tta, joint)
    if draw is not None:
        from ..plots import copies

        copies.check_writable(draw)

    # 2. The images, or those of a table that is given in their place
    sources, boxes, rows = resolve_inputs(pictures, boxes, model.task, images, (by,) if by else ())

    # 3. A row for each image that can be opened, or for each value of `by`
    opened, predictions = model.predict_each(sources, boxes, tta=tta)
    result = model.merge(sources, opened, predictions, coverage, joint)
    if draw is not None:
        copies.draw(draw, model.task, result)
    n_left_out = len(sources) - len(result)
    if rows is not None:
        n_left_out += rows.attrs["left_out"]
        rows = rows.iloc[result.index]  # by position: an image may stand in several rows, with several boxes
        result = result.assign(**{column: rows[column].to_numpy() for column in ["image", by] if column})
    elif by == "folder":
        result = result.assign(folder=[str(Path(str(name)).parent) for name in result["image"]])
    result = result.reset_index(drop=True)
    if by:
        result = aggregation.aggregate_by(model.task, result, by, how, predictions, coverage)
    result.attrs["left_out"] = n_left_out
    return result


def _with_max_pixels(model: Predictor, max_pixels: int | None) -> Predictor:
    """Return the model with another limit of pixels, if one is set."""
    return model if max_pixels is None else replace(model, task=replace(model.task, max_pixels=max_pixels))


def evaluate(run: Run | str | Path, table: str | Path | pd.DataFrame | None = None,
             device: str = "auto", images: str | Path | None = None, by: str | None = None, how: str = "mean",
             coverage: float | None = None, baselines: bool = False, tta: bool = False,
             max_pixels: int | None = None,
             targets: str | Sequence[str] | Mapping[str, str | Sequence[str]] | None = None) -> dict:
    """Score a run on its validation part, or on another labelled set.

    Scores, predictions and plots are written to RUN/evaluations/NAME, under a new name if that exists. A run whose
    scoring failed after its training is completed first.

    Args:
        run: The run, or its folder.
        table: A labels table, a DataFrame, or a folder whose file names hold the labels; images that the run was
            trained on are left out. None: the run's own validation part.
        device: auto, cpu, cuda or mps.
        images: The folder that the names in the table are relative to.
        by: A column; its images of one value are scored by one prediction.
        how: mean or median, of the predictions for one value of `by`.
        coverage: Share of all images that the intervals hold for; None: as calibrated.
        baselines: Score small models on the same parts, too; see `baselines.load_or_measure`.
        tta: Score the average prediction for an image and its flipped and turned copies; see `Predictor.predict`.
        max_pixels: The most pixels of an image that is decoded; None: as the run was trained.
        targets: `NAME=COLUMN[,COLUMN..]` each, or {name: columns}: the table's columns that hold the labels of a
            target; None: those of the training.

    Returns:
        "folder", where they are written; "scores", {target: {unit, n, mean, ...}}, see metrics.score; and "baselines"
        if asked for.
    """
    from ..evaluation import evaluate
    from ..inference.model_file import load_model

    run = open_run(run)
    source = None if table is None else tables.as_table(table)
    by = "group" if table is None and by == run.task.group else by
    if images is not None and (source is None or source.is_dir()):
        raise ImgregError("--images with a table, to whose names it belongs", str(source or "the run's own images"))
    if targets and table is None:
        raise ImgregError("--target NAME=COLUMN with a table, to whose columns it belongs", "the run's own images")
    if baselines and (table is not None or by is not None):
        raise ImgregError("--baselines with the run's own validation part, image by image",
                          f"--by {by}" if by else f"'{source}'")
    aggregation.check_aggregation(run.task, by, how)
    if run.state == "scoring":
        from . import run_stages

        run.claim()
        run_stages.finish(run, run.labels, device)
    elif run.state != "trained":
        warn(f"{run.path} is scored by its best epoch so far: its training is {run.state}")
    model = _with_max_pixels(load_model(run.path, select_device(device)), max_pixels)
    model.check_options(coverage, tta)  # what cannot be done is refused before the work
    name, rows = _rows_to_score(run, model, source, images, by, targets)
    train_rows = run.labels[run.labels["split"] == "train"]
    folder = new_folder(run.path / "evaluations", f"{name}-tta" if tta else name)
    try:
        with atomic_folder(folder, "evaluate into") as work:
            scores = evaluate.write_evaluation(work, model, rows.assign(split=name), train_rows, by=by, how=how,
                                               coverage=coverage, tta=tta, is_own=table is None)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    result = {"folder": str(folder), "scores": scores[name]}
    if baselines:
        from ..evaluation.baselines import load_or_measure

        result["baselines"] = load_or_measure(run, model.device)
    return result


def _rows_to_score(run: Run, model: Predictor, table: tables.Table | None, images: str | Path | None, by: str | None,
                   targets: str | Sequence[str] | Mapping[str, str | Sequence[str]] | None) -> tuple[str, pd.DataFrame]:
    """What an evaluation is called, and its rows: the validation part, or what a table has beside the trained rows.

    `targets` as for `evaluate`; the rows have the columns of the run.
    """
    labelled = run.labels
    if table is None:
        return "valid", labelled[labelled["split"] == "valid"]
    task = run.task.with_columns([targets] if isinstance(targets, str) else targets or ())
    rows = labels.read_labels(table, task, to_divide=False, images=images, also=(by,) if by else ())
    rows = rows.rename(columns=dict(zip(task.columns, run.task.columns, strict=True)))
    rows = labels.exclude_trained(rows, labelled[labelled["split"].isin(("train", "calibrate"))], run.known_images)
    _say_validated(run, model, rows)
    return datasets.own_table.table_name(table), rows


def _say_validated(run: Run, model: Predictor, rows: pd.DataFrame) -> None:
    """Say how many of the rows are of the run's validation part, where that has decided something."""
    labelled = run.labels
    uses = [] if run.config.quick else ["chose its epoch"]
    uses += ["calibrated its intervals"] if "valid" in (model.about.get("calibration") or {}).get("parts", ()) else []
    valid = set(tables.real_paths(labelled.loc[labelled["split"] == "valid", "path"]))
    n = int(tables.real_paths(rows["path"]).isin(valid).sum())
    if n and uses:
        say(f"{n} of {len(rows)} images are of the run's validation part, which {' and '.join(uses)}: on new images it "
            "may be a little worse")


def open_run(run: Run | str | Path) -> Run:
    """Return a run, or that of a folder."""
    return run if isinstance(run, Run) else load_run(run)
