"""Public functions and methods have types for all their arguments and results; mypy, in CI, checks them."""
import ast
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "imgreg_fastai"
SPECIAL = ("__init__", "__call__")


def public_functions(body: list[ast.stmt], in_class: bool = False) -> Iterator[tuple[ast.FunctionDef, list[ast.arg]]]:
    """The public functions of a module or a class, each with its arguments without `self` or `cls`."""
    for node in body:
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
            yield from public_functions(node.body, in_class=True)
        elif isinstance(node, ast.FunctionDef) and (not node.name.startswith("_") or node.name in SPECIAL):
            arguments = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
            is_static = any(isinstance(d, ast.Name) and d.id == "staticmethod" for d in node.decorator_list)
            yield node, arguments[1:] if in_class and not is_static else arguments


def missing_types(source: str) -> list[str]:
    """The names of public functions that lack the type of an argument or of their result."""
    functions = public_functions(ast.parse(source).body)
    return [function.name for function, arguments in functions
            if any(argument.annotation is None for argument in arguments)
            or (function.returns is None and function.name != "__init__")]


def test_public_functions_are_annotated():
    missing = {str(path.relative_to(PACKAGE)): missing_types(path.read_text(encoding="utf-8"))
               for path in sorted(PACKAGE.rglob("*.py"))}
    assert not {path: names for path, names in missing.items() if names}


def test_a_missing_type_is_seen():
    source = "def f(x) -> int: ...\ndef g(x: int): ...\ndef _h(x): ...\nclass A:\n    def m(self, x: int) -> int: ...\n"
    assert missing_types(source) == ["f", "g"]
