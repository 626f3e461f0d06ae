"""The runs of a folder, a line each."""
import json
from pathlib import Path

from . import runs
from .errors import ImgregError
from .scoring import quantity

COLUMNS = ("path", "task", "state", "arch", "epochs", "pictures")


def listed(folder: str | Path = "runs") -> list[dict]:
    """A dict for each run of the folder, the newest last: COLUMNS, and `scores` {target: {unit, mean, baseline}}.

    Scores are of the validation part. A folder of folds is one line, its scores with their `spread`. What is no run, or
    a broken one, has a `path`, a `state` and the reason, `why`. Raises ImgregError if there is no such folder.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise ImgregError("a folder of runs", f"no folder '{folder}'", "imgreg train angle")
    if (folder / "run.json").is_file():
        return [_line(folder)]
    return [_line(path) for path in sorted(filter(_shown, folder.iterdir()), key=_begun)]


def _shown(path: Path) -> bool:
    return path.is_dir() and not path.name.startswith(".")


def _begun(path: Path) -> tuple[float, str]:
    """When a run, or the first of its folds, began: its labels are written then, and never again."""
    times = [file.stat().st_mtime for file in (*path.glob("labels.csv"), *path.glob("*/labels.csv"))]
    return min(times, default=path.stat().st_mtime), path.name


def _line(path: Path) -> dict:
    within = [] if (path / "run.json").exists() else sorted(path.glob("*/run.json"))
    try:
        inner = [runs.load(file.parent) for file in within]
        if inner and all(run.config.fold for run in inner):
            return _folds(path, inner)
        if inner:
            return {"path": str(path), "state": "folder", "why": f"see imgreg runs {path}"}
        return _one(runs.load(path))
    except ImgregError as e:
        return {"path": str(path), "state": "broken", "why": e.found}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as e:  # a file that somebody has changed
        return {"path": str(path), "state": "broken", "why": f"{type(e).__name__}: {e}"}


def _one(run: runs.Run) -> dict:
    about = run.about
    return {"path": str(run.path), "task": run.task.name, "state": about.get("state", "unknown"),
            "arch": run.config.arch, "epochs": about.get("epochs_done"), "pictures": about["data"]["rows"],
            "scores": _kept(run.scores.get("valid", {}))}


def _folds(path: Path, folds: list[runs.Run]) -> dict:
    """Of a cross-validation; its epochs are those of all folds together."""
    first, file = folds[0], path / "scores.json"
    scores = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {}
    done = sum(run.about.get("state") == "trained" for run in folds)
    return {**_one(first), "path": str(path), "state": f"{done} of {first.config.folds} folds",
            "epochs": sum(run.about.get("epochs_done") or 0 for run in folds), "scores": _kept(scores)}


def _kept(scores: dict) -> dict:
    keys = ("unit", "mean", "spread", "baseline")
    return {name: {key: s[key] for key in keys if key in s} for name, s in scores.items() if "mean" in s}


def told(lines: list[dict]) -> str:
    """The lines of `listed` as a table to be read."""
    rows = [(*COLUMNS, "error (valid)")]
    for line in lines:
        errors = ", ".join(_error(name, s) for name, s in line.get("scores", {}).items())
        rows.append((*("" if line.get(c) is None else str(line[c]) for c in COLUMNS), line.get("why", errors)))
    return columns(rows)


def _error(name: str, scores: dict) -> str:
    spread = f" ± {quantity(scores['spread'], scores['unit'])}" if "spread" in scores else ""
    guess = f" (guessing: {quantity(scores['baseline'], scores['unit'])})" if "baseline" in scores else ""
    return f"{name} {quantity(scores['mean'], scores['unit'])}{spread}{guess}"


def columns(rows: list[tuple[str, ...]]) -> str:
    """Rows of texts, all as many, as lines with one column below the other."""
    wide = [max(map(len, of)) for of in zip(*rows, strict=True)]
    return "\n".join("  ".join(text.ljust(n) for text, n in zip(row, wide, strict=True)).rstrip() for row in rows)
