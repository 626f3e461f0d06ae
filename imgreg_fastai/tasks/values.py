"""Values of labels and fields, whatever their kind: means without NaN, and what JSON can hold."""
from dataclasses import asdict
from typing import Any

import numpy as np

Array = Any  # a numpy array, or a torch tensor where a docstring says so


def json_fields(data: Any) -> dict[str, Any]:
    """The fields of a dataclass as JSON can hold them: tuples as lists."""
    return {name: list(value) if isinstance(value, tuple) else value for name, value in asdict(data).items()}


def as_tuples(value: Any) -> Any:
    """What JSON holds as a list, within lists too, as a tuple; other values as they are."""
    return tuple(map(as_tuples, value)) if isinstance(value, list) else value


def mean(values: Array) -> Array:
    """The mean over the first axis, leaving NaN out; NaN where nothing is left."""
    finite = np.isfinite(values)
    n = finite.sum(axis=0)
    return np.where(n > 0, np.where(finite, values / np.maximum(n, 1), 0).sum(axis=0), np.nan)


def is_finite(value: object) -> bool:
    """Whether it is a finite number."""
    return isinstance(value, (int, float)) and abs(value) < float("inf")
