import pytest

from imgreg_fastai.datasets import angle
from imgreg_fastai.datasets.drawing import heads, processes
from imgreg_fastai.utils.messages import ImgregError

either = pytest.mark.parametrize("draw", [angle.draw, heads.draw])


@either
def test_a_folder_in_use_is_left_alone(tmp_path, draw):
    (tmp_path / "mine.txt").write_text("years of work")
    for out in (tmp_path, tmp_path / "mine.txt"):
        with pytest.raises(ImgregError, match=rf"new or empty folder to draw into.*'{out}' in use; try --out with ano"):
            draw(out, n=24)
    assert [p.name for p in tmp_path.iterdir()] == ["mine.txt"]
    assert (tmp_path / "mine.txt").read_text() == "years of work"


@either
def test_a_folder_that_cannot_be_made(tmp_path, draw):
    (tmp_path / "file").write_text("")
    with pytest.raises(ImgregError, match=r"a folder that can be written, to draw into; .*try --out with another n"):
        draw(tmp_path / "file" / "deeper" / "drawn", n=24)


class Inline:
    """Stands in for the pool of processes."""

    def __init__(self, *_, **__):
        self.map = map

    def shutdown(self, cancel_futures):
        assert cancel_futures


class Broken(Inline):
    """Processes that break after the first piece of work."""

    def map(self, function, *rest):
        yield function(*(r[0] for r in rest))
        raise processes.BrokenProcessPool

    def __init__(self, *_, **__):
        pass


def test_without_processes_the_work_is_done_here(monkeypatch):
    monkeypatch.setattr(processes, "ProcessPoolExecutor", Broken)
    work = [(1, "a"), (2, "b"), (3, "c")]
    assert list(processes.run_in_processes(lambda *piece: piece, work, 2, "drawing")) == work


def test_there_are_as_many_processes_as_work_and_no_more_than_a_system_takes(monkeypatch):
    asked = []

    class Pool(Inline):
        def __init__(self, jobs, **_):
            super().__init__(jobs)
            asked.append(jobs)

    monkeypatch.setattr(processes, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(processes.os, "cpu_count", lambda: 2)
    for jobs, n in ((1, 3), (8, 3), (100, 100), (None, 3)):
        assert list(processes.run_in_processes(abs, [(i,) for i in range(n)], jobs, "drawing")) == list(range(n))
    assert asked == [1, 3, 61, 2]
