"""Columns that may name what several images show: a person, a house, a sequence of frames."""
from collections.abc import Iterable

import pandas as pd

from ..utils.quoting import option
from .infer_targets import name_words

# Words of a name. A class or a fold is shared by images that show different things.
SHOWN = {"person", "people", "subject", "patient", "participant", "identity", "individual", "animal", "specimen",
         "plant", "house", "building", "property", "site", "scene", "gauge", "sequence", "video", "clip", "session",
         "recording"}
LEAST_SHARE = 0.5  # of the rows, that share their value with another


def group_columns(frame: pd.DataFrame, used: Iterable[str] = ()) -> list[str]:
    """Find the columns that by their names and values may be groups, see --group.

    Args:
        frame: A table, or its beginning.
        used: Columns that have a use.
    """
    columns = []
    for name in frame.columns:
        values = frame[name].dropna().astype(str)
        if name in used or not SHOWN & set(name_words(name)):
            continue
        if values.nunique() > 1 and values.duplicated(keep=False).sum() >= LEAST_SHARE * len(frame):
            columns.append(str(name))
    return columns


def describe_ungrouped(frame: pd.DataFrame, used: Iterable[str] = ()) -> list[str]:
    """Say what images share that no --group keeps together, a sentence for each column; arguments as above."""
    return [f"the column '{name}' repeats its values: with {option('--group', name)} each stands in one part of the "
            "split, and errors and intervals hold for new ones" for name in group_columns(frame, used)]
