"""Which column of a table is its folds, and what columns of a split and of folds have in common."""
from collections.abc import Iterable

import pandas as pd

from ...config import TrainConfig
from ...utils.messages import ImgregError, first_few, say
from ..infer_targets import name_words
from ..kept_parts import natural_order
from ..tables import Table, existing_column

FOLD_NAMES = {"fold", "folds", "kfold", "kfolds", "cvfold"}
MAX_FOLDS = 20


def cell_texts(column: pd.Series) -> pd.Series:
    """Write cells as texts without blanks, whole numbers without a point; None where they are empty."""
    texts = column.astype(object).map(str, na_action="ignore").str.strip().str.replace(r"\.0+$", "", regex=True)
    return texts.where(texts.notna() & (texts != ""), None)


def fold_columns(frame: pd.DataFrame, used: Iterable[str]) -> list[str]:
    """Name the columns that by their name and values are folds."""
    names = []
    for name in frame.columns:
        words = name_words(name)
        if name not in {*used} and FOLD_NAMES.intersection((*words, "".join(words))) and "change" not in words:
            texts = cell_texts(frame[name])
            if 2 <= texts.nunique() <= MAX_FOLDS and not texts.str.contains(r"\d\.\d", na=False).any():
                names.append(name)
    return names


def choose_folds(frame: pd.DataFrame, cfg: TrainConfig, used: Iterable[str], table: Table) -> pd.Series | None:
    """Return the folds of a table where a training asks for them; say what looks like folds and is not used."""
    if isinstance(cfg.folds, str):
        fold = cell_texts(frame[existing_column(frame, cfg.folds, "--folds", table)])
        if not 2 <= (n := fold.nunique()) <= MAX_FOLDS:
            raise ImgregError(f"--folds with a column of 2 to {MAX_FOLDS} different values", f"{n} in '{cfg.folds}'",
                              f"--group '{cfg.folds}' --folds 5, for folds of whole groups" if n > 2 else "--folds 5")
        return fold
    for name in fold_columns(frame, used)[:1]:
        fold = cell_texts(frame[name])
        if fold.nunique() == cfg.folds:
            say(f"the folds are those of the column '{name}' of {table}: {first_few(natural_order(fold), MAX_FOLDS)}")
            return fold
        if not cfg.hold_out:
            for_what = f" for --folds {cfg.folds}" if cfg.folds else ""
            say(f"the column '{name}' of {table} looks like {fold.nunique()} folds and is not used{for_what} "
                f"(imgreg train --folds {name} uses it)")
    return None
