"""The data of the task angle: drawn images of a bar among dots; the angle is in the file name, too."""
from pathlib import Path

import numpy as np

from ..utils.messages import ImgregError
from .drawing.bars import LIMIT, canvas
from .drawing.chunks import Chunk, drawing_folder

FOLDER = DRAWN_FOLDER = "data/angle"
SAMPLE_SIZE = 400
DOTS = 50
CHUNK_SIZE = 100  # images drawn at once: numpy's overhead is shared, and the arrays still fit the cache


def sample(n: int, size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Draw images with random angles and dots.

    The question does not show whether its bar has an outline. Half of these have one, so that a network knows both.

    Args:
        n (int): the number of images.
        size (int): height and width in pixels.
        rng (np.random.Generator): the random numbers.

    Returns:
        tuple: images, uint8 [n, size, size], and angles in whole hundredths of a degree, [n].
    """
    hundredths = rng.integers(0, 18000, n)
    dots = rng.uniform(-LIMIT, LIMIT, (n, DOTS, 2))
    return canvas(size).draw(hundredths / 100, dots, rng.random(n) < 0.5), hundredths


def draw(out: str | Path = FOLDER, n: int = 10_000, size: int = 100, seed: int = 0, jobs: int | None = None) -> Path:
    """Draw images into a folder.

    Args:
        out (str or Path): a new or empty folder. It is filled completely or not at all; the same call goes on with a
            drawing that broke off.
        n (int): the number of images.
        size (int): height and width in pixels, at least 16.
        seed (int): another seed draws other images. The same seed draws the same for any number of `jobs`.
        jobs (int or None): the number of processes; None: one for each core.

    Returns:
        Path: the labels table, with the columns image and angle.

    Raises:
        ImgregError: if `out` is in use or cannot be written.
    """
    if n < 1 or size < 16 or seed < 0:
        raise ImgregError("--n of at least 1, --size of at least 16 and --seed of at least 0", f"{n}, {size}, {seed}")
    digits = max(4, len(str(n - 1)))
    sizes = {first: min(CHUNK_SIZE, n - first) for first in range(0, n, CHUNK_SIZE)}
    chunks = [Chunk(count, (first, count, digits, size, seed)) for first, count in sizes.items()]
    with drawing_folder(out, chunks, task="angle", n=n, size=size, seed=seed) as drawing:
        (drawing.folder / "images").mkdir(exist_ok=True)
        lines = drawing.draw(_write, jobs, f"drawing {n} images, {CHUNK_SIZE} at a time")
        (drawing.folder / "labels.csv").write_text("image,angle\n" + "".join(lines), encoding="utf-8")
    return Path(out) / "labels.csv"


def _write(folder: Path, first: int, n: int, digits: int, size: int, seed: int) -> str:
    """Write n images from number `first` on; return their lines of the table. The random numbers depend on `first`."""
    from PIL import Image

    lines = ""
    images, angles = sample(n, size, np.random.default_rng([seed, first]))  # in hundredths of a degree, below 18000
    for i, (image, hundredths) in enumerate(zip(images, angles, strict=True), start=first):
        name = f"images/sample{i:0{digits}}_angle_{hundredths:05}.png"
        Image.fromarray(image).save(folder / name, compress_level=1)
        lines += f"{name},{hundredths / 100:.2f}\n"
    return lines


obtain = draw  # these images are the task's own data: there is nothing to download


def read(folder: Path, labels: str = "") -> Path:
    """Return the labels table of a folder, or the folder itself: the names of its files hold the labels.

    Args:
        folder (Path): a folder of images.
        labels (str): "", the only labels.

    Returns:
        Path: the table or the folder.
    """
    if labels:
        raise ImgregError("one way to read the angles", f"--labels {labels}")
    table = folder / "labels.csv"
    return table if table.is_file() else folder
