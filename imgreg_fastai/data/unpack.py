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
    """Unpack a .tar.gz into the new or empty folder `to`, whole or not at all; returns `to`.

    Where all of it lies in one folder, the contents of that folder become `to`. Links inside the archive are left out.
    `limit`: bytes it may unpack to. Raises Corrupt if it is damaged or reaches outside `to`, else ImgregError.
    """
    archive, to = Path(archive), Path(to)
    if not hasattr(tarfile, "data_filter"):
        raise ImgregError("a Python that unpacks safely (3.10.12, 3.11.4 or newer)", "an older one",
                          f"unpacking '{archive}' by hand")
    try:
        with atomic_folder(to, "unpack into") as folder, tempfile.TemporaryDirectory(dir=folder) as work:
            _extract(archive, Path(work), limit)
            _settle(Path(work), folder)
    except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError) as e:
        raise Corrupt(f"a whole .tar.gz that keeps to its folder: '{archive}'", str(e) or type(e).__name__) from e
    except OSError as e:
        raise ImgregError(f"room to unpack '{archive}' into '{to}'", e.strerror or str(e)) from e
    return to


def _extract(archive: Path, folder: Path, limit: int | None) -> None:
    size, links, unpacked = archive.stat().st_size, 0, 0
    with archive.open("rb") as raw, gzip.open(raw) as plain, ProgressBar(f"unpacking {archive.name}") as bar:
        with tarfile.open(fileobj=plain, mode="r:") as tar:
            for member in tar:
                unpacked += member.size
                if limit and unpacked > limit:
                    raise Corrupt(f"at most {limit / 1e6:,.1f} MB in '{archive}'", "more")
                links += _extract_one(tar, member, folder)
                bar.update(raw.tell(), size)
        while plain.read(PIECE):  # the checksum of all of it stands at its end
            pass
    if links:
        warn(f"left out {links} links of {archive}")
    if not any(folder.iterdir()):
        raise Corrupt(f"files in '{archive}'", "none")


def _extract_one(tar: tarfile.TarFile, member: tarfile.TarInfo, folder: Path) -> bool:
    """Extract a file or folder; whether it was a link, which is left out: older filters can be led astray by them."""
    if member.name.startswith("/"):  # the filter would bring it inside, but such an archive means no good
        raise tarfile.AbsolutePathError(member)
    if member.issym() or member.islnk():
        tarfile.data_filter(member, str(folder))  # raises where it leads outside
        return True
    tar.extract(member, folder, filter="data")
    return False


def _settle(folder: Path, to: Path) -> None:
    """Move what was unpacked, less a single folder around it, to `to`."""
    inside = list(folder.iterdir())
    home = inside[0] if len(inside) == 1 and inside[0].is_dir() else folder
    for child in list(home.iterdir()):
        child.rename(to / child.name)
