"""What README and CONTRIBUTING say can be typed as it stands."""
import re
import shlex
import shutil
from pathlib import Path

import pytest
import typer

from imgreg_fastai import cli

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}


def blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", page, re.DOTALL)


def commands(page: str = README) -> list[str]:
    lines = "\n".join(blocks("bash", page) + blocks("console", page)).replace("\\\n", " ").splitlines()
    lines = [line.split("  #")[0].removeprefix("$ ") for line in lines]
    return [line[line.index("imgreg ") :] for line in lines if re.search(r"(^|&& )imgreg ", line)]


def test_readme_names_every_command_and_nothing_else():
    app = typer.main.get_command(cli.app)
    named = {shlex.split(c)[1] for c in commands()}
    assert named == set(app.commands)


@pytest.mark.parametrize("command", dict.fromkeys(c for page in (README, *PAGES.values()) for c in commands(page)))
def test_every_command_parses(command):
    app = typer.main.get_command(cli.app)
    _, verb, *args = shlex.split(command)
    app.commands[verb].make_context(verb, args)  # raises for an option that is not there


@pytest.mark.parametrize("name", PAGES)
def test_what_a_page_links_to_exists(name):
    for path in re.findall(r"\]\(((?!http)[^)#]+)\)", PAGES[name]):
        assert (ROOT / "docs" / path).exists(), path


def test_the_options_that_the_page_on_own_labels_names_are_options_of_a_command():
    app = typer.main.get_command(cli.app)
    known = {option for command in app.commands.values() for p in command.params for option in p.opts}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGES["your_own_labels.md"]))
    assert named and named <= known


def test_pictures_and_files_that_readme_shows_exist():
    for path in re.findall(r"\]\(((?!http)[^)#]+)\)", README):
        assert (ROOT / path).exists(), path
    for name in re.findall(r"(\w+\.py)", README[README.index("imgreg_fastai/\n") :]):
        assert list((ROOT / "imgreg_fastai").rglob(name)), name


def test_the_set_up_commands_are_the_two_that_readme_promises():
    setup = [line for b in blocks("bash") for line in b.splitlines() if "pip install" in line]
    assert len(setup) == 2 and setup[0].endswith("imgreg train angle") and setup[1].endswith("pytest")


@pytest.mark.slow
def test_readmes_python_runs(tmp_path, monkeypatch):
    """In a folder where few pictures are drawn already, so that the defaults take seconds."""
    from imgreg_fastai.datasets import angle

    monkeypatch.chdir(tmp_path)
    angle.draw("data/angle", n=80, seed=5)
    shutil.copy(next(Path("data/angle/images").iterdir()), "photo.png")
    first, second = blocks("python")
    exec(compile(first, "README", "exec"), {})
    with pytest.raises(SystemExit):
        cli.main(["export", "runs/angle-001"])
    found = {}
    exec(compile(second, "README", "exec"), found)
    assert 0 <= float(found["degrees"]) < 180
