"""The guided tours: what is committed is whole and says nothing of a machine, and each runs from its first cell on."""
import re
import shutil
from pathlib import Path

import pytest

REPO = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((REPO / "nbs").glob("*.ipynb"))
# A path from the root of a file system: after no word, and neither an address nor a closing tag.
PATHS = re.compile(r"(?<![\w./:<>\\-])(?:/(?:tmp|home|root|Users|var|mnt)\b|/[\w.-]+/[\w.-]+|[A-Za-z]:\\\w)")
tours = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)


def read(path):
    return pytest.importorskip("nbformat").read(path, as_version=4)


def texts(cell):
    """All that a reader sees of a cell as text; images are left out, as base64 has slashes by chance."""
    yield cell.source
    for output in cell.get("outputs", []):
        yield output.get("text", "")
        for kind, data in output.get("data", {}).items():
            if not kind.startswith("image/"):
                yield data if isinstance(data, str) else str(data)


def test_there_are_tours():
    assert NOTEBOOKS


@pytest.mark.parametrize(("text", "found"), [
    ("saved in /tmp/tmpab12", True), ("'/home/somebody'", True), ("in /data/runs/angle-001", True),
    (r"C:\Users", True), ("</td><td>", False), ("https://docs.fast.ai/vision/learner", False),
    ("runs/angle-001/plots", False), ("cos/sin, and/or", False), ("180^2/12", False), ("a < b / c", False),
])
def test_a_path_is_told_from_what_only_has_a_slash(text, found):
    assert bool(PATHS.search(text)) is found


@tours
def test_committed_tour_is_executed_in_order_and_tidy(path):
    code = [cell for cell in read(path).cells if cell.cell_type == "code" and cell.source.strip()]
    assert any(cell.outputs for cell in code)
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    outputs = [output for cell in code for output in cell.outputs]
    assert not [o.evalue for o in outputs if o.output_type == "error"]
    assert not [o.text for o in outputs if o.output_type == "stream" and o.name == "stderr"]
    assert path.stat().st_size < 1_000_000


@tours
def test_committed_tour_names_no_path_of_a_machine(path):
    found = [match.group() for cell in read(path).cells for text in texts(cell) for match in PATHS.finditer(text)]
    assert not found


@pytest.mark.slow
@tours
def test_tour_runs_in_the_quick_setting(path, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    monkeypatch.setenv("IMGREG_QUICK", "1")
    monkeypatch.setenv("PYTHONPATH", str(REPO))
    shutil.copytree(REPO / "data" / "gauges", tmp_path / "data" / "gauges")  # beside nbs/, as it is in the repository
    (tmp_path / "nbs").mkdir()
    where = {"metadata": {"path": str(tmp_path / "nbs")}}
    nbclient.NotebookClient(read(path), timeout=600, kernel_name="python3", resources=where).execute()
