"""Downloads that continue after a broken connection.

fastai's own downloader starts again after each break. Its URLs and checksums are used all the same: see
datasets/headpose.py. `requests` is what fastai itself downloads with.
"""
import hashlib
import os
import queue
import shutil
import threading
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from ..utils.files import FULL_DISK
from ..utils.messages import ImgregError, ProgressBar, error_reason, say

CHUNK_SIZE = 1 << 18  # bytes
STALL_TIMEOUT = 30  # seconds without a byte after which a download that was under way is given up


class UnreachableError(ImgregError):
    """Nothing can be downloaded: there is no network, no such server, or the server refuses."""


def fetch(url: str, path: str | Path, size: int | None = None, md5: str | None = None, md5_bytes: int | None = None,
          timeout: float = 3.5, reserve: int = 0) -> Path:
    """Download a file. A download that broke off continues; its bytes are kept in `path`.part until they are complete.

    Args:
        url: An http, https or file URL.
        path: The file to write.
        size: The file's expected size in bytes.
        md5: The expected MD5 checksum, in hexadecimal.
        md5_bytes: The first bytes of the file that `md5` is of; None for all. They are read at once.
        timeout: Seconds until the server answers, including the search for its name.
        reserve: Bytes of the disk that must stay free.

    Returns:
        `path`.

    Raises:
        UnreachableError: if nothing can be downloaded.
        ImgregError: if the download breaks off, the disk is full, or size or checksum differ.
    """
    path = Path(path)
    part, tag = path.with_name(f"{path.name}.part"), path.with_name(f"{path.name}.part.tag")
    if (size or md5) and path.is_file() and not _difference(path, size, md5, md5_bytes):
        return path
    try:
        if urlsplit(url).scheme == "file":
            _copy(url, part, tag)
        else:
            _download(url, part, tag, size, timeout, reserve)
        difference = _difference(part, size, md5, md5_bytes)
        if not difference:
            os.replace(part, path)
        part.unlink(missing_ok=True)
        tag.unlink(missing_ok=True)
    except KeyboardInterrupt:
        n, _ = _progress(part, tag, url)
        if n:
            say(f"the first {_megabytes(n)} are kept: the same command goes on from there")
        raise
    except OSError as e:
        raise ImgregError("a place that can be written", f"'{path}': {error_reason(e)}") from e
    if difference:
        raise ImgregError(f"the right file from {url}", difference, "the same again: it begins anew")
    return path


def _difference(path: Path, size: int | None, md5: str | None, md5_bytes: int | None) -> str:
    """How a file differs from what is expected; "" if it does not."""
    if size is not None and path.stat().st_size != size:
        return f"{path.stat().st_size} bytes, not {size}"
    if md5 is None:
        return ""
    with path.open("rb") as f:
        digest = hashlib.md5(f.read(md5_bytes), usedforsecurity=False)
    return "" if digest.hexdigest() == md5 else "another checksum"


def _progress(part: Path, tag: Path, url: str) -> tuple[int, str]:
    """Return the number of bytes of `url` in `part` and the server's version of them; (0, "") if it cannot continue."""
    if not (part.is_file() and tag.is_file()):
        return 0, ""
    tag_url, _, version = tag.read_text(encoding="utf-8").partition("\n")
    return (part.stat().st_size, version) if tag_url == url and version else (0, "")


def _copy(url: str, part: Path, tag: Path) -> None:
    """Copy a file URL; `tag` goes first, as it would call the bytes of a broken copy those of an earlier download."""
    source = Path(url2pathname(urlsplit(url).path))
    if not source.is_file():
        raise UnreachableError(f"a file at {url}", "none")
    part.parent.mkdir(parents=True, exist_ok=True)
    tag.unlink(missing_ok=True)
    shutil.copyfile(source, part)


