"""The layout of the package, computed from its imports: entries, arrows, floors, circles, and a diagram of them."""
import ast
import re
import sys
from graphlib import TopologicalSorter
from pathlib import Path

import imgreg_fastai

PACKAGE = Path(imgreg_fastai.__file__).parent
ORDER = ["utils", "config", "tasks", "data", "datasets", "models", "training", "inference", "runs", "plots",
         "evaluation", "reports", "deploy", "api", "cli"]  # an entry imports only entries before it
SAYS = {
    "utils": "errors, files, console, format", "config": "TrainConfig", "tasks": "Task, kinds of target",
    "data": "tables, labels, images, splits, checks", "datasets": "angle, headpose, own tables",
    "models": "backbones, weights, network", "training": "DataBlock, losses, learner, loop",
    "inference": "predictor, conformal, tta, ensemble", "runs": "the run folder", "plots": "charts",
    "evaluation": "metrics, calibrate, baselines", "reports": "HTML pages", "deploy": "exported files",
    "api": "the public functions", "cli": "the commands",
}


def entries() -> list[str]:
    """What `ls imgreg_fastai` shows, dunder files and py.typed not counted."""
    return sorted(path.name.removesuffix(".py") for path in PACKAGE.iterdir()
                  if not path.name.startswith("__") and path.name != "py.typed")


def imported_modules(path: Path):
    """The dotted modules of the package, without its name, that a file imports anywhere; functions included."""
    folder = path.relative_to(PACKAGE.parent).parts[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            base = folder[: len(folder) - node.level + 1] if node.level else ()
            full = [*base, *(node.module or "").split(".")] if node.module else [*base]
            if full[0] == PACKAGE.name:
                yield from (".".join([*full[1:], alias.name]) for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[2] for alias in node.names if alias.name.startswith(PACKAGE.name))


def imports() -> dict[str, set[str]]:
    """{entry: the other entries that it imports}."""
    graph = {entry: set() for entry in entries()}
    for path in PACKAGE.rglob("*.py"):
        entry = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
        if entry in graph:
            graph[entry] |= {module.split(".")[0] for module in imported_modules(path)} & graph.keys() - {entry}
    return graph


def floors(graph: dict[str, set[str]]) -> dict[str, int]:
    """{entry: 1 + the highest floor that it imports}; raises graphlib.CycleError if imports go in a circle."""
    floor: dict[str, int] = {}
    for entry in TopologicalSorter(graph).static_order():
        floor[entry] = 1 + max((floor[other] for other in graph[entry]), default=0)
    return floor


def diagram(graph: dict[str, set[str]]) -> str:
    """The layout as a Mermaid flowchart: one row a floor; arrows point to what is imported.

    Arrows that others imply are left out: where a imports b and b imports c, there is no arrow from a to c.
    """
    floor, below = floors(graph), {}
    for entry in sorted(graph, key=floor.get):
        below[entry] = set().union(graph[entry], *(below[other] for other in graph[entry]))
    lines = ["flowchart BT"]
    for n in sorted(set(floor.values())):
        lines.append(f"  subgraph floor{n} [floor {n}]")
        lines += [f'    {entry}["{entry}: {SAYS[entry]}"]' for entry in ORDER if floor.get(entry) == n]
        lines.append("  end")
    for entry in ORDER:
        direct = {other for other in graph.get(entry, ())
                  if not any(other in below[between] for between in graph[entry])}
        lines += [f"  {entry} --> {other}" for other in ORDER if other in direct]
    return "\n".join(lines)


def module_table() -> str:
    """The modules of the package as a Markdown table: the name and the first line of the docstring of each."""
    lines = ["| module | content |", "|---|---|"]
    for entry in ORDER:
        for path in sorted([*PACKAGE.glob(f"{entry}.py"), *PACKAGE.glob(f"{entry}/**/*.py")]):
            text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
            first_line = text.partition("\n")[0].replace("|", "/").replace("[", "\\[")
            lines.append(f"| `{path.relative_to(PACKAGE).as_posix()}` | {first_line} |")
    return "\n".join(lines)


def updated_page(page: str) -> str:
    """docs/architecture.md with today's diagram and table of modules."""
    mermaid = f"```mermaid\n{diagram(imports())}\n```"
    page = re.sub(r"```mermaid\n.*?\n```", lambda _: mermaid, page, count=1, flags=re.DOTALL)
    return re.sub(r"\| module \| content \|\n(\|.*(\n|$))*", lambda _: module_table() + "\n", page)


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        architecture = PACKAGE.parent / "docs" / "architecture.md"
        architecture.write_text(updated_page(architecture.read_text(encoding="utf-8")), encoding="utf-8")
    else:
        print(diagram(imports()))
