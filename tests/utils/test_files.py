from pathlib import Path

import pytest

from imgreg_fastai.utils.files import atomic_file, atomic_folder, has_content
from imgreg_fastai.utils.messages import ImgregError


def names(folder):
    return sorted(p.name for p in folder.iterdir())


def test_a_file_appears_when_the_block_ends_well(tmp_path):
    with atomic_file(tmp_path / "new" / "a.txt") as file:
        file.write_text("one")
        assert not (tmp_path / "new" / "a.txt").exists()
    assert (tmp_path / "new" / "a.txt").read_text() == "one" and names(tmp_path / "new") == ["a.txt"]


@pytest.mark.parametrize("error", [ValueError("ours"), KeyboardInterrupt(), RuntimeError("ours")])
def test_a_block_that_fails_leaves_what_was_there(tmp_path, error):
    (tmp_path / "a.txt").write_text("before")
    with pytest.raises(type(error)), atomic_file(tmp_path / "a.txt") as file:
        file.write_text("half")
        raise error
    assert (tmp_path / "a.txt").read_text() == "before" and names(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"),
                                   RuntimeError("[enforce fail at inline_container.cc:671]")])
def test_a_full_disk_is_one_line(tmp_path, error):
    with pytest.raises(ImgregError, match=r"No space left|disk full") as e, atomic_file(tmp_path / "a.txt") as file:
        file.write_text("half")
        raise error
    assert "\n" not in str(e.value) and names(tmp_path) == []


def test_what_is_filled(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("")
    assert [has_content(p) for p in (tmp_path, tmp_path / "folder", tmp_path / "file", str(tmp_path / "none"))] == [
        True, False, False, False]


def fill(folder):
    (folder / "labels.csv").write_text("image")
    (folder / "images").mkdir()
    (folder / "images" / "a.png").write_text("a")


@pytest.mark.parametrize("before", ["new", "empty", "current"])
def test_a_folder_appears_when_the_block_ends_well(tmp_path, monkeypatch, before):
    home = tmp_path / "deeper" / "home"
    if before != "new":
        home.mkdir(parents=True)
    if before == "current":
        monkeypatch.chdir(home)
    with atomic_folder("." if before == "current" else home, "draw into") as folder:
        fill(folder)
        assert not has_content(home)
    assert names(home) == ["images", "labels.csv"] and names(home.parent) == ["home"]
    assert (home / "images" / "a.png").read_text() == "a"
    (tmp_path / "plain").mkdir()
    assert home.stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_an_empty_folder_gets_its_table_last(tmp_path, monkeypatch):
    real, moved = Path.rename, []
    monkeypatch.setattr(Path, "rename", lambda p, to: moved.append(p.name) or real(p, to))
    with atomic_folder(tmp_path, "draw into") as folder:
        fill(folder)
        (folder / "more").mkdir()
    assert sorted(moved[:2]) == ["images", "more"] and moved[2:] == ["labels.csv"]


def test_a_folder_in_use_is_left_alone(tmp_path):
    (tmp_path / "mine").write_text("years of work")
    for path in (tmp_path, tmp_path / "mine"):
        with pytest.raises(ImgregError) as e, atomic_folder(path, "draw into", "another name"):
            pytest.fail("nothing is to be drawn")
        assert str(e.value) == ("expected a new or empty folder to draw into, so that nothing is lost; "
                                f"found '{path}' in use; try another name")
    assert names(tmp_path) == ["mine"] and (tmp_path / "mine").read_text() == "years of work"


@pytest.mark.parametrize("error", [ValueError("ours"), KeyboardInterrupt(), OSError(28, "No space left on device")])
@pytest.mark.parametrize("there", [False, True])
def test_a_folder_cut_short_leaves_what_was_there(tmp_path, error, there):
    if there:
        (tmp_path / "home").mkdir()
    expected = ImgregError if isinstance(error, OSError) else type(error)
    with pytest.raises(expected) as e, atomic_folder(tmp_path / "home", "draw into", "another name") as folder:
        fill(folder)
        raise error
    assert error in (e.value, e.value.__cause__)
    assert names(tmp_path) == ["home"] * there and not has_content(tmp_path / "home")
    if expected is ImgregError:
        assert str(e.value) == (f"expected a folder that can be written, to draw into; found '{tmp_path / 'home'}': "
                                "No space left on device; try making room, then the same again")


def test_a_folder_with_settings_goes_on_where_it_broke_off(tmp_path):
    home, part = tmp_path / "home", tmp_path / ".home-part"

    def break_off(n, had_content):
        with pytest.raises(KeyboardInterrupt), atomic_folder(home, "draw into", settings={"n": n}) as folder:
            assert has_content(folder) == had_content and (part / "notes").exists() == had_content
            if not had_content:
                fill(folder)
            (part / "notes").touch()
            raise KeyboardInterrupt

    break_off(1, False)
    break_off(1, True)
    break_off(2, False)
    break_off(1, False)
    (part / "settings.json").write_text('{"n": ')  # a write cut short
    break_off(1, False)
    with atomic_folder(home, "draw into", settings={"n": 1}):
        pass
    assert names(home) == ["images", "labels.csv"] and names(tmp_path) == ["home"]


def test_what_a_killed_process_left_is_replaced_where_nothing_is_kept(tmp_path):
    (tmp_path / ".home-part" / "all").mkdir(parents=True)
    for name in ("lock", "all/half", "half"):
        (tmp_path / ".home-part" / name).touch()
    with atomic_folder(tmp_path / "home", "draw into") as folder:
        fill(folder)
    assert names(tmp_path / "home") == ["images", "labels.csv"] and names(tmp_path) == ["home"]


def test_a_hidden_folder_of_the_users_own_is_left_alone(tmp_path):
    (tmp_path / ".home-part").mkdir()
    (tmp_path / ".home-part" / "mine").touch()
    with pytest.raises(ImgregError, match="new or empty folder"), atomic_folder(tmp_path / "home", "draw into"):
        pytest.fail("nothing is to be drawn")
    assert names(tmp_path / ".home-part") == ["mine"]
