"""Unpacks archives safely; fastai's own downloader also extracts what an archive puts outside its folder."""
import gzip
import tarfile
import tempfile
import zlib
from pathlib import Path

from ..utils.files import atomic_folder
from ..utils.messages import ImgregError, ProgressBar, error_reason, warn

CHUNK_SIZE = 1 << 18  # bytes


class ArchiveError(ImgregError):
    """An archive is cut short or damaged, or holds what it should not."""


def unpack(archive: str | Path, folder: str | Path, max_size: int | None = None) -> Path:
    """Unpack a .tar.gz completely or not at all.

    If all of its content lies in a single folder, the content of that folder is unpacked. Links are left out.

    Args:
        archive: The .tar.gz file.
        folder: A new or empty folder.
        max_size: The most bytes that the archive may unpack to.

    Returns:
        `folder`.

    Raises:
        ArchiveError: if the archive is damaged, too large, or reaches outside `folder`.
        ImgregError: if `folder` cannot be written.
    """
    archive, folder = Path(archive), Path(folder)
    if not hasattr(tarfile, "data_filter"):
        raise ImgregError("a Python that unpacks safely (3.10.12, 3.11.4 or newer)", "an older one",
                          f"unpacking '{archive}' by hand")
    purpose = f"unpack '{archive}' into"
    with atomic_folder(folder, purpose) as target, tempfile.TemporaryDirectory(dir=target) as temporary:
        try:
            _extract(archive, Path(temporary), max_size)
        except (EOFError, zlib.error, gzip.BadGzipFile, tarfile.TarError) as e:
            raise ArchiveError(f"a whole .tar.gz that keeps to its folder: '{archive}'", error_reason(e)) from e
        children = list(Path(temporary).iterdir())
        if len(children) == 1 and children[0].is_dir():
            children = list(children[0].iterdir())
        for child in children:
            child.rename(target / child.name)
    return folder


def _extract(archive: Path, folder: Path, max_size: int | None) -> None:
    """Extract all files and folders, with a progress bar."""
    archive_size = archive.stat().st_size
    size = links = 0
    with archive.open("rb") as raw, gzip.open(raw) as plain, ProgressBar(f"unpacking {archive.name}") as bar:
        with tarfile.open(fileobj=plain, mode="r:") as tar:
            for member in tar:
                size += member.size
                if max_size and size > max_size:
                    raise ArchiveError(f"at most {max_size / 1e6:,.1f} MB in '{archive}'", "more")
                if member.name.startswith("/"):  # the filter would move it inside, but such an archive is suspicious
                    raise tarfile.AbsolutePathError(member)
                if member.issym() or member.islnk():  # left out, as older filters can be misled by links
                    tarfile.data_filter(member, str(folder))  # raises if it points outside
                    links += 1
                else:
                    tar.extract(member, folder, filter="data")
                bar.update(raw.tell(), archive_size)
        while plain.read(CHUNK_SIZE):  # gzip's checksum stands at the end, and reading it checks it
            pass
    if links:
        warn(f"left out {links} links of {archive}")
    if not any(folder.iterdir()):
        raise ArchiveError(f"files in '{archive}'", "none")
