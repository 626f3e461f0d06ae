"""The run that a training goes on from (`--weights RUN`): which images of a table it knows, and in which part."""
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from ..config import TrainConfig
from ..data.known_images import FILE, known_parts
from ..data.splits import uses_table_split
from ..data.tables import files_exist
from ..runs import Run, load_run
from ..tasks import Task
from ..utils.messages import ImgregError, first_few, say, warn


class Recognition(NamedTuple):
    """What an earlier run knows.

    Args:
        earlier: All images that it knows, see data.known_images; None where no run is named.
        old_parts: In which part it had each of the rows, see data.splits.assign_splits.
    """

    earlier: pd.DataFrame | None = None
    old_parts: pd.Series | None = None


def recognise_images(rows: pd.DataFrame, config: TrainConfig, task: Task) -> Recognition:
    """Look up which rows the run knows that a training goes on from, and say how many keep their part.

    Args:
        rows: Usable rows of a labels table.
        config: The training's settings.
        task: The task.

    Raises:
        ImgregError: The run's images can no longer be compared.
    """
    run = find_run(config.weights)
    if run is None:
        if _is_bundle(config.weights):
            warn(f"'{config.weights}' does not say which images it was trained on: if this table has some of them, the "
                 "validation error may be too good (--weights RUN, the folder of its run, keeps them apart)")
        return Recognition()
    earlier = _comparable_images(run)
    images, old_parts = known_parts(rows, earlier, same_groups=run.task.group == task.group)
    n = int(images.notna().sum())
    if not n:
        say(f"{run.path} knows none of these {len(rows)} images")
    elif not (config.hold_out or config.folds or uses_table_split(rows, config)):
        notes = {"calibrate": " (trained on now: --calibrate 0)" if config.calibrate == 0 else
                 f" (--calibrate {config.calibrate:g} changes nothing)" if config.calibrate else ""}
        counts = ", ".join(f"{count} {part}{notes.get(str(part), '')}" for part, count in images.value_counts().items())
        n_grouped = int(old_parts.notna().sum()) - n
        grouped = f", and {n_grouped} new images go to the part of their group" if n_grouped else ""
        say(f"{n} of {len(rows)} images keep the part that they had in {run.path}: {counts}{grouped}")
    return Recognition(earlier, old_parts)


def find_run(weights: str) -> Run | None:
    """Open the run whose folder, or a model file in it, `--weights` names; None if it names none."""
    path = Path(weights).expanduser()
    folder = path if path.is_dir() else path.parent
    is_named = path.is_dir() or (path.is_file() and path.suffix in (".safetensors", ".imgreg"))
    return load_run(folder) if is_named and (folder / "run.json").is_file() else None


def _is_bundle(weights: str) -> bool:
    """Tell whether `--weights` names a model file of imgreg."""
    from safetensors import SafetensorError, safe_open

    path = Path(weights).expanduser()
    if not path.is_file() or path.suffix not in (".safetensors", ".imgreg"):
        return False
    try:
        with safe_open(path, framework="numpy") as file:
            return "imgreg" in (file.metadata() or {})
    except (SafetensorError, OSError):  # what it is instead is said when it is loaded
        return False


def _comparable_images(run: Run) -> pd.DataFrame:
    """Return the images that a run knows; raise ImgregError if they cannot be compared with others."""
    old_parts = run.known_images
    if (run.path / FILE).is_file():
        return old_parts
    if (old_parts["hash"] == "").any():
        lost = run.labels.loc[~files_exist(run.labels["path"]), "image"]
        raise ImgregError(f"the images of {run.path}, which an older version wrote, to see which it was trained on",
                          f"{len(lost)} of them gone: {first_few(lost, 3)}", "the files where they were, or other "
                          "--weights")
    start = run.about.get("weights", {})
    if start.get("kind") == "model":
        warn(f"{run.path} started from {start.get('source')} and does not say what that was trained on: images that "
             "only that one knows are taken as new")
    return old_parts
