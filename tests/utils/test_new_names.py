"""Names with numbers that nothing else has, whoever else looks for one at the same time."""
from pathlib import Path

import pytest

from imgreg_fastai.utils.files import new_files, new_folder
from imgreg_fastai.utils.messages import ImgregError


def test_folders_are_numbered_and_never_written_over(tmp_path):
    assert new_folder(tmp_path, "x").name == "x"
    assert new_folder(tmp_path, "x").name == "x-002"
    assert [new_folder(tmp_path, "set[1]").name for _ in range(3)] == ["set[1]", "set[1]-002", "set[1]-003"]
    (tmp_path / "x-007").mkdir()
    (tmp_path / "xs-9").mkdir()
    assert new_folder(tmp_path, "x").name == "x-008"
    assert [new_folder(tmp_path, "run", always=True).name for _ in range(2)] == ["run-001", "run-002"]


def test_files_are_numbered_together_and_never_written_over(tmp_path):
    (tmp_path / "y-004.html").touch()
    for number in ("005", "006"):
        with new_files(tmp_path, "y", ".png", ".html") as paths:
            assert [path.name for path in paths] == [f"y-{number}.png", f"y-{number}.html"] and paths[0].exists()
            paths[1].touch()
    with pytest.raises(KeyboardInterrupt), new_files(tmp_path, "y", ".png", ".html") as paths:
        paths[1].touch()
        raise KeyboardInterrupt
    assert not any(path.exists() for path in paths) and len(list(tmp_path.iterdir())) == 5


def test_a_name_that_another_process_takes_first_is_left_to_it(tmp_path, monkeypatch):
    """Both look for a free name, and only then does either create it."""
    monkeypatch.setattr(Path, "glob", lambda *_: iter(()))
    monkeypatch.setattr(Path, "exists", lambda _: False)
    with new_files(tmp_path, "y", ".png") as (first,), new_files(tmp_path, "y", ".png") as (second,):
        assert (first.name, second.name) == ("y-001.png", "y-002.png")
    assert [new_folder(tmp_path, "z").name for _ in range(3)] == ["z", "z-002", "z-003"]


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ImgregError, match="a folder that can be written"):
        new_folder(tmp_path / "file", "x", always=True)