def _download(url: str, part: Path, tag: Path, size: int | None, timeout: float, reserve: int) -> None:
    """Download the missing bytes of `url`, with a progress bar."""
    import requests

    # 1. Ask for the missing bytes.
    n, version = _progress(part, tag, url)
    if n and n == size:
        return
    response, n = _open(url, n, version, timeout)
    # 2. See that it is the expected file, and that there is room for it.
    length = response.headers.get("Content-Length", "")
    total = n + int(length) if length.isdigit() else size
    if size and total != size:
        raise UnreachableError(f"{size} bytes from {url}", f"{total}: another file, or a page of the network's own")
    part.parent.mkdir(parents=True, exist_ok=True)
    needed, free = (total or 0) - n + reserve, shutil.disk_usage(part.parent).free
    if needed > free:
        raise ImgregError(f"{_megabytes(needed)} of free disk for {url}", _megabytes(free),
                          "making room, then the same again")
    # 3. Write the bytes as they come.
    version = response.headers.get("ETag", "")
    if not version or version.startswith("W/"):  # a weak ETag does not promise the same bytes
        version = response.headers.get("Last-Modified", "")
    try:
        with part.open("ab" if n else "wb") as f, ProgressBar("downloading") as bar:
            tag.write_text(f"{url}\n{version}", encoding="utf-8")  # after an older version is gone
            for chunk in response.iter_content(CHUNK_SIZE):
                f.write(chunk)
                n += len(chunk)
                bar.update(n, total, f"{_megabytes(n)} of {_megabytes(total)}")
        if total and n < total:  # older versions of urllib3 raise nothing when bytes are missing
            raise ConnectionError
    except OSError as e:
        retry = "the same again: it goes on where it stopped" if version else "the same again"
        progress = f"after {_megabytes(n)} of {_megabytes(total)}"
        if e.errno in FULL_DISK:
            raise ImgregError(f"all of {url}", f"a full disk {progress}: '{part}'", f"making room, then {retry}") from e
        if isinstance(e, (requests.RequestException, ConnectionError, TimeoutError)):
            raise ImgregError(f"all of {url}", f"a connection that broke {progress}", retry) from e
        raise


def _open(url: str, start: int, version: str, timeout: float) -> tuple:
    """Open a URL at byte `start` of `version`, or at its beginning where the server no longer has that version.

    Returns:
        The server's response, and the byte that it begins at.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise ImgregError("a URL with http, https or file", f"'{url}'")
    headers = {"Accept-Encoding": "identity"}  # a compressed answer could not be continued
    if start:
        headers |= {"Range": f"bytes={start}-", "If-Range": version}
    response = _request(url, headers, timeout)
    if response.status_code == 206 and response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
        return response, start
    if start and response.status_code in (206, 416):
        response.close()
        return _open(url, 0, "", timeout)
    if response.status_code not in (200, 206):
        raise UnreachableError(f"an answer from {url}", f"{response.status_code} {response.reason}")
    return response, 0


def _request(url: str, headers: dict[str, str], timeout: float):
    """Return a server's response without its body, within `timeout` seconds in all; raise UnreachableError.

    It is requested in a thread: the search for a server's name has no timeout, and each of its addresses has its own.
    """
    import requests

    responses: queue.Queue = queue.Queue()

    def request():
        try:
            responses.put(requests.get(url, headers=headers, stream=True, timeout=(timeout, STALL_TIMEOUT)))
        except (OSError, ValueError) as e:  # requests' own errors are OSErrors, those about the URL ValueErrors
            responses.put(e)

    threading.Thread(target=request, daemon=True).start()
    try:
        response = responses.get(timeout=timeout)
    except queue.Empty:
        response = TimeoutError(f"no answer within {timeout:g} seconds")
    if not isinstance(response, Exception):
        return response
    cause: BaseException = response
    while inner := cause.__cause__ or cause.__context__:  # requests and urllib3 wrap the error that tells why
        cause = inner
    raise UnreachableError(f"an answer from {urlsplit(url).netloc or url}", error_reason(cause)) from response


def _megabytes(n: int | None) -> str:
    return "?" if n is None else f"{n / 1e6:,.1f} MB"
