import pytest

from imgreg_fastai.errors import ImgregError
from imgreg_fastai.files import whole


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_file_appears_when_the_block_ends_well(tmp_path):
    with whole(tmp_path / "new" / "a.txt") as file:
        file.write_text("one")
        assert not (tmp_path / "new" / "a.txt").exists()
    assert (tmp_path / "new" / "a.txt").read_text() == "one" and names(tmp_path / "new") == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError("ours"), KeyboardInterrupt(), RuntimeError("ours")])
def test_a_block_that_fails_leaves_what_was_there(tmp_path, error):
    (tmp_path / "a.txt").write_text("before")
    with pytest.raises(type(error)), whole(tmp_path / "a.txt") as file:
        file.write_text("half")
        raise error
    assert (tmp_path / "a.txt").read_text() == "before" and names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"),
                                   RuntimeError("[enforce fail at inline_container.cc:671]")])
def test_a_full_disk_is_one_line(tmp_path, error):
    with pytest.raises(ImgregError, match=r"No space left|disk full") as e, whole(tmp_path / "a.txt") as file:
        file.write_text("half")
        raise error
    assert "\n" not in str(e.value) and names(tmp_path) == []
