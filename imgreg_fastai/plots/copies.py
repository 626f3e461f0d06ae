"""Copies of the user's images with the predictions drawn on them."""
import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from PIL import Image

from ..data.images import PictureError, open_picture, warn_broken
from ..tasks import Task
from ..utils.files import atomic_file
from ..utils.messages import progress_bar
from .figures import VERMILION, bare_figure, to_image
from .pictures import FONT_SIZE, draw_label, row_values

JPEG_SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif")


def check_writable(folder: str | Path) -> None:
    """Make the folder if there is none.

    Raises:
        ImgregError: no file can be written there.
    """
    trial = Path(folder) / ".imgreg"
    with atomic_file(trial) as file:
        file.touch()
    trial.unlink()


def draw(folder: str | Path, task: Task, frame: pd.DataFrame) -> list[Path]:
    """Write copies of images, at their own size, with the predictions drawn on them.

    JPEG stays JPEG, all else becomes PNG, with the colour profile of its source if that is one of RGB. No file is
    overwritten: the next free one of NAME, NAME-2, NAME-3 is taken. Images that cannot be opened are named in a
    warning and left out.

    Args:
        folder: where to write.
        task: the Task.
        frame: predictions as Predictor.predict gives them.

    Returns:
        The paths of the copies.

    Raises:
        ImgregError: a copy cannot be written.
    """
    paths: list[Path] = []
    broken: list[PictureError] = []
    last_numbers: dict[Path, int] = {}
    rows = zip(frame["image"], frame.iterrows(), strict=True)
    for name, (_, row) in progress_bar(rows, len(frame), f"drawing {len(frame)} images"):
        try:
            if not isinstance(name, str):
                raise PictureError("an image with a file", f"number {name}, which has no file")
            picture = open_picture(name, task.value_range, task.max_pixels)
            if max(picture.size) >= 2**16:  # too large for matplotlib
                raise PictureError("less than 65536 pixels a side", f"'{name}': {picture.width} x {picture.height}")
        except PictureError as e:
            broken.append(e)
            continue
        jpeg = Path(name).suffix.lower() in JPEG_SUFFIXES
        path = _free_path(Path(folder, Path(name).stem + (".jpg" if jpeg else ".png")), last_numbers)
        profile = picture.info.get("icc_profile") or b""
        copy = annotated(picture, task, row_values(task, row)).convert("RGB")
        with atomic_file(path) as file:
            copy.save(file, "JPEG" if jpeg else "PNG", quality=92, subsampling=0,
                      icc_profile=profile if profile[16:20] == b"RGB " else None)
        paths.append(path)
    warn_broken(broken, len(frame))
    return paths


def _free_path(path: Path, last_numbers: dict[Path, int]) -> Path:
    """The path, or the first of NAME-2, NAME-3 and so on that does not exist.

    `last_numbers` are those taken so far, where the search goes on: thousands of images may have one name.
    """
    free, number = path, last_numbers.get(path, 1)
    while os.path.lexists(free):
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    last_numbers[path] = number
    return free


def annotated(picture: Image.Image, task: Task, values: dict[str, np.ndarray]) -> Image.Image:
    """A copy of an image with predictions drawn on it, whose marks grow with the image.

    Args:
        picture: an RGB Pillow image.
        task: the Task.
        values: {target name: [columns] in units}.

    Returns:
        An RGBA image of the same size.
    """
    width, height = picture.size
    dpi = max(86.0, math.sqrt(width * height) / 4.6)
    figure, ax = bare_figure((width + 0.01) / dpi, (height + 0.01) / dpi, dpi)  # 0.01: rounded down to pixels
    figure.patch.set_alpha(0)
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5), autoscale_on=False)
    ax.axis("off")
    lines = []
    for target in task.targets:
        draw_label(ax, task, target, values, VERMILION, None, (height, width))
        text = target.label_text(values[target.name]) if np.isfinite(values[target.name]).all() else ""
        if text and (not target.in_image or width / dpi >= 3):  # there is little room, and the mark says it all
            lines.append(text if len(task.targets) == 1 or target.names_itself else f"{target.name} {text}")
    if lines:
        # In the corner where the text hides least of the marks; if it is too wide, it is broken at its commas.
        text = "\n".join(lines)
        line = Line2D([], [], linestyle="none", label=text)
        legend = ax.legend(handles=[line], loc="best", handlelength=0, handletextpad=0, borderpad=0.3,
                           borderaxespad=0.4, framealpha=0.88, edgecolor="none", labelcolor=VERMILION,
                           prop={"size": FONT_SIZE, "weight": "bold"})
        legend.set_zorder(4)  # below the marks
        (words,) = legend.get_texts()
        words.set_parse_math(False)
        box = legend.get_window_extent()
        if box.width > ax.bbox.width:
            words.set_text(text.replace(", ", "\n"))
            box = legend.get_window_extent()
        words.set_fontsize(FONT_SIZE * float(np.clip(0.5 * ax.bbox.height / box.height, 0.75, 1)))
    return Image.alpha_composite(picture.convert("RGBA"), to_image(figure))
