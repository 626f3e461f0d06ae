import errno
import gzip
import hashlib
import io
import re
import socket
import sys
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from imgreg_fastai.data import download, unpack
from imgreg_fastai.utils.messages import ImgregError
from tests.conftest import interrupted

BODY = bytes(range(256)) * 4000  # 1 MB: four pieces
MD5 = hashlib.md5(BODY).hexdigest()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        site, asked = self.server, self.headers.get("Range")
        site.asked.append(asked)
        start = 0
        if asked and site.ranges and self.headers.get("If-Range") == site.tag:
            start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1])
        if start > len(site.body):
            return self.send_error(416)
        self.send_response(site.status or (206 if start else 200))
        self.send_header("Content-Length", str(len(site.body) - start))
        if site.tag:
            self.send_header("ETag", site.tag)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(site.body) - 1}/{len(site.body)}")
        self.end_headers()
        self.wfile.write(site.body[start : start + site.most] if site.most else site.body[start:])
        self.wfile.flush()
        site.released.wait(60)

    def log_message(self, *_):
        pass


@pytest.fixture
def site(monkeypatch):
    """A server on this machine: what it sends and how stands in its attributes, what it was asked in `asked`."""
    monkeypatch.setenv("NO_PROXY", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.body, server.tag, server.ranges, server.most, server.status, server.asked = BODY, '"v1"', True, 0, 0, []
    server.released = threading.Event()  # until it is set, the server keeps the line after what it sent
    server.released.set()
    server.url = f"http://127.0.0.1:{server.server_port}/data.tgz"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield server
    server.released.set()
    server.shutdown()
    server.server_close()


@pytest.fixture
def to(tmp_path):
    return tmp_path / "new" / "data.tgz"


def left(to):
    return sorted(p.name for p in to.parent.iterdir()) if to.parent.is_dir() else []


def test_a_file_is_fetched_whole_and_not_twice(site, to):
    assert download.fetch(site.url, to, len(BODY), MD5) == to
    assert to.read_bytes() == BODY
    assert left(to) == ["data.tgz"]
    download.fetch(site.url, to, len(BODY), MD5)
    assert site.asked == [None]
    download.fetch(site.url, to)  # nothing to check it by: it is fetched anew
    assert site.asked == [None, None]


def broken_off(site, to):
    site.most = 600_000
    with pytest.raises(ImgregError, match=r"broke after 0\.\d MB of 1\.0 MB; try the same again: it goes on"):
        download.fetch(site.url, to, len(BODY), MD5)
    site.most = 0
    assert left(to) == ["data.tgz.part", "data.tgz.part.tag"]
    return (to.parent / "data.tgz.part").stat().st_size


def test_a_download_goes_on_where_it_broke_off(site, to):
    have = broken_off(site, to)
    assert have >= 500_000
    assert download.fetch(site.url, to, len(BODY), MD5).read_bytes() == BODY
    assert site.asked == [None, f"bytes={have}-"]
    assert left(to) == ["data.tgz"]


def test_ctrl_c_keeps_what_has_come_and_says_that_the_same_command_goes_on(site, tmp_path):
    """Of the command itself, with this site in place of fast.ai's."""
    code = ("from imgreg_fastai import cli\nfrom imgreg_fastai.data import download\nfetch = download.fetch\n"
            f"download.fetch = lambda _, path, *a, **k: fetch({site.url!r}, path)\ncli.main(['data', 'headpose'])")
    site.most, have = 600_000, 2 * download.CHUNK_SIZE
    site.released.clear()
    part = tmp_path / "data" / ".headpose-biwi_head_pose.tgz.part"
    status, err = interrupted([sys.executable, "-c", code], tmp_path,
                              lambda: part.is_file() and part.stat().st_size == have)
    assert (status, err.splitlines()[-2:]) == (130, [
        "the first 0.5 MB are kept: the same command goes on from there", "stopped"]), err
    site.released.set()
    site.most = 0
    assert download.fetch(site.url, part.with_suffix(""), len(BODY), MD5).read_bytes() == BODY
    assert site.asked == [None, f"bytes={have}-"]


def test_ctrl_c_promises_nothing_of_a_server_that_tells_no_version(site, to, caplog, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    caplog.set_level("INFO", "imgreg")
    site.tag = ""
    monkeypatch.setattr(download.ProgressBar, "update", interrupt)
    with pytest.raises(KeyboardInterrupt):
        download.fetch(site.url, to)
    assert left(to) == ["data.tgz.part", "data.tgz.part.tag"] and "kept" not in caplog.text


def test_a_server_without_ranges_begins_anew(site, to):
    broken_off(site, to)
    site.ranges = False
    assert download.fetch(site.url, to, len(BODY), MD5).read_bytes() == BODY


def test_a_file_that_changed_begins_anew(site, to):
    broken_off(site, to)
    site.body, site.tag = BODY[::-1], '"v2"'
    assert download.fetch(site.url, to).read_bytes() == BODY[::-1]
    assert site.asked[1] is not None


def test_a_server_that_tells_no_version_begins_anew(site, to):
    site.tag, site.most = "", 600_000
    with pytest.raises(ImgregError, match=r"try the same again$"):
        download.fetch(site.url, to)
    site.most = 0
    assert download.fetch(site.url, to).read_bytes() == BODY
    assert site.asked == [None, None]


def test_another_url_begins_anew(site, to):
    broken_off(site, to)
    assert download.fetch(site.url + "?other", to).read_bytes() == BODY
    assert site.asked == [None, None]


def test_a_part_that_is_too_long_begins_anew(site, to):
    broken_off(site, to)
    (to.parent / "data.tgz.part").write_bytes(BODY * 2)
    assert download.fetch(site.url, to, len(BODY), MD5).read_bytes() == BODY
    assert site.asked[1:] == [f"bytes={2 * len(BODY)}-", None]


def test_a_part_that_is_whole_is_only_checked(site, to):
    broken_off(site, to)
    (to.parent / "data.tgz.part").write_bytes(BODY)
    assert download.fetch(site.url, to, len(BODY), MD5).read_bytes() == BODY
    assert len(site.asked) == 1


def test_the_checksum_of_the_first_bytes(site, to):
    first = hashlib.md5(BODY[:1000]).hexdigest()
    assert download.fetch(site.url, to, len(BODY), first, md5_bytes=1000) == to
    to.unlink()
    with pytest.raises(ImgregError, match="another checksum"):
        download.fetch(site.url, to, len(BODY), first)


def test_a_wrong_file_is_not_kept(site, to):
    with pytest.raises(ImgregError, match="another checksum; try the same again: it begins anew"):
        download.fetch(site.url, to, len(BODY), "0" * 32)
    assert left(to) == []


def test_another_size_is_seen_before_anything_is_fetched(site, to):
    with pytest.raises(download.UnreachableError, match=r"expected 5 bytes from .*; found 1024000"):
        download.fetch(site.url, to, 5)
    assert left(to) == []


@pytest.mark.parametrize("status", [403, 404, 503])
def test_a_server_that_refuses(site, to, status):
    site.status = status
    with pytest.raises(download.UnreachableError, match=str(status)):
        download.fetch(site.url, to)
    assert left(to) == []


def test_a_file_url(tmp_path, to):
    (tmp_path / "a file").write_bytes(BODY)
    assert download.fetch((tmp_path / "a file").as_uri(), to, len(BODY), MD5).read_bytes() == BODY
    with pytest.raises(download.UnreachableError, match="a file at"):
        download.fetch((tmp_path / "none").as_uri(), to)


def test_a_broken_copy_of_a_file_url_is_not_continued_as_a_download(tmp_path, site, to, monkeypatch):
    site.most = 3 * download.CHUNK_SIZE
    with pytest.raises(ImgregError, match="a connection that broke"):
        download.fetch(site.url, to)
    (tmp_path / "other").write_bytes(BODY[::-1])

    def breaks_off(source, target):
        target.write_bytes(source.read_bytes()[: download.CHUNK_SIZE])
        raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(download.shutil, "copyfile", breaks_off)
    with pytest.raises(ImgregError, match="Input/output error"):
        download.fetch((tmp_path / "other").as_uri(), to)
    site.most = 0
    assert download.fetch(site.url, to).read_bytes() == BODY


@pytest.mark.parametrize("url", ["ftp://host/file", "data.tgz", ""])
def test_other_urls(to, url):
    with pytest.raises(ImgregError, match="a URL with http"):
        download.fetch(url, to)


class Full(io.BytesIO):
    """A file on a disk that is full after two pieces."""

    def write(self, piece):
        if self.tell() >= 2 * download.CHUNK_SIZE:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(piece)


def test_a_disk_that_fills_keeps_what_has_come(site, to, monkeypatch):
    real = Path.open

    class Small(Full):
        def close(self):
            if not self.closed:
                with real(to.parent / "data.tgz.part", "wb") as f:
                    f.write(self.getvalue())
            super().close()

    monkeypatch.setattr(Path, "open", lambda p, *a, **k: Small() if p.suffix == ".part" else real(p, *a, **k))
    with pytest.raises(ImgregError, match=r"a full disk after 0\.5 MB of 1\.0 MB.*making room, then the same again"):
        download.fetch(site.url, to, len(BODY), MD5)
    monkeypatch.undo()
    monkeypatch.setenv("NO_PROXY", "*")
    assert download.fetch(site.url, to, len(BODY), MD5).read_bytes() == BODY
    assert site.asked == [None, f"bytes={2 * download.CHUNK_SIZE}-"]


def test_a_disk_too_small_is_seen_before(site, to, monkeypatch):
    monkeypatch.setattr(download.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 1_500_000}))
    download.fetch(site.url, to, len(BODY))
    with pytest.raises(ImgregError, match=r"expected 2\.0 MB of free disk for .*; found 1\.5 MB"):
        download.fetch(site.url, to.with_name("other"), len(BODY), reserve=1_000_000)


