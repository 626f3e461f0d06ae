"""The data of the task headpose: a copy of Biwi, downloaded from fast.ai, or drawings in Biwi's form.

URL and checksum are fastai's. Its file download_checks.py is read as data: `fastai.data.external`, where the URL has a
name, loads torch and takes seconds. The checksum there is of the first 2**20 bytes; the archive's own checksum covers
the rest.
"""
import ast
from importlib.resources import files
from pathlib import Path

from ..data import download, unpack
from ..utils.files import has_content
from ..utils.messages import ImgregError, say
from . import biwi

FOLDER = "data/headpose"
DRAWN_FOLDER = "data/headpose-drawn"
SAMPLE_SIZE = 120
ARCHIVE = "biwi_head_pose.tgz"
MD5_BYTES = 1 << 20  # the bytes that fastai's MD5 is of
MAX_SIZE = 20 * 10**9  # bytes: the originals with their depth take 6 GB
LICENCE = (
    "the Biwi Kinect Head Pose Database is for research and education only, never to be redistributed; cite Fanelli, "
    "Dantone, Gall, Fossati, Van Gool: Random Forests for Real Time 3D Face Analysis, IJCV 101 (2013)"
)


def read(folder: str | Path, labels: str = "exact") -> Path:
    """Return the labels table of a copy of Biwi; write it if there is none.

    Args:
        folder (str or Path): the copy.
        labels (str): "exact" or "fastbook", see biwi.write_table.

    Returns:
        Path: the table.
    """
    table = Path(folder, biwi.TABLES.get(labels, "no such labels"))
    return table if table.is_file() else biwi.write_table(folder, labels)


def obtain(out: str | Path = FOLDER, labels: str = "exact", url: str | None = None) -> Path:
    """Download fast.ai's copy of Biwi (452 MB), unless there is a copy.

    Args:
        out (str or Path): a folder: empty, new, or with a copy of Biwi.
        labels (str): "exact" or "fastbook", see biwi.write_table.
        url (str or None): another .tgz to download, without a checksum.

    Returns:
        Path: the labels table.

    Raises:
        ImgregError: if nothing can be downloaded, within five seconds; or if the download breaks off. The next one
            continues it.
    """
    out = Path(out)
    if has_content(out):
        return read(out, labels)
    size = md5 = None  # of another archive they are not known, and not checked
    if not url:
        checks = files("fastai").joinpath("data", "download_checks.py").read_text(encoding="utf-8")
        sources = ast.literal_eval(checks)  # URL -> the file's size, and its MD5
        url = next(source for source in sources if source.endswith(f"/{ARCHIVE}"))
        size, md5 = sources[url]
    archive = out.resolve().with_name(f".{out.resolve().name}-{ARCHIVE}")
    try:
        # Unpacked, it is as large again.
        download.fetch(url, archive, size, md5, md5_bytes=MD5_BYTES, reserve=size or 0)
        say(LICENCE)  # here it is printed once, whatever broke off before
        _unpack(archive, out)
    except download.UnreachableError as e:
        hint = "--data DIR with a copy at hand, or --data drawn for drawn heads"
        raise ImgregError(e.expected, e.actual, hint) from e
    except unpack.ArchiveError as e:
        archive.unlink()
        raise ImgregError(e.expected, e.actual, "the same again: it is fetched anew") from e
    archive.unlink()
    return read(out, labels)


def _unpack(archive: Path, out: Path) -> None:
    """Unpack the archive, which is kept if this breaks off, and say so."""
    try:
        unpack.unpack(archive, out, MAX_SIZE)
    except KeyboardInterrupt:
        say(f"the whole archive is kept, in '{archive}': the same command unpacks it again")
        raise


def draw(out: str | Path = DRAWN_FOLDER, n: int = 5000, seed: int = 0, jobs: int | None = None,
         sequences: int | None = None) -> Path:
    """Draw images of heads in Biwi's form.

    Args:
        out (str or Path): a new or empty folder.
        n, seed, jobs, sequences: see drawing.heads.draw.

    Returns:
        Path: the labels table.
    """
    from .drawing import heads

    return biwi.write_table(heads.draw(out, n, seed, jobs, sequences))
