"""Downloading a file so that a broken connection costs nothing.

fastai's own downloader begins anew after each break; its URLs and check values are used all the same
(datasets/headpose.py). `requests` is what fastai itself downloads with.
"""
import errno
import hashlib
import os
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..utils.console import ProgressBar
from ..utils.errors import ImgregError

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
PIECE = 1 << 18  # bytes moved at once
STALL = 30  # seconds without a byte after which a download is given up


class Unreachable(ImgregError):
    """Nothing could be downloaded: no network, no such server, or it refuses."""


class _Source(NamedTuple):
    """Pieces of bytes from number `start` on, of `total` (None: unknown), and a name of this `version` of the file."""

    pieces: Iterator[bytes]
    start: int
    total: int | None
    version: str


def fetch(url: str, to: str | Path, size: int | None = None, md5: str | None = None, span: int | None = None,
          timeout: float = 3.5, spare: int = 0) -> Path:
    """Download a file, going on where an earlier attempt broke off.

    What has come lies in `to`.part until it is complete and checked.

    Args:
        url: An http, https or file URL.
        to: The file to write.
        size: Its size in bytes, if known.
        md5: The checksum of its first `span` bytes, if known.
        span: Number of bytes that `md5` is of; None: of all.
        timeout: Seconds until the server answers, the search for its name included.
        spare: Bytes that must stay free on the disk.

    Raises:
        Unreachable: The server does not answer, or refuses.
        ImgregError: The download breaks off, the disk is full, or a check fails.
    """
    to = Path(to)
    if (size or md5) and to.is_file() and not _fault(to, size, md5, span):
        return to
    part, tag = (to.with_name(to.name + end) for end in (".part", ".part.tag"))
    try:
        _download(url, part, tag, size, timeout, spare)
        fault = _fault(part, size, md5, span)
        if not fault:
            os.replace(part, to)
        for file in (part, tag):
            file.unlink(missing_ok=True)
    except OSError as e:
        raise ImgregError("a place that can be written", f"'{to}': {e.strerror or e}") from e
    if fault:
        raise ImgregError(f"the right file from {url}", fault, "the same again: it begins anew")
    return to


def _fault(path: Path, size: int | None, md5: str | None, span: int | None) -> str:
    """Say what is wrong with a file; "" if nothing is."""
    if size is not None and path.stat().st_size != size:
        return f"{path.stat().st_size} bytes, not {size}"
    if md5 is not None:
        with path.open("rb") as file:
            if hashlib.md5(file.read(span), usedforsecurity=False).hexdigest() != md5:
                return "another checksum"
    return ""


def _download(url: str, part: Path, tag: Path, size: int | None, timeout: float, spare: int) -> None:
    """Download into `part` what is missing of `url`; `tag` holds the url and the version that `part` is of."""
    lines = tag.read_text(encoding="utf-8").split("\n") if tag.is_file() and part.is_file() else []
    resumable = len(lines) > 1 and lines[0] == url and lines[1] != ""
    have = part.stat().st_size if resumable else 0
    if have and have == size:
        return
    source = _open(url, have, lines[1] if resumable else "", timeout)
    total = source.total or size
    if size and total != size:
        raise Unreachable(f"{size} bytes from {url}", f"{total}: another file, or a page of the network's own")
    part.parent.mkdir(parents=True, exist_ok=True)
    needed, free = (total or 0) - source.start + spare, shutil.disk_usage(part.parent).free
    if needed > free:
        raise ImgregError(f"{_mb(needed)} of free disk for {url}", f"{_mb(free)}", "making room, then the same again")
    _save(url, source, part, tag, total)


def _save(url: str, source: _Source, part: Path, tag: Path, total: int | None) -> None:
    """Write the pieces of a source to `part`, after those that are there, and its version to `tag`."""
    import requests

    n, again = source.start, "the same again: it goes on where it stopped" if source.version else "the same again"
    try:
        with part.open("ab" if n else "wb") as file, ProgressBar("fetching") as bar:
            tag.write_text(f"{url}\n{source.version}", encoding="utf-8")  # not before an older version is gone
            for piece in source.pieces:
                file.write(piece)
                n += len(piece)
                bar.update(n, total, f"{_mb(n)} of {_mb(total)}")
        if total and n < total:  # older versions of urllib3 say nothing when bytes are missing
            raise ConnectionError
    except (requests.RequestException, ConnectionError, TimeoutError) as e:
        raise ImgregError(f"all of {url}", f"a connection that broke after {_mb(n)} of {_mb(total)}", again) from e
    except OSError as e:
        if e.errno not in DISK_FULL:
            raise
        raise ImgregError(f"all of {url}", f"a full disk after {_mb(n)} of {_mb(total)}: '{part}'",
                          f"making room, then {again}") from e


def _open(url: str, have: int, version: str, timeout: float) -> _Source:
    """Open a URL after the first `have` bytes of a version, or from the beginning where that is not possible."""
    scheme = urlsplit(url).scheme
    if scheme not in ("http", "https", "file"):
        raise ImgregError("a URL with http, https or file", f"'{url}'")
    if scheme == "file":
        path = Path(url2pathname(urlsplit(url).path))
        if not path.is_file():
            raise Unreachable(f"a file at {url}", "none")
        return _Source(_pieces(path), 0, path.stat().st_size, "")
    headers = {"Accept-Encoding": "identity"}  # a compressed answer cannot be resumed
    if have:
        headers |= {"Range": f"bytes={have}-", "If-Range": version}
    reply = _request(url, headers, timeout)
    resumes = reply.status_code == 206 and reply.headers.get("Content-Range", "").startswith(f"bytes {have}-")
    if have and not resumes and reply.status_code in (206, 416):
        reply.close()
        return _open(url, 0, "", timeout)
    if reply.status_code not in (200, 206):
        raise Unreachable(f"an answer from {url}", f"{reply.status_code} {reply.reason}")
    start, length = have if resumes else 0, reply.headers.get("Content-Length", "")
    versions = [reply.headers.get(name, "") for name in ("ETag", "Last-Modified")]
    version = next((v for v in versions if v and not v.startswith("W/")), "")  # a weak ETag says too little
    return _Source(reply.iter_content(PIECE), start, start + int(length) if length.isdigit() else None, version)


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        yield from iter(lambda: file.read(PIECE), b"")


def _request(url: str, headers: dict[str, str], timeout: float):
    """Return a server's answer, its body still to come, within `timeout` seconds in all; raise Unreachable.

    It is requested on a thread: the search for a server's name has no timeout, and each of its addresses its own.
    """
    import requests

    answer: Future = Future()

    def request():
        try:
            answer.set_result(requests.get(url, headers=headers, stream=True, timeout=(timeout, STALL)))
        except (OSError, ValueError) as e:  # requests' own are OSErrors, those about the URL ValueErrors
            answer.set_exception(e)

    threading.Thread(target=request, daemon=True).start()
    try:
        return answer.result(timeout)
    except (OSError, ValueError, FutureTimeout) as e:
        reason = _reason(e) if answer.done() else f"no answer within {timeout:g} seconds"
        raise Unreachable(f"an answer from {urlsplit(url).netloc or url}", reason) from e


def _reason(error: BaseException) -> str:
    """Say what really happened, which requests and urllib3 wrap."""
    while error.__cause__ or error.__context__:
        error = error.__cause__ or error.__context__
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def _mb(n: int | None) -> str:
    return "?" if n is None else f"{n / 1e6:,.1f} MB"
