"""Unpacking an archive so that it cannot do harm; fastai's own downloader extracts whatever an archive says."""
import gzip
import tarfile
import tempfile
import zlib
from pathlib import Path

from ..utils.console import ProgressBar, warn
from ..utils.errors import ImgregError
from ..utils.files import atomic_folder

PIECE = 1 << 18  # bytes read at once


class Corrupt(ImgregError):
    """An archive that is cut short or damaged, or holds what it should not."""


def unpack(archive: str | Path, to: str | Path, limit: int | None = None) -> Path:
    """Unpack a .tar.gz completely or not at all.

    Where all of it lies in one folder, the contents of that folder are unpacked. Links inside the archive are left out.

    Args:
        archive: The archive.
        to: A new or empty folder.
        limit: Bytes that it may unpack to.

    Returns:
        The folder.

    Raises:
        Corrupt: The archive is damaged, or reaches outside the folder.
        ImgregError: The folder is in use, or the disk is full.
    """
    if not hasattr(tarfile, "data_filter"):
        raise ImgregError("a Python that unpacks safely (3.10.12, 3.11.4 or newer)", "an older one",
                          f"unpacking '{archive}' by hand")
    try:
        with atomic_folder(to, "unpack into") as folder, tempfile.TemporaryDirectory(dir=folder) as work:
            _extract(Path(archive), Path(work), limit)
            children = list(Path(work).iterdir())
            if len(children) == 1 and children[0].is_dir():
                children = list(children[0].iterdir())
            for child in children:
                child.rename(folder / child.name)
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError) as e:
        raise Corrupt(f"a whole .tar.gz that keeps to its folder: '{archive}'", str(e) or type(e).__name__) from e
    except OSError as e:
        raise ImgregError(f"room to unpack '{archive}' into '{to}'", e.strerror or str(e)) from e
    return Path(to)


def _extract(archive: Path, folder: Path, limit: int | None) -> None:
    size, n_links, n_bytes = archive.stat().st_size, 0, 0

    def check(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo | None:
        nonlocal n_links, n_bytes
        n_bytes += member.size
        if limit and n_bytes > limit:
            raise Corrupt(f"at most {limit / 1e6:,.1f} MB in '{archive}'", "more")
        bar.update(raw.tell(), size)
        if member.name.startswith("/"):  # the filter would bring it inside, but such an archive means no good
            raise tarfile.AbsolutePathError(member)
        safe = tarfile.data_filter(member, path)
        if member.issym() or member.islnk():  # older filters can be led astray by links
            n_links += 1
            return None
        return safe

    with archive.open("rb") as raw, gzip.open(raw) as plain, ProgressBar(f"unpacking {archive.name}") as bar:
        with tarfile.open(fileobj=plain, mode="r:", errorlevel=1) as tar:
            tar.extractall(folder, filter=check)
        while plain.read(PIECE):  # the checksum of all of it stands at its end
            pass
    if n_links:
        warn(f"left out {n_links} links of {archive}")
    if not any(folder.iterdir()):
        raise Corrupt(f"files in '{archive}'", "none")
