"""Fetching a file so that a broken connection costs nothing.

fastai's own downloader begins anew after each break; its URLs and check values are used all the same
(datasets/headpose.py). `requests` is what fastai itself fetches with.
"""
import errno
import hashlib
import os
import queue
import shutil
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..utils.console import ProgressBar
from ..utils.errors import ImgregError

FULL = (errno.ENOSPC, errno.EDQUOT)
PIECE = 1 << 18  # bytes moved at once
AGAIN = "the same again: it goes on where it stopped"
STALL = 30  # seconds without a byte after which a download that was under way is given up


class Unreachable(ImgregError):
    """Nothing could be fetched: no network, no such server, or it refuses."""


def fetch(url: str, to: str | Path, size: int | None = None, md5: str | None = None, span: int | None = None,
          timeout: float = 3.5, spare: int = 0) -> Path:
    """Fetch an http, https or file `url` into the file `to`, going on where an earlier attempt broke off.

    What has come lies in `to`.part until it is whole and checked: `size` in bytes, `md5` of its first `span` bytes
    (None: of all). `timeout` in seconds until the server answers, the search for its name included; `spare` bytes must
    stay free on the disk. Raises Unreachable, or ImgregError when it breaks off, the disk is full or a check fails.
    """
    to = Path(to)
    if (size or md5) and to.is_file() and not _wrong(to, size, md5, span):
        return to
    part, tag = (to.with_name(to.name + end) for end in (".part", ".part.tag"))
    try:
        _fetch(url, part, tag, size, timeout, spare)
        if not (wrong := _wrong(part, size, md5, span)):
            os.replace(part, to)
        for left in (part, tag):
            left.unlink(missing_ok=True)
    except OSError as e:
        raise ImgregError("a place that can be written", f"'{to}': {e.strerror or e}") from e
    if wrong:
        raise ImgregError(f"the right file from {url}", wrong, "the same again: it begins anew")
    return to


def _wrong(path: Path, size: int | None, md5: str | None, span: int | None) -> str:
    """What is wrong with a file, or nothing."""
    if size is not None and path.stat().st_size != size:
        return f"{path.stat().st_size} bytes, not {size}"
    if md5 is None:
        return ""
    digest, left = hashlib.md5(usedforsecurity=False), span or path.stat().st_size
    with path.open("rb") as f:
        while piece := f.read(min(PIECE, left)):
            digest.update(piece)
            left -= len(piece)
    return "" if digest.hexdigest() == md5 else "another checksum"


def _fetch(url: str, part: Path, tag: Path, size: int | None, timeout: float, spare: int) -> None:
    """Fill `part` with what is still missing of `url`."""
    have, known = _kept(url, part, tag)
    if have and have == size:
        return
    pieces, done, total, version = _open(url, have, known, timeout)
    total = total or size
    if size and total != size:
        raise Unreachable(f"{size} bytes from {url}", f"{total}: another file, or a page of the network's own")
    part.parent.mkdir(parents=True, exist_ok=True)
    needed, free = (total or 0) - done + spare, shutil.disk_usage(part.parent).free
    if needed > free:
        raise ImgregError(f"{_mb(needed)} of free disk for {url}", f"{_mb(free)}", "making room, then the same again")
    _save(url, part, tag, pieces, done, total, version)


def _save(url, part: Path, tag: Path, pieces: Iterable[bytes], done: int, total: int | None, version: str) -> None:
    """Write the pieces to `part`, after the first `done` bytes, and what version of `url` they are of to `tag`."""
    import requests

    again = AGAIN if version else "the same again"
    try:
        with part.open("ab" if done else "wb") as f, ProgressBar("fetching") as bar:
            tag.write_text(f"{url}\n{version}", encoding="utf-8")  # not before an older version is gone
            for piece in pieces:
                f.write(piece)
                done += len(piece)
                bar.update(done, total, f"{_mb(done)} of {_mb(total)}")
        if total and done < total:  # older versions of urllib3 say nothing when bytes are missing
            raise ConnectionError
    except (requests.RequestException, ConnectionError, TimeoutError) as e:
        found = f"a connection that broke after {_mb(done)} of {_mb(total)}"
        raise ImgregError(f"all of {url}", found, again) from e
    except OSError as e:
        if e.errno not in FULL:
            raise
        found = f"a full disk after {_mb(done)} of {_mb(total)}: '{part}'"
        raise ImgregError(f"all of {url}", found, f"making room, then {again}") from e