def test_a_place_that_cannot_be_written(site, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ImgregError, match="a place that can be written"):
        download.fetch(site.url, tmp_path / "file" / "data.tgz")


def unreachable(url, to, timeout=1.0):
    with pytest.raises(download.UnreachableError) as raised:
        download.fetch(url, to, timeout=timeout)
    assert "\n" not in str(raised.value) and left(to) == []
    return str(raised.value)


def test_without_a_network_it_is_told_at_once(to, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.socket() as closed:  # a port that nobody listens on
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/data.tgz"
        assert "refused" in unreachable(url, to)
    unreachable("https://no-such-host.invalid/data.tgz", to)


def test_a_search_for_the_name_that_hangs_is_given_up(to, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    over, ended = threading.Event(), threading.Event()

    def hang(*_, **__):
        over.wait(60)
        ended.set()
        raise socket.gaierror(-3, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    assert "no answer within 0.3 seconds" in unreachable("https://example.org/data.tgz", to, 0.3)
    assert not ended.is_set()  # the search still hangs
    over.set()


def test_a_server_that_says_nothing_is_given_up(to, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/data.tgz"
        assert "no answer within 0.3 seconds" in unreachable(url, to, 0.3)


def test_the_time_until_it_is_given_up_leaves_some_of_five_seconds():
    assert download.fetch.__defaults__[3] <= 4


def archive(path, members):
    """A .tar.gz of name -> bytes, or a TarInfo's attributes."""
    with tarfile.open(path, "w:gz") as tar:
        for name, what in members.items():
            member = tarfile.TarInfo(name)
            if isinstance(what, bytes):
                member.size = len(what)
                tar.addfile(member, io.BytesIO(what))
            else:
                for key, value in what.items():
                    setattr(member, key, value)
                tar.addfile(member)
    return path


GOOD = {"biwi/01/a.txt": b"one", "biwi/02/b.txt": b"two", "biwi/c.bin": bytes(100_000)}


def contents(folder):
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_an_archive_is_unpacked_without_the_folder_around_it(tmp_path):
    packed = archive(tmp_path / "a.tgz", GOOD)
    assert unpack.unpack(packed, tmp_path / "new" / "out") == tmp_path / "new" / "out"
    assert contents(tmp_path / "new" / "out") == {n.removeprefix("biwi/"): b for n, b in GOOD.items()}
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["out"]
    flat = archive(tmp_path / "b.tgz", {"x": b"1", "01/y": b"2"})
    assert contents(unpack.unpack(flat, tmp_path / "flat")) == {"x": b"1", "01/y": b"2"}


def test_an_empty_folder_is_unpacked_into(tmp_path, monkeypatch):
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    unpack.unpack(archive(tmp_path / "a.tgz", GOOD), ".")
    assert len(contents(tmp_path / "out")) == 3
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.tgz", "out"]


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("years of work")
    with pytest.raises(ImgregError, match="new or empty folder"):
        unpack.unpack(archive(tmp_path / "a.tgz", GOOD), tmp_path / "out")
    assert contents(tmp_path / "out") == {"mine": b"years of work"}


EVIL = {
    "climbs": {**GOOD, "biwi/../../evil": b"x"},
    "absolute": {**GOOD, "/evil/evil": b"x"},
    "link out": {**GOOD, "biwi/link": {"type": tarfile.SYMTYPE, "linkname": "../../../evil"}},
    "absolute link": {**GOOD, "biwi/link": {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}},
    "hard link out": {**GOOD, "biwi/link": {"type": tarfile.LNKTYPE, "linkname": "../../evil"}},
    "device": {**GOOD, "biwi/null": {"type": tarfile.CHRTYPE, "devmajor": 1, "devminor": 3}},
    "pipe": {**GOOD, "biwi/pipe": {"type": tarfile.FIFOTYPE}},
    "nothing": {},
}


@pytest.mark.parametrize("kind", EVIL)
def test_an_archive_that_reaches_outside_is_refused(tmp_path, kind):
    (tmp_path / "in").mkdir()
    packed = archive(tmp_path / "in" / "a.tgz", EVIL[kind])
    with pytest.raises(unpack.ArchiveError) as raised:
        unpack.unpack(packed, tmp_path / "in" / "out")
    assert "\n" not in str(raised.value)
    assert list(contents(tmp_path)) == ["in/a.tgz"]
    assert len(list((tmp_path / "in").iterdir())) == 1


def test_a_link_inside_is_left_out(tmp_path, caplog):
    link = {"type": tarfile.SYMTYPE, "linkname": "c.bin"}
    packed = archive(tmp_path / "a.tgz", {**GOOD, "biwi/link": link})
    assert len(contents(unpack.unpack(packed, tmp_path / "out"))) == 3
    assert not (tmp_path / "out" / "link").is_symlink()
    assert "left out 1 links" in caplog.text


@pytest.mark.parametrize("part", [0, 5, 0.1, 0.6, 0.999])
def test_an_archive_cut_short_leaves_nothing(tmp_path, part):
    noise = b"".join(hashlib.sha256(bytes([i, j])).digest() for i in range(40) for j in range(100))
    whole = archive(tmp_path / "a.tgz", {f"d/{i}": noise[i:] for i in range(4)}).read_bytes()
    (tmp_path / "a.tgz").write_bytes(whole[: int(part if part > 1 else part * len(whole))])
    with pytest.raises(unpack.ArchiveError, match=r"whole \.tar\.gz"):
        unpack.unpack(tmp_path / "a.tgz", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tgz"]


@pytest.mark.parametrize("where", [30, -6])
def test_a_damaged_archive_leaves_nothing(tmp_path, where):
    broken = bytearray(archive(tmp_path / "a.tgz", GOOD).read_bytes())
    broken[where] ^= 0xFF
    (tmp_path / "a.tgz").write_bytes(broken)
    with pytest.raises(unpack.ArchiveError):
        unpack.unpack(tmp_path / "a.tgz", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.tgz"]


def test_what_is_no_archive(tmp_path):
    (tmp_path / "a.tgz").write_bytes(gzip.compress(b"not a tar" * 1000))
    with pytest.raises(unpack.ArchiveError):
        unpack.unpack(tmp_path / "a.tgz", tmp_path / "out")
    with pytest.raises(ImgregError, match=r"none\.tgz' into; .* No such file"):
        unpack.unpack(tmp_path / "none.tgz", tmp_path / "out")


def test_an_archive_that_swells(tmp_path):
    packed = archive(tmp_path / "a.tgz", GOOD)
    with pytest.raises(unpack.ArchiveError, match=r"at most 0\.1 MB"):
        unpack.unpack(packed, tmp_path / "out", max_size=90_000)
    assert not (tmp_path / "out").exists()


def test_a_disk_that_fills_while_unpacking_leaves_nothing(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    packed = archive(tmp_path / "a.tgz", GOOD)
    monkeypatch.setattr(tarfile, "copyfileobj", full)
    with pytest.raises(ImgregError, match="No space left") as raised:
        unpack.unpack(packed, tmp_path / "out")
    assert not isinstance(raised.value, unpack.ArchiveError)
    assert [p.name for p in tmp_path.iterdir()] == ["a.tgz"]


def test_an_old_python_is_told(tmp_path, monkeypatch):
    packed = archive(tmp_path / "a.tgz", GOOD)
    monkeypatch.delattr(tarfile, "data_filter")
    with pytest.raises(ImgregError, match=r"3\.10\.12.*unpacking '.*a\.tgz' by hand"):
        unpack.unpack(packed, tmp_path / "out")
