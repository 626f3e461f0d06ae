"""README and the documentation are true: commands parse, links lead somewhere, names exist, examples run."""
import importlib
import re
import runpy
import shlex
import shutil
from pathlib import Path

import numpy as np
import pytest
import typer
import yaml

import imgreg_fastai
from imgreg_fastai import cli
from imgreg_fastai.tasks import Target
from tests.project.layout import entries, module_table

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = {path.name: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs").glob("*.md"))}
FILES = ["README.md", "CONTRIBUTING.md", "data/README.md", "benchmarks/README.md", *(f"docs/{name}" for name in PAGES)]
UPDATE = "python -m tests.project.layout --write updates docs/architecture.md"


def blocks(language: str, page: str = README) -> list[str]:
    """The fenced blocks of a page in a language, also those that are indented in a list."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", page, re.DOTALL | re.MULTILINE)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def commands(page: str = README) -> list[str]:
    """The imgreg commands that a page shows in its blocks for the terminal."""
    lines = "\n".join(blocks("bash", page) + blocks("console", page)).replace("\\\n", " ").splitlines()
    lines = [line.split(" #")[0].removeprefix("$ ") for line in lines]
    return [line[line.index("imgreg ") :] for line in lines if re.search(r"(^|&& )imgreg ", line)]


def app():
    return typer.main.get_command(cli.app)


# README

def test_readme_is_short():
    assert len(README.splitlines()) <= 150


def test_the_set_up_commands_are_the_two_that_readme_promises():
    setup = [line for b in blocks("bash") for line in b.splitlines() if "pip install" in line]
    assert len(setup) == 2 and setup[0].endswith("imgreg train angle") and setup[1].endswith("pytest")


@pytest.mark.slow
def test_readmes_python_runs(tmp_path, monkeypatch):
    """In a folder where few images are drawn already, so that the defaults take seconds."""
    from imgreg_fastai.datasets import angle

    monkeypatch.chdir(tmp_path)
    angle.draw("data/angle", n=80, seed=5)
    shutil.copy(next(Path("data/angle/images").iterdir()), "photo.png")
    first, second = blocks("python")
    exec(compile(first, "README", "exec"), {})
    with pytest.raises(SystemExit):
        cli.main(["export", "runs/angle-001"])
    values = {}
    exec(compile(second, "README", "exec"), values)
    assert 0 <= float(values["degrees"]) < 180


# all pages

def test_the_pages_name_every_command_and_nothing_else():
    assert {shlex.split(c)[1] for page in (README, *PAGES.values()) for c in commands(page)} == set(app().commands)


@pytest.mark.parametrize("command", dict.fromkeys(c for page in (README, *PAGES.values()) for c in commands(page)))
def test_every_command_parses(command):
    _, name, *args = shlex.split(command)
    app().commands[name].make_context(name, args)  # raises for an option that is not there


@pytest.mark.parametrize("file", FILES)
def test_what_a_page_links_to_exists(file):
    page = ROOT / file
    for path in re.findall(r"\]\(((?!http)[^)#\s]+)", page.read_text(encoding="utf-8")):
        assert (page.parent / path).exists(), path


@pytest.mark.parametrize("file", FILES)
def test_the_section_that_a_link_names_exists(file):
    page = ROOT / file
    for path, section in re.findall(r"\]\(((?!http)[^)#\s]*)#([\w-]+)\)", page.read_text(encoding="utf-8")):
        text = (page.parent / path if path else page).read_text(encoding="utf-8")
        headings = re.findall(r"^#+ (.*)", re.sub(r"```.*?```", "", text, flags=re.DOTALL), re.MULTILINE)
        assert section in {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_the_options_that_the_page_on_own_labels_names_are_options_of_a_command():
    options = {option for command in app().commands.values() for p in command.params for option in p.opts}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGES["your_own_labels.md"]))
    assert named and named <= options


# the site

def test_the_site_has_every_page_once():
    nav = (ROOT / "mkdocs.yml").read_text(encoding="utf-8").partition("\nnav:")[2].partition("\n\n")[0]
    assert sorted(re.findall(r": (\w+\.md)$", nav, re.MULTILINE)) == sorted(PAGES)
    assert yaml.safe_load((ROOT / "mkdocs.yml").read_text(encoding="utf-8"))["docs_dir"] == "docs"


def test_the_start_page_shows_readmes_python():
    assert blocks("python", PAGES["index.md"]) == blocks("python")


def test_the_api_reference_names_what_exists_and_every_public_function():
    names = re.findall(r"^::: imgreg_fastai\.([\w.]+)$", PAGES["reference.md"], re.MULTILINE)
    for module, _, name in (name.rpartition(".") for name in names):
        assert hasattr(importlib.import_module(f"imgreg_fastai.{module}"), name), name
    functions = {name.removeprefix("api.functions.") for name in names if name.startswith("api.functions.")}
    assert functions == set(imgreg_fastai.__all__)


def test_the_command_reference_and_the_diagram_are_made_when_the_site_is_built():
    hooks = runpy.run_path(str(ROOT / "docs" / "hooks.py"))
    reference = hooks["on_page_markdown"](PAGES["commands.md"])
    assert all(f"### {name}\n" in reference for name in app().commands)
    assert reference.count("`--arch ") == 1 and "(?P&lt;age&gt;" in reference
    diagram = hooks["on_page_markdown"](PAGES["architecture.md"])
    assert "mermaid" not in diagram.lower() and all(f">{name}</text>" in diagram for name in entries())


# architecture

def test_the_architecture_page_names_every_module():
    table = re.search(r"\| module \| content \|\n(?:\|.*\n)*", PAGES["architecture.md"])[0]
    modules = re.findall(r"^\| `([^`]+)`", module_table(), re.MULTILINE)
    assert re.findall(r"^\| `([^`]+)`", table, re.MULTILINE) == modules, UPDATE


def test_the_architecture_page_names_members_of_target():
    section = PAGES["architecture.md"].partition("| aspect |")[2].partition("\n\n")[0]
    members = re.findall(r"`(\w+)`", "\n".join(line.split("|")[2] for line in section.splitlines()[2:]))
    assert len(members) > 30
    assert not [name for name in members if not hasattr(Target, name)]


def test_the_example_of_a_new_kind_works():
    values = {}
    code, = blocks("python", PAGES["architecture.md"])
    exec(compile(code, "docs/architecture.md", "exec"), values)
    share = values["Share"]("level", ("level",))
    labels = np.array([[0.0], [0.25], [1.0]])
    np.testing.assert_allclose(share.decode(share.encode_labels(labels)), labels)
    np.testing.assert_allclose(share.error(labels + 0.1, labels), 0.1)
    assert values["Share"].from_dict({"name": "level", "columns": ["level"]}) == share and share.label_text([0.25])
