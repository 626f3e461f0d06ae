"""A drawing that broke off, even by kill -9, goes on and ends in the very files of one without a break."""
import os
import re
import signal
import subprocess
import sys
import time

import pytest

from imgreg_fastai.datasets import angle
from imgreg_fastai.datasets.drawing import chunks, heads
from imgreg_fastai.utils.messages import ImgregError

KINDS = {"angle": (angle.draw, {"n": 450, "size": 32, "jobs": 1}), "heads": (heads.draw, {"n": 24, "jobs": 1})}
BREAK = 3  # chunks, then the drawing breaks off


def content(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="session", params=KINDS)
def kind(request, tmp_path_factory):
    """A function that draws, its options, and the files that it draws without a break."""
    draw, options = KINDS[request.param]
    out = tmp_path_factory.mktemp("whole") / "drawn"
    draw(out, **options)
    assert [path.name for path in out.parent.iterdir()] == ["drawn"]
    return draw, options, content(out)


@pytest.fixture
def calls(monkeypatch):
    """The chunks that are drawn, in this process. Before the one after BREAK, the first of `trouble` is raised."""
    drawn, trouble = [], []

    def run(function, calls, *_, **__):
        for call in calls:
            if trouble and len(drawn) == BREAK:
                raise trouble.pop()
            drawn.append(call)
            yield function(*call)

    monkeypatch.setattr(chunks, "run_in_processes", run)
    run.drawn, run.trouble = drawn, trouble
    return run


def break_off(kind, calls, out, trouble, **options):
    """Draw until trouble comes; returns what is raised and the number of images that are drawn."""
    calls.trouble.append(trouble)
    with pytest.raises((ImgregError, type(trouble))) as raised:
        kind[0](out, **kind[1] | options)
    assert not out.exists() and len(calls.drawn) == BREAK
    calls.drawn.clear()
    return raised.value, BREAK * (100 if kind[0] is angle.draw else 1)


def test_the_same_call_goes_on_after_ctrl_c(kind, calls, tmp_path, caplog):
    caplog.set_level("INFO", "imgreg")
    draw, options, whole = kind
    out, n_all = tmp_path / "drawn", options["n"]
    _, n = break_off(kind, calls, out, KeyboardInterrupt())
    part = tmp_path / ".drawn-part"
    progress = f"{n} of {n_all} images are drawn"
    assert caplog.messages == [f"{progress}, in '{part}': the same command goes on from there"]
    half = next(name for name in sorted(whole) if not (part / "all" / name).exists() and name != "labels.csv")
    (part / "all" / half).parent.mkdir(exist_ok=True)
    (part / "all" / half).write_bytes(b"half")  # of the chunk that was cut short
    caplog.clear()
    draw(out, **options)
    assert caplog.messages == [f"{progress} already: going on from there"]
    assert len(calls.drawn) == (2 if draw is angle.draw else 21)
    assert content(out) == whole and [path.name for path in tmp_path.iterdir()] == ["drawn"]


@pytest.mark.parametrize("change", ["seed", "code"])
def test_other_settings_or_another_version_begin_anew(calls, tmp_path, caplog, monkeypatch, change):
    caplog.set_level("INFO", "imgreg")
    whole, out, options = tmp_path / "whole", tmp_path / "drawn", {"n": 450, "size": 32}
    angle.draw(whole, **options)
    calls.drawn.clear()
    if change == "code":
        with monkeypatch.context() as earlier:
            earlier.setattr(chunks, "_versions", lambda: {"code": "of yesterday"})
            break_off((angle.draw, options), calls, out, KeyboardInterrupt())
    else:
        break_off((angle.draw, options), calls, out, KeyboardInterrupt(), seed=1)
    angle.draw(out, **options)
    assert "other settings or another version: it begins anew" in caplog.messages[-1] and len(calls.drawn) == 5
    assert content(out) == content(whole)


def test_a_full_disk_is_one_line_and_the_same_call_goes_on(kind, calls, tmp_path):
    draw, options, whole = kind
    out = tmp_path / "drawn"
    error, n = break_off(kind, calls, out, OSError(28, "No space left on device"))
    assert str(error) == (f"expected room on the disk for '{out}'; found it full after {n} of {options['n']} images: "
                          f"'{tmp_path / '.drawn-part'}'; try making room, then the same again: it goes on from there")
    draw(out, **options)
    assert content(out) == whole and len(calls.drawn) == (2 if draw is angle.draw else 21)


def test_another_trouble_of_the_disk_keeps_what_is_drawn(calls, tmp_path):
    error, _ = break_off((angle.draw, {"n": 450, "size": 32}), calls, tmp_path / "drawn", OSError(5, "Input error"))
    assert str(error).endswith(f"'{tmp_path / 'drawn'}': Input error; try --out with another name")
    angle.draw(tmp_path / "drawn", n=450, size=32)
    assert len(calls.drawn) == 2


@pytest.mark.skipif(os.name == "nt", reason="needs limits of a process")
@pytest.mark.parametrize("name", KINDS)
def test_a_write_that_a_limit_stops_is_one_line(tmp_path, name):
    """Of the processes that draw: the system refuses to write files of more than a few bytes."""
    module, options = {"angle": "angle", "heads": "drawing.heads"}[name], KINDS[name][1] | {"jobs": 2}
    code = ("import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (900, 900))\n"
            f"from imgreg_fastai.datasets.{module} import draw\ndraw('drawn', **{options})")
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    line = done.stderr.splitlines()[-1]
    assert line.endswith("try making room, then the same again: it goes on from there"), done.stderr
    assert not (tmp_path / "drawn").exists()


def test_two_drawings_into_one_folder_do_not_meet(calls, tmp_path):
    options, errors = {"n": 450, "size": 32}, []
    angle.draw(tmp_path / "whole", **options)
    with chunks.drawing_folder(tmp_path / "drawn", [chunks.Chunk(1, (0, 1, 4, 32, 0))], n=1) as drawing:
        for _ in range(2):
            with pytest.raises(ImgregError) as e:
                angle.draw(tmp_path / "drawn", **options)
            errors.append(str(e.value))
        (drawing.folder / "mine").touch()
    assert errors == [f"expected a folder to draw into that no other process is filling; found '{tmp_path / 'drawn'}', "
                      "which one is filling now; try the same again when that one has ended"] * 2
    assert [path.name for path in (tmp_path / "drawn").iterdir()] == ["mine"]


@pytest.mark.skipif(os.name == "nt", reason="there is no kill -9")
def test_after_kill_9_nothing_holds_the_folder_and_the_same_call_goes_on(tmp_path):
    code = "from imgreg_fastai.datasets import angle; angle.draw('drawn', n=4_000, size=24, jobs=2)"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path)
    part = tmp_path / ".drawn-part"
    while len(list(part.glob("chunks/*.json"))) < 5:
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)  # not its children: they end by themselves
    process.wait(10)
    n = len(list(part.glob("chunks/*.json")))
    code = f"import logging; logging.basicConfig(level='INFO', format='%(message)s'); {code}"
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    match = re.fullmatch(r"([\d,]+) of 4,000 images are drawn already: going on from there\n", done.stderr)
    assert match and int(match[1].replace(",", "")) >= n * 100  # its children may have ended the chunk that they drew
    angle.draw(tmp_path / "whole", n=4_000, size=24)
    assert content(tmp_path / "drawn") == content(tmp_path / "whole")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drawn", "whole"]