def _kept(url: str, part: Path, tag: Path) -> tuple[int, str]:
    """How many bytes of `url` an earlier attempt left, and of which version; 0 where the server told no version."""
    known = tag.read_text(encoding="utf-8").split("\n") if tag.is_file() and part.is_file() else []
    return (part.stat().st_size, known[1]) if known[:1] == [url] and any(known[1:]) else (0, "")


def _open(url: str, have: int, tag: str, timeout: float) -> tuple[Iterable[bytes], int, int | None, str]:
    """What is to be had: pieces of bytes, from which byte on, of how many (None: unknown), and this version's tag."""
    scheme = urlsplit(url).scheme
    if scheme not in ("http", "https", "file"):
        raise ImgregError("a URL with http, https or file", f"'{url}'")
    if scheme == "file":
        path = Path(url2pathname(urlsplit(url).path))
        if not path.is_file():
            raise Unreachable(f"a file at {url}", "none")
        return _pieces(path), 0, path.stat().st_size, ""
    headers = {"Accept-Encoding": "identity"}  # a packed answer could not be gone on with
    reply = _ask(url, headers | ({"Range": f"bytes={have}-", "If-Range": tag} if have else {}), timeout)
    going_on = reply.status_code == 206 and reply.headers.get("Content-Range", "").startswith(f"bytes {have}-")
    if have and not going_on and reply.status_code in (206, 416):
        reply.close()
        return _open(url, 0, "", timeout)
    if reply.status_code not in (200, 206):
        raise Unreachable(f"an answer from {url}", f"{reply.status_code} {reply.reason}")
    start, length = have if going_on else 0, reply.headers.get("Content-Length", "")
    total = start + int(length) if length.isdigit() else None
    versions = [reply.headers.get(name, "") for name in ("ETag", "Last-Modified")]
    version = next((v for v in versions if v and not v.startswith("W/")), "")  # a weak ETag says too little
    return reply.iter_content(PIECE), start, total, version


def _pieces(path: Path) -> Iterator[bytes]:
    with path.open("rb") as f:
        while piece := f.read(PIECE):
            yield piece


def _ask(url: str, headers: dict[str, str], timeout: float):
    """A server's answer, its body still to come, within `timeout` seconds in all; raises Unreachable.

    A thread of its own asks: the search for a server's name knows no timeout, and each of its addresses has its own.
    """
    import requests

    box: queue.Queue = queue.Queue()

    def ask():
        try:
            box.put(requests.get(url, headers=headers, stream=True, timeout=(timeout, STALL)))
        except (OSError, ValueError) as e:  # requests' own are OSErrors, those about the URL ValueErrors
            box.put(e)

    threading.Thread(target=ask, daemon=True).start()
    try:
        found = box.get(timeout=timeout)
    except queue.Empty:
        found = TimeoutError(f"no answer within {timeout:g} seconds")
    if isinstance(found, Exception):
        raise Unreachable(f"an answer from {urlsplit(url).netloc or url}", _reason(found)) from found
    return found


def _reason(e: BaseException) -> str:
    while inner := e.__cause__ or e.__context__:  # requests and urllib3 wrap what really happened
        e = inner
    return getattr(e, "strerror", None) or str(e) or type(e).__name__


def _mb(n: int | None) -> str:
    return "?" if n is None else f"{n / 1e6:,.1f} MB"
