"""The package has few entries; each imports only those before it; importing the public functions stays light."""
import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest

import imgreg_fastai
from tests.project.layout import ORDER, PACKAGE, diagram, entries, floors, imported_modules, imports

REPOSITORY = PACKAGE.parent
HEAVY = {"torch", "fastai", "timm", "matplotlib"}


def test_there_are_at_most_15_entries_on_9_floors_with_80_arrows():
    graph = imports()
    assert set(entries()) <= set(ORDER) and len(entries()) <= 15
    assert max(floors(graph).values()) <= 9  # and no circle
    assert sum(map(len, graph.values())) <= 80


def test_an_entry_imports_only_entries_before_it():
    for entry, others in imports().items():
        after = others - set(ORDER[: ORDER.index(entry)])
        assert not after, f"{entry} imports {after}"


def test_inside_a_package_no_module_imports_in_a_circle():
    for package in {path.parent for path in PACKAGE.rglob("*.py")} - {PACKAGE}:
        prefix = ".".join(package.relative_to(PACKAGE).parts)
        graph = {path.stem: siblings(path, prefix) for path in package.glob("*.py") if path.stem != "__init__"}
        list(TopologicalSorter(graph).static_order())


def siblings(path, prefix: str) -> set[str]:
    """The modules beside a file, in its own folder, that it imports."""
    inside = [module.removeprefix(prefix + ".").split(".")[0] for module in imported_modules(path)
              if module.startswith(prefix + ".")]
    return {name for name in inside if (path.parent / f"{name}.py").exists()} - {path.stem}


def test_no_entry_bears_the_name_of_a_public_function_and_no_module_that_of_what_its_package_exports():
    assert not set(entries()) & set(imgreg_fastai.__all__)
    for package in PACKAGE.rglob("__init__.py"):
        modules = {path.stem for path in package.parent.glob("*.py")} - {"__init__"}
        tree = ast.parse(package.read_text(encoding="utf-8"))
        exported = {alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom)
                    for alias in node.names if node.module}
        exported |= {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.ClassDef)}
        assert not modules & exported, package


def test_docs_show_the_diagram_of_these_imports():
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    shown = re.search(r"```mermaid\n(.*?)\n```", page, re.DOTALL)[1]
    assert shown == diagram(imports()), "python -m tests.project.layout prints the diagram of today's imports"


def test_docs_name_every_module():
    page = (REPOSITORY / "docs" / "architecture.md").read_text(encoding="utf-8")
    for entry in entries():
        assert f"`{entry}" in page, entry


def loaded_by(code: str) -> set[str]:
    """The modules that are loaded once `code` has run in a fresh Python."""
    out = subprocess.run([sys.executable, "-c", f"import sys\n{code}\nprint(' '.join(sys.modules))"], cwd=REPOSITORY,
                         capture_output=True, text=True, check=True).stdout
    return set(out.splitlines()[-1].split())


def test_importing_the_public_functions_loads_no_torch():
    assert not HEAVY & loaded_by(f"from imgreg_fastai import {', '.join(imgreg_fastai.__all__)}")
    assert not HEAVY & loaded_by("import imgreg_fastai.datasets, imgreg_fastai.data.labels, imgreg_fastai.data.images")


@pytest.mark.parametrize("function", ["check", "train", "lr_find", "curve", "dataloaders", "learner"])
def test_a_wrong_input_is_told_before_torch_is_loaded(function):
    code = (f"from imgreg_fastai import {function}\ntry:\n    {function}('data/gauges/labels.csv', targets='presure')\n"
            "except Exception as e:\n    assert \"column 'presure'\" in str(e)\nelse:\n    raise SystemExit(1)")
    assert not {*HEAVY, "matplotlib"} & loaded_by(code)


@pytest.mark.parametrize(("module", "heavy"), [
    ("cli", {"pandas", "numpy"}), ("config", {"pandas", "numpy"}), ("tasks", {"scipy", "roma"}),
])
def test_light_packages_stay_light(module, heavy):
    assert not (HEAVY | heavy) & loaded_by(f"import imgreg_fastai.{module}")


def test_the_public_functions_stay_functions_whatever_was_imported():
    code = ("from imgreg_fastai import api\n"
            "import imgreg_fastai.training.datablock, imgreg_fastai.training.learner, imgreg_fastai.api.exporting\n"
            "import imgreg_fastai as i\nassert all(callable(getattr(i, n)) for n in i.__all__)")
    loaded_by(code)


def test_functions_and_files_stay_small():
    for path in PACKAGE.rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        assert len(text.splitlines()) <= 330, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                start = node.body[0].end_lineno if ast.get_docstring(node) else node.lineno
                assert node.end_lineno - start < 40, f"{path.name}: {node.name}"
