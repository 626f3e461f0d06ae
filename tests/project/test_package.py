"""The wheel that .ci/run has built works where no checkout is: it trains, reports and has its types."""
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

WHEEL = os.environ.get("IMGREG_WHEEL", "")


@pytest.mark.slow
@pytest.mark.skipif(not WHEEL, reason="IMGREG_WHEEL names no wheel")
def test_the_wheel_trains_outside_the_checkout(drawn, tmp_path):
    package, folder = tmp_path / "package", tmp_path / "work"
    folder.mkdir()
    with zipfile.ZipFile(WHEEL) as wheel:
        wheel.extractall(package)
        names = {Path(name).parts[0] for name in wheel.namelist()}
    assert names == {"imgreg_fastai", Path(WHEEL).name.split("-py3")[0] + ".dist-info"}
    assert (package / "imgreg_fastai" / "py.typed").is_file()
    environment = {**os.environ, "PYTHONPATH": str(package)}
    options = ("--epochs", "1", "--size", "48", "--bs", "16", "--precision", "fp32", "--device", "cpu")
    command = (sys.executable, "-m", "imgreg_fastai", "train", "angle", "--data", str(drawn), *options)
    subprocess.run(command, cwd=folder, env=environment, check=True, timeout=300)
    assert (folder / "runs" / "angle-001" / "report.html").is_file()
    where = subprocess.run((sys.executable, "-c", "import imgreg_fastai; print(imgreg_fastai.__file__)"),
                           cwd=folder, env=environment, check=True, capture_output=True, text=True)
    assert Path(where.stdout.strip()).is_relative_to(package)
