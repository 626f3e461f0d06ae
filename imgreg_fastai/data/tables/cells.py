"""What a huge cell holds that should name an image, and what to do about it."""
import re

import pandas as pd

from ...utils.messages import ImgregError, shorten

LONGEST_NAME = 1000  # characters of a path; what is longer is the image itself
SHOWN = 20  # cells that are looked at
BYTES = ("<bytes>", "<dict>")  # what `frames` reads where a cell is a file's content; a dict of `datasets` has it, too
BASE64_STARTS = {"/9j/": "JPEG", "iVBOR": "PNG", "R0lGOD": "GIF", "UklGR": "WebP", "Qk": "BMP", "SUkq": "TIFF"}


def check_names(column: pd.Series, table: object) -> None:
    """Raise ImgregError if the cells of a column hold images, and do not name them.

    Args:
        column: The column that should name the images.
        table: The table, for messages.
    """
    for cell in column.dropna().head(SHOWN):
        if isinstance(cell, (bytes, dict)) or str(cell) in BYTES or len(str(cell)) > LONGEST_NAME:
            content, code = _content(cell)
            raise ImgregError(f"names of images in the column '{column.name}' of {table}",
                              f"{content}, '{shorten(cell, 30)}'",
                              "to save them as files, name these in the table, and leave the cells out" + code)


def _content(cell: object) -> tuple[str, str]:
    """Return what a huge cell seems to hold, and how to save it as a file."""
    if isinstance(cell, (bytes, dict)) or str(cell) in BYTES:
        return "the bytes of images", ": Path('0.jpg').write_bytes(cell) for each"
    text = str(cell)
    plain = re.sub(r"^data:image/\w+;base64,", "", text[:100])
    kind = next((kind for start, kind in BASE64_STARTS.items() if plain.startswith(start)), "")
    if kind and re.fullmatch(r"[\w+/=\s-]+", text[100:200]):
        return (f"{kind} images in base64", ": Path('0.jpg').write_bytes(base64.b64decode(cell)) for each")
    numbers = re.split(r"[\s,;]+", text.strip("[] \t\r\n"))
    if all(re.fullmatch(r"-?\d+(\.\d*)?", number) for number in numbers):
        side = round(len(numbers) ** 0.5)
        shape = f" ({side}x{side})" if side * side == len(numbers) else ""
        return (f"{len(numbers):,} pixels{shape}",
                f": Image.fromarray(np.array(cell.split(), 'uint8').reshape({side}, {side})).save('0.png') for each"
                if shape else "")
    return f"{len(text):,} characters", ""
