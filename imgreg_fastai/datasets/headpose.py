"""Head pose: Biwi as the user has it, as fast.ai offers it, or drawn; each ends in the labels table of biwi.py.

URL and check values are fastai's: its download_checks.py is read as data, for `fastai.data.external`, where the URL has
a name, loads torch and takes seconds. The check there is of the size and the MD5 of the first 2**20 bytes; the
archive's own checksum holds the rest.
"""
import ast
from importlib.util import find_spec
from pathlib import Path

from ..data import download, unpack
from ..utils.console import say
from ..utils.errors import ImgregError
from ..utils.files import has_content
from . import biwi

HOME = "data/headpose"
DRAWN = "data/headpose-drawn"
ARCHIVE = "biwi_head_pose.tgz"
CHECKED = 1 << 20  # the bytes that fastai's MD5 is of
LIMIT = 20 * 10**9  # bytes: the originals with their depth take 6 GB
LICENCE = (
    "the Biwi Kinect Head Pose Database is for research and education only, never to be redistributed; cite Fanelli, "
    "Dantone, Gall, Fossati, Van Gool: Random Forests for Real Time 3D Face Analysis, IJCV 101 (2013)"
)


def read(folder: str | Path = HOME, labels: str = "exact") -> Path:
    """The labels table of a copy of Biwi: the one that is there, else a new one. `labels`: see biwi.write_table."""
    table = Path(folder, biwi.TABLES.get(labels, "no such labels"))
    return table if table.is_file() else biwi.write_table(folder, labels)


def obtain(out: str | Path = HOME, labels: str = "exact", url: str | None = None) -> Path:
    """The labels table of the copy of Biwi in `out`; fetches fast.ai's copy (452 MB) if there is nothing in `out`.

    `url`: a .tgz to fetch instead, which is then not checked. Raises ImgregError if nothing can be fetched, within five
    seconds, or if a fetch breaks off, in which case the next one goes on from there.
    """
    out = Path(out)
    if not has_content(out):
        source, size, md5 = (url, None, None) if url else _fastai()
        archive = out.resolve().with_name(f".{out.resolve().name}-{ARCHIVE}")
        _fetch(source, archive, size, md5)
        say(LICENCE)  # now, so that it is said once, whatever broke off before, and not where there is no network
        try:
            unpack.unpack(archive, out, LIMIT)
        except unpack.ArchiveError as e:
            archive.unlink()
            raise ImgregError(e.expected, e.actual, "the same again: it is fetched anew") from e
        archive.unlink()
    return read(out, labels)


def _fetch(source: str, archive: Path, size: int | None, md5: str | None) -> None:
    try:
        download.fetch(source, archive, size, md5, md5_bytes=CHECKED, reserve=size or 0)  # unpacked, it is as large again
    except download.UnreachableError as e:
        then = "--data DIR with a copy at hand, or --data drawn for drawn heads"
        raise ImgregError(e.expected, e.actual, then) from e


def _fastai() -> tuple[str, int, str]:
    """fastai's URL of Biwi, its size in bytes and the MD5 of its first CHECKED bytes."""
    checks = Path(find_spec("fastai").submodule_search_locations[0], "data", "download_checks.py")
    known = ast.literal_eval(checks.read_text(encoding="utf-8"))
    return next((url, *check) for url, check in known.items() if url.endswith(f"/{ARCHIVE}"))


def draw(out: str | Path = DRAWN, n: int = 5000, seed: int = 0, jobs: int | None = None,
         sequences: int | None = None) -> Path:
    """Draw `n` pictures of heads into the new folder `out`, in Biwi's own form; returns the path of its labels table.

    `sequences`: see heads.draw.
    """
    from .drawing import heads

    return biwi.write_table(heads.draw(out, n, seed, jobs, sequences))
