"""Which column of a table names the pictures."""
import re
from pathlib import Path

import pandas as pd

from ...utils.console import say
from ...utils.errors import ImgregError, close_matches, first_few
from ..images import SUFFIXES as PICTURES

# What a column of pictures is called, without regard to case and punctuation, the likelier names first.
USUAL = ("image", "images", "img", "picture", "photo", "photograph", "imagename", "imagefile", "imagepath", "filename",
         "filepath", "file", "imgname", "imgfile", "imgpath", "picturename", "photoname", "picturefile", "photofile",
         "path", "imageid", "imgid", "pictureid", "photoid", "bild", "foto", "imagen", "immagine")


def image_column(frame: pd.DataFrame, given: str = "", table: str | Path = "the table") -> str:
    """The column that names the pictures: the one `given`, else "image", else one that looks like it, which is said.

    Raises ImgregError, which names `table`, if it is not there or cannot be told.
    """
    if given or "image" in frame:
        name = given or "image"
        if name not in frame:
            raise ImgregError(f"a column '{name}' in {table}", f"{first_few(frame.columns, 8)}",
                              f"--image-col with one of {close_matches(name, map(str, frame.columns)) or 'them'}")
        return name
    plain = {re.sub(r"[\W_]", "", str(name)).lower(): name for name in reversed(frame.columns)}
    called = [plain[name] for name in USUAL if name in plain]
    holding = [name for name in frame.columns if _names_pictures(frame[name])]
    likely = [name for name in called if name in holding] or (holding if len(holding) == 1 else [])
    likely = likely or (called if not holding else [])
    if not likely:
        close = first_few(map(repr, holding)) or close_matches("image", map(str, frame.columns))
        raise ImgregError(f"a column 'image' in {table}", f"{first_few(frame.columns, 8)}",
                          f"--image-col with one of {close}" if close else "--image-col NAME")
    say(f"the pictures are those of the column '{likely[0]}' of {table} (--image-col names another)")
    return likely[0]


def _names_pictures(column: pd.Series) -> bool:
    """Whether most of the first values end like pictures."""
    if pd.api.types.is_numeric_dtype(column):
        return False
    endings = column.dropna().head(200).astype(str).str.strip().str.lower().str.extract(r"(\.\w+)$")[0]
    return bool(len(endings)) and bool(endings.isin(PICTURES).mean() > 0.5)
