"""The list of the runs of a folder, with their state and their errors."""
from pathlib import Path

from ..utils.format import align_columns, format_value
from ..utils.messages import ImgregError, shorten_items
from .run_folder import Run, load_run

COLUMNS = ("path", "task", "state", "arch", "epochs", "images")


def list_runs(folder: str | Path = "runs") -> list[dict]:
    """List the runs of a folder, the newest last.

    Args:
        folder: Of runs, or one run.

    Returns:
        For each run COLUMNS (its state is Run.state, or "not scored" if its scoring was cut off), and `scores` of the
        validation part, {target: {unit, mean, baseline}}. Folds are one entry, whose scores have a `spread`. What is no
        run has `path`, `state` and the reason, `why`, and so has a run that failed before it was scored.

    Raises:
        ImgregError: If there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ImgregError("a folder of runs", f"no folder '{folder}'", "imgreg train angle")
    if (folder / "run.json").is_file():
        return [_entry(folder)]
    folders = [path for path in folder.iterdir() if path.is_dir() and not path.name.startswith(".")]
    return [_entry(path) for path in sorted(folders, key=_start_time)]


def _start_time(path: Path) -> tuple[float, str]:
    """Return when a run, or the first of its folds, began: when its labels were written."""
    times = [file.stat().st_mtime for file in (*path.glob("labels.csv"), *path.glob("*/labels.csv"))]
    return min(times, default=path.stat().st_mtime), path.name


def _entry(path: Path) -> dict:
    """Return the entry of a folder, whatever it holds."""
    entry: dict = {"path": str(path)}
    try:
        folds = [] if (path / "run.json").exists() else [load_run(p.parent) for p in sorted(path.glob("*/run.json"))]
        if not all(run.config.fold for run in folds):
            return entry | {"state": "folder", "why": f"see imgreg runs {path}"}
        run = folds[0] if folds else load_run(path)
        state, epochs, scores = run.state, run.about.get("epochs_done"), run.scores.get("valid", {})
        if folds:
            state = f"{sum(fold.state == 'trained' for fold in folds)} of {run.config.folds} folds"
            epochs = sum(fold.about.get("epochs_done") or 0 for fold in folds)
            scores = Run(path, {}).read_json("scores.json")
        elif state == "scoring" and not run.is_running:
            state = "not scored"
        names = ("unit", "mean", "spread", "baseline")
        scores = {target: {name: s[name] for name in names if name in s} for target, s in scores.items() if "mean" in s}
        if state == "failed" and not scores:
            entry["why"] = shorten_items(run.about.get("stopped") or "for an unknown reason")
        return entry | {"task": run.task.name, "state": state, "arch": run.config.arch, "epochs": epochs,
                        "images": run.about["data"]["rows"], "scores": scores}
    except ImgregError as e:
        return entry | {"state": "broken", "why": e.actual}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:  # somebody has changed a file
        return entry | {"state": "broken", "why": f"{type(e).__name__}: {e}"}


def format_runs(entries: list[dict]) -> str:
    """Write the entries of list_runs as a table."""
    rows: list[tuple[str, ...]] = [(*COLUMNS, "error (valid)")]
    for entry in entries:
        errors = []
        for target, scores in entry.get("scores", {}).items():
            numbers = {name: format_value(scores[name], scores["unit"]) for name in scores if name != "unit"}
            spread = f" ± {numbers['spread']}" if "spread" in scores else ""
            guessing = f" (guessing: {numbers['baseline']})" if "baseline" in scores else ""
            errors.append(f"{target} {numbers['mean']}{spread}{guessing}")
        cells = ("" if entry.get(column) is None else str(entry[column]) for column in COLUMNS)
        rows.append((*cells, entry.get("why", ", ".join(errors))))
    return align_columns(rows)
