"""A room imports only rooms above it, imports inside functions included; and the doors stay light."""
import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import imgreg_fastai

HOUSE = Path(imgreg_fastai.__file__).parent
ROOMS = [
    "errors", "files", "messages", "findings", "views", "targets", "tasks", "inference", "config", "images",
    "intervals", "symmetries", "tables", "splits", "labels", "doctor", "network", "predictor", "ensembles",
    "bootstrap", "scoring", "coverage", "calibration", "answers", "downloads", "archives", "datasets", "losses",
    "augment", "batches", "backbones", "sources", "weights", "learners", "precision", "training", "plots",
    "inquiries", "orders", "runs", "ledger", "baselines", "comparison", "readers", "options", "reports", "sidebyside",
    "evaluation", "exports", "jobs", "forecasts", "growth", "api", "cli",
]


def test_readme_lists_the_rooms_in_their_order():
    readme = (HOUSE.parent / "README.md").read_text(encoding="utf-8")
    listed = readme[readme.index("imgreg_fastai/\n") : readme.index("nbs/  ")].splitlines()[1:]
    words = [word.removesuffix(".py").rstrip("/") for word in re.findall(r"\b\w+(?:\.py|/)(?!\w)", "\n".join(listed))]
    rooms = [word for word in words if word in ROOMS]
    assert list(dict.fromkeys(rooms)) == ROOMS


def imported(path: Path) -> set[str]:
    """The rooms that a file of the package imports."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.level or (node.module or "").startswith("imgreg_fastai")):
            inside = path.parent != HOUSE and node.level == 1  # a package's own modules
            names = [node.module.removeprefix("imgreg_fastai.")] if node.module else [a.name for a in node.names]
            found |= set() if inside else {n.split(".")[0] for n in names}
    return found - {"__version__"}


def test_every_room_is_in_the_order_and_imports_only_rooms_above_it():
    paths = [p for p in HOUSE.rglob("*.py") if p != HOUSE / "__init__.py"]
    rooms = {p: p.stem if p.parent == HOUSE else p.parent.name for p in paths}
    assert set(rooms.values()) == set(ROOMS)
    for path, room in rooms.items():
        below = {n for n in imported(path) if n not in ROOMS[: ROOMS.index(room)]}
        assert not below, f"{path.name} imports {below}"


def test_inside_a_package_no_module_imports_in_a_circle():
    for package in {p.parent for p in HOUSE.rglob("*.py")} - {HOUSE}:
        graph = {p.stem: beside(p) & {m.stem for m in package.glob("*.py")} for p in package.glob("*.py")}
        list(TopologicalSorter({name: of - {name} for name, of in graph.items()}).static_order())


def beside(path: Path) -> set[str]:
    """The modules of its own package that a file imports as it is loaded, of `from . import x` the package itself."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.ImportFrom) and node.level == 1:
            own = {a.name for a in node.names}
            found |= {node.module.split(".")[0]} if node.module else own if path.stem == "__init__" else {
                name if (path.parent / f"{name}.py").exists() else "__init__" for name in own}
    return found


def loaded_by(code: str) -> set[str]:
    out = subprocess.run([sys.executable, "-c", f"import sys\n{code}\nprint(' '.join(sys.modules))"],
                         capture_output=True, text=True, check=True).stdout
    return set(out.splitlines()[-1].split())


def test_importing_the_verbs_loads_no_torch():
    names = ", ".join(imgreg_fastai.__all__)
    heavy = {"torch", "fastai", "timm", "matplotlib"}
    assert not heavy & loaded_by(f"from imgreg_fastai import {names}")
    assert not {*heavy, "pandas", "numpy"} & loaded_by("import imgreg_fastai.cli")
    assert not heavy & loaded_by("import imgreg_fastai.datasets, imgreg_fastai.data.labels, imgreg_fastai.data.images")


def test_the_verbs_stay_functions_whatever_was_imported():
    code = ("from imgreg_fastai import api\n"
            "import imgreg_fastai.training.datablock, imgreg_fastai.training.loop.learner, imgreg_fastai.api.functions.exporting\n"
            "import imgreg_fastai as i\nassert all(callable(getattr(i, n)) for n in i.__all__)")
    loaded_by(code)


def test_functions_and_files_stay_small():
    for path in HOUSE.rglob("*.py"):
        text = path.read_text()
        assert len(text.splitlines()) <= 330, path
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef) and path.parent.name != "cli":
                assert node.end_lineno - node.lineno < 40, f"{path.name}: {node.name}"
