"""Parts that rows keep when a training goes on from a run that knows them, and the names of parts and folds."""
import pandas as pd

from ..config import TrainConfig
from ..tasks.kinds import natural
from ..utils.messages import ImgregError

# How fresh an image of a part is: what a run used may move to a part that demands less, never to one that demands more.
FRESHNESS = {"train": 0, "calibrate": 1, "valid": 2, "test": 3}


def split_name(frame: pd.DataFrame) -> str:
    """Return what the table calls its column `split`, for messages."""
    return frame.attrs.get("split_col", "split")


def natural_order(names: pd.Series) -> list[str]:
    """Sort the different texts by the numbers in them: 2 before 10."""
    return sorted(names.dropna().unique(), key=natural)


def touches(units: pd.Series, rows: pd.Series) -> pd.Series:
    """Tell which rows are of a unit that has one of `rows`, bool [n]."""
    return units.isin(units[rows].unique())


def kept_parts(frame: pd.DataFrame, units: pd.Series, old_parts: pd.Series, cfg: TrainConfig) -> pd.Series:
    """Return the part that each row keeps since an earlier run knows it, or another row of its unit.

    Args:
        frame: Rows of a labels table.
        units: What must not stand in two parts, see splits.split_units.
        old_parts: The part in which the run had each row, NaN for new ones.
        cfg: The training's settings; without a part for intervals, its images are trained on.

    Returns:
        The part of each row; NaN where it is free.

    Raises:
        ImgregError: The run had rows of one unit in two parts.
    """
    old_parts = old_parts.mask(old_parts == "calibrate", "train") if cfg.calibrate == 0 else old_parts
    by_unit = old_parts.groupby(units)
    torn = by_unit.transform("nunique") > 1
    if torn.any():
        of_one = units == units[torn].iloc[0]
        name = frame["group"][of_one].iloc[0] if "group" in frame else frame["image"][of_one].iloc[0]
        raise ImgregError(f"groups that {cfg.weights} had in one part each", f"'{name}', which it had in "
                          f"{' and '.join(sorted(old_parts[of_one].dropna().unique()))}, and {torn.sum()} images of "
                          "such groups", "the --group that it was trained with, or other --weights")
    return by_unit.transform("first")


def check_freshness(frame: pd.DataFrame, cfg: TrainConfig, old_parts: pd.Series) -> None:
    """Raise ImgregError if an image is held out that the earlier run was trained on, or chosen or calibrated by.

    Args:
        frame: Rows with their split.
        cfg: The training's settings.
        old_parts: The part in which the run had each row, NaN for new ones.
    """
    parts = pd.Series("valid", frame.index) if cfg.folds else frame["split"]  # each image is in one of the folds
    used = old_parts.notna() & (parts.map(FRESHNESS) > old_parts.map(FRESHNESS))
    if not used.any():
        return
    column = split_name(frame)
    decider, hint = f"the column '{column}'", f"--split-col none, so that they keep their part, or '{column}' mended"
    if cfg.folds or cfg.hold_out:
        decider = "--folds" if cfg.folds else "--hold-out"
        hint = f"no {decider}, or other --weights"
    row = int(used.to_numpy().argmax())
    change = f"had in {old_parts.iloc[row]} and {decider} puts into {parts.iloc[row]}"
    raise ImgregError(f"to validate and test with images that are new to {cfg.weights}",
                      f"{used.sum()} that it knows, first '{frame['image'].iloc[row]}', which it {change}", hint)
