"""Copies of the user's pictures with what was predicted drawn on them."""
import os
from pathlib import Path

from ..data.images import PictureError, open_picture, warn_broken
from ..utils.console import progress_bar
from ..utils.files import atomic_file
from . import by_target
from .marks import annotated


def writable(folder: str | Path) -> None:
    """Make the folder if there is none; raises ImgregError if no file can be written there."""
    trial = Path(folder) / ".imgreg"
    with atomic_file(trial) as file:
        file.touch()
    trial.unlink()


def draw(folder: str | Path, task, frame) -> list[Path]:
    """Copies of the pictures of `frame` (Predictor.predict) in `folder`, at their own size, with what was predicted.

    JPEG stays JPEG, all else becomes PNG. No file is overwritten: the next free one of NAME, NAME-2, NAME-3 is taken.
    Pictures that cannot be opened are named in a warning and left out; raises ImgregError if one cannot be written.
    """
    folder, paths, broken, last = Path(folder), [], [], {}
    rows = zip(frame["image"], (row for _, row in frame.iterrows()), strict=True)
    for name, row in progress_bar(rows, len(frame), f"drawing {len(frame)} pictures"):
        try:
            picture = _to_draw_on(name, task.value_range)
        except PictureError as e:
            broken.append(e)
            continue
        path = _free(folder, Path(name), last)
        _write(path, annotated(picture, task, by_target(task, row)), picture.info.get("icc_profile"))
        paths.append(path)
    warn_broken(broken, len(frame))
    return paths


def _to_draw_on(name, value_range):
    """The picture of that path; raises PictureError if it has none, or is too large for matplotlib."""
    if not isinstance(name, str):
        raise PictureError("a picture with a file", f"number {name}, which has no file")
    picture = open_picture(name, value_range)
    if max(picture.size) >= 2**16:
        raise PictureError("less than 65536 pixels a side", f"'{name}': {picture.width} x {picture.height}")
    return picture


def _free(folder: Path, source: Path, last: dict[str, int]) -> Path:
    """A path for the copy of `source` that is not there yet; `last`: the number given last to each name."""
    tail = ".jpg" if source.suffix.lower() in (".jpg", ".jpeg", ".jpe", ".jfif") else ".png"
    name = source.stem + tail
    while True:
        last[name] = last.get(name, 0) + 1
        path = folder / (name if last[name] == 1 else f"{source.stem}-{last[name]}{tail}")
        if not os.path.lexists(path):
            return path


def _write(path: Path, picture, profile: bytes | None) -> None:
    """Write an RGB copy, with the colour profile of its source if that is one of RGB."""
    how = {"format": "JPEG", "quality": 92, "subsampling": 0} if path.suffix == ".jpg" else {"format": "PNG"}
    with atomic_file(path) as file:
        picture.convert("RGB").save(file, **how, icc_profile=profile if profile and profile[16:20] == b"RGB " else None)
