"""The performance harness runs and says what it should; how fast anything is, no test asks."""
import json
import subprocess
import sys
from pathlib import Path

import pytest

PARTS = ["throughput", "time_to_1", "help", "drawing", "classical"]  # accuracy trains twice as long


@pytest.mark.slow
def test_quick_run_measures_every_part(tmp_path):
    out = tmp_path / "results.json"
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--quick", "--only", ",".join(PARTS), "--out", str(out)],
        cwd=Path(__file__).parent.parent, capture_output=True, text=True,
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(out.read_text())
    assert results["quick"] and {"cores", "processor", "torch"} <= set(results["machine"])
    assert all(results[part] for part in PARTS)
    assert all(f"\n{part}\n\n| " in done.stdout for part in PARTS)
    beside = [(row["backbone"].split()[0], row["beside"].split(",")[0]) for row in results["throughput"]]
    assert beside == [("resnet18", "plain fastai"), ("resnet18", "bare step"), ("resnet10t", "bare step")]
    for row in results["throughput"]:
        assert row["pictures/s"] > 0 and row["lowest"] <= row["ratio"] <= row["highest"]
    assert results["time_to_1"][0]["pictures seen"] > 0 and not results["time_to_1"][0]["reached"]
    assert [row["command"] for row in results["help"]] == ["imgreg --help", "python -c pass"]


def test_an_unknown_part_is_refused():
    pytest.importorskip("skimage")
    from benchmarks.__main__ import parse

    with pytest.raises(SystemExit):
        parse(["--only", "speed"])
    assert parse(["--only", "help, drawing"]).only == ["help", "drawing"]
