"""Which column of a table names the images."""
import re
from pathlib import Path

import pandas as pd

from ...utils.messages import ImgregError, close_matches, first_few, say
from ..images import SUFFIXES as IMAGE_SUFFIXES
from .cells import check_names
from .find_images import with_paths
from .frames import Table
from .name_forms import without_query
from .reading import read_table

# Names of such a column, in lower case without punctuation, the likelier first.
USUAL_NAMES = (
    "image", "images", "img", "picture", "photo", "photograph", "imagename", "imagefile", "imagepath", "filename",
    "filepath", "file", "imgname", "imgfile", "imgpath", "picturename", "photoname", "picturefile", "photofile",
    "path", "imageid", "imgid", "pictureid", "photoid", "bild", "foto", "imagen", "immagine",
)
ID_NAMES = ("id", "imageid", "imgid", "pictureid", "photoid")  # of a column of ids that files may be called by
BEGINNING = 200  # rows that show which column names the images


def read_image_table(path: str | Table, image: str = "", text: tuple[str, ...] = (), required: bool = True,
                     images: str | Path | None = None) -> tuple[pd.DataFrame, str]:
    """Read a table whose rows name images; without a column `image`, its beginning is read first to choose one.

    Args:
        path: The table.
        image: The column that names the images.
        text: Further columns that stay text.
        required: Whether `image` must be there. Otherwise it is chosen where it is not.
        images: The folder that the names are relative to, else the table's own.

    Returns:
        The table and the column that names the images.

    Raises:
        ImgregError: The file is not a table, or it has no such column.
    """
    if not image or not required:
        beginning = read_table(path, max_rows=BEGINNING)
        image = _choose_column(beginning, image if image in beginning else "", path, images, required)
    frame = read_table(path, (image, *text))
    name = image_column(frame, image, path)
    check_names(frame[name], path)
    return frame, name


def _choose_column(frame: pd.DataFrame, name: str, table: str | Table, images: str | Path | None,
                   has_option: bool) -> str:
    """Choose as image_column does; without the option --image-col nothing is said that names it."""
    try:
        return image_column(frame, name, table, images, has_option)
    except ImgregError as e:
        if has_option:
            raise
        raise ImgregError(e.expected, e.actual, "that name for the column of the images") from e


def image_column(frame: pd.DataFrame, name: str = "", table: str | Table = "the table",
                 images: str | Path | None = None, has_option: bool = True) -> str:
    """Choose the column that names the images: `name`, else "image", else one that looks like it, which is reported.

    Args:
        frame: A table or its beginning.
        name: The column, if the user names it.
        table: The table's path, for messages.
        images: The folder that the names are relative to, else the table's own.
        has_option: Whether --image-col can be typed.

    Raises:
        ImgregError: There is no such column, or several may be meant.
    """
    if name or "image" in frame:
        name = name or "image"
        if name not in frame:
            raise ImgregError(f"a column '{name}' in {table}", f"{first_few(frame.columns, 8)}",
                              f"--image-col with one of {close_matches(name, map(str, frame.columns)) or 'them'}")
        return name
    plain_names = {re.sub(r"[\W_]", "", str(column)).lower(): column for column in reversed(frame.columns)}
    by_name = [plain_names[usual] for usual in USUAL_NAMES if usual in plain_names]
    by_values = [column for column in frame.columns if holds_image_names(frame[column])]
    candidates = [column for column in by_name if column in by_values]
    ids, root = [plain_names[usual] for usual in ID_NAMES if usual in plain_names], images or Path(table).parent
    if not candidates and len(by_values) < 2:
        candidates = by_values or by_name or [column for column in ids if _name_files(frame, column, root)]
    if not candidates:
        if ids and not by_values:
            raise ImgregError(f"a column 'image' in {table}, or files that are called as '{ids[0]}' says",
                              f"none in '{root}' for {frame[ids[0]].dropna().astype(str).head(1).to_list()}",
                              f"{'another' if images else 'their'} folder by --images, or the column by --image-col")
        words = (str(name) for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name]))
        close = first_few(map(repr, by_values)) or close_matches("image", words)
        raise ImgregError(f"a column 'image' in {table}", f"{first_few(frame.columns, 8)}",
                          f"--image-col with one of {close}" if close else "--image-col NAME")
    other = " (--image-col names another)" if has_option else ""
    say(f"the images are those of the column '{candidates[0]}' of {table}{other}")
    return candidates[0]


def holds_image_names(column: pd.Series) -> bool:
    """Tell whether most of the first values end like image files; what a URL has after them is no part of them."""
    if pd.api.types.is_numeric_dtype(column):
        return False
    names = column.dropna().head(BEGINNING).astype(str).map(without_query)
    endings = names.str.lower().str.extract(r"(\.\w+)$")[0]
    return bool(len(endings)) and bool(endings.isin(IMAGE_SUFFIXES).mean() > 0.5)


def _name_files(frame: pd.DataFrame, column: str, root: str | Path) -> bool:
    """Tell whether there are images for most of the first values."""
    rows = with_paths(frame[[column]].dropna().head(BEGINNING), column, root)
    return bool(len(rows)) and bool(rows["present"].mean() > 0.5)
