"""Where the photographs for benchmarks are: in the folder that the environment variable IMGREG_REAL_DATA names."""
import os
from collections.abc import Callable
from pathlib import Path

SMALL = {"arch": "test_resnet", "arch_args": {}, "epochs": 1}  # options of a training for --quick


def find_photographs(name: str) -> tuple[Path, Path] | None:
    """Find a data set and the weights of mobilenetv2_100.

    Args:
        name (str): the data set's folder in data/.

    Returns:
        tuple or None: data/<name>/labels.csv and weights/mobilenetv2_100_imagenet.pth; None if one is missing.
    """
    folder = Path(os.environ.get("IMGREG_REAL_DATA", "nowhere"))
    table, weights = folder / "data" / name / "labels.csv", folder / "weights" / "mobilenetv2_100_imagenet.pth"
    return (table, weights) if table.is_file() and weights.is_file() else None


def skipped(name: str) -> list[dict]:
    """The rows of a part whose photographs are missing."""
    return [{"skipped": f"IMGREG_REAL_DATA names no folder with data/{name}/labels.csv and the weights"}]


def measure_each(parts: dict[str, Callable[[Path, Path], list[dict]]]) -> list[dict]:
    """Measure the data sets that are there.

    Args:
        parts (dict): for each data set, what measures it, given the paths of `find_photographs`.

    Returns:
        list of dict: the rows of all parts; of a missing one those of `skipped`.
    """
    rows = []
    for name, part in parts.items():
        paths = find_photographs(name)
        rows += skipped(name) if paths is None else part(*paths)
    return rows
