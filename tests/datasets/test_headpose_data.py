import os
import socket
import subprocess
import sys
import tarfile
from types import SimpleNamespace

import pandas as pd
import pytest

from imgreg_fastai.data import download, unpack
from imgreg_fastai.datasets import biwi, drawing, headpose
from imgreg_fastai.utils.messages import ImgregError
from tests.datasets.test_biwi import tiny


@pytest.fixture
def stand_in(tmp_path):
    """The URL of an archive like fast.ai's."""
    tiny(tmp_path / "made" / "biwi_head_pose")
    with tarfile.open(tmp_path / "stand_in.tgz", "w:gz") as tar:
        tar.add(tmp_path / "made" / "biwi_head_pose", "biwi_head_pose")
    return (tmp_path / "stand_in.tgz").as_uri()


def test_it_is_fetched_once(tmp_path, stand_in, caplog):
    caplog.set_level("INFO", "imgreg")
    home = tmp_path / "data" / "headpose"
    assert headpose.obtain(home, url=stand_in) == home / "labels.csv"
    assert len(pd.read_csv(home / "labels.csv")) == 12
    assert sorted(p.name for p in home.parent.iterdir()) == ["headpose"]
    assert caplog.text.count("research and education only") == 1
    assert headpose.obtain(home, url="file:///nowhere") == home / "labels.csv"
    assert headpose.obtain(home, "fastbook") == home / "labels_fastbook.csv"
    assert caplog.text.count("research and education only") == 1


def test_an_empty_folder_is_filled(tmp_path, stand_in):
    (tmp_path / "data").mkdir()
    assert headpose.obtain(tmp_path / "data", url=stand_in).is_file()


def test_a_table_that_is_there_is_used_as_it_is(tmp_path):
    tiny(tmp_path)
    (tmp_path / "labels.csv").write_text("mine")
    assert headpose.read(tmp_path) == tmp_path / "labels.csv"
    assert (tmp_path / "labels.csv").read_text() == "mine"
    assert headpose.read(tmp_path, "fastbook") == tmp_path / "labels_fastbook.csv"
    with pytest.raises(ImgregError, match="exact or fastbook"):
        headpose.read(tmp_path, "precise")


def test_a_folder_of_something_else_is_left_alone(tmp_path, stand_in):
    (tmp_path / "mine.txt").write_text("years of work")
    with pytest.raises(ImgregError, match="Biwi's frames"):
        headpose.obtain(tmp_path, url=stand_in)
    assert (tmp_path / "mine.txt").read_text() == "years of work"


def test_fastais_url_and_check(monkeypatch, tmp_path):
    from fastai.data.external import URLs
    from fastdownload.core import checks_module, path_stats, read_checks

    asked = {}

    def fetch(url, to, size, md5, md5_bytes, reserve):
        asked.update(url=url, size=size, md5=md5, md5_bytes=md5_bytes)
        raise download.UnreachableError("an answer", "none")

    monkeypatch.setattr(download, "fetch", fetch)
    with pytest.raises(ImgregError):
        headpose.obtain(tmp_path / "data")
    import fastai.data

    checks = read_checks(checks_module(fastai.data))
    assert asked["url"] == URLs.BIWI_HEAD_POSE
    assert (asked["size"], asked["md5"]) == checks[URLs.BIWI_HEAD_POSE]
    (tmp_path / "file").write_bytes(bytes(range(256)) * 5000)  # what its MD5 is of
    size, md5 = path_stats(tmp_path / "file")
    assert not download._difference(tmp_path / "file", size, md5, asked["md5_bytes"])


def test_without_a_network_it_is_told_what_to_type(tmp_path, monkeypatch):
    hosts = []

    def resolve(host, *_, **__):
        hosts.append(host)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setenv("NO_PROXY", "*")
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(ImgregError, match=r"try --data DIR with a copy at hand, or --data drawn") as raised:
        headpose.obtain(tmp_path / "data" / "headpose", url="https://no-such-host.invalid/biwi.tgz")
    assert hosts == ["no-such-host.invalid"]  # it is asked for once, not again and again
    assert "\n" not in str(raised.value)
    assert not list(tmp_path.iterdir())


def test_a_network_that_hangs_is_given_up_soon(tmp_path):
    code = ("import socket, threading\n"
            "def hang(*_, **__):\n    print('asked', flush=True)\n    threading.Event().wait()\n    print('answered')\n"
            "socket.getaddrinfo = hang\n"
            "from imgreg_fastai.datasets import headpose\nheadpose.obtain()")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True,
                          env={**os.environ, "NO_PROXY": "*"})
    assert done.stdout == "asked\n"  # the name is still being looked up, for ever, when the program ends
    assert done.stderr.splitlines()[-1].endswith("--data drawn for drawn heads")
    assert "within 3.5 seconds" in done.stderr


def test_a_damaged_archive_is_fetched_anew(tmp_path, stand_in):
    source = tmp_path / "stand_in.tgz"
    good = source.read_bytes()
    source.write_bytes(good[:-20])
    with pytest.raises(ImgregError, match="fetched anew"):
        headpose.obtain(tmp_path / "data", url=stand_in)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["made", "stand_in.tgz"]
    source.write_bytes(good)
    assert headpose.obtain(tmp_path / "data", url=stand_in).is_file()


def test_an_archive_that_could_not_be_unpacked_need_not_come_again(tmp_path, stand_in, monkeypatch):
    def full(*_):
        raise ImgregError("room", "a full disk")

    monkeypatch.setattr(unpack, "unpack", full)
    with pytest.raises(ImgregError, match="a full disk"):
        headpose.obtain(tmp_path / "data", url=stand_in)
    assert (tmp_path / ".data-biwi_head_pose.tgz").is_file()


def test_ctrl_c_while_unpacking_keeps_the_archive_and_says_so(tmp_path, stand_in, monkeypatch, caplog):
    def interrupt(*_):
        raise KeyboardInterrupt

    caplog.set_level("INFO", "imgreg")
    archive = tmp_path / ".data-biwi_head_pose.tgz"
    with monkeypatch.context() as broken:
        broken.setattr(unpack, "_extract", interrupt)
        with pytest.raises(KeyboardInterrupt):
            headpose.obtain(tmp_path / "data", url=stand_in)
    assert caplog.messages[-1] == f"the whole archive is kept, in '{archive}': the same command unpacks it again"
    assert archive.is_file() and not list(tmp_path.glob(".data-part"))
    assert headpose.obtain(tmp_path / "data", url=stand_in).is_file() and not archive.exists()


def test_drawn_heads_are_read_as_biwi_is(tmp_path, monkeypatch):
    asked = []

    def draw(*how):
        asked.append(how)
        return tiny(tmp_path / "drawn")

    monkeypatch.setitem(sys.modules, "imgreg_fastai.datasets.drawing.heads", SimpleNamespace(draw=draw))
    monkeypatch.setattr(drawing, "heads", SimpleNamespace(draw=draw), raising=False)
    assert headpose.draw(tmp_path / "drawn", n=12, seed=3, jobs=1) == tmp_path / "drawn" / "labels.csv"
    assert asked == [(tmp_path / "drawn", 12, 3, 1, None)]
    assert len(pd.read_csv(tmp_path / "drawn" / "labels.csv")) == 12
    assert biwi.TABLES["exact"] == "labels.csv"
