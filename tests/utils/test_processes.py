"""A script without a main guard is stopped by one line before a process starts that would run it again."""
import subprocess
import sys

import pytest

from imgreg_fastai.utils.messages import ImgregError
from imgreg_fastai.utils.processes import UnguardedScriptError, check_main_guard, unguarded_line

START = """
import multiprocessing
if multiprocessing.get_start_method(allow_none=True) is None:
    multiprocessing.set_start_method("{method}")
from imgreg_fastai.utils.processes import check_main_guard
def work(*_):
    check_main_guard({workers})
    print("fine")
"""


def run_script(folder, text, method="spawn", workers=2, *python):
    script = folder / "script.py"
    script.write_text(START.format(method=method, workers=workers) + text)
    return subprocess.run([sys.executable, *(python or [script])], capture_output=True, text=True, cwd=folder)


@pytest.mark.parametrize(("text", "line"), [
    ("work()", 1), ("\n\nwork(\n  1,\n)", 3), ("def main():\n    work()\nmain()", 3), ("import other", 1),
    ("try:\n    work(__name__ or 2)\nfinally:\n    pass", 2), ("if __name__ == '__main__':\n    pass\nwork()", 3),
])
@pytest.mark.parametrize("method", ["spawn", "forkserver"])
def test_an_unguarded_script_ends_with_one_line_that_names_the_guard(tmp_path, text, line, method):
    (tmp_path / "other.py").write_text("import __main__\n__main__.work()")
    done = run_script(tmp_path, text, method)
    assert done.returncode == 1 and not done.stdout
    assert done.stderr.startswith('imgreg: expected if __name__ == "__main__": in') and done.stderr.count("\n") == 1
    assert f"line {START.count(chr(10)) + line} of 'script.py'" in done.stderr and "workers=0" in done.stderr


@pytest.mark.parametrize("text", [
    "if __name__ == '__main__':\n    work()",
    "if __name__ == '__main__' and 2 > 1:\n    try:\n        work()\n    finally:\n        pass",
    "__name__ == '__main__' and work()",
    "if __name__ != '__main__':\n    raise SystemExit\nwork()",
    "if '__main__' != __name__:\n    pass\nelse:\n    work()",
    "def main():\n    work()\nif __name__ == '__main__':\n    main()",
])
def test_a_guarded_script_is_left_alone(tmp_path, text):
    assert run_script(tmp_path, text).stdout == "fine\n"


@pytest.mark.parametrize(("method", "workers"), [("fork", 2), ("spawn", 0)])
def test_no_guard_is_needed_where_nothing_is_imported_again(tmp_path, method, workers):
    assert run_script(tmp_path, "work()", method, workers).stdout == "fine\n"


def test_no_guard_is_needed_without_a_script_to_import(tmp_path):
    code = START.format(method="spawn", workers=2) + "work()"
    assert run_script(tmp_path, "", "spawn", 2, "-c", code).stdout == "fine\n"
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__main__.py").write_text(code)
    assert run_script(tmp_path, "", "spawn", 2, "-m", "package").stdout == "fine\n"
    assert run_script(tmp_path, "work()", "spawn", 2, "-m", "script").returncode == 1


def test_pytest_itself_needs_none():
    assert unguarded_line() is None
    check_main_guard(8)


def test_the_error_can_be_caught_as_any_mistake_of_the_user(tmp_path):
    assert issubclass(UnguardedScriptError, ImgregError) and UnguardedScriptError("a").code == "imgreg: expected a"
    done = run_script(tmp_path, "try:\n    work()\nexcept Exception as e:\n    print('caught')")
    assert done.stdout == "caught\n" and done.returncode == 0


@pytest.mark.slow
def test_a_training_in_an_unguarded_script_leaves_no_run(drawn, tmp_path):
    call = f"train('angle', data={str(drawn)!r}, arch='test_resnet', weights='none', epochs=1, size=(32, 32)"
    text = f"from imgreg_fastai import train\n{call}, workers=WORKERS, cache='off', device='cpu')\nprint('trained')"
    done = run_script(tmp_path, text.replace("WORKERS", "2"))
    assert done.returncode == 1 and "Traceback" not in done.stderr and not (tmp_path / "runs").exists()
    assert [line[:9] for line in done.stderr.splitlines()].count("imgreg: e") == 1
    assert run_script(tmp_path, text.replace("WORKERS", "0")).stdout.endswith("trained\n")


def test_an_unguarded_script_draws_in_its_own_process(tmp_path):
    text = "from imgreg_fastai.datasets.drawing.processes import run_in_processes as run\n"
    text += "print(*run(abs, [(-1,)] * 3, 2, ''))"
    done = run_script(tmp_path, text)
    assert done.stdout == "1 1 1\n" and not done.stderr
