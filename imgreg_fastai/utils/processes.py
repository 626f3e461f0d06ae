"""Whether other processes can be started: where they run the user's script anew, it needs a guard against that."""
import ast
import multiprocessing
import sys
from pathlib import Path
from types import FrameType

from .messages import ImgregError

GUARD = 'if __name__ == "__main__":'
DECIDES = (ast.If, ast.IfExp, ast.BoolOp)  # what can make a part of a script depend on __name__


class UnguardedScriptError(ImgregError, SystemExit):
    """A script that starts processes, and that each of them would run again.

    Uncaught, it ends the script with its line and status 1, without a traceback.
    """

    def __init__(self, expected: str, actual: str | None = None, hint: str | None = None) -> None:
        super().__init__(expected, actual, hint)
        self.code = f"imgreg: {self}"


def check_main_guard(n_processes: int) -> None:
    """Raise UnguardedScriptError if processes cannot be started, because they would run the script again.

    Args:
        n_processes: How many are to be started, as `workers` of a training.
    """
    line = unguarded_line()
    if n_processes and line is not None:
        script = Path(getattr(sys.modules["__main__"], "__file__", "")).name
        raise UnguardedScriptError(f"{GUARD} in a script that starts processes, since each of them imports it again",
                                   f"line {line} of '{script}' without it",
                                   f"that guard with line {line} indented below it, or workers=0")


def unguarded_line() -> int | None:
    """Return the line of the running script that new processes would run, too; None where none would be.

    On Windows, on macOS and from Python 3.14 on, a new process imports the script that started it. (With the start
    method fork it is a copy, and no script is imported.) What does not stand below `if __name__ == "__main__":` then
    runs once more in each process, which would start others: Python stops this with RuntimeError, but too late.
    """
    method = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
    main = sys.modules["__main__"]
    name, path = getattr(getattr(main, "__spec__", None), "name", ""), getattr(main, "__file__", None)
    if method == "fork" or not path or hasattr(sys, "frozen") or name == "__main__" or name.endswith(".__main__"):
        return None  # nothing is imported again: multiprocessing.spawn has these rules
    frame: FrameType | None = sys._getframe()
    while frame and not (frame.f_code.co_name == "<module>" and frame.f_globals is vars(main)):
        frame = frame.f_back
    try:
        tree = ast.parse(Path(path).read_bytes())
    except (OSError, SyntaxError, ValueError):  # no file of Python source
        return None
    return None if frame is None or _is_guarded(tree, frame.f_lineno) else frame.f_lineno


def _is_guarded(tree: ast.Module, line: int) -> bool:
    """Tell whether a line of a script runs in dependence of __name__, or below a part that ends it by __name__."""
    for node in ast.walk(tree):
        if not isinstance(node, DECIDES):
            continue
        condition = node.test if isinstance(node, (ast.If, ast.IfExp)) else node
        tests = [test for test in ast.walk(condition) if isinstance(test, ast.Compare)
                 and any(getattr(part, "id", "") == "__name__" for part in (test.left, *test.comparators))]
        if tests and node.lineno <= line <= (node.end_lineno or 0):
            return True
        if node.lineno < line and any(isinstance(operator, ast.NotEq) for test in tests for operator in test.ops):
            return True  # if __name__ != "__main__": sys.exit()
    return False
